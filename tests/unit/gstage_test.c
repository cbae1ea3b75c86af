/*
 * G-stage tables, read back by a page walk of the test's own that follows the
 * specification, and the probing of modes on made-up harts.
 */
/* sources: arch/riscv/gstage.c kernel/mem.c kernel/obj.c
 *	tests/unit/fake_mem.c
 */
#include "arch/riscv/gstage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv/gstage_hw.h"
#include "arch/riscv/vmid.h"
#include "fake_mem.h"
#include "kernel/mem.h"

#define BASE 0x80000000ULL
#define RAM (64 * MIB)

/* ---- a made-up hart ---- */

static struct {
	u32 modes;     /* bit n: mode n */
	u32 vmid_bits;
	u64 hgatp;
	u32 flushes;
} hart;
static u32 measured;

void hw_hgatp_write(u64 val)
{
	u64 mode = val >> 60, vmid = val >> 44 & ((1ULL << hart.vmid_bits) - 1);

	if (mode && !(hart.modes >> mode & 1))
		mode = 0; /* WARL: some legal value */
	hart.hgatp = mode << 60 | vmid << 44 | (val & HGATP_PPN_MASK);
}

u64 hw_hgatp_read(void)
{
	return hart.hgatp;
}

void hw_hfence_gvma_all(void)
{
	hart.flushes++;
}

void vmid_measured(u32 bits)
{
	measured = bits;
}

#define MODES(a, b, c) ((a) << 8 | (b) << 9 | (c) << 10)

/* ---- a page walk as in section 12.3.2 with 15.5.1's differences ---- */

struct walked {
	bool fault;
	u64 pa, page_bytes;
};

static struct walked walk(const struct arch_guest *g, u64 gpa)
{
	u64 hgatp = gstage_hgatp(g, 0);
	u32 levels = (u32)(hgatp >> 60) - 5;
	u64 a = (hgatp & HGATP_PPN_MASK) * 4096;
	struct walked w = { .fault = true };

	assert_int_equal(a % 16384, 0);
	if (gpa >> (12 + 9 * levels + 2))
		return w;
	for (u32 i = levels; i-- > 0;) {
		u32 bits = i == levels - 1 ? 11 : 9;
		u64 vpn = gpa >> (12 + 9 * i) & ((1u << bits) - 1);
		u64 pte = *(u64 *)hpa_ptr((struct hpa){ a + vpn * 8 });
		u64 ppn = pte >> 10 & ((1ULL << 44) - 1);

		assert_int_equal(pte >> 54, 0);       /* reserved, PBMT, N */
		if (!(pte & 1))
			return w;
		if (!(pte & 0xe)) {
			assert_int_equal(pte & 0xff, 1); /* D, A, U reserved */
			a = ppn * 4096;
			continue;
		}
		assert_int_equal(pte & 0xff, 0xdf); /* all but G */
		assert_int_equal(ppn & ((1ULL << 9 * i) - 1), 0);
		w.fault = false;
		w.page_bytes = 4096ULL << 9 * i;
		w.pa = ppn * 4096 + gpa % w.page_bytes;
		return w;
	}
	fail();
	return w;
}

static void assert_maps(const struct arch_guest *g, u64 gpa, u64 pa,
			u64 page_bytes)
{
	struct walked w = walk(g, gpa);
	u64 bytes = 0;

	assert_false(w.fault);
	assert_int_equal(w.pa, pa);
	assert_int_equal(w.page_bytes, page_bytes);
	assert_int_equal(gstage_lookup(g->gstage, (struct gpa){ gpa },
				       &bytes).v, pa);
	assert_int_equal(bytes, page_bytes);
}

static void assert_unmapped(const struct arch_guest *g, u64 gpa)
{
	u64 bytes;

	assert_true(walk(g, gpa).fault);
	assert_true(hpa_is_none(gstage_lookup(g->gstage, (struct gpa){ gpa },
					      &bytes)));
}

static int map_only(struct arch_guest *g, u64 gpa, u64 pa, u64 bytes)
{
	return gstage_map(g->gstage, (struct gpa){ gpa }, (struct hpa){ pa },
			  bytes);
}

