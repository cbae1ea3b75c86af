/*
 * A turn of a unit whose guest may have a cap: paid for in advance, and settled
 * when it is over. For policies that keep caps (cap.c); the owner only. Zeroed
 * is good.
 */
#ifndef ROUSE_KERNEL_SCHED_CAP_H
#define ROUSE_KERNEL_SCHED_CAP_H

#include "kernel/sched/policy.h"

#define CAP_PERIOD_US 10000 /* a turn is at most what a cap is worth in this */

struct cap_turn {
	u64 granted_ticks; /* paid in advance, not yet used */
	bool capped;       /* the guest had a cap when the turn began */
};

/*
 * A turn is to begin: how many ticks it may take, which are paid if *until is
 * 0. Else the guest can't pay before that moment, and nothing has happened.
 */
u64 cap_turn_begin(struct cap_turn *t, struct sched_account *a, u64 now,
		   u64 *until);

/*
 * `ticks` of the turn have passed. If that is longer than was paid for, the
 * exit came late. What was run before there was a cap is free.
 */
static inline void cap_turn_charge(struct cap_turn *t, struct sched_account *a,
				   u64 ticks)
{
	if (ticks <= t->granted_ticks) {
		t->granted_ticks -= ticks;
		return;
	}
	if (t->capped)
		account_cap_charge(a, ticks - t->granted_ticks);
	t->granted_ticks = 0;
}

/* The turn is over: what is left is given back. */
static inline void cap_turn_end(struct cap_turn *t, struct sched_account *a)
{
	if (t->granted_ticks)
		account_cap_return(a, t->granted_ticks);
	t->granted_ticks = 0;
}

#endif
