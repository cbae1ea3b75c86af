/*
 * SBI calls of guests: RFENCE, its arguments and what is posted, done and
 * waited for. That no stale translation survives is vfence_model_test.c's.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "kernel/arch.h"

#define ALL UINT64_MAX
#define FENCE_I(mask, base) CALL(VSBI_EID_RFENCE, 0, mask, base)
#define VMA(mask, base, start, size) \
	CALL(VSBI_EID_RFENCE, 1, mask, base, start, size)
#define VMA_ASID(mask, base, start, size, asid) \
	CALL(VSBI_EID_RFENCE, 2, mask, base, start, size, asid)

static u32 fences(void)
{
	return w.fence_i + w.fence_all + w.fence_asid + w.fence_va +
	       w.fence_va_asid;
}

/* vCPU n is inside the guest. */
static void enter(u32 n)
{
	fake_started(n, VCPU_RUNNING);
	assert_true(vsbi_run_begin(fake_vcpu(n)));
	w.fence_i = w.fence_all = w.fence_asid = 0;
	w.fence_va = w.fence_va_asid = 0;
}

static void a_fence_for_oneself_is_done_at_once(void **state)
{
	(void)state;
	expect_ret(FENCE_I(1, 0), 0, 0);
	assert_int_equal(w.fence_i, 1);
	expect_ret(VMA(1, 0, 0, 0), 0, 0);
	assert_int_equal(w.fence_all, 1);
	expect_ret(VMA(1, 0, 0x7000, ALL), 0, 0);
	assert_int_equal(w.fence_all, 2);
	expect_ret(VMA_ASID(1, 0, 0, 0, 5), 0, 0);
	assert_int_equal(w.fence_asid, 1);
	assert_int_equal(w.fence_last_asid, 5);
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(w.arch.fence_gen, 0);
}

static void a_range_is_fenced_page_by_page(void **state)
{
	(void)state;
	/* From the middle of one page into the third. */
	expect_ret(VMA(1, 0, 0x5800, 0x1801), 0, 0);
	assert_int_equal(w.fence_va, 3);
	assert_int_equal(w.fence_last_va, 0x7000);
	expect_ret(VMA_ASID(1, 0, 0x5fff, 1, 9), 0, 0);
	assert_int_equal(w.fence_va_asid, 1);
	assert_int_equal(w.fence_last_va, 0x5000);
	assert_int_equal(w.fence_last_asid, 9);
	expect_ret(VMA(1, 0, 0, 64 * 4096), 0, 0);
	assert_int_equal(w.fence_va, 67);
	expect_ret(VMA(1, 0, 0, 65 * 4096), 0, 0);
	assert_int_equal(w.fence_all, 1);
	expect_ret(VMA(1, 0, 0x5000, 0), 0, 0);
	assert_int_equal(fences(), 69);
}

static void a_range_may_end_with_the_address_space_not_beyond(void **state)
{
	(void)state;
	expect_ret(VMA(1, 0, -0x1000ULL, 0x1000), 0, 0);
	assert_int_equal(w.fence_va, 1);
	assert_true(w.fence_last_va == -0x1000ULL);
	expect_ret(VMA(1, 0, -0x1000ULL, 0x1001), VSBI_INVALID_ADDRESS, 0);
	expect_ret(VMA_ASID(1, 0, 0x2000, ALL - 1, 1), VSBI_INVALID_ADDRESS, 0);
	assert_int_equal(fences(), 1);
}

static void an_asid_has_sixteen_bits(void **state)
{
	static const u64 bad[] = { 0x10000, 0xabc0005, 1ULL << 32, ALL };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(bad); i++) {
		expect_ret(VMA_ASID(1, 0, 0, 0, bad[i]), VSBI_INVALID_PARAM, 0);
		/* Nor if there was nothing to do. */
		expect_ret(VMA_ASID(0, 0, 0x5000, 0, bad[i]),
			   VSBI_INVALID_PARAM, 0);
		/* These have no ASID. */
		expect_ret(CALL(VSBI_EID_RFENCE, 0, 0, 0, 0, 0, bad[i]), 0, 0);
		expect_ret(CALL(VSBI_EID_RFENCE, 1, 0, 0, 0, 0, bad[i]), 0, 0);
	}
	assert_int_equal(fences(), 0);
	expect_ret(VMA_ASID(1, 0, 0, 0, 0xffff), 0, 0);
	assert_int_equal(w.fence_last_asid, 0xffff);
}

