/*
 * A vCPU's RISC-V part: registers, and the CSRs that move with it.
 *
 * While a guest runs `sscratch` points here, so the first fields are what the
 * trap entry touches; their offsets go to asm-offsets.c.
 */
#ifndef ROUSE_ARCH_RISCV_VCPU_H
#define ROUSE_ARCH_RISCV_VCPU_H

#include "arch/riscv/vdbtr.h"
#include "arch/riscv/vfence.h"
#include "arch/riscv/vpmu.h"
#include "arch/riscv/vsse.h"
#include "emul/emul.h"
#include "kernel/base.h"
#include "kernel/guest.h"
#include "kernel/vcpu.h"

struct cpu;
struct sta_page;

/* CSRs with a VS copy, and those without that must still not leak. */
struct vs_csrs {
	u64 vsstatus, vsie, vstvec, vsscratch, vsepc, vscause, vstval, vsatp;
	u64 vstimecmp; /* guest ticks; all ones: never */
	u64 scounteren, senvcfg, sstateen0;
	u64 vsiselect; /* with Ssaia or Sscsrind */
};

struct fp_state {
	u64 f[32];
	u64 fcsr;
};

struct vector_state {
	u64 vstart, vcsr, vl, vtype;
	u8 v[]; /* 32 registers of vector_reg_bytes */
};

/* Registers that each exit stores in x[]: all but x0, gp and s0-s11. The
 * others are stored with them when a handler asks for that. */
#define REGS_STORED 0xf003fcf6
#define REGS_ALL 0xfffffffe

struct arch_guest;

/* An IPI on its way: to the harts of `mask` from number `next` on. */
struct vipi {
	u64 mask[GUEST_VCPUS_MAX / 64];
	bool all; /* to every one, whatever the mask is */
	u32 next;
};

/* What is unlike most vCPUs (riscv_vcpu.odd); set where it begins to be so. */
#define VCPU_ODD_FPU (1UL << 0)      /* has used FP or vector registers */
#define VCPU_ODD_COUNTERS (1UL << 1) /* hcounteren is its own */
#define VCPU_ODD_ENV (1UL << 2)      /* henvcfg has been changed */
#define VCPU_ODD_TIMER (1UL << 3)    /* has no comparator (no Sstc) */
#define VCPU_ODD_CALL (1UL << 4)     /* vsbi_run_begin has to complete a call */
#define VCPU_ODD_TRACED (1UL << 5)   /* `traced` */
#define VCPU_ODD_NATIVE (1UL << 6)   /* its WFI may be left to the hart */
#define VCPU_ODD_WAITS (1UL << 7)    /* it has vcpu->waits */
/* Of these, what the beginning of a turn must look at. */
#define VCPU_ODD_TURN (VCPU_ODD_TIMER | VCPU_ODD_CALL | VCPU_ODD_TRACED | \
		       VCPU_ODD_NATIVE)
/*
 * Bits of our own in v->henvcfg and v->hcounteren, which are compared at a load
 * and at a save; the registers have none there, and don't get these.
 */
#define VCPU_TRIGGERS (1UL << 8)   /* henvcfg: it has debug triggers */
#define VCPU_MISALIGNED (1UL << 9) /* henvcfg: delegated as it isn't at first */
#define VCPU_HENVCFG_OURS (VCPU_TRIGGERS | VCPU_MISALIGNED)
#define VCPU_SAVE_RARE (1UL << 63) /* hcounteren: it has one of these */

struct riscv_vcpu {
	/*
	 * Guest registers. At an exit those that C may clobber are stored;
	 * s0-s11 and gp only when a handler asks for them (`have`) or when the
	 * turn ends. x[0] is never stored.
	 */
	u64 x[32];
	u64 pc;        /* sepc */
	u64 sstatus;   /* SPP, FS, VS at the next entry */
	u64 hstatus;
	struct cpu *host; /* the CPU it runs on: tp of the hypervisor */
	u64 have;      /* in an exit: which of x[] are stored, a bit each */
	u64 quick;     /* SBI calls may take trap.S's quick path */
	u64 pause;     /* and wrs.nto: it has no vcpu->waits */
	/* The device that quick.c tries first, by EMUL_SLOT of the address. */
	struct emul_dev *slot[EMUL_SLOTS];
	u64 hvip;      /* what is injected now (VSSIP lives in the CSR) */

