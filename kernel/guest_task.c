/*
 * What a guest's life is made of: one task each, one step at a time.
 *
 * The problem: what a start or an end takes is much longer than anything here
 * may take at once, must be charged to the guest it is for, and must not meet
 * another start or end of the same guest.
 *
 * When the state says STOPPING, the task kills the vCPUs, some at a time, waits
 * until every owner has said OFF and every CPU has looked at its mail (DRAIN),
 * does what on-poweroff, on-reboot or on-crash say, and a restart is a start.
 * How one starts is in guest_boot.c, what anyone may ask of a guest in
 * guest_life.c.
 *
 * A guest may reboot without end, and each life has its lines in the log. So
 * they come at a pace: of a life that is too soon nothing is told (`quiet`),
 * unless it is the last; it is counted, and the number told with the next that
 * is, or a second later.
 *
 * Invariants: `phase` and the loader are the task's own; the vCPUs' memory is
 * touched only from KILL's end to GO; state STARTING or STOPPING has a step or
 * a wake to come.
 *
 * Rejected: one manager task for all guests (the work would not be charged to
 * the guest that causes it, and one guest's images would wait for another's).
 */
#include "kernel/guest_private.h"

#include <stdio.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/shell/console.h"

/* For tell_rest: a 64th of a CPU's time, of which 1 ms may be kept. */
#define REST_PART 64
#define REST_MOST_US 1000

enum task_result life_go_on(struct guest_life *l, enum life_phase phase)
{
	l->phase = phase;
	l->vcpu = 0;
	return TASK_MORE;
}

/* ---- the end ---- */

static enum task_result life_kill(struct guest_life *l)
{
	struct guest *g = l->guest;

	/* The winner of guest_end has yet to say why, or owners to answer;
	 * both wake us. */
	if (ck_pr_load_32(&g->event) == EVENT_NONE)
		return TASK_WAIT;
	/* Pairs with guest_end: the code is there. */
	ck_pr_fence_acquire();
	if (l->vcpu < g->cfg.vcpus)
		l->vcpu = sched_guest_kill(g, l->vcpu);
	if (l->vcpu < g->cfg.vcpus)
		return TASK_MORE;
	if (!sched_guest_killed(g))
		return TASK_WAIT;
	l->phase = LIFE_DRAIN;
	sched_quiesce(&l->drain, &l->task);
	return TASK_WAIT;
}

/* All are OFF; but a hart that was killed later than another may have asked
 * for that one's start in between. Such mail is looked at while the state says
 * STOPPING, and dropped: it must not start a vCPU of the guest's next life. */
static enum task_result life_drain(struct guest_life *l)
{
	if (!sched_quiesced(&l->drain))
		return TASK_WAIT;
	ck_pr_fence_acquire();
	return life_go_on(l, LIFE_ENDED);
}

static enum guest_action action_for(const struct guest_life *l, u32 why)
{
	const struct guest_config *cfg = &l->guest->cfg;
	enum guest_action action = why == EVENT_POWEROFF ? cfg->on_poweroff :
				   why == EVENT_REBOOT ? cfg->on_reboot :
				   why == EVENT_CRASH ? cfg->on_crash :
				   why == EVENT_RESET ? ACTION_RESTART :
							ACTION_STOP;

	/* What could not even be started would fail again, for ever. */
	return l->failed && action == ACTION_RESTART ? ACTION_STOP : action;
}

/*
 * The life's number ends after its state: who finds the new number does not
 * find the old life's STOPPING, of which nobody looks for a wish any more.
 * Pairs with guest_stop.
 */
static void life_next(struct guest *g, u32 state)
{
	guest_state_set(g, state);
	ck_pr_fence_memory();
	ck_pr_inc_32(&g->stops);
}

/*
 * No other life: until this one is counted nobody starts another. Else that
 * one, if it is reset before it has begun, could be asked to stop by this one's
 * number. Who finds STOPPED finds the count.
 */
static void life_last(struct guest *g)
{
	life_next(g, GUEST_BUSY);
	ck_pr_fence_release();
	guest_state_set(g, GUEST_STOPPED);
}

/* Another life; unless somebody has asked in between that there be none, of the
 * one that is over: then the wish is for this one. */
