/*
 * The life of a guest: how it starts, ends and starts anew, and what may come
 * in between.
 */
/* sources: GUESTS tests/unit/fake_mem.c tests/unit/fake_guest.c
 *	tests/unit/fake_trace.c */
#include "kernel/virq.h"
#include "tests/unit/fake_guest.h"

static void hart_0_starts_where_the_plan_says(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	start(g);
	assert_int_equal(w.starts, 1);
	assert_int_equal(w.entry, ENTRY);
	assert_int_equal(w.arg, TREE);
	assert_int_equal(w.loads, 1);
	assert_int_equal(w.emul_resets, 2); /* as it was made */
	assert_int_equal(w.arch_resets, 1);
	end();
}

static void work_for_a_guest_is_done_where_its_first_vcpu_is(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	assert_int_not_equal(g->task->cpu, vcpu_cpu(g->vcpu[0])->index);
	assert_int_equal(guest_start(g), 0);
	run_one();
	assert_int_equal(g->task->cpu, vcpu_cpu(g->vcpu[0])->index);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	end();
}

static void the_tree_is_written_once_for_all_lives_in_a_row(void **state)
{
	struct guest *g;
	u64 bytes;

	begin(false);
	g = create(config("one"));
	bytes = obj_live_bytes();
	for (u32 n = 1; n <= 2; n++) {
		start(g);
		for (u32 i = 0; i < 3; i++) {
			guest_end(g, EVENT_REBOOT, 0);
			run_all();
		}
		assert_int_equal(w.trees, n);
		assert_int_equal(w.loads, 4 * n);
		/* Stopped, it may get other knobs, and has no tree. */
		guest_end(g, EVENT_STOP, 0);
		run_all();
		assert_int_equal(obj_live_bytes(), bytes);
	}
	end();
}

static void a_first_start_can_be_stopped_in_each_step(void **state)
{
	for (u32 steps = 0; steps < 30; steps++) {
		struct guest *g;
		u64 bytes;

		begin(false);
		g = create(config("one"));
		bytes = obj_live_bytes();
		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		assert_int_equal(obj_live_bytes(), bytes);
		start(g);
		assert_int_equal(g->state, GUEST_RUNNING);
		end();
	}
}

static void a_tree_that_can_not_be_made_ends_the_start(void **state)
{
	struct guest *g;
	u64 bytes;

	begin(false);
	g = create(config("one"));
	bytes = obj_live_bytes();
	w.tree_broken = true;
	start(g);
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(g->last_event, EVENT_CRASH);
	assert_int_equal(obj_live_bytes(), bytes);
	w.tree_broken = false;
	start(g);
	assert_int_equal(w.trees, 1);
	end();
}

/* It is STOPPED, and what stopped it was for that life. */
static void lives_again(struct guest *g)
{
	assert_int_equal(g->state, GUEST_STOPPED);
	start(g);
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
}

static void one_that_is_about_to_start_again_can_be_stopped(void **state)
{
	/* In the middle of its end, and in each step of the start after it. */
	for (u32 steps = 0; steps < 30; steps++) {
		struct guest *g;
		u32 loads;

		begin(false);
		g = running("one");
		guest_end(g, EVENT_REBOOT, 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_stop(g), 0);
		loads = w.loads;
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		assert_int_equal(g->last_event, EVENT_STOP);
		assert_int_equal(w.loads, loads);
		assert_int_equal(guest_stop(g), -EBUSY);
		lives_again(g);
		end();
	}
}

static void a_stop_that_comes_as_it_ends_is_for_that_life_alone(void **state)
{
	static const enum guest_event ends[] = { EVENT_POWEROFF, EVENT_REBOOT };

	for (u32 i = 0; i < ARRAY_LEN(ends); i++) {
		struct guest *g;

		begin(false);
		g = running("one");
		w.stopped_late = g;
		guest_end(g, ends[i], 0);
		run_all();
		assert_null(w.stopped_late);
		lives_again(g);
		end();
	}
}

static void poweroff_stops_and_keeps_the_status(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	guest_end(g, EVENT_POWEROFF, 3);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(g->last_event, EVENT_POWEROFF);
	assert_int_equal(g->last_code, 3);
	assert_int_equal(w.powered_off, 0);
	end();
}

static void nothing_is_done_before_all_owners_answered(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPING);
	assert_int_equal(w.loads, 1);
	owners_answer(g);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

