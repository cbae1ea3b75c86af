/*
 * What the scheduler's core records, and its wake-to-run histograms.
 *
 * A wake has an id, its number among the wakes of that vCPU. Whoever wins the
 * right to wake is alone until the owner has the mail, so it may read the
 * owner's count and leave the id and the moment in the unit, for the dispatch
 * that ends the wait: in the trace the two are told to belong together,
 * whatever the clocks of the CPUs say and however often the vCPU moved in
 * between.
 *
 * Histograms have a bucket for each power of two of ticks. A dispatch pays
 * about 20 instructions for one, most of them to find the highest bit without
 * an instruction for it; the waker some for reading the clock. That is too much
 * for a wake that takes some hundred, so they are off until asked for (`stats
 * on`), under the same test as the trace: off, they cost nothing. `trace on
 * late=` needs the moment as well, and turns the same bit on.
 *
 * Rejected: counting always but only the owner's part, from its look at the
 * mail on: on an idle CPU, where latency is asked for most, that is no time.
 */
#include "kernel/sched/trace.h"

#include "kernel/sched/private.h"
#include "kernel/sched/yield.h"

#define TRACED_MOST 16 /* vCPUs that are told at once; 2,900 each */

static u64 stats_since = TIME_NEVER; /* never: they are off */
static u64 late_ticks = TIME_NEVER;

/* Leaves but for their rare parts,
 * so they do without frames (as trace_write). */
#define LEAN __attribute__((optimize("omit-frame-pointer")))

void trace_wait_begin(struct vcpu *v, u64 since_ticks)
{
	u64 now = arch_ticks();

	ck_pr_store_64(&v->sched.woken_ticks,
		       since_ticks ? MIN(since_ticks, now) : now);
	if (trace_on(TRACE_SCHED))
		trace_wake_record(v);
}

LEAN void trace_enqueue_cold(struct sched_core *core, struct sched_unit *u,
			     enum sched_why why)
{
	/* In this order it needs no copy of `u`. */
	ck_pr_store_32(&u->queued_why, why);
	trace_write(TRACE_EV_ENQUEUE, u->trace_id, (u64)(s32)why, core->load);
}

/* 0 for 0, else the number of the highest bit and one, up to the last. */
static u32 wait_bucket(u64 ticks)
{
	u32 n = 0;

	for (u32 step = 32; step; step /= 2) {
		if (ticks >> step) {
			ticks >>= step;
			n += step;
		}
	}
	return MIN(n + (ticks != 0), WAIT_BUCKETS - 1);
}

static void wait_count(struct sched_unit *u, u64 woken, u64 waited)
{
	u32 i = wait_bucket(waited);

	/* One from before the statistics were turned on says nothing: its
	 * dispatch was not seen. */
	if (woken >= ck_pr_load_64(&stats_since))
		ck_pr_store_64(&u->waits[i], u->waits[i] + 1);
}

static inline __attribute__((always_inline)) void
dispatch_record(struct sched_unit *u)
{
	u64 wake = ck_pr_load_64(&u->wake_due);

	ck_pr_store_64(&u->wake_due, 0);
	trace_write(TRACE_EV_DISPATCH, u->trace_id, u->queued_why, wake);
}

/* The same, if it is recorded, with the wait that it ends. */
static __attribute__((cold, noinline)) void wait_end(struct sched_unit *u,
						     u64 now)
{
	u64 woken = ck_pr_load_64(&u->woken_ticks);
	u64 wake = ck_pr_load_64(&u->wake_due);
	u64 waited = woken && (s64)(now - woken) > 0 ? now - woken : 0;

	if (woken)
		wait_count(u, woken, waited);
	ck_pr_store_64(&u->woken_ticks, 0);
	if (!trace_on(TRACE_SCHED))
		return;
	dispatch_record(u);
	/* A wake of before the recording has no id. */
	if (wake && waited > ck_pr_load_64(&late_ticks))
		trace_write(TRACE_EV_LATE, u->trace_id, waited, wake);
}

LEAN void trace_dispatch_cold(struct sched_unit *u, u64 now, u64 on)
{
	if (unlikely(on >= TRACE_STATS)) /* the highest bit */
		wait_end(u, now);
	else
		dispatch_record(u);
}

void sched_trace_changed(struct cpu *c)
{
	u32 mask = ck_pr_load_32(&c->trace_mask);
	struct sched_core *core = core_of(c);

	core->traced = mask & YIELD_PASSES;
	core->tracing = core->units;
}

bool sched_trace_some(struct cpu *c)
{
	struct sched_core *core = core_of(c);

	for (u32 i = 0; i < TRACED_MOST && core->tracing; i++) {
		arch_vcpu_trace(unit_vcpu(core->tracing),
				(u32)trace_which(TRACE_ALL));
		core->tracing = core->tracing->next;
	}
	return core->tracing != NULL;
}

void sched_stats_set(bool on)
{
	ck_pr_store_64(&stats_since, on ? time_now_ticks() : TIME_NEVER);
}

void sched_trace_late(u64 ticks)
{
	ck_pr_store_64(&late_ticks, ticks);
}

/* A count may come in between, and be lost or stay: whoever clears while guests
 * run knows. */
void sched_vcpu_stats_clear(struct vcpu *v)
{
	for (u32 i = 0; i < WAIT_BUCKETS; i++)
		ck_pr_store_64(&v->sched.waits[i], 0);
}
