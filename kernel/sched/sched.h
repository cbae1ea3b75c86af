/*
 * The scheduler's core: when and where vCPUs run.
 *
 * Each CPU owns its queue, timers and vCPUs; whoever wants something of
 * another CPU's vCPU posts a request, and the owner does it. All functions
 * here are leaves: none waits, none takes a run-queue lock (there is none).
 */
#ifndef ROUSE_KERNEL_SCHED_SCHED_H
#define ROUSE_KERNEL_SCHED_SCHED_H

#include "kernel/base.h"
#include "kernel/config.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/task.h"
#include "kernel/sched/unit.h"
#include "kernel/vcpu.h"

struct guest;
struct sched_ops;
struct vcpu;

/* ---- Boot ---- */

/*
 * Makes the scheduler's part of every registered CPU and takes the policy of
 * that name. Boot CPU, after the last cpu_register, before any sched_loop.
 * 0, -ENOENT (no such policy), -ENOMEM.
 */
int sched_init(const char *policy) __must_check;

/* The CPU's loop, for ever. On CPU `c`, with interrupts off. */
_Noreturn void sched_loop(struct cpu *c);

/*
 * One round of it: answer the doorbell, read mail, run timers, a step of a
 * task, pick a vCPU, let it run its turn, and do what its end asks for; with
 * nothing to run, wait. False if it waited. For sched_loop and host programs.
 */
bool sched_step(struct cpu *c, u64 now);

/* False: every wake and every switch takes the long way (resume.h, yield.h),
 * for comparing the two. Before sched_init. */
extern bool sched_short_way;

/* ---- Guests and vCPUs (the guest manager) ---- */

/*
 * The scheduler's part of a new guest, g->account, and then that of each of its
 * vCPUs (allocated and zeroed but for guest and id), which gets a home and is
 * OFF. Knobs, affinity and pins are taken from g->cfg. Any CPU. 0, -ENOMEM,
 * -EINVAL (affinity or a pin names no CPU that there is; said in a log line).
 */
int sched_guest_add(struct guest *g) __must_check;
int sched_vcpu_add(struct vcpu *v) __must_check;

/*
 * Give that back, vCPUs first. Every vCPU must be OFF and sched_quiesce must
 * have passed since the last KILL was acknowledged. One that was not added may
 * be removed. Any CPU.
 */
void sched_guest_remove(struct guest *g);
void sched_vcpu_remove(struct vcpu *v);

/*
 * Starts an OFF vCPU; the architecture has set its registers. Any CPU. 0, or
 * -EBUSY: the policy has no room (said in a log line). If it is still on its
 * way to OFF it starts when it is there. Dropped if a KILL comes before it, or
 * if the guest is neither STARTING nor RUNNING when its CPU looks.
 */
int sched_vcpu_start(struct vcpu *v) __must_check;

/* Asks the owner for VCPU_REQ_* (kernel/vcpu.h). Any CPU; never fails. START
 * by sched_vcpu_start, KILL rather by sched_guest_kill. */
void sched_vcpu_request(struct vcpu *v, u32 requests);

/*
 * KILL for vCPUs of the guest: a bounded number of them, `from` (0 first) and
 * those after it. Returns the next that is to be killed: cfg.vcpus if that were
 * all. sched_guest_killed is true when every owner has acknowledged: all are
 * OFF, and stay so. guest_vcpu_off is called for each acknowledgement, so wake
 * the managing task there. Any CPU; not again from 0 before it is done.
 */
u32 sched_guest_kill(struct guest *g, u32 from) __must_check;
bool sched_guest_killed(const struct guest *g);

/*
 * Supplied by the guest manager: a vCPU of `g` went OFF by itself, or its KILL
 * was acknowledged (even if it had been OFF). On the owner's CPU; may wake
 * tasks and post requests, must not free the vCPU. The core keeps g->vcpus_on.
 */
void guest_vcpu_off(struct guest *g);

/*
 * Some vCPUs of a guest, `from` (0 first) and those after it, are told: of new
 * knobs, or that they are to do as guest_is_paused says now. Returns the next,
 * cfg.vcpus if that were all. Any CPU; one caller at a time. The knobs' caller
 * has checked the ranges and keeps g->cfg.sched itself.
 */
u32 sched_guest_params(struct guest *g, const struct sched_params *p, u32 from);
u32 sched_guest_follow(struct guest *g, u32 from);

/*
 * Where a vCPU may run, from now on; it moves if it has to. Any CPU, one
 * caller at a time. -EINVAL: names no CPU that there is.
 */
int sched_vcpu_affinity(struct vcpu *v, const struct cpuset *allowed)
	__must_check;

/* ---- What the architecture asks ---- */

/*
 * May WFI stay untrapped (VTW = 0) in this turn? True if the guest's policy
 * is `native` and nothing else wants this CPU. On v's CPU, at the beginning of
 * each arch_vcpu_run of a guest with that policy.
 */
bool sched_wfi_native(struct vcpu *v);

