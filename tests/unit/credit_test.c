/*
 * Shares, caps, and what guests may try to get more than their share. What is
 * expected is weighted water-filling: weights, but no vCPU more than one CPU.
 */
/* sources: SCHED_CORE kernel/heap.c kernel/sched/credit.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/sched/core.h"
#include "kernel/sched/credit.h"
#include "tests/unit/fake_arch/fake_arch.h"

#define GUESTS_MAX 16

/* What a guest is to be, and the share of one CPU, in thousandths, expected. */
struct want {
	u32 vcpus, weight, cap;
	u64 allowed;
	u32 permille;
};

static struct fake_guest *guests[GUESTS_MAX];
static u32 count;

static void boot(u32 cpus)
{
	count = 0;
	fake_boot(cpus, "credit");
}

static struct fake_guest *make(u32 vcpus, u32 weight, u32 cap, u64 allowed)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	p.weight = weight;
	p.cap = cap;
	guests[count] = fake_guest_make(vcpus, &p, allowed);
	return guests[count++];
}

static void end(void)
{
	while (count)
		fake_guest_free(guests[--count]);
	fake_halt();
}

static void expect(const char *what, u32 i, u64 got, u64 of, u32 permille,
		   u32 tolerance)
{
	s64 is = (s64)(got * 1000 / of);

	if (is < (s64)permille - tolerance || is > (s64)permille + tolerance)
		fail_msg("%s: guest %u got %lld permille of a CPU, "
			 "expected %u +- %u", what, i, (long long)is, permille,
			 tolerance);
}

/* All guests are hogs; their shares over `ms` after a start of 200 ms. */
static void shares(const char *what, u32 cpus, const struct want *w, u32 n,
		   u32 ms, u32 tolerance)
{
	u64 was[GUESTS_MAX];

	boot(cpus);
	for (u32 i = 0; i < n; i++) {
		make(w[i].vcpus, w[i].weight, w[i].cap, w[i].allowed);
		fake_guest_start(guests[i]);
	}
	fake_run_for(200 * FAKE_MS);
	for (u32 i = 0; i < n; i++)
		was[i] = fake_guest_ran(guests[i]);
	fake_run_for((u64)ms * FAKE_MS);
	for (u32 i = 0; i < n; i++)
		expect(what, i, fake_guest_ran(guests[i]) - was[i],
		       (u64)ms * FAKE_MS, w[i].permille, tolerance);
	end();
}

#define SHARES(what, cpus, ms, tolerance, ...)                           \
	do {                                                             \
		const struct want w_[] = { __VA_ARGS__ };                \
		shares(what, cpus, w_, ARRAY_LEN(w_), ms, tolerance);    \
	} while (0)

static void weights_divide_one_cpu(void **state)
{
	(void)state;
	SHARES("1:2:4", 1, 10000, 3, { 1, 100, 0, 0, 143 },
	       { 1, 200, 0, 0, 286 }, { 1, 400, 0, 0, 571 });
	SHARES("1:65535", 1, 20000, 2, { 1, 1, 0, 0, 0 },
	       { 1, 65535, 0, 0, 1000 });
}

static void three_equal_hogs_get_two_thirds_of_two_cpus_each(void **state)
{
	(void)state;
	SHARES("3 on 2", 2, 10000, 7, { 1, 256, 0, 0, 667 },
	       { 1, 256, 0, 0, 667 }, { 1, 256, 0, 0, 667 });
	SHARES("5 on 3", 3, 10000, 7, { 1, 256, 0, 0, 600 },
	       { 1, 256, 0, 0, 600 }, { 1, 256, 0, 0, 600 },
	       { 1, 256, 0, 0, 600 }, { 1, 256, 0, 0, 600 });
}

static void a_vcpu_that_fills_its_cpu_leaves_the_rest_to_others(void **state)
{
	(void)state;
	SHARES("1:2:4 on 2", 2, 10000, 7, { 1, 100, 0, 0, 333 },
	       { 1, 200, 0, 0, 667 }, { 1, 400, 0, 0, 1000 });
	SHARES("10:1:1:1 on 3", 3, 10000, 7, { 1, 1000, 0, 0, 1000 },
	       { 1, 100, 0, 0, 667 }, { 1, 100, 0, 0, 667 },
	       { 1, 100, 0, 0, 667 });
}

/* Who shares a CPU with a capped guest gets all of it for some of each period:
 * with looks at the others as regular as that period, its lag would never be
 * seen. */
