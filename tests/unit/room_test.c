/*
 * Who runs makes room (kernel/sched/room.c), under every policy that lets vCPUs
 * share a CPU: a CPU that is idle is used if that takes others to move, soon,
 * and without moving them all the time.
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

#define MADE_MAX 100
#define WHILE	 (500 * FAKE_MS)
#define MANY	 512
/* Of CPUs, in one step: 150 instructions each, with 512 of them. */
#define LOOK_MOST 128

/* Guests of one vCPU each; all of them are freed at the end. */
static struct fake_guest *made[MADE_MAX];
static u32 made_count;

static void boot(u32 cpus, const char *policy)
{
	made_count = 0;
	fake_boot(cpus, policy);
}

static void end(void)
{
	for (u32 i = 0; i < made_count; i++)
		fake_guest_free(made[i]);
	fake_halt();
}

static struct cpuset from_bits(u64 bits, u32 shift)
{
	struct cpuset set = {{0}};

	for (u32 i = 0; i < 64; i++)
		if (bits >> i & 1)
			cpuset_add(&set, shift + i);
	return set;
}

static void let(struct fake_vcpu *f, u64 bits, u32 shift)
{
	struct cpuset set = from_bits(bits, shift);

	assert_int_equal(sched_vcpu_affinity(&f->v, &set), 0);
}

/* A hog that may run on these CPUs, counted from `shift`; not started. */
static struct fake_vcpu *one(u64 bits, u32 shift, s32 above)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g;

	p.priority = (u32)((s32)p.priority + above);
	g = fake_guest_make(1, &p, 0);
	made[made_count++] = g;
	let(fake_vcpu_of(g, 0), bits, shift);
	return fake_vcpu_of(g, 0);
}

static void start(struct fake_vcpu *f)
{
	assert_int_equal(sched_vcpu_start(&f->v), 0);
	fake_run_for(FAKE_MS);
}

/* On the first of its CPUs, where it begins; it may leave then. */
static void start_on(struct fake_vcpu *f, u32 cpu, u64 bits, u32 shift)
{
	let(f, 1, cpu);
	start(f);
	assert_int_equal(f->v.cpu->index, cpu);
	let(f, bits, shift);
	fake_run_for(FAKE_MS);
}

static void stop(struct fake_vcpu *f)
{
	sched_vcpu_request(&f->v, VCPU_REQ_KILL);
}

static struct cpu_stats stats_of(u32 cpu)
{
	struct cpu_stats s;

	sched_cpu_stats(cpu, &s);
	return s;
}

static void expect_all_run(struct fake_vcpu **f, u32 count, const char *what)
{
	u64 ran[MADE_MAX];

	for (u32 i = 0; i < count; i++)
		ran[i] = f[i]->ran;
	fake_run_for(WHILE);
	for (u32 i = 0; i < count; i++)
		if (f[i]->ran - ran[i] < WHILE * 97 / 100)
			fail_msg("%s, %s: %u has run for %lu of %lu",
				 sched_policy_name(), what, i,
				 (unsigned long)(f[i]->ran - ran[i]),
				 (unsigned long)WHILE);
}

static void who_is_alone_makes_room_for_one_bound_to_its_cpu(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		for (s32 above = -10; above <= 10; above += 10) {
			struct fake_vcpu *f[2];

			boot(2, sharing_policy(n));
			f[0] = one(3, 0, above);
			f[1] = one(1, 0, 0);
			start_on(f[0], 0, 3, 0);
			start(f[1]);
			expect_all_run(f, 2, "alone");
			assert_in_range(f[0]->v.migrations, 1, 2);
			end();
		}
	}
}

/* Where the policy says that who wakes is to wait there. */
static void room_is_made_for_one_that_wakes(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f[2];

		boot(2, sharing_policy(n));
		f[0] = one(3, 0, 10);
		f[1] = one(1, 0, 0);
		fake_waits(f[1], 10 * FAKE_US);
		start(f[1]);
		start_on(f[0], 0, 3, 0);
		assert_int_equal(f[1]->v.state, VCPU_BLOCKED);
		f[1]->left = TIME_NEVER;
		virq_raise(&f[1]->v, VIRQ_SOFT);
		fake_run_for(FAKE_MS);
		expect_all_run(f, 2, "wakes");
		end();
	}
}

