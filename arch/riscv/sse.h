/*
 * Interrupting a hart whose interrupts are off, by the firmware: SBI 3.0,
 * chapter 17, Supervisor Software Events.
 */
#ifndef ROUSE_ARCH_RISCV_SSE_H
#define ROUSE_ARCH_RISCV_SSE_H

#include "kernel/base.h"

struct riscv_cpu;

/* Decides whether events are used, by the firmware, the doorbell and the
 * command line (`sse=on|off`; any other value is refused). Boot, once. */
void sse_init(void);

/* Makes this hart ready to be asked where it is (arch_cpu_where_ask). The hart
 * itself, at its start. */
void sse_cpu_init(struct riscv_cpu *c);

#endif
