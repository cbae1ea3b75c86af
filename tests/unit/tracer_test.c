/*
 * The tracer: how rings come to CPUs and go, and who is who.
 */
/* sources: kernel/tracer.c kernel/tracer_last.c kernel/tracer_name.c
 *	kernel/percpu/trace.c
 *	kernel/percpu/cpu.c kernel/mem.c kernel/obj.c tests/unit/fake_mem.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_cpus.h"
#include "fake_mem.h"
#include "kernel/mem.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/tracer_private.h"

#define CPUS 130 /* more than are served in two steps */
#define CPUS_MOST 64
#define BASE 0x80000000ULL

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
static struct cpu cpus[CPUS];
static u64 now = 1000;
static u32 told_some[CPUS];
static u32 changed, stats_begun, stats_ended;
static u64 late;

u64 time_now_ticks(void)
{
	return ++now;
}

u64 host_wall_ns(void)
{
	return 5000000000;
}

void arch_doorbell_ring(struct cpu *target)
{
}

void sched_trace_changed(struct cpu *c)
{
	changed++;
}

/* Each CPU has vCPUs for three steps. */
bool sched_trace_some(struct cpu *c)
{
	return ++told_some[c->index] % 3 != 0;
}

void sched_trace_late(u64 ticks)
{
	late = ticks;
}

void sched_stats_set(bool on)
{
	stats_begun += on;
	stats_ended += !on;
}

/* A CPU looks at its mail. */
static void looks(u32 i)
{
	fake_this_cpu = &cpus[i];
	fake_cpu_looks(&cpus[i], now);
	fake_this_cpu = &cpus[0];
}

/* Those that pass mail on come before those that they pass it on to. */
static void settle(void)
{
	u64 first = page_free_count(), frames = first, most = 0;
	bool more;

	for (u32 k = 0; k < 3; k++)
		for (u32 i = 0; i < CPUS; i++)
			looks(i);
	do {
		more = tracer_changing();
		most = MAX(most, page_free_count() - frames);
		frames = page_free_count();
	} while (more);
	assert_true(most * CPUS <= (frames - first) * CPUS_MOST);
}

/* Rings are made for so many CPUs in a step, or given back. */
static int start(const struct tracer_config *c)
{
	u64 bytes = c->records * sizeof(struct trace_record);
	u64 frames, most = MAX(bytes / PAGE_BYTES, 1u) * CPUS_MOST;
	int ret;

	do {
		frames = page_free_count();
		ret = tracer_start(c);
		assert_true(frames - page_free_count() <= most ||
			    page_free_count() - frames <= most);
	} while (ret == 1);
	return ret;
}

/* Once for all tests, as the tracer's own state is. */
static int setup(void **state)
{
	fake_ram_add(BASE, 64 * MIB);
	fake_cpus_add(cpus, CPUS);
	fake_this_cpu = &cpus[0];
	return tracer_init();
}

static void cpus_take_their_rings_one_by_one(void **state)
{
	struct tracer_config c = { .mask = TRACE_SCHED, .records = 256,
				   .flags = TRACE_FLIGHT, .late_ticks = 70 };

	assert_null(tracer_ring(1));
	/* Nobody records without a ring. */
	assert_int_equal(tracer_mask(TRACE_ALL), 0);
	settle();
	assert_int_equal(cpus[1].trace_mask, 0);
	changed = 0;
	assert_int_equal(start(&c), 0);
	assert_true(tracer_changing());
	assert_int_equal(tracer_start(&c), -EBUSY);
	assert_int_equal(tracer_mask(0), -EBUSY);
	assert_int_equal(tracer_stats(true), -EBUSY);
	looks(0);
	looks(2);
	assert_null(cpus[1].trace);
	assert_ptr_equal(cpus[2].trace, tracer_ring(2));
	/* Waits that are late are told by the time of their wake. */
	assert_int_equal(cpus[2].trace_mask, TRACE_SCHED | TRACE_STATS);
	assert_int_equal(cpus[1].trace_mask, 0);
	/* Nobody rings more than two, and itself: it has more to do. */
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(mbox_has_mail(&cpus[i].mbox),
				 i <= 2 || i == 5 || i == 6);
	settle();
	assert_int_equal(late, 70);
	assert_int_equal(changed, CPUS);
	for (u32 i = 0; i < CPUS; i++) {
		/* What is on is the first record. */
		assert_int_equal(cpus[i].trace->head, 1);
		assert_int_equal(cpus[i].trace->records[0].event,
				 TRACE_EV_MASK);
		assert_int_equal(cpus[i].trace->cpu, i);
		assert_int_equal(cpus[i].trace->mask, 255);
	}
}

