/*
 * Virtual time: each rule of who may claim what, and what would come of it on
 * a machine if it weren't there.
 */
/* sources: SCHED_CORE kernel/heap.c kernel/sched/credit.c kernel/sched/rr.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/sched/vtime.h"
#include "tests/unit/fake_arch/fake_arch.h"

/* A millisecond of one vCPU of a guest of weight 256; and the claim of one. */
#define MS (FAKE_MS * VTIME_PER_TICK)
#define CLAIM (VTIME_CLAIM_US / 1000 * MS)
#define SLICE (10 * MS)

/* A CPU and a unit to be brought together; the guest has no runnable vCPU. */
static struct fake_guest *guest;
static struct sched_unit *unit;
static struct sched_cpu *here;
static struct vtime_cpu vc;
static struct vtime_unit vu;
static struct vtime_guest vg;
static u64 from; /* how far behind one may be that is moved to a busy CPU */

static void boot(u32 cpus, u32 weight)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	fake_boot(cpus, "credit");
	p.weight = weight;
	guest = fake_guest_make(1, &p, 0);
	unit = &guest->g.vcpu[0]->sched;
	here = fake_cpus[0]->c.sched;
	vc = (struct vtime_cpu){ 0 };
	vtime_cpu_init(&vc);
	vu = (struct vtime_unit){ 0 };
	vg = (struct vtime_guest){ 0 };
}

static void end(void)
{
	fake_guest_free(guest);
	fake_halt();
}

static void join(enum sched_why why, bool empty)
{
	if (why == WHY_MOVED && !empty && vtime_keeps_place(&vu))
		vtime_keep_place(&vc, &vu, unit, from);
	vtime_join(here, &vc, &vu, &vg, unit, why, empty, fake_now());
}

/* Where the unit is put, from `at` on a busy CPU that is at `now`. */
static u64 joined(enum sched_why why, u64 now, u64 at)
{
	vc.now = now;
	vu.at = at;
	join(why, false);
	assert_int_equal(vc.now, now);
	return vu.at;
}

static void expect(u64 is, u64 want)
{
	if (is != want)
		fail_msg("is at %lld us, expected %lld us",
			 (long long)is / VTIME_PER_TICK / (s64)FAKE_US,
			 (long long)want / VTIME_PER_TICK / (s64)FAKE_US);
}

static void the_scale_has_no_end(void **state)
{
	(void)state;
	assert_int_equal(vtime_later(-5ULL, 3), 3);
	assert_int_equal(vtime_earlier(-5ULL, 3), -5ULL);
	boot(1, 256);
	/* Just before the end of the scale, and beyond it. */
	for (u64 now = -2 * CLAIM; now != 2 * CLAIM; now += CLAIM / 4) {
		expect(joined(WHY_WOKEN, now, now - 9 * CLAIM), now - CLAIM);
		expect(joined(WHY_WOKEN, now, now + 9 * CLAIM), now + CLAIM);
		expect(joined(WHY_WOKEN, now, now + 1), now + 1);
	}
	vu.at = -10ULL;
	vtime_charge(&vu, &vg, unit, 1);
	expect(vu.at, VTIME_PER_TICK - 10);
	expect(vg.furthest, VTIME_PER_TICK - 10);
	/* 0 means that nobody has run: who is just there says no more, and
	 * nothing is taken from who comes next. */
	vu.at = -(u64)VTIME_PER_TICK;
	vg.furthest = -(u64)VTIME_PER_TICK;
	vtime_charge(&vu, &vg, unit, 1);
	assert_int_equal(vu.at, 0);
	vtime_charge(&vu, &vg, unit, 1);
	expect(vg.furthest, VTIME_PER_TICK);
	end();
}

static void time_goes_by_weight(void **state)
{
	static const struct {
		u32 weight;
		u64 at;
	} t[] = { { 256, 10 * MS }, { 512, 5 * MS }, { 1, 2560 * MS } };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(t); i++) {
		boot(1, t[i].weight);
		vtime_charge(&vu, &vg, unit, 10 * FAKE_MS);
		expect(vu.at, t[i].at);
		/* The guest's furthest stays where the furthest unit was. */
		vu.at = 0;
		vtime_charge(&vu, &vg, unit, FAKE_MS);
		expect(vg.furthest, t[i].at);
		end();
	}
}

