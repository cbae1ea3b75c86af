/*
 * Recordings that begin, change and end, with threads for CPUs that record
 * without a pause: no CPU writes to memory that was given back, none goes on
 * when nothing is on any more or another's event has come, and what the end of
 * the recording before did at the last moment doesn't end the new one.
 */
/* sources: kernel/tracer.c kernel/tracer_last.c kernel/tracer_name.c
 *	kernel/percpu/trace.c
 *	kernel/percpu/cpu.c kernel/mem.c kernel/obj.c tests/unit/fake_mem.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/mem.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/tracer_private.h"
#include "tests/unit/fake_cpus.h"
#include "tests/unit/fake_mem.h"

#define CPUS 4
#define CHANGES 2000
#define BASE 0x80000000ULL
#define STOP TRACE_EV_CALL /* the event at which some end */
#define MASK (TRACE_CLASS_OF_NOTE | TRACE_CLASS_OF_CALL)
#define STOP_ONE_IN 128
#define ORDER_MOST 3

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
static struct cpu cpus[CPUS];
static u64 now;
static u32 done;
static _Thread_local unsigned int seed;

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)

u64 time_now_ticks(void)
{
	return __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
}

u64 host_wall_ns(void)
{
	return 0;
}

void arch_doorbell_ring(struct cpu *target)
{
}

void sched_trace_changed(struct cpu *c)
{
}

bool sched_trace_some(struct cpu *c)
{
	return false;
}

void sched_trace_late(u64 ticks)
{
}

void sched_stats_set(bool on)
{
}

static u32 rnd(u32 below)
{
	return (u32)rand_r(&seed) % below;
}

/* Both words follow from each other. One CPU alone sees the event at which
 * some recordings stop: nobody makes up for it if its end is forgotten. */
static void records_write(u32 count)
{
	for (; count; count--) {
		u64 a = time_now_ticks();

		TRACE(NOTE, TRACE_NOBODY, a, ~a);
		if (fake_this_cpu == &cpus[1] && rnd(STOP_ONE_IN) == 0)
			TRACE(CALL, TRACE_NOBODY, a, ~a);
		if (rnd(32) == 0)
			usleep(rnd(50));
	}
}

/* As the core's rounds. */
static void cpu_step(struct cpu *c)
{
	fake_cpu_looks(c, time_now_ticks());
	records_write(rnd(16));
	if (rnd(8) == 0)
		sched_yield();
}

static void *cpu_main(void *arg)
{
	fake_this_cpu = arg;
	seed = fake_this_cpu->index + 1;
	while (!LOAD(&done))
		cpu_step(fake_this_cpu);
	return NULL;
}

static void settle(void)
{
	while (tracer_changing())
		cpu_step(fake_this_cpu);
}

static u32 masks(bool all)
{
	u32 both = 0, each = UINT32_MAX;

	for (u32 i = 0; i < CPUS; i++) {
		both |= LOAD(&cpus[i].trace_mask);
		each &= LOAD(&cpus[i].trace_mask);
	}
	return (all ? each : both) & TRACE_ALL;
}

static bool is_over(void)
{
	for (u32 i = 0; i < CPUS; i++) {
		const struct trace_ring *r = tracer_ring(i);

		if ((LOAD(&r->flags) & TRACE_STOPPED) &&
		    LOAD(&r->head) >= LOAD(&r->limit))
			return true;
	}
	return false;
}

/* The memory that was given back is somebody else's, who writes to it. */
static void memory_is_used(void)
{
	for (u32 order = 0; order <= ORDER_MOST; order++) {
		struct hpa at[CPUS];

		for (u32 i = 0; i < CPUS; i++) {
			at[i] = page_alloc(order);
			assert_false(hpa_is_none(at[i]));
			memset(hpa_ptr(at[i]), 0xee, PAGE_BYTES << order);
		}
		for (u32 i = 0; i < CPUS; i++)
			page_free(at[i], order);
	}
}

static void copies_are_whole(void)
{
	struct trace_record got[32];

	for (u32 i = 0; i < CPUS; i++) {
		const struct trace_ring *r = tracer_ring(i);
		u64 head = LOAD(&r->head), first;
		u64 n = trace_copy(r, head - MIN(head, 40), 32, got, &first);

		for (u64 k = 0; k < n; k++) {
			assert_int_equal(got[k].cpu, i);
			assert_true(got[k].event == TRACE_EV_MASK ||
				    got[k].a == ~got[k].b);
		}
	}
}

static void begin(bool stops)
{
	struct tracer_config c = {.mask = MASK,
				  .records = 128 << rnd(ORDER_MOST + 1),
				  .flags = TRACE_FLIGHT,
				  .stop_event = stops ? STOP : 0,
				  .stop_after = rnd(3) * 4,
				  .late_ticks = TIME_NEVER};

	assert_int_equal(tracer_start(&c), 0);
	settle();
	memory_is_used();
}

static void end(void)
{
	u64 heads[CPUS];

	assert_int_equal(tracer_mask(0), 0);
	settle();
	for (u32 i = 0; i < CPUS; i++)
		heads[i] = LOAD(&tracer_ring(i)->head);
	cpu_step(fake_this_cpu);
	usleep(50);
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(heads[i], LOAD(&tracer_ring(i)->head));
}

static void recordings_begin_and_end_as_they_should(void **state)
{
	pthread_t thread[CPUS];
	u32 over = 0;

	alarm(60);
	for (u32 i = 1; i < CPUS; i++)
		pthread_create(&thread[i], NULL, cpu_main, &cpus[i]);
	for (u32 i = 0; i < CHANGES; i++) {
		bool stops = rnd(2);

		begin(stops);
		if (!stops)
			assert_int_equal(masks(true), MASK);
		cpu_step(fake_this_cpu);
		copies_are_whole();
		if (is_over()) {
			/* It has said so, and then tells all; or the alarm. */
			while (masks(false))
				cpu_step(fake_this_cpu);
			over++;
		}
		if (rnd(4) == 0)
			end();
	}
	__atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 1; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	assert_in_range(over, 1, CHANGES - 1);
}

static int setup(void **state)
{
	fake_ram_add(BASE, 16 * MIB);
	fake_cpus_add(cpus, CPUS);
	fake_this_cpu = &cpus[0];
	return tracer_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_begin_and_end_as_they_should),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