static void a_new_size_gives_the_old_memory_back(void **state)
{
	struct tracer_config c = { .mask = TRACE_ALL, .records = 1024,
				   .late_ticks = TIME_NEVER };
	u64 frames = page_free_count();
	u32 number = cpus[2].trace->recording;

	assert_int_equal(start(&c), 0);
	/* Both are there until all CPUs have let go of the old ones. */
	assert_int_equal(page_free_count(), frames - CPUS * 8);
	looks(0);
	looks(2);
	assert_true(tracer_changing());
	assert_int_equal(page_free_count(), frames - CPUS * 8);
	settle();
	assert_int_equal(page_free_count(), frames - CPUS * 6);
	/* The same size takes nothing, and begins anew. */
	frames = page_free_count();
	c.records = 0;
	assert_int_equal(tracer_start(&c), 0);
	settle();
	assert_int_equal(page_free_count(), frames);
	assert_int_equal(cpus[2].trace->mask, 1023);
	assert_int_equal(cpus[2].trace->head, 0); /* the mask was the same */
	/* Who reads it from outside can tell: it is the second since. */
	assert_int_equal(cpus[2].trace->recording, number + 2);
}

static void without_memory_nothing_changes(void **state)
{
	struct tracer_config c = { .mask = TRACE_BELL, .records = 1 << 13 };
	u64 frames = page_free_count();

	for (u32 n = 1; n <= CPUS; n++) {
		mem_fail_after(n);
		assert_int_equal(start(&c), -ENOMEM);
		mem_fail_after(0);
		assert_int_equal(page_free_count(), frames);
		assert_false(tracer_changing());
	}
	assert_int_equal(cpus[1].trace_mask, TRACE_ALL);
	assert_int_equal(cpus[1].trace->mask, 1023);
}

static void statistics_go_beside_what_is_recorded(void **state)
{
	struct tracer_status s;

	assert_int_equal(tracer_stats(true), 0);
	settle();
	assert_int_equal(stats_begun, 1);
	assert_int_equal(cpus[1].trace_mask, TRACE_ALL | TRACE_STATS);
	assert_int_equal(tracer_mask(TRACE_EXIT), 0);
	settle();
	assert_int_equal(cpus[2].trace_mask, TRACE_EXIT | TRACE_STATS);
	/* A recording that stopped by itself is not begun by this. */
	trace_freeze();
	assert_int_equal(tracer_stats(false), 0);
	settle();
	assert_int_equal(stats_ended, 1);
	assert_int_equal(cpus[0].trace_mask, 0);
	tracer_status(&s);
	assert_int_equal(s.mask, 0);
	assert_int_equal(s.records, 1024);
}

