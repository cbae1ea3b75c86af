/*
 * Reading the simulator's small text files, and saying what is wrong in them.
 */
#ifndef ROUSE_SIM_TEXT_H
#define ROUSE_SIM_TEXT_H

#include <stdio.h>

#include "kernel/base.h"

/* One line on stderr, and the program ends with status 2. */
_Noreturn void die(const char *fmt, ...) __printf(1, 2);

struct text_file {
	FILE *f;
	const char *path;
	char *line;
	size_t room;
	u32 number;
	char where[256]; /* "path:line", for complaints */
};

/* "-" is the standard input. */
void text_open(struct text_file *t, const char *path);
/* The next line that isn't empty, without its comment; NULL at the end. It may
 * be changed, and lasts until the next call. */
char *text_line(struct text_file *t);
void text_close(struct text_file *t);

/* Splits a line at blanks into at most `max` words, the rest in the last. */
u32 words(char *line, char **word, u32 max);

/* A number in [least, most]. number_milli: decimals are allowed, up to `most`;
 * in thousandths. What is wrong: "where: name: ..." */
u64 number(const char *text, const char *where, const char *name, u64 least,
	   u64 most);
u64 number_milli(const char *text, const char *where, const char *name,
		 u64 most);

/* Memory that must be there, zeroed. */
void *must_alloc(size_t n, size_t bytes);

#endif
