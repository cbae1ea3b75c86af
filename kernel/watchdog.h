/*
 * The watchdog: notices a CPU that stops answering, and says where all are.
 *
 * A CPU that goes round its loop is never taken for stuck, however slow it is;
 * neither is one whose guest does not let go, since its doorbell ends the
 * guest's turn. How it is told apart is at the top of watchdog.c.
 */
#ifndef ROUSE_KERNEL_WATCHDOG_H
#define ROUSE_KERNEL_WATCHDOG_H

#include "kernel/base.h"

/*
 * Begins to watch, as `watchdog=` on the command line says: report (the
 * default), panic, or off. Refuses any other word. Boot CPU, before the CPUs
 * are let go.
 */
void watchdog_init(void);

/*
 * Lets CPU `cpu` do nothing for so long, as a bug in Rouse would. 0; -EINVAL:
 * there is no such CPU; -EBUSY: another one still stands still. Any CPU.
 */
int watchdog_stall(u32 cpu, u64 ticks) __must_check;

#endif
