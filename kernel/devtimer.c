/*
 * A heap of device timers under one lock.
 *
 * Problem. Every guest may have a few timers armed, set and cancelled by its
 * vCPUs on any CPU; guests are many, and nothing in here may take long, since
 * interrupts are off and others wait for the lock.
 *
 * Algorithm. The heap of kernel/heap.c, no step of which is longer than
 * O(log n). Its nodes live inside the timers, so setting one can't fail. The
 * first one's deadline is also in `next`, read without the lock. Deadlines
 * beyond 2^63 ticks are as good as never, and are not queued, since the heap
 * compares differences.
 *
 * Invariants. fn runs without the lock, so that it may set timers and take its
 * device's lock, which is held around dev_timer_set elsewhere; `running` names
 * the timer meanwhile.
 *
 * Rejected. A wheel: deadlines are years or microseconds ahead, and few. Heaps
 * per CPU: a vCPU moves, its device's timer would have to follow by mail.
 */
#include "kernel/devtimer.h"

#include <ck_pr.h>
#include <ck_spinlock.h>

/* As many as one call runs: at a few hundred instructions each, 10 us. */
#define RUN_BATCH 32

static struct {
	ck_spinlock_t lock;
	struct heap heap;
	struct dev_timer *running;
	u64 next; /* the first one's deadline; stored under the lock */
} timers = {
	.lock = CK_SPINLOCK_INITIALIZER,
	.next = TIME_NEVER,
};

static void remove_locked(struct dev_timer *t)
{
	if (t->set)
		heap_remove(&timers.heap, &t->node);
	t->set = false;
}

/* Publishes the first one's deadline; is it earlier than what was there? */
static bool next_update_locked(void)
{
	struct heap_node *first = timers.heap.root;
	u64 next = first ? first->key : TIME_NEVER;
	bool earlier = next < timers.next;

	ck_pr_store_64(&timers.next, next);
	return earlier;
}

void dev_timer_init(struct dev_timer *t, void (*fn)(struct dev_timer *t))
{
	*t = (struct dev_timer){.fn = fn};
}

void dev_timer_set(struct dev_timer *t, u64 deadline_ticks)
{
	bool earlier;

	ck_spinlock_lock(&timers.lock);
	remove_locked(t);
	if (deadline_ticks <= INT64_MAX) {
		t->set = true;
		t->node.key = deadline_ticks;
		heap_push(&timers.heap, &t->node);
	}
	earlier = next_update_locked();
	ck_spinlock_unlock(&timers.lock);
	if (!earlier)
		return;
	/*
	 * Pairs with the fence between the serving CPU's acknowledging of the
	 * poke (or its saying that it will wait) and its dev_timer_next_ticks:
	 * it sees the deadline, or the poke comes after and isn't lost.
	 */
	ck_pr_fence_memory();
	dev_timer_poke();
}

void dev_timer_cancel(struct dev_timer *t)
{
	ck_spinlock_lock(&timers.lock);
	remove_locked(t);
	/* If it is later than before, the serving CPU finds nothing, once. */
	next_update_locked();
	ck_spinlock_unlock(&timers.lock);
}

void dev_timer_fini(struct dev_timer *t)
{
	bool running;

	do {
		dev_timer_cancel(t);
		/* The lock orders fn's last store before our return. */
		ck_spinlock_lock(&timers.lock);
		running = timers.running == t;
		ck_spinlock_unlock(&timers.lock);
	} while (running);
}

u64 dev_timer_next_ticks(void)
{
	return ck_pr_load_64(&timers.next);
}

/* Takes the first timer out if it is due, and calls it. */
static bool run_one(u64 now)
{
	struct dev_timer *t = NULL;
	struct heap_node *first;

	ck_spinlock_lock(&timers.lock);
	first = timers.heap.root;
	if (first && first->key <= now) {
		t = container_of(first, struct dev_timer, node);
		remove_locked(t);
		next_update_locked();
	}
	timers.running = t;
	ck_spinlock_unlock(&timers.lock);
	if (!t)
		return false;
	t->fn(t);
	ck_spinlock_lock(&timers.lock);
	timers.running = NULL;
	ck_spinlock_unlock(&timers.lock);
	return true;
}

void dev_timer_run(u64 now)
{
	/* Usually nothing is due: then not even the lock is taken. */
	if (dev_timer_next_ticks() > now)
		return;
	for (u32 i = 0; i < RUN_BATCH && run_one(now); i++)
		;
}
