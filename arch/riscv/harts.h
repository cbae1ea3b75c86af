/*
 * The other harts: starting them, and those that don't come.
 */
#ifndef ROUSE_ARCH_RISCV_HARTS_H
#define ROUSE_ARCH_RISCV_HARTS_H

#include "kernel/base.h"

struct riscv_cpu;

extern struct riscv_cpu boot_cpu;

/*
 * Asks the firmware to start every other hart of the machine, waits for them,
 * and gives those that came up their numbers; each of the others is said and
 * left out, for good. The boot hart is CPU 0. Once, on the boot hart, when the
 * doorbell and the host's interrupts are known.
 */
void harts_start(void);

/* What each CPU does for itself, the boot CPU included. */
void hart_local_init(struct riscv_cpu *c);

#endif
