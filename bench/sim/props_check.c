/*
 * What must hold whatever the policy is, and what must hold because the policy
 * says of itself (its knobs, its ops) that it does.
 *
 * No policy is named. A property belongs to a knob: who looks at "weight"
 * shares by weight, who looks at "cap" keeps caps, who looks at "priority" is
 * strict; or to an op: who has `give` leaves no CPU idle while a unit waits
 * that may run on it. Looked at between events, when every CPU has stopped
 * somewhere outside the core's code; its clock may be ahead by what the
 * hypervisor's work costs, so nothing is held against it before it has lasted
 * for GRACE.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/sim/props.h"
#include "bench/sim/text.h"
#include "kernel/sched/private.h"

#define GRACE (5 * FAKE_MS)
#define GRACE_TURN (30 * FAKE_MS) /* longer than any slice here */
#define SLACK (200 * FAKE_US)

static u64 *left_at; /* of each CPU: when a guest's turn there has ended */
static u64 began, policy_since;
static u64 shares_since, *shares_before;

bool policy_looks_at(const char *knob)
{
	const char *const *k = sched_policy_knobs(sched_policy_name());

	for (; *k; k++) {
		if (!strcmp(*k, knob))
			return true;
	}
	return false;
}

bool policy_gives(void)
{
	return policy_find(sched_policy_name())->give != NULL;
}

void check_entered(struct fake_cpu *f, struct fake_vcpu *v)
{
	/* No mail is left when it enters, so it knows where it may run. */
	if (!unit_may_run(&v->v.sched, f->c.index))
		prop_fail("%s:%u runs on CPU %u, where it may not",
			  v->v.guest->cfg.name, v->v.id, f->c.index);
}

void check_left(struct fake_cpu *f)
{
	left_at[f->c.index] = f->now;
}

/* ---- Nobody is lost, nor run twice ---- */

static void check_states(void)
{
	for (u32 i = 0; i < work_count; i++) {
		struct vcpu *v = &work_all[i].f->v;
		u32 on = 0;

		for (u32 c = 0; c < cpu_count(); c++)
			on += cpu_by_index(c)->current == v;
		if (on > 1)
			prop_fail("%s:%u runs on %u CPUs", v->guest->cfg.name,
				  v->id, on);
		if (v->state == VCPU_RUNNING && !on)
			prop_fail("%s:%u runs, and on no CPU",
				  v->guest->cfg.name, v->id);
		if (on && v->state == VCPU_BLOCKED)
			prop_fail("%s:%u has a CPU, and sleeps",
				  v->guest->cfg.name, v->id);
	}
}

static void check_runstates(u64 now)
{
	for (u32 i = 0; i < work_count; i++) {
		struct vcpu *v = &work_all[i].f->v;
		struct sched_vcpu_info info;
		u64 sum = 0;

		sched_vcpu_info(v, &info, now);
		for (u32 k = 0; k < RUNSTATE_COUNT; k++)
			sum += info.ticks[k];
		if (sum < now - began || sum > now - began + SLACK)
			prop_fail("%s:%u: runstates are %lu ticks, it is %lu "
				  "ticks old", v->guest->cfg.name, v->id, sum,
				  now - began);
	}
}

/* ---- No CPU is idle while work waits; the higher priority runs ---- */

bool idle_for_long(u32 cpu, u64 now)
{
	const struct cpu *c = cpu_by_index(cpu);

	return !c->current && c->mode == CPU_IDLE &&
	       (s64)(now - left_at[cpu]) > (s64)GRACE;
}

/*
 * A queue that grew without a wake (one came who may run nowhere else, one may
 * run again after its cap has held it) is looked at when the turn ends, and one
 * that yields stays; so a unit may wait beside an idle CPU for a turn, but
 * never for longer.
 */
static void check_conserved(const struct vcpu *v, u64 now)
{
	if ((v->guest->account->cap && policy_looks_at("cap")) ||
	    (s64)(now - v->sched.since_ticks) < (s64)GRACE_TURN)
		return;
	for (u32 c = 0; c < cpu_count(); c++) {
		if (unit_may_run(&v->sched, c) && idle_for_long(c, now))
			prop_fail("%s:%u waits on CPU %u for %lu ticks while "
				  "CPU %u is idle", v->guest->cfg.name, v->id,
				  v->cpu->index, now - v->sched.since_ticks, c);
	}
}

static void check_priority(const struct vcpu *v, u64 now)
{
	const struct vcpu *on = v->cpu->current;

	if (!on || on->requests || v->requests ||
	    (s64)(now - on->sched.since_ticks) < (s64)GRACE)
		return;
	if (on->guest->account->priority < v->guest->account->priority)
		prop_fail("%s:%u of priority %u waits on CPU %u, which runs "
			  "%s:%u of %u", v->guest->cfg.name, v->id,
			  v->guest->account->priority, v->cpu->index,
			  on->guest->cfg.name, on->id,
			  on->guest->account->priority);
}

