/*
 * Rows of memory that is touched for the first time in the guest's life.
 *
 * What a page is depends on the hypervisor. Rouse maps blocks of 2 MiB and
 * single pages where RAM begins or ends inside of one; so the lab gives one
 * guest a page more than whole blocks and another many blocks, and starts them
 * again and again (bench/meter/touch.py), since memory can be touched for the
 * first time only once.
 */
#include "guests/baremetal/meter/meter.h"

#define BLOCK_BYTES (2UL << 20)

static bool untouched(u64 at, u64 bytes)
{
	for (u32 i = 0; i < machine.reserved_count; i++)
		if (machine.reserved[i].base < at + bytes &&
		    at < machine.reserved[i].base + machine.reserved[i].bytes)
			return false;
	return true;
}

void role_fault(void)
{
	u64 base = machine.ram[0].base, end = base + machine.ram[0].bytes;
	u64 last = end & ~(BLOCK_BYTES - 1);

	for (u64 at = (base + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
	     at + BLOCK_BYTES <= end; at += BLOCK_BYTES) {
		volatile u64 *word = (volatile u64 *)at;

		if (!untouched(at, BLOCK_BYTES))
			continue;
		MARK_ROW(ROW_FAULT_2M, MARK_BEGIN);
		*word = 1;
		MARK_ROW(ROW_FAULT_2M, MARK_END);
	}
	if (last < end && untouched(last, end - last)) {
		volatile u64 *word = (volatile u64 *)last;

		MARK_ROW(ROW_FAULT_4K, MARK_BEGIN);
		*word = 1;
		MARK_ROW(ROW_FAULT_4K, MARK_END);
	}
}
