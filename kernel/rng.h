/*
 * Random numbers that a seed repeats.
 *
 * One secret of 256 bits, from the lab's `seed` or the machine, and any number
 * of streams of it, each by a name. A stream depends on the secret and its
 * name alone, not on who drew before; and nobody can tell one stream from
 * another's output, since guests get theirs as /chosen/rng-seed.
 */
#ifndef ROUSE_KERNEL_RNG_H
#define ROUSE_KERNEL_RNG_H

#include "kernel/base.h"

/* One stream; whoever holds it orders access. */
struct rng {
	u32 key[8];
	u64 stream;
	u64 block; /* the next one */
	u8 buf[64];
	u32 used;  /* bytes of buf */
};

/* Replaces the secret. Boot CPU, before the first stream. */
void rng_seed(const void *seed, size_t bytes);

/* Stirs `bytes` more into the secret: time of day, rng-seed of the machine. */
void rng_stir(const void *seed, size_t bytes);

/* A stream by name, from its beginning. */
void rng_init(struct rng *r, const char *name);

void rng_bytes(struct rng *r, void *out, size_t bytes);
u64 rng_u64(struct rng *r);

/* Uniform in [0, n); 0 for n = 0. */
u64 rng_below(struct rng *r, u64 n);

#endif
