/* sources: kernel/shell/line.c kernel/shell/line_keys.c
 *	kernel/shell/line_view.c kernel/shell/history.c kernel/shell/out.c
 *	kernel/gcons.c tests/unit/fake_shell.c */
#include "kernel/shell/line.h"

#include "tests/unit/fake_shell.h"

/*
 * A terminal of 80 columns that wraps late, as they do: what it shows decides.
 * It knows what the editor uses: CR, LF, BS, and the sequences A, J and H.
 */
#define ROWS 200
#define COLS 80

struct term {
	struct out out;
	char cell[ROWS][COLS + 1];
	u32 row, col;
	u32 bells, escapes, bytes;
	u32 esc, number;
};

static struct term t;
static struct line l;

static void term_sequence(char c)
{
	t.escapes++;
	switch (c) {
	case 'A':
		assert_true(t.row >= t.number);
		t.row -= t.number;
		break;
	case 'J':
		if (t.number == 2) {
			memset(t.cell, ' ', sizeof(t.cell));
			break;
		}
		memset(&t.cell[t.row][t.col], ' ', COLS - t.col);
		for (u32 r = t.row + 1; r < ROWS; r++)
			memset(t.cell[r], ' ', COLS);
		break;
	case 'H':
		t.row = t.col = 0;
		break;
	default:
		fail_msg("the editor sent ESC [ %c", c);
	}
}

static void term_char(char c)
{
	if (t.esc == 1) {
		assert_int_equal(c, '[');
		t.esc = 2;
		t.number = 0;
	} else if (t.esc == 2) {
		if (c >= '0' && c <= '9') {
			t.number = t.number * 10 + (u32)(c - '0');
			return;
		}
		t.esc = 0;
		term_sequence(c);
	} else if (c == '\033') {
		t.esc = 1;
	} else if (c == '\r') {
		t.col = 0;
	} else if (c == '\n') {
		t.row++;
	} else if (c == '\b') {
		assert_true(t.col > 0);
		t.col--;
	} else if (c == '\a') {
		t.bells++;
	} else {
		if (t.col == COLS) {
			t.row++;
			t.col = 0;
		}
		t.cell[t.row][t.col++] = c;
	}
	assert_true(t.row < ROWS);
}

static void term_put(struct out *o, const char *s, size_t n)
{
	t.bytes += (u32)n;
	while (n--)
		term_char(*s++);
}

/* What is on the screen must be prompt and text, and the cursor at `pos`. */
static void check(const char *prompt, const char *text, size_t pos)
{
	static char want[20000];
	size_t n, p = strlen(prompt) + pos;

	n = (size_t)snprintf(want, sizeof(want), "%s%s", prompt, text);
	for (size_t i = 0; i < MIN(n + 500, (size_t)ROWS * COLS - 1); i++) {
		char c = t.cell[i / COLS][i % COLS];

		if (c != (i < n ? want[i] : ' '))
			fail_msg("cell %zu shows '%c', expected '%c' of '%s'",
				 i, c, i < n ? want[i] : ' ', want);
	}
	assert_string_equal(line_text(&l), text);
	assert_int_equal(l.pos, pos);
	assert_int_equal(t.row, p / COLS);
	assert_int_equal(t.col, p % COLS);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	memset(t.cell, ' ', sizeof(t.cell));
	t.out.put = term_put;
	line_init(&l, &t.out, "> ");
	line_show(&l);
	return 0;
}

static int teardown(void **state)
{
	line_fini(&l);
	return 0;
}

static enum line_event keys(const char *s)
{
	enum line_event e = LINE_MORE;

	while (*s)
		e = line_key(&l, *s++);
	return e;
}

/* Enters a line and begins the next on a clean screen. */
static void enter(const char *s)
{
	keys(s);
	assert_int_equal(line_key(&l, '\r'), LINE_ENTER);
	assert_string_equal(line_text(&l), s);
	line_next(&l);
	memset(t.cell, ' ', sizeof(t.cell));
	t.row = t.col = 0;
	line_show(&l);
}

