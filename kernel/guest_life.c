/*
 * The life of a guest: one task each, one step at a time.
 *
 * The problem: starting a guest means zeroing RAM, unpacking images and writing
 * a tree, much longer than anything here may take at once; and a guest may end
 * at any moment, on any CPU, for several reasons at the same time.
 *
 * The state word says what everyone may know, and each change of it is a
 * compare-and-swap, so of two wishes one wins and the other is told. The end
 * of a guest is one such change, RUNNING (or STARTING) to STOPPING: the winner
 * notes why, asks the scheduler to kill all vCPUs, and wakes the task. What
 * happens then is the task's alone: it waits until every owner has said OFF and
 * every CPU has looked at its mail (DRAIN), does what on-poweroff, on-reboot or
 * on-crash say, and a restart is a start.
 *
 * A start: wait until no CPU's second stage is this guest's (QUIET), take all
 * mappings away (UNMAP), forget what RAM was touched (FORGET), so that it is
 * zeroes again; populate if asked to; reset devices and console, lay out and
 * load the images (PREPARE, LOAD); reset time and vCPUs, start hart 0 (GO). A
 * reset goes the same way from the beginning, so nothing of the life before is
 * there. Whatever fails on the way ends the guest as a crash does, but is not
 * tried again.
 *
 * The tree is kept until the guest is STOPPED: nothing that is in it changes
 * before, but the seed. To write it takes some hundred thousand instructions in
 * one piece, which a guest that reboots all the time must not cause each time.
 *
 * Invariants: `phase` and the loader are the task's own; the vCPUs' memory is
 * touched only from KILL's end to GO; state STARTING or STOPPING has a step or
 * a wake to come.
 *
 * Rejected: one manager task for all guests (the work would not be charged to
 * the guest that causes it, and one guest's images would wait for another's).
 */
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/guest_private.h"

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest_fdt.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/percpu/trace.h"
#include "kernel/shell/console.h"
#include "kernel/time.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"

#define STEP_US 50
#define LOAD_BYTES (8 * KIB) /* between two looks at the time */
#define QUIET_US 200         /* between two looks at the CPUs */
#define RNG_SEED_BYTES 64
#define CRASH_RECORDS 8 /* of a trace, told when a guest can't go on */

/* ---- wishes, from any CPU ---- */

static void trace_state(const struct guest *g, u32 state)
{
	TRACE(GUEST_STATE, g->vcpu[0]->sched.trace_id, g->id, state);
}

static bool state_change(struct guest *g, u32 from, u32 to)
{
	if (!ck_pr_cas_32(&g->state, from, to))
		return false;
	trace_state(g, to);
	return true;
}

void guest_end(struct guest *g, enum guest_event why, u32 code)
{
	u32 state = ck_pr_load_32(&g->state);

	do {
		if (state != GUEST_RUNNING && state != GUEST_STARTING)
			return;
	} while (!ck_pr_cas_32_value(&g->state, state, GUEST_STOPPING, &state));
	trace_state(g, GUEST_STOPPING);
	ck_pr_store_32(&g->event_code, code);
	sched_guest_kill(g);
	/* The code and how many KILLs are due before the event: without it the
	 * task could find none due that were not yet asked for. Pairs with
	 * life_kill. */
	ck_pr_fence_store();
	ck_pr_store_32(&g->event, why);
	task_wake(g->task);
}

int guest_start(struct guest *g)
{
	if (!state_change(g, GUEST_STOPPED, GUEST_STARTING))
		return -EBUSY;
	task_wake(g->task);
	return 0;
}

static int end_if_alive(struct guest *g, enum guest_event why)
{
	u32 state = ck_pr_load_32(&g->state);

	if (state != GUEST_RUNNING && state != GUEST_STARTING)
		return -EBUSY;
	guest_end(g, why, 0);
	return 0;
}

static bool is_alive(u32 state)
{
	return state == GUEST_RUNNING || state == GUEST_STARTING ||
	       state == GUEST_STOPPING;
}

/*
 * One that is on its way to a restart is stopped as well: who reboots all the
 * time would get away by it. What is asked is asked of one life, by its number:
 * one that has ended for good meanwhile leaves nothing to the next.
 */
