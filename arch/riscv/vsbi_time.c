/*
 * TIME (chapter 6): set_timer. The work is vtimer.c's.
 */
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"

static enum exit_next time_call(struct riscv_vcpu *v, u64 fid)
{
	if (fid != VSBI_TIME_SET_TIMER)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	vpmu_event_at(&v->pmu, VPMU_SET_TIMER);
	vcpu_timer_program(v, reg_get(v, REG_A0));
	return vsbi_return(v, VSBI_OK, 0);
}

const struct vsbi_ext vsbi_time = {
	.name = "TIME",
	.first = VSBI_EID_TIME,
	.last = VSBI_EID_TIME,
	.call = time_call,
};