static void typed_text_is_shown_and_entered(void **state)
{
	keys("guest list");
	check("> ", "guest list", 10);
	assert_int_equal(line_key(&l, '\r'), LINE_ENTER);
	assert_string_equal(line_text(&l), "guest list");
	assert_int_equal(t.row, 1);
	assert_int_equal(t.col, 0);
}

static void a_line_that_fits_needs_no_escape_sequence(void **state)
{
	keys("hello world\x01\x06\x06x\x7f\x05\x17"
	     "there\x02\x02\x0b\x15\x19");
	line_hide(&l);
	line_show(&l);
	check("> ", "hello the", 9);
	assert_int_equal(t.escapes, 0);
}

static void typing_at_the_end_costs_a_byte_a_key(void **state)
{
	u32 before = t.bytes;

	keys("0123456789");
	assert_int_equal(t.bytes - before, 10);
	keys("\x7f");
	assert_int_equal(t.bytes - before, 13);
}

static void emacs_keys_edit(void **state)
{
	keys("one two three");
	check("> ", "one two three", 13);
	keys("\x01");
	check("> ", "one two three", 0);
	keys("\x06\x06\x04");
	check("> ", "on two three", 2);
	keys("\033f\033d");
	check("> ", "on two", 6);
	keys("\x19\x19");
	check("> ", "on two three three", 18);
	keys("\033b\x14");
	check("> ", "on two threet hree", 14);
	keys("\x02\x02\x02\x0b");
	check("> ", "on two thre", 11);
	keys("\x17");
	check("> ", "on two ", 7);
	keys("\x15");
	check("> ", "", 0);
	keys("\x19\x19");
	check("> ", "on two on two ", 14);
	keys("\033\x7f");
	check("> ", "on two on ", 10);
}

static void arrows_home_end_and_delete_edit(void **state)
{
	keys("abc def");
	keys("\033[D\033[Dx");
	check("> ", "abc dxef", 6);
	keys("\033[H\033[C\033[3~");
	check("> ", "ac dxef", 1);
	keys("\033[F!");
	check("> ", "ac dxef!", 8);
	keys("\033[1;5D");
	check("> ", "ac dxef!", 3);
	keys("\033[1;5D\033[1;5C");
	check("> ", "ac dxef!", 2);
	keys("\033OH");
	check("> ", "ac dxef!", 0);
	keys("\033[4~\033[1~\033[8~\033[7~\033OF");
	check("> ", "ac dxef!", 8);
}

static void keys_at_the_ends_do_no_harm(void **state)
{
	keys("\x7f\x04\x02\x06\x0b\x15\x17\x14\x19\033b\033f\033d\033[3~");
	check("> ", "", 0);
	keys("a\x14\x06\x04");
	check("> ", "a", 1);
}

static void unknown_sequences_leave_nothing_behind(void **state)
{
	keys("a\033[15~\033[200;3;9x\033[?25h\033x\033[99999999999~b");
	check("> ", "ab", 2);
	keys("\x80\xff\x00\x1f");
	check("> ", "ab", 2);
}

static void text_wraps_at_80_columns(void **state)
{
	char text[200] = "";

	for (u32 i = 0; i < 170; i++) {
		text[i] = (char)('a' + i % 26);
		line_key(&l, text[i]);
		check("> ", text, i + 1);
	}
	for (u32 i = 170; i-- > 0;) {
		keys("\x02");
		check("> ", text, i);
	}
	for (u32 i = 0; i < 100; i++)
		keys("\x06");
	check("> ", text, 100);
	keys("\x01X");
	memmove(text + 1, text, 170);
	text[0] = 'X';
	check("> ", text, 1);
	keys("\x05");
	for (u32 i = 171; i-- > 0;) {
		keys("\x7f");
		text[i] = '\0';
		check("> ", text, i);
	}
}

