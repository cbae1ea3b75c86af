/*
 * The watchdog: whom it asks, when it is alarmed, and when not. The watchers'
 * steps are taken when the test says so; a CPU's beat is a number of the
 * test's, which moves when mail was taken, as the real one does.
 */
/* sources: kernel/watchdog.c kernel/cmdline.c tests/unit/fake_trace.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "kernel/where.h"
#include "tests/unit/fake_cpus.h"

#define CPUS  4u
#define MANY  40u
#define LOOKS 10 /* until the alarm */

_Thread_local struct cpu *fake_this_cpu;
struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len;
u64 timebase_hz = 10000000;

static struct cpu cpus[MANY];
static u64 now, beats[MANY];
static u32 rings[MANY], asked_where, wheres, flushes;
static char said[2000];
static jmp_buf end;
static void *memory;

static struct task *tasks[4];
static u64 wake_at[4];
static u32 task_count;

u64 time_now_ticks(void)
{
	return now;
}

void *obj_alloc(size_t bytes)
{
	return memory = calloc(1, bytes);
}

u64 sched_cpu_beat(u32 cpu)
{
	return beats[cpu];
}

void arch_doorbell_ring(struct cpu *c)
{
	rings[c->index]++;
}

void arch_doorbell_ack(void)
{
}

void arch_cpu_where_ask(struct cpu *c)
{
	asked_where |= 1u << c->index;
}

void arch_cpu_where_forget(struct cpu *c)
{
	asked_where &= ~(1u << c->index);
}

void where_print(struct cpu *c, void (*line)(void *ctx, const char *text),
		 void *ctx)
{
	wheres |= 1u << c->index;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	size_t n = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - n, fmt, ap);
	va_end(ap);
	strncat(said, "\n", sizeof(said) - strlen(said) - 1);
}

void log_flush(void)
{
	flushes++;
}

static void ends(int how, const char *fmt, va_list ap)
{
	vsnprintf(said, sizeof(said), fmt, ap);
	longjmp(end, how);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ends(1, fmt, ap);
	abort();
}

void refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ends(2, fmt, ap);
	abort();
}

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	*t = (struct task){.name = name, .step = step, .cpu = cpu};
	tasks[task_count++] = t;
}

void task_wake(struct task *t)
{
}

void task_wake_at(struct task *t, u64 when)
{
	for (u32 i = 0; i < task_count; i++)
		if (tasks[i] == t)
			wake_at[i] = when;
}

/* A CPU goes round its loop: it takes its mail, if there is any. */
static void answer(u32 cpu)
{
	cpus[cpu].bell = 0;
	beats[cpu] += fake_cpu_looks(&cpus[cpu], now);
}

static void begin(u32 count, const char *line)
{
	memset(cpus, 0, sizeof(cpus));
	memset(rings, 0, sizeof(rings));
	memset(beats, 0, sizeof(beats));
	task_count = asked_where = wheres = flushes = 0;
	said[0] = 0;
	now = timebase_hz;
	cpu_table_len = count;
	for (u32 i = 0; i < count; i++) {
		cpus[i].index = i;
		cpus[i].mode = CPU_IDLE;
		cpu_table[i] = &cpus[i];
	}
	cmdline_init(line);
	watchdog_init();
}

static int teardown(void **state)
{
	free(memory);
	memory = NULL;
	return 0;
}

/* A second passes. All CPUs but those in `silent` answer; a watcher among these
 * makes no step. */
static void second(u32 silent)
{
	now += timebase_hz;
	for (u32 i = 0; i < task_count; i++)
		if (!(silent >> tasks[i]->cpu & 1))
			while (tasks[i]->step(tasks[i]) == TASK_MORE)
				;
	for (u32 i = 0; i < cpu_count(); i++)
		if (i >= 32 || !(silent >> i & 1))
			answer(i);
}

static void seconds(u32 n, u32 silent)
{
	while (n--)
		second(silent);
}

static void cpus_that_answer_are_never_an_alarm(void **state)
{
	begin(CPUS, NULL);
	seconds(1000, 0);
	assert_string_equal(said, "");
	/* They slept: each was asked, by its doorbell. */
	for (u32 i = 0; i < CPUS; i++)
		assert_in_range(rings[i], 400, 600);
	assert_int_equal(asked_where, 0);
}

static void a_cpu_that_moves_by_itself_is_not_even_asked(void **state)
{
	begin(CPUS, NULL);
	second(0);
	rings[2] = 0;
	for (u32 i = 0; i < 100; i++) {
		beats[2] += 7;
		second(0);
		assert_false(mbox_has_mail(&cpus[2].mbox));
	}
	assert_int_equal(rings[2], 0);
	assert_true(rings[1]);
}

