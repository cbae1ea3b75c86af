/*
 * A guest whose vCPUs run at once, each in a thread that stands for its CPU,
 * for stress tests of what harts do to each other.
 */
#ifndef ROUSE_TESTS_STRESS_HARTS_H
#define ROUSE_TESTS_STRESS_HARTS_H

#include "arch/riscv/vcpu.h"

#define HARTS_MAX 16

/*
 * Runs `main` for each of the guest's vCPUs, in a thread with that vCPU as its
 * argument; returns when all have ended. The first is `first`, the others are
 * `stride` bytes apart, each in a structure of the test's own; g->vcpu has room
 * for them. Two minutes at most: who waits for ever ends the program.
 */
void harts_run(struct guest *g, struct riscv_vcpu *first, size_t stride,
	       void *(*main)(void *vcpu));

/* Where a thread's numbers begin, and the next one, below `below`. */
u64 hart_seed(const struct riscv_vcpu *v);
u32 hart_random(u64 *rng, u32 below);

#endif
