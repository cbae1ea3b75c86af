/*
 * Every registered policy: what must hold whatever the policy is, and what
 * each promises beyond that.
 */
/* sources: SCHED_CORE POLICIES kernel/heap.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/sched/core.h"
#include "tests/unit/fake_arch/fake_arch.h"
#include "tests/unit/policies.h"

/* Knobs: the defaults but for two. */
static const struct sched_params *knobs(u32 priority, u32 slice_us)
{
	static struct sched_params p;

	p = (struct sched_params)SCHED_PARAMS_DEFAULT;
	p.priority = priority;
	p.slice_us = slice_us;
	return &p;
}

static const char *any_sharing(u32 *seed)
{
	return sharing_policy(fake_random(seed) % sharing_policy_count());
}

static void expect_share(u64 got, u64 of, u32 permille, u32 tolerance)
{
	s64 is = (s64)(got * 1000 / of);

	if (is < (s64)permille - tolerance || is > (s64)permille + tolerance)
		fail_msg("got %lld permille, expected %u +- %u",
			 (long long)is, permille, tolerance);
}

static void every_policy_runs_one_hog_all_the_time(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;

		fake_boot(1, name);
		g = fake_guest_make(1, NULL, 0);
		fake_guest_start(g);
		fake_run_for(1000 * FAKE_MS);
		expect_share(fake_guest_ran(g), 1000 * FAKE_MS, 1000, 2);
		fake_guest_free(g);
		fake_halt();
	}
}

static void every_policy_wakes_a_sleeper_when_its_timer_is_due(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;
		struct fake_vcpu *f;

		fake_boot(2, name);
		g = fake_guest_make(1, NULL, 0);
		f = fake_vcpu_of(g, 0);
		fake_sleeps(f, 10 * FAKE_US, 990 * FAKE_US);
		fake_guest_start(g);
		fake_run_for(1000 * FAKE_MS);
		assert_in_range(f->v.wakes, 950, 1000);
		assert_in_range(f->irqs, 950, 1001);
		fake_guest_free(g);
		fake_halt();
	}
}

static void runstates_add_up_to_the_time_since_creation(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;
		u64 begin, sum;
		struct sched_vcpu_info info;

		fake_boot(2, name);
		begin = time_now_ticks();
		g = fake_guest_make(2, NULL, 0);
		for (u32 i = 0; i < 2; i++) {
			struct fake_vcpu *f = fake_vcpu_of(g, i);

			fake_sleeps(f, (i + 1) * 300 * FAKE_US, 500 * FAKE_US);
		}
		fake_guest_start(g);
		fake_run_for(200 * FAKE_MS);
		for (u32 i = 0; i < 2; i++) {
			u64 now = fake_now();

			sum = 0;
			sched_vcpu_info(g->g.vcpu[i], &info, now);
			for (u32 k = 0; k < RUNSTATE_COUNT; k++)
				sum += info.ticks[k];
			assert_true(sum == now - begin);
			assert_true(info.ticks[RUNSTATE_RUNNING] >=
				    fake_vcpu_of(g, i)->ran);
		}
		fake_guest_free(g);
		fake_halt();
	}
}

static void no_policy_runs_a_vcpu_where_it_may_not(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g[3];

		fake_boot(4, name);
		for (u32 i = 0; i < 3; i++) {
			g[i] = fake_guest_make(1, NULL, 1u << (i + 1));
			fake_guest_start(g[i]);
		}
		fake_run_for(50 * FAKE_MS);
		for (u32 i = 0; i < 3; i++) {
			struct fake_vcpu *f = fake_vcpu_of(g[i], 0);
			struct cpuset to = { { 1 } };

			assert_int_equal(f->cpu, i + 1);
			assert_int_equal(sched_vcpu_affinity(&f->v, &to), 0);
			fake_run_for(5 * FAKE_MS);
			assert_int_equal(f->cpu, 0);
			to = (struct cpuset){ { 1u << (i + 1) } };
			assert_int_equal(sched_vcpu_affinity(&f->v, &to), 0);
			fake_run_for(5 * FAKE_MS);
			assert_int_equal(f->cpu, i + 1);
		}
		for (u32 i = 0; i < 3; i++)
			fake_guest_free(g[i]);
		fake_halt();
	}
}

