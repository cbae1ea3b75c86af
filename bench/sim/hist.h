/*
 * How long things took: counts on a scale of powers of two, each in 32 parts,
 * so that a percentile is right within 3 %.
 */
#ifndef ROUSE_SIM_HIST_H
#define ROUSE_SIM_HIST_H

#include "kernel/base.h"

#define HIST_BITS 5
#define HIST_BUCKETS ((64 - HIST_BITS + 1) << HIST_BITS)

struct hist {
	u64 n, sum, max;
	u32 count[HIST_BUCKETS];
};

static inline u32 hist_bucket(u64 v)
{
	u32 up;

	if (v < 1u << HIST_BITS)
		return (u32)v;
	up = 63 - (u32)__builtin_clzll(v) - HIST_BITS;
	return ((up + 1) << HIST_BITS) + (u32)(v >> up) - (1u << HIST_BITS);
}

/* The least value of a bucket. */
static inline u64 hist_least(u32 bucket)
{
	u32 up = bucket >> HIST_BITS;

	if (!up)
		return bucket;
	return (u64)((bucket & ((1u << HIST_BITS) - 1)) | 1u << HIST_BITS)
	       << (up - 1);
}

static inline void hist_add(struct hist *h, u64 v)
{
	h->n++;
	h->sum += v;
	h->max = MAX(h->max, v);
	h->count[hist_bucket(v)]++;
}

static inline void hist_merge(struct hist *h, const struct hist *from)
{
	h->n += from->n;
	h->sum += from->sum;
	h->max = MAX(h->max, from->max);
	for (u32 i = 0; i < HIST_BUCKETS; i++)
		h->count[i] += from->count[i];
}

/* The value that `permille` of all are not above; 0 of none. */
static inline u64 hist_at(const struct hist *h, u32 permille)
{
	u64 rank = (h->n * permille + 999) / 1000, seen = 0;

	for (u32 i = 0; i < HIST_BUCKETS && h->n; i++) {
		seen += h->count[i];
		if (seen >= MAX(rank, 1)) {
			u64 top = i + 1 < HIST_BUCKETS ?
					  hist_least(i + 1) - 1 : h->max;

			return MIN(top, h->max);
		}
	}
	return 0;
}

#endif
