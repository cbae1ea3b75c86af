/*
 * World switch and turns.
 *
 * A turn is from arch_vcpu_run to its return; within it exits are handled on
 * the spot and sepc, sstatus and hstatus never leave their CSRs. Loading and
 * saving a vCPU is apart from turns: a vCPU that runs again where it ran last
 * with nobody in between finds its VS CSRs still there, and only what may have
 * changed while it waited (hvip, the timer, vsatp after a fence) is written.
 * Saving is never left out, because another CPU may load the vCPU the moment
 * that its state word says so.
 *
 * What has no VS copy and is visible to the guest moves as well: scounteren,
 * senvcfg, sstateen0. So does vsiselect: guests are not told of the AIA, but
 * without Smstateen nothing keeps them from the register, and a value that
 * stayed in it would be a message to the next guest.
 */
#include "arch/riscv/world.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/fpu.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/vfence.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vmid.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/sched/sched.h"
#include "kernel/virq.h"

/* All that VS-mode can take itself (Privileged ISA 15.2.2). */
#define DELEGATED                                                       \
	(1UL << CAUSE_INST_MISALIGNED | 1UL << CAUSE_INST_ACCESS |      \
	 1UL << CAUSE_ILLEGAL | 1UL << CAUSE_BREAKPOINT |               \
	 1UL << CAUSE_LOAD_MISALIGNED | 1UL << CAUSE_LOAD_ACCESS |      \
	 1UL << CAUSE_STORE_MISALIGNED | 1UL << CAUSE_STORE_ACCESS |    \
	 1UL << CAUSE_ECALL_U | 1UL << CAUSE_INST_PAGE |                \
	 1UL << CAUSE_LOAD_PAGE | 1UL << CAUSE_STORE_PAGE)

void world_cpu_init(struct riscv_cpu *c)
{
	csr_write(CSR_HEDELEG, DELEGATED);
	csr_write(CSR_HIDELEG, IRQ_BIT(IRQ_VSSI) | IRQ_BIT(IRQ_VSTI) |
				       IRQ_BIT(IRQ_VSEI));
	csr_write(CSR_HCOUNTEREN, GUEST_COUNTERS);
	csr_write(CSR_HGEIE, 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HIE, 0);
	c->htimedelta = 0;
	csr_write(CSR_HTIMEDELTA, 0);
	c->henvcfg = isa_guest_henvcfg();
	csr_write(CSR_HENVCFG, c->henvcfg);
	if (isa_has(ISA_SMSTATEEN))
		csr_write(CSR_HSTATEEN0, STATEEN0_SENVCFG | STATEEN0_SE0);
	if (isa_has(ISA_SSAIA))
		csr_write(CSR_HVICTL, 0);
	csr_write(CSR_SIE, IRQ_BIT(IRQ_SSI) | IRQ_BIT(IRQ_STI) |
				   IRQ_BIT(IRQ_SEI));
}

static void vs_load(const struct vs_csrs *s)
{
	csr_write(CSR_VSSTATUS, s->vsstatus);
	csr_write(CSR_VSTVEC, s->vstvec);
	csr_write(CSR_VSSCRATCH, s->vsscratch);
	csr_write(CSR_VSEPC, s->vsepc);
	csr_write(CSR_VSCAUSE, s->vscause);
	csr_write(CSR_VSTVAL, s->vstval);
	csr_write(CSR_SCOUNTEREN, s->scounteren);
	csr_write(CSR_SENVCFG, s->senvcfg);
	if (isa_has(ISA_SMSTATEEN))
		csr_write(CSR_SSTATEEN0, s->sstateen0);
	if (isa_has(ISA_SSAIA))
		csr_write(CSR_VSISELECT, s->vsiselect);
}

static void vs_save(struct vs_csrs *s)
{
	s->vsstatus = csr_read(CSR_VSSTATUS);
	s->vsie = csr_read(CSR_VSIE);
	s->vstvec = csr_read(CSR_VSTVEC);
	s->vsscratch = csr_read(CSR_VSSCRATCH);
	s->vsepc = csr_read(CSR_VSEPC);
	s->vscause = csr_read(CSR_VSCAUSE);
	s->vstval = csr_read(CSR_VSTVAL);
	s->vsatp = csr_read(CSR_VSATP);
	s->scounteren = csr_read(CSR_SCOUNTEREN);
	s->senvcfg = csr_read(CSR_SENVCFG);
	if (isa_has(ISA_SMSTATEEN))
		s->sstateen0 = csr_read(CSR_SSTATEEN0);
	if (isa_has(ISA_SSAIA))
		s->vsiselect = csr_read(CSR_VSISELECT);
}

