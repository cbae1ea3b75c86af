/*
 * VMIDs: which guest a TLB entry belongs to, with fewer tags than guests.
 *
 * A guest's VMID is a pair (generation, id). Ids are handed out until they run
 * out; then a new generation begins with all of them free, and a CPU flushes
 * everything when it first meets a VMID of another generation than its TLB's.
 * With no VMID bits at all the "generation" is the guest's own number, so a CPU
 * flushes whenever it goes from one guest to another.
 *
 * All vCPUs of a guest share its VMID. ASIDs are per hart, so entries that one
 * vCPU left on a CPU are wrong for another one, and wrong for itself when it
 * has run elsewhere meanwhile: vmid_enter flushes the guest's VS-stage entries
 * in both cases.
 */
#ifndef ROUSE_ARCH_RISCV_VMID_H
#define ROUSE_ARCH_RISCV_VMID_H

#include "arch/riscv/gstage_hw.h"
#include "arch/riscv/vcpu.h"
#include "kernel/base.h"

#define VMID_GENERATION_SHIFT 16

struct cpu;

/* A CPU's part, in struct riscv_cpu. */
struct vmid_cpu {
	/* Constant after vmid_cpu_init. */
	struct cpu *cpu;
	u32 index;
	struct vmid_cpu *next;

	/* This CPU only, but for a look from other CPUs. */
	u64 generation; /* of the ids in its TLB */
	u64 hgatp;      /* what the CSR holds */
	struct arch_guest *guest; /* whose that is, or NULL; atomic */

	/* Any CPU, atomic. */
	u32 drop; /* let go of the guest when you can */
};

/* What a CPU last did for a guest; one for each CPU, that CPU's own. */
struct vmid_last {
	u64 vmid; /* generation and id */
	u64 hgatp; /* with that */
	u32 vcpu; /* whose VS-stage entries are there */
} __cacheline;

/* At most this many bits are used: `vmid-bits=` of the command line. Before
 * the first guest. The default is 14, which is all there can be. */
void vmid_limit(u32 bits);

/* A hart's VMIDLEN (gstage_modes_probe found it); the least counts. */
void vmid_measured(u32 bits);

/* Bits in use: the least of what harts have and the limit. */
u32 vmid_bits(void);

/* Once for each CPU, on that CPU or for it, before it runs a guest. `c` is
 * zeroed. */
void vmid_cpu_init(struct vmid_cpu *c, struct cpu *cpu, u32 index);

/*
 * The guest's part: one record a CPU and one a vCPU. 0 or -ENOMEM.
 * `cpus` is the number of CPUs, `vcpus` that of the guest's vCPUs.
 */
int vmid_guest_init(struct arch_guest *g, u32 cpus, u32 vcpus) __must_check;
void vmid_guest_fini(struct arch_guest *g);

/*
 * vCPU `vcpu` of `g` runs next on this CPU: puts the right hgatp in place and
 * does the fences that are due. The world switch calls it on load and writes
 * vsatp *after* it: it zeroes vsatp first whenever it changes or fences
 * anything, so that nothing of the old vCPU's is cached under the new hgatp
 * (section 15.2.10). Interrupts off.
 */
void vmid_enter(struct vmid_cpu *c, struct arch_guest *g, u32 vcpu);

/* The guest's record of this CPU, for the two that follow. */
static inline struct vmid_last *vmid_last_of(const struct vmid_cpu *c,
					     const struct arch_guest *g)
{
	return &g->vmid_last[c->index];
}

/*
 * The same and the write of vsatp, from a vCPU that is loaded to another of its
 * guest that ran on this CPU last as well. Returns what vsatp was.
 *
 * The VMID stays, even if another generation has begun meanwhile (vmid.c). The
 * fence comes last: what was cached before it, by either vsatp, goes, and what
 * is cached after it is by the new one.
 */
static inline u64 vmid_next(struct vmid_last *last, u32 vcpu, u64 vsatp)
{
	u64 old;

	last->vcpu = vcpu;
	old = hw_vsatp_swap(vsatp);
	hw_hfence_vvma_all();
	return old;
}

/*
 * vmid_enter for a vCPU that ran on this CPU last as well, where vsatp is 0 and
 * nothing is to be fenced. False: it isn't so, and nothing was done.
 */
static inline bool vmid_return(struct vmid_cpu *c, struct arch_guest *g,
			       const struct vmid_last *last, u32 vcpu)
{
	u64 vmid = last->vmid, hgatp = last->hgatp;

	if (unlikely(last->vcpu != vcpu || vmid != ck_pr_load_64(&g->vmid) ||
		     vmid >> VMID_GENERATION_SHIFT != c->generation))
		return false;
	hw_hgatp_write(hgatp);
	ck_pr_store_64(&c->hgatp, hgatp);
	/* As in vmid_enter. */
	ck_pr_fence_memory();
	ck_pr_store_ptr(&c->guest, g);
	return true;
}

/*
 * This CPU lets go of whatever guest its hgatp holds: vsatp = 0, hgatp = 0. No
 * vCPU is loaded; the next load's vmid_enter and write of vsatp put them back.
 */
void vmid_leave(struct vmid_cpu *c);

/* Has someone asked this CPU to let go? For arch_wait and the CPU's loop. */
static inline bool vmid_drop_wanted(const struct vmid_cpu *c)
{
	return __atomic_load_n(&c->drop, __ATOMIC_RELAXED) != 0;
}

/*
 * Does no CPU hold the guest in its hgatp any more? One that does is asked to
 * let go, and its doorbell is rung; ask again later. All vCPUs are OFF.
 */
bool vmid_quiet(struct arch_guest *g);

/* The guest gets a VMID of its own anew before it next runs anywhere, so that
 * no entry of before is ever used. vmid_quiet. */
void vmid_renew(struct arch_guest *g);

/* The id (not the generation) under which the guest runs on this CPU now; for
 * fences, which name it. The CPU's hgatp holds the guest. */
u32 vmid_current(const struct vmid_cpu *c);

#endif
