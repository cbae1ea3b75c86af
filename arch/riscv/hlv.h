/*
 * Reading guest memory as the guest's own S- or U-mode would, by HLV and HLVX
 * (Privileged ISA, section 15.3). Every access may fault; the fault is caught,
 * the exit's CSRs are put back, and -EFAULT returned.
 * Context: the vCPU is loaded on this CPU, after an exit from it.
 */
#ifndef ROUSE_ARCH_RISCV_HLV_H
#define ROUSE_ARCH_RISCV_HLV_H

#include "kernel/base.h"

/* The exception that a load of the guest's own would have ended in. */
struct hlv_fault {
	u64 cause, tval; /* for scause, stval */
};

/*
 * 0, or -EFAULT and `fault`; -EAGAIN: it lies in RAM that is only now being
 * made present, a step of the work was done, and the guest is to execute its
 * instruction again (so that mail and timers are looked at in between). `gva`
 * may be misaligned.
 */
int hlv_u64(u64 gva, u64 *out, struct hlv_fault *fault) __must_check;

/* The instruction at `gva`, of 16 or 32 bits, with execute permission: 0, or
 * -EFAULT. */
int hlvx_inst(u64 gva, u32 *out) __must_check;

#endif
