/*
 * RFENCE (chapter 8): FENCE.I and SFENCE.VMA on other harts. What the calls
 * mean is here, how they are done and waited for in vfence.c.
 *
 * The HFENCE functions are for hypervisors; guests have no H extension, so
 * they are not supported (sections 8.4 to 8.7), whatever their arguments.
 */
#include "arch/riscv/vsbi.h"

bool vsbi_fence_range(u64 start, u64 size, struct vfence_op *op, bool *empty)
{
	u64 last = start + size - 1;

	*empty = false;
	op->va = 0;
	op->pages = 0;
	if (size == UINT64_MAX || (start == 0 && size == 0))
		return true;
	*empty = size == 0;
	if (*empty)
		return true;
	/* The range may end with the address space, not beyond it. */
	if (last < start)
		return false;
	op->va = ALIGN_DOWN(start, PAGE_BYTES);
	op->pages = (last >> PAGE_SHIFT) - (start >> PAGE_SHIFT) + 1;
	return true;
}

static enum exit_next rfence_call(struct riscv_vcpu *v, u64 fid)
{
	struct vfence_op op = { .kind = VFENCE_I, .asid = VFENCE_ANY_ASID };
	struct vfence_harts harts;
	bool empty = false, range_ok = true, done;

	if (fid > VSBI_RFENCE_SFENCE_VMA_ASID)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (!vsbi_harts(v, reg_get(v, REG_A0), reg_get(v, REG_A1), &harts))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (fid != VSBI_RFENCE_FENCE_I) {
		op.kind = VFENCE_VMA;
		range_ok = vsbi_fence_range(reg_get(v, REG_A2),
					    reg_get(v, REG_A3), &op, &empty);
	}
	if (!range_ok)
		return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	if (fid == VSBI_RFENCE_SFENCE_VMA_ASID) {
		if (reg_get(v, REG_A4) > VSBI_ASID_MAX)
			return vsbi_return(v, VSBI_INVALID_PARAM, 0);
		op.asid = (u32)reg_get(v, REG_A4);
	}
	done = empty || vfence_request(v, &harts, &op);
	vsbi_return(v, VSBI_OK, 0);
	return done ? NEXT_ADVANCE : NEXT_BLOCK;
}

const struct vsbi_ext vsbi_rfence = {
	.name = "RFENCE",
	.first = VSBI_EID_RFENCE,
	.last = VSBI_EID_RFENCE,
	.call = rfence_call,
};
