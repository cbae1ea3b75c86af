/*
 * The log.
 *
 * The problem: any CPU says something at any moment, from the first instruction
 * on; it must neither wait for a slow UART behind another CPU, nor mix its line
 * with another's, and the last lines have to be there when the machine ends.
 *
 * A line is formatted on the caller's stack, then copied into a ring of text
 * under a lock that is held for that copy alone. A second ring tells each
 * line's place, length, level and time; lines are numbered from 1 on, and
 * readers keep the number of the next one. The oldest lines make room.
 *
 * While nobody has taken printing over, log_line prints as well: whoever sets
 * `printing` prints all lines there are, other CPUs' included, and looks once
 * more after it has cleared the flag. So nobody waits for the UART but the one
 * who prints, and no line stays behind:
 *
 *   logger                        printer
 *   head = n (under the lock)     printing = 0
 *   full fence                    full fence
 *   printing was set: done        head beyond what I printed: again
 *
 * Rejected: a lock-free ring (lines have any length; the copy takes a hundred
 * nanoseconds, and nothing hot logs); printing under the lock (4 ms a line at
 * 115200 baud, for every CPU that has something to say).
 */
#include <ck_pr.h>
#include <ck_spinlock.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/log.h"

#include "kernel/arch.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#define RING_BYTES (64 * KIB)
#define RING_LINES 1024
#define LOCK_PATIENCE 1000000

struct line {
	u64 ticks;
	u32 at; /* in the ring */
	u16 len;
	u16 level;
};

static ck_spinlock_fas_t lock = CK_SPINLOCK_FAS_INITIALIZER;
static char ring[RING_BYTES];
static struct line lines[RING_LINES];
static u64 head = 1; /* number of the next line; written under the lock */
static u64 tail = 1; /* the oldest kept */
static u32 ring_at;  /* where the next line's text goes */
static u64 ring_used;

static u32 level_most = LOG_INFO;

/* Printing: `printed` is of whoever has set `printing`. */
static u32 printing;
static u64 printed = 1;
static void (*reader_wake)(void);
static u64 *reader_cursor;

void log_level_set(enum log_level most)
{
	ck_pr_store_32(&level_most, most);
}

enum log_level log_level_get(void)
{
	return (enum log_level)ck_pr_load_32(&level_most);
}

static void append(enum log_level level, const char *text, u32 len)
{
	u32 first = MIN(len, (u32)RING_BYTES - ring_at);
	struct line *l = &lines[head % RING_LINES];

	while (ring_used + len > RING_BYTES || head - tail == RING_LINES)
		ring_used -= lines[tail++ % RING_LINES].len;
	memcpy(&ring[ring_at], text, first);
	memcpy(&ring[0], text + first, len - first);
	*l = (struct line){ time_now_ticks(), ring_at, (u16)len, (u16)level };
	ring_at = (ring_at + len) % (u32)RING_BYTES;
	ring_used += len;
	ck_pr_store_64(&head, head + 1);
}

/* The lock is held. */
static int read_locked(u64 *cursor, struct log_entry *out, u64 *lost)
{
	const struct line *l;
	u32 first;

	if (*cursor < tail) {
		if (*cursor)
			*lost += tail - *cursor;
		*cursor = tail;
	}
	if (*cursor == head)
		return 0;
	l = &lines[*cursor % RING_LINES];
	first = MIN((u32)l->len, (u32)RING_BYTES - l->at);
	memcpy(out->text, &ring[l->at], first);
	memcpy(out->text + first, ring, l->len - first);
	out->text[l->len] = 0;
	out->ticks = l->ticks;
	out->level = (enum log_level)l->level;
	(*cursor)++;
	return 1;
}

int log_read(u64 *cursor, struct log_entry *out, u64 *lost)
{
	int ret;

	ck_spinlock_fas_lock(&lock);
	ret = read_locked(cursor, out, lost);
	ck_spinlock_fas_unlock(&lock);
	return ret;
}

