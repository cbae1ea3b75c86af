/*
 * The short way from a wait into the guest.
 *
 * The problem: most wakes find a CPU that waits for the very vCPU that slept
 * there last, with nothing else to do. The long way (core.c: look_round) asks
 * on behalf of everybody whether anything else is due, queues the vCPU, and has
 * the policy take it out of the queue again.
 *
 * So before it waits a CPU finds out whether there is such a vCPU: the sleeper.
 * All that could speak against it but mail, a timer, and what others do to the
 * vCPU itself, can't change while the CPU waits, since only the CPU changes it;
 * it is looked at then, when time doesn't matter. What is left for the wake is
 * to see that no timer is due, and that the mail is one node, the sleeper's,
 * which says no more than "awake". Then the vCPU goes from WAKING to RUNNING at
 * once.
 *
 * Invariants: a CPU that took the short way is in the same state as one that
 * took the long one (a test compares the two word by word). Whatever isn't
 * exactly this case takes the long way; mail that was taken by then goes along.
 * `sleeper` is NULL but from resume_prepare to the end of that wait.
 * `affinity` may change while the CPU waits, as it may right after any look at
 * it: the MOVE request that follows puts it right.
 *
 * Rejected: a short way for any vCPU of the CPU's (each condition would be
 * looked at in the wake), leaving the vCPU's state unsaved while it sleeps
 * (another CPU may want it).
 */
#ifndef ROUSE_KERNEL_SCHED_RESUME_H
#define ROUSE_KERNEL_SCHED_RESUME_H

#include "kernel/sched/private.h"

/* Classes that have hooks on the long way, and not on this one; and the wait is
 * not counted (a test compares what both record). */
#define RESUME_PASSES (TRACE_SCHED | TRACE_TIMER | TRACE_POLICY | TRACE_STATS)

/* This CPU is about to wait: can it take the short way? Sets core->sleeper. */
void resume_prepare(struct sched_core *core);

/* What came of the short way. */
enum resume {
	RESUMED,    /* the sleeper's turn may begin */
	RESUME_NOT, /* nothing was done */
	RESUME_MAIL, /* but the mail was taken, and is to be looked at */
};

/* Takes the mail. RESUMED: it is `v`'s alone, and says that it is awake. */
static inline __attribute__((always_inline)) enum resume
mail_take(struct sched_core *core, struct vcpu *v, struct mbox_node **mail,
	  u64 now)
{
	struct cpu *c = cpu_this();
	ck_stack_entry_t *e = mbox_pop(&c->mbox);
	u32 bits;

	if (unlikely(e != &v->mail.entry || e->next)) {
		*mail = e ? mbox_oldest(e) : NULL;
		return RESUME_MAIL;
	}
	c->stats.mails++;
	bits = mbox_take(&v->mail);
	/* The owner is this CPU and stays so: no need to look, nor for the
	 * fence of vcpu_look. */
	if (likely(!bits && !ck_pr_load_32(&v->requests) &&
		   ck_pr_load_32(&v->state) == VCPU_WAKING))
		return RESUMED;
	*mail = NULL;
	c->stats.switches--;
	vcpu_look(c, &v->mail, bits, now);
	return RESUME_MAIL;
}

/* unit_count and charge_begin in one. */
static inline void count(struct sched_core *core, struct sched_unit *u, u64 now)
{
	u64 word;

	u->counted = true;
	core->load = 1;
	ck_pr_store_32(&cpu_this()->load, 1);
	word = active_change(u->account, true, now);
	ck_pr_store_64(&u->charged_ticks, now);
	ck_pr_store_64(&u->charged_active, active_word_integral(word, now));
}

/*
 * Takes the short way, if this is the case for it: the sleeper is the current,
 * charged from now on, and its turn may begin with arch_vcpu_load. Else the
 * long way goes on. Behind arch_wait, with a sleeper. *until: the turn's
 * deadline.
 */
static inline __attribute__((always_inline)) enum resume
resume_try(struct sched_core *core, struct mbox_node **mail, u64 *until,
	   u64 now)
{
	struct vcpu *v = core->sleeper;
	struct sched_unit *u = &v->sched;
	enum resume taken;
	u64 deadline;

	core->sleeper = NULL;
	if (timer_next_ticks(&core->timers) <= now)
		return RESUME_NOT;
	doorbell_answered(cpu_this());
	taken = mail_take(core, v, mail, now);
	if (taken != RESUMED)
		return taken;
	count(core, u, now);
	deadline = core->ops->resume(&core->sc, u, now);
	if (unlikely(!deadline)) {
		*mail = NULL;
		cpu_this()->stats.switches--;
		unit_uncount(core, u, now);
		unit_wake(core, v, now);
		return RESUME_MAIL;
	}
	idle_end(core, now);
	timer_clear(&core->timers, &u->timer);
	/* Followed by a full fence and a look at virq, as in dispatch. */
	ck_pr_store_32(&v->state, VCPU_RUNNING);
	core->sc.current = u;
	ck_pr_store_ptr(&cpu_this()->current, v);
	core->sc.deadline_ticks = deadline;
	*until = deadline;
	core->idling = false;
	idle_bit_leave(&core->idle_bit);
	core->loaded = v;
	ck_pr_store_64(&v->wakes, v->wakes + 1);
	unit_runstate_from(u, RUNSTATE_BLOCKED, RUNSTATE_RUNNING, now);
	return RESUMED;
}

/*
 * What turn_begin does (core.c), for the turn that follows: no task waits, and
 * no timers are recorded, or the CPU would not have had a sleeper.
 */
static inline void resume_turn_begin(struct sched_core *core, u64 until,
				     u64 now)
{
	u64 others = MIN(core->balance_at, timer_next_ticks(&core->timers));

	timer_arm_as(core, MIN(until, others), false);
	ck_pr_store_64(&cpu_this()->turn_since, now);
}

#endif
