/*
 * Looks at vCPUs.
 *
 * Counters only grow, so a share is a difference between two looks divided by
 * the time between them, each look with a time of its own. The looks of the
 * round before are kept as an array in the order of guests and vCPUs, in which
 * the next round goes along: finding one costs nothing, whoever came or went.
 */
#include "kernel/shell/look.h"

#include <string.h>

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

static bool look_keep(struct looks *l, const struct look *k)
{
	size_t cap = l->cap ? 2 * l->cap : 64;
	struct look *to;

	if (l->len == l->cap) {
		to = obj_alloc(cap * sizeof(*to));
		if (!to)
			return false;
		if (l->len)
			memcpy(to, l->look, l->len * sizeof(*to));
		obj_free(l->look);
		l->look = to;
		l->cap = cap;
	}
	l->look[l->len++] = *k;
	return true;
}

static bool look_before(const struct look *a, const struct look *b)
{
	if (a->guest != b->guest)
		return a->guest < b->guest;
	return a->vcpu < b->vcpu;
}

/* Where `k` was in the last round; itself if it's new. */
static struct look look_old(struct look_rounds *r, const struct look *k)
{
	while (r->old_at < r->old.len &&
	       look_before(&r->old.look[r->old_at], k))
		r->old_at++;
	if (r->old_at < r->old.len && !look_before(k, &r->old.look[r->old_at]))
		return r->old.look[r->old_at];
	return *k;
}

u64 look_rate(u64 n, u64 unit, u64 elapsed_ticks)
{
	return elapsed_ticks ? (u64)(((unsigned __int128)n * unit +
				      elapsed_ticks / 2) /
				     elapsed_ticks)
			     : 0;
}

static struct rates rates_between(const struct look *was, const struct look *k,
				  bool json)
{
	u64 elapsed = k->at_ticks - was->at_ticks;
	u64 share_unit = json ? 100000 : 1000;
	u64 wakes = k->wakes - was->wakes, exits = k->exits - was->exits;

	return (struct rates){
		.running = look_rate(k->running_ticks - was->running_ticks,
				     share_unit, elapsed),
		.runnable = look_rate(k->runnable_ticks - was->runnable_ticks,
				      share_unit, elapsed),
		.wakes = json ? wakes : look_rate(wakes, timebase_hz, elapsed),
		.exits = json ? exits : look_rate(exits, timebase_hz, elapsed),
	};
}

bool look_take(struct look_rounds *r, const struct vcpu *v, bool json,
	       struct rates *sum)
{
	struct look k = {.guest = v->guest->id,
			 .vcpu = v->id,
			 .at_ticks = time_now_ticks()};
	struct sched_vcpu_info info;
	struct look was;

	sched_vcpu_info(v, &info, k.at_ticks);
	k.running_ticks = info.ticks[RUNSTATE_RUNNING];
	k.runnable_ticks = info.ticks[RUNSTATE_RUNNABLE];
	k.wakes = info.wakes;
	k.exits = info.exits;
	was = look_old(r, &k);
	k.elapsed_ticks = k.at_ticks - was.at_ticks;
	k.rates = rates_between(&was, &k, json);
	sum->running += k.rates.running;
	sum->runnable += k.rates.runnable;
	sum->wakes += k.rates.wakes;
	sum->exits += k.rates.exits;
	return look_keep(&r->now, &k);
}

void look_rounds_next(struct look_rounds *r)
{
	struct looks old = r->old;

	r->old = r->now;
	r->now = old;
	r->now.len = 0;
	r->old_at = 0;
}

void look_rounds_fini(struct look_rounds *r)
{
	obj_free(r->old.look);
	obj_free(r->now.look);
}
