/*
 * What one round of a CPU's loop owes to others: tasks that gave way, requests
 * of a guest that has had another life since, a second stage that somebody
 * waits for, and an account of each tick.
 */
/* sources: SCHED_CORE POLICIES kernel/heap.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/sched/policy.h"
#include "kernel/sched/private.h"
#include "tests/unit/fake_arch/fake_arch.h"
#include "tests/unit/policies.h"

static void work_begin(struct fake_work *w, u32 cpu, u64 step_ticks, u32 steps)
{
	*w = (struct fake_work){
		.step_ticks = step_ticks, .steps_left = steps,
	};
	task_init(&w->task, "work", fake_work_step, cpu);
	task_wake(&w->task);
}

/* ---- Tasks that gave way ---- */

static void a_task_that_gave_way_goes_on_when_the_guests_have_gone(void **state)
{
	struct sched_params little = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g;
	struct fake_work w;

	(void)state;
	/* After a step the guest may have 200 us, but its cap of 1 % is used up
	 * after 100 us, for 10 ms: the CPU is idle, with the task in its list
	 * and nobody who would ring. */
	little.cap = 1;
	fake_boot(1, "credit");
	g = fake_guest_make(1, &little, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	work_begin(&w, 0, 50 * FAKE_US, 1000000);
	fake_run_for(100 * FAKE_MS);
	/* A step each 50 us but for the guest's turns, and it has those. */
	assert_in_range(w.steps, 1700, 2000);
	assert_true(fake_vcpu_of(g, 0)->ran > 900 * FAKE_US);
	w.steps_left = 1;
	fake_guest_free(g);
	fake_halt();
}

/* ---- Requests ---- */

static void follow(struct vcpu *v)
{
	sched_vcpu_request(v, VCPU_REQ_FOLLOW);
	fake_run_for(FAKE_MS);
}

static void a_vcpu_does_what_its_guest_says_now(void **state)
{
	struct fake_guest *g;
	struct vcpu *v;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	v = g->g.vcpu[0];
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	/* A request whose pause was of the guest's last life. */
	g->g.paused = 2;
	follow(v);
	assert_int_equal(v->state, VCPU_RUNNING);
	g->g.paused = 3;
	follow(v);
	assert_true(v->sched.paused);
	follow(v);
	assert_true(v->sched.paused);
	/* Who paused one vCPU to look at it doesn't resume a paused guest. */
	sched_vcpu_request(v, VCPU_REQ_RESUME);
	fake_run_for(FAKE_MS);
	assert_true(v->sched.paused);
	g->g.paused = 2;
	follow(v);
	assert_int_equal(v->state, VCPU_RUNNING);
	fake_guest_free(g);
	fake_halt();
}

/* ---- The second stage ---- */

static void a_cpu_that_only_runs_tasks_lets_go_of_a_second_stage(void **state)
{
	struct fake_guest *g;
	struct fake_work w;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	fake_guest_start(g);
	work_begin(&w, 0, 50 * FAKE_US, 1000000);
	fake_run_for(FAKE_MS);
	fake_cpus[0]->hold = true;
	fake_run_for(FAKE_MS);
	/* The vCPU is loaded: there is nothing to let go of. */
	assert_true(fake_cpus[0]->hold);
	sched_vcpu_request(g->g.vcpu[0], VCPU_REQ_KILL);
	fake_run_for(FAKE_MS);
	assert_false(fake_cpus[0]->hold);
	assert_int_equal(fake_cpus[0]->waited, 0);
	w.steps_left = 1;
	fake_guest_free(g);
	fake_halt();
}

/* ---- Where each tick went ---- */

/* Is what CPU i says of itself what the fake knows? It runs now. */
static void assert_account(u32 i)
{
	const struct fake_cpu *f = fake_cpus[i];
	u64 elapsed = f->now - FAKE_HZ;
	struct cpu_stats s;

	sched_cpu_stats(i, &s);
	/* What lies between two turns of a vCPU is its own. */
	assert_in_range(s.guest_ticks, f->ran, f->ran + f->stepped);
	assert_int_equal(s.task_ticks, f->spent);
	assert_int_equal(s.idle_ticks, f->waited);
	assert_int_equal(s.host_ticks, elapsed - s.guest_ticks - f->spent -
					       f->waited);
}

static u32 accounts;

static enum run_end act_anything(struct fake_vcpu *f, u64 now)
{
	u32 seed = (u32)f->arg[3], what = fake_random(&seed) % 8;

	assert_account(f->v.cpu->index);
	accounts++;
	f->left = 1 + fake_random(&seed) % FAKE_MS;
	f->deadline = now + 1 + fake_random(&seed) % (2 * FAKE_MS);
	f->arg[3] = seed;
	return what == 0 ? RUN_YIELD : what < 6 ? RUN_BLOCK : RUN_LOOK;
}

static enum task_result look_step(struct task *t)
{
	fake_work_step(t);
	assert_account(t->cpu);
	accounts++;
	task_wake_at(t, time_now_ticks() + 3 * FAKE_MS);
	return TASK_WAIT;
}

static void every_tick_is_a_guests_a_tasks_idle_or_the_hosts(void **state)
{
	(void)state;
	for_each_policy(name) {
		struct fake_work w[3];
		struct fake_guest *g;
		u32 seed = 11;

		fake_boot(3, name);
		g = fake_guest_make(3, NULL, 0);
		for (u32 i = 0; i < 3; i++) {
			struct fake_vcpu *f = fake_vcpu_of(g, i);

			f->act = act_anything;
			f->left = FAKE_MS;
			f->arg[3] = i;
			work_begin(&w[i], i, 0, UINT32_MAX);
			w[i].task.step = look_step;
		}
		fake_guest_start(g);
		accounts = 0;
		for (u32 round = 0; round < 3000; round++) {
			u32 i = fake_random(&seed) % 3;

			w[i].step_ticks = fake_random(&seed) % (100 * FAKE_US);
			virq_raise(g->g.vcpu[fake_random(&seed) % 3],
				   VIRQ_SOFT);
			fake_run_for(fake_random(&seed) % (300 * FAKE_US));
			fake_this_cpu = &fake_cpus[i]->c;
			assert_account(i);
		}
		assert_true(accounts > 300);
		for (u32 i = 0; i < 3; i++)
			assert_true(fake_cpus[i]->waited > FAKE_MS &&
				    fake_cpus[i]->ran > FAKE_MS);
		for (u32 i = 0; i < 3; i++)
			w[i].task.step = fake_work_step, w[i].steps_left = 1;
		fake_guest_free(g);
		fake_run_for(10 * FAKE_MS);
		fake_halt();
	}
}

/* A CPU, and a guest of one vCPU that polls for at most so long. */
static struct fake_guest *poller_make(u32 poll_us)
{
	struct fake_guest *g;

	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	g->g.cfg.wfi = WFI_POLL;
	g->g.cfg.wfi_poll_us = poll_us;
	return g;
}

static void time_spent_polling_is_the_guests(void **state)
{
	struct fake_guest *g = poller_make(200);
	struct fake_vcpu *f = fake_vcpu_of(g, 0);
	struct cpu_stats s;

	(void)state;
	f->v.sched.poll_ticks = 200 * FAKE_US;
	fake_sleeps(f, 50 * FAKE_US, 100 * FAKE_US);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	for (u32 i = 0; i < 2000; i++) {
		fake_step(0);
		sched_cpu_stats(0, &s);
		assert_int_equal(s.guest_ticks + s.task_ticks + s.idle_ticks +
				 s.host_ticks, fake_cpus[0]->now - FAKE_HZ);
		/* A tick here and there between two turns. */
		assert_true(s.host_ticks <
			    2 * f->v.exits[VCPU_EXIT_OTHER] + 100);
	}
	assert_true(s.guest_ticks > fake_cpus[0]->ran);
	fake_guest_free(g);
	fake_halt();
}

static enum run_end act_wake_on_the_ms(struct fake_vcpu *f, u64 now)
{
	f->left = 1;
	f->deadline = (now / FAKE_MS + 1) * FAKE_MS;
	return RUN_BLOCK;
}

/* Even if so many timers end it that they don't all fit into a round. */
static void time_spent_polling_until_many_wake_is_the_guests(void **state)
{
	enum { CROWD = 100 };
	struct fake_guest *g = poller_make(500), *crowd;
	struct fake_vcpu *f = fake_vcpu_of(g, 0);
	struct cpu_stats s;

	(void)state;
	crowd = fake_guest_make(CROWD, NULL, 0);
	for (u32 i = 0; i < CROWD; i++) {
		fake_vcpu_of(crowd, i)->act = act_wake_on_the_ms;
		fake_vcpu_of(crowd, i)->left = 1;
	}
	fake_guest_start(g);
	fake_guest_start(crowd);
	fake_sleeps(f, 50 * FAKE_US, 330 * FAKE_US);
	for (u32 i = 0; i < 100; i++) {
		f->v.sched.poll_ticks = 500 * FAKE_US;
		fake_run_for(FAKE_MS);
	}
	sched_cpu_stats(0, &s);
	assert_int_equal(g->g.account->guest_ticks +
			 crowd->g.account->guest_ticks, s.guest_ticks);
	fake_guest_free(g);
	fake_guest_free(crowd);
	fake_halt();
}

/* ---- Who pays for the host's work ---- */

static enum fake_op dear;

static void spend_for_one(struct fake_cpu *f, enum fake_op op)
{
	if (op == dear)
		f->now += 50;
}

static enum run_end act_look(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	return RUN_LOOK;
}

/* How much of a CPU is nobody's, in per cent, where a guest does one thing all
 * the time, in which the hypervisor has five times as much to do as it has. */
static u64 nobodys_percent(const char *policy, enum fake_op op, fake_act *act,
			   u64 pause)
{
	const struct fake_engine *was = fake_engine;
	struct fake_engine engine = *was;
	struct fake_guest *g;
	struct cpu_stats s;
	struct fake_vcpu *f;

	engine.spend = spend_for_one;
	fake_engine = &engine;
	dear = op;
	fake_boot(1, policy);
	g = fake_guest_make(1, NULL, 0);
	f = fake_vcpu_of(g, 0);
	f->act = act;
	f->left = f->arg[0] = 10;
	f->arg[1] = pause;
	fake_guest_start(g);
	fake_run_for(100 * FAKE_MS);
	fake_this_cpu = &fake_cpus[0]->c;
	sched_cpu_stats(0, &s);
	fake_guest_free(g);
	fake_halt();
	fake_engine = was;
	return 100 * s.host_ticks / (s.host_ticks + s.guest_ticks);
}

static void a_guest_pays_for_its_way_to_sleep(void **state)
{
	(void)state;
	for_each_policy(name)
		assert_in_range(nobodys_percent(name, FAKE_SAVE, fake_act_block,
						1000), 0, 10);
}

/* Whatever they end for: it keeps the CPU all the while. */
static void a_guest_pays_for_what_lies_between_its_turns(void **state)
{
	(void)state;
	for_each_policy(name) {
		assert_in_range(nobodys_percent(name, FAKE_STEP, act_look, 0),
				0, 10);
		/* It would sleep, and can't. */
		assert_in_range(nobodys_percent(name, FAKE_STEP,
						fake_act_block, 0), 0, 10);
	}
}

static struct timer alarm_timer;
static const struct guest *alarm_of;

static void alarm_due(struct timer *t, u64 now)
{
	(void)t;
	fake_cpus[0]->now += 50;
	sched_pay(alarm_of, now);
}

/* A device's alarm, which comes in the middle of its next turn. */
static enum run_end act_alarm(struct fake_vcpu *f, u64 now)
{
	if (!alarm_of)
		alarm_of = f->v.guest;
	sched_timer_set(&alarm_timer, now + 5);
	return act_look(f, now);
}

static void a_guest_pays_for_its_devices_timers_and_for_no_others(void **state)
{
	static const struct guest other;

	(void)state;
	for_each_policy(name) {
		timer_init(&alarm_timer, alarm_due);
		alarm_of = NULL;
		assert_in_range(nobodys_percent(name, FAKE_OPS, act_alarm, 0),
				0, 10);
		timer_init(&alarm_timer, alarm_due);
		alarm_of = &other;
		assert_in_range(nobodys_percent(name, FAKE_OPS, act_alarm, 0),
				70, 90);
	}
}

static void a_timer_set_in_a_turn_ends_it_if_it_comes_first(void **state)
{
	struct fake_guest *g;

	(void)state;
	fake_boot(1, "rr");
	g = fake_guest_make(1, NULL, 0);
	fake_guest_start(g);
	fake_run_for(FAKE_MS);
	timer_init(&alarm_timer, alarm_due);
	fake_this_cpu = &fake_cpus[0]->c;
	sched_timer_set(&alarm_timer, fake_now() + 7 * FAKE_MS);
	assert_int_equal(fake_cpus[0]->timer, fake_now() + 7 * FAKE_MS);
	/* A guest's own deadline may come before that, and stays. */
	fake_cpus[0]->timer = fake_now() + 1;
	sched_timer_set(&alarm_timer, fake_now() + 3 * FAKE_MS);
	assert_int_equal(fake_cpus[0]->timer, fake_now() + 1);
	/* A later one leaves the turn alone. */
	fake_cpus[0]->timer = fake_now() + 3 * FAKE_MS;
	sched_timer_set(&alarm_timer, fake_now() + 5 * FAKE_MS);
	assert_int_equal(fake_cpus[0]->timer, fake_now() + 3 * FAKE_MS);
	fake_run_for(4 * FAKE_MS);
	assert_true(timer_is_set(&alarm_timer));
	fake_run_for(2 * FAKE_MS);
	assert_false(timer_is_set(&alarm_timer));
	fake_guest_free(g);
	fake_halt();
}

/* ---- Who pays for work that comes in another's turn ---- */

#define BELL_TICKS (50 * FAKE_US)

/* Something that wakes a vCPU, starts it, or is only for it, each `every`
 * ticks. */
enum bell_for { BELL_WAKES, BELL_STARTS, BELL_ALARMS, BELL_YIELDS,
		BELL_NAPS };

static struct bell {
	struct timer timer;
	struct vcpu *to;
	enum bell_for what;
	u64 every, count;
} bell;

static enum run_end act_off(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	return RUN_OFF;
}

static void bell_rings(struct timer *t, u64 now)
{
	fake_cpus[0]->now += BELL_TICKS;
	bell.count++;
	if (bell.what == BELL_WAKES)
		virq_raise(bell.to, VIRQ_SOFT);
	else if (bell.what == BELL_STARTS)
		assert_int_equal(sched_vcpu_start(bell.to), 0);
	else
		sched_pay(bell.to->guest, now);
	sched_timer_set(t, now + bell.every);
}

static void bell_begin(struct fake_vcpu *f, enum bell_for what, u64 every)
{
	bell = (struct bell){.to = &f->v, .what = what, .every = every};
	timer_init(&bell.timer, bell_rings);
	fake_this_cpu = &fake_cpus[0]->c;
	sched_timer_set(&bell.timer, fake_now() + every);
}

/* One CPU: a guest of `hogs`, and one of which the bell is for a vCPU, which
 * works, or sleeps, or stops. */
static void bell_boot(const char *policy, u32 hogs, enum bell_for what,
		      u64 every, struct fake_guest *g[2])
{
	struct fake_vcpu *f;
	struct sched_params params = SCHED_PARAMS_DEFAULT;

	params.slice_us = 1000;
	fake_boot(1, policy);
	g[0] = fake_guest_make(hogs, &params, 0);
	g[1] = fake_guest_make(1, &params, 0);
	f = fake_vcpu_of(g[1], 0);
	if (what < BELL_ALARMS)
		fake_waits(f, 100 * FAKE_US);
	if (what == BELL_YIELDS) {
		f->left = f->arg[0] = 2 * FAKE_US;
		f->act = fake_act_yield;
	}
	if (what == BELL_STARTS)
		f->act = act_off;
	if (what == BELL_NAPS) {
		f->left = f->arg[0] = 2 * FAKE_US;
		f->arg[1] = 2 * FAKE_MS;
		f->act = fake_act_block;
	}
	fake_guest_start(g[0]);
	fake_guest_start(g[1]);
	fake_run_for(5 * FAKE_MS);
	bell_begin(f, what, every);
}

static void bell_halt(struct fake_guest *g[2])
{
	timer_clear(&core_of(&fake_cpus[0]->c)->timers, &bell.timer);
	fake_guest_free(g[0]);
	fake_guest_free(g[1]);
	fake_halt();
}

/* What the guest was charged beyond what it ran. */
static u64 charged_beyond(struct fake_guest *g)
{
	struct sched_guest_info info;

	sched_guest_info(&g->g, &info);
	return info.guest_ticks - fake_guest_ran(g);
}

static void bell_is_paid_for(const char *policy, enum bell_for what, u64 every)
{
	struct fake_guest *g[2];
	struct cpu_stats s;
	u64 paid;

	bell_boot(policy, 1, what, every, g);
	fake_run_for(200 * FAKE_MS);
	paid = bell.count * BELL_TICKS;
	assert_true(bell.count > 50);
	assert_in_range(charged_beyond(g[1]), paid - FAKE_MS, paid + FAKE_MS);
	assert_in_range(charged_beyond(g[0]), 0, FAKE_MS);
	fake_this_cpu = &fake_cpus[0]->c;
	sched_cpu_stats(0, &s);
	assert_true(s.host_ticks < FAKE_MS);
	bell_halt(g);
}

static void who_is_woken_in_anothers_turn_pays_for_that(void **state)
{
	(void)state;
	for_each_policy(name)
		if (!sched_policy_room(name))
			bell_is_paid_for(name, BELL_WAKES, 3 * FAKE_MS);
}

static void who_gives_way_pays_for_its_alarms(void **state)
{
	(void)state;
	for_each_policy(name)
		if (!sched_policy_room(name))
			bell_is_paid_for(name, BELL_YIELDS, 3 * FAKE_MS);
}

static void who_is_started_in_anothers_turn_pays_for_that(void **state)
{
	(void)state;
	for_each_policy(name)
		if (!sched_policy_room(name))
			bell_is_paid_for(name, BELL_STARTS, 3 * FAKE_MS);
}

static struct vcpu *started;

static enum run_end act_start(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	if (ck_pr_load_32(&started->state) == VCPU_OFF)
		assert_int_equal(sched_vcpu_start(started), 0);
	return RUN_LOOK;
}

#define TELL_TICKS (10 * FAKE_US)

static void spend_for_telling(struct fake_cpu *f, enum fake_op op)
{
	if (op == FAKE_STEP || op == FAKE_RING)
		f->now += TELL_TICKS;
}

/* What was nobody's on two CPUs, less what it takes them to ask each other for
 * work, and be answered. One works on each; of another guest one vCPU starts
 * the other all the time, which stops at once, and is put now here, now there.
 */
static u64 nobodys_by_starts(const char *policy)
{
	struct fake_guest *g[2];
	struct fake_vcpu *f;
	struct cpu_stats s;
	u64 host = 0, asks = 0;

	fake_boot(2, policy);
	g[0] = fake_guest_make(2, NULL, 0);
	g[1] = fake_guest_make(2, NULL, 0);
	f = fake_vcpu_of(g[1], 0);
	f->left = f->arg[0] = 300 * FAKE_US;
	f->act = act_start;
	f = fake_vcpu_of(g[1], 1);
	f->left = f->arg[0] = 10 * FAKE_US;
	f->act = act_off;
	started = &f->v;
	fake_guest_start(g[0]);
	fake_guest_start(g[1]);
	fake_run_for(2000 * FAKE_MS);
	for (u32 i = 0; i < 2; i++) {
		fake_this_cpu = &fake_cpus[i]->c;
		sched_cpu_stats(i, &s);
		host += s.host_ticks;
		asks += s.asks;
	}
	fake_guest_free(g[0]);
	fake_guest_free(g[1]);
	fake_halt();
	return host - MIN(host, asks * 4 * TELL_TICKS);
}

static void who_is_started_and_goes_elsewhere_pays_on_both(void **state)
{
	const struct fake_engine *was = fake_engine;
	struct fake_engine engine = *was;
	u64 most = 0;

	(void)state;
	engine.spend = spend_for_telling;
	fake_engine = &engine;
	for_each_policy(name)
		if (!sched_policy_room(name))
			most = MAX(most, nobodys_by_starts(name));
	fake_engine = was;
	/* Of a hundred starts and more. */
	assert_in_range(most, 0, 10 * TELL_TICKS);
}

static void who_has_alarms_in_anothers_turn_pays_for_them(void **state)
{
	(void)state;
	for_each_policy(name)
		if (!sched_policy_room(name))
			bell_is_paid_for(name, BELL_ALARMS, 700 * FAKE_US);
}

static void who_has_alarms_while_it_sleeps_pays_for_them(void **state)
{
	(void)state;
	for_each_policy(name)
		if (!sched_policy_room(name))
			bell_is_paid_for(name, BELL_NAPS, 700 * FAKE_US);
}

static void shares_are_as_if_nothing_came_in_ones_turn(void **state)
{
	struct fake_guest *g[2];
	u64 ran, all;

	(void)state;
	bell_boot("credit", 1, BELL_ALARMS, 400 * FAKE_US, g);
	ran = fake_guest_ran(g[0]);
	fake_run_for(400 * FAKE_MS);
	ran = fake_guest_ran(g[0]) - ran;
	all = 400 * FAKE_MS;
	assert_true(bell.count > 800);
	assert_in_range(ran, all / 2 - 2 * FAKE_MS, all / 2 + 2 * FAKE_MS);
	bell_halt(g);
}

/* Where a turn has a length, others' wake-ups make it no shorter. */
static void a_turn_is_as_long_as_without_others_wake_ups(void **state)
{
	u32 prolonged = 0;

	(void)state;
	for_each_policy(name) {
		struct fake_guest *g[2];
		u64 ran, turns;

		if (!policy_find(name)->prolong)
			continue;
		prolonged++;
		bell_boot(name, 2, BELL_WAKES, 3300 * FAKE_US, g);
		ran = fake_guest_ran(g[0]);
		turns = g[0]->g.vcpu[0]->turns + g[0]->g.vcpu[1]->turns;
		fake_run_for(800 * FAKE_MS);
		ran = fake_guest_ran(g[0]) - ran;
		turns = g[0]->g.vcpu[0]->turns + g[0]->g.vcpu[1]->turns - turns;
		assert_true(bell.count > 150);
		assert_in_range(ran / turns, FAKE_MS - 5 * FAKE_US,
				FAKE_MS + 5 * FAKE_US);
		bell_halt(g);
	}
	assert_true(prolonged > 0);
}

static u64 tells;

/* It begins to wait, and what is to be done then takes a quarter of a slice. */
static void tell_for_long(struct vcpu *v, bool waits)
{
	if (waits) {
		tells++;
		fake_cpus[v->cpu->index]->now += 250 * FAKE_US;
	}
}

/* Of turns of one length. */
static void a_turn_that_ended_late_is_made_up_for(void **state)
{
	struct sched_params params = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g[2];

	(void)state;
	params.slice_us = 1000;
	fake_boot(1, "rr");
	for (u32 i = 0; i < 2; i++)
		g[i] = fake_guest_make(1, &params, 0);
	tells = 0;
	fake_vcpu_of(g[0], 0)->v.waits = tell_for_long;
	fake_guest_start(g[0]);
	fake_guest_start(g[1]);
	fake_run_for(200 * FAKE_MS);
	assert_true(tells > 90);
	assert_in_range(fake_guest_ran(g[1]), 98 * FAKE_MS, 102 * FAKE_MS);
	fake_guest_free(g[0]);
	fake_guest_free(g[1]);
	fake_halt();
}

static void yields(struct fake_vcpu *f)
{
	f->left = f->arg[0] = 100 * FAKE_US;
	f->act = fake_act_yield;
}

static void what_is_done_as_it_begins_to_wait_is_its_own_time(void **state)
{
	struct sched_params params = SCHED_PARAMS_DEFAULT;

	(void)state;
	params.slice_us = 1000;
	for (u32 i = 0; i < 2; i++) {
		struct sched_guest_info info[2];
		struct fake_guest *g[2];
		u64 paid;

		fake_boot(1, "credit");
		for (u32 n = 0; n < 2; n++)
			g[n] = fake_guest_make(1, &params, 0);
		tells = 0;
		fake_vcpu_of(g[0], 0)->v.waits = tell_for_long;
		if (i)
			yields(fake_vcpu_of(g[0], 0));
		fake_guest_start(g[0]);
		fake_guest_start(g[1]);
		fake_run_for(200 * FAKE_MS);
		for (u32 n = 0; n < 2; n++)
			sched_guest_info(&g[n]->g, &info[n]);
		assert_true(tells > 50);
		paid = tells * 250 * FAKE_US;
		assert_in_range(info[0].guest_ticks - fake_guest_ran(g[0]),
				paid - FAKE_MS, paid + FAKE_MS);
		assert_in_range(info[1].guest_ticks - fake_guest_ran(g[1]), 0,
				FAKE_MS);
		assert_true(fake_guest_ran(g[1]) > 97 * FAKE_MS);
		fake_guest_free(g[0]);
		fake_guest_free(g[1]);
		fake_halt();
	}
}

/* ---- The books ---- */

#define BOOKED 4 /* guests */
#define BOOKED_VCPUS 5

static void spend_for_all(struct fake_cpu *f, enum fake_op op)
{
	f->now += 3 + op;
}

/* Sleeps, gives way, looks and wakes at random; arg[3] is the seed. */
static enum run_end act_any(struct fake_vcpu *f, u64 now)
{
	u32 seed = (u32)f->arg[3], what = fake_random(&seed) % 8;
	struct guest *g = f->v.guest;

	f->left = 1 + fake_random(&seed) % FAKE_MS;
	f->deadline = now + 1 + fake_random(&seed) % FAKE_MS;
	if (what % 2)
		virq_raise(g->vcpu[fake_random(&seed) % BOOKED_VCPUS],
			   VIRQ_SOFT);
	f->arg[3] = seed;
	return what < 3 ? RUN_YIELD : what < 6 ? RUN_BLOCK : RUN_LOOK;
}

static void all_are_asked(struct fake_guest *g[BOOKED], u32 request)
{
	for (u32 i = 0; i < BOOKED; i++)
		for (u32 k = 0; k < BOOKED_VCPUS; k++)
			sched_vcpu_request(g[i]->g.vcpu[k], request);
}

/* By the CPUs less what has been charged, or will be. */
static s64 unbooked_ticks(struct fake_guest *g[BOOKED], u32 cpus)
{
	s64 ticks = 0;

	for (u32 i = 0; i < BOOKED; i++) {
		ticks -= (s64)g[i]->g.account->guest_ticks;
		ticks -= (s64)g[i]->g.account->sent_ticks;
		for (u32 k = 0; k < BOOKED_VCPUS; k++)
			ticks -= (s64)g[i]->g.vcpu[k]->sched.owed_ticks;
	}
	for (u32 i = 0; i < cpus; i++)
		ticks += (s64)fake_cpus[i]->c.stats.guest_ticks;
	return ticks;
}

static void what_cpus_had_guests_have_paid_or_owe(void **state)
{
	const struct fake_engine *was = fake_engine;
	struct fake_engine engine = *was;

	(void)state;
	engine.spend = spend_for_all;
	fake_engine = &engine;
	for_each_policy(name) {
		struct fake_guest *g[BOOKED];

		if (sched_policy_room(name))
			continue;
		fake_boot(3, name);
		for (u32 i = 0; i < BOOKED; i++) {
			g[i] = fake_guest_make(BOOKED_VCPUS, NULL, 0);
			for (u32 k = 0; k < BOOKED_VCPUS; k++) {
				fake_vcpu_of(g[i], k)->act = act_any;
				fake_vcpu_of(g[i], k)->left = 1;
				fake_vcpu_of(g[i], k)->arg[3] = i * 5 + k;
			}
			fake_guest_start(g[i]);
		}
		for (u32 n = 0; n < 60; n++) {
			fake_run_for(3 * FAKE_MS);
			all_are_asked(g, VCPU_REQ_PAUSE);
			fake_run_for(FAKE_MS);
			assert_int_equal(unbooked_ticks(g, 3), 0);
			all_are_asked(g, VCPU_REQ_RESUME);
		}
		for (u32 i = 0; i < BOOKED; i++)
			fake_guest_free(g[i]);
		fake_halt();
	}
	fake_engine = was;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_task_that_gave_way_goes_on_when_the_guests_have_gone),
		cmocka_unit_test(a_vcpu_does_what_its_guest_says_now),
		cmocka_unit_test(
			a_cpu_that_only_runs_tasks_lets_go_of_a_second_stage),
		cmocka_unit_test(
			every_tick_is_a_guests_a_tasks_idle_or_the_hosts),
		cmocka_unit_test(time_spent_polling_is_the_guests),
		cmocka_unit_test(
			time_spent_polling_until_many_wake_is_the_guests),
		cmocka_unit_test(a_guest_pays_for_its_way_to_sleep),
		cmocka_unit_test(a_guest_pays_for_what_lies_between_its_turns),
		cmocka_unit_test(
			a_guest_pays_for_its_devices_timers_and_for_no_others),
		cmocka_unit_test(who_is_woken_in_anothers_turn_pays_for_that),
		cmocka_unit_test(who_gives_way_pays_for_its_alarms),
		cmocka_unit_test(who_is_started_in_anothers_turn_pays_for_that),
		cmocka_unit_test(
			who_is_started_and_goes_elsewhere_pays_on_both),
		cmocka_unit_test(who_has_alarms_in_anothers_turn_pays_for_them),
		cmocka_unit_test(who_has_alarms_while_it_sleeps_pays_for_them),
		cmocka_unit_test(shares_are_as_if_nothing_came_in_ones_turn),
		cmocka_unit_test(a_turn_is_as_long_as_without_others_wake_ups),
		cmocka_unit_test(a_turn_that_ended_late_is_made_up_for),
		cmocka_unit_test(
			what_is_done_as_it_begins_to_wait_is_its_own_time),
		cmocka_unit_test(what_cpus_had_guests_have_paid_or_owe),
		cmocka_unit_test(
			a_timer_set_in_a_turn_ends_it_if_it_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
