/*
 * What fuzz targets share: an input that is taken apart, and demands on what
 * comes of it.
 *
 * A target is one file tests/fuzz/NAME_fuzz.c with the function below. It is
 * built twice: with replay.c, which runs it on the cases that are kept in
 * tests/fuzz/corpus/NAME, and with libFuzzer. docs/fuzz.md says how to add one.
 */
#ifndef ROUSE_TESTS_FUZZ_H
#define ROUSE_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base.h"

/* One input. Leaves nothing behind that another could meet. Returns 0. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

/* What must be true whatever the input; else the input is a case to keep. */
#define MUST(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: it must be that %s\n", \
				__FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

/* An input, taken from the front; at its end it gives zeros. */
struct fuzz_in {
	const u8 *at;
	size_t left;
};

static inline u64 fuzz_take(struct fuzz_in *in, u32 bytes)
{
	u64 val = 0;
	size_t n = MIN((size_t)bytes, in->left);

	memcpy(&val, in->at, n);
	in->at += n;
	in->left -= n;
	return val;
}

/* A number below `n`, of one byte of the input: n is at most 256. */
static inline u32 fuzz_below(struct fuzz_in *in, u32 n)
{
	return (u32)fuzz_take(in, 1) % n;
}

/* The rest, or its first `most` bytes, as memory of its own with a 0 behind:
 * whoever reads too far is seen. To be freed. */
static inline char *fuzz_text(struct fuzz_in *in, size_t most)
{
	size_t n = MIN(most, in->left);
	char *text = malloc(n + 1);

	if (!text)
		abort();
	memcpy(text, in->at, n);
	text[n] = '\0';
	in->at += n;
	in->left -= n;
	return text;
}

/* A line for people: not empty, no control characters, ends within `bytes`. */
static inline bool fuzz_is_line(const char *text, size_t bytes)
{
	size_t n = strnlen(text, bytes);

	if (n == 0 || n == bytes)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((u8)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

#endif
