/*
 * Properties that every policy must have, tried with random guests and random
 * operations. A case is all that a run depends on; it can be written down, read
 * back and made smaller.
 */
#ifndef ROUSE_SIM_PROPS_H
#define ROUSE_SIM_PROPS_H

#include <stdio.h>

#include "bench/sim/work.h"

enum prop_op_kind {
	OP_NOTHING, /* time passes */
	OP_WAKE,
	OP_PIN,    /* arg: bits of CPUs */
	OP_UNPIN,
	OP_FEW,    /* arg: makes one to three CPUs, close to each other */
	OP_WEIGHT, /* this and the next four: of the vCPU's guest */
	OP_CAP,
	OP_PRIORITY,
	OP_SLICE,
	OP_PAUSE,
	OP_RESUME,
	OP_KILL,   /* one vCPU; it may be started again */
	OP_START,
	OP_POLICY, /* arg: which of the registry */
	OP_WORK,   /* does something else from now on */
	OP_KINDS,
};

struct prop_op {
	u32 kind, after_us, target, arg;
};

enum prop_kind {
	PROP_CHAOS,  /* everything at once; nobody may be lost */
	PROP_SHARES, /* hogs; shares by weight, caps kept */
	PROP_PLACES, /* most may run on few CPUs; now and then something
		      * changes */
};

struct prop_case {
	u64 seed;
	enum prop_kind kind;
	char policy[32];
	u32 cpus, guests, vcpus; /* vcpus: the most that a guest has */
	u32 ops;
	struct prop_op *op;
};

/* What became of it; shared between the process that runs it and the one that
 * asked for it. */
struct prop_verdict {
	u64 events;
	bool at_shares; /* all held up to the last question, who had how much */
	char why[400];	/* empty: all is well */
};

/* Runs the case in a process of its own. True: it passed. */
bool prop_try(const struct prop_case *c, struct prop_verdict *v);

/* Runs the case here, and ends the process if a property does not hold. */
void prop_run(const struct prop_case *c, struct prop_verdict *v);

void prop_generate(struct prop_case *c, const char *policy, u64 seed, u32 ops);
void prop_print(const struct prop_case *c, FILE *out);
void prop_read(const char *path, struct prop_case *c);
/* The smallest that fails as well, in at most `tries` runs. */
void prop_shrink(struct prop_case *c, struct prop_verdict *v, u32 tries);

/* ---- For the checks ---- */

struct prop_guest {
	struct work_guest w;
	u64 capped_since, ran_before; /* begin of the time its cap is held to */
};

extern struct prop_guest *prop_guests;
extern u32 prop_guest_count;

/* The property does not hold: says so in the verdict, and ends. */
_Noreturn void prop_fail(const char *fmt, ...) __printf(1, 2);

/* Everything that must hold at each moment. */
void check_moment(u64 now);
void check_begin(u64 now);
/* The policy or a cap has changed: what is held to them begins anew. */
void check_policy_changed(u64 now);
void check_cap_changed(struct prop_guest *g, u64 now);
/* Shares since check_shares_begin are those of weights and caps. */
void check_shares_begin(u64 now);
void check_shares(u64 now);
/* For the watch. */
void check_entered(struct fake_cpu *f, struct fake_vcpu *v);
void check_left(struct fake_cpu *f);

/* Of check_moment: no CPU stays idle to which there is a way (props_places.c).
 * `changed`: what was seen up to now is of no account. */
void check_places(u64 now, bool changed);

bool policy_looks_at(const char *knob);
/* Does the policy have `give`? */
bool policy_gives(void);
/* Nobody has run on that CPU for longer than what the hypervisor may take. */
bool idle_for_long(u32 cpu, u64 now);

#endif
