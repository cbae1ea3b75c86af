/*
 * The short way from a vCPU that gives way to the next one: where it ends up on
 * the long one. What it is about, and the way itself: yield.h.
 */
#include "kernel/sched/yield.h"

#include "kernel/sched/private.h"

void sched_yield_queue(struct sched_core *core, u64 now)
{
	struct sched_unit *u = current_drop(core, now);

	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	charge_cpu(core, now);
	unit_route_yielded(core, u, now);
	core->why = WHY_YIELD;
}
