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

/* So far; one for all sources of a test. */
__attribute__((weak)) u64 fake_cleaned_bytes;

static inline void arch_clean(const void *p, size_t bytes)
{
	(void)p;
	__atomic_add_fetch(&fake_cleaned_bytes, bytes, __ATOMIC_RELAXED);
}

#endif
