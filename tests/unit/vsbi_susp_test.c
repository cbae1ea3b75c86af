/*
 * SBI calls of guests: SUSP. Its errors, and that it is a suspend.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#define PC (FAKE_RAM_BASE + 0x1000)

static void types_and_addresses_are_checked(void **state)
{
	static const struct {
		u64 type, pc;
		s64 error;
	} table[] = {
		{ 1, PC, VSBI_INVALID_PARAM },
		{ 0x7fffffff, PC, VSBI_INVALID_PARAM },
		{ 0x80000000, PC, VSBI_INVALID_PARAM },
		{ 0xffffffff, PC, VSBI_INVALID_PARAM },
		{ 1, 0, VSBI_INVALID_PARAM },
		{ 0, 0, VSBI_INVALID_ADDRESS },
		{ 0, PC + 1, VSBI_INVALID_ADDRESS },
		{ 0, FAKE_RAM_BASE + FAKE_RAM_BYTES, VSBI_INVALID_ADDRESS },
		{ 0, UINT64_MAX - 1, VSBI_INVALID_ADDRESS },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		expect_ret(CALL(VSBI_EID_SUSP, 0, table[i].type, table[i].pc),
			   table[i].error, 0);
	assert_false(fake_vcpu(0)->resume_anew);
}

static void a_hart_that_is_not_stopped_denies_it(void **state)
{
	static const enum vcpu_state states[] = { VCPU_QUEUED, VCPU_RUNNING,
						  VCPU_BLOCKED };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(states); i++) {
		fake_started(3, states[i]);
		expect_ret(CALL(VSBI_EID_SUSP, 0, 0, PC), VSBI_DENIED, 0);
	}
	fake_vcpu(3)->hsm_state = VHSM_STOP_PENDING;
	fake_vcpu(3)->v.state = VCPU_RUNNING;
	expect_ret(CALL(VSBI_EID_SUSP, 0, 0, PC), VSBI_DENIED, 0);
	fake_vcpu(3)->hsm_state = VHSM_START_PENDING;
	fake_vcpu(3)->v.state = VCPU_OFF;
	expect_ret(CALL(VSBI_EID_SUSP, 0, 0, PC), VSBI_DENIED, 0);
	assert_false(fake_vcpu(0)->resume_anew);
}

static void it_sleeps_and_begins_where_it_was_told(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	/* Only 32 bits of the type count. */
	assert_int_equal(CALL(VSBI_EID_SUSP, 0, 1ULL << 32, PC, 77).next,
			 NEXT_BLOCK);
	v->v.state = VCPU_BLOCKED;
	assert_int_equal(vsbi_hsm_status(v), VHSM_SUSPENDED);
	v->v.state = VCPU_RUNNING;
	assert_true(vsbi_run_begin(v));
	assert_int_equal(v->pc, PC);
	assert_int_equal(v->x[10], 0);
	assert_int_equal(v->x[11], 77);
	assert_int_equal(w.hart.restarts, 1);
	assert_int_equal(vsbi_hsm_status(v), VHSM_STARTED);
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(types_and_addresses_are_checked),
		T(a_hart_that_is_not_stopped_denies_it),
		T(it_sleeps_and_begins_where_it_was_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
