/*
 * The host's own timer; kernel/time.h and kernel/arch.h have its users' side.
 */
#ifndef ROUSE_ARCH_RISCV_CLOCK_H
#define ROUSE_ARCH_RISCV_CLOCK_H

/* Reads the machine's clock. Boot CPU, once. */
void clock_init(void);

/* The harts' Sstc is to lie idle. Before any clock_cpu_init. */
void clock_leave_sstc(void);

/* Silences this CPU's timer. On each CPU, before it may be interrupted. */
void clock_cpu_init(void);

/* "sstc" or "sbi". */
const char *clock_name(void);

#endif