static void random_editing_keeps_the_screen_true(void **state)
{
	static const char *const moves[] = {
		"\x01",	 "\x05",  "\x02",
		"\x06",	 "\x7f",  "\x04",
		"\x17",	 "\x0b",  "\x15",
		"\x19",	 "\x14",  "\033b",
		"\033f", "\033d", "abcdefgh",
		"x y",	 " ",	  "0123456789012345678901234567890123456789",
	};
	u32 seed = 12345;

	for (u32 i = 0; i < 4000; i++) {
		seed = seed * 1664525u + 1013904223u;
		if (l.len < 1500 || seed >> 24 & 1)
			keys(moves[(seed >> 16) % ARRAY_LEN(moves)]);
		else
			keys("\x15");
		if (i % 16 == 0) {
			line_hide(&l);
			assert_int_equal(t.row, 0);
			assert_int_equal(t.cell[0][0], ' ');
			line_show(&l);
		}
		check("> ", line_text(&l), l.pos);
	}
}

static void history_walks_back_and_forth(void **state)
{
	enter("one");
	enter("two");
	enter("two");
	enter("");
	enter("three, which is longer");
	keys("typed");
	keys("\033[A");
	check("> ", "three, which is longer", 22);
	keys("\x10");
	check("> ", "two", 3);
	keys("\033OA");
	check("> ", "one", 3);
	keys("\033[A");
	check("> ", "one", 3);
	assert_int_equal(t.bells, 1);
	keys("\x0e\x0e");
	check("> ", "three, which is longer", 22);
	keys("\033[B");
	check("> ", "typed", 5);
	keys("\033[B");
	assert_int_equal(t.bells, 2);
}

static void an_edited_copy_leaves_the_history_as_it_was(void **state)
{
	enter("one");
	keys("\x10!");
	assert_int_equal(line_key(&l, '\n'), LINE_ENTER);
	assert_string_equal(line_text(&l), "one!");
	line_next(&l);
	keys("\x10\x10");
	assert_string_equal(line_text(&l), "one");
}

