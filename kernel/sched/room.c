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
 * A CPU on which someone waits looks: it goes on to the CPUs on which a unit of
 * its own may run, to those on which their currents may run, and so on, up to
 * the first that is idle. Each CPU that is reached knows by which of the first
 * ones; a unit goes there, who waits rather than who runs. Where it arrives and
 * has to wait that CPU looks, and is one step nearer. So nobody holds a plan,
 * and a CPU that has found other work meanwhile ends it: then the unit waits
 * there, as well as here.
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
 * idle when its own time comes, ROOM_US later or more, it looks in the same way
 * from where anyone waits, whether a row leads to a CPU that is idle, and tells
 * the one where it begins to look; and so on while anyone waits. Only its own
 * idle time goes into that.
 *
 * A look asks each CPU's current at most once, however long the rows are, and
 * is done in pieces, so that nobody waits for more than one of them: with 512
 * CPUs a piece is 128 currents, of 140 instructions each, and 45 for each CPU
 * that is reached. Between two pieces the CPU goes on with what it has to do.
 * What is found in an earlier piece may be wrong by the next, as it may be by
 * the time that the unit arrives.
 *
 * What is read of other CPUs is a hint. Each step is an ordinary hand-over, and
 * an idle CPU is claimed by its bit.
 *
 * Rejected: to go back from the idle CPUs to who may run there (nobody knows
 * who may, so that each length of rows is a walk over all CPUs, of 43,000
 * instructions with 512); to look when a current is replaced (a look on the way
 * of each switch); to move all units of a row at once (CPUs would have to wait
 * for each other).
 */
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

#define ROOM_US 5000
#define VAIN_MAX 3 /* doublings of that */
#define PIECE_SETS 128 /* of CPUs, looked at in one piece */
#define PIECE_US 50 /* from one to the next */

enum found { FOUND, FOUND_NONE, FOUND_NOT_YET };

/* ---- The CPU on which someone waits ---- */

/* It is idle, and is to have one that makes room, who stays for a while: as if
 * it had looked just now. Else it would look as soon as one that naps wakes
 * there, and the other would come back at once. */
static bool claim(u32 cpu, u64 now)
{
	if (!idle_claim(IDLE_SLEEPS, cpu))
		return false;
	ck_pr_store_64(&core_of(cpu_by_index(cpu))->looked_ticks, now);
	return true;
}

