/*
 * Knobs of guests, changed while they run or stand still.
 */
/* sources: GUESTS tests/unit/fake_mem.c tests/unit/fake_guest.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_guest.h"

static u32 steps;	   /* of set_all */
static u32 most_asked; /* in one of them */

static int set_all(struct guest *g, const char *const *texts, u32 count,
		   struct lab_error *err)
{
	struct guest_setting s;
	u32 state = g->state;
	int ret = guest_set_begin(g, texts, count, &s, err);
	bool more = !ret;

	steps = most_asked = 0;
	while (more) {
		/* Nobody starts a guest of which not all have been told. */
		assert_int_equal(g->state, state == GUEST_STOPPED ? GUEST_BUSY :
								    state);
		w.asked = 0;
		more = guest_set_step(g, &s);
		most_asked = MAX(most_asked, w.asked);
		steps++;
	}
	assert_int_equal(g->state, state);
	return ret;
}

static void a_changed_weight_is_mailed_and_kept(void **state)
{
	static const char *const set[] = { "weight=512" };
	static const char *const bad[] = { "weight=7", "weight=99999" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(set_all(g, set, 1, &err), 0);
	assert_int_equal(g->cfg.sched.weight, 512);
	assert_int_equal(w.params, 1);
	/* All or none. */
	assert_int_equal(set_all(g, bad, 2, &err), -EINVAL);
	assert_int_equal(g->cfg.sched.weight, 512);
	assert_int_equal(w.params, 1);
	w.checks_fail = true;
	assert_int_equal(set_all(g, bad, 1, &err), -EINVAL);
	assert_int_equal(g->cfg.sched.weight, 512);
	w.checks_fail = false;
	end();
}

static void pins_move_the_vcpus_that_they_concern(void **state)
{
	static const char *const pin[] = { "pin=2" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(set_all(g, pin, 1, &err), 0);
	assert_int_equal(w.moves, 2);
	assert_int_equal(set_all(g, pin, 1, &err), 0);
	assert_int_equal(w.moves, 2);
	end();
}

static void of_very_many_vcpus_some_are_told_in_a_step(void **state)
{
	static const char *const all[] = { "weight=512", "pin=2" };
	static const char *const none[] = { "on-crash=restart" };
	struct guest_config cfg = config("big");
	struct guest *g;

	begin(false);
	cfg.vcpus = 512;
	g = create(cfg);
	assert_int_equal(set_all(g, all, 2, &err), 0);
	assert_int_equal(w.moves, 512);
	assert_int_equal(w.params, 1);
	assert_in_range(steps, 2 * 512 / REQUESTS_AT_ONCE, 40);
	assert_in_range(most_asked, 1, REQUESTS_AT_ONCE);
	/* Nobody need be told of what is nothing to him. */
	assert_int_equal(set_all(g, none, 1, &err), 0);
	assert_int_equal(steps, 1);
	assert_int_equal(most_asked, 0);
	end();
}

static void images_change_only_in_a_stopped_guest(void **state)
{
	static const char *const kernel[] = { "kernel=Other" };
	static const char *const vcpus[] = { "vcpus=3" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(set_all(g, kernel, 1, &err), -EINVAL);
	assert_int_equal(guest_stop(g), 0);
	run_all();
	assert_int_equal(set_all(g, kernel, 1, &err), 0);
	assert_string_equal(g->cfg.kernel, "Other");
	assert_string_equal(g->cfg.name, "one");
	assert_int_equal(set_all(g, vcpus, 1, &err), -EINVAL);
	assert_int_equal(g->cfg.vcpus, 2);
	assert_int_equal(g->state, GUEST_STOPPED);
	end();
}

static void knobs_without_memory_change_nothing(void **state)
{
	static const char *const kernel[] = { "kernel=Other" };
	struct guest *g;

	begin(false);
	g = create(config("one"));
	mem_fail_after(1);
	assert_int_equal(set_all(g, kernel, 1, &err), -ENOMEM);
	mem_fail_after(0);
	assert_string_equal(g->cfg.kernel, "Image");
	assert_int_equal(guest_start(g), 0);
	end();
}

static void new_images_bring_what_their_start_takes(void **state)
{
	static const char *const kernel[] = { "kernel=Other" };
	static const char *const weight[] = { "weight=512" };
	struct guest *g;
	void *had;
	u64 n = 0;
	int ret;

	begin(false);
	g = create(config("one"));
	had = g->life->kit.fdt;
	assert_int_equal(set_all(g, weight, 1, &err), 0);
	assert_ptr_equal(g->life->kit.fdt, had);
	do {
		mem_fail_after(++n);
		ret = set_all(g, kernel, 1, &err);
		mem_fail_after(0);
		/* All or none. */
		assert_int_equal(g->life->kit.fdt == had, ret != 0);
		assert_string_equal(g->cfg.kernel, ret ? "Image" : "Other");
	} while (ret == -ENOMEM && n < 100);
	assert_int_equal(ret, 0);
	assert_in_range(n, 4, 99);
	mem_fail_after(1);
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(mem_fail_left(), 1);
	mem_fail_after(0);
	end();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_changed_weight_is_mailed_and_kept),
		T(pins_move_the_vcpus_that_they_concern),
		T(of_very_many_vcpus_some_are_told_in_a_step),
		T(images_change_only_in_a_stopped_guest),
		T(knobs_without_memory_change_nothing),
		T(new_images_bring_what_their_start_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
