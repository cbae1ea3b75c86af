/*
 * Random numbers: ChaCha20 (RFC 8439, section 2.3) as a stream by key and
 * name.
 *
 * The problem: the lab's seed must repeat everything, in whatever order CPUs
 * and guests draw; and a guest that looks at its own /chosen/rng-seed must not
 * learn anything of its neighbour's. So each stream is the cipher's output
 * under one secret key, with a number made of the stream's name in place of the
 * nonce. Seeds of any length go into the key 32 bytes at a time, each followed
 * by one block of the cipher, so that all of them count and none can be taken
 * back.
 *
 * Rejected: a small fast generator (its state follows from its output).
 */
#include <string.h>

#include "kernel/rng.h"

static u32 secret[8];

static u32 rotl(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static void quarter(u32 *s, u32 a, u32 b, u32 c, u32 d)
{
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 7);
}

static void chacha(const u32 key[8], u64 block, u64 stream, u32 out[16])
{
	u32 in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(&in[4], key, 32);
	in[12] = (u32)block;
	in[13] = (u32)(block >> 32);
	in[14] = (u32)stream;
	in[15] = (u32)(stream >> 32);
	memcpy(out, in, 64);
	for (int i = 0; i < 10; i++) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
}

void rng_stir(const void *seed, size_t bytes)
{
	const u8 *p = seed;
	u64 n = 0;

	do {
		u8 part[32] = { 0 };
		u32 words[8], out[16];
		size_t len = MIN(bytes, sizeof(part));

		if (len)
			memcpy(part, p, len);
		memcpy(words, part, sizeof(words));
		for (int i = 0; i < 8; i++)
			secret[i] ^= words[i];
		chacha(secret, n++, bytes, out);
		memcpy(secret, out, sizeof(secret));
		p += len;
		bytes -= len;
	} while (bytes);
}

void rng_seed(const void *seed, size_t bytes)
{
	memset(secret, 0, sizeof(secret));
	rng_stir(seed, bytes);
}

/* FNV-1a, 64 bits. */
static u64 name_number(const char *name)
{
	u64 h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 0x100000001b3ULL;
	return h;
}

void rng_init(struct rng *r, const char *name)
{
	memcpy(r->key, secret, sizeof(r->key));
	r->stream = name_number(name);
	r->block = 0;
	r->used = sizeof(r->buf);
}

void rng_bytes(struct rng *r, void *out, size_t bytes)
{
	for (u8 *p = out; bytes; bytes--) {
		if (r->used == sizeof(r->buf)) {
			u32 words[16];

			chacha(r->key, r->block++, r->stream, words);
			memcpy(r->buf, words, sizeof(r->buf));
			r->used = 0;
		}
		*p++ = r->buf[r->used];
		/* Given out once; nobody finds it here later. */
		r->buf[r->used++] = 0;
	}
}

u64 rng_u64(struct rng *r)
{
	u64 v;

	rng_bytes(r, &v, sizeof(v));
	return v;
}

u64 rng_below(struct rng *r, u64 n)
{
	u64 v;

	if (!n)
		return 0;
	/* Without the uneven rest at the top. */
	do {
		v = rng_u64(r);
	} while (v >= UINT64_MAX - UINT64_MAX % n);
	return v % n;
}
