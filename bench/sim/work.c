/*
 * What simulated guests do: see work.h.
 *
 * A behaviour is a small state machine over one number, how long the vCPU works
 * until it acts again. Work is ticks of the CPU that it really gets, so that a
 * vCPU that is not run gets nothing done.
 *
 * A wait is measured from the moment when what the vCPU sleeps for was due (its
 * timer, or the call that raised it) to the moment when it is in its guest:
 * what a guest's handler would see.
 *
 * Locks: who wants one that is taken spins, in its guest, using up its CPU.
 * When it is given back the first vCPU that is in its guest then, counted from
 * the one that gave it back, has it; if none is, the first that gets in.
 */
#include "bench/sim/work.h"

#include <string.h>

#include "bench/sim/random.h"

struct work_vcpu *work_all;
u32 work_count;
const struct work_observer *work_observer;

static struct work_vcpu *work_of(struct fake_vcpu *f)
{
	return f->own;
}

static u64 about(struct work_vcpu *w, u64 ticks)
{
	return w->args.random ? random_exponential(&w->random, ticks) :
				MAX(ticks, 1);
}

/* ---- Waking and sleeping ---- */

/* Whose guest calls; NULL: it comes from outside. */
static struct work_vcpu *caller(void)
{
	struct vcpu *v = cpu_this()->current;

	return v ? work_of(container_of(v, struct fake_vcpu, v)) : NULL;
}

void work_raise(struct work_vcpu *w)
{
	u64 now;

	sim_spend_ipi();
	now = time_now_ticks();

	w->tokens++;
	if (w->asleep) {
		w->due = MIN(w->due, now);
		if (work_observer)
			work_observer->wake(now, w, caller());
	}
	virq_raise(&w->f->v, VIRQ_SOFT);
}

static enum run_end sleep_until(struct work_vcpu *w, u64 when)
{
	w->f->deadline = when;
	return RUN_BLOCK;
}

/* Another vCPU's interrupt is what it waits for. */
static enum run_end wait_token(struct work_vcpu *w)
{
	if (w->tokens) {
		w->f->stay = true;
		return RUN_LOOK;
	}
	return sleep_until(w, TIME_NEVER);
}

static enum run_end stay(struct work_vcpu *w)
{
	w->f->stay = true;
	return RUN_LOOK;
}

/* ---- hog ---- */

static void hog_begin(struct work_vcpu *w, u64 now)
{
	w->f->left = TIME_NEVER;
}

/* ---- periodic ---- */

static void run_first(struct work_vcpu *w, u64 now)
{
	w->f->left = about(w, w->args.run);
	w->next = now;
}

static void look_first(struct work_vcpu *w, u64 now)
{
	w->f->left = 1;
}

/* The first release is phase-us after the begin. */
static void periodic_begin(struct work_vcpu *w, u64 now)
{
	run_first(w, now);
	if (!w->args.phase)
		return;
	w->f->left = 1;
	w->next = now + w->args.phase - w->args.period;
	w->done = -1ULL;
}

static enum run_end periodic_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);

	w->done++;
	w->next += w->args.period;
	f->left = about(w, w->args.run);
	if (w->next > now)
		return sleep_until(w, w->next);
	w->missed++;
	return stay(w);
}

/* ---- nap: works, sleeps ---- */

static enum run_end nap_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);

	w->done++;
	f->left = about(w, w->args.run);
	return sleep_until(w, now + about(w, w->args.sleep));
}

/* ---- clocked: works for so long by the clock, sleeps ---- */

/* Whether it has the CPU or not; it looks at the clock after each piece. */
static enum run_end clocked_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);

	if (!w->next)
		w->next = now + w->args.period;
	if (now < w->next) {
		f->left = about(w, w->args.run);
		return stay(w);
	}
	w->done++;
	w->next = 0;
	f->left = 1; /* looks at the time first */
	sim_spend_nap();
	return sleep_until(w, now + about(w, w->args.sleep));
}

/* ---- dodger: sleeps from just before each tick until just after it ---- */

/* It looks at the clock after each piece. */
static enum run_end dodger_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);
	u64 tick = w->args.period, at = (now + w->args.phase) % tick;
	u64 guard = tick / 20;

	f->left = w->args.run;
	if (at < tick - guard)
		return stay(w);
	w->done++;
	f->left = 1; /* looks at the time first */
	sim_spend_nap();
	return sleep_until(w, now + (tick - at) + guard);
}

