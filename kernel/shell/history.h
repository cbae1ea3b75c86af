/*
 * The lines that were entered, for the editor to walk through.
 */
#ifndef ROUSE_KERNEL_SHELL_HISTORY_H
#define ROUSE_KERNEL_SHELL_HISTORY_H

#include "kernel/base.h"

struct history_line;

struct history {
	struct history_line *oldest, *newest;
	size_t bytes; /* of text kept; the oldest go above HISTORY_BYTES */
	struct history_line *at; /* the one shown; NULL: the line being typed */
	char *typed;		 /* that line, set aside meanwhile, or NULL */
};

#define HISTORY_BYTES (64 * KIB)

void history_init(struct history *h);
void history_fini(struct history *h);

/*
 * Remembers a line, unless it's empty or the same as the last one, and goes
 * back to the line being typed. Without memory it isn't remembered.
 */
void history_add(struct history *h, const char *text);

/* Back to the line being typed; what was set aside is forgotten. */
void history_leave(struct history *h);

/*
 * One line back, or forth. `now` is what the editor holds, set aside at the
 * first step. The text to show, valid until the next call; NULL: no further.
 */
const char *history_back(struct history *h, const char *now);
const char *history_forth(struct history *h);

/* The next older line that contains `part`, from the one shown; or NULL. */
const char *history_find(struct history *h, const char *part, const char *now);

#endif
