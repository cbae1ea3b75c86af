/*
 * Cutting a line into commands and words.
 */
#ifndef ROUSE_KERNEL_SHELL_WORD_H
#define ROUSE_KERNEL_SHELL_WORD_H

#include "kernel/base.h"

/* Words that a line of `len` bytes has at most, and the NULL behind them. */
#define WORD_MAX(len) ((len) / 2 + 2)

/*
 * Cuts the first command off `line`, in place: words are separated by blanks,
 * "..." holds blanks and ';' together, a backslash takes the next character as
 * it is, '#' at a word's start begins a comment. Commands end with ';' or a
 * newline. argv gets the words and a NULL; *rest is what follows the command,
 * or NULL. 0, or -EINVAL: a quote isn't closed.
 */
int word_split(char *line, char **argv, u32 *argc, char **rest) __must_check;

/* Decimal or 0x... in full, no sign: 0 and *out, or -EINVAL. */
int word_u64(const char *s, u64 *out) __must_check;

#endif