static void check_waiting(u64 now)
{
	bool conserves = policy_gives();
	bool strict = policy_looks_at("priority");

	for (u32 i = 0; i < work_count; i++) {
		const struct vcpu *v = &work_all[i].f->v;
		const struct sched_unit *u = &v->sched;

		if (u->runstate != RUNSTATE_RUNNABLE || u->refused ||
		    u->paused || (s64)(now - u->since_ticks) < (s64)GRACE)
			continue;
		if (conserves)
			check_conserved(v, now);
		if (strict)
			check_priority(v, now);
	}
}

/* ---- Caps ---- */

/* Up to now, with turns that are on. */
static u64 guest_ran(const struct prop_guest *g)
{
	struct sched_vcpu_info info;
	u64 sum = 0;

	for (u32 i = 0; i < g->w.fg->g.cfg.vcpus; i++) {
		sched_vcpu_info(g->w.fg->g.vcpu[i], &info, sim_now());
		sum += info.ticks[RUNSTATE_RUNNING];
	}
	return sum;
}

void check_cap_changed(struct prop_guest *g, u64 now)
{
	g->capped_since = now;
	g->ran_before = guest_ran(g);
}

static void check_caps(u64 now)
{
	if (!policy_looks_at("cap") || sched_policy_changing())
		return;
	for (u32 i = 0; i < prop_guest_count; i++) {
		struct prop_guest *g = &prop_guests[i];
		s64 cap = g->w.fg->g.account->cap, ran, due;

		if (!cap)
			continue;
		ran = (s64)(guest_ran(g) - g->ran_before);
		/* What it may run in advance, and turns that were on when the
		 * cap was set. */
		due = (s64)(now - g->capped_since + 40 * FAKE_MS) * cap / 100 +
		      (s64)(g->w.fg->g.cfg.vcpus * 10 * FAKE_MS);
		if (ran > due)
			prop_fail("%s: a cap of %ld %%: ran for %ld ticks of "
				  "%lu", g->w.name, cap, ran,
				  now - g->capped_since);
	}
}

/* ---- Shares ---- */

void check_shares_begin(u64 now)
{
	shares_since = now;
	shares_before = calloc(prop_guest_count, sizeof(*shares_before));
	if (!shares_before)
		die("no memory");
	for (u32 i = 0; i < prop_guest_count; i++)
		shares_before[i] = guest_ran(&prop_guests[i]);
}

/* Weighted water-filling, in CPUs: levels rise by weight until a guest has as
 * much as it can use; affinity is none. */
static void fair(double *got)
{
	double left = cpu_count(), weights;
	bool full[64] = { false };

	for (;;) {
		double level = -1;
		u32 first = 0;

		weights = 0;
		for (u32 i = 0; i < prop_guest_count; i++)
			weights += full[i] ? 0 :
				   prop_guests[i].w.fg->g.account->weight;
		if (weights <= 0)
			return;
		for (u32 i = 0; i < prop_guest_count; i++) {
			const struct guest *g = &prop_guests[i].w.fg->g;
			double most = g->cfg.vcpus;

			if (g->account->cap && policy_looks_at("cap") &&
			    g->account->cap / 100.0 < most)
				most = g->account->cap / 100.0;
			got[i] = full[i] ? got[i] : most;
			most /= g->account->weight;
			if (!full[i] && (level < 0 || most < level)) {
				level = most;
				first = i;
			}
		}
		if (level >= left / weights)
			break;
		full[first] = true;
		left -= got[first];
	}
	for (u32 i = 0; i < prop_guest_count; i++) {
		if (!full[i])
			got[i] = left / weights *
				 prop_guests[i].w.fg->g.account->weight;
	}
}

void check_shares(u64 now)
{
	double due[64], got;

	/* Who is over its cap leaves a CPU to others for some of the time, and
	 * water-filling says nothing about whom that reaches. */
	if (!policy_looks_at("weight"))
		return;
	fair(due);
	for (u32 i = 0; i < prop_guest_count; i++) {
		got = (double)(guest_ran(&prop_guests[i]) - shares_before[i]) /
		      (double)(now - shares_since);
		if (got < due[i] * 0.95 - 0.02 || got > due[i] * 1.05 + 0.02)
			prop_fail("%s of weight %lu has %.3f CPUs, its share "
				  "is %.3f", prop_guests[i].w.name,
				  (unsigned long)prop_guests[i].w.fg->g.account
					  ->weight,
				  got, due[i]);
	}
}

/* ---- All ---- */

void check_begin(u64 now)
{
	began = policy_since = now;
	left_at = calloc(cpu_count(), sizeof(*left_at));
	if (!left_at)
		die("no memory");
	for (u32 i = 0; i < cpu_count(); i++)
		left_at[i] = now;
	for (u32 i = 0; i < prop_guest_count; i++)
		check_cap_changed(&prop_guests[i], now);
}

void check_policy_changed(u64 now)
{
	policy_since = now;
	for (u32 i = 0; i < prop_guest_count; i++)
		check_cap_changed(&prop_guests[i], now);
}

void check_moment(u64 now)
{
	bool changed = sched_policy_changing() || now - policy_since < GRACE;

	check_states();
	check_runstates(now);
	if (!changed)
		check_waiting(now);
	check_places(now, changed);
	check_caps(now);
}
