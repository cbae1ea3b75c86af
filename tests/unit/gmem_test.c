/*
 * A guest's RAM: every byte zero when first seen, mapped only when ready, and
 * all of it back in the end. The second stage here is a flat table; the clock
 * moves by as much as the test says whenever someone looks at it.
 */
/* sources: kernel/gmem.c kernel/gmem_access.c kernel/mem.c kernel/obj.c
 *	tests/unit/fake_mem.c
 */
#include "kernel/gmem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_mem.h"
#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/time.h"

#define HOST 0x80000000ULL
#define BASE 0x80000000ULL
#define MAP_PAGES 600000u

u64 timebase_hz = 10000000;
static u64 ticks, ticks_a_look;

static struct {
	u64 to[MAP_PAGES]; /* by guest page from 2 GiB on; 0: unmapped */
	bool has_2m[2 + MAP_PAGES / 262144]; /* tables, by GiB ... */
	bool has_4k[1 + MAP_PAGES / 512];    /* ... and by 2 MiB */
	u64 largest;       /* bytes of one call */
	u32 calls, tables;
} stage2;

static struct guest guest;

u64 time_now_ticks(void)
{
	return ticks += ticks_a_look;
}

int arch_stage2_prepare(struct guest *g, struct gpa at, u64 page_bytes)
{
	u64 page = (at.v - ALIGN_DOWN(BASE, GIB)) / PAGE_BYTES;

	assert_ptr_equal(g, &guest);
	if (mem_fail_left()) { /* each takes a frame, here */
		struct hpa pa = page_alloc(0);

		if (hpa_is_none(pa))
			return -ENOMEM;
		page_free(pa, 0);
	}
	stage2.tables++;
	stage2.has_2m[page / 262144] = true;
	if (page_bytes == PAGE_BYTES)
		stage2.has_4k[page / 512] = true;
	else
		assert_int_equal(page_bytes, 2 * MIB);
	return 0;
}

int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
{
	u64 page = (at.v - ALIGN_DOWN(BASE, GIB)) / PAGE_BYTES;

	assert_ptr_equal(g, &guest);
	stage2.calls++;
	assert_true(stage2.has_2m[page / 262144]);
	if (bytes < 2 * MIB)
		assert_true(stage2.has_4k[page / 512]);
	stage2.largest = MAX(stage2.largest, bytes);
	for (u64 i = 0; i < bytes / PAGE_BYTES; i++) {
		u64 pa = to.v + i * PAGE_BYTES;

		assert_true(page + i < MAP_PAGES);
		if (stage2.to[page + i])
			assert_int_equal(stage2.to[page + i], pa);
		stage2.to[page + i] = pa;
	}
	return 0;
}

/* What is mapped; the tables stay. */
static void stage2_forget(void)
{
	memset(stage2.to, 0, sizeof(stage2.to));
	stage2.calls = 0;
}

static u64 mapped(u64 gpa)
{
	return stage2.to[(gpa - ALIGN_DOWN(BASE, GIB)) / PAGE_BYTES];
}

static void dirty_all_frames(void)
{
	struct hpa pa;
	static struct hpa held[20000];
	u32 n = 0;

	while (n < ARRAY_LEN(held) && !hpa_is_none(pa = page_alloc(0))) {
		memset(hpa_ptr(pa), 0xdd, PAGE_BYTES);
		held[n++] = pa;
	}
	while (n--)
		page_free(held[n], 0);
}

/* All steps. */
static int gmem_make(u64 base, u64 bytes, struct gmem **out)
{
	int ret = gmem_create(&guest, (struct gpa){ base }, bytes, out);

	if (ret)
		return ret;
	do {
		ret = gmem_reserve_step(*out);
	} while (ret == 1);
	if (ret)
		gmem_destroy(*out);
	return ret;
}

static void create(u64 base, u64 bytes)
{
	memset(&stage2, 0, sizeof(stage2));
	ticks_a_look = 0;
	guest.mem = NULL;
	assert_int_equal(gmem_make(base, bytes, &guest.mem), 0);
}

static void begin(u64 host_bytes, u64 base, u64 bytes)
{
	fake_ram_add(HOST, host_bytes);
	create(base, bytes);
}

