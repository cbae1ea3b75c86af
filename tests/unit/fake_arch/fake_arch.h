/*
 * An architecture made up for the host: many simulated CPUs in one thread.
 *
 * Each CPU has a clock of its own. fake_run_until lets the CPU whose clock is
 * furthest behind do one sched_step, so that clocks never differ by more than
 * FAKE_QUANTUM_TICKS plus a step; within it the CPU's turn ends by its timer,
 * by a doorbell, by what the vCPU does, or by that quantum (RUN_LOOK). Nothing
 * depends on the host: the same calls give the same run.
 *
 * A program may bring another engine (struct fake_engine), as the simulator in
 * bench/sim does: there time passes by events.
 *
 * It checks as it goes: a vCPU's state is in one CPU at a time, saved before
 * it is loaded elsewhere, and loaded before it runs.
 */
#ifndef ROUSE_TEST_FAKE_ARCH_H
#define ROUSE_TEST_FAKE_ARCH_H

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

#define FAKE_CPUS_MAX CPU_MAX
#define FAKE_HZ 10000000ULL
#define FAKE_US (FAKE_HZ / 1000000)
#define FAKE_MS (FAKE_HZ / 1000)
#define FAKE_QUANTUM_TICKS (50 * FAKE_US)

struct fake_vcpu;

/* What a vCPU does when it has run for `left` ticks: sets `left` anew (and
 * `deadline`), and says how its turn ends; RUN_LOOK to go on. */
typedef enum run_end fake_act(struct fake_vcpu *f, u64 now);

struct fake_vcpu {
	struct vcpu v;
	u64 left;     /* ticks until it acts; TIME_NEVER: a hog */
	u64 deadline; /* of its timer, or TIME_NEVER */
	fake_act *act;
	u64 arg[4];   /* the act's own */
	u64 ran;      /* ticks, as the fake saw it */
	u64 irqs;     /* times it took interrupts */
	u32 seen;     /* VIRQ_* taken, all of them */
	u32 cpu;      /* last ran on */
	bool stay;    /* with RUN_LOOK: go on without an exit */
	bool waits;   /* in a WFI that was not trapped */
	void *own;    /* whoever supplies the act */
	bool traced;    /* as arch_vcpu_trace said */
	bool untrapped; /* VTW was clear in its last turn */
	struct cpu *loaded;
};

struct fake_guest {
	struct guest g;
	u32 offs; /* calls of guest_vcpu_off */
};

struct fake_cpu {
	struct cpu c;
	u64 now;
	u64 timer;
	bool rung;
	bool fired; /* in this round, a vCPU's timer */
	u32 looks; /* at the clock, until FAKE_REST is over; 0: it isn't due */
	u32 stopped; /* enum cpu_mode in which its last step ended */
	u64 rings;
	u64 ways;   /* given by one vCPU to the next (sched_give_way) */
	u32 loaded; /* vCPUs whose state is in it */
	bool hold;  /* of a guest's second stage, which it is asked to end */
	/* Ticks in arch_wait, in arch_vcpu_run and by fake_spend; and those of
	 * steps in which no time would have passed. */
	u64 waited, ran, spent, stepped;
};

/* What a CPU does that takes it time. */
enum fake_op {
	FAKE_STEP,  /* a round of the loop begins */
	FAKE_ENTER, /* into a guest */
	FAKE_EXIT,  /* out of it, into the loop */
	FAKE_PASS,  /* from one that gives way straight to the next */
	FAKE_LOAD,
	FAKE_SAVE,
	FAKE_TIMER, /* the host's timer is set */
	FAKE_RING,  /* another CPU's doorbell */
	FAKE_WAKE,  /* a wait has ended */
	FAKE_FIRE,  /* a vCPU's timer, while another one has the CPU */
	FAKE_GIVE,  /* it has to give the CPU up for that */
	FAKE_REST,  /* what is left to do when one has fallen asleep */
	FAKE_OPS,
};

