/* Finding bits. */
#ifndef ROUSE_KERNEL_BITS_H
#define ROUSE_KERNEL_BITS_H

#include "kernel/base.h"

/*
 * The lowest set bit's number; x is not 0. A multiplication by a de Bruijn
 * number: rv64imac has no instruction for it, and libgcc's takes twice as long.
 */
static inline u64 bit_lowest(u64 x)
{
	static const u8 number[64] = {
		0, 1, 48, 2, 57, 49, 28, 3, 61, 58, 50, 42, 38, 29, 17, 4,
		62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
		63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
		46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9, 13, 8, 7, 6,
	};

	return number[((x & -x) * 0x03f79d71b4cb0a89ull) >> 58];
}

#endif
