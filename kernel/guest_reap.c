/*
 * Destroying guests: when nobody can reach them any more.
 *
 * The problem: when a guest is STOPPED all its vCPUs are OFF, but CPUs may have
 * its second stage in a register, mail for its vCPUs or its task on the way,
 * and someone may have found it in the list and be reading.
 *
 * One task takes guests one by one. It takes the guest out of the list; waits
 * for the last reference; waits until no CPU's second stage is the guest's; and
 * lets every CPU drain its mail (sched_quiesce), after which no pointer to the
 * guest is left anywhere. Then RAM is zeroed where it was touched and given
 * back, step by step, on the guest's account; and then all the rest, in steps
 * as well. A guest that was given up while it was made comes here, too.
 *
 * The guest's own task can't do it: nothing frees the ground it stands on.
 */
#include <ck_spinlock.h>

#include "kernel/guest_private.h"

#include "kernel/arch.h"
#include "kernel/gmem.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define QUIET_US 200

enum reap_phase {
	REAP_NEXT,
	REAP_REFS,
	REAP_QUIET,
	REAP_DRAIN,
	REAP_TABLES,
	REAP_MEMORY,
	REAP_FREE,
};

static struct task task;
static struct sched_quiesce drain;

/* `waiting`: guests to come. */
static ck_spinlock_fas_t lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct guest *waiting;

static u32 left; /* guests taken and not yet freed; atomic */

/* The task's own. */
static enum reap_phase phase;
static struct guest *at;
static bool was_listed;

static struct guest *reap_pop(void)
{
	struct guest *g;

	ck_spinlock_fas_lock(&lock);
	g = waiting;
	if (g)
		waiting = g->life->reap_next;
	ck_spinlock_fas_unlock(&lock);
	return g;
}

static enum task_result reap_drain(void)
{
	if (!sched_quiesced(&drain))
		return TASK_WAIT;
	phase = REAP_TABLES;
	return TASK_MORE;
}

static enum task_result reap_memory(void)
{
	if (gmem_destroy_step(at->mem))
		return TASK_MORE;
	at->mem = NULL;
	/* What is left to do can't be charged to what it frees. */
	task_charge_to(&task, NULL);
	phase = REAP_FREE;
	return TASK_MORE;
}

static enum task_result reap_step(struct task *t)
{
	(void)t;
	switch (phase) {
	case REAP_NEXT:
		at = reap_pop();
		if (!at)
			return TASK_WAIT;
		task_charge_to(&task, at);
		was_listed = guest_unlist(at);
		phase = REAP_REFS;
		return TASK_MORE;
	case REAP_REFS:
		if (ck_pr_load_32(&at->refs))
			return TASK_WAIT; /* guest_put wakes us */
		/* Pairs with guest_put. */
		ck_pr_fence_acquire();
		phase = REAP_QUIET;
		return TASK_MORE;
	case REAP_QUIET:
		if (!arch_guest_quiet(at)) {
			task_wake_at(&task,
				     time_now_ticks() + us_to_ticks(QUIET_US));
			return TASK_WAIT;
		}
		phase = REAP_DRAIN;
		sched_quiesce(&drain, &task);
		return TASK_WAIT;
	case REAP_DRAIN:
		return reap_drain();
	case REAP_TABLES:
		if (!arch_stage2_free_step(at))
			phase = REAP_MEMORY;
		return TASK_MORE;
	case REAP_MEMORY:
		return reap_memory();
	case REAP_FREE:
		if (was_listed)
			log_info("%s: destroyed", at->cfg.name);
		was_listed = false;
		if (guest_free_step(at))
			return TASK_MORE;
		at = NULL;
		/* All of it is back before anyone is told. */
		ck_pr_fence_release();
		ck_pr_dec_32(&left);
		phase = REAP_NEXT;
		return TASK_MORE;
	}
	return TASK_WAIT;
}

void reaper_init(void)
{
	phase = REAP_NEXT;
	waiting = at = NULL;
	left = 0;
	task_init(&task, "reaper", reap_step, 0);
}

bool guests_all_freed(void)
{
	return !ck_pr_load_32(&left);
}

void reaper_take(struct guest *g)
{
	ck_pr_inc_32(&left);
	ck_spinlock_fas_lock(&lock);
	g->life->reap_next = waiting;
	waiting = g;
	ck_spinlock_fas_unlock(&lock);
	task_wake(&task);
}

void reaper_wake(void)
{
	task_wake(&task);
}
