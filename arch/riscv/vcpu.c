/*
 * Making, starting and showing vCPUs.
 */
#include "arch/riscv/vcpu.h"

#include <stdio.h>
#include <string.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/quick.h"
#include "arch/riscv/triggers.h"
#include "arch/riscv/vector.h"
#include "arch/riscv/vfence.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "arch/riscv/world.h"
#include "kernel/arch.h"
#include "kernel/mem.h"

static size_t vector_bytes(void)
{
	return sizeof(struct vector_state) + 32 * vector_reg_bytes;
}

static size_t triggers_bytes(void)
{
	return triggers_count * sizeof(struct vdbtr_trigger);
}

struct vcpu *arch_vcpu_alloc(struct guest *g, u32 id)
{
	struct riscv_vcpu *v = obj_alloc(sizeof(*v));

	if (!v)
		return NULL;
	if (vector_reg_bytes) {
		v->vector = obj_alloc(vector_bytes());
		if (!v->vector)
			goto undo_vcpu;
	}
	if (triggers_count) {
		v->dbtr.trigger = obj_alloc(triggers_bytes());
		if (!v->dbtr.trigger)
			goto undo_vector;
	}
	v->v.guest = g;
	v->v.id = id;
	return &v->v;

undo_vector:
	obj_free(v->vector);
undo_vcpu:
	obj_free(v);
	return NULL;
}

void arch_vcpu_free(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	/* Another guest's vCPU may get this memory: no register stays. */
	if (v->vector)
		memset(v->vector, 0, vector_bytes());
	obj_free(v->vector);
	if (v->dbtr.trigger)
		memset(v->dbtr.trigger, 0, triggers_bytes());
	obj_free(v->dbtr.trigger);
	memset(v, 0, sizeof(*v));
	obj_free(v);
}

void arch_vcpu_reset(struct vcpu *vc, u64 entry, u64 arg)
{
	struct riscv_vcpu *v = to_riscv(vc);

	memset(v->x, 0, sizeof(v->x));
	memset(&v->vs, 0, sizeof(v->vs));
	memset(&v->fp, 0, sizeof(v->fp));
	if (v->vector)
		memset(v->vector, 0, vector_bytes());
	v->fp_used = v->vector_used = false;
	v->g = vc->guest->arch;
	v->fp_on = v->vector_on = v->csr_on = NULL;
	v->odd = (riscv_has_sstc ? 0 : VCPU_ODD_TIMER) | VCPU_ODD_CALL;
	v->x[10] = vc->id;
	v->x[11] = arg;
	v->pc = entry;
	v->sstatus = SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_UXL_64;
	v->hstatus = HSTATUS_SPV | HSTATUS_SPVP | HSTATUS_VSXL_64;
	arch_vcpu_knobs(vc);
	v->henvcfg = isa_guest_henvcfg();
	v->vs.vsstatus = SSTATUS_UXL_64;
	/* Firmware leaves the counters open to U-mode, and kernels rely on it:
	 * Linux reads the time there (its vDSO) and never sets this. */
	v->vs.scounteren = GUEST_COUNTERS;
	v->hvip = 0;
	v->v.virq = 0;
	vtimer_reset(v);
	vfence_reset(v);
	vsbi_vcpu_reset(v);
	quick_reset(v);
}

void arch_vcpu_knobs(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	/* Whether a turn is native is known when it begins (world.c). */
	v->hstatus |= HSTATUS_VTW;
	if (vc->guest->cfg.wfi == WFI_NATIVE)
		v->odd |= VCPU_ODD_NATIVE;
	else
		v->odd &= ~VCPU_ODD_NATIVE;
}

void arch_vcpu_clear(struct vcpu *vc)
{
	vsbi_hart_clear(to_riscv(vc));
	arch_vcpu_reset(vc, 0, 0);
}

static const char *const reg_names[32] = {
	"zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",
	"a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6",
	"s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

void arch_vcpu_print(struct vcpu *vc,
		     void (*line)(void *ctx, const char *text), void *ctx)
{
	const struct riscv_vcpu *v = to_riscv(vc);
	const struct { const char *name; u64 val; } csrs[] = {
		{ "pc", v->pc }, { "sstatus", v->sstatus },
		{ "hstatus", v->hstatus }, { "hvip", v->hvip },
		{ "vsstatus", v->vs.vsstatus }, { "vsie", v->vs.vsie },
		{ "vstvec", v->vs.vstvec }, { "vsscratch", v->vs.vsscratch },
		{ "vsepc", v->vs.vsepc }, { "vscause", v->vs.vscause },
		{ "vstval", v->vs.vstval }, { "vsatp", v->vs.vsatp },
	};
	char text[96];

	for (u32 i = 0; i < ARRAY_LEN(csrs); i += 2) {
		snprintf(text, sizeof(text), "%9s %016lx  %9s %016lx",
			 csrs[i].name, csrs[i].val,
			 csrs[i + 1].name,
			 csrs[i + 1].val);
		line(ctx, text);
	}
	for (u32 i = 0; i < 32; i += 2) {
		snprintf(text, sizeof(text), "%9s %016lx  %9s %016lx",
			 reg_names[i], v->x[i],
			 reg_names[i + 1], v->x[i + 1]);
		line(ctx, text);
	}
}
