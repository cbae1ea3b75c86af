/*
 * Doorbell: rung only when the other CPU would not look by itself.
 *
 *   producer                        owner
 *   post                            acknowledge; bell = 0
 *   full fence                      full fence
 *   mode is HYP: done               drain the mailbox
 *   bell was 0: bell = 1, ring      ...
 *                                   mode = GUEST or IDLE
 *                                   full fence
 *                                   mail? mode = HYP, drain again
 *                                   enter or wait, acknowledging nothing
 *
 * Either the producer sees a mode in which it must ring, or the owner sees the
 * mail. Ordering: docs/locking.md, "Doorbell".
 */
#ifndef ROUSE_KERNEL_PERCPU_DOORBELL_H
#define ROUSE_KERNEL_PERCPU_DOORBELL_H

#include "kernel/arch.h"
#include "kernel/percpu/cpu.h"
#include "kernel/percpu/trace.h"

/*
 * After something was published for `c`: makes sure that it looks. Any CPU,
 * any context; the fence is inside. Costs a load if `c` will look by itself.
 * Without `hooks` (a constant) nothing is recorded, whatever the mask: for who
 * has looked at it.
 */
static inline __attribute__((always_inline)) void
doorbell_kick_as(struct cpu *c, bool hooks)
{
	/* Pairs with the fence of cpu_will_stop: what was published before
	 * the mode is read. Without it both could miss the other's store. */
	ck_pr_fence_memory();
	if (ck_pr_load_32(&c->mode) == CPU_HYP) {
		if (hooks)
			TRACE(BELL_ELIDED, TRACE_NOBODY, c->index, CPU_HYP);
		return;
	}
	/* Swapped without looking first: it is 0 whenever it matters. */
	if (ck_pr_fas_64(&c->bell, 1) == 0) {
		if (hooks)
			TRACE(BELL_RUNG, TRACE_NOBODY, c->index, 0);
		arch_doorbell_ring(c);
	} else if (hooks) {
		TRACE(BELL_ELIDED, TRACE_NOBODY, c->index, CPU_GUEST);
	}
}

static inline void doorbell_kick(struct cpu *c)
{
	doorbell_kick_as(c, true);
}

/* Posts `n` to `c` and rings if needed. Any CPU, any context. */
static inline __attribute__((always_inline)) void
doorbell_post_as(struct cpu *c, struct mbox_node *n, u32 bits, bool hooks)
{
	/* Even when the node was on its way already we kick: the one who
	 * pushed it may not have come to its own kick yet. */
	mbox_post(&c->mbox, n, bits);
	doorbell_kick_as(c, hooks);
}

static inline void doorbell_post(struct cpu *c, struct mbox_node *n, u32 bits)
{
	doorbell_post_as(c, n, bits, true);
}

/*
 * What all CPUs are told goes from CPU to CPU as in a binary tree, so that none
 * rings more than two: it is posted to CPU 0, and `cpu` passes it on. `node`: a
 * CPU's own for this. On that CPU, before it does its part.
 */
static inline void doorbell_pass_on(u32 cpu, struct mbox_node *(*node)(u32 cpu),
				    u32 bits)
{
	for (u32 i = 2 * cpu + 1; i <= 2 * cpu + 2 && i < cpu_count(); i++)
		doorbell_post(cpu_by_index(i), node(i), bits);
}

/* The second half of doorbell_answer, for who has acknowledged the hardware. */
static inline void doorbell_answered(struct cpu *c)
{
	ck_pr_store_64(&c->bell, 0);
	/* Pairs with doorbell_kick's fence: whoever still saw bell = 1 has
	 * posted before, and the drain that follows sees it. */
	ck_pr_fence_memory();
}

/*
 * The owner, before it drains: the doorbell is silent and may be rung again.
 * What rings later than this is either drained now or pends in hardware.
 */
static inline void doorbell_answer(struct cpu *c)
{
	if (trace_on(TRACE_BELL) && ck_pr_load_64(&c->bell))
		trace_write(TRACE_EV_BELL_TAKEN, TRACE_NOBODY, 0, 0);
	arch_doorbell_ack();
	doorbell_answered(c);
}

/* The owner is about to stop looking: false if there is mail to look at. */
static inline bool cpu_will_stop(struct cpu *c, u32 mode)
{
	ck_pr_store_32(&c->mode, mode);
	/* Pairs with doorbell_kick's fence (mail, idle bits) and with
	 * virq_raise's (v->virq is looked at after this). */
	ck_pr_fence_memory();
	if (likely(!mbox_has_mail(&c->mbox)))
		return true;
	ck_pr_store_32(&c->mode, CPU_HYP);
	return false;
}

/*
 * For arch_vcpu_run, at the beginning of a turn: mode = GUEST, full fence,
 * look at the mail. False: there is some, mode is HYP again, return RUN_LOOK.
 * True: now, *after* this call, look at v->virq (swap it to 0, turn the bits
 * into interrupts) and enter; what is raised later rings, and the ring pends
 * in hardware. Requests always come with mail, so v->requests needs no look.
 *
 * Quick exits stay in mode GUEST without a fence. They must look at v->virq
 * (a plain load) before each return to the guest: the device that a vCPU has
 * just written to may have raised an interrupt for that same vCPU, and
 * virq_raise does not ring the CPU it is called on.
 */
static inline bool cpu_enter_guest(struct cpu *c, struct vcpu *v)
{
	(void)v;
	return cpu_will_stop(c, CPU_GUEST);
}

/* At the end of a turn, before arch_vcpu_run returns. No fence: whoever still
 * reads GUEST rings once too often, which is harmless. */
static inline void cpu_leave_guest(struct cpu *c)
{
	ck_pr_store_32(&c->mode, CPU_HYP);
}

/*
 * The doorbell rang while the guest ran (mode GUEST). True: it was for an
 * interrupt of the running vCPU alone: look at v->virq and go on. False: there
 * is mail, leave with RUN_LOOK.
 */
static inline bool cpu_guest_bell(struct cpu *c)
{
	doorbell_answer(c);
	return !mbox_has_mail(&c->mbox);
}

#endif
