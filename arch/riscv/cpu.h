/*
 * A CPU's RISC-V part. `tp` points here, and so to the struct cpu in front.
 */
#ifndef ROUSE_ARCH_RISCV_CPU_H
#define ROUSE_ARCH_RISCV_CPU_H

#include "kernel/base.h"
#include "kernel/percpu/cpu.h"
#include "arch/riscv/oneshot.h"
#include "arch/riscv/vmid.h"

struct riscv_vcpu;

/* Where the hart was when it was asked (sse.c). */
struct hart_where {
	bool ready;        /* the firmware can ask it; constant after boot */
	u64 answers;       /* since it was asked; atomic */
	u64 pc, fp;
};

struct riscv_cpu {
	struct cpu c;

	/* Constant after boot. */
	u64 hartid;
	u64 stack_top;     /* of the CPU's loop */
	u64 panic_sp;      /* of a trap taken in the hypervisor itself */
	volatile u32 *sswi; /* this hart's ACLINT SETSSIP, or NULL */
	volatile u32 *imsic; /* this hart's S-level interrupt file, or NULL */
	volatile u32 *ring; /* what rings this hart, and the word that does; */
	u32 ring_value;     /* NULL: only the firmware can */
	u32 irq_context;   /* its index in the interrupt controller's list, or
			    * in messages to IMSICs (host_irq.c); UINT32_MAX:
			    * it has none, or has dropped it */
	u32 hart_state;    /* atomic: HART_*, harts.c */
	u32 vs_more;       /* world.c: more registers to move than all have */
	u64 boot_satp;     /* what head.S needs to come up with the MMU off */
	struct riscv_cpu *self;

	/* This CPU only. */
	u64 run_sp, run_s0, run_ra; /* as guest_enter's caller has them */
	struct riscv_vcpu *running; /* between guest_enter and its return */
	struct oneshot timer; /* the host's */
	const struct riscv_vcpu *loaded; /* between its load and its save */
	/* Who was saved here last; the VS CSRs hold its state until a load. */
	const struct riscv_vcpu *csr_owner;
	const struct riscv_vcpu *fp_owner; /* whose FP registers; NULL: zeros */
	const struct riscv_vcpu *vector_owner; /* the same for vectors */
	u64 htimedelta, henvcfg, hcounteren; /* what the CSRs hold */
	struct vmid_cpu vmid;
	void *trigger_page; /* shared with the firmware; triggers.c */
	u64 triggers;       /* set in this hart, by the firmware's index */
	u64 last_pc;       /* where the last guest was left, for panics */

	struct hart_where where;
};

static inline struct riscv_cpu *riscv_cpu(struct cpu *c)
{
	return container_of(c, struct riscv_cpu, c);
}

#ifdef __riscv
static inline struct riscv_cpu *riscv_this(void)
{
	return (struct riscv_cpu *)__builtin_thread_pointer();
}
#else
struct riscv_cpu *riscv_this(void);
#endif

/* Do this CPU's VS CSRs hold `v`'s state, so that what is in memory is old? */
static inline bool vcpu_loaded(const struct riscv_vcpu *v)
{
	return riscv_this()->loaded == v;
}

#endif
