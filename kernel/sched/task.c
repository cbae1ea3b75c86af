/*
 * Tasks, one step at a time between guests' turns.
 *
 * Each CPU has a first-in-first-out list of its tasks that want to run. While
 * guests want the CPU as well a step is followed by a guests' turn of twice the
 * step's time (at least GUESTS_LEAST_US), so that tasks get a third of the CPU
 * at most and at least, whatever the policy thinks of the guests: `pinned` and
 * `fp` can't starve the shell, and unpacking an image can't starve a guest.
 * A guest's task beside many vCPUs gets as much as one of them: a guest that is
 * loaded takes no more from each than if it ran.
 *
 * A task that moves is let go of after its step: from the store of its new CPU
 * on the old one touches nothing but the mail node, which takes it there. Mail
 * that still goes to the old one is sent on, as it is for vCPUs (place.c).
 *
 * A wake is always mail, even from the task's own step: so it can't fall
 * between the step's last look and its TASK_WAIT.
 *
 * Rejected: a unit of the policy for each task (every policy would have to
 * know them, and `pinned` would have no place for them).
 */
#include "kernel/sched/task.h"

#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

#define GUESTS_LEAST_US 200

static void task_enqueue(struct sched_core *core, struct task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	t->next = NULL;
	*core->task_last = t;
	core->task_last = &t->next;
}

static void task_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct task *t = container_of(n, struct task, mail);
	u32 cpu = ck_pr_load_32(&t->cpu);

	if (unlikely(cpu != c->index)) {
		doorbell_post(cpu_by_index(cpu), n, 0);
		return;
	}
	/* Pairs with task_leave: who names us has finished with the task. */
	ck_pr_fence_acquire();
	task_enqueue(core_of(c), t);
}

/* It goes where it asked to, and is that CPU's from the store on. */
static void task_leave(struct sched_core *core, struct task *t)
{
	u32 to = t->to;

	timer_clear(&core->timers, &t->timer);
	/* All of this step before the next. */
	ck_pr_fence_release();
	ck_pr_store_32(&t->cpu, to);
	doorbell_post(cpu_by_index(to), &t->mail, 0);
}

static void task_timer_fire(struct timer *tm, u64 now)
{
	struct task *t = container_of(tm, struct task, timer);

	task_enqueue(core_of(cpu_by_index(t->cpu)), t);
}

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	*t = (struct task){ .name = name,
			    .step = step,
			    .cpu = cpu,
			    .to = cpu,
			    .name_chars = trace_chars(name) };
	mbox_node_init(&t->mail, task_look);
	timer_init(&t->timer, task_timer_fire);
}

void task_charge_to(struct task *t, struct guest *payer)
{
	ck_pr_store_ptr(&t->payer, payer);
}

void task_wake(struct task *t)
{
	doorbell_post(cpu_by_index(ck_pr_load_32(&t->cpu)), &t->mail, 0);
}

void task_move(struct task *t, u32 cpu)
{
	t->to = cpu;
}

void task_wake_at(struct task *t, u64 when_ticks)
{
	timer_set(&core_of(cpu_by_index(t->cpu))->timers, &t->timer,
		  when_ticks);
}

/* The time is the payer's, if it has one. */
static void task_account(struct sched_core *core, struct task *t, u64 ticks,
			 struct guest *payer)
{
	t->steps++;
	t->ticks += ticks;
	t->worst_step_ticks = MAX(t->worst_step_ticks, ticks);
	core->sc.cpu->stats.task_ticks += ticks;
	if (payer && payer->account)
		ck_pr_add_64(&payer->account->task_ticks, ticks);
}

void task_run_step(struct sched_core *core, u64 now)
{
	struct task *t = core->task_first;
	struct guest *payer = ck_pr_load_ptr(&t->payer);
	enum task_result r;
	u64 ticks;

	core->task_first = t->next;
	if (!core->task_first)
		core->task_last = &core->task_first;
	t->queued = false;
	core->task_since = now;
	r = t->step(t);
	ticks = time_now_ticks() - now;
	task_account(core, t, ticks, payer);
	core->task_since = 0;
	TRACE(TASK, TRACE_NOBODY, ticks, t->name_chars);
	if (unlikely(t->to != t->cpu))
		task_leave(core, t);
	else if (r == TASK_MORE)
		task_enqueue(core, t);
	core->guests_until =
		now + ticks +
		MAX(MAX(2u, payer ? core->load : 0u) * ticks,
		    us_to_ticks(GUESTS_LEAST_US));
}