/* How time passes. All of it on the CPU that runs, `f`. */
struct fake_engine {
	/* A WFI that is not trapped waits in the guest; else it blocks. */
	bool wfi_waits;
	/* Until `until`, or until its doorbell rings if that is earlier; it
	 * may also return early. Then f->now and f->rung say what is. */
	void (*pass)(struct fake_cpu *f, u64 until);
	/* May another turn follow in this step? NULL: always, since time goes
	 * on for other CPUs meanwhile. */
	bool (*goes_on)(struct fake_cpu *f);
	/* The doorbell of `target` is rung, or its own one is silenced. */
	void (*ring)(struct fake_cpu *f, struct fake_cpu *target);
	void (*ack)(struct fake_cpu *f);
	void (*spend)(struct fake_cpu *f, enum fake_op op);
	/* A turn begins (interrupts are taken), or has ended. */
	void (*entered)(struct fake_cpu *f, struct fake_vcpu *v);
	void (*ended)(struct fake_cpu *f, struct fake_vcpu *v,
		      enum run_end end);
};

/* Set it before fake_boot; it stays. */
extern const struct fake_engine *fake_engine;

extern struct fake_cpu *fake_cpus[FAKE_CPUS_MAX];
extern u32 fake_log_lines;
extern char fake_log_last[256];

/* A machine of `cpus` CPUs under `policy`; at the end, the opposite. */
void fake_boot(u32 cpus, const char *policy);
void fake_halt(void);

/* A guest of `vcpus` vCPUs, all of them hogs, none started. `params` NULL: the
 * defaults; `allowed` a bit mask of CPUs, 0: all. */
struct fake_guest *fake_guest_make(u32 vcpus, const struct sched_params *params,
				   u64 allowed);
/* The same from a whole configuration, of which name, vcpus, scheduling and
 * WFI count; a host program keeps what it points to. */
struct fake_guest *fake_guest_make_as(const struct guest_config *cfg);
/* The same; the n-th allocation that the scheduler makes for it fails, 0: none.
 * NULL: it could not be made, and nothing is left of it. */
struct fake_guest *fake_guest_try(const struct guest_config *cfg, u64 fails);
/* So does the n-th allocation from now on, whoever makes it. */
extern u64 fake_fail_in;
struct fake_vcpu *fake_vcpu_of(struct fake_guest *fg, u32 id);
void fake_guest_start(struct fake_guest *fg);
/* Kills it, waits until no CPU knows it, and frees it. */
void fake_guest_free(struct fake_guest *fg);

/* Time of the CPU that runs now, or of the last that did. */
u64 fake_now(void);
/* The CPU that runs now has worked for so long, in a task's step. */
void fake_spend(u64 ticks);
/* Every CPU's clock reaches `until`. */
void fake_run_until(u64 until);
static inline void fake_run_for(u64 ticks)
{
	fake_run_until(fake_now() + ticks);
}
/* Lets CPU `cpu` do one step. */
bool fake_step(u32 cpu);

u64 fake_guest_ran(struct fake_guest *fg);

/* A task that works in steps of step_ticks, steps_left of them. */
struct fake_work {
	struct task task;
	u64 step_ticks;
	u32 steps_left, steps;
};

enum task_result fake_work_step(struct task *t);

/* Acts. block: runs arg[0], sleeps arg[1], by its timer. wait: runs arg[0],
 * waits for interrupts. yield: runs arg[0], yields. */
fake_act fake_act_block, fake_act_wait, fake_act_yield;

/* Makes it run for `run` and then sleep for `sleep`, or wait for interrupts,
 * from its next turn on. */
void fake_sleeps(struct fake_vcpu *f, u64 run, u64 sleep);
void fake_waits(struct fake_vcpu *f, u64 run);

/* The next of a row of numbers below 2^24. */
u32 fake_random(u32 *seed);

#endif