static void a_sleeper_claims_and_owes_at_most_the_claim(void **state)
{
	(void)state;
	boot(1, 256);
	expect(joined(WHY_WOKEN, 1000 * MS, 0), 1000 * MS - CLAIM);
	/* Who was off wanted nothing. */
	expect(joined(WHY_NEW, 1000 * MS, 0), 1000 * MS);
	expect(joined(WHY_ARRIVED, 1000 * MS, 0), 1000 * MS);
	expect(joined(WHY_NEW, 1000 * MS, 1010 * MS), 1010 * MS);
	expect(joined(WHY_NEW, 1000 * MS, 1ULL << 62), 1000 * MS + CLAIM);
	expect(joined(WHY_WOKEN, 1000 * MS, 1ULL << 62), 1000 * MS + CLAIM);
	expect(joined(WHY_WOKEN, 1000 * MS, 990 * MS), 990 * MS);
	/* By weight: a heavy guest's time goes more slowly. */
	unit->account->weight = 1024;
	expect(joined(WHY_WOKEN, 1000 * MS, 0), 1000 * MS - CLAIM / 4);
	/* Who only gave way stays where it is. */
	expect(joined(WHY_EXPIRED, 1000 * MS, 1), 1);
	expect(joined(WHY_PREEMPTED, 1000 * MS, 1ULL << 62), 1ULL << 62);
	end();
}

static void what_the_guest_s_others_used_counts(void **state)
{
	(void)state;
	boot(1, 256);
	vg.furthest = 995 * MS;
	expect(joined(WHY_WOKEN, 1000 * MS, 0), 995 * MS);
	/* On a CPU that is far ahead of this one: a slice at most. */
	vg.furthest = 5000 * MS;
	expect(joined(WHY_WOKEN, 1000 * MS, 0), 1010 * MS);
	/* It isn't asked of who comes from another queue. */
	vu.waited = true;
	expect(joined(WHY_MOVED, 1000 * MS, 999 * MS), 999 * MS);
	end();
}

static void who_comes_goes_first_for_what_those_here_can_claim(void **state)
{
	(void)state;
	boot(1, 256);
	expect(vtime_ahead_of(&vc, unit->account, 1000 * MS),
	       1000 * MS - CLAIM - SLICE);
	unit->account->weight = 1024;
	expect(vtime_ahead_of(&vc, unit->account, 1000 * MS),
	       1000 * MS - (CLAIM + SLICE) / 4);
	unit->account->weight = 1;
	expect(vtime_ahead_of(&vc, unit->account, 1000 * MS),
	       1000 * MS - (CLAIM + SLICE) * 256);
	end();
}

static void who_comes_from_a_queue_keeps_its_place_within_that(void **state)
{
	(void)state;
	boot(1, 256);
	from = 300 * MS;
	for (u64 at = 0; at <= 1100 * MS; at += 50 * MS) {
		vu.waited = true;
		expect(joined(WHY_MOVED, 1000 * MS, at),
		       at < from ? from :
		       at > 1050 * MS ? 1000 * MS + CLAIM + SLICE : at);
		/* Once only: who hasn't waited may claim what a sleeper may. */
		assert_false(vu.waited);
		expect(joined(WHY_MOVED, 1000 * MS, 400 * MS),
		       1000 * MS - CLAIM);
	}
	end();
}

static void who_is_driven_off_takes_its_lag_along(void **state)
{
	(void)state;
	boot(1, 256);
	for (s64 lag = -30; lag <= 30; lag += 10) {
		u64 at = 5000 * MS + (u64)lag * MS;

		vc.now = 5000 * MS;
		vtime_part(&vc, &vu, true);
		expect(joined(WHY_MOVED, 70 * MS, at), 70 * MS + (u64)lag * MS);
	}
	end();
}

