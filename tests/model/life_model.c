/*
 * The life of a vCPU in every order that there is: block, wake, timers, pause,
 * resume, kill, start and moves, by the sources of the scheduler's core, the
 * mailbox and the doorbell. docs/locking.md argues what is tried here.
 *
 * CPUs run the core's real loop. Their guests do one thing: a sleeper waits at
 * once, a stayer stays in the guest until its doorbell rings. Others raise
 * interrupts and ask, once each. When nobody can go on, everything that was
 * raised has been seen, who was killed is OFF, who is paused has no CPU.
 */
/* sources: SCHED_CORE kernel/heap.c kernel/sched/rr.c tests/model/explore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"
#include "kernel/sched/core.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"
#include "tests/model/holds.h"

#define CPUS_MAX  2
#define VCPUS_MAX 2
#define BEGIN	  1000 /* of everything; it stays, unless a clock runs */
#define LATER	  2000

struct model_cpu {
	struct cpu c;
	u32 rung; /* the doorbell, in hardware */
	u64 timer;
};

struct model_vcpu {
	struct vcpu v;
	struct cpu *loaded;
	u64 deadline;
	bool stays; /* until its doorbell rings; else it waits at once */
	bool naps;  /* waits until it has seen something, then stays */
	u32 raised; /* VIRQ_*: by anyone, so far */
	u32 seen;   /* VIRQ_*: taken by the guest */
	bool killed, paused; /* the last that was asked of it */
};

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
static u64 now;
static u32 cpus;
static struct model_cpu *cpu[CPUS_MAX];
static struct model_vcpu *vcpu[VCPUS_MAX];
static struct guest *guest;
static u32 offs;

static struct model_vcpu *mv(struct vcpu *v)
{
	return container_of(v, struct model_vcpu, v);
}

static struct model_cpu *self(void)
{
	return container_of(cpu_this(), struct model_cpu, c);
}

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

void panic(const char *fmt, ...)
{
	explore_fail(__FILE__, __LINE__, fmt);
}

u64 time_now_ticks(void)
{
	return now;
}

void guest_vcpu_off(struct guest *g)
{
	offs++;
}

/* ---- kernel/arch.h ---- */

void arch_timer_set(u64 deadline_ticks)
{
	self()->timer = deadline_ticks;
}

void arch_timer_no_later(u64 deadline_ticks)
{
	self()->timer = MIN(self()->timer, deadline_ticks);
}

void arch_doorbell_ring(struct cpu *target)
{
	ck_pr_store_32(&container_of(target, struct model_cpu, c)->rung, 1);
	/* fence w,o and a store that nothing holds up. */
	ck_pr_fence_memory();
}

void arch_doorbell_ack(void)
{
	ck_pr_store_32(&self()->rung, 0);
	ck_pr_fence_memory();
}

void arch_host_irq(void)
{
}

void arch_guest_let_go(void)
{
}

static bool interrupted(const void *arg)
{
	const struct model_cpu *m = arg;

	return m->rung || m->timer <= now;
}

void arch_wait(void)
{
	/* The core keeps nothing of its round behind this. */
	explore_forget();
	explore_wait(interrupted, self());
	arch_doorbell_ack();
}

static void take_interrupts(struct model_vcpu *m)
{
	/* Its own clock's, as with Sstc. */
	if (m->deadline <= now) {
		m->deadline = TIME_NEVER;
		m->raised |= VIRQ_TIMER;
		m->seen |= VIRQ_TIMER;
	}
	if (ck_pr_load_32(&m->v.virq))
		m->seen |= ck_pr_fas_32(&m->v.virq, 0);
	m->stays |= m->naps && m->seen;
}

enum run_end arch_vcpu_run(struct vcpu *v)
{
	struct model_vcpu *m = mv(v);
	struct cpu *c = cpu_this();
	enum run_end end = RUN_BLOCK;

	/* Nor behind this but how it ends. */
	explore_forget();
	explore_check(m->loaded == c && v->cpu == c);
	explore_check(!v->sched.paused && v->sched.on);
	if (!cpu_enter_guest(c, v))
		return RUN_LOOK;
	take_interrupts(m);
	while (m->stays) {
		explore_wait(interrupted, self());
		end = self()->timer <= now ? RUN_TIMER : RUN_LOOK;
		if (end == RUN_TIMER || !cpu_guest_bell(c))
			break;
		take_interrupts(m);
	}
	cpu_leave_guest(c);
	return end;
}