/*
 * This CPU's timer has fired in a turn: did it come too soon, and nothing else
 * is to be done? Then it is set anew, as by arch_timer_set, and the turn goes
 * on. Else the turn is to end with RUN_TIMER. It comes too soon for who has the
 * CPU from one that gave it away (sched/yield.h).
 */
bool sched_timer_early(void) __must_check;

/* ---- What this CPU does beside its turns ---- */

/*
 * Sets a timer of this CPU (kernel/timer.h): it fires from the CPU's loop, and
 * if a turn is on ends that. In an exit, or where a timer fires.
 */
void sched_timer_set(struct timer *t, u64 when_ticks);

/* Where a timer fires, at `now`: what this round has done so far is for `g`,
 * and is its time if one of its vCPUs runs on this CPU or waits for it. `g` may
 * be gone. */
void sched_pay(const struct guest *g, u64 now);

/* ---- Traces and statistics ---- */

/* This CPU's trace_mask has changed: what would pass by the hooks no longer
 * does, or may again. On that CPU, while none of its guests runs; so is
 * sched_trace_some, called until it returns false: some vCPUs are told. */
void sched_trace_changed(struct cpu *c);
bool sched_trace_some(struct cpu *c) __must_check;

/* Wakes from now on count in vCPUs' histograms, once TRACE_STATS is on too; or
 * no dispatch does from now on. */
void sched_stats_set(bool on);

/* Waits for longer than that are recorded as LATE; TIME_NEVER: none. */
void sched_trace_late(u64 ticks);

/* Forgets a vCPU's histogram. Any CPU. */
void sched_vcpu_stats_clear(struct vcpu *v);

/* ---- Waiting for all CPUs ---- */

/*
 * Wakes `waiter` after every CPU has drained its mailbox twice (once, and
 * once more for what the first time was forwarded): after that no CPU holds a
 * pointer that came by mail before. `done` is then 1 (atomic). Any CPU.
 */
struct sched_quiesce {
	struct mbox_node mail;
	struct task *waiter;
	u32 round;
	u32 done;
};

void sched_quiesce(struct sched_quiesce *q, struct task *waiter);

static inline bool sched_quiesced(const struct sched_quiesce *q)
{
	if (!ck_pr_load_32(&q->done))
		return false;
	/* Pairs with quiesce_look: what CPUs did with what is to go. */
	ck_pr_fence_acquire();
	return true;
}

/* ---- Policies ---- */

/*
 * Begins to change the policy of all CPUs, while guests run. 0: begun, and it
 * can't fail any more; `waiter` (or NULL) is woken when all CPUs have changed.
 * -ENOENT: no such policy. -EBUSY: another change is on its way.
 * -ENOSPC: the policy has no room for all vCPUs that are on. Nothing has
 * changed then. Any CPU.
 */
int sched_policy_set(const char *name, struct task *waiter) __must_check;
bool sched_policy_changing(void);

/* The policy's name; the i-th registered policy's, or NULL past the last. */
const char *sched_policy_name(void);
const char *sched_policy_list(u32 i);

/* The knobs (names as in the lab file) that policy looks at: a NULL-ended
 * list, or NULL if there is no such policy. */
const char *const *sched_policy_knobs(const char *name);

/* How many vCPUs that policy has room for on a CPU; 0: any number, or there is
 * no such policy. */
u32 sched_policy_room(const char *name);

/* The policy's own words on a CPU; empty if it has none. Any CPU. */
void sched_cpu_show(u32 cpu, char *buf, size_t len);
/* And on a vCPU; empty also if it is off. Any CPU. */
void sched_vcpu_show(const struct vcpu *v, u64 now, char *buf, size_t len);

/* ---- Listings ---- */

struct sched_vcpu_info {
	u32 cpu;      /* where it is */
	u32 state;    /* enum vcpu_state */
	u32 runstate; /* enum runstate */
	bool paused, refused;
	u64 ticks[RUNSTATE_COUNT]; /* add up to the time since creation */
	u64 wakes, exits, dispatches, migrations, preemptions;
	u64 exits_by[VCPU_EXITS];  /* `exits`, by reason */
	u64 waits[WAIT_BUCKETS];   /* from wake to dispatch: sched/unit.h */
	struct cpuset allowed;
};

struct sched_guest_info {
	struct sched_params params;
	u64 guest_ticks, task_ticks;
	u32 runnable; /* vCPUs that could run now */
};

/* Any CPU, any time. A vCPU's ticks and runstate are of one moment, `now`. */
void sched_vcpu_info(const struct vcpu *v, struct sched_vcpu_info *out,
		     u64 now);
void sched_guest_info(const struct guest *g, struct sched_guest_info *out);
/* The CPU's counters (torn between, not within), its mode, load, current. */
void sched_cpu_stats(u32 cpu, struct cpu_stats *out);

/* A number that changes whenever the CPU begins a turn, a wait or a task's
 * step, or takes mail: if it doesn't, the CPU is in one of these, or stuck. */
u64 sched_cpu_beat(u32 cpu);

#endif
