/*
 * The core on a made-up architecture: requests, wakes, hand-overs, tasks,
 * WFI policies and the waiting for all CPUs, mostly under rr.
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

static struct cpu_stats stats_of(u32 cpu)
{
	struct cpu_stats s;

	sched_cpu_stats(cpu, &s);
	return s;
}

/* A guest of one vCPU under rr on `cpus` CPUs, of which it may use `set`, which
 * has run for 10 us and waits for an interrupt. */
static struct fake_guest *sleeper(u32 cpus, u64 set)
{
	struct fake_guest *g;

	fake_boot(cpus, "rr");
	g = fake_guest_make(1, NULL, set);
	fake_waits(fake_vcpu_of(g, 0), 10 * FAKE_US);
	fake_guest_start(g);
	fake_run_for(5 * FAKE_MS);
	assert_int_equal(g->g.vcpu[0]->state, VCPU_BLOCKED);
	assert_null(fake_vcpu_of(g, 0)->loaded);
	return g;
}

/* ---- Boot ---- */

static void an_unknown_policy_is_refused(void **state)
{
	(void)state;
	cpu_table_len = 0;
	assert_int_equal(sched_init("nothing"), -ENOENT);
}

/* ---- Life ---- */

static void a_vcpu_is_off_until_started_and_after_it_is_killed(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(2, "rr");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	fake_run_for(FAKE_MS);
	assert_int_equal(f->v.state, VCPU_OFF);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	assert_int_equal(g->g.vcpus_on, 1);
	assert_true(f->ran > 0);
	sched_vcpu_request(&f->v, VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_int_equal(f->v.state, VCPU_OFF);
	assert_int_equal(g->g.vcpus_on, 0);
	assert_int_equal(g->offs, 1);
	fake_guest_free(g);
	fake_halt();
}

/* ---- Giving way ---- */

static u64 exits(struct fake_guest *g)
{
	u64 n = 0;

	for (u32 i = 0; i < g->g.cfg.vcpus; i++)
		n += fake_vcpu_of(g, i)->v.exits[VCPU_EXIT_OTHER];
	return n;
}

/* Two that take turns every 11 us for 100 slices. The timer isn't set for each
 * of those turns, but when it has come, too early, for the turn that is on; and
 * that goes on. */
static void giving_way_leaves_a_timer_that_is_earlier(void **state)
{
	const struct cpu_stats *stats;
	struct fake_guest *g;
	u64 turns, most;
	bool short_way;

	(void)state;
	for_each_policy(policy) {
		if (sched_policy_room(policy) == 1)
			continue;
		fake_boot(1, policy);
		short_way = core_of(&fake_cpus[0]->c)->ops->yield != NULL;
		g = fake_guest_make(2, NULL, 0);
		for (u32 i = 0; i < 2; i++) {
			struct fake_vcpu *f = fake_vcpu_of(g, i);

			f->left = f->arg[0] = 11 * FAKE_US;
			f->act = fake_act_yield;
		}
		fake_guest_start(g);
		fake_run_for(1000 * FAKE_MS);
		turns = fake_vcpu_of(g, 0)->v.turns +
			fake_vcpu_of(g, 1)->v.turns;
		assert_true(turns > 90000);
		stats = &fake_cpus[0]->c.stats;
		/* Who has no short way may mean what is left of a slice. */
		most = short_way ? 210 : turns / 100;
		if (stats->timer_sets > most)
			fail_msg("%s set the timer %lu times",
				 policy, (unsigned long)stats->timer_sets);
		if (short_way && sched_short_way) {
			assert_true(fake_cpus[0]->ways > 50000);
			assert_true(exits(g) < turns + 10);
		}
		fake_guest_free(g);
		fake_halt();
	}
}

/* One that was late for something, or the guest's own: what it is set to is not
 * changed, so nothing would silence it if the turn went on. */
static void a_timer_before_what_it_is_set_to_ends_the_turn(void **state)
{
	struct fake_guest *g;
	u64 armed;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(2, NULL, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	fake_this_cpu = &fake_cpus[0]->c;
	armed = core_of(fake_this_cpu)->armed;
	assert_true(armed > fake_now() + FAKE_MS);
	assert_false(sched_timer_early());
	fake_cpus[0]->timer = fake_now();
	fake_run_for(FAKE_US);
	assert_int_equal(fake_cpus[0]->timer, armed);
	fake_guest_free(g);
	fake_halt();
}

/* ---- Who wants to know that it waits ---- */

static struct {
	u32 begun, ended;
	u64 ticks; /* waited, by the last end */
	bool waits;
} told;

static void tell(struct vcpu *v, bool waits)
{
	/* Its runstate says so already. */
	assert_int_equal(v->sched.runstate,
			 waits ? RUNSTATE_RUNNABLE : RUNSTATE_RUNNING);
	told.begun += waits;
	told.ended += !waits;
	told.waits = waits;
	told.ticks = v->sched.ticks[RUNSTATE_RUNNABLE];
}

static void a_vcpu_that_asked_is_told_that_it_waits(void **state)
{
	struct fake_guest *a, *b;
	struct vcpu *v;
	struct sched_vcpu_info info;

	(void)state;
	fake_boot(1, "rr");
	a = fake_guest_make(1, NULL, 0);
	b = fake_guest_make(1, NULL, 0);
	v = &fake_vcpu_of(a, 0)->v;
	memset(&told, 0, sizeof(told));
	v->waits = tell;
	fake_guest_start(a);
	fake_guest_start(b);
	fake_run_for(200 * FAKE_MS);
	sched_vcpu_info(v, &info, time_now_ticks());
	assert_true(told.begun >= 5);
	/* An end for the first dispatch, and one for each wait but the last. */
	assert_int_equal(told.ended, told.begun + !told.waits);
	/* Half of the time, and all of it but what goes on now. */
	assert_true(told.ticks > 80 * FAKE_MS && told.ticks < 120 * FAKE_MS);
	if (!told.waits)
		assert_int_equal(told.ticks, info.ticks[RUNSTATE_RUNNABLE]);
	fake_guest_free(a);
	fake_guest_free(b);
	fake_halt();
}

static void a_vcpu_that_is_alone_is_not_told_of_waits(void **state)
{
	struct fake_guest *g;
	struct vcpu *v;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	v = &fake_vcpu_of(g, 0)->v;
	memset(&told, 0, sizeof(told));
	v->waits = tell;
	fake_sleeps(fake_vcpu_of(g, 0), FAKE_MS, FAKE_MS);
	fake_guest_start(g);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(told.begun, 0);
	assert_true(told.ticks < FAKE_MS);
	fake_guest_free(g);
	fake_halt();
}

static u64 seen_guest, seen_cpu;

/* What listings say in the middle of a turn. */
static enum run_end act_list(struct fake_vcpu *f, u64 now)
{
	struct sched_guest_info info;

	(void)now;
	sched_guest_info(f->v.guest, &info);
	seen_guest = info.guest_ticks;
	seen_cpu = stats_of(f->v.cpu->index).guest_ticks;
	f->left = TIME_NEVER;
	return RUN_LOOK;
}

static void time_of_a_turn_that_is_on_is_in_the_listings(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(1, "fp");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	f->left = 5 * FAKE_MS;
	f->act = act_list;
	fake_guest_start(g);
	fake_run_for(20 * FAKE_MS);
	assert_int_equal(seen_guest, 5 * FAKE_MS);
	assert_int_equal(seen_cpu, 5 * FAKE_MS);
	fake_guest_free(g);
	fake_halt();
}

static enum run_end act_off(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	return RUN_OFF;
}

static void a_start_that_meets_a_vcpu_on_its_way_to_off_is_kept(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	f->left = 100 * FAKE_US;
	f->arg[0] = TIME_NEVER;
	f->act = act_off;
	fake_guest_start(g);
	fake_step(0);
	assert_int_equal(sched_vcpu_start(&f->v), 0);
	fake_run_for(FAKE_MS);
	assert_int_equal(g->offs, 1);
	assert_int_equal(f->v.state, VCPU_RUNNING);
	fake_guest_free(g);
	fake_halt();
}

static void kill_goes_before_start(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	assert_int_equal(sched_vcpu_start(&f->v), 0);
	sched_vcpu_request(&f->v, VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_int_equal(f->v.state, VCPU_OFF);
	assert_true(f->ran == 0);
	fake_guest_free(g);
	fake_halt();
}

/* A trace tells wakes apart by their number, and who is woken and killed at
 * once has no turn that the wake is followed by, in this life or the next. */
static void a_wake_that_no_turn_follows_has_its_number(void **state)
{
	struct fake_guest *g = sleeper(2, 0);
	struct fake_vcpu *f = fake_vcpu_of(g, 0);
	u64 dispatches;

	(void)state;
	dispatches = f->v.wakes + f->v.turns;
	fake_this_cpu = &fake_cpus[0]->c;
	virq_raise(&f->v, VIRQ_SOFT);
	sched_vcpu_request(&f->v, VCPU_REQ_KILL);
	f->v.sched.wake_due = 1;
	f->v.sched.woken_ticks = 1;
	fake_run_for(FAKE_MS);
	assert_int_equal(f->v.state, VCPU_OFF);
	assert_int_equal(f->v.wakes, 1);
	assert_int_equal(f->v.wakes + f->v.turns, dispatches);
	assert_int_equal(sched_vcpu_start(&f->v), 0);
	fake_run_for(FAKE_MS);
	assert_int_equal(f->v.sched.wake_due, 0);
	assert_int_equal(f->v.sched.woken_ticks, 0);
	fake_guest_free(g);
	fake_halt();
}

static void nothing_starts_in_a_guest_that_is_being_stopped(void **state)
{
	struct fake_guest *g;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	g->g.state = GUEST_STOPPING;
	assert_int_equal(sched_vcpu_start(g->g.vcpu[0]), 0);
	fake_run_for(FAKE_MS);
	assert_int_equal(g->g.vcpu[0]->state, VCPU_OFF);
	fake_guest_free(g);
	fake_halt();
}

static enum run_end act_dead(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = TIME_NEVER;
	return RUN_DEAD;
}

static void a_dead_vcpu_never_runs_again(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;
	u64 ran;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	f->left = 100 * FAKE_US;
	f->act = act_dead;
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	ran = f->ran;
	sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
	virq_raise(&f->v, VIRQ_SOFT);
	fake_run_for(FAKE_MS);
	assert_true(f->ran == ran);
	fake_guest_free(g);
	fake_halt();
}

/* ---- Sleep and wake ---- */

static void a_wake_reaches_a_vcpu_asleep_on_another_cpu(void **state)
{
	struct fake_guest *g = sleeper(2, 2);
	struct fake_vcpu *f = fake_vcpu_of(g, 0);

	(void)state;
	for (u32 i = 1; i <= 100; i++) {
		u64 rings = fake_cpus[1]->rings;

		fake_this_cpu = &fake_cpus[0]->c;
		virq_raise(&f->v, VIRQ_SOFT);
		virq_raise(&f->v, VIRQ_SOFT);
		assert_int_equal(f->v.state, VCPU_WAKING);
		assert_int_equal(fake_cpus[1]->rings, rings + 1);
		fake_run_for(FAKE_MS);
		assert_int_equal(f->irqs, i);
		assert_int_equal(f->v.wakes, i);
		assert_int_equal(f->v.state, VCPU_BLOCKED);
	}
	fake_guest_free(g);
	fake_halt();
}

static void a_queued_vcpu_is_never_rung_for(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f = NULL;
	u64 rings;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(2, NULL, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	for (u32 i = 0; i < 2; i++) {
		if (g->g.vcpu[i]->state == VCPU_QUEUED)
			f = fake_vcpu_of(g, i);
	}
	assert_non_null(f);
	rings = fake_cpus[0]->rings;
	virq_raise(&f->v, VIRQ_SOFT);
	assert_int_equal(fake_cpus[0]->rings, rings);
	fake_run_for(20 * FAKE_MS);
	assert_int_equal(f->seen, VIRQ_SOFT);
	fake_guest_free(g);
	fake_halt();
}

/* Raises an interrupt for itself at the last moment before it waits. */
static enum run_end act_raise_then_wait(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = 10 * FAKE_US;
	virq_raise(&f->v, VIRQ_SOFT);
	return RUN_BLOCK;
}

static void an_interrupt_before_the_wait_keeps_the_vcpu_awake(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	f->left = 10 * FAKE_US;
	f->act = act_raise_then_wait;
	fake_guest_start(g);
	fake_run_for(10 * FAKE_MS);
	assert_int_equal(f->v.wakes, 0);
	assert_true(f->irqs > 500);
	fake_guest_free(g);
	fake_halt();
}

static void an_idle_guest_causes_no_exits_and_no_rings(void **state)
{
	struct fake_guest *g = sleeper(2, 0);
	struct fake_vcpu *f = fake_vcpu_of(g, 0);
	u64 exits, rings;

	(void)state;
	exits = f->v.exits[VCPU_EXIT_OTHER];
	rings = fake_cpus[0]->rings + fake_cpus[1]->rings;
	fake_run_for(5000 * FAKE_MS);
	assert_int_equal(f->v.exits[VCPU_EXIT_OTHER], exits);
	assert_int_equal(fake_cpus[0]->rings + fake_cpus[1]->rings, rings);
	fake_guest_free(g);
	fake_halt();
}

/* ---- Hand-over ---- */

static void an_idle_cpu_gets_what_waits_with_one_ask(void **state)
{
	struct fake_guest *g, *h;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(2, "rr");
	/* CPU 1 is busy with a vCPU that may run nowhere else. */
	h = fake_guest_make(1, NULL, 2);
	fake_guest_start(h);
	g = fake_guest_make(2, NULL, 0);
	fake_guest_start(g);
	fake_run_for(30 * FAKE_MS);
	f = fake_vcpu_of(h, 0);
	/* When it goes, CPU 1 asks and gets one. */
	sched_vcpu_request(&f->v, VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_ptr_not_equal(g->g.vcpu[0]->cpu, g->g.vcpu[1]->cpu);
	assert_in_range(stats_of(1).asks, 1, 2);
	assert_true(fake_vcpu_of(g, 0)->loaded && fake_vcpu_of(g, 1)->loaded);
	fake_guest_free(g);
	fake_guest_free(h);
	fake_halt();
}

static void a_refusal_makes_the_asker_ask_the_next(void **state)
{
	struct fake_guest *g[3];
	u64 asks;

	(void)state;
	fake_boot(3, "rr");
	g[0] = fake_guest_make(3, NULL, 1);
	g[1] = fake_guest_make(1, NULL, 4);
	g[2] = fake_guest_make(2, NULL, 6);
	for (u32 i = 0; i < 3; i++)
		fake_guest_start(g[i]);
	fake_run_for(30 * FAKE_MS);
	asks = stats_of(2).asks;
	/* CPU 2 loses its own; CPU 0 has more to spare but nothing for it. */
	sched_vcpu_request(g[1]->g.vcpu[0], VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_ptr_not_equal(g[2]->g.vcpu[0]->cpu, g[2]->g.vcpu[1]->cpu);
	assert_in_range(stats_of(2).asks - asks, 0, 2);
	for (u32 i = 0; i < 3; i++)
		fake_guest_free(g[i]);
	fake_halt();
}

static void who_can_not_be_helped_asks_once(void **state)
{
	struct cpuset all = { { 3 } };
	struct fake_guest *hogs, *naps;
	u64 ran[2];

	(void)state;
	fake_boot(2, "rr");
	hogs = fake_guest_make(2, NULL, 1);
	naps = fake_guest_make(1, NULL, 2);
	fake_sleeps(fake_vcpu_of(naps, 0), 10 * FAKE_US, 990 * FAKE_US);
	fake_guest_start(hogs);
	fake_guest_start(naps);
	/* CPU 1 becomes idle a thousand times, and two wait on CPU 0. */
	fake_run_for(1000 * FAKE_MS);
	assert_int_equal(stats_of(1).asks, 1);
	/* Now one may leave, and does: CPU 1 is idle when it is queued. */
	assert_int_equal(sched_vcpu_affinity(hogs->g.vcpu[0], &all), 0);
	fake_run_for(20 * FAKE_MS);
	ran[0] = fake_vcpu_of(hogs, 0)->ran;
	ran[1] = fake_vcpu_of(hogs, 1)->ran;
	fake_run_for(1000 * FAKE_MS);
	assert_true(fake_vcpu_of(hogs, 0)->ran - ran[0] > 980 * FAKE_MS);
	assert_true(fake_vcpu_of(hogs, 1)->ran - ran[1] > 990 * FAKE_MS);
	fake_guest_free(naps);
	fake_guest_free(hogs);
	fake_halt();
}

static void a_bar_is_lifted_by_one_that_comes_or_is_let_go(void **state)
{
	struct cpuset all = { { 3 } };
	struct fake_guest *hogs, *hog, *late;

	(void)state;
	fake_boot(2, "rr");
	hogs = fake_guest_make(2, NULL, 1);
	hog = fake_guest_make(1, NULL, 2);
	fake_guest_start(hogs);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(stats_of(1).asks, 1); /* in vain */
	fake_guest_start(hog);
	fake_run_for(100 * FAKE_MS);
	/* While CPU 1 is busy, so that nobody hands it over. */
	late = fake_guest_make(1, NULL, 1);
	fake_guest_start(late);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(sched_vcpu_affinity(late->g.vcpu[0], &all), 0);
	fake_run_for(100 * FAKE_MS);
	assert_int_equal(late->g.vcpu[0]->cpu->index, 0);
	sched_vcpu_request(hog->g.vcpu[0], VCPU_REQ_KILL);
	fake_run_for(40 * FAKE_MS);
	assert_int_equal(late->g.vcpu[0]->cpu->index, 1);
	fake_guest_free(late);
	fake_guest_free(hog);
	fake_guest_free(hogs);
	fake_halt();
}

/* Where nobody is idle, each goes where the fewest are, or are on their way to:
 * the other CPUs don't look before one has placed all of them. */
static void who_is_started_with_many_others_finds_the_fewest(void **state)
{
	enum { CPUS = 8, HOGS = CPUS, LATE = 12 };
	struct cpuset all = { { (1 << CPUS) - 1 } };
	struct fake_guest *hogs, *late;
	u32 on[CPUS] = { 0 };

	(void)state;
	fake_boot(CPUS, "rr");
	hogs = fake_guest_make(HOGS, NULL, 0);
	fake_guest_start(hogs);
	fake_run_for(30 * FAKE_MS);
	late = fake_guest_make(LATE, NULL, 1);
	for (u32 i = 0; i < LATE; i++)
		assert_int_equal(sched_vcpu_affinity(late->g.vcpu[i], &all), 0);
	fake_guest_start(late);
	for (u32 i = 0; i < 3 * LATE; i++)
		fake_step(0);
	fake_run_for(100 * FAKE_MS);
	for (u32 i = 0; i < HOGS; i++)
		on[hogs->g.vcpu[i]->cpu->index]++;
	for (u32 i = 0; i < LATE; i++)
		on[late->g.vcpu[i]->cpu->index]++;
	for (u32 i = 0; i < CPUS; i++) {
		assert_in_range(on[i], (HOGS + LATE) / CPUS,
				(HOGS + LATE) / CPUS + 1);
		assert_int_equal(fake_cpus[i]->c.coming, 0);
	}
	fake_guest_free(late);
	fake_guest_free(hogs);
	fake_halt();
}

static void requests_follow_a_vcpu_that_moves(void **state)
{
	struct fake_guest *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(4, "rr");
	g = fake_guest_make(1, NULL, 1);
	f = fake_vcpu_of(g, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	for (u32 i = 1; i <= 40; i++) {
		struct cpuset to = { { 1u << (i % 4) } };

		assert_int_equal(sched_vcpu_affinity(&f->v, &to), 0);
		/* Before it has gone, and while it goes. */
		sched_vcpu_request(&f->v, VCPU_REQ_PAUSE);
		if (i % 3 == 0)
			fake_step((i - 1) % 4);
		sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
		virq_raise(&f->v, VIRQ_SOFT);
		fake_run_for(2 * FAKE_MS);
		assert_int_equal(f->v.cpu->index, i % 4);
		assert_int_equal(f->v.state, VCPU_RUNNING);
		assert_int_equal(f->v.virq, 0);
	}
	assert_int_equal(f->v.migrations, 40);
	fake_guest_free(g);
	fake_halt();
}

static void an_affinity_without_a_cpu_is_refused(void **state)
{
	struct fake_guest *g;
	struct cpuset none = { { 0 } }, far = { { 1u << 5 } };

	(void)state;
	fake_boot(2, "rr");
	g = fake_guest_make(1, NULL, 0);
	assert_int_equal(sched_vcpu_affinity(g->g.vcpu[0], &none), -EINVAL);
	assert_int_equal(sched_vcpu_affinity(g->g.vcpu[0], &far), -EINVAL);
	fake_guest_free(g);
	fake_halt();
}

/* ---- Tasks ---- */

static void a_task_gets_on_under_every_policy_and_so_do_guests(void **state)
{
	(void)state;
	for_each_policy(policy) {
		struct sched_params top = SCHED_PARAMS_DEFAULT;
		struct fake_work w = { .step_ticks = 100 * FAKE_US,
				  .steps_left = 1000 };
		struct fake_guest *g;
		struct fake_vcpu *f;

		top.priority = 255;
		fake_boot(1, policy);
		g = fake_guest_make(1, &top, 0);
		f = fake_vcpu_of(g, 0);
		fake_guest_start(g);
		task_init(&w.task, "work", fake_work_step, 0);
		task_charge_to(&w.task, &g->g);
		fake_run_for(FAKE_MS);
		task_wake(&w.task);
		fake_run_for(100 * FAKE_MS);
		/* A third each way is promised at least. */
		assert_in_range(w.steps, 320, 345);
		assert_true(f->ran > 64 * FAKE_MS);
		assert_true(g->g.account->task_ticks == w.task.ticks);
		fake_run_for(300 * FAKE_MS);
		assert_int_equal(w.steps, 1000);
		fake_guest_free(g);
		fake_halt();
	}
}

static void a_guest_s_task_takes_no_more_than_a_vcpu_there(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct fake_work w = { .step_ticks = 100 * FAKE_US,
				       .steps_left = 1000 };
		struct fake_guest *g;

		fake_boot(1, "rr");
		g = fake_guest_make(9, NULL, 0);
		fake_guest_start(g);
		task_init(&w.task, "work", fake_work_step, 0);
		/* The host's own has its third. */
		task_charge_to(&w.task, i ? &g->g : NULL);
		fake_run_for(FAKE_MS);
		task_wake(&w.task);
		fake_run_for(100 * FAKE_MS);
		assert_in_range(w.steps, i ? 95 : 320, i ? 105 : 345);
		fake_guest_free(g);
		fake_halt();
	}
}

static enum task_result wake_self_step(struct task *t)
{
	struct fake_work *w = container_of(t, struct fake_work, task);

	w->steps++;
	if (w->steps < 10)
		task_wake(t);
	else if (w->steps == 10)
		task_wake_at(t, time_now_ticks() + 5 * FAKE_MS);
	return TASK_WAIT;
}

static void a_wake_during_the_step_is_not_lost(void **state)
{
	struct fake_work w = { .steps = 0 };

	(void)state;
	fake_boot(2, "rr");
	task_init(&w.task, "work", wake_self_step, 1);
	task_wake(&w.task);
	fake_run_for(FAKE_MS);
	assert_int_equal(w.steps, 10);
	fake_run_for(3 * FAKE_MS);
	assert_int_equal(w.steps, 10);
	fake_run_for(3 * FAKE_MS);
	assert_int_equal(w.steps, 11);
	fake_halt();
}

/* Each second step goes to another CPU. */
static enum task_result move_step(struct task *t)
{
	struct fake_work *w = container_of(t, struct fake_work, task);

	assert_int_equal(cpu_this()->index, w->steps / 2 % 3);
	assert_int_equal(t->cpu, cpu_this()->index);
	w->steps++;
	/* Half of the times its mail is in this CPU's box as it goes. */
	if (w->steps % 4 == 0)
		task_wake(t);
	if (w->steps % 2 == 0)
		task_move(t, w->steps / 2 % 3);
	/* To be forgotten, or not to come before the wake. */
	task_wake_at(t, time_now_ticks() + FAKE_MS);
	return w->steps % 4 == 1 ? TASK_MORE : TASK_WAIT;
}

static void a_task_that_moves_goes_on_elsewhere(void **state)
{
	struct fake_work w = { .steps = 0 };

	(void)state;
	fake_boot(3, "rr");
	task_init(&w.task, "work", move_step, 0);
	task_wake(&w.task);
	for (u32 i = 1; i <= 300; i++) {
		u32 steps = w.steps;

		fake_this_cpu = &fake_cpus[i % 3]->c;
		task_wake(&w.task);
		fake_run_for(i % 7 * FAKE_US);
		task_wake(&w.task);
		fake_run_for(3 * FAKE_MS);
		assert_true(w.steps >= steps + 2);
	}
	fake_halt();
}

static void quiescence_comes_after_every_cpu_has_drained_twice(void **state)
{
	struct fake_work w = { .steps_left = 1 };
	struct sched_quiesce q;

	(void)state;
	fake_boot(4, "rr");
	task_init(&w.task, "work", fake_work_step, 2);
	fake_run_for(FAKE_MS);
	sched_quiesce(&q, &w.task);
	for (u32 i = 0; i < 4; i++) {
		assert_false(sched_quiesced(&q));
		fake_step(i);
	}
	assert_false(sched_quiesced(&q));
	fake_run_for(FAKE_MS);
	assert_true(sched_quiesced(&q));
	assert_int_equal(w.steps, 1);
	fake_halt();
}

/* ---- WFI policies ---- */

static void native_wfi_holds_only_while_nothing_else_is_queued(void **state)
{
	struct fake_guest *n, *g;
	struct fake_vcpu *f;

	(void)state;
	fake_boot(1, "rr");
	n = fake_guest_make(1, NULL, 0);
	n->g.cfg.wfi = WFI_NATIVE;
	f = fake_vcpu_of(n, 0);
	fake_guest_start(n);
	fake_run_for(FAKE_MS);
	assert_true(f->untrapped);
	g = fake_guest_make(1, NULL, 0);
	fake_guest_start(g);
	fake_run_for(50 * FAKE_MS);
	assert_false(f->untrapped);
	sched_vcpu_request(g->g.vcpu[0], VCPU_REQ_PAUSE);
	fake_run_for(50 * FAKE_MS);
	assert_true(f->untrapped);
	fake_guest_free(g);
	fake_guest_free(n);
	fake_halt();
}

static void a_native_waiter_counts_as_idle_for_what_wakes(void **state)
{
	struct fake_guest *n, *g;

	(void)state;
	fake_boot(2, "rr");
	n = fake_guest_make(1, NULL, 2);
	n->g.cfg.wfi = WFI_NATIVE;
	fake_guest_start(n);
	g = fake_guest_make(2, NULL, 1);
	fake_guest_start(g);
	fake_run_for(20 * FAKE_MS);
	for (u32 i = 0; i < 2; i++) {
		struct cpuset both = { { 3 } };

		fake_sleeps(fake_vcpu_of(g, i), 2 * FAKE_MS, FAKE_MS);
		assert_int_equal(sched_vcpu_affinity(g->g.vcpu[i], &both), 0);
	}
	fake_run_for(50 * FAKE_MS);
	assert_true(stats_of(0).claims > 5);
	fake_guest_free(g);
	fake_guest_free(n);
	fake_halt();
}

static void polling_answers_without_sleeping_and_stops_for_work(void **state)
{
	struct fake_guest *p, *g;
	struct fake_vcpu *f;
	u64 wakes;

	(void)state;
	fake_boot(1, "rr");
	p = fake_guest_make(1, NULL, 0);
	p->g.cfg.wfi = WFI_POLL;
	p->g.cfg.wfi_poll_us = 200;
	f = fake_vcpu_of(p, 0);
	f->v.sched.poll_ticks = 200 * FAKE_US;
	fake_sleeps(f, 50 * FAKE_US, 100 * FAKE_US);
	fake_guest_start(p);
	fake_run_for(100 * FAKE_MS);
	assert_in_range(f->v.wakes, 0, 2);
	assert_true(f->irqs == 0 && f->v.exits[VCPU_EXIT_OTHER] > 600);
	/* Long sleeps are not polled for: it learns. */
	f->arg[1] = 10 * FAKE_MS;
	wakes = f->v.wakes;
	fake_run_for(200 * FAKE_MS);
	assert_true(f->v.wakes > wakes + 15);
	assert_true(f->v.sched.poll_ticks < 20 * FAKE_US);
	/* And not at all while another wants the CPU. */
	g = fake_guest_make(1, NULL, 0);
	fake_guest_start(g);
	f->arg[1] = 100 * FAKE_US;
	fake_run_for(FAKE_MS);
	fake_run_for(100 * FAKE_MS);
	assert_true(fake_guest_ran(g) > 60 * FAKE_MS);
	fake_guest_free(g);
	fake_guest_free(p);
	fake_halt();
}

/* ---- All together ---- */

static enum run_end act_chaos(struct fake_vcpu *f, u64 now)
{
	u32 seed = (u32)f->arg[3], what = fake_random(&seed) % 10;
	struct guest *g = f->v.guest;

	f->left = 1 + fake_random(&seed) % FAKE_MS;
	f->deadline = now + 1 + fake_random(&seed) % (2 * FAKE_MS);
	virq_raise(g->vcpu[fake_random(&seed) % g->cfg.vcpus], VIRQ_SOFT);
	f->arg[3] = seed;
	if (what == 9)
		assert_int_equal(sched_vcpu_start(
			g->vcpu[fake_random(&seed) % g->cfg.vcpus]), 0);
	return what == 0 ? RUN_YIELD : what == 1 ? RUN_OFF :
	       what < 7 ? RUN_BLOCK : RUN_LOOK;
}

static void requests_at_random(struct fake_guest *g, u32 *seed)
{
	static const u32 reqs[] = { VCPU_REQ_PAUSE, VCPU_REQ_RESUME,
				    VCPU_REQ_PARAMS, VCPU_REQ_KILL };
	struct vcpu *v = g->g.vcpu[fake_random(seed) % g->g.cfg.vcpus];
	struct cpuset to = { { 1 + fake_random(seed) % 15 } };

	switch (fake_random(seed) % 4) {
	case 0:
		assert_int_equal(sched_vcpu_affinity(v, &to), 0);
		break;
	case 1:
		assert_int_equal(sched_vcpu_start(v), 0);
		break;
	default:
		sched_vcpu_request(v, reqs[fake_random(seed) % 4]);
	}
}

/* Everything at once, and at the end every vCPU must still answer. */
static void nothing_is_lost_in_a_hundred_thousand_random_events(void **state)
{
	struct fake_guest *g[3];
	u32 seed = 5, sharing = sharing_policy_count();

	(void)state;
	fake_boot(4, "rr");
	for (u32 i = 0; i < 3; i++) {
		g[i] = fake_guest_make(4, NULL, 0);
		for (u32 k = 0; k < 4; k++) {
			fake_vcpu_of(g[i], k)->act = act_chaos;
			fake_vcpu_of(g[i], k)->left = FAKE_MS;
			fake_vcpu_of(g[i], k)->arg[3] = i * 4 + k;
		}
		g[i]->g.cfg.wfi = (enum wfi_policy)i;
		g[i]->g.cfg.wfi_poll_us = 100;
		fake_guest_start(g[i]);
	}
	for (u32 round = 0; round < 20000; round++) {
		requests_at_random(g[fake_random(&seed) % 3], &seed);
		if (round % 50 == 0)
			(void)!sched_policy_set(
				sharing_policy(round / 50 % sharing), NULL);
		fake_step(fake_random(&seed) % 4);
		fake_run_for(fake_random(&seed) % (200 * FAKE_US));
	}
	for (u32 i = 0; i < 3; i++) {
		for (u32 k = 0; k < 4; k++) {
			struct fake_vcpu *f = fake_vcpu_of(g[i], k);
			struct cpuset all = { { 15 } };

			f->act = fake_act_wait;
			f->arg[0] = 10 * FAKE_US;
			sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
			assert_int_equal(sched_vcpu_affinity(&f->v, &all), 0);
			assert_int_equal(sched_vcpu_start(&f->v), 0);
		}
	}
	fake_run_for(200 * FAKE_MS);
	for (u32 i = 0; i < 3; i++) {
		for (u32 k = 0; k < 4; k++) {
			struct fake_vcpu *f = fake_vcpu_of(g[i], k);
			u64 irqs = f->irqs;

			assert_int_equal(f->v.state, VCPU_BLOCKED);
			virq_raise(&f->v, VIRQ_EXTERNAL);
			fake_run_for(FAKE_MS);
			assert_int_equal(f->irqs, irqs + 1);
		}
		fake_guest_free(g[i]);
	}
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fake_cpus[i]->c.load, 0);
	fake_halt();
}

static int long_way(void **state)
{
	(void)state;
	sched_short_way = false;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_policy_is_refused),
		cmocka_unit_test(
			a_vcpu_is_off_until_started_and_after_it_is_killed),
		cmocka_unit_test(giving_way_leaves_a_timer_that_is_earlier),
		cmocka_unit_test(
			a_timer_before_what_it_is_set_to_ends_the_turn),
		cmocka_unit_test(a_vcpu_that_asked_is_told_that_it_waits),
		cmocka_unit_test(a_vcpu_that_is_alone_is_not_told_of_waits),
		cmocka_unit_test(time_of_a_turn_that_is_on_is_in_the_listings),
		cmocka_unit_test(
			a_start_that_meets_a_vcpu_on_its_way_to_off_is_kept),
		cmocka_unit_test(kill_goes_before_start),
		cmocka_unit_test(a_wake_that_no_turn_follows_has_its_number),
		cmocka_unit_test(
			nothing_starts_in_a_guest_that_is_being_stopped),
		cmocka_unit_test(a_dead_vcpu_never_runs_again),
		cmocka_unit_test(a_wake_reaches_a_vcpu_asleep_on_another_cpu),
		cmocka_unit_test(a_queued_vcpu_is_never_rung_for),
		cmocka_unit_test(
			an_interrupt_before_the_wait_keeps_the_vcpu_awake),
		cmocka_unit_test(an_idle_guest_causes_no_exits_and_no_rings),
		cmocka_unit_test(an_idle_cpu_gets_what_waits_with_one_ask),
		cmocka_unit_test(a_refusal_makes_the_asker_ask_the_next),
		cmocka_unit_test(who_can_not_be_helped_asks_once),
		cmocka_unit_test(
			a_bar_is_lifted_by_one_that_comes_or_is_let_go),
		cmocka_unit_test(requests_follow_a_vcpu_that_moves),
		cmocka_unit_test(
			who_is_started_with_many_others_finds_the_fewest),
		cmocka_unit_test(an_affinity_without_a_cpu_is_refused),
		cmocka_unit_test(
			a_task_gets_on_under_every_policy_and_so_do_guests),
		cmocka_unit_test(
			a_guest_s_task_takes_no_more_than_a_vcpu_there),
		cmocka_unit_test(a_task_that_moves_goes_on_elsewhere),
		cmocka_unit_test(a_wake_during_the_step_is_not_lost),
		cmocka_unit_test(
			quiescence_comes_after_every_cpu_has_drained_twice),
		cmocka_unit_test(
			native_wfi_holds_only_while_nothing_else_is_queued),
		cmocka_unit_test(a_native_waiter_counts_as_idle_for_what_wakes),
		cmocka_unit_test(
			polling_answers_without_sleeping_and_stops_for_work),
		cmocka_unit_test(
			nothing_is_lost_in_a_hundred_thousand_random_events),
	};

	/* Both ways from a wait into the guest (kernel/sched/resume.h). */
	return cmocka_run_group_tests_name("short", tests, NULL, NULL) +
	       cmocka_run_group_tests_name("long", tests, long_way, NULL);
}
