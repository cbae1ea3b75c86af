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
	struct heap ready;  /* by virtual time */
	struct heap parked; /* by the moment they may run again */
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

/* Whom a node of `ready` stands for: of a group, its first. */
static inline struct vqueue_unit *vqueue_unit_of(struct heap_node *n)
{
	struct vqueue_node *at = container_of(n, struct vqueue_node, node);

	if (unlikely(at->units))
		at = container_of(at->units->root, struct vqueue_node, node);
	return container_of(at, struct vqueue_unit, at);
}

/* The first of those not parked, or NULL; it stays. */
static inline struct vqueue_unit *vqueue_first(const struct vqueue *q)
{
	return q->ready.root ? vqueue_unit_of(q->ready.root) : NULL;
}

/* Is nobody parked, and the first (if there is one) in no group? */
static inline bool vqueue_is_plain(const struct vqueue *q)
{
	struct vqueue_unit *first = vqueue_first(q);

	return !q->parked.root && !(first && first->group);
}

/* The first where that is so. */
static inline struct vqueue_unit *vqueue_first_plain(const struct vqueue *q)
{
	return q->ready.root ? container_of(q->ready.root, struct vqueue_unit,
					    at.node)
			     : NULL;
}

/* Its key, or its group's, which is that of the group's first; there is one. */
static inline u64 vqueue_first_key(const struct vqueue *q)
{
	return q->ready.root->key;
}

/* `u`, which isn't queued, is to come by vqueue_exchange: to be called again
 * whenever another has been queued; or removed, since its group may have been
 * so, too, for a moment. */
static inline void vqueue_lend(struct vqueue *q, struct vqueue_unit *u)
{
	heap_lend(&q->ready, &u->at.node);
}

/* It won't, and has again what it has lent. */
static inline void vqueue_leave(struct vqueue *q, struct vqueue_unit *u)
{
	heap_give_back(&q->ready, &u->at.node);
}

/* `u`, which is in no group, is queued by `key`, and `first` leaves: the first
 * of before, which is in no group either, and whose key is not above that one.
 * It is the next that comes so, or vqueue_leave says that it isn't. */
static inline void vqueue_exchange(struct vqueue *q, struct vqueue_unit *first,
				   struct vqueue_unit *u, u64 key)
{
	u->at.node.key = key;
	heap_exchange(&q->ready, &first->at.node, &u->at.node);
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

/* For a walk over all units that are not parked, in no order; NULL begins and
 * ends it. The queue must not change meanwhile. */
struct vqueue_unit *vqueue_walk(const struct vqueue *q, struct vqueue_unit *u);

#endif
