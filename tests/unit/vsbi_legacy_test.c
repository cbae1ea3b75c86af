/*
 * SBI calls of guests: the legacy ones. fake_call checks that they change a0
 * alone.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"

#define MASK 0x4000ULL /* guest virtual address of the mask */

static void expect_a0(struct fake_ret r, s64 a0)
{
	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.error, a0);
}

static void mask_put(u64 w0, u64 w1, u64 w2, u32 words)
{
	w.hart.vsatp = 8ULL << 60;
	w.va_base = MASK;
	w.va_words[0] = w0;
	w.va_words[1] = w1;
	w.va_words[2] = w2;
	w.va_len = words;
}

static void the_function_id_is_ignored(void **state)
{
	(void)state;
	expect_a0(CALL(0, 12345, 42), 0);
	assert_int_equal(w.hart.vstimecmp, 42);
}

static void the_console_takes_and_gives_a_byte(void **state)
{
	(void)state;
	expect_a0(CALL(1, 0, 'x'), 0);
	assert_int_equal(w.console_len, 1);
	assert_int_equal(w.console[0], 'x');
	expect_a0(CALL(2, 0), -1);
	w.typed = "\xff"
		  "a";
	expect_a0(CALL(2, 0), 0xff);
	expect_a0(CALL(2, 0), 'a');
	expect_a0(CALL(2, 0), -1);
}

static void clear_ipi_says_whether_one_was_pending(void **state)
{
	(void)state;
	expect_a0(CALL(3, 0), 0);
	w.hart.hvip = 1 << 2 | 1 << 10;
	expect_a0(CALL(3, 0), 1);
	assert_int_equal(w.hart.hvip, 1 << 10);
	fake_vcpu(0)->v.virq = VIRQ_SOFT | VIRQ_EXTERNAL;
	expect_a0(CALL(3, 0), 1);
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_EXTERNAL);
	expect_a0(CALL(3, 0), 0);
}

static void an_ipi_goes_to_the_harts_of_the_mask_in_memory(void **state)
{
	(void)state;
	for (u32 i = 1; i < 4; i++)
		fake_started(i, VCPU_QUEUED);
	mask_put(0xa, 0, 0, 1);
	expect_a0(CALL(4, 0, MASK), 0);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(fake_vcpu(1)->v.virq, VIRQ_SOFT);
	assert_int_equal(fake_vcpu(2)->v.virq, 0);
	assert_int_equal(fake_vcpu(3)->v.virq, VIRQ_SOFT);
}

static void a_mask_in_absent_ram_makes_the_call_come_again(void **state)
{
	(void)state;
	fake_started(1, VCPU_QUEUED);
	mask_put(2, 0, 0, 1);
	w.va_absent = 2;
	assert_int_equal(CALL(4, 0, MASK).next, NEXT_RETRY);
	assert_int_equal(CALL(5, 0, MASK).next, NEXT_RETRY);
	assert_int_equal(w.reflects, 0);
	assert_int_equal(fake_vcpu(1)->v.virq, 0);
	expect_a0(CALL(4, 0, MASK), 0);
	assert_int_equal(fake_vcpu(1)->v.virq, VIRQ_SOFT);
}

static void no_mask_means_all_harts(void **state)
{
	(void)state;
	fake_started(3, VCPU_QUEUED);
	expect_a0(CALL(4, 0, 0), 0);
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_SOFT);
	assert_int_equal(fake_vcpu(3)->v.virq, VIRQ_SOFT);
}

static void a_mask_of_many_words_reaches_exactly_its_harts(void **state)
{
	(void)state;
	fake_world_started(130, VCPU_QUEUED);
	mask_put(2, 1, 2, 3);
	expect_a0(CALL(4, 0, MASK), 0);
	for (u32 i = 0; i < 130; i++)
		assert_int_equal(fake_vcpu(i)->v.virq,
				 i == 1 || i == 64 || i == 129 ? VIRQ_SOFT : 0);
}

