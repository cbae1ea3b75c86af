/* The inline part of kernel/arch.h: the thread pointer is the CPU, and a hart's
 * clock is a CSR. */
#ifndef ROUSE_ARCH_INLINE_H
#define ROUSE_ARCH_INLINE_H

#include "kernel/base.h"

struct cpu;

static inline struct cpu *cpu_this(void)
{
	return (struct cpu *)__builtin_thread_pointer();
}

/* As time_now_ticks (kernel/time.h), for where calls are counted. */
static inline u64 arch_ticks(void)
{
	u64 now;

	__asm__ volatile("rdtime %0" : "=r"(now)::"memory");
	return now;
}

void arch_zero(void *p, size_t bytes);

/* Can guests pass by the caches (clean.c)? Constant after boot. */
extern bool clean_needed;
void clean_blocks(const void *p, size_t bytes);

static inline void arch_clean(const void *p, size_t bytes)
{
	if (unlikely(clean_needed))
		clean_blocks(p, bytes);
}

/* sip.SSIP or sip.SEIP: all that doorbells and the host's devices come by. */
static inline bool arch_irq_pends(void)
{
	u64 sip;

	__asm__ volatile("csrr %0, sip" : "=r"(sip)::"memory");
	return sip & (1u << 1 | 1u << 9);
}

#endif
