/*
 * Exponentially distributed numbers without floating point, whose logarithms
 * differ from one C library to another.
 *
 * -ln(u) of a uniform u in (0, 1] is ln 2 times -log2(u), whose integer part is
 * the number of leading zeros of u and whose fraction comes bit by bit from
 * squaring the rest: the square's carry is the next bit.
 */
#include "bench/sim/random.h"

#define FRACTION_BITS 20

u64 random_exponential(u64 *state, u64 mean)
{
	u64 r = random_next(state) | 1, log2, zeros, m;

	zeros = (u64)__builtin_clzll(r);
	m = r << zeros; /* in [1, 2), the point after the first bit */
	log2 = 0;
	for (int i = 0; i < FRACTION_BITS; i++) {
		unsigned __int128 sq = (unsigned __int128)m * m;
		bool carry = sq >> 127 & 1;

		m = (u64)(sq >> (carry ? 64 : 63));
		log2 = log2 << 1 | carry;
	}
	/* u = m / 2^(zeros + 1), and ln 2 = 0.693147... */
	log2 = ((zeros + 1) << FRACTION_BITS) - log2;
	return 1 + (u64)((unsigned __int128)mean * log2 * 693147181 /
			 (1000000000ULL << FRACTION_BITS));
}
