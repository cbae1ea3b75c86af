/*
 * What a scheduling policy is: one `const struct sched_ops` in one file.
 *
 * Each CPU has a part of the policy to itself: only that CPU calls the ops
 * with its `sc`, one at a time, so a policy is plain sequential C and holds no
 * lock. It never asks which CPU it is on or what time it is: it's told. Shared
 * between CPUs are only the account of a guest and what CPUs publish.
 *
 * Smallest policy, the one to copy: pinned.c.
 */
#ifndef ROUSE_KERNEL_SCHED_POLICY_H
#define ROUSE_KERNEL_SCHED_POLICY_H

#include <ck_pr.h>

#include "kernel/base.h"
#include "kernel/log.h"
#include "kernel/percpu/cpu.h"
#include "kernel/percpu/trace.h"
#include "kernel/sched/unit.h"

/* A CPU as a policy sees it. */
struct sched_cpu {
	void *part;                 /* cpu_bytes, zeroed before cpu_init */
	struct sched_unit *current; /* has the CPU, is in no queue; or NULL */
	struct cpu *cpu;            /* index, and what it publishes */
	u64 deadline_ticks; /* of the current's turn; with none: pick again */
};

/* account->active: n in the upper 12 bits, A modulo 2^52 in the lower. */
#define ACTIVE_BITS 52

/* A guest's account: shared by the CPUs that run it. */
struct sched_account {
	struct guest *guest;
	struct sched_account *next; /* all accounts, under the pool's lock */

	/* Any CPU, atomic: the knobs (kernel/config.h). */
	u64 weight; /* never 0 */
	u32 cap, priority, slice_us;
	u64 slice_ticks;
	u64 slice_vtime; /* that as virtual time, if one vCPU could run alone */

	/* Any CPU, atomic: see account.c. */
	u64 active;      /* how many of its vCPUs could run, integrated */
	u64 cap_next;    /* with a cap: it can't pay before this moment */
	u64 guest_ticks; /* time that its vCPUs ran */
	u64 task_ticks;  /* time that tasks worked for it */
	u64 sent_ticks;  /* the next of its vCPUs that owes anything, owes it */

	/* Under the pool's `promises`: starts for which there was no room. */
	struct log_pace refusals;
	u32 untold;      /* of those, that nothing was told of */

	u32 kills_due;   /* KILLs not yet acknowledged by the owners */

	/* The policy's, guest_bytes, any CPU: atomics only. */
	u64 part[] __attribute__((aligned(16)));
};

/* Why a unit is put into a queue. */
enum sched_why {
	WHY_NEW,       /* started or resumed */
	WHY_WOKEN,     /* was blocked */
	WHY_PREEMPTED, /* had to give way before its slice was over */
	WHY_EXPIRED,   /* its deadline from `pick` has passed */
	WHY_YIELD,     /* gave the rest of its slice away */
	WHY_MOVED,     /* comes from another CPU's queue */
	WHY_CHANGED,   /* its knobs changed, or the policy did */
	WHY_ARRIVED,   /* started or resumed on another CPU, where it was in no
			* queue */
};

/* Whose turn it is, and until when; TIME_NEVER: until something happens. With
 * no unit, the deadline says when to ask again. */
struct sched_pick {
	struct sched_unit *unit;
	u64 deadline_ticks;
};

/* Who asks for work, and what for. */
struct sched_ask {
	u32 cpu;
	bool idle;  /* has nothing to run; else: its virtual time is ahead */
	u64 vtime;  /* its virtual time when it asked */
};

#define PLACE_ANY (CPU_NONE - 1)

/* sched_ops.yield. */
typedef struct sched_unit *sched_yield_fn(struct sched_cpu *sc,
					  struct sched_unit *u, u64 ticks,
					  u64 active, u64 now);

struct sched_ops {
	const char *name;
	size_t cpu_bytes, unit_bytes, guest_bytes; /* sizes of the parts */
	size_t guest_cpu_bytes; /* for each CPU, behind the guest's part */
	u32 units_per_cpu; /* how many it has room for; 0: any number */

	/*
	 * The parts come zeroed. cpu_init: any CPU, while no CPU has units.
	 * guest_init: any CPU, once per guest and policy change. unit_init:
	 * on the unit's CPU, before its first unit_add under this policy.
	 * None may fail. Absent: zeroed is good.
	 */
	void (*cpu_init)(struct sched_cpu *sc, u64 now);
	void (*guest_init)(struct sched_account *a, u64 now);
	void (*unit_init)(struct sched_cpu *sc, struct sched_unit *u, u64 now);

	/*
	 * May this unit be started? Any CPU, atomics only; may promise a CPU
	 * by setting u->target; asked again, it says the same. False: it is
	 * refused. `dismiss`, on the owner's CPU when the unit is off, takes
	 * it back; with a change of policy it's forgotten along with the
	 * CPUs' parts. Absent: yes, always.
	 */
	bool (*admit)(struct sched_unit *u);
	void (*dismiss)(struct sched_unit *u);

