/*
 * SRST (chapter 10): the guest ends, or starts again from its images.
 *
 * Types and reasons that are reserved, or a platform's own and unimplemented,
 * are invalid; there are none of our own (section 10.1; NOT_SUPPORTED is for
 * types that are implemented and lack something). Warm and cold reboot are the
 * same: a guest has no part that would keep its power.
 */
#include "arch/riscv/vsbi.h"

static enum exit_next srst_call(struct riscv_vcpu *v, u64 fid)
{
	u32 type = (u32)reg_get(v, REG_A0), reason = (u32)reg_get(v, REG_A1);
	struct guest *g = v->v.guest;

	if (fid != VSBI_SRST_RESET)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (reason > VSRST_SYSTEM_FAILURE)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	switch (type) {
	case VSRST_SHUTDOWN:
		guest_end(g, EVENT_POWEROFF, reason);
		return NEXT_DEAD;
	case VSRST_COLD_REBOOT:
	case VSRST_WARM_REBOOT:
		guest_end(g, EVENT_REBOOT, 0);
		return NEXT_DEAD;
	default:
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	}
}

const struct vsbi_ext vsbi_srst = {
	.name = "SRST",
	.first = VSBI_EID_SRST,
	.last = VSBI_EID_SRST,
	.call = srst_call,
};
