/*
 * credit: shares of the machine by weight, with caps.
 *
 * The knobs are those of Xen's scheduler of that name; the method is virtual
 * time. A unit's virtual time advances while it runs, by its guest's number of
 * runnable vCPUs over its guest's weight: so a guest's vCPUs share one weight,
 * and equal virtual times mean fair shares. Each CPU runs the unit that is
 * furthest behind, a slice at a time. Every tick is charged, and the number of
 * vCPUs enters as its exact integral (account.c), so there is no moment that a
 * guest could avoid.
 *
 * Between CPUs: virtual times are of one scale. A CPU that is ahead of a unit
 * that waits elsewhere asks for it, once a period (idle.c): so three equal hogs
 * on two CPUs get two thirds each. What a unit may claim when it wakes, or
 * comes from another CPU: vtime.c.
 *
 * Caps are the core's (cap.c): a turn is paid in advance, and the units of a
 * guest that can't pay are set aside until it can (vqueue.c).
 *
 * Rejected: credits handed out periodically and charged by ticks (sleeping
 * before the tick was worth 95 % of a CPU), boosting whoever wakes (with many
 * boosted, nobody is), a global queue.
 */
#include "kernel/sched/credit.h"

#include "kernel/time.h"

#include <stdio.h>

#define RATELIMIT_US 1000 /* runs this long before it is preempted */
#define LOOK_US	     7000 /* CPUs are compared this often */
#define LAG_US	     4000 /* how far behind is worth to be moved */

static void credit_cpu_init(struct sched_cpu *sc, u64 now)
{
	struct credit_cpu *cc = sc->part;

	cc->ratelimit_ticks = us_to_ticks(RATELIMIT_US);
	vtime_cpu_init(&cc->vtime);
}

static void credit_unit_init(struct sched_cpu *sc, struct sched_unit *u,
			     u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	*cu = (struct credit_unit){.unit = u, .vtime.at = cc->vtime.now};
}

static void credit_params(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_unit *cu = u->part;

	group_set(sc, cu,
		  ck_pr_load_32(&u->account->cap) ? &cu->here->group : NULL);
}

static void credit_unit_add(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_unit *cu = u->part;

	cu->here = &guest_of(u)->on[sc->cpu->index];
	credit_params(sc, u, now);
}

static void credit_unit_remove(struct sched_cpu *sc, struct sched_unit *u,
			       u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	group_set(sc, cu, NULL);
	vtime_part(&cc->vtime, &cu->vtime, !unit_may_run(u, sc->cpu->index));
}

/* One that is handed over, and keeps its place if somebody is here. Those that
 * come by hundreds at once don't: no walk for each. */
static __attribute__((noinline)) void keep_place(struct sched_cpu *sc,
						 struct credit_unit *cu)
{
	struct credit_cpu *cc = sc->part;
	const struct credit_unit *here = sc->current ?
			sc->current->part : unit_at(vqueue_first(&cc->queue));
	struct vqueue_unit *n = NULL;
	u64 from, at;

	if (!here || !vtime_keeps_place(&cu->vtime))
		return;
	from = vtime_ahead_of(&cc->vtime, here->unit->account, here->vtime.at);
	while ((n = vqueue_walk(&cc->queue, n))) {
		at = vtime_ahead_of(&cc->vtime, unit_at(n)->unit->account,
				    vqueue_key(n));
		from = vtime_later(from, at);
	}
	vtime_keep_place(&cc->vtime, &cu->vtime, cu->unit, from);
}

