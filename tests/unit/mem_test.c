/*
 * The page and object allocators: nothing is given out twice, and what comes
 * back makes memory exactly what it was.
 */
/* sources: kernel/mem.c kernel/obj.c tests/unit/fake_mem.c */
#include "kernel/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_mem.h"

#define BASE 0x80000000ULL
/* Where a fresh allocator of 4 MiB at BASE has its first block of order 3. */
#define FIRST_OF_8 (BASE + 8 * PAGE_BYTES)
#define FRAMES_OF(bytes) ((bytes) >> PAGE_SHIFT)

struct snapshot {
	u64 free, live;
	u64 blocks[PAGE_ORDER_MAX + 1];
};

static struct snapshot take(void)
{
	struct snapshot s = { .free = page_free_count(),
			      .live = obj_live_bytes() };

	page_free_blocks(s.blocks);
	return s;
}

static void assert_as(const struct snapshot *before)
{
	struct snapshot now = take();

	assert_int_equal(now.free, before->free);
	assert_int_equal(now.live, before->live);
	assert_memory_equal(now.blocks, before->blocks, sizeof(now.blocks));
}

static void a_range_is_there_but_for_a_byte_a_frame(void **state)
{
	fake_ram_add(BASE, 64 * MIB);
	/* 16384 frames, as many bytes and a header: 5 frames. */
	assert_int_equal(page_total_count(), FRAMES_OF(64 * MIB) - 5);
	assert_int_equal(page_free_count(), page_total_count());
}

static void partial_frames_at_the_ends_are_left_out(void **state)
{
	fake_ram(BASE, 1 * MIB);
	page_add((struct hpa){ BASE + 1 }, (struct hpa){ BASE + MIB - 1 });
	assert_int_equal(page_total_count(), FRAMES_OF(MIB) - 2 - 1);
}

static void a_range_of_one_frame_is_worth_nothing(void **state)
{
	fake_ram(BASE, 1 * MIB);
	page_add((struct hpa){ BASE }, (struct hpa){ BASE + PAGE_BYTES });
	page_add((struct hpa){ BASE }, (struct hpa){ BASE });
	page_add((struct hpa){ BASE + 1 }, (struct hpa){ BASE + 2 });
	assert_int_equal(page_total_count(), 0);
	assert_true(hpa_is_none(page_alloc(0)));
	assert_null(obj_alloc(16));
}

static void blocks_are_aligned_and_inside_and_apart(void **state)
{
	u8 *seen = calloc(1, FRAMES_OF(64 * MIB));
	struct hpa pa;

	fake_ram_add(BASE, 64 * MIB);
	for (unsigned int order = 12; order < 13; order--)
		for (int i = 0; i < 2 && !hpa_is_none(pa = page_alloc(order));
		     i++) {
			assert_true(IS_ALIGNED(pa.v, PAGE_BYTES << order));
			assert_true(pa.v >= BASE &&
				    pa.v + (PAGE_BYTES << order) <=
					    BASE + 64 * MIB);
			for (u64 f = 0; f < 1ULL << order; f++)
				assert_int_equal(
					seen[FRAMES_OF(pa.v - BASE) + f]++, 0);
		}
	free(seen);
}

static void every_frame_can_be_had_once(void **state)
{
	u64 n = 0;

	fake_ram_add(BASE, 4 * MIB);
	while (!hpa_is_none(page_alloc(0)))
		n++;
	assert_int_equal(n, page_total_count());
	assert_int_equal(page_free_count(), 0);
}

static void orders_beyond_the_largest_are_not_there(void **state)
{
	fake_ram_add(BASE, 4 * MIB);
	assert_true(hpa_is_none(page_alloc(PAGE_ORDER_MAX + 1)));
	assert_true(hpa_is_none(page_alloc(PAGE_ORDER_MAX)));
	assert_true(hpa_is_none(page_alloc(~0u)));
}

static void a_gigabyte_can_be_had_in_one_block(void **state)
{
	struct hpa pa;

	fake_ram_add(BASE, 2 * GIB + 64 * MIB);
	pa = page_alloc(PAGE_ORDER_MAX);
	assert_int_equal(pa.v, BASE + GIB);
	page_free(pa, PAGE_ORDER_MAX);
	assert_int_equal(page_free_count(), page_total_count());
}

static void blocks_of_two_ranges_are_never_joined(void **state)
{
	struct hpa pa;

	/* Side by side, as when a reserved range between them has no frames. */
	fake_ram(BASE, 4 * MIB);
	page_add((struct hpa){ BASE }, (struct hpa){ BASE + 2 * MIB });
	page_add((struct hpa){ BASE + 2 * MIB },
		 (struct hpa){ BASE + 4 * MIB });
	while (!hpa_is_none(pa = page_alloc(0)))
		page_free(pa, 0), pa = page_alloc(0);
	fake_ram(BASE, 4 * MIB);
	page_add((struct hpa){ BASE + 2 * MIB },
		 (struct hpa){ BASE + 4 * MIB });
	page_add((struct hpa){ BASE }, (struct hpa){ BASE + 2 * MIB });
	assert_true(hpa_is_none(page_alloc(9)));
	pa = page_alloc(8);
	assert_false(hpa_is_none(pa));
	page_free(pa, 8);
}

