/*
 * What the scheduler's core records, and its wake-to-run histograms.
 *
 * Each hook is three instructions while its class (and the statistics, where
 * they share it) is off; trace.c does the rest.
 */
#ifndef ROUSE_KERNEL_SCHED_TRACE_H
#define ROUSE_KERNEL_SCHED_TRACE_H

#include "kernel/percpu/trace.h"
#include "kernel/sched/core.h"

/* Whose doing is what this CPU does now: the vCPU that runs, or TRACE_NOBODY
 * for the hypervisor itself. */
u32 trace_culprit(void) __attribute__((cold));

void trace_wake_cold(struct vcpu *v, u64 since_ticks) __attribute__((cold));
void trace_enqueue_cold(struct sched_core *core, struct sched_unit *u,
			enum sched_why why) __attribute__((cold));
void trace_dispatch_cold(struct sched_unit *u, u64 now) __attribute__((cold));
void trace_put_back_cold(struct sched_core *core, struct sched_unit *u,
			 u64 now) __attribute__((cold));

/* The caller has won the right to wake `v` and has not mailed it yet; it could
 * have run since then, or since now (0). Any CPU. */
static inline void trace_wake(struct vcpu *v, u64 since_ticks)
{
	if (trace_on(TRACE_SCHED | TRACE_STATS))
		trace_wake_cold(v, since_ticks);
}

static inline void trace_enqueue(struct sched_core *core, struct sched_unit *u,
				 enum sched_why why)
{
	if (trace_on(TRACE_SCHED))
		trace_enqueue_cold(core, u, why);
}

/* Before its runstate changes, as the next one. */
static inline void trace_dispatch(struct sched_unit *u, u64 now)
{
	if (trace_on(TRACE_SCHED | TRACE_STATS))
		trace_dispatch_cold(u, now);
}

/* The current gives way, for core->why. */
static inline void trace_put_back(struct sched_core *core,
				  struct sched_unit *u, u64 now)
{
	if (trace_on(TRACE_SCHED))
		trace_put_back_cold(core, u, now);
}

#endif