static void who_is_beside_a_capped_guest_is_made_up_for(void **state)
{
	(void)state;
	SHARES("2 and one of 30 % on 2", 2, 20000, 10, { 1, 256, 0, 0, 850 },
	       { 1, 256, 0, 0, 850 }, { 1, 256, 30, 0, 300 });
	SHARES("2 and one of 5 % on 2", 2, 20000, 10, { 1, 256, 0, 0, 975 },
	       { 1, 256, 0, 0, 975 }, { 1, 256, 5, 0, 50 });
	SHARES("2+1 and two of 15 % on 3", 3, 20000, 10, { 2, 256, 0, 0, 850 },
	       { 1, 256, 0, 0, 850 }, { 2, 256, 30, 0, 300 },
	       { 1, 512, 0, 0, 1000 });
	SHARES("1 and 20, 40, 60 % on 2", 2, 20000, 25, { 1, 256, 0, 0, 800 },
	       { 1, 256, 20, 0, 200 }, { 1, 256, 40, 0, 400 },
	       { 1, 256, 60, 0, 600 });
	SHARES("2+3+3 and one of 72 % on 8", 8, 20000, 15,
	       { 2, 256, 0, 0, 2000 }, { 3, 256, 0, 0, 2640 },
	       { 3, 256, 0, 0, 2640 }, { 1, 256, 72, 0, 720 });
}

static void a_guests_vcpus_share_its_weight(void **state)
{
	(void)state;
	SHARES("2 vcpus, 1 cpu", 1, 10000, 5, { 2, 256, 0, 0, 500 },
	       { 1, 256, 0, 0, 500 });
	SHARES("8 vcpus, 1 cpu", 1, 10000, 7, { 8, 256, 0, 0, 500 },
	       { 1, 256, 0, 0, 500 });
	SHARES("2+2+1, 2 cpus", 2, 10000, 10, { 2, 256, 0, 0, 667 },
	       { 2, 256, 0, 0, 667 }, { 1, 256, 0, 0, 667 });
	SHARES("2:1 with 2 vcpus each, 2 cpus", 2, 10000, 10,
	       { 2, 512, 0, 0, 1333 }, { 2, 256, 0, 0, 667 });
}

/*
 * Weights 1:2:4(:8), each guest with as many vCPUs, over 10 s: what each gets
 * is within 0.3 % of the machine's time of what is due.
 */
static void fair(u32 cpus, u32 n, u32 vcpus, u32 seed)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	u64 was[GUESTS_MAX], due[GUESTS_MAX], got;
	u64 of = 10000 * FAKE_MS, off = cpus * of * 3 / 1000;
	u32 weights = (1u << n) - 1;
	u64 left = cpus * of;

	boot(cpus);
	p.slice_us = 2000; /* so that the last turns count little */
	for (u32 i = 0; i < n; i++) {
		p.weight = 100u << i;
		guests[count] = fake_guest_make(vcpus, &p, 0);
		fake_guest_start(guests[count++]);
		fake_run_for(seed * (i + 1) * 7301 * FAKE_US);
	}
	/* The heaviest first: it is who may be short of vCPUs. */
	for (u32 i = n; i-- > 0;) {
		due[i] = MIN(left * (1u << i) / weights,
			     MIN(vcpus, cpus) * of);
		left -= due[i];
		weights -= 1u << i;
	}
	fake_run_for(300 * FAKE_MS);
	for (u32 i = 0; i < n; i++)
		was[i] = fake_guest_ran(guests[i]);
	fake_run_for(of);
	for (u32 i = 0; i < n; i++) {
		got = fake_guest_ran(guests[i]) - was[i];
		if (got + off < due[i] || got > due[i] + off)
			fail_msg("%u guests of %u vCPUs on %u CPUs, seed %u: "
				 "weight %u got %llu us, expected %llu +- %llu",
				 n, vcpus, cpus, seed, 100u << i,
				 (unsigned long long)(got / FAKE_US),
				 (unsigned long long)(due[i] / FAKE_US),
				 (unsigned long long)(off / FAKE_US));
	}
	end();
}

static void heavy_guests_get_their_weight_over_many_cpus(void **state)
{
	(void)state;
	for (u32 cpus = 1; cpus <= 4; cpus *= 2) {
		for (u32 n = 3; n <= 4; n++) {
			for (u32 vcpus = 1; vcpus <= 4; vcpus++) {
				for (u32 seed = 0; seed < 3; seed++)
					fair(cpus, n, vcpus, seed);
			}
		}
	}
}

/* On a CPU that is far ahead of another one: a guest whose vCPU is pinned to
 * and fro gets no more than the one that stays, nor is it starved. */
