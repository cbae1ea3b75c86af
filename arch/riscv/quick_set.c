/*
 * Who may take the short ways of trap.S and quick.c.
 *
 * Two things keep a vCPU from them: it is traced (QUICK_PASSES), or
 * it counts firmware events (vpmu.c; the short SBI calls count nothing, the
 * devices' have nothing to count). Either may begin and end while the other
 * lasts: who counts has `pmu.quick` for what `quick` will be afterwards.
 */
#include "arch/riscv/quick.h"

#include "arch/riscv/exit.h"
#include "arch/riscv/isa.h"
#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/cmdline.h"

/* A hart that starts again finds them as it left them: to look for each is a
 * third of a start. */
static void slots_set(struct riscv_vcpu *v, bool on)
{
	if (v->slot[0] && v->slots_on == on)
		return;
	v->slots_on = on;
	for (u32 i = 0; i < EMUL_SLOTS; i++)
		v->slot[i] = on ? emul_slot(v->v.guest, i) : &emul_nowhere;
}

void quick_set(struct riscv_vcpu *v, bool on)
{
	/* `quick=off` is for comparing the two ways; the quick one knows an
	 * access by htinst alone. */
	on = on && !cmdline_is("quick", "off") && !mmio_htinst_off;
	/* trap.S writes vstimecmp for set_timer, so it needs Sstc. */
	if (unlikely(v->pmu.fw_on)) /* counts: for when it has ended */
		v->pmu.quick = riscv_has_sstc && on;
	else
		v->quick = riscv_has_sstc && on;
	quick_pause_set(v);
	slots_set(v, on);
}

void quick_reset(struct riscv_vcpu *v)
{
	v->have = REGS_STORED;
	v->traced = false;
	quick_set(v, true);
}

void arch_vcpu_trace(struct vcpu *vc, u32 classes)
{
	struct riscv_vcpu *v = to_riscv(vc);
	bool on = classes & QUICK_PASSES;

	if (v->traced == on)
		return;
	v->traced = on;
	v->odd = (v->odd & ~VCPU_ODD_TRACED) | (on ? VCPU_ODD_TRACED : 0);
	quick_set(v, !on);
}
