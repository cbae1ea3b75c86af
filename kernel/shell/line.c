/*
 * The editor's text.
 *
 * One array with the cursor's offset in it; each change tells the picture
 * (line_view.c) the first cell that differs and nothing else.
 *
 * A gap buffer was rejected: lines are short, and moving them is cheaper than
 * explaining it.
 */
#include "kernel/shell/line.h"

#include "kernel/mem.h"
#include "kernel/shell/line_private.h"

#include <string.h>

void line_init(struct line *l, struct out *out, const char *prompt)
{
	*l = (struct line){
		.out = out,
		.columns = LINE_COLUMNS,
		.prompt = prompt,
		.own_prompt = prompt,
	};
	history_init(&l->history);
}

void line_fini(struct line *l)
{
	history_fini(&l->history);
	obj_free(l->buf);
	obj_free(l->cut);
	l->buf = NULL;
	l->cut = NULL;
}

const char *line_text(const struct line *l)
{
	return l->buf ? l->buf : "";
}

static bool line_room(struct line *l, size_t n)
{
	size_t cap = MAX(l->cap, 128u);
	char *buf;

	if (n > LINE_BYTES_MAX || l->len + n > LINE_BYTES_MAX)
		return false;
	while (cap < l->len + n + 1)
		cap *= 2;
	if (cap == l->cap)
		return true;
	buf = obj_alloc(cap);
	if (!buf)
		return false;
	memcpy(buf, line_text(l), l->len + 1);
	obj_free(l->buf);
	l->buf = buf;
	l->cap = cap;
	return true;
}

bool line_insert(struct line *l, const char *s, size_t n)
{
	if (!line_room(l, n)) {
		out_put(l->out, "\a", 1);
		return false;
	}
	memmove(l->buf + l->pos + n, l->buf + l->pos, l->len - l->pos + 1);
	memcpy(l->buf + l->pos, s, n);
	l->len += n;
	l->pos += n;
	line_paint(l, line_prompt_len(l) + l->pos - n);
	return true;
}

void line_delete(struct line *l, size_t from, size_t to)
{
	if (from >= to)
		return;
	memmove(l->buf + from, l->buf + to, l->len - to + 1);
	l->len -= to - from;
	l->pos = from;
	line_paint(l, line_prompt_len(l) + from);
}

/* Deletes, and keeps it for ^Y. */
void line_cut(struct line *l, size_t from, size_t to)
{
	char *cut;

	if (from >= to)
		return;
	cut = obj_alloc(to - from);
	if (cut) {
		memcpy(cut, l->buf + from, to - from);
		obj_free(l->cut);
		l->cut = cut;
		l->cut_len = to - from;
	}
	line_delete(l, from, to);
}

void line_replace(struct line *l, const char *text)
{
	size_t n = strlen(text);

	l->len = 0;
	l->pos = 0;
	if (l->buf)
		l->buf[0] = '\0';
	if (!n || !line_insert(l, text, n))
		line_paint(l, line_prompt_len(l));
}

void line_move(struct line *l, size_t pos)
{
	l->pos = MIN(pos, l->len);
	line_paint(l, line_prompt_len(l) + l->pos);
}

void line_swap(struct line *l)
{
	size_t at = l->pos == l->len ? l->pos - 1 : l->pos;
	char c;

	if (l->len < 2 || !l->pos)
		return;
	c = l->buf[at];
	l->buf[at] = l->buf[at - 1];
	l->buf[at - 1] = c;
	l->pos = at + 1;
	line_paint(l, line_prompt_len(l) + at - 1);
}

void line_next(struct line *l)
{
	history_add(&l->history, line_text(l));
	l->len = 0;
	l->pos = 0;
	if (l->buf)
		l->buf[0] = '\0';
}
