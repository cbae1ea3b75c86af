/*
 * Guests come, are found, and go; and whatever fails leaves nothing behind.
 */
/* sources: GUESTS tests/unit/fake_mem.c tests/unit/fake_guest.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_guest.h"

static void a_new_guest_is_stopped_and_can_be_found(void **state)
{
	struct guest *g, *found;

	begin(false);
	g = create(config("one"));
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_string_equal(guest_state_name(g), "stopped");
	found = guest_find("one");
	assert_ptr_equal(found, g);
	guest_put(found);
	found = guest_find_id(g->id);
	assert_ptr_equal(found, g);
	guest_put(found);
	assert_null(guest_find("two"));
	assert_null(guest_find_id(g->id + 1));
	end();
}

static void guests_are_listed_by_id(void **state)
{
	static const char *const names[] = { "c", "a", "b" };
	struct guest *g = NULL;

	begin(false);
	for (u32 i = 0; i < 3; i++)
		create(config(names[i]));
	for (u32 i = 0; i < 3; i++) {
		g = guest_next(g);
		assert_string_equal(g->cfg.name, names[i]);
	}
	assert_null(guest_next(g));
	assert_int_equal(guest_count(), 3);
	end();
}

/* Whoever is at a guest that leaves the list finds those that came since. */
static void a_walk_goes_on_behind_a_guest_that_is_gone(void **state)
{
	struct guest *g, *b;

	begin(false);
	create(config("a"));
	b = create(config("b"));
	g = guest_next(guest_next(NULL));
	assert_ptr_equal(g, b);
	assert_int_equal(guest_destroy(b), 0);
	run_all();
	assert_null(guest_find("b"));
	create(config("c"));
	g = guest_next(g);
	assert_string_equal(g->cfg.name, "c");
	assert_null(guest_next(g));
	run_all();
	end();
}

static void two_guests_of_one_name_are_refused(void **state)
{
	struct guest_config cfg = config("same");
	struct guest *g;

	begin(false);
	create(cfg);
	assert_int_equal(guest_create(&cfg, &g, &err), -EINVAL);
	assert_non_null(strstr(err.text, "same"));
	assert_int_equal(guest_count(), 1);
	end();
}

static void of_two_guests_made_at_once_under_one_name_one_stays(void **state)
{
	struct guest_config cfg = config("same");
	struct guest *g = NULL;

	begin(false);
	w.rival = "same";
	assert_int_equal(guest_create(&cfg, &g, &err), -EINVAL);
	assert_null(g);
	assert_int_equal(guest_count(), 1);
	run_all();
	end();
}

static void a_destroyed_guest_waits_for_who_looks_at_it(void **state)
{
	struct guest *g, *held;

	begin(false);
	g = create(config("one"));
	held = guest_find("one");
	assert_int_equal(guest_destroy(g), 0);
	run_all();
	assert_null(guest_find("one"));
	/* Its name is free, and it is still there. */
	create(config("one"));
	assert_string_equal(held->cfg.name, "one");
	assert_string_equal(guest_state_name(held), "dying");
	guest_put(held);
	end();
}

static void several_guests_are_destroyed_one_after_another(void **state)
{
	struct guest *held;

	begin(false);
	create(config("a"));
	create(config("b"));
	create(config("c"));
	held = guest_find("a");
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;)
		assert_int_equal(guest_destroy(g), 0);
	run_all();
	guest_put(held);
	run_all();
	assert_as_before();
	end();
}

static void a_creation_that_fails_anywhere_keeps_nothing(void **state)
{
	struct guest_config cfg = config("one");
	u32 failed = 0;

	begin(false);
	/* Some go another way instead: single frames for a 2 MiB block. */
	for (u64 n = 1; n < 600; n++) {
		struct guest *g = NULL;
		int ret;

		mem_fail_after(n);
		ret = guest_create(&cfg, &g, &err);
		mem_fail_after(0);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			failed++;
		} else {
			assert_int_equal(guest_destroy(g), 0);
		}
		run_all();
		assert_true(guests_all_freed());
		assert_as_before();
		assert_int_equal(guest_count(), 0);
	}
	/* guest, name, kernel, arch, gmem, 5 for vCPUs, and what belongs to
	 * devices, console, task and account; and what a start takes. */
	assert_int_equal(failed, 16);
	end();
}

