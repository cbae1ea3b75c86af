/*
 * SBI calls of guests: HSM. Every error, every state, and the races that the
 * word with its count of starts is there for.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"

#define PC (FAKE_RAM_BASE + 0x1000)

static s64 start(u64 hartid, u64 pc)
{
	struct fake_ret r = CALL(VSBI_EID_HSM, VSBI_HSM_START, hartid, pc, 77);

	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.value, 0);
	return r.error;
}

static u64 status(u64 hartid)
{
	struct fake_ret r = CALL(VSBI_EID_HSM, VSBI_HSM_STATUS, hartid);

	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.error, 0);
	return r.value;
}

/* vCPU n's own CPU lets it run. */
static void begin(u32 n)
{
	fake_vcpu(n)->v.state = VCPU_RUNNING;
	assert_true(vsbi_run_begin(fake_vcpu(n)));
}

static void harts_of_a_new_guest_are_stopped_but_the_first(void **state)
{
	(void)state;
	assert_int_equal(status(0), VHSM_STARTED);
	for (u64 i = 1; i < 4; i++)
		assert_int_equal(status(i), VHSM_STOPPED);
}

static void a_hart_starts_where_it_was_told(void **state)
{
	(void)state;
	assert_int_equal(start(2, PC), VSBI_OK);
	assert_int_equal(w.starts, 1);
	assert_ptr_equal(w.started, &fake_vcpu(2)->v);
	assert_int_equal(w.resets, 1);
	assert_int_equal(w.reset_pc, PC);
	assert_int_equal(w.reset_arg, 77);
	assert_int_equal(status(2), VHSM_START_PENDING);
	begin(2);
	assert_int_equal(status(2), VHSM_STARTED);
}

static void a_started_hart_looks_at_its_interrupt_controller(void **state)
{
	(void)state;
	assert_int_equal(start(2, PC), VSBI_OK);
	assert_int_equal(fake_vcpu(2)->v.virq, VIRQ_EXTERNAL);
}

static s64 sent_status;

/* Hart 2, on its CPU, sends an IPI to the hart that hart 0 is starting, asks
 * for its state, and tries to start it as well. */
static void third_hart(struct vcpu *t)
{
	struct riscv_vcpu *v = fake_vcpu(2);

	w.at_reset = NULL;
	v->x[10] = 1UL << t->id;
	v->x[11] = 0;
	v->x[16] = VSBI_IPI_SEND;
	v->x[17] = VSBI_EID_IPI;
	assert_int_equal(vsbi_call(v), NEXT_ADVANCE);
	assert_int_equal(v->x[10], VSBI_OK);
	sent_status = vsbi_hsm_status(to_riscv(t));
	v->x[10] = t->id;
	v->x[11] = PC;
	v->x[16] = VSBI_HSM_START;
	v->x[17] = VSBI_EID_HSM;
	assert_int_equal(vsbi_call(v), NEXT_ADVANCE);
	assert_int_equal((s64)v->x[10], VSBI_ALREADY_AVAILABLE);
}

static void an_ipi_to_a_hart_that_is_about_to_start_is_kept(void **state)
{
	(void)state;
	fake_started(2, VCPU_RUNNING);
	w.at_reset = third_hart;
	assert_int_equal(start(1, PC), VSBI_OK);
	assert_int_equal(w.resets, 1);
	/* Either the hart wasn't there yet, or it has the interrupt. */
	assert_int_equal(sent_status == VHSM_STOPPED,
			 !(fake_vcpu(1)->v.virq & VIRQ_SOFT));
	third_hart(&fake_vcpu(1)->v);
	assert_int_equal(sent_status, VHSM_START_PENDING);
	assert_true(fake_vcpu(1)->v.virq & VIRQ_SOFT);
}

static void what_was_raised_before_a_hart_stopped_is_forgotten(void **state)
{
	(void)state;
	fake_vcpu(1)->v.virq = VIRQ_SOFT;
	assert_int_equal(start(1, PC), VSBI_OK);
	assert_false(fake_vcpu(1)->v.virq & VIRQ_SOFT);
}

