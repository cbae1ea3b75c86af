/*
 * Where a CPU is: for panics, and for the watchdog.
 */
#ifndef ROUSE_KERNEL_WHERE_H
#define ROUSE_KERNEL_WHERE_H

#include "kernel/base.h"

struct cpu;

/*
 * Calls `line` with lines of text about `c`: mode, vCPU and mail as they are
 * published; where it is in its code if it was asked (arch_cpu_where_ask) and
 * has answered; and its last trace records if it records. Any CPU, any context;
 * `c` may be stuck, or go on meanwhile: then the lines are of several moments.
 */
void where_print(struct cpu *c, void (*line)(void *ctx, const char *text),
		 void *ctx);

#endif
