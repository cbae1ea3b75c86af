/*
 * Guests that come and go, with threads for CPUs, the real scheduler, and all
 * of the real sources of guests and their consoles: see guest_world.h. Each CPU
 * has an operator, a task as the console's is, who makes guests, finds them by
 * their names and numbers, starts, stops, resets, pauses, changes and destroys
 * them, walks through the list, and holds references for long; another task
 * shows what they print, and types.
 *
 * Whoever holds a reference finds the guest whole; the list has each guest
 * once, by its number; a guest is destroyed once and freed once, when nobody
 * refers to it and no CPU has its tables; no vCPU is anywhere in a guest that
 * stands still, and none is on. In the end each guest can be stopped and goes,
 * with all that it was made of.
 */
/* sources: SCHED_CORE POLICIES kernel/heap.c kernel/gcons.c kernel/rng.c
 *	kernel/config.c kernel/guest_boot.c kernel/guest_make.c
 *	kernel/guest_reap.c kernel/guest_set.c tests/stress/guest_slow.c
 *	tests/stress/guest_world.c tests/stress/stress.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/gcons.h"
#include "tests/stress/guest_world.h"
#include "tests/unit/policies.h"

#define HELD 3
#define THINGS 2500 /* done by each operator in a round */

struct operator {
	struct task task;
	u32 self, left; /* which one it is; things that it is yet to do */
	bool last; /* all others have done theirs; whom it has stopped since: */
	u32 stopped_id[WORLD_NAMES];
	struct guest *making;
	struct guest *held[HELD], *walker;
	u32 held_id[HELD], walker_id;

	/* Of a guest that only it pauses and changes: it is at that. */
	struct guest *own;
	bool setting;
	u32 follow;
	struct guest_setting set;
};

static struct operator operators[WORLD_CPUS_MOST];
static struct task console;
static struct gcons *reading, *attached; /* the console's */
static u32 objects_before;

/* Atomic. What came true, and how many operators are at work. */
static struct {
	u32 made, given_up, started, stopped, reset, paused, changed, destroyed;
	u32 shown, typed, at_work;
} done;

/* ---- one thing at a time ---- */

static void hold(struct operator *op, struct guest *g)
{
	u32 i = rnd(HELD);

	guest_put(op->held[i]);
	op->held[i] = g;
	op->held_id[i] = g->id;
}

static void check_held(const struct operator *op)
{
	for (u32 i = 0; i < HELD; i++)
		if (op->held[i])
			world_check(op->held[i], op->held_id[i]);
	if (op->walker)
		world_check(op->walker, op->walker_id);
}

static void make_begin(struct operator *op)
{
	char name[8];
	struct guest_config cfg = world_config(rnd(WORLD_NAMES), name);
	struct lab_error err;

	if (guest_create_begin(&cfg, &op->making, &err))
		op->making = NULL;
}

/* From the step on that says that it is made it is everybody's. */
static void make_some(struct operator *op)
{
	struct lab_error err;
	int ret;

	if (rnd(64) == 0) {
		guest_create_cancel(op->making);
		op->making = NULL;
		ck_pr_inc_32(&done.given_up);
		return;
	}
	ret = guest_create_step(op->making, &err);
	if (ret == 1)
		return;
	op->making = NULL;
	ck_pr_inc_32(ret ? &done.given_up : &done.made);
}

/* Some guests at a time, and the next some steps later. */
static void walk(struct operator *op)
{
	for (u32 n = 1 + rnd(4); n; n--) {
		op->walker = guest_next(op->walker);
		if (!op->walker) {
			op->walker_id = 0;
			return;
		}
		CHECK(op->walker->id > op->walker_id, "%u after %u",
		      op->walker->id, op->walker_id);
		op->walker_id = op->walker->id;
		world_check(op->walker, op->walker_id);
		CHECK(guest_state_name(op->walker), "no state");
	}
}

/* By its number there is this guest, or none. */
static void find_by_number(struct operator *op)
{
	u32 i = rnd(HELD);
	struct guest *g;

	if (!op->held[i])
		return;
	g = guest_find_id(op->held_id[i]);
	CHECK(!g || g == op->held[i], "another one");
	guest_put(g);
}