size_t log_prefix(const struct log_entry *e, char *buf)
{
	static const char *const names[] = { "error: ", "warning: ", "", "" };
	u64 us = timebase_hz ? ticks_to_ns(e->ticks) / 1000 : 0;

	return (size_t)snprintf(buf, 40, "[%5u.%06u] %s",
				(u32)(us / 1000000), (u32)(us % 1000000),
				names[e->level]);
}

static void print_entry(const struct log_entry *e)
{
	char prefix[40];
	size_t n = log_prefix(e, prefix);

	arch_console_write(prefix, n);
	arch_console_write(e->text, strlen(e->text));
	arch_console_write("\n", 1);
}

static bool printing_take(void)
{
	if (ck_pr_fas_32(&printing, 1))
		return false;
	/* Pairs with printing_give: `printed` is ours now. */
	ck_pr_fence_acquire();
	return true;
}

static void printing_give(void)
{
	ck_pr_fence_release();
	ck_pr_store_32(&printing, 0);
}

static void print_pending(void)
{
	struct log_entry e;
	u64 lost = 0;

	do {
		if (!printing_take())
			return;
		while (!ck_pr_load_ptr(&reader_cursor) && !panic_active() &&
		       log_read(&printed, &e, &lost))
			print_entry(&e);
		lost = printed;
		printing_give();
		/* Pairs with log_line's; without it both could miss the
		 * other's store, and a line would wait for the next one. */
		ck_pr_fence_memory();
	} while (lost < ck_pr_load_64(&head) &&
		 !ck_pr_load_ptr(&reader_cursor) && !panic_active());
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_BYTES + 1];
	void (*wake)(void);
	va_list ap;
	int len;

	if ((u32)level > ck_pr_load_32(&level_most))
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > LOG_LINE_BYTES) {
		len = LOG_LINE_BYTES;
		memcpy(&text[len - 3], "...", 3);
	}
	/* One call is one line, and nothing a guest named moves the cursor. */
	for (int i = 0; i < len; i++)
		if ((u8)text[i] < ' ' || text[i] == 0x7f)
			text[i] = i == len - 1 && text[i] == '\n' ? 0 : ' ';
	len = (int)strlen(text);

	ck_spinlock_fas_lock(&lock);
	append(level, text, (u32)len);
	ck_spinlock_fas_unlock(&lock);
	/* Pairs with print_pending, and with log_reader_set. */
	ck_pr_fence_memory();
	wake = (void (*)(void))(uintptr_t)ck_pr_load_ptr(&reader_wake);
	if (wake)
		wake();
	else
		print_pending();
}

void log_reader_set(void (*wake)(void), u64 *cursor)
{
	if (wake) {
		ck_pr_store_ptr(&reader_cursor, cursor);
		/* Whoever prints stops at the next line; then `printed` is
		 * where the reader begins. Bounded by one line. */
		while (!printing_take())
			ck_pr_stall();
		*cursor = printed;
		printing_give();
		ck_pr_store_ptr(&reader_wake, (void *)(uintptr_t)wake);
		ck_pr_fence_memory();
		wake();
		return;
	}
	ck_pr_store_ptr(&reader_wake, NULL);
	/* Who logs meanwhile has `printing`, and prints nothing yet. */
	while (!printing_take())
		ck_pr_stall();
	printed = *cursor;
	ck_pr_store_ptr(&reader_cursor, NULL);
	printing_give();
	ck_pr_fence_memory();
	print_pending();
}

void log_flush(void)
{
	u64 *cursor = ck_pr_load_ptr(&reader_cursor);
	struct log_entry e;
	u64 lost = 0;
	u32 patience = LOCK_PATIENCE;
	bool locked;

	if (!cursor)
		cursor = &printed;
	while (!(locked = ck_spinlock_fas_trylock(&lock)) && patience--)
		ck_pr_stall();
	while (read_locked(cursor, &e, &lost))
		print_entry(&e);
	if (locked)
		ck_spinlock_fas_unlock(&lock);
}