static void work_is_conserved_under_every_policy(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;

		fake_boot(4, name);
		g = fake_guest_make(4, NULL, 0);
		fake_guest_start(g);
		fake_run_for(100 * FAKE_MS);
		expect_share(fake_guest_ran(g), 400 * FAKE_MS, 1000, 10);
		fake_guest_free(g);
		fake_halt();
	}
}

static void a_paused_vcpu_stands_still_and_a_resumed_one_goes_on(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;
		struct fake_vcpu *f;
		u64 ran;

		fake_boot(2, name);
		g = fake_guest_make(1, NULL, 0);
		f = fake_vcpu_of(g, 0);
		fake_guest_start(g);
		fake_run_for(10 * FAKE_MS);
		sched_vcpu_request(&f->v, VCPU_REQ_PAUSE);
		fake_run_for(FAKE_MS);
		ran = f->ran;
		assert_null(f->loaded);
		virq_raise(&f->v, VIRQ_SOFT);
		fake_run_for(10 * FAKE_MS);
		assert_true(f->ran == ran);
		sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
		fake_run_for(10 * FAKE_MS);
		assert_true(f->ran > ran + 9 * FAKE_MS);
		assert_int_equal(f->seen, VIRQ_SOFT);
		fake_guest_free(g);
		fake_halt();
	}
}

/* Sleeps and runs at random; arg[3] is the seed. */
static enum run_end act_random(struct fake_vcpu *f, u64 now)
{
	u32 seed = (u32)f->arg[3], what = fake_random(&seed) % 8;
	struct guest *g = f->v.guest;

	f->left = 1 + fake_random(&seed) % (3 * FAKE_MS);
	f->deadline = now + 1 + fake_random(&seed) % (3 * FAKE_MS);
	if (fake_random(&seed) % 2)
		virq_raise(g->vcpu[fake_random(&seed) % g->cfg.vcpus],
			   VIRQ_SOFT);
	f->arg[3] = seed;
	return what == 0 ? RUN_YIELD : what < 5 ? RUN_BLOCK : RUN_LOOK;
}

static void policies_change_under_load_and_nothing_is_lost(void **state)
{
	struct fake_guest *g[4];
	u64 ran[4];
	u32 changes = 0;

	(void)state;
	fake_boot(4, sched_policy_list(0));
	for (u32 i = 0; i < 4; i++) {
		/* Four vCPUs in all: there is room under every policy. */
		g[i] = fake_guest_make(1, NULL, 0);
		fake_vcpu_of(g[i], 0)->act = act_random;
		fake_vcpu_of(g[i], 0)->left = FAKE_MS;
		fake_vcpu_of(g[i], 0)->arg[3] = i;
		fake_guest_start(g[i]);
	}
	for (u32 round = 0; round < 200; round++) {
		const char *name = sched_policy_list(round % policy_count());

		for (u32 i = 0; i < 4; i++)
			ran[i] = fake_guest_ran(g[i]);
		if (sched_policy_set(name, NULL) == 0)
			changes++;
		fake_run_for(20 * FAKE_MS);
		assert_false(sched_policy_changing());
		assert_string_equal(sched_policy_name(), name);
		for (u32 i = 0; i < 4; i++)
			assert_true(fake_guest_ran(g[i]) > ran[i]);
	}
	assert_int_equal(changes, 200);
	for (u32 i = 0; i < 4; i++)
		fake_guest_free(g[i]);
	fake_halt();
}

static void many_random_vcpus_survive_every_policy(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g[4];

		if (sched_policy_room(name))
			continue;
		fake_boot(3, name);
		for (u32 i = 0; i < 4; i++) {
			g[i] = fake_guest_make(5, NULL, i == 3 ? 5 : 0);
			for (u32 k = 0; k < 5; k++) {
				struct fake_vcpu *f = fake_vcpu_of(g[i], k);

				f->act = act_random;
				f->left = FAKE_MS;
				f->arg[3] = i * 5 + k;
			}
			fake_guest_start(g[i]);
		}
		fake_run_for(2000 * FAKE_MS);
		for (u32 i = 0; i < 4; i++) {
			for (u32 k = 0; k < 5; k++)
				assert_true(fake_vcpu_of(g[i], k)->ran >
					    10 * FAKE_MS);
			fake_guest_free(g[i]);
		}
		fake_halt();
	}
}

/*
 * The policy changes at random under a random load, and guests come to be
 * paused, moved and re-weighted: every vCPU that can run does so within a
 * slice of each other one and one more, wherever its time was left by the
 * policy before.
 */
