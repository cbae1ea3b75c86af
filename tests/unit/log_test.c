/*
 * The log, panics and backtraces, with a console that writes down what it is
 * given.
 */
/* sources: kernel/log.c kernel/panic.c kernel/where.c kernel/tracer_last.c
 *	kernel/percpu/trace.c */
#include "kernel/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/panic.h"
#include "kernel/percpu/cpu.h"
#include "kernel/percpu/trace.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "kernel/where.h"

/* A table of symbols of the test's own; the text begins at 0x1000. */
#define _start test_text
const char test_text[0x4000];
#include "kernel/backtrace.c"
const u32 ksyms_count = 3;
const u32 ksyms_offsets[] = { 0x10, 0x100, 0x180 };
const char ksyms_names[] = "first\0second\0third\0";

u64 timebase_hz = 10000000;
struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len;
_Thread_local struct cpu *fake_this_cpu;

static char out[200000];
static size_t out_len;
static u64 ticks;
static jmp_buf off;
static u32 off_status;
static u32 wakes;
static bool log_from_console; /* as another CPU would, meanwhile */

u64 time_now_ticks(void)
{
	return ticks;
}

void arch_console_write(const char *buf, size_t len)
{
	assert_true(out_len + len < sizeof(out));
	memcpy(out + out_len, buf, len);
	out_len += len;
	out[out_len] = 0;
	if (log_from_console) {
		log_from_console = false;
		log_info("meanwhile");
	}
}

_Noreturn void arch_poweroff(u32 status)
{
	off_status = status;
	longjmp(off, 1);
}

void arch_panic_regs(void (*line)(void *ctx, const char *text), void *ctx)
{
	line(ctx, "a0 1234");
}

static struct { u64 fp, pc, next; } frames[] = {
	{ 100, 0x101, 200 }, { 200, 0x11, 300 }, { 300, 0x190, 250 },
	{ 250, 0x1, 100 },
};

bool arch_frame_next(struct cpu *c, u64 *fp, u64 *pc)
{
	for (u32 i = 0; i < ARRAY_LEN(frames); i++)
		if (frames[i].fp == *fp) {
			*pc = (u64)(uintptr_t)test_text + frames[i].pc;
			*fp = frames[i].next;
			return true;
		}
	return false;
}

u64 arch_cpu_last_pc(struct cpu *c)
{
	return 0xabc0 + c->index;
}

/* CPU 1 has said that it is in `second`. */
bool arch_cpu_where(struct cpu *c, struct cpu_where *w)
{
	*w = (struct cpu_where){ .pc = (u64)(uintptr_t)test_text + 0x104,
				 .fp = 200 };
	return c->index == 1;
}

static void clear(void)
{
	out_len = 0;
	out[0] = 0;
}

static void wake(void)
{
	wakes++;
}

static void a_line_is_printed_with_its_time_and_kept(void **state)
{
	struct log_entry e;
	u64 cursor = 0, lost = 0;

	ticks = 12 * timebase_hz + 345;
	log_info("hello %d", 5);
	assert_string_equal(out, "[   12.000034] hello 5\n");
	assert_int_equal(log_read(&cursor, &e, &lost), 1);
	assert_string_equal(e.text, "hello 5");
	assert_int_equal(e.ticks, ticks);
	assert_int_equal(e.level, LOG_INFO);
	assert_int_equal(log_read(&cursor, &e, &lost), 0);
	assert_int_equal(lost, 0);
}

static void warnings_and_errors_say_so(void **state)
{
	clear();
	log_warn("w");
	log_error("e");
	assert_non_null(strstr(out, "] warning: w\n"));
	assert_non_null(strstr(out, "] error: e\n"));
}

static void what_is_below_the_level_is_not_kept(void **state)
{
	clear();
	log_debug("d");
	assert_string_equal(out, "");
	log_level_set(LOG_DEBUG);
	assert_int_equal(log_level_get(), LOG_DEBUG);
	log_debug("d");
	assert_non_null(strstr(out, "] d\n"));
	log_level_set(LOG_INFO);
}

static void one_call_is_one_line(void **state)
{
	clear();
	log_info("a\nb\033[2Jc\n");
	assert_non_null(strstr(out, "] a b [2Jc\n"));
}

static void a_long_line_is_cut_and_shows_it(void **state)
{
	char text[1000];
	size_t len;

	memset(text, 'x', sizeof(text));
	text[999] = 0;
	clear();
	log_info("%s", text);
	len = strlen(out);
	assert_string_equal(out + len - 5, "x...\n");
	assert_int_equal(strlen(strchr(out, 'x')), LOG_LINE_BYTES + 1);
}

