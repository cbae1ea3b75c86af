/*
 * The simulator's clockwork: see engine.h.
 *
 * The problem: the core asks a vCPU to run and goes on when its turn has ended,
 * but what ends the turn may be done by another CPU meanwhile. So CPUs must be
 * able to stop in the middle of the core's code. They are coroutines: each has
 * a stack and runs sched_loop itself, unchanged; `pass` is where they stop.
 *
 * A heap holds for each CPU the moment when it goes on. The one with the least
 * is let go, and does everything up to its next `pass` at once. A doorbell
 * moves its target's moment forward, to the ring plus the doorbell's latency.
 *
 * Order: a CPU in the hypervisor does a round of the loop without a stop but
 * for two points, the begin of the round and the moment before it enters a
 * guest, where it waits until no other CPU is behind it. Between these its
 * clock may be ahead of others by what the round costs, a microsecond or so:
 * what it posts meanwhile may be seen that much too early, never too late.
 *
 * The CPU that runs stays at the top of the heap with the moment it was let go
 * at, which is not after anyone else's. So the least of the others is one of
 * the top's children, and a CPU whose own next moment comes first goes on
 * without any switch.
 *
 * Rejected: stepping all CPUs by a quantum (a thousand CPUs in guests that do
 * nothing but count would be a thousand events a quantum), threads (their order
 * is the host's), swapcontext for each switch (two system calls; it is used to
 * begin a stack only).
 */
#include "bench/sim/engine.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "kernel/percpu/doorbell.h"

#define STACK_BYTES (128 * KIB)
#define PS_PER_TICK (1000000000000ULL / FAKE_HZ)

struct sim_cpu {
	u64 due;     /* when it goes on */
	u64 ring_at; /* when a ring on its way gets here; TIME_NEVER: none */
	u64 rest_ps; /* cost that is not yet a tick */
	u64 stepped; /* when the last round began */
	u32 slot;    /* in the heap */
	bool begun;
	jmp_buf where;
	ucontext_t first;
};

static struct {
	struct sim_cpu *cpu; /* cpus of them, and the outside */
	u32 *heap;
	u32 cpus;
	u64 now, until;
	u64 events;
	u64 (*outside)(u64 now);
	jmp_buf engine;
	const struct sim_costs *costs;
	const struct sim_watch *watch;
} sim;

static struct fake_cpu outside_cpu;

/* ---- The heap ---- */

static bool before(u32 a, u32 b)
{
	if (sim.cpu[a].due != sim.cpu[b].due)
		return sim.cpu[a].due < sim.cpu[b].due;
	return a < b;
}

static void put(u32 slot, u32 cpu)
{
	sim.heap[slot] = cpu;
	sim.cpu[cpu].slot = slot;
}