#define HUNT_VCPUS 12
#define HUNT_SLICE (10 * FAKE_MS)

static struct fake_guest *prey[4];

static void hunt_disturb(u32 *seed)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g = prey[fake_random(seed) % 4];
	struct vcpu *v = g->g.vcpu[fake_random(seed) % 3];
	struct cpuset any = { { 7 } };

	switch (fake_random(seed) % 8) {
	case 0:
	case 1:
	case 2:
		(void)!sched_policy_set(any_sharing(seed), NULL);
		break;
	case 3:
		any.w[0] = 1 + fake_random(seed) % 7;
		(void)!sched_vcpu_affinity(v, &any);
		break;
	case 4:
		(void)!sched_vcpu_affinity(v, &any);
		break;
	case 5:
		sched_vcpu_request(v, VCPU_REQ_PAUSE);
		fake_run_for(fake_random(seed) % (5 * FAKE_MS));
		sched_vcpu_request(v, VCPU_REQ_RESUME);
		break;
	case 6:
		sched_guest_params(&g->g, &p, 0);
		break;
	default:
		virq_raise(v, VIRQ_SOFT);
		break;
	}
}

/* Whoever could run all the while has run. */
static void hunt_check(u64 since[HUNT_VCPUS], u64 ran[HUNT_VCPUS], u32 seed,
		       u32 step)
{
	u64 limit = (HUNT_VCPUS + 1) * HUNT_SLICE, now = fake_now();

	for (u32 i = 0; i < HUNT_VCPUS; i++) {
		struct fake_vcpu *f = fake_vcpu_of(prey[i / 3], i % 3);

		if (f->ran != ran[i] || f->v.state == VCPU_BLOCKED ||
		    f->v.sched.paused) {
			ran[i] = f->ran;
			since[i] = now;
		}
		if (now > since[i] + limit)
			fail_msg("seed %u, step %u: %s: vCPU %u of guest %u "
				 "(state %u, CPU %u, %s) has waited for "
				 "%llu us, expected at most %llu",
				 seed, step, sched_policy_name(), i % 3, i / 3,
				 f->v.state, f->v.cpu->index,
				 f->v.sched.queued ? "queued" : "not queued",
				 (unsigned long long)((now - since[i]) /
						      FAKE_US),
				 (unsigned long long)(limit / FAKE_US));
	}
}

static u64 hunt(u32 seed, u32 steps)
{
	u64 since[HUNT_VCPUS], ran[HUNT_VCPUS] = { 0 }, switches = 0;
	u32 s = seed, epoch;

	fake_boot(3, any_sharing(&s));
	epoch = sched_pool.epoch;
	for (u32 i = 0; i < 4; i++) {
		prey[i] = fake_guest_make(3, NULL, 0);
		for (u32 k = 0; k < 3; k++) {
			struct fake_vcpu *f = fake_vcpu_of(prey[i], k);

			/* One in four is a hog. */
			if (fake_random(&s) % 4) {
				f->act = act_random;
				f->left = FAKE_MS;
				f->arg[3] = fake_random(&s);
			}
			since[i * 3 + k] = fake_now();
		}
		fake_guest_start(prey[i]);
	}
	for (u32 step = 0; step < steps; step++) {
		u32 least = 0;

		for (u32 i = 1; i < 3; i++) {
			if (fake_cpus[i]->now < fake_cpus[least]->now)
				least = i;
		}
		fake_step(least);
		if (fake_random(&s) % 2000 == 0)
			hunt_disturb(&s);
		hunt_check(since, ran, seed, step);
	}
	switches = sched_pool.epoch - epoch;
	for (u32 i = 0; i < 4; i++)
		fake_guest_free(prey[i]);
	fake_halt();
	return switches;
}

static void nobody_waits_long_whatever_policy_was_before(void **state)
{
	u64 switches = 0;

	(void)state;
	for (u32 seed = 1; seed <= 20; seed++)
		switches += hunt(seed, 50000);
	assert_true(switches > 100);
}

/* ---- What is shown ---- */

