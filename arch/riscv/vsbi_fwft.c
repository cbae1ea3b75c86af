/*
 * FWFT (chapter 18): features of a hart that its guest switches.
 *
 * All that there are is local to a hart, and what can be switched is a bit of
 * henvcfg, which moves with the vCPU. Whether the harts have a feature is not
 * what the tree says but what sticks in henvcfg on each of them (fwft_probe),
 * since firmware may have it off: a bit that isn't set in menvcfg can't be set
 * in henvcfg.
 *
 *   MISALIGNED_EXC_DELEG   what the firmware does: hedeleg gives to VS-mode
 *                          what medeleg gives to HS-mode, and if that is
 *                          nothing the firmware emulates the access, in a guest
 *                          too. Where it lets that be switched (its own FWFT),
 *                          a guest can, and a vCPU that has another value than
 *                          the hart's first pays for a call when it comes and
 *                          for one when it leaves; else NOT_SUPPORTED
 *   PTE_AD_HW_UPDATING     henvcfg.ADUE; where the firmware has it off in
 *                          menvcfg, as it does on harts with Svade, it is asked
 *                          for it (its own FWFT)
 *   LANDING_PAD, SHADOW_STACK, DOUBLE_TRAP
 *                          their state isn't switched: NOT_SUPPORTED
 *   POINTER_MASKING_PMLEN  henvcfg.PMM, where each hart's tree says Ssnpm, the
 *                          bits stick, and the hart does mask by them: QEMU
 *                          10.0 keeps them and masks wrongly (pmask.c). Only
 *                          where no bit of a guest-physical address would be
 *                          masked: then a change needs no fence at all
 *
 * A change of ADUE changes what translations in the TLB mean, so those of the
 * guest are flushed here; on another CPU a vCPU that comes finds none
 * (vmid_enter). A suspend keeps all values, a start of the hart resets them:
 * henvcfg and the locks are reset with the other registers.
 */
#include "arch/riscv/vsbi.h"

#include <ck_pr.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/gstage.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/pmask.h"
#include "arch/riscv/vhw.h"

/* Features by their numbers. */
enum {
	MISALIGNED_EXC_DELEG,
	LANDING_PAD,
	SHADOW_STACK,
	DOUBLE_TRAP,
	PTE_AD_HW_UPDATING,
	POINTER_MASKING_PMLEN,
};

#define FLAG_LOCK 1u

u32 fwft_harts_have = FWFT_ADUE | FWFT_MISALIGNED | FWFT_PMLEN_7 |
		      FWFT_PMLEN_16;
static u32 misaligned_first = 2; /* of all harts; 2: nobody has said it yet */

/* Can it be switched, and is it at first what it is on the others? */
static bool misaligned_probe(void)
{
	s64 value = vhw_misaligned();

	if (value != 0 && value != 1)
		return false;
	if (vhw_misaligned_set(!value) || vhw_misaligned() == value ||
	    vhw_misaligned_set(value))
		return false;
	return ck_pr_cas_32(&misaligned_first, 2, (u32)value) ||
	       ck_pr_load_32(&misaligned_first) == (u32)value;
}

static u64 misaligned_get(const struct riscv_vcpu *v)
{
	return misaligned_first ^ ((v->henvcfg & VCPU_MISALIGNED) != 0);
}

void fwft_misaligned_load(const struct riscv_vcpu *v)
{
	/* It did so when it was asked before. */
	(void)vhw_misaligned_set(misaligned_get(v));
}

void fwft_misaligned_unload(void)
{
	(void)vhw_misaligned_set(misaligned_first);
}

static const struct pmlen {
	u32 bits, have; /* PMLEN, FWFT_* */
	u64 henvcfg;
} pmlens[] = {
	{7, FWFT_PMLEN_7, HENVCFG_PMM_7},
	{16, FWFT_PMLEN_16, HENVCFG_PMM_16},
};

static void pmlen_probe(u64 henvcfg)
{
	for (u32 i = 0; i < ARRAY_LEN(pmlens); i++) {
		u64 pmm = pmlens[i].henvcfg;

		if (!isa_has(ISA_SSNPM) ||
		    (vhw_henvcfg_try(henvcfg | pmm) & HENVCFG_PMM) != pmm ||
		    !pmask_works(pmlens[i].bits))
			ck_pr_and_32(&fwft_harts_have, ~pmlens[i].have);
	}
}

/*
 * The firmware's switch is for our own tables and the second stages too, where
 * it changes nothing: all of their leaves have A and D set.
 */
static bool adue_probe(u64 henvcfg)
{
	henvcfg |= HENVCFG_ADUE;
	if (vhw_henvcfg_try(henvcfg) & HENVCFG_ADUE)
		return true;
	return !vhw_adue_allow() && (vhw_henvcfg_try(henvcfg) & HENVCFG_ADUE);
}

void fwft_probe(u64 henvcfg)
{
	if (!misaligned_probe())
		ck_pr_and_32(&fwft_harts_have, ~FWFT_MISALIGNED);
	if (!adue_probe(henvcfg))
		ck_pr_and_32(&fwft_harts_have, ~FWFT_ADUE);
	pmlen_probe(henvcfg);
	(void)vhw_henvcfg_try(henvcfg);
}

