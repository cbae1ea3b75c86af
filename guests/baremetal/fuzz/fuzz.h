/*
 * The fuzzing guest: what its supervisor, its generator and its landing share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_FUZZ_H
#define ROUSE_GUESTS_BAREMETAL_FUZZ_H

#include "guests/baremetal/runtime/runtime.h"

#define SCRATCH_BYTES (1UL << 20) /* what random code is meant to write to */
#define CODE_BYTES    128
#define USER_VA	      0x1000000000UL /* beyond the identity map */

/* Offsets that land.S knows. */
#define RUNNER_X     0
#define RUNNER_STUB  256
#define RUNNER_STACK 264

/* A hart that runs random code. */
struct runner {
	u64 x[32];   /* registers at the entry */
	u32 stub[2]; /* stvec: "sp = here; go to fuzz_land" */
	u64 stack_top;
	u64 pc;
	bool user;
	u64 satp;	/* while it runs */
	u64 step;	/* the one that runs; others read it */
	u64 causes[64]; /* how steps ended */
	struct hart *hart;
	struct rand rand;

	/* Its address space: identity, and random pages at USER_VA. */
	u64 root[512] __attribute__((aligned(4096)));
	u64 middle[512] __attribute__((aligned(4096)));
	u64 leaf[512] __attribute__((aligned(4096)));
	u8 code[4096] __attribute__((aligned(4096)));
};

extern u8 fuzz_scratch[SCRATCH_BYTES];

extern bool fuzz_svinval; /* the harts have it */

/* What all steps of a hart share of its address space. */
void fuzz_space_init(struct runner *r);

/* Makes step r->step of the seed: code, registers, address space, mode. */
void fuzz_make(struct runner *r, u64 seed);

/* land.S: runs the step; comes back in fuzz_landed, on an empty stack. */
_Noreturn void fuzz_go(struct runner *r);
_Noreturn void fuzz_landed(struct runner *r);
void fuzz_land(void);

#endif
