/*
 * The short way from a wait into the guest: what is done before the wait. What
 * it is about, and the way itself: resume.h.
 */
#include "kernel/sched/resume.h"

bool sched_short_way = true;

/* May the short way be taken with it, if it is woken by mail? */
static bool fits(const struct sched_core *core, struct vcpu *v)
{
	const struct sched_unit *u = &v->sched;
	u32 state = ck_pr_load_32(&v->state);

	return (state == VCPU_BLOCKED || state == VCPU_WAKING) &&
	       u->home == &core->sc && u->runstate == RUNSTATE_BLOCKED &&
	       !u->counted && !u->queued && !u->paused && !u->refused &&
	       u->admitted == core->epoch &&
	       unit_may_run(u, core->sc.cpu->index) &&
	       v->guest->cfg.wfi != WFI_POLL;
}

void resume_prepare(struct sched_core *core)
{
	if (sched_short_way && !trace_on(RESUME_PASSES) &&
	    core->last && core->ops->resume && !core->load && !core->resched &&
	    core->idling && !core->loaded && !tasks_wait(core) &&
	    core->sc.deadline_ticks == TIME_NEVER && fits(core, core->last))
		core->sleeper = core->last;
}