void arch_vcpu_load(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);
	struct riscv_cpu *c = riscv_this();
	struct arch_guest *g = vc->guest->arch;

	v->host = &c->c;
	vmid_enter(&c->vmid, g, vc->id);
	if (c->csr_owner != v || v->csr_on != &c->c) {
		vs_load(&v->vs);
		c->csr_owner = v;
		v->csr_on = &c->c;
	}
	csr_write(CSR_VSIE, v->vs.vsie);
	csr_write(CSR_VSATP, v->vs.vsatp);
	csr_write(CSR_HVIP, v->hvip);
	if (c->htimedelta != g->htimedelta) {
		c->htimedelta = g->htimedelta;
		csr_write(CSR_HTIMEDELTA, c->htimedelta);
	}
	if (c->henvcfg != v->henvcfg) {
		c->henvcfg = v->henvcfg;
		csr_write(CSR_HENVCFG, c->henvcfg);
	}
	vtimer_load(v);
	v->sstatus = (v->sstatus & ~(SSTATUS_FS | SSTATUS_VS)) |
		     fpu_load(c, v);
	v->loaded = true;
}

void arch_vcpu_save(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);
	struct riscv_cpu *c = riscv_this();

	vs_save(&v->vs);
	v->hvip = csr_read(CSR_HVIP);
	vtimer_save(v);
	/* Nothing of this guest's may end the idle loop's own WFI. */
	csr_write(CSR_VSIE, 0);
	fpu_save(c, v, v->sstatus);
	v->loaded = false;
}

void world_flush_virq(struct riscv_vcpu *v)
{
	u32 bits = ck_pr_fas_32(&v->v.virq, 0);

	if (bits & VIRQ_SOFT)
		csr_set(CSR_HVIP, IRQ_BIT(IRQ_VSSI));
	if (bits & VIRQ_EXTERNAL) {
		/* The swap must be seen before the lines are read: a raiser
		 * that changes one after this sets the bit anew. The full
		 * fence between the two is emul_eval's. */
		if (emul_eval(v->v.guest, &v->v))
			csr_set(CSR_HVIP, IRQ_BIT(IRQ_VSEI));
		else
			csr_clear(CSR_HVIP, IRQ_BIT(IRQ_VSEI));
	}
	if (bits & VIRQ_FENCE)
		vfence_before_entry(v);
	if (bits & VIRQ_TIMER)
		vtimer_expire(v);
}

static u64 turn_hstatus(struct riscv_vcpu *v)
{
	u64 h = v->hstatus | HSTATUS_SPV | HSTATUS_VSXL_64;

	return sched_wfi_native(&v->v) ? h & ~HSTATUS_VTW : h | HSTATUS_VTW;
}

static enum run_end turn_end(enum exit_next next)
{
	switch (next) {
	case NEXT_BLOCK: return RUN_BLOCK;
	case NEXT_YIELD: return RUN_YIELD;
	case NEXT_TIMER: return RUN_TIMER;
	case NEXT_OFF: return RUN_OFF;
	case NEXT_DEAD: return RUN_DEAD;
	default: return RUN_LOOK;
	}
}

enum run_end arch_vcpu_run(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);
	struct riscv_cpu *c = riscv_this();
	enum exit_next next;

	if (!vsbi_run_begin(v)) {
		vfence_run_end(v);
		/* It waits for others' fences, or has more IPIs to send. */
		return vfence_waits(v) ? RUN_BLOCK : RUN_LOOK;
	}
	vhw_timer_no_later(vtimer_running_deadline(v));
	if (!cpu_enter_guest(&c->c, vc)) {
		vfence_run_end(v);
		return RUN_LOOK;
	}
	if (ck_pr_load_32(&vc->virq))
		world_flush_virq(v);
	csr_write(CSR_SEPC, v->pc);
	csr_write(CSR_SSTATUS, v->sstatus);
	csr_write(CSR_HSTATUS, turn_hstatus(v));
	next = (enum exit_next)guest_enter(v);
	v->pc = csr_read(CSR_SEPC);
	v->sstatus = csr_read(CSR_SSTATUS);
	v->hstatus = csr_read(CSR_HSTATUS);
	c->last_pc = v->pc;
	cpu_leave_guest(&c->c);
	vfence_run_end(v);
	return turn_end(next);
}

bool arch_vcpu_pending(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	if (vfence_waits(v))
		return ck_pr_load_32(&vc->virq) & VIRQ_FENCED;
	if (ck_pr_load_32(&vc->virq))
		return true;
	if (v->loaded)
		return csr_read(CSR_VSIP) & csr_read(CSR_VSIE);
	return (v->hvip >> 1 & v->vs.vsie) || 
		(v->vs.vsie & IRQ_BIT(IRQ_STI) && vtimer_passed(v));
}