/* The other CPU becomes idle later: whoever runs then has the higher priority,
 * or what is left of a turn. */
static void who_runs_makes_room_when_another_cpu_becomes_idle(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		for (s32 above = -10; above <= 10; above += 10) {
			struct fake_vcpu *f[2], *other;

			boot(2, sharing_policy(n));
			other = one(2, 0, 20);
			f[0] = one(3, 0, above);
			f[1] = one(1, 0, 0);
			start(other);
			start_on(f[0], 0, 3, 0);
			start(f[1]);
			fake_run_for(100 * FAKE_MS);
			stop(other);
			fake_run_for(FAKE_MS);
			expect_all_run(f, 2, "later");
			end();
		}
	}
}

static void two_that_only_yield_have_a_cpu_each(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f[2];

		boot(2, sharing_policy(n));
		f[0] = one(3, 0, 0);
		f[1] = one(1, 0, 0);
		for (u32 i = 0; i < 2; i++) {
			f[i]->left = f[i]->arg[0] = 100 * FAKE_US;
			f[i]->act = fake_act_yield;
		}
		start_on(f[0], 0, 3, 0);
		start(f[1]);
		expect_all_run(f, 2, "yield");
		end();
	}
}

/* As of who has told its guest where to read of it. */
static struct {
	u32 waits[2], runs; /* on which CPU it began to wait */
	bool now;
} told;

static void told_of(struct vcpu *v, bool waits)
{
	assert_true(waits || told.now || !told.runs);
	if (waits)
		told.waits[v->cpu->index]++;
	else
		told.runs++;
	told.now = waits;
}

/* On its own CPU still, where all that is its is found. */
static void who_makes_room_is_told_that_it_waits(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f[2];

		memset(&told, 0, sizeof(told));
		boot(2, sharing_policy(n));
		f[0] = one(3, 0, 10);
		f[1] = one(1, 0, 0);
		start_on(f[0], 0, 3, 0);
		f[0]->v.waits = told_of;
		start(f[1]);
		fake_run_for(100 * FAKE_MS);
		assert_int_equal(f[0]->v.cpu->index, 1);
		assert_in_range(told.waits[0], 1, 2);
		assert_int_equal(told.runs, told.waits[0] + told.waits[1]);
		end();
	}
}

static void who_may_not_stay_is_told_that_it_waits(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f;

		memset(&told, 0, sizeof(told));
		boot(2, sharing_policy(n));
		f = one(1, 0, 0);
		start(f);
		f->v.waits = told_of;
		let(f, 2, 0);
		fake_run_for(FAKE_MS);
		assert_int_equal(f->v.cpu->index, 1);
		assert_int_equal(told.waits[0], 1);
		assert_int_equal(told.runs, 1);
		/* Nor if all policies are the same to it. */
		assert_int_equal(sched_policy_set(sharing_policy(n), NULL), 0);
		fake_run_for(FAKE_MS);
		assert_int_equal(told.waits[1], 1);
		assert_int_equal(told.runs, 2);
		end();
	}
}

/* The first is bound, each of the others may run on two CPUs and is on the
 * lower: all have to move. */
static void a_row_of_them_moves_up_by_one(void **state)
{
	static const struct {
		u32 cpus, shift, row;
	} rows[] = {{3, 0, 3}, {8, 0, 8}, {70, 60, 8}, {100, 0, 100}};

	for (u32 k = 0; k < 4 * sharing_policy_count(); k++) {
		u32 shift = rows[k % 4].shift, row = rows[k % 4].row;
		struct fake_vcpu *f[MADE_MAX];

		boot(rows[k % 4].cpus, sharing_policy(k / 4));
		f[0] = one(1, shift, 0);
		for (u32 i = 1; i < row; i++) {
			f[i] = one(1, shift, 0);
			start_on(f[i], shift + i - 1, 3, shift + i - 1);
		}
		start(f[0]);
		fake_run_for(row * FAKE_MS);
		expect_all_run(f, row, "row");
		end();
	}
}