static void end(void)
{
	gmem_destroy(guest.mem);
	assert_int_equal(page_free_count(), page_total_count());
	assert_int_equal(obj_live_bytes(), 0);
	fake_ram_end();
}

/* Faults until the page is mapped; how often. */
static u32 fault_in(u64 at)
{
	u32 n = 0;

	while (!mapped(at)) {
		assert_int_equal(gmem_fault(guest.mem, (struct gpa){ at }), 0);
		assert_true(++n < 100);
	}
	return n;
}

static bool is_zero(const u8 *p, u64 bytes)
{
	return bytes == 0 || (p[0] == 0 && !memcmp(p, p + 1, bytes - 1));
}

/* ---- tests ---- */

static void all_frames_are_reserved_at_once(void **state)
{
	fake_ram_add(HOST, 64 * MIB);
	create(BASE, 16 * MIB);
	assert_true(page_free_count() <= page_total_count() - 16 * MIB / 4096);
	assert_int_equal(gmem_bytes(guest.mem), 16 * MIB);
	assert_int_equal(gmem_touched_bytes(guest.mem), 0);
	assert_int_equal(stage2.calls, 0);
	end();
}

static void bad_sizes_and_places_are_refused(void **state)
{
	static const struct { u64 base, bytes; } bad[] = {
		{ BASE, 0 }, { BASE + 1, 4096 }, { BASE, 4097 },
		{ UINT64_MAX - 4095, 8192 }, { 0, UINT64_MAX - 4095 },
	};
	struct gmem *m;

	fake_ram_add(HOST, 16 * MIB);
	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(gmem_create(&guest,
						 (struct gpa){ bad[i].base },
						 bad[i].bytes, &m), 0);
	assert_int_equal(gmem_create(&guest, (struct gpa){ BASE }, 17 * MIB,
				     &m), -ENOMEM);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

static void a_fault_outside_ram_is_no_ram(void **state)
{
	begin(64 * MIB, BASE, 4 * MIB);
	assert_int_equal(gmem_fault(guest.mem, (struct gpa){ BASE - 1 }),
			 -EFAULT);
	assert_int_equal(gmem_fault(guest.mem, (struct gpa){ BASE + 4 * MIB }),
			 -EFAULT);
	assert_int_equal(gmem_fault(guest.mem, (struct gpa){ 0 }), -EFAULT);
	assert_int_equal(gmem_fault(guest.mem, (struct gpa){ UINT64_MAX }),
			 -EFAULT);
	end();
}

static void a_touched_block_is_mapped_whole_and_zero(void **state)
{
	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(BASE, 16 * MIB);
	fault_in(BASE + 5 * MIB);
	assert_int_equal(stage2.largest, 2 * MIB);
	for (u64 at = BASE + 4 * MIB; at < BASE + 6 * MIB; at += PAGE_BYTES)
		assert_true(is_zero(hpa_ptr((struct hpa){ mapped(at) }),
				    PAGE_BYTES));
	assert_int_equal(mapped(BASE), 0);
	assert_int_equal(mapped(BASE + 6 * MIB), 0);
	assert_int_equal(gmem_touched_bytes(guest.mem), 2 * MIB);
	end();
}

/* A guest that can pass by the caches finds zeroes there, too. */
static void what_is_zeroed_is_cleaned(void **state)
{
	char byte;

	(void)state;
	/* A ragged end: of whole blocks, and of single frames. */
	begin(32 * MIB, BASE, 4 * MIB + 5 * PAGE_BYTES);
	fake_cleaned_bytes = 0;
	fault_in(BASE);
	assert_int_equal(fake_cleaned_bytes, 2 * MIB);
	fault_in(BASE + 4 * MIB);
	assert_int_equal(fake_cleaned_bytes, 2 * MIB + 5 * PAGE_BYTES);
	/* And what the host has touched first. */
	assert_int_equal(guest_read(&guest, (struct gpa){BASE + 3 * MIB}, &byte,
				    1), 0);
	assert_int_equal(fake_cleaned_bytes, gmem_touched_bytes(guest.mem));
	end();
}

static void a_slow_hart_zeroes_a_granule_a_fault(void **state)
{
	begin(64 * MIB, BASE, 4 * MIB);
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	assert_int_equal(fault_in(BASE), 32);
	end();
}

static void a_fast_hart_zeroes_a_block_in_one_fault(void **state)
{
	begin(64 * MIB, BASE, 4 * MIB);
	assert_int_equal(fault_in(BASE), 1);
	end();
}

static void nothing_is_mapped_before_all_of_it_is_zero(void **state)
{
	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(BASE, 4 * MIB);
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	for (int i = 0; i < 31; i++) {
		assert_int_equal(gmem_fault(guest.mem, (struct gpa){ BASE }),
				 0);
		assert_int_equal(stage2.calls, 0);
	}
	assert_int_equal(gmem_fault(guest.mem, (struct gpa){ BASE }), 0);
	assert_int_equal(stage2.calls, 1);
	end();
}

static void a_gigabyte_is_reserved_as_one_and_mapped_as_one(void **state)
{
	/* Eager; a GiB of host memory is really written here, so only once. */
	begin(2 * GIB + 64 * MIB, BASE, GIB);
	while (gmem_populate_step(guest.mem) == 1)
		;
	assert_int_equal(stage2.largest, GIB);
	assert_int_equal(stage2.calls, 1);
	assert_int_equal(gmem_touched_bytes(guest.mem), GIB);
	end();
}

static void lazily_a_gigabyte_is_mapped_by_blocks(void **state)
{
	begin(2 * GIB + 64 * MIB, BASE, GIB);
	fault_in(BASE + 700 * MIB);
	assert_int_equal(stage2.largest, 2 * MIB);
	assert_int_equal(gmem_touched_bytes(guest.mem), 2 * MIB);
	end();
}

static void eager_ram_comes_in_steps(void **state)
{
	u32 steps = 1;

	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(BASE, 8 * MIB + 3 * PAGE_BYTES);
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	while (gmem_populate_step(guest.mem) == 1)
		steps++;
	assert_true(steps >= 128);
	for (u64 at = BASE; at < BASE + gmem_bytes(guest.mem);
	     at += PAGE_BYTES) {
		assert_int_not_equal(mapped(at), 0);
		assert_true(is_zero(hpa_ptr((struct hpa){ mapped(at) }),
				    PAGE_BYTES));
	}
	assert_int_equal(gmem_touched_bytes(guest.mem), gmem_bytes(guest.mem));
	end();
}

static void ragged_ends_get_single_frames_and_no_more(void **state)
{
	u64 from = BASE + 5 * PAGE_BYTES, bytes = 4 * MIB + 7 * PAGE_BYTES;
	u64 last = from + bytes - PAGE_BYTES;

	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(from, bytes);
	fault_in(from);
	fault_in(last);
	assert_int_equal(mapped(from - PAGE_BYTES), 0);
	assert_int_equal(mapped(last + PAGE_BYTES), 0);
	fault_in(BASE + 3 * MIB);
	for (u64 at = from; at <= last; at += PAGE_BYTES) {
		fault_in(at);
		assert_true(is_zero(hpa_ptr((struct hpa){ mapped(at) }),
				    PAGE_BYTES));
	}
	assert_int_equal(gmem_touched_bytes(guest.mem), bytes);
	end();
}

static void memory_in_crumbs_will_do(void **state)
{
	static struct hpa held[20000];
	u8 out[3 * PAGE_BYTES];
	u32 n = 0;

	/* Every second frame is someone else's. */
	fake_ram_add(HOST, 32 * MIB);
	while (n < ARRAY_LEN(held) && !hpa_is_none(held[n] = page_alloc(0)))
		n++;
	for (u32 i = 0; i < n; i += 2) {
		page_free(held[i], 0);
		if (i + 1 < n)
			memset(hpa_ptr(held[i + 1]), 0x99, PAGE_BYTES);
	}
	create(BASE, 8 * MIB);
	fault_in(BASE + 3 * MIB);
	assert_int_equal(stage2.largest, PAGE_BYTES);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 100 }, 0x66,
				    sizeof(out)), 0);
	assert_int_equal(guest_read(&guest, (struct gpa){ BASE + 100 }, out,
				    sizeof(out)), 0);
	assert_int_equal(out[0], 0x66);
	assert_memory_equal(out, out + 1, sizeof(out) - 1);
	assert_null(gmem_ptr(guest.mem, (struct gpa){ BASE }, 2 * PAGE_BYTES));
	/* What is someone else's is as it was. */
	for (u32 i = 1; i < n; i += 2)
		assert_int_equal(*(u8 *)hpa_ptr(held[i]), 0x99);
	gmem_destroy(guest.mem);
	assert_int_equal(page_free_count(), (n + 1) / 2);
	fake_ram_end();
}