void arch_vcpu_load(struct vcpu *v)
{
	explore_check(!mv(v)->loaded && v->cpu == cpu_this());
	mv(v)->loaded = cpu_this();
}

void arch_vcpu_save(struct vcpu *v)
{
	explore_check(mv(v)->loaded == cpu_this());
	mv(v)->loaded = NULL;
}

enum run_end arch_vcpu_load_run(struct vcpu *v)
{
	arch_vcpu_load(v);
	return arch_vcpu_run(v);
}

static bool blind; /* a fault: the sleeper does not look once more */

bool arch_vcpu_pending(struct vcpu *v)
{
	return !blind && ck_pr_load_32(&v->virq);
}

u64 arch_vcpu_deadline_ticks(struct vcpu *v)
{
	return mv(v)->deadline;
}

void arch_vcpu_trace(struct vcpu *v, u32 classes)
{
}

void arch_vcpu_knobs(struct vcpu *v)
{
}

void arch_vcpu_timer_fired(struct vcpu *v)
{
	mv(v)->deadline = TIME_NEVER;
	mv(v)->raised |= VIRQ_TIMER;
	virq_raise(v, VIRQ_TIMER);
}

/* ---- The threads ---- */

static void loop(void *arg)
{
	for (;;) {
		explore_rest();
		sched_step(cpu_this(), time_now_ticks());
	}
}

static void raise_soft(void *arg)
{
	struct model_vcpu *m = arg;

	m->raised |= VIRQ_SOFT;
	virq_raise(&m->v, VIRQ_SOFT);
}

static void raise_ext(void *arg)
{
	struct model_vcpu *m = arg;

	m->raised |= VIRQ_EXTERNAL;
	virq_raise(&m->v, VIRQ_EXTERNAL);
}

static void clock_goes_on(void *arg)
{
	/* A point of its own. */
	ck_pr_store_64(&now, LATER);
	ck_pr_fence_memory();
}

static void follow_all(void)
{
	for (u32 i = 0; i < guest->cfg.vcpus; i++)
		sched_vcpu_request(guest->vcpu[i], VCPU_REQ_FOLLOW);
}

/* As guest_pause_in and guest_resume have it. */
static void pause(void *arg)
{
	u32 was = ck_pr_load_32(&guest->paused);

	if ((was & 1) || !ck_pr_cas_32(&guest->paused, was, was | 1))
		return;
	ck_pr_fence_memory();
	follow_all();
}

static void resume(void *arg)
{
	u32 was = ck_pr_load_32(&guest->paused);

	if (!(was & 1) || !ck_pr_cas_32(&guest->paused, was, was & ~1u))
		return;
	ck_pr_fence_memory();
	follow_all();
}

static void pause_resume(void *arg)
{
	pause(arg);
	resume(arg);
}

static bool is_killed(const void *arg)
{
	return guest->account->kills_due == 0;
}

static void kill(void *arg)
{
	for (u32 i = 0; i < guest->cfg.vcpus; i++)
		vcpu[i]->killed = true;
	ck_pr_store_32(&guest->state, GUEST_STOPPING);
	ck_pr_fence_memory();
	explore_check(sched_guest_kill(guest, 0) == guest->cfg.vcpus);
}

/* And once more: the life after. */
static void kill_start(void *arg)
{
	kill(arg);
	explore_wait(is_killed, NULL);
	explore_check(sched_guest_killed(guest));
	for (u32 i = 0; i < guest->cfg.vcpus; i++) {
		explore_check(vcpu[i]->v.state == VCPU_OFF);
		explore_check(!vcpu[i]->loaded && !vcpu[i]->v.sched.on);
		vcpu[i]->killed = false;
	}
	ck_pr_store_32(&guest->state, GUEST_RUNNING);
	ck_pr_fence_memory();
	explore_check(sched_vcpu_start(&vcpu[0]->v) == 0);
}

/* A hart of the guest asks for the start of another one. */
static void start(void *arg)
{
	struct model_vcpu *m = arg;

	explore_check(sched_vcpu_start(&m->v) == 0);
}

