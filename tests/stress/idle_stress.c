/*
 * The idle mask: a CPU that becomes idle and one that gets work to spare at
 * the same moment never miss each other, and no bit is claimed by two.
 */
/* sources: kernel/percpu/cpu.c kernel/percpu/idle.c */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/idle.h"
#include "tests/unit/fake_cpus.h"

#define SENDERS 3
#define ROUNDS 10000

static struct cpu cpus[SENDERS + 1];
static u32 turn_no, done[SENDERS + 1], claimed[SENDERS + 1];

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

/* All threads begin a round together. */
static void meet(u32 round)
{
	static u32 here;

	if (ck_pr_faa_32(&here, 1) + 1 == (round + 1) * (SENDERS + 1))
		ck_pr_store_32(&turn_no, round + 1);
	while (ck_pr_load_32(&turn_no) <= round)
		sched_yield();
}

static void *send(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;
	struct cpuset all = { { ~0ULL } };

	for (u32 round = 0; round < ROUNDS; round++) {
		meet(2 * round);
		/* Work to spare: load up, fence, read the mask. */
		ck_pr_store_32(&cpus[self].load, 2);
		ck_pr_fence_memory();
		claimed[self] = idle_claim_any(IDLE_SLEEPS, &all, self) !=
				CPU_NONE;
		meet(2 * round + 1);
		ck_pr_store_32(&cpus[self].load, 0);
	}
	ck_pr_store_32(&done[self], 1);
	return NULL;
}

static void *idle(void *arg)
{
	u32 self = SENDERS, twice = 0, missed = 0;

	(void)arg;
	for (u32 round = 0; round < ROUNDS; round++) {
		u32 claims = 0, loads = 0;

		meet(2 * round);
		idle_enter(IDLE_SLEEPS, self);
		for (u32 i = 0; i < SENDERS; i++)
			loads += ck_pr_load_32(&cpus[i].load) > 1;
		meet(2 * round + 1);
		for (u32 i = 0; i < SENDERS; i++)
			claims += claimed[i];
		twice += claims > 1;
		/* Nobody claimed us: then we must have seen every load. */
		missed += claims == 0 && loads < SENDERS;
		if (idle_leave(IDLE_SLEEPS, self) != (claims == 0))
			abort();
	}
	assert_int_equal(twice, 0);
	assert_int_equal(missed, 0);
	return NULL;
}

static void an_idle_cpu_and_spare_work_never_miss_each_other(void **state)
{
	pthread_t t[SENDERS + 1];

	(void)state;
	fake_cpus_add(cpus, SENDERS + 1);
	for (uintptr_t i = 0; i < SENDERS; i++)
		pthread_create(&t[i], NULL, send, (void *)i);
	/* cmocka's assertions belong to this thread. */
	idle(NULL);
	for (u32 i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_idle_cpu_and_spare_work_never_miss_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
