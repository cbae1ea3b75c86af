/*
 * What is left of a range of memory when others are taken out, of any number,
 * in any order, and wherever they end.
 */
/* sources: arch/riscv/range.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv/range.h"

#define PAGES	40u
#define AT(page) ((page) * PAGE_BYTES)

static struct {
	struct range r[4];
	u32 count;
} list;

static u32 told[PAGES]; /* how often each page came */
static u64 last;

static void ranges(const void *ctx, struct range_search *s)
{
	assert_null(ctx);
	for (u32 i = 0; i < list.count; i++)
		range_consider(s, list.r[i]);
}

static void piece(u64 base, u64 bytes)
{
	assert_true(bytes > 0 && base >= last);
	for (u64 at = base; at < base + bytes; at += PAGE_BYTES)
		told[at / PAGE_BYTES]++;
	last = base + bytes;
}

static bool is_taken(u64 page)
{
	for (u32 i = 0; i < list.count; i++)
		if (AT(page) >= list.r[i].from && AT(page) < list.r[i].to)
			return true;
	return false;
}

/* What a simple look at each page says. */
static void check(struct range r)
{
	bool all = true;

	memset(told, 0, sizeof(told));
	last = 0;
	range_without(r, ranges, NULL, piece);
	for (u64 page = 0; page < PAGES; page++) {
		bool in = AT(page) >= r.from && AT(page) < r.to;

		assert_int_equal(told[page], in && !is_taken(page));
		all = all && (!in || is_taken(page));
	}
	assert_int_equal(range_covered(r, ranges, NULL), all);
}

static u32 random_below(u32 n)
{
	static u64 seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (u32)(seed >> 33) % n;
}

static void the_rest_is_each_page_that_is_in_no_other(void **state)
{
	(void)state;
	for (u32 round = 0; round < 20000; round++) {
		list.count = random_below(ARRAY_LEN(list.r) + 1);
		for (u32 i = 0; i < list.count; i++) {
			list.r[i].from = AT(random_below(PAGES));
			/* Some are empty, or end before they begin. */
			list.r[i].to = AT(random_below(PAGES));
		}
		check((struct range){AT(random_below(PAGES)),
				     AT(random_below(PAGES))});
	}
}

static void a_range_is_whole_pages_around_or_within(void **state)
{
	struct range r = range_around(AT(3) + 1, PAGE_BYTES);

	(void)state;
	assert_true(r.from == AT(3) && r.to == AT(5));
	r = range_within(AT(3) + 1, PAGE_BYTES);
	assert_true(r.from == AT(4) && r.to == AT(4));
	r = range_within(AT(3), 2 * PAGE_BYTES + 1);
	assert_true(r.from == AT(3) && r.to == AT(5));
}

static void what_goes_on_beyond_all_addresses_is_cut_off(void **state)
{
	static const u64 bases[] = {0, AT(3), UINT64_MAX - PAGE_BYTES,
				    UINT64_MAX};
	static const u64 sizes[] = {0, 1, PAGE_BYTES, UINT64_MAX - PAGE_BYTES,
				    UINT64_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(bases); i++)
		for (u32 n = 0; n < ARRAY_LEN(sizes); n++) {
			u64 base = bases[i], bytes = sizes[n];
			struct range a = range_around(base, bytes);
			struct range w = range_within(base, bytes);
			bool wraps = base + bytes < base;

			assert_true(IS_ALIGNED(a.from | a.to, PAGE_BYTES));
			assert_true(IS_ALIGNED(w.from | w.to, PAGE_BYTES));
			assert_true(w.from >= a.from && w.to <= a.to);
			if (wraps)
				assert_int_equal(
					a.to, ALIGN_DOWN(UINT64_MAX,
							 PAGE_BYTES));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_is_each_page_that_is_in_no_other),
		cmocka_unit_test(a_range_is_whole_pages_around_or_within),
		cmocka_unit_test(what_goes_on_beyond_all_addresses_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
