/*
 * HSM (chapter 9): harts start, stop, and sleep.
 *
 * The problem: a hart's HSM state is read and changed by other harts at any
 * moment, while the scheduler's state word says independently where the vCPU
 * really is; the answer has to be exact, and a hart may be started only when
 * its registers are in memory and nobody uses them.
 *
 * So the HSM word holds what was *asked*, and what has *become* of it is the
 * scheduler's word:
 *
 *   asked             vCPU               reported
 *   any but START_P.  OFF                STOPPED
 *   START_PENDING     any                START_PENDING
 *   STARTED           else               STARTED
 *   STOP_PENDING      else               STOP_PENDING
 *   SUSPEND_PENDING   BLOCKED            SUSPENDED
 *                     WAKING, QUEUED     RESUME_PENDING
 *                     RUNNING, BLOCKING  SUSPEND_PENDING
 *
 * OFF is published after the vCPU was saved, so STOPPED means that its
 * registers may be written. The asked word changes from STARTED only on the
 * vCPU's own CPU, and back to STARTED there, when it next runs; from STOPPED
 * only by whoever wins the CAS to TAKEN. It carries a count of starts
 * above the state: without it a starter that slept between its two looks could
 * start a hart that had been started and asked to stop again meanwhile. With
 * it, an unchanged word means that an OFF vCPU has stayed OFF.
 *
 * TAKEN, which is reported as STOPPED, lasts while the winner resets the
 * registers. Interrupts and fences for a hart that is STOPPED are not sent, and
 * the reset forgets those of before; from START_PENDING on they are kept. So
 * none is lost that was sent to a hart about to start, and none of its life
 * before is found in this one.
 *
 * A start that fails (the scheduling policy has no room) gives the word back.
 * Whether there is room is known at the call, and the place is kept for it.
 * Only if the policy is changed before the hart's CPU has looked can the new
 * one refuse what the old one promised; the guest was answered by then, and a
 * hart that no CPU has time for is what it sees: START_PENDING, until there is
 * room. One that is dropped because the guest ends stays START_PENDING until
 * vsbi_hart_clear.
 *
 * When the last hart stops, no hart is left that could start another: the
 * specification allows it and no interrupt ends it. Rouse takes it as a power
 * off with status 1. A guest that cannot ever run again would keep its memory,
 * and a lab that ends "when-done" waiting, for nothing; and since nobody
 * means to end that way, it is no success. Harts that are neither stopped nor
 * about to be are counted in one word: who starts another is counted itself, so
 * once the word is 0 it stays 0, and of several that stop at once exactly one
 * makes it 0.
 *
 * Rejected: looking at all harts when one stops (the last of thousands would
 * take more than 100 us in one exit); a hook by which the scheduler reports OFF
 * and BLOCKED. It would be a second copy of the state word, late by some
 * window.
 */
#include <ck_pr.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "kernel/sched/sched.h"
#include "kernel/virq.h"

#define ASKED_BITS VHSM_ASKED_BITS
#define ASKED(word) ((word) & ((1u << ASKED_BITS) - 1))
#define STARTS_ONE (1u << ASKED_BITS)
#define STARTS(word) ((word) & ~((1u << ASKED_BITS) - 1))
#define TAKEN ((1u << ASKED_BITS) - 1) /* asked: by one who will start it */

static u32 status_of(u32 asked, u32 state)
{
	if (asked == VHSM_START_PENDING)
		return VHSM_START_PENDING;
	if (state == VCPU_OFF)
		return VHSM_STOPPED;
	if (asked != VHSM_SUSPEND_PENDING)
		return asked;
	switch (state) {
	case VCPU_BLOCKED:
		return VHSM_SUSPENDED;
	case VCPU_WAKING:
	case VCPU_QUEUED:
		return VHSM_RESUME_PENDING;
	default:
		return VHSM_SUSPEND_PENDING;
	}
}

/* Status, and the word that it was true for. */
static u32 status_word(const struct riscv_vcpu *t, u32 *word)
{
	u32 again = ck_pr_load_32(&t->hsm_state), state;

	do {
		*word = again;
		/* The state is of a moment between two looks at the word. */
		ck_pr_fence_load();
		state = ck_pr_load_32(&t->v.state);
		ck_pr_fence_load();
		again = ck_pr_load_32(&t->hsm_state);
	} while (again != *word);
	return status_of(ASKED(again), state);
}

u32 vsbi_hsm_status(const struct riscv_vcpu *t)
{
	u32 word;

	return status_word(t, &word);
}

/* The owner's change of what is asked. */
static void ask(struct riscv_vcpu *v, u32 asked)
{
	u32 word = ck_pr_load_32(&v->hsm_state);

	v->odd |= VCPU_ODD_CALL;
	ck_pr_store_32(&v->hsm_state, STARTS(word) | asked);
}

/* An address where a hart can begin: in RAM, and an instruction's. */
static bool pc_valid(const struct guest *g, u64 pc)
{
	return (pc & 1) == 0 && vsbi_in_ram(g, pc, 0, 2);
}

/* Section 9.1. */
static enum exit_next hart_start(struct riscv_vcpu *v)
{
	struct riscv_vcpu *t = hart_find(v->v.guest, reg_get(v, REG_A0));
	u64 pc = reg_get(v, REG_A1);
	u32 word, next;

