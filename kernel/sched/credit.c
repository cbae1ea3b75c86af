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
 * on two CPUs get two thirds each. Where affinity or a vCPU that fills a CPU by
 * itself keeps CPUs from sharing, their times drift apart, which is as it must
 * be; a unit that moves is then brought to within CLAIM_US of the time there.
 *
 * Sleepers: a unit that wakes is behind those that ran, and so is preferred,
 * but never by more than CLAIM_US of its own running: it can't save up. Nor can
 * a guest with many vCPUs: a waking unit starts no earlier than the furthest of
 * its guest's units (at most a slice after the CPU's time), so what one vCPU
 * has used counts against the others. A CPU's time never goes back, so a unit
 * that is woken on an empty CPU gets no head start against later ones.
 *
 * Caps are the core's (cap.c): a turn is paid in advance, and a unit whose
 * guest can't pay is parked until it can.
 *
 * Rejected: credits handed out periodically and charged by ticks (sleeping
 * before the tick was worth 95 % of a CPU), boosting whoever wakes (with many
 * boosted, nobody is), a global queue.
 */
#include "kernel/heap.h"
#include "kernel/sched/policy.h"
#include "kernel/time.h"

#define RATELIMIT_US 1000 /* runs this long before it is preempted */
#define PERIOD_US 10000   /* caps, and comparing with other CPUs */
#define LAG_US 4000       /* how far behind is worth to be moved */
#define CLAIM_US 40000    /* the most that a unit can be owed, or owe */

struct credit_cpu {
	struct heap queue;  /* by virtual time */
	struct heap parked; /* by the moment they may run again */
	u64 vtime;          /* goes back only while nobody is here */
	u64 empty_since;    /* ticks when that began; 0: somebody is here */
};

struct credit_unit {
	struct heap_node node; /* the key is vtime, or when to unpark */
	struct sched_unit *unit;
	u64 vtime;
	u64 began_ticks;   /* of its turn */
	u64 granted_ticks; /* paid in advance to the cap, not yet used */
	bool parked;
};

struct credit_guest {
	u64 vtime; /* any CPU, atomic: the furthest of its units; 0: none */
};

static struct credit_unit *node_unit(struct heap_node *n)
{
	return container_of(n, struct credit_unit, node);
}

static struct credit_guest *guest_of(const struct sched_unit *u)
{
	return (struct credit_guest *)u->account->part;
}

/* How fast the unit's virtual time goes now: per tick, and for `us`. */
static u64 vtime_for(const struct sched_unit *u, u64 active_ticks)
{
	u32 weight = ck_pr_load_32(&u->account->weight);

	return active_ticks * (256 * VTIME_PER_TICK) / (weight ? weight : 1);
}

static u64 vtime_for_us(const struct sched_unit *u, u64 us)
{
	u32 n = account_runnable(u->account);

	return vtime_for(u, us_to_ticks(us) * (n ? n : 1));
}

static u64 later(u64 a, u64 b)
{
	return (s64)(a - b) > 0 ? a : b;
}

static u64 earlier(u64 a, u64 b)
{
	return (s64)(a - b) < 0 ? a : b;
}

static void publish(struct sched_cpu *sc, bool runs)
{
	struct credit_cpu *cc = sc->part;

	sched_publish_vtime(sc, runs ? cc->vtime : TIME_NEVER,
			    cc->queue.root ? cc->queue.root->key : TIME_NEVER);
}

/* The CPU's time follows the unit that is furthest behind. */
static void vtime_advance(struct credit_cpu *cc, struct credit_unit *cur)
{
	u64 least;

	if (cur && cc->queue.root)
		least = earlier(cur->vtime, cc->queue.root->key);
	else if (cur)
		least = cur->vtime;
	else if (cc->queue.root)
		least = cc->queue.root->key;
	else
		return;
	cc->vtime = later(cc->vtime, least);
}

static void credit_leave(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_unit *cu = u->part;

	account_cap_return(u->account, cu->granted_ticks);
	cu->granted_ticks = 0;
}