static void restart(struct guest *g)
{
	life_next(g, GUEST_STARTING);
	/* Pairs with guest_stop: it finds that number, or we its wish. */
	ck_pr_fence_memory();
	if (ck_pr_load_32(&g->stop_asked) != g->stops)
		return;
	ck_pr_store_32(&g->stop_asked, g->stops + 1);
	guest_end(g, EVENT_STOP, 0);
}

static u32 status_of(u32 why, u32 code)
{
	return why == EVENT_POWEROFF ? code :
	       why == EVENT_CRASH ? MAX(code, 1u) : 0;
}

static void say_end(const struct guest *g, u32 why, u32 status,
		    enum guest_action action)
{
	static const char *const how[] = {
		[EVENT_POWEROFF] = "powered off", [EVENT_REBOOT] = "rebooted",
		[EVENT_CRASH] = "crashed", [EVENT_STOP] = "was stopped",
		[EVENT_RESET] = "was reset",
	};
	static const char *const then[] = {
		[ACTION_STOP] = "", [ACTION_RESTART] = "; starts again",
		[ACTION_HOST_POWEROFF] = "; the host powers off",
	};

	log_info("%s: %s, status %u%s", g->cfg.name, how[why], status,
		 then[action]);
}

void life_tell_untold(struct guest_life *l)
{
	const char *name = l->guest->cfg.name;

	if (l->untold)
		log_info("%s: started %u more times, of which nothing is told; "
			 "%u crashed",
			 name, l->untold, l->untold_crashes);
	l->untold = l->untold_crashes = 0;
}

/* And chooses what of the next life is told: all, if it isn't by the guest's
 * own will. */
static void tell_end(struct guest_life *l, u32 why, u32 status,
		     enum guest_action action)
{
	struct guest *g = l->guest;
	bool again = action == ACTION_RESTART;

	if (g->quiet && why == EVENT_CRASH)
		l->untold_crashes++;
	if (!again)
		life_tell_untold(l);
	if (!again || !g->quiet)
		say_end(g, why, status, action);
	ck_pr_store_32(&g->quiet,
		       again && why != EVENT_RESET &&
			       !log_pace_take(&l->pace, time_now_ticks()));
}

/* Nobody pauses it any more, or only the next life: who was about to finds
 * another word. The state, which says STOPPING, changes after this. */
static void life_over(struct guest *g)
{
	u32 paused = ck_pr_load_32(&g->paused);

	while (!ck_pr_cas_32_value(&g->paused, paused, (paused | 1) + 1,
				   &paused))
		;
}

static enum task_result life_ended(struct guest_life *l)
{
	struct guest *g = l->guest;
	bool stop = ck_pr_load_32(&g->stop_asked) == g->stops + 1;
	u32 why = stop ? EVENT_STOP : g->event;
	u32 status = status_of(why, g->event_code);
	enum guest_action action = action_for(l, why);

	tell_end(l, why, status, action);
	g->last_event = why;
	g->last_code = status;
	life_over(g);
	g->event_code = 0;
	ck_pr_store_32(&g->event, EVENT_NONE);
	if (action == ACTION_HOST_POWEROFF)
		console_poweroff(status);
	l->failed = false;
	l->phase = LIFE_IDLE;
	if (action != ACTION_RESTART)
		l->fdt_seed = NULL;
	/* All of that before someone else may start or destroy the guest. */
	ck_pr_fence_release();
	if (action == ACTION_RESTART) {
		restart(g);
		return TASK_MORE;
	}
	guests_status_add(g, status);
	/* It isn't freed before this step's end. */
	life_last(g);
	guests_look_done();
	return TASK_WAIT;
}

/* ---- the task ---- */

/*
 * vCPUs are told what their interrupt controller, or who has done a fence for
 * them, could not tell them in an exit. No policy weighs that, and the guest
 * can cause it without end: so it has a 64th of this CPU's time for it, and at
 * once what it hasn't used for a while, up to as much as lets hundreds be told.
 * No step counts for more than that, if the firmware or another machine below
 * kept it for long. Returns when to go on: 0, at once; TIME_NEVER, when it is
 * woken for it.
 */
