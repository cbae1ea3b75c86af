/*
 * Software events between harts, with threads for CPUs: all signal, enable,
 * mask, take, complete and stop at once. A global event is never handled by two
 * harts, and, when all is quiet, no event pends that some hart would take.
 */
/* sources: arch/riscv/vsse.c tests/stress/harts.c */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "kernel/virq.h"
#include "tests/stress/harts.h"

#define VCPUS 4
#define LIVES 1000 /* of the guest: quiet after each */
#define STEPS 200

struct cpu_thread {
	struct riscv_vcpu v;
	u64 rng, handled;
	u64 sepc, vsepc, vsstatus;
	bool vs_mode;
} __attribute__((aligned(64)));

static struct cpu_thread cpus[VCPUS];
static struct vcpu *table[VCPUS];
static struct arch_guest arch;
static struct guest guest = {.cfg.vcpus = VCPUS, .vcpu = table, .arch = &arch};
static __thread struct cpu_thread *here;
static pthread_barrier_t barrier;
static u32 busy_cpus; /* that found something to do when all was quiet */
static u32 handler[VSSE_EVENTS]; /* who handles a global event, + 1 */
static u32 in_hand;		 /* does someone have the global events? */

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

/* ---- The hart ---- */

u64 vhw_sepc(void)
{
	return here->sepc;
}

void vhw_sepc_set(u64 pc)
{
	here->sepc = pc;
}

bool vhw_vs_mode(void)
{
	return here->vs_mode;
}

void vhw_vs_mode_set(bool vs)
{
	here->vs_mode = vs;
}

u64 vhw_vsepc(void)
{
	return here->vsepc;
}

void vhw_vsepc_set(u64 pc)
{
	/* In the middle of a delivery. */
	if (pc % 8 == 0)
		sched_yield();
	here->vsepc = pc;
}

u64 vhw_vsstatus(void)
{
	return here->vsstatus;
}

void vhw_vsstatus_set(u64 bits)
{
	here->vsstatus = bits;
}

/* ---- The guest ---- */

static u32 rnd(u32 below)
{
	return hart_random(&here->rng, below);
}

static void wrong(const char *what, u32 i)
{
	fprintf(stderr, "event %u: %s\n", i, what);
	exit(1);
}

static void look(void)
{
	u32 was = here->v.sse.running, is;

	if (!(__atomic_exchange_n(&here->v.v.virq, 0, __ATOMIC_SEQ_CST)))
		return;
	vsse_deliver(&here->v);
	is = here->v.sse.running & ~was;
	if (!is)
		return;
	here->handled++;
	if (here->sepc != (u32)__builtin_ctz(is))
		wrong("another's handler", (u32)__builtin_ctz(is));
	if ((is & VSSE_GLOBALS) &&
	    __atomic_exchange_n(&handler[here->sepc], here->v.v.id + 1,
				__ATOMIC_SEQ_CST))
		wrong("two harts handle it", (u32)here->sepc);
}

/* Nobody handles the global ones of `set` any more. */
static void handlers_end(u32 set)
{
	for (set &= VSSE_GLOBALS; set; set &= set - 1)
		if (__atomic_exchange_n(&handler[__builtin_ctz(set)], 0,
					__ATOMIC_SEQ_CST) != here->v.v.id + 1)
			wrong("another hart handles it",
			      (u32)__builtin_ctz(set));
}

static u32 innermost(u32 set)
{
	u32 best = VSSE_EVENTS, priority = 0;

	for (u32 i = 0; i < VSSE_EVENTS; i++) {
		const struct vsse_event *e =
			vsse_global(i) ? &arch.sse.event[i / 2]
				       : &here->v.sse.local[i / 2];

		if ((set >> i & 1) &&
		    (best == VSSE_EVENTS || e->priority < priority)) {
			best = i;
			priority = e->priority;
		}
	}
	return best;
}

static void complete(void)
{
	u32 i = here->v.sse.running;

	if (!i)
		return;
	i = innermost(i);
	handlers_end(1u << i);
	while (!vsse_complete(&here->v))
		sched_yield();
	if (here->v.sse.running >> i & 1)
		wrong("not the innermost is complete", i);
}