static void hopping_between_cpus_gains_nothing(void **state)
{
	u64 was[2], got[2];

	(void)state;
	for (u32 fast = 0; fast < 2; fast++) {
		boot(2);
		make(1, 16, 0, 1u << fast);   /* puts its CPU far ahead */
		make(1, 256, 0, 0);           /* hops */
		make(1, 256, 0, 1);
		make(1, 256, 0, 2);
		fake_guest_start(guests[0]);
		fake_run_for(2000 * FAKE_MS);
		for (u32 i = 1; i < count; i++)
			fake_guest_start(guests[i]);
		fake_run_for(200 * FAKE_MS);
		was[0] = fake_guest_ran(guests[1]);
		was[1] = fake_guest_ran(guests[2]) + fake_guest_ran(guests[3]);
		for (u32 hop = 0; hop < 400; hop++) {
			struct cpuset to = { { 1u << hop % 2 } };

			assert_int_equal(sched_vcpu_affinity(
						 guests[1]->g.vcpu[0], &to),
					 0);
			fake_run_for((11 + hop % 3 * 17) * FAKE_MS);
		}
		got[0] = fake_guest_ran(guests[1]) - was[0];
		got[1] = fake_guest_ran(guests[2]) +
			 fake_guest_ran(guests[3]) - was[1];
		/* Where it isn't, the other has the CPU but for the light one:
		 * it has about half of one, they a half and a whole. */
		if (got[0] * 1000 / (got[0] + got[1]) < 230 ||
		    got[0] * 1000 / (got[0] + got[1]) > 270)
			fail_msg("CPU %u ahead: who hops got %llu permille, "
				 "expected 250", fast,
				 (unsigned long long)(got[0] * 1000 /
						      (got[0] + got[1])));
		end();
	}
}

static void affinity_counts(void **state)
{
	(void)state;
	SHARES("own cpu", 2, 10000, 7, { 1, 256, 0, 1, 1000 },
	       { 1, 256, 0, 2, 333 }, { 1, 512, 0, 2, 667 });
	SHARES("light one alone", 2, 10000, 7, { 1, 1, 0, 1, 1000 },
	       { 1, 256, 0, 2, 333 }, { 1, 512, 0, 2, 667 });
	/* CPU 0 is behind for good: the others share what they can. */
	SHARES("one behind", 3, 10000, 12, { 4, 1024, 0, 1, 1000 },
	       { 1, 256, 0, 2, 667 }, { 1, 256, 0, 6, 667 },
	       { 1, 256, 0, 6, 667 });
}

static void caps_hold_within_a_hundredth(void **state)
{
	(void)state;
	SHARES("25", 1, 10000, 2, { 1, 256, 25, 0, 250 });
	SHARES("1", 1, 20000, 1, { 1, 256, 1, 0, 10 });
	SHARES("150 of 2 vcpus", 2, 10000, 10, { 2, 256, 150, 0, 1500 });
	SHARES("30 of 4 vcpus on 4", 4, 10000, 3, { 4, 256, 30, 0, 300 });
	SHARES("40 and a hog", 1, 10000, 6, { 1, 256, 40, 0, 400 },
	       { 1, 256, 0, 0, 600 });
	SHARES("40 and a heavy hog", 1, 10000, 6, { 1, 256, 40, 0, 200 },
	       { 1, 1024, 0, 0, 800 });
	SHARES("20+30+none on 2", 2, 10000, 12, { 1, 256, 20, 0, 200 },
	       { 2, 256, 30, 0, 300 }, { 2, 256, 0, 0, 1500 });
}

static void knobs_change_at_run_time(void **state)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	u64 was;

	(void)state;
	boot(1);
	make(1, 256, 20, 0);
	make(1, 256, 0, 0);
	fake_guest_start(guests[0]);
	fake_guest_start(guests[1]);
	fake_run_for(500 * FAKE_MS);
	p.weight = 768;
	sched_guest_params(&guests[0]->g, &p, 0);
	fake_run_for(100 * FAKE_MS);
	was = fake_guest_ran(guests[0]);
	fake_run_for(10000 * FAKE_MS);
	expect("3:1", 0, fake_guest_ran(guests[0]) - was, 10000 * FAKE_MS, 750,
	       7);
	p.cap = 50;
	sched_guest_params(&guests[0]->g, &p, 0);
	fake_run_for(100 * FAKE_MS);
	was = fake_guest_ran(guests[0]);
	fake_run_for(10000 * FAKE_MS);
	expect("cap", 0, fake_guest_ran(guests[0]) - was, 10000 * FAKE_MS, 500,
	       6);
	end();
}

/* A guest that has run without an exit for long when it is given a cap need not
 * pay for that. */
static void what_was_run_before_the_cap_came_is_free(void **state)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct sched_core *core;
	u64 now, was;

	(void)state;
	boot(1);
	make(1, 256, 0, 0);
	fake_guest_start(guests[0]);
	fake_run_for(1000 * FAKE_MS);
	core = core_of(&fake_cpus[0]->c);
	assert_non_null(core->sc.current);
	now = fake_now();
	p.cap = 10;
	sched_guest_params(&guests[0]->g, &p, 0);
	/* The turn that the request ends was of 500 ms. */
	core->ops->charge(&core->sc, core->sc.current, 500 * FAKE_MS,
			  500 * FAKE_MS, now);
	was = fake_guest_ran(guests[0]);
	fake_run_for(1000 * FAKE_MS);
	expect("at once", 0, fake_guest_ran(guests[0]) - was, 1000 * FAKE_MS,
	       100, 10);
	end();
}

/* ---- What guests may try ---- */

