/* See guest_world.h. */
#include "tests/stress/guest_world.h"

#include <libfdt.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"
#include "kernel/percpu/trace.h"
#include "kernel/shell/console.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"
#include "tests/unit/policies.h"

#define MAGIC 0x60e57u
#define STEPS 3 /* of what takes several */

struct host_cpu {
	struct cpu c;
	u32 pending; /* atomic: the doorbell */
	u32 let_go;  /* atomic: it is to let go of its second stage */
	u64 timer;
	struct guest *stage2; /* atomic: whose is in its register */
};

struct host_vcpu {
	struct vcpu v;
	struct cpu *loaded; /* atomic */
	u64 deadline;
};

/* The parts of a guest that are made up. */
struct arch_guest {
	u32 magic;
	u32 steps;
};

struct gmem {
	u32 magic;
	u32 steps;
};

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
struct world world;
static struct host_cpu cpus[WORLD_CPUS_MOST];
static u32 stopping; /* atomic */

static struct host_vcpu *hv(struct vcpu *v)
{
	return container_of(v, struct host_vcpu, v);
}

static struct host_cpu *self(void)
{
	return container_of(cpu_this(), struct host_cpu, c);
}

/* ---- The rest of the kernel ---- */

u64 page_free_count(void)
{
	return 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

void panic(const char *fmt, ...)
{
	fputs(fmt, stderr);
	abort();
}

void console_poweroff(u32 status)
{
	abort();
}

u64 time_now_ticks(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 50000000 + (u64)t.tv_nsec / 20;
}

u32 tracer_name_add(const char *guest, u32 guest_id, u32 index)
{
	return index;
}

void tracer_name_gone(u32 id)
{
}

u32 tracer_tell_last(u32 vcpu, u32 count,
		     void (*tell)(void *ctx, const char *text), void *ctx)
{
	tell(ctx, "none");
	return 1;
}

/* ---- Guests' RAM, devices, images and trees: steps ---- */

int gmem_create(struct guest *g, struct gpa base, u64 bytes, struct gmem **out)
{
	struct gmem *m = obj_alloc(sizeof(*m));

	m->magic = MAGIC;
	*out = m;
	return 0;
}

static int gmem_step(struct gmem *m)
{
	CHECK(m->magic == MAGIC, "no RAM");
	return ++m->steps % STEPS != 0;
}

int gmem_reserve_step(struct gmem *m)
{
	return gmem_step(m);
}

int gmem_reset_step(struct gmem *m)
{
	return gmem_step(m);
}

int gmem_populate_step(struct gmem *m)
{
	return gmem_step(m);
}

int gmem_destroy_step(struct gmem *m)
{
	if (gmem_step(m))
		return 1;
	obj_free(m);
	return 0;
}

void gmem_destroy(struct gmem *m)
{
	obj_free(m);
}

static size_t dev_input(struct emul_dev *dev, const char *buf, size_t len)
{
	return 1 + rnd((u32)len);
}

static const struct emul_ops dev_ops = { .input = dev_input };

int emul_create(struct guest *g, struct lab_error *why)
{
	g->devices = obj_alloc(sizeof(*g->devices));
	g->devices->ops = &dev_ops;
	return 0;
}

void emul_destroy(struct guest *g)
{
	obj_free(g->devices);
	g->devices = NULL;
}

void emul_reset(struct guest *g)
{
	CHECK(g->devices->ops == &dev_ops, "no device");
}

bool emul_tell_rest(struct guest *g)
{
	CHECK(g->devices->ops == &dev_ops, "no device");
	return rnd(4) == 0;
}

int image_files_find(const struct cpio *c, const struct guest_config *cfg,
		     struct image_files *out, struct lab_error *err)
{
	memset(out, 0, sizeof(*out));
	return 0;
}

int image_load_init(struct image_load *l, struct guest *g,
		    const struct guest_config *cfg,
		    const struct image_files *files, u64 fdt_bytes,
		    struct lab_error *err)
{
	l->plan.fdt_bytes = fdt_bytes;
	l->gunzip = obj_alloc(100);
	return 0;
}

void image_load_begin(struct image_load *l, const void *fdt, size_t fdt_bytes)
{
	CHECK(fdt_bytes == 100, "no tree");
	l->stage = 0;
}

/* Now and then one is damaged. */
int image_load_step(struct image_load *l, u32 budget_bytes)
{
	memset(l->gunzip, 1, 100);
	if (rnd(64) == 0)
		return -EINVAL;
	return ++l->stage % STEPS != 0;
}

void image_load_fini(struct image_load *l)
{
	obj_free(l->gunzip);
	l->gunzip = NULL;
}

u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes)
{
	return 400;
}

