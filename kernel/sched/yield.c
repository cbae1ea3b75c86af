/*
 * The short way from a vCPU that gives way to the next one: where it ends up on
 * the long one. What it is about, and the way itself: yield.h.
 */
#include "kernel/sched/yield.h"

void sched_yield_queue(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	core->sc.current = NULL;
	ck_pr_store_ptr(&core->sc.cpu->current, NULL);
	yield_put_back(u);
	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	charge_cpu(core, now);
	if (core->ops->leave)
		core->ops->leave(&core->sc, u, now);
	core->ops->enqueue(&core->sc, u, WHY_YIELD, now);
	core->resched = true;
	core->why = WHY_YIELD;
}
