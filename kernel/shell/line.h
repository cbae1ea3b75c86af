/*
 * The line editor: keys in, terminal out, and now and then a line.
 *
 * It knows no hardware and never waits: one byte in, a few bytes out. Only what
 * must move the cursor to another row uses an escape sequence, so a terminal
 * that knows none, or a pipe, gets plain text as long as lines fit a row.
 *
 * Context: one caller at a time (the console's task).
 */
#ifndef ROUSE_KERNEL_SHELL_LINE_H
#define ROUSE_KERNEL_SHELL_LINE_H

#include "kernel/base.h"
#include "kernel/shell/history.h"
#include "kernel/shell/out.h"

#define LINE_COLUMNS   80u
#define LINE_BYTES_MAX (64 * KIB) /* longer ones get a bell */

enum line_event {
	LINE_MORE,	/* nothing to do for the caller */
	LINE_ENTER,	/* line_text is complete; then line_next */
	LINE_INTERRUPT, /* Ctrl-C: the line was given up */
};

enum line_escape {
	LINE_PLAIN,
	LINE_ESC,
	LINE_CSI, /* ESC [ */
	LINE_SS3, /* ESC O */
};

struct line {
	struct out *out;
	u32 columns;
	const char *prompt; /* what is shown: the caller's or the search's */
	const char *own_prompt;
	char search_prompt[48];

	char *buf; /* always terminated once there is one */
	size_t len, cap, pos;
	char *cut; /* what ^K, ^U, ^W took, for ^Y */
	size_t cut_len;
	struct history history;

	/* The screen: cells are numbered from the prompt's first on. */
	bool shown;
	size_t cur;   /* cell the cursor is in */
	size_t drawn; /* cells that hold something */

	/* Keys. */
	enum line_escape escape;
	u32 param[2], param_at;
	bool cr;	/* the last byte was CR: a LF after it is no new line */
	bool tabbed;	/* the last key was Tab: the next one lists */
	bool searching; /* ^R */
	char search[32];
	size_t search_len;

	/* Tab. May insert by line_insert, or list after line_below. */
	void (*complete)(struct line *l, bool list, void *ctx);
	void *complete_ctx;
};

void line_init(struct line *l, struct out *out, const char *prompt);
void line_fini(struct line *l);

/* One byte from the terminal. */
enum line_event line_key(struct line *l, char c);

/* The line as it is; valid until the next call. */
const char *line_text(const struct line *l);

/* After LINE_ENTER: remembers the line in the history and empties it. */
void line_next(struct line *l);

/*
 * Shows prompt and line where the cursor is; takes them away, so that other
 * text can be put in their place. Both may be called at any time and do
 * nothing the second time.
 */
void line_show(struct line *l);
void line_hide(struct line *l);

/* Leaves the line where it is and goes to a fresh row below. */
void line_below(struct line *l);

/* Inserts at the cursor. False (and a bell): too long, or no memory. */
bool line_insert(struct line *l, const char *s, size_t n);

/* The terminal is that wide; at least 20. Text breaks there. */
void line_set_columns(struct line *l, u32 columns);

#endif
