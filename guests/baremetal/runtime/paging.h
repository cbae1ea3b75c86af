/*
 * Sv39 page tables for tests: an identity map of the first 8 GiB in 1 GiB
 * pages, and single 4 KiB pages wherever a test wants them.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_PAGING_H
#define ROUSE_GUESTS_BAREMETAL_PAGING_H

#include "guests/baremetal/runtime/runtime.h"

#define PTE_V	0x01UL
#define PTE_R	0x02UL
#define PTE_W	0x04UL
#define PTE_X	0x08UL
#define PTE_U	0x10UL
#define PTE_G	0x20UL
#define PTE_A	0x40UL
#define PTE_D	0x80UL
#define PTE_AD	(PTE_A | PTE_D)
#define PTE_RW	(PTE_V | PTE_R | PTE_W | PTE_AD)
#define PTE_RX	(PTE_V | PTE_R | PTE_X | PTE_AD)
#define PTE_RWX (PTE_RW | PTE_X)

#define PTE_OF(pa, flags) (((u64)(pa) >> 12 << 10) | (flags))

/* Nothing is mapped from here on unless a test maps it. */
#define PAGING_FREE_VA 0x1000000000UL

/*
 * An empty address space but for the identity map, which is for S-mode only.
 * All tables made before are given back. One hart at a time.
 */
u64 *paging_new(void);

/* Maps one 4 KiB page; returns where its entry is. */
u64 *paging_map(u64 *root, u64 va, u64 pa, u64 flags);

/* Where the entry of the level (2: 1 GiB, 1: 2 MiB, 0: 4 KiB) for va is. */
u64 *paging_entry(u64 *root, u64 va, u32 level);

/* Translation on this hart, with everything flushed. */
void paging_on(u64 *root, u64 asid);
void paging_off(void);

#endif