/* How long the unit may run now; 0: parked. */
static u64 grant(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;
	u32 cap = ck_pr_load_32(&u->account->cap);
	u64 slice = ck_pr_load_64(&u->account->slice_ticks), until;

	if (!cap)
		return slice;
	/* As much as its cap is worth in a period. */
	slice = MAX(1, MIN(slice, us_to_ticks(PERIOD_US * (u64)cap / 100)));
	until = account_cap_take(u->account, slice, now);
	if (!until) {
		cu->granted_ticks = slice;
		return slice;
	}
	cu->parked = true;
	cu->node.key = until;
	heap_push(&cc->parked, &cu->node);
	sched_unit_park(sc);
	return 0;
}

static void unpark(struct sched_cpu *sc, struct credit_unit *cu)
{
	struct credit_cpu *cc = sc->part;

	heap_remove(&cc->parked, &cu->node);
	cu->parked = false;
	sched_unit_unpark(sc);
}

/* ---- The queue ---- */

static void push(struct credit_cpu *cc, struct credit_unit *cu)
{
	cu->node.key = cu->vtime;
	heap_push(&cc->queue, &cu->node);
}

static void credit_unit_init(struct sched_cpu *sc, struct sched_unit *u,
			     u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	*cu = (struct credit_unit){ .unit = u, .vtime = cc->vtime };
}

/* Not behind by more than it can claim, nor ahead by more than it can owe. */
static void bound(struct credit_cpu *cc, struct credit_unit *cu)
{
	u64 claim = vtime_for_us(cu->unit, CLAIM_US);

	cu->vtime = later(cu->vtime, cc->vtime - claim);
	cu->vtime = earlier(cu->vtime, cc->vtime + claim);
}

/* It was asleep: what its guest's other vCPUs used meanwhile counts. */
static void bound_by_guest(struct credit_cpu *cc, struct credit_unit *cu)
{
	u64 used = ck_pr_load_64(&guest_of(cu->unit)->vtime);
	u64 slice = ck_pr_load_32(&cu->unit->account->slice_us);

	if (!used)
		return;
	used = earlier(used, cc->vtime + vtime_for_us(cu->unit, slice));
	cu->vtime = later(cu->vtime, used);
}

/* Nobody has been here for long: whose time should count here now? */
static void rejoin(struct sched_cpu *sc, u64 now)
{
	struct credit_cpu *cc = sc->part;
	u64 least = TIME_NEVER;

	if (!cc->empty_since ||
	    now - cc->empty_since < us_to_ticks(CLAIM_US))
		return;
	for (u32 i = 0; i < cpu_count(); i++) {
		u64 vtime = ck_pr_load_64(&cpu_by_index(i)->vtime);

		if (i == sc->cpu->index || vtime == TIME_NEVER)
			continue;
		least = least == TIME_NEVER ? vtime : earlier(least, vtime);
	}
	if (least != TIME_NEVER)
		cc->vtime = least;
}

static void credit_enqueue(struct sched_cpu *sc, struct sched_unit *u,
			   enum sched_why why, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;
	bool empty = !sc->current && !cc->queue.root;

	switch (why) {
	case WHY_WOKEN:
	case WHY_NEW:
		if (empty) {
			cc->vtime = later(cc->vtime, cu->vtime);
			rejoin(sc, now);
		}
		bound(cc, cu);
		bound_by_guest(cc, cu);
		break;
	case WHY_MOVED:
		/* On an empty CPU nobody is harmed, and its place among the
		 * other CPUs' units is kept. */
		if (empty)
			cc->vtime = cu->vtime;
		bound(cc, cu);
		break;
	case WHY_YIELD:
		if (cc->queue.root)
			cu->vtime = later(cu->vtime, cc->queue.root->key + 1);
		break;
	default:
		break;
	}
	cc->empty_since = 0;
	push(cc, cu);
	publish(sc, sc->current != NULL);
}

static void credit_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	if (cu->parked)
		unpark(sc, cu);
	else
		heap_remove(&cc->queue, &cu->node);
	publish(sc, sc->current != NULL);
}

/* When the current of a turn that begins now is looked at again. */
static u64 turn_end(struct credit_cpu *cc, struct sched_unit *u, u64 ticks,
		    u64 now)
{
	u64 end = now + ticks;
	bool capped = ck_pr_load_32(&u->account->cap);

	if (!cc->queue.root && !capped) {
		/* Alone: only to compare with other CPUs, if any. */
		end = cpu_count() > 1 ? now + us_to_ticks(PERIOD_US) :
					TIME_NEVER;
	}
	if (cc->parked.root)
		end = MIN(end, MAX(cc->parked.root->key,
				   now + us_to_ticks(RATELIMIT_US)));
	return end;
}

