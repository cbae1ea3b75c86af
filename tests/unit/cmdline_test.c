/* The command line: words, quotes, numbers, slips of the hand. */
/* sources: kernel/cmdline.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/cmdline.h"

static void expect(const char *line, const char *key, const char *value)
{
	size_t len = 99;
	const char *got;

	cmdline_init(line);
	got = cmdline_get(key, &len);
	if (!value) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(len, strlen(value));
	assert_memory_equal(got, value, len);
	assert_true(cmdline_is(key, value));
}

static void a_value_is_found_by_its_key(void **state)
{
	(void)state;
	expect("sched=rr", "sched", "rr");
	expect("  a=1   sched=rr  ", "sched", "rr");
	expect("xsched=no sched=rr", "sched", "rr");
	expect("sched=", "sched", "");
	expect("sched", "sched", NULL);
	expect("", "sched", NULL);
	expect(NULL, "sched", NULL);
}

static void a_quoted_value_may_hold_spaces(void **state)
{
	(void)state;
	expect("cmd=\"a b; c\" sched=rr", "cmd", "a b; c");
	expect("cmd=\"a b; c\" sched=rr", "sched", "rr");
	expect("cmd=\"sched=no\" sched=rr", "sched", "rr");
	expect("cmd=\"never ends", "cmd", "\"never");
	expect("cmd=\"\"", "cmd", "");
	expect("cmd=\"", "cmd", "\"");
}

static void a_number_is_within_its_range_or_an_error(void **state)
{
	u32 n = 7;

	(void)state;
	cmdline_init("a=12 b= c=1x d=99999999999999999999 e=3");
	assert_int_equal(cmdline_u32("a", 0, 14, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(cmdline_u32("b", 0, 14, &n), -EINVAL);
	assert_int_equal(cmdline_u32("c", 0, 14, &n), -EINVAL);
	assert_int_equal(cmdline_u32("d", 0, 14, &n), -EINVAL);
	assert_int_equal(cmdline_u32("e", 4, 14, &n), -EINVAL);
	assert_int_equal(cmdline_u32("f", 0, 14, &n), -ENOENT);
	assert_int_equal(n, 12);
}

static void an_unknown_word_is_named(void **state)
{
	static const char *const known[] = { "sched", "cmd" };
	char bad[8];

	(void)state;
	cmdline_init("sched=rr cmd=\"x y\"");
	assert_false(cmdline_unknown(known, 2, bad, sizeof(bad)));
	cmdline_init("sched=rr shed=rr");
	assert_true(cmdline_unknown(known, 2, bad, sizeof(bad)));
	assert_string_equal(bad, "shed=rr");
	cmdline_init("schedule=credit");
	assert_true(cmdline_unknown(known, 2, bad, sizeof(bad)));
	assert_string_equal(bad, "schedul");
	cmdline_init(NULL);
	assert_false(cmdline_unknown(known, 2, bad, sizeof(bad)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_found_by_its_key),
		cmocka_unit_test(a_quoted_value_may_hold_spaces),
		cmocka_unit_test(a_number_is_within_its_range_or_an_error),
		cmocka_unit_test(an_unknown_word_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
