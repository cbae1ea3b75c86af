/*
 * BASE (chapter 4): who answers, and what else may be asked.
 *
 * All of it is constant; the trap entry's quick path (trap.S) reads the same
 * table.
 */
#include "arch/riscv/vsbi.h"

const u64 vsbi_base_answers[VSBI_BASE_MIMPID + 1] = {
	[VSBI_BASE_SPEC_VERSION] = VSBI_SPEC_VERSION,
	[VSBI_BASE_IMPL_ID] = VSBI_IMPL_ID,
	[VSBI_BASE_IMPL_VERSION] = VSBI_IMPL_VERSION,
	[VSBI_BASE_PROBE] = 0, /* depends on a0 */
	[VSBI_BASE_MVENDORID] = VSBI_MVENDORID,
	[VSBI_BASE_MARCHID] = VSBI_MARCHID,
	[VSBI_BASE_MIMPID] = VSBI_MIMPID,
};

static enum exit_next base_call(struct riscv_vcpu *v, u64 fid)
{
	if (fid >= ARRAY_LEN(vsbi_base_answers))
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (fid == VSBI_BASE_PROBE)
		return vsbi_return(v, VSBI_OK,
				   vsbi_probe(reg_get(v, REG_A0)));
	return vsbi_return(v, VSBI_OK, vsbi_base_answers[fid]);
}

const struct vsbi_ext vsbi_base = {
	.name = "BASE",
	.first = VSBI_EID_BASE,
	.last = VSBI_EID_BASE,
	.call = base_call,
};
