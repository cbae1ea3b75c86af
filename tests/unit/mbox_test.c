/*
 * The mailbox, the doorbell and the idle mask, one CPU at a time. Their races
 * are in tests/stress.
 */
/* sources: kernel/percpu/cpu.c kernel/percpu/idle.c
 *          tests/unit/fake_trace.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"

_Thread_local struct cpu *fake_this_cpu;
static struct cpu cpus[3];
static u32 rings, acks;

void arch_doorbell_ring(struct cpu *target)
{
	(void)target;
	rings++;
}

void arch_doorbell_ack(void)
{
	acks++;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

static void no_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	(void)c, (void)n, (void)bits, (void)now;
}

static int prepare(void **state)
{
	(void)state;
	cpu_table_len = 0;
	memset(cpus, 0, sizeof(cpus));
	for (u32 i = 0; i < 3; i++) {
		cpus[i].index = i;
		cpu_register(&cpus[i]);
		for (u32 k = 0; k < IDLE_KINDS; k++)
			idle_leave(k, i);
	}
	rings = acks = 0;
	return 0;
}

static void push_to_an_empty_box_asks_for_a_ring(void **state)
{
	struct mbox_node n;

	(void)state;
	mbox_node_init(&n, no_look);
	cpus[0].mode = CPU_GUEST;
	doorbell_post(&cpus[0], &n, 1);
	assert_int_equal(rings, 1);
	assert_int_equal(cpus[0].bell, 1);
}

static void nobody_rings_for_a_cpu_in_the_hypervisor(void **state)
{
	struct mbox_node n;

	(void)state;
	mbox_node_init(&n, no_look);
	doorbell_post(&cpus[0], &n, 1);
	assert_int_equal(rings, 0);
	assert_false(cpu_will_stop(&cpus[0], CPU_IDLE));
	assert_int_equal(cpus[0].mode, CPU_HYP);
}

static void rings_are_merged_until_the_owner_answers(void **state)
{
	struct mbox_node n[3];

	(void)state;
	cpus[0].mode = CPU_IDLE;
	for (u32 i = 0; i < 3; i++) {
		mbox_node_init(&n[i], no_look);
		doorbell_post(&cpus[0], &n[i], 1);
	}
	assert_int_equal(rings, 1);
	doorbell_answer(&cpus[0]);
	assert_int_equal(acks, 1);
	assert_int_equal(cpus[0].bell, 0);
	doorbell_post(&cpus[0], &n[0], 1);
	assert_int_equal(rings, 2);
}

static void mail_comes_in_the_order_in_which_it_was_posted(void **state)
{
	struct mbox_node n[5], *m;
	struct mbox box;

	(void)state;
	mbox_init(&box);
	assert_null(mbox_take_all(&box));
	for (u32 i = 0; i < 5; i++) {
		mbox_node_init(&n[i], no_look);
		assert_true(mbox_post(&box, &n[i], i + 1));
	}
	m = mbox_take_all(&box);
	for (u32 i = 0; i < 5; i++) {
		struct mbox_node *next = mbox_next(m);

		assert_ptr_equal(m, &n[i]);
		assert_int_equal(mbox_take(m), i + 1);
		m = next;
	}
	assert_null(m);
	assert_false(mbox_has_mail(&box));
}

static void a_second_post_adds_its_bits_and_no_node(void **state)
{
	struct mbox_node n, *m;
	struct mbox box;

	(void)state;
	mbox_init(&box);
	mbox_node_init(&n, no_look);
	assert_true(mbox_post(&box, &n, 1));
	assert_false(mbox_post(&box, &n, 4));
	assert_false(mbox_post(&box, &n, 0));
	m = mbox_take_all(&box);
	assert_ptr_equal(m, &n);
	assert_null(mbox_next(m));
	assert_int_equal(mbox_take(m), 5);
}

static void a_node_can_be_posted_again_while_it_is_looked_at(void **state)
{
	struct mbox_node n;
	struct mbox box, other;

	(void)state;
	mbox_init(&box);
	mbox_init(&other);
	mbox_node_init(&n, no_look);
	mbox_post(&box, &n, 1);
	assert_ptr_equal(mbox_take_all(&box), &n);
	/* Not taken yet: still on its way. */
	assert_false(mbox_post(&other, &n, 2));
	assert_int_equal(mbox_take(&n), 3);
	assert_true(mbox_post(&other, &n, 8));
	assert_ptr_equal(mbox_take_all(&other), &n);
	assert_int_equal(mbox_take(&n), 8);
}