static void two_words_are_many(void **state)
{
	(void)state;
	fake_world_init(130);
	fake_started(1, VCPU_QUEUED);
	fake_started(129, VCPU_QUEUED);
	mask_put(2, 0, 2, 3);
	expect_a0(CALL(4, 0, MASK), 0);
	assert_int_equal(fake_vcpu(1)->v.virq, VIRQ_SOFT);
	assert_int_equal(fake_vcpu(129)->v.virq, VIRQ_SOFT);
	/* A fence goes to everyone then, so to vCPU 0 as well. */
	expect_a0(CALL(5, 0, MASK), 0);
	assert_int_equal(w.fence_i, 1);
	assert_true(vsbi_run_begin(fake_vcpu(1)));
	assert_true(w.fence_i >= 2);
}

static void a_mask_in_one_of_many_words_is_exact_too(void **state)
{
	(void)state;
	fake_world_started(130, VCPU_QUEUED);
	mask_put(0, 0x10, 0, 3);
	expect_a0(CALL(4, 0, MASK), 0);
	for (u32 i = 0; i < 130; i++)
		assert_int_equal(fake_vcpu(i)->v.virq, i == 68 ? VIRQ_SOFT : 0);
}

static u32 reads;

/* Another hart of the guest: all that has been read names harts that there
 * aren't. */
static void fill_up(void *from, size_t bytes)
{
	memset(from, 0xff, bytes);
	reads++;
}

static void a_mask_that_changes_while_it_is_read_counts_as_it_was(void **state)
{
	(void)state;
	fake_world_started(130, VCPU_QUEUED);
	w.after_read = fill_up;
	for (u64 eid = 4; eid <= 7; eid++) {
		reads = 0;
		mask_put(2, 1, 2, 3);
		assert_int_equal(CALL(eid, 0, MASK).error, 0);
		assert_int_equal(reads, 3);
	}
	for (u32 i = 0; i < 130; i++)
		assert_int_equal(fake_vcpu(i)->v.virq & VIRQ_SOFT,
				 i == 1 || i == 64 || i == 129 ? VIRQ_SOFT : 0);
}

static void a_mask_in_ram_that_changes_counts_as_it_was(void **state)
{
	u64 *mask = (u64 *)(void *)w.ram;

	(void)state;
	fake_world_started(130, VCPU_QUEUED);
	w.after_read = fill_up;
	mask[0] = mask[2] = 2;
	expect_a0(CALL(4, 0, FAKE_RAM_BASE), 0);
	for (u32 i = 0; i < 130; i++)
		assert_int_equal(fake_vcpu(i)->v.virq,
				 i == 1 || i == 129 ? VIRQ_SOFT : 0);
}