/* A hog of the same weight must keep half of the CPU against `act`. */
static void hog_keeps_its_half(const char *what, u32 vcpus, fake_act *act,
			       u64 run, u64 sleep)
{
	u64 was, hog;

	boot(1);
	make(vcpus, 256, 0, 0);
	make(1, 256, 0, 0);
	for (u32 i = 0; i < vcpus; i++) {
		struct fake_vcpu *f = fake_vcpu_of(guests[0], i);

		f->left = f->arg[0] = run;
		f->arg[1] = sleep;
		f->act = act;
	}
	fake_guest_start(guests[0]);
	fake_guest_start(guests[1]);
	fake_run_for(200 * FAKE_MS);
	was = fake_guest_ran(guests[1]);
	fake_run_for(10000 * FAKE_MS);
	hog = fake_guest_ran(guests[1]) - was;
	if (hog < 10000 * FAKE_MS * 490 / 1000)
		fail_msg("%s: the hog got %llu permille", what,
			 (unsigned long long)(hog * 1000 / (10000 * FAKE_MS)));
	end();
}

static void sleeping_before_ticks_gains_nothing(void **state)
{
	(void)state;
	hog_keeps_its_half("9.9 of 10 ms", 1, fake_act_block,
			   99 * FAKE_MS / 10, FAKE_MS / 10);
	hog_keeps_its_half("29 of 30 ms", 1, fake_act_block, 29 * FAKE_MS,
			   FAKE_MS);
	hog_keeps_its_half("0.9 of 1 ms", 1, fake_act_block,
			   9 * FAKE_MS / 10, FAKE_MS / 10);
}

static void yielding_gains_nothing(void **state)
{
	(void)state;
	hog_keeps_its_half("yield", 1, fake_act_yield, 500 * FAKE_US, 0);
	hog_keeps_its_half("yield before the slice ends", 1, fake_act_yield,
			   99 * FAKE_MS / 10, 0);
	hog_keeps_its_half("4 yield", 4, fake_act_yield, 500 * FAKE_US, 0);
}

static void many_vcpus_gain_nothing(void **state)
{
	(void)state;
	hog_keeps_its_half("16 hogs", 16, fake_act_yield, 1000 * FAKE_MS, 0);
	hog_keeps_its_half("16 sleepers", 16, fake_act_block, 5 * FAKE_MS,
			   30 * FAKE_MS);
}

/* Runs arg[0], wakes the next vCPU of the guest, and waits. */
static enum run_end act_pass_on(struct fake_vcpu *f, u64 now)
{
	struct guest *g = f->v.guest;

	(void)now;
	f->left = f->arg[0];
	virq_raise(g->vcpu[(f->v.id + 1) % g->cfg.vcpus], VIRQ_SOFT);
	return RUN_BLOCK;
}

static void vcpus_that_take_turns_gain_nothing(void **state)
{
	(void)state;
	hog_keeps_its_half("2 ms each", 16, act_pass_on, 2 * FAKE_MS, 0);
	hog_keeps_its_half("10 ms each", 16, act_pass_on, 10 * FAKE_MS, 0);
	hog_keeps_its_half("30 ms each", 16, act_pass_on, 30 * FAKE_MS, 0);
}

static void waking_a_second_vcpu_between_looks_gains_nothing(void **state)
{
	u64 was[2];

	(void)state;
	/* On two CPUs: one vCPU is a hog, the other is there half the time. */
	boot(2);
	make(2, 256, 0, 0);
	make(2, 256, 0, 0);
	fake_sleeps(fake_vcpu_of(guests[0], 1), 500 * FAKE_US, 500 * FAKE_US);
	fake_guest_start(guests[0]);
	fake_guest_start(guests[1]);
	fake_run_for(200 * FAKE_MS);
	was[0] = fake_guest_ran(guests[0]);
	was[1] = fake_guest_ran(guests[1]);
	fake_run_for(10000 * FAKE_MS);
	was[0] = fake_guest_ran(guests[0]) - was[0];
	was[1] = fake_guest_ran(guests[1]) - was[1];
	if (was[0] > was[1] * 102 / 100)
		fail_msg("it got %llu, the other %llu",
			 (unsigned long long)was[0],
			 (unsigned long long)was[1]);
	end();
}

static void a_sleeper_below_its_share_is_preferred(void **state)
{
	struct fake_vcpu *f;

	(void)state;
	boot(1);
	make(1, 256, 0, 0);
	make(1, 256, 0, 0);
	make(1, 256, 0, 0);
	f = fake_vcpu_of(guests[0], 0);
	fake_sleeps(f, 500 * FAKE_US, 4500 * FAKE_US);
	for (u32 i = 0; i < count; i++)
		fake_guest_start(guests[i]);
	fake_run_for(10000 * FAKE_MS);
	/* It wants a tenth and waits at most for the ratelimit, never for the
	 * hogs' slices. */
	expect("sleeper", 0, f->ran, 10000 * FAKE_MS, 95, 8);
	assert_true(f->v.sched.ticks[RUNSTATE_RUNNABLE] <
		    f->v.wakes * 1100 * FAKE_US);
	end();
}