static void a_line_of_another_cpu_is_printed_by_who_prints(void **state)
{
	clear();
	log_from_console = true;
	log_info("first");
	assert_non_null(strstr(out, "] first\n"));
	assert_non_null(strstr(strstr(out, "first"), "] meanwhile\n"));
}

static void the_oldest_lines_make_room_and_are_counted(void **state)
{
	struct log_entry e;
	u64 cursor = 0, lost = 0, mark = 0;
	u32 n = 0;

	while (log_read(&mark, &e, &lost))
		;
	lost = 0;
	for (u32 i = 0; i < 3000; i++) {
		if (i % 100 == 0)
			clear();
		log_info("line %u %.*s", i, (int)(i % 90), out);
	}
	while (log_read(&cursor, &e, &lost)) {
		u32 got;

		assert_int_equal(sscanf(e.text, "line %u", &got), 1);
		n++;
		assert_int_equal(got, 3000 - 1024 + n - 1);
	}
	/* It had not begun, so it lost nothing; this one had. */
	assert_int_equal(lost, 0);
	assert_int_equal(n, 1024);
	log_read(&mark, &e, &lost);
	assert_int_equal(lost, 3000 - 1024);
}

static void long_lines_are_limited_by_bytes(void **state)
{
	char text[400];
	struct log_entry e;
	u64 cursor = 0, lost = 0;
	u32 n = 0;

	memset(text, 'y', sizeof(text));
	text[399] = 0;
	for (u32 i = 0; i < 500; i++) {
		text[0] = (char)('a' + i % 26);
		clear();
		log_info("%s", text);
	}
	while (log_read(&cursor, &e, &lost)) {
		assert_int_equal(strlen(e.text), 399);
		assert_int_equal(e.text[398], 'y');
		n++;
	}
	assert_int_equal(n, 64 * KIB / 399);
}

static void a_reader_gets_what_nobody_has_printed(void **state)
{
	struct log_entry e;
	u64 cursor = 77, lost = 0;

	clear();
	log_reader_set(wake, &cursor);
	wakes = 0;
	log_info("for the reader");
	assert_int_equal(wakes, 1);
	assert_string_equal(out, "");
	assert_int_equal(log_read(&cursor, &e, &lost), 1);
	assert_string_equal(e.text, "for the reader");
	log_info("left over");
	log_reader_set(NULL, &cursor);
	assert_null(strstr(out, "for the reader"));
	assert_non_null(strstr(out, "left over"));
}

static void a_flush_prints_what_the_reader_has_not(void **state)
{
	u64 cursor = 0;

	clear();
	log_reader_set(wake, &cursor);
	log_info("unread");
	log_flush();
	assert_non_null(strstr(out, "] unread\n"));
	clear();
	log_reader_set(NULL, &cursor);
	assert_string_equal(out, "");
}

static void symbols_are_found_by_where_they_begin(void **state)
{
	u64 base = (u64)(uintptr_t)test_text, offset;
	char buf[32];

	assert_null(ksym_find(base + 0xf, &offset));
	assert_null(ksym_find(base - 1, &offset));
	assert_string_equal(ksym_find(base + 0x10, &offset), "first");
	assert_int_equal(offset, 0);
	assert_string_equal(ksym_find(base + 0xff, &offset), "first");
	assert_int_equal(offset, 0xef);
	assert_string_equal(ksym_find(base + 0x17f, &offset), "second");
	assert_string_equal(ksym_find(base + 0x180, &offset), "third");
	assert_null(ksym_find(base + 0x180 + 0x10001, &offset));
	ksym_format(base + 0x104, buf, sizeof(buf));
	assert_string_equal(buf, "second+0x4");
	ksym_format(3, buf, sizeof(buf));
	assert_string_equal(buf, "0x3");
	ksym_format(base + 0x104, buf, 4);
	assert_string_equal(buf, "sec");
}

static u64 seen[100];
static u32 seen_len;

static void see(void *ctx, u64 pc)
{
	seen[seen_len++] = pc - (u64)(uintptr_t)test_text;
}

static void a_backtrace_ends_where_frames_stop_rising(void **state)
{
	seen_len = 0;
	backtrace(NULL, (u64)(uintptr_t)test_text + 5, 100, see, NULL);
	assert_int_equal(seen_len, 4);
	assert_int_equal(seen[0], 5);
	assert_int_equal(seen[1], 0x101);
	assert_int_equal(seen[2], 0x11);
	assert_int_equal(seen[3], 0x190);
	seen_len = 0;
	backtrace(NULL, (u64)(uintptr_t)test_text + 5, 7777, see, NULL);
	assert_int_equal(seen_len, 1);
}

