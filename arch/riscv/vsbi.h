/*
 * SBI 3.0 as guests see it: what the files of the extensions share.
 *
 * An extension is one `const struct vsbi_ext` in one file, and one line in the
 * table of vsbi.c. The numbers are in vsbi_abi.h. Chapters and sections in
 * comments are those of the RISC-V Supervisor Binary Interface Specification,
 * version 3.0.
 */
#ifndef ROUSE_ARCH_RISCV_VSBI_H
#define ROUSE_ARCH_RISCV_VSBI_H

#include "arch/riscv/exit.h"
#include "arch/riscv/vfence.h"
#include "arch/riscv/vsbi_abi.h"
#include "kernel/gmem.h"

struct vsbi_ext {
	const char *name;
	u64 first, last; /* extension ids, both included */

	/*
	 * One call: function `fid`, arguments in v->x[], the answer by
	 * vsbi_return (or _legacy). `v` runs on this CPU and is loaded.
	 */
	enum exit_next (*call)(struct riscv_vcpu *v, u64 fid);

	/* Is it not offered on this machine? Then `call` says so as well. NULL:
	 * it is on all. */
	bool (*absent)(void);
};

extern const struct vsbi_ext vsbi_base, vsbi_time, vsbi_ipi, vsbi_rfence,
	vsbi_hsm, vsbi_srst, vsbi_dbcn, vsbi_sta, vsbi_pmu, vsbi_fwft,
	vsbi_susp, vsbi_sse, vsbi_dbtr, vsbi_legacy;

/* BASE's constant answers by function; for trap.S too. */
extern const u64 vsbi_base_answers[VSBI_BASE_MIMPID + 1];

/* What sbi_probe_extension answers: 1 or 0 (section 4.4). */
u64 vsbi_probe(u64 eid);

/* The answer of a call: a0 and a1, and on to the next instruction. */
static inline enum exit_next vsbi_return(struct riscv_vcpu *v, s64 error,
					 u64 value)
{
	reg_set(v, REG_A0, (u64)error);
	reg_set(v, REG_A1, value);
	return NEXT_ADVANCE;
}

/* Of a legacy call: a0 alone (chapter 5). */
static inline enum exit_next vsbi_return_legacy(struct riscv_vcpu *v, s64 error)
{
	reg_set(v, REG_A0, (u64)error);
	return NEXT_ADVANCE;
}

/*
 * Takes a hart mask and its base apart (section 3.1). False: some hart in it
 * doesn't exist, and the answer is INVALID_PARAM.
 */
static inline bool vsbi_harts(const struct riscv_vcpu *v, u64 mask, u64 base,
			      struct vfence_harts *harts)
{
	u64 count = v->v.guest->cfg.vcpus;

	*harts = (struct vfence_harts){
		.all = base == UINT64_MAX, .mask = mask, .base = base};
	if (harts->all)
		return true;
	/* The base itself need not exist unless bit 0 says so. */
	if (unlikely(base >= count))
		return mask == 0;
	return count - base >= 64 || mask >> (count - base) == 0;
}

/*
 * Is a range of physical addresses (section 3.2) the guest's RAM: `bytes` from
 * `hi` * 2^64 + `lo` on? An empty one has no address that isn't, wherever it
 * lies.
 */
static inline bool vsbi_in_ram(const struct guest *g, u64 lo, u64 hi, u64 bytes)
{
	u64 off = lo - g->cfg.ram_base.v;

	return bytes == 0 || (hi == 0 && lo >= g->cfg.ram_base.v &&
			      off < g->cfg.memory_bytes &&
			      bytes <= g->cfg.memory_bytes - off);
}

/* Shared memory (section 3.2): do the two halves of its address say "none"? */
static inline bool vsbi_no_shmem(u64 lo, u64 hi)
{
	return lo == UINT64_MAX && hi == UINT64_MAX;
}

/*
 * Shared memory of a guest that lies in one 4 KiB page, as the host sees it.
 * NULL: it is not all RAM, and the answer is INVALID_ADDRESS. Good until
 * vsbi_vcpu_reset.
 */
static inline void *vsbi_shmem(const struct riscv_vcpu *v, u64 lo, u64 hi,
			       u64 bytes)
{
	if (!vsbi_in_ram(v->v.guest, lo, hi, bytes))
		return NULL;
	return gmem_ptr(v->v.guest->mem, (struct gpa){lo}, bytes);
}

