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
#include "kernel/sched/policy.h"

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

void *obj_alloc(size_t bytes)
{
	void *p = aligned_alloc(64, ALIGN_UP(bytes ? bytes : 1, (size_t)64));

	CHECK(p);
	memset(p, 0, ALIGN_UP(bytes ? bytes : 1, (size_t)64));
	objects++;
	return p;
}

void obj_free(void *obj)
{
	if (obj)
		objects--;
	free(obj);
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
	return self()->now;
}

void guest_vcpu_off(struct guest *g, struct vcpu *v)
{
	(void)v;
	container_of(g, struct fake_guest, g)->offs++;
}

/* ---- kernel/arch.h ---- */

void arch_timer_set(u64 deadline_ticks)
{
	self()->timer = deadline_ticks;
}

void arch_doorbell_ring(struct cpu *target)
{
	fake(target)->rung = true;
	fake(target)->rings++;
}

void arch_doorbell_ack(void)
{
	self()->rung = false;
}

void arch_host_irq(void)
{
}

/* How far this CPU may go before the others must follow. */
static u64 horizon(struct fake_cpu *f)
{
	u64 least = TIME_NEVER;

	for (u32 i = 0; i < cpu_count(); i++) {
		if (fake_cpus[i] != f)
			least = MIN(least, fake_cpus[i]->now);
	}
	if (least == TIME_NEVER)
		least = f->now;
	return MAX(least, f->now) + FAKE_QUANTUM_TICKS;
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
		f->now = MIN(f->timer, horizon(f));
		f->waited += f->now;
	}
}

static void take_interrupts(struct fake_vcpu *f)
{
	u32 bits = ck_pr_fas_32(&f->v.virq, 0);

	if (!bits)
		return;
	f->irqs++;
	f->seen |= bits;
}

enum run_end arch_vcpu_run(struct vcpu *v)
{
	struct fake_cpu *f = self();
	struct fake_vcpu *vc = fv(v);
	enum run_end end = RUN_LOOK;
	u64 until;

	CHECK(vc->loaded == &f->c && v->cpu == f->c.index);
	CHECK(v->state == VCPU_RUNNING && !v->sched.paused);
	if (!cpu_enter_guest(&f->c, v))
		return RUN_LOOK;
	take_interrupts(vc);
	vc->untrapped = sched_wfi_native(v);
	vc->cpu = f->c.index;
	until = MIN(horizon(f), f->now + vc->left);
	if (vc->left == TIME_NEVER)
		until = horizon(f);
	until = MIN(until, MAX(f->timer, f->now));
	if (f->rung)
		until = f->now;
	vc->ran += until - f->now;
	f->ran += until - f->now;
	if (vc->left != TIME_NEVER)
		vc->left -= until - f->now;
	f->now = until;
	if (!f->rung && vc->left == 0)
		end = vc->act(vc, f->now);
	else if (f->timer <= f->now)
		end = RUN_TIMER;
	vcpu_exit_count(v, VCPU_EXIT_OTHER);
	cpu_leave_guest(&f->c);
	if (end == RUN_LOOK)
		f->stopped = CPU_GUEST;
	return end;
}

void arch_vcpu_load(struct vcpu *v)
{
	CHECK(fv(v)->loaded == NULL && v->cpu == cpu_this()->index);
	fv(v)->loaded = cpu_this();
	self()->loaded++;
}

void arch_vcpu_save(struct vcpu *v)
{
	CHECK(fv(v)->loaded == cpu_this());
	fv(v)->loaded = NULL;
	self()->loaded--;
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

void arch_vcpu_trace(struct vcpu *v, bool on)
{
	fv(v)->traced = on;
}

void arch_vcpu_timer_fired(struct vcpu *v)
{
	virq_raise(v, VIRQ_TIMER);
}

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

struct fake_guest *fake_guest_make(u32 vcpus, const struct sched_params *params,
				   u64 allowed)
{
	static const struct sched_params defaults = SCHED_PARAMS_DEFAULT;
	struct fake_guest *fg = obj_alloc(sizeof(*fg));
	struct guest *g = &fg->g;

	g->id = next_guest++;
	g->cfg.name = "guest";
	g->cfg.vcpus = vcpus;
	g->cfg.sched = params ? *params : defaults;
	g->cfg.has_affinity = allowed != 0;
	g->cfg.affinity.w[0] = allowed;
	g->vcpu = obj_alloc(vcpus * sizeof(*g->vcpu));
	g->state = GUEST_RUNNING;
	for (u32 i = 0; i < vcpus; i++) {
		struct fake_vcpu *f = obj_alloc(sizeof(*f));

		f->left = TIME_NEVER;
		f->deadline = TIME_NEVER;
		f->v.guest = g;
		f->v.id = i;
		g->vcpu[i] = &f->v;
	}
	CHECK(sched_guest_add(g) == 0);
	return fg;
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
	sched_guest_kill(&fg->g);
	for (u32 i = 0; !sched_guest_killed(&fg->g); i++) {
		CHECK(i < 1000);
		fake_run_for(FAKE_MS);
	}
	sched_quiesce(&q, NULL);
	for (u32 i = 0; !sched_quiesced(&q); i++) {
		CHECK(i < 1000);
		fake_run_for(FAKE_MS);
	}
	sched_guest_remove(&fg->g);
	for (u32 i = 0; i < fg->g.cfg.vcpus; i++) {
		CHECK(fv(fg->g.vcpu[i])->loaded == NULL);
		obj_free(fv(fg->g.vcpu[i]));
	}
	obj_free(fg->g.vcpu);
	obj_free(fg);
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
		f->waited += f->stopped == CPU_IDLE;
	}
	return ran;
}

void fake_run_until(u64 until)
{
	for (;;) {
		u32 least = 0;

		for (u32 i = 1; i < cpu_count(); i++) {
			if (fake_cpus[i]->now < fake_cpus[least]->now)
				least = i;
		}
		if (fake_cpus[least]->now >= until)
			return;
		fake_step(least);
	}
}

u64 fake_guest_ran(struct fake_guest *fg)
{
	u64 sum = 0;

	for (u32 i = 0; i < fg->g.cfg.vcpus; i++)
		sum += fake_vcpu_of(fg, i)->ran;
	return sum;
}
