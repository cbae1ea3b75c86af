/*
 * Three ways to ring another hart, chosen at boot, best first: its IMSIC
 * (AIA 1.0, 3.2), ACLINT SSWI (1.0-rc4, chapter 4), SBI IPI (SBI 2.0, chapter
 * 7). `-append doorbell=imsic|sswi|sbi` forces one.
 */
#ifndef ROUSE_ARCH_RISCV_DOORBELL_H
#define ROUSE_ARCH_RISCV_DOORBELL_H

#include "kernel/base.h"

struct riscv_cpu;

/* Chooses, and maps what is needed; refuses a forced one that isn't there. */
void doorbell_init(void);

/* Fills a CPU's own addresses, boot CPU, before the CPU starts. NULL; or why
 * the hart can't be rung, as in "hart 3 ...". */
const char *doorbell_cpu_init(struct riscv_cpu *c, u32 intc) __must_check;

const char *doorbell_name(void);

/* Is each ring a call to the firmware? */
bool doorbell_is_firmware(void);

/* The IMSIC took an interrupt with the doorbell's identity. */
#define DOORBELL_IMSIC_ID 1

#endif
