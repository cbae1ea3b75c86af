/*
 * The life of a guest in every order that there is: stop, restart, pause and
 * the end, by the sources of what anyone may ask (guest_life.c) and of the
 * guest's task (guest_task.c). tests/model/life_model.c has the vCPUs.
 *
 * Here the guest is one hart, which ends each life in its own way, once, unless
 * it is killed before; a start is one step. Others stop, start and pause, once
 * each. When nobody can go on, who was stopped stands still, however it was to
 * go on, who was started after that runs, and no life was ever paused that
 * hadn't begun.
 */
/* sources: kernel/guest_life.c kernel/guest_task.c tests/model/explore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/guest_private.h"
#include "kernel/mem.h"
#include "kernel/shell/console.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"
#include "tests/model/holds.h"

#define POWEROFF_CODE 3

struct outcome {
	u32 mail; /* the task's */
	bool busy, done, killing; /* the hart: in a call, has made it; dies */
	enum guest_event hart_ends_by;
	u32 hart_lives; /* that it ends so */
	int stopped, started, paused; /* what was answered; 1: nothing yet */
};

_Thread_local struct cpu *fake_this_cpu;
struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len = 1;
u64 timebase_hz = 10000000;
static struct guest *guest;
static struct outcome *o;

/* ---- The rest of the kernel ---- */

void *obj_alloc(size_t bytes)
{
	return explore_alloc(bytes);
}

void obj_free(void *obj)
{
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

u64 time_now_ticks(void)
{
	return 1000;
}

void rng_init(struct rng *r, const char *name)
{
}

u64 arch_vcpu_pc(struct vcpu *v)
{
	return 0;
}

void trace_write(u32 event, u32 vcpu, u64 a, u64 b)
{
}

u32 tracer_tell_last(u32 vcpu, u32 count,
		     void (*tell)(void *ctx, const char *text), void *ctx)
{
	return 0;
}

void console_poweroff(u32 status)
{
}

bool arch_guest_tell_rest(struct guest *g)
{
	return false;
}

bool emul_tell_rest(struct guest *g)
{
	return false;
}

void boot_kit_free(struct boot_kit *kit)
{
}

void image_load_fini(struct image_load *l)
{
}

void guest_came(struct guest *g)
{
}

void guests_status_add(const struct guest *g, u32 status)
{
}

void guests_look_done(void)
{
}

void reaper_take(struct guest *g)
{
}

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	t->step = step;
}

void task_move(struct task *t, u32 cpu)
{
}

/* As mbox_post. */
void task_wake(struct task *t)
{
	ck_pr_fence_release();
	ck_pr_fas_32(&o->mail, 1);
}

void task_wake_at(struct task *t, u64 when_ticks)
{
}

u32 sched_guest_follow(struct guest *g, u32 from)
{
	return g->cfg.vcpus;
}

/* The hart ends its call before it is off. */
u32 sched_guest_kill(struct guest *g, u32 from)
{
	o->killing = true;
	return g->cfg.vcpus;
}

bool sched_guest_killed(const struct guest *g)
{
	return !o->busy;
}

void sched_quiesce(struct sched_quiesce *q, struct task *t)
{
	q->done = 1;
	task_wake(t);
}

/* A start in one step: as boot_go has it. */
enum task_result boot_quiet(struct guest_life *l)
{
	struct guest *g = l->guest;

	l->phase = LIFE_IDLE;
	ck_pr_fence_release();
	if (!guest_state_change(g, GUEST_STARTING, GUEST_RUNNING))
		return TASK_MORE;
	/* Only who has seen it run may pause it. */
	explore_check(!(g->paused & 1));
	g->boots++;
	o->killing = o->done = false;
	return TASK_MORE;
}

