/*
 * rr: round robin. Each vCPU runs for its guest's slice, then goes to the end
 * of the queue; a woken one goes to the end as well.
 *
 * The queue is a doubly linked ring, so that everything is O(1). With nobody
 * waiting there is no deadline, and no timer is set. A wake goes to an idle CPU
 * if its own is busy: the core's way.
 *
 * A turn may end late: an exit takes its time, and so does what the current has
 * to put back before another runs. That much is taken from its next slice, up
 * to half of it, so that who has long exits has no more than the others.
 *
 * A vCPU that blocks or yields before its slice is over starts a whole one
 * next time: equal slices, not equal shares. Who wants shares takes credit.
 */
#include "kernel/sched/policy.h"

#include "kernel/sched/queue.h"
#include "kernel/time.h"

#include <stdio.h>

struct rr_cpu {
	struct queue_link queue;
	u64 deadline; /* of the current's slice, if anyone waits for it */
};

struct rr_unit {
	struct queue_link link;
	struct sched_unit *unit;
	u64 over_ticks; /* its last slice was over so long before its turn */
};

static struct sched_unit *unit_of(struct queue_link *l)
{
	return container_of(l, struct rr_unit, link)->unit;
}

static void rr_cpu_init(struct sched_cpu *sc, u64 now)
{
	struct rr_cpu *rc = sc->part;

	queue_init(&rc->queue);
}

static void rr_unit_init(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct rr_unit *ru = u->part;

	ru->unit = u;
}

static void rr_enqueue(struct sched_cpu *sc, struct sched_unit *u,
		       enum sched_why why, u64 now)
{
	struct rr_cpu *rc = sc->part;
	struct rr_unit *ru = u->part;

	if (why == WHY_EXPIRED && now > rc->deadline)
		ru->over_ticks = MIN(now - rc->deadline,
				     ck_pr_load_64(&u->account->slice_ticks) /
					     2);
	queue_push_last(&rc->queue, &ru->link);
}

static void rr_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct rr_unit *ru = u->part;

	queue_remove(&ru->link);
}

/* Of the turn that begins, of the one that was first. */
static inline u64 slice_end(struct queue_link *first, u64 now)
{
	struct rr_unit *ru = container_of(first, struct rr_unit, link);
	u64 over = ru->over_ticks;

	ru->over_ticks = 0;
	return unit_slice_end(ru->unit, now) - over;
}

static struct sched_pick rr_pick(struct sched_cpu *sc, u64 now)
{
	struct rr_cpu *rc = sc->part;
	struct queue_link *first = queue_pop_first(&rc->queue);
	struct sched_unit *u;

	if (!first)
		return (struct sched_pick){ NULL, TIME_NEVER };
	u = unit_of(first);
	rc->deadline = slice_end(first, now);
	if (queue_empty(&rc->queue))
		return (struct sched_pick){ u, TIME_NEVER };
	return (struct sched_pick){ u, rc->deadline };
}

static u64 rr_resume(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct rr_cpu *rc = sc->part;

	rc->deadline = unit_slice_end(u, now);
	return TIME_NEVER;
}

static struct sched_unit *rr_yield(struct sched_cpu *sc, struct sched_unit *u,
				   u64 ticks, u64 active, u64 now)
{
	struct rr_cpu *rc = sc->part;
	struct queue_link *first = queue_pop_first(&rc->queue);
	struct rr_unit *ru = u->part;
	u64 end;

	if (unlikely(!first)) {
		rc->deadline = unit_slice_end(u, now);
		sc->deadline_ticks = TIME_NEVER;
		return u;
	}
	queue_push_last(&rc->queue, &ru->link);
	u = unit_of(first);
	end = slice_end(first, now);
	rc->deadline = end;
	sc->deadline_ticks = end;
	return u;
}

/* Nobody gives way; but who was alone has a deadline from now on. */
static u64 rr_preempt_at(struct sched_cpu *sc, struct sched_unit *woken,
			 u64 now)
{
	struct rr_cpu *rc = sc->part;

	if (rc->deadline <= now)
		rc->deadline = unit_slice_end(sc->current, now);
	return rc->deadline;
}

static void rr_prolong(struct sched_cpu *sc, u64 ticks)
{
	struct rr_cpu *rc = sc->part;

	rc->deadline += ticks;
	if (sc->deadline_ticks != TIME_NEVER)
		sc->deadline_ticks += ticks;
}

static struct sched_unit *rr_give(struct sched_cpu *sc,
				  const struct sched_ask *ask, u64 now)
{
	struct rr_cpu *rc = sc->part;

	queue_for_each(l, &rc->queue) {
		if (unit_may_run(unit_of(l), ask->cpu))
			return unit_of(l);
	}
	return NULL;
}

static void rr_show(const struct sched_cpu *sc, const struct sched_unit *u,
		    u64 now, char *buf, size_t len)
{
	const struct rr_cpu *rc = sc->part;
	u64 end = ck_pr_load_64(&rc->deadline);
	const struct sched_unit *cur = ck_pr_load_ptr(&sc->current);

	/* Past: it goes on for want of others. */
	if (cur && (!u || u == cur))
		snprintf(buf, len, "%lu us of the slice left",
			 (unsigned long)(end > now ?
						 ticks_to_ns(end - now) / 1000 :
						 0));
}

static const char *const rr_knobs[] = { "slice-us", NULL };

static const struct sched_ops rr_ops = {
	.name = "rr",
	.cpu_bytes = sizeof(struct rr_cpu),
	.unit_bytes = sizeof(struct rr_unit),
	.cpu_init = rr_cpu_init,
	.unit_init = rr_unit_init,
	.enqueue = rr_enqueue,
	.dequeue = rr_dequeue,
	.pick = rr_pick,
	.resume = rr_resume,
	.yield = rr_yield,
	.preempt_at = rr_preempt_at,
	.prolong = rr_prolong,
	.give = rr_give,
	.show = rr_show,
	.knobs = rr_knobs,
};

SCHED_POLICY(rr_ops);
