/*
 * STA (chapter 16): a vCPU is told how long it was kept waiting.
 *
 * Stolen time is the time in RUNSTATE_RUNNABLE since the vCPU registered its
 * page; what the scheduler shows on the console is what the guest reads, so
 * the two can be held against each other. Sleeping, and being paused, stolen
 * by nobody, are not in it.
 *
 * The page is written where the vCPU comes back from a wait, and one byte of it
 * where it begins to wait, by the owner's CPU. The scheduler calls v->v.waits
 * for that, which is NULL unless a page is registered (or others need it): who
 * doesn't use it pays one test, and only where the policy was asked whose turn
 * it is.
 * A vCPU that is woken onto an idle CPU has not waited and doesn't come here.
 *
 * Values are written whole and never read back: a guest that scribbles on its
 * page sees them again after the next wait, and misleads nobody but itself.
 * The words of the page lie in one 4 KiB page, so a pointer found once stays
 * good as long as the guest's RAM is; both ends of a life of the guest's take
 * it away (vsbi_vcpu_reset).
 *
 * While a hart is stopped, suspended or paused nothing is written: only
 * runnable vCPUs are put back and dispatched. A hart that starts again starts
 * without a page; the text leaves this open, and a page that its new owner
 * knows nothing of must not be written.
 *
 * Rejected: writing at each entry of the guest (a clock read and a division on
 * the hottest path), setting `preempted` for a vCPU that sleeps (who waits for
 * a lock that it holds may spin: it was the guest's own choice to sleep).
 */
#include "arch/riscv/vsbi.h"

#include <ck_pr.h>
#include <string.h>

#include "kernel/time.h"

/* Table "STA Shared Memory Structure". */
struct sta_page {
	u32 sequence; /* odd while steal changes */
	u32 flags;    /* 0 */
	u64 steal;    /* ns */
	u8 preempted;
	u8 pad[47];
};

void vsbi_sta_waits(struct riscv_vcpu *v, bool waits)
{
	u64 ticks = v->v.sched.ticks[RUNSTATE_RUNNABLE] - v->sta_since_ticks;
	struct sta_page *page = v->sta_page;

	ck_pr_store_8(&page->preempted, waits);
	if (waits || ticks == v->sta_told_ticks)
		return;
	v->sta_told_ticks = ticks;
	ck_pr_store_32(&page->sequence, ++v->sta_seq);
	/* Other harts of the guest may read: odd, then steal, then even. */
	ck_pr_fence_store();
	ck_pr_store_64(&page->steal, ticks_to_ns(ticks));
	ck_pr_fence_store();
	ck_pr_store_32(&page->sequence, ++v->sta_seq);
}

/* Section 16.1. */
static enum exit_next sta_set_shmem(struct riscv_vcpu *v)
{
	u64 lo = reg_get(v, REG_A0), hi = reg_get(v, REG_A1);
	struct sta_page *page;

	if (reg_get(v, REG_A2) != 0)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (vsbi_no_shmem(lo, hi)) {
		v->sta_page = NULL;
		vsbi_waits_choose(v);
		return vsbi_return(v, VSBI_OK, 0);
	}
	if (lo % sizeof(*page))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	page = vsbi_shmem(v, lo, hi, sizeof(*page));
	if (!page)
		return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	memset(page, 0, sizeof(*page));
	v->sta_page = page;
	v->sta_seq = 0;
	v->sta_told_ticks = 0;
	v->sta_since_ticks = v->v.sched.ticks[RUNSTATE_RUNNABLE];
	vsbi_waits_choose(v);
	return vsbi_return(v, VSBI_OK, 0);
}

static enum exit_next sta_call(struct riscv_vcpu *v, u64 fid)
{
	if (fid != VSBI_STA_SET_SHMEM)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	return sta_set_shmem(v);
}

const struct vsbi_ext vsbi_sta = {
	.name = "STA",
	.first = VSBI_EID_STA,
	.last = VSBI_EID_STA,
	.call = sta_call,
};
