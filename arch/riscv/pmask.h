/*
 * Pointer masking in VS-mode (Privileged ISA, "Pointer Masking Extensions").
 */
#ifndef ROUSE_ARCH_RISCV_PMASK_H
#define ROUSE_ARCH_RISCV_PMASK_H

#include "kernel/base.h"

/*
 * Does this hart mask the upper `pmlen` bits of VS-mode's addresses, and
 * nothing else, with henvcfg.PMM as it is now? Before any guest has run on it:
 * leaves vsatp and hgatp zero.
 */
bool pmask_works(u32 pmlen);

#endif