/* Bursts and rests of less than the rate limit, beside one that never rests:
 * what it wants, or half if that is less. */
static void who_works_in_short_bursts_has_what_is_due(void **state)
{
	static const struct {
		u32 run_us, sleep_us, permille;
	} nap[] = {{20, 100, 166}, {100, 50, 500}, {500, 250, 500}};
	struct fake_vcpu *f;

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(nap); i++) {
		boot(1);
		make(1, 256, 0, 0);
		make(1, 256, 0, 0);
		f = fake_vcpu_of(guests[0], 0);
		fake_sleeps(f, nap[i].run_us * FAKE_US,
			    nap[i].sleep_us * FAKE_US);
		fake_guest_start(guests[0]);
		fake_guest_start(guests[1]);
		fake_run_for(5000 * FAKE_MS);
		expect("short bursts", i, f->ran, 5000 * FAKE_MS,
		       nap[i].permille, 15);
		end();
	}
}

static void one_woken_on_an_empty_cpu_has_no_head_start(void **state)
{
	u64 was;

	(void)state;
	/* The trap of borrowed virtual time: A sleeps for long, wakes on an
	 * idle CPU and goes on; B, which ran before, must get its half. */
	boot(1);
	make(1, 256, 0, 0);
	make(1, 256, 0, 0);
	for (u32 i = 0; i < 2; i++) {
		struct fake_vcpu *f = fake_vcpu_of(guests[i], 0);

		f->left = i ? 2000 * FAKE_MS : FAKE_MS;
		f->arg[0] = TIME_NEVER;
		f->arg[1] = i ? 1500 * FAKE_MS : 3000 * FAKE_MS;
		f->act = fake_act_block;
		fake_guest_start(guests[i]);
	}
	fake_run_for(3600 * FAKE_MS);
	was = fake_guest_ran(guests[1]);
	fake_run_for(1000 * FAKE_MS);
	expect("the later one", 1, fake_guest_ran(guests[1]) - was,
	       1000 * FAKE_MS, 500, 30);
	end();
}

/* From 200 ms on three guests get two thirds of a CPU each. */
static void expect_two_thirds_soon(const char *what, u32 tolerance)
{
	u64 was[3];

	fake_run_for(200 * FAKE_MS);
	for (u32 i = 0; i < 3; i++)
		was[i] = fake_guest_ran(guests[i]);
	fake_run_for(5000 * FAKE_MS);
	for (u32 i = 0; i < 3; i++)
		expect(what, i, fake_guest_ran(guests[i]) - was[i],
		       5000 * FAKE_MS, 667, tolerance);
}

static void shares_hold_when_guests_come_and_go(void **state)
{
	(void)state;
	boot(2);
	for (u32 i = 0; i < 3; i++)
		make(1, 256, 0, 0);
	fake_guest_start(guests[0]);
	fake_guest_start(guests[1]);
	fake_run_for(5000 * FAKE_MS);
	fake_guest_start(guests[2]);
	expect_two_thirds_soon("late", 10);
	end();
}

/* For the time a CPU was idle it is neither behind nor ahead of the others. */
static void a_cpu_that_idled_for_long_shares_at_once(void **state)
{
	(void)state;
	boot(2);
	make(1, 256, 0, 0);
	make(2, 256, 0, 0);
	make(2, 256, 0, 0);
	fake_guest_start(guests[0]);
	fake_run_for(10000 * FAKE_MS);
	fake_guest_start(guests[1]);
	fake_guest_start(guests[2]);
	expect_two_thirds_soon("after idling", 15);
	end();
}

/* Two guests, one on each CPU, and three for later; the second has a cap, or
 * none (0). */
static void five_make(u32 cap)
{
	boot(2);
	make(1, 256, 0, 1);
	make(1, 256, cap, 2);
	for (u32 i = 0; i < 3; i++)
		make(1, 256, 0, 0);
	fake_guest_start(guests[0]);
	fake_guest_start(guests[1]);
}

/* The three come as well, and all have the same. */
static void five_share(void)
{
	u64 was[5];

	for (u32 i = 2; i < 5; i++)
		fake_guest_start(guests[i]);
	fake_run_for(200 * FAKE_MS);
	for (u32 i = 0; i < 5; i++)
		was[i] = fake_guest_ran(guests[i]);
	fake_run_for(2000 * FAKE_MS);
	for (u32 i = 0; i < 5; i++)
		expect("five on two", i, fake_guest_ran(guests[i]) - was[i],
		       2000 * FAKE_MS, 400, 15);
	end();
}

/* Two heavy guests have made a CPU's time slow; what they leave behind when one
 * ends is nothing that others, who come much later, have to wait for. */
static void what_a_cpu_was_behind_while_nobody_waited_is_no_debt(void **state)
{
	(void)state;
	five_make(0);
	make(1, 768, 0, 1);
	fake_sleeps(fake_vcpu_of(guests[5], 0), 5000 * FAKE_MS,
		    1000000 * FAKE_MS);
	fake_guest_start(guests[5]);
	fake_run_for(8000 * FAKE_MS);
	five_share();
}

