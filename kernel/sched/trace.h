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
 * for the hypervisor itself: between turns the CPU does others' work. */
static inline __attribute__((always_inline)) u64 trace_culprit(void)
{
	if (likely(ck_pr_load_32(&cpu_this()->mode) == CPU_GUEST))
		return cpu_this()->current->sched.trace_id;
	return TRACE_NOBODY;
}

/* `v` is woken: that alone. */
static inline __attribute__((always_inline)) void
trace_wake_record(struct vcpu *v)
{
	struct sched_unit *u = &v->sched;
	u64 id = ck_pr_load_64(&v->wakes) + 1;

	ck_pr_store_64(&u->wake_due, id);
	trace_write(TRACE_EV_WAKE, u->trace_id, id, trace_culprit());
}

/* The same, if it is recorded, and the wait that begins. */
void trace_wait_begin(struct vcpu *v, u64 since_ticks) __attribute__((cold));
void trace_enqueue_cold(struct sched_core *core, struct sched_unit *u,
			enum sched_why why) __attribute__((cold));
/* `on`: TRACE_SCHED, TRACE_STATS. */
void trace_dispatch_cold(struct sched_unit *u, u64 now, u64 on)
	__attribute__((cold));

/* The caller has won the right to wake `v` and has not mailed it yet; it could
 * have run since then, or since now (0). Any CPU. Who owns it may find by other
 * mail that it is woken, and be quicker: then this is recorded late, and which
 * of its wakes it was may be one too many. */
static inline __attribute__((always_inline)) void trace_wake(struct vcpu *v,
							     u64 since_ticks)
{
	u64 on = trace_which(TRACE_SCHED | TRACE_STATS);

	if (likely(!on))
		return;
	if (unlikely(on >= TRACE_STATS)) /* the highest bit */
		trace_wait_begin(v, since_ticks);
	else
		trace_wake_record(v);
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
	u64 on = trace_which(TRACE_SCHED | TRACE_STATS);

	if (unlikely(on))
		trace_dispatch_cold(u, now, on);
}

/* The current gives way, for core->why: PREEMPT, SLICE_END, or YIELD. */
static inline void trace_put_back(const struct sched_core *core,
				  const struct sched_unit *u, u64 now)
{
	u32 n = core->why - WHY_PREEMPTED;

	_Static_assert(WHY_EXPIRED == WHY_PREEMPTED + 1 &&
		       TRACE_EV_SLICE_END == TRACE_EV_PREEMPT + 1 &&
		       WHY_YIELD == WHY_PREEMPTED + 2 &&
		       TRACE_EV_YIELD == TRACE_EV_PREEMPT + 2,
		       "an event for each, in that order");
	if (trace_on(TRACE_SCHED) && n <= WHY_YIELD - WHY_PREEMPTED)
		trace_write(TRACE_EV_PREEMPT + n, u->trace_id,
			    now - u->since_ticks, core->load);
}

#endif
