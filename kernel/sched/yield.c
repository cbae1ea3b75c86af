/*
 * The short way from a vCPU that gives way to the next one.
 *
 * The problem: who waits in a loop for another vCPU's store says so (wrs.nto),
 * and giving way is to cost as little as can be. The long way ends its turn,
 * looks at all that may have come (core.c: look_round), puts it into a queue,
 * has the policy take another out of it, and only then looks for the
 * differences.
 *
 * Nearly always nothing has come: there is no mail, and what the CPU's timer was
 * set to when the turn began, the first of all that would be due, is yet to
 * come. Then what is left of the long way is the policy's choice and the books:
 * the turn is charged, two vCPUs change their states and runstates, and the
 * timer is set anew. The architecture asks for that (sched_give_way) without
 * leaving its own loop, and goes on with the vCPU that it gets.
 *
 * What can't be otherwise of a current isn't asked: it is counted, admitted, not
 * paused, and may run here, because whoever changes that sends mail. Most flags
 * of the CPU are looked at in one word. A guest that wants to know when its vCPU
 * waits takes the long way.
 *
 * Invariants: a CPU that took the short way is in the same state as one that
 * took the long one (a test compares the two word by word). Whatever isn't
 * exactly this case takes the long way. The orders of memory accesses are the
 * long way's: the mode is CPU_HYP here, and RUNNING is followed by a full fence
 * and a look at mail and virq, in arch_vcpu_run.
 *
 * Rejected: asking the policy for the next vCPU in advance, when a turn begins
 * (each wake in between would have to ask again).
 */
#include "kernel/sched/private.h"

/* The current gives way. */
static inline void put_back(struct sched_unit *u, u64 now)
{
	ck_pr_store_32(&unit_vcpu(u)->state, VCPU_QUEUED);
	u->queued = true;
	unit_runstate_from(u, RUNSTATE_RUNNING, RUNSTATE_RUNNABLE, now);
}

/* The current's turn begins: as dispatch, where what is asked there is known. */
static inline struct vcpu *dispatch(struct sched_core *core, struct cpu *c)
{
	struct sched_unit *u = core->sc.current;
	struct vcpu *v = unit_vcpu(u);
	u64 now = c->turn_since;

	u->queued = false;
	/* Followed by a full fence and a look at virq, as in dispatch. */
	ck_pr_store_32(&v->state, VCPU_RUNNING);
	c->current = v;
	if (likely(core->loaded != v)) {
		core->loaded = v;
		c->stats.switches++;
	}
	v->turns++;
	unit_runstate_from(u, RUNSTATE_RUNNABLE, RUNSTATE_RUNNING, now);
	charge_begin(u, now);
	if (unlikely(v->waits))
		v->waits(v, false);
	return v;
}

/* The policy has no short way for what it found: as put_back in core.c, from
 * where the charge is done. */
static __attribute__((noinline, cold)) struct vcpu *
take_long_way(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	core->sc.current = NULL;
	core->sc.cpu->current = NULL;
	core->sc.cpu->turn_since = 0;
	if (core->ops->leave)
		core->ops->leave(&core->sc, u, now);
	core->ops->enqueue(&core->sc, u, WHY_YIELD, now);
	core->resched = true;
	return NULL;
}

/* What it has at hand is read again behind each call: to keep it in registers
 * would take more. */
struct vcpu *sched_give_way(void)
{
	struct cpu *c = cpu_this();
	struct sched_core *core = core_of(c);
	struct sched_unit *u = core->sc.current;
	struct charge charge;
	u64 now;

	if (unlikely(core->odd || mbox_has_mail(&c->mbox) ||
		     unit_vcpu(u)->waits))
		return NULL;
	now = arch_ticks();
	if (unlikely(now >= core->armed))
		return NULL;
	charge = charge_due(u, now);
	charge_done(u, &charge, now);
	c->turn_since = now;
	put_back(u, now);
	u = core->yield(&core->sc, u, charge.ticks, charge.active, now,
			     &core->deadline);
	core = core_of(cpu_again());
	if (unlikely(!u))
		return take_long_way(core, core->sc.cpu->turn_since);
	core->sc.current = u;
	timer_arm_as(core, MIN(core->deadline, core->others_at), false);
	c = cpu_again();
	return dispatch(core_of(c), c);
}
