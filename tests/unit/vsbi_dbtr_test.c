/*
 * SBI calls of guests: DBTR. Every function and every error, what reaches the
 * hart, and when it leaves it.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"

enum {
	NUM,
	SHMEM,
	READ,
	INSTALL,
	UPDATE,
	UNINSTALL,
	ENABLE,
	DISABLE
};

#define TRIGGERS 4
#define BUF	 (FAKE_RAM_BASE + 0x2000)
#define NONE	 UINT64_MAX
#define S_LOAD	 (MC6_TYPE | MC6_S | MC6_LOAD)
#define VS_LOAD	 (MC6_TYPE | MC6_VS | MC6_LOAD)

static struct vdbtr_trigger memory[2][TRIGGERS];

static u64 *entry(u32 i)
{
	return (u64 *)(void *)(w.ram + (BUF - FAKE_RAM_BASE)) + 4 * i;
}

static struct fake_ret call(u64 fid, u64 a0, u64 a1)
{
	return CALL(VSBI_EID_DBTR, fid, a0, a1);
}

static s64 error(u64 fid, u64 a0, u64 a1)
{
	struct fake_ret r = call(fid, a0, a1);

	assert_int_equal(r.next, NEXT_ADVANCE);
	return r.error;
}

static void fill(u32 i, u64 first, u64 tdata1, u64 tdata2)
{
	entry(i)[0] = first;
	entry(i)[1] = tdata1;
	entry(i)[2] = tdata2;
	entry(i)[3] = 0;
}

static void install(u64 tdata1, u64 at, u64 want)
{
	fill(0, 99, tdata1, at);
	expect_ret(call(INSTALL, 1, 0), 0, 0);
	assert_int_equal(entry(0)[0], want);
}

static int setup(void **state)
{
	fake_setup(state);
	triggers_count = TRIGGERS;
	triggers_sizes = 1 | 1 << 3;
	for (u32 i = 0; i < 2; i++) {
		fake_vcpu(i)->dbtr.trigger = memory[i];
		fake_vcpu(i)->hcounteren = VSBI_COUNTEREN_ALL;
		vdbtr_reset(fake_vcpu(i));
	}
	assert_int_equal(error(SHMEM, BUF, 0), 0);
	return 0;
}

static void machines_without_triggers_have_no_extension(void **state)
{
	(void)state;
	assert_int_equal(vsbi_probe(VSBI_EID_DBTR), 1);
	triggers_count = 0;
	fake_vcpu(0)->dbtr.trigger = NULL;
	assert_int_equal(vsbi_probe(VSBI_EID_DBTR), 0);
	for (u64 fid = 0; fid <= 8; fid++)
		assert_int_equal(error(fid, 0, 0), VSBI_NOT_SUPPORTED);
}

static void triggers_are_counted_by_what_they_can(void **state)
{
	static const struct {
		u64 tdata1, count;
	} table[] = {
		{0, TRIGGERS},
		{MC6_TYPE, TRIGGERS},
		{S_LOAD | MC6_U | MC6_STORE | MC6_EXECUTE, TRIGGERS},
		{S_LOAD | 3UL << MC6_SIZE_SHIFT, TRIGGERS},
		{S_LOAD | 2UL << MC6_SIZE_SHIFT, 0},
		{2UL << 60, 0},
		{S_LOAD | MC6_M, 0},
		{S_LOAD | MC6_DMODE, 0},
		{S_LOAD | MC6_VS, 0},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		expect_ret(call(NUM, table[i].tdata1, 0), 0, table[i].count);
	assert_int_equal(error(8, 0, 0), VSBI_NOT_SUPPORTED);
}

static void shared_memory_is_checked(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_DBTR, SHMEM, BUF, 0, 1), VSBI_INVALID_PARAM,
		   0);
	assert_int_equal(error(SHMEM, BUF + 4, 0), VSBI_INVALID_PARAM);
	assert_int_equal(error(SHMEM, BUF, 1), VSBI_INVALID_ADDRESS);
	assert_int_equal(error(SHMEM, FAKE_RAM_BASE - 8, 0),
			 VSBI_INVALID_ADDRESS);
	assert_int_equal(
		error(SHMEM, FAKE_RAM_BASE + FAKE_RAM_BYTES - 32 * TRIGGERS + 8,
		      0),
		VSBI_INVALID_ADDRESS);
	assert_int_equal(
		error(SHMEM, FAKE_RAM_BASE + FAKE_RAM_BYTES - 32 * TRIGGERS, 0),
		0);
	assert_int_equal(error(SHMEM, NONE, NONE), 0);
	assert_int_equal(error(READ, 0, 0), VSBI_NO_SHMEM);
	expect_ret(call(INSTALL, 9, 0), VSBI_NO_SHMEM, 0);
	expect_ret(call(UPDATE, 9, 0), VSBI_NO_SHMEM, 0);
}

static void ranges_are_the_texts(void **state)
{
	(void)state;
	assert_int_equal(error(READ, TRIGGERS, 0), VSBI_BAD_RANGE);
	assert_int_equal(error(READ, NONE, 1), VSBI_BAD_RANGE);
	assert_int_equal(error(READ, 1, TRIGGERS - 1), VSBI_BAD_RANGE);
	assert_int_equal(error(READ, 1, NONE), VSBI_BAD_RANGE);
	assert_int_equal(error(READ, 1, TRIGGERS - 2), 0);
	assert_int_equal(error(INSTALL, TRIGGERS, 0), VSBI_BAD_RANGE);
	assert_int_equal(error(UPDATE, TRIGGERS, 0), VSBI_BAD_RANGE);
	for (u64 fid = UNINSTALL; fid <= DISABLE; fid++) {
		assert_int_equal(error(fid, 0, 1), VSBI_INVALID_PARAM);
		assert_int_equal(error(fid, TRIGGERS, 1), VSBI_INVALID_PARAM);
		assert_int_equal(error(fid, NONE, 1), VSBI_INVALID_PARAM);
		assert_int_equal(error(fid, 31, 2), VSBI_INVALID_PARAM);
		assert_int_equal(error(fid, 0, 1UL << 63), VSBI_INVALID_PARAM);
		assert_int_equal(error(fid, NONE, 0), 0);
	}
}

static void configurations_are_checked(void **state)
{
	static const struct {
		u64 tdata1, tdata3;
		s64 error;
	} table[] = {
		{S_LOAD | MC6_DMODE, 0, VSBI_INVALID_PARAM},
		{S_LOAD | MC6_M, 0, VSBI_INVALID_PARAM},
		{0, 0, VSBI_FAILED},
		{2UL << 60 | MC6_S, 0, VSBI_FAILED},
		{S_LOAD | MC6_VS, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | MC6_VU, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | 1 << 11, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | 1 << 12, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | 1 << 7, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | 1UL << 58, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD | 5UL << MC6_SIZE_SHIFT, 0, VSBI_NOT_SUPPORTED},
		{S_LOAD, 1, VSBI_NOT_SUPPORTED},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++) {
		/* The second of two: neither is installed. */
		fill(0, 0, S_LOAD, 8);
		fill(1, 0, table[i].tdata1, 8);
		entry(1)[3] = table[i].tdata3;
		expect_ret(call(INSTALL, 2, 0), table[i].error, 1);
		assert_int_equal(fake_vcpu(0)->dbtr.installed, 0);
		assert_int_equal(w.hart.triggers_count, 0);
	}
}

