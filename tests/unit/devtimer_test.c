/* sources: kernel/devtimer.c kernel/heap.c kernel/timer.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernel/devtimer.h"

#define MANY 500
#define CPUS 3

struct thing {
	struct dev_timer timer;
	u64 at;	 /* the model's: TIME_NEVER is not armed */
	u32 cpu; /* on which it was set */
	u32 fired;
};

static struct thing thing[MANY];
static struct dev_timers queue[CPUS];
static u64 armed[CPUS]; /* as the CPU was told last */
static u32 arms, fired, here;
static u64 last_at, now;
static const struct guest *owner = (const struct guest *)&thing, *paid;

struct dev_timers *dev_timers_here(void)
{
	return &queue[here];
}

void dev_timers_arm(u64 at_ticks)
{
	armed[here] = at_ticks;
	arms++;
}

void dev_timers_pay(const struct guest *g, u64 when)
{
	assert_int_equal(when, now);
	paid = g;
}

static void thing_due(struct dev_timer *t)
{
	struct thing *th = container_of(t, struct thing, timer);

	assert_true(th->at <= now && th->cpu == here);
	assert_true(th->at >= last_at);
	last_at = th->at;
	th->at = TIME_NEVER;
	th->fired++;
	fired++;
}

static void set(struct thing *th, u64 at)
{
	th->at = at;
	th->cpu = here;
	dev_timer_set(&th->timer, at);
}

static void cancel(struct thing *th)
{
	th->at = TIME_NEVER;
	dev_timer_cancel(&th->timer);
}

static u64 next(void)
{
	return dev_timers_next_ticks(&queue[here]);
}

static void run(u64 when)
{
	now = when;
	last_at = 0;
	dev_timers_run(&queue[here], when);
}

static int start(void **state)
{
	(void)state;
	for (u32 i = 0; i < MANY; i++) {
		thing[i] = (struct thing){.at = TIME_NEVER};
		dev_timer_init(&thing[i].timer, owner, thing_due);
	}
	for (u32 i = 0; i < CPUS; i++) {
		dev_timers_init(&queue[i]);
		armed[i] = TIME_NEVER;
	}
	arms = fired = here = 0;
	paid = NULL;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (u32 i = 0; i < MANY; i++)
		dev_timer_fini(&thing[i].timer);
	for (here = 0; here < CPUS; here++)
		assert_int_equal(next(), TIME_NEVER);
	return 0;
}

static void nothing_armed_is_never_due(void **state)
{
	(void)state;
	assert_int_equal(next(), TIME_NEVER);
	run(UINT64_MAX - 1);
	cancel(&thing[0]);
	assert_int_equal(fired, 0);
	assert_int_equal(arms, 0);
}

static void a_timer_fires_once_at_its_time(void **state)
{
	(void)state;
	set(&thing[0], 100);
	assert_int_equal(next(), 100);
	run(99);
	assert_int_equal(fired, 0);
	paid = NULL;
	run(100);
	assert_int_equal(thing[0].fired, 1);
	assert_ptr_equal(paid, owner);
	run(1000);
	assert_int_equal(fired, 1);
}

static void who_has_armed_in_vain_pays(void **state)
{
	(void)state;
	set(&thing[0], 100);
	set(&thing[0], 200);
	paid = NULL;
	run(100);
	assert_int_equal(fired, 0);
	assert_ptr_equal(paid, owner);
	assert_int_equal(armed[0], 200);
	cancel(&thing[0]);
	paid = NULL;
	run(200);
	assert_ptr_equal(paid, owner);
}

static void only_an_earlier_deadline_arms(void **state)
{
	(void)state;
	set(&thing[0], 100);
	assert_int_equal(arms, 1);
	set(&thing[1], 200);
	set(&thing[2], 100);
	assert_int_equal(arms, 1);
	set(&thing[1], 50);
	assert_int_equal(arms, 2);
	set(&thing[1], 60);
	cancel(&thing[1]);
	assert_int_equal(arms, 2);
	assert_int_equal(next(), 100);
	/* It looks at 50, finds nothing, and knows of the next. */
	run(50);
	assert_int_equal(fired, 0);
	assert_int_equal(armed[0], 100);
}

