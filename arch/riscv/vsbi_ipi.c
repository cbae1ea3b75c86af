/*
 * IPI (chapter 7): a software interrupt at other harts, or at oneself.
 *
 * One to oneself is answered by trap.S, one to one other hart by quick.c; both
 * answer as this does, which has the rest.
 *
 * Harts that exist but are stopped get none: nobody is there to take it, and
 * one that starts later begins with nothing pending that it didn't see sent.
 *
 * A hart that sleeps takes some 125 instructions, so an IPI to many harts is
 * sent in batches: the caller's turn ends after each, and the next one goes on
 * with it (vsbi_go_on).
 */
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"
#include "kernel/bits.h"
#include "kernel/percpu/trace.h"
#include "kernel/virq.h"

#define HVIP_VSSIP (1UL << 2)
#define BATCH	   256u /* harts a turn, some 32,000 instructions */

static void soft_raise(struct riscv_vcpu *v, u64 id)
{
	struct riscv_vcpu *t = hart_find(v->v.guest, id);

	if (!t || vsbi_hsm_status(t) == VHSM_STOPPED)
		return;
	if (likely(t != v)) {
		vpmu_event_at(&v->pmu, VPMU_IPI_SENT);
		virq_raise(&t->v, VIRQ_SOFT);
	} else if (v->pmu.fw_on) {
		/* From no other hart: not one that is counted as received. */
		vhw_hvip_set(HVIP_VSSIP);
	} else {
		virq_raise(&t->v, VIRQ_SOFT);
	}
}

static bool ipi_rest(struct riscv_vcpu *v)
{
	u32 count = v->v.guest->cfg.vcpus, id = v->ipi.next;
	u32 end = MIN(count, id + BATCH);

	for (; id < end; id++)
		if (v->ipi.all || (v->ipi.mask[id / 64] >> id % 64 & 1))
			soft_raise(v, id);
	v->ipi.next = end;
	return end == count;
}

static enum exit_next send_many(struct riscv_vcpu *v, bool all)
{
	v->ipi.all = all;
	v->ipi.next = 0;
	return vsbi_go_on(v, ipi_rest);
}

enum exit_next vsbi_ipi_send_masked(struct riscv_vcpu *v)
{
	return send_many(v, false);
}

enum exit_next vsbi_ipi_send(struct riscv_vcpu *v,
			     const struct vfence_harts *harts)
{
	TRACE(CALL_IPI, v->v.sched.trace_id, harts->mask, harts->base);
	if (harts->all)
		return send_many(v, true);
	for (u64 m = harts->mask; m; m &= m - 1)
		soft_raise(v, harts->base + bit_lowest(m));
	return NEXT_ADVANCE;
}

static enum exit_next ipi_call(struct riscv_vcpu *v, u64 fid)
{
	struct vfence_harts harts;

	if (fid != VSBI_IPI_SEND)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (!vsbi_harts(v, reg_get(v, REG_A0), reg_get(v, REG_A1), &harts))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	vsbi_return(v, VSBI_OK, 0);
	return vsbi_ipi_send(v, &harts);
}

const struct vsbi_ext vsbi_ipi = {
	.name = "IPI",
	.first = VSBI_EID_IPI,
	.last = VSBI_EID_IPI,
	.call = ipi_call,
};
