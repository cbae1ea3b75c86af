/*
 * Making room: a unit waits and may not run where a CPU is idle, but who runs
 * in its way may.
 *
 * What waits is given to idle CPUs (place.c, idle.c). That isn't all. P waits
 * on CPU 0, to which it is bound, R runs there and may run on CPU 1 as well,
 * which is idle: R has to go. Or R runs on CPU 1 and may run on CPU 2, which is
 * idle, and Q, which waits on CPU 0, may run on CPU 1: Q goes there, and then
 * it is the first case. In general a row of units, each of which takes the next
 * one's place, leads to an idle CPU: what is an augmenting path where workers
 * and places are matched.
 *
 * A CPU on which someone waits looks: from the idle CPUs it goes back to those
 * whose current may run there, to those whose current may run on one of these,
 * and so on, up to the first on which a unit of its own may run. Who waits goes
 * rather than who runs. The unit is handed over, and where it arrives and has
 * to wait that CPU looks, and is one step nearer. So nobody holds a plan, and a
 * CPU that has found other work meanwhile ends it: then the unit waits there,
 * as well as here.
 *
 * When: as soon as a unit has to wait while a CPU is idle, or one that is idle
 * asks in vain (ask_look); but once in ROOM_US, so that a neighbour that sleeps
 * and wakes all the time doesn't drag a running vCPU to and fro. And again
 * while someone waits and someone is idle: who runs elsewhere, and where it
 * may, changes without a word. Looks in vain come less and less often, down to
 * one in 8 ROOM_US, until other units are here or may run elsewhere. A timer
 * sees to all of it, so nothing is done for it where nobody is idle, or nobody
 * waits.
 *
 * A CPU that becomes idle doesn't ask where it is barred (idle.c). If it is
 * idle when its own time comes, ROOM_US later or more, it looks whether anyone
 * waits who could be helped by such a row, and tells that one to look; and so
 * on while anyone waits. Only its own idle time goes into that.
 *
 * A look takes a walk over all CPUs for each length of rows, up to the one that
 * is found. Rows are short unless most units may run on very few CPUs.
 *
 * What is read of other CPUs is a hint. Each step is an ordinary hand-over, and
 * an idle CPU is claimed by its bit.
 *
 * Rejected: to look when a current is replaced (a look on the way of each
 * switch), to move all units of a row at once (CPUs would have to wait for each
 * other).
 */
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

#define ROOM_US 5000
#define VAIN_MAX 3 /* doublings of that */

/* From where a row leads to an idle CPU. */
struct reach {
	struct cpuset all;
	struct cpuset last; /* the longest, by one, that are known */
};

static u32 words(void)
{
	return (cpu_count() + 63) / 64;
}

/* The first of `set` on which `u` may run, or CPU_NONE. Short where the set is
 * empty: it is asked of each CPU's current, for rows of each length. */
static u32 first_of(const struct sched_unit *u, const struct cpuset *set)
{
	for (u32 i = 0, n = words(); i < n; i++) {
		u64 w = set->w[i];

		if (!w)
			continue;
		w &= ck_pr_load_64(&u->allowed.w[i]);
		if (w)
			return i * 64 + (u32)__builtin_ctzll(w);
	}
	return CPU_NONE;
}

/* Is no unit of that CPU to run on any of `set`? A hint. */
static bool bars_all(const struct sched_core *core, const struct cpuset *set)
{
	for (u32 i = 0, n = words(); i < n; i++)
		if (set->w[i] & ~ck_pr_load_64(&core->barred.w[i]))
			return false;
	return true;
}

/* Rows longer by one, none of them over `self`. False: there are none. The
 * current of another CPU isn't freed before this one has looked at mail again
 * (sched_quiesce). */
static bool reach_grow(struct reach *r, u32 self)
{
	struct cpuset next = {{0}};
	bool any = false;

	for (u32 i = 0; i < cpu_count(); i++) {
		const struct vcpu *v = ck_pr_load_ptr(
			&cpu_by_index(i)->current);

		if (!v || i == self || cpuset_has(&r->all, i) ||
		    first_of(&v->sched, &r->last) == CPU_NONE)
			continue;
		cpuset_add(&next, i);
		cpuset_add(&r->all, i);
		any = true;
	}
	r->last = next;
	return any;
}

/* The idle CPUs. False: there are none but this. */
static bool reach_begin(struct reach *r, u32 self)
{
	*r = (struct reach){0};
	for (u32 i = idle_next(IDLE_SLEEPS, 0); i != CPU_NONE;
	     i = idle_next(IDLE_SLEEPS, i + 1))
		cpuset_add(&r->all, i);
	cpuset_del(&r->all, self);
	r->last = r->all;
	return cpuset_next(&r->all, 0) != CPU_NONE;
}

/* ---- The CPU on which someone waits ---- */

/* Who waits here may run on these. */
static struct cpuset waiting_may(const struct sched_core *core)
{
	struct cpuset may = {{0}};