static void unknown_harts_are_refused_before_all_else(void **state)
{
	(void)state;
	for (u64 fid = 0; fid < 3; fid++) {
		expect_ret(CALL(VSBI_EID_RFENCE, fid, 0x11, 0, ALL - 5, 100),
			   VSBI_INVALID_PARAM, 0);
		expect_ret(CALL(VSBI_EID_RFENCE, fid, 1, 4),
			   VSBI_INVALID_PARAM, 0);
	}
	assert_int_equal(fences(), 0);
}

static void guests_have_no_hypervisor_fences(void **state)
{
	(void)state;
	for (u64 fid = 3; fid < 8; fid++)
		expect_ret(CALL(VSBI_EID_RFENCE, fid, ALL, 77, ALL - 5, 100),
			   VSBI_NOT_SUPPORTED, 0);
	assert_int_equal(fences(), 0);
}

static void whoever_is_outside_the_guest_is_neither_rung_nor_waited_for(
	void **state)
{
	(void)state;
	fake_started(1, VCPU_BLOCKED);
	fake_started(2, VCPU_QUEUED);
	expect_ret(VMA(0, ALL, 0x5000, 0x1000), 0, 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fake_vcpu(i)->v.virq, 0);
	assert_int_equal(w.fence_va, 1);
}

static void what_was_posted_is_done_before_the_next_entry(void **state)
{
	(void)state;
	enter(1);
	vfence_run_end(fake_vcpu(1));
	expect_ret(VMA_ASID(2, 0, 0x5000, 0x2000, 3), 0, 0);
	expect_ret(FENCE_I(2, 0), 0, 0);
	assert_int_equal(fences(), 0);
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(w.fence_va_asid, 2);
	assert_int_equal(w.fence_i, 1);
	assert_int_equal(fences(), 3);
	/* And once only. */
	vfence_run_end(fake_vcpu(1));
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(fences(), 3);
}

static void more_ranges_than_fit_become_one_full_flush(void **state)
{
	(void)state;
	enter(1);
	vfence_run_end(fake_vcpu(1));
	for (u64 i = 0; i <= VFENCE_RANGES; i++)
		expect_ret(VMA(2, 0, i << 20, 0x1000), 0, 0);
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(w.fence_all, 1);
	assert_int_equal(fences(), 1);
	/* The slots are free again. */
	vfence_run_end(fake_vcpu(1));
	expect_ret(VMA(2, 0, 0x1000, 0x1000), 0, 0);
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(w.fence_va, 1);
}

static void a_full_flush_swallows_the_ranges_of_before(void **state)
{
	(void)state;
	enter(1);
	vfence_run_end(fake_vcpu(1));
	expect_ret(VMA(2, 0, 0x1000, 0x1000), 0, 0);
	expect_ret(VMA(2, 0, 0, 0), 0, 0);
	expect_ret(VMA(2, 0, 0x3000, 0x1000), 0, 0);
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(w.fence_all, 1);
	assert_int_equal(fences(), 1);
}

static void a_hart_inside_the_guest_is_rung_and_waited_for(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0), *t = fake_vcpu(1);
	struct fake_ret r;

	(void)state;
	enter(1);
	r = VMA(2, 0, 0x5000, 0x1000);
	assert_int_equal(r.next, NEXT_BLOCK);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.value, 0);
	assert_int_equal(t->v.virq, VIRQ_FENCE);
	assert_true(vfence_waits(v));
	assert_int_equal(w.fence_va, 0);

	/* Not yet: the caller, should it run, must not enter the guest. */
	vfence_run_end(v);
	assert_false(vsbi_run_begin(v));
	vfence_run_end(v);
	assert_int_equal(v->v.virq, 0);

	t->v.virq = 0;
	vfence_before_entry(t);
	assert_int_equal(w.fence_va, 1);
	assert_int_equal(v->v.virq, VIRQ_FENCED);
	assert_true(vsbi_run_begin(v));
	assert_false(vfence_waits(v));
	assert_int_equal(v->v.virq, 0);
}

static void a_target_that_leaves_lets_the_caller_go_on(void **state)
{
	(void)state;
	enter(1);
	assert_int_equal(FENCE_I(2, 0).next, NEXT_BLOCK);
	vfence_run_end(fake_vcpu(1));
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_FENCED);
	assert_true(vsbi_run_begin(fake_vcpu(0)));
}

