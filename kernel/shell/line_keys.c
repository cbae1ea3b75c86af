/*
 * The editor's keys.
 *
 * They are the ones that fingers know from Emacs and from every shell, and the
 * arrows. An escape sequence that isn't known is read to its end and ignored,
 * so that it leaves no letters behind. While ^R searches, the keys that don't
 * belong to the search end it and do what they always do.
 */
#include "kernel/shell/line_private.h"

#include <stdio.h>
#include <string.h>

#define CTRL(c) ((c)&0x1f)
#define KEY_ESC 0x1b
#define KEY_DEL 0x7f

static bool in_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

static size_t word_left(const struct line *l)
{
	size_t i = l->pos;

	while (i && !in_word(l->buf[i - 1]))
		i--;
	while (i && in_word(l->buf[i - 1]))
		i--;
	return i;
}

static size_t word_right(const struct line *l)
{
	size_t i = l->pos;

	while (i < l->len && !in_word(l->buf[i]))
		i++;
	while (i < l->len && in_word(l->buf[i]))
		i++;
	return i;
}

/* What ^W takes: back to the blank before the cursor. */
static size_t blank_left(const struct line *l)
{
	size_t i = l->pos;

	while (i && l->buf[i - 1] == ' ')
		i--;
	while (i && l->buf[i - 1] != ' ')
		i--;
	return i;
}

static void line_history(struct line *l, const char *text)
{
	if (text)
		line_replace(l, text);
	else
		out_put(l->out, "\a", 1);
}

/* ---- searching the history ---- */

static void line_set_prompt(struct line *l, const char *prompt)
{
	line_hide(l);
	l->prompt = prompt;
	line_show(l);
}

static void search_show(struct line *l, const char *found)
{
	line_hide(l);
	snprintf(l->search_prompt, sizeof(l->search_prompt), "(search '%s') ",
		 l->search);
	l->prompt = l->search_prompt;
	line_show(l);
	if (l->search_len)
		line_history(l, found);
}

static void search_again(struct line *l)
{
	history_leave(&l->history);
	search_show(l, history_find(&l->history, l->search, line_text(l)));
}

static void search_begin(struct line *l)
{
	l->searching = true;
	l->search_len = 0;
	l->search[0] = '\0';
	search_show(l, NULL);
}

static void search_end(struct line *l)
{
	l->searching = false;
	line_set_prompt(l, l->own_prompt);
}

/* True: the key was for the search. Any other ends it and is a key again. */
static bool search_key(struct line *l, char c)
{
	if (c == CTRL('r')) {
		search_show(l,
			    history_find(&l->history, l->search, line_text(l)));
		return true;
	}
	if (c == KEY_DEL || c == CTRL('h')) {
		if (l->search_len)
			l->search[--l->search_len] = '\0';
		search_again(l);
		return true;
	}
	if (c >= ' ' && c < KEY_DEL && l->search_len + 1 < sizeof(l->search)) {
		l->search[l->search_len++] = c;
		l->search[l->search_len] = '\0';
		search_again(l);
		return true;
	}
	search_end(l);
	if (c != CTRL('g'))
		return false;
	history_leave(&l->history);
	line_replace(l, "");
	return true;
}

/* ---- keys ---- */

static void line_csi(struct line *l, char c)
{
	bool word = l->param[1] == 5 || l->param[1] == 3;

	if (c == '~') {
		switch (l->param[0]) {
		case 1:
		case 7:
			c = 'H';
			break;
		case 4:
		case 8:
			c = 'F';
			break;
		case 3:
			line_delete(l, l->pos, MIN(l->pos + 1, l->len));
			return;
		}
	}
	switch (c) {
	case 'A':
		line_history(l, history_back(&l->history, line_text(l)));
		break;
	case 'B':
		line_history(l, history_forth(&l->history));
		break;
	case 'C':
		line_move(l, word ? word_right(l) : l->pos + 1);
		break;
	case 'D':
		line_move(l, word ? word_left(l) : l->pos - !!l->pos);
		break;
	case 'H':
		line_move(l, 0);
		break;
	case 'F':
		line_move(l, l->len);
		break;
	}
}

