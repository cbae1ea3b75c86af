/*
 * Words are unquoted in place: what's read is never behind what's written, so
 * no second buffer is needed.
 */
#include "kernel/shell/word.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_end(char c)
{
	return c == '\0' || c == ';' || c == '\n';
}

/* Unquotes one word from *in to *to; -EINVAL: a quote isn't closed. */
static int word_take(char **in, char **to)
{
	bool quoted = false;
	char *s = *in, *w = *to;

	for (; *s && (quoted || !(is_blank(*s) || is_end(*s))); s++) {
		if (*s == '"') {
			quoted = !quoted;
			continue;
		}
		if (*s == '\\' && s[1])
			s++;
		*w++ = *s;
	}
	*in = s;
	*to = w;
	return quoted ? -EINVAL : 0;
}

int word_split(char *line, char **argv, u32 *argc, char **rest)
{
	char *s = line, *w = line;
	int err = 0;

	*argc = 0;
	while (!err) {
		bool more;

		while (is_blank(*s))
			s++;
		if (*s == '#')
			s += strcspn(s, "\n");
		if (is_end(*s))
			break;
		argv[(*argc)++] = w;
		err = word_take(&s, &w);
		more = is_blank(*s);
		if (!more)
			break;
		s++;
		*w++ = '\0';
	}
	*rest = *s ? s + 1 : NULL;
	*w = '\0';
	argv[*argc] = NULL;
	return err;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

int word_u64(const char *s, u64 *out)
{
	u64 v = 0;
	u32 base = 10;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		u32 d = (u32)digit(*s);

		if (d >= base || v > (UINT64_MAX - d) / base)
			return -EINVAL;
		v = v * base + d;
	}
	*out = v;
	return 0;
}