/* ---- each feature: is it offered, its value, another value ---- */

static void henvcfg_set(struct riscv_vcpu *v, u64 henvcfg)
{
	v->henvcfg = henvcfg;
	v->odd |= VCPU_ODD_ENV;
	vhw_henvcfg_set(henvcfg);
}

static bool misaligned_offered(const struct riscv_vcpu *v)
{
	return fwft_harts_have & FWFT_MISALIGNED;
}

static s64 misaligned_set(struct riscv_vcpu *v, u64 value)
{
	if (value > 1)
		return VSBI_INVALID_PARAM;
	if (misaligned_get(v) == value)
		return VSBI_OK;
	if (vhw_misaligned_set(value))
		return VSBI_FAILED;
	henvcfg_set(v, v->henvcfg ^ VCPU_MISALIGNED);
	vsbi_waits_choose(v);
	return VSBI_OK;
}

static bool adue_offered(const struct riscv_vcpu *v)
{
	return fwft_harts_have & FWFT_ADUE;
}

static u64 adue_get(const struct riscv_vcpu *v)
{
	return (v->henvcfg & HENVCFG_ADUE) != 0;
}

static s64 adue_set(struct riscv_vcpu *v, u64 value)
{
	if (value > 1)
		return VSBI_INVALID_PARAM;
	if (adue_get(v) == value)
		return VSBI_OK;
	henvcfg_set(v, v->henvcfg ^ HENVCFG_ADUE);
	vhw_hfence_all();
	return VSBI_OK;
}

static bool is_offered(const struct riscv_vcpu *v, const struct pmlen *p)
{
	return (fwft_harts_have & p->have) &&
	       gstage_gpa_bits(v->v.guest->arch->gstage) <= 64 - p->bits;
}

static bool pmlen_offered(const struct riscv_vcpu *v)
{
	return is_offered(v, &pmlens[0]) || is_offered(v, &pmlens[1]);
}

static u64 pmlen_get(const struct riscv_vcpu *v)
{
	for (u32 i = 0; i < ARRAY_LEN(pmlens); i++)
		if ((v->henvcfg & HENVCFG_PMM) == pmlens[i].henvcfg)
			return pmlens[i].bits;
	return 0;
}

static s64 pmlen_set(struct riscv_vcpu *v, u64 value)
{
	u64 henvcfg = v->henvcfg & ~HENVCFG_PMM;

	for (u32 i = 0; i < ARRAY_LEN(pmlens); i++)
		if (value == pmlens[i].bits && is_offered(v, &pmlens[i]))
			henvcfg |= pmlens[i].henvcfg;
	if (value && !(henvcfg & HENVCFG_PMM))
		return VSBI_INVALID_PARAM;
	henvcfg_set(v, henvcfg);
	return VSBI_OK;
}

static const struct feature {
	bool (*offered)(const struct riscv_vcpu *v); /* absent: to nobody */
	u64 (*get)(const struct riscv_vcpu *v);
	s64 (*set)(struct riscv_vcpu *v, u64 value);
} features[] = {
	[MISALIGNED_EXC_DELEG] = {
		.offered = misaligned_offered,
		.get = misaligned_get,
		.set = misaligned_set,
	},
	[PTE_AD_HW_UPDATING] = {
		.offered = adue_offered,
		.get = adue_get,
		.set = adue_set,
	},
	[POINTER_MASKING_PMLEN] = {
		.offered = pmlen_offered,
		.get = pmlen_get,
		.set = pmlen_set,
	},
};

/* ---- the calls ---- */

/* 0, or why there is no such feature. */
static s64 feature_check(const struct riscv_vcpu *v, u32 number)
{
	if (number >= ARRAY_LEN(features))
		return VSBI_DENIED;
	if (!features[number].offered || !features[number].offered(v))
		return VSBI_NOT_SUPPORTED;
	return 0;
}

/* Section 18.1. The upper half of the register isn't part of the feature. */
static enum exit_next fwft_set(struct riscv_vcpu *v)
{
	u32 feature = (u32)reg_get(v, REG_A0);
	u64 flags = reg_get(v, REG_A2);
	s64 error = feature_check(v, feature);

	if (error)
		return vsbi_return(v, error, 0);
	if (flags & ~(u64)FLAG_LOCK)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (v->fwft_locked >> feature & 1)
		return vsbi_return(v, VSBI_DENIED_LOCKED, 0);
	error = features[feature].set(v, reg_get(v, REG_A1));
	if (!error && (flags & FLAG_LOCK))
		v->fwft_locked |= 1u << feature;
	return vsbi_return(v, error, 0);
}

/* Section 18.2. */
static enum exit_next fwft_get(struct riscv_vcpu *v)
{
	u32 feature = (u32)reg_get(v, REG_A0);
	s64 error = feature_check(v, feature);

	return vsbi_return(v, error, error ? 0 : features[feature].get(v));
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