u64 guest_fdt_left_bytes(size_t dtb_bytes)
{
	return 0;
}

void guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		     const struct guest_fdt_args *args)
{
	job->tree.buf = buf;
	job->vcpu = 0;
}

int guest_fdt_step(struct guest_fdt_job *job)
{
	fdt_set_totalsize((void *)job->tree.buf, 100);
	return ++job->vcpu % STEPS != 0;
}

void *guest_fdt_seed(const struct guest_fdt_job *job)
{
	return (char *)job->tree.buf + 200;
}

/* ---- Configurations: their texts are owned ---- */

static char *text_copy(const char *s)
{
	return s ? strcpy(obj_alloc(strlen(s) + 1), s) : NULL;
}

void lab_config_fini(struct guest_config *cfg)
{
	obj_free((void *)(uintptr_t)cfg->name);
	obj_free((void *)(uintptr_t)cfg->bootargs);
	memset(cfg, 0, sizeof(*cfg));
}

int lab_config_copy(struct guest_config *to, const struct guest_config *from)
{
	*to = *from;
	to->name = text_copy(from->name);
	to->bootargs = text_copy(from->bootargs);
	return 0;
}

/* Only in one that is STOPPED; what may be changed in others are words that are
 * read while they are. */
int lab_config_set(struct guest_config *cfg, const char *text, bool live,
		   const struct lab_env *env, struct lab_error *err)
{
	if (live)
		return -EINVAL;
	obj_free((void *)(uintptr_t)cfg->bootargs);
	cfg->bootargs = text_copy(text);
	return 0;
}

int lab_config_check(const struct guest_config *cfg, const struct lab_env *env,
		     struct lab_error *err)
{
	return 0;
}

struct guest_config world_config(u32 number, char name[8])
{
	snprintf(name, 8, "g%u", number);
	return (struct guest_config){
		.name = name,
		.vcpus = WORLD_VCPUS,
		.memory_bytes = MIB,
		.sched = SCHED_PARAMS_DEFAULT,
		.eager = rnd(2),
		.on_poweroff = ACTION_STOP,
		.on_reboot = ACTION_RESTART,
		.on_crash = rnd(2) ? ACTION_STOP : ACTION_RESTART,
		.autostart = rnd(2),
	};
}

u32 world_number(const char *name)
{
	u32 n = 0;

	CHECK(sscanf(name, "g%u", &n) == 1 && n < WORLD_NAMES, "a name");
	return n;
}

void world_check(const struct guest *g, u32 id)
{
	CHECK(g->id == id, "%u instead of %u", g->id, id);
	CHECK(ck_pr_load_32(&g->state) <= GUEST_BUSY, "a state");
	CHECK(ck_pr_load_32(&g->refs) - 1 < 1000, "references");
	CHECK(g->arch->magic == MAGIC, "no guest");
	world_number(g->cfg.name);
}

/* ---- The architecture: CPUs ---- */

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
	ck_pr_store_32(&container_of(target, struct host_cpu, c)->pending, 1);
}

void arch_doorbell_ack(void)
{
	ck_pr_store_32(&self()->pending, 0);
}

void arch_host_irq(void)
{
}

static bool interrupted(struct host_cpu *c)
{
	return ck_pr_load_32(&c->pending) || c->timer <= time_now_ticks() ||
	       ck_pr_load_32(&stopping);
}

void arch_guest_let_go(void)
{
	if (ck_pr_load_32(&self()->let_go)) {
		ck_pr_store_32(&self()->let_go, 0);
		ck_pr_store_ptr(&self()->stage2, NULL);
	}
}

void arch_wait(void)
{
	arch_guest_let_go();
	while (!interrupted(self()))
		usleep(20);
	arch_doorbell_ack();
	arch_guest_let_go();
}

/* ---- The architecture: guests ---- */

int arch_guest_create(struct guest *g)
{
	g->arch = obj_alloc(sizeof(*g->arch));
	g->arch->magic = MAGIC;
	ck_pr_inc_32(&world.guests_made);
	return 0;
}

