/*
 * A guest's timer: deadlines with and without Sstc, across loading, saving and
 * the wrap of its clock.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/isa.h"
#include "kernel/arch.h"

#define VSTIP (1u << 6)
#define STIE (1u << 5)

static u64 deadline(void)
{
	return arch_vcpu_deadline_ticks(&fake_vcpu(0)->v);
}

/* vCPU 0 off the CPU, listening to its timer. */
static void unload(void)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	v->vs.vsie = STIE;
	vtimer_save(v);
	w.cpu.loaded = NULL;
}

static void the_guests_clock_is_the_hosts_plus_its_delta(void **state)
{
	(void)state;
	w.arch.htimedelta = -w.now_ticks;
	assert_int_equal(vtimer_now(fake_vcpu(0)), 0);
	w.now_ticks += 5;
	assert_int_equal(vtimer_now(fake_vcpu(0)), 5);
}

static void a_saved_comparator_disturbs_nobody_and_comes_back(void **state)
{
	(void)state;
	vcpu_timer_program(fake_vcpu(0), 4711);
	unload();
	assert_true(w.hart.vstimecmp == TIME_NEVER);
	assert_int_equal(fake_vcpu(0)->vs.vstimecmp, 4711);
	vtimer_load(fake_vcpu(0));
	assert_int_equal(w.hart.vstimecmp, 4711);
}

static void a_deadline_is_told_in_host_ticks(void **state)
{
	(void)state;
	for (u32 sstc = 0; sstc < 2; sstc++) {
		fake_world_init(1);
		riscv_has_sstc = sstc;
		w.arch.htimedelta = -900000ULL;
		w.hart.vsie = STIE;
		vcpu_timer_program(fake_vcpu(0), 150000);
		assert_int_equal(deadline(), 1050000);
		unload();
		assert_int_equal(deadline(), 1050000);
		assert_false(vtimer_passed(fake_vcpu(0)));
		w.now_ticks = 1050000;
		assert_true(vtimer_passed(fake_vcpu(0)));
		assert_true(deadline() <= w.now_ticks);
	}
}

static void a_timer_that_is_off_has_no_deadline(void **state)
{
	(void)state;
	for (u32 sstc = 0; sstc < 2; sstc++) {
		fake_world_init(1);
		riscv_has_sstc = sstc;
		w.hart.vsie = STIE;
		assert_true(deadline() == TIME_NEVER);
		vcpu_timer_program(fake_vcpu(0), TIME_NEVER);
		assert_true(deadline() == TIME_NEVER);
		assert_false(vtimer_passed(fake_vcpu(0)));
		/* Later than the host's clock can ever tell. */
		w.arch.htimedelta = -w.now_ticks;
		vcpu_timer_program(fake_vcpu(0), TIME_NEVER - 5);
		assert_true(deadline() == TIME_NEVER);
	}
}

static void a_guest_that_does_not_listen_is_not_woken(void **state)
{
	(void)state;
	vcpu_timer_program(fake_vcpu(0), w.now_ticks + 10);
	w.hart.vsie = ~(u64)STIE;
	assert_true(deadline() == TIME_NEVER);
	unload();
	fake_vcpu(0)->vs.vsie = 0;
	assert_true(deadline() == TIME_NEVER);
}

static void who_waits_for_fences_is_not_woken_by_its_timer(void **state)
{
	(void)state;
	w.hart.vsie = STIE;
	vcpu_timer_program(fake_vcpu(0), w.now_ticks + 10);
	fake_vcpu(0)->fence.waiting = 1;
	assert_true(deadline() == TIME_NEVER);
}

static void the_timer_of_a_blocked_vcpu_is_a_pending_interrupt(void **state)
{
	(void)state;
	arch_vcpu_timer_fired(&fake_vcpu(0)->v);
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_TIMER);
}

static void with_sstc_the_hart_interrupts_a_running_guest(void **state)
{
	(void)state;
	vcpu_timer_program(fake_vcpu(0), 1);
	assert_true(vtimer_running_deadline(fake_vcpu(0)) == TIME_NEVER);
	assert_false(vtimer_expire(fake_vcpu(0)));
	assert_int_equal(w.hart.hvip, 0);
	assert_true(w.hart.timer_ticks == TIME_NEVER);
}

