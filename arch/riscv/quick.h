/*
 * The short way of the hottest exits that need C. trap.S calls these; whatever
 * they don't answer takes the full way, with the same result.
 */
#ifndef ROUSE_ARCH_RISCV_QUICK_H
#define ROUSE_ARCH_RISCV_QUICK_H

#include "arch/riscv/vcpu.h"
#include "kernel/trace.h"

/*
 * A guest page fault of a load or store. Context: that exit on its CPU, the
 * registers of REGS_STORED in x[] and the others in the hart, sepc, stval,
 * htval, htinst in their CSRs. Returns `v` if the access was carried out and
 * the guest may be entered; NULL: nothing was done, take the full way.
 */
struct riscv_vcpu *quick_load(struct riscv_vcpu *v);
struct riscv_vcpu *quick_store(struct riscv_vcpu *v);

/*
 * The same for SBI send_ipi (a7 and a6 say so), to one hart that exists and is
 * not OFF: quick_ipi if the mask is 1, so that the base names the hart, as most
 * callers have it; quick_ipi_masked for any other mask.
 */
struct riscv_vcpu *quick_ipi(struct riscv_vcpu *v);
struct riscv_vcpu *quick_ipi_masked(struct riscv_vcpu *v);

/*
 * Classes of the trace that have hooks on the full way, and not on all of the
 * quick ones: the exit and the entry (the beginning of a turn among them, with
 * what it injects), the call, the access, and an IPI to oneself, which is
 * raised at nobody. Others that a device or an IPI comes by are on both.
 */
#define QUICK_PASSES (TRACE_EXIT | TRACE_CALL | TRACE_DEVICE | TRACE_VIRQ)

/* Is a vCPU that starts to take the short way? Part of arch_vcpu_reset. */
void quick_reset(struct riscv_vcpu *v);

/* v->quick, or vcpu->waits, is another: may it give way by the short way? */
static inline void quick_pause_set(struct riscv_vcpu *v)
{
	v->pause = v->quick && !v->v.waits;
}

/* May `v` take the quick ways? Not while any of QUICK_PASSES is recorded. It is
 * not running. */
void quick_set(struct riscv_vcpu *v, bool on);

#endif