/* It was alone there, and was all that its CPU worked for. */
static void what_a_cap_has_denied_is_no_debt_when_it_is_lifted(void **state)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	(void)state;
	five_make(20);
	fake_run_for(8000 * FAKE_MS);
	sched_guest_params(&guests[1]->g, &p, 0);
	five_share();
}

/* Its first queue is another CPU's, which is far ahead of the one where it was
 * started: it takes turns there from the beginning. */
static void who_starts_elsewhere_is_owed_nothing(void **state)
{
	u64 was;

	(void)state;
	boot(2);
	for (u32 i = 0; i < 3; i++)
		make(1, 1024, 0, 1);
	make(1, 256, 0, 2);
	for (u32 i = 0; i < 4; i++)
		fake_guest_start(guests[i]);
	fake_run_for(2000 * FAKE_MS);
	make(1, 256, 0, 0);
	guests[4]->g.vcpu[0]->cpu = cpu_by_index(0);
	was = fake_guest_ran(guests[3]);
	fake_guest_start(guests[4]);
	fake_run_for(40 * FAKE_MS);
	assert_ptr_equal(guests[4]->g.vcpu[0]->cpu, cpu_by_index(1));
	expect("the one that was there", 3, fake_guest_ran(guests[3]) - was,
	       40 * FAKE_MS, 500, 255);
	end();
}

/* The host's timer is set for turns that end, and for looks at other CPUs. */
static u64 timer_sets(u64 ticks)
{
	u64 sets = 0;

	for (u32 i = 0; i < cpu_count(); i++)
		sets -= fake_cpus[i]->c.stats.timer_sets;
	fake_run_for(ticks);
	for (u32 i = 0; i < cpu_count(); i++)
		sets += fake_cpus[i]->c.stats.timer_sets;
	return sets;
}

static u64 asks(void)
{
	u64 sum = 0;

	for (u32 i = 0; i < cpu_count(); i++)
		sum += fake_cpus[i]->c.stats.asks;
	return sum;
}

static void where_nobody_waits_nobody_is_interrupted(void **state)
{
	struct cpuset all = { { 15 } };
	u64 sets, rings;

	(void)state;
	boot(4);
	make(3, 256, 0, 0);
	make(1, 256, 0, 8);
	for (u32 i = 0; i < 2; i++)
		fake_guest_start(guests[i]);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(timer_sets(2000 * FAKE_MS), 0);
	/* One waits, where it has to: the others ask for it once, in vain. The
	 * two take turns, 10 ms each, and look for who may be further
	 * behind. */
	make(1, 256, 0, 8);
	fake_guest_start(guests[2]);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(asks(), 3);
	sets = timer_sets(700 * FAKE_MS);
	assert_true(sets >= 70 && sets < 2 * 75);
	assert_int_equal(asks(), 3);
	/* Nor are they told that one begins to wait there. */
	rings = fake_cpus[0]->rings;
	make(1, 256, 0, 8);
	fake_sleeps(fake_vcpu_of(guests[3], 0), FAKE_MS, 10 * FAKE_MS);
	fake_guest_start(guests[3]);
	fake_run_for(700 * FAKE_MS);
	assert_in_range(guests[3]->g.vcpu[0]->wakes, 30, 64);
	assert_in_range(fake_cpus[0]->rings - rings, 0, 2);
	fake_guest_free(guests[--count]);
	/* It need not any more: it has its share of all. */
	assert_int_equal(sched_vcpu_affinity(guests[2]->g.vcpu[0], &all), 0);
	sets = fake_guest_ran(guests[2]);
	fake_run_for(4000 * FAKE_MS);
	assert_true(asks() > 100);
	sets = fake_guest_ran(guests[2]) - sets;
	assert_true(sets > 3800 * FAKE_MS);
	fake_guest_free(guests[--count]);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(timer_sets(2000 * FAKE_MS), 0);
	/* A turn without end would be charged at once: each of the four looks,
	 * and sets its timer for the next time. */
	sets = timer_sets(60000 * FAKE_MS);
	assert_true(sets >= 4 && sets <= 8);
	end();
}

static void a_cpu_that_waits_has_no_vcpu_loaded(void **state)
{
	struct sched_params params = { .weight = 256, .cap = 20,
				       .slice_us = 10000 };
	struct fake_guest *g;
	u64 waits;

	(void)state;
	fake_boot(1, "credit");
	g = fake_guest_make(1, &params, 0);
	fake_guest_start(g);
	/* It never blocks, but waits for its cap:
	 * the fake's arch_wait looks. */
	fake_run_for(100 * FAKE_MS);
	waits = fake_cpus[0]->c.stats.waits;
	assert_true(waits > 0 && waits < 10000);
	assert_true(fake_guest_ran(g) < 30 * FAKE_MS);
	fake_guest_free(g);
	fake_halt();
}