/* ---- yielder ---- */

static enum run_end yielder_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);

	w->done++;
	f->left = about(w, w->args.run);
	return RUN_YIELD;
}

/* ---- ring: the guest's vCPUs pass a token round ---- */

static void ring_begin(struct work_vcpu *w, u64 now)
{
	w->f->left = 1;
	w->phase = 0;
	w->tokens = w->f->v.id == 0;
}

static enum run_end ring_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);
	u32 next = (f->v.id + 1) % f->v.guest->cfg.vcpus;

	if (w->phase == 1) { /* has worked: passes the token on */
		w->phase = 0;
		w->done++;
		work_raise(&w->guest->vcpu[next]);
	}
	f->left = 0;
	if (!w->tokens)
		return wait_token(w);
	w->tokens--;
	w->phase = 1;
	f->left = about(w, w->args.run);
	return stay(w);
}

/* ---- locks ---- */

enum { LOCK_FREE, LOCK_SPINS, LOCK_HOLDS };

static void lock_take(struct work_vcpu *w, u64 now)
{
	if (w->phase == LOCK_SPINS)
		w->spun += w->f->ran - w->spins_since;
	w->phase = LOCK_HOLDS;
	w->guest->holder = w;
	w->done++;
	w->f->left = about(w, w->args.hold);
}

/* Is it in its guest at this moment? */
static bool in_guest(const struct work_vcpu *w)
{
	const struct vcpu *v = &w->f->v;
	const struct cpu *c = v->cpu;

	return v->state == VCPU_RUNNING && c->current == v &&
	       c->mode == CPU_GUEST;
}

static void lock_give(struct work_vcpu *w, u64 now)
{
	u32 n = w->f->v.guest->cfg.vcpus;

	w->phase = LOCK_FREE;
	w->guest->holder = NULL;
	for (u32 i = 1; i < n; i++) {
		struct work_vcpu *o = &w->guest->vcpu[(w->f->v.id + i) % n];

		if (o->phase != LOCK_SPINS || !in_guest(o))
			continue;
		/* It holds from now on, and looks at once. */
		o->guest->holder = o;
		o->f->left = 0;
		sim_poke(o->f->v.cpu->index, now);
		return;
	}
}

static enum run_end locks_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);

	if (w->phase == LOCK_HOLDS) {
		lock_give(w, now);
		f->left = about(w, w->args.run);
		return w->args.sleep ?
			       sleep_until(w, now + about(w, w->args.sleep)) :
			       stay(w);
	}
	if (!w->guest->holder || w->guest->holder == w) {
		lock_take(w, now);
		return stay(w);
	}
	if (w->phase != LOCK_SPINS)
		w->spins_since = f->ran;
	w->phase = LOCK_SPINS;
	f->left = TIME_NEVER;
	return stay(w);
}

/* It spun when it was preempted, and the lock has become free since. */
static void locks_entered(struct work_vcpu *w, u64 now)
{
	if (w->phase == LOCK_SPINS && !w->guest->holder)
		w->f->left = 0;
}

/* ---- program: what was recorded, or made up by hand ---- */

/* Does steps until one takes time. */
static enum run_end program_act(struct fake_vcpu *f, u64 now)
{
	struct work_vcpu *w = work_of(f);
	const struct work_program *p = w->program;

	f->left = 0;
	while (p && w->at < p->steps) {
		u64 step = p->step[w->at++], value = STEP_VALUE(step);

		switch (STEP_KIND(step)) {
		case STEP_RUN:
			f->left = value;
			if (value)
				return stay(w);
			break;
		case STEP_SLEEP:
			w->done++;
			return sleep_until(w, now + MAX(value, 1));
		case STEP_UNTIL:
			w->done++;
			if (w->began + value <= now)
				break;
			return sleep_until(w, w->began + value);
		case STEP_WAIT:
			if (!w->tokens) {
				w->at--; /* once more when it is raised */
				return wait_token(w);
			}
			w->tokens--;
			w->done++;
			break;
		case STEP_RAISE:
			work_raise(&work_all[value]);
			break;
		case STEP_YIELD:
			return RUN_YIELD;
		case STEP_OFF:
			return RUN_OFF;
		}
	}
	return RUN_OFF;
}

/* ---- All of them ---- */

