/*
 * Text on its way out.
 *
 * Everything the console prints ends in one queue of bytes, because the device
 * behind it is slow and nobody may wait for it. The queue is a ring that
 * doubles when it must; the console stops producing at a mark far below what a
 * step adds at most, so in practice it stays at a few pages. It shrinks when it
 * runs empty, so that one long listing doesn't keep its memory for ever.
 *
 * A fixed ring that drops would be simpler, but then a long line on the prompt
 * could be drawn by half, and the screen would be wrong from there on.
 */
#include "kernel/shell/out.h"

#include "kernel/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OUTQ_MIN_BYTES 4096u

void out_put(struct out *o, const char *s, size_t n)
{
	if (n)
		o->put(o, s, n);
}

void out_str(struct out *o, const char *s)
{
	out_put(o, s, strlen(s));
}

void out_repeat(struct out *o, char c, size_t n)
{
	char piece[64];

	memset(piece, c, sizeof(piece));
	while (n) {
		size_t k = MIN(n, sizeof(piece));

		o->put(o, piece, k);
		n -= k;
	}
}

void out_fmt(struct out *o, const char *fmt, ...)
{
	char small[256], *big;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	if ((size_t)n < sizeof(small)) {
		o->put(o, small, (size_t)n);
		return;
	}
	big = obj_alloc((size_t)n + 1);
	if (!big) {
		o->put(o, small, sizeof(small) - 1);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(big, (size_t)n + 1, fmt, ap);
	va_end(ap);
	o->put(o, big, (size_t)n);
	obj_free(big);
}

static bool outq_grow(struct outq *q, size_t n)
{
	size_t cap = MAX(q->cap, OUTQ_MIN_BYTES);
	const char *s;
	char *buf;
	size_t k, at = 0;

	while (cap - q->len < n)
		cap *= 2;
	if (cap == q->cap)
		return true;
	buf = obj_alloc(cap);
	if (!buf)
		return false;
	while ((k = outq_peek(q, &s)) != 0) {
		memcpy(buf + at, s, k);
		at += k;
		q->head = (q->head + k) & (q->cap - 1);
		q->len -= k;
	}
	obj_free(q->buf);
	q->buf = buf;
	q->cap = cap;
	q->head = 0;
	q->len = at;
	return true;
}

static void outq_add(struct outq *q, const char *s, size_t n)
{
	size_t tail, k;

	if (!outq_grow(q, n)) {
		q->dropped_bytes += n;
		return;
	}
	tail = (q->head + q->len) & (q->cap - 1);
	k = MIN(n, q->cap - tail);
	memcpy(q->buf + tail, s, k);
	memcpy(q->buf, s + k, n - k);
	q->len += n;
}

static void outq_put_raw(struct out *o, const char *s, size_t n)
{
	outq_add(container_of(o, struct outq, raw), s, n);
}

static void outq_put_text(struct out *o, const char *s, size_t n)
{
	struct outq *q = container_of(o, struct outq, text);

	while (n) {
		const char *nl = memchr(s, '\n', n);
		size_t k = nl ? (size_t)(nl - s) : n;

		outq_add(q, s, k);
		if (!nl)
			return;
		outq_add(q, "\r\n", 2);
		s += k + 1;
		n -= k + 1;
	}
}

void outq_init(struct outq *q)
{
	*q = (struct outq){
		.text = {.put = outq_put_text},
		.raw = {.put = outq_put_raw},
	};
}

void outq_fini(struct outq *q)
{
	obj_free(q->buf);
	outq_init(q);
}

size_t outq_peek(const struct outq *q, const char **s)
{
	*s = q->len ? q->buf + q->head : NULL;
	return MIN(q->len, q->cap - q->head);
}

void outq_skip(struct outq *q, size_t n)
{
	q->head = (q->head + n) & (q->cap - 1);
	q->len -= n;
	if (q->len)
		return;
	q->head = 0;
	if (q->cap > OUTQ_MIN_BYTES) {
		obj_free(q->buf);
		q->buf = NULL;
		q->cap = 0;
	}
}