static void history_forgets_the_oldest_by_bytes(void **state)
{
	char text[1000];

	for (u32 i = 0; i < 100; i++) {
		memset(text, 'a' + (int)(i % 26), sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		snprintf(text, 8, "%u", i);
		text[strlen(text)] = ' ';
		history_add(&l.history, text);
	}
	assert_true(l.history.bytes <= HISTORY_BYTES);
	assert_true(l.history.bytes > HISTORY_BYTES - 1000);
	keys("\x12"
	     "99 ");
	assert_memory_equal(line_text(&l), "99 ", 3);
	keys("\x07\x12"
	     "12 ");
	assert_memory_not_equal(line_text(&l), "12 ", 3);
}

static void search_finds_older_lines(void **state)
{
	enter("guest start a");
	enter("sched list");
	enter("guest stop b");
	keys("\x12");
	check("(search '') ", "", 0);
	keys("gu");
	check("(search 'gu') ", "guest stop b", 12);
	keys("\x12");
	check("(search 'gu') ", "guest start a", 13);
	keys("\x05!");
	check("> ", "guest start a!", 14);
	keys("\x15\x12st\x7f\x7fsched");
	check("(search 'sched') ", "sched list", 10);
	keys("\x07");
	check("> ", "", 0);
	keys("\x12zzz");
	assert_true(t.bells > 0);
	assert_int_equal(line_key(&l, 3), LINE_INTERRUPT);
	assert_string_equal(line_text(&l), "");
}

static void ctrl_c_gives_the_line_up(void **state)
{
	keys("some text\x01");
	assert_int_equal(line_key(&l, 3), LINE_INTERRUPT);
	assert_memory_equal(t.cell[0], "> some text^C", 13);
	assert_int_equal(t.row, 1);
	assert_string_equal(line_text(&l), "");
}

static void crlf_is_one_enter(void **state)
{
	assert_int_equal(keys("a\r"), LINE_ENTER);
	line_next(&l);
	assert_int_equal(line_key(&l, '\n'), LINE_MORE);
	assert_int_equal(keys("b\n"), LINE_ENTER);
	line_next(&l);
	assert_int_equal(line_key(&l, '\n'), LINE_ENTER);
}

static void a_hidden_line_leaves_a_clean_screen(void **state)
{
	for (u32 n = 0; n < 200; n += 13) {
		setup(NULL);
		for (u32 i = 0; i < n; i++)
			keys("x");
		keys("\x02\x02");
		line_hide(&l);
		for (u32 i = 0; i < 4 * COLS; i++)
			assert_int_equal(t.cell[i / COLS][i % COLS], ' ');
		assert_int_equal(t.row, 0);
		assert_int_equal(t.col, 0);
		line_hide(&l);
		line_show(&l);
		check("> ", line_text(&l), n > 2 ? n - 2 : 0);
		if (n < 187)
			teardown(NULL);
	}
}

static void a_row_filled_to_its_end_is_left_on_the_next(void **state)
{
	for (u32 i = 0; i < 78; i++)
		keys("x");
	assert_int_equal(t.row, 1);
	line_key(&l, '\r');
	assert_int_equal(t.row, 1);
	assert_int_equal(t.col, 0);
}

static void ctrl_l_starts_at_the_top(void **state)
{
	keys("abc");
	t.row = 20;
	keys("\x0c");
	check("> ", "abc", 3);
}

static void too_long_or_no_memory_rings(void **state)
{
	static char big[LINE_BYTES_MAX + 1];

	fake_alloc_limit(0);
	keys("a");
	fake_alloc_limit(-1);
	assert_int_equal(t.bells, 1);
	check("> ", "", 0);
	l.shown = false;
	memset(big, 'x', sizeof(big));
	assert_true(line_insert(&l, big, LINE_BYTES_MAX));
	assert_false(line_insert(&l, big, 1));
	assert_int_equal(t.bells, 2);
	assert_int_equal(l.len, LINE_BYTES_MAX);
}

static void complete_once(struct line *x, bool list, void *ctx)
{
	*(u32 *)ctx += list ? 100 : 1;
	line_insert(x, "!", 1);
}

static void tab_completes_and_twice_lists(void **state)
{
	u32 calls = 0;

	l.complete = complete_once;
	l.complete_ctx = &calls;
	keys("a\t");
	assert_int_equal(calls, 1);
	check("> ", "a!", 2);
	keys("\t");
	assert_int_equal(calls, 101);
	keys("b\t");
	assert_int_equal(calls, 102);
}

static void another_width_breaks_elsewhere(void **state)
{
	for (u32 i = 0; i < 30; i++)
		keys("x");
	line_set_columns(&l, 5);
	assert_int_equal(l.columns, 20);
	assert_int_equal(t.row, 1);
	assert_int_equal(t.col, 12);
	assert_int_equal(t.cell[0][19], 'x');
	assert_int_equal(t.cell[0][20], ' ');
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(typed_text_is_shown_and_entered),
		T(a_line_that_fits_needs_no_escape_sequence),
		T(typing_at_the_end_costs_a_byte_a_key),
		T(emacs_keys_edit),
		T(arrows_home_end_and_delete_edit),
		T(keys_at_the_ends_do_no_harm),
		T(unknown_sequences_leave_nothing_behind),
		T(text_wraps_at_80_columns),
		T(random_editing_keeps_the_screen_true),
		T(history_walks_back_and_forth),
		T(an_edited_copy_leaves_the_history_as_it_was),
		T(history_forgets_the_oldest_by_bytes),
		T(search_finds_older_lines),
		T(ctrl_c_gives_the_line_up),
		T(crlf_is_one_enter),
		T(a_hidden_line_leaves_a_clean_screen),
		T(a_row_filled_to_its_end_is_left_on_the_next),
		T(ctrl_l_starts_at_the_top),
		T(too_long_or_no_memory_rings),
		T(tab_completes_and_twice_lists),
		T(another_width_breaks_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