	if (!t)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (!pc_valid(v->v.guest, pc))
		return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	if (status_word(t, &word) != VHSM_STOPPED || ASKED(word) == TAKEN)
		return vsbi_return(v, VSBI_ALREADY_AVAILABLE, 0);
	next = (STARTS(word) + STARTS_ONE) | VHSM_START_PENDING;
	if (!ck_pr_cas_32(&t->hsm_state, word, STARTS(next) | TAKEN))
		return vsbi_return(v, VSBI_ALREADY_AVAILABLE, 0);
	ck_pr_inc_32(&t->v.guest->arch->harts_on);
	/* Ours now, and OFF: pairs with what publishes OFF after the save. */
	ck_pr_fence_acquire();
	t->resume_anew = false;
	arch_vcpu_reset(&t->v, pc, reg_get(v, REG_A2));
	/* Lines of the interrupt controller may have risen while it was off. */
	ck_pr_or_32(&t->v.virq, VIRQ_EXTERNAL);
	/* The reset before the word: who sees it raises for this life. */
	ck_pr_fence_release();
	ck_pr_store_32(&t->hsm_state, next);
	if (sched_vcpu_start(&t->v)) {
		ck_pr_fence_release();
		ck_pr_store_32(&t->hsm_state, STARTS(next) | VHSM_STOPPED);
		ck_pr_dec_32(&t->v.guest->arch->harts_on);
		return vsbi_return(v, VSBI_FAILED, 0);
	}
	return vsbi_return(v, VSBI_OK, 0);
}

/* Section 9.2. */
static enum exit_next hart_stop(struct riscv_vcpu *v)
{
	bool last;

	if (!vsse_stop(v))
		return NEXT_LOOK; /* the call is made again */
	ask(v, VHSM_STOP_PENDING);
	/* No order with anything else: the word is all there is. */
	ck_pr_dec_32_zero(&v->v.guest->arch->harts_on, &last);
	if (!last)
		return NEXT_OFF;
	guest_end(v->v.guest, EVENT_POWEROFF, 1);
	return NEXT_DEAD;
}

/* Section 9.3. */
static enum exit_next hart_status(struct riscv_vcpu *v)
{
	struct riscv_vcpu *t = hart_find(v->v.guest, reg_get(v, REG_A0));

	if (!t)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	return vsbi_return(v, VSBI_OK, vsbi_hsm_status(t));
}

enum exit_next vsbi_hsm_suspend_anew(struct riscv_vcpu *v, u64 pc, u64 arg)
{
	if (!pc_valid(v->v.guest, pc))
		return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	v->resume_anew = true;
	v->resume_pc = pc;
	v->resume_arg = arg;
	ask(v, VHSM_SUSPEND_PENDING);
	vsbi_return(v, VSBI_OK, 0);
	return NEXT_BLOCK;
}

/*
 * Section 9.4. Types that are reserved, or a platform's own and unimplemented,
 * are invalid. The upper half of the register isn't part of the type.
 */
static enum exit_next hart_suspend(struct riscv_vcpu *v)
{
	u32 type = (u32)reg_get(v, REG_A0);

	if (type == VHSM_SUSPEND_NON_RETENTIVE)
		return vsbi_hsm_suspend_anew(v, reg_get(v, REG_A1),
					     reg_get(v, REG_A2));
	if (type != VHSM_SUSPEND_RETENTIVE)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	ask(v, VHSM_SUSPEND_PENDING);
	vsbi_return(v, VSBI_OK, 0);
	return NEXT_BLOCK;
}

/* The registers that section 9.4 names; others may be anything, and stay. */
static void resume_anew(struct riscv_vcpu *v)
{
	v->resume_anew = false;
	v->pc = v->resume_pc;
	v->sstatus |= SSTATUS_SPP;
	v->hstatus |= HSTATUS_SPVP;
	reg_set(v, REG_A0, v->v.id);
	reg_set(v, REG_A1, v->resume_arg);
	v->vs.vsatp = 0;
	v->vs.vsstatus &= ~SSTATUS_SIE;
	vhw_vs_restart();
}

bool vsbi_run_begin(struct riscv_vcpu *v)
{
	if (unlikely(ASKED(ck_pr_load_32(&v->hsm_state)) != VHSM_STARTED)) {
		if (v->resume_anew)
			resume_anew(v);
		ask(v, VHSM_STARTED);
	}
	vtimer_expire(v);
	if (!vfence_run_begin(v))
		return false;
	if (unlikely(v->call_rest != NULL)) {
		if (!v->call_rest(v))
			return false;
		v->call_rest = NULL;
	}
	v->odd &= ~VCPU_ODD_CALL;
	return true;
}

void vsbi_hart_clear(struct riscv_vcpu *v)
{
	ask(v, VHSM_STOPPED);
	v->resume_anew = false;
	v->call_rest = NULL;
}

void vsbi_guest_reset(struct guest *g)
{
	ck_pr_store_32(&g->arch->harts_on, 1); /* hart 0, which will start */
	vsse_guest_reset(g);
}

static enum exit_next hsm_call(struct riscv_vcpu *v, u64 fid)
{
	switch (fid) {
	case VSBI_HSM_START:
		return hart_start(v);
	case VSBI_HSM_STOP:
		return hart_stop(v);
	case VSBI_HSM_STATUS:
		return hart_status(v);
	case VSBI_HSM_SUSPEND:
		return hart_suspend(v);
	default:
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	}
}

const struct vsbi_ext vsbi_hsm = {
	.name = "HSM",
	.first = VSBI_EID_HSM,
	.last = VSBI_EID_HSM,
	.call = hsm_call,
};