	/*
	 * The unit belongs to `sc` from now on (started, or handed over), and
	 * no longer. It is in no queue then. With a change of policy it is
	 * forgotten as well, queued or not, along with the parts: so they are
	 * all that a policy may keep. Owner's CPU. Can't fail. Absent: nothing
	 * to do.
	 */
	void (*unit_add)(struct sched_cpu *sc, struct sched_unit *u, u64 now);
	void (*unit_remove)(struct sched_cpu *sc, struct sched_unit *u,
			    u64 now);

	/*
	 * Puts a unit that may run into the queue; takes one that is in the
	 * queue out of it (it was paused, killed or handed over; `pick` has
	 * done so by itself). Owner's CPU. Can't fail. Required.
	 */
	void (*enqueue)(struct sched_cpu *sc, struct sched_unit *u,
			enum sched_why why, u64 now);
	void (*dequeue)(struct sched_cpu *sc, struct sched_unit *u, u64 now);

	/*
	 * Takes the unit that runs next out of the queue. Owner's CPU, when
	 * there is no current: it was put back by `enqueue`, or left. Required.
	 */
	struct sched_pick (*pick)(struct sched_cpu *sc, u64 now);

	/*
	 * `u` slept and is woken, on a CPU that has no current and whose queue
	 * is empty: the same as `enqueue` with WHY_WOKEN and a `pick` that
	 * takes it, but shorter. Returns the pick's deadline; or 0, when
	 * nothing was changed and the core asks the two. Owner's CPU. Absent:
	 * the two are asked.
	 */
	u64 (*resume)(struct sched_cpu *sc, struct sched_unit *u, u64 now);

	/*
	 * `u`, the current up to now, gives the rest of its turn away: the
	 * same as `charge` (unless `ticks` is 0), `leave`, `enqueue` with
	 * WHY_YIELD and `pick`, but shorter; for a policy that would `place`
	 * it here. sc->current is still `u`. Returns who is next, and sets
	 * sc->deadline_ticks; or NULL: it was charged, and the core asks the
	 * other three. Owner's CPU. Absent: the four are asked.
	 */
	sched_yield_fn *yield;

	/*
	 * `u`, the current, has run for `ticks` up to `now`. Called when it
	 * leaves the CPU, when its turn is looked at, and at the latest when
	 * its deadline passes; every tick is charged once. `active` is the
	 * integral, over these ticks, of how many vCPUs of the guest could
	 * run; at least `ticks`. Owner's CPU. Absent: nothing to do.
	 */
	void (*charge)(struct sched_cpu *sc, struct sched_unit *u, u64 ticks,
		       u64 active, u64 now);

	/*
	 * `u` was the current and is so no longer: it blocks, stops, or is
	 * about to be queued here or elsewhere. It's charged up to now.
	 * Owner's CPU. Absent: nothing to do.
	 */
	void (*leave)(struct sched_cpu *sc, struct sched_unit *u, u64 now);

	/*
	 * A unit was put into the queue while `sc->current` has the CPU: when
	 * shall `pick` be asked again? `now`: at once; TIME_NEVER: not because
	 * of this. Owner's CPU, after `enqueue`. Absent: TIME_NEVER.
	 */
	u64 (*preempt_at)(struct sched_cpu *sc, struct sched_unit *woken,
			  u64 now);

	/*
	 * The current's turn was interrupted for so many ticks, in which the
	 * CPU worked for others, who pay. Owner's CPU; may put off
	 * sc->deadline_ticks. Absent: the turn ends when it would have.
	 */
	void (*prolong)(struct sched_cpu *sc, u64 ticks);

	/*
	 * The guest's knobs changed; the unit is in no queue and charged up
	 * to `now`. Owner's CPU. Absent: nothing is kept of them.
	 */
	void (*params)(struct sched_cpu *sc, struct sched_unit *u, u64 now);

	/*
	 * Where should this unit, about to be queued here, run? A CPU in
	 * u->allowed; CPU_NONE: nowhere, it is refused until its affinity or
	 * the policy changes; PLACE_ANY: the core's way, here unless this CPU
	 * is busy and an idle one is found. Owner's CPU; reads what others
	 * publish. Absent: PLACE_ANY.
	 */
	u32 (*place)(struct sched_cpu *sc, struct sched_unit *u,
		     enum sched_why why, u64 now);

	/*
	 * Another CPU asks for work: a unit of the queue that may run there
	 * (unit_may_run), not removed from the queue; or NULL. ask->idle: it
	 * is idle, or will be, since who runs there can move. Owner's CPU; may
	 * look at every unit. Absent: nothing is ever given, nor does a current
	 * make room (room.c).
	 */
	struct sched_unit *(*give)(struct sched_cpu *sc,
				   const struct sched_ask *ask, u64 now);

	/*
	 * About this often, at random from half of it to one and a half, a CPU
	 * compares its published virtual time with the others' wait_vtime, and
	 * asks the one furthest behind by more than lag_us of a unit of weight
	 * 256. Its timer sees to it, whatever `pick` said. 0: never. Nor while
	 * no unit waits on any other CPU (for policies without `place`).
	 */
	u32 period_us, lag_us;

