/*
 * Reading the simulator's text files: see text.h.
 *
 * All of them are lines of words, with # for comments, so one reader will do;
 * it keeps the place for complaints.
 */
#include "bench/sim/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

void text_open(struct text_file *t, const char *path)
{
	*t = (struct text_file){ .path = path };
	t->f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	if (!t->f)
		die("%s: %s", path, strerror(errno));
}

char *text_line(struct text_file *t)
{
	ssize_t got;

	while ((got = getline(&t->line, &t->room, t->f)) >= 0) {
		snprintf(t->where, sizeof(t->where), "%s:%u", t->path,
			 ++t->number);
		if (strlen(t->line) != (size_t)got)
			die("%s: a zero byte; expected text", t->where);
		t->line[strcspn(t->line, "#\n")] = '\0';
		if (t->line[strspn(t->line, " \t\r")])
			return t->line;
	}
	return NULL;
}

void text_close(struct text_file *t)
{
	if (ferror(t->f))
		die("%s: %s", t->path, strerror(errno));
	if (t->f != stdin)
		fclose(t->f);
	free(t->line);
}

u32 words(char *line, char **word, u32 max)
{
	u32 n = 0;

	for (;;) {
		size_t len;

		line += strspn(line, " \t\r");
		if (!*line)
			return n;
		word[n++] = line;
		if (n == max) {
			/* The rest, without blanks at its end. */
			len = strlen(line);
			while (len && strchr(" \t\r", line[len - 1]))
				line[--len] = '\0';
			return n;
		}
		line += strcspn(line, " \t\r");
		if (*line)
			*line++ = '\0';
	}
}

u64 number(const char *text, const char *where, const char *name, u64 least,
	   u64 most)
{
	char *end;
	u64 v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno)
		die("%s: %s: %s is no number", where, name, text);
	if (v < least || v > most)
		die("%s: %s: %s is outside %lu to %lu", where, name, text,
		    least, most);
	return v;
}

u64 number_milli(const char *text, const char *where, const char *name,
		 u64 most)
{
	u64 v = 0, unit = 1000;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (u64)(*p - '0') * 1000;
		if (v > most * 1000)
			die("%s: %s: %s is more than %lu", where, name, text,
			    most);
	}
	if (p == text)
		die("%s: %s: %s is no number", where, name, text);
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++) {
			unit /= 10;
			v += (u64)(*p - '0') * unit;
		}
	}
	if (*p)
		die("%s: %s: %s is no number", where, name, text);
	return v;
}

void *must_alloc(size_t n, size_t bytes)
{
	void *p = calloc(n ? n : 1, bytes);

	if (!p)
		die("no memory for %zu times %zu bytes", n, bytes);
	return p;
}
