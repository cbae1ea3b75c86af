/*
 * Fences between the harts of a guest.
 *
 * The problem: a guest that changes a page table asks (SBI RFENCE, chapter 8)
 * that other harts forget what they know of it, and may reuse the page when
 * the call returns. So the call must not return before each target has either
 * done the fence or is certain to do it before it next executes in the guest.
 *
 * What has to be flushed where: vmid_enter() flushes a guest's VS-stage
 * entries when a CPU goes from one vCPU of the guest to another, and when a
 * vCPU comes back from another CPU. So the entries that a vCPU can ever use
 * again are on one CPU, the one that it ran on last, and a fence can be posted
 * at the vCPU: whichever CPU runs it next does the fence, or has flushed more
 * than that by then. The same holds for the instruction cache (`cpu` below).
 *
 * Two words order it all. arch_guest.fence_gen counts requests; vfence.live
 * says that a CPU is inside arch_vcpu_run with the vCPU and doesn't wait there:
 * it looks again before each entry (virq_raise's promise) and once more when it
 * leaves.
 *
 *   requester                          target's CPU
 *   post at the target                 live = 1
 *   gen = ++fence_gen                  full fence                       [A]
 *   full fence                  [B]    fence_gen != done?  do the work
 *   live?  no: nothing to wait for     enter; VIRQ_FENCE: do the work
 *          yes: raise VIRQ_FENCE,      live = 0
 *               wait: done >= gen      full fence                       [C]
 *               or live == 0           fence_gen != done?  do the work
 *
 * [B] pairs with [A] and with [C] (store buffering): either the requester sees
 * live as the target wrote it, or the target sees the new fence_gen. If the
 * requester sees 0, the target's next look ([A]) does the work before an entry;
 * if it sees 1, the target's raised bit or its last look ([C]) does it soon,
 * and tells the waiter. A CPU with a live vCPU never waits for another, and a
 * vCPU that waits isn't live, so two that fence each other can't lock up.
 *
 * "Do the work": read fence_gen, take what is posted, fence, store `done`, full
 * fence [D], take the waiters. A waiter: sets its bit, full fence [E], looks at
 * done and live again. [D] pairs with [E]: one of the two sees the other. The
 * waiter is woken by VIRQ_FENCED and looks again at its remaining targets, in
 * order, one bit set at a time: all targets work at once, so that by the time
 * the first is done the others mostly are. What a target does is in
 * vfence_due.c.
 *
 * Where it waits: a target that is live answers as soon as it is rung, so the
 * waiter first leaves in place (wait_here): live = 0, and what is due at itself
 * is done, as at each end of a run, but its turn goes on, its CPU stays in mode
 * GUEST and waits in WFI for the ring of VIRQ_FENCED. To block, to wake and to
 * begin another turn takes 1,600 instructions more. Whatever else the CPU is
 * rung for with mail, and its timer, ends the turn, and then it waits as a
 * blocked vCPU: so a target that is slow, or a hart that hangs, keeps nobody
 * else from this CPU for longer than a guest that computes, and the time is the
 * waiter's own. Since nobody who waits is live, whichever way, two that fence
 * each other need nothing of each other, nor any number in a ring.
 *
 * Posting takes no lock: FENCE.I and the full flush are bits. A range has one
 * of a few slots, FREE -> CLAIMED (producer, CAS) -> READY -> FREE (the owner).
 * If none is free the range becomes a full flush. A slot that the owner finds
 * CLAIMED belongs to a request that has not raised fence_gen yet, and so will
 * be looked at again.
 *
 * Each target costs 35 to 80 instructions, so a request goes over them in
 * batches: post at each, raise fence_gen, ring those that are live, wait for
 * each, and between two batches the caller's turn ends. What it does next and
 * where it is are kept in its vCPU; it says to itself what a target says at the
 * end, VIRQ_FENCED, so that it runs again rather than blocks. What is posted
 * may be done before fence_gen rises, since someone else's request raised it:
 * that is soon enough, as the page tables were changed before the first post.
 *
 * Rejected: a lock around a longer list (the waiting is unbounded if the
 * holder is a busy guest's CPU); a ticket for each target (a request would
 * need memory for each pair; one generation for the guest serves all); looking
 * at the target again and again before the wait (how often is chance, and under
 * QEMU 256 `pause` see the answer in one round of 100);
 * waking every target (an idle guest would pay for its busy vCPU's unmapping);
 * returning with the results set and hoping that nobody enters the guest
 * (an interrupt pending at the caller would let it go on too early).
 */
#include "arch/riscv/vfence.h"

#include <ck_pr.h>

#include "arch/riscv/vcpu.h"
#include "arch/riscv/vfence_private.h"
#include "arch/riscv/vhw.h"
#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/virq.h"

/* Targets between two turns: some 18,000 instructions, or 40,000 with ranges. A
 * test has one of its own. */