static void what_a_policy_says_of_a_vcpu_is_of_one_that_is_on(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;
		char buf[48], cut[4];

		fake_boot(1, name);
		g = fake_guest_make(1, NULL, 0);
		sched_vcpu_show(g->g.vcpu[0], fake_now(), buf, sizeof(buf));
		assert_string_equal(buf, "");
		fake_guest_start(g);
		fake_run_for(3 * FAKE_MS);
		sched_vcpu_show(g->g.vcpu[0], fake_now(), buf, sizeof(buf));
		for (const char *at = buf; *at; at++)
			assert_in_range(*at, ' ', '~');
		/* As much of the same as there is room for. */
		sched_vcpu_show(g->g.vcpu[0], fake_now(), cut, sizeof(cut));
		assert_int_equal(strlen(cut),
				 MIN(strlen(buf), sizeof(cut) - 1));
		assert_memory_equal(cut, buf, strlen(cut));
		sched_cpu_show(0, buf, sizeof(buf));
		fake_guest_free(g);
		fake_halt();
	}
}

/* ---- What each promises ---- */

static void some_say_what_they_know_of_a_vcpu(void **state)
{
	static const struct {
		const char *policy, *begin;
	} says[] = {
		{ "pinned", "has CPU 0" },
		{ "fp", "level 100" },
		{ "credit", "lag " },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(says); i++) {
		struct fake_guest *g;
		char buf[48];

		fake_boot(1, says[i].policy);
		g = fake_guest_make(1, NULL, 0);
		fake_guest_start(g);
		fake_run_for(3 * FAKE_MS);
		sched_vcpu_show(g->g.vcpu[0], fake_now(), buf, sizeof(buf));
		if (strncmp(buf, says[i].begin, strlen(says[i].begin)))
			fail_msg("%s says '%s', expected '%s'", says[i].policy,
				 buf, says[i].begin);
		fake_guest_free(g);
		fake_halt();
	}
}

static void a_parked_vcpu_is_shown_as_such(void **state)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g;
	char buf[48];
	u32 parked = 0;

	(void)state;
	fake_boot(1, "credit");
	p.cap = 10;
	g = fake_guest_make(1, &p, 0);
	fake_guest_start(g);
	for (u32 i = 0; i < 100; i++) {
		fake_run_for(3 * FAKE_MS);
		sched_vcpu_show(g->g.vcpu[0], fake_now(), buf, sizeof(buf));
		parked += strstr(buf, ", parked") != NULL;
	}
	assert_in_range(parked, 70, 99);
	fake_guest_free(g);
	fake_halt();
}

/* ---- pinned ---- */