/* As many as there may be. */
static struct guest_config large(const char *name)
{
	struct guest_config cfg = config(name);

	cfg.vcpus = 512;
	return cfg;
}

/* run_one asserts that no step takes longer than another may. */
static void a_life_of_many_vcpus_takes_many_short_steps(void **state)
{
	struct guest *g;

	begin(false);
	g = create(large("one"));
	start(g);
	assert_int_equal(w.clears, 512);
	for (u32 life = 2; life < 4; life++) {
		guest_end(g, EVENT_REBOOT, 0);
		run_all();
		assert_int_equal(g->state, GUEST_RUNNING);
		assert_int_equal(w.clears, life * 512);
	}
	end();
}

static void many_vcpus_are_made_in_many_short_steps(void **state)
{
	struct guest_config cfg = large("one");
	struct guest *g;
	u32 steps = 0;
	int ret;

	begin(false);
	assert_int_equal(guest_create_begin(&cfg, &g, &err), 0);
	do {
		u64 before = w.now;

		assert_null(guest_find("one"));
		ret = guest_create_step(g, &err);
		steps++;
		assert_in_range(w.now - before, 0, us_to_ticks(STEP_MOST_US));
	} while (ret == 1);
	assert_int_equal(ret, 0);
	assert_true(steps > 512 * VCPU_US / STEP_MOST_US);
	assert_ptr_equal(guest_find("one"), g);
	guest_put(g);
	end();
}

static void one_of_many_vcpus_can_be_stopped_in_each_step(void **state)
{
	struct guest *g;
	bool started = false;

	for (u32 steps = 0; !started; steps++) {
		begin(false);
		g = create(large("one"));
		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		started = g->state == GUEST_RUNNING;
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		start(g);
		assert_int_equal(g->state, GUEST_RUNNING);
		end();
	}
}