static void own_begin(struct operator *op, struct guest *g)
{
	const char *text = "some text";
	struct lab_error err;

	if (op->own || world_number(g->cfg.name) % cpu_count() != op->self)
		return;
	op->setting = rnd(2);
	if (op->setting ? guest_set_begin(g, &text, 1, &op->set, &err) :
			  (rnd(2) ? guest_pause(g) : guest_resume(g)))
		return;
	guest_get(g);
	op->own = g;
	op->follow = 0;
	ck_pr_inc_32(op->setting ? &done.changed : &done.paused);
}

static void own_goes_on(struct operator *op)
{
	struct guest *g = op->own;
	bool more;

	if (!g)
		return;
	if (op->setting) {
		more = guest_set_step(g, &op->set);
	} else {
		op->follow = guest_follow(g, op->follow);
		more = op->follow < g->cfg.vcpus;
	}
	if (more)
		return;
	op->own = NULL;
	guest_put(g);
}

static void count(int ret, u32 *what)
{
	CHECK(!ret || ret == -EBUSY, "%d", ret);
	if (!ret)
		ck_pr_inc_32(what);
}

static void do_with(struct operator *op, struct guest *g)
{
	switch (rnd(16)) {
	case 0: count(guest_stop(g), &done.stopped); break;
	case 1: count(guest_reset(g), &done.reset); break;
	case 2:
	case 3: count(guest_destroy(g), &done.destroyed); break;
	case 4:
	case 5:
	case 6: own_begin(op, g); break;
	case 7: guest_crash(g->vcpu[0], "by an operator"); break;
	default: count(guest_start(g), &done.started);
	}
}

/* One of the names, and who has it, with a reference; NULL: nobody. */
static struct guest *find_any(void)
{
	char name[8];
	struct guest *g;

	(void)world_config(rnd(WORLD_NAMES), name);
	g = guest_find(name);
	if (g)
		CHECK(!strcmp(g->cfg.name, name), "%s", g->cfg.name);
	return g;
}

static void find_by_name(struct operator *op)
{
	struct guest *g = find_any();

	if (!g)
		return;
	world_check(g, g->id);
	do_with(op, g);
	if (rnd(4))
		guest_put(g);
	else
		hold(op, g);
}

static void do_something(struct operator *op)
{
	check_held(op);
	own_goes_on(op);
	if (op->making) {
		make_some(op);
		return;
	}
	switch (rnd(16)) {
	case 0:
	case 1: make_begin(op); break;
	case 2:
	case 3: walk(op); break;
	case 4: find_by_number(op); break;
	case 5:
		if (rnd(16) == 0)
			(void)!sched_policy_set(
				sched_policy_list(rnd(policy_count())), NULL);
		break;
	default: find_by_name(op);
	}
}

/* ---- the end ---- */

/* True: it has nothing in its hands any more. */
static bool lets_go(struct operator *op)
{
	own_goes_on(op);
	if (op->making)
		guest_create_cancel(op->making);
	op->making = NULL;
	for (u32 i = 0; i < HELD; i++) {
		guest_put(op->held[i]);
		op->held[i] = NULL;
	}
	guest_put(op->walker);
	op->walker = NULL;
	return !op->own;
}

/* It stands still, and nobody asks anything of it any more. */
static void check_rest(const struct guest *g)
{
	CHECK(g->event == EVENT_NONE && !g->event_code, "an event");
	CHECK(!g->vcpus_on, "%u vCPUs are on", g->vcpus_on);
	CHECK(g->boots <= g->stops, "%u lives, %u ends", g->boots, g->stops);
	world_check_last(g);
}

/* Once is enough, even if it is about to start again. */
static void stop_once(struct operator *op, struct guest *g)
{
	u32 *id = &op->stopped_id[world_number(g->cfg.name)];

	if (*id != g->id && !guest_stop(g))
		*id = g->id;
}

/* By the last operator. True: there is no guest any more. */
static bool all_go(struct operator *op)
{
	u32 seen = 0, count = guest_count();

	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;) {
		u32 state = ck_pr_load_32(&g->state);

		seen++;
		world_check(g, g->id);
		if (state == GUEST_STOPPED) {
			check_rest(g);
			CHECK(!guest_destroy(g), "destroyed before");
			ck_pr_inc_32(&done.destroyed);
		} else if (state != GUEST_DYING) {
			stop_once(op, g);
		}
	}
	/* The reaper takes some out of the list meanwhile. */
	CHECK(seen <= count && seen >= guest_count(), "%u of %u", seen, count);
	return !seen && guests_all_freed();
}

static enum task_result operator_step(struct task *t)
{
	struct operator *op = container_of(t, struct operator, task);