#ifndef BATCH
#define BATCH 512u
#endif

static bool range_post(struct vfence *f, const struct vfence_op *op)
{
	for (u32 i = 0; i < VFENCE_RANGES; i++) {
		struct vfence_range *r = &f->range[i];

		if (ck_pr_load_32(&r->state) != SLOT_FREE ||
		    !ck_pr_cas_32(&r->state, SLOT_FREE, SLOT_CLAIMED))
			continue;
		/* Pairs with the fence before FREE in ranges_do: our stores
		 * come after the owner's loads of the slot's last content. */
		ck_pr_fence_acquire();
		ck_pr_store_32(&r->asid, op->asid);
		ck_pr_store_64(&r->va, op->va);
		ck_pr_store_64(&r->pages, op->pages);
		/* Pairs with the fence after READY was seen in ranges_do. */
		ck_pr_fence_release();
		ck_pr_store_32(&r->state, SLOT_READY);
		return true;
	}
	return false;
}

/*
 * No fence between the posting and fence_gen's rise is needed here: the
 * requester has one for all its targets.
 */
static void op_post(struct vfence *f, const struct vfence_op *op)
{
	u32 kind = KIND_VMA_ALL;

	if (op->kind == VFENCE_I) {
		kind = KIND_I;
	} else if ((op->pages || op->asid != VFENCE_ANY_ASID) &&
		   !(ck_pr_load_32(&f->kinds) & KIND_VMA_ALL) &&
		   range_post(f, op)) {
		kind = KIND_RANGES;
		/* A slot must be READY to whoever sees the bit. */
		ck_pr_fence_release();
	}
	ck_pr_or_32(&f->kinds, kind);
}

/* Takes vCPU `id` out of a mask (of all vCPUs target_find leaves it out). Was
 * it in? */
static bool harts_take(struct vfence_harts *h, u64 id)
{
	u64 bit = id - h->base < 64 ? 1ULL << (id - h->base) : 0;
	bool had = h->all || (h->mask & bit);

	h->mask &= ~bit;
	return had;
}

/* The part of the guest's vCPUs that can be in `h`: [first, end). */
static u32 harts_first(const struct vfence_harts *h)
{
	return h->all ? 0 : (u32)h->base;
}

static u32 harts_end(const struct vfence_harts *h, const struct guest *g)
{
	u64 end = h->base + 64;

	return h->all || end > g->cfg.vcpus ? g->cfg.vcpus : (u32)end;
}

static bool target_settled(const struct vfence *t, u64 gen)
{
	return !ck_pr_load_32(&t->live) ||
	       (s64)(ck_pr_load_64(&t->done) - gen) >= 0;
}

/* The first target of `v`'s request from f->next on, which is then its number,
 * or `end`: NULL. */
static struct riscv_vcpu *target_find(struct riscv_vcpu *v, u32 end)
{
	struct vfence *f = &v->fence;
	u32 next = f->next;

	if (f->harts.all) {
		next += next == v->v.id;
	} else if (next < end) {
		u64 rest = f->harts.mask >> (next - (u32)f->harts.base);

		next = rest ? next + (u32)bit_lowest(rest) : end;
	}
	f->next = MIN(next, end);
	return next < end ? to_riscv(v->v.guest->vcpu[next]) : NULL;
}

#define for_each_target(t, v, f, end) \
	for (struct riscv_vcpu *t; (t = target_find(v, end)); (f)->next++)

/* Counts a request from `v` at `t`, as SBI PMU has it. */
static void op_count(struct riscv_vcpu *v, struct riscv_vcpu *t,
		     const struct vfence_op *op)
{
	enum vpmu_event sent = op->kind == VFENCE_I ? VPMU_FENCE_I_SENT :
			       op->asid == VFENCE_ANY_ASID ? VPMU_SFENCE_SENT :
							VPMU_SFENCE_ASID_SENT;

	vpmu_event_at(&v->pmu, sent);
	vpmu_event_at(&t->pmu, sent + 1);
}

/*
 * The steps of a request, in this order. Each does what it does for the targets
 * up to `end`, from f->next on. False: f->next must be looked at again later.
 */
static bool step_post(struct riscv_vcpu *v, u32 end)
{
	struct vfence *f = &v->fence;

	/* The guest's stores to its page tables come before what is posted:
	 * the fence in ck_pr_faa's stead, for all targets at once. */
	ck_pr_fence_memory();
	for_each_target(t, v, f, end) {
		op_post(&t->fence, &f->op);
		op_count(v, t, &f->op);
	}
	return true;
}

static bool step_ring(struct riscv_vcpu *v, u32 end)
{
	struct vfence *f = &v->fence;

	for_each_target(t, v, f, end) {
		if (!ck_pr_load_32(&t->fence.live))
			continue;
		virq_raise(&t->v, VIRQ_FENCE);
		f->rung++;
	}
	return true;
}

