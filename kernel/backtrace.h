/*
 * Who called whom, and what functions are called.
 */
#ifndef ROUSE_KERNEL_BACKTRACE_H
#define ROUSE_KERNEL_BACKTRACE_H

#include "kernel/base.h"

/*
 * The function that holds `pc`, and how far in; NULL if the table made by
 * tools/ksyms knows none. Any context.
 */
const char *ksym_find(u64 pc, u64 *offset);

/* "name+0x12", or the bare address: into `buf`, always terminated. */
void ksym_format(u64 pc, char *buf, size_t bytes);

/* The same for a return address. It belongs to the function that called, even
 * where the call is that one's last instruction and the address behind it the
 * next function's first. */
void ksym_format_return(u64 ra, char *buf, size_t bytes);

struct cpu;

/*
 * Calls `fn` for `pc` and then for each caller, from frame pointer `fp` up to
 * the end of the stack of CPU `c`, 64 at most. Reads nothing but the stack:
 * frames must rise and arch_frame_next must vouch for them.
 */
void backtrace(struct cpu *c, u64 pc, u64 fp,
	       void (*fn)(void *ctx, u64 pc), void *ctx);

#endif