static void names_stay_until_many_have_gone(void **state)
{
	struct trace_name n;
	u32 first = tracer_name_add("a-guest-with-a-name-that-is-quite-long",
				    7, 3), id = first;

	assert_true(tracer_name(first, &n));
	assert_string_equal(n.guest, "a-guest-with-a-name-that-is-qui");
	assert_int_equal(n.guest_id, 7);
	assert_int_equal(n.index, 3);
	assert_int_equal(n.flags, 1);
	tracer_name_gone(first);
	tracer_name(first, &n);
	assert_true(n.gone_ticks > n.born_ticks);
	/* 256 of the dead are kept, and the oldest is used first. */
	for (u32 i = 1; i <= 256; i++) {
		id = tracer_name_add("b", i, 0);
		assert_int_equal(id, first + i);
		tracer_name_gone(id);
	}
	for (u32 i = 0; i < 1000; i++) {
		id = tracer_name_add("c", i, 0);
		assert_int_equal(id, first + i % 257);
		tracer_name_gone(id);
	}
	assert_false(tracer_name(first + 257, &n));
	tracer_name_gone(TRACE_NOBODY);
}

static void names_can_be_walked_in_memory(void **state)
{
	struct trace_name n;
	u64 at = trace_memory.names_hpa;
	u32 id = 0;

	/* More than the first table of pages has room for. */
	for (u32 i = 0; i < 1000; i++)
		assert_int_not_equal(tracer_name_add("d", i, i), TRACE_NOBODY);
	for (; at; at = ((struct name_page *)hpa_ptr((struct hpa){ at }))
				->next_hpa) {
		struct name_page *p = hpa_ptr((struct hpa){ at });

		for (u32 i = 0; i < NAMES_PER_PAGE && tracer_name(id, &n);
		     i++, id++)
			assert_int_equal(p->name[i].vcpu, id);
	}
	assert_int_equal(id, trace_memory.names);
	mem_fail_after(1);
	while ((id = tracer_name_add("e", 0, 0)) != TRACE_NOBODY)
		;
	mem_fail_after(0);
	id = tracer_name_add("f", 0, 0);
	assert_int_equal(id, trace_memory.names - 1);
}

static char told[32][160];
static u32 told_count;

static void tell(void *ctx, const char *text)
{
	assert_ptr_equal(ctx, told);
	snprintf(told[told_count++], sizeof(told[0]), "%s", text);
}

static void the_last_records_of_a_vcpu_are_told(void **state)
{
	struct tracer_config cfg = { .mask = TRACE_ALL, .flags = TRACE_FLIGHT,
				     .records = 64 };

	told_count = 0;
	assert_int_equal(start(&cfg), 0);
	settle();
	fake_this_cpu = &cpus[1];
	assert_int_equal(tracer_tell_last(7, 8, tell, told), 0);
	for (u64 i = 0; i < 100; i++) {
		trace_write(TRACE_EV_CALL, 7, 0x10, i);
		trace_write(TRACE_EV_BLOCK, 8, i, 0);
	}
	trace_write(TRACE_EV_PAGE_FAULT, 7, 0x80001000, 23);
	assert_int_equal(tracer_tell_last(7, 3, tell, told), 3);
	assert_non_null(strstr(told[0], " CALL extension_hex=0x10 "
					"function=0x62"));
	assert_non_null(strstr(told[1], "function=0x63"));
	assert_non_null(strstr(told[2], " PAGE_FAULT address_hex=0x80001000 "
					"cause_hex=0x17"));
	/* No more than there are, nor than fit. */
	assert_int_equal(tracer_tell_last(7, 1000, tell, told), 16);
	assert_int_equal(tracer_tell_last(9, 8, tell, told), 0);
	told_count = 0;
	assert_int_equal(tracer_tell_last(8, 1, tell, told), 1);
	assert_non_null(strstr(told[0], " BLOCK deadline_ticks=0x63"));
	assert_null(strchr(strchr(told[0], '=') + 1, '='));
	fake_this_cpu = &cpus[0];
}

int main(void)
{
	/* In this order: each goes on where the one before it ended. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_take_their_rings_one_by_one),
		cmocka_unit_test(a_new_size_gives_the_old_memory_back),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(statistics_go_beside_what_is_recorded),
		cmocka_unit_test(names_stay_until_many_have_gone),
		cmocka_unit_test(names_can_be_walked_in_memory),
		cmocka_unit_test(the_last_records_of_a_vcpu_are_told),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