static bool step_wait(struct riscv_vcpu *v, u32 end)
{
	struct vfence *f = &v->fence;

	for_each_target(t, v, f, end) {
		if (target_settled(&t->fence, f->gen))
			continue;
		ck_pr_or_64(&t->fence.waiters, 1ULL << (v->v.id % 64));
		ck_pr_fence_memory(); /* [E] */
		if (!target_settled(&t->fence, f->gen))
			return false;
	}
	return true;
}

/* All targets are done with. False: there is one step more. */
static bool step_last(struct riscv_vcpu *v)
{
	struct vfence *f = &v->fence;

	f->next = harts_first(&f->harts);
	if (f->step == step_post) {
		ck_pr_fence_release();
		f->gen = ck_pr_faa_64(&v->v.guest->arch->fence_gen, 1) + 1;
		ck_pr_fence_memory(); /* [B] */
		f->step = step_ring;
		return false;
	}
	if (f->step == step_ring && f->rung) {
		f->step = step_wait;
		return false;
	}
	return true;
}

/* How far a request has come. */
enum progress {
	ALL_DONE,
	TARGET_DUE, /* one has yet to do its part; it raises VIRQ_FENCED */
	BATCH_DONE, /* the rest is for another turn */
};

/* Goes on with the request, a batch at most. */
static enum progress go_on(struct riscv_vcpu *v)
{
	struct vfence *f = &v->fence;
	u32 all = harts_end(&f->harts, v->v.guest), left = BATCH, from;

	do {
		from = f->next;
		if (!f->step(v, MIN(all, from + left)))
			return TARGET_DUE;
		left -= f->next - from;
		if (f->next == all && step_last(v)) {
			ck_pr_store_32(&f->waiting, 0);
			/* What the guest does next comes after what the
			 * targets did before. */
			ck_pr_fence_memory();
			return ALL_DONE;
		}
	} while (left);
	/* It has the CPU, so nobody need be told. */
	ck_pr_or_32(&v->v.virq, VIRQ_FENCED);
	return BATCH_DONE;
}

/* vfence_run_begin, and how far the request has come, if there is one. */
static enum progress run_begin(struct riscv_vcpu *v)
{
	struct vfence *f = &v->fence;

	ck_pr_store_32(&f->live, 1);
	ck_pr_fence_memory(); /* [A] */
	vfence_before_entry(v);
	/* A vCPU that moved knows nothing of this hart's instruction cache:
	 * its own FENCE.I may have been executed elsewhere. */
	if (unlikely(f->cpu != v->host)) {
		f->cpu = v->host;
		vhw_fence_i();
	}
	if (likely(!ck_pr_load_32(&f->waiting)))
		return ALL_DONE;
	/* Used up before we look: one that comes later is seen by the block
	 * protocol, one that came for an earlier target must not be. */
	ck_pr_and_32(&v->v.virq, ~VIRQ_FENCED);
	ck_pr_fence_memory();
	return go_on(v);
}

/*
 * Waits in place. No answer is missed: whoever raises VIRQ_FENCED finds this
 * vCPU RUNNING and its CPU in mode GUEST, so rings, and the ring pends until it
 * is acknowledged, which is before go_on looks at the target. TARGET_DUE: the
 * turn is to end.
 */
static enum progress wait_here(struct riscv_vcpu *v)
{
	enum progress progress;

	do {
		vfence_run_end(v);
		if (!vhw_bell_wait())
			return TARGET_DUE;
		progress = run_begin(v);
	} while (progress == TARGET_DUE);
	return progress;
}

bool vfence_request(struct riscv_vcpu *v, const struct vfence_harts *harts,
		    const struct vfence_op *op)
{
	struct vfence *f = &v->fence;
	enum progress progress;

	/* This vCPU executes nothing of the guest's until all is over. */
	f->harts = *harts;
	if (harts_take(&f->harts, v->v.id))
		vfence_op_do(op);
	if (f->harts.all ? v->v.guest->cfg.vcpus == 1 : !f->harts.mask)
		return true;
	f->op = *op;
	f->next = harts_first(harts);
	f->rung = 0;
	f->step = step_post;
	/* Before any target can take our bit: [E] orders it. */
	ck_pr_store_32(&f->waiting, 1);
	progress = go_on(v);
	if (progress == TARGET_DUE)
		progress = wait_here(v);
	if (progress == ALL_DONE)
		return true;
	v->odd |= VCPU_ODD_CALL;
	return false;
}

bool vfence_run_begin(struct riscv_vcpu *v)
{
	return run_begin(v) == ALL_DONE;
}

bool vfence_waits(const struct riscv_vcpu *v)
{
	return ck_pr_load_32(&v->fence.waiting) != 0;
}