static void move(void *arg)
{
	struct model_vcpu *m = arg;
	struct cpuset there = {{2}};

	explore_check(sched_vcpu_affinity(&m->v, &there) == 0);
}

static void move_back(void *arg)
{
	struct model_vcpu *m = arg;
	struct cpuset here = {{1}};

	move(arg);
	explore_check(sched_vcpu_affinity(&m->v, &here) == 0);
}

/* ---- The world ---- */

static void watch_cpu(struct model_cpu *m)
{
	struct sched_core *core = core_of(&m->c);

	explore_watch(&m->rung, sizeof(m->rung), "the doorbell");
	explore_watch(&m->c.mode, sizeof(m->c.mode), "mode");
	explore_watch(&m->c.bell, sizeof(m->c.bell), "bell");
	explore_watch(&m->c.mbox, sizeof(m->c.mbox), "the mailbox");
	explore_ignore(&m->c.stats, sizeof(m->c.stats));
	explore_ignore(&core->since, sizeof(core->since));
	if (cpus == 1)
		return;
	explore_watch(&m->c.load, sizeof(m->c.load), "load");
	explore_watch(&core->ask_mail.bits, sizeof(u32), "ask");
	explore_watch(&core->answer_mail.bits, sizeof(u32), "answer");
}

static void watch_vcpu(struct model_vcpu *m)
{
	struct vcpu *v = &m->v;

	explore_watch(&v->state, sizeof(v->state), "state");
	explore_watch(&v->virq, sizeof(v->virq), "virq");
	explore_watch(&v->requests, sizeof(v->requests), "requests");
	explore_watch(&v->cpu, sizeof(v->cpu), "the owner");
	explore_watch(&v->mail.bits, sizeof(v->mail.bits), "the mail's bits");
	explore_ignore(&v->wakes, 3 * sizeof(u64));
	explore_ignore(&v->sched.ticks, sizeof(v->sched.ticks));
	explore_ignore(&v->sched.preemptions, sizeof(v->sched.preemptions));
}

static void cpus_make(u32 n)
{
	cpus = n;
	now = BEGIN;
	offs = 0;
	cpu_table_len = 0;
	memset(idle_masks, 0, sizeof(idle_masks));
	for (u32 i = 0; i < n; i++) {
		cpu[i] = explore_alloc(sizeof(*cpu[i]));
		cpu[i]->c.index = i;
		cpu[i]->timer = TIME_NEVER;
		cpu_register(&cpu[i]->c);
	}
	fake_this_cpu = &cpu[0]->c;
	if (sched_init("rr"))
		abort();
	explore_state(&now, sizeof(now));
	explore_state(&offs, sizeof(offs));
	explore_state(idle_masks, sizeof(idle_masks));
	explore_state(&sched_pool, sizeof(sched_pool));
	explore_watch(&now, sizeof(now), "the clock");
	if (n > 1)
		explore_watch(idle_masks, sizeof(idle_masks), "idle masks");
	for (u32 i = 0; i < n; i++)
		watch_cpu(cpu[i]);
}

/* One guest, its first vCPU on its way from a start, on CPU 0. */
static void guest_make(u32 vcpus)
{
	static const struct sched_params defaults = SCHED_PARAMS_DEFAULT;

	guest = explore_alloc(sizeof(*guest));
	guest->cfg.name = "guest";
	guest->cfg.vcpus = vcpus;
	guest->cfg.sched = defaults;
	guest->cfg.has_affinity = true;
	guest->cfg.affinity.w[0] = 1;
	guest->state = GUEST_RUNNING;
	guest->vcpu = explore_alloc(vcpus * sizeof(*guest->vcpu));
	for (u32 i = 0; i < vcpus; i++) {
		vcpu[i] = explore_alloc(sizeof(*vcpu[i]));
		vcpu[i]->v.guest = guest;
		vcpu[i]->v.id = i;
		vcpu[i]->deadline = TIME_NEVER;
		guest->vcpu[i] = &vcpu[i]->v;
	}
	if (sched_guest_add(guest))
		abort();
	for (u32 i = 0; i < vcpus; i++) {
		if (sched_vcpu_add(&vcpu[i]->v))
			abort();
		watch_vcpu(vcpu[i]);
	}
	explore_watch(&guest->paused, sizeof(guest->paused), "paused");
	explore_watch(&guest->state, sizeof(guest->state), "guest's state");
	explore_check(sched_vcpu_start(&vcpu[0]->v) == 0);
	for (u32 i = 0; i < cpus; i++) {
		static const char *const names[] = {"cpu0", "cpu1"};

		explore_thread(names[i], &cpu[i]->c, loop, NULL);
	}
}