static void a_hart_that_there_is_not_cannot_be_started(void **state)
{
	(void)state;
	assert_int_equal(start(4, PC), VSBI_INVALID_PARAM);
	assert_int_equal(start(UINT64_MAX, PC), VSBI_INVALID_PARAM);
	assert_int_equal(w.resets, 0);
}

static void a_hart_is_not_started_outside_ram(void **state)
{
	const u64 bad[] = { 0, FAKE_RAM_BASE - 2, UINT64_MAX, PC + 1,
			    FAKE_RAM_BASE + FAKE_RAM_BYTES };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(start(1, bad[i]), VSBI_INVALID_ADDRESS);
	assert_int_equal(w.resets + w.starts, 0);
	assert_int_equal(status(1), VHSM_STOPPED);
	assert_int_equal(start(1, FAKE_RAM_BASE + FAKE_RAM_BYTES - 2), 0);
}

static void a_hart_that_is_on_cannot_be_started(void **state)
{
	(void)state;
	assert_int_equal(start(0, PC), VSBI_ALREADY_AVAILABLE);
	assert_int_equal(start(1, PC), VSBI_OK);
	assert_int_equal(start(1, PC), VSBI_ALREADY_AVAILABLE);
	fake_started(2, VCPU_BLOCKED);
	assert_int_equal(start(2, PC), VSBI_ALREADY_AVAILABLE);
	assert_int_equal(w.starts, 1);
}

static void a_start_without_room_fails_and_may_be_tried_again(void **state)
{
	(void)state;
	w.start_result = -EBUSY;
	assert_int_equal(start(1, PC), VSBI_FAILED);
	assert_int_equal(status(1), VHSM_STOPPED);
	w.start_result = 0;
	assert_int_equal(start(1, PC), VSBI_OK);
}

static void a_hart_that_stops_is_stopped_when_it_is_off(void **state)
{
	(void)state;
	fake_started(1, VCPU_RUNNING);
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_STOP).next, NEXT_OFF);
	assert_int_equal(w.ends, 0);
	assert_int_equal(status(0), VHSM_STOP_PENDING);
	assert_int_equal(start(0, PC), VSBI_ALREADY_AVAILABLE);
	fake_vcpu(0)->v.state = VCPU_OFF;
	assert_int_equal(status(0), VHSM_STOPPED);
	assert_int_equal(start(0, PC), VSBI_OK);
	assert_int_equal(status(0), VHSM_START_PENDING);
}

static void the_last_hart_that_stops_powers_the_guest_off(void **state)
{
	(void)state;
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_STOP).next, NEXT_DEAD);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.end_why, EVENT_POWEROFF);
	assert_int_equal(w.end_code, 1);
}

/* Hart n stops; is it the last? */
static bool stops_last(u32 n)
{
	u32 ends = w.ends;
	struct riscv_vcpu *v = fake_vcpu(n);

	v->x[REG_A7] = VSBI_EID_HSM;
	v->x[REG_A6] = VSBI_HSM_STOP;
	if (vsbi_call(v) == NEXT_OFF) {
		assert_int_equal(w.ends, ends);
		return false;
	}
	assert_int_equal(w.ends, ends + 1);
	return true;
}

static void of_two_that_stop_at_once_one_sees_that_both_do(void **state)
{
	(void)state;
	fake_started(1, VCPU_RUNNING);
	/* Neither is OFF yet. */
	assert_false(stops_last(1));
	assert_true(stops_last(0));
}

static void harts_that_come_and_go_are_counted(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(1);

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(start(1, PC), VSBI_OK);
		/* Refused, one way or the other: not counted. */
		assert_int_equal(start(1, PC), VSBI_ALREADY_AVAILABLE);
		w.start_result = -EBUSY;
		assert_int_equal(start(2, PC), VSBI_FAILED);
		w.start_result = 0;
		v->v.state = VCPU_RUNNING;
		assert_true(vsbi_run_begin(v));
		assert_false(stops_last(1));
		v->v.state = VCPU_OFF;
	}
	assert_int_equal(start(1, PC), VSBI_OK);
	v->v.state = VCPU_RUNNING;
	assert_true(vsbi_run_begin(v));
	assert_false(stops_last(0));
	fake_vcpu(0)->v.state = VCPU_OFF;
	assert_true(stops_last(1));
	/* The next life begins with one. */
	fake_guest_reset();
	fake_started(0, VCPU_RUNNING);
	assert_true(stops_last(0));
}

