/*
 * The made-up architecture: see fake_arch.h.
 */
#include "tests/unit/fake_arch/fake_arch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"
#include "kernel/sched/policy.h"
#include "kernel/sched/yield.h"

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = FAKE_HZ;

struct fake_cpu *fake_cpus[FAKE_CPUS_MAX];
u32 fake_log_lines;
char fake_log_last[256];
static u64 objects;
static u32 next_guest;

#define CHECK(cond)                                                         \
	do {                                                                \
		if (!(cond)) {                                              \
			fprintf(stderr, "fake_arch: %s:%d: %s\n", __FILE__, \
				__LINE__, #cond);                           \
			abort();                                            \
		}                                                           \
	} while (0)

static struct fake_cpu *fake(struct cpu *c)
{
	return container_of(c, struct fake_cpu, c);
}

static struct fake_cpu *self(void)
{
	return fake(cpu_this());
}

static struct fake_vcpu *fv(struct vcpu *v)
{
	return container_of(v, struct fake_vcpu, v);
}

/* ---- The rest of the kernel ---- */

u64 fake_fail_in;

#define OBJ_ALIGN ((uintptr_t)64)

/*
 * What the host has cleared itself isn't touched here: of a guest's part for
 * each CPU most is never used, and thousands of guests on thousands of CPUs
 * would take gigabytes. So it is calloc's, which gives no such alignment; what
 * it gave is kept in front of the object.
 */
void *obj_alloc(size_t bytes)
{
	void *raw, **obj;

	if (fake_fail_in && --fake_fail_in == 0)
		return NULL;
	raw = calloc(1, bytes + OBJ_ALIGN);
	CHECK(raw);
	obj = (void **)ALIGN_UP((uintptr_t)raw + sizeof(*obj), OBJ_ALIGN);
	obj[-1] = raw;
	objects++;
	return obj;
}

void obj_free(void *obj)
{
	if (!obj)
		return;
	objects--;
	free(((void **)obj)[-1]);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(fake_log_last, sizeof(fake_log_last), fmt, ap);
	va_end(ap);
	fake_log_lines++;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

u64 time_now_ticks(void)
{
	struct fake_cpu *f = self();

	if (f->looks && --f->looks == 0)
		fake_engine->spend(f, FAKE_REST);
	return f->now;
}

void guest_vcpu_off(struct guest *g)
{
	container_of(g, struct fake_guest, g)->offs++;
}

/* ---- kernel/arch.h ---- */

void arch_timer_set(u64 deadline_ticks)
{
	fake_engine->spend(self(), FAKE_TIMER);
	self()->timer = deadline_ticks;
}

void arch_timer_no_later(u64 deadline_ticks)
{
	if (deadline_ticks < self()->timer)
		arch_timer_set(deadline_ticks);
}

void arch_doorbell_ring(struct cpu *target)
{
	fake_engine->spend(self(), FAKE_RING);
	fake(target)->rings++;
	fake_engine->ring(self(), fake(target));
}

void arch_doorbell_ack(void)
{
	fake_engine->ack(self());
}

/* The first thing in each round of the loop. */
void arch_host_irq(void)
{
	fake_engine->spend(self(), FAKE_STEP);
	self()->fired = false;
}

void arch_guest_let_go(void)
{
	CHECK(self()->loaded == 0);
	self()->hold = false;
}

void arch_wait(void)
{
	struct fake_cpu *f = self();

	CHECK(f->c.mode == CPU_IDLE);
	arch_guest_let_go();
	f->stopped = CPU_IDLE;
	if (!f->rung && f->timer > f->now) {
		f->waited -= f->now;
		fake_engine->pass(f, f->timer);
		f->waited += f->now;
	}
	fake_engine->spend(f, FAKE_WAKE);
}

static void take_interrupts(struct fake_vcpu *f)
{
	u32 bits = ck_pr_fas_32(&f->v.virq, 0);

	if (!bits)
		return;
	f->irqs++;
	f->seen |= bits;
	f->waits = false;
}

/* The guest goes on until it acts, waits in vain, or something comes. */
static enum run_end run_on(struct fake_cpu *f, struct fake_vcpu *vc)
{
	u64 left = vc->left, until = TIME_NEVER, began = f->now;

	if (vc->waits)
		until = MAX(vc->deadline, f->now);
	else if (left != TIME_NEVER)
		until = f->now + left;
	until = MIN(until, MAX(f->timer, f->now));
	if (!f->rung)
		fake_engine->pass(f, until);
	f->ran += f->now - began;
	if (vc->waits) {
		vc->waits = vc->deadline > f->now;
		vc->stay = !vc->waits;
	} else {
		vc->ran += f->now - began;
		/* Who acts elsewhere may have changed it meanwhile. */
		if (left != TIME_NEVER && vc->left == left)
			vc->left -= f->now - began;
		if (!f->rung && vc->left == 0) {
			enum run_end end = vc->act(vc, f->now);

			if (end != RUN_BLOCK || !vc->untrapped ||
			    !fake_engine->wfi_waits)
				return end;
			vc->waits = vc->stay = vc->deadline > f->now;
		}
	}
	if (f->timer > f->now || f->rung)
		return RUN_LOOK;
	vc->stay = sched_timer_early();
	return vc->stay ? RUN_LOOK : RUN_TIMER;
}

static enum run_end turn(struct vcpu *v)
{
	struct fake_cpu *f = self();
	struct fake_vcpu *vc = fv(v);
	enum run_end end = RUN_LOOK;

	CHECK(vc->loaded == &f->c && v->cpu == &f->c);
	CHECK(v->state == VCPU_RUNNING && !v->sched.paused);
	fake_engine->spend(f, FAKE_ENTER);
	if (!cpu_enter_guest(&f->c, v))
		return RUN_LOOK;
	take_interrupts(vc);
	vc->untrapped = sched_wfi_native(v);
	vc->cpu = f->c.index;
	fake_engine->entered(f, vc);
	if (vc->waits && !vc->untrapped) {
		vc->waits = false;
		end = RUN_BLOCK;
	} else {
		do {
			vc->stay = false;
			end = run_on(f, vc);
		} while (end == RUN_LOOK && vc->stay && !f->rung);
	}
	vcpu_exit_count(v, VCPU_EXIT_OTHER);
	fake_engine->ended(f, vc, end);
	cpu_leave_guest(&f->c);
	if (end == RUN_LOOK)
		f->stopped = CPU_GUEST;
	return end;
}

static void state_in(struct fake_vcpu *vc)
{
	CHECK(vc->loaded == NULL && vc->v.cpu == cpu_this());
	vc->loaded = cpu_this();
	self()->loaded++;
}

static void state_out(struct fake_vcpu *vc)
{
	CHECK(vc->loaded == cpu_this());
	vc->loaded = NULL;
	self()->loaded--;
}

enum run_end arch_vcpu_run(struct vcpu *v)
{
	for (;;) {
		enum run_end end = turn(v);
		struct vcpu *next = NULL;

		if (end == RUN_YIELD && !v->waits)
			next = sched_give_way(v);
		if (!next) {
			fake_engine->spend(self(), FAKE_EXIT);
			return end;
		}
		fake_engine->spend(self(), FAKE_PASS);
		self()->ways++;
		if (next != v) {
			state_out(fv(v));
			state_in(fv(next));
		}
		if (next->waits)
			next->waits(next, false);
		if (fake_engine->goes_on && !fake_engine->goes_on(self()))
			return RUN_LOOK;
		v = next;
	}
}

void arch_vcpu_load(struct vcpu *v)
{
	fake_engine->spend(self(), FAKE_LOAD);
	state_in(fv(v));
}

void arch_vcpu_save(struct vcpu *v)
{
	struct fake_cpu *f = self();

	fake_engine->spend(f, FAKE_SAVE);
	if (f->fired)
		fake_engine->spend(f, FAKE_GIVE);
	f->fired = false;
	/* Its own time ends with the next look (current_block). */
	f->looks = v->state == VCPU_BLOCKING ? 2 : 0;
	state_out(fv(v));
}

enum run_end arch_vcpu_load_run(struct vcpu *v)
{
	arch_vcpu_load(v);
	return arch_vcpu_run(v);
}

bool arch_vcpu_pending(struct vcpu *v)
{
	return ck_pr_load_32(&v->virq) || fv(v)->deadline <= time_now_ticks();
}

u64 arch_vcpu_deadline_ticks(struct vcpu *v)
{
	return fv(v)->deadline;
}

void arch_vcpu_trace(struct vcpu *v, u32 classes)
{
	fv(v)->traced = classes;
}

void arch_vcpu_knobs(struct vcpu *v)
{
	(void)v;
}

void arch_vcpu_timer_fired(struct vcpu *v)
{
	struct fake_cpu *f = self();

	if (f->c.current) {
		fake_engine->spend(f, FAKE_FIRE);
		f->fired = true;
	}
	virq_raise(v, VIRQ_TIMER);
}

/* ---- Time, by steps ---- */

static u64 run_until; /* while fake_run_until runs; else 0 */

/* The clock that is furthest behind but for `f`, or TIME_NEVER. */
static u64 others_now(const struct fake_cpu *f)
{
	u64 least = TIME_NEVER;

	for (u32 i = 0; i < cpu_count(); i++) {
		if (fake_cpus[i] != f)
			least = MIN(least, fake_cpus[i]->now);
	}
	return least;
}

static bool step_goes_on(struct fake_cpu *f)
{
	u64 others = others_now(f);

	return !run_until ||
	       (f->now < run_until && (others == TIME_NEVER ||
				       f->now < others + FAKE_QUANTUM_TICKS));
}

/* How far this CPU may go before the others must follow. */
static u64 horizon(struct fake_cpu *f)
{
	u64 others = others_now(f);

	return (others == TIME_NEVER ? f->now : MAX(others, f->now)) +
	       FAKE_QUANTUM_TICKS;
}

static void step_pass(struct fake_cpu *f, u64 until)
{
	f->now = MIN(until, horizon(f));
}

static void step_ring(struct fake_cpu *f, struct fake_cpu *target)
{
	(void)f;
	target->rung = true;
}

static void step_ack(struct fake_cpu *f)
{
	f->rung = false;
}

static void step_spend(struct fake_cpu *f, enum fake_op op)
{
	(void)f;
	(void)op;
}

static void step_entered(struct fake_cpu *f, struct fake_vcpu *v)
{
	(void)f;
	(void)v;
}

static void step_ended(struct fake_cpu *f, struct fake_vcpu *v,
		       enum run_end end)
{
	(void)f;
	(void)v;
	(void)end;
}

static const struct fake_engine step_engine = {
	.pass = step_pass,
	.goes_on = step_goes_on,
	.ring = step_ring,
	.ack = step_ack,
	.spend = step_spend,
	.entered = step_entered,
	.ended = step_ended,
};

const struct fake_engine *fake_engine = &step_engine;

/* ---- Acts ---- */

enum run_end fake_act_block(struct fake_vcpu *f, u64 now)
{
	f->left = f->arg[0];
	f->deadline = now + f->arg[1];
	return RUN_BLOCK;
}

enum run_end fake_act_wait(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	f->deadline = TIME_NEVER;
	return RUN_BLOCK;
}

enum run_end fake_act_yield(struct fake_vcpu *f, u64 now)
{
	(void)now;
	f->left = f->arg[0];
	return RUN_YIELD;
}

void fake_sleeps(struct fake_vcpu *f, u64 run, u64 sleep)
{
	f->left = f->arg[0] = run;
	f->arg[1] = sleep;
	f->act = fake_act_block;
}

void fake_waits(struct fake_vcpu *f, u64 run)
{
	f->left = f->arg[0] = run;
	f->act = fake_act_wait;
}

u32 fake_random(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* ---- The machine ---- */

/* What sched_init took; the hypervisor itself never gives it back. */
static void sched_fini(void)
{
	for (u32 i = 0; i < cpu_count(); i++) {
		obj_free(cpu_by_index(i)->sched->part);
		obj_free(cpu_by_index(i)->sched);
	}
}

void fake_boot(u32 cpus, const char *policy)
{
	CHECK(cpus <= FAKE_CPUS_MAX);
	cpu_table_len = 0;
	/* Of the machine before. */
	memset(idle_masks, 0, sizeof(idle_masks));
	objects = 0;
	next_guest = 0;
	fake_log_lines = 0;
	for (u32 i = 0; i < cpus; i++) {
		struct fake_cpu *f = aligned_alloc(64, ALIGN_UP(sizeof(*f),
								(size_t)64));

		CHECK(f);
		memset(f, 0, sizeof(*f));
		fake_cpus[i] = f;
		f->c.index = i;
		f->now = FAKE_HZ;
		f->timer = TIME_NEVER;
		cpu_register(&f->c);
	}
	fake_this_cpu = &fake_cpus[0]->c;
	CHECK(sched_init(policy) == 0);
}

void fake_halt(void)
{
	sched_fini();
	CHECK(objects == 0);
	for (u32 i = 0; i < cpu_count(); i++) {
		free(fake_cpus[i]);
		fake_cpus[i] = NULL;
	}
	cpu_table_len = 0;
}

static void guest_free(struct fake_guest *fg)
{
	for (u32 i = 0; i < fg->g.cfg.vcpus; i++)
		obj_free(fv(fg->g.vcpu[i]));
	obj_free(fg->g.vcpu);
	obj_free(fg);
}

static void guest_remove(struct guest *g)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		sched_vcpu_remove(g->vcpu[i]);
	if (g->account)
		sched_guest_remove(g);
}

struct fake_guest *fake_guest_try(const struct guest_config *cfg, u64 fails)
{
	struct fake_guest *fg = obj_alloc(sizeof(*fg));
	struct guest *g = &fg->g;
	int err;

	g->id = next_guest++;
	g->cfg = *cfg;
	g->vcpu = obj_alloc(cfg->vcpus * sizeof(*g->vcpu));
	g->state = GUEST_RUNNING;
	for (u32 i = 0; i < cfg->vcpus; i++) {
		struct fake_vcpu *f = obj_alloc(sizeof(*f));

		f->left = TIME_NEVER;
		f->deadline = TIME_NEVER;
		f->v.guest = g;
		f->v.id = i;
		g->vcpu[i] = &f->v;
	}
	fake_fail_in = fails;
	err = sched_guest_add(g);
	for (u32 i = 0; !err && i < cfg->vcpus; i++)
		err = sched_vcpu_add(g->vcpu[i]);
	fake_fail_in = 0;
	if (!err)
		return fg;
	CHECK(err == -ENOMEM);
	guest_remove(g);
	guest_free(fg);
	return NULL;
}

struct fake_guest *fake_guest_make_as(const struct guest_config *cfg)
{
	struct fake_guest *fg = fake_guest_try(cfg, 0);

	CHECK(fg);
	return fg;
}

struct fake_guest *fake_guest_make(u32 vcpus, const struct sched_params *params,
				   u64 allowed)
{
	struct guest_config cfg = { .name = "guest", .vcpus = vcpus,
				    .sched = SCHED_PARAMS_DEFAULT };

	if (params)
		cfg.sched = *params;
	cfg.has_affinity = allowed != 0;
	cfg.affinity.w[0] = allowed;
	return fake_guest_make_as(&cfg);
}

struct fake_vcpu *fake_vcpu_of(struct fake_guest *fg, u32 id)
{
	return fv(fg->g.vcpu[id]);
}

void fake_guest_start(struct fake_guest *fg)
{
	for (u32 i = 0; i < fg->g.cfg.vcpus; i++)
		CHECK(sched_vcpu_start(fg->g.vcpu[i]) == 0);
}

void fake_guest_free(struct fake_guest *fg)
{
	struct sched_quiesce q;

	fg->g.state = GUEST_STOPPING;
	for (u32 i = 0; i < fg->g.cfg.vcpus;)
		i = sched_guest_kill(&fg->g, i);
	for (u32 i = 0; !sched_guest_killed(&fg->g); i++) {
		CHECK(i < 1000);
		fake_run_for(FAKE_MS);
	}
	sched_quiesce(&q, NULL);
	for (u32 i = 0; !sched_quiesced(&q); i++) {
		CHECK(i < 1000);
		fake_run_for(FAKE_MS);
	}
	guest_remove(&fg->g);
	for (u32 i = 0; i < fg->g.cfg.vcpus; i++)
		CHECK(fv(fg->g.vcpu[i])->loaded == NULL);
	guest_free(fg);
}

u64 fake_now(void)
{
	u64 most = 0;

	for (u32 i = 0; i < cpu_count(); i++)
		most = MAX(most, fake_cpus[i]->now);
	return most;
}

void fake_spend(u64 ticks)
{
	self()->now += ticks;
	self()->spent += ticks;
}

enum task_result fake_work_step(struct task *t)
{
	struct fake_work *w = container_of(t, struct fake_work, task);

	w->steps++;
	fake_spend(w->step_ticks);
	return --w->steps_left ? TASK_MORE : TASK_WAIT;
}

bool fake_step(u32 cpu)
{
	struct fake_cpu *f = fake_cpus[cpu];
	u64 before = f->now;
	bool ran;

	fake_this_cpu = &f->c;
	f->c.mode = CPU_HYP;
	/* What rang meanwhile has ended the wait, which acknowledges it. */
	if (f->stopped == CPU_IDLE)
		f->rung = false;
	f->stopped = CPU_HYP;
	ran = sched_step(&f->c, f->now);
	/* To the others it is still there until its next step. */
	f->c.mode = f->stopped;
	/* A step takes time even if it did nothing. */
	if (f->now == before) {
		f->now++;
		f->stepped++;
		f->waited += f->stopped == CPU_IDLE;
	}
	return ran;
}

void fake_run_until(u64 until)
{
	run_until = until;
	for (;;) {
		u32 least = 0;

		for (u32 i = 1; i < cpu_count(); i++) {
			if (fake_cpus[i]->now < fake_cpus[least]->now)
				least = i;
		}
		if (fake_cpus[least]->now >= until)
			break;
		fake_step(least);
	}
	run_until = 0;
}

u64 fake_guest_ran(struct fake_guest *fg)
{
	u64 sum = 0;

	for (u32 i = 0; i < fg->g.cfg.vcpus; i++)
		sum += fake_vcpu_of(fg, i)->ran;
	return sum;
}
