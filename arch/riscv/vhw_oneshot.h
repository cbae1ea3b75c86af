/*
 * vhw.h's part for the one-shot timer, apart because a CPU's structure holds
 * one (cpu.h), and vhw.h needs that structure.
 */
#ifndef ROUSE_ARCH_RISCV_VHW_ONESHOT_H
#define ROUSE_ARCH_RISCV_VHW_ONESHOT_H

#include "kernel/base.h"

#ifdef __riscv

#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/sbi.h"

/* This CPU's one-shot timer: stimecmp, or a call of the firmware. */
static inline void vhw_oneshot_write(u64 host_ticks)
{
	if (riscv_has_sstc)
		csr_write(CSR_STIMECMP, host_ticks);
	else
		sbi_call(SBI_EXT_TIME, 0, host_ticks, 0, 0);
}

#else

void vhw_oneshot_write(u64 host_ticks);

#endif

#endif
