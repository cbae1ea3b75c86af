/*
 * Looks at vCPUs, a round of them after the other, for `top`: what each has
 * done since the round before.
 */
#ifndef ROUSE_KERNEL_SHELL_LOOK_H
#define ROUSE_KERNEL_SHELL_LOOK_H

#include "kernel/base.h"

struct vcpu;

/* What a row shows: thousandths of a per cent with -j, else tenths; counts of
 * the time between with -j, else a second. They can be added up. */
struct rates {
	u64 running, runnable, wakes, exits;
};

/* One look at a vCPU, and what it showed. */
struct look {
	u32 guest, vcpu;
	u64 at_ticks, running_ticks, runnable_ticks;
	u64 wakes, exits;
	u64 elapsed_ticks;
	struct rates rates;
};

struct looks {
	struct look *look;
	size_t len, cap;
};

/* Zeroed: nothing has been looked at. */
struct look_rounds {
	struct looks old, now;
	size_t old_at; /* what's before it has been passed in this round */
};

/* n * unit / elapsed, to the nearest; 0 if no time has passed. */
u64 look_rate(u64 n, u64 unit, u64 elapsed_ticks);

/* Looks at a vCPU now and adds its rates to `sum`; in a round the vCPUs come in
 * the order of guests and ids. False: no memory for it. */
bool look_take(struct look_rounds *r, const struct vcpu *v, bool json,
	       struct rates *sum);

/* This round is over. */
void look_rounds_next(struct look_rounds *r);

void look_rounds_fini(struct look_rounds *r);

#endif