#define NO_STEP(name) \
	enum task_result name(struct guest_life *l) \
	{ \
		explore_fail(__FILE__, __LINE__, #name); \
	}

NO_STEP(boot_unmap)
NO_STEP(boot_forget)
NO_STEP(boot_populate)
NO_STEP(boot_clear)
NO_STEP(boot_prepare)
NO_STEP(boot_tree)
NO_STEP(boot_load)
NO_STEP(boot_go)

/* ---- The threads ---- */

static bool is_set(const void *arg)
{
	return *(const u32 *)arg != 0;
}

static void task(void *arg)
{
	for (;;) {
		explore_rest();
		explore_wait(is_set, &o->mail);
		ck_pr_fas_32(&o->mail, 0);
		ck_pr_fence_memory();
		while (guest->task->step(guest->task) == TASK_MORE)
			;
	}
}

static bool hart_runs(const void *arg)
{
	return guest->state == GUEST_RUNNING && !o->killing && !o->done;
}

/* Of each life, until it was the last to end so. */
static void hart(void *arg)
{
	while (o->hart_lives) {
		explore_wait(hart_runs, NULL);
		o->busy = o->done = true;
		o->hart_lives--;
		guest_end(guest, o->hart_ends_by,
			  o->hart_ends_by == EVENT_POWEROFF ? POWEROFF_CODE :
							      0);
		o->busy = false;
		guest_vcpu_off(guest);
	}
}

static void stop(void *arg)
{
	o->stopped = guest_stop(guest);
}

static bool stands_still(const void *arg)
{
	return guest->state == GUEST_STOPPED;
}

static void stop_start(void *arg)
{
	stop(arg);
	explore_wait(stands_still, NULL);
	o->started = guest_start(guest);
}

static void start_reset(void *arg)
{
	explore_wait(stands_still, NULL);
	if (guest_start(guest) || guest_reset(guest))
		explore_fail(__FILE__, __LINE__, "busy");
}

/* Nothing was asked of the life that is over, and of the next to start again:
 * all before the task looks. */
static void start_reset_stop(void *arg)
{
	start_reset(arg);
	stop(arg);
	explore_check(o->stopped == 0);
}

static bool is_stopping_again(const void *arg)
{
	return guest->state == GUEST_STOPPING && guest->event == EVENT_RESET;
}

static void stop_then(void *arg)
{
	explore_wait(is_stopping_again, NULL);
	stop(arg);
}

static void pause(void *arg)
{
	o->paused = guest_pause(guest);
}

static void reset(void *arg)
{
	/* It may be on its way already. */
	(void)!guest_reset(guest);
}

static void crash(void *arg)
{
	guest_end(guest, EVENT_CRASH, 1);
}

/* ---- Worlds ---- */

static void world_make(enum guest_event ends_by, u32 lives)
{
	guest = explore_alloc(sizeof(*guest));
	o = explore_alloc(sizeof(*o));
	guest->cfg.name = "guest";
	guest->cfg.vcpus = 1;
	guest->cfg.on_reboot = ACTION_RESTART;
	guest->vcpu = explore_alloc(sizeof(*guest->vcpu));
	guest->vcpu[0] = explore_alloc(sizeof(*guest->vcpu[0]));
	guest->vcpu[0]->cpu = explore_alloc(sizeof(struct cpu));
	guest->state = GUEST_RUNNING;
	o->hart_ends_by = ends_by;
	o->hart_lives = lives;
	o->stopped = o->started = o->paused = 1;
	if (life_create(guest))
		abort();
	explore_watch(&guest->state, sizeof(guest->state), "state");
	explore_watch(&guest->event, sizeof(guest->event), "event");
	explore_watch(&guest->event_code, sizeof(u32), "code");
	explore_watch(&guest->stop_asked, sizeof(u32), "stop_asked");
	explore_watch(&guest->stops, sizeof(guest->stops), "stops");
	explore_watch(&guest->paused, sizeof(guest->paused), "paused");
	explore_watch(&o->mail, sizeof(o->mail), "the task's mail");
	explore_thread("task", NULL, task, NULL);
	explore_thread("hart", NULL, hart, NULL);
}

static void reboot_and_stop(void)
{
	world_make(EVENT_REBOOT, 2);
	explore_thread("stopper", NULL, stop, NULL);
}

static void reboot_reset_and_stop(void)
{
	world_make(EVENT_REBOOT, 1);
	explore_thread("stopper", NULL, stop, NULL);
	explore_thread("resetter", NULL, reset, NULL);
}

static void poweroff_stop_start(void)
{
	world_make(EVENT_POWEROFF, 2);
	explore_thread("stopper", NULL, stop_start, NULL);
}

static void reboot_stop_start(void)
{
	world_make(EVENT_REBOOT, 2);
	explore_thread("stopper", NULL, stop_start, NULL);
}

static void poweroff_start_reset_stop(void)
{
	world_make(EVENT_POWEROFF, 1);
	explore_thread("stopper", NULL, start_reset_stop, NULL);
}

/* The stop by another CPU than the reset. */
static void poweroff_start_reset_and_stop(void)
{
	world_make(EVENT_POWEROFF, 1);
	explore_thread("starter", NULL, start_reset, NULL);
	explore_thread("stopper", NULL, stop_then, NULL);
}

static void reboot_and_pause(void)
{
	world_make(EVENT_REBOOT, 2);
	explore_thread("pauser", NULL, pause, NULL);
}

static void reboot_stop_and_pause(void)
{
	world_make(EVENT_REBOOT, 1);
	explore_thread("stopper", NULL, stop, NULL);
	explore_thread("pauser", NULL, pause, NULL);
}

static void poweroff_and_crash(void)
{
	world_make(EVENT_POWEROFF, 1);
	explore_thread("crasher", NULL, crash, NULL);
}

/* ---- What must be so when nobody can go on ---- */

static void guest_is_content(void)
{
	u32 state = guest->state, why = guest->last_event;

	explore_check(state == GUEST_STOPPED || state == GUEST_RUNNING);
	explore_check(guest->event == EVENT_NONE && !guest->event_code);
	explore_check(guest->paused >> 1 == guest->stops);
	/* In a life that is over nobody is paused. */
	explore_check(state == GUEST_RUNNING || !(guest->paused & 1));
	explore_check(!(guest->paused & 1) || o->paused == 0);
	/* Its wish is for the life that it was asked of, and none after. */
	if (o->started == 0)
		explore_check(state == GUEST_RUNNING ||
			      why == EVENT_POWEROFF);
	else if (o->stopped <= 0)
		explore_check(state == GUEST_STOPPED);
	explore_check(o->started != -EBUSY);
	/* One that reboots is alive all the time. */
	explore_check(o->stopped != -EBUSY || o->hart_ends_by != EVENT_REBOOT);
	explore_check(guest->last_code == (why == EVENT_POWEROFF ?
						   POWEROFF_CODE :
						   why == EVENT_CRASH));
}

/* ---- The tests ---- */

#define HOLDS(test, begin, quick, full) \
	MODEL_HOLDS(test, begin, guest_is_content, quick, full)

HOLDS(one_that_reboots_can_be_stopped, reboot_and_stop, 4, 0)
HOLDS(who_stops_it_beside_a_reset_is_heard, reboot_reset_and_stop, 3, 4)
HOLDS(a_stop_that_meets_the_end_stops_no_later_life, poweroff_stop_start, 0, 0)
HOLDS(a_stop_that_meets_a_reboot_stops_no_later_life, reboot_stop_start, 4, 5)
HOLDS(one_started_reset_and_stopped_at_once_is_stopped,
      poweroff_start_reset_stop, 4, 0)
HOLDS(who_stops_one_that_another_resets_is_heard,
      poweroff_start_reset_and_stop, 4, 0)
HOLDS(a_pause_is_of_a_life_that_was_seen, reboot_and_pause, 0, 0)
HOLDS(one_that_reboots_and_is_paused_is_stopped, reboot_stop_and_pause, 3, 5)
HOLDS(of_two_ends_one_is_told_with_its_status, poweroff_and_crash, 0, 0)

#define FINDS(test, begin, fault, thread) \
	MODEL_FINDS(test, begin, guest_is_content, 4, fault, thread)

FINDS(a_stopper_without_its_fence_is_found, reboot_and_stop,
      EXPLORE_NO_FULL_FENCE, "stopper")
FINDS(a_restart_without_its_fence_is_found, reboot_and_stop,
      EXPLORE_NO_FULL_FENCE, "task")
FINDS(an_end_without_its_fence_is_found, poweroff_and_crash,
      EXPLORE_NO_STORE_FENCE, "hart")
FINDS(a_stop_of_one_that_is_not_counted_yet_is_found, poweroff_start_reset_stop,
      EXPLORE_NO_STORE_FENCE, "task")
FINDS(a_pause_that_is_not_atomic_is_found, reboot_and_pause, EXPLORE_SPLIT_CAS,
      "pauser")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_reboots_can_be_stopped),
		cmocka_unit_test(who_stops_it_beside_a_reset_is_heard),
		cmocka_unit_test(a_stop_that_meets_the_end_stops_no_later_life),
		cmocka_unit_test(
			a_stop_that_meets_a_reboot_stops_no_later_life),
		cmocka_unit_test(
			one_started_reset_and_stopped_at_once_is_stopped),
		cmocka_unit_test(who_stops_one_that_another_resets_is_heard),
		cmocka_unit_test(a_pause_is_of_a_life_that_was_seen),
		cmocka_unit_test(one_that_reboots_and_is_paused_is_stopped),
		cmocka_unit_test(of_two_ends_one_is_told_with_its_status),
		cmocka_unit_test(a_stopper_without_its_fence_is_found),
		cmocka_unit_test(a_restart_without_its_fence_is_found),
		cmocka_unit_test(an_end_without_its_fence_is_found),
		cmocka_unit_test(
			a_stop_of_one_that_is_not_counted_yet_is_found),
		cmocka_unit_test(a_pause_that_is_not_atomic_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