static void what_the_host_writes_the_guest_finds(void **state)
{
	static u8 out[300000], in[300000];

	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(BASE, 8 * MIB);
	for (u32 i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + i / 251);
	/* Across granules and blocks, at odd addresses. */
	assert_int_equal(guest_write(&guest,
				     (struct gpa){ BASE + 2 * MIB - 77 },
				     out, sizeof(out)), 0);
	assert_int_equal(guest_read(&guest, (struct gpa){ BASE + 2 * MIB - 77 },
				    in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(out));
	fault_in(BASE + 2 * MIB);
	assert_memory_equal(hpa_ptr((struct hpa){ mapped(BASE + 2 * MIB) }),
			    out + 77, PAGE_BYTES);
	/* Beside it there are zeroes. */
	assert_int_equal(guest_read(&guest, (struct gpa){
		BASE + 2 * MIB - 77 + sizeof(out) }, in, 1000), 0);
	assert_true(is_zero(in, 1000));
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 5 }, 0xab,
				    3 * MIB), 0);
	assert_int_equal(guest_read(&guest, (struct gpa){ BASE + 3 * MIB }, in,
				    10), 0);
	assert_int_equal(in[4], 0xab);
	assert_int_equal(in[5], 0);
	end();
}

static void host_accesses_outside_ram_change_nothing(void **state)
{
	u8 buf[64];

	begin(64 * MIB, BASE, 4 * MIB);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(guest_write(&guest,
				     (struct gpa){ BASE + 4 * MIB - 63 },
				     buf, 64), -EFAULT);
	assert_int_equal(guest_read(&guest, (struct gpa){ BASE - 1 }, buf, 2),
			 -EFAULT);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE }, 1,
				    4 * MIB + 1), -EFAULT);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 1 }, 1,
				    UINT64_MAX), -EFAULT);
	assert_int_equal(guest_read(&guest, (struct gpa){ UINT64_MAX }, buf, 2),
			 -EFAULT);
	assert_int_equal(guest_read(&guest, (struct gpa){ 0 }, buf, 0), 0);
	assert_int_equal(gmem_touched_bytes(guest.mem), 0);
	end();
}

