/*
 * Sv39 tables out of a small fixed pool: tests need a handful of pages, and a
 * new address space takes all of the old one's back.
 */
#include "guests/baremetal/runtime/paging.h"

#define POOL_PAGES 32
#define SATP_SV39  (8UL << 60)

static u64 pool[POOL_PAGES][512] __attribute__((aligned(4096)));
static u32 used;

static u64 *take(void)
{
	if (used == POOL_PAGES)
		die("no more page tables");
	memset(pool[used], 0, sizeof(pool[0]));
	return pool[used++];
}

u64 *paging_new(void)
{
	u64 *root;

	used = 0;
	root = take();
	for (u64 i = 0; i < 8; i++)
		root[i] = PTE_OF(i << 30, PTE_RWX);
	return root;
}

u64 *paging_entry(u64 *root, u64 va, u32 level)
{
	u64 *table = root;

	for (u32 l = 2; l > level; l--) {
		u64 *e = &table[va >> (12 + 9 * l) & 511];

		if (!(*e & PTE_V))
			*e = PTE_OF(take(), PTE_V);
		table = (u64 *)(*e >> 10 << 12);
	}
	return &table[va >> (12 + 9 * level) & 511];
}

u64 *paging_map(u64 *root, u64 va, u64 pa, u64 flags)
{
	u64 *e = paging_entry(root, va, 0);

	*e = PTE_OF(pa, flags);
	return e;
}

void paging_on(u64 *root, u64 asid)
{
	csr_write(satp, SATP_SV39 | asid << 44 | (u64)root >> 12);
	__asm__ volatile("sfence.vma" ::: "memory");
}

void paging_off(void)
{
	csr_write(satp, 0);
	__asm__ volatile("sfence.vma" ::: "memory");
}
