/*
 * SBI calls of guests: STA. The errors of its one function, what the page says
 * after waits, and when it is let go of.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#define ALL UINT64_MAX
#define PAGE 0x1040
#define NS_PER_TICK 100 /* 10 MHz */

static u32 word(u32 at)
{
	u32 val;

	memcpy(&val, w.ram + PAGE + at, sizeof(val));
	return val;
}

static u64 steal_ns(void)
{
	u64 val;

	memcpy(&val, w.ram + PAGE + 8, sizeof(val));
	return val;
}

static u8 preempted(void)
{
	return w.ram[PAGE + 16];
}

static s64 set(u64 lo, u64 hi, u64 flags)
{
	struct fake_ret r = CALL(VSBI_EID_STA, 0, lo, hi, flags);

	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.value, 0);
	return r.error;
}

static bool registered(void)
{
	return fake_vcpu(0)->v.waits != NULL;
}

/* As the core does it: a wait of so many ticks. */
static void wait(u64 ticks)
{
	struct vcpu *v = &fake_vcpu(0)->v;

	v->waits(v, true);
	v->sched.ticks[RUNSTATE_RUNNABLE] += ticks;
	v->waits(v, false);
}

static void nobody_is_told_who_has_not_asked(void **state)
{
	(void)state;
	assert_false(registered());
}

static void what_is_wrong_has_its_own_error(void **state)
{
	static const struct {
		u64 lo, hi, flags;
		s64 error;
	} table[] = {
		{ FAKE_RAM_BASE + PAGE, 0, 1, VSBI_INVALID_PARAM },
		{ FAKE_RAM_BASE + PAGE, 0, 1ULL << 63, VSBI_INVALID_PARAM },
		{ ALL, ALL, 1, VSBI_INVALID_PARAM },
		{ FAKE_RAM_BASE + 1, 0, 0, VSBI_INVALID_PARAM },
		{ FAKE_RAM_BASE + 32, 0, 0, VSBI_INVALID_PARAM },
		{ 63, 0, 0, VSBI_INVALID_PARAM },
		{ ALL, 0, 0, VSBI_INVALID_PARAM },
		{ 0, 0, 0, VSBI_INVALID_ADDRESS },
		{ 0, ALL, 0, VSBI_INVALID_ADDRESS },
		{ FAKE_RAM_BASE, 1, 0, VSBI_INVALID_ADDRESS },
		{ FAKE_RAM_BASE - 64, 0, 0, VSBI_INVALID_ADDRESS },
		{ FAKE_RAM_BASE + FAKE_RAM_BYTES, 0, 0, VSBI_INVALID_ADDRESS },
		{ -64ULL, 0, 0, VSBI_INVALID_ADDRESS },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(set(table[i].lo, table[i].hi, table[i].flags),
				 table[i].error);
		assert_false(registered());
	}
}

static void a_refused_call_leaves_the_old_page(void **state)
{
	(void)state;
	assert_int_equal(set(FAKE_RAM_BASE + PAGE, 0, 0), 0);
	assert_int_equal(set(FAKE_RAM_BASE + 1, 0, 0), VSBI_INVALID_PARAM);
	assert_int_equal(set(0, 0, 0), VSBI_INVALID_ADDRESS);
	assert_int_equal(set(ALL, ALL, 2), VSBI_INVALID_PARAM);
	wait(7);
	assert_int_equal(steal_ns(), 7 * NS_PER_TICK);
}

static void all_of_the_page_and_no_more_is_zeroed(void **state)
{
	(void)state;
	memset(w.ram, 0xaa, sizeof(w.ram));
	assert_int_equal(set(FAKE_RAM_BASE + PAGE, 0, 0), 0);
	for (u32 i = 0; i < 64; i++)
		assert_int_equal(w.ram[PAGE + i], 0);
	assert_int_equal(w.ram[PAGE - 1], 0xaa);
	assert_int_equal(w.ram[PAGE + 64], 0xaa);
}

static void the_last_bytes_of_ram_will_do(void **state)
{
	(void)state;
	assert_int_equal(set(FAKE_RAM_BASE + FAKE_RAM_BYTES - 64, 0, 0), 0);
	assert_true(registered());
}

