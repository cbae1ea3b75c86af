/*
 * Interrupts of the host's own devices: one so far, the console's UART, on
 * the boot CPU. By a PLIC, or by an APLIC that sends messages to an IMSIC.
 */
#ifndef ROUSE_ARCH_RISCV_HOST_IRQ_H
#define ROUSE_ARCH_RISCV_HOST_IRQ_H

#include "kernel/base.h"

struct riscv_cpu;

/* Maps the controllers, and clears what all CPUs share of them. Boot CPU,
 * once. */
void host_irq_init(void);

/* A CPU's place in the controllers; boot CPU, before that CPU starts. -ENOENT:
 * the IMSICs have none for it. */
int host_irq_cpu_init(struct riscv_cpu *c, u32 intc) __must_check;

/* On each CPU itself, when it comes up: what it takes, and nothing else that
 * may have been enabled before. */
void host_irq_local_init(struct riscv_cpu *c);

/* Lets the machine's console interrupt this CPU. False: it can't. */
bool host_irq_enable_uart(struct riscv_cpu *c);

/* sip.SEIP is set: takes what pends, the doorbell's or a device's. What isn't
 * ours is switched off; it always comes back. */
void host_irq_take(void);

const char *host_irq_name(void);

#endif
