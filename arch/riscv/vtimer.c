/*
 * A guest's timer.
 *
 * With Sstc the guest's comparator is the CSR vstimecmp: the guest writes it
 * itself, or through SBI, and the hart raises VSTIP by comparing it with its
 * clock; nothing here runs when a deadline of a running vCPU passes. What is
 * left is the vCPU that isn't in hardware: its deadline moves to vs.vstimecmp,
 * the CSR goes to its maximum, and the core arms the CPU's own timer for the
 * vCPU that blocks.
 *
 * Without Sstc the deadline is deadline_guest_ticks and VSTIP a level in hvip:
 * raised when the CPU's one-shot timer, folded from the core's deadline and the
 * guest's, finds it passed, and lowered by the next set_timer and by nothing
 * else (the guest cannot write it).
 *
 * Invariants: while `v->loaded`, the CSRs are the truth (with Sstc); else
 * vs.*. A deadline that was raised as VSTIP is TIME_NEVER from then on, so that
 * it can't fire twice; VSTIP itself is the memory of it, in v->hvip.
 *
 * Rejected: a list of guest deadlines for each CPU. A CPU runs one vCPU, and
 * the core keeps the deadlines of those that are blocked.
 */
#include "arch/riscv/vtimer.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "kernel/arch.h"
#include "kernel/percpu/trace.h"
#include "kernel/time.h"
#include "kernel/virq.h"

/* hvip.VSTIP and vsie.STIE (Privileged ISA, sections 15.2.3 and 15.2.13). */
#define HVIP_VSTIP (1UL << 6)
#define VSIE_STIE (1UL << 5)

static u64 guest_deadline(const struct riscv_vcpu *v)
{
	if (!riscv_has_sstc)
		return v->deadline_guest_ticks;
	return vcpu_loaded(v) ? vhw_vstimecmp() : v->vs.vstimecmp;
}

u64 vtimer_now(const struct riscv_vcpu *v)
{
	return arch_ticks() + v->v.guest->arch->htimedelta;
}

/*
 * The host's tick at which the guest's clock reaches `deadline`: 0 if it has
 * already, TIME_NEVER if that is beyond the host's clock.
 */
static u64 host_ticks(const struct riscv_vcpu *v, u64 deadline)
{
	u64 host = time_now_ticks();
	u64 guest = host + v->v.guest->arch->htimedelta;

	if (deadline == TIME_NEVER)
		return TIME_NEVER;
	if (deadline <= guest)
		return 0;
	return deadline - guest < TIME_NEVER - host ? host + deadline - guest :
						      TIME_NEVER;
}

bool vtimer_passed(const struct riscv_vcpu *v)
{
	if (!riscv_has_sstc && (v->hvip & HVIP_VSTIP))
		return true;
	return host_ticks(v, guest_deadline(v)) == 0;
}

u64 vtimer_running_deadline(const struct riscv_vcpu *v)
{
	if (riscv_has_sstc)
		return TIME_NEVER;
	return host_ticks(v, v->deadline_guest_ticks);
}

bool vtimer_expire(struct riscv_vcpu *v)
{
	if (riscv_has_sstc || vtimer_running_deadline(v) != 0)
		return false;
	v->deadline_guest_ticks = TIME_NEVER;
	v->hvip |= HVIP_VSTIP;
	vhw_hvip_set(HVIP_VSTIP);
	/* Not by virq_raise, which would record it: it pends already. */
	TRACE(VIRQ_ASSERT, v->v.sched.trace_id, VIRQ_TIMER, TRACE_NOBODY);
	return true;
}

void vtimer_see_to(struct riscv_vcpu *v)
{
	if (!vtimer_expire(v))
		vhw_timer_no_later(vtimer_running_deadline(v));
}

void vcpu_timer_program(struct riscv_vcpu *v, u64 guest_ticks)
{
	TRACE(CALL_TIMER, v->v.sched.trace_id, guest_ticks, vtimer_now(v));
	if (riscv_has_sstc) {
		vhw_vstimecmp_set(guest_ticks);
		return;
	}
	v->deadline_guest_ticks = guest_ticks;
	v->hvip &= ~HVIP_VSTIP;
	vhw_hvip_clear(HVIP_VSTIP);
	vtimer_see_to(v);
}

void vtimer_reset(struct riscv_vcpu *v)
{
	v->vs.vstimecmp = TIME_NEVER;
	v->deadline_guest_ticks = TIME_NEVER;
	v->hvip &= ~HVIP_VSTIP;
}

u64 arch_vcpu_deadline_ticks(struct vcpu *vcpu)
{
	struct riscv_vcpu *v = to_riscv(vcpu);
	u64 vsie = vcpu_loaded(v) ? vhw_vsie() : v->vs.vsie;

	/* A vCPU that waits for fences wakes for those alone; and WFI ends for
	 * interrupts that are enabled one by one (Privileged ISA, 3.3.3). */
	if (vfence_waits(v) || !(vsie & VSIE_STIE))
		return TIME_NEVER;
	if (!riscv_has_sstc && (v->hvip & HVIP_VSTIP))
		return 0;
	return host_ticks(v, guest_deadline(v));
}

/*
 * The core wakes the vCPU; that it was the timer, the bit says. With Sstc the
 * hart compares anew when the vCPU is loaded, without it the run loop calls
 * vtimer_expire for VIRQ_TIMER.
 */
void arch_vcpu_timer_fired(struct vcpu *v)
{
	ck_pr_or_32(&v->virq, VIRQ_TIMER);
	/* Before the core's CAS to WAKING, as in virq_raise. */
	ck_pr_fence_memory();
}