static void all_of_several_targets_are_waited_for(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	enter(1);
	enter(3);
	fake_started(2, VCPU_BLOCKED);
	assert_int_equal(FENCE_I(0, ALL).next, NEXT_BLOCK);
	vfence_run_end(v);
	vfence_before_entry(fake_vcpu(1));
	assert_int_equal(v->v.virq, VIRQ_FENCED);
	assert_false(vsbi_run_begin(v));
	assert_int_equal(v->v.virq, 0);
	vfence_run_end(v);
	vfence_before_entry(fake_vcpu(3));
	assert_int_equal(v->v.virq, VIRQ_FENCED);
	assert_true(vsbi_run_begin(v));
}

/* vCPU 1 has been rung, and does what is due. */
static void answer(void)
{
	struct riscv_vcpu *t = fake_vcpu(1);

	assert_int_equal(t->v.virq, VIRQ_FENCE);
	t->v.virq = 0;
	vfence_before_entry(t);
	assert_int_equal(fake_vcpu(0)->v.virq & VIRQ_FENCED, VIRQ_FENCED);
}

static bool answered(void)
{
	answer();
	return true;
}

static void a_caller_waits_in_its_turn_for_who_answers(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	enter(1);
	w.bell_wait = answered;
	expect_ret(VMA(2, 0, 0x5000, 0x1000), 0, 0);
	assert_int_equal(w.fence_va, 1);
	/* It is as before the call. */
	assert_false(vfence_waits(v));
	assert_int_equal(v->v.virq, 0);
	assert_int_equal(v->fence.live, 1);
	assert_int_equal(v->odd & VCPU_ODD_CALL, 0);
	assert_int_equal(fake_vcpu(1)->v.virq, 0);
}

static u32 rings;

/* Two rings that are about something else, before the answer. */
static bool rung_for_more(void)
{
	if (++rings > 2)
		return answered();
	fake_vcpu(0)->v.virq |= rings == 1 ? VIRQ_SOFT : VIRQ_FENCE;
	return true;
}

static void what_else_it_is_rung_for_does_not_end_its_wait(void **state)
{
	(void)state;
	enter(1);
	rings = 0;
	w.bell_wait = rung_for_more;
	expect_ret(VMA(2, 0, 0x5000, 0x1000), 0, 0);
	assert_int_equal(rings, 3);
	assert_int_equal(w.fence_va, 1);
	/* That is still to be looked at. */
	assert_int_equal(fake_vcpu(0)->v.virq, VIRQ_SOFT | VIRQ_FENCE);
}

static bool answered_late(void)
{
	answer();
	return false;
}

static void mail_ends_its_wait_and_its_turn(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	enter(1);
	w.bell_wait = answered_late;
	assert_int_equal(VMA(2, 0, 0x5000, 0x1000).next, NEXT_BLOCK);
	assert_true(v->odd & VCPU_ODD_CALL);
	vfence_run_end(v);
	/* The answer that came at the same time keeps it from sleeping. */
	assert_int_equal(v->v.virq, VIRQ_FENCED);
	assert_true(vsbi_run_begin(v));
	assert_int_equal(w.fence_va, 1);
}

/* Both are at it: vCPU 1 asks, too, and need not wait. */
static bool asked_back(void)
{
	const struct vfence_harts all = { .all = true };
	const struct vfence_op op = { .kind = VFENCE_I };

	w.fence_i = 0;
	assert_true(vfence_request(fake_vcpu(1), &all, &op));
	assert_int_equal(w.fence_i, 1);
	return answered();
}

static void who_waits_does_what_others_ask_before_it_goes_on(void **state)
{
	(void)state;
	enter(1);
	w.bell_wait = asked_back;
	expect_ret(VMA(2, 0, 0x5000, 0x1000), 0, 0);
	/* The asker's at itself, and here, before the guest goes on. */
	assert_int_equal(w.fence_i, 2);
	assert_int_equal(w.fence_va, 1);
	assert_int_equal(fake_vcpu(0)->fence.live, 1);
}

static void two_that_fence_each_other_both_go_on(void **state)
{
	struct riscv_vcpu *a = fake_vcpu(0), *b = fake_vcpu(1);
	const struct vfence_harts all = { .all = true };
	const struct vfence_op op = { .kind = VFENCE_I };

	(void)state;
	enter(1);
	assert_false(vfence_request(a, &all, &op));
	/* Who waits isn't waited for. */
	assert_true(vfence_request(b, &all, &op));
	vfence_run_end(a);
	vfence_run_end(b);
	assert_true(vfence_run_begin(a));
	assert_true(vfence_run_begin(b));
}