/* The CPU has been empty since `idle` ago; another one is at `other`. */
static u64 rejoined(enum sched_why why, u64 idle, u64 other)
{
	vc = (struct vtime_cpu){ .now = 7 * MS,
				 .empty_since = fake_now() - idle };
	vtime_cpu_init(&vc);
	fake_cpus[1]->c.vtime = other;
	vu = (struct vtime_unit){ .at = 7 * MS, .left_at = 7 * MS,
				  .driven = why == WHY_MOVED };
	join(why, true);
	assert_int_equal(vc.empty_since, 0);
	return vc.now;
}

static void a_cpu_that_was_empty_for_long_goes_by_the_others(void **state)
{
	static const enum sched_why whys[] = { WHY_WOKEN, WHY_NEW, WHY_MOVED };

	(void)state;
	boot(2, 256);
	fake_run_for(100 * FAKE_MS);
	for (u32 i = 0; i < ARRAY_LEN(whys); i++) {
		expect(rejoined(whys[i], 41 * FAKE_MS, 3000 * MS), 3000 * MS);
		expect(rejoined(whys[i], 39 * FAKE_MS, 3000 * MS), 7 * MS);
		/* Nobody runs anywhere else. */
		expect(rejoined(whys[i], 99 * FAKE_MS, TIME_NEVER), 7 * MS);
	}
	assert_true((s64)(vu.at - vc.now) >= -(s64)CLAIM);
	fake_cpus[1]->c.vtime = TIME_NEVER;
	end();
}

/* A vCPU that is alone may not have been charged for minutes. */
static void a_turn_that_has_not_ended_counts_for_how_far_a_cpu_is(void **state)
{
	struct cpu *c;

	(void)state;
	boot(2, 512);
	c = &fake_cpus[1]->c;
	fake_run_for(5000 * FAKE_MS);
	c->current = guest->g.vcpu[0];
	/* Another one has given way to it: the CPU's turns began before. */
	c->turn_since = fake_now() - 4500 * FAKE_MS;
	unit->charged_ticks = fake_now() - 4000 * FAKE_MS;
	/* Its guest has one vCPU that could run for all that time. */
	unit->account->active = 1ULL << ACTIVE_BITS;
	unit->charged_active = unit->charged_ticks;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 5000 * MS);
	/* It is of the same guest, who has not slept then. */
	expect(vu.at, 5000 * MS);
	/* Where somebody waits, the CPU is no further than that. */
	c->wait_vtime = 4000 * MS;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 4000 * MS);
	c->wait_vtime = TIME_NEVER;
	/* Read while it is charged: never more than the turn allows. */
	unit->charged_active = 0;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 5000 * MS);
	unit->charged_active = -1ULL;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 5000 * MS);
	/* Or its turn has just begun, and it hasn't been charged since the one
	 * before. */
	unit->charged_ticks = fake_now() - 4900 * FAKE_MS;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 5250 * MS);
	/* Between two turns it has just said how far it is. */
	c->turn_since = 0;
	expect(rejoined(WHY_WOKEN, 41 * FAKE_MS, 3000 * MS), 3000 * MS);
	c->current = NULL;
	c->vtime = TIME_NEVER;
	unit->account->active = 0;
	end();
}

static void a_cpus_time_never_goes_back_while_somebody_is_there(void **state)
{
	(void)state;
	boot(1, 256);
	vc.now = 100 * MS;
	vtime_follow(&vc, 50 * MS);
	expect(vc.now, 100 * MS);
	vtime_follow(&vc, 150 * MS);
	expect(vc.now, 150 * MS);
	end();
}

/* ---- On a machine ---- */

static struct fake_guest *made[3];

static struct fake_guest *hog_make(u32 i, u32 weight, u64 allowed)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	p.weight = weight;
	made[i] = fake_guest_make(1, &p, allowed);
	return made[i];
}

static void machine_end(u32 n)
{
	for (u32 i = 0; i < n; i++)
		fake_guest_free(made[i]);
	fake_halt();
}