static void waiting_is_told_in_nanoseconds_since_the_call(void **state)
{
	(void)state;
	fake_vcpu(0)->v.sched.ticks[RUNSTATE_RUNNABLE] = 12345;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	wait(3);
	assert_int_equal(steal_ns(), 3 * NS_PER_TICK);
	wait(40);
	assert_int_equal(steal_ns(), 43 * NS_PER_TICK);
	assert_int_equal(word(4), 0);
	/* Anew: from zero. */
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	assert_int_equal(steal_ns(), 0);
	wait(5);
	assert_int_equal(steal_ns(), 5 * NS_PER_TICK);
}

static void sleep_is_not_stolen(void **state)
{
	struct vcpu *v = &fake_vcpu(0)->v;

	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	v->sched.ticks[RUNSTATE_BLOCKED] += 1000;
	v->sched.ticks[RUNSTATE_OFFLINE] += 1000;
	v->sched.ticks[RUNSTATE_RUNNING] += 1000;
	v->waits(v, false);
	assert_int_equal(steal_ns(), 0);
	assert_int_equal(word(0), 0);
}

static void each_change_takes_two_steps_of_the_sequence(void **state)
{
	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	assert_int_equal(word(0), 0);
	wait(1);
	assert_int_equal(word(0), 2);
	wait(0); /* nothing to say */
	assert_int_equal(word(0), 2);
	wait(1);
	assert_int_equal(word(0), 4);
}

static void preempted_is_set_while_it_waits(void **state)
{
	struct vcpu *v = &fake_vcpu(0)->v;

	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	assert_int_equal(preempted(), 0);
	v->waits(v, true);
	assert_int_not_equal(preempted(), 0);
	v->waits(v, false);
	assert_int_equal(preempted(), 0);
}

static void what_the_guest_writes_is_put_right_and_not_believed(void **state)
{
	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	wait(1);
	memset(w.ram + PAGE, 0xff, 64);
	wait(2);
	assert_int_equal(word(0), 4);
	assert_int_equal(steal_ns(), 3 * NS_PER_TICK);
	assert_int_equal(preempted(), 0);
}

static void all_ones_ends_it(void **state)
{
	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	assert_int_equal(set(ALL, ALL, 0), 0);
	assert_false(registered());
	/* Nothing to end is no error. */
	assert_int_equal(set(ALL, ALL, 0), 0);
}

static void a_hart_or_guest_that_starts_anew_has_no_page(void **state)
{
	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	fake_guest_reset();
	assert_false(registered());
	fake_vcpu(2)->v.waits = fake_vcpu(0)->v.waits = (void (*)(struct vcpu *,
								  bool))1;
	fake_vcpu(2)->v.state = VCPU_OFF;
	expect_ret(CALL(VSBI_EID_HSM, VSBI_HSM_START, 2, FAKE_RAM_BASE, 0), 0,
		   0);
	assert_null(fake_vcpu(2)->v.waits);
}

static void a_suspend_keeps_the_page(void **state)
{
	(void)state;
	set(FAKE_RAM_BASE + PAGE, 0, 0);
	CALL(VSBI_EID_HSM, VSBI_HSM_SUSPEND, VHSM_SUSPEND_NON_RETENTIVE,
	     FAKE_RAM_BASE, 0);
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_true(registered());
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nobody_is_told_who_has_not_asked),
		T(what_is_wrong_has_its_own_error),
		T(a_refused_call_leaves_the_old_page),
		T(all_of_the_page_and_no_more_is_zeroed),
		T(the_last_bytes_of_ram_will_do),
		T(waiting_is_told_in_nanoseconds_since_the_call),
		T(sleep_is_not_stolen),
		T(each_change_takes_two_steps_of_the_sequence),
		T(preempted_is_set_while_it_waits),
		T(what_the_guest_writes_is_put_right_and_not_believed),
		T(all_ones_ends_it),
		T(a_hart_or_guest_that_starts_anew_has_no_page),
		T(a_suspend_keeps_the_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
