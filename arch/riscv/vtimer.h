/*
 * A guest's timer: with Sstc its comparator in hardware, else a deadline that
 * Rouse keeps and VSTIP raised through hvip.
 *
 * Guest ticks are host ticks plus the guest's htimedelta, modulo 2^64.
 * kernel/arch.h has what the core asks (arch_vcpu_deadline_ticks,
 * arch_vcpu_timer_fired); this is for the world switch and SBI calls.
 */
#ifndef ROUSE_ARCH_RISCV_VTIMER_H
#define ROUSE_ARCH_RISCV_VTIMER_H

#include "arch/riscv/isa.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "kernel/base.h"

/* The guest's clock now, in its own ticks. */
u64 vtimer_now(const struct riscv_vcpu *v);

/*
 * Sets the guest's timer to `guest_ticks` (TIME_NEVER: off) and takes a
 * pending timer interrupt away, or raises it if that moment has passed already.
 * `v` is loaded on this CPU.
 */
void vcpu_timer_program(struct riscv_vcpu *v, u64 guest_ticks);

/*
 * The world switch moves the timer with the vCPU. load: last thing of
 * arch_vcpu_load. save: of arch_vcpu_save; from then on the comparator is at
 * its maximum, so that a deadline of a vCPU that left neither ends this CPU's
 * waits nor shows as pending.
 */
static inline void vtimer_load(struct riscv_vcpu *v)
{
	if (likely(riscv_has_sstc))
		vhw_vstimecmp_set(v->vs.vstimecmp);
}

static inline void vtimer_save(struct riscv_vcpu *v)
{
	if (unlikely(!riscv_has_sstc))
		return;
	v->vs.vstimecmp = vhw_vstimecmp();
	vhw_vstimecmp_set(TIME_NEVER);
}

/* Has the guest's deadline passed (whether or not the guest listens)? */
bool vtimer_passed(const struct riscv_vcpu *v);

/*
 * When this CPU's one-shot timer must fire for the vCPU that it runs, in host
 * ticks. TIME_NEVER with Sstc (the hart itself interrupts the guest), or if no
 * deadline is set. Without Sstc the run loop calls arch_timer_set(this) before
 * it enters if it is earlier than what the timer is set to.
 */
u64 vtimer_running_deadline(const struct riscv_vcpu *v);

/*
 * This CPU's timer fired, or VIRQ_TIMER was seen: raises VSTIP if the guest's
 * deadline has passed, and returns true if it did. Without Sstc only; with it
 * the hart has done so. `v` is loaded.
 */
bool vtimer_expire(struct riscv_vcpu *v);

/*
 * This CPU's timer was set, in the turn of `v`, without a look at the guest's
 * deadline: VSTIP if that has passed, else the timer fires by then. With Sstc
 * nothing is to be done.
 */
void vtimer_see_to(struct riscv_vcpu *v);

/* A hart starts: no deadline, nothing pending. `v` is not loaded. */
void vtimer_reset(struct riscv_vcpu *v);

#endif
