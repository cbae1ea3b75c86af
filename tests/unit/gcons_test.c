/* sources: kernel/gcons.c kernel/shell/view.c kernel/shell/line.c
 *	kernel/shell/line_keys.c kernel/shell/line_view.c
 *	kernel/shell/history.c kernel/shell/out.c tests/unit/fake_shell.c */
#include "kernel/gcons.h"

#include <pthread.h>

#include "kernel/shell/line.h"
#include "kernel/shell/view.h"
#include "kernel/time.h"
#include "tests/unit/fake_shell.h"

#define MS 10000ULL /* ticks */

static struct guest *a, *b;
static struct outq q;
static struct line line;
static struct view v;
static u32 wakes;

static void wake(void)
{
	__atomic_add_fetch(&wakes, 1, __ATOMIC_RELAXED);
}

static int setup(void **state)
{
	gcons_on_output(wake);
	gcons_watch_new(true);
	wakes = 0;
	a = fake_guest("a", 1);
	b = fake_guest("b", 1);
	outq_init(&q);
	line_init(&line, &q.raw, "> ");
	view_init(&v, &q, &line);
	return 0;
}

static int teardown(void **state)
{
	view_fini(&v);
	fake_guests_free();
	outq_fini(&q);
	line_fini(&line);
	return 0;
}

static void put(struct guest *g, const char *s)
{
	guest_console_put(g, s, strlen(s));
}

/* What has been queued for the terminal since the last call. */
static const char *shown(void)
{
	static char text[400000];
	const char *s;
	size_t len = 0, n;

	while ((n = outq_peek(&q, &s)) != 0) {
		assert_true(len + n < sizeof(text));
		memcpy(text + len, s, n);
		len += n;
		outq_skip(&q, n);
	}
	text[len] = '\0';
	return text;
}

/* Shows lines until there is nothing more; returns when to look again. */
static u64 look(u64 now)
{
	u64 wake_ticks = TIME_NEVER;

	while (view_lines(&v, now, &wake_ticks))
		;
	return wake_ticks;
}

static void raw(void)
{
	while (view_raw(&v))
		;
}

static void output_is_kept_and_read_in_order(void **state)
{
	u64 at = 0, lost, head;
	char buf[64];

	put(a, "hello, ");
	put(a, "world");
	assert_int_equal(gcons_peek(a->console, &at, buf, 5, &lost, &head), 5);
	assert_memory_equal(buf, "hello", 5);
	at += 5;
	assert_int_equal(gcons_peek(a->console, &at, buf, 64, &lost, &head), 7);
	assert_memory_equal(buf, ", world", 7);
	assert_int_equal(head, 12);
	assert_int_equal(lost, 0);
}

static void a_full_ring_loses_the_oldest_and_counts(void **state)
{
	struct gcons_stats s;
	u64 at = 0, lost, head;
	char buf[16];

	for (u32 i = 0; i < 10000; i++) {
		snprintf(buf, sizeof(buf), "%09u\n", i);
		put(a, buf);
	}
	gcons_stats(a->console, &s);
	assert_int_equal(s.written_bytes, 100000);
	assert_int_equal(s.lost_bytes, 100000 - 65536);
	assert_int_equal(s.unseen_bytes, 65536);
	gcons_peek(a->console, &at, buf, 10, &lost, &head);
	assert_int_equal(lost, 100000 - 65536);
	assert_int_equal(at, 100000 - 65536);
	at = 99990;
	assert_int_equal(gcons_peek(a->console, &at, buf, 16, &lost, &head),
			 10);
	assert_memory_equal(buf, "000009999\n", 10);
}

static void what_was_shown_is_not_lost(void **state)
{
	struct gcons_stats s;
	static char text[65536];

	memset(text, 'x', sizeof(text));
	guest_console_put(a, text, sizeof(text));
	gcons_shown(a->console, 60000);
	guest_console_put(a, text, 61000);
	gcons_stats(a->console, &s);
	assert_int_equal(s.lost_bytes, 1000);
	assert_int_equal(s.unseen_bytes, 65536);
}