/*
 * A call that takes longer than an exit may: `rest` does a part of it, now and
 * at the beginning of each further turn, before the guest is entered, until it
 * returns true. The answer is what vsbi_return said last. To the guest it is
 * one call that takes long: no interrupt, and so no other call, comes in
 * between. Returns what the call does: the turn ends if there is more to do.
 */
static inline enum exit_next vsbi_go_on(struct riscv_vcpu *v,
					bool (*rest)(struct riscv_vcpu *v))
{
	if (rest(v))
		return NEXT_ADVANCE;
	v->call_rest = rest;
	v->odd |= VCPU_ODD_CALL;
	return NEXT_YIELD;
}

/*
 * Raises a software interrupt at those of `harts`, or of v->ipi.mask, that
 * aren't stopped; a hart that there isn't gets none. Returns what the call
 * does: it may take several turns.
 */
enum exit_next vsbi_ipi_send(struct riscv_vcpu *v,
			     const struct vfence_harts *harts);
enum exit_next vsbi_ipi_send_masked(struct riscv_vcpu *v);

/*
 * A range of RFENCE (chapter 8): bytes to pages. False: it wraps round the
 * address space, and the answer is INVALID_ADDRESS. An empty range gives an
 * operation of which *empty says that there is nothing to do.
 */
bool vsbi_fence_range(u64 start, u64 size, struct vfence_op *op, bool *empty);

/* The lower bits of hsm_state: what was asked, a VHSM_*. */
#define VHSM_ASKED_BITS 8

/* The HSM state of a hart, VHSM_*, exact at some moment of the call. */
u32 vsbi_hsm_status(const struct riscv_vcpu *t);

/*
 * A non-retentive suspend of the calling hart, which goes on at `pc` with a1 =
 * `arg` (section 9.4). Refused with INVALID_ADDRESS: nothing was done.
 */
enum exit_next vsbi_hsm_suspend_anew(struct riscv_vcpu *v, u64 pc, u64 arg);

/*
 * Start of arch_vcpu_run: `v` is loaded, and v->x[], pc and sstatus have yet
 * to go to the hart. Completes pending HSM states, a deadline that passed, and
 * the fences that are due. False: `v` must not enter the guest; the run ends
 * with RUN_BLOCK if it waits for fences (vfence_waits), or with RUN_LOOK: its
 * call goes on. Every end of a run is by vfence_run_end.
 */
bool vsbi_run_begin(struct riscv_vcpu *v) __must_check;

/*
 * A hart starts anew, or its guest does: what it asked for in its life before
 * is over. `v` is OFF. Part of arch_vcpu_reset.
 */
void vsbi_vcpu_reset(struct riscv_vcpu *v);
void vsbi_pmu_reset(struct riscv_vcpu *v);

/* Which features of FWFT all harts can have. */
#define FWFT_ADUE	(1u << 0)
#define FWFT_MISALIGNED (1u << 1)
#define FWFT_PMLEN_7	(1u << 2)
#define FWFT_PMLEN_16	(1u << 3)
extern u32 fwft_harts_have;

/* Narrows fwft_harts_have to what this hart has; leaves `henvcfg` in its
 * register. Each hart once, before there are guests. */
void fwft_probe(u64 henvcfg);

/* This hart delegates misaligned accesses as `v` wants them, or as at first. */
void fwft_misaligned_load(const struct riscv_vcpu *v);
void fwft_misaligned_unload(void);

/*
 * What the hart has by the firmware alone, VCPU_HENVCFG_OURS: `v` comes, or it
 * leaves, and all is as the others have it. So it is the calls' time of who has
 * such a thing, and never of who comes after it. After an unload the next load
 * is a full one.
 */
void vsbi_features_load(struct riscv_vcpu *v);
void vsbi_features_unload(struct riscv_vcpu *v);

/* hcounteren of who has no counters of his own: cycle, time and instret. */
#define VSBI_COUNTEREN_ALL 7u

/* Who wants to know that `v` waits has changed: sets v->v.waits, and what tells
 * a save that there is something to be taken out of the hart. */
void vsbi_waits_choose(struct riscv_vcpu *v);

/* STA's part of v->v.waits; it has a page. */
void vsbi_sta_waits(struct riscv_vcpu *v, bool waits);

/*
 * A guest starts anew. hart: it is stopped, and no call of it goes on; part of
 * arch_vcpu_clear. guest: what harts share; part of arch_guest_reset. No vCPU
 * of it runs.
 */
void vsbi_hart_clear(struct riscv_vcpu *v);
void vsbi_guest_reset(struct guest *g);

#endif
