/*
 * No CPU stays idle while there is a way to it from one that waits.
 *
 * A way: the one that waits may run on a CPU, whose current may run on another
 * one, and so on to the idle CPU. Then all of them can run at the same time (it
 * is what matching calls an augmenting path), so one of them should move.
 * Without anyone in between it is the plain case, a vCPU that waits and may run
 * where nobody does.
 *
 * Who runs and who waits may be others at each look: two that give way to each
 * other all the time wait for moments only, and still one CPU's time is lost.
 * So the time counts for which there was some way at each look, to one CPU
 * that was idle all the while.
 *
 * It must end within WAY_LIMIT: each step of a way may be put off for some
 * milliseconds, and a look for one that has been in vain before for longer
 * (kernel/sched/room.c).
 */
#include "bench/sim/props.h"
#include "bench/sim/text.h"
#include "kernel/sched/policy.h"

#define WAY_LIMIT (100 * FAKE_MS)
#define WAY_LOOKS 30 /* how often it has to be seen at least */

/* Of each CPU: to it there was a way since, at so many looks. */
static struct way {
	u64 since;
	u32 looks;
} *ways;

/* Those that wait for nothing but a CPU. */
static bool waits(const struct vcpu *v)
{
	const struct sched_unit *u = &v->sched;

	return u->runstate == RUNSTATE_RUNNABLE && !u->refused && !u->paused &&
	       !(v->guest->account->cap && policy_looks_at("cap"));
}

/* May it run on one of these? */
static bool may_run(const struct sched_unit *u, const bool *set)
{
	for (u32 c = 0; c < cpu_count(); c++) {
		if (set[c] && unit_may_run(u, c))
			return true;
	}
	return false;
}

/* One from whom there is a way to the CPU, or NULL. */
static const struct vcpu *way_to(u32 cpu, bool *leads)
{
	bool more = true;

	for (u32 c = 0; c < cpu_count(); c++)
		leads[c] = c == cpu;
	while (more) {
		more = false;
		for (u32 c = 0; c < cpu_count(); c++) {
			const struct vcpu *v = cpu_by_index(c)->current;

			if (v && !leads[c] && may_run(&v->sched, leads))
				leads[c] = more = true;
		}
	}
	for (u32 i = 0; i < work_count; i++) {
		const struct vcpu *v = &work_all[i].f->v;

		if (waits(v) && may_run(&v->sched, leads))
			return v;
	}
	return NULL;
}

void check_places(u64 now, bool changed)
{
	static bool *leads;

	if (!ways) {
		ways = must_alloc(cpu_count(), sizeof(*ways));
		leads = must_alloc(cpu_count(), sizeof(*leads));
	}
	for (u32 c = 0; c < cpu_count(); c++) {
		const struct vcpu *v = NULL;
		struct way *w = &ways[c];

		if (!changed && policy_gives() && idle_for_long(c, now))
			v = way_to(c, leads);
		if (!v) {
			w->looks = 0;
			continue;
		}
		if (!w->looks++)
			w->since = now;
		if (w->looks > WAY_LOOKS && now - w->since > WAY_LIMIT)
			prop_fail("CPU %u is idle for %lu ticks while there is "
				  "a way to it from %s:%u, which waits on "
				  "CPU %u",
				  c, now - w->since, v->guest->cfg.name, v->id,
				  v->cpu->index);
	}
}
