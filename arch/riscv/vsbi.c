/*
 * SBI calls of guests: from the extension id to the extension's file.
 *
 * The table is searched from its start; those that run often come first, and
 * with so few rows nothing beats that. Whatever is in no row is answered with
 * NOT_SUPPORTED (chapter 3). Ids are compared in full: a register whose upper
 * half is not the sign of its lower names no extension.
 *
 * Not offered, so probed as 0: CPPC, NACL, MPXY, and all of the
 * experimental, vendor's and firmware's spaces.
 *
 * Rejected: a linker section, as for devices and policies. The order of the
 * rows matters here, the set is the specification's and not the user's.
 */
#include "arch/riscv/vsbi.h"

#include "arch/riscv/quick.h"
#include "arch/riscv/vhw.h"
#include "kernel/percpu/trace.h"

static const struct vsbi_ext *const exts[] = {
	&vsbi_base, &vsbi_time, &vsbi_ipi,  &vsbi_rfence,
	&vsbi_hsm,  &vsbi_dbcn, &vsbi_srst, &vsbi_sta, &vsbi_pmu, &vsbi_fwft,
	&vsbi_susp, &vsbi_sse,  &vsbi_dbtr, &vsbi_legacy,
};

static const struct vsbi_ext *ext_find(u64 eid)
{
	for (u32 i = 0; i < ARRAY_LEN(exts); i++)
		if (eid >= exts[i]->first && eid <= exts[i]->last)
			return exts[i];
	return NULL;
}

u64 vsbi_probe(u64 eid)
{
	const struct vsbi_ext *ext = ext_find(eid);

	return ext && !(ext->absent && ext->absent());
}

void vsbi_vcpu_reset(struct riscv_vcpu *v)
{
	v->fwft_locked = 0;
	vsbi_pmu_reset(v);
	v->sta_page = NULL;
	vsse_reset(v);
	vdbtr_reset(v);
	vsbi_waits_choose(v);
}

void vsbi_features_load(struct riscv_vcpu *v)
{
	if ((vhw_henvcfg() ^ v->henvcfg) & VCPU_MISALIGNED)
		fwft_misaligned_load(v);
	vhw_henvcfg_set(v->henvcfg);
	if (v->henvcfg & VCPU_TRIGGERS)
		vdbtr_load(v);
}

void vsbi_features_unload(struct riscv_vcpu *v)
{
	u64 ours = vhw_henvcfg() & VCPU_HENVCFG_OURS;

	if (!ours)
		return;
	if (ours & VCPU_TRIGGERS)
		vdbtr_unload();
	if (ours & VCPU_MISALIGNED)
		fwft_misaligned_unload();
	vhw_henvcfg_ours_gone();
	/* The next load is a full one. */
	v->csr_on = NULL;
}

static void on_wait(struct vcpu *vc, bool waits)
{
	struct riscv_vcpu *v = to_riscv(vc);

	if (v->sta_page)
		vsbi_sta_waits(v, waits);
	if (waits)
		vsbi_features_unload(v);
	else if (vhw_henvcfg() != v->henvcfg)
		vsbi_features_load(v);
	if (!v->pmu.hw_used)
		return;
	if (waits)
		vpmu_pause(v);
	else
		vpmu_resume(v);
}

void vsbi_waits_choose(struct riscv_vcpu *v)
{
	bool rare = v->henvcfg & VCPU_HENVCFG_OURS;
	bool waits = v->sta_page || v->pmu.hw_used || rare;

	v->hcounteren = (v->hcounteren & ~VCPU_SAVE_RARE) |
			(rare ? VCPU_SAVE_RARE : 0);
	if (rare)
		v->odd |= VCPU_ODD_COUNTERS;
	v->v.waits = waits ? on_wait : NULL;
	v->odd = waits ? v->odd | VCPU_ODD_WAITS : v->odd & ~VCPU_ODD_WAITS;
	quick_pause_set(v);
}

static inline __attribute__((always_inline)) enum exit_next
answer(struct riscv_vcpu *v)
{
	u64 eid = reg_get(v, REG_A7);
	const struct vsbi_ext *ext = ext_find(eid);

	if (likely(ext != NULL))
		return ext->call(v, reg_get(v, REG_A6));
	if (eid <= VSBI_EID_LEGACY_LAST)
		return vsbi_return_legacy(v, VSBI_NOT_SUPPORTED);
	return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
}

/* Recorded: a copy, so that the other keeps nothing for this one. */
static __attribute__((noinline, optimize("omit-frame-pointer")))
enum exit_next answer_traced(struct riscv_vcpu *v)
{
	trace_write(TRACE_EV_CALL, v->v.sched.trace_id, v->x[REG_A7],
		    v->x[REG_A6]);
	return answer(v);
}

enum exit_next vsbi_call(struct riscv_vcpu *v)
{
	return trace_on(TRACE_CALL) ? answer_traced(v) : answer(v);
}
