/*
 * What simulated guests do: each behaviour is a row of a table, found by
 * the name that scenario files have for it (docs/sim.md).
 */
#ifndef ROUSE_SIM_WORK_H
#define ROUSE_SIM_WORK_H

#include "bench/sim/engine.h"
#include "bench/sim/hist.h"

struct work_guest;
struct work_vcpu;

/* What a behaviour is told; times in ticks. 0: its own default. */
struct work_args {
	u64 run, sleep, period, hold, phase;
	bool random;    /* run, sleep and hold are means */
	bool random_set; /* ... and that was said, either way */
};

struct behaviour {
	const char *name, *says;
	struct work_args defaults;
	/* Before the vCPU first runs: sets f->left. */
	void (*begin)(struct work_vcpu *w, u64 now);
	fake_act *act;
	/* It enters its guest, from wherever it was. May be NULL. */
	void (*entered)(struct work_vcpu *w, u64 now);
};

/* One step of a program, in a word. */
enum step_kind {
	STEP_RUN,   /* ticks */
	STEP_SLEEP, /* ticks, by its own timer */
	STEP_UNTIL, /* a moment, ticks since the begin, by its own timer */
	STEP_WAIT,  /* until raised */
	STEP_RAISE, /* the vCPU of that number */
	STEP_YIELD,
	STEP_OFF,
};

#define STEP(kind, value) ((u64)(kind) << 60 | (value))
#define STEP_KIND(step) ((enum step_kind)((step) >> 60))
#define STEP_VALUE(step) ((step) & ((1ULL << 60) - 1))

struct work_program {
	u64 *step;
	size_t steps, room;
};

/* A vCPU's part. */
struct work_vcpu {
	struct fake_vcpu *f;
	struct work_guest *guest;
	struct work_args args;
	const struct behaviour *does;
	u32 number; /* of all vCPUs */
	u64 random;
	u64 began, next; /* its first moment; its next release */
	u32 phase;       /* the behaviour's own */
	u64 tokens;      /* raised, and not waited for yet */
	const struct work_program *program;
	size_t at;

	/* What is seen of it. */
	bool asleep;
	u64 asleep_since;
	u64 due;     /* when what it sleeps for came; TIME_NEVER: it didn't */
	u64 done;    /* jobs, rounds, locks taken: its own measure */
	u64 missed;  /* of them: not before the next was due */
	u64 spun;    /* ticks in which it spun for a lock */
	u64 spins_since;
	struct hist *waits; /* from due to running; of its guest */
};

struct work_guest {
	const char *name;
	struct fake_guest *fg;
	struct work_vcpu *vcpu;
	struct work_vcpu *holder; /* of the guest's lock */
	struct hist waits;
};

/* All vCPUs, by number. */
extern struct work_vcpu *work_all;
extern u32 work_count;

const struct behaviour *behaviour_find(const char *name);
const struct behaviour *behaviour_nth(u32 i);

/* The vCPU begins to do that; it is off. `seed` of the whole run. */
void work_begin(struct work_vcpu *w, const struct behaviour *does,
		const struct work_args *args, u64 seed);

/* Wakes it, or lets its next wait pass. On any CPU. */
void work_raise(struct work_vcpu *w);

/* For the engine. */
extern const struct sim_watch work_watch;

/* Told of what happens, if set (trace_out.c). */
struct work_observer {
	void (*block)(struct fake_cpu *f, struct work_vcpu *w, u64 deadline);
	/* Raised by a guest (by) or from outside; its own timer's wake is told
	 * when it runs. */
	void (*wake)(u64 now, struct work_vcpu *w, struct work_vcpu *by);
	void (*timer)(struct fake_cpu *f, struct work_vcpu *w);
	void (*run)(struct fake_cpu *f, struct work_vcpu *w);
	void (*stop)(struct fake_cpu *f, struct work_vcpu *w, enum run_end end);
};
extern const struct work_observer *work_observer;

#endif
