/*
 * The editor's picture on the screen.
 *
 * The cells of prompt and text are numbered from 0; cell i is in row
 * i / columns, column i % columns, counted from where the prompt began. `cur`
 * is where the terminal's cursor is and `drawn` how many cells hold something:
 * these two are all that's known of the screen, and every function keeps them
 * true.
 *
 * Rows are broken by us, CR LF after the last column, and not by the terminal:
 * so the count of rows is right on any terminal at least that wide, whether it
 * wraps at once, late or never. Forward is always reached by writing the cells
 * again, back inside a row by backspaces, so that a line which fits one row
 * needs no escape sequence at all. Redrawing everything at each key is simpler
 * and was rejected: a slow UART shows it.
 */
#include "kernel/shell/line_private.h"

#include <string.h>

size_t line_prompt_len(const struct line *l)
{
	return strlen(l->prompt);
}

static size_t line_cells(const struct line *l)
{
	return line_prompt_len(l) + l->len;
}

/* Writes the cells from `cur` to `to`, blanks behind the end of the text. */
static void line_write_to(struct line *l, size_t to)
{
	size_t prompt_len = line_prompt_len(l), end = line_cells(l);

	while (l->cur < to) {
		size_t row_end = l->cur - l->cur % l->columns + l->columns;
		size_t stop = MIN(to, row_end);

		if (l->cur < prompt_len) {
			stop = MIN(stop, prompt_len);
			out_put(l->out, l->prompt + l->cur, stop - l->cur);
		} else if (l->cur < end) {
			stop = MIN(stop, end);
			out_put(l->out, l->buf + (l->cur - prompt_len),
				stop - l->cur);
		} else {
			out_repeat(l->out, ' ', stop - l->cur);
		}
		l->cur = stop;
		if (stop == row_end)
			out_str(l->out, "\r\n");
	}
}

/* Puts the cursor into cell `to`, which has been written before. */
static void line_goto(struct line *l, size_t to)
{
	size_t rows, col = to % l->columns, back;

	if (to >= l->cur) {
		line_write_to(l, to);
		return;
	}
	rows = l->cur / l->columns - to / l->columns;
	if (rows)
		out_fmt(l->out, "\033[%uA", (unsigned int)rows);
	else if ((back = l->cur - to) <= col) {
		out_repeat(l->out, '\b', back);
		l->cur = to;
		return;
	}
	out_put(l->out, "\r", 1);
	l->cur = to - col;
	line_write_to(l, to);
}

void line_paint(struct line *l, size_t from)
{
	size_t end = line_cells(l);

	if (!l->shown)
		return;
	line_goto(l, from);
	line_write_to(l, MAX(l->drawn, end));
	l->drawn = end;
	line_goto(l, line_prompt_len(l) + l->pos);
}

void line_show(struct line *l)
{
	if (l->shown)
		return;
	l->shown = true;
	l->cur = 0;
	l->drawn = 0;
	line_paint(l, 0);
}

void line_hide(struct line *l)
{
	if (!l->shown)
		return;
	line_goto(l, 0);
	if (l->drawn < l->columns) {
		out_repeat(l->out, ' ', l->drawn);
		out_put(l->out, "\r", 1);
	} else {
		out_str(l->out, "\033[J");
	}
	l->shown = false;
}

void line_below(struct line *l)
{
	if (!l->shown)
		return;
	line_goto(l, line_cells(l));
	if (!l->cur || l->cur % l->columns)
		out_str(l->out, "\r\n");
	l->shown = false;
}

void line_set_columns(struct line *l, u32 columns)
{
	bool shown = l->shown;

	line_hide(l);
	l->columns = MAX(columns, 20u);
	if (shown)
		line_show(l);
}
