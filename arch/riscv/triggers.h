/*
 * The harts' debug triggers (Sdtrig), which only M-mode can set: by the
 * firmware's DBTR extension (SBI 3.0, chapter 19).
 */
#ifndef ROUSE_ARCH_RISCV_TRIGGERS_H
#define ROUSE_ARCH_RISCV_TRIGGERS_H

#include "kernel/base.h"

struct riscv_cpu;

/* As tdata1 and tdata2 (Debug specification 1.0, mcontrol6). */
struct trigger {
	u64 control, address;
};

/*
 * How many triggers each hart has that have been seen to work, and for which
 * sizes of access (a bit for each value of mcontrol6.size). 0: none, and then
 * nothing else here may be called. Constant after boot.
 */
extern u32 triggers_count, triggers_sizes;

/*
 * Tries this hart's triggers and narrows the two above. Each hart once, with
 * its trap vector set, before there are guests.
 */
void triggers_probe(struct riscv_cpu *c);

/*
 * Sets these triggers on this hart, in place of those that were set. All of
 * them match in VS-mode and VU-mode only. 0 or -EIO: the firmware refuses, and
 * none is set.
 */
int triggers_set(const struct trigger *list, u32 count) __must_check;

#endif
