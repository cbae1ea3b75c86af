/*
 * RAM full of zeroes: with Zicboz, where the firmware lets it be used (cbo.c),
 * a cache block at a time, which isn't read before it is written.
 */
#include "kernel/arch.h"
#include "arch/riscv/cbo.h"
#include "arch/riscv/isa.h"

#include <string.h>

void arch_zero(void *p, size_t bytes)
{
	u64 at = (u64)p, end = at + bytes, block = isa_cboz_bytes;

	if (!isa_has(ISA_ZICBOZ)) {
		memset(p, 0, bytes);
		return;
	}
	for (; at < end; at += block)
		__asm__ volatile(CBO("cbo.zero (%0)") ::"r"(at) : "memory");
}