static void credit_enqueue(struct sched_cpu *sc, struct sched_unit *u,
			   enum sched_why why, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct vqueue_unit *next = vqueue_first(&cc->queue);
	struct credit_unit *cu = u->part;

	vtime_back(&cu->here->vtime, &cu->vtime, why == WHY_YIELD);
	if (unlikely(why == WHY_MOVED))
		keep_place(sc, cu);
	vtime_join(sc, &cc->vtime, &cu->vtime, &guest_of(u)->vtime, u, why,
		   !sc->current && !next, now);
	if (why == WHY_WOKEN)
		sched_trace(BOOST, u, cc->vtime.now - cu->vtime.at, 0);
	if (why == WHY_YIELD && next)
		cu->vtime.at = vtime_later(cu->vtime.at, vqueue_key(next) + 1);
	push(sc, cu);
	publish(sc, NULL);
}

static void credit_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	cu->vtime.waited = true;
	if (vqueue_remove(&cc->queue, &cu->node))
		sched_units_unpark(sc, 1);
	current_lend(sc);
	publish(sc, NULL);
}

/* When the current of a turn that begins now is looked at again. */
static u64 turn_end(struct credit_cpu *cc, struct credit_unit *cu, u64 ticks,
		    u64 now)
{
	u64 end = now + ticks;

	/* Alone: the core looks when CPUs are to be compared. */
	if (vqueue_first(&cc->queue))
		cc->waited_ticks = now;
	else if (!cu->node.group)
		end = TIME_NEVER;
	return MIN(end, MAX(vqueue_unpark_at(&cc->queue),
			    now + cc->ratelimit_ticks));
}

/* For some the moment has come that their guest can pay again. */
static __attribute__((noinline)) void unpark(struct sched_cpu *sc, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct vqueue_unit *first = vqueue_first(&cc->queue);
	u64 floor = vtime_floor(sc, &cc->vtime,
				first ? vqueue_key(first) : TIME_NEVER);
	u32 n;

	while ((n = vqueue_unpark(&cc->queue, now, floor))) {
		sched_trace(UNPARK, NULL, n, 0);
		sched_units_unpark(sc, n);
	}
}

static struct sched_pick credit_pick(struct sched_cpu *sc, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu;
	u64 ticks, until = 0;
	u32 n;

	if (unlikely(now >= vqueue_unpark_at(&cc->queue)))
		unpark(sc, now);
	while ((cu = unit_at(vqueue_first(&cc->queue)))) {
		ticks = ck_pr_load_64(&cu->unit->account->slice_ticks);
		if (cu->node.group)
			ticks = cap_turn_begin(&cu->cap, cu->unit->account, now,
					       &until);
		if (until) {
			sched_trace(PARK, cu->unit, until, 0);
			n = vqueue_park(&cc->queue, &cu->node, until);
			sched_units_park(sc, n);
			until = 0;
			continue;
		}
		cu->vtime.at = vqueue_key(&cu->node);
		vqueue_remove(&cc->queue, &cu->node);
		vqueue_lend(&cc->queue, &cu->node);
		turn_begin(cu, now);
		publish(sc, cu);
		until = turn_end(cc, cu, ticks, now);
		return (struct sched_pick){cu->unit, until};
	}
	until = vqueue_unpark_at(&cc->queue);
	if (until == TIME_NEVER && !cc->vtime.empty_since)
		cc->vtime.empty_since = now;
	publish(sc, NULL);
	return (struct sched_pick){NULL, until};
}

/* The turn of one that is alone begins. Returns its deadline. */
static inline u64 alone_begin(struct sched_cpu *sc, struct credit_cpu *cc,
			      struct credit_unit *cu, u64 now)
{
	cu->began_ticks = now;
	/* That nobody waits was said when the queue became empty. */
	sched_publish_now(sc, cc->vtime.now);
	return TIME_NEVER;
}

static __attribute__((noinline)) u64 resume_join(struct sched_cpu *sc,
						 struct sched_unit *u, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	vtime_join(sc, &cc->vtime, &cu->vtime, &guest_of(u)->vtime, u,
		   WHY_WOKEN, true, now);
	vtime_follow(&cc->vtime, cu->vtime.at);
	return alone_begin(sc, cc, cu, now);
}