/* Over a second, in thousandths of a CPU. */
static void expect_shares(u32 n, u32 permille, u32 tolerance)
{
	u64 was[3];

	for (u32 i = 0; i < n; i++)
		was[i] = fake_guest_ran(made[i]);
	fake_run_for(1000 * FAKE_MS);
	for (u32 i = 0; i < n; i++) {
		u64 got = (fake_guest_ran(made[i]) - was[i]) / FAKE_MS;

		if (got + tolerance < permille || got > permille + tolerance)
			fail_msg("guest %u got %llu permille of a CPU, "
				 "expected %u +- %u", i,
				 (unsigned long long)got, permille, tolerance);
	}
}

/* Sleeps until arg[0], is a hog from then on. */
static enum run_end sleep_then_run(struct fake_vcpu *f, u64 now)
{
	f->left = now < f->arg[0] ? 10 * FAKE_US : TIME_NEVER;
	f->deadline = f->arg[0];
	return now < f->arg[0] ? RUN_BLOCK : RUN_LOOK;
}

static void who_wakes_onto_an_idle_cpu_has_no_head_start(void **state)
{
	const struct cpuset any = { { 3 } };
	struct fake_vcpu *f;
	u64 wake;

	(void)state;
	fake_boot(2, "credit");
	wake = fake_now() + 10000 * FAKE_MS;
	f = fake_vcpu_of(hog_make(0, 256, 1), 0);
	f->left = 10 * FAKE_US;
	f->arg[0] = wake;
	f->act = sleep_then_run;
	hog_make(1, 256, 1);
	hog_make(2, 256, 0);
	/* Both belong to CPU 0; CPU 1 is idle. */
	fake_guest_start(made[0]);
	fake_run_for(FAKE_MS);
	fake_guest_start(made[1]);
	fake_run_for(5000 * FAKE_MS);
	assert_int_equal(f->cpu, 0);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(sched_vcpu_affinity(made[i]->g.vcpu[0], &any),
				 0);
	fake_run_until(wake + 50 * FAKE_MS);
	assert_int_equal(f->cpu, 1);
	fake_guest_start(made[2]);
	fake_run_for(200 * FAKE_MS);
	expect_shares(3, 667, 20);
	machine_end(3);
}

static void a_guest_whose_weight_is_raised_need_not_wait_for_it(void **state)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	(void)state;
	fake_boot(1, "credit");
	hog_make(0, 1, 0);
	hog_make(1, 65535, 0);
	fake_guest_start(made[0]);
	fake_guest_start(made[1]);
	fake_run_for(1000 * FAKE_MS);
	p.weight = 65535;
	sched_guest_params(&made[0]->g, &p, 0);
	fake_run_for(200 * FAKE_MS);
	expect_shares(2, 500, 20);
	machine_end(2);
}

/* How far apart CPU 0, where somebody runs, and CPU 1 are, when after a long
 * time somebody runs there too. */
static void expect_near(void)
{
	s64 apart;

	hog_make(1, 256, 2);
	fake_run_for(2000 * FAKE_MS);
	fake_guest_start(made[1]);
	fake_run_for(20 * FAKE_MS);
	apart = (s64)(fake_cpus[0]->c.vtime - fake_cpus[1]->c.vtime);
	if (apart > (s64)CLAIM || apart < -(s64)CLAIM)
		fail_msg("the CPUs are %lld us apart, expected %u at most",
			 (long long)apart / VTIME_PER_TICK / (s64)FAKE_US,
			 VTIME_CLAIM_US);
	machine_end(2);
}

static void an_empty_cpu_knows_since_when(void **state)
{
	(void)state;
	fake_boot(2, "credit");
	fake_guest_start(hog_make(0, 256, 1));
	expect_near();
	/* And where it was empty before the policy came. */
	fake_boot(2, "rr");
	fake_guest_start(hog_make(0, 256, 1));
	fake_run_for(50 * FAKE_MS);
	assert_int_equal(sched_policy_set("credit", NULL), 0);
	expect_near();
}

