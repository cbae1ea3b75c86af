/*
 * What machine.c (RAM, harts, the console) and machine_irq.c (the interrupt
 * controllers) know of each other, and nobody else does.
 */
#ifndef ROUSE_ARCH_RISCV_MACHINE_PRIVATE_H
#define ROUSE_ARCH_RISCV_MACHINE_PRIVATE_H

#include "kernel/base.h"

/* A property's first cell. */
u32 machine_prop_u32(const void *fdt, int node, const char *name, u32 absent);
/* Does its status say so, or nothing? */
bool machine_node_usable(const void *fdt, int node);

/* Fills in what `machine` says of them; the rest of it is there. */
void machine_read_irqs(const void *fdt);

#endif
