/*
 * The hypervisor's own words: a ring that keeps the last lines for the
 * console's `log` command, and the machine's console while it is Rouse's.
 *
 * Context: any CPU, any time after the boot CPU's first instructions; a leaf
 * that never blocks. One call is one line; lines of two CPUs are not mixed.
 */
#ifndef ROUSE_KERNEL_LOG_H
#define ROUSE_KERNEL_LOG_H

#include "kernel/base.h"
#include "kernel/time.h"

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* Text of one line at most; what is longer ends in "...". */
#define LOG_LINE_BYTES 400

/* Adds one line; a newline at its end is supplied, not expected. */
void log_line(enum log_level level, const char *fmt, ...) __printf(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * The pace of what a guest can cause without end: LOG_BURST of it are told at
 * once, and one a second after that. False: this one isn't to be told of, but
 * counted, and the number told with the next. One caller at a time; zero at
 * first.
 */
#define LOG_BURST   8
#define LOG_PACE_US 1000000

struct log_pace {
	u64 next_ticks; /* when the next would be due if there were no burst */
};

static inline bool log_pace_take(struct log_pace *p, u64 now)
{
	u64 pace = us_to_ticks(LOG_PACE_US);
	u64 next = MAX(p->next_ticks, now);

	if (next - now > (LOG_BURST - 1) * pace)
		return false;
	p->next_ticks = next + pace;
	return true;
}

/*
 * Lines above this level are not kept at all; LOG_INFO unless set.
 */
void log_level_set(enum log_level most);
enum log_level log_level_get(void);

/* One line read back. */
struct log_entry {
	u64 ticks;
	enum log_level level;
	char text[LOG_LINE_BYTES + 1];
};

/*
 * Reads the line at *cursor (0: the oldest there is) and moves the cursor to
 * the next. Returns 1, or 0 if there is none yet. Lines that were lost before
 * they were read are skipped and counted in *lost. Any number of readers.
 */
int log_read(u64 *cursor, struct log_entry *out, u64 *lost);

/*
 * Who prints: at first log_line itself writes to the machine's console. With a
 * function set it only calls that after each line (any CPU, a leaf), and the
 * one who set it reads the ring from *cursor on. NULL: as at first; lines from
 * there on are printed that nobody has printed yet.
 */
void log_reader_set(void (*wake)(void), u64 *cursor);

/*
 * Writes what nobody has printed yet to the machine's console, at once and by
 * itself: the machine is about to end. Gives up on a lock that somebody keeps.
 */
void log_flush(void);

/* "[   12.345678] " and the level if it is a warning or an error, as at the
 * start of a printed line; returns the length. `buf` has 40 bytes. */
size_t log_prefix(const struct log_entry *e, char *buf);

#endif
