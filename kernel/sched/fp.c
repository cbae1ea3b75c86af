/*
 * fp: fixed priorities, strict on each CPU, round robin within a level.
 *
 * 256 levels, a ring of units each, and a bit map of the levels that are not
 * empty: the highest is known, and when it empties the next is found in four
 * words, so everything is O(1). A unit that is preempted comes back to the head
 * of its level with what is left of its slice; one whose slice is over goes to
 * the end with a new one.
 *
 * A wake goes to an idle CPU if there is one, else to the CPU that runs the
 * lowest level of those the vCPU may use (each CPU publishes what it runs). So
 * the most important vCPUs run, as far as affinity allows, without a queue that
 * CPUs share.
 */
#include "kernel/sched/policy.h"

#include "kernel/sched/queue.h"

#include <stdio.h>

#define LEVELS 256

struct fp_cpu {
	u64 slice_end; /* of the current */
	s32 top;       /* the highest level that is not empty; -1: none */
	u64 bits[LEVELS / 64]; /* levels that are not empty */
	struct queue_link level[LEVELS];
};

struct fp_unit {
	struct queue_link link;
	struct sched_unit *unit;
	struct queue_link *ring; /* of its level */
	u64 left_ticks;		 /* of its slice; 0: a new one, or it runs */
	u32 level;
};

static struct sched_unit *unit_of(struct queue_link *l)
{
	return container_of(l, struct fp_unit, link)->unit;
}

static u32 level_of(const struct sched_unit *u)
{
	return MIN(ck_pr_load_32(&u->account->priority), LEVELS - 1);
}

static void level_set(struct fp_cpu *fc, struct fp_unit *fu)
{
	fu->level = level_of(fu->unit);
	fu->ring = &fc->level[fu->level];
}

static void fp_cpu_init(struct sched_cpu *sc, u64 now)
{
	struct fp_cpu *fc = sc->part;

	fc->top = -1;
	for (u32 i = 0; i < LEVELS; i++)
		queue_init(&fc->level[i]);
}

static void fp_unit_init(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct fp_unit *fu = u->part;

	fu->unit = u;
	fu->left_ticks = 0;
}

static void fp_enqueue(struct sched_cpu *sc, struct sched_unit *u,
		       enum sched_why why, u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct fp_unit *fu = u->part;

	level_set(fc, fu);
	fu->left_ticks = 0;
	if (why == WHY_PREEMPTED && fc->slice_end > now) {
		fu->left_ticks = fc->slice_end - now;
		queue_push_first(&fc->level[fu->level], &fu->link);
	} else {
		queue_push_last(&fc->level[fu->level], &fu->link);
	}
	fc->bits[fu->level / 64] |= 1ULL << (fu->level % 64);
	fc->top = MAX(fc->top, (s32)fu->level);
}

/* The highest level that is not empty and below `below`; -1 if none. */
static s32 highest(const struct fp_cpu *fc, u32 below)
{
	for (u32 i = LEVELS / 64; i-- > 0;) {
		u64 w = fc->bits[i];

		if (below <= i * 64)
			continue;
		if (below < (i + 1) * 64)
			w &= (1ULL << (below % 64)) - 1;
		if (w)
			return (s32)(i * 64 + 63) - __builtin_clzll(w);
	}
	return -1;
}

static void fp_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct fp_unit *fu = u->part;

	queue_remove(&fu->link);
	if (!queue_empty(&fc->level[fu->level]))
		return;
	fc->bits[fu->level / 64] &= ~(1ULL << (fu->level % 64));
	if (fc->top == (s32)fu->level)
		fc->top = highest(fc, fu->level);
}

static inline void slice_begin(struct fp_cpu *fc, struct sched_unit *u, u64 now)
{
	struct fp_unit *fu = u->part;

	if (likely(!fu->left_ticks)) {
		fc->slice_end = unit_slice_end(u, now);
		return;
	}
	fc->slice_end = now + fu->left_ticks;
	fu->left_ticks = 0;
}

static struct sched_pick fp_pick(struct sched_cpu *sc, u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct queue_link *level;
	struct sched_unit *u;

	/* 0 says that nothing runs here. */
	sched_publish_level(sc, (u32)(fc->top + 1));
	if (fc->top < 0)
		return (struct sched_pick){NULL, TIME_NEVER};
	level = &fc->level[fc->top];
	u = unit_of(level->next);
	fp_dequeue(sc, u, now);
	slice_begin(fc, u, now);
	/* Only its equals end its turn. */
	if (queue_empty(level))
		return (struct sched_pick){u, TIME_NEVER};
	return (struct sched_pick){u, fc->slice_end};
}