static void a_hart_that_is_about_to_start_keeps_the_guest_on(void **state)
{
	(void)state;
	assert_int_equal(start(3, PC), VSBI_OK);
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_STOP).next, NEXT_OFF);
	assert_int_equal(w.ends, 0);
}

static void a_late_look_cannot_start_a_hart_twice(void **state)
{
	struct riscv_vcpu *t = fake_vcpu(1);
	u32 seen = t->hsm_state;

	(void)state;
	/* A starter saw it stopped; meanwhile it starts, runs, and asks to
	 * stop, while still on its CPU. Its word isn't the one of before. */
	assert_int_equal(start(1, PC), VSBI_OK);
	begin(1);
	t->hsm_state = (t->hsm_state & ~0xffu) | VHSM_STOP_PENDING;
	assert_int_not_equal(t->hsm_state & ~0xffu, seen & ~0xffu);
	assert_int_equal(start(1, PC), VSBI_ALREADY_AVAILABLE);
}

static void status_of_a_hart_that_there_is_not_is_refused(void **state)
{
	(void)state;
	expect_ret(CALL(VSBI_EID_HSM, VSBI_HSM_STATUS, 4), VSBI_INVALID_PARAM,
		   0);
	expect_ret(CALL(VSBI_EID_HSM, VSBI_HSM_STATUS, UINT64_MAX),
		   VSBI_INVALID_PARAM, 0);
}

static void a_suspended_hart_shows_every_state_on_its_way(void **state)
{
	(void)state;
	fake_started(1, VCPU_RUNNING);
	fake_vcpu(1)->hsm_state = VHSM_SUSPEND_PENDING;
	assert_int_equal(status(1), VHSM_SUSPEND_PENDING);
	fake_vcpu(1)->v.state = VCPU_BLOCKING;
	assert_int_equal(status(1), VHSM_SUSPEND_PENDING);
	fake_vcpu(1)->v.state = VCPU_BLOCKED;
	assert_int_equal(status(1), VHSM_SUSPENDED);
	fake_vcpu(1)->v.state = VCPU_WAKING;
	assert_int_equal(status(1), VHSM_RESUME_PENDING);
	fake_vcpu(1)->v.state = VCPU_QUEUED;
	assert_int_equal(status(1), VHSM_RESUME_PENDING);
	begin(1);
	assert_int_equal(status(1), VHSM_STARTED);
}

static void retentive_suspend_comes_back_with_success(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	struct fake_ret r;

	(void)state;
	v->pc = 0x1234;
	/* The address isn't looked at, nor the upper half of the type. */
	r = CALL(VSBI_EID_HSM, VSBI_HSM_SUSPEND, 0x700000000, 1, 2);
	assert_int_equal(r.next, NEXT_BLOCK);
	assert_int_equal(r.error, 0);
	assert_int_equal(status(0), VHSM_SUSPEND_PENDING);
	begin(0);
	assert_int_equal(v->pc, 0x1234);
	assert_int_equal(w.hart.restarts, 0);
	assert_int_equal(status(0), VHSM_STARTED);
}

static void non_retentive_suspend_resumes_at_the_address(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	v->vs.vsatp = w.hart.vsatp = 8ULL << 60;
	v->vs.vsstatus = SSTATUS_SIE | SSTATUS_SPIE;
	v->sstatus = 0;
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_SUSPEND,
			      VHSM_SUSPEND_NON_RETENTIVE, PC, 99).next,
			 NEXT_BLOCK);
	begin(0);
	assert_int_equal(v->pc, PC);
	assert_int_equal(v->x[10], 0);
	assert_int_equal(v->x[11], 99);
	assert_int_equal(v->vs.vsatp, 0);
	assert_int_equal(w.hart.vsatp, 0);
	assert_int_equal(v->vs.vsstatus, SSTATUS_SPIE);
	assert_int_equal(v->sstatus & SSTATUS_SPP, SSTATUS_SPP);
	assert_int_equal(v->hstatus & HSTATUS_SPVP, HSTATUS_SPVP);
	/* Once only. */
	v->pc = 4;
	begin(0);
	assert_int_equal(v->pc, 4);
}

