/*
 * The CPU's one-shot timer against a comparator that may raise its interrupt
 * after it was moved away, as QEMU's does.
 */
/* sources: arch/riscv/oneshot.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/riscv/oneshot.h"
#include "arch/riscv/vhw.h"

static struct {
	u64 ticks;
	bool pends;
	u32 writes;
} hw;

void vhw_oneshot_write(u64 host_ticks)
{
	hw.ticks = host_ticks;
	hw.pends = false;
	hw.writes++;
}

static struct oneshot t;

static int set_up(void **state)
{
	(void)state;
	t = (struct oneshot){ 0 };
	oneshot_init(&t);
	hw.writes = 0;
	return 0;
}

static void a_new_timer_is_silent(void **state)
{
	(void)state;
	hw.pends = true;
	oneshot_init(&t);
	assert_true(hw.ticks == TIME_NEVER && !hw.pends);
}

static void the_same_deadline_is_written_once(void **state)
{
	(void)state;
	oneshot_set(&t, 100);
	oneshot_set(&t, 100);
	assert_int_equal(hw.writes, 1);
	oneshot_set(&t, 101);
	assert_int_equal(hw.writes, 2);
	assert_int_equal(hw.ticks, 101);
}

static void one_that_fired_is_silenced_and_can_be_set_again(void **state)
{
	(void)state;
	oneshot_set(&t, 100);
	hw.pends = true;
	oneshot_fired(&t);
	assert_true(hw.ticks == TIME_NEVER && !hw.pends);
	oneshot_set(&t, 100);
	assert_int_equal(hw.ticks, 100);
}

/* What pends is of another deadline, which has been moved: the core, which has
 * set it and sets nothing twice, is interrupted for it. */
static void one_that_ends_a_wait_too_early_is_not_lost(void **state)
{
	(void)state;
	oneshot_set(&t, 50);
	oneshot_set(&t, 100);
	hw.pends = true;
	oneshot_pends(&t);
	assert_int_equal(hw.ticks, 100);
	assert_true(hw.pends);
	/* The turn has ended. */
	oneshot_fired(&t);
	assert_false(hw.pends);
	oneshot_set(&t, 100);
	assert_int_equal(hw.ticks, 100);
}

/* Or the CPU would wait no longer than that, again and again. */
static void one_that_has_ended_a_wait_is_silenced_by_the_same(void **state)
{
	(void)state;
	oneshot_set(&t, 100);
	hw.pends = true;
	oneshot_pends(&t);
	oneshot_set(&t, 100);
	assert_int_equal(hw.ticks, 100);
	assert_false(hw.pends);
}

/* It expired while it was being set to TIME_NEVER: what pends then must go,
 * or the guest that it interrupts never runs again. */
static void one_that_fires_unset_is_silenced_too(void **state)
{
	(void)state;
	oneshot_set(&t, 100);
	oneshot_set(&t, TIME_NEVER);
	hw.pends = true;
	oneshot_fired(&t);
	assert_false(hw.pends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_new_timer_is_silent, set_up),
		cmocka_unit_test_setup(the_same_deadline_is_written_once,
				       set_up),
		cmocka_unit_test_setup(
			one_that_fired_is_silenced_and_can_be_set_again,
			set_up),
		cmocka_unit_test_setup(one_that_fires_unset_is_silenced_too,
				       set_up),
		cmocka_unit_test_setup(
			one_that_ends_a_wait_too_early_is_not_lost, set_up),
		cmocka_unit_test_setup(
			one_that_has_ended_a_wait_is_silenced_by_the_same,
			set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
