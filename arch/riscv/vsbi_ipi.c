/*
 * IPI (chapter 7): a software interrupt at other harts, or at oneself.
 *
 * One to oneself is answered by trap.S, one to one other hart by quick.c; both
 * answer as this does, which has the rest.
 *
 * Harts that exist but are stopped get none: nobody is there to take it, and
 * one that starts later begins with nothing pending that it didn't see sent.
 *
 * A hart that sleeps takes some 125 instructions, so an IPI to all harts of a
 * guest with thousands is sent in batches: the caller's turn ends after each,
 * and goes on with the next before it enters the guest (vsbi_run_begin). To the
 * guest it is one call that takes long.
 */
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"
#include "kernel/bits.h"
#include "kernel/percpu/trace.h"
#include "kernel/virq.h"

#define HVIP_VSSIP (1UL << 2)
#define BATCH 256u /* harts, some 32,000 instructions */

static void soft_raise(struct riscv_vcpu *v, u32 id)
{
	struct vcpu *t = v->v.guest->vcpu[id];

	if (vsbi_hsm_status(to_riscv(t)) == VHSM_STOPPED)
		return;
	if (likely(t != &v->v)) {
		vpmu_event_at(&v->pmu, VPMU_IPI_SENT);
		virq_raise(t, VIRQ_SOFT);
	} else if (v->pmu.fw_on) {
		/* From no other hart: not one that is counted as received. */
		vhw_hvip_set(HVIP_VSSIP);
	} else {
		virq_raise(t, VIRQ_SOFT);
	}
}

bool vsbi_ipi_go_on(struct riscv_vcpu *v)
{
	struct guest *g = v->v.guest;
	u32 id = v->ipi_next, end = MIN(g->cfg.vcpus, id + BATCH);

	for (; id < end; id++)
		soft_raise(v, id);
	v->ipi_next = end < g->cfg.vcpus ? end : 0;
	if (!v->ipi_next)
		return true;
	v->odd |= VCPU_ODD_CALL;
	return false;
}

bool vsbi_ipi_send(struct riscv_vcpu *v, const struct vfence_harts *harts)
{
	TRACE(CALL_IPI, v->v.sched.trace_id, harts->mask, harts->base);
	if (harts->all)
		return vsbi_ipi_go_on(v);
	for (u64 m = harts->mask; m; m &= m - 1)
		soft_raise(v, (u32)harts->base + (u32)bit_lowest(m));
	return true;
}

static enum exit_next ipi_call(struct riscv_vcpu *v, u64 fid)
{
	struct vfence_harts harts;
	bool done;

	if (fid != VSBI_IPI_SEND)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (!vsbi_harts(v, reg_get(v, REG_A0), reg_get(v, REG_A1), &harts))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	done = vsbi_ipi_send(v, &harts);
	vsbi_return(v, VSBI_OK, 0);
	return done ? NEXT_ADVANCE : NEXT_YIELD;
}

const struct vsbi_ext vsbi_ipi = {
	.name = "IPI",
	.first = VSBI_EID_IPI,
	.last = VSBI_EID_IPI,
	.call = ipi_call,
};
