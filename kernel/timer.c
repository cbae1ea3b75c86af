/*
 * A CPU's timers in order of their deadlines.
 *
 * Every blocked vCPU may have one set, so thousands must be cheap, and most are
 * cleared before they fire (heap.c).
 *
 * Deadlines beyond 2^63 ticks are as good as never, and are not queued: so the
 * heap's signed comparison holds for any mix of deadlines that a guest makes.
 */
#include "kernel/timer.h"

void timer_init(struct timer *t, void (*fire)(struct timer *t, u64 now))
{
	*t = (struct timer){.fire = fire};
}

void timer_set(struct timer_queue *q, struct timer *t, u64 when_ticks)
{
	timer_clear(q, t);
	if (when_ticks > INT64_MAX)
		return;
	t->set = true;
	t->node.key = when_ticks;
	heap_push(&q->heap, &t->node);
}

bool timer_run(struct timer_queue *q, u64 now, u32 most)
{
	struct heap_node *n;

	for (; (n = q->heap.root) && n->key <= now; most--) {
		struct timer *t = container_of(n, struct timer, node);

		if (unlikely(!most))
			return true;
		timer_clear(q, t);
		t->fire(t, now);
	}
	return false;
}
