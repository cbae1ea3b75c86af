/*
 * The command line: words of the form key=value between spaces.
 *
 * It is read where it lies, in the machine's device tree, each time someone
 * asks: a handful of look-ups at boot need no table.
 */
#include <string.h>

#include "kernel/cmdline.h"

static const char *cmdline;

void cmdline_init(const char *text)
{
	cmdline = text;
}

const char *cmdline_get(const char *key, size_t *len)
{
	const char *p = cmdline;
	size_t klen = strlen(key);

	while (p && *p) {
		const char *word = p, *value = NULL;

		if (strncmp(p, key, klen) == 0 && p[klen] == '=')
			value = p + klen + 1;
		while (*p && *p != ' ') {
			/* A quoted value may hold spaces. */
			if (*p == '"' && p[1] && strchr(p + 1, '"'))
				p = strchr(p + 1, '"');
			p++;
		}
		if (value) {
			bool quoted = *value == '"' && p > value + 1;

			*len = (size_t)(p - value) - (quoted ? 2 : 0);
			return value + quoted;
		}
		if (*p == ' ')
			p++;
		if (p == word)
			break;
	}
	return NULL;
}

bool cmdline_is(const char *key, const char *value)
{
	size_t len;
	const char *p = cmdline_get(key, &len);

	return p && len == strlen(value) && memcmp(p, value, len) == 0;
}

int cmdline_u32(const char *key, u32 least, u32 most, u32 *out)
{
	size_t len;
	const char *p = cmdline_get(key, &len);
	u64 val = 0;

	if (!p)
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9' || val > most)
			return -EINVAL;
		val = val * 10 + (u32)(p[i] - '0');
	}
	if (!len || val < least || val > most)
		return -EINVAL;
	*out = (u32)val;
	return 0;
}
