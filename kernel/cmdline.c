/*
 * The command line: words of the form key=value between spaces.
 *
 * It is read where it lies, in the machine's device tree, each time someone
 * asks: a handful of look-ups at boot need no table.
 */
#include "kernel/cmdline.h"

#include <string.h>


static const char *cmdline;

void cmdline_init(const char *text)
{
	cmdline = text;
}

/* Behind the word that begins at `p`. A quoted value may hold spaces. */
static const char *word_end(const char *p)
{
	while (*p && *p != ' ') {
		const char *quote = *p == '"' ? strchr(p + 1, '"') : NULL;

		p = (quote ? quote : p) + 1;
	}
	return p;
}

/* The next word from `p` on, or NULL; its length in *len. */
static const char *word_next(const char *p, size_t *len)
{
	while (p && *p == ' ')
		p++;
	if (!p || !*p)
		return NULL;
	*len = (size_t)(word_end(p) - p);
	return p;
}

static bool word_is(const char *word, size_t len, const char *key)
{
	size_t n = strlen(key);

	return len > n && memcmp(word, key, n) == 0 && word[n] == '=';
}

const char *cmdline_get(const char *key, size_t *len)
{
	size_t n;

	for (const char *p = cmdline; (p = word_next(p, &n)); p += n) {
		const char *value = p + strlen(key) + 1, *end = p + n;

		if (!word_is(p, n, key))
			continue;
		if (end - value >= 2 && *value == '"' && end[-1] == '"') {
			value++;
			end--;
		}
		*len = (size_t)(end - value);
		return value;
	}
	return NULL;
}

bool cmdline_unknown(const char *const *known, size_t count, char *bad,
		     size_t bytes)
{
	size_t n, i;

	for (const char *p = cmdline; (p = word_next(p, &n)); p += n) {
		for (i = 0; i < count && !word_is(p, n, known[i]); i++)
			;
		if (i < count)
			continue;
		n = MIN(n, bytes - 1);
		memcpy(bad, p, n);
		bad[n] = '\0';
		return true;
	}
	return false;
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