int guest_stop(struct guest *g)
{
	bool asked = false;
	u32 life;

	do {
		life = ck_pr_load_32(&g->stops);
		/* The number first: of a life that isn't over, or was the last
		 * one before this look. */
		ck_pr_fence_load();
		if (!is_alive(ck_pr_load_32(&g->state)))
			return asked ? 0 : -EBUSY;
		ck_pr_store_32(&g->stop_asked, life + 1);
		/* Pairs with restart: it sees the word, or we that the life is
		 * over. */
		ck_pr_fence_memory();
		guest_end(g, EVENT_STOP, 0);
		asked = true;
	} while (ck_pr_load_32(&g->stops) != life);
	return 0;
}

int guest_reset(struct guest *g)
{
	return end_if_alive(g, EVENT_RESET);
}

int guest_destroy(struct guest *g)
{
	if (!state_change(g, GUEST_STOPPED, GUEST_DYING))
		return -EBUSY;
	reaper_take(g);
	return 0;
}

static void request_all(struct guest *g, u32 request)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		sched_vcpu_request(g->vcpu[i], request);
}

int guest_pause_in(struct guest *g, u32 paused)
{
	if ((paused & 1) || !ck_pr_cas_32(&g->paused, paused, paused | 1))
		return -EBUSY;
	/* A vCPU that starts now sees `paused`, or is on by the time that it
	 * gets the request. */
	ck_pr_fence_memory();
	request_all(g, VCPU_REQ_FOLLOW);
	return 0;
}

int guest_pause(struct guest *g)
{
	u32 paused = ck_pr_load_32(&g->paused);

	/* Which life, then whether it is on: the other way round the word
	 * could be that of a life that begins in between, and is STARTING.
	 * Pairs with life_ended. */
	ck_pr_fence_load();
	if (ck_pr_load_32(&g->state) != GUEST_RUNNING)
		return -EBUSY;
	return guest_pause_in(g, paused);
}

int guest_resume(struct guest *g)
{
	u32 paused = ck_pr_load_32(&g->paused);

	if (!(paused & 1) || !ck_pr_cas_32(&g->paused, paused, paused & ~1u))
		return -EBUSY;
	ck_pr_fence_memory();
	request_all(g, VCPU_REQ_FOLLOW);
	return 0;
}

void guest_vcpu_off(struct guest *g, struct vcpu *v)
{
	(void)v;
	if (ck_pr_load_32(&g->state) == GUEST_STOPPING)
		task_wake(g->task);
}

static void log_record(void *ctx, const char *text)
{
	const struct guest *g = ctx;

	log_error("%s:   %s", g->cfg.name, text);
}