/* As credit_enqueue and credit_pick of the only one that there is. */
static u64 credit_resume(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct sched_account *a = u->account;
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;
	struct credit_guest *cg = guest_at(a);

	if (unlikely(!is_free(cc, cu)))
		return 0;
	vtime_back(&cu->here->vtime, &cu->vtime, false);
	if (unlikely(!vtime_resume(&cc->vtime, &cu->vtime, &cg->vtime, a, now)))
		return resume_join(sc, u, now);
	return alone_begin(sc, cc, cu, now);
}

static void credit_charge(struct sched_cpu *sc, struct sched_unit *u, u64 ticks,
			  u64 active, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	vtime_charge(&cu->vtime, &guest_of(u)->vtime, u, active);
	publish(sc, cu);
	sched_trace(ACCOUNT, u, cc->vtime.now - cu->vtime.at, ticks);
	cap_turn_charge(&cu->cap, u->account, ticks);
}

static void credit_leave(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	vqueue_leave(&cc->queue, &cu->node);
	vtime_leave(&cu->here->vtime, &cu->vtime, u->account);
	cap_turn_end(&cu->cap, u->account);
}

/* Caps are looked at: the long way. */
static __attribute__((noinline)) struct sched_unit *yield_capped(
	struct sched_cpu *sc, struct sched_unit *u, u64 ticks, u64 active,
	u64 now)
{
	if (ticks)
		credit_charge(sc, u, ticks, active, now);
	return NULL;
}

/* It goes on by itself: nobody else waits. */
static __attribute__((noinline)) struct sched_unit *yield_alone(
	struct sched_cpu *sc, struct sched_unit *u, u64 ticks, u64 active,
	u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	if (ticks)
		credit_charge(sc, u, ticks, active, now);
	vtime_pass(&cu->here->vtime);
	sc->deadline_ticks = alone_begin(sc, cc, cu, now);
	return u;
}

/* Who is next takes its part of a lead, and may not be furthest behind then. */
static __attribute__((noinline)) struct sched_unit *yield_shared(
	struct sched_cpu *sc, struct credit_unit *cu, struct credit_unit *next,
	u64 at, u64 now)
{
	struct credit_cpu *cc = sc->part;

	turn_begin(next, now);
	vqueue_exchange(&cc->queue, &next->node, &cu->node, at);
	publish(sc, next);
	sc->deadline_ticks = unit_slice_end(next->unit, now);
	return next->unit;
}

/*
 * Who gives way goes right behind the first of the queue if it isn't further
 * anyway, so the first is next, and no less far behind than any that wait. What
 * is called here is called at the end: else registers would have to be kept, 18
 * instructions in each turn.
 */
static struct sched_unit *credit_yield(struct sched_cpu *sc,
				       struct sched_unit *u, u64 ticks,
				       u64 active, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part, *next;
	u64 at, first;

	if (unlikely(!is_free(cc, cu)))
		return yield_capped(sc, u, ticks, active, now);
	next = unit_at(vqueue_first_plain(&cc->queue));
	if (unlikely(!next))
		return yield_alone(sc, u, ticks, active, now);
	at = cu->vtime.at;
	if (likely(ticks))
		at = vtime_ran(&cu->vtime, &guest_of(u)->vtime, u, active);
	vtime_pass(&cu->here->vtime);
	first = next->vtime.at;
	if (unlikely((s64)(at - first) <= 0))
		at = first + 1;
	cu->vtime.at = at;
	if (unlikely(next->here->vtime.sleeper))
		return yield_shared(sc, cu, next, at, now);
	next->began_ticks = now;
	vqueue_exchange(&cc->queue, &next->node, &cu->node, at);
	vtime_follow(&cc->vtime, first);
	sched_publish_vtime(sc, cc->vtime.now, vqueue_first_key(&cc->queue));
	u = next->unit;
	sc->deadline_ticks = unit_slice_end(u, now);
	return u;
}

