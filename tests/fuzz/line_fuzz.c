/*
 * The line editor: any keys, on terminals of three widths, with memory that
 * runs out.
 *
 * After each key the line is sound, and a terminal that did all that the editor
 * sent, and knows only what the editor may use, shows prompt and text with the
 * cursor where it is.
 */
/* sources: kernel/shell/line.c kernel/shell/line_keys.c
 *	kernel/shell/line_view.c kernel/shell/history.c kernel/shell/out.c
 *	kernel/gcons.c tests/unit/fake_shell.c */
#include "kernel/shell/line.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_shell.h"

#define ROWS	 160u
#define COLS	 80u
#define TEXT_MAX 1500u /* longer lines don't show on this terminal */

static struct {
	struct out out;
	char cell[ROWS][COLS];
	u32 columns, row, col, esc, number;
} t;

static struct line l;

static void erase(u32 row, u32 col)
{
	memset(&t.cell[row][col], ' ', sizeof(t.cell) - row * COLS - col);
}

static void term_sequence(char c)
{
	if (c == 'A') {
		MUST(t.row >= t.number);
		t.row -= t.number;
	} else if (c == 'J' && t.number == 2) {
		erase(0, 0);
	} else if (c == 'J') {
		erase(t.row, t.col);
	} else {
		MUST(c == 'H');
		t.row = t.col = 0;
	}
}

static void term_plain(char c)
{
	if (c == '\r') {
		t.col = 0;
	} else if (c == '\n') {
		t.row++;
	} else if (c == '\b') {
		MUST(t.col > 0);
		t.col--;
	} else if (c != '\a') {
		MUST(c >= ' ' && c < 0x7f);
		/* It wraps late, which only Ctrl-C's mark may meet. */
		if (t.col == t.columns) {
			MUST(c == 'C' || c == '^');
			t.col = 0;
			t.row++;
		}
		MUST(t.row < ROWS);
		t.cell[t.row][t.col++] = c;
	}
	MUST(t.row < ROWS);
}

static void term_char(char c)
{
	if (t.esc == 1) {
		MUST(c == '[');
		t.esc = 2;
		t.number = 0;
	} else if (t.esc == 2 && c >= '0' && c <= '9') {
		t.number = t.number * 10 + (u32)(c - '0');
	} else if (t.esc == 2) {
		t.esc = 0;
		term_sequence(c);
	} else if (c == '\033') {
		t.esc = 1;
	} else {
		term_plain(c);
	}
}

static void term_put(struct out *o, const char *s, size_t n)
{
	while (n--)
		term_char(*s++);
}

static void picture_check(void)
{
	size_t prompt = strlen(l.prompt), end = prompt + l.len;
	size_t at = prompt + l.pos;

	if (!l.shown)
		return;
	for (size_t i = 0; i < end + 2 * t.columns; i++) {
		char want = i < prompt ? l.prompt[i]
			    : i < end  ? l.buf[i - prompt]
				       : ' ';

		if (i / t.columns < ROWS)
			MUST(t.cell[i / t.columns][i % t.columns] == want);
	}
	MUST(t.row == at / t.columns && t.col == at % t.columns);
}

/* A fresh screen, the cursor at its top. */
static void term_clear(void)
{
	erase(0, 0);
	t.row = t.col = t.esc = 0;
}

static void complete(struct line *line, bool list, void *ctx)
{
	if (!list) {
		(void)line_insert(line, "word", line->len % 5);
		return;
	}
	line_below(line);
	MUST(t.col == 0);
	term_clear();
	line_show(line);
}

static void key(char c)
{
	enum line_event event = line_key(&l, c);

	if (event != LINE_MORE) {
		MUST(t.col == 0 || !l.shown);
		line_hide(&l);
		term_clear();
		if (event == LINE_ENTER)
			line_next(&l);
		MUST(l.len == 0 && l.pos == 0);
		line_show(&l);
	}
	MUST(l.pos <= l.len && l.len <= LINE_BYTES_MAX);
	MUST(strlen(line_text(&l)) == l.len);
	picture_check();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	static const u32 columns[] = {20, 41, COLS};
	struct fuzz_in in = {data, bytes};
	long allocs;

	t.out.put = term_put;
	t.columns = columns[fuzz_below(&in, ARRAY_LEN(columns))];
	term_clear();
	line_init(&l, &t.out, "rouse> ");
	l.complete = complete;
	line_set_columns(&l, t.columns);
	allocs = (long)fuzz_take(&in, 1);
	fake_alloc_limit(allocs < 64 ? allocs : -1);
	line_show(&l);
	while (in.left && l.len < TEXT_MAX)
		key((char)fuzz_take(&in, 1));
	fake_alloc_limit(-1);
	line_fini(&l);
	return 0;
}