/* In how many steps that CPU has looked at so many others; none of them is
 * long. Others stand still meanwhile. */
static u32 steps_of_look(u32 cpu, u32 others)
{
	const struct room_look *r = &core_of(cpu_by_index(cpu))->look;
	u32 was = r->asked, steps = 0;

	while (r->asked < others) {
		fake_step(cpu);
		if (r->asked > was)
			steps++;
		assert_true(r->asked <= was + LOOK_MOST);
		was = r->asked;
	}
	return steps;
}

/* A row over all CPUs but the last, which is idle, and doesn't lead there
 * yet. */
static void no_step_of_a_look_for_a_long_row_is_long(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_guest *g;
		struct vcpu *v;

		boot(MANY, sharing_policy(n));
		made[made_count++] = g = fake_guest_make(MANY, NULL, 0);
		for (u32 i = 0; i < MANY; i++)
			let(fake_vcpu_of(g, i), 1, i ? i - 1 : 0);
		fake_guest_start(g);
		fake_run_for(FAKE_MS);
		for (u32 i = 1; i < MANY - 1; i++)
			let(fake_vcpu_of(g, i), 3, i - 1);
		assert_true(steps_of_look(0, MANY - 2) >=
			    (MANY - 2) / LOOK_MOST);
		v = &fake_vcpu_of(g, 1)->v;
		assert_int_equal(v->cpu->index, 0);
		let(fake_vcpu_of(g, MANY - 1), 3, MANY - 2);
		for (u32 i = 0; i < 1000 && v->cpu->index == 0; i++)
			fake_step(0);
		assert_int_equal(v->cpu->index, 1);
		end();
	}
}

/* Who waits could go to a CPU whose current could go to an idle one. */
static void who_waits_takes_the_place_of_one_that_moves(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f[3];

		boot(3, sharing_policy(n));
		f[0] = one(1, 0, 10);
		f[1] = one(3, 0, 0);
		f[2] = one(6, 0, 0);
		start(f[0]);
		start_on(f[2], 1, 6, 0);
		start_on(f[1], 0, 3, 0);
		expect_all_run(f, 3, "place");
		end();
	}
}

/* Nothing has happened on the CPU where one waits, nor on the idle one. */
static void a_way_that_opens_elsewhere_is_found(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f[3];

		boot(3, sharing_policy(n));
		f[0] = one(1, 0, 10);
		f[1] = one(1, 0, 0);
		f[2] = one(2, 0, 0);
		start(f[2]);
		start(f[0]);
		start(f[1]);
		let(f[1], 3, 0);
		fake_run_for(300 * FAKE_MS);
		let(f[2], 6, 0);
		fake_run_for(50 * FAKE_MS);
		expect_all_run(f, 3, "opens");
		end();
	}
}

/* Nobody where one waits may run on CPU 2, and it knows that. The way to it is
 * there when it becomes idle, or opens later. */
static void a_barred_cpu_that_is_idle_is_used_by_a_row(void **state)
{
	for (u32 n = 0; n < 2 * sharing_policy_count(); n++) {
		struct fake_vcpu *f[3], *other;
		u64 asks;

		boot(3, sharing_policy(n / 2));
		f[0] = one(1, 0, 10);
		f[1] = one(1, 0, 0);
		f[2] = one(2, 0, 0);
		other = one(4, 0, 0);
		start(f[2]);
		start(f[0]);
		start(f[1]);
		let(f[1], 3, 0);
		fake_run_for(FAKE_MS);
		start(other);
		stop(other);
		fake_run_for(100 * FAKE_MS);
		start(other);
		fake_run_for(300 * FAKE_MS);
		/* There it was asked once; and nobody looks now. */
		asks = stats_of(2).asks;
		assert_false(core_of(cpu_by_index(0))->room.set);
		if (n % 2)
			let(f[2], 6, 0);
		stop(other);
		fake_run_for(100 * FAKE_MS);
		let(f[2], 6, 0);
		fake_run_for(50 * FAKE_MS);
		assert_int_equal(stats_of(2).asks, asks);
		expect_all_run(f, 3, "barred");
		end();
	}
}