void arch_guest_destroy(struct guest *g)
{
	CHECK(g->arch->magic == MAGIC, "freed before");
	CHECK(!g->refs, "%u references", g->refs);
	obj_free(g->arch);
	ck_pr_inc_32(&world.guests_freed);
}

static void check_off(const struct guest *g)
{
	for (u32 i = 0; i < g->vcpus_made; i++)
		CHECK(ck_pr_load_32(&g->vcpu[i]->state) == VCPU_OFF,
		      "vCPU %u is on", i);
}

void world_check_last(const struct guest *g)
{
	u32 why = g->last_event;

	CHECK(!why == !g->stops, "event %u after %u lives", why, g->stops);
	CHECK(g->last_code == (why == EVENT_POWEROFF ? WORLD_POWEROFF_CODE :
			       why == EVENT_CRASH),
	      "event %u, code %u", why, g->last_code);
	CHECK(ck_pr_load_32(&g->paused) == g->stops << 1, "paused: %u of %u",
	      g->paused, g->stops);
}

/* It is about to start, or to be stopped before; by its task. */
static void check_starting(const struct guest *g)
{
	u32 state = ck_pr_load_32(&g->state);

	check_off(g);
	CHECK(state == GUEST_STARTING || state == GUEST_STOPPING, "state %u",
	      state);
	world_check_last(g);
}

void arch_guest_reset(struct guest *g)
{
	check_starting(g);
}

bool arch_guest_quiet(struct guest *g)
{
	bool quiet = true;

	check_off(g);
	for (u32 i = 0; i < cpu_count(); i++) {
		if (ck_pr_load_ptr(&cpus[i].stage2) != g)
			continue;
		quiet = false;
		ck_pr_store_32(&cpus[i].let_go, 1);
		arch_doorbell_ring(&cpus[i].c);
	}
	return quiet;
}

bool arch_stage2_unmap_step(struct guest *g)
{
	CHECK(arch_guest_quiet(g), "its tables are used");
	return ++g->arch->steps % STEPS != 0;
}

bool arch_stage2_free_step(struct guest *g)
{
	return arch_stage2_unmap_step(g);
}

bool arch_guest_tell_rest(struct guest *g)
{
	CHECK(g->arch->magic == MAGIC, "no guest");
	return rnd(4) == 0;
}

const struct guest_fdt_isa *arch_guest_isa(void)
{
	return NULL;
}

/* ---- The architecture: vCPUs ---- */

struct vcpu *arch_vcpu_alloc(struct guest *g, u32 id)
{
	struct host_vcpu *h = obj_alloc(sizeof(*h));

	h->v.guest = g;
	h->v.id = id;
	h->deadline = TIME_NEVER;
	ck_pr_inc_32(&world.vcpus_made);
	return &h->v;
}

void arch_vcpu_free(struct vcpu *v)
{
	CHECK(ck_pr_load_32(&v->state) == VCPU_OFF, "vCPU %u is on", v->id);
	CHECK(!hv(v)->loaded, "vCPU %u is on a CPU", v->id);
	obj_free(hv(v));
	ck_pr_inc_32(&world.vcpus_freed);
}

void arch_vcpu_clear(struct vcpu *v)
{
	check_starting(v->guest);
	hv(v)->deadline = TIME_NEVER;
}

void arch_vcpu_reset(struct vcpu *v, u64 entry, u64 arg)
{
	check_starting(v->guest);
}

u64 arch_vcpu_pc(struct vcpu *v)
{
	return 0;
}

void arch_vcpu_load(struct vcpu *v)
{
	CHECK(!ck_pr_fas_ptr(&hv(v)->loaded, cpu_this()), "on two CPUs");
	ck_pr_store_ptr(&self()->stage2, v->guest);
}

void arch_vcpu_save(struct vcpu *v)
{
	CHECK(ck_pr_fas_ptr(&hv(v)->loaded, NULL) == cpu_this(), "not here");
}

bool arch_vcpu_pending(struct vcpu *v)
{
	return ck_pr_load_32(&v->virq) || hv(v)->deadline <= time_now_ticks();
}

u64 arch_vcpu_deadline_ticks(struct vcpu *v)
{
	return hv(v)->deadline;
}

void arch_vcpu_trace(struct vcpu *v, u32 classes)
{
}

