/*
 * Where text goes: a sink, and a queue of bytes that is one.
 *
 * Context: one caller at a time (the console's task); nothing here waits.
 */
#ifndef ROUSE_KERNEL_SHELL_OUT_H
#define ROUSE_KERNEL_SHELL_OUT_H

#include "kernel/base.h"

/* Takes bytes. Whoever makes one sets `put`, which takes all of them. */
struct out {
	void (*put)(struct out *o, const char *s, size_t n);
};

void out_put(struct out *o, const char *s, size_t n);
void out_str(struct out *o, const char *s);
void out_repeat(struct out *o, char c, size_t n);

/* Text of any length; without memory for a long one its start. */
void out_fmt(struct out *o, const char *fmt, ...) __printf(2, 3);

/*
 * Bytes on their way to a slow device. It grows as it must; what there's no
 * memory for is dropped and counted.
 */
struct outq {
	struct out text; /* queues; a newline becomes CR LF */
	struct out raw;	 /* queues bytes as they are */
	char *buf;
	size_t cap, head, len; /* cap is 0 or a power of two */
	u64 dropped_bytes;
};

void outq_init(struct outq *q);
void outq_fini(struct outq *q);

/* The oldest bytes that lie in one piece: their count and *s; 0: empty. */
size_t outq_peek(const struct outq *q, const char **s);

/* Forgets the `n` oldest, at most what outq_peek said. */
void outq_skip(struct outq *q, size_t n);

#endif