	/*
	 * Since `since` this CPU has made no such looks, as nobody waited
	 * elsewhere; now somebody does, or the first is about to wait here.
	 * Owner's CPU; its current, if it has one, has been charged when its
	 * last turn ended. Absent: nothing to do.
	 */
	void (*rested)(struct sched_cpu *sc, u64 since, u64 now);

	/*
	 * Knobs of struct sched_params that this policy looks at, by name,
	 * ended by NULL: for `sched params` and for saying what is ignored.
	 */
	const char *const *knobs;

	/*
	 * A few words for listings: what the policy knows of the unit, which
	 * is on this CPU; with NULL, of the CPU. Any CPU: the words read may
	 * change meanwhile, or be another policy's, so no pointer in them is
	 * followed. Absent, or nothing written: nothing to say.
	 */
	void (*show)(const struct sched_cpu *sc, const struct sched_unit *u,
		     u64 now, char *buf, size_t len);
};

/* Registers a policy; the last line of its file. */
#define SCHED_POLICY(sym)                                                  \
	static const struct sched_ops *const sched_reg_##sym               \
		__attribute__((section("rouse_sched"), used)) = &(sym)

extern const struct sched_ops *const __start_rouse_sched[];
extern const struct sched_ops *const __stop_rouse_sched[];

/* How many vCPUs of the guest could run now. Any CPU. */
static inline u32 account_runnable(const struct sched_account *a)
{
	return (u32)(ck_pr_load_64(&a->active) >> ACTIVE_BITS);
}

/*
 * The cap, for policies that keep it (cap.c). take: the guest pays in advance
 * for `ticks` of one vCPU; 0, or the moment before which it can't. return: not
 * used after all. charge: used though not paid. No-ops without a cap. Any CPU.
 */
u64 account_cap_take(struct sched_account *a, u64 ticks, u64 now);
void account_cap_return(struct sched_account *a, u64 ticks);
void account_cap_charge(struct sched_account *a, u64 ticks);

/* Whose turn it is on another CPU, and how much the integral of that guest (as
 * in `charge`) has grown since it was last charged. Without the guest: it is
 * nobody's, or has just ended. Any CPU. */
struct sched_turn {
	const struct sched_account *account;
	u64 active;
};

struct sched_turn sched_turn_of(u32 cpu, u64 now);

/* When a whole slice of the unit ends that begins at `begin_ticks`. Any CPU. */
static inline u64 unit_slice_end(const struct sched_unit *u, u64 begin_ticks)
{
	return begin_ticks + ck_pr_load_64(&u->account->slice_ticks);
}

/* The policy's part of another CPU: atomics only. Any CPU. */
void *sched_cpu_part(u32 cpu);

/* May this unit run on that CPU? Any CPU. */
static inline bool unit_may_run(const struct sched_unit *u, u32 cpu)
{
	return ck_pr_load_64(&u->allowed.w[cpu / 64]) >> (cpu % 64) & 1;
}

/*
 * Tells the others how far this CPU is: its virtual time, and the least of a
 * unit that waits in its queue (TIME_NEVER: none, both wrap otherwise). Of a
 * vCPU alone in a guest of weight 256 it advances by VTIME_PER_TICK. Owner.
 */
#define VTIME_PER_TICK 256

static inline void sched_publish_vtime(struct sched_cpu *sc, u64 vtime,
				       u64 wait_vtime)
{
	struct cpu *c = sc->cpu;

	/* Hints for balancing, each of its own: no order is needed. */
	ck_pr_store_64(&c->vtime, vtime);
	ck_pr_store_64(&c->wait_vtime, wait_vtime);
}

/* The same, of the virtual time alone. */
static inline void sched_publish_now(struct sched_cpu *sc, u64 vtime)
{
	ck_pr_store_64(&sc->cpu->vtime, vtime);
}

/* How important is what this CPU runs, in the policy's own measure. Owner. */
static inline void sched_publish_level(struct sched_cpu *sc, u32 level)
{
	ck_pr_store_32(&sc->cpu->level, level);
}

/*
 * `n` queued units can't run before some moment (over their cap), or can again:
 * takes them out of the CPU's published load, or puts them back. Owner.
 */
void sched_units_park(struct sched_cpu *sc, u32 n);
void sched_units_unpark_some(struct sched_cpu *sc, u32 n);

static inline void sched_units_unpark(struct sched_cpu *sc, u32 n)
{
	if (unlikely(n))
		sched_units_unpark_some(sc, n);
}

/*
 * A policy's own record of `u` (NULL: of the CPU), for what it alone knows:
 * ACCOUNT, BOOST, PARK, UNPARK, or NOTE with whatever it likes
 * (kernel/trace.h); the first two with how far the unit is behind the CPU's
 * time, in the unit of sched_publish_vtime. Nothing while the class "policy" is
 * off. The CPU's owner.
 */
#define sched_trace(NAME, u, a, b) TRACE(NAME, sched_trace_id(u), a, b)

static inline u32 sched_trace_id(const struct sched_unit *u)
{
	return u ? u->trace_id : TRACE_NOBODY;
}

#endif
