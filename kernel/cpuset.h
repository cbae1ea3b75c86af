/*
 * A set of CPUs, by dense index. Plain data: whoever holds it orders access.
 */
#ifndef ROUSE_KERNEL_CPUSET_H
#define ROUSE_KERNEL_CPUSET_H

#include "kernel/base.h"

/* A multiple of 64. The simulator has more. */
#ifndef CPU_MAX
#define CPU_MAX 1024
#endif
#define CPU_NONE UINT32_MAX

struct cpuset {
	u64 w[CPU_MAX / 64];
};

static inline void cpuset_add(struct cpuset *s, u32 cpu)
{
	s->w[cpu / 64] |= 1ULL << (cpu % 64);
}

static inline bool cpuset_has(const struct cpuset *s, u32 cpu)
{
	return cpu < CPU_MAX && (s->w[cpu / 64] >> (cpu % 64) & 1);
}

/* The first member at or after `from`, or CPU_NONE. */
static inline u32 cpuset_next(const struct cpuset *s, u32 from)
{
	for (u32 i = from / 64; from < CPU_MAX && i < CPU_MAX / 64; i++) {
		u64 w = s->w[i];

		if (i == from / 64)
			w &= ~0ULL << (from % 64);
		if (w)
			return i * 64 + (u32)__builtin_ctzll(w);
	}
	return CPU_NONE;
}

#define cpuset_for_each(cpu, s) \
	for (u32 cpu = cpuset_next(s, 0); cpu != CPU_NONE; \
	     cpu = cpuset_next(s, cpu + 1))

#endif
