/*
 * SBI calls of guests: FWFT. Every feature that there is or isn't, every error,
 * locks, and what the harts can have.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"

#define MISALIGNED 0
#define AD 4
#define PMLEN 5
#define LOCK 1

static int setup(void **state)
{
	fwft_harts_have = FWFT_ADUE | FWFT_MISALIGNED;
	fake_setup(state);
	/* Of the same value on all harts of all of these tests. */
	w.hart.henvcfg_has = HENVCFG_ADUE;
	fwft_probe(0);
	assert_int_equal(fwft_harts_have, FWFT_ADUE | FWFT_MISALIGNED);
	return 0;
}

static s64 set(u64 feature, u64 value, u64 flags)
{
	struct fake_ret r = CALL(VSBI_EID_FWFT, 0, feature, value, flags);

	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.value, 0);
	return r.error;
}

static u64 get(u64 feature)
{
	struct fake_ret r = CALL(VSBI_EID_FWFT, 1, feature);

	assert_int_equal(r.error, 0);
	return r.value;
}

static void features_that_are_not_there_say_why(void **state)
{
	static const struct {
		u64 feature;
		s64 error;
	} table[] = {
		{ 1, VSBI_NOT_SUPPORTED }, { 2, VSBI_NOT_SUPPORTED },
		{ 3, VSBI_NOT_SUPPORTED }, { 5, VSBI_NOT_SUPPORTED },
		{ 6, VSBI_DENIED },
		{ 0x3fffffff, VSBI_DENIED }, { 0x40000000, VSBI_DENIED },
		{ 0x80000000, VSBI_DENIED }, { 0xc0000000, VSBI_DENIED },
		{ 0xffffffff, VSBI_DENIED },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++) {
		expect_ret(CALL(VSBI_EID_FWFT, 1, table[i].feature),
			   table[i].error, 0);
		assert_int_equal(set(table[i].feature, 1, 0), table[i].error);
		/* Whatever else is wrong. */
		assert_int_equal(set(table[i].feature, 99, 8), table[i].error);
	}
	assert_int_equal(get(1ULL << 32 | AD), 0);
}

static void harts_without_a_feature_do_not_support_it(void **state)
{
	(void)state;
	fwft_harts_have = FWFT_MISALIGNED;
	assert_int_equal(set(AD, 1, 0), VSBI_NOT_SUPPORTED);
	expect_ret(CALL(VSBI_EID_FWFT, 1, AD), VSBI_NOT_SUPPORTED, 0);
	assert_int_equal(get(MISALIGNED), 0);
	fwft_harts_have = FWFT_ADUE;
	assert_int_equal(set(MISALIGNED, 1, 0), VSBI_NOT_SUPPORTED);
	expect_ret(CALL(VSBI_EID_FWFT, 1, MISALIGNED), VSBI_NOT_SUPPORTED, 0);
	assert_int_equal(get(AD), 0);
}

