/*
 * What the scheduler keeps for each vCPU, embedded in struct vcpu.
 *
 * Policies see a unit, never a vCPU: so they can be run and simulated without
 * guests.
 */
#ifndef ROUSE_KERNEL_SCHED_UNIT_H
#define ROUSE_KERNEL_SCHED_UNIT_H

#include "kernel/base.h"
#include "kernel/cpuset.h"
#include "kernel/timer.h"

struct sched_account;
struct sched_cpu;

#define WAIT_BUCKETS 32

/* Where a vCPU's time went, in ticks; they add up to the elapsed time. */
enum runstate {
	RUNSTATE_RUNNING,
	RUNSTATE_RUNNABLE,
	RUNSTATE_BLOCKED,
	RUNSTATE_OFFLINE, /* off or paused */
	RUNSTATE_COUNT,
};

#define SINCE_CHANGES 0 /* no moment that a vCPU lives to see */

struct sched_unit {
	/* Constant after sched_guest_add. */
	struct sched_account *account; /* the guest's: weight, cap, ... */
	void *part;                    /* the policy's, unit_bytes */
	u32 trace_id;                  /* of the vCPU in traces */

	/* The owner only. */
	struct sched_cpu *home; /* whose it is; NULL while it is handed over */
	struct sched_unit *next, *prev; /* home's units that are on */
	struct timer timer;     /* the blocked guest's own deadline */
	u32 epoch;    /* of the policy change that the part belongs to */
	u32 held;     /* the same of home's policy that has it; 0: none has */
	bool on;      /* started, in home's list */
	bool queued;  /* in the policy's queue, or to be, once it's held */
	bool counted; /* could run: in home's load and its account's count */
	bool paused;
	bool dead;    /* its guest has ended: paused until it is killed */
	bool refused; /* the policy has no room for it */
	bool start;   /* start again as soon as it is OFF */
	bool fresh;   /* while it is handed over: no CPU has queued it yet */
	u64 poll_ticks;      /* how long it is worth to poll (wfi = "poll") */
	u64 blocked_at_ticks;
	u64 owed_ticks; /* worked for it in others' turns, not charged yet */

	/* The owner; while the vCPU is OFF whoever has sched_pool.promises. */
	u32 admitted; /* epoch of the policy that has room for it; 0: none */
	u32 target;   /* CPU that the policy promised (admit), or CPU_NONE */
	bool said;    /* that its start was refused */

	/* The owner writes, anyone reads; the first two as hints. */
	u64 charged_ticks;  /* up to when its running was charged, and the */
	u64 charged_active; /* account's integral at that moment */
	u64 since_ticks; /* or SINCE_CHANGES, while one of these does */
	u64 ticks[RUNSTATE_COUNT];
	u32 runstate; /* enum runstate */
	u64 preemptions;

	/* Any CPU, atomic words: where it may run. */
	struct cpuset allowed;

	/* Only used while it is traced, or with statistics on (trace.c). The
	 * first two are atomic words, written by whoever won the right to wake
	 * it as well. */
	u64 woken_ticks; /* when; 0: it was not woken since it ran */
	u64 wake_due;    /* id of the wake that its next dispatch ends */
	u32 queued_why;  /* enum sched_why */
	u64 waits[WAIT_BUCKETS]; /* from wake to dispatch, in ticks: [0] for 0,
				  * [n] for 2^(n-1) up to 2^n - 1, and more */
};

#endif