static u64 credit_preempt_at(struct sched_cpu *sc, struct sched_unit *woken,
			     u64 now)
{
	struct credit_unit *cur = sc->current->part, *cu = woken->part;
	struct credit_cpu *cc = sc->part;
	s64 owed = (s64)(cur->vtime.at - cu->vtime.at);
	u64 at = cur->began_ticks;

	/* Owed more than that, it doesn't let another have it first: one burst
	 * for each is all that a vCPU of short ones would get. */
	if (owed <= 0)
		at = unit_slice_end(sc->current, at);
	else if ((u64)owed <= vtime_for_ticks(woken->account,
					      cc->ratelimit_ticks))
		at += cc->ratelimit_ticks;
	return MAX(at, now);
}

static struct sched_unit *credit_give(struct sched_cpu *sc,
				      const struct sched_ask *ask, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct vqueue_unit *n = NULL, *best = NULL;
	struct sched_unit *u;

	while ((n = vqueue_walk(&cc->queue, n))) {
		if (unit_may_run(unit_at(n)->unit, ask->cpu) &&
		    (!best || (s64)(vqueue_key(n) - vqueue_key(best)) < 0))
			best = n;
	}
	if (!best)
		return NULL;
	u = unit_at(best)->unit;
	if (!ask->idle &&
	    (s64)(ask->vtime - vqueue_key(best)) <=
		    (s64)vtime_for_ticks(u->account, us_to_ticks(LAG_US)))
		return NULL;
	return u;
}

/* What a CPU was ahead or behind where nobody waited is nobody's debt. But who
 * waits here, or has until just now, is owed it. */
static void credit_rested(struct sched_cpu *sc, u64 since, u64 now)
{
	struct credit_unit *cur = sc->current ? sc->current->part : NULL;
	struct credit_cpu *cc = sc->part;
	u64 by;

	since = MAX(since, cc->waited_ticks);
	if (vqueue_first(&cc->queue) ||
	    (s64)(now - since) < (s64)cc->vtime.claim_ticks)
		return;
	by = vtime_catch_up(sc, &cc->vtime, now);
	if (!by)
		return;
	if (cur)
		cur->vtime.at += by;
	publish(sc, cur);
}

static void credit_show(const struct sched_cpu *sc, const struct sched_unit *u,
			u64 now, char *buf, size_t len)
{
	const struct credit_cpu *cc = sc->part;
	const struct credit_unit *cu = u ? u->part : NULL;
	const struct vqueue_group *g;

	if (!cu)
		return;
	g = &guest_of(u)->on[sc->cpu->index].group;
	snprintf(buf, len, "lag %ld us%s",
		 (long)vtime_lag_us(&cc->vtime, &cu->vtime),
		 ck_pr_load_32(&u->runstate) == RUNSTATE_RUNNABLE &&
				 vqueue_parked(g)
			 ? ", parked"
			 : "");
}

static const char *const credit_knobs[] = {"weight", "cap", "slice-us", NULL};

static const struct sched_ops credit_ops = {
	.name = "credit",
	.cpu_bytes = sizeof(struct credit_cpu),
	.unit_bytes = sizeof(struct credit_unit),
	.guest_bytes = sizeof(struct credit_guest),
	.guest_cpu_bytes = sizeof(struct credit_here),
	.cpu_init = credit_cpu_init,
	.unit_init = credit_unit_init,
	.unit_add = credit_unit_add,
	.unit_remove = credit_unit_remove,
	.enqueue = credit_enqueue,
	.dequeue = credit_dequeue,
	.pick = credit_pick,
	.resume = credit_resume,
	.yield = credit_yield,
	.charge = credit_charge,
	.leave = credit_leave,
	.params = credit_params,
	.preempt_at = credit_preempt_at,
	.give = credit_give,
	.show = credit_show,
	.rested = credit_rested,
	.period_us = LOOK_US,
	.lag_us = LAG_US,
	.knobs = credit_knobs,
};

SCHED_POLICY(credit_ops);