void guest_crash(struct vcpu *v, const char *fmt, ...)
{
	struct guest *g = v->guest;
	char why[LOG_LINE_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_error("%s: vCPU %u can't go on at pc 0x%lx: %s", g->cfg.name,
		  v->id, arch_vcpu_pc(v), why);
	tracer_tell_last(v->sched.trace_id, CRASH_RECORDS, log_record, g);
	guest_end(g, EVENT_CRASH, 1);
}

/* ---- names ---- */

const char *guest_state_name(const struct guest *g)
{
	switch (ck_pr_load_32(&g->state)) {
	case GUEST_STARTING: return "starting";
	case GUEST_STOPPING: return "stopping";
	case GUEST_DYING: return "dying";
	case GUEST_RUNNING:
		return guest_is_paused(g) ? "paused" : "running";
	default: return "stopped";
	}
}

const char *guest_event_name(u32 event)
{
	static const char *const names[] = {
		[EVENT_NONE] = "none", [EVENT_POWEROFF] = "poweroff",
		[EVENT_REBOOT] = "reboot", [EVENT_CRASH] = "crash",
		[EVENT_STOP] = "stop", [EVENT_RESET] = "reset",
	};

	return event < ARRAY_LEN(names) ? names[event] : "?";
}

/* ---- the end ---- */

static void unload(struct guest_life *l)
{
	if (l->loading)
		image_load_fini(&l->load);
	l->loading = false;
}

static void tree_forget(struct guest_life *l)
{
	obj_free(l->fdt);
	l->fdt = NULL;
}

static enum task_result go_on(struct guest_life *l, enum life_phase phase)
{
	l->phase = phase;
	return TASK_MORE;
}

static enum task_result life_kill(struct guest_life *l)
{
	struct guest *g = l->guest;

	/* The winner of guest_end has yet to say why, or owners to answer;
	 * both wake us. */
	if (ck_pr_load_32(&g->event) == EVENT_NONE)
		return TASK_WAIT;
	/* Pairs with guest_end: the KILLs are counted. */
	ck_pr_fence_acquire();
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
	return go_on(l, LIFE_ENDED);
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

/* Another life; unless somebody has asked in between that there be none, of the
 * one that is over: then the wish is for this one. */
static void restart(struct guest *g)
{
	trace_state(g, GUEST_STARTING);
	ck_pr_store_32(&g->state, GUEST_STARTING);
	/* Pairs with guest_stop. */
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

	say_end(g, why, status, action);
	g->last_event = why;
	g->last_code = status;
	ck_pr_inc_32(&g->stops);
	life_over(g);
	g->event_code = 0;
	ck_pr_store_32(&g->event, EVENT_NONE);
	if (action == ACTION_HOST_POWEROFF)
		console_poweroff(status);
	l->failed = false;
	l->phase = LIFE_IDLE;
	if (action != ACTION_RESTART)
		tree_forget(l);
	/* All of that before someone else may start or destroy the guest. */
	ck_pr_fence_release();
	if (action == ACTION_RESTART) {
		restart(g);
		return TASK_MORE;
	}
	guests_status_add(g, status);
	trace_state(g, GUEST_STOPPED);
	ck_pr_store_32(&g->state, GUEST_STOPPED);
	guests_look_done();
	return TASK_WAIT;
}

/* ---- the start ---- */

static enum task_result start_failed(struct guest_life *l, const char *why)
{
	struct guest *g = l->guest;

	log_error("%s: can't be started: %s", g->cfg.name, why);
	l->failed = true;
	guest_end(g, EVENT_CRASH, 1);
	return TASK_MORE;
}

static enum task_result life_quiet(struct guest_life *l)
{
	if (arch_guest_quiet(l->guest)) {
		/* No timer outlives the phase that set it: the task may be
		 * freed when it is idle. */
		task_wake_at(&l->task, TIME_NEVER);
		return go_on(l, LIFE_UNMAP);
	}
	task_wake_at(&l->task, time_now_ticks() + us_to_ticks(QUIET_US));
	return TASK_WAIT;
}

static enum task_result life_unmap(struct guest_life *l)
{
	arch_stage2_unmap_all(l->guest);
	return go_on(l, LIFE_FORGET);
}

static enum task_result life_forget(struct guest_life *l)
{
	if (gmem_reset_step(l->guest->mem))
		return TASK_MORE;
	return go_on(l, l->guest->cfg.eager ? LIFE_POPULATE : LIFE_PREPARE);
}

static enum task_result life_populate(struct guest_life *l)
{
	int ret = gmem_populate_step(l->guest->mem);

	if (ret < 0)
		return start_failed(l, "not enough host memory for page "
				    "tables");
	return ret ? TASK_MORE : go_on(l, LIFE_PREPARE);
}

/* The guest's tree into l->fdt, which has `room` bytes. */
static int tree_write(struct guest_life *l, const struct image_files *files,
		      const struct image_plan *plan, u64 room, const u8 *seed)
{
	struct guest_fdt_args args = {
		.guest = l->guest,
		.isa = arch_guest_isa(),
		.plan = plan,
		.timebase_hz = timebase_hz,
		.rng_seed = seed,
		.rng_seed_bytes = RNG_SEED_BYTES,
	};

	return files->dtb.data ?
		       guest_fdt_fixup(l->fdt, room, files->dtb.data,
				       files->dtb.bytes, &args) :
		       guest_fdt_write(l->fdt, room, &args);
}

/* The tree of the life before with another seed, or one anew. NULL, or what
 * was wrong. */
static const char *tree_make(struct guest_life *l,
			     const struct image_files *files,
			     const struct image_plan *plan, u64 room)
{
	u8 seed[RNG_SEED_BYTES];

	rng_bytes(&l->rng, seed, sizeof(seed));
	if (l->fdt && !guest_fdt_reseed(l->fdt, seed, sizeof(seed)))
		return NULL;
	tree_forget(l);
	l->fdt = obj_alloc(room);
	if (!l->fdt)
		return "not enough host memory";
	if (!tree_write(l, files, plan, room, seed))
		return NULL;
	tree_forget(l);
	return files->dtb.data ? "dtb: no sound device tree" :
				 "its device tree could not be written";
}

static enum task_result life_prepare(struct guest_life *l)
{
	struct guest *g = l->guest;
	struct image_files files;
	struct image_plan plan;
	struct lab_error err = { .text = "not enough host memory" };
	const char *why;
	u64 room;
	int ret;

	emul_reset(g);
	gcons_reset(g);
	ret = image_files_find(guests_env()->images, &g->cfg, &files, &err);
	if (ret)
		return start_failed(l, err.text);
	room = guest_fdt_room(&g->cfg, arch_guest_isa(), files.dtb.bytes);
	if (image_plan(&g->cfg, &files, room, &plan, &err))
		return start_failed(l, err.text);
	why = tree_make(l, &files, &plan, room);
	if (why)
		return start_failed(l, why);
	if (image_load_init(&l->load, g, &files, &plan, l->fdt,
			    fdt_totalsize(l->fdt)))
		return start_failed(l, "not enough host memory");
	l->loading = true;
	return go_on(l, LIFE_LOAD);
}

static enum task_result life_load(struct guest_life *l)
{
	u64 until = time_now_ticks() + us_to_ticks(STEP_US);
	int ret;

	do {
		ret = image_load_step(&l->load, LOAD_BYTES);
	} while (ret == 1 && time_now_ticks() < until);
	if (ret < 0)
		return start_failed(l, l->load.err.text);
	return ret ? TASK_MORE : go_on(l, LIFE_GO);
}

static enum task_result life_go(struct guest_life *l)
{
	struct guest *g = l->guest;
	struct image_plan plan = l->load.plan;

	unload(l);
	arch_guest_reset(g);
	for (u32 i = 1; i < g->cfg.vcpus; i++)
		arch_vcpu_reset(g->vcpu[i], 0, 0);
	arch_vcpu_reset(g->vcpu[0], plan.entry.v, plan.fdt.v);
	l->phase = LIFE_IDLE;
	/* The registers before the state that lets anyone start a vCPU. */
	ck_pr_fence_release();
	if (!state_change(g, GUEST_STARTING, GUEST_RUNNING))
		return TASK_MORE; /* someone has ended it */
	ck_pr_inc_32(&g->boots);
	log_info("%s: starts at 0x%lx, %u vCPUs, %lu MiB", g->cfg.name,
		 plan.entry.v, g->cfg.vcpus,
		 (g->cfg.memory_bytes / MIB));
	if (sched_vcpu_start(g->vcpu[0]))
		return start_failed(l, "the scheduler has no room for it");
	return TASK_WAIT;
}

/* ---- the task ---- */

static enum task_result life_idle(struct guest_life *l)
{
	if (ck_pr_load_32(&l->guest->state) != GUEST_STARTING)
		return TASK_WAIT;
	return go_on(l, LIFE_QUIET);
}

static enum task_result (*const phases[])(struct guest_life *l) = {
	[LIFE_IDLE] = life_idle,	 [LIFE_KILL] = life_kill,
	[LIFE_DRAIN] = life_drain,	 [LIFE_ENDED] = life_ended,
	[LIFE_QUIET] = life_quiet,	 [LIFE_UNMAP] = life_unmap,
	[LIFE_FORGET] = life_forget,	 [LIFE_POPULATE] = life_populate,
	[LIFE_PREPARE] = life_prepare,	 [LIFE_LOAD] = life_load,
	[LIFE_GO] = life_go,
};

static enum task_result life_step(struct task *t)
{
	struct guest_life *l = container_of(t, struct guest_life, task);

	if (ck_pr_load_32(&l->guest->state) == GUEST_STOPPING &&
	    l->phase != LIFE_KILL && l->phase != LIFE_DRAIN &&
	    l->phase != LIFE_ENDED) {
		unload(l);
		task_wake_at(t, TIME_NEVER);
		l->phase = LIFE_KILL;
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
	unload(g->life);
	tree_forget(g->life);
	obj_free(g->life);
	g->life = NULL;
	g->task = NULL;
}
