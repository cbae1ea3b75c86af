/*
 * Timers of devices: something of a guest is due although none of its vCPUs
 * runs or waits for it, such as the alarm of its clock.
 *
 * Each CPU has a heap of those that were set on it, and serves them from its
 * own timer: so who sets timers makes work for the CPU on which it does so, in
 * its own turn, and for no other. vCPUs' own deadlines don't come here.
 */
#ifndef ROUSE_KERNEL_DEVTIMER_H
#define ROUSE_KERNEL_DEVTIMER_H

#include <ck_spinlock.h>

#include "kernel/timer.h"

struct guest;

/* A CPU's, of all guests. */
struct dev_timers {
	ck_spinlock_t lock;
	struct timer_queue queue; /* under the lock; who has it is the owner */
	u64 armed; /* the owner's: when it will look next, or TIME_NEVER */
	const struct guest *armed_for; /* whose it was; may be gone */
};

struct dev_timer {
	/*
	 * Called once for each dev_timer_set, at or after its deadline, on the
	 * CPU that set it. Waits for nothing, runs for a bounded few hundred
	 * instructions, may take a leaf spinlock of its device and set any
	 * timer.
	 */
	void (*fn)(struct dev_timer *t);
	const struct guest *guest; /* whose it is */

	/* The service's. */
	u32 begun, ended;	  /* calls of fn; atomic */
	struct dev_timers *queue; /* where it was set last, or NULL; atomic:
				   * under the lock of the one before */
	struct timer timer;	  /* that never fires by itself; under the lock
				   * of `queue` */
};

/* Of one CPU, before anything is set there. */
void dev_timers_init(struct dev_timers *q);

/* Before anything else is done with the timer, by its owner alone. */
void dev_timer_init(struct dev_timer *t, const struct guest *g,
		    void (*fn)(struct dev_timer *t));

/*
 * Arms the timer for that moment, in ticks of the timebase, in place of any it
 * had. A deadline in the past is due at once, but fn is never called from
 * within. Any CPU, in an exit of a vCPU or in fn, one caller at a time for each
 * timer; a leaf: takes locks of the service for O(log n) steps, so a device may
 * hold its own lock.
 */
void dev_timer_set(struct dev_timer *t, u64 deadline_ticks);

/*
 * Disarms it; nothing happens if it is not armed. Any CPU, any context, a leaf
 * like dev_timer_set, and so it can't wait: fn of an earlier deadline may be
 * running on another CPU, or be about to. fn therefore looks under its device's
 * own lock whether there's still something to do. The same holds for
 * dev_timer_set, after which fn may even run on two CPUs.
 */
void dev_timer_cancel(struct dev_timer *t);

/*
 * Disarms it and returns when fn doesn't run and won't: the timer's memory can
 * be freed. Waits for fn as for a spinlock, so the caller holds no lock that fn
 * takes, is not fn itself, and nobody else sets the timer any more.
 */
void dev_timer_fini(struct dev_timer *t);

/* The earliest deadline of what is set on that CPU, or TIME_NEVER. Any CPU. */
u64 dev_timers_next_ticks(struct dev_timers *q);

/*
 * Calls fn of what is due at `now`, earliest first, a bounded number of them,
 * and arms the CPU for what is left. The owner of `q`, no lock held.
 */
void dev_timers_run(struct dev_timers *q, u64 now);

/*
 * Supplied by the kernel: those of this CPU; and, with a device's lock held
 * perhaps, that this CPU is to call dev_timers_run at that moment, and need not
 * at the one that was said before.
 */
struct dev_timers *dev_timers_here(void);
void dev_timers_arm(u64 at_ticks);

/* Likewise: what this CPU has done so far in this round, of time `now`, was for
 * that guest, which may be gone. */
void dev_timers_pay(const struct guest *g, u64 now);

#endif