static const struct behaviour behaviours[] = {
	{ "hog", "works all the time", { 0 }, hog_begin, NULL, NULL },
	{ "periodic", "works run-us at the begin of each period-us",
	  { .run = 2 * FAKE_MS, .period = 10 * FAKE_MS }, periodic_begin,
	  periodic_act, NULL },
	{ "nap", "works run-us, sleeps sleep-us",
	  { .run = 100 * FAKE_US, .sleep = 50 * FAKE_US }, run_first, nap_act,
	  NULL },
	{ "bursty", "the same at random, long bursts",
	  { .run = 20 * FAKE_MS, .sleep = 60 * FAKE_MS, .random = true },
	  run_first, nap_act, NULL },
	{ "interactive", "the same at random, short bursts",
	  { .run = 200 * FAKE_US, .sleep = 10 * FAKE_MS, .random = true },
	  run_first, nap_act, NULL },
	{ "clocked", "works period-us by the clock, sleeps sleep-us",
	  { .run = 50 * FAKE_US, .period = FAKE_MS, .sleep = FAKE_MS },
	  look_first, clocked_act, NULL },
	{ "dodger", "sleeps just before each period-us until just after it",
	  { .run = 50 * FAKE_US, .period = 10 * FAKE_MS }, run_first,
	  dodger_act, NULL },
	{ "yielder", "yields after each run-us",
	  { .run = 50 * FAKE_US }, run_first, yielder_act, NULL },
	{ "ring", "its vCPUs work run-us in turn, each wakes the next",
	  { .run = 20 * FAKE_US }, ring_begin, ring_act, NULL },
	{ "locks", "its vCPUs work run-us, then hold-us under one lock",
	  { .run = 100 * FAKE_US, .hold = 10 * FAKE_US, .random = true },
	  run_first, locks_act, locks_entered },
	{ "program", "its steps", { 0 }, look_first, program_act, NULL },
};

const struct behaviour *behaviour_nth(u32 i)
{
	return i < ARRAY_LEN(behaviours) ? &behaviours[i] : NULL;
}

const struct behaviour *behaviour_find(const char *name)
{
	for (u32 i = 0; i < ARRAY_LEN(behaviours); i++) {
		if (!strcmp(behaviours[i].name, name))
			return &behaviours[i];
	}
	return NULL;
}

void work_begin(struct work_vcpu *w, const struct behaviour *does,
		const struct work_args *args, u64 seed)
{
	const struct work_args *d = &does->defaults;
	u64 now = time_now_ticks();

	w->args = *args;
	w->args.run = args->run ? args->run : d->run;
	w->args.sleep = args->sleep ? args->sleep : d->sleep;
	w->args.period = args->period ? args->period : d->period;
	w->args.hold = args->hold ? args->hold : d->hold;
	w->args.random = args->random_set ? args->random : d->random;
	w->does = does;
	w->random = seed ^ (0x2545f4914f6cdd1dULL * (w->number + 1));
	w->began = now;
	w->due = TIME_NEVER;
	w->f->own = w;
	w->f->act = does->act;
	w->f->deadline = TIME_NEVER;
	does->begin(w, now);
}

/* ---- What is seen ---- */

static void watch_entered(struct fake_cpu *f, struct fake_vcpu *v)
{
	struct work_vcpu *w = work_of(v);
	u64 due;

	if (!w)
		return;
	if (w->asleep && !v->waits) {
		if (work_observer && v->deadline <= f->now)
			work_observer->timer(f, w);
		due = MIN(w->due, v->deadline);
		w->asleep = false;
		if (due < w->asleep_since)
			due = w->asleep_since;
		if (due <= f->now)
			hist_add(w->waits, f->now - due);
	}
	if (work_observer)
		work_observer->run(f, w);
	if (w->does->entered)
		w->does->entered(w, f->now);
}

static void watch_ended(struct fake_cpu *f, struct fake_vcpu *v,
			enum run_end end)
{
	struct work_vcpu *w = work_of(v);

	if (!w)
		return;
	if (end == RUN_BLOCK || (v->waits && !w->asleep)) {
		w->asleep = true;
		w->asleep_since = f->now;
		w->due = TIME_NEVER;
		if (work_observer)
			work_observer->block(f, w, v->deadline);
	} else if (work_observer) {
		work_observer->stop(f, w, end);
	}
}

const struct sim_watch work_watch = {
	.entered = watch_entered,
	.ended = watch_ended,
};
