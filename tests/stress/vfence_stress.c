/*
 * Fences between harts, with threads for CPUs: each runs one vCPU of a guest,
 * in and out of the guest, with a TLB of its own that forgets only when told.
 * After a fence is over nobody may see what was there before it, and whoever
 * waits, in place or blocked, is rung or woken. Bells are good or late; where
 * nothing but fences is going on a ring that is lost is lost for good (nothing
 * here times out; harts_run's alarm ends a test that hangs), elsewhere mail,
 * other interrupts and timers come in between. Each fence is counted as sent by
 * its own hart, and at the others as received, which they are by its CPU.
 */
/* sources: kernel/sched/wake.c tests/stress/harts.c
 *	tests/unit/fake_trace.c */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base.h"

/* Of those who wait some are told at once, the others by the guest's task. */
static u32 wakes;
#define WAKES_AT_ONCE wakes
#include "arch/riscv/vfence.c"
#include "arch/riscv/vfence_due.c"

#include "kernel/percpu/doorbell.h"
#include "kernel/sched/trace.h"
#include "kernel/virq.h"
#include "tests/stress/harts.h"
#include "tests/unit/fake_cpus.h"

#define VCPUS 8
#define PAGES 8
#define TURNS 40000 /* of all vCPUs, in one run */
#define STEPS 12

struct cpu_thread {
	struct riscv_vcpu v;
	struct cpu c;
	u32 pending, sent; /* atomic: its bell in hardware, and on its way */
	struct mbox_node note; /* mail for it, about nothing */
	u32 tlb[PAGES], icache; /* 0: nothing cached */
	u64 rng, blocks, in_place;
	u64 fences; /* that are over; others look */

	/* What the fence that it waits for will have promised. */
	bool code;
	u32 page, value;
} __attribute__((aligned(64)));

static struct cpu_thread cpus[VCPUS];
static struct vcpu *table[VCPUS];
static struct arch_guest arch;
static struct guest guest = { .vcpu = table, .arch = &arch };
static u32 pt[PAGES], floors[PAGES], code = 1, code_floor;
static bool late, noisy; /* of this run */
static __thread struct cpu_thread *here;
_Thread_local struct cpu *fake_this_cpu;

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

static u32 rnd(struct cpu_thread *c, u32 below)
{
	return hart_random(&c->rng, below);
}

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

void arch_doorbell_ring(struct cpu *target)
{
	struct cpu_thread *c = container_of(target, struct cpu_thread, c);

	ck_pr_store_32(late ? &c->sent : &c->pending, 1);
}

void arch_doorbell_ack(void)
{
	ck_pr_store_32(&here->pending, 0);
}

/* Does its bell pend? One that was sent arrives at some time. */
static bool rung(struct cpu_thread *c)
{
	if (late && rnd(c, 8) == 0 && ck_pr_fas_32(&c->sent, 0))
		ck_pr_store_32(&c->pending, 1);
	return ck_pr_load_32(&c->pending);
}

bool vhw_bell_wait(void)
{
	while (!rung(here)) {
		/* A timer. */
		if (noisy && rnd(here, 500) == 0)
			return false;
		sched_yield();
	}
	here->in_place++;
	return cpu_guest_bell(&here->c);
}

/* ---- The rest of the kernel ---- */

u64 time_now_ticks(void)
{
	return 0;
}

void trace_wait_begin(struct vcpu *v, u64 since_ticks)
{
	(void)v, (void)since_ticks;
	abort();
}

/* ---- The guest ---- */

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

/* Something that has nothing to do with fences, for another CPU. */
static void disturb(struct cpu_thread *c)
{
	struct cpu_thread *to = &cpus[rnd(c, guest.cfg.vcpus)];

	if (to == c)
		return;
	if (rnd(c, 2))
		doorbell_post(&to->c, &to->note, 1);
	else
		virq_raise(&to->v.v, VIRQ_SOFT);
}

/* The guest goes on until its turn ends. False: it waits for a fence. */
static bool steps(struct cpu_thread *c)
{
	for (u32 i = rnd(c, STEPS); i; i--) {
		if (rung(c) && !cpu_guest_bell(&c->c))
			break;
		if (LOAD(&c->v.v.virq))
			virq_flush(c);
		jitter(c);
		access_check(c);
		if (noisy && rnd(c, 16) == 0)
			disturb(c);
		if (rnd(c, 16) == 0 && !change_and_fence(c))
			return false;
	}
	return true;
}

/* As arch_vcpu_run. False: RUN_BLOCK. */
static bool run(struct cpu_thread *c)
{
	bool goes_on = vfence_run_begin(&c->v);

	if (goes_on && cpu_enter_guest(&c->c, &c->v.v)) {
		if (c->value)
			fence_over(c);
		virq_flush(c);
		goes_on = steps(c);
		cpu_leave_guest(&c->c);
	}
	vfence_run_end(&c->v);
	return goes_on;
}

/* As current_block, for a vCPU that waits for a fence. */
static void block(struct cpu_thread *c)
{
	u32 *state = &c->v.v.state;

	ck_pr_store_32(state, VCPU_BLOCKING);
	ck_pr_fence_memory();
	if (ck_pr_load_32(&c->v.v.virq) & VIRQ_FENCED) {
		(void)ck_pr_cas_32(state, VCPU_BLOCKING, VCPU_RUNNING);
		return;
	}
	ck_pr_fence_release();
	c->blocks += ck_pr_cas_32(state, VCPU_BLOCKING, VCPU_BLOCKED);
}

