/*
 * How a guest's RAM is kept: shared by gmem.c (its life) and gmem_access.c
 * (zeroing, faults, the host's accesses), and by nobody else.
 */
#ifndef ROUSE_KERNEL_GMEM_PRIVATE_H
#define ROUSE_KERNEL_GMEM_PRIVATE_H

#include <ck_pr.h>

#include "kernel/gmem.h"

#define BLOCK_ORDER 9
#define BLOCK_BYTES (PAGE_BYTES << BLOCK_ORDER)
#define BLOCK_PAGES (1u << BLOCK_ORDER)
#define GRANULE_BYTES (64 * KIB)
#define GIB_ORDER 18
#define GIB_BLOCKS (1u << (GIB_ORDER - BLOCK_ORDER))
#define GRANULES_ALL UINT32_MAX

_Static_assert(BLOCK_BYTES / GRANULE_BYTES == 32, "one bit a granule");

enum block_kind {
	BLOCK_NONE,  /* no frames yet */
	BLOCK_WHOLE, /* 2 MiB of its own */
	BLOCK_GIB,   /* one of 512 in a block of 1 GiB */
	BLOCK_PAGES_TABLE, /* a table of 512 frames, HPA_NONE outside RAM */
};

/* 2 MiB of guest physical space, aligned. */
struct gmem_block {
	u64 where;   /* host address or table's pointer, | enum block_kind */
	u32 claimed; /* granules that someone zeroes or has zeroed; atomic */
	u32 ready;   /* granules that are zeroed; atomic, after the zeroes */
	u32 stale;   /* granules that were ready before a reset; the steps' */
};

struct gmem {
	/* Constant after creation. */
	struct guest *guest;
	u64 base, bytes;
	u64 first;  /* guest physical address of block[0] */
	u64 blocks;

	u64 touched_bytes; /* atomic */

	/* Of whoever does the steps: reserve, populate, reset, destroy. */
	u64 step_reserve, step_tables, step_zero, step_map, step_reset;
	u64 step_wipe, step_free;
	u32 pages_left; /* to reserve of the block before step_reserve */
	u32 map_page;   /* the next one to map of the block at step_map */

	struct gmem_block block[];
};

static inline enum block_kind block_kind(const struct gmem_block *b)
{
	return (enum block_kind)(b->where & 3);
}

static inline struct hpa *block_table(const struct gmem_block *b)
{
	return (struct hpa *)(uintptr_t)(b->where & ~3ULL);
}

/* Host address of the block's page `n`; HPA_NONE if it is not RAM. */
static inline struct hpa block_page(const struct gmem_block *b, u32 n)
{
	if (block_kind(b) == BLOCK_PAGES_TABLE)
		return block_table(b)[n];
	return (struct hpa){ (b->where & ~3ULL) + (u64)n * PAGE_BYTES };
}

static inline u64 block_gpa(const struct gmem *m, u64 n)
{
	return m->first + n * BLOCK_BYTES;
}

/* The granules of block `n` that hold no RAM at all: as good as ready. */
u32 block_outside(const struct gmem *m, u64 n);

/* Zeroes the RAM of one granule. Returns its bytes. */
u64 granule_zero(struct gmem_block *b, u32 granule);

/* Zeroes granules of `b` that nobody has claimed until `deadline_ticks`, at
 * least one if there is one. True: all of the block is ready. */
bool block_zero_some(struct gmem *m, struct gmem_block *b, u64 deadline_ticks);

/* The second stage learns of block `n`, which is ready: of all of it, or, if it
 * has single frames, of some around `page`, which becomes the one behind them.
 * 0 or -ENOENT: that is a fault of ours. */
int block_map(struct gmem *m, u64 n, u32 *page) __must_check;

#endif
