/*
 * Exits by cause.
 *
 * Two constant tables, one for interrupts and one for exceptions; an absent
 * row is an exception that VS-mode should have got itself, and reflects it.
 * Handlers say what comes next and one place here moves the program counter.
 */
#include "arch/riscv/exit.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/hlv.h"
#include "arch/riscv/vtimer.h"
#include "arch/riscv/world.h"
#include "kernel/arch.h"
#include "kernel/gmem.h"
#include "kernel/guest.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/trace.h"
#include "kernel/sched/sched.h"

/* htinst of an access by the page walk itself (Privileged ISA 15.6.3) */
#define HTINST_PSEUDO_READ32 0x00002000
#define HTINST_PSEUDO_READ 0x00003000
#define HTINST_PSEUDO_WRITE32 0x00002020
#define HTINST_PSEUDO_WRITE 0x00003020

typedef enum exit_next exit_fn(struct riscv_vcpu *v, u64 cause);

enum exit_next exit_reflect(struct riscv_vcpu *v, u64 cause, u64 tval)
{
	u64 vs = csr_read(CSR_VSSTATUS), s = csr_read(CSR_SSTATUS);

	if (unlikely(v->pmu.fw_on))
		vpmu_trap(v, cause);
	vs = (vs & ~(SSTATUS_SPP | SSTATUS_SPIE)) | (s & SSTATUS_SPP);
	if (vs & SSTATUS_SIE)
		vs |= SSTATUS_SPIE;
	csr_write(CSR_VSSTATUS, vs & ~SSTATUS_SIE);
	csr_write(CSR_VSEPC, csr_read(CSR_SEPC));
	csr_write(CSR_VSCAUSE, cause);
	csr_write(CSR_VSTVAL, tval);
	csr_write(CSR_SEPC, csr_read(CSR_VSTVEC) & ~3UL);
	csr_write(CSR_SSTATUS, s | SSTATUS_SPP);
	csr_set(CSR_HSTATUS, HSTATUS_SPVP);
	return NEXT_RETRY;
}

int exit_fetch(u32 *inst)
{
	return hlvx_inst(csr_read(CSR_SEPC), inst);
}

static bool is_page_walk(u64 htinst)
{
	return htinst == HTINST_PSEUDO_READ || htinst == HTINST_PSEUDO_WRITE ||
	       htinst == HTINST_PSEUDO_READ32 ||
	       htinst == HTINST_PSEUDO_WRITE32;
}

/* The access fault that stands for a guest page fault in VS-mode: 20, 21, 23
 * are 1, 5, 7 there. */
static u64 access_fault(u64 cause)
{
	return cause == CAUSE_INST_GUEST_PAGE ? CAUSE_INST_ACCESS :
	       cause == CAUSE_LOAD_GUEST_PAGE ? CAUSE_LOAD_ACCESS :
						CAUSE_STORE_ACCESS;
}

static enum exit_next exit_ram(struct riscv_vcpu *v, struct gpa at, u64 cause)
{
	vcpu_exit_count(&v->v, VCPU_EXIT_MEMORY);
	TRACE(PAGE_FAULT, v->v.sched.trace_id, at.v, cause);
	switch (gmem_fault(v->v.guest->mem, at)) {
	case 0:
		/* Harts may remember that nothing was mapped here. */
		__asm__ volatile("hfence.gvma %0, zero" ::"r"(at.v >> 2)
				 : "memory");
		return NEXT_RETRY;
	case -EFAULT:
		return exit_reflect(v, access_fault(cause),
				    csr_read(CSR_STVAL));
	default:
		/* Never: its tables were made with it. */
		guest_crash(&v->v,
			    "address 0x%lx can't be mapped (scause 0x%lx, "
			    "stval 0x%lx, htval 0x%lx)",
			    at.v, cause, csr_read(CSR_STVAL),
			    csr_read(CSR_HTVAL));
		return NEXT_DEAD;
	}
}

static enum exit_next exit_guest_page(struct riscv_vcpu *v, u64 cause)
{
	const struct guest_config *cfg = &v->v.guest->cfg;
	u64 stval = csr_read(CSR_STVAL);
	struct gpa at = { csr_read(CSR_HTVAL) << 2 | (stval & 3) };

	if (at.v - cfg->ram_base.v < cfg->memory_bytes)
		return exit_ram(v, at, cause);
	if (cause == CAUSE_INST_GUEST_PAGE ||
	    is_page_walk(csr_read(CSR_HTINST))) {
		vcpu_exit_count(&v->v, VCPU_EXIT_FAULT);
		return exit_reflect(v, access_fault(cause), stval);
	}
	return mmio_access(v, cause, at);
}

static enum exit_next exit_ecall(struct riscv_vcpu *v, u64 cause)
{
	(void)cause;
	vcpu_exit_count(&v->v, VCPU_EXIT_CALL);
	return vsbi_call(v);
}

static enum exit_next exit_wfi(struct riscv_vcpu *v)
{
	vcpu_exit_count(&v->v, VCPU_EXIT_WAIT);
	return arch_vcpu_pending(&v->v) ? NEXT_ADVANCE : NEXT_BLOCK;
}

/* A vCPU with counters of its own; it may have read one. */
static __attribute__((noinline)) enum exit_next
exit_counter(struct riscv_vcpu *v, u32 inst, bool vs_mode)
{
	u32 rd = inst >> 7 & 31;
	u64 val;

	if (!vpmu_csr_read(v, inst, !vs_mode, &val)) {
		vcpu_exit_count(&v->v, VCPU_EXIT_FAULT);
		return exit_reflect(v, CAUSE_ILLEGAL, inst);
	}
	if (!((v->have | 1) >> rd & 1))
		return NEXT_FULL;
	vcpu_exit_count(&v->v, VCPU_EXIT_OTHER);
	reg_set(v, rd, val);
	return NEXT_ADVANCE;
}

