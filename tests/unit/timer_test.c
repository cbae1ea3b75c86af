/*
 * A CPU's timers.
 */
/* sources: kernel/timer.c kernel/heap.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/timer.h"

#define COUNT 500

static struct timer timers[COUNT];
static struct timer_queue queue;
static u64 due[COUNT]; /* what the model says; TIME_NEVER: not set */
static u64 last_fired, clock_now;
static u32 fired;

static void fire(struct timer *t, u64 now)
{
	u32 i = (u32)(t - timers);

	assert_false(timer_is_set(t));
	assert_true(due[i] <= now);
	assert_true(due[i] >= last_fired);
	last_fired = due[i];
	due[i] = TIME_NEVER;
	fired++;
}

static void prepare(void)
{
	queue = (struct timer_queue){.heap = {NULL}};
	for (u32 i = 0; i < COUNT; i++) {
		timer_init(&timers[i], fire);
		due[i] = TIME_NEVER;
	}
	last_fired = clock_now = 0;
	fired = 0;
}

static void an_empty_queue_is_never_due(void **state)
{
	(void)state;
	prepare();
	assert_true(timer_next_ticks(&queue) == TIME_NEVER);
	assert_false(timer_run(&queue, TIME_NEVER - 1, UINT32_MAX));
	assert_int_equal(fired, 0);
}

static void a_timer_fires_at_its_tick_and_not_before(void **state)
{
	(void)state;
	prepare();
	due[0] = 100;
	timer_set(&queue, &timers[0], 100);
	assert_false(timer_run(&queue, 99, 1));
	assert_int_equal(fired, 0);
	assert_false(timer_run(&queue, 100, 1));
	assert_int_equal(fired, 1);
}

static void setting_again_moves_a_timer(void **state)
{
	(void)state;
	prepare();
	timer_set(&queue, &timers[0], 100);
	timer_set(&queue, &timers[0], 300);
	assert_true(timer_next_ticks(&queue) == 300);
	timer_set(&queue, &timers[0], TIME_NEVER);
	assert_false(timer_is_set(&timers[0]));
	assert_true(timer_next_ticks(&queue) == TIME_NEVER);
}

static void far_deadlines_are_never(void **state)
{
	(void)state;
	prepare();
	timer_set(&queue, &timers[0], TIME_NEVER - 5);
	timer_set(&queue, &timers[1], 7);
	assert_true(timer_next_ticks(&queue) == 7);
	assert_false(timer_is_set(&timers[0]));
}

static u64 model_next(void)
{
	u64 least = TIME_NEVER;

	for (u32 i = 0; i < COUNT; i++)
		least = MIN(least, due[i]);
	return least;
}

static void random_use_agrees_with_a_simple_model(void **state)
{
	(void)state;
	prepare();
	srand(7);
	for (u32 round = 0; round < 20000; round++) {
		u32 i = (u32)rand() % COUNT;
		u64 when = clock_now + (u64)rand() % 1000;

		switch (rand() % 4) {
		case 0:
		case 1:
			due[i] = when;
			timer_set(&queue, &timers[i], when);
			break;
		case 2:
			due[i] = TIME_NEVER;
			timer_clear(&queue, &timers[i]);
			break;
		default:
			clock_now += (u64)rand() % 20;
			last_fired = 0;
			while (timer_run(&queue, clock_now, 3))
				;
			assert_true(model_next() > clock_now);
		}
		assert_true(timer_next_ticks(&queue) == model_next());
	}
	assert_true(fired > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_is_never_due),
		cmocka_unit_test(a_timer_fires_at_its_tick_and_not_before),
		cmocka_unit_test(setting_again_moves_a_timer),
		cmocka_unit_test(far_deadlines_are_never),
		cmocka_unit_test(random_use_agrees_with_a_simple_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
