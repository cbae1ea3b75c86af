/*
 * Fences between the harts of a guest: FENCE.I and SFENCE.VMA on others.
 *
 * A fence is posted at each target vCPU and done by the CPU that owns it,
 * before that vCPU next executes an instruction of the guest. A target that is
 * not inside the guest costs nothing: it isn't woken, rung or waited for.
 */
#ifndef ROUSE_ARCH_RISCV_VFENCE_H
#define ROUSE_ARCH_RISCV_VFENCE_H

#include <ck_pr.h>

#include "kernel/base.h"

struct cpu;
struct guest;
struct riscv_vcpu;

/* Every address space; else an ASID. */
#define VFENCE_ANY_ASID UINT32_MAX

/* More pages than this are fenced as a whole address space. */
#define VFENCE_PAGES_MAX 64

/* Ranges that wait at a vCPU; one more becomes a full flush. */
#define VFENCE_RANGES 4

enum vfence_kind {
	VFENCE_I,     /* FENCE.I */
	VFENCE_VMA,   /* SFENCE.VMA of `pages` pages from `va` on, in `asid` */
};

struct vfence_op {
	enum vfence_kind kind;
	u32 asid;
	u64 va;
	u64 pages; /* 0: all of the address space */
};

/* Harts of a guest: all, or those of `mask` from hart `base` on. */
struct vfence_harts {
	bool all;
	u64 mask, base;
};

struct vfence_range {
	u32 state; /* who may touch the rest; see vfence.c */
	u32 asid;
	u64 va, pages;
};

/* A vCPU's part. */
struct vfence {
	/* Any CPU, atomic. */
	u32 live;    /* inside arch_vcpu_run: will look before long */
	u32 kinds;   /* what is posted and not yet done */
	u64 done;    /* fence_gen up to which everything is done */
	u64 waiters; /* bit n: some vCPU with id n modulo 64 waits for us */
	u32 waiting; /* our request is not over */
	struct vfence_range range[VFENCE_RANGES];

	/* The owner only. */
	struct cpu *cpu; /* where it ran last: the instruction cache it knows */
	/* Our request: what is done with its targets, one after another, how
	 * far that is, and what then waits until `done` reaches `gen`. */
	bool (*step)(struct riscv_vcpu *v, u32 end);
	struct vfence_harts harts;
	struct vfence_op op;
	u64 gen;
	u32 next; /* vCPUs before this one are done with */
	u32 rung; /* this many were inside the guest */
};

/*
 * Does `op` on `harts` (all of them must exist) for vCPU `v`, which runs on
 * this CPU. True: done, perhaps after a wait in place (vhw_bell_wait). False:
 * some CPU inside the guest has yet to do its part, and this one has something
 * else to do, or there are so many targets that more turns are needed to tell
 * them; the caller leaves the guest with NEXT_BLOCK, and vfence_run_begin says
 * when the vCPU may go on. `v` is woken by VIRQ_FENCED.
 */
bool vfence_request(struct riscv_vcpu *v, const struct vfence_harts *harts,
		    const struct vfence_op *op) __must_check;

/*
 * vfence_run_end in pieces. leave, then due: call vfence_before_entry, which
 * does what is due. The fences are inside.
 */
static inline void vfence_leave(struct vfence *f)
{
	/* The guest's accesses are performed before anyone sees live == 0 and
	 * reuses what they went to. */
	ck_pr_fence_memory();
	ck_pr_store_32(&f->live, 0);
	ck_pr_fence_memory(); /* [C] */
}

/* The two at once, for a vCPU that gives way to another on this CPU: then each
 * may have something due. `to` as in vfence_enter. One full fence is [C] of the
 * one and [A] of the other, and stands between whatever was stored before and
 * what is read after. */
static inline void vfence_pass(struct vfence *from, struct vfence *to)
{
	ck_pr_fence_memory(); /* as in vfence_leave */
	ck_pr_store_32(&from->live, 0);
	ck_pr_store_32(&to->live, 1);
	ck_pr_fence_memory(); /* [A], [C] */
}

static inline bool vfence_due(const struct vfence *f, const u64 *fence_gen)
{
	return ck_pr_load_64(fence_gen) != ck_pr_load_64(&f->done);
}

/*
 * The beginning of vfence_run_begin in pieces, for who has a full fence anyway:
 * enter, full fence, then due: call vfence_run_begin. Only for a vCPU that has
 * begun a run on this CPU before and doesn't wait (VCPU_ODD_CALL).
 */
static inline void vfence_enter(struct vfence *f)
{
	ck_pr_store_32(&f->live, 1);
}

/*
 * Start of arch_vcpu_run, `v` loaded: from now on this CPU looks at v->virq
 * before each entry. Does what is posted. False: `v` waits for fences of
 * others and must not enter the guest: end the run with RUN_BLOCK (through
 * vfence_run_end, as any run).
 */
bool vfence_run_begin(struct riscv_vcpu *v) __must_check;

/*
 * End of arch_vcpu_run, `v` still loaded, on every way out. Does what was
 * posted meanwhile, so that nobody waits for a vCPU that left.
 */
void vfence_run_end(struct riscv_vcpu *v);

/* VIRQ_FENCE was seen (and taken from v->virq) before an entry. `v` loaded. */
void vfence_before_entry(struct riscv_vcpu *v);

/*
 * Does `v` wait for fences? Then it is not ready to run, whatever interrupts
 * are pending, until VIRQ_FENCED is raised at it; arch_vcpu_pending asks.
 */
bool vfence_waits(const struct riscv_vcpu *v);

/* `v`, which is OFF, starts anew: it waits for nobody, and everything is
 * flushed before it enters the guest. Others may post at it meanwhile. */
void vfence_reset(struct riscv_vcpu *v);

#endif