static void a_pointer_is_given_only_to_what_is_in_one_piece(void **state)
{
	u8 *p;

	begin(64 * MIB, BASE, 4 * MIB + 2 * PAGE_BYTES);
	p = gmem_ptr(guest.mem, (struct gpa){ BASE + 100 }, 200000);
	assert_non_null(p);
	assert_true(is_zero(p, 200000));
	p[0] = 5;
	assert_ptr_equal(gmem_ptr(guest.mem, (struct gpa){ BASE + 100 }, 1), p);
	assert_null(gmem_ptr(guest.mem, (struct gpa){ BASE - 1 }, 2));
	assert_null(gmem_ptr(guest.mem, (struct gpa){
		BASE + 4 * MIB + 2 * PAGE_BYTES - 1 }, 2));
	assert_non_null(gmem_ptr(guest.mem, (struct gpa){
		BASE + 4 * MIB + PAGE_BYTES }, PAGE_BYTES));
	end();
}

static void after_a_reset_all_is_zero_again(void **state)
{
	u8 buf[4096];

	begin(64 * MIB, BASE, 8 * MIB + PAGE_BYTES);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE }, 0x77,
				    gmem_bytes(guest.mem)), 0);
	fault_in(BASE);
	stage2_forget();
	while (gmem_reset_step(guest.mem))
		;
	assert_int_equal(gmem_touched_bytes(guest.mem), 0);
	assert_int_equal(stage2.calls, 0);
	fault_in(BASE + 4096);
	assert_true(is_zero(hpa_ptr((struct hpa){ mapped(BASE) }), 4096));
	assert_int_equal(guest_read(&guest, (struct gpa){ BASE + 8 * MIB }, buf,
				    sizeof(buf)), 0);
	assert_true(is_zero(buf, sizeof(buf)));
	/* And eager population can be had again. */
	while (gmem_reset_step(guest.mem))
		;
	stage2_forget();
	while (gmem_populate_step(guest.mem) == 1)
		;
	assert_int_not_equal(mapped(BASE + 8 * MIB), 0);
	end();
}

