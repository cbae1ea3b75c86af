/*
 * Units of one CPU that wait, by virtual time; guests over their cap aside.
 *
 * For policies that order by a key and keep caps (cap.c). The units of a guest
 * without a cap stand in the queue by themselves. Those of a guest with one
 * stand there as one group, which is parked as a whole while the guest can't
 * pay. Everything is O(log n), however many units a guest has, but for
 * vqueue_walk. All of it: the owner only.
 */
#ifndef ROUSE_KERNEL_SCHED_VQUEUE_H
#define ROUSE_KERNEL_SCHED_VQUEUE_H

#include <ck_pr.h>

#include "kernel/heap.h"

/* What has a place in the queue: a unit, or a group of them. */
struct vqueue_node {
	struct heap_node node;
	struct heap *units; /* a group's; NULL: a unit */
};

/* A capped guest's units on one CPU. Zeroed: empty. */
struct vqueue_group {
	struct vqueue_node at; /* the key: of the first, or when to unpark */
	struct heap units;
	u64 floor; /* no unit counts as earlier than this */
	u32 count;
	u32 parked; /* 0 or 1 */
	bool floored;
};

struct vqueue_unit {
	struct vqueue_node at;
	struct vqueue_group *group; /* or NULL; stays while it is queued */
};

/* Zeroed: empty. */
struct vqueue {
	struct vqueue_node *first; /* by virtual time; NULL: none */
	struct heap ready;	   /* those behind it */
	struct heap parked;	   /* by the moment they may run again */
};

/*
 * Queues `u` by `key`, in the group `g` or, with NULL, by itself. If the group
 * is parked it is not any longer: what was true of the guest's means may have
 * changed. The number of units that this has unparked.
 */
u32 vqueue_push(struct vqueue *q, struct vqueue_unit *u, u64 key,
		struct vqueue_group *g);

/* Out of the queue. True if it was parked. */
bool vqueue_remove(struct vqueue *q, struct vqueue_unit *u);

/* Is the group parked? Any CPU, for listings. */
static inline bool vqueue_parked(const struct vqueue_group *g)
{
	return ck_pr_load_32(&g->parked);
}

/* The first of those not parked, or NULL; it stays. */
static inline struct vqueue_unit *vqueue_first(const struct vqueue *q)
{
	struct vqueue_node *at = q->first;

	if (at && unlikely(at->units))
		return container_of(at->units->root, struct vqueue_unit,
				    at.node);
	return at ? container_of(at, struct vqueue_unit, at) : NULL;
}

/* Is nobody parked, and the first (if there is one) in no group? */
static inline bool vqueue_is_plain(const struct vqueue *q)
{
	return !q->parked.root && !(q->first && q->first->units);
}

/* The first where that is so. */
static inline struct vqueue_unit *vqueue_first_plain(const struct vqueue *q)
{
	return q->first ? container_of(q->first, struct vqueue_unit, at) : NULL;
}

/* Its key, or its group's, which is that of the group's first; there is one. */
static inline u64 vqueue_first_key(const struct vqueue *q)
{
	return q->first->node.key;
}

/* `u`, which is in no group, is queued by `key`, and the first leaves: the one
 * of before, which is in no group either, and whose key is not above that
 * one. */
static inline void vqueue_exchange(struct vqueue *q, struct vqueue_unit *u,
				   u64 key)
{
	struct heap_node *next = q->ready.root;

	u->at.node.key = key;
	if (!next || (s64)(key - next->key) < 0) {
		q->first = &u->at;
		return;
	}
	q->first = container_of(next, struct vqueue_node, node);
	heap_exchange(&q->ready, &u->at.node);
}

/* Its key, at least its group's floor. */
u64 vqueue_key(const struct vqueue_unit *u);

/* The group of `u`, which is in the queue and not parked, can't run before
 * `until`. The number of units this parks. */
u32 vqueue_park(struct vqueue *q, struct vqueue_unit *u, u64 until);
/* Takes back one group whose moment has come: none of it counts as earlier than
 * `floor`. The number of units; 0: there is no such group. */
u32 vqueue_unpark(struct vqueue *q, u64 now, u64 floor);

/* When that will be, of the first of those parked; TIME_NEVER: none is. */
static inline u64 vqueue_unpark_at(const struct vqueue *q)
{
	return q->parked.root ? q->parked.root->key : TIME_NEVER;
}

/* All that are not parked are later by so much from now on. O(n). */
void vqueue_shift(struct vqueue *q, u64 by);

/* For a walk over all units that are not parked, in no order; NULL begins and
 * ends it. The queue must not change meanwhile. */
struct vqueue_unit *vqueue_walk(const struct vqueue *q, struct vqueue_unit *u);

#endif