static void line_alt(struct line *l, char c)
{
	switch (c) {
	case 'b':
		line_move(l, word_left(l));
		break;
	case 'f':
		line_move(l, word_right(l));
		break;
	case 'd':
		line_cut(l, l->pos, word_right(l));
		break;
	case KEY_DEL:
	case CTRL('h'):
		line_cut(l, word_left(l), l->pos);
		break;
	}
}

static void line_escaped(struct line *l, char c)
{
	enum line_escape was = l->escape;

	if (was == LINE_ESC && (c == '[' || c == 'O')) {
		l->escape = c == '[' ? LINE_CSI : LINE_SS3;
		l->param[0] = l->param[1] = l->param_at = 0;
		return;
	}
	if (was == LINE_CSI && c >= '0' && c <= '9') {
		u32 *p = &l->param[l->param_at];

		*p = MIN(*p * 10 + (u32)(c - '0'), 1000u);
		return;
	}
	if (was == LINE_CSI && c >= ' ' && c < '@') {
		if (c == ';')
			l->param_at = 1;
		return;
	}
	l->escape = c == KEY_ESC ? LINE_ESC : LINE_PLAIN;
	if (c == KEY_ESC)
		return;
	if (was == LINE_ESC)
		line_alt(l, c);
	else
		line_csi(l, c);
}

/* Keys that move or change history; false: not one of these. */
static bool line_control_move(struct line *l, char c)
{
	switch (c) {
	case CTRL('a'):
		line_move(l, 0);
		return true;
	case CTRL('e'):
		line_move(l, l->len);
		return true;
	case CTRL('b'):
		line_move(l, l->pos - !!l->pos);
		return true;
	case CTRL('f'):
		line_move(l, l->pos + 1);
		return true;
	case CTRL('p'):
		line_history(l, history_back(&l->history, line_text(l)));
		return true;
	case CTRL('n'):
		line_history(l, history_forth(&l->history));
		return true;
	case CTRL('r'):
		search_begin(l);
		return true;
	case CTRL('l'):
		out_str(l->out, "\033[H\033[2J");
		l->shown = false;
		line_show(l);
		return true;
	}
	return false;
}

static void line_control(struct line *l, char c)
{
	if (line_control_move(l, c))
		return;
	switch (c) {
	case KEY_DEL:
	case CTRL('h'):
		line_delete(l, l->pos - !!l->pos, l->pos);
		break;
	case CTRL('d'):
		line_delete(l, l->pos, MIN(l->pos + 1, l->len));
		break;
	case CTRL('k'):
		line_cut(l, l->pos, l->len);
		break;
	case CTRL('u'):
		line_cut(l, 0, l->pos);
		break;
	case CTRL('w'):
		line_cut(l, blank_left(l), l->pos);
		break;
	case CTRL('y'):
		if (l->cut)
			line_insert(l, l->cut, l->cut_len);
		break;
	case CTRL('t'):
		line_swap(l);
		break;
	case KEY_ESC:
		l->escape = LINE_ESC;
		break;
	}
}

static enum line_event line_interrupt(struct line *l)
{
	line_move(l, l->len);
	out_str(l->out, "^C");
	if (l->shown)
		out_str(l->out, "\r\n");
	l->shown = false;
	history_leave(&l->history);
	line_replace(l, "");
	return LINE_INTERRUPT;
}

enum line_event line_key(struct line *l, char c)
{
	bool cr = l->cr, tabbed = l->tabbed;

	l->cr = c == '\r';
	if (c == '\n' && cr)
		return LINE_MORE;
	l->tabbed = false;
	line_show(l);
	if (l->escape != LINE_PLAIN) {
		line_escaped(l, c);
		return LINE_MORE;
	}
	if (l->searching && search_key(l, c))
		return LINE_MORE;
	if (c == '\r' || c == '\n') {
		line_below(l);
		return LINE_ENTER;
	}
	if (c == CTRL('c'))
		return line_interrupt(l);
	if (c == '\t') {
		l->tabbed = true;
		if (l->complete)
			l->complete(l, tabbed, l->complete_ctx);
		line_show(l);
	} else if ((u8)c >= ' ' && (u8)c < KEY_DEL) {
		line_insert(l, &c, 1);
	} else if ((u8)c <= KEY_DEL) {
		line_control(l, c);
	}
	return LINE_MORE;
}