	for (const struct sched_unit *u = core->units; u; u = u->next)
		for (u32 i = 0; u->queued && i < words(); i++)
			may.w[i] |= ck_pr_load_64(&u->allowed.w[i]);
	return may;
}

/* One that waits goes to one of `set`, which are idle or not, as the policy
 * chooses. */
static bool waiting_go(struct sched_core *core, const struct cpuset *may,
		       const struct cpuset *set, bool idle, u64 now)
{
	struct sched_ask ask = {.idle = true};
	struct sched_unit *u;

	cpuset_for_each(to, set) {
		ask.cpu = to;
		if (!cpuset_has(may, to))
			continue;
		u = core->ops->give(&core->sc, &ask, now);
		if (!u || (idle && !idle_claim(IDLE_SLEEPS, to)))
			continue;
		unit_handover(core, u, to, now);
		return true;
	}
	return false;
}

/* The current goes to one of `set`. */
static bool current_go(struct sched_core *core, const struct cpuset *set,
		       bool idle, u64 now)
{
	struct sched_unit *u = core->sc.current;
	u32 to;

	/* One that polls is about to end that: somebody waits. */
	if (!u || core->polling)
		return false;
	to = idle ? idle_claim_any(IDLE_SLEEPS, &u->allowed,
				   core->sc.cpu->index)
		  : first_of(u, set);
	if (to == CPU_NONE)
		return false;
	if (unlikely(unit_vcpu(u)->waits))
		now = current_waits(core, true, now);
	core->why = WHY_PREEMPTED;
	u->preemptions++;
	current_drop(core, now);
	TRACE(PREEMPT, u->trace_id, now - u->since_ticks, core->load);
	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	unit_handover(core, u, to, now);
	return true;
}

/* One step; `idle`: the idle CPUs. False: nobody can be helped. */
static bool room_make(struct sched_core *core, struct reach *idle, u64 now)
{
	struct cpuset may = waiting_may(core);
	bool first = true;

	do {
		if (waiting_go(core, &may, &idle->last, first, now) ||
		    current_go(core, &idle->last, first, now))
			return true;
		first = false;
	} while (reach_grow(idle, core->sc.cpu->index));
	return false;
}

/* ---- The CPU that is idle ---- */

/* Not inlined: where it is told whether records are written stays right in
 * front of each (bench/meter/hooks.py). */
static __attribute__((noinline)) void tell(struct cpu *c)
{
	doorbell_post(c, &core_of(c)->look_mail, LOOK_ROOM);
}

/* Tells all that somebody who waits there may be helped by a row that ends
 * here; where it begins is said by the bars. One that looks by itself soon is
 * left alone: it finds our bit, or the next call that it does so no more.
 * False: nobody waits anywhere. */
static bool room_tell(struct sched_core *core)
{
	u32 self = core->sc.cpu->index;
	struct reach r = {0};
	bool waits = false;

	cpuset_add(&r.all, self);
	r.last = r.all;
	do {
		for (u32 i = 0; i < cpu_count(); i++) {
			struct cpu *c = cpu_by_index(i);

			if (i == self || ck_pr_load_32(&c->load) <= 1)
				continue;
			waits = true;
			if (!ck_pr_load_32(&core_of(c)->room_due) &&
			    !bars_all(core_of(c), &r.last))
				tell(c);
		}
	} while (reach_grow(&r, self));
	return waits;
}

/* ---- When ---- */

/* From one look to the next. */
static u64 room_ticks(const struct sched_core *core)
{
	return us_to_ticks(ROOM_US) << MIN(core->room_vain, VAIN_MAX);
}

static void room_set(struct sched_core *core, u64 at)
{
	timer_set(&core->timers, &core->room, at);
	ck_pr_store_32(&core->room_due, 1);
}

static void room_fire(struct timer *t, u64 now)
{
	struct sched_core *core = container_of(t, struct sched_core, room);
	struct reach idle;

	ck_pr_store_32(&core->room_due, 0);
	if (core->load <= 1) {
		core->room_vain++;
		if (!core->load && core->idling && room_tell(core))
			room_set(core, now + room_ticks(core));
		return;
	}
	/* A policy that gives nothing shares no CPUs. */
	if (!core->ops->give || !reach_begin(&idle, core->sc.cpu->index))
		return;
	if (room_make(core, &idle, now)) {
		core->room_vain = 0;
	} else {
		core->room_vain++;
		bar_where_none(core);
	}
	core->looked_ticks = now;
	if (core->may_leave)
		room_set(core, now + room_ticks(core));
}

void room_init(struct sched_core *core)
{
	timer_init(&core->room, room_fire);
}

void room_look_soon(struct sched_core *core, u64 now)
{
	u64 at = MAX(now, core->looked_ticks + room_ticks(core));

	/* Where there are many CPUs that may have been a guess. */
	if (idle_next(IDLE_SLEEPS, 0) == CPU_NONE)
		return;
	if (!timer_is_set(&core->room) || at < core->room.node.key)
		room_set(core, at);
}

void room_want_later(struct sched_core *core)
{
	if (!timer_is_set(&core->room))
		room_set(core, time_now_ticks() + room_ticks(core));
}
