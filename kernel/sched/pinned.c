/*
 * pinned: one vCPU a CPU, for as long as it is on; the others are refused.
 *
 * The baseline: no queue, no deadline, no timer. What it costs is what the core
 * costs, and a guest's latency is that of its exits.
 *
 * A CPU is promised to a vCPU when it is started (admit), by whoever starts it
 * on whichever CPU: so the promise is one word in the CPU's part, taken by
 * compare-and-swap. When the vCPU's affinity no longer names its CPU it takes
 * another, or waits until the policy or its affinity changes.
 */
#include "kernel/sched/policy.h"

#include <stdio.h>

struct pinned_cpu {
	struct sched_unit *holder;  /* any CPU, atomic: to whom it's promised */
	struct sched_unit *waiting; /* the owner: may run */
};

static bool holds(struct sched_unit *u, u32 cpu)
{
	struct pinned_cpu *pc = sched_cpu_part(cpu);

	return ck_pr_load_ptr(&pc->holder) == u;
}

static bool take(struct sched_unit *u, u32 cpu)
{
	struct pinned_cpu *pc = sched_cpu_part(cpu);

	/* No order with anything else: who fails has lost nothing. */
	if (!unit_may_run(u, cpu) || !ck_pr_cas_ptr(&pc->holder, NULL, u))
		return false;
	u->target = cpu;
	return true;
}

static void pinned_dismiss(struct sched_unit *u)
{
	struct pinned_cpu *pc;

	if (u->target != CPU_NONE && holds(u, u->target)) {
		pc = sched_cpu_part(u->target);
		ck_pr_store_ptr(&pc->holder, NULL);
	}
	u->target = CPU_NONE;
}

static bool pinned_admit(struct sched_unit *u)
{
	if (u->target != CPU_NONE && holds(u, u->target))
		return true;
	for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
		if (take(u, cpu))
			return true;
	}
	u->target = CPU_NONE;
	return false;
}

static u32 pinned_place(struct sched_cpu *sc, struct sched_unit *u,
			enum sched_why why, u64 now)
{
	if (likely(u->target != CPU_NONE && unit_may_run(u, u->target)))
		return u->target;
	pinned_dismiss(u);
	return pinned_admit(u) ? u->target : CPU_NONE;
}

static void pinned_enqueue(struct sched_cpu *sc, struct sched_unit *u,
			   enum sched_why why, u64 now)
{
	struct pinned_cpu *pc = sc->part;

	pc->waiting = u;
}

static void pinned_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	struct pinned_cpu *pc = sc->part;

	pc->waiting = NULL;
}

static struct sched_pick pinned_pick(struct sched_cpu *sc, u64 now)
{
	struct pinned_cpu *pc = sc->part;
	struct sched_unit *u = pc->waiting;

	pc->waiting = NULL;
	return (struct sched_pick){ u, TIME_NEVER };
}

static void pinned_show(const struct sched_cpu *sc, const struct sched_unit *u,
			u64 now, char *buf, size_t len)
{
	const struct pinned_cpu *pc = sc->part;
	u32 target = u ? ck_pr_load_32(&u->target) : CPU_NONE;

	if (!u)
		snprintf(buf, len, "%s",
			 ck_pr_load_ptr(&pc->holder) ? "promised" : "free");
	else if (target == CPU_NONE)
		snprintf(buf, len, "no CPU");
	else
		snprintf(buf, len, "has CPU %u", (unsigned int)target);
}

static u64 pinned_resume(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
	return TIME_NEVER;
}

/* There is no other. */
static struct sched_unit *pinned_yield(struct sched_cpu *sc,
				       struct sched_unit *u, u64 ticks,
				       u64 active, u64 now)
{
	sc->deadline_ticks = TIME_NEVER;
	return u;
}

static const struct sched_ops pinned_ops = {
	.name = "pinned",
	.cpu_bytes = sizeof(struct pinned_cpu),
	.units_per_cpu = 1,
	.admit = pinned_admit,
	.dismiss = pinned_dismiss,
	.place = pinned_place,
	.enqueue = pinned_enqueue,
	.dequeue = pinned_dequeue,
	.pick = pinned_pick,
	.show = pinned_show,
	.resume = pinned_resume,
	.yield = pinned_yield,
};

SCHED_POLICY(pinned_ops);
