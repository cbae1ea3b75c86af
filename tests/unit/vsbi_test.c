/*
 * SBI calls of guests: BASE, TIME, IPI, SRST, DBCN, and what is not there. The
 * other extensions have tests of their own.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/isa.h"

#define ALL UINT64_MAX

static void every_base_function_gives_its_constant(void **state)
{
	const u64 want[] = { 0x03000000, 0x526f7573, VSBI_IMPL_VERSION, 0,
			     0, 0, 0 };

	(void)state;
	for (u64 fid = 0; fid < ARRAY_LEN(want); fid++)
		if (fid != VSBI_BASE_PROBE)
			expect_ret(CALL(VSBI_EID_BASE, fid), 0, want[fid]);
	expect_ret(CALL(VSBI_EID_BASE, 7), VSBI_NOT_SUPPORTED, 0);
	expect_ret(CALL(VSBI_EID_BASE, UINT64_MAX), VSBI_NOT_SUPPORTED, 0);
}

static void the_implementation_id_is_nobody_elses(void **state)
{
	(void)state;
	assert_true(VSBI_IMPL_ID > 0xffff);
	assert_true(VSBI_IMPL_ID <= INT32_MAX);
}

static void probe_knows_exactly_what_is_offered(void **state)
{
	static const struct {
		u64 eid, there;
	} table[] = {
		{ 0x00, 1 }, { 0x01, 1 }, { 0x02, 1 }, { 0x03, 1 },
		{ 0x04, 1 }, { 0x05, 1 }, { 0x06, 1 }, { 0x07, 1 },
		{ 0x08, 1 }, { 0x09, 0 }, { 0x0f, 0 }, { 0x10, 1 },
		{ 0x11, 0 },
		{ 0x54494d45, 1 }, /* TIME */
		{ 0x735049, 1 },   /* IPI */
		{ 0x52464e43, 1 }, /* RFENCE */
		{ 0x48534d, 1 },   /* HSM */
		{ 0x53525354, 1 }, /* SRST */
		{ 0x4442434e, 1 }, /* DBCN */
		{ 0x504d55, 1 },   /* PMU */
		{ 0x53555350, 1 }, /* SUSP */
		{ 0x43505043, 0 }, /* CPPC */
		{ 0x4e41434c, 0 }, /* NACL */
		{ 0x535441, 1 },   /* STA */
		{ 0x46574654, 1 }, /* FWFT */
		{ 0x08000000, 0 }, /* experimental */
		{ 0x09000000, 0 }, /* vendor's */
		{ 0x0a000000, 0 }, /* firmware's */
		{ 0x100000010, 0 }, { UINT64_MAX, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		expect_ret(CALL(VSBI_EID_BASE, VSBI_BASE_PROBE, table[i].eid),
			   0, table[i].there);
}

static void an_unknown_extension_is_not_supported(void **state)
{
	struct fake_ret r;

	(void)state;
	expect_ret(CALL(0x4e41434c, 0, 1, 2), VSBI_NOT_SUPPORTED, 0);
	expect_ret(CALL(0x100000010, 0, 1, 2), VSBI_NOT_SUPPORTED, 0);
	/* A reserved legacy id answers in a0 alone (fake_call checks a1). */
	r = CALL(0x09, 0, 1, 2);
	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.error, VSBI_NOT_SUPPORTED);
}

static void an_unknown_function_is_not_supported(void **state)
{
	static const struct {
		u64 eid, fids;
	} table[] = {
		{ VSBI_EID_BASE, 7 },   { VSBI_EID_TIME, 1 },
		{ VSBI_EID_IPI, 1 },    { VSBI_EID_RFENCE, 7 },
		{ VSBI_EID_HSM, 4 },    { VSBI_EID_SRST, 1 },
		{ VSBI_EID_DBCN, 3 },   { VSBI_EID_STA, 1 },
		{ VSBI_EID_PMU, 9 },
		{ VSBI_EID_FWFT, 2 },
		{ VSBI_EID_SUSP, 1 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++) {
		expect_ret(CALL(table[i].eid, table[i].fids),
			   VSBI_NOT_SUPPORTED, 0);
		expect_ret(CALL(table[i].eid, 1ULL << 32),
			   VSBI_NOT_SUPPORTED, 0);
	}
	assert_int_equal(w.ends, 0);
}

static void set_timer_writes_the_comparator_when_there_is_one(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_TIME, 0, 123456789), 0, 0);
	assert_int_equal(w.hart.vstimecmp, 123456789);
	expect_ret(CALL(VSBI_EID_TIME, 0, TIME_NEVER), 0, 0);
	assert_true(w.hart.vstimecmp == TIME_NEVER);
}