static void a_guest_is_entered_only_without_mail(void **state)
{
	struct mbox_node n;

	(void)state;
	mbox_node_init(&n, no_look);
	assert_true(cpu_enter_guest(&cpus[1], NULL));
	assert_int_equal(cpus[1].mode, CPU_GUEST);
	assert_true(cpu_guest_bell(&cpus[1]));
	mbox_post(&cpus[1].mbox, &n, 0);
	assert_false(cpu_guest_bell(&cpus[1]));
	cpu_leave_guest(&cpus[1]);
	assert_false(cpu_enter_guest(&cpus[1], NULL));
	assert_int_equal(cpus[1].mode, CPU_HYP);
}

static void an_idle_cpu_is_claimed_once(void **state)
{
	struct cpuset all = { { 7 } };

	(void)state;
	idle_enter(IDLE_SLEEPS, 1);
	assert_true(idle_is(IDLE_SLEEPS, 1));
	assert_false(idle_is(IDLE_NATIVE, 1));
	assert_int_equal(idle_claim_any(IDLE_SLEEPS, &all, 0), 1);
	assert_int_equal(idle_claim_any(IDLE_SLEEPS, &all, 0), CPU_NONE);
	assert_false(idle_leave(IDLE_SLEEPS, 1));
}

static void a_claim_looks_round_and_keeps_to_the_set(void **state)
{
	struct cpuset some = { { 5 } };

	(void)state;
	for (u32 i = 0; i < 3; i++)
		idle_enter(IDLE_SLEEPS, i);
	assert_int_equal(idle_claim_any(IDLE_SLEEPS, &some, 1), 2);
	assert_int_equal(idle_claim_any(IDLE_SLEEPS, &some, 1), 0);
	assert_int_equal(idle_claim_any(IDLE_SLEEPS, &some, 1), CPU_NONE);
	assert_true(idle_is(IDLE_SLEEPS, 1));
}

static void those_that_are_idle_are_found_one_after_another(void **state)
{
	(void)state;
	assert_int_equal(idle_next(IDLE_RESTS, 0), CPU_NONE);
	idle_enter(IDLE_RESTS, 0);
	idle_enter(IDLE_RESTS, 2);
	assert_int_equal(idle_next(IDLE_RESTS, 0), 0);
	assert_int_equal(idle_next(IDLE_RESTS, 1), 2);
	assert_int_equal(idle_next(IDLE_RESTS, 3), CPU_NONE);
	assert_int_equal(idle_next(IDLE_RESTS, CPU_MAX), CPU_NONE);
	assert_int_equal(idle_next(IDLE_SLEEPS, 0), CPU_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(push_to_an_empty_box_asks_for_a_ring,
				       prepare),
		cmocka_unit_test_setup(nobody_rings_for_a_cpu_in_the_hypervisor,
				       prepare),
		cmocka_unit_test_setup(rings_are_merged_until_the_owner_answers,
				       prepare),
		cmocka_unit_test_setup(
			mail_comes_in_the_order_in_which_it_was_posted,
			prepare),
		cmocka_unit_test_setup(a_second_post_adds_its_bits_and_no_node,
				       prepare),
		cmocka_unit_test_setup(
			a_node_can_be_posted_again_while_it_is_looked_at,
			prepare),
		cmocka_unit_test_setup(a_guest_is_entered_only_without_mail,
				       prepare),
		cmocka_unit_test_setup(an_idle_cpu_is_claimed_once, prepare),
		cmocka_unit_test_setup(a_claim_looks_round_and_keeps_to_the_set,
				       prepare),
		cmocka_unit_test_setup(
			those_that_are_idle_are_found_one_after_another,
			prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