static void nothing_is_done_before_all_kills_are_asked_for(void **state)
{
	struct guest *g;

	begin(false);
	g = create(large("one"));
	start(g);
	guest_end(g, EVENT_REBOOT, 0);
	/* Those that were asked have answered at once. */
	for (u32 asked = 0; asked < 512 - REQUESTS_AT_ONCE;) {
		asked += REQUESTS_AT_ONCE;
		run_one();
		assert_int_equal(g->account->kills_due, 512 - asked);
		assert_int_equal(g->stops, 0);
	}
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

static void no_new_life_begins_before_mail_of_the_old_is_looked_at(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_mail = true;
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	/* A start that is still in the mail is dropped in this state alone. */
	assert_int_equal(g->state, GUEST_STOPPING);
	w.slow_mail = false;
	mail_looked();
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

static void a_reboot_starts_anew_from_the_images(void **state)
{
	struct guest *g;
	u8 seed[64], byte = 0x55;

	begin(false);
	g = running("one");
	memcpy(seed, w.seed, sizeof(seed));
	/* The loader asserts that it finds zeroes where this is. */
	assert_int_equal(guest_write(g, (struct gpa){ ENTRY + 70000 }, &byte,
				     1), 0);
	assert_int_equal(guest_write(g, (struct gpa){ BASE }, &byte, 1), 0);
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.unmaps, 4);
	assert_int_equal(w.emul_resets, 3);
	assert_int_equal(w.arch_resets, 2);
	assert_int_equal(w.loads, 2);
	assert_int_equal(w.starts, 2);
	assert_int_equal(g->boots, 2);
	assert_int_equal(guest_read(g, (struct gpa){ BASE }, &byte, 1), 0);
	assert_int_equal(byte, 0);
	/* Another boot, another seed. */
	assert_memory_not_equal(w.seed, seed, sizeof(seed));
	end();
}

static void eager_ram_is_there_before_the_start(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(false);
	cfg.eager = true;
	g = create(cfg);
	start(g);
	assert_int_equal(gmem_touched_bytes(g->mem), 4 * MIB);
	end();
}

static void actions_are_what_the_configuration_says(void **state)
{
	static const enum guest_event why[] = {
		EVENT_POWEROFF, EVENT_REBOOT, EVENT_CRASH };
	static const enum guest_action actions[] = {
		ACTION_STOP, ACTION_RESTART, ACTION_HOST_POWEROFF };

	begin(false);
	for (u32 i = 0; i < 3; i++)
		for (u32 k = 0; k < 3; k++) {
			struct guest_config cfg = config("one");
			struct guest *g;

			*(i == 0 ? &cfg.on_poweroff : i == 1 ? &cfg.on_reboot :
			  &cfg.on_crash) = actions[k];
			g = create(cfg);
			start(g);
			w.powered_off = 0;
			guest_end(g, why[i], i == 0 ? 7 : 0);
			run_all();
			assert_int_equal(g->state, k == 1 ? GUEST_RUNNING :
							    GUEST_STOPPED);
			assert_int_equal(w.powered_off, k == 2);
			if (k == 2)
				assert_int_equal(w.status, i == 0 ? 7 :
							   i == 2 ? 1 : 0);
			(void)!guest_stop(g);
			run_all();
			assert_int_equal(guest_destroy(g), 0);
			run_all();
		}
	end();
}

static void of_two_ends_the_first_counts(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_end(g, EVENT_CRASH, 1);
	guest_end(g, EVENT_REBOOT, 0);
	assert_int_equal(guest_reset(g), -EBUSY);
	run_all();
	owners_answer(g);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(g->last_event, EVENT_CRASH);
	assert_int_equal(w.kills, 1);
	end();
}

static void an_end_in_any_step_of_the_start_stops_it(void **state)
{
	begin(false);
	for (u32 steps = 0; steps < 20; steps++) {
		struct guest *g = create(config("one"));

		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		assert_int_equal(guest_destroy(g), 0);
		run_all();
		assert_as_before();
	}
	end();
}

static void a_reset_while_it_starts_starts_again(void **state)
{
	begin(false);
	for (u32 steps = 0; steps < 20; steps++) {
		struct guest *g = create(config("one"));

		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_reset(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_RUNNING);
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(guest_destroy(g), 0);
		run_all();
	}
	end();
}

static void a_start_waits_until_no_cpu_has_its_second_stage(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	w.quiet = false;
	start(g);
	assert_int_equal(g->state, GUEST_STARTING);
	assert_int_equal(w.unmaps, 0);
	w.quiet = true;
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	end();
}

static void wishes_that_the_state_does_not_allow_are_refused(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	assert_int_equal(guest_stop(g), -EBUSY);
	assert_int_equal(guest_reset(g), -EBUSY);
	assert_int_equal(guest_pause(g), -EBUSY);
	assert_int_equal(guest_resume(g), -EBUSY);
	assert_int_equal(guest_start(g), 0);
	assert_int_equal(guest_start(g), -EBUSY);
	run_all();
	assert_int_equal(guest_start(g), -EBUSY);
	assert_int_equal(guest_destroy(g), -EBUSY);
	end();
}

static int follow_all(struct guest *g, int ret)
{
	for (u32 from = 0; !ret && from < g->cfg.vcpus;)
		from = guest_follow(g, from);
	return ret;
}

static int pause_all(struct guest *g)
{
	return follow_all(g, guest_pause(g));
}

static int resume_all(struct guest *g)
{
	return follow_all(g, guest_resume(g));
}

static void pausing_asks_every_vcpu(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(pause_all(g), 0);
	assert_int_equal(w.pauses, 2);
	assert_string_equal(guest_state_name(g), "paused");
	assert_int_equal(guest_pause(g), -EBUSY);
	assert_int_equal(resume_all(g), 0);
	assert_int_equal(w.resumes, 2);
	assert_string_equal(guest_state_name(g), "running");
	/* It may end while it is paused, and is not paused after that. */
	assert_int_equal(pause_all(g), 0);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_string_equal(guest_state_name(g), "running");
	end();
}

static void a_pause_meant_for_one_life_does_not_reach_the_next(void **state)
{
	struct guest *g;
	u32 seen;

	begin(false);
	g = running("one");
	/* Found RUNNING; then it ends and starts again. */
	seen = ck_pr_load_32(&g->paused);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(guest_pause_in(g, seen), -EBUSY);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(w.pauses, 0);
	/* The same while it was paused in its first life. */
	assert_int_equal(pause_all(g), 0);
	seen = ck_pr_load_32(&g->paused);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_int_equal(guest_pause_in(g, seen), -EBUSY);
	assert_int_equal(guest_pause_in(g, seen & ~1u), -EBUSY);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(pause_all(g), 0);
	end();
}

static void requests_of_a_pause_that_come_in_the_next_life_do_nothing(void **s)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.end_first = true;
	assert_int_equal(pause_all(g), 0);
	assert_int_equal(w.pauses, 0);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(guest_resume(g), -EBUSY);
	assert_int_equal(pause_all(g), 0);
	assert_int_equal(w.pauses, 2);
	assert_int_equal(resume_all(g), 0);
	end();
}