static void what_is_installed_is_vs_and_vu_to_the_hart(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	install(S_LOAD, 0x1000, 0);
	install(MC6_TYPE | MC6_U | MC6_STORE | 3UL << MC6_SIZE_SHIFT, 0x2000,
		1);
	/* Of no mode, or of no access: nothing for the hart. */
	install(MC6_TYPE | MC6_EXECUTE, 0x3000, 2);
	install(MC6_TYPE | MC6_S, 0x4000, 3);
	fill(0, 0, S_LOAD, 0);
	expect_ret(call(INSTALL, 1, 0), VSBI_FAILED, 0);
	assert_int_equal(w.hart.triggers_count, 2);
	assert_true(w.hart.triggers[0].control == VS_LOAD);
	assert_int_equal(w.hart.triggers[0].address, 0x1000);
	assert_true(w.hart.triggers[1].control ==
		    (MC6_TYPE | MC6_VU | MC6_STORE | 3UL << MC6_SIZE_SHIFT));
	/* Loads and saves see it by the bits that they look at. */
	assert_true(v->henvcfg == VCPU_TRIGGERS);
	assert_true(w.hart.henvcfg == VCPU_TRIGGERS);
	assert_true(v->hcounteren == (VSBI_COUNTEREN_ALL | VCPU_SAVE_RARE));
	assert_int_equal(error(UNINSTALL, 0, 15), 0);
	assert_int_equal(w.hart.triggers_count, 0);
	assert_int_equal(v->henvcfg | w.hart.henvcfg, 0);
	assert_int_equal(v->hcounteren, VSBI_COUNTEREN_ALL);
}