static u64 tell_rest(struct guest_life *l)
{
	u64 begin = time_now_ticks(), until = life_step_end(), now;
	u64 most = us_to_ticks(REST_MOST_US), unused = REST_PART * most;
	bool more;

	if (begin < l->rest_ticks)
		return l->rest_ticks;
	/* Pairs with guest_tell_rest: that sees RUNNING, or this what it has
	 * to tell. */
	ck_pr_fence_memory();
	do {
		more = emul_tell_rest(l->guest);
		more |= arch_guest_tell_rest(l->guest);
		now = time_now_ticks();
	} while (more && now < until);
	l->rest_ticks = MAX(l->rest_ticks, begin - MIN(begin, unused)) +
			REST_PART * MIN(now - begin, most);
	if (!more)
		return TIME_NEVER;
	return l->rest_ticks > now ? l->rest_ticks : 0;
}

static enum task_result life_idle(struct guest_life *l)
{
	struct guest *g = l->guest;
	u32 state = ck_pr_load_32(&g->state);
	u64 again;

	if (state == GUEST_STARTING) {
		/* Where its first vCPU is: that is no neighbour's own. */
		task_move(&l->task, vcpu_cpu(g->vcpu[0])->index);
		return life_go_on(l, LIFE_QUIET);
	}
	/* One that was quiet goes on. */
	if (l->untold && time_now_ticks() >= l->tell_ticks) {
		life_tell_untold(l);
		/* And so is how it ends. */
		ck_pr_store_32(&g->quiet, 0);
	}
	/* What stands still may be freed: its task has no more to do. */
	if (state != GUEST_RUNNING)
		return TASK_WAIT;
	again = tell_rest(l);
	if (!again)
		return TASK_MORE;
	task_wake_at(&l->task, l->untold ? MIN(again, l->tell_ticks) : again);
	return TASK_WAIT;
}

static enum task_result (*const phases[])(struct guest_life *l) = {
	[LIFE_IDLE] = life_idle,     [LIFE_KILL] = life_kill,
	[LIFE_DRAIN] = life_drain,   [LIFE_ENDED] = life_ended,
	[LIFE_QUIET] = boot_quiet,   [LIFE_UNMAP] = boot_unmap,
	[LIFE_FORGET] = boot_forget, [LIFE_POPULATE] = boot_populate,
	[LIFE_CLEAR] = boot_clear,   [LIFE_PREPARE] = boot_prepare,
	[LIFE_TREE] = boot_tree,     [LIFE_LOAD] = boot_load,
	[LIFE_GO] = boot_go,
};

static enum task_result life_step(struct task *t)
{
	struct guest_life *l = container_of(t, struct guest_life, task);

	if (ck_pr_load_32(&l->guest->state) == GUEST_STOPPING &&
	    l->phase != LIFE_KILL && l->phase != LIFE_DRAIN &&
	    l->phase != LIFE_ENDED) {
		task_wake_at(t, TIME_NEVER);
		(void)life_go_on(l, LIFE_KILL);
	}
	return phases[l->phase](l);
}

/* A CPU that the guest may use, another one for each guest. */
static u32 life_cpu(const struct guest *g)
{
	u32 n = 0, nth;

	if (!g->cfg.has_affinity)
		return g->id % cpu_count();
	cpuset_for_each(cpu, &g->cfg.affinity)
		n += cpu < cpu_count();
	if (!n)
		return 0;
	nth = g->id % n;
	cpuset_for_each(cpu, &g->cfg.affinity)
		if (cpu < cpu_count() && nth-- == 0)
			return cpu;
	return 0;
}

int life_create(struct guest *g)
{
	struct guest_life *l = obj_alloc(sizeof(*l));
	char name[128];

	if (!l)
		return -ENOMEM;
	l->guest = g;
	snprintf(name, sizeof(name), "guest %u %s", g->id, g->cfg.name);
	rng_init(&l->rng, name);
	task_init(&l->task, g->cfg.name, life_step, life_cpu(g));
	g->life = l;
	g->task = &l->task;
	return 0;
}

void life_free(struct guest *g)
{
	if (!g->life)
		return;
	boot_kit_free(&g->life->kit);
	obj_free(g->life);
	g->life = NULL;
	g->task = NULL;
}