static void world(u32 n)
{
	cpus_make(n);
	guest_make(1);
}

/* ---- What must be so when nobody can go on ---- */

static void cpu_is_content(const struct model_cpu *m)
{
	explore_check(!mbox_has_mail(&m->c.mbox));
	explore_check(!m->c.bell && !m->rung);
}

static void vcpu_is_content(const struct model_vcpu *m)
{
	const struct sched_unit *u = &m->v.sched;
	const struct model_cpu *c = cpu[m->v.cpu->index];

	explore_check(!m->v.requests);
	if (m->killed || m->v.state == VCPU_OFF) {
		explore_check(m->v.state == VCPU_OFF && !u->on && !m->loaded);
		explore_check(!u->counted && !u->queued && !u->paused);
		explore_check(c->c.current != &m->v);
	} else if (guest->paused & 1) {
		explore_check(u->paused && !u->queued && !u->counted);
		explore_check(m->v.state == VCPU_QUEUED ||
			      m->v.state == VCPU_BLOCKED);
		explore_check(m->v.state == VCPU_QUEUED || !m->v.virq);
		explore_check(!m->loaded && c->c.current != &m->v);
	} else {
		explore_check(!m->v.virq && m->seen == m->raised);
		explore_check(unit_may_run(u, m->v.cpu->index) || !u->counted);
		explore_check(m->v.state ==
			      (m->stays ? VCPU_RUNNING : VCPU_BLOCKED));
		explore_check(u->runstate ==
			      (m->stays ? RUNSTATE_RUNNING : RUNSTATE_BLOCKED));
		explore_check(m->stays || !u->counted);
	}
}

static void all_are_content(void)
{
	u32 load = 0, counted = 0, on = 0;

	for (u32 i = 0; i < guest->cfg.vcpus; i++) {
		vcpu_is_content(vcpu[i]);
		on += vcpu[i]->v.sched.on;
		counted += vcpu[i]->v.sched.counted;
	}
	for (u32 i = 0; i < cpus; i++) {
		cpu_is_content(cpu[i]);
		load += cpu[i]->c.load;
	}
	explore_check(load == counted);
	explore_check(guest->vcpus_on == on && sched_pool.units_on == on);
	explore_check(!vcpu[0]->killed || guest->account->kills_due == 0);
}

/* ---- Scenarios ---- */

static void two_wakers(void)
{
	world(1);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("ext", NULL, raise_ext, vcpu[0]);
}

static void in_the_guest(void)
{
	two_wakers();
	vcpu[0]->stays = true;
}

static void asleep_then_in_the_guest(void)
{
	two_wakers();
	vcpu[0]->naps = true;
}

/* Two vCPUs take turns on a CPU. */
static void in_turns(void)
{
	cpus_make(1);
	guest_make(2);
	explore_check(sched_vcpu_start(&vcpu[1]->v) == 0);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("ext", NULL, raise_ext, vcpu[1]);
}

static void in_turns_and_paused(void)
{
	in_turns();
	explore_thread("pauser", NULL, pause_resume, NULL);
}

static void started_and_paused(void)
{
	cpus_make(1);
	guest_make(2);
	explore_thread("starter", NULL, start, vcpu[1]);
	explore_thread("pauser", NULL, pause, NULL);
}

static void timer_and_waker(void)
{
	world(1);
	vcpu[0]->deadline = LATER;
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("clock", NULL, clock_goes_on, NULL);
}

static void timer_and_pause(void)
{
	timer_and_waker();
	explore_thread("pauser", NULL, pause_resume, NULL);
}

static void waker_and_pauser(void)
{
	world(1);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("pauser", NULL, pause_resume, NULL);
}

static void guest_and_pauser(void)
{
	waker_and_pauser();
	vcpu[0]->stays = true;
}

static void pauser_and_resumer(void)
{
	world(1);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("pauser", NULL, pause, NULL);
	explore_thread("resumer", NULL, resume, NULL);
}

