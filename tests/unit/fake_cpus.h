/*
 * CPUs of tests that have no core: each is known by its index, and its mail is
 * looked at when the test says so.
 */
#ifndef TESTS_UNIT_FAKE_CPUS_H
#define TESTS_UNIT_FAKE_CPUS_H

#include "kernel/percpu/cpu.h"
#include "kernel/percpu/mbox.h"

/* All of `cpus`, in order; the test has kernel/percpu/cpu.c. */
static inline void fake_cpus_add(struct cpu *cpus, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		cpus[i].index = i;
		mbox_init(&cpus[i].mbox);
		cpu_register(&cpus[i]);
	}
}

/* As a round of the core's. Returns how many wanted something of `c`. */
static inline u32 fake_cpu_looks(struct cpu *c, u64 now)
{
	struct mbox_node *n = mbox_take_all(&c->mbox), *next;
	u32 count = 0;

	for (; n; n = next, count++) {
		next = mbox_next(n);
		n->look(c, n, mbox_take(n), now);
	}
	return count;
}

#endif
