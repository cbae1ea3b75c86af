/*
 * One-shot timers of a CPU, owner only.
 */
#ifndef ROUSE_KERNEL_TIMER_H
#define ROUSE_KERNEL_TIMER_H

#include "kernel/heap.h"

struct timer {
	struct heap_node node; /* the key is when it is due */
	bool set;
	void (*fire)(struct timer *t, u64 now);
};

struct timer_queue {
	struct heap heap;
};

/* `fire` is called on the owner's CPU with the timer no longer set; it may set
 * or clear any timer of the queue. */
void timer_init(struct timer *t, void (*fire)(struct timer *t, u64 now));

/* Sets `t` to fire at `when_ticks` or soon after, TIME_NEVER for never; it may
 * be set already. The owner's CPU. O(log n). */
void timer_set(struct timer_queue *q, struct timer *t, u64 when_ticks);

/* No-op if it is not set. The owner's CPU. O(log n), and a few instructions if
 * it is the only one. */
static inline void timer_clear(struct timer_queue *q, struct timer *t)
{
	if (!t->set)
		return;
	t->set = false;
	heap_remove(&q->heap, &t->node);
}

/* Fires those that are due at `now`, the first `most` of them. True: there are
 * more. The owner's CPU. */
bool timer_run(struct timer_queue *q, u64 now, u32 most);

/* When the first one is due; TIME_NEVER if none is set. */
static inline u64 timer_next_ticks(const struct timer_queue *q)
{
	return q->heap.root ? q->heap.root->key : TIME_NEVER;
}

static inline bool timer_is_set(const struct timer *t)
{
	return t->set;
}

#endif