static void what_comes_back_in_any_order_is_as_before(void **state)
{
	static struct { struct hpa pa; unsigned int order; } held[2000];
	u64 seed = 7;
	struct snapshot before;
	u32 n = 0;

	fake_ram(BASE, 64 * MIB);
	page_add((struct hpa){ BASE + 12345 }, (struct hpa){ BASE + 9 * MIB });
	page_add((struct hpa){ BASE + 11 * MIB },
		 (struct hpa){ BASE + 60 * MIB });
	before = take();
	for (int i = 0; i < 100000; i++) {
		u64 r = fake_random(&seed);

		if (n < ARRAY_LEN(held) && r % 2) {
			unsigned int order = (unsigned int)(r >> 8) % 10;
			u64 had = page_free_count();
			struct hpa pa = page_alloc(order);

			if (hpa_is_none(pa))
				continue;
			assert_int_equal(page_free_count(),
					 had - (1ULL << order));
			/* Its own contents must survive the others. */
			memset(hpa_ptr(pa), (int)order, PAGE_BYTES);
			held[n].pa = pa;
			held[n++].order = order;
		} else if (n) {
			u32 k = (u32)(r >> 32) % n;
			u8 *p = hpa_ptr(held[k].pa);

			assert_int_equal(p[0], held[k].order);
			assert_int_equal(p[PAGE_BYTES - 1], held[k].order);
			page_free(held[k].pa, held[k].order);
			held[k] = held[--n];
		}
	}
	while (n--)
		page_free(held[n].pa, held[n].order);
	assert_as(&before);
}

static void a_free_of_what_is_not_in_use_panics(void **state)
{

	fake_ram_add(BASE, 4 * MIB);
	assert_int_equal(page_alloc(3).v, FIRST_OF_8);
	assert_true(PANICS(page_free((struct hpa){ FIRST_OF_8 }, 2)));
	fake_ram_add(BASE, 4 * MIB);
	assert_int_equal(page_alloc(3).v, FIRST_OF_8);
	page_free((struct hpa){ FIRST_OF_8 }, 3);
	assert_true(PANICS(page_free((struct hpa){ FIRST_OF_8 }, 3)));
	fake_ram_add(BASE, 4 * MIB);
	assert_true(PANICS(page_free((struct hpa){ BASE + 64 * MIB }, 0)));
}

static void objects_are_zeroed_aligned_and_apart(void **state)
{
	static void *obj[300];
	u64 seed = 3;

	fake_ram_add(BASE, 16 * MIB);
	for (u32 round = 0; round < 4; round++) {
		for (u32 i = 0; i < ARRAY_LEN(obj); i++) {
			size_t bytes = fake_random(&seed) % 6000;
			u8 *p = obj[i] = obj_alloc(bytes);

			assert_non_null(p);
			assert_true(IS_ALIGNED((uintptr_t)p,
					       bytes >= 4096 ? 4096u :
					       bytes >= 64 ? 64u : 16u));
			for (size_t k = 0; k < bytes; k++)
				assert_int_equal(p[k], 0);
			memset(p, (int)i | 1, bytes);
			assert_int_equal(page_free_count() * PAGE_BYTES +
						 obj_held_bytes(),
					 page_total_count() * PAGE_BYTES);
		}
		for (u32 i = 0; i < ARRAY_LEN(obj); i++)
			obj_free(obj[i]);
	}
	assert_int_equal(obj_live_bytes(), 0);
	assert_int_equal(obj_held_bytes(), 0);
	assert_int_equal(page_free_count(), page_total_count());
}

static void every_size_around_a_class_holds_what_it_promises(void **state)
{
	struct snapshot before;

	fake_ram_add(BASE, 16 * MIB);
	before = take();
	for (size_t bytes = 0; bytes < 20000; bytes++) {
		u8 *a = obj_alloc(bytes), *b = obj_alloc(bytes);

		memset(a, 0xaa, bytes);
		memset(b, 0xbb, bytes);
		if (bytes) {
			assert_int_equal(a[0], 0xaa);
			assert_int_equal(a[bytes - 1], 0xaa);
		}
		obj_free(a);
		obj_free(b);
	}
	assert_as(&before);
}

static void large_objects_take_whole_frames_and_no_more(void **state)
{
	static const u64 frames[] = { 1, 2, 3, 4, 5, 6, 7, 9, 31, 33, 1000 };

	fake_ram_add(BASE, 16 * MIB);
	for (u32 i = 0; i < ARRAY_LEN(frames); i++) {
		u64 had = page_free_count();
		void *p = obj_alloc(frames[i] * PAGE_BYTES - 100);

		assert_non_null(p);
		assert_int_equal(had - page_free_count(), frames[i]);
		assert_int_equal(obj_live_bytes(), frames[i] * PAGE_BYTES);
		obj_free(p);
		assert_int_equal(page_free_count(), had);
	}
}