static void a_flood_wakes_once_until_settled(void **state)
{
	u64 wake_ticks = TIME_NEVER;

	for (u32 i = 0; i < 10000; i++)
		put(a, "flood\n");
	assert_int_equal(wakes, 1);
	put(b, "me too\n");
	assert_int_equal(wakes, 2);
	view_lines(&v, 0, &wake_ticks);
	put(a, "more\n");
	assert_int_equal(wakes, 2);
	look(0);
	put(a, "more\n");
	assert_int_equal(wakes, 3);
}

static void nobody_is_woken_for_what_nobody_watches(void **state)
{
	view_watch(&v, a->console, false);
	put(a, "x\n");
	assert_int_equal(wakes, 0);
	look(0);
	assert_string_equal(shown(), "");
	view_watch(&v, a->console, true);
	assert_int_equal(wakes, 1);
	look(0);
	assert_string_equal(shown(), "[a] x\r\n");
	put(a, "y\n");
	view_watch(&v, a->console, false);
	view_watch(&v, a->console, true);
	view_watch(&v, a->console, false);
	look(0);
	assert_string_equal(shown(), "");
	view_watch(&v, a->console, true);
	look(0);
	assert_string_equal(shown(), "[a] y\r\n");
}

static void new_guests_are_watched_if_all_are(void **state)
{
	struct guest *c = fake_guest("c", 1), *d;

	put(c, "x\n");
	gcons_watch_new(false);
	d = fake_guest("d", 1);
	put(d, "y\n");
	look(0);
	assert_string_equal(shown(), "[c] x\r\n");
}

static void lines_come_with_names_and_in_turn(void **state)
{
	put(a, "one\r\ntwo\n");
	put(b, "uno\ndos\n\n");
	look(0);
	assert_string_equal(shown(), "[a] one\r\n[b] uno\r\n[a] two\r\n"
				     "[b] dos\r\n[b] \r\n");
}

static void a_line_without_end_waits_a_moment(void **state)
{
	u64 wake_ticks;

	put(a, "login: ");
	wake_ticks = look(1000);
	assert_int_equal(wake_ticks, 1000 + VIEW_PARTIAL_MS * MS);
	assert_string_equal(shown(), "");
	assert_int_equal(wakes, 1);
	put(a, "ro");
	assert_int_equal(wakes, 2);
	wake_ticks = look(2000);
	assert_int_equal(wake_ticks, 2000 + VIEW_PARTIAL_MS * MS);
	assert_int_equal(look(wake_ticks), TIME_NEVER);
	assert_string_equal(shown(), "[a] login: ro\r\n");
	put(a, "ot\n");
	look(wake_ticks);
	assert_string_equal(shown(), "[a] ot\r\n");
}

static void an_ended_line_does_not_wait_for_the_moment(void **state)
{
	put(a, "hal");
	look(1000);
	put(a, "lo\n");
	look(1001);
	assert_string_equal(shown(), "[a] hallo\r\n");
}

static void hostile_lines_are_made_safe(void **state)
{
	put(a, "\033[2J\033[1;31mred\033[0m \033]0;title\a \033c \x9b"
	       "5n\n");
	look(0);
	assert_string_equal(shown(), "[a] red ^[]0;title^G ^[c \\x9b5n\r\n");
	put(a, "over\rwritten\b\b\tx\x7f\x01\r\n");
	look(0);
	assert_string_equal(shown(), "[a] over^Mwritten^H^H\tx^?^A\r\n");
	put(a, "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\x9b \xc0\x80 "
	       "\xed\xa0\x80 \xe2\x82\n");
	look(0);
	assert_string_equal(shown(), "[a] \xc3\xa4 \xe2\x82\xac "
				     "\xf0\x9f\x98\x80 \\xc2\\x9b \\xc0\\x80 "
				     "\\xed\\xa0\\x80 \\xe2\\x82\r\n");
	put(a, "\033[\n\033[12\n\033\n");
	look(0);
	assert_string_equal(shown(), "[a] ^[[\r\n[a] ^[[12\r\n[a] ^[\r\n");
}