static void the_hart_has_them_while_their_vcpu_is_there(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	install(S_LOAD, 0x1000, 0);
	v->csr_on = v->host;
	vsbi_features_unload(v);
	assert_int_equal(w.hart.triggers_count, 0);
	assert_null(v->csr_on);
	assert_true(w.hart.henvcfg != v->henvcfg);
	vsbi_features_load(v);
	assert_int_equal(w.hart.triggers_count, 1);
	assert_true(w.hart.triggers[0].control == VS_LOAD);
	/* PMU has its own bits in the same word. */
	CALL(VSBI_EID_PMU, VSBI_PMU_CONFIG_MATCHING, 0, 1, 0, 1);
	assert_true(v->hcounteren & VCPU_SAVE_RARE);
	CALL(VSBI_EID_PMU, VSBI_PMU_STOP, 0, 1, 1);
	assert_true(v->hcounteren == (VSBI_COUNTEREN_ALL | VCPU_SAVE_RARE));
	vsbi_vcpu_reset(v);
	assert_int_equal(v->hcounteren, VSBI_COUNTEREN_ALL);
	assert_int_equal(v->henvcfg, 0);
	assert_int_equal(v->dbtr.installed, 0);
	assert_int_equal(error(READ, 0, 0), VSBI_NO_SHMEM);
}

static void who_has_some_takes_them_out_when_it_begins_to_wait(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	u32 sets;

	(void)state;
	assert_null(v->v.waits);
	install(S_LOAD, 0x1000, 0);
	v->v.waits(&v->v, true);
	assert_int_equal(w.hart.triggers_count, 0);
	/* A save finds nothing more to do. */
	sets = w.hart.triggers_sets;
	vsbi_features_unload(v);
	assert_int_equal(w.hart.triggers_sets, sets);
	/* It goes on without a load. */
	v->v.waits(&v->v, false);
	assert_int_equal(w.hart.triggers_count, 1);
	assert_true(w.hart.henvcfg == v->henvcfg);
	/* Or after one. */
	v->v.waits(&v->v, false);
	assert_int_equal(w.hart.triggers_sets, sets + 1);
	assert_int_equal(error(UNINSTALL, 0, 1), 0);
	assert_null(v->v.waits);
}

static void a_firmware_that_refuses_leaves_what_was(void **state)
{
	(void)state;
	install(S_LOAD, 0x1000, 0);
	w.hart.triggers_refused = true;
	fill(0, 0, S_LOAD, 0x2000);
	expect_ret(call(INSTALL, 1, 0), VSBI_FAILED, 0);
	assert_int_equal(fake_vcpu(0)->dbtr.installed, 1);
	w.hart.triggers_refused = false;
	vdbtr_load(fake_vcpu(0));
	assert_int_equal(w.hart.triggers_count, 1);
	assert_int_equal(w.hart.triggers[0].address, 0x1000);
}