static void a_mask_of_very_many_harts_takes_several_turns(void **state)
{
	struct fake_ret r;
	u32 before = 0, sent, turns = 0;

	(void)state;
	fake_world_started(GUEST_VCPUS_MAX, VCPU_BLOCKED);
	mask_put(0, 0, 0, GUEST_VCPUS_MAX / 64);
	memset(w.va_words, 0xff, sizeof(w.va_words));
	w.va_words[7] &= ~(1ULL << 63);
	r = CALL(4, 0, MASK);
	assert_int_equal(r.next, NEXT_YIELD);
	assert_int_equal(r.error, VSBI_OK);
	/* What is left of the call is not in the guest's memory. */
	memset(w.va_words, 0, sizeof(w.va_words));
	do {
		sent = fake_soft_pending();
		assert_in_range(sent, before + 1, before + 256);
		before = sent;
		turns++;
	} while (!vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(turns, 1);
	assert_int_equal(fake_soft_pending(), GUEST_VCPUS_MAX - 1);
	assert_int_equal(fake_vcpu(GUEST_VCPUS_MAX - 1)->v.virq, 0);
	/* Once only. */
	fake_vcpu(5)->v.virq = 0;
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(fake_vcpu(5)->v.virq, 0);
}

static void a_mask_with_an_unknown_hart_is_an_error(void **state)
{
	(void)state;
	mask_put(0x11, 0, 0, 1);
	for (u64 eid = 4; eid <= 7; eid++)
		expect_a0(CALL(eid, 0, MASK), VSBI_INVALID_PARAM);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(w.fence_all + w.fence_i, 0);
}

static void a_mask_that_faults_is_the_callers_fault(void **state)
{
	static const u64 causes[] = {CAUSE_LOAD_PAGE, CAUSE_LOAD_ACCESS};

	(void)state;
	w.hart.vsatp = 8ULL << 60;
	for (u64 i = 0; i < 8; i++) {
		struct fake_ret r;

		w.va_cause = causes[i / 4];
		r = CALL(4 + i % 4, 0, MASK);
		assert_int_equal(r.next, NEXT_RETRY);
		assert_int_equal(r.error, MASK); /* a0 as it was */
		assert_int_equal(w.reflect_cause, causes[i / 4]);
		assert_int_equal(w.reflect_tval, MASK);
	}
	assert_int_equal(w.reflects, 8);
	w.va_cause = CAUSE_LOAD_PAGE;
	w.hart.vsatp = 0;
	assert_int_equal(CALL(4, 0, MASK).next, NEXT_RETRY);
	assert_int_equal(w.reflect_cause, CAUSE_LOAD_ACCESS);
}

static void without_translation_the_mask_is_read_from_ram(void **state)
{
	(void)state;
	fake_started(2, VCPU_QUEUED);
	w.ram[0x108] = 4;
	expect_a0(CALL(4, 0, FAKE_RAM_BASE + 0x108), 0);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(fake_vcpu(2)->v.virq, VIRQ_SOFT);
	assert_int_equal(CALL(4, 0, FAKE_RAM_BASE + FAKE_RAM_BYTES - 7).next,
			 NEXT_RETRY);
	assert_int_equal(w.reflect_cause, CAUSE_LOAD_ACCESS);
}

static void a_fault_half_way_leaves_nothing_done(void **state)
{
	(void)state;
	fake_world_init(130);
	mask_put(1, 0, 0, 1);
	assert_int_equal(CALL(4, 0, MASK).next, NEXT_RETRY);
	assert_int_equal(w.reflect_tval, MASK + 8);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
}

static void fences_do_what_they_say(void **state)
{
	(void)state;
	mask_put(1, 0, 0, 1);
	expect_a0(CALL(5, 0, MASK), 0);
	assert_int_equal(w.fence_i, 1);
	expect_a0(CALL(6, 0, MASK, 0x5000, 0x2000), 0);
	assert_int_equal(w.fence_va, 2);
	expect_a0(CALL(6, 0, MASK, 0, 0), 0);
	assert_int_equal(w.fence_all, 1);
	expect_a0(CALL(7, 0, MASK, 0x5000, 1, 0x10007), 0);
	assert_int_equal(w.fence_va_asid, 1);
	assert_int_equal(w.fence_last_asid, 7);
	expect_a0(CALL(7, 0, MASK, 0x5000, UINT64_MAX, 3), 0);
	assert_int_equal(w.fence_asid, 1);
	expect_a0(CALL(6, 0, MASK, UINT64_MAX - 1, 4096), VSBI_INVALID_ADDRESS);
}

static void a_fence_for_someone_inside_the_guest_is_waited_for(void **state)
{
	struct fake_ret r;

	(void)state;
	fake_vcpu(1)->fence.live = 1;
	r = CALL(5, 0, 0);
	assert_int_equal(r.next, NEXT_BLOCK);
	assert_int_equal(r.error, 0);
}

static void shutdown_ends_the_guest(void **state)
{
	(void)state;
	assert_int_equal(CALL(8, 0).next, NEXT_DEAD);
	assert_int_equal(w.end_why, EVENT_POWEROFF);
	assert_int_equal(w.end_code, 0);
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_function_id_is_ignored),
		T(the_console_takes_and_gives_a_byte),
		T(clear_ipi_says_whether_one_was_pending),
		T(an_ipi_goes_to_the_harts_of_the_mask_in_memory),
		T(a_mask_in_absent_ram_makes_the_call_come_again),
		T(no_mask_means_all_harts),
		T(a_mask_of_many_words_reaches_exactly_its_harts),
		T(two_words_are_many),
		T(a_mask_in_one_of_many_words_is_exact_too),
		T(a_mask_that_changes_while_it_is_read_counts_as_it_was),
		T(a_mask_in_ram_that_changes_counts_as_it_was),
		T(a_mask_of_very_many_harts_takes_several_turns),
		T(a_mask_with_an_unknown_hart_is_an_error),
		T(a_mask_that_faults_is_the_callers_fault),
		T(without_translation_the_mask_is_read_from_ram),
		T(a_fault_half_way_leaves_nothing_done),
		T(fences_do_what_they_say),
		T(a_fence_for_someone_inside_the_guest_is_waited_for),
		T(shutdown_ends_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