static void a_refusal_is_one_line_and_a_failing_end(void **state)
{
	clear();
	if (!setjmp(off))
		refuse("no %s here", "lab");
	assert_string_equal(out, "rouse: no lab here\n");
	assert_int_equal(off_status, 1);
}

/* Last: nothing is printed after it. */
static void a_panic_tells_all_and_ends_with_a_failing_status(void **state)
{
	static struct guest g = { .cfg = { .name = "linux0" } };
	static struct vcpu v = { .guest = &g, .id = 1 };
	static struct cpu cpus[2] = {
		{ .index = 0, .mode = CPU_HYP },
		{ .index = 1, .mode = CPU_GUEST, .current = &v },
	};
	u64 cursor = 0;

	cpu_table[0] = &cpus[0];
	cpu_table[1] = &cpus[1];
	cpu_table_len = 2;
	fake_this_cpu = &cpus[0];
	log_reader_set(wake, &cursor);
	log_info("last words");
	clear();
	assert_false(panic_active());
	if (!setjmp(off))
		panic_at((u64)(uintptr_t)test_text + 0x104, 200, "oh %d", 3);
	assert_int_equal(off_status, 1);
	assert_true(panic_active());
	assert_non_null(strstr(out, "last words"));
	assert_non_null(strstr(out, "panic on CPU 0:\n  oh 3\n"));
	assert_non_null(strstr(out, "  a0 1234\n"));
	assert_non_null(strstr(out, " second+0x4\n"));
	assert_non_null(strstr(out, " first+0x1\n"));
	assert_non_null(strstr(out, "CPU 0: in the hypervisor, current none"));
	assert_non_null(strstr(out, "CPU 1: in a guest, current linux0/1, "
			       "last guest pc 0xabc1"));
	/* A second one on the same CPU says so and ends all the same. */
	clear();
	if (!setjmp(off))
		panic("again");
	assert_non_null(strstr(out, "another one"));
	clear();
	log_reader_set(NULL, &cursor);
	log_error("quiet now");
	assert_string_equal(out, "");
}

static void keep(void *ctx, const char *text)
{
	(void)ctx;
	arch_console_write(text, strlen(text));
	arch_console_write("\n", 1);
}

static void where_a_cpu_is_is_said_in_lines(void **state)
{
	static struct trace_record records[8];
	struct trace_ring ring;
	struct cpu cpus[2] = { { .mode = CPU_HYP, .bell = 1 },
			       { .index = 1, .mode = CPU_GUEST } };

	trace_ring_init(&ring, records, 8, 0, TRACE_FLIGHT);
	ticks = 0;
	clear();
	where_print(&cpus[0], keep, NULL);
	assert_string_equal(out, "CPU 0: in the hypervisor, current none/-1, "
			    "last guest pc 0xabc0, was rung\n");
	clear();
	where_print(&cpus[1], keep, NULL);
	assert_non_null(strstr(out, " second+0x4\n"));
	assert_non_null(strstr(out, " first+0x1\n"));
	assert_non_null(strstr(out, "CPU 1: in a guest"));
	/* The last four of its records. */
	cpus[0].trace = &ring;
	fake_this_cpu = &cpus[0];
	for (u64 i = 1; i < 20; i++) {
		ticks = i * timebase_hz;
		trace_write(TRACE_EV_WAKE, 3, i, 0);
	}
	clear();
	where_print(&cpus[0], keep, NULL);
	assert_null(strstr(out, " 15.0"));
	assert_non_null(strstr(out, "  16.000000 WAKE wake_id=0x10 "
			       "by_vcpu=0x0, vCPU 3\n"));
	assert_non_null(strstr(out, "  19.000000 WAKE wake_id=0x13 "
			       "by_vcpu=0x0, vCPU 3\n"));
	fake_this_cpu = NULL;
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_line_is_printed_with_its_time_and_kept),
		T(warnings_and_errors_say_so),
		T(what_is_below_the_level_is_not_kept),
		T(one_call_is_one_line),
		T(a_long_line_is_cut_and_shows_it),
		T(a_line_of_another_cpu_is_printed_by_who_prints),
		T(the_oldest_lines_make_room_and_are_counted),
		T(long_lines_are_limited_by_bytes),
		T(a_reader_gets_what_nobody_has_printed),
		T(a_flush_prints_what_the_reader_has_not),
		T(symbols_are_found_by_where_they_begin),
		T(a_backtrace_ends_where_frames_stop_rising),
		T(a_refusal_is_one_line_and_a_failing_end),
		T(where_a_cpu_is_is_said_in_lines),
		T(a_panic_tells_all_and_ends_with_a_failing_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
