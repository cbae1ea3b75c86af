/*
 * Timers of devices: something of a guest is due although none of its vCPUs
 * runs or waits for it, such as the alarm of its clock.
 *
 * One heap for all guests, served by one CPU (the boot CPU) from its loop: it
 * puts dev_timer_next_ticks into its host timer and calls dev_timer_run when
 * that has passed. vCPUs' own deadlines don't come here.
 */
#ifndef ROUSE_KERNEL_DEVTIMER_H
#define ROUSE_KERNEL_DEVTIMER_H

#include "kernel/heap.h"

struct dev_timer {
	/*
	 * Called once for each dev_timer_set, at or after its deadline, on the
	 * serving CPU. Waits for nothing, runs for a bounded few hundred
	 * instructions, may take a leaf spinlock of its device and set any
	 * timer.
	 */
	void (*fn)(struct dev_timer *t);

	/* The service's, under its lock. */
	struct heap_node node; /* the key is when it is due */
	bool set;
};

/* Before anything else is done with the timer, by its owner alone. */
void dev_timer_init(struct dev_timer *t, void (*fn)(struct dev_timer *t));

/*
 * Arms the timer for that moment, in ticks of the timebase, in place of any it
 * had. A deadline in the past is due at once, but fn is never called from
 * within. Any CPU, any context; a leaf: takes the service's lock for O(log n)
 * steps, so a device may hold its own lock.
 */
void dev_timer_set(struct dev_timer *t, u64 deadline_ticks);

/*
 * Disarms it; nothing happens if it is not armed. Any CPU, a leaf like
 * dev_timer_set, and so it can't wait: fn of an earlier deadline may be running
 * on the serving CPU, or be about to. fn therefore looks under its device's own
 * lock whether there's still something to do. The same holds for dev_timer_set.
 */
void dev_timer_cancel(struct dev_timer *t);

/*
 * Disarms it and returns when fn doesn't run and won't: the timer's memory can
 * be freed. Waits for fn as for a spinlock, so the caller holds no lock that fn
 * takes, is not fn itself, and nobody sets the timer any more.
 */
void dev_timer_fini(struct dev_timer *t);

/* The earliest deadline, or TIME_NEVER. One load; any CPU, any context. */
u64 dev_timer_next_ticks(void);

/*
 * Calls fn of what is due at `now`, earliest first, a bounded number of them:
 * if more are due, dev_timer_next_ticks is still in the past. On the serving
 * CPU only, no lock held.
 */
void dev_timer_run(u64 now);

/*
 * Supplied by the kernel: the earliest deadline is now earlier than it was;
 * makes the serving CPU look at dev_timer_next_ticks again. Called on any CPU,
 * perhaps the serving one, with a device's lock held; a leaf. The new deadline
 * is stored before it, with a full fence between.
 */
void dev_timer_poke(void);

#endif
