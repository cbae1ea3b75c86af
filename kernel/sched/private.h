/*
 * Inside the scheduler's core: what its files share.
 */
#ifndef ROUSE_KERNEL_SCHED_PRIVATE_H
#define ROUSE_KERNEL_SCHED_PRIVATE_H

#include "kernel/sched/account.h"
#include "kernel/sched/core.h"
#include "kernel/percpu/trace.h"

/* ---- account.c: time ---- */

/* The unit can't run any more. */
void unit_uncount(struct sched_core *core, struct sched_unit *u, u64 now);
void account_knobs(struct sched_account *a, const struct sched_params *p);
/* What this round, which began at `now`, has done so far was for that unit of
 * this CPU, but for what others owe already: it is charged for it later. */
void unit_owe(struct sched_core *core, struct sched_unit *u, u64 now);
/* The same for one that has just gone to another CPU, of that guest. */
void account_owe_sent(struct sched_core *core, struct sched_account *a,
		      u64 now);

/* ---- place.c: which queue ---- */

/*
 * A unit that may run, in no queue, goes into this CPU's queue or another's.
 * False: it is another's now, not to be touched any more.
 */
bool unit_route(struct sched_core *core, struct sched_unit *u,
		enum sched_why why, u64 now);
/* The same for one that has been woken. */
bool unit_route_woken(struct sched_core *core, struct sched_unit *u, u64 now);
/* For the current that gives the rest of its slice away, and was dropped. */
bool unit_route_yielded(struct sched_core *core, struct sched_unit *u, u64 now);
/* Has the policy of its home got it? While it changes it may not, yet. */
static inline bool unit_is_held(const struct sched_core *core,
				const struct sched_unit *u)
{
	return core->epoch && u->held == core->epoch;
}

/* Out of the queue, if it is in it. */
void unit_dequeue(struct sched_core *core, struct sched_unit *u, u64 now);
/* The unit, not current and in no queue, becomes that CPU's. */
void unit_handover(struct sched_core *core, struct sched_unit *u, u32 to,
		   u64 now);
/* It has come. False: and gone on. */
bool unit_arrive(struct sched_core *core, struct vcpu *v, u64 now);
/* In and out of home's list and the policy's hands. */
void unit_link(struct sched_core *core, struct sched_unit *u, u64 now);
/* The CPU's policy has it from now on, if there is one. */
void unit_hold(struct sched_core *core, struct sched_unit *u, u64 now);
void unit_unlink(struct sched_core *core, struct sched_unit *u, u64 now);
/* Does the policy have room? Sets or clears u->refused. It holds it then. */
bool unit_admit(struct sched_core *core, struct sched_unit *u, u64 now);
/* The current leaves the CPU's hands and is in no queue: QUEUED or as said. */
struct sched_unit *current_drop(struct sched_core *core, u64 now);

/* ---- life.c: what happens to a vCPU ---- */

mbox_look_fn vcpu_look;
/* A vCPU of this CPU is WAKING: it may run again. */
void unit_wake(struct sched_core *core, struct vcpu *v, u64 now);
void vcpu_timer_fire(struct timer *t, u64 now);
/* The current's guest waits: block unless something came. */
void current_block(struct sched_core *core, u64 now);
/* The current's guest has ended: it never runs again, a KILL is to come. */
void current_dead(struct sched_core *core, u64 now);
/* The current stopped itself. */
void current_off(struct sched_core *core, u64 now);

/* Units of a CPU that are looked at at once, asleep or not, for where one may
 * run: 40 instructions each, or 90 with 512 CPUs. */
#define UNITS_MOST 1024

/* ---- idle.c: asking for work, waiting ---- */

mbox_look_fn ask_look, answer_look, told_look;
/* This CPU has something to run. */
static inline void idle_stop(struct sched_core *core)
{
	if (!core->idling)
		return;
	core->idling = false;
	/* If it was claimed already, work is on its way here. */
	idle_bit_leave(&core->idle_bit);
}

/* The native guest here is not alone any more. */
void native_stop(struct sched_core *core);
/* Nothing to run: advertise, ask, set the timer, get ready to wait. */
void idle_step(struct sched_core *core, u64 now);
void balance_look(struct sched_core *core, u64 now);
/* The unit, of this CPU, may run on what CPUs it says now: none of them is
 * barred. Before it is routed. */