void arch_vcpu_knobs(struct vcpu *v)
{
}

void arch_vcpu_timer_fired(struct vcpu *v)
{
	hv(v)->deadline = TIME_NEVER;
	virq_raise(v, VIRQ_TIMER);
}

static enum run_end end_guest(struct guest *g, enum guest_event why, u32 code)
{
	ck_pr_inc_32(&world.ends);
	guest_end(g, why, code);
	return RUN_DEAD;
}

/* What a vCPU leaves its guest for. */
static enum run_end act(struct vcpu *v)
{
	struct guest *g = v->guest;
	struct vcpu *other = g->vcpu[rnd(g->cfg.vcpus)];
	char buf[16];
	int n;

	switch (rnd(64)) {
	case 0: return end_guest(g, EVENT_POWEROFF, WORLD_POWEROFF_CODE);
	case 1: return end_guest(g, EVENT_REBOOT, 0);
	case 2:
		guest_crash(v, "why not");
		return RUN_DEAD;
	case 3: return RUN_OFF;
	case 4: return RUN_YIELD;
	case 5:
	case 6:
		guest_tell_rest(g);
		return RUN_LOOK;
	case 7:
	case 8:
		guest_console_ready(g);
		return RUN_LOOK;
	case 9:
	case 10:
		(void)guest_console_get(g, buf, sizeof(buf));
		return RUN_LOOK;
	}
	n = snprintf(buf, sizeof(buf), "%s %u\n", g->cfg.name, v->id);
	guest_console_put(g, buf, (size_t)n);
	if (ck_pr_load_32(&other->state) == VCPU_OFF)
		(void)!sched_vcpu_start(other);
	else
		virq_raise(other, VIRQ_SOFT);
	hv(v)->deadline = rnd(8) ? time_now_ticks() + rnd(5000) : TIME_NEVER;
	return RUN_BLOCK;
}

enum run_end arch_vcpu_run(struct vcpu *v)
{
	u32 state = ck_pr_load_32(&v->guest->state), n = 1 + rnd(8);
	struct host_cpu *c = self();

	CHECK(ck_pr_load_ptr(&hv(v)->loaded) == &c->c, "not here");
	CHECK(state == GUEST_RUNNING || state == GUEST_STOPPING, "state %u",
	      state);
	/* As it was before, if it had to let go of it meanwhile. */
	ck_pr_store_ptr(&c->stage2, v->guest);
	if (!cpu_enter_guest(&c->c, v))
		return RUN_LOOK;
	for (; n; n--) {
		ck_pr_fas_32(&v->virq, 0);
		if (!interrupted(c))
			sched_yield();
		else if (c->timer > time_now_ticks() || !sched_timer_early())
			break;
	}
	cpu_leave_guest(&c->c);
	if (n)
		return c->timer > time_now_ticks() ? RUN_LOOK : RUN_TIMER;
	return act(v);
}

enum run_end arch_vcpu_load_run(struct vcpu *v)
{
	arch_vcpu_load(v);
	return arch_vcpu_run(v);
}

/* ---- The machine ---- */

void world_make(u32 count)
{
	static const struct lab_env env = { .cpu_count = WORLD_CPUS_MOST };

	memset(cpus, 0, sizeof(cpus));
	memset(idle_masks, 0, sizeof(idle_masks));
	stopping = 0;
	cpu_table_len = 0;
	for (u32 i = 0; i < count; i++) {
		cpus[i].c.index = i;
		cpus[i].timer = TIME_NEVER;
		cpu_register(&cpus[i].c);
	}
	CHECK(!sched_init(sharing_policy(0)), "no scheduler");
	guests_init(&env, false);
}

static void *cpu_main(void *arg)
{
	struct host_cpu *c = arg;

	fake_this_cpu = &c->c;
	rnd_begin(c->c.index + 1);
	while (!ck_pr_load_32(&stopping))
		sched_step(&c->c, time_now_ticks());
	return NULL;
}

void world_run(void)
{
	pthread_t t[WORLD_CPUS_MOST];

	for (u32 i = 0; i < cpu_count(); i++)
		pthread_create(&t[i], NULL, cpu_main, &cpus[i]);
	for (u32 i = 0; i < cpu_count(); i++)
		pthread_join(t[i], NULL);
}

void world_stop(void)
{
	ck_pr_store_32(&stopping, 1);
}
