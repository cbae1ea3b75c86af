/*
 * wfi = "poll": look for an interrupt for a while before going to sleep.
 *
 * A guest that answers quickly need not be put to sleep and woken; one that
 * waits for long only burns its CPU. So the time that is worth to poll is
 * learned for each vCPU: doubled when something came in time or would have,
 * halved when it was in vain, between nothing and the guest's wfi-poll-us.
 *
 * While it polls, the vCPU stays RUNNING with its state loaded and the CPU in
 * the hypervisor, so nobody rings: that is the gain. The CPU's idle bit is set
 * (idle.c): it takes work as if it slept, and then the polling ends. The time
 * is charged to the vCPU that polls.
 */
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

static u64 poll_max_ticks(const struct sched_unit *u)
{
	return us_to_ticks(unit_vcpu_const(u)->guest->cfg.wfi_poll_us);
}

bool poll_begin(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	if (unit_vcpu(u)->guest->cfg.wfi != WFI_POLL || !u->poll_ticks ||
	    core->load > 1 || tasks_wait(core))
		return false;
	core->polling = true;
	core->poll_until = now + u->poll_ticks;
	TRACE(POLL, u->trace_id, core->poll_until, 0);
	return true;
}

static u64 polled_ticks(const struct sched_core *core, u64 now)
{
	return now + core->sc.current->poll_ticks - core->poll_until;
}

bool poll_step(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;
	struct vcpu *v = unit_vcpu(u);
	u64 max = poll_max_ticks(u);

	if (arch_vcpu_pending(v)) {
		TRACE(POLL_HIT, u->trace_id, polled_ticks(core, now), 0);
		u->poll_ticks = MIN(max, u->poll_ticks * 2);
		core->polling = false;
		charge_current(core, now);
		idle_stop(core);
		return false;
	}
	if (now < core->poll_until && core->load <= 1 && !tasks_wait(core)) {
		idle_step(core, now);
		return true;
	}
	TRACE(POLL_MISS, u->trace_id, polled_ticks(core, now), 0);
	core->polling = false;
	charge_current(core, now);
	current_block(core, now);
	return false;
}

void poll_learn(struct sched_unit *u, u64 now)
{
	u64 max = poll_max_ticks(u), slept = now - u->blocked_at_ticks;
	u64 least = MAX(max / 16, 1);

	if (unit_vcpu(u)->guest->cfg.wfi != WFI_POLL || !max)
		u->poll_ticks = 0;
	else if (slept < max)
		u->poll_ticks = MIN(max, MAX(least, u->poll_ticks * 2));
	else if (u->poll_ticks > least)
		u->poll_ticks /= 2;
	else
		u->poll_ticks = 0;
}
