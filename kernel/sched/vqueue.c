/*
 * A queue in two levels, for those who need the second one.
 *
 * A guest over its cap may have thousands of units in a CPU's queue, and they
 * come to its top one after another. Parked one by one they'd cost one pick
 * O(n log n), at each slice that the guest can pay for. So a capped guest's
 * units are a heap of their own, and what stands in the queue is its root: one
 * node to park, one to take back.
 *
 * What the cap denied them is not owed to them: when a group comes back none of
 * its units may count as further behind than the caller says. That is one word
 * of the group, the floor, and a unit's key is the later of its own and the
 * floor, found when it's looked at.
 *
 * The first of those that are ready stands in front of the heap of the others:
 * where two vCPUs take turns the heap is empty, and what they cost each other
 * doesn't depend on it.
 *
 * Invariants: a group is ready or parked if it has units, else neither; while
 * it is ready its key is that of its first unit. No key in `ready` is before
 * the first's, and `ready` is empty if there is no first.
 *
 * Rejected: groups for all guests (a second heap in the way of each wake-up);
 * booking a turn in the future for each unit that waits (whoever then blocks
 * early leaves a hole that its guest doesn't get back).
 */
#include "kernel/sched/vqueue.h"

static struct vqueue_unit *unit_at(struct heap_node *n)
{
	return container_of(n, struct vqueue_unit, at.node);
}

static struct vqueue_node *node_at(struct heap_node *n)
{
	return container_of(n, struct vqueue_node, node);
}

static void ready_push(struct vqueue *q, struct vqueue_node *n)
{
	struct vqueue_node *first = q->first;

	if (!first || (s64)(n->node.key - first->node.key) < 0) {
		q->first = n;
		n = first;
	}
	if (n)
		heap_push(&q->ready, &n->node);
}

static void ready_remove(struct vqueue *q, struct vqueue_node *n)
{
	struct heap_node *next = q->ready.root;

	if (n != q->first) {
		heap_remove(&q->ready, &n->node);
		return;
	}
	if (next)
		heap_remove(&q->ready, next);
	q->first = next ? node_at(next) : NULL;
}

static u64 floored(const struct vqueue_group *g, u64 key)
{
	if (g && g->floored && (s64)(key - g->floor) < 0)
		return g->floor;
	return key;
}

u64 vqueue_key(const struct vqueue_unit *u)
{
	return floored(u->group, u->at.node.key);
}

static void group_push(struct vqueue *q, struct vqueue_group *g)
{
	g->at.node.key = floored(g, g->units.root->key);
	ready_push(q, &g->at);
}

static void group_take(struct vqueue *q, struct vqueue_group *g)
{
	if (g->parked)
		heap_remove(&q->parked, &g->at.node);
	else
		ready_remove(q, &g->at);
}

u32 vqueue_push(struct vqueue *q, struct vqueue_unit *u, u64 key,
		struct vqueue_group *g)
{
	u32 unparked = 0;

	u->group = g;
	u->at.units = NULL;
	u->at.node.key = key;
	if (!g) {
		ready_push(q, &u->at);
		return 0;
	}
	if (g->count)
		group_take(q, g);
	if (g->parked) {
		ck_pr_store_32(&g->parked, 0);
		unparked = g->count;
	}
	g->at.units = &g->units;
	heap_push(&g->units, &u->at.node);
	g->count++;
	group_push(q, g);
	return unparked;
}

bool vqueue_remove(struct vqueue *q, struct vqueue_unit *u)
{
	struct vqueue_group *g = u->group;
	bool parked;

	if (!g) {
		ready_remove(q, &u->at);
		return false;
	}
	parked = g->parked;
	/* A parked group's key is a moment, whoever is in it. */
	if (!parked || g->count == 1)
		group_take(q, g);
	heap_remove(&g->units, &u->at.node);
	g->count--;
	if (!g->count) {
		ck_pr_store_32(&g->parked, 0);
		g->floored = false;
	} else if (!parked) {
		group_push(q, g);
	}
	return parked;
}

u32 vqueue_park(struct vqueue *q, struct vqueue_unit *u, u64 until)
{
	struct vqueue_group *g = u->group;

	group_take(q, g);
	ck_pr_store_32(&g->parked, 1);
	g->at.node.key = until;
	heap_push(&q->parked, &g->at.node);
	return g->count;
}

u32 vqueue_unpark(struct vqueue *q, u64 now, u64 floor)
{
	struct heap_node *n = q->parked.root;
	struct vqueue_group *g;

	if (!n || n->key > now)
		return 0;
	g = container_of(n, struct vqueue_group, at.node);
	group_take(q, g);
	ck_pr_store_32(&g->parked, 0);
	g->floored = true;
	g->floor = floor;
	group_push(q, g);
	return g->count;
}

struct vqueue_unit *vqueue_walk(const struct vqueue *q, struct vqueue_unit *u)
{
	struct vqueue_node *at = u ? &u->at : NULL;
	struct heap_node *n;

	if (u && u->group) {
		n = heap_walk(&u->group->units, &at->node);
		if (n)
			return unit_at(n);
		at = &u->group->at;
	}
	if (!at) {
		at = q->first;
	} else {
		n = at == q->first ? q->ready.root
				   : heap_walk(&q->ready, &at->node);
		at = n ? node_at(n) : NULL;
	}
	if (!at)
		return NULL;
	return unit_at(at->units ? at->units->root : &at->node);
}

static void group_shift(struct vqueue_group *g, u64 by)
{
	g->floor += by;
	for (struct heap_node *n = g->units.root; n;
	     n = heap_walk(&g->units, n))
		n->key += by;
}

void vqueue_shift(struct vqueue *q, u64 by)
{
	struct vqueue_node *at = q->first;
	struct heap_node *n = q->ready.root;

	while (at) {
		at->node.key += by;
		if (at->units)
			group_shift(container_of(at, struct vqueue_group, at),
				    by);
		at = n ? node_at(n) : NULL;
		n = n ? heap_walk(&q->ready, n) : NULL;
	}
}