	/* The owner only. */
	bool traced;                 /* any of QUICK_PASSES (quick.h) */
	bool slots_on;               /* slot[]: the guest's, else nowhere */
	struct vs_csrs vs;
	u64 henvcfg, hcounteren; /* with bits of our own */
	u64 deadline_guest_ticks; /* SBI set_timer without Sstc */
	struct fp_state fp;
	struct vector_state *vector; /* NULL without V */
	bool fp_used, vector_used;   /* ever dirty: else all zeros */
	struct cpu *fp_on, *vector_on; /* whose registers hold this state */
	struct cpu *csr_on;          /* whose VS CSRs hold it, or did last */
	struct vmid_last *vmid_last; /* its guest's record of that CPU */
	u64 odd;                     /* VCPU_ODD_*; 0 of most */
	struct arch_guest *g;        /* v.guest->arch */

	/* HSM (SBI 3.0, chapter 9): any CPU, atomic; see vsbi_hsm.c. */
	u32 hsm_state;

	/* The owner only. */
	bool resume_anew;             /* non-retentive suspend: goes on at */
	u64 resume_pc, resume_arg;    /* resume_pc with a1 = resume_arg */

	struct vfence fence; /* remote fences; see vfence.h */

	/* STA (vsbi_sta.c), the owner only: the page in the guest's RAM, when
	 * it was registered and what it says, in ticks of waiting. */
	struct sta_page *sta_page;
	u64 sta_since_ticks, sta_told_ticks;
	u32 sta_seq;

	u32 fwft_locked; /* FWFT, the owner only: a bit a feature */

	struct vcpu v;

	/* Large, so last: trap.S reaches what is within 2 KiB. */
	struct vpmu pmu; /* PMU; see vpmu.h */
	struct vsse sse; /* software events; see vsse.h */
	struct vdbtr dbtr; /* debug triggers; see vdbtr.h */

	/* A call that takes several turns, the owner only: what does some more
	 * of it (vsbi_go_on), or NULL. */
	bool (*call_rest)(struct riscv_vcpu *v);
	struct vipi ipi; /* an IPI to many harts; see vsbi_ipi.c */
};

static inline struct riscv_vcpu *to_riscv(struct vcpu *v)
{
	return container_of(v, struct riscv_vcpu, v);
}

/*
 * Hart `id` of a guest, or NULL if there is none of that number. Whatever a
 * guest names a hart by ends here, in vsbi_harts or, on the short ways, in
 * quick.c.
 */
static inline struct riscv_vcpu *hart_find(const struct guest *g, u64 id)
{
	return likely(id < g->cfg.vcpus) ? to_riscv(g->vcpu[id]) : NULL;
}

/* The architecture's part of a guest. */
struct gstage;

struct vmid_last;

struct arch_guest {
	struct gstage *gstage;
	u64 htimedelta;
	u32 harts_on;  /* not stopped, nor about to; any CPU, atomic */
	u64 fence_gen; /* remote fences asked for so far; any CPU, atomic */
	u64 fence_untold; /* who waits and is to be told; see vfence_due.c */

	/* vmid.c: one record a CPU (that CPU's own), the CPU on which each
	 * vCPU last ran (the vCPU's owner's), and the VMID (any CPU, atomic;
	 * 0: none yet). */
	struct vmid_last *vmid_last;
	u32 *vmid_vcpu_cpu;
	u64 vmid;
	u64 serial; /* no two guests ever have the same */

	struct vsse_shared sse; /* global software events; see vsse.h */
};

#endif
