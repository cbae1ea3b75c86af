/*
 * The hypervisor's own address space (Sv39, Privileged ISA 12.4).
 *
 *   0xffffffc0_00000000  RAM, 240 GiB from the first RAM address on
 *   0xfffffffc_00000000  device registers
 *   0xfffffffe_00000000  stacks, an unmapped page under each
 *   0xffffffff_80000000  Rouse's image
 *
 * Nothing is writable and executable at once, at either of its addresses.
 * Only the boot CPU maps, before the others start.
 */
#ifndef ROUSE_ARCH_RISCV_MM_H
#define ROUSE_ARCH_RISCV_MM_H

#include "arch/riscv/range.h"
#include "kernel/base.h"

#define STACK_BYTES (16 * KIB)

/*
 * First step, on head.S's page table: makes RAM reachable through hpa_ptr by
 * pages of 1 GiB, so that the page allocator can be fed. Returns the tree.
 */
const void *mm_early_init(struct hpa image, struct hpa fdt);

/* Second step: the final table, and this CPU moves to it. */
void mm_init(void);

/* The first address that hpa_ptr doesn't reach: Sv39's window may be too small
 * for all RAM. And is this all RAM, as the tree tells of it, and reached? */
u64 mm_end(void);
bool mm_has(struct range r);

/* satp for the other harts. */
u64 mm_satp(void);

/* Device registers, uncached by the platform's attributes. NULL: no memory. */
volatile void *mm_map_device(u64 base, u64 bytes);

/* A stack with an unmapped page under it: the address of its end; 0: none. */
u64 mm_stack_alloc(void);

/* Is this address on an unmapped page under a stack? For panics. */
bool mm_is_stack_guard(u64 va);

/* Where the image lies. */
struct hpa mm_image_hpa(const void *ptr);

#endif