/* Eight bytes that it was filled with; one may be of a pointer. */
static bool holds_a_guests(const void *page)
{
	const u64 *w = page;

	for (u32 i = 0; i < PAGE_BYTES / sizeof(*w); i++)
		if (w[i] == 0x5e5e5e5e5e5e5e5e)
			return true;
	return false;
}

static void freed_frames_hold_nothing_of_the_guest(void **state)
{
	struct hpa pa;

	begin(32 * MIB, BASE, 16 * MIB);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 100 }, 0x5e,
				    9 * MIB), 0);
	gmem_destroy(guest.mem);
	while (!hpa_is_none(pa = page_alloc(0))) {
		assert_false(holds_a_guests(hpa_ptr(pa)));
	}
	fake_ram_end();
}

static void freed_frames_hold_nothing_of_an_earlier_life(void **state)
{
	struct hpa pa;

	begin(32 * MIB, BASE, 16 * MIB);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 100 }, 0x5e,
				    9 * MIB), 0);
	while (gmem_reset_step(guest.mem))
		;
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE + 100 }, 0x5e,
				    MIB), 0);
	while (gmem_reset_step(guest.mem))
		;
	gmem_destroy(guest.mem);
	while (!hpa_is_none(pa = page_alloc(0))) {
		assert_false(holds_a_guests(hpa_ptr(pa)));
	}
	fake_ram_end();
}

