/* The inline part of kernel/arch.h: the thread pointer is the CPU. */
#ifndef ROUSE_ARCH_INLINE_H
#define ROUSE_ARCH_INLINE_H

struct cpu;

static inline struct cpu *cpu_this(void)
{
	struct cpu *c;

	__asm__("mv %0, tp" : "=r"(c));
	return c;
}

#endif