static void a_timer_set_and_cancelled_all_the_time_arms_once(void **state)
{
	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		set(&thing[0], 1000 + i % 7);
		cancel(&thing[0]);
	}
	assert_int_equal(arms, 1);
	run(1000);
	assert_int_equal(fired, 0);
	set(&thing[0], 1100);
	assert_int_equal(armed[0], 1100);
}

static void who_sets_it_serves_it(void **state)
{
	(void)state;
	set(&thing[0], 100);
	here = 1;
	assert_int_equal(next(), TIME_NEVER);
	set(&thing[1], 300);
	set(&thing[0], 200);
	assert_int_equal(armed[1], 200);
	run(250);
	assert_int_equal(thing[0].fired, 1);
	assert_int_equal(next(), 300);
	/* The other CPU finds nothing, and may disarm what isn't its own. */
	here = 0;
	run(250);
	assert_int_equal(fired, 1);
	cancel(&thing[1]);
	here = 1;
	assert_int_equal(next(), TIME_NEVER);
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
	assert_int_equal(next(), TIME_NEVER);
	run(200);
	assert_int_equal(fired, 0);
}

static void a_deadline_that_never_comes_is_not_armed(void **state)
{
	(void)state;
	set(&thing[0], UINT64_MAX - 1);
	set(&thing[1], 5);
	assert_int_equal(next(), 5);
	set(&thing[1], 1ULL << 63);
	assert_int_equal(next(), TIME_NEVER);
	assert_int_equal(arms, 1);
	run(1ULL << 62);
	assert_int_equal(fired, 0);
}

static void many_due_at_once_are_run_in_bounded_steps(void **state)
{
	u32 runs = 0;

	(void)state;
	for (u32 i = 0; i < MANY; i++)
		set(&thing[i], 1000 - i);
	while (next() <= 1000) {
		u32 before = fired;

		run(1000);
		assert_in_range(fired - before, 1, 64);
		/* In another round, but at once. */
		if (fired < MANY)
			assert_int_equal(armed[0], 1001);
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
	dev_timer_init(&thing[0].timer, owner, rearm_due);
	set(&thing[0], 100);
	set(&thing[1], 101);
	run(200);
	assert_int_equal(fired, 1);
	assert_int_equal(thing[1].fired, 0);
	assert_int_equal(next(), 210);
	assert_int_equal(armed[0], 210);
}

static u64 model_next(void)
{
	u64 least = TIME_NEVER;

	for (u32 i = 0; i < MANY; i++)
		if (thing[i].cpu == here)
			least = MIN(least, thing[i].at);
	return least;
}

static void any_sequence_agrees_with_a_plain_list(void **state)
{
	u64 clock = 0;

	(void)state;
	srand(1);
	for (u32 n = 0; n < 20000; n++) {
		struct thing *th = &thing[rand() % MANY];

		here = (u32)rand() % CPUS;
		switch (rand() % 8) {
		case 0:
			cancel(th);
			break;
		case 1:
			clock += (u64)rand() % 100;
			/* A CPU is never late for what it was told. */
			for (here = 0; here < CPUS; here++)
				while (armed[here] <= clock ||
				       next() <= clock) {
					armed[here] = TIME_NEVER;
					run(clock);
				}
			here = 0;
			break;
		default:
			set(th, clock + 1 + (u64)rand() % 1000);
		}
		assert_int_equal(next(), model_next());
		assert_true(next() >= armed[here]);
		assert_true(next() > clock);
	}
	assert_true(fired > 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_armed_is_never_due),
		T(a_timer_fires_once_at_its_time),
		T(who_has_armed_in_vain_pays),
		T(only_an_earlier_deadline_arms),
		T(a_timer_set_and_cancelled_all_the_time_arms_once),
		T(who_sets_it_serves_it),
		T(setting_replaces_the_deadline),
		T(a_cancelled_timer_does_not_fire),
		T(a_deadline_that_never_comes_is_not_armed),
		T(many_due_at_once_are_run_in_bounded_steps),
		T(a_timer_may_set_and_cancel_from_within),
		T(any_sequence_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
