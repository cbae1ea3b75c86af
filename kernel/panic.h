/*
 * The end: for our own bugs only. No guest input may reach one of these.
 */
#ifndef ROUSE_KERNEL_PANIC_H
#define ROUSE_KERNEL_PANIC_H

#include "kernel/base.h"

/*
 * Prints the reason, registers, a symbolised backtrace and what every CPU was
 * doing, then powers the machine off with a failing status.
 */
_Noreturn void panic(const char *fmt, ...) __printf(1, 2);

/* The same for a trap in the hypervisor: the backtrace starts at `pc` and the
 * frame `fp` rather than at the caller. */
_Noreturn void panic_at(u64 pc, u64 fp, const char *fmt, ...) __printf(3, 4);

/* Has some CPU panicked? Whoever else writes to the machine's console stops
 * then. */
bool panic_active(void);

/*
 * A clear refusal: prints one line that says what is wrong and what was
 * expected, then powers off with a failing status. For a machine or a lab that
 * Rouse can't run.
 */
_Noreturn void refuse(const char *fmt, ...) __printf(1, 2);

#define ASSERT(cond)                                                    \
	do {                                                            \
		if (unlikely(!(cond)))                                  \
			panic("%s:%d: assertion failed: %s", __FILE__,  \
			      __LINE__, #cond);                         \
	} while (0)

#endif