static void killer_alone(void)
{
	world(1);
	explore_thread("killer", NULL, kill, NULL);
}

static void killer_of_one_in_its_guest(void)
{
	killer_alone();
	vcpu[0]->stays = true;
}

static void killer_and_pauser(void)
{
	killer_alone();
	explore_thread("pauser", NULL, pause, NULL);
}

static void killer_and_pauser_resumer(void)
{
	killer_alone();
	explore_thread("pauser", NULL, pause_resume, NULL);
}

static void born_again(void)
{
	world(1);
	explore_thread("killer", NULL, kill_start, NULL);
}

static void timer_and_killer(void)
{
	killer_alone();
	vcpu[0]->deadline = LATER;
	explore_thread("clock", NULL, clock_goes_on, NULL);
}

static void waker_and_killer(void)
{
	world(1);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("killer", NULL, kill, NULL);
}

static void waker_pauser_and_killer(void)
{
	waker_and_killer();
	explore_thread("pauser", NULL, pause, NULL);
}

static void killed_and_born_again(void)
{
	world(1);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
	explore_thread("killer", NULL, kill_start, NULL);
}

static void started_and_killed(void)
{
	cpus_make(1);
	guest_make(2);
	explore_thread("starter", NULL, start, vcpu[1]);
	explore_thread("killer", NULL, kill, NULL);
}

static void moved_and_woken(void)
{
	world(2);
	explore_thread("mover", NULL, move, vcpu[0]);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
}

static void moved_to_and_fro(void)
{
	world(2);
	explore_thread("mover", NULL, move_back, vcpu[0]);
	explore_thread("soft", NULL, raise_soft, vcpu[0]);
}

static void moved_in_the_guest(void)
{
	moved_and_woken();
	vcpu[0]->stays = true;
}

static void moved_and_paused(void)
{
	moved_and_woken();
	explore_thread("pauser", NULL, pause_resume, NULL);
}

static void moved_and_killed(void)
{
	moved_and_woken();
	explore_thread("killer", NULL, kill, NULL);
}

/* ---- The tests ---- */

#define HOLDS(test, begin, quick, full) \
	MODEL_HOLDS(test, begin, all_are_content, quick, full)

HOLDS(two_wakers_lose_nothing, two_wakers, 2, 0)
HOLDS(a_vcpu_in_its_guest_hears_of_everything, in_the_guest, 2, 0)
HOLDS(who_slept_hears_in_its_guest, asleep_then_in_the_guest, 2, 0)
HOLDS(two_in_turns_lose_nothing, in_turns, 2, 3)
HOLDS(two_in_turns_are_paused, in_turns_and_paused, 1, 2)
HOLDS(a_start_that_meets_a_pause_is_paused, started_and_paused, 2, 4)
HOLDS(a_timer_and_a_waker_lose_nothing, timer_and_waker, 2, 0)
HOLDS(a_timer_of_a_paused_vcpu_is_not_lost, timer_and_pause, 2, 3)
HOLDS(pause_and_resume_lose_no_wake, waker_and_pauser, 2, 4)
HOLDS(pause_and_resume_reach_a_guest, guest_and_pauser, 2, 0)
HOLDS(the_last_of_pause_and_resume_counts, pauser_and_resumer, 2, 3)
/* A kill beside one other at most: every order. */
HOLDS(who_sleeps_is_killed, killer_alone, 0, 0)
HOLDS(who_is_killed_in_its_guest_is_off, killer_of_one_in_its_guest, 0, 0)
HOLDS(who_is_killed_as_its_clock_fires_is_off, timer_and_killer, 0, 0)
HOLDS(who_is_killed_starts_once_more, born_again, 0, 0)
HOLDS(a_kill_that_meets_a_pause_is_heard, killer_and_pauser, 2, 0)
HOLDS(a_kill_that_meets_a_resume_is_heard, killer_and_pauser_resumer, 2, 0)
/* Not every order: between KILL's bit and its mail the vCPU goes round for as
 * long as the killer stands there, and the waker's swap may fail each time. */