/* Works, wakes its neighbour in arg[2] in the middle of it, goes to sleep. */
static enum run_end act_wake_other(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	f->deadline = TIME_NEVER;
	f->arg[3] ^= 1;
	if (!f->arg[3])
		return RUN_BLOCK;
	virq_raise((struct vcpu *)(uintptr_t)f->arg[2], VIRQ_SOFT);
	return RUN_LOOK;
}

static void vcpus_that_wake_each_other_have_one_guests_share(void **state)
{
	(void)state;
	for (u64 us = 20; us <= 2000; us *= 10) {
		u64 was;

		boot(1);
		make(2, 256, 0, 0);
		make(1, 256, 0, 0);
		for (u32 i = 0; i < 2; i++) {
			struct fake_vcpu *f = fake_vcpu_of(guests[0], i);

			f->act = act_wake_other;
			f->left = f->arg[0] = us * FAKE_US;
			f->arg[2] = (uintptr_t)guests[0]->g.vcpu[!i];
		}
		fake_guest_start(guests[0]);
		fake_guest_start(guests[1]);
		fake_run_for(200 * FAKE_MS);
		was = fake_guest_ran(guests[1]);
		fake_run_for(10000 * FAKE_MS);
		expect("wake each other", 1, fake_guest_ran(guests[1]) - was,
		       10000 * FAKE_MS, 500, 20);
		end();
	}
}

/* ---- The queue, whoever comes and goes ---- */

#define LOT 3 /* guests; the last has a cap */
#define LOT_VCPUS 3

/* Mostly gives way; arg[3] is the seed. */
static enum run_end act_of_lot(struct fake_vcpu *f, u64 now)
{
	u32 seed = (u32)f->arg[3], what = fake_random(&seed) % 16;
	struct guest *g = f->v.guest;

	f->left = 1 + fake_random(&seed) % (100 * FAKE_US);
	f->deadline = now + 1 + fake_random(&seed) % (2 * FAKE_MS);
	if (what < 4)
		virq_raise(g->vcpu[what % LOT_VCPUS], VIRQ_SOFT);
	f->arg[3] = seed;
	return what < 1 ? RUN_BLOCK : what < 5 ? RUN_LOOK : RUN_YIELD;
}

static void lot_make(u32 i, u32 *seed)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	p.cap = i == LOT - 1 ? 90 : 0;
	guests[i] = fake_guest_make(LOT_VCPUS, &p, 0);
	for (u32 k = 0; k < LOT_VCPUS; k++) {
		struct fake_vcpu *f = fake_vcpu_of(guests[i], k);

		f->act = act_of_lot;
		f->left = 1;
		f->arg[3] = fake_random(seed);
	}
	fake_guest_start(guests[i]);
}

static void lot_disturb(u32 cpus, u32 *seed)
{
	u32 i = fake_random(seed) % LOT;
	struct vcpu *v = guests[i]->g.vcpu[fake_random(seed) % LOT_VCPUS];
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct cpuset to = {{1 + fake_random(seed) % ((1u << cpus) - 1)}};

	switch (fake_random(seed) % 40) {
	case 0:
		fake_guest_free(guests[i]);
		lot_make(i, seed);
		break;
	case 1:
		p.weight = 1 + fake_random(seed) % 512;
		p.cap = fake_random(seed) % 2 ? 30 + fake_random(seed) % 90 : 0;
		sched_guest_params(&guests[i]->g, &p, 0);
		break;
	case 2:
		(void)!sched_policy_set("credit", NULL);
		break;
	case 3:
	case 4:
		assert_int_equal(sched_vcpu_affinity(v, &to), 0);
		break;
	default:
		sched_vcpu_request(v, fake_random(seed) % 3 ?
					      VCPU_REQ_RESUME :
					      VCPU_REQ_PAUSE);
		break;
	}
}

/* Those that are to be met in the queue are, by their times; and the current
 * has lent its match where it may be needed. */
static void lot_check(u32 cpu)
{
	struct sched_core *core = core_of(&fake_cpus[cpu]->c);
	struct credit_cpu *cc = core->sc.part;
	struct vqueue_unit *n = NULL;
	u32 waiting = 0;

	if (!core->epoch)
		return;
	for (struct sched_unit *u = core->units; u; u = u->next) {
		struct credit_unit *cu = u->part;

		if (u->queued)
			waiting += !cu->node.group ||
				   !vqueue_parked(cu->node.group);
	}
	while ((n = vqueue_walk(&cc->queue, n))) {
		assert_true(unit_at(n)->unit->queued);
		assert_ptr_equal(unit_at(n)->unit->home, &core->sc);
		if (!n->group)
			assert_true(unit_at(n)->vtime.at == vqueue_key(n));
		waiting--;
	}
	assert_int_equal(waiting, 0);
	if (cc->queue.ready.top)
		assert_int_equal(cc->queue.ready.lent != NULL,
				 core->sc.current != NULL);
}

