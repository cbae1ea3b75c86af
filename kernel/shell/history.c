/*
 * History is a list, oldest to newest, bounded by the bytes of its text rather
 * than by a count of lines. Walking it never changes an entry: what is edited
 * there is a copy, and only what's entered is added.
 */
#include "kernel/shell/history.h"

#include "kernel/mem.h"

#include <string.h>

struct history_line {
	struct history_line *older, *newer;
	size_t len;
	char text[];
};

void history_init(struct history *h)
{
	*h = (struct history){.oldest = NULL};
}

static void history_drop_oldest(struct history *h)
{
	struct history_line *e = h->oldest;

	h->oldest = e->newer;
	if (h->oldest)
		h->oldest->older = NULL;
	else
		h->newest = NULL;
	h->bytes -= e->len;
	obj_free(e);
}

void history_leave(struct history *h)
{
	h->at = NULL;
	obj_free(h->typed);
	h->typed = NULL;
}

void history_fini(struct history *h)
{
	history_leave(h);
	while (h->oldest)
		history_drop_oldest(h);
}

void history_add(struct history *h, const char *text)
{
	size_t len = strlen(text);
	struct history_line *e;

	history_leave(h);
	if (!len || len > HISTORY_BYTES)
		return;
	if (h->newest && strcmp(h->newest->text, text) == 0)
		return;
	e = obj_alloc(sizeof(*e) + len + 1);
	if (!e)
		return;
	memcpy(e->text, text, len + 1);
	e->len = len;
	e->older = h->newest;
	if (h->newest)
		h->newest->newer = e;
	else
		h->oldest = e;
	h->newest = e;
	h->bytes += len;
	while (h->bytes > HISTORY_BYTES)
		history_drop_oldest(h);
}

/* Sets the line being typed aside, once. Without memory it is given up. */
static void history_set_aside(struct history *h, const char *now)
{
	size_t len = strlen(now);

	if (h->at)
		return;
	obj_free(h->typed);
	h->typed = obj_alloc(len + 1);
	if (h->typed)
		memcpy(h->typed, now, len + 1);
}

const char *history_back(struct history *h, const char *now)
{
	struct history_line *to = h->at ? h->at->older : h->newest;

	if (!to)
		return NULL;
	history_set_aside(h, now);
	h->at = to;
	return to->text;
}

const char *history_forth(struct history *h)
{
	if (!h->at)
		return NULL;
	h->at = h->at->newer;
	if (h->at)
		return h->at->text;
	return h->typed ? h->typed : "";
}

const char *history_find(struct history *h, const char *part, const char *now)
{
	struct history_line *e = h->at ? h->at->older : h->newest;

	for (; e; e = e->older) {
		if (!strstr(e->text, part))
			continue;
		history_set_aside(h, now);
		h->at = e;
		return e->text;
	}
	return NULL;
}