static void a_bad_suspend_is_refused(void **state)
{
	static const struct {
		u64 type, pc;
		s64 error;
	} table[] = {
		{ 1, PC, VSBI_INVALID_PARAM },
		{ 0x0fffffff, PC, VSBI_INVALID_PARAM },
		{ 0x10000000, PC, VSBI_INVALID_PARAM },
		{ 0x7fffffff, PC, VSBI_INVALID_PARAM },
		{ 0x80000001, PC, VSBI_INVALID_PARAM },
		{ 0x8fffffff, PC, VSBI_INVALID_PARAM },
		{ 0x90000000, PC, VSBI_INVALID_PARAM },
		{ 0xffffffff, PC, VSBI_INVALID_PARAM },
		{ 0x80000000, 0, VSBI_INVALID_ADDRESS },
		{ 0x80000000, PC + 1, VSBI_INVALID_ADDRESS },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		expect_ret(CALL(VSBI_EID_HSM, VSBI_HSM_SUSPEND, table[i].type,
				table[i].pc), table[i].error, 0);
	assert_int_equal(status(0), VHSM_STARTED);
}

static void a_guest_that_starts_anew_has_its_harts_stopped(void **state)
{
	(void)state;
	assert_int_equal(start(1, PC), VSBI_OK); /* never came to run */
	for (u32 i = 0; i < 4; i++)
		fake_vcpu(i)->v.state = VCPU_OFF;
	fake_guest_reset();
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(vsbi_hsm_status(fake_vcpu(i)), VHSM_STOPPED);
	begin(0);
	assert_int_equal(status(0), VHSM_STARTED);
	assert_int_equal(start(1, PC), VSBI_OK);
}

static void a_killed_hart_is_stopped_whatever_it_was_asked(void **state)
{
	const u32 asked[] = { VHSM_STARTED, VHSM_STOP_PENDING,
			      VHSM_SUSPEND_PENDING };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(asked); i++) {
		fake_vcpu(1)->hsm_state = asked[i];
		fake_vcpu(1)->v.state = VCPU_OFF;
		assert_int_equal(status(1), VHSM_STOPPED);
	}
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(harts_of_a_new_guest_are_stopped_but_the_first),
		T(a_hart_starts_where_it_was_told),
		T(a_started_hart_looks_at_its_interrupt_controller),
		T(an_ipi_to_a_hart_that_is_about_to_start_is_kept),
		T(what_was_raised_before_a_hart_stopped_is_forgotten),
		T(a_hart_that_there_is_not_cannot_be_started),
		T(a_hart_is_not_started_outside_ram),
		T(a_hart_that_is_on_cannot_be_started),
		T(a_start_without_room_fails_and_may_be_tried_again),
		T(a_hart_that_stops_is_stopped_when_it_is_off),
		T(the_last_hart_that_stops_powers_the_guest_off),
		T(of_two_that_stop_at_once_one_sees_that_both_do),
		T(harts_that_come_and_go_are_counted),
		T(a_hart_that_is_about_to_start_keeps_the_guest_on),
		T(a_late_look_cannot_start_a_hart_twice),
		T(status_of_a_hart_that_there_is_not_is_refused),
		T(a_suspended_hart_shows_every_state_on_its_way),
		T(retentive_suspend_comes_back_with_success),
		T(non_retentive_suspend_resumes_at_the_address),
		T(a_bad_suspend_is_refused),
		T(a_guest_that_starts_anew_has_its_harts_stopped),
		T(a_killed_hart_is_stopped_whatever_it_was_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
