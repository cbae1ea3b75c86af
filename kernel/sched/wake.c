/*
 * The one way in for interrupts: virq_raise.
 *
 * The problem: raiser and sleeper meet without a lock. The raiser says what is
 * new (virq), then looks whether anyone needs to be told (state); the sleeper
 * says that it goes to sleep (state), then looks whether anything is new
 * (virq). A full fence between the two steps on both sides means that at least
 * one of them sees the other. If both do, the compare-and-swap on the state
 * word decides, once.
 *
 * Rejected: telling the owner always (a queued vCPU would cost an IPI for each
 * interrupt), time-outs against lost wakes (they hide them).
 */
#include "kernel/virq.h"

#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

/* The running vCPU looks at virq by itself if its CPU is in the hypervisor,
 * or if it is the one that raises. */
static inline __attribute__((always_inline)) void
ring_running(struct vcpu *v, bool hooks)
{
	struct cpu *c;

	/* RUNNING was read before the owner is: else a vCPU that has moved
	 * could be seen running while its old owner is rung. Pairs with what
	 * is between v->cpu and RUNNING: unit_handover, and the mailbox. */
	ck_pr_fence_load();
	c = vcpu_cpu(v);
	if (c == cpu_this() || ck_pr_load_32(&c->mode) != CPU_GUEST)
		return;
	if (ck_pr_fas_64(&c->bell, 1) == 0) {
		if (hooks)
			TRACE(BELL_RUNG, v->sched.trace_id, c->index, 0);
		arch_doorbell_ring(c);
	}
}

/* Apart, so that the others keep nothing for it. */
static __attribute__((noinline)) void ring_running_quiet(struct vcpu *v)
{
	ring_running(v, false);
}

/* The only winner tells the owner. v->cpu may be out of date already: then the
 * mail is forwarded. */
static inline __attribute__((always_inline)) void mail_owner(struct vcpu *v,
							      bool hooks)
{
	doorbell_post_as(vcpu_cpu(v), &v->mail, 0, hooks);
}

static inline __attribute__((always_inline)) void
raise_as(struct vcpu *v, u32 bits, bool hooks)
{
	u32 state;

	if (hooks)
		TRACE(VIRQ_ASSERT, v->sched.trace_id, bits, trace_culprit());
	ck_pr_fence_release();
	ck_pr_or_32(&v->virq, bits);
	/* Pairs with the fence in current_block between BLOCKING and the look
	 * at virq, and with cpu_will_stop's between RUNNING, mode = GUEST and
	 * the look at virq. Without it a wake is lost. */
	ck_pr_fence_memory();
	/* The compare-and-swap is the look at the state, too: who sleeps most
	 * is who is raised for most. */
	while (!ck_pr_cas_32_value(&v->state, VCPU_BLOCKED, VCPU_WAKING,
				   &state)) {
		if (state == VCPU_RUNNING) {
			if (hooks)
				ring_running(v, true);
			else
				ring_running_quiet(v);
			return;
		}
		/* QUEUED, WAKING: looks when it is dispatched. OFF: nobody is
		 * there. BLOCKING: it is still on its CPU, in the hypervisor,
		 * and will find that it may not sleep. */
		if (state != VCPU_BLOCKING ||
		    ck_pr_cas_32(&v->state, VCPU_BLOCKING, VCPU_RUNNING))
			return;
	}
	if (hooks)
		trace_wake(v, 0);
	mail_owner(v, hooks);
}

/* Recorded: a copy of all, so that the other asks once, and keeps nothing for
 * this one. */
static __attribute__((noinline)) void raise_traced(struct vcpu *v, u32 bits)
{
	raise_as(v, bits, true);
}

void virq_raise(struct vcpu *v, u32 bits)
{
	if (trace_on(~0u))
		raise_traced(v, bits);
	else
		raise_as(v, bits, false);
}
