/*
 * The core's own structures: what belongs to a CPU, and to the pool of them.
 */
#ifndef ROUSE_KERNEL_SCHED_CORE_H
#define ROUSE_KERNEL_SCHED_CORE_H

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
#define POOL_CLEAR (1u << 1) /* make the new one's part of the CPU */
#define POOL_ENTER (1u << 2) /* take the new one */
#define ANSWER_GAVE (1u << 0)
#define ANSWER_DENIED (1u << 1)
#define LOOK_REST (1u << 0) /* a vCPU waits somewhere */
#define LOOK_ROOM (1u << 1) /* one here might be helped: room.c */

/* The CPUs that share a policy. */
struct sched_pool {
	/* Any CPU, atomic; written while every CPU of the pool is in limbo. */
	const struct sched_ops *ops;
	u32 epoch; /* counts changes of policy, from 1 */
	u64 name_chars; /* the policy's name as a trace has it */

	/* Any CPU, atomic. */
	u32 changing;                 /* somebody holds the right to change */
	u32 left;                     /* CPUs that have not come this far */
	u32 units_on;                 /* vCPUs that are not OFF */
	const struct sched_ops *next; /* while changing */
	struct task *waiter;

	/* Under the lock, held for list surgery and guest_init only. */
	ck_spinlock_t lock;
	struct sched_account *accounts;

	/* Held to ask a policy, or tell it, about a vCPU that is off. */
	ck_spinlock_t promises;

	/* Constant: the largest part of any registered policy. */
	size_t cpu_bytes, unit_bytes, guest_bytes;
};

extern struct sched_pool sched_pool;

/* A look for room, from piece to piece: room.c and reach.c. */
struct room_look {
	enum { LOOK_NONE, LOOK_BEGINS, LOOK_WAITS, LOOK_IDLE } on;
	u32 count, asked; /* of places: reached; whose current was asked */
	u32 most;         /* of them, if none is idle */
	u32 from;         /* idle: the CPU that is asked next who waits */
	bool waits;       /* idle: someone does */
	u32 left;         /* sets to look at in this piece */
	struct cpuset reached;
	struct cpuset set; /* begins: who waits may run on these; idle: they
			    * are told */
};

/* A CPU that a row has reached, and the first one on that row. */
struct room_place {
	u16 cpu, first;
};

/* A CPU's part of the core. */
struct sched_core {
	struct sched_cpu sc; /* must be first: policies hold a pointer to it */

	/* The owner only. */
	const struct sched_ops *ops;
	sched_yield_fn *yield;   /* the policy's */
	u32 epoch;
	u32 load;                /* what is published as cpu->load */
	struct timer_queue timers;
	struct sched_unit *units; /* those that are on */
	struct sched_unit *entering; /* from here on the policy, new to this
				      * CPU, may not have them yet; or NULL */
	struct timer enter;       /* when it takes some more of them */
	struct sched_unit *tracing; /* from here on they may not know whether
				     * records are written; or NULL */
	const struct sched_unit *looking; /* the next to be looked at for
					   * room; or NULL */
	u32 parked;               /* queued, and not in the load: their cap */
	struct vcpu *loaded;      /* whose state is in this CPU, unsaved */
	struct vcpu *last;        /* was the last to block here; or NULL */
	struct vcpu *sleeper;     /* while the CPU waits: resume.h; or NULL */
	struct idle_bit idle_bit; /* of IDLE_SLEEPS; constant */
	struct idle_bit rest_bit; /* of IDLE_RESTS; `others`: but the barred */
	u64 armed;                /* what the host's timer is set to; 0: it is
				   * to be set anew */
	u64 balance_at;           /* when virtual times are compared next */
	u64 look_ticks;           /* from one such moment to the next; 0: it
				   * rests, or nothing is ever compared */
	u64 dice;                 /* of these */
	u64 native_ask_at;
	enum sched_why why;       /* with resched: why the current gives way, or
				   * WHY_NEW: there was none */
	union {
		struct {
			bool resched;
			bool spread;  /* more can run here than was said */
			bool native;  /* IDLE_NATIVE bit was set, not taken */
			bool polling; /* the current polls until poll_until */
			bool traced;  /* any of YIELD_PASSES */
			bool queues;  /* the policy has no short way */
		};
		u64 odd;          /* any of these: yield.h asks once */
	};
	bool idling;              /* the same of IDLE_SLEEPS */
	u64 since;                /* when its time began to be counted */
	u64 idle_since;           /* when it began to wait; 0: it doesn't */
	u64 task_since;           /* when a task's step began; 0: none is on */
	bool asking;              /* an ask is out, unanswered */
	u64 owed_at;              /* up to here a round's work is owed, */
	struct sched_unit *owes;  /* the last of it by this one of ours */
	bool own;                 /* but not now: the current pays at once */
	u64 poll_until;
	struct cpuset asked;      /* since this CPU had nothing to run */

	struct timer room;        /* when to look for room, or for who wants */
	u64 looked_ticks;         /* when it did last; or when another CPU
				   * claimed it, idle, for one that makes
				   * room, and wrote so, atomic */
	u32 room_vain;            /* times in vain, since other units came or
				   * may run elsewhere */
	bool may_leave;           /* a unit of ours may run on another CPU, as
				   * far as the bars say: a row begins so */

	struct task *task_first, **task_last;
	u64 guests_until;         /* a step was run: guests' turn till then */
	u64 rest_since;           /* virtual times are not compared since; 0:
				   * they are, or never */

	/* The owner writes, anyone reads: CPUs on which no unit that is on here
	 * may run. They neither ask nor are told, until one may; and that
	 * `room` is set. */
	struct cpuset barred;
	u32 room_due;

	/* Read by the CPU that is asked, from mail to mail. */
	struct sched_ask ask;

	/* Any CPU posts them. */
	struct mbox_node ask_mail __cacheline; /* goes out to the one asked */
	struct mbox_node answer_mail;          /* and comes back */
	struct mbox_node look_mail;            /* LOOK_ */
	struct mbox_node pool_mail;

	/* The owner only. */
	struct room_look look __cacheline;
	struct room_place places[]; /* as many as there are CPUs */
};

static inline struct sched_core *core_of(struct cpu *c)
{
	return (struct sched_core *)c->sched;
}

static inline struct sched_core *home_of(struct sched_unit *u)
{
	return (struct sched_core *)u->home;
}

/* Programs the host's timer. Without `hooks` (a constant) nothing is recorded:
 * for who has looked at it. */
static inline __attribute__((always_inline)) void
timer_arm_as(struct sched_core *core, u64 want, bool hooks)
{
	if (want == core->armed)
		return;
	if (hooks)
		TRACE(TIMER_ARM, TRACE_NOBODY, want, 0);
	core->armed = want;
	cpu_this()->stats.timer_sets++;
	arch_timer_set(want);
}

#endif