static void a_change_of_policy_puts_all_at_their_cpus_time(void **state)
{
	(void)state;
	fake_boot(1, "credit");
	hog_make(0, 256, 0);
	hog_make(1, 256, 0);
	fake_guest_start(made[0]);
	fake_run_for(1000 * FAKE_MS);
	assert_int_equal(sched_policy_set("rr", NULL), 0);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(sched_policy_set("credit", NULL), 0);
	fake_run_for(20 * FAKE_MS);
	if ((s64)fake_cpus[0]->c.vtime > (s64)CLAIM)
		fail_msg("a time that began 20 ms ago is at %lld us",
			 (long long)fake_cpus[0]->c.vtime / VTIME_PER_TICK /
				 (s64)FAKE_US);
	fake_guest_start(made[1]);
	fake_run_for(200 * FAKE_MS);
	expect_shares(2, 500, 20);
	machine_end(2);
}

/* Where only a light guest was left, a slice of it is nothing that others are
 * behind. */
static void who_was_set_aside_comes_back_behind_nobody_that_waits(void **state)
{
	static const u64 none = TIME_NEVER;

	(void)state;
	boot(3, 256);
	vc.now = 100 * MS;
	/* Nobody waits anywhere: the CPU's time is all there is. */
	assert_int_equal(vtime_floor(here, &vc, none), 100 * MS);
	/* What waits on this CPU is not asked. */
	fake_cpus[0]->c.wait_vtime = 30 * MS;
	assert_int_equal(vtime_floor(here, &vc, none), 100 * MS);
	fake_cpus[1]->c.wait_vtime = 40 * MS;
	assert_int_equal(vtime_floor(here, &vc, none), 40 * MS);
	fake_cpus[2]->c.wait_vtime = 60 * MS;
	assert_int_equal(vtime_floor(here, &vc, none), 60 * MS);
	/* Nor behind the first that waits here; who isn't asked for more. */
	assert_int_equal(vtime_floor(here, &vc, 50 * MS), 50 * MS);
	assert_int_equal(vtime_floor(here, &vc, 80 * MS), 60 * MS);
	/* No later than the CPU's own time, whatever waits elsewhere. */
	fake_cpus[1]->c.wait_vtime = 140 * MS;
	assert_int_equal(vtime_floor(here, &vc, 120 * MS), 100 * MS);
	assert_int_equal(vtime_floor(here, &vc, 70 * MS), 70 * MS);
	assert_int_equal(vtime_floor(here, &vc, none), 100 * MS);
	/* Times have no end. */
	vc.now = 10 * MS;
	fake_cpus[1]->c.wait_vtime = 0 - 5 * MS;
	fake_cpus[2]->c.wait_vtime = 5 * MS;
	assert_int_equal(vtime_floor(here, &vc, none), 5 * MS);
	fake_cpus[2]->c.wait_vtime = TIME_NEVER;
	assert_int_equal(vtime_floor(here, &vc, none), 0 - 5 * MS);
	for (u32 i = 0; i < 3; i++)
		fake_cpus[i]->c.wait_vtime = TIME_NEVER;
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scale_has_no_end),
		cmocka_unit_test(time_goes_by_weight),
		cmocka_unit_test(a_sleeper_claims_and_owes_at_most_the_claim),
		cmocka_unit_test(what_the_guest_s_others_used_counts),
		cmocka_unit_test(
			who_comes_goes_first_for_what_those_here_can_claim),
		cmocka_unit_test(
			who_comes_from_a_queue_keeps_its_place_within_that),
		cmocka_unit_test(who_is_driven_off_takes_its_lag_along),
		cmocka_unit_test(
			a_cpu_that_was_empty_for_long_goes_by_the_others),
		cmocka_unit_test(
			a_turn_that_has_not_ended_counts_for_how_far_a_cpu_is),
		cmocka_unit_test(
			a_cpus_time_never_goes_back_while_somebody_is_there),
		cmocka_unit_test(who_wakes_onto_an_idle_cpu_has_no_head_start),
		cmocka_unit_test(
			a_guest_whose_weight_is_raised_need_not_wait_for_it),
		cmocka_unit_test(an_empty_cpu_knows_since_when),
		cmocka_unit_test(
			a_change_of_policy_puts_all_at_their_cpus_time),
		cmocka_unit_test(
			who_was_set_aside_comes_back_behind_nobody_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
