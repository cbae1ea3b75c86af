/*
 * Tasks: the hypervisor's own long work, a step at a time.
 *
 * Anything that takes longer than some microseconds (the shell, unpacking and
 * zeroing, tearing down) is a task: a function that does at most 100 us of it
 * and says whether there is more. The core runs steps between guests' turns:
 * a task that wants to run gets on under every policy, and guests never wait
 * for more than one step in a row while both want the CPU.
 */
#ifndef ROUSE_KERNEL_SCHED_TASK_H
#define ROUSE_KERNEL_SCHED_TASK_H

#include "kernel/base.h"
#include "kernel/percpu/mbox.h"
#include "kernel/timer.h"

struct guest;

enum task_result {
	TASK_MORE, /* call again soon */
	TASK_WAIT, /* call again after a task_wake or the task_wake_at */
};

struct task {
	/* Constant after task_init. */
	const char *name;
	enum task_result (*step)(struct task *t);
	u64 name_chars; /* the name as a trace has it */

	/* Any CPU, atomic: whose guest pays for the time, or NULL: the host;
	 * and whose the task is, written by that CPU alone. */
	struct guest *payer;
	u32 cpu;
	struct mbox_node mail;

	/* The owner only. */
	struct timer timer;
	struct task *next;
	bool queued;
	u32 to; /* where its next step is to be */
	u64 steps, ticks, worst_step_ticks;
};

/*
 * Prepares a task that runs on CPU `cpu`, asleep; `step` gets it back (embed
 * it and use container_of). Steps of one task never overlap. Nothing to undo:
 * to free its memory after it stopped for good, let sched_quiesce pass first.
 */
void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu);

/* The guest to whose account the steps are charged, or NULL for the host. The
 * guest must outlive the task's next step. */
void task_charge_to(struct task *t, struct guest *payer);

/*
 * Lets the task run (once more, if it is running now). Any CPU, any context;
 * a leaf that never fails. Never lost: a wake during a step that returns
 * TASK_WAIT leads to another step.
 */
void task_wake(struct task *t);

/*
 * The next step is on that CPU, and comes whatever this one returns; a
 * task_wake_at is forgotten. In the task's step only.
 */
void task_move(struct task *t, u32 cpu);

/* Wakes the task at `when_ticks` (absolute; TIME_NEVER: not any more). The
 * last call counts. The task's own CPU only, as in its step. */
void task_wake_at(struct task *t, u64 when_ticks);

#endif
