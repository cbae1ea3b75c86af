/*
 * memset, memcpy and memmove for zeroing RAM and unpacking images.
 *
 * The C library that comes with the cross compiler moves one byte at a time,
 * which makes a guest's first touch of its RAM eight times as slow as need be.
 * These move words, eight at a time where they can, and bytes at the edges.
 * Harts may trap on misaligned accesses, so there are none: where the ends are
 * not aligned alike each word is put together from two (an archive's files
 * begin at multiples of four).
 *
 * Hypervisor only: host programs have good ones of their own.
 */
#include <string.h>

#include "kernel/base.h"

/* The compiler would see the loops for what they are, and call memset. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

typedef u64 __attribute__((may_alias)) word;

#define WORD sizeof(word)

void *memset(void *to, int byte, size_t bytes)
{
	u8 *d = to;
	u64 w = (u8)byte * 0x0101010101010101ULL;

	for (; bytes && !IS_ALIGNED((uintptr_t)d, WORD); bytes--)
		*d++ = (u8)byte;
	for (; bytes >= 8 * WORD; bytes -= 8 * WORD, d += 8 * WORD) {
		word *p = (word *)(void *)d;

		p[0] = w;
		p[1] = w;
		p[2] = w;
		p[3] = w;
		p[4] = w;
		p[5] = w;
		p[6] = w;
		p[7] = w;
	}
	for (; bytes >= WORD; bytes -= WORD, d += WORD)
		*(word *)(void *)d = w;
	while (bytes--)
		*d++ = (u8)byte;
	return to;
}

/* `d` is aligned, `s` isn't: whole words, of which those of `s` that hold a
 * byte to be copied are read. Returns how many bytes were copied. */
static size_t copy_shifted(u8 *d, const u8 *s, size_t bytes)
{
	u32 off = (u32)((uintptr_t)s % WORD), down = 8 * off, up = 64 - down;
	const word *q = (const word *)(const void *)(s - off);
	size_t n = bytes / WORD;
	word *p = (word *)(void *)d;
	u64 low = n ? *q : 0;

	for (size_t i = 0; i < n; i++) {
		u64 high = *++q;

		p[i] = low >> down | high << up; /* little-endian */
		low = high;
	}
	return n * WORD;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	u8 *d = to;
	const u8 *s = from;

	for (; bytes && !IS_ALIGNED((uintptr_t)d, WORD); bytes--)
		*d++ = *s++;
	if (!IS_ALIGNED((uintptr_t)s, WORD)) {
		size_t done = copy_shifted(d, s, bytes);

		d += done;
		s += done;
		bytes -= done;
		goto edge;
	}
	for (; bytes >= 4 * WORD; bytes -= 4 * WORD) {
		word *p = (word *)(void *)d;
		const word *q = (const word *)(const void *)s;
		u64 a = q[0], b = q[1], c = q[2], e = q[3];

		p[0] = a;
		p[1] = b;
		p[2] = c;
		p[3] = e;
		d += 4 * WORD;
		s += 4 * WORD;
	}
	for (; bytes >= WORD; bytes -= WORD, d += WORD, s += WORD)
		*(word *)(void *)d = *(const word *)(const void *)s;
edge:
	while (bytes--)
		*d++ = *s++;
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	u8 *d = (u8 *)to + bytes;
	const u8 *s = (const u8 *)from + bytes;

	/* Forwards is right unless `to` lies inside what is still to be
	 * read. */
	if ((uintptr_t)to - (uintptr_t)from >= bytes)
		return memcpy(to, from, bytes);
	while (bytes--)
		*--d = *--s;
	return to;
}
