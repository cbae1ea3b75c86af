/*
 * Fences between harts, with threads for CPUs: each runs one vCPU of a guest,
 * in and out of the guest, with a TLB of its own that forgets only when told.
 * After a fence is over nobody may see what was there before it, and whoever
 * waits is woken (nothing here times out; harts_run's alarm ends a test that
 * hangs).
 */
/* sources: arch/riscv/vfence.c tests/stress/harts.c */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "kernel/virq.h"
#include "tests/stress/harts.h"

#define VCPUS 4
#define PAGES 8
#define TURNS 50000
#define STEPS 12

struct cpu_thread {
	struct riscv_vcpu v;
	u32 tlb[PAGES], icache; /* 0: nothing cached */
	u64 rng, waits;
	u64 fences; /* that are over; others look */

	/* What the fence that it waits for will have promised. */
	bool code;
	u32 page, value;
} __attribute__((aligned(64)));

static struct cpu_thread cpus[VCPUS];
static struct vcpu *table[VCPUS];
static struct arch_guest arch;
static struct guest guest = { .cfg.vcpus = VCPUS, .vcpu = table,
			      .arch = &arch };
static u32 pt[PAGES], floors[PAGES], code = 1, code_floor;
static __thread struct cpu_thread *here;

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

/* ---- The hart ---- */

void vhw_hfence_all(void)
{
	for (u32 i = 0; i < PAGES; i++)
		here->tlb[i] = 0;
}

void vhw_hfence_va(u64 va)
{
	here->tlb[va >> PAGE_SHIFT] = 0;
}

void vhw_hfence_asid(u64 asid)
{
	(void)asid;
	vhw_hfence_all();
}

void vhw_hfence_va_asid(u64 va, u64 asid)
{
	(void)asid;
	vhw_hfence_va(va);
}

void vhw_fence_i(void)
{
	sched_yield();
	here->icache = 0;
}

/* ---- The guest ---- */

static u32 rnd(struct cpu_thread *c, u32 below)
{
	return hart_random(&c->rng, below);
}

static void stale(const char *what, u32 saw, u32 least)
{
	fprintf(stderr, "stale %s: saw %u after a fence for %u\n", what, saw,
		least);
	exit(1);
}

/* Lets the others in, where two of them matter most. */
static void jitter(struct cpu_thread *c)
{
	if (rnd(c, 64) == 0)
		sched_yield();
}

static void access_check(struct cpu_thread *c)
{
	u32 p = rnd(c, PAGES), least = LOAD(&floors[p]);

	if (!c->tlb[p])
		c->tlb[p] = LOAD(&pt[p]);
	if (c->tlb[p] < least)
		stale("page", c->tlb[p], least);
	least = LOAD(&code_floor);
	if (!c->icache)
		c->icache = LOAD(&code);
	if (c->icache < least)
		stale("code", c->icache, least);
}

static void raise_to(u32 *word, u32 value)
{
	u32 was = LOAD(word);

	while (was < value &&
	       !__atomic_compare_exchange_n(word, &was, value, false,
					    __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
}

static void fence_over(struct cpu_thread *c)
{
	raise_to(c->code ? &code_floor : &floors[c->page], c->value);
	c->value = 0;
	__atomic_add_fetch(&c->fences, 1, __ATOMIC_SEQ_CST);
}

/* Changes something and asks that all see it; false: has to wait. */
static bool change_and_fence(struct cpu_thread *c)
{
	const struct vfence_harts all = { .all = true };
	struct vfence_op op = { .kind = VFENCE_I, .asid = VFENCE_ANY_ASID };

	c->code = rnd(c, 4) == 0;
	c->page = rnd(c, PAGES);
	c->value = __atomic_add_fetch(c->code ? &code : &pt[c->page], 1,
				      __ATOMIC_SEQ_CST);
	if (!c->code) {
		op.kind = VFENCE_VMA;
		op.va = c->page * PAGE_BYTES;
		op.pages = rnd(c, 8) ? 1 : 0;
		op.asid = rnd(c, 2) ? 7 : VFENCE_ANY_ASID;
	}
	if (!vfence_request(&c->v, &all, &op))
		return false;
	fence_over(c);
	return true;
}

static void virq_flush(struct cpu_thread *c)
{
	u32 bits = __atomic_exchange_n(&c->v.v.virq, 0, __ATOMIC_SEQ_CST);

	if (bits & VIRQ_FENCE)
		vfence_before_entry(&c->v);
}

static void turn(struct cpu_thread *c)
{
	if (!vfence_run_begin(&c->v)) {
		c->waits++;
		vfence_run_end(&c->v);
		while (!(LOAD(&c->v.v.virq) & VIRQ_FENCED))
			sched_yield();
		return;
	}
	if (c->value)
		fence_over(c);
	jitter(c);
	virq_flush(c);
	for (u32 i = rnd(c, STEPS); i; i--) {
		if (LOAD(&c->v.v.virq))
			virq_flush(c);
		jitter(c);
		access_check(c);
		if (rnd(c, 16) == 0 && !change_and_fence(c))
			break;
	}
	vfence_run_end(&c->v);
}

/*
 * Stays out of the guest until whoever waits now waits no more: nobody may
 * depend on a vCPU that has left.
 */
static void sleep_long(struct cpu_thread *c)
{
	for (u32 i = 0; i < VCPUS; i++) {
		u64 seen = LOAD(&cpus[i].fences);

		while (&cpus[i] != c && LOAD(&cpus[i].v.fence.waiting) &&
		       LOAD(&cpus[i].fences) == seen)
			sched_yield();
	}
}

static void *cpu_main(void *arg)
{
	here = container_of(arg, struct cpu_thread, v);
	here->rng = hart_seed(&here->v);
	for (u32 i = 0; i < TURNS || here->value; i++) {
		turn(here);
		if (!here->value && rnd(here, 8) == 0)
			sleep_long(here);
	}
	return NULL;
}

int main(void)
{
	u64 waits = 0, fences = 0;

	for (u32 i = 0; i < PAGES; i++)
		pt[i] = 1;
	harts_run(&guest, &cpus[0].v, sizeof(cpus[0]), cpu_main);
	for (u32 i = 0; i < VCPUS; i++) {
		waits += cpus[i].waits;
		fences += cpus[i].fences;
	}
	printf("%llu fences, %llu waits, none stale, none lost\n",
	       (unsigned long long)fences, (unsigned long long)waits);
	return 0;
}