static void the_queue_is_whole_whoever_comes_and_goes(void **state)
{
	(void)state;
	for (u32 cpus = 1; cpus <= 3; cpus++) {
		u32 seed = cpus;

		boot(cpus);
		for (count = 0; count < LOT; count++)
			lot_make(count, &seed);
		for (u32 step = 0; step < 6000; step++) {
			lot_disturb(cpus, &seed);
			fake_run_for(fake_random(&seed) % (200 * FAKE_US));
			for (u32 i = 0; i < cpus; i++)
				lot_check(i);
		}
		end();
	}
}

/* Where some wait all the time what others have had is not forgotten. */
static void who_waits_is_owed_what_others_had(void **state)
{
	const struct credit_cpu *cc;
	u64 was;

	(void)state;
	boot(2);
	for (u32 i = 0; i < 4; i++)
		make(1, 256, 0, i < 2 ? 1 : 2);
	for (u32 i = 0; i < 3; i++)
		fake_guest_start(guests[i]);
	fake_run_for(1000 * FAKE_MS);
	cc = core_of(&fake_cpus[0]->c)->sc.part;
	was = cc->vtime.now;
	fake_guest_start(guests[3]);
	fake_run_for(FAKE_MS);
	assert_true(cc->vtime.now - was < 20 * FAKE_MS * VTIME_PER_TICK);
	lot_check(0);
	end();
}

static u64 vtime_of(const struct fake_guest *g)
{
	const struct credit_unit *cu = g->g.vcpu[0]->sched.part;

	return cu->vtime.at;
}

/* A light guest that is alone until its CPU looks at the others is a second
 * ahead after that. Who comes to help there has not run for a second. */
static void who_comes_to_a_light_one_is_not_put_ahead(void **state)
{
	u64 most = 100 * FAKE_MS * VTIME_PER_TICK;
	s64 apart;

	(void)state;
	boot(2);
	make(1, 512, 0, 1);
	make(1, 512, 0, 0);
	make(1, 2, 0, 2);
	make(1, 512, 0, 2);
	fake_sleeps(fake_vcpu_of(guests[3], 0), 20 * FAKE_MS, 30 * FAKE_MS);
	for (u32 i = 0; i < 4; i++)
		fake_guest_start(guests[i]);
	for (u32 i = 0; i < 2000; i++) {
		fake_run_for(FAKE_MS);
		apart = (s64)(vtime_of(guests[1]) - vtime_of(guests[0]));
		assert_in_range(apart + (s64)most, 0, 2 * most);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_divide_one_cpu),
		cmocka_unit_test(who_comes_to_a_light_one_is_not_put_ahead),
		cmocka_unit_test(the_queue_is_whole_whoever_comes_and_goes),
		cmocka_unit_test(who_waits_is_owed_what_others_had),
		cmocka_unit_test(a_cpu_that_waits_has_no_vcpu_loaded),
		cmocka_unit_test(where_nobody_waits_nobody_is_interrupted),
		cmocka_unit_test(
			vcpus_that_wake_each_other_have_one_guests_share),
		cmocka_unit_test(
			three_equal_hogs_get_two_thirds_of_two_cpus_each),
		cmocka_unit_test(
			who_is_beside_a_capped_guest_is_made_up_for),
		cmocka_unit_test(
			a_vcpu_that_fills_its_cpu_leaves_the_rest_to_others),
		cmocka_unit_test(a_guests_vcpus_share_its_weight),
		cmocka_unit_test(heavy_guests_get_their_weight_over_many_cpus),
		cmocka_unit_test(hopping_between_cpus_gains_nothing),
		cmocka_unit_test(affinity_counts),
		cmocka_unit_test(caps_hold_within_a_hundredth),
		cmocka_unit_test(knobs_change_at_run_time),
		cmocka_unit_test(what_was_run_before_the_cap_came_is_free),
		cmocka_unit_test(sleeping_before_ticks_gains_nothing),
		cmocka_unit_test(yielding_gains_nothing),
		cmocka_unit_test(many_vcpus_gain_nothing),
		cmocka_unit_test(vcpus_that_take_turns_gain_nothing),
		cmocka_unit_test(
			waking_a_second_vcpu_between_looks_gains_nothing),
		cmocka_unit_test(a_sleeper_below_its_share_is_preferred),
		cmocka_unit_test(who_works_in_short_bursts_has_what_is_due),
		cmocka_unit_test(one_woken_on_an_empty_cpu_has_no_head_start),
		cmocka_unit_test(shares_hold_when_guests_come_and_go),
		cmocka_unit_test(a_cpu_that_idled_for_long_shares_at_once),
		cmocka_unit_test(
			what_a_cpu_was_behind_while_nobody_waited_is_no_debt),
		cmocka_unit_test(
			what_a_cap_has_denied_is_no_debt_when_it_is_lifted),
		cmocka_unit_test(who_starts_elsewhere_is_owed_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
