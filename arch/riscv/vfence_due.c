/*
 * Fences between the harts of a guest, as those have them at whom they are
 * posted. The order of it all, and the fences [A] to [E], are told in vfence.c.
 *
 * The problem: whoever waits must be told when the work is done, and of a guest
 * of hundreds all may wait for the same one. That took 65,000 instructions of
 * its exit, though whoever asks does so in batches.
 *
 * So it wakes some of those that wait and leaves the rest to the guest's task
 * (kernel/guest_task.c), which gets on whatever the policy thinks of the guest:
 * any of its vCPUs, this one too, may be kept from a CPU while others could go
 * on. Who is told needn't be known exactly, since a waiter looks again at what
 * it waits for. So what is left is one word for the guest, of bits as those of
 * vfence.waiters are, and the task wakes who waits, for whomever.
 *
 *   waiter               target                     the guest's task
 *   waiting = 1          done = gen; full fence [D]  full fence
 *   full fence           take waiters                take fence_untold
 *   waiters |= bit       full fence [F]              full fence [G]
 *   full fence [E]       fence_untold |= the rest    waiting? raise VIRQ_FENCED
 *   done, live?          it was 0: wake the task
 *
 * [F] and [G]: who sees the bit sees that it waits, or a later request of its.
 * If the word wasn't 0 the task has yet to come to it for the last time, and if
 * it was, the task is told: as with what the virtual PLIC has to tell
 * (docs/locking.md).
 *
 * Rejected: the target's next exits (it may have none for long, and then no
 * CPU), to let who is told tell others (so may all of them).
 */
#include "arch/riscv/vfence.h"

#include "arch/riscv/vcpu.h"
#include "arch/riscv/vfence_private.h"
#include "arch/riscv/vhw.h"
#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/virq.h"

/* At once, some 130 instructions each; a test has a number of its own. To look
 * whether one waits takes a 16th of that. */
#ifndef WAKES_AT_ONCE
#define WAKES_AT_ONCE 64u
#endif
#define WAKE_LOOKS 16

void vfence_range_do(const struct vfence_op *op)
{
	bool any = op->asid == VFENCE_ANY_ASID;
	u64 va = ALIGN_DOWN(op->va, PAGE_BYTES);

	if (op->pages == 0 || op->pages > VFENCE_PAGES_MAX) {
		if (any)
			vhw_hfence_all();
		else
			vhw_hfence_asid(op->asid);
		return;
	}
	for (u64 i = 0; i < op->pages; i++, va += PAGE_BYTES) {
		if (any)
			vhw_hfence_va(va);
		else
			vhw_hfence_va_asid(va, op->asid);
	}
}

/* Does, or with `covered` just drops, the ranges that are READY. */
static void ranges_do(struct vfence *f, bool covered)
{
	for (u32 i = 0; i < VFENCE_RANGES; i++) {
		struct vfence_range *r = &f->range[i];
		struct vfence_op op = { .kind = VFENCE_VMA };

		if (ck_pr_load_32(&r->state) != SLOT_READY)
			continue;
		ck_pr_fence_acquire();
		op.asid = ck_pr_load_32(&r->asid);
		op.va = ck_pr_load_64(&r->va);
		op.pages = ck_pr_load_64(&r->pages);
		ck_pr_fence_release();
		ck_pr_store_32(&r->state, SLOT_FREE);
		if (!covered)
			vfence_op_do(&op);
	}
}

/* Wakes who waits of those that `bits` may mean, some of them; returns the bits
 * of the others. */
static u64 some_wake(struct guest *g, u64 bits)
{
	s64 left = (s64)WAKES_AT_ONCE * WAKE_LOOKS;

	while (bits && left > 0) {
		u32 id = (u32)bit_lowest(bits);

		bits &= bits - 1;
		for (; id < g->cfg.vcpus; id += 64) {
			struct riscv_vcpu *w = to_riscv(g->vcpu[id]);

			left--;
			if (!ck_pr_load_32(&w->fence.waiting))
				continue;
			virq_raise(&w->v, VIRQ_FENCED);
			left -= WAKE_LOOKS - 1;
		}
	}
	return bits;
}