/* For the pages that gstage_map will take. */
static int prepare(struct arch_guest *g, u64 gpa, u64 pa, u64 bytes)
{
	u64 end = gpa + bytes, page;

	for (; gpa < end; gpa += page, pa += page) {
		int ret;

		page = IS_ALIGNED(gpa | pa, 2 * MIB) && end - gpa >= 2 * MIB ?
			       2 * MIB : 4096;
		ret = gstage_prepare(g->gstage, (struct gpa){ gpa }, page);
		if (ret)
			return ret;
	}
	return 0;
}

static int map(struct arch_guest *g, u64 gpa, u64 pa, u64 bytes)
{
	int ret = map_only(g, gpa, pa, bytes);

	if (ret != -ENOENT)
		return ret;
	ret = prepare(g, gpa, pa, bytes);
	return ret ? ret : map_only(g, gpa, pa, bytes);
}

static struct arch_guest guest;

static void begin(u64 gpa_end)
{
	fake_ram_add(BASE, RAM);
	assert_int_equal(gstage_create(&guest, gpa_end), 0);
}

static void end(void)
{
	gstage_destroy(&guest);
	assert_null(guest.gstage);
	assert_int_equal(page_free_count(), page_total_count());
	assert_int_equal(obj_live_bytes(), 0);
	fake_ram_end();
}

/* ---- tests ---- */

static void a_new_guest_maps_nothing(void **state)
{
	begin(1ULL << 41);
	assert_unmapped(&guest, 0);
	assert_unmapped(&guest, BASE);
	assert_unmapped(&guest, (1ULL << 41) - 1);
	assert_unmapped(&guest, 1ULL << 41);
	assert_int_equal(gstage_table_frames(guest.gstage), 4);
	end();
}

