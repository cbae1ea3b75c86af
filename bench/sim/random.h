/*
 * Random numbers that are the same on every host: integers only, and a stream
 * of its own for whoever wants one.
 */
#ifndef ROUSE_SIM_RANDOM_H
#define ROUSE_SIM_RANDOM_H

#include "kernel/base.h"

/* Any word is a good state to begin with. */
static inline u64 random_next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* 0 to n - 1. */
static inline u64 random_below(u64 *state, u64 n)
{
	return (u64)((unsigned __int128)random_next(state) * n >> 64);
}

/* Exponentially distributed, at least 1. */
u64 random_exponential(u64 *state, u64 mean);

#endif