static void a_waiter_far_along_the_ids_is_found(void **state)
{
	const struct vfence_harts one = { .mask = 1, .base = 0 };
	const struct vfence_op op = { .kind = VFENCE_I };
	const u32 ids[] = { 1, 32, 63, 64, 127, 128, 129 };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(ids); i++) {
		struct riscv_vcpu *v;

		fake_world_init(130);
		v = fake_vcpu(ids[i]);
		fake_started(ids[i], VCPU_RUNNING);
		assert_true(vfence_run_begin(v));
		assert_false(vfence_request(v, &one, &op));
		vfence_before_entry(fake_vcpu(0));
		for (u32 n = 0; n < 130; n++)
			assert_int_equal(fake_vcpu(n)->v.virq & VIRQ_FENCED,
					 n == ids[i] ? VIRQ_FENCED : 0);
	}
}

static u32 fenced(void)
{
	u32 n = 0;

	for (u32 i = 0; i < w.guest.cfg.vcpus; i++)
		n += (fake_vcpu(i)->v.virq & VIRQ_FENCED) != 0;
	return n;
}

/* One answers all others of a large guest: no more than some in its exit. */
static void of_very_many_that_wait_some_are_woken_at_once(void **state)
{
	const struct vfence_harts one = { .mask = 1, .base = 0 };
	const struct vfence_op op = { .kind = VFENCE_I };
	u32 steps = 0, before, more = 1;

	(void)state;
	fake_world_init(FAKE_VCPUS_MAX);
	for (u32 i = 1; i < FAKE_VCPUS_MAX; i++) {
		fake_started(i, VCPU_RUNNING);
		assert_true(vfence_run_begin(fake_vcpu(i)));
		assert_false(vfence_request(fake_vcpu(i), &one, &op));
		vfence_run_end(fake_vcpu(i));
	}
	fake_vcpu(0)->v.virq = 0;
	vfence_before_entry(fake_vcpu(0));
	assert_in_range(fenced(), 1, 80);
	/* The guest's task has been told once, and has the others. */
	assert_int_equal(w.rests, 1);
	while (more) {
		before = fenced();
		more = arch_guest_tell_rest(&w.guest);
		assert_in_range(fenced() - before, 1, 80);
		steps++;
	}
	assert_int_equal(w.rests, 1);
	assert_int_equal(fenced(), FAKE_VCPUS_MAX - 1);
	assert_in_range(steps, 5, 20);
	for (u32 i = 1; i < FAKE_VCPUS_MAX; i++)
		assert_true(vfence_run_begin(fake_vcpu(i)));
	assert_false(arch_guest_tell_rest(&w.guest));
}

/* How many others has a fence been posted at? */
static u32 posted(void)
{
	u32 n = 0;

	for (u32 i = 1; i < w.guest.cfg.vcpus; i++)
		n += fake_vcpu(i)->fence.kinds != 0;
	return n;
}

/* A guest whose vCPUs have done what they were to do at first. */
static void many_init(u32 vcpus)
{
	fake_world_init(vcpus);
	for (u32 i = 1; i < vcpus; i++) {
		enter(i);
		vfence_run_end(fake_vcpu(i));
	}
	assert_int_equal(posted(), 0);
}

/* The caller's next turn. */
static bool turn(void)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	bool over;

	vfence_run_end(v);
	/* It doesn't sleep meanwhile: it has said so to itself. */
	assert_true(vfence_waits(v));
	assert_int_equal(v->v.virq, VIRQ_FENCED);
	over = vsbi_run_begin(v);
	assert_int_equal(vfence_waits(v), !over);
	return over;
}

static void a_fence_for_very_many_takes_several_turns(void **state)
{
	struct riscv_vcpu *last;
	u32 turns = 1;

	(void)state;
	many_init(FAKE_VCPUS_MAX);
	last = fake_vcpu(FAKE_VCPUS_MAX - 1);
	enter(FAKE_VCPUS_MAX - 1);
	assert_int_equal(VMA(0, ALL, 0, 0).next, NEXT_BLOCK);
	assert_int_equal(w.fence_all, 1);
	assert_in_range(posted(), 400, 520);
	/* Nobody need look before all is posted. */
	assert_int_equal(w.arch.fence_gen, 0);
	while (!(last->v.virq & VIRQ_FENCE)) {
		assert_false(turn());
		turns++;
	}
	assert_int_equal(w.arch.fence_gen, 1);
	assert_int_equal(posted(), FAKE_VCPUS_MAX - 1);
	/* From here on it waits for the one that is inside. */
	while (fake_vcpu(0)->v.virq) {
		assert_false(turn());
		turns++;
	}
	assert_in_range(turns, 2, 4);
	last->v.virq = 0;
	vfence_before_entry(last);
	assert_int_equal(w.fence_all, 2);
	assert_true(turn());
	assert_int_equal(w.arch.fence_gen, 1);
	for (u32 i = 1; i < FAKE_VCPUS_MAX - 1; i++) {
		assert_int_equal(fake_vcpu(i)->v.virq, 0);
		enter(i);
	}
	assert_int_equal(posted(), 0);
}

