/*
 * The machine's console: an ns16550a once it is mapped, SBI before it and where
 * there is none.
 */
#ifndef ROUSE_ARCH_RISCV_UART_H
#define ROUSE_ARCH_RISCV_UART_H

#include "kernel/base.h"

/* Maps the UART that the tree names, if any. Boot CPU. */
void uart_init(void);

/* Lets the receiver interrupt, which host_irq_enable_uart has made come to a
 * CPU. Until then, and without, the console polls. */
void uart_enable_irq(void);

/* The UART's line rose: tells the console that there is input. */
void uart_irq(void);

/* The line will interrupt nobody any more: the console polls from here on. */
void uart_irq_lost(void);

const char *uart_name(void);

#endif
