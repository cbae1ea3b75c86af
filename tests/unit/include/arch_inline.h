/* The inline part of kernel/arch.h on the host: a CPU is a variable's value,
 * one in each thread. Tests that need it link tests/unit/fake_arch. */
#ifndef ROUSE_TEST_ARCH_INLINE_H
#define ROUSE_TEST_ARCH_INLINE_H

#include "kernel/time.h"

#include <string.h>

struct cpu;

extern _Thread_local struct cpu *fake_this_cpu;

static inline struct cpu *cpu_this(void)
{
	return fake_this_cpu;
}

static inline u64 arch_ticks(void)
{
	return time_now_ticks();
}

static inline bool arch_irq_pends(void)
{
	return true;
}

static inline void arch_zero(void *p, size_t bytes)
{
	memset(p, 0, bytes);
}

#endif
