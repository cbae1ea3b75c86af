/*
 * RAM that is zero in memory itself, and not only in caches.
 *
 * With Svpbmt a guest may access its RAM around the caches: its own page tables
 * say so, and what the second stage says doesn't count. Zeroes that have only
 * come as far as a cache would show it what memory held before, which was
 * somebody else's. So they are written back before it has the frames. Guests
 * are told of Svpbmt only where that can be done (isa.c).
 */
#include "arch/riscv/cbo.h"
#include "arch/riscv/isa.h"
#include "kernel/arch.h"

bool clean_needed;

void clean_blocks(const void *p, size_t bytes)
{
	u64 at = (u64)p, end = at + bytes, block = isa_cbom_bytes;

	for (; at < end; at += block)
		__asm__ volatile(CBO("cbo.clean (%0)") ::"r"(at) : "memory");
	/* Before anything that tells of the frames. */
	__asm__ volatile("fence" ::: "memory");
}
