/*
 * SUSP (chapter 13): the guest sleeps until something wakes it.
 *
 * To a guest suspend to RAM is a non-retentive suspend (HSM) of the only hart
 * that isn't stopped: its memory stays, its devices go on and can wake it, as
 * can its timer, and it begins again at an address of its choice with the same
 * registers. So this is that suspend, after a look at the other harts. Nobody
 * can start one of them meanwhile, since only a hart of the guest could.
 *
 * Types but SUSPEND_TO_RAM are reserved, or a platform's own of which there
 * are none.
 */
#include "arch/riscv/vsbi.h"

static bool others_stopped(const struct riscv_vcpu *v)
{
	const struct guest *g = v->v.guest;

	for (u32 i = 0; i < g->cfg.vcpus; i++)
		if (i != v->v.id &&
		    vsbi_hsm_status(to_riscv(g->vcpu[i])) != VHSM_STOPPED)
			return false;
	return true;
}

/* Section 13.1. The upper half of the register isn't part of the type. */
static enum exit_next susp_call(struct riscv_vcpu *v, u64 fid)
{
	if (fid != VSBI_SUSP_SUSPEND)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if ((u32)reg_get(v, REG_A0) != VSUSP_SUSPEND_TO_RAM)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (!others_stopped(v))
		return vsbi_return(v, VSBI_DENIED, 0);
	return vsbi_hsm_suspend_anew(v, reg_get(v, REG_A1),
				     reg_get(v, REG_A2));
}

const struct vsbi_ext vsbi_susp = {
	.name = "SUSP",
	.first = VSBI_EID_SUSP,
	.last = VSBI_EID_SUSP,
	.call = susp_call,
};