static void no_byte_of_any_line_can_move_the_cursor(void **state)
{
	u32 seed = 1;
	char text[200];

	for (u32 round = 0; round < 2000; round++) {
		for (u32 i = 0; i < sizeof(text); i++) {
			seed = seed * 1664525u + 1013904223u;
			text[i] =
				seed >> 31
					? (char)(seed >> 16)
					: "\033[;mAc2\x9b\xc2"[seed >> 20 & 7];
		}
		guest_console_put(a, text, sizeof(text));
		look(0);
		for (const char *s = shown(); *s; s++) {
			if (*s == '\r')
				assert_int_equal(s[1], '\n');
			else if (*s != '\n' && *s != '\t')
				assert_true((u8)*s >= ' ' && *s != 0x7f);
			if ((u8)*s >= 0x80 && (u8)*s < 0xa0)
				assert_true((u8)s[-1] >= 0x80 &&
					    (u8)s[-1] != 0xc2);
		}
	}
}

static void a_long_line_comes_in_pieces(void **state)
{
	char text[600];

	memset(text, 'x', sizeof(text));
	text[599] = '\n';
	guest_console_put(a, text, sizeof(text));
	look(0);
	shown();
	assert_int_equal(q.len, 0);
	assert_int_equal(a->console->shown_line, 600);
}

static void a_flood_leaves_the_neighbour_its_lines(void **state)
{
	u64 wake_ticks = TIME_NEVER;
	u32 mine = 0;

	for (u32 i = 0; i < 200; i++) {
		for (u32 k = 0; k < 100; k++)
			put(a, "flood flood flood flood flood\n");
		put(b, "mine\n");
		for (u32 k = 0; k < 2; k++)
			view_lines(&v, 0, &wake_ticks);
	}
	for (const char *s = shown(); (s = strstr(s, "[b] mine")); s++)
		mine++;
	assert_int_equal(mine, 200);
}

static void a_flood_gets_a_burst_and_then_its_pace(void **state)
{
	u64 us = us_to_ticks(1000) / 1000, now = us, begun = now, due = 0;
	u32 lines = 0;

	/* A line takes a CPU 100 us. Ten seconds of it. */
	while (now < begun + 10000000 * us) {
		put(a, "flood\n");
		view_lines(&v, now, &due);
		if (v.payer) {
			assert_string_equal(shown(), "[a] flood\r\n");
			lines++;
			now += 100 * us;
			view_spent(&v, 100 * us);
			continue;
		}
		/* Who has something to say meanwhile says it. */
		put(b, "me too\n");
		view_lines(&v, now, &due);
		assert_ptr_equal(v.payer, b->console);
		assert_string_equal(shown(), "[b] me too\r\n");
		due = look(now);
		assert_in_range(due, now + 1, now + 1000000 * us);
		now = due;
	}
	/* A second's worth at once, and a pace-th of what time there was. */
	assert_in_range(lines, 10000, 10000 + 10000000 / 100 / VIEW_PACE + 10);
	/* At the end all is shown that is left. */
	v.unpaced = true;
	now++;
	look(now);
	put(a, "last words\n");
	look(now);
	assert_true(strstr(shown(), "[a] last words"));
}

static void looks_at_a_line_without_end_are_paid_for(void **state)
{
	u64 us = us_to_ticks(1000) / 1000, now = us, due;
	u32 looks = 0;

	/* Each byte tells the console, which takes 20 us to see that the line
	 * isn't complete. For three seconds of a second's worth. */
	for (; now < 3000000 * us; now += 20 * us) {
		put(a, "x");
		view_lines(&v, now, &due);
		looks += v.payer != NULL;
		view_spent(&v, 20 * us);
	}
	assert_in_range(looks, 50000, 51000);
}

static void all_of_many_guests_are_shown(void **state)
{
	struct guest *g;
	char name[16];
	u32 n = 0;

	for (u32 i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		g = fake_guest(name, 1);
		put(g, "line\nhalf");
	}
	look(0);
	look(VIEW_PARTIAL_MS * MS);
	for (const char *s = shown(); (s = strchr(s, '[')); s++)
		n++;
	assert_int_equal(n, 100);
	assert_int_equal(v.count, 0);
}

static void lost_lines_are_said(void **state)
{
	u64 wake_ticks = TIME_NEVER;

	for (u32 i = 0; i < 7000; i++)
		put(a, "123456789\n");
	view_lines(&v, 0, &wake_ticks);
	assert_string_equal(shown(), "[a] ... 4464 bytes lost ...\r\n"
				     "[a] 56789\r\n");
}