/* By two CPUs; a policy may move others besides. */
static u32 looks_in(u64 ticks)
{
	u64 at[2], until = fake_now() + ticks;
	u32 looks = 0;

	for (u32 i = 0; i < 2; i++)
		at[i] = core_of(cpu_by_index(i))->looked_ticks;
	while (fake_now() < until) {
		for (u32 i = 0; i < 2; i++) {
			const struct sched_core *core =
				core_of(cpu_by_index(i));

			looks += core->looked_ticks != at[i];
			at[i] = core->looked_ticks;
		}
		fake_run_for(50 * FAKE_US);
	}
	return looks;
}

static u64 ran_of(const struct fake_vcpu *f)
{
	return f->v.sched.ticks[RUNSTATE_RUNNING];
}

/* Each time that one of the two sleeps, the third could go there. */
static void naps_of_others_move_nobody_all_the_time(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *bound, *free, *naps;
		u64 ran;

		boot(2, sharing_policy(n));
		free = one(3, 0, 0);
		bound = one(1, 0, 0);
		naps = one(2, 0, 10);
		fake_sleeps(bound, 300 * FAKE_US, 300 * FAKE_US);
		fake_sleeps(naps, 10 * FAKE_US, 10 * FAKE_US);
		start_on(free, 0, 3, 0);
		start(naps);
		fake_run_for(10 * FAKE_MS);
		start(bound);
		fake_run_for(100 * FAKE_MS);
		ran = -ran_of(free) - ran_of(bound) - ran_of(naps);
		/* Each look moves one, and each CPU looks once in 5 ms. Where
		 * naps are served at once, nobody waits for long enough. */
		assert_in_range(looks_in(1000 * FAKE_MS), 0, 2 * 200);
		ran += ran_of(free) + ran_of(bound) + ran_of(naps);
		assert_in_range(ran, 1500 * FAKE_MS, 2000 * FAKE_MS);
		end();
	}
}

static void who_can_not_be_helped_is_hardly_disturbed(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *hogs[2], *naps;
		u64 sets, asks, mails;

		boot(2, sharing_policy(n));
		hogs[0] = one(1, 0, 10);
		hogs[1] = one(1, 0, 0);
		naps = one(2, 0, 0);
		fake_sleeps(naps, 500 * FAKE_US, 20 * FAKE_MS);
		start(hogs[0]);
		start(hogs[1]);
		start(naps);
		fake_run_for(500 * FAKE_MS);
		sets = stats_of(0).timer_sets;
		asks = stats_of(1).asks;
		mails = stats_of(0).mails;
		fake_run_for(1000 * FAKE_MS);
		assert_int_equal(stats_of(0).mails, mails);
		/* The ends of turns of 10 ms, if there are any; each look is a
		 * timer set twice, and there are 25. */
		assert_true(stats_of(0).timer_sets - sets <= 2 * 25 + 250);
		assert_int_equal(stats_of(1).asks, asks);
		end();
	}
}

/* Mail but for those that compare how far they are. */
static u64 told_in(u32 cpu, u64 ticks)
{
	struct cpu_stats was = stats_of(cpu), is;

	fake_run_for(ticks);
	is = stats_of(cpu);
	return is.mails - was.mails - (is.asked - was.asked);
}

/* One sleeps that could go where one runs that could make room; but none of
 * those who wait. Each CPU that is idle sees a way there. */
static void many_that_are_idle_leave_one_alone_that_looks(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		struct fake_vcpu *f;

		boot(32, sharing_policy(n));
		f = one(3, 0, 10);
		fake_waits(f, 10 * FAKE_US);
		start_on(f, 0, 3, 0);
		start_on(one(2, 0, 0), 1, 0xffffffff, 0);
		start(one(1, 0, 10));
		start(one(1, 0, 0));
		for (u32 i = 2; i < 32; i++) {
			f = one(1, i, 0);
			start(f);
			stop(f);
		}
		fake_run_for(500 * FAKE_MS);
		assert_true(timer_is_set(&core_of(cpu_by_index(0))->room));
		assert_in_range(told_in(0, 1000 * FAKE_MS), 0, 10);
		end();
	}
}

