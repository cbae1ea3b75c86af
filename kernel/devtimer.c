/*
 * Heaps of device timers, one a CPU, each under a lock.
 *
 * Problem. Every guest may have a few timers armed, set and cancelled by its
 * vCPUs on any CPU; guests are many, and nothing in here may take long, since
 * interrupts are off and others wait for the lock. Nor may who sets and cancels
 * all the time cost anybody else: neither a CPU on which it doesn't run, nor
 * the one that runs after it.
 *
 * Algorithm. A timer stands in the queue (kernel/timer.c, no step of which is
 * longer than O(log n)) of the CPU that set it last. That CPU needs no mail to
 * know of it: it arms its own timer, then and there. Nodes live inside the
 * timers, so setting one can't fail. Deadlines beyond 2^63 ticks are as good as
 * never, and are not queued, since the heap compares differences.
 *
 * What was cancelled, or set later, leaves the CPU armed as it is: it finds
 * nothing, once, and then arms for what there is. So a timer that is set and
 * cancelled all the time arms nothing anew.
 *
 * Invariants. fn runs without the lock, so that it may set timers and take its
 * device's lock, which is held around dev_timer_set elsewhere. One lock of the
 * service is held at a time. Who sets a timer, one at a time, changes `queue`
 * under the lock of the queue that it named until then. So who has the lock of
 * the queue that it names has the timer: it is in that queue, or in none.
 *
 * The locks are not fair. Those who meet at one are the CPU that it belongs to
 * and such as move a timer of one guest from there: each for a few of the
 * hundreds of instructions that its access takes.
 *
 * Rejected. A wheel: deadlines are years or microseconds ahead, and few. One
 * heap for all, served by the boot CPU: it must be told of each timer that is
 * the next one, that is nobody's time, and all guests meet at its lock.
 */
#include "kernel/devtimer.h"

#include <ck_pr.h>

/* As many as one call runs: at a few hundred instructions each, 10 us. */
#define RUN_BATCH 32

void dev_timers_init(struct dev_timers *q)
{
	*q = (struct dev_timers){.armed = TIME_NEVER};
	ck_spinlock_init(&q->lock);
}

void dev_timer_init(struct dev_timer *t, const struct guest *g,
		    void (*fn)(struct dev_timer *t))
{
	*t = (struct dev_timer){.fn = fn, .guest = g};
}

/* Takes the lock of the queue that the timer is in, or was; NULL: none yet. */
static struct dev_timers *queue_lock(struct dev_timer *t)
{
	struct dev_timers *q;

	while ((q = ck_pr_load_ptr(&t->queue))) {
		ck_spinlock_lock(&q->lock);
		if (ck_pr_load_ptr(&t->queue) == q)
			return q;
		ck_spinlock_unlock(&q->lock);
	}
	return NULL;
}

/* Takes the lock of this CPU's queue, which the timer is of from now on. */
static struct dev_timers *queue_move(struct dev_timer *t)
{
	struct dev_timers *here = dev_timers_here();
	struct dev_timers *q = queue_lock(t);

	if (q)
		timer_clear(&q->queue, &t->timer);
	if (q == here)
		return here;
	ck_pr_store_ptr(&t->queue, here);
	if (q)
		ck_spinlock_unlock(&q->lock);
	ck_spinlock_lock(&here->lock);
	return here;
}

void dev_timer_set(struct dev_timer *t, u64 deadline_ticks)
{
	struct dev_timers *q;

	if (deadline_ticks > INT64_MAX) {
		dev_timer_cancel(t);
		return;
	}
	q = queue_move(t);
	timer_set(&q->queue, &t->timer, deadline_ticks);
	ck_spinlock_unlock(&q->lock);
	if (deadline_ticks >= q->armed)
		return;
	q->armed = deadline_ticks;
	q->armed_for = t->guest;
	dev_timers_arm(deadline_ticks);
}

void dev_timer_cancel(struct dev_timer *t)
{
	struct dev_timers *q = queue_lock(t);

	if (!q)
		return;
	timer_clear(&q->queue, &t->timer);
	ck_spinlock_unlock(&q->lock);
}

void dev_timer_fini(struct dev_timer *t)
{
	u32 begun, ended;

	/* No call was on before the timer was disarmed, and none has begun
	 * since: so none has set it again. */
	do {
		ended = ck_pr_load_32(&t->ended);
		/* Pairs with the release in run_one. */
		ck_pr_fence_acquire();
		begun = ck_pr_load_32(&t->begun);
		dev_timer_cancel(t);
	} while (begun != ended || ck_pr_load_32(&t->begun) != begun);
}

/* When the first of them is due, and whose it is. */
static u64 next_of(struct dev_timers *q, const struct guest **whose)
{
	u64 next;

	ck_spinlock_lock(&q->lock);
	next = timer_next_ticks(&q->queue);
	if (next != TIME_NEVER)
		*whose = container_of(q->queue.heap.root, struct dev_timer,
				      timer.node)->guest;
	ck_spinlock_unlock(&q->lock);
	return next;
}

u64 dev_timers_next_ticks(struct dev_timers *q)
{
	const struct guest *whose;

	return next_of(q, &whose);
}

/* Takes the first timer out if it is due, and calls it. */
static bool run_one(struct dev_timers *q, u64 now)
{
	struct dev_timer *t = NULL;

	ck_spinlock_lock(&q->lock);
	if (timer_next_ticks(&q->queue) <= now) {
		t = container_of(q->queue.heap.root, struct dev_timer,
				 timer.node);
		timer_clear(&q->queue, &t->timer);
		ck_pr_inc_32(&t->begun);
	}
	ck_spinlock_unlock(&q->lock);
	if (!t)
		return false;
	t->fn(t);
	dev_timers_pay(t->guest, now);
	/* fn is over before it is said so: then the timer may be freed. */
	ck_pr_fence_release();
	ck_pr_inc_32(&t->ended);
	return true;
}

void dev_timers_run(struct dev_timers *q, u64 now)
{
	const struct guest *for_nothing = q->armed_for;
	u64 next;
	u32 i = 0;

	while (i < RUN_BATCH && run_one(q, now))
		i++;
	/* What it was armed for has been cancelled, or set to later. */
	if (!i && for_nothing)
		dev_timers_pay(for_nothing, now);
	next = next_of(q, &q->armed_for);
	/* What is due still is for another call, not for this round. */
	q->armed = MAX(next, now + 1);
	if (next != TIME_NEVER)
		dev_timers_arm(q->armed);
}