static void the_cpu_that_does_not_answer_is_named_once(void **state)
{
	begin(CPUS, NULL);
	second(0);
	second(0);
	rings[2] = 0;
	seconds(LOOKS - 1, 1 << 2);
	assert_string_equal(said, "");
	/* It was asked where it is, some time before. */
	assert_int_equal(asked_where, 1 << 2);
	seconds(2, 1 << 2);
	assert_non_null(strstr(said, "CPU 2 has not answered for"));
	assert_int_equal(wheres, 15);
	assert_int_equal(flushes, 0);
	/* Rung by its mail, and once more though its bell was set. */
	assert_int_equal(rings[2], 2);
	said[0] = 0;
	seconds(100, 1 << 2);
	assert_string_equal(said, "");
	assert_int_equal(asked_where, 1 << 2);
	seconds(2, 0);
	assert_non_null(strstr(said, "CPU 2 answers again, after 11"));
	/* It isn't any more where it was. */
	assert_int_equal(asked_where, 0);
	/* And the next time anew. */
	said[0] = 0;
	seconds(LOOKS + 2, 1 << 2);
	assert_non_null(strstr(said, "CPU 2 has not answered for"));
}

static void two_that_hang_are_both_named(void **state)
{
	begin(CPUS, NULL);
	seconds(LOOKS + 3, 1 << 1 | 1 << 3);
	assert_non_null(strstr(said, "CPU 1 has not answered for"));
	assert_non_null(strstr(said, "CPU 3 has not answered for"));
	assert_null(strstr(said, "CPU 2"));
}

static void the_first_cpu_is_watched_by_the_second(void **state)
{
	begin(2, NULL);
	seconds(2, 0);
	seconds(LOOKS + 2, 1 << 0);
	assert_non_null(strstr(said, "CPU 0 has not answered for"));
	/* The console's task is on it: its lines would wait for ever. */
	assert_int_equal(flushes, 1);
}

static void a_machine_that_stood_still_is_no_alarm(void **state)
{
	begin(CPUS, NULL);
	seconds(3, 0);
	for (u32 i = 0; i < 50; i++) {
		/* An hour is gone, and nobody has answered in it. */
		now += 3600 * timebase_hz;
		for (u32 k = 0; k < task_count; k++)
			tasks[k]->step(tasks[k]);
		for (u32 k = 0; k < CPUS; k++)
			answer(k);
	}
	assert_null(strstr(said, "not answered"));
}

static void a_slow_cpu_is_said_to_be_late_and_no_alarm(void **state)
{
	begin(CPUS, NULL);
	seconds(2, 0);
	seconds(LOOKS - 2, 1 << 3);
	seconds(2, 0);
	assert_non_null(strstr(said, "CPU 3 has answered late, after"));
	assert_null(strstr(said, "not answered"));
	assert_int_equal(wheres, 0);
}

static void each_watcher_looks_again_a_second_later(void **state)
{
	begin(CPUS, NULL);
	assert_int_equal(task_count, 2);
	assert_int_not_equal(tasks[0]->cpu, tasks[1]->cpu);
	second(0);
	assert_int_equal(wake_at[0], now + timebase_hz);
	assert_int_equal(wake_at[1], now + timebase_hz);
}

static u32 all_rings(void)
{
	u32 sum = 0;

	for (u32 i = 0; i < MANY; i++)
		sum += rings[i];
	return sum;
}

/* A firmware's ring is long, and a step is to be short. */
static void many_cpus_are_asked_some_in_a_step(void **state)
{
	u32 steps = 0;
	bool more;

	begin(MANY, NULL);
	do {
		u32 before = all_rings();

		more = tasks[0]->step(tasks[0]) == TASK_MORE;
		steps++;
		assert_true(all_rings() - before <= 16);
		now += timebase_hz / 100;
	} while (more);
	assert_int_equal(all_rings(), MANY - 1);
	assert_int_equal(steps, 3);
	/* A second after it began. */
	assert_int_equal(wake_at[0], now - steps * (timebase_hz / 100) +
					     timebase_hz);
}

static void the_command_line_chooses(void **state)
{
	begin(CPUS, "watchdog=off");
	assert_int_equal(task_count, 0);
	begin(1, NULL);
	assert_int_equal(task_count, 0);
	begin(CPUS, "watchdog=report");
	assert_int_equal(task_count, 2);
	free(memory);
	begin(CPUS, "watchdog=panic");
	if (setjmp(end) == 0) {
		seconds(LOOKS + 2, 1 << 1);
		fail();
	}
	assert_non_null(strstr(said, "watchdog: CPU 1 has not answered"));
	if (setjmp(end) == 0) {
		begin(CPUS, "watchdog=bark");
		fail();
	}
	assert_string_equal(said, "watchdog=bark: expected report, panic or "
				  "off");
}

static void a_stalled_cpu_stands_still_for_so_long(void **state)
{
	begin(CPUS, NULL);
	assert_int_equal(watchdog_stall(CPUS, 1), -EINVAL);
	assert_int_equal(watchdog_stall(3, 0), 0);
	assert_int_equal(watchdog_stall(1, 0), -EBUSY);
	answer(3);
	assert_int_equal(watchdog_stall(1, 0), 0);
	answer(1);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cpus_that_answer_are_never_an_alarm),
		T(a_cpu_that_moves_by_itself_is_not_even_asked),
		T(the_cpu_that_does_not_answer_is_named_once),
		T(two_that_hang_are_both_named),
		T(the_first_cpu_is_watched_by_the_second),
		T(a_machine_that_stood_still_is_no_alarm),
		T(a_slow_cpu_is_said_to_be_late_and_no_alarm),
		T(each_watcher_looks_again_a_second_later),
		T(many_cpus_are_asked_some_in_a_step),
		T(the_command_line_chooses),
		T(a_stalled_cpu_stands_still_for_so_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