/* None of theirs may run anywhere else: that is found once. Who may says so. */
static void who_may_go_nowhere_else_is_not_looked_at_again(void **state)
{
	for (u32 n = 0; n < sharing_policy_count(); n++) {
		const struct sched_core *core;

		boot(2, sharing_policy(n));
		start(one(1, 0, 0));
		start(one(1, 0, 0));
		core = core_of(cpu_by_index(0));
		fake_run_for(100 * FAKE_MS);
		assert_false(timer_is_set(&core->room));
		assert_false(core->may_leave);
		start(one(3, 0, 0));
		assert_true(core->may_leave);
		end();
	}
}

static void nobody_looks_where_nobody_is_idle(void **state)
{
	for (u32 n = 0; n < 2 * sharing_policy_count(); n++) {
		u32 cpus = n % 2 ? 2 : 70;
		u64 key[2];

		boot(cpus, sharing_policy(n / 2));
		for (u32 i = 0; i < cpus + 2; i++)
			start(one(1, i % cpus, 0));
		fake_run_for(100 * FAKE_MS);
		for (u32 i = 0; i < 2; i++)
			key[i] = core_of(cpu_by_index(i))->room.node.key;
		fake_run_for(100 * FAKE_MS);
		for (u32 i = 0; i < 2; i++)
			assert_true(core_of(cpu_by_index(i))->room.node.key ==
				    key[i]);
		end();
	}
}

#define LOOKED_AT 1024 /* units of a CPU */

/* So many sleep on CPU 0 that not all units are looked at at once: who may go
 * elsewhere does so all the same, and no CPU is told that it needn't ask. It's
 * the core's, under any policy. */
static void very_many_that_sleep_keep_nobody_from_a_cpu(void **state)
{
	struct fake_vcpu *f[3];
	struct fake_guest *g;

	boot(3, sharing_policy(0));
	for (u32 i = 0; i < 3; i++) {
		f[i] = one(1u << i / 2, 0, 0);
		start(f[i]);
	}
	made[made_count++] = g = fake_guest_make(LOOKED_AT, NULL, 0);
	for (u32 i = 0; i < LOOKED_AT; i++) {
		let(fake_vcpu_of(g, i), 1, 0);
		fake_waits(fake_vcpu_of(g, i), FAKE_US);
	}
	fake_guest_start(g);
	fake_run_for(50 * FAKE_MS);
	let(f[1], 3, 0);
	fake_run_for(50 * FAKE_MS);
	let(f[2], 6, 0);
	fake_run_for(50 * FAKE_MS);
	expect_all_run(f, 3, "very many");
	let(f[1], 1, 0);
	fake_run_for(50 * FAKE_MS);
	assert_false(cpuset_has(&core_of(cpu_by_index(0))->barred, 1));
	assert_false(cpuset_has(&core_of(cpu_by_index(0))->barred, 2));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			very_many_that_sleep_keep_nobody_from_a_cpu),
		cmocka_unit_test(
			who_is_alone_makes_room_for_one_bound_to_its_cpu),
		cmocka_unit_test(room_is_made_for_one_that_wakes),
		cmocka_unit_test(
			who_runs_makes_room_when_another_cpu_becomes_idle),
		cmocka_unit_test(two_that_only_yield_have_a_cpu_each),
		cmocka_unit_test(who_makes_room_is_told_that_it_waits),
		cmocka_unit_test(who_may_not_stay_is_told_that_it_waits),
		cmocka_unit_test(a_row_of_them_moves_up_by_one),
		cmocka_unit_test(no_step_of_a_look_for_a_long_row_is_long),
		cmocka_unit_test(who_waits_takes_the_place_of_one_that_moves),
		cmocka_unit_test(a_way_that_opens_elsewhere_is_found),
		cmocka_unit_test(a_barred_cpu_that_is_idle_is_used_by_a_row),
		cmocka_unit_test(naps_of_others_move_nobody_all_the_time),
		cmocka_unit_test(who_can_not_be_helped_is_hardly_disturbed),
		cmocka_unit_test(many_that_are_idle_leave_one_alone_that_looks),
		cmocka_unit_test(
			who_may_go_nowhere_else_is_not_looked_at_again),
		cmocka_unit_test(nobody_looks_where_nobody_is_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
