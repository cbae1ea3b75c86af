/*
 * Vector registers: how long they are, and whether guests may have them.
 */
#ifndef ROUSE_ARCH_RISCV_VECTOR_H
#define ROUSE_ARCH_RISCV_VECTOR_H

#include "kernel/base.h"

/* Bytes of one, the same on all harts; 0: guests have none. Constant after
 * vector_finish. */
extern u64 vector_reg_bytes;

/* On each hart that the tree says has V: measures its own. Bytes; 0: it has no
 * V, whatever the tree says. sstatus.VS is Off before and after. */
u64 vector_measure(void);

/* On the boot hart, after all have: where lengths differ, V is no extension of
 * the harts (isa.h), which is said. */
void vector_finish(void);

#endif
