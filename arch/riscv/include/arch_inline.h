/* The inline part of kernel/arch.h: the thread pointer is the CPU. */
#ifndef ROUSE_ARCH_INLINE_H
#define ROUSE_ARCH_INLINE_H

struct cpu;

static inline struct cpu *cpu_this(void)
{
	return (struct cpu *)__builtin_thread_pointer();
}

#endif