static void lives_without_end_are_told_at_a_pace(void **state)
{
	u64 begin_ticks, seconds;
	struct guest *g;

	begin(false);
	g = running("one");
	begin_ticks = w.now;
	for (u32 i = 0; i < 1000; i++) {
		guest_end(g, EVENT_REBOOT, 0);
		w.now += us_to_ticks(10000);
		run_all();
	}
	seconds = (w.now - begin_ticks) / timebase_hz;
	assert_true(seconds > 8);
	assert_in_range(w.begun, LOG_BURST, LOG_BURST + seconds + 1);
	/* Its start, its end, and what was not told before. */
	assert_true(w.lines <= 3 * w.begun);
	assert_int_equal(guest_stop(g), 0);
	run_all();
	assert_int_equal(w.begun + w.counted, g->boots);
	assert_int_equal(w.crashes, 0);
	assert_non_null(strstr(w.log, "was stopped"));
	end();
}

static void a_quiet_life_that_goes_on_is_told_of(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	do {
		guest_end(g, EVENT_REBOOT, 0);
		run_all();
	} while (!g->quiet);
	assert_int_equal(w.counted, 0);
	w.now += us_to_ticks(LOG_PACE_US);
	task_wake(g->task);
	run_all();
	assert_int_equal(w.begun + w.counted, g->boots);
	end();
}

static void who_is_started_again_by_the_console_is_told_of(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	for (u32 i = 1; i < 3 * LOG_BURST; i++) {
		start(g);
		assert_int_equal(w.begun, 2 * i - 1);
		assert_int_equal(guest_reset(g), 0);
		run_all();
		assert_int_equal(w.begun, 2 * i);
		assert_int_equal(guest_stop(g), 0);
		run_all();
	}
	end();
}

static void crashes_without_end_are_told_at_a_pace(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;
	u32 said = 0, lines;

	begin(false);
	cfg.on_crash = ACTION_RESTART;
	g = create(cfg);
	start(g);
	for (u32 i = 0; i < 100; i++) {
		lines = w.lines;
		guest_crash(g->vcpu[0], "nowhere");
		said += w.lines != lines;
		run_all();
	}
	assert_int_equal(said, w.begun);
	assert_in_range(said, LOG_BURST, LOG_BURST + 2);
	/* One that is not tried again is told of, and all before it. */
	g->cfg.on_crash = ACTION_STOP;
	assert_true(g->quiet);
	lines = w.lines;
	guest_crash(g->vcpu[0], "nowhere");
	assert_true(w.lines > lines);
	run_all();
	assert_int_equal(w.begun + w.counted, g->boots);
	assert_int_equal(said + w.crashes, g->stops);
	end();
}

static void a_damaged_image_is_said_once_and_not_tried_again(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(false);
	cfg.on_crash = ACTION_RESTART;
	g = create(cfg);
	w.image_broken = true;
	start(g);
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(w.loads, 1);
	assert_int_equal(g->last_code, 1);
	/* Repaired, it starts. */
	w.image_broken = false;
	start(g);
	assert_int_equal(g->state, GUEST_RUNNING);
	end();
}

static void a_policy_without_room_leaves_it_stopped(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	w.no_room = true;
	start(g);
	assert_int_equal(g->state, GUEST_STOPPED);
	end();
}

static void a_crash_names_guest_vcpu_pc_and_reason(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_crash(g->vcpu[1], "cause %d", 42);
	assert_string_equal(w.before,
			    "one: vCPU 1 can't go on at pc 0x1234: cause 42");
	assert_int_equal(g->state, GUEST_STOPPING);
	end();
}