static void triggers_are_disabled_enabled_and_read(void **state)
{
	(void)state;
	install(S_LOAD | MC6_U, 0x1000, 0);
	install(S_LOAD, 0x2000, 1);
	assert_int_equal(error(DISABLE, 0, 1), 0);
	assert_int_equal(w.hart.triggers_count, 1);
	assert_int_equal(w.hart.triggers[0].address, 0x2000);
	assert_int_equal(error(READ, 0, 2), 0);
	assert_int_equal(entry(0)[0], 7); /* mapped, u, s */
	assert_true(entry(0)[1] == (MC6_TYPE | MC6_LOAD));
	assert_int_equal(entry(0)[2], 0x1000);
	assert_int_equal(entry(0)[3], 0);
	assert_int_equal(entry(1)[0], 5);
	assert_true(entry(1)[1] == S_LOAD);
	/* One of a set isn't there: none is changed. */
	assert_int_equal(error(ENABLE, 0, 5), VSBI_INVALID_PARAM);
	assert_int_equal(w.hart.triggers_count, 1);
	assert_int_equal(error(ENABLE, 0, 3), 0);
	assert_int_equal(w.hart.triggers_count, 2);
	assert_int_equal(error(UNINSTALL, 1, 1), 0);
	assert_int_equal(error(READ, 1, 1), 0);
	assert_int_equal(entry(0)[0] | entry(0)[1] | entry(0)[2], 0);
	assert_int_equal(error(ENABLE, 1, 1), VSBI_INVALID_PARAM);
	/* The lowest that is free. */
	install(S_LOAD, 0x3000, 1);
}

static void triggers_are_updated_all_or_none(void **state)
{
	(void)state;
	install(S_LOAD, 0x1000, 0);
	install(S_LOAD, 0x2000, 1);
	fill(0, 1, S_LOAD, 0x5000);
	fill(1, TRIGGERS, S_LOAD, 0x6000);
	expect_ret(call(UPDATE, 2, 0), VSBI_INVALID_PARAM, 1);
	fill(1, 2, S_LOAD, 0x6000);
	expect_ret(call(UPDATE, 2, 0), VSBI_FAILED, 1);
	fill(1, 0, 2UL << 60, 0x6000);
	expect_ret(call(UPDATE, 2, 0), VSBI_INVALID_PARAM, 1);
	fill(1, 0, S_LOAD | MC6_M, 0x6000);
	expect_ret(call(UPDATE, 2, 0), VSBI_INVALID_PARAM, 1);
	assert_int_equal(w.hart.triggers[1].address, 0x2000);
	fill(1, 0, MC6_TYPE | MC6_U | MC6_STORE, 0x6000);
	expect_ret(call(UPDATE, 2, 0), 0, 0);
	assert_true(w.hart.triggers[0].control ==
		    (MC6_TYPE | MC6_VU | MC6_STORE));
	assert_int_equal(w.hart.triggers[0].address, 0x6000);
	assert_int_equal(w.hart.triggers[1].address, 0x5000);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(machines_without_triggers_have_no_extension),
		T(triggers_are_counted_by_what_they_can),
		T(shared_memory_is_checked),
		T(ranges_are_the_texts),
		T(configurations_are_checked),
		T(what_is_installed_is_vs_and_vu_to_the_hart),
		T(the_hart_has_them_while_their_vcpu_is_there),
		T(who_has_some_takes_them_out_when_it_begins_to_wait),
		T(a_firmware_that_refuses_leaves_what_was),
		T(triggers_are_disabled_enabled_and_read),
		T(triggers_are_updated_all_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
