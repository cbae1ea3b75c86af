/*
 * What credit keeps of a CPU, of a guest and of a unit, and the steps that its
 * ops (credit.c) are made of. The CPU's owner only, but for struct
 * credit_guest.
 *
 * A unit whose guest has a cap stands in its guest's group on that CPU. Whether
 * it has one is what the CPU was told last (sched_ops.params), not what the
 * knob says at the moment: so a CPU with nobody in a group has nothing to look
 * at.
 */
#ifndef ROUSE_KERNEL_SCHED_CREDIT_H
#define ROUSE_KERNEL_SCHED_CREDIT_H

#include "kernel/sched/cap.h"
#include "kernel/sched/policy.h"
#include "kernel/sched/vqueue.h"
#include "kernel/sched/vtime.h"

struct credit_cpu {
	struct vqueue queue;
	struct vtime_cpu vtime;
	u64 waited_ticks; /* when a turn began last while another waited */
	u64 capped; /* how many of its units are in a group */

	u64 ratelimit_ticks; /* constant: RATELIMIT_US */
};

struct credit_here {
	struct vqueue_group group;
	struct vtime_here vtime;
};

struct credit_unit {
	struct vqueue_unit node;
	struct sched_unit *unit;
	struct credit_here *here; /* of its guest, on its CPU */
	struct vtime_unit vtime;
	u64 began_ticks; /* of its turn */
	struct cap_turn cap;
};

struct credit_guest {
	struct vtime_guest vtime;
	struct credit_here on[]; /* each CPU its own */
};

static inline struct credit_guest *guest_at(struct sched_account *a)
{
	return (struct credit_guest *)a->part;
}

static inline struct credit_guest *guest_of(const struct sched_unit *u)
{
	return guest_at(u->account);
}

static inline struct credit_unit *unit_at(struct vqueue_unit *n)
{
	return n ? container_of(n, struct credit_unit, node) : NULL;
}

/* Tells the others; the CPU's time follows who is furthest behind: of `cur`,
 * which runs, or NULL, and those queued. */
static inline void publish(struct sched_cpu *sc, struct credit_unit *cur)
{
	struct credit_cpu *cc = sc->part;
	struct vqueue_unit *next = vqueue_first(&cc->queue);
	u64 wait = next ? vqueue_key(next) : TIME_NEVER;

	if (cur && next)
		vtime_follow(&cc->vtime, vtime_earlier(cur->vtime.at, wait));
	else if (cur)
		vtime_follow(&cc->vtime, cur->vtime.at);
	sched_publish_vtime(sc, sc->current || cur ? cc->vtime.now : TIME_NEVER,
			    wait);
}

/* For credit_yield, once the queue has changed. */
static inline void current_lend(struct sched_cpu *sc)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cur;

	if (!sc->current)
		return;
	cur = sc->current->part;
	vqueue_lend(&cc->queue, &cur->node);
}

static inline void push(struct sched_cpu *sc, struct credit_unit *cu)
{
	struct credit_cpu *cc = sc->part;

	sched_units_unpark(sc, vqueue_push(&cc->queue, &cu->node, cu->vtime.at,
					   cu->node.group));
	current_lend(sc);
}

/* Has neither it to do with caps nor who is next, or may be? */
static inline bool is_free(const struct credit_cpu *cc,
			   const struct credit_unit *cu)
{
	return likely(!cc->capped) ||
	       (!cu->node.group && vqueue_is_plain(&cc->queue));
}

/* In its guest's group on this CPU, or in none. It isn't queued. */
static inline void group_set(struct sched_cpu *sc, struct credit_unit *cu,
			     struct vqueue_group *g)
{
	struct credit_cpu *cc = sc->part;

	cc->capped += (g != NULL) - (u64)(cu->node.group != NULL);
	cu->node.group = g;
	if (!g)
		cu->cap.capped = false;
}

/* The turn of one that has waited begins. */
static inline void turn_begin(struct credit_unit *cu, u64 now)
{
	vtime_share(&cu->here->vtime, &cu->vtime);
	cu->began_ticks = now;
}

#endif
