/*
 * Trace rings: order, wrap, loss, flight recorder, stopping; and what a reader
 * is told.
 */
/* sources: kernel/percpu/trace.c kernel/percpu/cpu.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/trace.h"
#include "kernel/time.h"

#define SIZE 8

_Thread_local struct cpu *fake_this_cpu;
static u64 now;

void panic(const char *fmt, ...)
{
	abort();
}

u64 time_now_ticks(void)
{
	return ++now;
}

static struct cpu cpus[2];
static struct trace_ring ring;
static struct trace_record room[SIZE], got[2 * SIZE];

static int setup(void **state)
{
	now = 100;
	memset(cpus, 0, sizeof(cpus));
	memset(room, 0xee, sizeof(room));
	cpu_table_len = 0;
	for (u32 i = 0; i < 2; i++) {
		cpus[i].index = i;
		cpu_register(&cpus[i]);
		cpus[i].trace_mask = TRACE_ALL | TRACE_STATS;
	}
	fake_this_cpu = &cpus[1];
	return 0;
}

static void begin(u32 flags)
{
	trace_ring_init(&ring, room, SIZE, 1, flags);
	cpus[1].trace = &ring;
}

static void write_some(u64 from, u64 to)
{
	for (u64 i = from; i < to; i++)
		trace_write(TRACE_EV_NOTE, 7, i, ~i);
}

/* What a reader gets is records from..from + n - 1. */
static void expect(u64 from, u64 n)
{
	u64 first, count = trace_copy(&ring, 0, 2 * SIZE, got, &first);

	assert_int_equal(count, n);
	if (n)
		assert_int_equal(first, from);
	for (u64 i = 0; i < n; i++) {
		assert_int_equal(got[i].a, from + i);
		assert_int_equal(got[i].b, ~(from + i));
	}
}

static void a_record_holds_what_was_written(void **state)
{
	u64 first;

	begin(0);
	TRACE(WAKE, 0x12345678, 0x1122334455667788, UINT64_MAX);
	assert_int_equal(ring.head, 1);
	assert_int_equal(trace_copy(&ring, 0, SIZE, got, &first), 1);
	assert_int_equal(got[0].time_ticks, 101);
	assert_int_equal(got[0].event, TRACE_EV_WAKE);
	assert_int_equal(got[0].cpu, 1);
	assert_int_equal(got[0].vcpu, 0x12345678);
	assert_int_equal(got[0].a, 0x1122334455667788);
	assert_int_equal(got[0].b, UINT64_MAX);
}

static void a_class_that_is_off_costs_no_record_and_no_words(void **state)
{
	u32 asked = 0;

	begin(0);
	cpus[1].trace_mask = TRACE_ALL & ~TRACE_SCHED;
	TRACE(WAKE, 0, ++asked, 0);
	assert_int_equal(ring.head, 0);
	assert_int_equal(asked, 0);
	TRACE(EXIT, 0, ++asked, 0);
	assert_int_equal(ring.head, 1);
	assert_int_equal(asked, 1);
}

static void a_full_ring_keeps_the_first_and_counts_the_rest(void **state)
{
	begin(0);
	write_some(0, SIZE - 1);
	expect(0, SIZE - 1);
	write_some(SIZE - 1, SIZE + 5);
	expect(0, SIZE);
	assert_int_equal(ring.lost, 5);
	assert_int_equal(cpus[1].trace_mask, TRACE_ALL | TRACE_STATS);
}

static void a_flight_recorder_keeps_the_last(void **state)
{
	begin(TRACE_FLIGHT);
	write_some(0, SIZE - 2);
	expect(0, SIZE - 2);
	/* Two may be on their way, with the count of neither: two less. */
	for (u64 n = SIZE - 2; n < 5 * SIZE; n++) {
		write_some(n, n + 1);
		expect(n + 1 - SIZE + 2, SIZE - 2);
	}
	assert_int_equal(ring.lost, 0);
}

static void a_reader_goes_on_where_it_was(void **state)
{
	u64 first;

	begin(TRACE_FLIGHT);
	write_some(0, 5);
	assert_int_equal(trace_copy(&ring, 2, 2, got, &first), 2);
	assert_int_equal(first, 2);
	assert_int_equal(got[1].a, 3);
	assert_int_equal(trace_copy(&ring, 5, 9, got, &first), 0);
	assert_int_equal(first, 5);
	/* Overtaken: it is told from where on. */
	write_some(5, 30);
	assert_int_equal(trace_copy(&ring, 5, 4, got, &first), 2);
	assert_int_equal(first, 30 - SIZE + 2);
}

static void its_event_stops_a_recording_everywhere(void **state)
{
	begin(TRACE_FLIGHT);
	ring.stop_event = TRACE_EV_LATE;
	write_some(0, 20);
	trace_write(TRACE_EV_LATE, 7, 20, ~20ull);
	assert_int_equal(cpus[0].trace_mask, TRACE_STATS);
	assert_int_equal(cpus[1].trace_mask, TRACE_STATS);
	assert_true(ring.flags & TRACE_STOPPED);
	expect(21 - SIZE + 2, SIZE - 2);
	/* Whoever was on his way writes nothing more. */
	write_some(21, 22);
	assert_int_equal(ring.head, 21);
	assert_int_equal(ring.lost, 0);
}

static void it_stops_so_many_records_later(void **state)
{
	begin(TRACE_FLIGHT);
	ring.stop_event = TRACE_EV_LATE;
	ring.stop_after = 3;
	trace_write(TRACE_EV_LATE, 7, 0, ~0ull);
	write_some(1, 3);
	/* A second one does not put the end off. */
	trace_write(TRACE_EV_LATE, 7, 3, ~3ull);
	assert_int_equal(cpus[0].trace_mask, TRACE_ALL | TRACE_STATS);
	write_some(4, 5);
	assert_int_equal(ring.head, 4);
	assert_int_equal(cpus[0].trace_mask, TRACE_STATS);
}

static void a_ring_that_fills_up_does_not_outlast_its_room(void **state)
{
	begin(0);
	ring.stop_event = TRACE_EV_LATE;
	ring.stop_after = 100;
	write_some(0, 5);
	trace_write(TRACE_EV_LATE, 7, 5, ~5ull);
	write_some(6, 50);
	assert_int_equal(ring.head, SIZE);
	assert_int_equal(cpus[0].trace_mask, TRACE_STATS);
	expect(0, SIZE);
}

static void names_become_words(void **state)
{
	assert_int_equal(trace_chars("rr"), 0x7272);
	assert_int_equal(trace_chars("credit\xff!more"), 0x21ff746964657263);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
		T(a_record_holds_what_was_written),
		T(a_class_that_is_off_costs_no_record_and_no_words),
		T(a_full_ring_keeps_the_first_and_counts_the_rest),
		T(a_flight_recorder_keeps_the_last),
		T(a_reader_goes_on_where_it_was),
		T(its_event_stops_a_recording_everywhere),
		T(it_stops_so_many_records_later),
		T(a_ring_that_fills_up_does_not_outlast_its_room),
		T(names_become_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