static void the_narrowest_offered_mode_that_is_wide_enough_is_taken(void **s)
{
	static const struct { u64 gpa_end, mode; } want[] = {
		{ 4 * GIB, 8 }, { 1ULL << 41, 8 }, { (1ULL << 41) + 1, 9 },
		{ 1ULL << 50, 9 }, { (1ULL << 50) + 1, 10 }, { 1ULL << 59, 10 },
	};

	for (u32 i = 0; i < ARRAY_LEN(want); i++) {
		begin(want[i].gpa_end);
		assert_int_equal(gstage_hgatp(&guest, 0) >> 60, want[i].mode);
		assert_int_equal(gstage_gpa_bits(guest.gstage),
				 41 + 9 * (want[i].mode - 8));
		end();
	}
	fake_ram_add(BASE, RAM);
	assert_int_equal(gstage_create(&guest, (1ULL << 59) + 1), -ERANGE);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

static void hgatp_carries_mode_vmid_and_root(void **state)
{
	begin(4 * GIB);
	assert_int_equal(gstage_hgatp(&guest, 0x3fff) & ~HGATP_PPN_MASK,
			 8ULL << 60 | 0x3fffULL << 44);
	assert_int_equal(gstage_hgatp(&guest, 5) & HGATP_PPN_MASK,
			 gstage_hgatp(&guest, 0) & HGATP_PPN_MASK);
	end();
}

static void pages_are_as_large_as_both_addresses_allow(void **state)
{
	begin(1ULL << 41);
	assert_int_equal(map(&guest, 4 * GIB, 8 * GIB,
			     2 * GIB + 2 * MIB + 8192), 0);
	assert_maps(&guest, 4 * GIB + 12345, 8 * GIB + 12345, GIB);
	assert_maps(&guest, 6 * GIB - 1, 10 * GIB - 1, GIB);
	assert_maps(&guest, 6 * GIB, 10 * GIB, 2 * MIB);
	assert_maps(&guest, 6 * GIB + 2 * MIB + 4096,
		    10 * GIB + 2 * MIB + 4096, 4096);
	assert_unmapped(&guest, 6 * GIB + 2 * MIB + 8192);
	assert_unmapped(&guest, 4 * GIB - 1);
	/* Same shape, but 2 MiB apart from a GiB's alignment. */
	assert_int_equal(map(&guest, 16 * GIB, 20 * GIB + 2 * MIB, GIB), 0);
	assert_maps(&guest, 16 * GIB, 20 * GIB + 2 * MIB, 2 * MIB);
	/* And 4 KiB apart. */
	assert_int_equal(map(&guest, 17 * GIB, 30 * GIB + 4096, 2 * MIB), 0);
	assert_maps(&guest, 17 * GIB + 4096, 30 * GIB + 8192, 4096);
	end();
}

static void every_mode_reaches_its_last_page(void **state)
{
	static const u32 bits[] = { 41, 50, 59 };

	for (u32 i = 0; i < ARRAY_LEN(bits); i++) {
		u64 end_gpa = 1ULL << bits[i];

		begin(end_gpa);
		assert_int_equal(map(&guest, end_gpa - 4096, 8 * GIB, 4096), 0);
		assert_int_equal(map(&guest, 0, 9 * GIB, 4096), 0);
		assert_maps(&guest, end_gpa - 1, 8 * GIB + 4095, 4096);
		assert_maps(&guest, 0, 9 * GIB, 4096);
		assert_unmapped(&guest, end_gpa - 4097);
		assert_int_equal(map(&guest, end_gpa, 0, 4096), -ERANGE);
		assert_int_equal(map(&guest, end_gpa - 4096, 0, 8192), -ERANGE);
		assert_int_equal(map(&guest, 0, 0, end_gpa + 4096), -ERANGE);
		end();
	}
}

static void mapping_again_changes_nothing(void **state)
{
	u64 frames;

	begin(1ULL << 41);
	assert_int_equal(map(&guest, BASE, 8 * GIB, 4 * MIB + 4096), 0);
	frames = gstage_table_frames(guest.gstage);
	assert_int_equal(map(&guest, BASE, 8 * GIB, 4 * MIB + 4096), 0);
	/* A piece of a large page that is there. */
	assert_int_equal(map(&guest, BASE + 8192, 8 * GIB + 8192, 4096), 0);
	assert_maps(&guest, BASE + 8192, 8 * GIB + 8192, 2 * MIB);
	assert_int_equal(gstage_table_frames(guest.gstage), frames);
	end();
}

static void a_large_page_over_small_ones_fills_the_gaps(void **state)
{
	begin(1ULL << 41);
	assert_int_equal(map(&guest, BASE + 5 * MIB, 8 * GIB + 5 * MIB, 4096),
			 0);
	assert_int_equal(map(&guest, 2 * GIB, 8 * GIB, GIB), 0);
	assert_maps(&guest, BASE + 5 * MIB, 8 * GIB + 5 * MIB, 4096);
	assert_maps(&guest, BASE + 5 * MIB + 4096, 8 * GIB + 5 * MIB + 4096,
		    4096);
	assert_maps(&guest, BASE + 8 * MIB, 8 * GIB + 8 * MIB, 2 * MIB);
	assert_maps(&guest, BASE + GIB - 1, 9 * GIB - 1, 2 * MIB);
	end();
}

static void nothing_is_mapped_without_tables(void **state)
{
	begin(1ULL << 50);
	assert_int_equal(map_only(&guest, BASE, 8 * GIB, 4096), -ENOENT);
	assert_int_equal(map_only(&guest, 2 * GIB, 8 * GIB, GIB), -ENOENT);
	assert_int_equal(gstage_prepare(guest.gstage, (struct gpa){ BASE },
					2 * MIB), 0);
	/* One below the root, and one of pages of 2 MiB. */
	assert_int_equal(gstage_table_frames(guest.gstage), 4 + 2);
	assert_int_equal(map_only(&guest, BASE, 8 * GIB, 4096), -ENOENT);
	assert_int_equal(map_only(&guest, BASE + 2 * MIB, 8 * GIB, 2 * MIB), 0);
	assert_int_equal(gstage_prepare(guest.gstage, (struct gpa){ BASE },
					4096), 0);
	assert_int_equal(map_only(&guest, BASE, 8 * GIB, 4096), 0);
	assert_unmapped(&guest, BASE + 4096);
	assert_int_equal(gstage_prepare(guest.gstage,
					(struct gpa){ 1ULL << 50 }, 4096),
			 -ERANGE);
	end();
}

/* All that gstage_map needs, it has. */
static void mapping_takes_no_memory_however_often(void **state)
{
	const u64 bytes = 3 * GIB + 6 * MIB + 4096, last = 1ULL << 49;
	u64 had;

	begin(1ULL << 50);
	assert_int_equal(prepare(&guest, 0, 8 * GIB, bytes), 0);
	assert_int_equal(prepare(&guest, last, 1ULL << 33, 4096), 0);
	had = page_free_count();
	for (int i = 0; i < 3; i++) {
		mem_fail_after(1);
		assert_int_equal(map_only(&guest, 0, 8 * GIB, bytes), 0);
		assert_int_equal(map_only(&guest, last, 1ULL << 33, 4096), 0);
		assert_int_equal(mem_fail_left(), 1);
		assert_maps(&guest, 0, 8 * GIB, GIB);
		assert_maps(&guest, bytes - 1, 8 * GIB + bytes - 1, 4096);
		while (gstage_unmap_step(guest.gstage))
			;
		for (u64 at = 0; at < bytes; at += 2 * MIB)
			assert_unmapped(&guest, at);
		assert_unmapped(&guest, bytes - 1);
		assert_unmapped(&guest, last);
		/* What was given to leaves of 1 GiB is there again. */
		assert_int_equal(map_only(&guest, 2 * MIB, 8 * GIB, 4 * MIB),
				 0);
		while (gstage_unmap_step(guest.gstage))
			;
	}
	mem_fail_after(0);
	assert_int_equal(page_free_count(), had);
	/* And some of them are spare. */
	assert_int_equal(map_only(&guest, 0, 8 * GIB, 2 * GIB), 0);
	assert_int_equal(gstage_table_frames(guest.gstage),
			 4 + (1 + 4 + 1) + (1 + 1 + 1));
	end();
}

/* Tables of 4 KiB pages below tables of 2 MiB pages, one of each. */
static void prepare_many(void)
{
	for (u64 i = 0; i < 3 * GSTAGE_STEP_TABLES; i++)
		assert_int_equal(map(&guest, i * GIB, 8 * GIB, 4096), 0);
}

static u32 count_mapped(void)
{
	u32 n = 0;

	for (u64 i = 0; i < 3 * GSTAGE_STEP_TABLES; i++)
		n += !walk(&guest, i * GIB).fault;
	return n;
}

static void no_step_of_unmapping_looks_at_many_tables(void **state)
{
	u32 left, steps = 0;
	bool more;

	begin(1ULL << 50);
	prepare_many();
	do {
		left = count_mapped();
		more = gstage_unmap_step(guest.gstage);
		assert_true(left - count_mapped() <= GSTAGE_STEP_TABLES);
		steps++;
	} while (more);
	assert_int_equal(count_mapped(), 0);
	assert_in_range(steps, 6, 12);
	end();
}

/* For a guest of any size: each table is looked at once. */
static void no_step_of_freeing_frees_many_tables(void **state)
{
	u64 had, free;
	bool more;

	begin(1ULL << 50);
	had = page_free_count();
	prepare_many();
	assert_int_equal(prepare(&guest, 100 * GIB, 0, 20 * GIB), 0);
	assert_int_equal(map(&guest, 100 * GIB, 0, 20 * GIB), 0);
	do {
		free = page_free_count();
		assert_int_equal(gstage_table_frames(guest.gstage),
				 4 + had - free);
		more = gstage_free_step(guest.gstage);
		assert_true(page_free_count() - free <= GSTAGE_STEP_TABLES);
		assert_true(!more || page_free_count() > free);
	} while (more);
	assert_int_equal(page_free_count(), had);
	assert_int_equal(gstage_table_frames(guest.gstage), 4);
	assert_unmapped(&guest, 0);
	end();
}

static void without_memory_nothing_is_kept(void **state)
{
	for (u64 n = 1;; n++) {
		int ret;

		fake_ram_add(BASE, RAM);
		mem_fail_after(n);
		ret = gstage_create(&guest, 4 * GIB);
		mem_fail_after(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(page_free_count(), page_total_count());
		assert_int_equal(obj_live_bytes(), 0);
	}
	end();
}

static void tables_that_ran_out_of_memory_can_be_asked_for_again(void **state)
{
	for (u64 n = 1; n < 6; n++) {
		int ret;

		begin(1ULL << 50);
		mem_fail_after(n);
		ret = prepare(&guest, BASE + 4096, 8 * GIB + 4096, 2 * MIB);
		mem_fail_after(0);
		if (ret)
			assert_int_equal(ret, -ENOMEM);
		assert_int_equal(ret != 0, n <= 4);
		assert_int_equal(map(&guest, BASE + 4096, 8 * GIB + 4096,
				     2 * MIB), 0);
		for (u64 off = 4096; off < 2 * MIB + 4096; off += 4096)
			assert_maps(&guest, BASE + off, 8 * GIB + off, 4096);
		assert_unmapped(&guest, BASE);
		end();
	}
}

static void random_maps_agree_with_a_flat_table(void **state)
{
	static u64 flat[4096]; /* by frame from gpa 2 GiB on; 0: unmapped */
	u64 seed = 5;

	begin(1ULL << 41);
	memset(flat, 0, sizeof(flat));
	for (int i = 0; i < 400; i++) {
		u64 from = fake_random(&seed) % 4096;
		u64 n = fake_random(&seed) % (i % 8 ? 9 : 1500);

		n = MIN(n, 4096 - from);
		/* One frame per address for ever, as in a guest's life. */
		assert_int_equal(map(&guest, BASE + from * 4096,
				     64 * GIB + from * 4096, n * 4096), 0);
		for (u64 f = from; f < from + n; f++)
			flat[f] = 64 * GIB + f * 4096;
	}
	for (u64 f = 0; f < 4096; f++) {
		struct walked w = walk(&guest, BASE + f * 4096 + f);

		assert_int_equal(w.fault, flat[f] == 0);
		if (flat[f])
			assert_int_equal(w.pa, flat[f] + f);
	}
	end();
}

/* Last: probes only ever narrow what is offered. */
static void what_counts_is_what_every_hart_offers(void **state)
{
	hart.modes = MODES(1, 1, 1);
	hart.vmid_bits = 14;
	gstage_modes_probe();
	assert_int_equal(gstage_modes(), MODES(1, 1, 1));
	assert_int_equal(measured, 14);
	assert_string_equal(gstage_widest_name(), "Sv57x4");
	assert_int_equal(gstage_gpa_end(), 1ULL << 59);
	assert_int_equal(hart.hgatp, 0);
	assert_int_equal(hart.flushes, 1);

	hart.modes = MODES(1, 1, 0);
	hart.vmid_bits = 0;
	gstage_modes_probe();
	assert_int_equal(measured, 0);
	hart.modes = MODES(1, 0, 1);
	gstage_modes_probe();
	assert_int_equal(gstage_modes(), MODES(1, 0, 0));
	assert_string_equal(gstage_widest_name(), "Sv39x4");
	fake_ram_add(BASE, RAM);
	assert_int_equal(gstage_create(&guest, (1ULL << 41) + 1), -ERANGE);
	assert_int_equal(gstage_create(&guest, 1ULL << 41), 0);
	end();

	hart.modes = 0;
	gstage_modes_probe();
	assert_int_equal(gstage_modes(), 0);
	assert_string_equal(gstage_widest_name(), "none");
	assert_int_equal(gstage_gpa_end(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_guest_maps_nothing),
		cmocka_unit_test(
		    the_narrowest_offered_mode_that_is_wide_enough_is_taken),
		cmocka_unit_test(hgatp_carries_mode_vmid_and_root),
		cmocka_unit_test(pages_are_as_large_as_both_addresses_allow),
		cmocka_unit_test(every_mode_reaches_its_last_page),
		cmocka_unit_test(mapping_again_changes_nothing),
		cmocka_unit_test(a_large_page_over_small_ones_fills_the_gaps),
		cmocka_unit_test(nothing_is_mapped_without_tables),
		cmocka_unit_test(mapping_takes_no_memory_however_often),
		cmocka_unit_test(no_step_of_unmapping_looks_at_many_tables),
		cmocka_unit_test(no_step_of_freeing_frees_many_tables),
		cmocka_unit_test(without_memory_nothing_is_kept),
		cmocka_unit_test(
		    tables_that_ran_out_of_memory_can_be_asked_for_again),
		cmocka_unit_test(random_maps_agree_with_a_flat_table),
		cmocka_unit_test(what_counts_is_what_every_hart_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