static void reserving_comes_in_steps(void **state)
{
	u64 free;

	fake_ram_add(HOST, 64 * MIB);
	memset(&stage2, 0, sizeof(stage2));
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	assert_int_equal(gmem_create(&guest, (struct gpa){ BASE }, 16 * MIB,
				     &guest.mem), 0);
	for (u32 i = 0; i < 8; i++) {
		free = page_free_count();
		assert_int_equal(gmem_reserve_step(guest.mem), 1);
		assert_int_equal(page_free_count(), free - 512);
	}
	/* A table for each block, as far as we know. */
	for (u32 i = 0; i < 8; i++) {
		assert_int_equal(stage2.tables, i);
		assert_int_equal(gmem_reserve_step(guest.mem), 1);
	}
	assert_int_equal(gmem_reserve_step(guest.mem), 0);
	/* What is there of one that was given up goes in steps as well. */
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(gmem_destroy_step(guest.mem), 1);
	assert_int_equal(gmem_destroy_step(guest.mem), 0);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

/* 511 frames at RAM's end, of a table. */
static void single_frames_come_and_go_in_steps(void **state)
{
	u64 free;
	int ret;

	fake_ram_add(HOST, 64 * MIB);
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	assert_int_equal(gmem_create(&guest, (struct gpa){ BASE },
				     2 * MIB - PAGE_BYTES, &guest.mem), 0);
	do {
		free = page_free_count();
		ret = gmem_reserve_step(guest.mem);
		/* The table's first frame may come with it. */
		assert_true(free - page_free_count() <= 2);
	} while (ret == 1);
	assert_int_equal(ret, 0);
	do {
		free = page_free_count();
		ret = gmem_destroy_step(guest.mem);
		assert_true(page_free_count() - free <= 4);
	} while (ret == 1);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

/* The same: of the guest's faults, and of a start that maps all. */
static void single_frames_are_mapped_some_at_a_time(void **state)
{
	const u32 most = 64;
	u32 calls = 0;
	int ret;

	fake_ram_add(HOST, 64 * MIB);
	create(BASE, 2 * MIB - PAGE_BYTES);
	for (u64 at = BASE; at < BASE + 2 * MIB - PAGE_BYTES;
	     at += PAGE_BYTES) {
		fault_in(at);
		assert_true(stage2.calls <= calls + most);
		calls = stage2.calls;
	}
	assert_int_equal(calls, 511);
	while (gmem_reset_step(guest.mem))
		;
	stage2_forget();
	calls = 0;
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	do {
		ret = gmem_populate_step(guest.mem);
		assert_true(stage2.calls <= calls + most);
		calls = stage2.calls;
	} while (ret == 1);
	assert_int_equal(ret, 0);
	assert_int_equal(calls, 511);
	end();
}

static void destroying_comes_in_steps(void **state)
{
	u32 steps = 1;

	begin(64 * MIB, BASE, 8 * MIB);
	assert_int_equal(guest_fill(&guest, (struct gpa){ BASE }, 1, 8 * MIB),
			 0);
	ticks_a_look = us_to_ticks(GMEM_STEP_US) + 1;
	while (gmem_destroy_step(guest.mem))
		steps++;
	assert_true(steps >= 128);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

static void a_creation_that_fails_anywhere_keeps_nothing(void **state)
{
	struct gmem *m;
	u64 n = 1;
	int ret;

	fake_ram_add(HOST, 64 * MIB);
	do {
		mem_fail_after(n++);
		ret = gmem_make(BASE + 3 * PAGE_BYTES, 6 * MIB, &m);
		mem_fail_after(0);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(page_free_count(), page_total_count());
			assert_int_equal(obj_live_bytes(), 0);
		} else {
			gmem_destroy(m);
			assert_int_equal(page_free_count(), page_total_count());
		}
	} while (n < 1100);
	fake_ram_end();
}

static void any_mix_of_accesses_agrees_with_plain_memory(void **state)
{
	u64 from = BASE + 2 * MIB - 3 * PAGE_BYTES, bytes = 6 * MIB, seed = 9;
	u8 *plain = calloc(1, bytes), buf[5000];

	fake_ram_add(HOST, 64 * MIB);
	dirty_all_frames();
	create(from, bytes);
	for (int i = 0; i < 3000; i++) {
		u64 r = fake_random(&seed), off = (r >> 8) % bytes;
		u64 len = MIN((r >> 40) % sizeof(buf), bytes - off);
		struct gpa at = { from + off };

		switch (r % 4) {
		case 0:
			memset(buf, (int)i, sizeof(buf));
			assert_int_equal(guest_write(&guest, at, buf, len), 0);
			memcpy(plain + off, buf, len);
			break;
		case 1:
			assert_int_equal(guest_read(&guest, at, buf, len), 0);
			assert_memory_equal(buf, plain + off, len);
			break;
		case 2:
			assert_int_equal(guest_fill(&guest, at, (u8)r, len), 0);
			memset(plain + off, (u8)r, len);
			break;
		default:
			assert_int_equal(gmem_fault(guest.mem, at), 0);
			if (mapped(at.v)) /* the guest writes */
				plain[off] = *((u8 *)hpa_ptr((struct hpa){
					mapped(at.v) }) + at.v % 4096) = (u8)i;
		}
	}
	for (u64 at = from; at < from + bytes; at += PAGE_BYTES) {
		fault_in(at);
		assert_memory_equal(hpa_ptr((struct hpa){ mapped(at) }),
				    plain + (at - from), PAGE_BYTES);
	}
	free(plain);
	end();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_frames_are_reserved_at_once),
		T(bad_sizes_and_places_are_refused),
		T(a_fault_outside_ram_is_no_ram),
		T(a_touched_block_is_mapped_whole_and_zero),
		T(what_is_zeroed_is_cleaned),
		T(a_slow_hart_zeroes_a_granule_a_fault),
		T(a_fast_hart_zeroes_a_block_in_one_fault),
		T(nothing_is_mapped_before_all_of_it_is_zero),
		T(a_gigabyte_is_reserved_as_one_and_mapped_as_one),
		T(lazily_a_gigabyte_is_mapped_by_blocks),
		T(eager_ram_comes_in_steps),
		T(ragged_ends_get_single_frames_and_no_more),
		T(memory_in_crumbs_will_do),
		T(what_the_host_writes_the_guest_finds),
		T(host_accesses_outside_ram_change_nothing),
		T(a_pointer_is_given_only_to_what_is_in_one_piece),
		T(after_a_reset_all_is_zero_again),
		T(freed_frames_hold_nothing_of_the_guest),
		T(freed_frames_hold_nothing_of_an_earlier_life),
		T(reserving_comes_in_steps),
		T(single_frames_come_and_go_in_steps),
		T(single_frames_are_mapped_some_at_a_time),
		T(destroying_comes_in_steps),
		T(a_creation_that_fails_anywhere_keeps_nothing),
		T(any_mix_of_accesses_agrees_with_plain_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