/* They are to be woken by the task. Was nobody yet? */
static bool rest_leave(struct arch_guest *a, u64 bits)
{
	u64 old = ck_pr_load_64(&a->fence_untold);

	while (!ck_pr_cas_64_value(&a->fence_untold, old, old | bits, &old))
		;
	return !old;
}

static __attribute__((noinline)) void many_wake(struct guest *g, u64 bits)
{
	bits = some_wake(g, bits);
	if (!bits)
		return;
	ck_pr_fence_memory(); /* [F] */
	if (rest_leave(g->arch, bits))
		guest_tell_rest(g);
}

static void waiters_wake(struct riscv_vcpu *v)
{
	struct guest *g = v->v.guest;
	u64 bits = ck_pr_load_64(&v->fence.waiters);

	if (likely(!bits))
		return;
	bits = ck_pr_fas_64(&v->fence.waiters, 0);
	if (unlikely(g->cfg.vcpus > WAKES_AT_ONCE)) {
		many_wake(g, bits);
		return;
	}
	for (; bits; bits &= bits - 1) {
		struct riscv_vcpu *w = to_riscv(g->vcpu[bit_lowest(bits)]);

		if (ck_pr_load_32(&w->fence.waiting))
			virq_raise(&w->v, VIRQ_FENCED);
	}
}

bool arch_guest_tell_rest(struct guest *g)
{
	struct arch_guest *a = g->arch;
	u64 bits;

	if (likely(!ck_pr_load_64(&a->fence_untold)))
		return false;
	bits = ck_pr_fas_64(&a->fence_untold, 0);
	ck_pr_fence_memory(); /* [G] */
	bits = some_wake(g, bits);
	/* We are who is to be woken for it. */
	if (bits)
		(void)rest_leave(a, bits);
	return ck_pr_load_64(&a->fence_untold) != 0;
}

/* What the head of vfence.c calls the work. */
void vfence_before_entry(struct riscv_vcpu *v)
{
	struct vfence *f = &v->fence;
	u64 gen = ck_pr_load_64(&v->v.guest->arch->fence_gen);
	u32 kinds;

	if (likely(gen == ck_pr_load_64(&f->done)))
		return;
	/* Pairs with the release before fence_gen rises: what was posted under
	 * `gen` is seen, and so are the page tables it is about. */
	ck_pr_fence_acquire();
	kinds = ck_pr_fas_32(&f->kinds, 0);
	ck_pr_fence_acquire();
	if (kinds & KIND_I)
		vhw_fence_i();
	if (kinds & (KIND_RANGES | KIND_VMA_ALL))
		ranges_do(f, kinds & KIND_VMA_ALL);
	if (kinds & KIND_VMA_ALL)
		vhw_hfence_all();
	/* The guest's own accesses by the old translation are performed before
	 * the requester may reuse what they went to. */
	ck_pr_fence_memory();
	ck_pr_store_64(&f->done, gen);
	ck_pr_fence_memory(); /* [D] */
	waiters_wake(v);
}

void vfence_run_end(struct riscv_vcpu *v)
{
	vfence_leave(&v->fence);
	vfence_before_entry(v);
}

/*
 * Other vCPUs may post at `v` meanwhile. What they posted before now is
 * covered by the full flush; the slots are left to whoever has them.
 */
void vfence_reset(struct riscv_vcpu *v)
{
	struct vfence *f = &v->fence;
	u64 gen = ck_pr_load_64(&v->v.guest->arch->fence_gen);

	f->cpu = NULL;
	ck_pr_store_32(&f->waiting, 0);
	ck_pr_or_32(&f->kinds, KIND_I | KIND_VMA_ALL);
	ck_pr_store_64(&f->done, gen - 1);
}