static void note_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	(void)c, (void)n, (void)bits, (void)now;
}

static void wake_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct vcpu *v = container_of(n, struct vcpu, mail);

	(void)c, (void)bits, (void)now;
	if (ck_pr_load_32(&v->state) == VCPU_WAKING)
		ck_pr_store_32(&v->state, VCPU_QUEUED);
}

/* A round of the CPU's loop. */
static void turn(struct cpu_thread *c)
{
	u32 state;

	doorbell_answer(&c->c);
	fake_cpu_looks(&c->c, 0);
	state = ck_pr_load_32(&c->v.v.state);
	if (state == VCPU_QUEUED || state == VCPU_RUNNING) {
		ck_pr_store_32(&c->v.v.state, VCPU_RUNNING);
		if (!run(c))
			block(c);
	} else if (cpu_will_stop(&c->c, CPU_IDLE)) {
		while (!rung(c))
			sched_yield();
		ck_pr_store_32(&c->c.mode, CPU_HYP);
	}
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
	fake_this_cpu = &here->c;
	here->rng = hart_seed(&here->v);
	for (u32 i = 0; i < TURNS / guest.cfg.vcpus || here->value; i++) {
		turn(here);
		if (!here->value && rnd(here, 8) == 0)
			sleep_long(here);
	}
	/* Nobody is there any more. */
	ck_pr_store_32(&here->v.v.state, VCPU_OFF);
	return NULL;
}

/* ---- The guest's task ---- */

static sem_t task_mail;
static bool task_ends;
static u64 told_later;

void guest_tell_rest(struct guest *g)
{
	(void)g;
	sem_post(&task_mail);
}

static void *task_main(void *arg)
{
	for (;;) {
		sem_wait(&task_mail);
		if (LOAD(&task_ends))
			return arg;
		while (arch_guest_tell_rest(&guest))
			told_later++;
		told_later++;
	}
}

static void cpu_init(struct cpu_thread *c, u32 n)
{
	c->c.index = n;
	mbox_init(&c->c.mbox);
	mbox_node_init(&c->note, note_look);
	mbox_node_init(&c->v.v.mail, wake_look);
	c->v.v.cpu = c->v.host = &c->c;
	c->v.v.state = VCPU_QUEUED;
	c->v.pmu.fw_on = 1;
}

/* No count is lost, though several CPUs add to one. */
static void all_are_counted(u64 fences)
{
	u64 sum[VPMU_EVENTS] = {0}, sent = 0;

	for (u32 i = 0; i < guest.cfg.vcpus; i++)
		for (u32 e = VPMU_FENCE_I_SENT; e < VPMU_EVENTS; e++)
			sum[e] += cpus[i].v.pmu.fw[e];
	for (u32 e = VPMU_FENCE_I_SENT; e < VPMU_EVENTS; e += 2) {
		sent += sum[e];
		if (sum[e + 1] == sum[e])
			continue;
		fprintf(stderr, "event %u: %llu sent, %llu received\n", e,
			(unsigned long long)sum[e],
			(unsigned long long)sum[e + 1]);
		exit(1);
	}
	if (sent != fences * (guest.cfg.vcpus - 1)) {
		fprintf(stderr, "%llu sent\n", (unsigned long long)sent);
		exit(1);
	}
}

static void run_all(u32 vcpus)
{
	u64 blocks = 0, in_place = 0, fences = 0;
	pthread_t task;

	told_later = task_ends = 0;
	sem_init(&task_mail, 0, 0);
	if (pthread_create(&task, NULL, task_main, NULL))
		abort();
	memset(cpus, 0, sizeof(cpus));
	guest.cfg.vcpus = vcpus;
	for (u32 i = 0; i < vcpus; i++)
		cpu_init(&cpus[i], i);
	harts_run(&guest, &cpus[0].v, sizeof(cpus[0]), cpu_main);
	__atomic_store_n(&task_ends, true, __ATOMIC_SEQ_CST);
	sem_post(&task_mail);
	pthread_join(task, NULL);
	for (u32 i = 0; i < vcpus; i++) {
		blocks += cpus[i].blocks;
		in_place += cpus[i].in_place;
		fences += cpus[i].fences;
	}
	all_are_counted(fences);
	printf("%u CPUs%s%s: %llu fences, none stale; %llu rings that ended "
	       "waits in place, %llu blocked, none lost; %llu times the task "
	       "told the rest\n", vcpus, late ? ", late bells" : "",
	       noisy ? ", with other mail" : "", (unsigned long long)fences,
	       (unsigned long long)in_place, (unsigned long long)blocks,
	       (unsigned long long)told_later);
	/* It went where the danger is. */
	if (!fences || (vcpus > 1 && (!in_place || (noisy && !blocks))) ||
	    (vcpus > 2 && wakes < vcpus) != !!told_later)
		exit(1);
}

int main(void)
{
	static const u32 sizes[] = { 1, 2, 4, VCPUS };

	for (u32 i = 0; i < PAGES; i++)
		pt[i] = 1;
	for (u32 i = 0; i < 16; i++) {
		late = i & 1;
		noisy = i & 2;
		/* Where all are told at once, and where hardly any are. */
		wakes = i % 3 ? 1 : VCPUS;
		run_all(sizes[i / 4]);
	}
	return 0;
}