static void objects_and_frames_in_any_order_leave_nothing(void **state)
{
	static struct { u8 *p; size_t bytes; u8 mark; } held[1500];
	u64 seed = 11;
	struct snapshot before;
	u32 n = 0;

	fake_ram_add(BASE, 12 * MIB);
	before = take();
	for (int i = 0; i < 100000; i++) {
		u64 r = fake_random(&seed);

		if (n < ARRAY_LEN(held) && r % 2) {
			size_t bytes = (r >> 8) % (r % 16 ? 3000 : 60000) + 1;
			u8 *p = obj_alloc(bytes);

			if (!p)
				continue;
			assert_int_equal(p[0] | p[bytes - 1] | p[bytes / 2], 0);
			memset(p, (int)(r >> 40) | 1, bytes);
			held[n].p = p;
			held[n].bytes = bytes;
			held[n++].mark = (u8)(r >> 40) | 1;
		} else if (n) {
			u32 k = (u32)(r >> 32) % n;

			assert_int_equal(held[k].p[0], held[k].mark);
			assert_int_equal(held[k].p[held[k].bytes - 1],
					 held[k].mark);
			obj_free(held[k].p);
			held[k] = held[--n];
		}
	}
	while (n--)
		obj_free(held[n].p);
	assert_as(&before);
}

static void a_class_of_larger_slabs_falls_back_to_single_frames(void **state)
{
	struct hpa pa[16];
	void *obj;
	u32 n = 0;

	/* No two free frames are side by side. */
	fake_ram(BASE, MIB);
	for (u64 at = BASE; at < BASE + MIB && n < 16; at += 4 * PAGE_BYTES)
		page_add((struct hpa){ at },
			 (struct hpa){ at + 2 * PAGE_BYTES });
	pa[0] = page_alloc(1);
	assert_true(hpa_is_none(pa[0]));
	obj = obj_alloc(2000);
	assert_non_null(obj);
	memset(obj, 1, 2000);
	obj_free(obj);
	assert_int_equal(page_free_count(), page_total_count());
}

static void freeing_nothing_does_nothing(void **state)
{
	fake_ram_add(BASE, MIB);
	obj_free(NULL);
	assert_int_equal(page_free_count(), page_total_count());
}

static void an_object_freed_twice_panics(void **state)
{
	void *a;

	fake_ram_add(BASE, MIB);
	a = obj_alloc(100);
	if (!obj_alloc(100))
		fail();
	obj_free(a);
	assert_true(PANICS(obj_free(a)));
}

static void a_pointer_into_an_object_panics(void **state)
{
	u8 *a;

	fake_ram_add(BASE, MIB);
	a = obj_alloc(5 * PAGE_BYTES);
	assert_true(PANICS(obj_free(a + PAGE_BYTES)));
}

static void more_than_a_gigabyte_is_no_object(void **state)
{
	fake_ram_add(BASE, MIB);
	assert_null(obj_alloc(GIB + 1));
	assert_null(obj_alloc(SIZE_MAX));
	assert_null(obj_alloc(SIZE_MAX - 100));
}

static void the_chosen_allocation_fails_and_only_that(void **state)
{
	void *a, *b;

	fake_ram_add(BASE, MIB);
	mem_fail_after(2);
	a = obj_alloc(10);
	assert_non_null(a);
	assert_true(hpa_is_none(page_alloc(0)));
	b = obj_alloc(10000);
	assert_non_null(b);
	obj_free(a);
	obj_free(b);
	assert_int_equal(page_free_count(), page_total_count());
}

static int teardown(void **state)
{
	fake_ram_end();
	return 0;
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_range_is_there_but_for_a_byte_a_frame),
		T(partial_frames_at_the_ends_are_left_out),
		T(a_range_of_one_frame_is_worth_nothing),
		T(blocks_are_aligned_and_inside_and_apart),
		T(every_frame_can_be_had_once),
		T(orders_beyond_the_largest_are_not_there),
		T(a_gigabyte_can_be_had_in_one_block),
		T(blocks_of_two_ranges_are_never_joined),
		T(what_comes_back_in_any_order_is_as_before),
		T(objects_are_zeroed_aligned_and_apart),
		T(every_size_around_a_class_holds_what_it_promises),
		T(large_objects_take_whole_frames_and_no_more),
		T(objects_and_frames_in_any_order_leave_nothing),
		T(a_class_of_larger_slabs_falls_back_to_single_frames),
		T(freeing_nothing_does_nothing),
		T(more_than_a_gigabyte_is_no_object),
		T(the_chosen_allocation_fails_and_only_that),
		T(a_pointer_into_an_object_panics),
		T(an_object_freed_twice_panics),
		T(a_free_of_what_is_not_in_use_panics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
