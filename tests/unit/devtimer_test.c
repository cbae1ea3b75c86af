/* sources: kernel/devtimer.c kernel/heap.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernel/devtimer.h"

#define MANY 500

struct thing {
	struct dev_timer timer;
	u64 at; /* the model's: TIME_NEVER is not armed */
	u32 fired;
};

static struct thing thing[MANY];
static u32 pokes, fired;
static u64 last_at, now;

void dev_timer_poke(void)
{
	pokes++;
}

static void thing_due(struct dev_timer *t)
{
	struct thing *th = container_of(t, struct thing, timer);

	assert_true(th->at <= now);
	assert_true(th->at >= last_at);
	last_at = th->at;
	th->at = TIME_NEVER;
	th->fired++;
	fired++;
}

static void set(struct thing *th, u64 at)
{
	th->at = at;
	dev_timer_set(&th->timer, at);
}

static void cancel(struct thing *th)
{
	th->at = TIME_NEVER;
	dev_timer_cancel(&th->timer);
}

static void run(u64 when)
{
	now = when;
	last_at = 0;
	dev_timer_run(when);
}

static int start(void **state)
{
	(void)state;
	for (u32 i = 0; i < MANY; i++) {
		thing[i] = (struct thing){ .at = TIME_NEVER };
		dev_timer_init(&thing[i].timer, thing_due);
	}
	pokes = fired = 0;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (u32 i = 0; i < MANY; i++)
		dev_timer_fini(&thing[i].timer);
	assert_int_equal(dev_timer_next_ticks(), TIME_NEVER);
	return 0;
}

static void nothing_armed_is_never_due(void **state)
{
	(void)state;
	assert_int_equal(dev_timer_next_ticks(), TIME_NEVER);
	run(UINT64_MAX - 1);
	cancel(&thing[0]);
	assert_int_equal(fired, 0);
	assert_int_equal(pokes, 0);
}

static void a_timer_fires_once_at_its_time(void **state)
{
	(void)state;
	set(&thing[0], 100);
	assert_int_equal(dev_timer_next_ticks(), 100);
	run(99);
	assert_int_equal(fired, 0);
	run(100);
	assert_int_equal(thing[0].fired, 1);
	run(1000);
	assert_int_equal(fired, 1);
}

static void only_an_earlier_deadline_pokes(void **state)
{
	(void)state;
	set(&thing[0], 100);
	assert_int_equal(pokes, 1);
	set(&thing[1], 200);
	set(&thing[2], 100);
	assert_int_equal(pokes, 1);
	set(&thing[1], 50);
	assert_int_equal(pokes, 2);
	set(&thing[1], 60);
	cancel(&thing[1]);
	assert_int_equal(pokes, 2);
	assert_int_equal(dev_timer_next_ticks(), 100);
}

static void setting_replaces_the_deadline(void **state)
{
	(void)state;
	set(&thing[0], 100);
	set(&thing[0], 300);
	run(200);
	assert_int_equal(fired, 0);
	set(&thing[0], 50);
	run(200);
	assert_int_equal(fired, 1);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
	(void)state;
	set(&thing[0], 100);
	cancel(&thing[0]);
	assert_int_equal(dev_timer_next_ticks(), TIME_NEVER);
	run(200);
	assert_int_equal(fired, 0);
}

static void a_deadline_that_never_comes_is_not_armed(void **state)
{
	(void)state;
	set(&thing[0], UINT64_MAX - 1);
	set(&thing[1], 5);
	assert_int_equal(dev_timer_next_ticks(), 5);
	set(&thing[1], 1ULL << 63);
	assert_int_equal(dev_timer_next_ticks(), TIME_NEVER);
	run(1ULL << 62);
	assert_int_equal(fired, 0);
}

static void many_due_at_once_are_run_in_bounded_steps(void **state)
{
	u32 runs = 0;

	(void)state;
	for (u32 i = 0; i < MANY; i++)
		set(&thing[i], 1000 - i);
	while (dev_timer_next_ticks() <= 1000) {
		u32 before = fired;

		run(1000);
		assert_in_range(fired - before, 1, 64);
		runs++;
	}
	assert_int_equal(fired, MANY);
	assert_true(runs > 1);
}

static struct thing *rearm;

static void rearm_due(struct dev_timer *t)
{
	(void)t;
	fired++;
	dev_timer_set(&rearm->timer, now + 10);
	dev_timer_cancel(&thing[1].timer);
}

static void a_timer_may_set_and_cancel_from_within(void **state)
{
	(void)state;
	rearm = &thing[0];
	dev_timer_init(&thing[0].timer, rearm_due);
	set(&thing[0], 100);
	set(&thing[1], 101);
	run(200);
	assert_int_equal(fired, 1);
	assert_int_equal(thing[1].fired, 0);
	assert_int_equal(dev_timer_next_ticks(), 210);
}

static u64 model_next(void)
{
	u64 next = TIME_NEVER;

	for (u32 i = 0; i < MANY; i++)
		next = MIN(next, thing[i].at);
	return next;
}

static void any_sequence_agrees_with_a_plain_list(void **state)
{
	u64 clock = 0;

	(void)state;
	srand(1);
	for (u32 n = 0; n < 20000; n++) {
		struct thing *th = &thing[rand() % MANY];

		switch (rand() % 8) {
		case 0:
			cancel(th);
			break;
		case 1:
			clock += (u64)rand() % 100;
			while (dev_timer_next_ticks() <= clock)
				run(clock);
			break;
		default:
			set(th, clock + (u64)rand() % 1000);
		}
		assert_int_equal(dev_timer_next_ticks(), model_next());
	}
	assert_true(fired > 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_armed_is_never_due),
		T(a_timer_fires_once_at_its_time),
		T(only_an_earlier_deadline_pokes),
		T(setting_replaces_the_deadline),
		T(a_cancelled_timer_does_not_fire),
		T(a_deadline_that_never_comes_is_not_armed),
		T(many_due_at_once_are_run_in_bounded_steps),
		T(a_timer_may_set_and_cancel_from_within),
		T(any_sequence_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