static void with_nobody_inside_nobody_is_waited_for_however_many(void **state)
{
	u32 turns = 1;

	(void)state;
	many_init(FAKE_VCPUS_MAX);
	assert_int_equal(FENCE_I(0, ALL).next, NEXT_BLOCK);
	while (!turn())
		assert_in_range(++turns, 2, 3);
	assert_int_equal(posted(), FAKE_VCPUS_MAX - 1);
	/* So many as fit into a turn take one. */
	many_init(200);
	expect_ret(FENCE_I(0, ALL), 0, 0);
}

static void a_fence_that_the_guest_does_not_survive_is_forgotten(void **state)
{
	(void)state;
	many_init(FAKE_VCPUS_MAX);
	assert_int_equal(VMA(0, ALL, 0, 0).next, NEXT_BLOCK);
	fake_guest_reset();
	fake_vcpu(0)->v.virq = 0;
	fake_started(0, VCPU_RUNNING);
	assert_false(vfence_waits(fake_vcpu(0)));
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(fake_vcpu(0)->v.virq, 0);
	assert_int_equal(w.arch.fence_gen, 0);
}

static void a_fence_for_nobody_is_over_at_once(void **state)
{
	(void)state;
	enter(1);
	expect_ret(FENCE_I(0, 0), 0, 0);
	expect_ret(VMA(0, 1, 0, 0), 0, 0);
	assert_int_equal(w.arch.fence_gen, 0);
	assert_int_equal(fences(), 0);
	fake_world_init(1);
	expect_ret(FENCE_I(0, ALL), 0, 0);
	assert_int_equal(w.fence_i, 1);
	assert_int_equal(w.arch.fence_gen, 0);
}

static void a_vcpu_that_moved_knows_no_instruction_cache(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	char other;

	(void)state;
	assert_true(vfence_run_begin(v));
	assert_int_equal(w.fence_i, 0);
	v->host = (struct cpu *)&other;
	assert_true(vfence_run_begin(v));
	assert_int_equal(w.fence_i, 1);
}

static void a_vcpu_that_starts_anew_flushes_everything(void **state)
{
	(void)state;
	vfence_reset(fake_vcpu(1));
	assert_true(vfence_run_begin(fake_vcpu(1)));
	assert_int_equal(w.fence_all, 1);
	assert_true(w.fence_i >= 1);
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_fence_for_oneself_is_done_at_once),
		T(a_range_is_fenced_page_by_page),
		T(a_range_may_end_with_the_address_space_not_beyond),
		T(an_asid_has_sixteen_bits),
		T(unknown_harts_are_refused_before_all_else),
		T(guests_have_no_hypervisor_fences),
		T(whoever_is_outside_the_guest_is_neither_rung_nor_waited_for),
		T(what_was_posted_is_done_before_the_next_entry),
		T(more_ranges_than_fit_become_one_full_flush),
		T(a_full_flush_swallows_the_ranges_of_before),
		T(a_hart_inside_the_guest_is_rung_and_waited_for),
		T(a_target_that_leaves_lets_the_caller_go_on),
		T(all_of_several_targets_are_waited_for),
		T(a_caller_waits_in_its_turn_for_who_answers),
		T(what_else_it_is_rung_for_does_not_end_its_wait),
		T(mail_ends_its_wait_and_its_turn),
		T(who_waits_does_what_others_ask_before_it_goes_on),
		T(two_that_fence_each_other_both_go_on),
		T(a_waiter_far_along_the_ids_is_found),
		T(of_very_many_that_wait_some_are_woken_at_once),
		T(a_fence_for_very_many_takes_several_turns),
		T(with_nobody_inside_nobody_is_waited_for_however_many),
		T(a_fence_that_the_guest_does_not_survive_is_forgotten),
		T(a_fence_for_nobody_is_over_at_once),
		T(a_vcpu_that_moved_knows_no_instruction_cache),
		T(a_vcpu_that_starts_anew_flushes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