static void set_timer_without_sstc_keeps_the_deadline(void **state)
{
	(void)state;
	riscv_has_sstc = false;
	w.hart.hvip = fake_vcpu(0)->hvip = 1 << 6 | 1 << 2;
	w.arch.htimedelta = -w.now_ticks;
	expect_ret(CALL(VSBI_EID_TIME, 0, 500), 0, 0);
	assert_int_equal(fake_vcpu(0)->deadline_guest_ticks, 500);
	assert_int_equal(w.hart.hvip, 1 << 2);
	assert_int_equal(w.hart.timer_ticks, w.now_ticks + 500);
	assert_true(w.hart.vstimecmp == TIME_NEVER);
}

static void an_ipi_goes_to_the_harts_of_the_mask(void **state)
{
	(void)state;
	fake_started(1, VCPU_BLOCKED);
	fake_started(2, VCPU_RUNNING);
	fake_started(3, VCPU_QUEUED);
	expect_ret(CALL(VSBI_EID_IPI, 0, 0x5, 1), 0, 0);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(fake_vcpu(1)->v.virq, VIRQ_SOFT);
	assert_int_equal(fake_vcpu(2)->v.virq, 0);
	assert_int_equal(fake_vcpu(3)->v.virq, VIRQ_SOFT);
}

static void an_ipi_to_very_many_harts_is_sent_in_several_turns(void **state)
{
	struct fake_ret r;
	u32 sent, before = 0, turns = 0;

	(void)state;
	fake_world_started(FAKE_VCPUS_MAX, VCPU_BLOCKED);
	r = CALL(VSBI_EID_IPI, VSBI_IPI_SEND, 0, UINT64_MAX);
	/* Behind the call, but not in the guest before all have it. */
	assert_int_equal(r.next, NEXT_YIELD);
	assert_int_equal(r.error, VSBI_OK);
	do {
		sent = fake_soft_pending();
		assert_true(sent > before && sent - before <= 256);
		before = sent;
		turns++;
	} while (!vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(fake_soft_pending(), FAKE_VCPUS_MAX);
	assert_int_equal(turns, 2);
	/* Once only. */
	fake_vcpu(5)->v.virq = 0;
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(fake_soft_pending(), FAKE_VCPUS_MAX - 1);
}

static void an_ipi_to_a_hart_that_there_is_not_reaches_nobody(void **state)
{
	struct vfence_harts harts = { .mask = UINT64_MAX, .base = 2 };

	(void)state;
	for (u32 i = 1; i < 4; i++)
		fake_started(i, VCPU_QUEUED);
	assert_int_equal(vsbi_ipi_send(fake_vcpu(0), &harts), NEXT_ADVANCE);
	assert_int_equal(fake_soft_pending(), 2);
	harts.base = UINT64_MAX - 63;
	vsbi_ipi_send(fake_vcpu(0), &harts);
	assert_int_equal(fake_soft_pending(), 2);
}

static void an_ipi_of_a_life_that_ended_is_not_sent_in_the_next(void **state)
{
	(void)state;
	fake_world_started(FAKE_VCPUS_MAX, VCPU_BLOCKED);
	assert_int_equal(CALL(VSBI_LEGACY_SEND_IPI, 0, 0).next, NEXT_YIELD);
	for (u32 i = 0; i < FAKE_VCPUS_MAX; i++) {
		fake_vcpu(i)->v.state = VCPU_OFF;
		fake_vcpu(i)->v.virq = 0;
	}
	fake_guest_reset();
	fake_started(FAKE_VCPUS_MAX - 1, VCPU_BLOCKED);
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(fake_soft_pending(), 0);
}

static void an_ipi_may_be_sent_to_oneself(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_IPI, 0, 1, 0), 0, 0);
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_SOFT);
}

static void a_mask_base_of_minus_one_means_all_harts(void **state)
{
	(void)state;
	for (u32 i = 1; i < 4; i++)
		fake_started(i, VCPU_QUEUED);
	expect_ret(CALL(VSBI_EID_IPI, 0, 0, ALL), 0, 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fake_vcpu(i)->v.virq, VIRQ_SOFT);
}

static void a_stopped_hart_gets_no_ipi_and_is_no_error(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_IPI, 0, 2, 0), 0, 0);
	assert_int_equal(fake_vcpu(1)->v.virq, 0);
}