void bar_lift(struct sched_core *core, const struct sched_unit *u);
/* Bars the CPUs on which no unit of this one may run, and no others. */
void bar_where_none(struct sched_core *core);
/* A vCPU waits here: those that rest are told. */
void rest_end(struct sched_core *core);
/* This CPU's own rest, if it had one, ends: for the first that is about to wait
 * here, for one that waits elsewhere, for a look. */
void rest_over(struct sched_core *core, u64 now);
/* Units that waited for their cap can run: is anyone idle? */
void spread(struct sched_core *core, u64 now);
/* Under a policy that is new to the CPU. */
void balance_start(struct sched_core *core, u64 now);
/* Its wait is over. What waited elsewhere would have been given to it: nothing
 * to compare for a period. */
static inline void idle_end(struct sched_core *core, u64 now)
{
	cpu_this()->stats.idle_ticks += now - core->idle_since;
	core->idle_since = 0;
	/* Where nothing is to be compared no timer is set for it either. */
	if (core->look_ticks)
		core->balance_at = now + core->look_ticks;
}

/* Compares virtual times if it is time to; turn_begin sees to it that the CPU
 * looks then. */
static inline void balance(struct sched_core *core, u64 now)
{
	if (now >= core->balance_at)
		balance_look(core, now);
}

static inline void timer_arm(struct sched_core *core, u64 want)
{
	timer_arm_as(core, want, true);
}

/* ---- room.c: who runs goes elsewhere ---- */

void room_init(struct sched_core *core);
void room_look_soon(struct sched_core *core, u64 now);
/* A unit waits here while another CPU is idle: looks for a way, soon, if there
 * may be one. */
static inline void room_want(struct sched_core *core, u64 now)
{
	if (core->may_leave)
		room_look_soon(core, now);
}
/* This CPU is idle and may not have what waits elsewhere: looks for a way if it
 * stays idle. */
void room_want_later(struct sched_core *core);

/* ---- reach.c: where rows lead that make room ---- */

/* Anew; as if `self` were reached already, since no row leads back, unless it
 * is where it is to end. */
void reach_begin(struct sched_core *core, u32 self);
/* Do rows lead to no more CPUs? */
bool reach_over(const struct sched_core *core);
/* Rows lead on to `may`; they are `first`'s, or CPU_NONE: each is the first of
 * one. Returns an idle CPU among those that were not reached before, which may
 * be tried, or CPU_NONE: all of them are reached now. */
u32 reach(struct sched_core *core, const struct cpuset *may, u32 first);
/* Rows go on by those who run where they have got to, up to an idle CPU, which
 * is returned, and the first of its row; or CPU_NONE: they don't lead to any,
 * or the piece is over (look.left). */
u32 reach_more(struct sched_core *core, u32 *first);

/* ---- poll.c: wfi = "poll" ---- */

bool poll_begin(struct sched_core *core, u64 now);
/* False: it is over, one way or the other. */
bool poll_step(struct sched_core *core, u64 now);
void poll_learn(struct sched_unit *u, u64 now);

/* ---- task.c ---- */

static inline bool tasks_wait(const struct sched_core *core)
{
	return core->task_first != NULL;
}

/* When the turn of the current ends at the latest, whatever the policy says.
 * Nothing changes it until the CPU looks around. */
static inline u64 turn_others(const struct sched_core *core)
{
	u64 until = MIN(core->balance_at, timer_next_ticks(&core->timers));

	if (unlikely(tasks_wait(core)))
		until = MIN(until, core->guests_until);
	return until;
}

/* One step of the first task that waits. */
void task_run_step(struct sched_core *core, u64 now);

/* ---- pool.c ---- */

mbox_look_fn pool_look;
/* The core's, before it has any units. */
void pool_enter_init(struct sched_core *core);

/* ---- registry.c ---- */

const struct sched_ops *policy_find(const char *name);

/* ---- core.c ---- */

void core_init(struct sched_core *core, struct cpu *c);
/* The current, which has vcpu->waits, begins to wait for a CPU: it is told,
 * before another CPU may have it. `busy`: the CPU has worked for others since
 * its turn. Returns the time. */
u64 current_waits(struct sched_core *core, bool busy, u64 now);

/* Any CPU may look whose policy it is. */
static inline void core_policy_is(struct sched_core *core,
				  const struct sched_ops *ops)
{
	ck_pr_store_ptr(&core->ops, ops);
	core->yield = ops->yield;
	core->queues = !ops->yield || !sched_short_way;
}

#endif
