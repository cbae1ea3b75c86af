/*
 * The legacy calls (chapter 5), for software of before SBI 0.2.
 *
 * They answer in a0 alone. A hart mask is a bit vector in the caller's virtual
 * memory; when reading it faults, the caller gets the fault, at its ECALL. No
 * address at all means all harts: the text doesn't say so, but this is what
 * software of that time relies upon and firmware does.
 *
 * Other harts may write to the mask while it is read. So each word of it is
 * read once, into memory of our own, which is checked and used: what a second
 * look would find is another mask. It is read whole before anything is done, so
 * that a call that faults half way has had no effect.
 *
 * An IPI to the harts of several words goes on as one to all does (vsbi_ipi.c).
 * Fences want one word with a base; when bits are set in several words, they go
 * to all harts: a fence too many is only slow.
 */
#include "arch/riscv/csr.h"
#include "arch/riscv/hlv.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "kernel/virq.h"

#include <ck_pr.h>

#define HVIP_VSSIP (1UL << 2)

/* What came of reading a mask. */
enum mask_result {
	MASK_OK,
	MASK_FAULT,   /* the guest has to see it */
	MASK_AGAIN,   /* its RAM is being made present: the call comes again */
	MASK_INVALID, /* a hart that there isn't */
};

/*
 * One word of a mask. Without translation it is RAM or nothing, and RAM that
 * the second stage doesn't map yet is no fault; nor are there page faults.
 */
static int word_read(struct riscv_vcpu *v, u64 va, u64 *word,
		     struct hlv_fault *fault)
{
	if (vhw_vsatp() != 0)
		return hlv_u64(va, word, fault);
	*fault = (struct hlv_fault){CAUSE_LOAD_ACCESS, va};
	return guest_read(v->v.guest, (struct gpa){va}, word, sizeof(*word));
}

/*
 * Reads the hart mask at `va`, a word for each 64 harts of the guest. *harts is
 * the set; all harts if there is no mask, or if the bits are in more than one
 * word.
 */
static enum mask_result mask_read(struct riscv_vcpu *v, u64 va, u64 *mask,
				  struct vfence_harts *harts,
				  struct hlv_fault *fault)
{
	u64 count = v->v.guest->cfg.vcpus;
	int ret;

	*harts = (struct vfence_harts){.all = va == 0};
	for (u64 base = 0; va && base < count; base += 64, va += 8, mask++) {
		ret = word_read(v, va, mask, fault);
		if (ret)
			return ret == -EAGAIN ? MASK_AGAIN : MASK_FAULT;
		if (count - base < 64 && *mask >> (count - base))
			return MASK_INVALID;
		if (!*mask)
			continue;
		harts->all = harts->mask != 0;
		harts->mask = *mask;
		harts->base = base;
	}
	return MASK_OK;
}

/* The answer to a mask that is not MASK_OK. */
static enum exit_next mask_bad(struct riscv_vcpu *v, enum mask_result mask,
			       const struct hlv_fault *fault)
{
	switch (mask) {
	case MASK_FAULT:
		return exit_reflect(v, fault->cause, fault->tval);
	case MASK_AGAIN:
		return NEXT_RETRY;
	default:
		return vsbi_return_legacy(v, VSBI_INVALID_PARAM);
	}
}

/* Section 5.5. */
static enum exit_next legacy_ipi(struct riscv_vcpu *v)
{
	u64 va = reg_get(v, REG_A0);
	struct vfence_harts harts;
	struct hlv_fault fault;
	enum mask_result mask;

	mask = mask_read(v, va, v->ipi.mask, &harts, &fault);
	if (mask != MASK_OK)
		return mask_bad(v, mask, &fault);
	vsbi_return_legacy(v, VSBI_OK);
	return va && harts.all ? vsbi_ipi_send_masked(v)
			       : vsbi_ipi_send(v, &harts);
}

/* Sections 5.6 to 5.8. */
static enum exit_next legacy_fence(struct riscv_vcpu *v, u64 eid)
{
	struct vfence_op op = {.kind = VFENCE_I, .asid = VFENCE_ANY_ASID};
	u64 words[GUEST_VCPUS_MAX / 64];
	struct vfence_harts harts;
	struct hlv_fault fault;
	bool empty = false, done;
	enum mask_result mask;

	mask = mask_read(v, reg_get(v, REG_A0), words, &harts, &fault);
	if (mask != MASK_OK)
		return mask_bad(v, mask, &fault);
	if (eid != VSBI_LEGACY_FENCE_I) {
		op.kind = VFENCE_VMA;
		if (!vsbi_fence_range(reg_get(v, REG_A1), reg_get(v, REG_A2),
				      &op, &empty))
			return vsbi_return_legacy(v, VSBI_INVALID_ADDRESS);
	}
	if (eid == VSBI_LEGACY_SFENCE_VMA_ASID)
		op.asid = reg_get(v, REG_A3) & VSBI_ASID_MAX;
	done = empty || vfence_request(v, &harts, &op);
	vsbi_return_legacy(v, VSBI_OK);
	return done ? NEXT_ADVANCE : NEXT_BLOCK;
}

/* Section 5.4: 1 if a software interrupt was pending, in hvip or on its way. */
static enum exit_next legacy_clear_ipi(struct riscv_vcpu *v)
{
	bool pending = vhw_hvip_clear(HVIP_VSSIP) & HVIP_VSSIP;
	u32 bits = ck_pr_load_32(&v->v.virq);

	while (!ck_pr_cas_32_value(&v->v.virq, bits, bits & ~VIRQ_SOFT, &bits))
		;
	return vsbi_return_legacy(v, pending || (bits & VIRQ_SOFT));
}

static enum exit_next legacy_call(struct riscv_vcpu *v, u64 fid)
{
	struct guest *g = v->v.guest;
	u64 eid = reg_get(v, REG_A7);
	char ch = (char)reg_get(v, REG_A0);

	(void)fid; /* ignored in these: the extension is the function */
	switch (eid) {
	case VSBI_LEGACY_SET_TIMER:
		vpmu_event_at(&v->pmu, VPMU_SET_TIMER);
		vcpu_timer_program(v, reg_get(v, REG_A0));
		return vsbi_return_legacy(v, VSBI_OK);
	case VSBI_LEGACY_PUTCHAR:
		guest_console_put(g, &ch, 1);
		return vsbi_return_legacy(v, VSBI_OK);
	case VSBI_LEGACY_GETCHAR:
		if (guest_console_get(g, &ch, 1) == 0)
			return vsbi_return_legacy(v, -1);
		return vsbi_return_legacy(v, (unsigned char)ch);
	case VSBI_LEGACY_CLEAR_IPI:
		return legacy_clear_ipi(v);
	case VSBI_LEGACY_SEND_IPI:
		return legacy_ipi(v);
	case VSBI_LEGACY_SHUTDOWN:
		guest_end(g, EVENT_POWEROFF, 0);
		return NEXT_DEAD;
	default:
		return legacy_fence(v, eid);
	}
}

const struct vsbi_ext vsbi_legacy = {
	.name = "legacy",
	.first = VSBI_LEGACY_SET_TIMER,
	.last = VSBI_LEGACY_SHUTDOWN,
	.call = legacy_call,
};