static void a_mask_with_an_unknown_hart_is_refused_whole(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_IPI, 0, 0x11, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 0x3, 3), VSBI_INVALID_PARAM, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1, 4), VSBI_INVALID_PARAM, 0);
	/* No hart at all, wherever it begins. */
	expect_ret(CALL(VSBI_EID_IPI, 0, 0, 4), 0, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 0, ALL - 1), 0, 0);
	expect_ret(CALL(VSBI_EID_RFENCE, 1, 0, ALL - 1, 0, 0), 0, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1, ALL - 1), VSBI_INVALID_PARAM, 0);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 0, 3), 0, 0);
}

static void masks_work_at_the_edges_of_words(void **state)
{
	(void)state;
	fake_world_init(64);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1ULL << 63, 0), 0, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1ULL << 63, 1), VSBI_INVALID_PARAM, 0);
	fake_world_init(130);
	fake_started(129, VCPU_QUEUED);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1ULL << 63, 66), 0, 0);
	assert_int_equal(fake_vcpu(129)->v.virq, VIRQ_SOFT);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1ULL << 63, 67), VSBI_INVALID_PARAM,
		   0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 1, 129), 0, 0);
	expect_ret(CALL(VSBI_EID_IPI, 0, 2, 129), VSBI_INVALID_PARAM, 0);
}

static void expect_end(u64 type, u64 reason, enum guest_event why, u32 code)
{
	fake_world_init(1);
	assert_int_equal(CALL(VSBI_EID_SRST, 0, type, reason).next, NEXT_DEAD);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.end_why, why);
	assert_int_equal(w.end_code, code);
}

static void a_reset_ends_the_guest_with_its_event_and_code(void **state)
{
	(void)state;
	expect_end(0, 0, EVENT_POWEROFF, 0);
	expect_end(0, 1, EVENT_POWEROFF, 1);
	expect_end(1, 0, EVENT_REBOOT, 0);
	expect_end(2, 0, EVENT_REBOOT, 0);
	expect_end(2, 1, EVENT_REBOOT, 0);
	/* Only 32 bits of each count. */
	expect_end(0x100000001, 0x500000000, EVENT_REBOOT, 0);
}

static void a_reset_of_a_bad_type_or_reason_is_refused(void **state)
{
	static const struct {
		u64 type, reason;
		s64 error;
	} table[] = {
		{ 3, 0, VSBI_INVALID_PARAM },
		{ 0xefffffff, 0, VSBI_INVALID_PARAM },
		{ 0xf0000000, 0, VSBI_INVALID_PARAM },
		{ 0xffffffff, 0, VSBI_INVALID_PARAM },
		{ 0, 2, VSBI_INVALID_PARAM },
		{ 0, 0xdfffffff, VSBI_INVALID_PARAM },
		{ 0, 0xe0000000, VSBI_INVALID_PARAM },
		{ 1, 0xffffffff, VSBI_INVALID_PARAM },
		{ 0xf0000000, 2, VSBI_INVALID_PARAM },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		expect_ret(CALL(VSBI_EID_SRST, 0, table[i].type,
				table[i].reason), table[i].error, 0);
	assert_int_equal(w.ends, 0);
}

static void dbcn_writes_what_is_in_memory(void **state)
{
	(void)state;
	memcpy(w.ram + 100, "hello, world", 12);
	expect_ret(CALL(VSBI_EID_DBCN, 0, 12, FAKE_RAM_BASE + 100, 0), 0, 12);
	assert_int_equal(w.console_len, 12);
	assert_memory_equal(w.console, "hello, world", 12);
}

static void dbcn_writes_at_most_1024_bytes_a_call(void **state)
{
	(void)state;
	for (u32 i = 0; i < 6000; i++)
		w.ram[i] = (u8)(i * 7);
	expect_ret(CALL(VSBI_EID_DBCN, 0, 6000, FAKE_RAM_BASE, 0), 0, 1024);
	assert_int_equal(w.console_len, 1024);
	assert_memory_equal(w.console, w.ram, 1024);
}

static void dbcn_reads_what_was_typed(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_DBCN, 1, 10, FAKE_RAM_BASE, 0), 0, 0);
	w.typed = "ls -l";
	memset(w.ram, '.', 16);
	expect_ret(CALL(VSBI_EID_DBCN, 1, 3, FAKE_RAM_BASE + 1, 0), 0, 3);
	assert_memory_equal(w.ram, ".ls .", 5);
	expect_ret(CALL(VSBI_EID_DBCN, 1, 10, FAKE_RAM_BASE + 4, 0), 0, 2);
	assert_memory_equal(w.ram, ".ls -l.", 7);
}