	if (op->left) {
		do_something(op);
		op->left--;
		if (rnd(4))
			return TASK_MORE;
		/* Guests have a life meanwhile. */
		task_wake_at(t, time_now_ticks() + us_to_ticks(rnd(1000)));
		return TASK_WAIT;
	}
	if (!op->last) {
		if (!lets_go(op))
			return TASK_MORE;
		op->last = ck_pr_faa_32(&done.at_work, (u32)-1) == 1;
		if (!op->last)
			return TASK_WAIT;
	}
	if (all_go(op)) {
		world_stop();
		return TASK_WAIT;
	}
	task_wake_at(t, time_now_ticks() + us_to_ticks(100));
	return TASK_WAIT;
}

/* ---- the console ---- */

static void wake(void)
{
	task_wake(&console);
}

static void attach(void)
{
	struct guest *g = find_any();

	if (!g)
		return;
	attached = g->console;
	gcons_get(attached);
	guest_put(g);
}

static void attached_goes_on(void)
{
	if (!attached) {
		attach();
		return;
	}
	world_number(attached->name);
	if (gcons_type(attached, "x", 1))
		ck_pr_inc_32(&done.typed);
	if (rnd(16))
		return;
	gcons_put(attached);
	attached = NULL;
}

/* Each guest prints its name, and which vCPU it is. */
static bool read_some(void)
{
	u64 lost, head;
	char buf[64];
	size_t n = gcons_peek(reading, &reading->shown_line, buf, sizeof(buf),
			      &lost, &head);

	for (size_t i = 0; i < n; i++)
		CHECK(strchr("g01234 \n", buf[i]), "byte %u", buf[i]);
	reading->shown_line += n;
	if (!n)
		return !gcons_settle(reading, head);
	gcons_shown(reading, reading->shown_line);
	ck_pr_add_32(&done.shown, (u32)n);
	return true;
}

static enum task_result console_step(struct task *t)
{
	attached_goes_on();
	if (!reading)
		reading = gcons_next_dirty();
	if (!reading)
		return TASK_WAIT;
	if (!read_some()) {
		gcons_put(reading);
		reading = NULL;
	}
	return TASK_MORE;
}

static void console_end(void)
{
	if (attached)
		gcons_put(attached);
	attached = NULL;
	if (reading)
		gcons_put(reading);
	while ((reading = gcons_next_dirty()) != NULL)
		gcons_put(reading);
}

/* ---- the test ---- */

static void one_round(u32 cpus)
{
	world_make(cpus);
	objects_before = objects;
	done.at_work = cpus;
	task_init(&console, "console", console_step, cpus - 1);
	for (u32 i = 0; i < cpus; i++) {
		memset(&operators[i], 0, sizeof(operators[i]));
		operators[i].self = i;
		operators[i].left = THINGS;
		task_init(&operators[i].task, "operator", operator_step, i);
		task_wake(&operators[i].task);
	}
	world_run();
	console_end();
	CHECK(done.made == done.destroyed, "made, destroyed");
	CHECK(world.guests_made == world.guests_freed, "guests are left");
	CHECK(world.vcpus_made == world.vcpus_freed, "vCPUs are left");
	CHECK(objects == objects_before, "%u objects are left",
	      objects - objects_before);
}

static void guests_come_and_go(void **state)
{
	bool full = getenv("ROUSE_TEST_FULL") != NULL;
	u32 cpus = *(const u32 *)*state;

	alarm(full ? 800 : 300);
	memset(&done, 0, sizeof(done));
	memset(&world, 0, sizeof(world));
	gcons_on_output(wake);
	gcons_watch_new(true);
	for (u32 i = 0; i < (full ? 30 : 4); i++)
		one_round(cpus);
	print_message("# %u made, %u given up; %u started, %u stopped, %u "
		      "reset, %u ended, %u paused, %u changed, %u destroyed; "
		      "%u bytes shown, %u typed\n", done.made, done.given_up,
		      done.started, done.stopped, done.reset, world.ends,
		      done.paused, done.changed, done.destroyed, done.shown,
		      done.typed);
	assert_true(done.made && done.given_up && done.started &&
		    done.stopped && done.reset && world.ends && done.paused &&
		    done.changed && done.shown && done.typed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(1, guests_come_and_go),
		ON(2, guests_come_and_go),
		ON(4, guests_come_and_go),
		ON(8, guests_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
