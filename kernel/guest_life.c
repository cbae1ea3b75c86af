/*
 * The life of a guest, as anyone sees it: the state word, what may be asked.
 *
 * The problem: a guest may be started, stopped, reset and paused, and may end
 * by itself, at any moment, on any CPU, for several reasons at the same time.
 *
 * The state word says what everyone may know, and each change of it is a
 * compare-and-swap, so of two wishes one wins and the other is told. The end
 * of a guest is one such change, RUNNING (or STARTING) to STOPPING: the winner
 * notes why and wakes the guest's task. What happens then, from the killing of
 * the vCPUs on, is the task's alone (guest_task.c), and so is a start once the
 * state says STARTING (guest_boot.c).
 */
#include "kernel/guest_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/percpu/trace.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"

#define CRASH_RECORDS 8 /* of a trace, told when a guest can't go on */

/* ---- wishes, from any CPU ---- */

static void trace_state(const struct guest *g, u32 state)
{
	TRACE(GUEST_STATE, g->trace_id, g->id, state);
}

bool guest_state_change(struct guest *g, u32 from, u32 to)
{
	if (!ck_pr_cas_32(&g->state, from, to))
		return false;
	trace_state(g, to);
	return true;
}

void guest_state_set(struct guest *g, u32 state)
{
	trace_state(g, state);
	ck_pr_store_32(&g->state, state);
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
	/* The code before the event. Pairs with life_kill (guest_task.c). */
	ck_pr_fence_store();
	ck_pr_store_32(&g->event, why);
	task_wake(g->task);
}

int guest_start(struct guest *g)
{
	if (!guest_state_change(g, GUEST_STOPPED, GUEST_STARTING))
		return -EBUSY;
	guest_came(g);
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
		/* The number first, which changes after the state: of a life
		 * that isn't over, or was the last one before this look. Pairs
		 * with life_next. */
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
	if (!guest_state_change(g, GUEST_STOPPED, GUEST_DYING))
		return -EBUSY;
	guest_came(g);
	reaper_take(g);
	return 0;
}

int guest_pause_in(struct guest *g, u32 paused)
{
	if ((paused & 1) || !ck_pr_cas_32(&g->paused, paused, paused | 1))
		return -EBUSY;
	/* A vCPU that starts now sees `paused`, or is on by the time that it
	 * gets the request of guest_follow. */
	ck_pr_fence_memory();
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
	return 0;
}

u32 guest_follow(struct guest *g, u32 from)
{
	return sched_guest_follow(g, from);
}

void guest_vcpu_off(struct guest *g)
{
	if (ck_pr_load_32(&g->state) == GUEST_STOPPING)
		task_wake(g->task);
}

void guest_tell_rest(struct guest *g)
{
	/* Pairs with tell_rest (guest_task.c): RUNNING is seen here, or there
	 * what is to be told. */
	ck_pr_fence_memory();
	/* The task of one that is over must be left alone: it may be freed when
	 * all CPUs have looked at their mail (guest_task.c). */
	if (ck_pr_load_32(&g->state) == GUEST_RUNNING)
		task_wake(g->task);
}

static void log_record(void *ctx, const char *text)
{
	const struct guest *g = ctx;

	log_error("%s:   %s", g->cfg.name, text);
}

/* The last records, or why there are none. */
static void log_records(struct guest *g, const struct vcpu *v)
{
	if (tracer_tell_last(v->sched.trace_id, CRASH_RECORDS, log_record, g))
		return;
	log_record(g, cpu_this()->trace ? "no trace record of it on this CPU" :
					  "no trace was on");
}

void guest_crash(struct vcpu *v, const char *fmt, ...)
{
	struct guest *g = v->guest;
	char why[LOG_LINE_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!ck_pr_load_32(&g->quiet) || g->cfg.on_crash != ACTION_RESTART) {
		log_error("%s: vCPU %u can't go on at pc 0x%lx: %s",
			  g->cfg.name, v->id, arch_vcpu_pc(v), why);
		log_records(g, v);
	}
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