HOLDS(who_is_killed_is_off, waker_and_killer, 2, 5)
HOLDS(who_is_killed_while_paused_is_off, waker_pauser_and_killer, 2, 3)
HOLDS(the_next_life_is_woken, killed_and_born_again, 2, 4)
HOLDS(a_start_that_meets_the_end_is_off, started_and_killed, 2, 4)
HOLDS(who_is_moved_is_woken, moved_and_woken, 2, 3)
HOLDS(who_is_moved_to_and_fro_is_woken, moved_to_and_fro, 1, 3)
HOLDS(who_is_moved_in_its_guest_hears, moved_in_the_guest, 2, 4)
HOLDS(who_is_moved_is_paused, moved_and_paused, 1, 2)
HOLDS(who_is_moved_is_killed, moved_and_killed, 1, 2)

/* The same with a fault, which must be found. */
#define FINDS(test, begin, fault, thread) \
	MODEL_FINDS(test, begin, all_are_content, 3, fault, thread)

FINDS(a_sleeper_without_its_fence_is_found, two_wakers, EXPLORE_NO_FULL_FENCE,
      "cpu0")
FINDS(a_waker_without_its_fence_is_found, two_wakers, EXPLORE_NO_FULL_FENCE,
      "soft")
FINDS(an_end_that_is_told_too_early_is_found, killed_and_born_again,
      EXPLORE_NO_STORE_FENCE, "cpu0")
FINDS(an_end_too_early_is_found_where_nobody_wakes, born_again,
      EXPLORE_NO_STORE_FENCE, "cpu0")

static void a_swap_that_is_not_atomic_is_found(void **state)
{
	model_finds((struct explore){.name = __func__,
				     .begin = two_wakers,
				     .end = all_are_content,
				     .switches = 3,
				     .fault = EXPLORE_SPLIT_CAS});
}

static void a_sleeper_that_does_not_look_again_is_found(void **state)
{
	blind = true;
	model_finds((struct explore){.name = __func__,
				     .begin = two_wakers,
				     .end = all_are_content,
				     .switches = 3,
				     .fault = EXPLORE_ELSEWHERE});
	blind = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_wakers_lose_nothing),
		cmocka_unit_test(a_vcpu_in_its_guest_hears_of_everything),
		cmocka_unit_test(who_slept_hears_in_its_guest),
		cmocka_unit_test(two_in_turns_lose_nothing),
		cmocka_unit_test(two_in_turns_are_paused),
		cmocka_unit_test(a_start_that_meets_a_pause_is_paused),
		cmocka_unit_test(a_timer_and_a_waker_lose_nothing),
		cmocka_unit_test(a_timer_of_a_paused_vcpu_is_not_lost),
		cmocka_unit_test(pause_and_resume_lose_no_wake),
		cmocka_unit_test(pause_and_resume_reach_a_guest),
		cmocka_unit_test(the_last_of_pause_and_resume_counts),
		cmocka_unit_test(who_sleeps_is_killed),
		cmocka_unit_test(who_is_killed_in_its_guest_is_off),
		cmocka_unit_test(who_is_killed_as_its_clock_fires_is_off),
		cmocka_unit_test(who_is_killed_starts_once_more),
		cmocka_unit_test(a_kill_that_meets_a_pause_is_heard),
		cmocka_unit_test(a_kill_that_meets_a_resume_is_heard),
		cmocka_unit_test(who_is_killed_is_off),
		cmocka_unit_test(who_is_killed_while_paused_is_off),
		cmocka_unit_test(the_next_life_is_woken),
		cmocka_unit_test(a_start_that_meets_the_end_is_off),
		cmocka_unit_test(who_is_moved_is_woken),
		cmocka_unit_test(who_is_moved_to_and_fro_is_woken),
		cmocka_unit_test(who_is_moved_in_its_guest_hears),
		cmocka_unit_test(who_is_moved_is_paused),
		cmocka_unit_test(who_is_moved_is_killed),
		cmocka_unit_test(a_sleeper_without_its_fence_is_found),
		cmocka_unit_test(a_waker_without_its_fence_is_found),
		cmocka_unit_test(an_end_that_is_told_too_early_is_found),
		cmocka_unit_test(an_end_too_early_is_found_where_nobody_wakes),
		cmocka_unit_test(a_swap_that_is_not_atomic_is_found),
		cmocka_unit_test(a_sleeper_that_does_not_look_again_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