static void misaligned_accesses_are_the_firmwares(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	assert_int_equal(get(MISALIGNED), 0);
	assert_int_equal(set(MISALIGNED, 0, 0), 0);
	assert_int_equal(set(MISALIGNED, 2, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(MISALIGNED, 1ULL << 32, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(MISALIGNED, 0, 1ULL << 32), VSBI_INVALID_PARAM);
	assert_int_equal(w.hart.misaligned, 0);
	assert_int_equal(set(MISALIGNED, 1, 0), 0);
	assert_int_equal(w.hart.misaligned, 1);
	assert_int_equal(get(MISALIGNED), 1);
	/* A vCPU's own: another, and this one again. */
	assert_true(v->henvcfg == w.hart.henvcfg);
	fwft_misaligned_load(fake_vcpu(1));
	assert_int_equal(w.hart.misaligned, 0);
	fwft_misaligned_load(v);
	assert_int_equal(w.hart.misaligned, 1);
	/* Who comes after it finds what it would have set. */
	v->v.waits(&v->v, true);
	assert_int_equal(w.hart.misaligned, 0);
	assert_true(w.hart.henvcfg == fake_vcpu(1)->henvcfg);
	assert_true(v->hcounteren & VCPU_SAVE_RARE);
	v->v.waits(&v->v, false);
	assert_int_equal(w.hart.misaligned, 1);
	w.hart.misaligned_fails = VSBI_FAILED;
	assert_int_equal(set(MISALIGNED, 0, 0), VSBI_FAILED);
	assert_int_equal(get(MISALIGNED), 1);
	w.hart.misaligned_fails = 0;
	assert_int_equal(set(MISALIGNED, 0, 0), 0);
	assert_int_equal(v->henvcfg, 0);
	assert_false(v->hcounteren & VCPU_SAVE_RARE);
	assert_null(v->v.waits);
}

static void updating_of_a_and_d_is_adue(void **state)
{
	(void)state;
	fake_vcpu(0)->henvcfg = HENVCFG_STCE;
	assert_int_equal(get(AD), 0);
	assert_int_equal(set(AD, 1, 0), 0);
	assert_true(w.hart.henvcfg == (HENVCFG_STCE | HENVCFG_ADUE));
	assert_true(fake_vcpu(0)->henvcfg == w.hart.henvcfg);
	assert_int_equal(w.fence_all, 1);
	assert_int_equal(get(AD), 1);
	assert_int_equal(set(AD, 1, 0), 0);
	assert_int_equal(w.fence_all, 1);
	assert_int_equal(set(AD, 2, 0), VSBI_INVALID_PARAM);
	assert_int_equal(get(AD), 1);
	assert_int_equal(set(AD, 0, 0), 0);
	assert_true(w.hart.henvcfg == HENVCFG_STCE);
	assert_int_equal(w.fence_all, 2);
}

static void a_locked_value_stays_until_the_hart_starts_anew(void **state)
{
	(void)state;
	/* A set that fails locks nothing. */
	assert_int_equal(set(AD, 2, LOCK), VSBI_INVALID_PARAM);
	assert_int_equal(set(AD, 1, LOCK | 2), VSBI_INVALID_PARAM);
	assert_int_equal(set(AD, 1, 1ULL << 63), VSBI_INVALID_PARAM);
	assert_int_equal(set(AD, 1, LOCK), 0);
	assert_int_equal(set(AD, 0, 0), VSBI_DENIED_LOCKED);
	assert_int_equal(set(AD, 1, LOCK), VSBI_DENIED_LOCKED);
	assert_int_equal(get(AD), 1);
	assert_int_equal(set(MISALIGNED, 1, 0), 0);
	vsbi_vcpu_reset(fake_vcpu(0));
	assert_int_equal(set(AD, 0, 0), 0);
}

static void a_suspend_keeps_values_and_locks(void **state)
{
	(void)state;
	assert_int_equal(set(AD, 1, LOCK), 0);
	assert_int_equal(set(MISALIGNED, 1, 0), 0);
	CALL(VSBI_EID_HSM, VSBI_HSM_SUSPEND, VHSM_SUSPEND_NON_RETENTIVE,
	     FAKE_RAM_BASE, 0);
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(get(AD), 1);
	assert_int_equal(get(MISALIGNED), 1);
	assert_int_equal(set(AD, 0, 0), VSBI_DENIED_LOCKED);
}

static void the_harts_have_what_each_of_them_has(void **state)
{
	(void)state;
	w.hart.henvcfg_has = HENVCFG_STCE | HENVCFG_ADUE;
	fwft_probe(HENVCFG_STCE);
	assert_int_equal(fwft_harts_have, FWFT_ADUE | FWFT_MISALIGNED);
	assert_true(w.hart.henvcfg == HENVCFG_STCE);
	assert_int_equal(w.hart.misaligned, 0);
	w.hart.henvcfg_has = HENVCFG_STCE;
	fwft_probe(HENVCFG_STCE);
	w.hart.henvcfg_has = HENVCFG_STCE | HENVCFG_ADUE;
	fwft_probe(HENVCFG_STCE);
	assert_int_equal(fwft_harts_have, FWFT_MISALIGNED);
	/* Another value than the other harts', none, or one that stays. */
	w.hart.misaligned = 1;
	fwft_probe(0);
	assert_int_equal(fwft_harts_have, 0);
	fwft_harts_have = FWFT_MISALIGNED;
	w.hart.misaligned = VSBI_NOT_SUPPORTED;
	fwft_probe(0);
	assert_int_equal(fwft_harts_have, 0);
	fwft_harts_have = FWFT_MISALIGNED;
	w.hart.misaligned = 0;
	w.hart.misaligned_fails = VSBI_DENIED;
	fwft_probe(0);
	assert_int_equal(fwft_harts_have, 0);
}

/* Off with the firmware, which is asked for it, or doesn't give it. */
static void the_firmware_is_asked_to_allow_adue(void **state)
{
	(void)state;
	w.hart.adue_kept = true;
	fwft_probe(HENVCFG_STCE);
	assert_true(fwft_harts_have & FWFT_ADUE);
	assert_false(w.hart.adue_kept);
	assert_int_equal(get(AD), 0);
	assert_int_equal(set(AD, 1, 0), 0);
	assert_true(w.hart.henvcfg & HENVCFG_ADUE);
	w.hart.adue_kept = true;
	w.hart.adue_fails = VSBI_NOT_SUPPORTED;
	fwft_probe(HENVCFG_STCE);
	assert_int_equal(fwft_harts_have, FWFT_MISALIGNED);
	/* It says that it does, and nothing comes of it. */
	fwft_harts_have = FWFT_ADUE | FWFT_MISALIGNED;
	w.hart.adue_fails = 0;
	w.hart.henvcfg_has = HENVCFG_STCE;
	fwft_probe(HENVCFG_STCE);
	assert_int_equal(fwft_harts_have, FWFT_MISALIGNED);
}

/* Harts that mask pointers, of so many bits each. */
static u32 pmlens_found(bool tree, u64 sticks, u32 pmlens)
{
	isa_have[ISA_SSNPM] = tree;
	w.hart.henvcfg_has = HENVCFG_STCE | sticks;
	w.hart.pmlens = pmlens;
	fwft_probe(HENVCFG_STCE);
	isa_have[ISA_SSNPM] = false;
	assert_true(w.hart.henvcfg == HENVCFG_STCE);
	return fwft_harts_have & (FWFT_PMLEN_7 | FWFT_PMLEN_16);
}

static void pointers_are_masked_where_each_hart_does_it_right(void **state)
{
	const u32 all = FWFT_PMLEN_7 | FWFT_PMLEN_16, both = 1u << 7 | 1u << 16;
	static const struct {
		bool tree;
		u64 sticks;
		u32 pmlens, found;
	} table[] = {
		{true, HENVCFG_PMM, both, all},
		{true, HENVCFG_PMM, 1u << 7, FWFT_PMLEN_7},
		{true, HENVCFG_PMM, 1u << 16, FWFT_PMLEN_16},
		{true, HENVCFG_PMM_7, both, FWFT_PMLEN_7},
		{true, HENVCFG_PMM, 0, 0}, /* QEMU 10.0 */
		{true, 0, both, 0},
		{false, HENVCFG_PMM, both, 0},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++) {
		fwft_harts_have = all;
		assert_int_equal(pmlens_found(table[i].tree, table[i].sticks,
					      table[i].pmlens),
				 table[i].found);
	}
	/* One hart without is enough. */
	fwft_harts_have = all;
	pmlens_found(true, HENVCFG_PMM, 1u << 7);
	assert_int_equal(pmlens_found(true, HENVCFG_PMM, both), FWFT_PMLEN_7);
}

static void the_mask_is_of_the_length_that_is_asked(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	v->henvcfg = HENVCFG_STCE;
	fwft_harts_have = FWFT_ADUE | FWFT_PMLEN_7 | FWFT_PMLEN_16;
	assert_int_equal(get(PMLEN), 0);
	assert_int_equal(set(PMLEN, 7, 0), 0);
	assert_true(w.hart.henvcfg == (HENVCFG_STCE | HENVCFG_PMM_7));
	assert_true(v->henvcfg == w.hart.henvcfg);
	assert_true(v->odd & VCPU_ODD_ENV);
	assert_int_equal(get(PMLEN), 7);
	assert_int_equal(set(AD, 1, 0), 0);
	assert_int_equal(set(PMLEN, 16, 0), 0);
	assert_int_equal(get(PMLEN), 16);
	assert_int_equal(get(AD), 1);
	for (u64 i = 0; i < 70; i++)
		if (i != 0 && i != 7 && i != 16)
			assert_int_equal(set(PMLEN, i, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(PMLEN, 7 | 1ULL << 32, 0), VSBI_INVALID_PARAM);
	assert_int_equal(get(PMLEN), 16);
	assert_int_equal(set(PMLEN, 0, LOCK), 0);
	assert_int_equal(set(PMLEN, 7, 0), VSBI_DENIED_LOCKED);
	assert_true(w.hart.henvcfg == (HENVCFG_STCE | HENVCFG_ADUE));
}

static void no_bit_of_a_physical_address_is_masked(void **state)
{
	(void)state;
	fwft_harts_have = FWFT_PMLEN_7 | FWFT_PMLEN_16;
	w.hart.gpa_bits = 50; /* Sv48x4 */
	assert_int_equal(set(PMLEN, 16, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(PMLEN, 7, 0), 0);
	w.hart.gpa_bits = 59; /* Sv57x4 */
	assert_int_equal(set(PMLEN, 0, 0), VSBI_NOT_SUPPORTED);
	fwft_harts_have = FWFT_PMLEN_16;
	w.hart.gpa_bits = 41;
	assert_int_equal(set(PMLEN, 7, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(PMLEN, 16, 0), 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(features_that_are_not_there_say_why),
		T(harts_without_a_feature_do_not_support_it),
		T(misaligned_accesses_are_the_firmwares),
		T(updating_of_a_and_d_is_adue),
		T(a_locked_value_stays_until_the_hart_starts_anew),
		T(a_suspend_keeps_values_and_locks),
		T(the_harts_have_what_each_of_them_has),
		T(the_firmware_is_asked_to_allow_adue),
		T(pointers_are_masked_where_each_hart_does_it_right),
		T(the_mask_is_of_the_length_that_is_asked),
		T(no_bit_of_a_physical_address_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
