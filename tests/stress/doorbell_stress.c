/*
 * Producers ring, an owner stops to look only when nothing is there: it must
 * never sleep on mail. The "hardware" is a pending bit that the owner waits
 * for; a wait that lasts for seconds is a lost ring. It may be good; or slow,
 * then a postman delivers rings late; or noisy, then he also brings some twice,
 * and some that nobody has sent. (Slow alone as well, since noise would hide a
 * ring that was lost.)
 */
/* sources: kernel/percpu/cpu.c
 *          tests/unit/fake_trace.c */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"

#define PRODUCERS 3
#define POSTS 10000
#define LOST_SECONDS 10

_Thread_local struct cpu *fake_this_cpu;
static struct cpu owner;
static u32 pending; /* atomic: the doorbell in hardware */
static u32 sent;    /* atomic: rung, and not delivered yet, by bad hardware */
static enum {
	GOOD,
	SLOW,
	NOISY
} hardware;
static u32 over; /* atomic */
static u32 lost, rings, posted[PRODUCERS], seen[PRODUCERS];
static struct mbox_node nodes[PRODUCERS];

void arch_doorbell_ring(struct cpu *target)
{
	(void)target;
	ck_pr_faa_32(&rings, 1);
	ck_pr_store_32(hardware == GOOD ? &pending : &sent, 1);
}

static void *deliver(void *arg)
{
	u32 dice = 1;

	(void)arg;
	while (!ck_pr_load_32(&over)) {
		u32 times;

		dice = dice * 1664525 + 1013904223;
		times = ck_pr_fas_32(&sent, 0);
		/* One of four twice; one each 16 times that there is none. */
		if (hardware == NOISY)
			times += dice >> (times ? 30 : 28) == 0;
		while (times--) {
			for (u32 i = dice >> 20 & 15; i; i--)
				sched_yield();
			ck_pr_store_32(&pending, 1);
		}
		sched_yield();
	}
	return NULL;
}

/* Slow, too: whoever does it too early or too late is found out. */
void arch_doorbell_ack(void)
{
	if (hardware != GOOD)
		sched_yield();
	ck_pr_store_32(&pending, 0);
	if (hardware != GOOD)
		sched_yield();
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

static void look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	u32 i = (u32)(n - nodes);

	(void)c, (void)bits, (void)now;
	ck_pr_store_32(&seen[i], ck_pr_load_32(&posted[i]));
}

/* Waits as a hart does; false if nobody ever rang. */
static bool hardware_wait(void)
{
	time_t begin = time(NULL);

	while (!ck_pr_load_32(&pending)) {
		if (time(NULL) - begin > LOST_SECONDS)
			return false;
		sched_yield();
	}
	return true;
}

static bool all_seen(void)
{
	for (u32 i = 0; i < PRODUCERS; i++) {
		if (seen[i] != POSTS)
			return false;
	}
	return true;
}

static void *own(void *arg)
{
	u32 rounds = 0;

	(void)arg;
	while (!all_seen()) {
		struct mbox_node *n, *next;

		doorbell_answer(&owner);
		for (n = mbox_take_all(&owner.mbox); n; n = next) {
			next = mbox_next(n);
			look(&owner, n, mbox_take(n), 0);
		}
		if (all_seen())
			break;
		/* Work of its own, while which others post. */
		if (rounds % 3 == 0)
			sched_yield();
		if (!cpu_will_stop(&owner, rounds++ % 2 ? CPU_IDLE : CPU_GUEST))
			continue;
		if (!hardware_wait()) {
			ck_pr_store_32(&lost, 1);
			break;
		}
		cpu_leave_guest(&owner);
	}
	return NULL;
}

static void *produce(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;

	for (u32 i = 1; i <= POSTS; i++) {
		ck_pr_store_32(&posted[self], i);
		doorbell_post(&owner, &nodes[self], 1);
		/* Now and then a burst; else each post must be answered before
		 * the next, so that no later ring makes up for a lost one. */
		while (i % 16 && ck_pr_load_32(&seen[self]) < i &&
		       !ck_pr_load_32(&lost))
			sched_yield();
	}
	return NULL;
}

static void hunt(int kind)
{
	pthread_t t[PRODUCERS + 2];

	owner = (struct cpu){.index = cpu_count()};
	cpu_register(&owner);
	hardware = kind;
	pending = sent = over = rings = lost = 0;
	for (u32 i = 0; i < PRODUCERS; i++) {
		posted[i] = seen[i] = 0;
		mbox_node_init(&nodes[i], look);
	}
	pthread_create(&t[PRODUCERS + 1], NULL, deliver, NULL);
	pthread_create(&t[PRODUCERS], NULL, own, NULL);
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		pthread_create(&t[i], NULL, produce, (void *)i);
	for (u32 i = 0; i <= PRODUCERS; i++)
		pthread_join(t[i], NULL);
	ck_pr_store_32(&over, 1);
	pthread_join(t[PRODUCERS + 1], NULL);
	assert_int_equal(lost, 0);
	/* And they were merged: fewer rings than posts. */
	assert_in_range(rings, 1, PRODUCERS * POSTS - 1);
}

static void no_ring_is_lost(void **state)
{
	hunt(GOOD);
}

static void no_ring_that_is_late_is_lost(void **state)
{
	hunt(SLOW);
}

static void rings_that_are_doubled_or_nobodys_do_no_harm(void **state)
{
	hunt(NOISY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ring_is_lost),
		cmocka_unit_test(no_ring_that_is_late_is_lost),
		cmocka_unit_test(rings_that_are_doubled_or_nobodys_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