static void sift(u32 cpu)
{
	u32 at = sim.cpu[cpu].slot, n = sim.cpus + 1;

	while (at && before(cpu, sim.heap[(at - 1) / 2])) {
		put(at, sim.heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		u32 least = 2 * at + 1;

		if (least >= n)
			break;
		if (least + 1 < n && before(sim.heap[least + 1],
					    sim.heap[least]))
			least++;
		if (!before(sim.heap[least], cpu))
			break;
		put(at, sim.heap[least]);
		at = least;
	}
	put(at, cpu);
}

static void due_set(u32 cpu, u64 due)
{
	sim.cpu[cpu].due = due;
	sift(cpu);
}

/* May CPU `cpu`, which is at the top, go on to `at` before anyone else? */
static bool is_next(u32 cpu, u64 at)
{
	if (at >= sim.until)
		return false;
	for (u32 i = 1; i <= 2 && i <= sim.cpus; i++) {
		u32 other = sim.heap[i];
		u64 due = sim.cpu[other].due;

		if (due < at || (due == at && other < cpu))
			return false;
	}
	return true;
}

/* ---- Coroutines ---- */

/* Not inlined, and without variables: setjmp returns twice. */
static __attribute__((noinline)) void switch_to(jmp_buf from, jmp_buf to)
{
	if (!_setjmp(from))
		_longjmp(to, 1);
}

static void cpu_main(u32 index)
{
	sched_loop(&fake_cpus[index]->c);
}

static __attribute__((noinline)) void begin(struct sim_cpu *s, u32 index)
{
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (stack == MAP_FAILED) {
		perror("sim: no memory for a CPU's stack");
		exit(1);
	}
	s->begun = true;
	getcontext(&s->first);
	s->first.uc_stack.ss_sp = stack;
	s->first.uc_stack.ss_size = STACK_BYTES;
	makecontext(&s->first, (void (*)(void))cpu_main, 1, index);
	if (!_setjmp(sim.engine))
		setcontext(&s->first);
}

static void go_on(u32 index)
{
	struct sim_cpu *s = &sim.cpu[index];

	fake_this_cpu = &fake_cpus[index]->c;
	sim.now = s->due;
	sim.events++;
	if (s->begun)
		switch_to(sim.engine, s->where);
	else
		begin(s, index);
}

/* ---- The engine of fake_arch ---- */

static struct sim_cpu *of(const struct fake_cpu *f)
{
	return &sim.cpu[f->c.index];
}

static void sim_pass(struct fake_cpu *f, u64 until)
{
	struct sim_cpu *s = of(f);
	u64 at = MAX(MIN(until, s->ring_at), f->now);

	if (is_next(f->c.index, at)) {
		f->now = at;
	} else {
		due_set(f->c.index, at);
		switch_to(s->where, sim.engine);
		f->now = MAX(f->now, s->due);
	}
	if (s->ring_at <= f->now)
		f->rung = true;
}

static void sim_ring(struct fake_cpu *f, struct fake_cpu *target)
{
	struct sim_cpu *s = of(target);
	u64 at = f->now + (sim.costs->doorbell_ps + PS_PER_TICK - 1) /
				  PS_PER_TICK;

	s->ring_at = MIN(s->ring_at, at);
	/* It may be in its own future, by what a round costs. */
	at = MAX(at, target->now);
	if (at < s->due && target != f)
		due_set(target->c.index, at);
}

static void sim_ack(struct fake_cpu *f)
{
	struct sim_cpu *s = of(f);

	f->rung = false;
	if (s->ring_at <= f->now)
		s->ring_at = TIME_NEVER;
}

static void spend(struct fake_cpu *f, u64 ps)
{
	struct sim_cpu *s;

	if (f == &outside_cpu)
		return;
	s = of(f);
	s->rest_ps += ps;
	f->now += s->rest_ps / PS_PER_TICK;
	s->rest_ps %= PS_PER_TICK;
}

/* Whoever is behind goes first. */
static void let_others(struct fake_cpu *f)
{
	if (!is_next(f->c.index, f->now))
		sim_pass(f, f->now);
}

static void sim_spend(struct fake_cpu *f, enum fake_op op)
{
	struct sim_cpu *s;

	spend(f, sim.costs->op_ps[op]);
	if (op == FAKE_STEP) {
		s = of(f);
		/* A round takes time, even if it costs nothing. */
		if (f->now == s->stepped)
			f->now++;
		s->stepped = f->now;
	}
	if (op == FAKE_STEP || op == FAKE_ENTER)
		let_others(f);
}

void sim_spend_ps(u64 ps)
{
	spend(container_of(fake_this_cpu, struct fake_cpu, c), ps);
}

void sim_spend_ipi(void)
{
	sim_spend_ps(sim.costs->ipi_ps);
}

void sim_spend_nap(void)
{
	sim_spend_ps(sim.costs->nap_ps);
}

static void sim_entered(struct fake_cpu *f, struct fake_vcpu *v)
{
	if (sim.watch && sim.watch->entered)
		sim.watch->entered(f, v);
}

static void sim_ended(struct fake_cpu *f, struct fake_vcpu *v,
		      enum run_end end)
{
	if (sim.watch && sim.watch->ended)
		sim.watch->ended(f, v, end);
}

static const struct fake_engine engine = {
	.wfi_waits = true,
	.pass = sim_pass,
	.ring = sim_ring,
	.ack = sim_ack,
	.spend = sim_spend,
	.entered = sim_entered,
	.ended = sim_ended,
};

/* ---- Outside ---- */

void sim_outside(void)
{
	outside_cpu.now = sim.now;
	outside_cpu.c.index = CPU_NONE;
	fake_this_cpu = &outside_cpu.c;
}

void sim_outside_at(u64 when, u64 (*fn)(u64 now))
{
	sim.outside = fn;
	due_set(sim.cpus, when);
}

void sim_poke(u32 cpu, u64 when)
{
	struct sim_cpu *s = &sim.cpu[cpu];

	when = MAX(when, fake_cpus[cpu]->now);
	if (when < s->due)
		due_set(cpu, when);
}

u64 sim_now(void)
{
	return sim.now;
}

u64 sim_events(void)
{
	return sim.events;
}

/* ---- The machine ---- */

void sim_boot(u32 cpus, const char *policy, const struct sim_costs *costs,
	      const struct sim_watch *watch)
{
	memset(&sim, 0, sizeof(sim));
	sim.cpus = cpus;
	sim.costs = costs;
	sim.watch = watch;
	sim.cpu = calloc(cpus + 1, sizeof(*sim.cpu));
	sim.heap = calloc(cpus + 1, sizeof(*sim.heap));
	if (!sim.cpu || !sim.heap) {
		perror("sim: no memory");
		exit(1);
	}
	for (u32 i = 0; i <= cpus; i++) {
		sim.cpu[i].due = i < cpus ? FAKE_HZ : TIME_NEVER;
		sim.cpu[i].ring_at = TIME_NEVER;
		put(i, i);
	}
	sim.now = FAKE_HZ;
	fake_engine = &engine;
	fake_boot(cpus, policy);
	sim_outside();
}

void sim_run_until(u64 until)
{
	sim.until = until;
	for (;;) {
		u32 first = sim.heap[0];
		u64 due = sim.cpu[first].due;

		if (due >= until)
			break;
		if (first != sim.cpus) {
			go_on(first);
			continue;
		}
		sim.now = due;
		sim_outside();
		due_set(first, sim.outside(due));
	}
	sim.now = until;
	sim_outside();
}
