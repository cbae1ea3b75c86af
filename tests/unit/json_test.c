/* sources: kernel/shell/json.c kernel/shell/out.c kernel/gcons.c
 *	tests/unit/fake_shell.c */
#include "kernel/shell/json.h"

#include "tests/unit/fake_shell.h"

static struct paper p;
static struct json j;

static int setup(void **state)
{
	paper_init(&p);
	return 0;
}

static int teardown(void **state)
{
	paper_free(&p);
	return 0;
}

static void type_comes_first_and_commas_come_between(void **state)
{
	json_open(&j, &p.out, "guest");
	json_u64(&j, "memory_bytes", UINT64_MAX);
	json_bool(&j, "on", true);
	json_null(&j, "pin");
	json_close(&j);
	assert_string_equal(p.text,
			    "{\"type\":\"guest\",\"memory_bytes\":"
			    "18446744073709551615,\"on\":true,\"pin\":null}\n");
	assert_int_equal(json_lines(p.text), 1);
}

static void arrays_and_objects_nest_and_close(void **state)
{
	json_open(&j, &p.out, "x");
	json_array(&j, "empty");
	json_end(&j);
	json_array(&j, "list");
	json_u64(&j, NULL, 1);
	json_str(&j, NULL, "two");
	json_object(&j, NULL);
	json_u64_or_null(&j, "a", 3, 3);
	json_end(&j);
	json_end(&j);
	json_object(&j, "o");
	json_array(&j, "l");
	json_close(&j);
	assert_string_equal(p.text,
			    "{\"type\":\"x\",\"empty\":[],\"list\":"
			    "[1,\"two\",{\"a\":null}],\"o\":{\"l\":[]}}\n");
	assert_int_equal(json_lines(p.text), 1);
}

static void any_bytes_make_valid_ascii(void **state)
{
	char all[256];

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	json_open(&j, &p.out, all);
	json_str(&j, "text", all);
	json_str(&j, "none", NULL);
	json_close(&j);
	assert_int_equal(json_lines(p.text), 1);
	assert_non_null(strstr(p.text, "\\u001b"));
	assert_non_null(strstr(p.text, "\\u00ff\",\"none\":null}"));
	assert_non_null(strstr(p.text, "!\\\"#"));
	assert_non_null(strstr(p.text, "[\\\\]"));
}

static void decimals_keep_their_zeroes(void **state)
{
	json_open(&j, &p.out, "x");
	json_milli(&j, "share_percent", 66006);
	json_milli(&j, "nothing", 0);
	json_close(&j);
	assert_non_null(strstr(p.text, ":66.006,"));
	assert_non_null(strstr(p.text, ":0.000}"));
	assert_int_equal(json_lines(p.text), 1);
}

static void the_checker_knows_bad_json(void **state)
{
	static const char *const bad[] = {
		"{}\n",
		"{\"type\":\"x\",}\n",
		"{\"type\":\"x\" }\n",
		"{\"type\":\"x\",\"a\":01}\n",
		"{\"type\":\"x\",\"a\":[1,]}\n",
		"{\"type\":\"x\"",
		"{\"type\":\"x\"}",
		"{\"type\":\"x\"}}\n",
		"{\"type\":\"x\",\"a\":\"\n\"}\n",
		"{\"type\":\"x\"\"a\":1}\n",
		"{\"type\":\"x\",\"a\"}\n",
		"{\"type\":\"\\q\"}\n",
		"{\"type\":\"x\",\"a\":[1}\n",
		"{\"type\":\"x\",\"a\":}\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(json_lines(bad[i]), -1);
	assert_int_equal(json_lines("{\"type\":\"x\"}\r\n{\"type\":\"y\"}\n"),
			 2);
}

static void long_text_goes_out_whole(void **state)
{
	char text[2000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	out_fmt(&p.out, "<%s>", text);
	assert_int_equal(p.len, sizeof(text) + 1);
	assert_int_equal(p.text[p.len - 1], '>');
	paper_clear(&p);
	fake_alloc_limit(0);
	out_fmt(&p.out, "<%s>", text);
	fake_alloc_limit(-1);
	assert_int_equal(p.len, 255);
}

static void a_queue_keeps_order_while_it_grows_and_wraps(void **state)
{
	struct outq q;
	const char *s;
	size_t in = 0, seen = 0, n;

	outq_init(&q);
	for (int round = 0; round < 9000; round++) {
		for (int i = 0; i < round % 37; i++, in++) {
			char c = (char)(in % 251);

			out_put(&q.raw, &c, 1);
		}
		n = MIN(outq_peek(&q, &s), (size_t)(round % 35));
		for (size_t i = 0; i < n; i++, seen++)
			assert_int_equal((u8)s[i], seen % 251);
		outq_skip(&q, n);
	}
	assert_int_equal(q.len, in - seen);
	assert_true(q.cap > 4096);
	while ((n = outq_peek(&q, &s)) != 0) {
		for (size_t i = 0; i < n; i++, seen++)
			assert_int_equal((u8)s[i], seen % 251);
		outq_skip(&q, n);
	}
	assert_int_equal(in, seen);
	out_str(&q.text, "a\nb\n");
	n = outq_peek(&q, &s);
	assert_int_equal(n, 6);
	assert_memory_equal(s, "a\r\nb\r\n", 6);
	outq_fini(&q);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(type_comes_first_and_commas_come_between),
		T(arrays_and_objects_nest_and_close),
		T(any_bytes_make_valid_ascii),
		T(decimals_keep_their_zeroes),
		T(the_checker_knows_bad_json),
		T(long_text_goes_out_whole),
		T(a_queue_keeps_order_while_it_grows_and_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
