/*
 * FWFT (chapter 18 of version 3.0): features of a hart that its guest switches.
 *
 * All that there are is local to a hart, and what can be switched is a bit of
 * henvcfg, which moves with the vCPU. Whether the harts have a feature is not what the tree
 * says but what sticks in henvcfg on each of them (fwft_probe), since firmware
 * may have it off: a bit that isn't set in menvcfg can't be set in henvcfg.
 *
 *   MISALIGNED_EXC_DELEG   always 1: hedeleg gives these to VS-mode, and to turn
 *                          that off Rouse would have to emulate them: DENIED
 *   PTE_AD_HW_UPDATING     henvcfg.ADUE
 *   LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP
 *                          their state isn't switched: NOT_SUPPORTED
 *   POINTER_MASKING_PMLEN  NOT_SUPPORTED: QEMU 10.0 keeps henvcfg.PMM and does
 *                          not mask by it in VS-mode, so it would be promised
 *                          where it isn't kept, and can't be tested
 *
 * A change of ADUE changes what translations in the TLB mean, so those of the
 * guest are flushed here; on another CPU a vCPU that comes finds none
 * (vmid_enter). A suspend keeps all values, a start of the hart resets them:
 * henvcfg and the locks are reset with the other registers.
 */
#include "arch/riscv/vsbi.h"

#include <ck_pr.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/vhw.h"

enum feature {
	MISALIGNED_EXC_DELEG,
	LANDING_PAD,
	SHADOW_STACK,
	DOUBLE_TRAP,
	PTE_AD_HW_UPDATING,
	POINTER_MASKING_PMLEN,
	FEATURES,
};

#define FLAG_LOCK 1u

u32 fwft_harts_have = FWFT_ADUE;

void fwft_probe(u64 henvcfg)
{
	if (!(vhw_henvcfg_try(henvcfg | HENVCFG_ADUE) & HENVCFG_ADUE))
		ck_pr_and_32(&fwft_harts_have, ~FWFT_ADUE);
	(void)vhw_henvcfg_try(henvcfg);
}

/* 0, or why there is no such feature. */
static s64 feature_check(u32 feature)
{
	if (feature >= FEATURES)
		return VSBI_DENIED;
	if (feature == MISALIGNED_EXC_DELEG ||
	    (feature == PTE_AD_HW_UPDATING && (fwft_harts_have & FWFT_ADUE)))
		return 0;
	return VSBI_NOT_SUPPORTED;
}

static s64 value_set(struct riscv_vcpu *v, u32 feature, u64 value)
{
	u64 henvcfg = v->henvcfg & ~HENVCFG_ADUE;

	if (value > 1)
		return VSBI_INVALID_PARAM;
	if (feature == MISALIGNED_EXC_DELEG)
		return value ? VSBI_OK : VSBI_DENIED;
	henvcfg |= value ? HENVCFG_ADUE : 0;
	if (henvcfg == v->henvcfg)
		return VSBI_OK;
	v->henvcfg = henvcfg;
	vhw_henvcfg_set(henvcfg);
	vhw_hfence_all();
	return VSBI_OK;
}

static u64 value_get(const struct riscv_vcpu *v, u32 feature)
{
	return feature == MISALIGNED_EXC_DELEG || (v->henvcfg & HENVCFG_ADUE);
}

/* Section 18.1. The upper half of the register isn't part of the feature. */
static enum exit_next fwft_set(struct riscv_vcpu *v)
{
	u32 feature = (u32)reg_get(v, REG_A0);
	u64 flags = reg_get(v, REG_A2);
	s64 error = feature_check(feature);

	if (error)
		return vsbi_return(v, error, 0);
	if (flags & ~(u64)FLAG_LOCK)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (v->fwft_locked >> feature & 1)
		return vsbi_return(v, VSBI_DENIED_LOCKED, 0);
	error = value_set(v, feature, reg_get(v, REG_A1));
	if (!error && (flags & FLAG_LOCK))
		v->fwft_locked |= 1u << feature;
	return vsbi_return(v, error, 0);
}

/* Section 18.2. */
static enum exit_next fwft_get(struct riscv_vcpu *v)
{
	u32 feature = (u32)reg_get(v, REG_A0);
	s64 error = feature_check(feature);

	return vsbi_return(v, error, error ? 0 : value_get(v, feature));
}

static enum exit_next fwft_call(struct riscv_vcpu *v, u64 fid)
{
	switch (fid) {
	case VSBI_FWFT_SET:
		return fwft_set(v);
	case VSBI_FWFT_GET:
		return fwft_get(v);
	default:
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	}
}

const struct vsbi_ext vsbi_fwft = {
	.name = "FWFT",
	.first = VSBI_EID_FWFT,
	.last = VSBI_EID_FWFT,
	.call = fwft_call,
};
