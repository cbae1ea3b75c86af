/*
 * Inside the scheduler's core: what its files share.
 */
#ifndef ROUSE_KERNEL_SCHED_PRIVATE_H
#define ROUSE_KERNEL_SCHED_PRIVATE_H

#include <ck_spinlock.h>

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"
#include "kernel/sched/policy.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/vcpu.h"

/* Bits of vcpu->mail beside "look": the vCPU was handed over to this CPU. */
#define VMAIL_ARRIVE (1u << 0)

/* With VCPU_REQ_KILL: count its acknowledgement (sched_guest_kill). */
#define REQ_COUNTED (1u << 31)

/* Bits of a CPU's own nodes. */
#define POOL_LEAVE (1u << 0) /* give the old policy up */
#define POOL_ENTER (1u << 1) /* take the new one */
#define ANSWER_GAVE (1u << 0)
#define ANSWER_DENIED (1u << 1)

/* The CPUs that share a policy. */
struct sched_pool {
	/* Any CPU, atomic; written while every CPU of the pool is in limbo. */
	const struct sched_ops *ops;
	u32 epoch; /* counts changes of policy, from 1 */

	/* Any CPU, atomic. */
	u32 changing;                 /* somebody holds the right to change */
	u32 left;                     /* CPUs that have not come this far */
	u32 units_on;                 /* vCPUs that are not OFF */
	const struct sched_ops *next; /* while changing */
	struct task *waiter;

	/* Under the lock, which is held for list surgery and guest_init only. */
	ck_spinlock_t lock;
	struct sched_account *accounts;

	/* Constant: the largest part of any registered policy. */
	size_t cpu_bytes, unit_bytes, guest_bytes;
};

extern struct sched_pool sched_pool;

/* A CPU's part of the core. */
struct sched_core {
	struct sched_cpu sc; /* must be first: policies hold a pointer to it */

	/* The owner only. */
	const struct sched_ops *ops;
	u32 epoch;
	u32 load;                /* what is published as cpu->load */
	struct timer_queue timers;
	struct sched_unit *units; /* those that are on */
	struct vcpu *loaded;      /* whose state is in this CPU, unsaved */
	u64 deadline;             /* of the current's turn; else: pick again */
	u64 armed;                /* what the host's timer is set to */
	u64 balance_at;           /* when virtual times are compared next */
	u64 native_ask_at;
	enum sched_why why;       /* with resched: why the current gives way */
	bool resched;
	bool idling;              /* IDLE_SLEEPS bit was set, and not taken */
	bool native;              /* the same for IDLE_NATIVE */
	bool polling;             /* the current polls until poll_until */
	bool asking;              /* an ask is out, unanswered */
	u64 poll_until;
	struct cpuset asked;      /* since this CPU had nothing to run */

	struct task *task_first, **task_last;
	u64 guests_until;         /* a step was run: guests' turn till then */

	/* Read by the CPU that is asked, from mail to mail. */
	struct sched_ask ask;

	/* Any CPU posts them. */
	struct mbox_node ask_mail __cacheline; /* goes out to the one asked */
	struct mbox_node answer_mail;          /* and comes back */
	struct mbox_node pool_mail;
};

static inline struct sched_core *core_of(struct cpu *c)
{
	return (struct sched_core *)c->sched;
}

static inline struct sched_core *home_of(struct sched_unit *u)
{
	return (struct sched_core *)u->home;
}

/* ---- account.c: time ---- */

/* The unit's runstate changes. Owner. */
void unit_runstate(struct sched_unit *u, enum runstate rs, u64 now);
/* The unit could run from now on, or can't any more: load and account. */
void unit_count(struct sched_core *core, struct sched_unit *u, u64 now);
void unit_uncount(struct sched_core *core, struct sched_unit *u, u64 now);
/* The current begins to be charged; it is charged up to `now`. */
void charge_begin(struct sched_unit *u, u64 now);
void charge_current(struct sched_core *core, u64 now);
void account_knobs(struct sched_account *a, const struct sched_params *p);
void load_publish(struct sched_core *core);

/* ---- place.c: which queue ---- */

/*
 * A unit that may run, in no queue, goes into this CPU's queue or another's.
 * False: it is another's now, not to be touched any more.
 */
bool unit_route(struct sched_core *core, struct sched_unit *u,
		enum sched_why why, u64 now);
/* Out of the queue, if it is in it. */
void unit_dequeue(struct sched_core *core, struct sched_unit *u, u64 now);
/* The unit, not current and in no queue, becomes that CPU's. */
void unit_handover(struct sched_core *core, struct sched_unit *u, u32 to,
		   u64 now);
/* It has come. False: and gone on. */
bool unit_arrive(struct sched_core *core, struct vcpu *v, u64 now);
/* In and out of home's list and the policy's hands. */
void unit_link(struct sched_core *core, struct sched_unit *u, u64 now);
void unit_unlink(struct sched_core *core, struct sched_unit *u, u64 now);
/* Does the policy have room? Sets or clears u->refused. */
bool unit_admit(struct sched_core *core, struct sched_unit *u);
/* The current leaves the CPU's hands and is in no queue: QUEUED or as said. */
struct sched_unit *current_drop(struct sched_core *core, u64 now);

/* ---- life.c: what happens to a vCPU ---- */

mbox_look_fn vcpu_look;
void vcpu_timer_fire(struct timer *t, u64 now);
/* The current's guest waits: block unless something came. */
void current_block(struct sched_core *core, u64 now);
/* The current's guest has ended: it never runs again, a KILL is to come. */
void current_dead(struct sched_core *core, u64 now);
/* The current stopped itself. */
void current_off(struct sched_core *core, u64 now);

/* ---- idle.c: asking for work, waiting ---- */

mbox_look_fn ask_look, answer_look;
/* This CPU has something to run. */
void idle_stop(struct sched_core *core);
/* The native guest here is not alone any more. */
void native_stop(struct sched_core *core);
/* Nothing to run: advertise, ask, wait. */
void idle_step(struct sched_core *core, u64 now);
/* Compares virtual times if the policy's period has passed. */
void balance(struct sched_core *core, u64 now);
/* Programs the host's timer for what comes first. */
void timer_arm(struct sched_core *core, u64 deadline);

/* ---- poll.c: wfi = "poll" ---- */

bool poll_begin(struct sched_core *core, u64 now);
/* False: it is over, one way or the other. */
bool poll_step(struct sched_core *core, u64 now);
void poll_learn(struct sched_unit *u, u64 now);

/* ---- task.c ---- */

static inline bool tasks_wait(const struct sched_core *core)
{
	return core->task_first != NULL;
}

/* One step of the first task that waits. */
void task_run_step(struct sched_core *core, u64 now);

/* ---- pool.c ---- */

mbox_look_fn pool_look;
const struct sched_ops *policy_find(const char *name);

/* ---- core.c ---- */

void core_init(struct sched_core *core, struct cpu *c);

#endif
