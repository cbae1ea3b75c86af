/*
 * Timers of devices, with threads for CPUs: any of them sets and cancels a
 * device's alarm, each serves what was set on it, and only when it was told to
 * look. No alarm is lost, none comes early or on another CPU, and when a device
 * has gone nothing of it is touched, whoever was about to call it.
 */
/* sources: kernel/heap.c kernel/timer.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>
#include <ck_spinlock.h>

#include "kernel/base.h"

static _Thread_local unsigned int dice;

static u32 random_below(u32 n)
{
	return (u32)rand_r(&dice) % n;
}

/* Long after it was read which queue a timer is in. */
static void *slow_load_ptr(const void *at)
{
	void *p = ck_pr_load_ptr(at);

	if (random_below(16) == 0)
		sched_yield();
	return p;
}

#undef ck_pr_load_ptr
#define ck_pr_load_ptr slow_load_ptr
#include "kernel/devtimer.c"

#define CPUS 4
#define DEVICES 6
#define ROUNDS 150
#define STEPS 60 /* of each CPU in a round */
#define AHEAD 40 /* ticks, of which each step of a CPU's is one */

struct device {
	ck_spinlock_t lock;
	struct dev_timer timer;
	/* Under the lock. */
	bool armed;
	u64 due;
	u32 cpu, look; /* which set it, and after how many looks of its */
};

static struct device *device[DEVICES];
static struct dev_timers queue[CPUS];
static u64 look_at[CPUS]; /* each CPU's own, as the next two */
static u64 last_look[CPUS];
static u32 looks[CPUS];
static u64 ticks;	  /* atomic */
static u32 at_work, gone; /* atomic */
static u32 fired, late_calls; /* atomic */
static pthread_barrier_t barrier;
static _Thread_local u32 self;

struct dev_timers *dev_timers_here(void)
{
	return &queue[self];
}

void dev_timers_arm(u64 at_ticks)
{
	look_at[self] = at_ticks;
}

void dev_timers_pay(const struct guest *g, u64 now)
{
}

static void set(struct device *d)
{
	d->cpu = self;
	d->look = looks[self];
	dev_timer_set(&d->timer, d->due);
}

/* Did its CPU look at that time already, and not see it? */
static bool is_late(const struct device *d)
{
	return d->cpu == self && looks[self] > d->look + 1 &&
	       last_look[self] >= d->due;
}

/* As a device does: what was moved or cancelled meanwhile is none of its
 * business. */
static void due(struct dev_timer *t)
{
	struct device *d = container_of(t, struct device, timer);

	if (random_below(4) == 0)
		sched_yield();
	ck_spinlock_lock(&d->lock);
	if (d->armed && d->due <= ck_pr_load_64(&ticks)) {
		if (is_late(d))
			abort();
		d->armed = false;
		ck_pr_inc_32(&fired);
	} else {
		ck_pr_inc_32(&late_calls);
		/* It may set itself anew, another CPU's alarm perhaps. */
		if (d->armed && random_below(2))
			set(d);
	}
	ck_spinlock_unlock(&d->lock);
}

/* Of who cancels without the lock, which may meet one who sets, the set that
 * follows makes up for it. */
static void touch(struct device *d)
{
	if (random_below(4) == 0)
		dev_timer_cancel(&d->timer);
	ck_spinlock_lock(&d->lock);
	d->armed = random_below(4) != 0;
	if (d->armed) {
		d->due = ck_pr_load_64(&ticks) + random_below(AHEAD);
		set(d);
	} else {
		dev_timer_cancel(&d->timer);
	}
	ck_spinlock_unlock(&d->lock);
}

static void look(void)
{
	u64 now = ck_pr_faa_64(&ticks, 1);

	looks[self]++;
	if (look_at[self] <= now) {
		look_at[self] = TIME_NEVER;
		dev_timers_run(&queue[self], now);
	}
	last_look[self] = now;
}

static bool any_armed(void)
{
	bool found = false;

	for (u32 i = 0; i < DEVICES && !found; i++) {
		ck_spinlock_lock(&device[i]->lock);
		found = device[i]->armed;
		ck_spinlock_unlock(&device[i]->lock);
	}
	return found;
}

static void devices_make(void)
{
	for (u32 i = 0; i < DEVICES; i++) {
		struct device *d = calloc(1, sizeof(*d));

		if (!d)
			abort();
		ck_spinlock_init(&d->lock);
		dev_timer_init(&d->timer, NULL, due);
		device[i] = d;
	}
}

/* Others look at what they have meanwhile. */
static void devices_free(void)
{
	for (u32 i = 0; i < DEVICES; i++) {
		dev_timer_fini(&device[i]->timer);
		free(device[i]);
	}
	ck_pr_store_32(&gone, 1);
}

/* All that is set comes; or some is set still when its device goes. */
static void round_of(u32 n)
{
	for (u32 i = 0; i < STEPS; i++) {
		touch(device[random_below(DEVICES)]);
		look();
	}
	ck_pr_dec_32(&at_work);
	while (ck_pr_load_32(&at_work) || (n % 2 && any_armed())) {
		look();
		sched_yield();
	}
	pthread_barrier_wait(&barrier);
	if (self == n % CPUS)
		devices_free();
	while (!ck_pr_load_32(&gone))
		look();
}

static void *cpu(void *arg)
{
	self = (u32)(uintptr_t)arg;
	dice = self + 1;
	look_at[self] = TIME_NEVER;
	for (u32 n = 0; n < ROUNDS; n++) {
		if (pthread_barrier_wait(&barrier) ==
		    PTHREAD_BARRIER_SERIAL_THREAD) {
			devices_make();
			ck_pr_store_32(&at_work, CPUS);
			ck_pr_store_32(&gone, 0);
		}
		pthread_barrier_wait(&barrier);
		round_of(n);
	}
	return NULL;
}

static void no_alarm_is_lost_and_none_comes_to_who_has_gone(void **state)
{
	pthread_t thread[CPUS];

	alarm(300);
	pthread_barrier_init(&barrier, NULL, CPUS);
	for (u32 i = 0; i < CPUS; i++)
		dev_timers_init(&queue[i]);
	for (uintptr_t i = 0; i < CPUS; i++)
		pthread_create(&thread[i], NULL, cpu, (void *)i);
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(dev_timers_next_ticks(&queue[i]), TIME_NEVER);
	print_message("# %u fired, %u called in vain\n", fired, late_calls);
	assert_true(fired > ROUNDS * DEVICES && late_calls > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			no_alarm_is_lost_and_none_comes_to_who_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