static void attaching_replays_what_came_meanwhile(void **state)
{
	put(a, "boot\n\033[1m# ");
	look(0);
	look(VIEW_PARTIAL_MS * MS);
	shown();
	view_attach(&v, a->console);
	raw();
	assert_string_equal(shown(), "boot\n\033[1m# ");
	put(a, "ls\r\n");
	raw();
	assert_string_equal(shown(), "ls\r\n");
	view_detach(&v);
	assert_string_equal(shown(), "\033[0m");
	put(a, "later\n");
	look(0);
	assert_string_equal(shown(), "[a] later\r\n");
	view_attach(&v, a->console);
	raw();
	assert_string_equal(shown(), "later\n");
	view_detach(&v);
}

static void attaching_with_nothing_new_repeats_the_prompt(void **state)
{
	put(a, "boot\nlogin: ");
	view_attach(&v, a->console);
	raw();
	view_detach(&v);
	shown();
	view_attach(&v, a->console);
	raw();
	assert_string_equal(shown(), "login: ");
	view_detach(&v);
}

static void attaching_after_a_flood_says_what_is_gone(void **state)
{
	static char text[100000];

	memset(text, 'x', sizeof(text));
	guest_console_put(a, text, sizeof(text));
	view_attach(&v, a->console);
	raw();
	assert_memory_equal(shown(),
			    "[rouse: 34464 older bytes are no longer kept]\r\n",
			    46);
	assert_int_equal(a->console->shown_raw, 100000);
	view_detach(&v);
}

static void an_unwatched_guest_wakes_while_attached(void **state)
{
	view_watch(&v, a->console, false);
	view_attach(&v, a->console);
	raw();
	wakes = 0;
	put(a, "x");
	put(a, "y");
	assert_int_equal(wakes, 1);
	raw();
	assert_string_equal(shown(), "xy");
	view_detach(&v);
	put(a, "z\n");
	look(0);
	assert_string_equal(shown(), "");
}

static void a_destroyed_guest_leaves_its_last_words(void **state)
{
	put(a, "bye\nhalf a line");
	gcons_destroy(a);
	assert_int_equal(look(0), TIME_NEVER);
	assert_string_equal(shown(), "[a] bye\r\n[a] half a line\r\n");
}

static void destroying_an_attached_guest_is_safe(void **state)
{
	view_attach(&v, a->console);
	put(a, "bye");
	gcons_destroy(a);
	raw();
	assert_string_equal(shown(), "bye");
	assert_int_equal(gcons_type(v.attached, "x", 1), 0);
	view_detach(&v);
}

static void input_goes_to_the_device_as_it_has_room(void **state)
{
	fake_input_room = 3;
	assert_int_equal(gcons_type(a->console, "hello", 5), 5);
	assert_int_equal(fake_input_len, 3);
	assert_int_equal(gcons_type(a->console, "!", 1), 1);
	assert_int_equal(fake_input_len, 3);
	fake_input_room = 2;
	guest_console_ready(a);
	fake_input_room = 100;
	guest_console_ready(a);
	assert_memory_equal(fake_input, "hello!", 6);
	assert_int_equal(fake_input_len, 6);
}

