/*
 * Firmware counters of harts that count what others do, with threads for CPUs:
 * each hart starts, reads and stops counters of its own while all others add to
 * what they count. A counter that counts never goes back; one that has counted
 * from the first to the last has counted all, whatever others of the hart were
 * started and stopped meanwhile; and one that is stopped stands still.
 */
/* sources: arch/riscv/vpmu.c tests/stress/harts.c */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/riscv/vhw.h"
#include "arch/riscv/vpmu.h"
#include "arch/riscv/vsbi.h"
#include "tests/stress/harts.h"

#define ALL VPMU_FW_FIRST /* counts from the first to the last */
#define SOME (VPMU_COUNTERS - VPMU_FW_FIRST - 1)
#define QUICK 0x1234u

struct cpu_thread {
	struct riscv_vcpu v;
	u64 rng, seen;
	u64 sent; /* to this one; atomic */
	u64 last[VPMU_COUNTERS];
} __attribute__((aligned(64)));

static struct cpu_thread cpus[8];
static struct vcpu *table[8];
static struct arch_guest arch;
static struct guest guest = {.vcpu = table, .arch = &arch};
static pthread_barrier_t barrier;
static u32 steps;
static __thread struct cpu_thread *here;

/* ---- The hart, of which no counter is used ---- */

bool vhw_has_counters(void)
{
	return false;
}

u64 vhw_cycle(void)
{
	abort();
}

u64 vhw_instret(void)
{
	abort();
}

void vhw_hcounteren_set(u64 bits)
{
	(void)bits;
	abort();
}

u64 vhw_scounteren(void)
{
	abort();
}

void vsbi_waits_choose(struct riscv_vcpu *v)
{
	(void)v;
	abort();
}

/* ---- The guest ---- */

static u32 rnd(u32 below)
{
	return hart_random(&here->rng, below);
}

static void wrong(const char *what, u32 id)
{
	fprintf(stderr, "hart %u, counter %u: %s\n", here->v.v.id, id, what);
	exit(1);
}

/* What happens at some hart, maybe this one: as op_count and others do. */
static void event(void)
{
	struct cpu_thread *t = &cpus[rnd(guest.cfg.vcpus)];

	if (rnd(2)) {
		__atomic_fetch_add(&t->sent, 1, __ATOMIC_SEQ_CST);
		vpmu_event_at(&t->v.pmu, VPMU_SFENCE_RECEIVED);
	} else {
		vpmu_event_at(&t->v.pmu, VPMU_FENCE_I_RECEIVED);
	}
}

static void start(u32 id, u32 what)
{
	/* As event_idx has it: type 15. */
	here->v.pmu.counter[id].event = 15u << 16 | what;
	vpmu_start(&here->v, id);
	vpmu_fw_apply(&here->v);
}

static void look(u32 id)
{
	u64 now = vpmu_value(&here->v, id);

	if (now < here->last[id])
		wrong("went back", id);
	if (!(here->v.pmu.started >> id & 1) && now != here->last[id])
		wrong("doesn't stand still", id);
	here->seen += now != here->last[id];
	here->last[id] = now;
}

static void stop(u32 id)
{
	look(id);
	vpmu_stop(&here->v, id);
	vpmu_fw_apply(&here->v);
	here->last[id] = vpmu_value(&here->v, id);
}

static void step(void)
{
	u32 id = VPMU_FW_FIRST + 1 + rnd(SOME);
	bool on = here->v.pmu.started >> id & 1;

	switch (rnd(8)) {
	case 0:
		if (on)
			stop(id);
		else
			start(id, rnd(2) ? VPMU_SFENCE_RECEIVED :
					   VPMU_FENCE_I_RECEIVED);
		break;
	case 1:
	case 2:
		look(rnd(4) ? id : ALL);
		break;
	default:
		event();
	}
	if (rnd(64) == 0)
		sched_yield();
}

static void *cpu_main(void *arg)
{
	here = container_of(arg, struct cpu_thread, v);
	here->rng = hart_seed(&here->v);
	here->v.quick = QUICK;
	start(ALL, VPMU_SFENCE_RECEIVED);
	pthread_barrier_wait(&barrier);
	for (u32 i = 0; i < steps; i++)
		step();
	pthread_barrier_wait(&barrier);
	if (vpmu_value(&here->v, ALL) !=
	    __atomic_load_n(&here->sent, __ATOMIC_SEQ_CST))
		wrong("has lost some", ALL);
	/* Whoever has looked must not add to what another looks at. */
	pthread_barrier_wait(&barrier);
	/* Others may still be at it when nothing is to be counted. */
	for (u32 id = VPMU_FW_FIRST; id < VPMU_COUNTERS; id++)
		if (here->v.pmu.started >> id & 1)
			stop(id);
	for (u32 i = 0; i < 100; i++)
		event();
	look(ALL);
	if (here->v.quick != QUICK)
		wrong("leaves the short way off", ALL);
	return NULL;
}

static void run_all(u32 vcpus)
{
	u64 seen = 0;

	for (u32 i = 0; i < vcpus; i++)
		cpus[i] = (struct cpu_thread){0};
	guest.cfg.vcpus = vcpus;
	pthread_barrier_init(&barrier, NULL, vcpus);
	harts_run(&guest, &cpus[0].v, sizeof(cpus[0]), cpu_main);
	pthread_barrier_destroy(&barrier);
	for (u32 i = 0; i < vcpus; i++)
		seen += cpus[i].seen;
	printf("%u harts: %llu looks that saw more than before\n", vcpus,
	       (unsigned long long)seen);
	if (!seen)
		exit(1);
}

int main(void)
{
	steps = getenv("ROUSE_TEST_FULL") ? 400000 : 20000;
	for (u32 vcpus = 1; vcpus <= 8; vcpus *= 2)
		run_all(vcpus);
	return 0;
}