static struct sched_pick credit_pick(struct sched_cpu *sc, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu;
	struct heap_node *n;
	u64 ticks;

	while ((n = cc->parked.root) && n->key <= now) {
		cu = node_unit(n);
		unpark(sc, cu);
		/* What its cap has denied it, it is not owed. */
		bound(cc, cu);
		push(cc, cu);
	}
	while ((n = cc->queue.root)) {
		cu = node_unit(n);
		heap_remove(&cc->queue, n);
		ticks = grant(sc, cu->unit, now);
		if (!ticks)
			continue;
		cu->began_ticks = now;
		vtime_advance(cc, cu);
		publish(sc, true);
		return (struct sched_pick){
			cu->unit, turn_end(cc, cu->unit, ticks, now)
		};
	}
	if (!cc->parked.root && !cc->empty_since)
		cc->empty_since = now;
	publish(sc, false);
	return (struct sched_pick){
		NULL, cc->parked.root ? cc->parked.root->key : TIME_NEVER
	};
}

static void guest_advance(struct credit_guest *cg, u64 vtime)
{
	u64 old;

	do {
		old = ck_pr_load_64(&cg->vtime);
		if (old && (s64)(vtime - old) <= 0)
			return;
	} while (!ck_pr_cas_64(&cg->vtime, old, vtime ? vtime : 1));
}

static void credit_charge(struct sched_cpu *sc, struct sched_unit *u,
			  u64 ticks, u64 active, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *cu = u->part;

	cu->vtime += vtime_for(u, active);
	guest_advance(guest_of(u), cu->vtime);
	vtime_advance(cc, cu);
	publish(sc, true);
	/* Longer than was paid for: the exit came late. */
	if (ticks > cu->granted_ticks) {
		account_cap_charge(u->account, ticks - cu->granted_ticks);
		cu->granted_ticks = 0;
	} else {
		cu->granted_ticks -= ticks;
	}
}

static u64 credit_preempt_at(struct sched_cpu *sc, struct sched_unit *woken,
			     u64 now)
{
	struct credit_unit *cur = sc->current->part, *cu = woken->part;
	u64 at;

	if ((s64)(cu->vtime - cur->vtime) < 0)
		at = cur->began_ticks + us_to_ticks(RATELIMIT_US);
	else
		at = cur->began_ticks +
		     ck_pr_load_64(&sc->current->account->slice_ticks);
	return MAX(at, now);
}

static struct sched_unit *credit_give(struct sched_cpu *sc,
				      const struct sched_ask *ask, u64 now)
{
	struct credit_cpu *cc = sc->part;
	struct credit_unit *best = NULL;

	for (struct heap_node *n = cc->queue.root; n;
	     n = heap_walk(&cc->queue, n)) {
		struct credit_unit *cu = node_unit(n);

		if ((!best || (s64)(cu->vtime - best->vtime) < 0) &&
		    unit_may_run(cu->unit, ask->cpu))
			best = cu;
	}
	if (!best)
		return NULL;
	if (!ask->idle && (s64)(ask->vtime - best->vtime) <=
				  (s64)vtime_for_us(best->unit, LAG_US))
		return NULL;
	return best->unit;
}

static const char *const credit_knobs[] = { "weight", "cap", "slice-us", NULL };

static const struct sched_ops credit_ops = {
	.name = "credit",
	.cpu_bytes = sizeof(struct credit_cpu),
	.unit_bytes = sizeof(struct credit_unit),
	.guest_bytes = sizeof(struct credit_guest),
	.unit_init = credit_unit_init,
	.enqueue = credit_enqueue,
	.dequeue = credit_dequeue,
	.pick = credit_pick,
	.charge = credit_charge,
	.leave = credit_leave,
	.preempt_at = credit_preempt_at,
	.give = credit_give,
	.period_us = PERIOD_US,
	.lag_us = LAG_US,
	.knobs = credit_knobs,
};

SCHED_POLICY(credit_ops);