static void dbcn_writes_one_byte(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_DBCN, 2, 0xffffff41), 0, 0);
	assert_int_equal(w.console_len, 1);
	assert_int_equal(w.console[0], 'A');
}

static void dbcn_refuses_memory_that_is_not_all_ram(void **state)
{
	static const struct {
		u64 bytes, lo, hi;
	} table[] = {
		{ 1, FAKE_RAM_BASE - 1, 0 },
		{ 1, FAKE_RAM_BASE + FAKE_RAM_BYTES, 0 },
		{ 2, FAKE_RAM_BASE + FAKE_RAM_BYTES - 1, 0 },
		{ 2, FAKE_RAM_BASE - 1, 0 },
		{ FAKE_RAM_BYTES + 1, FAKE_RAM_BASE, 0 },
		{ UINT64_MAX, FAKE_RAM_BASE, 0 },
		{ UINT64_MAX - FAKE_RAM_BASE + 1, FAKE_RAM_BASE, 0 },
		{ 1, 0, 0 },
		{ 1, FAKE_RAM_BASE, 1 },
		{ 1, FAKE_RAM_BASE, UINT64_MAX },
		/* RAM, if only 32 bits of the address counted. */
		{ 1, 1ULL << 32 | FAKE_RAM_BASE, 0 },
		{ 1, 1ULL << 63 | FAKE_RAM_BASE, 0 },
	};

	(void)state;
	w.typed = "abc";
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		for (u64 fid = 0; fid < 2; fid++)
			expect_ret(CALL(VSBI_EID_DBCN, fid, table[i].bytes,
					table[i].lo, table[i].hi),
				   VSBI_INVALID_PARAM, 0);
	assert_int_equal(w.console_len, 0);
	assert_string_equal(w.typed, "abc");
}

static void dbcn_takes_a_range_up_to_the_last_byte_of_ram(void **state)
{
	(void)state;
	w.ram[FAKE_RAM_BYTES - 1] = 'z';
	expect_ret(CALL(VSBI_EID_DBCN, 0, 1, FAKE_RAM_BASE + FAKE_RAM_BYTES - 1,
			0), 0, 1);
	assert_int_equal(w.console[0], 'z');
}

static void dbcn_finds_nothing_wrong_with_no_bytes(void **state)
{
	static const u64 at[][2] = { { 0, 0 }, { FAKE_RAM_BASE, 1 },
				     { ALL, ALL },
				     { FAKE_RAM_BASE + FAKE_RAM_BYTES, 0 } };

	(void)state;
	w.typed = "abc";
	for (u32 i = 0; i < ARRAY_LEN(at); i++)
		for (u64 fid = 0; fid < 2; fid++)
			expect_ret(CALL(VSBI_EID_DBCN, fid, 0, at[i][0],
					at[i][1]), 0, 0);
	assert_string_equal(w.typed, "abc");
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_base_function_gives_its_constant),
		T(the_implementation_id_is_nobody_elses),
		T(probe_knows_exactly_what_is_offered),
		T(an_unknown_extension_is_not_supported),
		T(an_unknown_function_is_not_supported),
		T(set_timer_writes_the_comparator_when_there_is_one),
		T(set_timer_without_sstc_keeps_the_deadline),
		T(an_ipi_goes_to_the_harts_of_the_mask),
		T(an_ipi_to_very_many_harts_is_sent_in_several_turns),
		T(an_ipi_to_a_hart_that_there_is_not_reaches_nobody),
		T(an_ipi_of_a_life_that_ended_is_not_sent_in_the_next),
		T(an_ipi_may_be_sent_to_oneself),
		T(a_mask_base_of_minus_one_means_all_harts),
		T(a_stopped_hart_gets_no_ipi_and_is_no_error),
		T(a_mask_with_an_unknown_hart_is_refused_whole),
		T(masks_work_at_the_edges_of_words),
		T(a_reset_ends_the_guest_with_its_event_and_code),
		T(a_reset_of_a_bad_type_or_reason_is_refused),
		T(dbcn_writes_what_is_in_memory),
		T(dbcn_writes_at_most_1024_bytes_a_call),
		T(dbcn_reads_what_was_typed),
		T(dbcn_writes_one_byte),
		T(dbcn_refuses_memory_that_is_not_all_ram),
		T(dbcn_takes_a_range_up_to_the_last_byte_of_ram),
		T(dbcn_finds_nothing_wrong_with_no_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
