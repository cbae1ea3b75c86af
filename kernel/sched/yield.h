/*
 * The short way from a vCPU that gives way to the next one.
 *
 * The problem: who waits in a loop for another vCPU's store says so (wrs.nto),
 * and giving way is to cost as little as can be. The long way ends its turn,
 * looks at all that may have come (core.c: look_round), puts it into a queue,
 * has the policy take another out of it, and only then looks for the
 * differences.
 *
 * Nearly always nothing has come: there is no mail, and what the CPU's timer
 * was set to when the turn began, the first of all that would be due, is yet to
 * come. Then what is left of the long way is the policy's choice and the books:
 * the turn is charged, and two vCPUs change their states and runstates. The
 * timer is set anew only if the turn that begins must end before that, on the
 * long way as well: vCPUs that wait for each other do this all the time, and
 * the timer that comes too soon is one exit a slice, and with Sstc a short one
 * (sched_timer_early), since it may be in the turn of another guest's. The
 * architecture asks for the next one (sched_give_way) without leaving its own
 * loop, and goes on with the vCPU that it gets. The CPU's time in guests is one
 * from the first turn to the last of such a row, and is added up when that is
 * over (cpu->turn_since).
 *
 * What can't be otherwise of a current isn't asked: it is counted, admitted,
 * not paused, and may run here, because whoever changes that sends mail. Most
 * flags of the CPU are looked at in one word. A vCPU whose guest wants to know
 * when it waits takes the long way.
 *
 * Invariants: a CPU that took the short way is in the same state as one that
 * took the long one (a test compares the two word by word). Whatever isn't
 * exactly this case takes the long way, as does one that owes something
 * (account.c): there it pays. The orders of memory accesses are the long way's:
 * RUNNING is followed by a full fence and a look at mail and virq, in
 * arch_vcpu_run.
 *
 * It is part of the architecture's loop, where all registers are free: what it
 * has at hand stays there over the policy's choice, and there is no frame: 31
 * instructions less than a function takes.
 *
 * Rejected: asking the policy for the next vCPU in advance, when a turn begins
 * (each wake in between would have to ask again).
 */
#ifndef ROUSE_KERNEL_SCHED_YIELD_H
#define ROUSE_KERNEL_SCHED_YIELD_H

#include "kernel/sched/account.h"

/* Classes that have hooks on the long way, and not on this one; and the wait is
 * not counted (a test compares what both record). Those that the exit and the
 * entry pass by are the architecture's (arch_vcpu_trace). */
#define YIELD_PASSES (TRACE_SCHED | TRACE_TIMER | TRACE_POLICY | TRACE_STATS)

/* The policy has no short way for what it found: the long one goes on from
 * where the policy has charged the current. */
void sched_yield_queue(struct sched_core *core, u64 now);

/* The current waits in the queue from now on. */
static inline __attribute__((always_inline)) void yield_put_back(
	struct sched_unit *u)
{
	ck_pr_store_32(&unit_vcpu(u)->state, VCPU_QUEUED);
	u->queued = true;
}

/* The current waits in the queue, and the other waits no longer: as by
 * unit_runstate for each, with its fences once. */
static inline __attribute__((always_inline)) void yield_states(
	struct sched_unit *from, struct sched_unit *to, u64 now)
{
	s64 ran = (s64)(now - from->since_ticks);
	s64 waited = (s64)(now - to->since_ticks);

	if (unlikely(ran <= 0 || waited <= 0)) {
		unit_runstate_from(from, RUNSTATE_RUNNING, RUNSTATE_RUNNABLE,
				   now);
		unit_runstate_from(to, RUNSTATE_RUNNABLE, RUNSTATE_RUNNING,
				   now);
		yield_put_back(from);
		return;
	}
	ck_pr_store_64(&from->since_ticks, SINCE_CHANGES);
	ck_pr_store_64(&to->since_ticks, SINCE_CHANGES);
	ck_pr_fence_store();
	ck_pr_store_64(&from->ticks[RUNSTATE_RUNNING],
		       from->ticks[RUNSTATE_RUNNING] + (u64)ran);
	ck_pr_store_32(&from->runstate, RUNSTATE_RUNNABLE);
	yield_put_back(from);
	ck_pr_store_64(&to->ticks[RUNSTATE_RUNNABLE],
		       to->ticks[RUNSTATE_RUNNABLE] + (u64)waited);
	ck_pr_store_32(&to->runstate, RUNSTATE_RUNNING);
	ck_pr_fence_store();
	ck_pr_store_64(&from->since_ticks, now);
	ck_pr_store_64(&to->since_ticks, now);
}

/* The turn of another begins, as in dispatch (core.c), where what is asked
 * there is known. */
static inline __attribute__((always_inline)) void yield_dispatch(
	struct sched_core *core, struct sched_unit *u, u64 now)
{
	struct vcpu *v = unit_vcpu(u);
	struct cpu *c = cpu_this();

	core->sc.current = u;
	u->queued = false;
	/* Followed by a full fence and a look at virq, as in dispatch. */
	ck_pr_store_32(&v->state, VCPU_RUNNING);
	ck_pr_store_ptr(&c->current, v);
	core->loaded = v;
	c->stats.switches++;
	v->turns++;
}

/* The same one goes on. */
static inline void yield_go_on(struct sched_unit *u, u64 now)
{
	unit_runstate_from(u, RUNSTATE_RUNNING, RUNSTATE_RUNNING, now);
	unit_vcpu(u)->turns++;
	charge_begin(u, now);
}

/*
 * `v`, which runs on this CPU, gives the rest of its turn away, its turn is
 * over (arch_vcpu_run would return RUN_YIELD): who is next? That one is the
 * current from now on, and its turn begins as in arch_vcpu_run once its state
 * has taken the place of the other's; it may be the same one. NULL: return
 * RUN_YIELD. Not for one that has vcpu->waits; and the one that is next has yet
 * to be told by its own. The mode may be CPU_GUEST still.
 */
static inline __attribute__((always_inline)) struct vcpu *sched_give_way(
	struct vcpu *v)
{
	struct cpu *c = cpu_this();
	struct sched_core *core = core_of(c);
	struct sched_unit *u = &v->sched, *next;
	struct charge charge;
	u64 now;

	if (unlikely(core->odd || u->owed_ticks || mbox_has_mail(&c->mbox)))
		return NULL;
	now = arch_ticks();
	if (unlikely(now >= core->armed))
		return NULL;
	charge = charge_due(u, now);
	/* Before the account's time, so that a listing doesn't count these
	 * ticks twice. */
	ck_pr_store_64(&u->charged_ticks, now);
	charge_account(charge.account, charge.ticks);
	next = core->yield(&core->sc, u, charge.ticks, charge.active, now);
	if (unlikely(!next)) {
		sched_yield_queue(core, now);
		return NULL;
	}
	/* What else ends turns is no earlier than what it is set to. */
	if (unlikely(core->sc.deadline_ticks < core->armed))
		timer_arm_as(core, core->sc.deadline_ticks, false);
	if (unlikely(unit_vcpu(next) == v)) {
		yield_go_on(u, now);
		return v;
	}
	/* Before it is the CPU's current: others look how long that has run. */
	charge_begin(next, now);
	yield_states(u, next, now);
	yield_dispatch(core, next, now);
	return unit_vcpu(next);
}

#endif
