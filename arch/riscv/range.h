/*
 * Ranges of the host's physical memory, in whole pages, and what is left of one
 * when others are taken out of it.
 */
#ifndef ROUSE_ARCH_RISCV_RANGE_H
#define ROUSE_ARCH_RISCV_RANGE_H

#include "kernel/base.h"

struct range {
	u64 from, to; /* `to` is the first byte behind */
};

/* The pages of which something, or all, is in `bytes` from `base` on; what
 * would lie beyond the last address is cut off. */
struct range range_around(u64 base, u64 bytes);
struct range range_within(u64 base, u64 bytes);

/* Of all ranges that are considered, the lowest that ends behind an address. */
struct range_search {
	u64 behind;
	struct range found;
};

void range_consider(struct range_search *s, struct range r);

/* Considers some ranges; they may be empty, overlap, and come in any order. */
typedef void ranges_fn(const void *ctx, struct range_search *s);

/* Calls `piece` for each part of `r` that is in none of `taken`, in order. */
void range_without(struct range r, ranges_fn *taken, const void *ctx,
		   void (*piece)(u64 base, u64 bytes));

/* Are the ranges together all of `r`? */
bool range_covered(struct range r, ranges_fn *by, const void *ctx);

#endif