static void too_much_input_is_refused_and_none_is_lost(void **state)
{
	char text[5000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	fake_input_room = 0;
	assert_int_equal(gcons_type(a->console, text, 3000), 3000);
	assert_int_equal(gcons_type(a->console, text + 3000, 2000), 1096);
	fake_input_room = 100;
	guest_console_ready(a);
	assert_int_equal(gcons_type(a->console, text + 4096, 904), 100);
	fake_input_room = 5000;
	guest_console_ready(a);
	assert_int_equal(fake_input_len, 4196);
	assert_memory_equal(fake_input, text, 4196);
}

static void a_guest_that_reads_by_sbi_gets_what_is_typed(void **state)
{
	char buf[8];

	assert_int_equal(guest_console_get(a, buf, 8), 0);
	gcons_type(a->console, "hello", 5);
	assert_int_equal(fake_input_len, 0);
	assert_int_equal(guest_console_get(a, buf, 3), 3);
	assert_int_equal(guest_console_get(a, buf + 3, 5), 2);
	assert_memory_equal(buf, "hello", 5);
	gcons_type(a->console, "x", 1);
	guest_console_ready(a);
	assert_int_equal(fake_input_len, 1);
	assert_int_equal(guest_console_get(a, buf, 8), 0);
}

static void a_restart_forgets_old_input(void **state)
{
	char buf[8];

	guest_console_get(a, buf, 1);
	gcons_type(a->console, "old", 3);
	gcons_reset(a);
	assert_int_equal(guest_console_get(a, buf, 8), 0);
	gcons_reset(a);
	gcons_type(a->console, "n", 1);
	assert_int_equal(fake_input_len, 1);
}

static void no_memory_makes_no_console(void **state)
{
	struct guest g = {.cfg = {.name = "x"}};

	for (long n = 0; n < 4; n++) {
		fake_alloc_limit(n);
		assert_int_equal(gcons_create(&g), -ENOMEM);
	}
	fake_alloc_limit(4);
	assert_int_equal(gcons_create(&g), 0);
	fake_alloc_limit(-1);
	gcons_destroy(&g);
}

#define THREADS 2 /* ticket locks crawl when there are more than cores */
#define LINES	500

static void *flood(void *arg)
{
	char text[32];

	for (u32 i = 0; i < LINES; i++) {
		snprintf(text, sizeof(text), "%c%010u\n", (int)(uintptr_t)arg,
			 i);
		put(a, text);
	}
	return NULL;
}

/* Two vCPUs print at once while the reader reads: each line is whole. */
static void floods_from_several_cpus_keep_lines_whole(void **state)
{
	pthread_t th[THREADS];
	struct gcons_stats s;
	u64 at = 0, lost, head, all_lost = 0, read = 0;
	char buf[256];
	size_t n;

	a->console->ring_bytes = 256;
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&th[i], NULL, flood, (void *)('A' + i));
	do {
		n = gcons_peek(a->console, &at, buf, 240, &lost, &head);
		all_lost += lost;
		at += n;
		read += n;
		/* 12 bytes a line; the ring may cut at any place. */
		for (size_t i = 0; i < n; i++) {
			u64 pos = (at - n + i) % 12;

			if (pos == 11)
				assert_int_equal(buf[i], '\n');
			else if (pos == 0)
				assert_in_range(buf[i], 'A', 'B');
			else
				assert_in_range(buf[i], '0', '9');
		}
	} while (at < THREADS * LINES * 12);
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(read + all_lost, THREADS * LINES * 12);
	gcons_stats(a->console, &s);
	assert_int_equal(s.written_bytes, THREADS * LINES * 12);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(output_is_kept_and_read_in_order),
		T(a_full_ring_loses_the_oldest_and_counts),
		T(what_was_shown_is_not_lost),
		T(a_flood_wakes_once_until_settled),
		T(nobody_is_woken_for_what_nobody_watches),
		T(new_guests_are_watched_if_all_are),
		T(lines_come_with_names_and_in_turn),
		T(a_line_without_end_waits_a_moment),
		T(an_ended_line_does_not_wait_for_the_moment),
		T(hostile_lines_are_made_safe),
		T(no_byte_of_any_line_can_move_the_cursor),
		T(a_long_line_comes_in_pieces),
		T(a_flood_leaves_the_neighbour_its_lines),
		T(a_flood_gets_a_burst_and_then_its_pace),
		T(looks_at_a_line_without_end_are_paid_for),
		T(all_of_many_guests_are_shown),
		T(lost_lines_are_said),
		T(attaching_replays_what_came_meanwhile),
		T(attaching_with_nothing_new_repeats_the_prompt),
		T(attaching_after_a_flood_says_what_is_gone),
		T(an_unwatched_guest_wakes_while_attached),
		T(a_destroyed_guest_leaves_its_last_words),
		T(destroying_an_attached_guest_is_safe),
		T(input_goes_to_the_device_as_it_has_room),
		T(too_much_input_is_refused_and_none_is_lost),
		T(a_guest_that_reads_by_sbi_gets_what_is_typed),
		T(a_restart_forgets_old_input),
		T(no_memory_makes_no_console),
		T(floods_from_several_cpus_keep_lines_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
