/*
 * A heap of device timers under one lock.
 *
 * Problem. Every guest may have a few timers armed, set and cancelled by its
 * vCPUs on any CPU; guests are many, and nothing in here may take long, since
 * interrupts are off and others wait for the lock.
 *
 * Algorithm. A leftist heap: a binary tree in which a parent is due before its
 * children and the right spine is the shortest way down (rank = nodes on it).
 * Two heaps merge along their right spines, O(log n) in the worst case; all
 * else is merging. Nodes live inside the timers, so setting one can't fail. The
 * root's deadline is also in `next`, read without the lock.
 *
 * Invariants. rank(left) >= rank(right); rank 0 is "not in the heap". fn runs
 * without the lock, so that it may set timers and take its device's lock, which
 * is held around dev_timer_set elsewhere; `running` names the timer meanwhile.
 *
 * Rejected. A pairing heap: simpler to remove from, but a single step may be
 * O(n). An array: grows, and then needs memory when a guest writes a register.
 * A wheel: deadlines are years or microseconds ahead, and few. Heaps per CPU: a
 * vCPU moves, its device's timer would have to follow by mail.
 */
#include "kernel/devtimer.h"

#include <ck_pr.h>
#include <ck_spinlock.h>

/* As many as one call runs: at a few hundred instructions each, 10 us. */
#define RUN_BATCH 32

static struct {
	ck_spinlock_t lock;
	struct dev_timer *root;
	struct dev_timer *running;
	u64 next; /* the root's deadline; stored under the lock */
} timers = {
	.lock = CK_SPINLOCK_INITIALIZER,
	.next = TIME_NEVER,
};

static u32 rank_of(const struct dev_timer *t)
{
	return t ? t->rank : 0;
}

/* Restores the rank of `t`; says whether it was another one before. */
static bool rank_fix(struct dev_timer *t)
{
	u32 rank;

	if (rank_of(t->left) < rank_of(t->right)) {
		struct dev_timer *left = t->left;

		t->left = t->right;
		t->right = left;
	}
	rank = rank_of(t->right) + 1;
	if (rank == t->rank)
		return false;
	t->rank = rank;
	return true;
}

/* From `t` upwards; above a node whose rank holds, all others hold. */
static void rank_fix_up(struct dev_timer *t)
{
	while (t && rank_fix(t))
		t = t->parent;
}

/*
 * Merges two heaps, either may be empty, and returns the root, which has no
 * parent. Walks down the right spines and mends the ranks on the way back.
 */
static struct dev_timer *heap_merge(struct dev_timer *a, struct dev_timer *b)
{
	struct dev_timer *root = NULL, *tail = NULL;

	while (a && b) {
		struct dev_timer *t = a;

		if (b->deadline_ticks < a->deadline_ticks) {
			t = b;
			b = a;
		}
		a = t->right;
		t->parent = tail;
		if (tail)
			tail->right = t;
		else
			root = t;
		tail = t;
	}
	if (!a)
		a = b;
	if (a)
		a->parent = tail;
	if (!tail)
		return a;
	tail->right = a;
	for (; tail; tail = tail->parent)
		rank_fix(tail);
	return root;
}

static void heap_insert(struct dev_timer *t)
{
	t->left = NULL;
	t->right = NULL;
	t->parent = NULL;
	t->rank = 1;
	timers.root = heap_merge(timers.root, t);
}

static void heap_remove(struct dev_timer *t)
{
	struct dev_timer *parent = t->parent;
	struct dev_timer *rest = heap_merge(t->left, t->right);

	if (rest)
		rest->parent = parent;
	if (!parent)
		timers.root = rest;
	else if (parent->left == t)
		parent->left = rest;
	else
		parent->right = rest;
	rank_fix_up(parent);
	t->rank = 0;
}

/* Publishes the root's deadline; is it earlier than what was there? */
static bool next_update_locked(void)
{
	u64 next = timers.root ? timers.root->deadline_ticks : TIME_NEVER;
	bool earlier = next < timers.next;

	ck_pr_store_64(&timers.next, next);
	return earlier;
}

void dev_timer_init(struct dev_timer *t, void (*fn)(struct dev_timer *t))
{
	*t = (struct dev_timer){ .fn = fn };
}

void dev_timer_set(struct dev_timer *t, u64 deadline_ticks)
{
	bool earlier;

	ck_spinlock_lock(&timers.lock);
	if (t->rank)
		heap_remove(t);
	t->deadline_ticks = deadline_ticks;
	heap_insert(t);
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
	if (t->rank) {
		heap_remove(t);
		/* Later than before: the serving CPU finds nothing, once. */
		next_update_locked();
	}
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
	struct dev_timer *t;

	ck_spinlock_lock(&timers.lock);
	t = timers.root;
	if (t && t->deadline_ticks > now)
		t = NULL;
	if (t) {
		heap_remove(t);
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