static void a_crash_tells_the_last_records_or_that_there_are_none(void **state)
{
	struct trace_ring ring = { .head = 0 };
	struct guest *g;

	begin(false);
	g = running("one");
	guest_crash(g->vcpu[0], "nowhere");
	assert_string_equal(w.log, "one:   no trace was on");
	cpu_this()->trace = &ring;
	guest_crash(g->vcpu[0], "nowhere");
	assert_string_equal(w.log, "one:   no trace record of it on this CPU");
	fake_trace_last = "1.234567 EXIT";
	guest_crash(g->vcpu[0], "nowhere");
	assert_non_null(strstr(w.before, "can't go on"));
	assert_string_equal(w.log, "one:   1.234567 EXIT");
	fake_trace_last = NULL;
	cpu_this()->trace = NULL;
	run_all();
	end();
}

static void the_machine_ends_with_the_worst_status_when_all_are_done(void **s)
{
	struct guest *a, *b, *c;
	struct guest_config extra = config("extra");

	begin(true);
	a = running("a");
	b = running("b");
	extra.autostart = false;
	c = create(extra);
	start(c);
	guest_end(a, EVENT_POWEROFF, 5);
	run_all();
	assert_int_equal(w.powered_off, 0);
	guest_end(b, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(w.powered_off, 0);
	guest_end(b, EVENT_POWEROFF, 2);
	run_all();
	assert_int_equal(w.powered_off, 1);
	assert_int_equal(w.status, 5);
	end();
}

static void a_guest_that_was_not_autostarted_ends_nothing(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(true);
	cfg.autostart = false;
	g = create(cfg);
	start(g);
	guest_end(g, EVENT_POWEROFF, 9);
	run_all();
	assert_int_equal(w.powered_off, 0);
	end();
}

static void a_guest_that_is_being_made_is_not_done(void **state)
{
	for (u32 given_up = 0; given_up < 2; given_up++) {
		struct guest_config cfg = config("b");
		struct guest *a, *b;
		int ret;

		begin(true);
		a = running("a");
		assert_int_equal(guest_create_begin(&cfg, &b, &err), 0);
		guest_end(a, EVENT_POWEROFF, 3);
		run_all();
		assert_int_equal(w.powered_off, 0);
		if (given_up) {
			guest_create_cancel(b);
			assert_int_equal(w.powered_off, 1);
			end();
			continue;
		}
		do {
			ret = guest_create_step(b, &err);
		} while (ret == 1);
		/* It is about to start, but someone else ends before. */
		guests_look_done();
		assert_int_equal(w.powered_off, 0);
		start(b);
		guest_end(b, EVENT_POWEROFF, 4);
		run_all();
		assert_int_equal(w.powered_off, 1);
		assert_int_equal(w.status, 4);
		end();
	}
}

static void a_guest_that_is_destroyed_is_done(void **state)
{
	struct guest *a, *b, *never;

	begin(true);
	a = running("a");
	b = running("b");
	never = create(config("never"));
	assert_int_equal(guest_stop(a), 0);
	run_all();
	guest_get(a); /* and so it stays for a while */
	assert_int_equal(guest_destroy(a), 0);
	guest_end(b, EVENT_POWEROFF, 0);
	run_all();
	assert_int_equal(a->state, GUEST_DYING);
	assert_int_equal(w.powered_off, 0);
	assert_int_equal(guest_destroy(never), 0);
	assert_int_equal(w.powered_off, 1);
	guest_put(a);
	end();
}

/* As a controller does it: with nobody left before. */
static void to_tell(struct guest *g, u32 batches)
{
	w.rest = batches;
	guest_tell_rest(g);
}

static void what_is_left_to_be_told_is_the_tasks(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	/* Nobody is told of one that stands still: it may be freed. */
	to_tell(g, 1);
	assert_false(run_one());
	/* What came before it ran is found all the same. */
	start(g);
	assert_int_equal(w.rest, 0);
	/* For hundreds at once; run_one holds each step to its time. */
	w.now += timebase_hz;
	to_tell(g, 16);
	run_all();
	assert_int_equal(w.rest, 0);
	assert_int_equal(pause_all(g), 0);
	to_tell(g, 16);
	run_all();
	assert_int_equal(w.rest, 0);
	end();
}

static void what_the_architecture_has_to_tell_is_told_as_well(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.fences_untold = 5;
	guest_tell_rest(g);
	run_all();
	assert_int_equal(w.fences_untold, 0);
	end();
}

static void an_end_in_any_step_of_the_telling_ends_it(void **state)
{
	for (u32 steps = 0; steps < 10; steps++) {
		struct guest *g;

		begin(false);
		g = running("one");
		to_tell(g, 1000);
		for (u32 i = 0; i < steps; i++)
			run_one();
		/* emul_tell_rest asserts that it is RUNNING. */
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		/* Nor does a wake that comes late. */
		timers_fire();
		assert_false(run_one());
		task_wake(g->task);
		assert_true(run_one());
		assert_false(run_one());
		/* The next life goes on with what its controller has then. */
		w.rest = 3;
		w.now += timebase_hz;
		start(g);
		assert_int_equal(w.rest, 0);
		end();
	}
}

/* How many batches are told in so long, if there are always more. */
static u32 told_in(struct guest *g, u64 us)
{
	const u32 all = UINT32_MAX;
	u64 until = w.now + us_to_ticks(us);

	to_tell(g, all);
	while (w.now < until) {
		run_all();
		w.now += us_to_ticks(100);
	}
	return all - w.rest;
}

static void
who_has_ever_more_to_tell_gets_a_burst_and_then_its_pace(void **state)
{
	const u32 second = 1000000 / 64 / REST_US, burst = 1000 / REST_US;
	struct guest *g;

	begin(false);
	g = running("one");
	w.now += timebase_hz;
	assert_in_range(told_in(g, 1000000), second * 4 / 5 + burst,
			second + 2 * burst);
	assert_in_range(told_in(g, 1000000), second * 4 / 5, second + burst);
	/* Whatever keeps the CPU in a step does not count for long. */
	w.now += timebase_hz;
	w.late_us = 1000000;
	to_tell(g, 2);
	assert_true(run_one());
	assert_int_equal(w.rest, 1);
	w.late_us = 0;
	w.now += us_to_ticks(64 * 1000);
	run_all();
	assert_int_equal(w.rest, 0);
	end();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hart_0_starts_where_the_plan_says),
		T(work_for_a_guest_is_done_where_its_first_vcpu_is),
		T(the_tree_is_written_once_for_all_lives_in_a_row),
		T(a_first_start_can_be_stopped_in_each_step),
		T(a_tree_that_can_not_be_made_ends_the_start),
		T(one_that_is_about_to_start_again_can_be_stopped),
		T(a_stop_that_comes_as_it_ends_is_for_that_life_alone),
		T(poweroff_stops_and_keeps_the_status),
		T(nothing_is_done_before_all_owners_answered),
		T(nothing_is_done_before_all_kills_are_asked_for),
		T(a_life_of_many_vcpus_takes_many_short_steps),
		T(many_vcpus_are_made_in_many_short_steps),
		T(one_of_many_vcpus_can_be_stopped_in_each_step),
		T(no_new_life_begins_before_mail_of_the_old_is_looked_at),
		T(a_reboot_starts_anew_from_the_images),
		T(eager_ram_is_there_before_the_start),
		T(actions_are_what_the_configuration_says),
		T(of_two_ends_the_first_counts),
		T(an_end_in_any_step_of_the_start_stops_it),
		T(a_reset_while_it_starts_starts_again),
		T(a_start_waits_until_no_cpu_has_its_second_stage),
		T(wishes_that_the_state_does_not_allow_are_refused),
		T(what_is_left_to_be_told_is_the_tasks),
		T(what_the_architecture_has_to_tell_is_told_as_well),
		T(an_end_in_any_step_of_the_telling_ends_it),
		T(who_has_ever_more_to_tell_gets_a_burst_and_then_its_pace),
		T(pausing_asks_every_vcpu),
		T(a_pause_meant_for_one_life_does_not_reach_the_next),
		T(requests_of_a_pause_that_come_in_the_next_life_do_nothing),
		T(lives_without_end_are_told_at_a_pace),
		T(a_quiet_life_that_goes_on_is_told_of),
		T(who_is_started_again_by_the_console_is_told_of),
		T(crashes_without_end_are_told_at_a_pace),
		T(a_damaged_image_is_said_once_and_not_tried_again),
		T(a_policy_without_room_leaves_it_stopped),
		T(a_crash_names_guest_vcpu_pc_and_reason),
		T(a_crash_tells_the_last_records_or_that_there_are_none),
		T(the_machine_ends_with_the_worst_status_when_all_are_done),
		T(a_guest_that_was_not_autostarted_ends_nothing),
		T(a_guest_that_is_being_made_is_not_done),
		T(a_guest_that_is_destroyed_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