static enum exit_next exit_virtual(struct riscv_vcpu *v, u64 cause)
{
	u64 inst = csr_read(CSR_STVAL);
	bool vs_mode = csr_read(CSR_SSTATUS) & SSTATUS_SPP;
	u32 fetched;

	(void)cause;
	if (!inst) {
		if (exit_fetch(&fetched)) {
			vcpu_exit_count(&v->v, VCPU_EXIT_OTHER);
			return NEXT_RETRY;
		}
		inst = fetched;
	}
	if (inst == INST_WFI && vs_mode)
		return exit_wfi(v);
	if (inst == INST_WRS_NTO || inst == INST_WRS_STO) {
		vcpu_exit_count(&v->v, VCPU_EXIT_PAUSE);
		return inst == INST_WRS_NTO ? NEXT_YIELD : NEXT_ADVANCE;
	}
	if (unlikely(v->hcounteren != GUEST_COUNTERS))
		return exit_counter(v, (u32)inst, vs_mode);
	vcpu_exit_count(&v->v, VCPU_EXIT_FAULT);
	return exit_reflect(v, CAUSE_ILLEGAL, inst);
}

/* For an interrupt of the running vCPU alone the turn goes on. */
static enum exit_next bell(struct riscv_vcpu *v)
{
	return cpu_guest_bell(v->host) ? NEXT_RETRY : NEXT_LOOK;
}

static enum exit_next exit_doorbell(struct riscv_vcpu *v, u64 cause)
{
	(void)cause;
	vcpu_exit_count(&v->v, VCPU_EXIT_DOORBELL);
	return bell(v);
}

static enum exit_next exit_timer(struct riscv_vcpu *v, u64 cause)
{
	(void)cause;
	vcpu_exit_count(&v->v, VCPU_EXIT_TIMER);
	if (sched_timer_early()) {
		/* Without Sstc it is the guest's timer too. */
		vtimer_see_to(v);
		return NEXT_RETRY;
	}
	oneshot_fired(&riscv_cpu(v->host)->timer);
	return NEXT_TIMER;
}

/* A device of the host, or the doorbell when it comes by the IMSIC, whose
 * acknowledgement (arch_doorbell_ack) serves the devices too. */
static enum exit_next exit_external(struct riscv_vcpu *v, u64 cause)
{
	(void)cause;
	vcpu_exit_count(&v->v, VCPU_EXIT_EXTERNAL);
	arch_host_irq();
	return bell(v);
}

static exit_fn *const interrupts[16] = {
	[IRQ_SSI] = exit_doorbell,
	[IRQ_STI] = exit_timer,
	[IRQ_SEI] = exit_external,
};

static exit_fn *const exceptions[24] = {
	[CAUSE_ECALL_VS] = exit_ecall,
	[CAUSE_INST_GUEST_PAGE] = exit_guest_page,
	[CAUSE_LOAD_GUEST_PAGE] = exit_guest_page,
	[CAUSE_VIRTUAL_INST] = exit_virtual,
	[CAUSE_STORE_GUEST_PAGE] = exit_guest_page,
};

static inline __attribute__((always_inline)) enum exit_next
exit_dispatch(struct riscv_vcpu *v, u64 cause)
{
	u64 i = cause & ~CAUSE_INTERRUPT;

	if (cause & CAUSE_INTERRUPT) {
		if (likely(i < ARRAY_LEN(interrupts) && interrupts[i]))
			return interrupts[i](v, cause);
		vcpu_exit_count(&v->v, VCPU_EXIT_OTHER);
		return NEXT_LOOK;
	}
	if (likely(i < ARRAY_LEN(exceptions) && exceptions[i]))
		return exceptions[i](v, cause);
	vcpu_exit_count(&v->v, VCPU_EXIT_FAULT);
	return exit_reflect(v, cause, csr_read(CSR_STVAL));
}

static void advance(u64 bytes)
{
	csr_write(CSR_SEPC, csr_read(CSR_SEPC) + bytes);
}

static inline __attribute__((always_inline)) enum exit_next
handle(struct riscv_vcpu *v, u64 cause)
{
	enum exit_next next = exit_dispatch(v, cause);

	switch (next) {
	case NEXT_ADVANCE:
	case NEXT_ADVANCE_2:
		advance(next == NEXT_ADVANCE ? 4 : 2);
		/* fall through */
	case NEXT_RETRY:
		if (ck_pr_load_32(&v->v.virq))
			world_flush_virq(v);
		return NEXT_RETRY;
	case NEXT_BLOCK:
	case NEXT_YIELD:
		advance(4);
		/* fall through */
	default:
		return next;
	}
}

/* Recorded: a copy of all, so that the other keeps nothing for this one. */
static __attribute__((noinline)) enum exit_next
exit_traced(struct riscv_vcpu *v, u64 cause)
{
	enum exit_next next;

	/* Not once more when it is called again for all registers. */
	if (v->have == REGS_STORED)
		trace_write(TRACE_EV_EXIT, v->v.sched.trace_id, cause,
			    csr_read(CSR_SEPC));
	next = handle(v, cause);
	if (next == NEXT_RETRY)
		trace_write(TRACE_EV_ENTRY, v->v.sched.trace_id,
			    csr_read(CSR_SEPC), csr_read(CSR_HIP));
	return next;
}

enum exit_next exit_handle(struct riscv_vcpu *v, u64 cause)
{
	if (trace_on(TRACE_EXIT))
		return exit_traced(v, cause);
	return handle(v, cause);
}
