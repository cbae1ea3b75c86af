/*
 * Caps: no more than so many per cent of one CPU for a guest, wherever its
 * vCPUs run.
 *
 * The account keeps one moment: before it the guest can't pay for running.
 * Running is paid for in advance, which moves that moment on by the time
 * divided by the cap; what was not used is given back, what was used without
 * being paid (an exit that came late) is charged. So over any time the guest
 * runs for what its cap is worth, and no more, though several CPUs take from
 * the account at once: the moment is one word, changed by compare-and-swap.
 *
 * A guest that slept has not saved up: the moment is at most BURST_US in the
 * past. That much lets a vCPU that was dispatched late catch up, without which
 * a cap would be held from below only.
 *
 * Rejected: a budget refilled by a timer (who refills for all CPUs, and exits
 * of the hypervisor's own making), a share of the cap for each vCPU (the idle
 * ones' shares would be lost).
 */
#include "kernel/sched/cap.h"

#include "kernel/sched/private.h"

#define BURST_US 40000

static u64 cost(u64 ticks, u32 cap)
{
	return ticks * 100 / cap;
}

u64 account_cap_take(struct sched_account *a, u64 ticks, u64 now)
{
	u64 burst = us_to_ticks(BURST_US), old, base;
	u32 cap = ck_pr_load_32(&a->cap);

	if (!cap)
		return 0;
	do {
		old = ck_pr_load_64(&a->cap_next);
		base = MAX(old, now > burst ? now - burst : 0);
		if (base > now)
			return base;
		/* No order with anything else: the word is all there is. */
	} while (!ck_pr_cas_64(&a->cap_next, old, base + cost(ticks, cap)));
	return 0;
}

u64 cap_turn_begin(struct cap_turn *t, struct sched_account *a, u64 now,
		   u64 *until)
{
	u32 cap = ck_pr_load_32(&a->cap);
	u64 slice = ck_pr_load_64(&a->slice_ticks);

	*until = 0;
	t->capped = cap != 0;
	if (!cap)
		return slice;
	slice = MAX(1, MIN(slice, us_to_ticks(CAP_PERIOD_US * (u64)cap / 100)));
	*until = account_cap_take(a, slice, now);
	t->granted_ticks = *until ? 0 : slice;
	return slice;
}

void account_cap_return(struct sched_account *a, u64 ticks)
{
	u32 cap = ck_pr_load_32(&a->cap);

	if (cap && ticks)
		ck_pr_faa_64(&a->cap_next, -cost(ticks, cap));
}

void account_cap_charge(struct sched_account *a, u64 ticks)
{
	u32 cap = ck_pr_load_32(&a->cap);

	if (cap && ticks)
		ck_pr_faa_64(&a->cap_next, cost(ticks, cap));
}