static void memory_that_runs_out_in_the_midst_goes_back_in_steps(void **state)
{
	struct guest_config cfg = config("one");
	struct hpa held[5];
	struct guest *g;
	u64 free;
	int ret;

	begin(false);
	cfg.memory_bytes = 40 * MIB;
	assert_int_equal(guest_create_begin(&cfg, &g, &err), 0);
	/* Others take 40 MiB of 64 meanwhile. */
	for (u32 i = 0; i < ARRAY_LEN(held); i++)
		held[i] = page_alloc(11);
	free = page_free_count();
	do {
		ret = guest_create_step(g, &err);
	} while (ret == 1);
	assert_int_equal(ret, -ENOMEM);
	/* The step that failed gave nothing back. */
	assert_true(page_free_count() < 512);
	assert_false(guests_all_freed());
	run_all();
	assert_true(guests_all_freed());
	assert_true(page_free_count() >= free);
	for (u32 i = 0; i < ARRAY_LEN(held); i++)
		page_free(held[i], 11);
	assert_as_before();
	end();
}

/* However little is left: what it takes it has. */
static void a_guest_that_was_created_takes_no_more_memory(void **state)
{
	for (int eager = 0; eager < 2; eager++) {
		struct guest_config cfg = config("one");
		struct guest *g;
		u64 had;

		begin(false);
		cfg.eager = eager;
		cfg.on_crash = ACTION_RESTART;
		g = create(cfg);
		had = page_free_count();
		mem_fail_after(1);
		start(g);
		assert_int_equal(g->state, GUEST_RUNNING);
		for (u64 at = BASE; at < BASE + gmem_bytes(g->mem); at += MIB)
			assert_int_equal(gmem_fault(g->mem,
						    (struct gpa){ at }), 0);
		for (u32 i = 0; i < 3; i++) {
			if (i == 2)
				guest_end(g, EVENT_CRASH, 1);
			else
				assert_int_equal(guest_reset(g), 0);
			run_all();
			assert_int_equal(g->state, GUEST_RUNNING);
		}
		assert_int_equal(guest_stop(g), 0);
		run_all();
		start(g);
		assert_int_equal(g->state, GUEST_RUNNING);
		assert_int_equal(mem_fail_left(), 1);
		assert_int_equal(page_free_count(), had);
		mem_fail_after(0);
		end();
	}
}

static void a_thousand_random_lives_leave_memory_as_it_was(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	u64 seed = 21;

	begin(false);
	for (u32 i = 0; i < 8000; i++) {
		u64 r = fake_random(&seed);
		struct guest *g = guest_find(names[r % 4]);
		struct guest_config cfg = config(names[r % 4]);

		w.slow_owners = r >> 8 & 1;
		w.quiet = r >> 9 & 3;
		w.image_broken = (r >> 11) % 16 == 0;
		cfg.eager = (r >> 15) % 32 == 0;
		cfg.memory_bytes = 4 * MIB + (r >> 20) % 3 * 12288;
		if (!g) {
			create(cfg);
			continue;
		}
		switch ((r >> 32) % 8) {
		case 0: (void)!guest_start(g); break;
		case 1: (void)!guest_stop(g); break;
		case 2: (void)!guest_reset(g); break;
		case 3: (void)!guest_destroy(g); break;
		case 4: guest_end(g, EVENT_POWEROFF, 0); break;
		case 5: guest_end(g, EVENT_REBOOT, 0); break;
		case 6: (void)!gmem_fault(g->mem, (struct gpa){ BASE }); break;
		default: timers_fire();
		}
		for (u32 k = (u32)(r >> 40) % 30; k; k--)
			run_one();
		if (r >> 50 & 1)
			all_owners_answer();
		guest_put(g);
	}
	w.image_broken = false;
	end();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_guest_is_stopped_and_can_be_found),
		T(guests_are_listed_by_id),
		T(a_walk_goes_on_behind_a_guest_that_is_gone),
		T(two_guests_of_one_name_are_refused),
		T(of_two_guests_made_at_once_under_one_name_one_stays),
		T(a_destroyed_guest_waits_for_who_looks_at_it),
		T(several_guests_are_destroyed_one_after_another),
		T(a_creation_that_fails_anywhere_keeps_nothing),
		T(memory_that_runs_out_in_the_midst_goes_back_in_steps),
		T(a_guest_that_was_created_takes_no_more_memory),
		T(a_thousand_random_lives_leave_memory_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
