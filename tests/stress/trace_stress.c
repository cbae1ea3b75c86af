/*
 * A trace ring that is written as fast as possible, and readers that copy it
 * meanwhile: what they are given must have been written, whole, in order, under
 * the number that they are told; and those who are as fast miss nothing that
 * they are not told of.
 */
/* sources: kernel/percpu/trace.c kernel/percpu/cpu.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/trace.h"
#include "kernel/time.h"

#define SIZE 64
#define RECORDS 400000
#define READERS 2

_Thread_local struct cpu *fake_this_cpu;
static struct cpu cpu;
static struct trace_ring ring;
static struct trace_record room[SIZE];
static u64 now, bad, seen, gaps;

void panic(const char *fmt, ...)
{
	abort();
}

u64 time_now_ticks(void)
{
	return ck_pr_faa_64(&now, 1);
}

/* All four words of a record follow from its number. */
static u64 word(u64 n)
{
	return n * 0x9e3779b97f4a7c15;
}

static void *writer(void *arg)
{
	fake_this_cpu = &cpu;
	for (u64 n = 0; n < RECORDS; n++) {
		trace_write(TRACE_EV_NOTE, (u32)n, word(n), ~n);
		if (n % 512 == 0)
			ck_pr_stall(); /* there may be one core only */
	}
	return arg;
}

static void *reader(void *arg)
{
	u64 max = arg ? 5 : SIZE, at = 0, last = 0;
	struct trace_record got[SIZE];

	while (at < RECORDS) {
		u64 first, n = trace_copy(&ring, at, max, got, &first);

		if (first < at)
			ck_pr_inc_64(&bad);
		ck_pr_add_64(&gaps, first - at);
		for (u64 i = 0; i < n; i++) {
			u64 k = first + i;

			if (got[i].a != word(k) || got[i].b != ~k ||
			    got[i].vcpu != (u32)k || got[i].cpu != 3 ||
			    got[i].event != TRACE_EV_NOTE ||
			    (last && got[i].time_ticks <= last))
				ck_pr_inc_64(&bad);
			last = got[i].time_ticks;
		}
		ck_pr_add_64(&seen, n);
		at = first + n;
		if (!n)
			ck_pr_stall();
	}
	return arg;
}

static void a_copy_is_what_was_written(void **state)
{
	pthread_t threads[1 + READERS];

	trace_ring_init(&ring, room, SIZE, 3, TRACE_FLIGHT);
	cpu.index = 3;
	cpu.trace = &ring;
	for (u64 i = 0; i < READERS; i++)
		pthread_create(&threads[1 + i], NULL, reader,
			       (void *)(uintptr_t)i);
	pthread_create(&threads[0], NULL, writer, NULL);
	for (u32 i = 0; i < 1 + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(bad, 0);
	assert_int_equal(ring.head, RECORDS);
	/* Something was read while it was written. */
	assert_true(seen > SIZE);
	assert_true(seen + gaps <= READERS * (u64)RECORDS);
	assert_true(seen + gaps >= READERS * (u64)(RECORDS - SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_what_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