static void without_sstc_a_passed_deadline_is_raised_once(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	riscv_has_sstc = false;
	vcpu_timer_program(v, w.now_ticks + 100);
	assert_int_equal(vtimer_running_deadline(v), w.now_ticks + 100);
	assert_int_equal(w.hart.timer_ticks, w.now_ticks + 100);
	assert_false(vtimer_expire(v));
	w.now_ticks += 100;
	assert_true(vtimer_expire(v));
	assert_int_equal(w.hart.hvip, VSTIP);
	assert_int_equal(v->hvip, VSTIP);
	assert_true(vtimer_running_deadline(v) == TIME_NEVER);
	assert_false(vtimer_expire(v));
	/* It stays pending until the guest sets its timer anew. */
	assert_true(vtimer_passed(v));
	w.hart.vsie = STIE;
	assert_int_equal(deadline(), 0);
	vcpu_timer_program(v, w.now_ticks + 50);
	assert_int_equal(w.hart.hvip, 0);
	assert_false(vtimer_passed(v));
}

static void without_sstc_a_deadline_in_the_past_is_raised_at_once(void **state)
{
	(void)state;
	riscv_has_sstc = false;
	vcpu_timer_program(fake_vcpu(0), w.now_ticks);
	assert_int_equal(w.hart.hvip, VSTIP);
	assert_true(w.hart.timer_ticks == TIME_NEVER);
}

static void without_sstc_a_turn_begins_by_looking_at_the_deadline(void **state)
{
	(void)state;
	riscv_has_sstc = false;
	vcpu_timer_program(fake_vcpu(0), w.now_ticks + 10);
	w.now_ticks += 10;
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(w.hart.hvip, VSTIP);
}

/* The core sets the CPU's timer anew in a turn (sched_timer_early). */
static void without_sstc_a_timer_set_anew_is_the_guests_as_well(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	riscv_has_sstc = false;
	vcpu_timer_program(v, w.now_ticks + 100);
	w.hart.timer_ticks = w.now_ticks + 1000;
	vtimer_see_to(v);
	assert_int_equal(w.hart.timer_ticks, w.now_ticks + 100);
	assert_int_equal(w.hart.hvip, 0);
	/* Both have come at once: no exit more for it. */
	w.now_ticks += 100;
	w.hart.timer_ticks = w.now_ticks + 1000;
	vtimer_see_to(v);
	assert_int_equal(w.hart.hvip, VSTIP);
	assert_int_equal(w.hart.timer_ticks, w.now_ticks + 1000);
	vtimer_see_to(v);
	assert_int_equal(w.hart.timer_ticks, w.now_ticks + 1000);
}

static void a_reset_timer_is_off(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(1);

	(void)state;
	v->vs.vstimecmp = v->deadline_guest_ticks = 0;
	v->hvip = VSTIP | 4;
	vtimer_reset(v);
	assert_true(v->vs.vstimecmp == TIME_NEVER);
	assert_true(v->deadline_guest_ticks == TIME_NEVER);
	assert_int_equal(v->hvip, 4);
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_guests_clock_is_the_hosts_plus_its_delta),
		T(a_saved_comparator_disturbs_nobody_and_comes_back),
		T(a_deadline_is_told_in_host_ticks),
		T(a_timer_that_is_off_has_no_deadline),
		T(a_guest_that_does_not_listen_is_not_woken),
		T(who_waits_for_fences_is_not_woken_by_its_timer),
		T(the_timer_of_a_blocked_vcpu_is_a_pending_interrupt),
		T(with_sstc_the_hart_interrupts_a_running_guest),
		T(without_sstc_a_passed_deadline_is_raised_once),
		T(without_sstc_a_deadline_in_the_past_is_raised_at_once),
		T(without_sstc_a_turn_begins_by_looking_at_the_deadline),
		T(without_sstc_a_timer_set_anew_is_the_guests_as_well),
		T(a_reset_timer_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
