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
 * Invariants: a group is ready or parked if it has units, else neither; while
 * it is ready its key is that of its first unit.
 *
 * Rejected: groups for all guests (a second heap in the way of each wake-up);
 * booking a turn in the future for each unit that waits (whoever then blocks
 * early leaves a hole that its guest doesn't get back); the first of those that
 * are ready in front of the heap (a comparison and a store more in each turn
 * where more than one waits).
 */
#include "kernel/sched/vqueue.h"

static struct vqueue_unit *unit_at(struct heap_node *n)
{
	return container_of(n, struct vqueue_unit, at.node);
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
	heap_push(&q->ready, &g->at.node);
}

static void group_take(struct vqueue *q, struct vqueue_group *g)
{
	heap_remove(g->parked ? &q->parked : &q->ready, &g->at.node);
}

u32 vqueue_push(struct vqueue *q, struct vqueue_unit *u, u64 key,
		struct vqueue_group *g)
{
	u32 unparked = 0;

	u->group = g;
	u->at.units = NULL;
	u->at.node.key = key;
	if (!g) {
		heap_push(&q->ready, &u->at.node);
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
		heap_remove(&q->ready, &u->at.node);
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
	struct heap_node *n = q->ready.root;

	if (u && u->group) {
		n = heap_walk(&u->group->units, &u->at.node);
		if (n)
			return unit_at(n);
		n = heap_walk(&q->ready, &u->group->at.node);
	} else if (u) {
		n = heap_walk(&q->ready, &u->at.node);
	}
	return n ? vqueue_unit_of(n) : NULL;
}