static u64 fp_resume(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct fp_unit *fu = u->part;

	level_set(fc, fu);
	fc->slice_end = unit_slice_end(u, now);
	sched_publish_level(sc, fu->level + 1);
	return TIME_NEVER;
}

static __attribute__((noinline)) struct sched_unit *
yield_other(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct sched_pick pick;

	fp_enqueue(sc, u, WHY_YIELD, now);
	pick = fp_pick(sc, now);
	sc->deadline_ticks = pick.deadline_ticks;
	return pick.unit;
}

/* Mostly to an equal: then the level stays what it is, here and as
 * published. */
static struct sched_unit *fp_yield(struct sched_cpu *sc, struct sched_unit *u,
				   u64 ticks, u64 active, u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct fp_unit *fu = u->part;
	struct queue_link *ring = fu->ring, *first;
	u32 level = fu->level;

	if (unlikely(fc->top != (s32)level ||
		     ck_pr_load_32(&u->account->priority) != level))
		return yield_other(sc, u, now);
	first = ring->next;
	queue_remove(first);
	queue_push_last(ring, &fu->link);
	u = unit_of(first);
	slice_begin(fc, u, now);
	sc->deadline_ticks = fc->slice_end;
	return u;
}

static u64 fp_preempt_at(struct sched_cpu *sc, struct sched_unit *woken,
			 u64 now)
{
	struct fp_cpu *fc = sc->part;
	struct fp_unit *cur = sc->current->part, *fu = woken->part;

	if (fu->level != cur->level)
		return fu->level > cur->level ? now : TIME_NEVER;
	/* Its equal: from now on the slice counts; if it is long over, for
	 * want of equals, a new one begins. */
	if (fc->slice_end <= now)
		fc->slice_end = unit_slice_end(sc->current, now);
	return fc->slice_end;
}

static void fp_prolong(struct sched_cpu *sc, u64 ticks)
{
	struct fp_cpu *fc = sc->part;

	fc->slice_end += ticks;
	if (sc->deadline_ticks != TIME_NEVER)
		sc->deadline_ticks += ticks;
}

/* The level of the running unit gets stale when its knob changes; it was put
 * back into the queue for that, so `pick` publishes it anew. */
static u32 fp_place(struct sched_cpu *sc, struct sched_unit *u,
		    enum sched_why why, u64 now)
{
	u32 self = sc->cpu->index, best = CPU_NONE, best_level = UINT32_MAX;

	if (unit_may_run(u, self)) {
		/* Only what has come to life looks for another CPU. */
		if (sc->cpu->load <= 1 || (why != WHY_WOKEN && why != WHY_NEW))
			return PLACE_ANY;
		best = self;
		best_level = ck_pr_load_32(&sc->cpu->level);
	}
	for (u32 i = 0; i < cpu_count(); i++) {
		u32 level = ck_pr_load_32(&cpu_by_index(i)->level);

		if (level < best_level && unit_may_run(u, i)) {
			best = i;
			best_level = level;
		}
	}
	/* Idle CPUs are the core's: it claims them, so that two wakes don't
	 * choose the same one. */
	return best_level == 0 ? PLACE_ANY : best;
}

static struct sched_unit *fp_give(struct sched_cpu *sc,
				  const struct sched_ask *ask, u64 now)
{
	struct fp_cpu *fc = sc->part;

	for (s32 level = fc->top; level >= 0; level = highest(fc, (u32)level)) {
		queue_for_each(l, &fc->level[level]) {
			if (unit_may_run(unit_of(l), ask->cpu))
				return unit_of(l);
		}
	}
	return NULL;
}

static void fp_show(const struct sched_cpu *sc, const struct sched_unit *u,
		    u64 now, char *buf, size_t len)
{
	const struct fp_unit *fu = u ? u->part : NULL;
	u32 level = ck_pr_load_32(&sc->cpu->level);

	if (fu)
		snprintf(buf, len, "level %u",
			 (unsigned int)ck_pr_load_32(&fu->level));
	else if (level)
		snprintf(buf, len, "runs level %u", (unsigned int)level - 1);
}

static const char *const fp_knobs[] = {"priority", "slice-us", NULL};

static const struct sched_ops fp_ops = {
	.name = "fp",
	.cpu_bytes = sizeof(struct fp_cpu),
	.unit_bytes = sizeof(struct fp_unit),
	.cpu_init = fp_cpu_init,
	.unit_init = fp_unit_init,
	.enqueue = fp_enqueue,
	.dequeue = fp_dequeue,
	.pick = fp_pick,
	.resume = fp_resume,
	.yield = fp_yield,
	.preempt_at = fp_preempt_at,
	.prolong = fp_prolong,
	.place = fp_place,
	.give = fp_give,
	.show = fp_show,
	.knobs = fp_knobs,
};

SCHED_POLICY(fp_ops);