static struct vsse_event *take(u32 i)
{
	struct vsse_event *e = vsse_take(&here->v, i);

	while (!e) {
		sched_yield();
		e = vsse_take(&here->v, i);
	}
	return e;
}

/* One way or the other, with new attributes. */
static void enable(u32 i, bool on)
{
	struct vsse_event *e = take(i);

	if (vsse_global(i) &&
	    __atomic_exchange_n(&in_hand, 1, __ATOMIC_SEQ_CST))
		wrong("two have it in hand", i);
	if (rnd(8) == 0)
		sched_yield();
	e->entry_pc = i;
	if (e->state <= VSSE_REGISTERED) {
		if (vsse_global(i))
			__atomic_store_n(&e->hart, rnd(VCPUS),
					 __ATOMIC_RELAXED);
		e->priority = rnd(3);
		e->oneshot = rnd(2);
		if (on)
			vsse_state_set(&here->v, i, VSSE_ENABLED);
	} else if (e->state == VSSE_ENABLED && !on) {
		vsse_state_set(&here->v, i, VSSE_REGISTERED);
	}
	if (vsse_global(i))
		__atomic_store_n(&in_hand, 0, __ATOMIC_SEQ_CST);
	vsse_put(&here->v, i);
}

static void mask(bool on)
{
	bool masked = !(here->v.sse.ready & VSSE_UNMASKED);

	if (on && !masked)
		vsse_mask(&here->v);
	else if (!on && masked)
		vsse_unmask(&here->v);
}

static void stop(void)
{
	u32 running = here->v.sse.running;

	handlers_end(running);
	while (!vsse_stop(&here->v))
		sched_yield();
	vsse_reset(&here->v);
}

static void step(void)
{
	u32 i = rnd(VSSE_EVENTS);

	if (rnd(16) == 0)
		sched_yield();
	switch (rnd(12)) {
	case 0:
		enable(i, rnd(4) != 0);
		break;
	case 1:
		mask(true);
		break;
	case 2:
		mask(false);
		break;
	case 3:
	case 4:
		complete();
		break;
	case 5:
		if (rnd(20) == 0)
			stop();
		break;
	case 6:
	case 7:
	case 8:
		look();
		break;
	default:
		vsse_signal(&cpus[rnd(VCPUS)].v, i);
		break;
	}
}

/* All that was signalled is taken and done, and all that would be. */
static void settle(void)
{
	bool unmask_last = rnd(2);

	if (!unmask_last)
		mask(false);
	for (u32 i = 0; i < VSSE_EVENTS; i++)
		enable(i, true);
	if (unmask_last)
		mask(false);
	do {
		pthread_barrier_wait(&barrier);
		if (here == cpus)
			__atomic_store_n(&busy_cpus, 0, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&barrier);
		while (LOAD(&here->v.v.virq) || here->v.sse.running) {
			__atomic_store_n(&busy_cpus, 1, __ATOMIC_SEQ_CST);
			look();
			complete();
		}
		pthread_barrier_wait(&barrier);
	} while (LOAD(&busy_cpus));
	for (u32 i = 0; i < VSSE_EVENTS; i++) {
		u32 enabled = vsse_global(i) ? LOAD(&arch.sse.enabled)
					     : here->v.sse.ready;

		if ((enabled >> i & 1) && vsse_pending(&here->v, i))
			wrong("nobody was told", i);
	}
	pthread_barrier_wait(&barrier);
}

static void *cpu_main(void *arg)
{
	here = container_of(arg, struct cpu_thread, v);
	here->rng = hart_seed(&here->v);
	for (u32 life = 0; life < LIVES; life++) {
		for (u32 i = 0; i < STEPS; i++)
			step();
		settle();
	}
	return NULL;
}

int main(void)
{
	u64 handled = 0;

	pthread_barrier_init(&barrier, NULL, VCPUS);
	harts_run(&guest, &cpus[0].v, sizeof(cpus[0]), cpu_main);
	for (u32 i = 0; i < VCPUS; i++)
		handled += cpus[i].handled;
	printf("%llu events handled, each by one hart, none left\n",
	       (unsigned long long)handled);
	return handled ? 0 : 1;
}