static void pinned_refuses_more_vcpus_than_cpus(void **state)
{
	struct fake_guest *g;
	u32 lines;

	(void)state;
	fake_boot(2, "pinned");
	g = fake_guest_make(3, NULL, 0);
	lines = fake_log_lines;
	assert_int_equal(sched_vcpu_start(g->g.vcpu[0]), 0);
	assert_int_equal(sched_vcpu_start(g->g.vcpu[1]), 0);
	assert_int_equal(sched_vcpu_start(g->g.vcpu[2]), -EBUSY);
	/* Said once, however often it is tried. */
	assert_int_equal(sched_vcpu_start(g->g.vcpu[2]), -EBUSY);
	assert_int_equal(fake_log_lines, lines + 1);
	fake_run_for(10 * FAKE_MS);
	/* A place becomes free when one is off. */
	sched_vcpu_request(g->g.vcpu[0], VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_int_equal(sched_vcpu_start(g->g.vcpu[2]), 0);
	fake_run_for(10 * FAKE_MS);
	assert_true(fake_vcpu_of(g, 2)->ran > 9 * FAKE_MS);
	fake_guest_free(g);
	fake_halt();
}

static enum run_end act_off(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = FAKE_US;
	return RUN_OFF;
}

/* Two of a guest's vCPUs start in each other's place all the time, where there
 * is room for one of them. */
static void refusals_without_end_are_told_at_a_pace(void **state)
{
	struct fake_guest *g;
	u32 refused = 0, lines;
	u64 since;

	(void)state;
	fake_boot(1, "pinned");
	g = fake_guest_make(2, NULL, 0);
	for (u32 i = 0; i < 2; i++) {
		fake_vcpu_of(g, i)->act = act_off;
		fake_vcpu_of(g, i)->left = FAKE_US;
	}
	lines = fake_log_lines;
	since = fake_now();
	for (u32 i = 0; i < 1000; i++) {
		assert_int_equal(sched_vcpu_start(g->g.vcpu[i % 2]), 0);
		refused += sched_vcpu_start(g->g.vcpu[1 - i % 2]) == -EBUSY;
		fake_run_for(5 * FAKE_MS);
	}
	assert_int_equal(refused, 1000);
	lines = fake_log_lines - lines;
	since = (fake_now() - since) / (1000 * FAKE_MS);
	/* And as often how many were not told of. */
	assert_in_range(lines, LOG_BURST, 2 * (LOG_BURST + since + 1));
	fake_guest_free(g);
	fake_halt();
}

static void a_change_to_pinned_is_refused_when_there_are_too_many(void **state)
{
	struct fake_guest *g;

	(void)state;
	fake_boot(2, "rr");
	g = fake_guest_make(3, NULL, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	assert_int_equal(sched_policy_set("pinned", NULL), -ENOSPC);
	assert_int_equal(sched_policy_set("none", NULL), -ENOENT);
	assert_string_equal(sched_policy_name(), "rr");
	fake_guest_free(g);
	fake_halt();
}

/* ---- rr ---- */

static void rr_gives_equal_slices(void **state)
{
	struct fake_guest *g[4];

	(void)state;
	fake_boot(1, "rr");
	for (u32 i = 0; i < 4; i++) {
		g[i] = fake_guest_make(1, NULL, 0);
		fake_guest_start(g[i]);
	}
	fake_run_for(4000 * FAKE_MS);
	for (u32 i = 0; i < 4; i++) {
		expect_share(fake_guest_ran(g[i]), 4000 * FAKE_MS, 250, 3);
		fake_guest_free(g[i]);
	}
	fake_halt();
}

static void rr_slices_follow_the_knob_at_run_time(void **state)
{
	struct fake_guest *a, *b;
	u64 was[2];

	(void)state;
	fake_boot(1, "rr");
	a = fake_guest_make(1, NULL, 0);
	b = fake_guest_make(1, NULL, 0);
	fake_guest_start(a);
	fake_guest_start(b);
	fake_run_for(100 * FAKE_MS);
	sched_guest_params(&a->g, knobs(100, 30000), 0);
	fake_run_for(100 * FAKE_MS);
	was[0] = fake_guest_ran(a);
	was[1] = fake_guest_ran(b);
	fake_run_for(4000 * FAKE_MS);
	expect_share(fake_guest_ran(a) - was[0], 4000 * FAKE_MS, 750, 10);
	expect_share(fake_guest_ran(b) - was[1], 4000 * FAKE_MS, 250, 10);
	fake_guest_free(a);
	fake_guest_free(b);
	fake_halt();
}

/* ---- fp ---- */

static void fp_lets_only_the_highest_run(void **state)
{
	struct fake_guest *high, *low, *equal;

	(void)state;
	fake_boot(1, "fp");
	low = fake_guest_make(1, knobs(0, 10000), 0);
	high = fake_guest_make(1, knobs(255, 10000), 0);
	equal = fake_guest_make(1, knobs(255, 10000), 0);
	fake_guest_start(low);
	fake_run_for(10 * FAKE_MS);
	fake_guest_start(high);
	fake_guest_start(equal);
	fake_run_for(FAKE_MS);
	assert_true(fake_guest_ran(low) <= 10 * FAKE_MS + FAKE_QUANTUM_TICKS);
	fake_run_for(1000 * FAKE_MS);
	assert_true(fake_guest_ran(low) <= 10 * FAKE_MS + FAKE_QUANTUM_TICKS);
	expect_share(fake_guest_ran(high), 1000 * FAKE_MS, 500, 15);
	expect_share(fake_guest_ran(equal), 1000 * FAKE_MS, 500, 15);
	sched_guest_params(&low->g, knobs(255, 10000), 0);
	fake_run_for(1000 * FAKE_MS);
	assert_true(fake_guest_ran(low) > 300 * FAKE_MS);
	fake_guest_free(low);
	fake_guest_free(high);
	fake_guest_free(equal);
	fake_halt();
}

static void fp_wakes_on_the_cpu_that_runs_the_lowest(void **state)
{
	struct fake_guest *g[3];
	struct fake_vcpu *f;

	(void)state;
	fake_boot(2, "fp");
	g[0] = fake_guest_make(1, knobs(50, 10000), 1);
	g[1] = fake_guest_make(1, knobs(20, 10000), 2);
	g[2] = fake_guest_make(1, knobs(90, 10000), 0);
	for (u32 i = 0; i < 2; i++)
		fake_guest_start(g[i]);
	fake_run_for(FAKE_MS);
	f = fake_vcpu_of(g[2], 0);
	fake_sleeps(f, 100 * FAKE_US, 900 * FAKE_US);
	fake_guest_start(g[2]);
	fake_run_for(1000 * FAKE_MS);
	assert_int_equal(f->cpu, 1);
	expect_share(fake_guest_ran(g[0]), 1000 * FAKE_MS, 1000, 5);
	assert_true(f->v.wakes > 950);
	for (u32 i = 0; i < 3; i++)
		fake_guest_free(g[i]);
	fake_halt();
}

static int long_way(void **state)
{
	(void)state;
	sched_short_way = false;
	return 0;
}

static void a_guest_that_finds_no_memory_leaves_nothing(void **state)
{
	struct guest_config cfg = { .name = "late", .vcpus = 3,
				    .sched = SCHED_PARAMS_DEFAULT };

	(void)state;
	for_each_policy(name) {
		struct fake_guest *g, *late;
		u64 n = 0;

		fake_boot(4, name);
		g = fake_guest_make(1, NULL, 0);
		fake_guest_start(g);
		do {
			late = fake_guest_try(&cfg, ++n);
			fake_run_for(10 * FAKE_MS);
		} while (!late && n < 100);
		/* An account, and a part for each vCPU; then none fails. */
		assert_int_equal(n, 5);
		expect_share(fake_guest_ran(g), n * 10 * FAKE_MS, 1000, 5);
		fake_guest_start(late);
		fake_run_for(100 * FAKE_MS);
		assert_true(fake_guest_ran(late) > 0);
		fake_guest_free(late);
		fake_guest_free(g);
		fake_halt();
	}
}

static void a_change_of_policy_needs_no_memory(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_guest *g;

		fake_boot(2, name);
		g = fake_guest_make(2, NULL, 0);
		fake_guest_start(g);
		fake_run_for(10 * FAKE_MS);
		fake_fail_in = 1;
		for_each_policy(next) {
			assert_int_equal(sched_policy_set(next, NULL), 0);
			fake_run_for(10 * FAKE_MS);
			assert_false(sched_policy_changing());
		}
		assert_int_equal(fake_fail_in, 1);
		fake_fail_in = 0;
		fake_guest_free(g);
		fake_halt();
	}
}

#define MANY 300
#define ENTER_MOST 64 /* that the new policy takes in a step, */
#define EVENTS_MOST 64 /* and those that are asked something then */

static u32 held_count(struct fake_guest *fg, u32 epoch)
{
	u32 count = 0;

	for (u32 i = 0; i < MANY; i++)
		count += fake_vcpu_of(fg, i)->v.sched.held == epoch;
	return count;
}

/* Before, while and after the policy takes it. */
static void ask_any(struct fake_guest *fg, u32 *seed)
{
	static const struct cpuset to[] = {{{1}}, {{3}}};
	struct vcpu *v = fg->g.vcpu[fake_random(seed) % MANY];
	struct sched_params p = *knobs(0, 1000);

	switch (fake_random(seed) % 6) {
	case 0:
		sched_vcpu_request(v, VCPU_REQ_PAUSE);
		break;
	case 1:
		sched_vcpu_request(v, VCPU_REQ_RESUME);
		break;
	case 2:
		assert_int_equal(sched_vcpu_affinity(
			v, &to[fake_random(seed) % 2]), 0);
		break;
	case 3:
		sched_vcpu_request(v, VCPU_REQ_KILL);
		break;
	case 4:
		p.cap = fake_random(seed) % 2 * 50;
		sched_guest_params(&fg->g, &p, 0);
		break;
	default:
		virq_raise(v, VIRQ_SOFT);
		break;
	}
}

/* Some sleep, some are set aside by their cap. */
static struct fake_guest *crowd(u32 cap)
{
	struct sched_params p = *knobs(0, 1000);
	struct fake_guest *fg;

	p.cap = cap;
	fg = fake_guest_make(MANY, &p, 0);
	for (u32 i = 0; i < MANY; i++)
		if (i % 3 == 0)
			fake_waits(fake_vcpu_of(fg, i), 100 * FAKE_US);
	fake_guest_start(fg);
	fake_run_for(100 * FAKE_MS);
	return fg;
}

static void change_in_steps(struct fake_guest *fg, const char *policy,
			    u32 *seed)
{
	u32 epoch = sched_pool.epoch + 1, held = 0, steps = 0;

	assert_int_equal(sched_policy_set(policy, NULL), 0);
	while (sched_policy_changing()) {
		for (u32 cpu = 0; cpu < 2; cpu++) {
			u32 before = held;

			fake_step(cpu);
			held = held_count(fg, epoch);
			if (held > before + ENTER_MOST + EVENTS_MOST)
				fail_msg("%s: %u at once", policy,
					 held - before);
			ask_any(fg, seed);
		}
		assert_true(++steps < 100000);
	}
}

/* Who could run is in the load of its CPU, once nobody is set aside. */
static void expect_loads(struct fake_guest *fg)
{
	u32 count[2] = {0};

	for (u32 i = 0; i < MANY; i++) {
		const struct vcpu *v = &fake_vcpu_of(fg, i)->v;

		count[v->cpu->index] += v->sched.counted;
	}
	for (u32 cpu = 0; cpu < 2; cpu++)
		assert_int_equal(cpu_by_index(cpu)->load, count[cpu]);
}

/* However many there are, and whatever is asked of them meanwhile. */
static void a_change_takes_some_vcpus_in_a_step(void **state)
{
	u32 seed = 1;

	(void)state;
	for (u32 n = 0; n < 4 * sharing_policy_count(); n++) {
		struct fake_guest *fg;
		u64 ran[MANY];

		fake_boot(2, sharing_policy(n / 4));
		fg = crowd(n % 2 ? 50 : 0);
		change_in_steps(fg, any_sharing(&seed), &seed);
		for (u32 i = 0; i < MANY;)
			i = sched_guest_params(&fg->g, knobs(0, 1000), i);
		fake_run_for(10 * FAKE_MS);
		for (u32 i = 0; i < MANY; i++) {
			struct fake_vcpu *f = fake_vcpu_of(fg, i);

			sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
			(void)!sched_vcpu_start(&f->v);
			virq_raise(&f->v, VIRQ_SOFT);
			ran[i] = f->ran;
		}
		fake_run_for(2000 * FAKE_MS);
		for (u32 i = 0; i < MANY; i++)
			if (fake_vcpu_of(fg, i)->ran == ran[i])
				fail_msg("%s: vCPU %u has not run",
					 sched_policy_name(), i);
		expect_loads(fg);
		fake_guest_free(fg);
		fake_halt();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_finds_no_memory_leaves_nothing),
		cmocka_unit_test(a_change_takes_some_vcpus_in_a_step),
		cmocka_unit_test(a_change_of_policy_needs_no_memory),
		cmocka_unit_test(every_policy_runs_one_hog_all_the_time),
		cmocka_unit_test(
			every_policy_wakes_a_sleeper_when_its_timer_is_due),
		cmocka_unit_test(runstates_add_up_to_the_time_since_creation),
		cmocka_unit_test(no_policy_runs_a_vcpu_where_it_may_not),
		cmocka_unit_test(work_is_conserved_under_every_policy),
		cmocka_unit_test(
			a_paused_vcpu_stands_still_and_a_resumed_one_goes_on),
		cmocka_unit_test(
			policies_change_under_load_and_nothing_is_lost),
		cmocka_unit_test(many_random_vcpus_survive_every_policy),
		cmocka_unit_test(nobody_waits_long_whatever_policy_was_before),
		cmocka_unit_test(
			what_a_policy_says_of_a_vcpu_is_of_one_that_is_on),
		cmocka_unit_test(some_say_what_they_know_of_a_vcpu),
		cmocka_unit_test(a_parked_vcpu_is_shown_as_such),
		cmocka_unit_test(pinned_refuses_more_vcpus_than_cpus),
		cmocka_unit_test(refusals_without_end_are_told_at_a_pace),
		cmocka_unit_test(
			a_change_to_pinned_is_refused_when_there_are_too_many),
		cmocka_unit_test(rr_gives_equal_slices),
		cmocka_unit_test(rr_slices_follow_the_knob_at_run_time),
		cmocka_unit_test(fp_lets_only_the_highest_run),
		cmocka_unit_test(fp_wakes_on_the_cpu_that_runs_the_lowest),
	};

	/* Both ways from a wait into the guest (kernel/sched/resume.h). */
	return cmocka_run_group_tests_name("short", tests, NULL, NULL) +
	       cmocka_run_group_tests_name("long", tests, long_way, NULL);
}
