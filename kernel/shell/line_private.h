/*
 * What the editor's text (line.c), picture (line_view.c) and keys (line_keys.c)
 * know of each other. Offsets are into the text.
 */
#ifndef ROUSE_KERNEL_SHELL_LINE_PRIVATE_H
#define ROUSE_KERNEL_SHELL_LINE_PRIVATE_H

#include "kernel/shell/line.h"

/* The picture: repaints all from cell `from` on, puts the cursor right. */
void line_paint(struct line *l, size_t from);
size_t line_prompt_len(const struct line *l);

/* Takes [from, to) away; line_cut keeps it for ^Y. */
void line_delete(struct line *l, size_t from, size_t to);
void line_cut(struct line *l, size_t from, size_t to);

/* Another text, the cursor at its end. */
void line_replace(struct line *l, const char *text);

/* The cursor to `pos`, or the end. */
void line_move(struct line *l, size_t pos);

/* Swaps the characters around the cursor. */
void line_swap(struct line *l);

#endif