/* The current goes to that CPU. */
static bool current_go(struct sched_core *core, u32 to, bool idle, u64 now)
{
	struct sched_unit *u = core->sc.current;

	/* One that polls is about to end that: somebody waits. */
	if (!u || core->polling || !unit_may_run(u, to) ||
	    (idle && !claim(to, now)))
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

/* One step to `to`, which is idle or not: by one that waits, as the policy
 * chooses, or else by the current. */
static bool step_to(struct sched_core *core, u32 to, bool idle, u64 now)
{
	struct sched_ask ask = {.cpu = to, .idle = true};
	struct sched_unit *u = core->ops->give(&core->sc, &ask, now);

	if (!u)
		return current_go(core, to, idle, now);
	if (idle && !claim(to, now))
		return false;
	unit_handover(core, u, to, now);
	return true;
}

/* Those who wait here may run on these, of the next UNITS_MOST units. What its
 * cap has set aside doesn't wait for a CPU. */
static void some_may(struct sched_core *core, struct cpuset *may)
{
	const struct sched_unit *u = core->looking;
	u32 words = cpu_words();

	for (u32 n = 0; u && n < UNITS_MOST; n++, u = u->next) {
		if (!u->queued || !u->counted)
			continue;
		for (u32 i = 0; i < words; i++)
			may->w[i] |= ck_pr_load_64(&u->allowed.w[i]);
	}
	core->looking = u;
}

/* Rows begin here and lead to `may`. True: so did one of one step. */
static bool room_begin(struct sched_core *core, const struct cpuset *may,
		       u64 now)
{
	struct room_look *r = &core->look;
	u32 idle;

	while (r->left && (idle = reach(core, may, CPU_NONE)) != CPU_NONE) {
		r->left--;
		if (step_to(core, idle, true, now))
			return true;
		/* It is no more: others have claimed it. */
		cpuset_add(&r->reached, idle);
	}
	return false;
}

/* Where many wait it takes a piece to find where they may go, and one to look
 * at all of them afterwards. */
static bool many_wait(const struct sched_core *core)
{
	return core->look.left < MIN(core->load, PIECE_SETS);
}

/* Those that wait before the current, since it has a turn. */
static enum found room_begin_all(struct sched_core *core, u64 now)
{
	struct room_look *r = &core->look;

	if (r->on != LOOK_BEGINS) {
		r->on = LOOK_BEGINS;
		r->set = (struct cpuset){{0}};
		core->looking = core->units;
	}
	if (core->looking) {
		some_may(core, &r->set);
		r->left -= MIN(r->left, core->load);
		if (core->looking || many_wait(core))
			return FOUND_NOT_YET;
	}
	r->on = LOOK_WAITS;
	reach_begin(core, core->sc.cpu->index);
	if (room_begin(core, &r->set, now) ||
	    (core->sc.current &&
	     room_begin(core, &core->sc.current->allowed, now)))
		return FOUND;
	return FOUND_NONE;
}

/* A piece of a look. */
static enum found room_make(struct sched_core *core, u64 now)
{
	struct room_look *r = &core->look;
	u32 first, idle;

	if (r->on != LOOK_WAITS) {
		enum found f = room_begin_all(core, now);

		if (f != FOUND_NONE)
			return f;
	}
	while ((idle = reach_more(core, &first)) != CPU_NONE) {
		if (step_to(core, first, false, now))
			return FOUND;
		/* Other units are here than those it began with. */
		cpuset_add(&r->reached, idle);
	}
	/* In vain all units are looked at. */
	return !reach_over(core) || many_wait(core) ? FOUND_NOT_YET
						    : FOUND_NONE;
}

/* ---- The CPU that is idle ---- */

/* Not inlined: where it is told whether records are written stays right in
 * front of each (bench/meter/hooks.py). */
static __attribute__((noinline)) void tell(struct sched_core *core, u32 cpu)
{
	struct cpu *c = cpu_by_index(cpu);

	cpuset_add(&core->look.set, cpu);
	doorbell_post(c, &core_of(c)->look_mail, LOOK_ROOM);
}

/* Where may those go who wait on that CPU, or run there? As its bars say. */
static struct cpuset may_leave(u32 cpu)
{
	const struct cpuset *barred = &core_of(cpu_by_index(cpu))->barred;
	struct cpuset may = {{0}};

	for (u32 i = 0, n = cpu_words(); i < n; i++)
		may.w[i] = ~ck_pr_load_64(&barred->w[i]);
	return may;
}

/* Rows begin where someone waits, but for a CPU that looks by itself soon: it
 * finds our bit, or the next call that it does so no more. Returns one to be
 * told, or CPU_NONE. */
static u32 tell_begin(struct sched_core *core)
{
	struct room_look *r = &core->look;

	for (; r->from < cpu_count() && r->left; r->from++) {
		struct cpu *c = cpu_by_index(r->from);
		struct cpuset may;

		r->left--;
		if (c == core->sc.cpu || ck_pr_load_32(&c->load) <= 1)
			continue;
		r->waits = true;
		if (ck_pr_load_32(&core_of(c)->room_due) ||
		    cpuset_has(&r->set, r->from))
			continue;
		may = may_leave(r->from);
		if (reach(core, &may, r->from) != CPU_NONE)
			return r->from;
	}
	return CPU_NONE;
}

/* A piece of a look: tells those CPUs from which a row leads to one that is
 * idle, one after the other. FOUND: someone waits. */
static enum found room_tell(struct sched_core *core)
{
	struct room_look *r = &core->look;

	if (r->on != LOOK_IDLE) {
		r->on = LOOK_IDLE;
		r->waits = false;
		r->set = (struct cpuset){{0}};
		reach_begin(core, CPU_NONE);
	}
	while (r->left) {
		u32 cpu = tell_begin(core);

		if (cpu == CPU_NONE && reach_more(core, &cpu) == CPU_NONE)
			break;
		tell(core, cpu);
		reach_begin(core, CPU_NONE);
	}
	if (r->from < cpu_count() || !reach_over(core))
		return FOUND_NOT_YET;
	return r->waits ? FOUND : FOUND_NONE;
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

/* The look goes on, if it does, after a turn. */
static void room_go_on(struct sched_core *core, u64 now)
{
	room_set(core, now + us_to_ticks(PIECE_US));
}

/* Nothing to run, or no one who would have to wait. */
static void idle_fire(struct sched_core *core, u64 now)
{
	struct room_look *r = &core->look;

	if (r->on != LOOK_IDLE)
		core->room_vain++;
	switch (!core->load && core->idling ? room_tell(core) : FOUND_NONE) {
	case FOUND_NOT_YET:
		room_go_on(core, now);
		return;
	case FOUND:
		room_set(core, now + room_ticks(core));
		break;
	case FOUND_NONE:
		break;
	}
	r->on = LOOK_NONE;
}

static void waits_fire(struct sched_core *core, u64 now)
{
	ck_pr_store_64(&core->looked_ticks, now);
	switch (room_make(core, now)) {
	case FOUND_NOT_YET:
		room_go_on(core, now);
		return;
	case FOUND:
		core->room_vain = 0;
		break;
	case FOUND_NONE:
		core->room_vain++;
		bar_where_none(core);
		break;
	}
	core->look.on = LOOK_NONE;
	if (core->may_leave)
		room_set(core, now + room_ticks(core));
}

static void room_fire(struct timer *t, u64 now)
{
	struct sched_core *core = container_of(t, struct sched_core, room);

	ck_pr_store_32(&core->room_due, 0);
	core->look.left = PIECE_SETS;
	if (core->load <= 1)
		idle_fire(core, now);
	/* A policy that gives nothing shares no CPUs. */
	else if (core->ops->give && idle_next(IDLE_SLEEPS, 0) != CPU_NONE)
		waits_fire(core, now);
	else
		core->look.on = LOOK_NONE;
}

void room_init(struct sched_core *core)
{
	timer_init(&core->room, room_fire);
}

void room_look_soon(struct sched_core *core, u64 now)
{
	u64 looked = ck_pr_load_64(&core->looked_ticks);
	u64 at = MAX(now, looked + room_ticks(core));

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
