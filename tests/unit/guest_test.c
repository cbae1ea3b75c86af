/*
 * The life of guests, with everything around it made up: tasks run when the
 * test says so, owners acknowledge a kill when it says so, and each part that a
 * guest is made of is an object, so that what is left behind is counted.
 */
/* sources: kernel/guest.c kernel/guest_life.c kernel/guest_reap.c
 *	kernel/guest_set.c kernel/gmem.c kernel/gmem_access.c kernel/mem.c
 *	kernel/obj.c kernel/rng.c kernel/config.c tests/unit/fake_mem.c
 */
#include "kernel/guest_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "emul/emul.h"
#include "fake_mem.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest_fdt.h"
#include "kernel/image.h"
#include "kernel/lab.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/rng.h"
#include "kernel/sched/policy.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/console.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

#define BASE 0x80000000ULL
#define ENTRY 0x80200000ULL
#define TREE 0x80300000ULL
#define CPUS 4u
#define IMAGE_STEPS 3u

/* ---- the world, and what was asked of it ---- */

static struct {
	u64 now;
	bool quiet;       /* no CPU holds any second stage */
	bool slow_owners; /* kills are acknowledged by owners_answer only */
	bool slow_kill;   /* other CPUs are faster than who asks for kills */
	bool slow_mail;   /* CPUs look at their mail by mail_looked only */
	struct sched_quiesce *draining;
	struct task *drainer;
	bool no_room;     /* of the policy */
	bool image_broken, image_missing;
	bool checks_fail;
	const char *rival; /* is made while another one is being made */

	u32 unmaps, emul_resets, arch_resets, starts, kills, loads, params;
	u32 pauses, resumes, moves;
	bool end_first; /* before the first FOLLOW is posted */
	u64 entry, arg;
	struct guest *started;
	u32 powered_off, status;
	char log[LOG_LINE_BYTES];
	u8 seed[64];
} w;

static struct lab_error err;

u64 timebase_hz = 10000000;
struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len = CPUS;
_Thread_local struct cpu *fake_this_cpu;

u64 time_now_ticks(void)
{
	return w.now += 10;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.log, sizeof(w.log), fmt, ap);
	va_end(ap);
}

void console_poweroff(u32 status)
{
	w.powered_off++;
	w.status = status;
}

/* ---- tasks ---- */

static struct task *ready[64];
static u32 ready_len;

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	assert_true(cpu < CPUS);
	memset(t, 0, sizeof(*t));
	t->name = name;
	t->step = step;
}

void task_charge_to(struct task *t, struct guest *payer)
{
	t->payer = payer;
}

void task_wake(struct task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	assert_true(ready_len < ARRAY_LEN(ready));
	ready[ready_len++] = t;
}

/* Tasks whose timers are set. */
static struct task *asleep[64];
static u32 asleep_len;

void task_wake_at(struct task *t, u64 when_ticks)
{
	u32 i = 0;

	while (i < asleep_len && asleep[i] != t)
		i++;
	if (when_ticks == TIME_NEVER) {
		if (i < asleep_len)
			asleep[i] = asleep[--asleep_len];
		return;
	}
	assert_true(i < ARRAY_LEN(asleep));
	asleep[i] = t;
	asleep_len = MAX(asleep_len, i + 1);
}

static void timers_fire(void)
{
	while (asleep_len)
		task_wake(asleep[--asleep_len]);
}

static bool run_one(void)
{
	struct task *t;

	if (!ready_len)
		return false;
	t = ready[0];
	memmove(&ready[0], &ready[1], --ready_len * sizeof(ready[0]));
	t->queued = false;
	/* The account that is charged must be there. */
	if (t->payer)
		assert_non_null(t->payer->account);
	if (t->step(t) == TASK_MORE)
		task_wake(t);
	return true;
}

/* Until all wait; of those that look again now and then, if it helps. */
static void run_all(void)
{
	u32 limit = 100000;

	do {
		while (run_one())
			assert_true(limit-- > 0);
		if (w.quiet)
			timers_fire();
	} while (ready_len);
}

/* ---- the scheduler ---- */

static void owners_answer(struct guest *g)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++) {
		g->vcpu[i]->state = VCPU_OFF;
		if (i + 1 == g->cfg.vcpus)
			g->account->kills_due = 0;
		guest_vcpu_off(g, g->vcpu[i]);
	}
}

static void all_owners_answer(void)
{
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;)
		if (g->account->kills_due)
			owners_answer(g);
}

int sched_guest_add(struct guest *g)
{
	g->account = obj_alloc(sizeof(*g->account));
	return g->account ? 0 : -ENOMEM;
}

void sched_guest_remove(struct guest *g)
{
	assert_int_equal(g->account->kills_due, 0);
	obj_free(g->account);
	g->account = NULL;
}

int sched_vcpu_start(struct vcpu *v)
{
	if (w.no_room)
		return -EBUSY;
	if (v->guest->state != GUEST_RUNNING)
		return 0; /* dropped */
	w.starts++;
	w.started = v->guest;
	*(bool *)v->guest->arch = false;
	v->state = VCPU_QUEUED;
	return 0;
}

void sched_vcpu_request(struct vcpu *v, u32 requests)
{
	struct guest *g = v->guest;

	if (w.end_first) {
		w.end_first = false;
		assert_int_equal(guest_reset(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_RUNNING);
	}
	/* As the owner does: it looks at the word now. */
	assert_true(requests & VCPU_REQ_FOLLOW);
	w.pauses += guest_is_paused(g);
	w.resumes += !guest_is_paused(g);
}

void sched_guest_kill(struct guest *g)
{
	if (w.slow_kill) {
		task_wake(g->task);
		while (run_one())
			;
		assert_int_equal(g->state, GUEST_STOPPING);
	}
	assert_int_equal(g->account->kills_due, 0);
	g->account->kills_due = g->cfg.vcpus;
	w.kills++;
	if (!w.slow_owners)
		owners_answer(g);
}

bool sched_guest_killed(const struct guest *g)
{
	return g->account->kills_due == 0;
}

void sched_guest_params(struct guest *g, const struct sched_params *p)
{
	w.params++;
}

int sched_vcpu_affinity(struct vcpu *v, const struct cpuset *allowed)
{
	w.moves++;
	return cpuset_next(allowed, 0) < CPUS ? 0 : -EINVAL;
}

void sched_quiesce(struct sched_quiesce *q, struct task *waiter)
{
	if (w.slow_mail) {
		assert_null(w.draining);
		q->done = 0;
		w.draining = q;
		w.drainer = waiter;
		return;
	}
	q->done = 1;
	task_wake(waiter);
}

static void mail_looked(void)
{
	assert_non_null(w.draining);
	w.draining->done = 1;
	w.draining = NULL;
	task_wake(w.drainer);
}

/* ---- the architecture ---- */

int arch_guest_create(struct guest *g)
{
	g->arch = obj_alloc(500);
	return g->arch ? 0 : -ENOMEM;
}

void arch_guest_destroy(struct guest *g)
{
	obj_free(g->arch);
	g->arch = NULL;
}

static void assert_all_off(const struct guest *g)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		assert_int_equal(g->vcpu[i]->state, VCPU_OFF);
}

void arch_guest_reset(struct guest *g)
{
	assert_all_off(g);
	w.arch_resets++;
}

bool arch_guest_quiet(struct guest *g)
{
	assert_all_off(g);
	/* Once so it stays so, until a vCPU starts. */
	*(bool *)g->arch |= w.quiet;
	return *(bool *)g->arch;
}

void arch_stage2_unmap_all(struct guest *g)
{
	assert_all_off(g);
	assert_true(*(bool *)g->arch);
	w.unmaps++;
}

int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
{
	return 0;
}

struct vcpu *arch_vcpu_alloc(struct guest *g, u32 id)
{
	struct vcpu *v = obj_alloc(sizeof(*v));

	if (v) {
		v->guest = g;
		v->id = id;
	}
	return v;
}

void arch_vcpu_free(struct vcpu *v)
{
	assert_int_equal(v->state, VCPU_OFF);
	obj_free(v);
}

void arch_vcpu_reset(struct vcpu *v, u64 entry, u64 arg)
{
	assert_int_equal(v->state, VCPU_OFF);
	if (v->id)
		return;
	w.entry = entry;
	w.arg = arg;
}

u64 arch_vcpu_pc(struct vcpu *v)
{
	return 0x1234;
}

const struct guest_fdt_isa *arch_guest_isa(void)
{
	return NULL;
}

/* ---- devices, console, images, the tree ---- */

int emul_create(struct guest *g, struct lab_error *why)
{
	g->devices = obj_alloc(sizeof(*g->devices));
	return g->devices ? 0 : -ENOMEM;
}

void emul_destroy(struct guest *g)
{
	obj_free(g->devices);
	g->devices = NULL;
}

void emul_reset(struct guest *g)
{
	assert_all_off(g);
	w.emul_resets++;
}

int gcons_create(struct guest *g)
{
	struct guest *other;

	if (w.rival) {
		struct guest_config cfg = g->cfg;

		cfg.name = w.rival;
		w.rival = NULL;
		assert_int_equal(guest_create(&cfg, &other, &err), 0);
	}
	g->console = obj_alloc(sizeof(*g->console));
	return g->console ? 0 : -ENOMEM;
}

void gcons_destroy(struct guest *g)
{
	obj_free(g->console);
	g->console = NULL;
}

void gcons_reset(struct guest *g)
{
}

int image_files_find(const struct cpio *c, const struct guest_config *cfg,
		     struct image_files *out, struct lab_error *err)
{
	memset(out, 0, sizeof(*out));
	if (w.image_missing)
		return config_error(err, "kernel: not in the archive");
	return 0;
}

int image_plan(const struct guest_config *cfg, const struct image_files *files,
	       u64 fdt_bytes, struct image_plan *out, struct lab_error *err)
{
	memset(out, 0, sizeof(*out));
	out->entry.v = ENTRY;
	out->fdt.v = TREE;
	out->fdt_bytes = fdt_bytes;
	return 0;
}

int image_load_init(struct image_load *l, struct guest *g,
		    const struct image_files *files,
		    const struct image_plan *plan, const void *fdt,
		    size_t fdt_bytes)
{
	memset(l, 0, sizeof(*l));
	l->gunzip = obj_alloc(3000);
	if (!l->gunzip)
		return -ENOMEM;
	l->guest = g;
	l->plan = *plan;
	w.loads++;
	return 0;
}

int image_load_step(struct image_load *l, u32 budget_bytes)
{
	u8 was;

	/* RAM is zeroes where nothing was loaded. */
	assert_int_equal(guest_read(l->guest, (struct gpa){
		ENTRY + l->stage * 70000 }, &was, 1), 0);
	assert_int_equal(was, 0);
	assert_int_equal(guest_fill(l->guest, (struct gpa){
		ENTRY + l->stage * 70000 }, 0xee, 5000), 0);
	w.now += us_to_ticks(60);
	if (w.image_broken && l->stage) {
		config_error(&l->err, "kernel: damaged");
		return -EINVAL;
	}
	return ++l->stage < IMAGE_STEPS;
}

void image_load_fini(struct image_load *l)
{
	obj_free(l->gunzip);
	l->gunzip = NULL;
}

u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes)
{
	return 5000;
}

int guest_fdt_write(void *buf, size_t bytes, const struct guest_fdt_args *args)
{
	memcpy(w.seed, args->rng_seed, sizeof(w.seed));
	return fdt_create_empty_tree(buf, (int)bytes);
}

int guest_fdt_fixup(void *buf, size_t bytes, const void *dtb, size_t dtb_bytes,
		    const struct guest_fdt_args *args)
{
	return -EINVAL;
}

/* fdt_create_empty_tree without libfdt: only the size is looked at. */
int fdt_create_empty_tree(void *buf, int bytes)
{
	fdt_set_totalsize(buf, 100);
	return 0;
}

/* ---- configurations: a name and a kernel are owned ---- */

static char *copy_text(const char *s)
{
	char *to = s ? obj_alloc(strlen(s) + 1) : NULL;

	if (to)
		memcpy(to, s, strlen(s) + 1);
	return to;
}

void lab_config_fini(struct guest_config *cfg)
{
	obj_free((void *)(uintptr_t)cfg->name);
	obj_free((void *)(uintptr_t)cfg->kernel);
	obj_free(cfg->pin);
	memset(cfg, 0, sizeof(*cfg));
}

int lab_config_copy(struct guest_config *to, const struct guest_config *from)
{
	*to = *from;
	to->name = copy_text(from->name);
	to->kernel = copy_text(from->kernel);
	to->pin = from->pin ? obj_alloc(from->vcpus * sizeof(u32)) : NULL;
	if (!to->name || !to->kernel || (from->pin && !to->pin)) {
		lab_config_fini(to);
		return -ENOMEM;
	}
	if (to->pin)
		memcpy(to->pin, from->pin, from->vcpus * sizeof(u32));
	return 0;
}

int lab_config_set(struct guest_config *cfg, const char *text, bool live,
		   const struct lab_env *env, struct lab_error *err)
{
	u32 n;

	if (sscanf(text, "weight=%u", &n) == 1) {
		if (n > 65535)
			return config_error(err, "weight: too large");
		cfg->sched.weight = n;
	} else if (sscanf(text, "pin=%u", &n) == 1) {
		obj_free(cfg->pin);
		cfg->pin = obj_alloc(cfg->vcpus * sizeof(u32));
		for (u32 i = 0; i < cfg->vcpus; i++)
			cfg->pin[i] = n;
	} else if (live) {
		return config_error(err, "not while it runs");
	} else if (sscanf(text, "vcpus=%u", &n) == 1) {
		cfg->vcpus = n;
	} else if (!strncmp(text, "kernel=", 7)) {
		obj_free((void *)(uintptr_t)cfg->kernel);
		cfg->kernel = copy_text(text + 7);
	}
	return 0;
}

int lab_config_check(const struct guest_config *cfg, const struct lab_env *env,
		     struct lab_error *err)
{
	return w.checks_fail ? config_error(err, "no good") : 0;
}

/* ---- helpers ---- */

static const struct lab_env env = { .cpu_count = CPUS };

static struct guest_config config(const char *name)
{
	return (struct guest_config){
		.name = name, .vcpus = 2, .memory_bytes = 4 * MIB,
		.ram_base = { BASE }, .kernel = "Image",
		.sched = SCHED_PARAMS_DEFAULT,
		.on_poweroff = ACTION_STOP, .on_reboot = ACTION_RESTART,
		.on_crash = ACTION_STOP, .autostart = true,
	};
}

static struct { u64 frames, bytes; } before;

static void begin(bool when_done)
{
	memset(&w, 0, sizeof(w));
	w.quiet = true;
	ready_len = asleep_len = 0;
	fake_ram_add(BASE, 64 * MIB);
	guests_init(&env, when_done);
	rng_seed("seed", 4);
	before.frames = page_free_count();
	before.bytes = obj_live_bytes();
}

static struct guest *create(struct guest_config cfg)
{
	struct guest *g = NULL;

	assert_int_equal(guest_create(&cfg, &g, &err), 0);
	return g;
}

static struct guest *running(const char *name)
{
	struct guest *g = create(config(name));

	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	return g;
}

static void assert_as_before(void)
{
	assert_int_equal(page_free_count(), before.frames);
	assert_int_equal(obj_live_bytes(), before.bytes);
}

/* Stops and destroys whatever there is; nothing may be left. */
static void end(void)
{
	struct guest *g;

	w.quiet = true;
	w.slow_owners = false;
	all_owners_answer();
	run_all();
	while ((g = guest_next(NULL)) != NULL) {
		(void)!guest_stop(g);
		run_all();
		assert_int_equal(guest_destroy(g), 0);
		guest_put(g);
		run_all();
	}
	assert_int_equal(guest_count(), 0);
	assert_as_before();
	fake_ram_end();
}

/* ---- tests ---- */

static void a_new_guest_is_stopped_and_can_be_found(void **state)
{
	struct guest *g, *found;

	begin(false);
	g = create(config("one"));
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_string_equal(guest_state_name(g), "stopped");
	found = guest_find("one");
	assert_ptr_equal(found, g);
	guest_put(found);
	found = guest_find_id(g->id);
	assert_ptr_equal(found, g);
	guest_put(found);
	assert_null(guest_find("two"));
	assert_null(guest_find_id(g->id + 1));
	end();
}

static void guests_are_listed_by_id(void **state)
{
	static const char *const names[] = { "c", "a", "b" };
	struct guest *g = NULL;

	begin(false);
	for (u32 i = 0; i < 3; i++)
		create(config(names[i]));
	for (u32 i = 0; i < 3; i++) {
		g = guest_next(g);
		assert_string_equal(g->cfg.name, names[i]);
	}
	assert_null(guest_next(g));
	assert_int_equal(guest_count(), 3);
	end();
}

static void two_guests_of_one_name_are_refused(void **state)
{
	struct guest_config cfg = config("same");
	struct guest *g;

	begin(false);
	create(cfg);
	assert_int_equal(guest_create(&cfg, &g, &err), -EINVAL);
	assert_non_null(strstr(err.text, "same"));
	assert_int_equal(guest_count(), 1);
	end();
}

static void of_two_guests_made_at_once_under_one_name_one_stays(void **state)
{
	struct guest_config cfg = config("same");
	struct guest *g = NULL;

	begin(false);
	w.rival = "same";
	assert_int_equal(guest_create(&cfg, &g, &err), -EINVAL);
	assert_null(g);
	assert_int_equal(guest_count(), 1);
	run_all();
	end();
}

static void hart_0_starts_where_the_plan_says(void **state)
{
	struct guest *g;
	u64 bytes;

	begin(false);
	g = create(config("one"));
	bytes = obj_live_bytes();
	assert_int_equal(guest_start(g), 0);
	run_all();
	/* The loader and its tree are gone. */
	assert_int_equal(obj_live_bytes(), bytes);
	assert_int_equal(w.starts, 1);
	assert_int_equal(w.entry, ENTRY);
	assert_int_equal(w.arg, TREE);
	assert_int_equal(w.loads, 1);
	assert_int_equal(w.emul_resets, 1);
	assert_int_equal(w.arch_resets, 1);
	end();
}

static void poweroff_stops_and_keeps_the_status(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	guest_end(g, EVENT_POWEROFF, 3);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(g->last_event, EVENT_POWEROFF);
	assert_int_equal(g->last_code, 3);
	assert_int_equal(w.powered_off, 0);
	end();
}

static void nothing_is_done_before_all_owners_answered(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPING);
	assert_int_equal(w.loads, 1);
	owners_answer(g);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

static void nothing_is_done_before_all_kills_are_asked_for(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_kill = true;
	guest_end(g, EVENT_REBOOT, 0);
	w.slow_kill = false;
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

static void no_new_life_begins_before_mail_of_the_old_is_looked_at(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_mail = true;
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	/* A start that is still in the mail is dropped in this state alone. */
	assert_int_equal(g->state, GUEST_STOPPING);
	w.slow_mail = false;
	mail_looked();
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.loads, 2);
	end();
}

static void a_reboot_starts_anew_from_the_images(void **state)
{
	struct guest *g;
	u8 seed[64], byte = 0x55;

	begin(false);
	g = running("one");
	memcpy(seed, w.seed, sizeof(seed));
	/* The loader asserts that it finds zeroes where this is. */
	assert_int_equal(guest_write(g, (struct gpa){ ENTRY + 70000 }, &byte, 1),
			 0);
	assert_int_equal(guest_write(g, (struct gpa){ BASE }, &byte, 1), 0);
	guest_end(g, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(w.unmaps, 2);
	assert_int_equal(w.emul_resets, 2);
	assert_int_equal(w.arch_resets, 2);
	assert_int_equal(w.loads, 2);
	assert_int_equal(w.starts, 2);
	assert_int_equal(g->boots, 2);
	assert_int_equal(guest_read(g, (struct gpa){ BASE }, &byte, 1), 0);
	assert_int_equal(byte, 0);
	/* Another boot, another seed. */
	assert_memory_not_equal(w.seed, seed, sizeof(seed));
	end();
}

static void eager_ram_is_there_before_the_start(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(false);
	cfg.eager = true;
	g = create(cfg);
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(gmem_touched_bytes(g->mem), 4 * MIB);
	end();
}

static void actions_are_what_the_configuration_says(void **state)
{
	static const enum guest_event why[] = {
		EVENT_POWEROFF, EVENT_REBOOT, EVENT_CRASH };
	static const enum guest_action actions[] = {
		ACTION_STOP, ACTION_RESTART, ACTION_HOST_POWEROFF };

	begin(false);
	for (u32 i = 0; i < 3; i++)
		for (u32 k = 0; k < 3; k++) {
			struct guest_config cfg = config("one");
			struct guest *g;

			*(i == 0 ? &cfg.on_poweroff : i == 1 ? &cfg.on_reboot :
			  &cfg.on_crash) = actions[k];
			g = create(cfg);
			assert_int_equal(guest_start(g), 0);
			run_all();
			w.powered_off = 0;
			guest_end(g, why[i], i == 0 ? 7 : 0);
			run_all();
			assert_int_equal(g->state, k == 1 ? GUEST_RUNNING :
							    GUEST_STOPPED);
			assert_int_equal(w.powered_off, k == 2);
			if (k == 2)
				assert_int_equal(w.status, i == 0 ? 7 :
							   i == 2 ? 1 : 0);
			(void)!guest_stop(g);
			run_all();
			assert_int_equal(guest_destroy(g), 0);
			run_all();
		}
	end();
}

static void of_two_ends_the_first_counts(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_end(g, EVENT_CRASH, 1);
	guest_end(g, EVENT_REBOOT, 0);
	assert_int_equal(guest_reset(g), -EBUSY);
	owners_answer(g);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(g->last_event, EVENT_CRASH);
	assert_int_equal(w.kills, 1);
	end();
}

static void an_end_in_any_step_of_the_start_stops_it(void **state)
{
	begin(false);
	for (u32 steps = 0; steps < 20; steps++) {
		struct guest *g = create(config("one"));

		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_STOPPED);
		assert_int_equal(guest_destroy(g), 0);
		run_all();
		assert_as_before();
	}
	end();
}

static void a_reset_while_it_starts_starts_again(void **state)
{
	begin(false);
	for (u32 steps = 0; steps < 20; steps++) {
		struct guest *g = create(config("one"));

		assert_int_equal(guest_start(g), 0);
		for (u32 i = 0; i < steps; i++)
			run_one();
		assert_int_equal(guest_reset(g), 0);
		run_all();
		assert_int_equal(g->state, GUEST_RUNNING);
		assert_int_equal(guest_stop(g), 0);
		run_all();
		assert_int_equal(guest_destroy(g), 0);
		run_all();
	}
	end();
}

static void a_start_waits_until_no_cpu_has_its_second_stage(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	w.quiet = false;
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_STARTING);
	assert_int_equal(w.unmaps, 0);
	w.quiet = true;
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	end();
}

static void wishes_that_the_state_does_not_allow_are_refused(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	assert_int_equal(guest_stop(g), -EBUSY);
	assert_int_equal(guest_reset(g), -EBUSY);
	assert_int_equal(guest_pause(g), -EBUSY);
	assert_int_equal(guest_resume(g), -EBUSY);
	assert_int_equal(guest_start(g), 0);
	assert_int_equal(guest_start(g), -EBUSY);
	run_all();
	assert_int_equal(guest_start(g), -EBUSY);
	assert_int_equal(guest_destroy(g), -EBUSY);
	end();
}

static void pausing_asks_every_vcpu(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(guest_pause(g), 0);
	assert_int_equal(w.pauses, 2);
	assert_string_equal(guest_state_name(g), "paused");
	assert_int_equal(guest_pause(g), -EBUSY);
	assert_int_equal(guest_resume(g), 0);
	assert_int_equal(w.resumes, 2);
	assert_string_equal(guest_state_name(g), "running");
	/* It may end while it is paused, and is not paused after that. */
	assert_int_equal(guest_pause(g), 0);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_string_equal(guest_state_name(g), "running");
	end();
}

static void a_pause_meant_for_one_life_does_not_reach_the_next(void **state)
{
	struct guest *g;
	u32 seen;

	begin(false);
	g = running("one");
	/* Found RUNNING; then it ends and starts again. */
	seen = ck_pr_load_32(&g->paused);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_int_equal(guest_pause_in(g, seen), -EBUSY);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(w.pauses, 0);
	/* The same while it was paused in its first life. */
	assert_int_equal(guest_pause(g), 0);
	seen = ck_pr_load_32(&g->paused);
	assert_int_equal(guest_reset(g), 0);
	run_all();
	assert_int_equal(guest_pause_in(g, seen), -EBUSY);
	assert_int_equal(guest_pause_in(g, seen & ~1u), -EBUSY);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(guest_pause(g), 0);
	end();
}

static void requests_of_a_pause_that_come_in_the_next_life_do_nothing(void **s)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.end_first = true;
	assert_int_equal(guest_pause(g), 0);
	assert_int_equal(w.pauses, 0);
	assert_string_equal(guest_state_name(g), "running");
	assert_int_equal(guest_resume(g), -EBUSY);
	assert_int_equal(guest_pause(g), 0);
	assert_int_equal(w.pauses, 2);
	assert_int_equal(guest_resume(g), 0);
	end();
}

static void a_damaged_image_is_said_once_and_not_tried_again(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(false);
	cfg.on_crash = ACTION_RESTART;
	g = create(cfg);
	w.image_broken = true;
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	assert_int_equal(w.loads, 1);
	assert_int_equal(g->last_code, 1);
	/* Repaired, it starts. */
	w.image_broken = false;
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_RUNNING);
	end();
}

static void a_policy_without_room_leaves_it_stopped(void **state)
{
	struct guest *g;

	begin(false);
	g = create(config("one"));
	w.no_room = true;
	assert_int_equal(guest_start(g), 0);
	run_all();
	assert_int_equal(g->state, GUEST_STOPPED);
	end();
}

static void a_crash_names_guest_vcpu_pc_and_reason(void **state)
{
	struct guest *g;

	begin(false);
	g = running("one");
	w.slow_owners = true;
	guest_crash(g->vcpu[1], "cause %d", 42);
	assert_string_equal(w.log,
			    "one: vCPU 1 can't go on at pc 0x1234: cause 42");
	assert_int_equal(g->state, GUEST_STOPPING);
	end();
}

static void a_destroyed_guest_waits_for_who_looks_at_it(void **state)
{
	struct guest *g, *held;

	begin(false);
	g = create(config("one"));
	held = guest_find("one");
	assert_int_equal(guest_destroy(g), 0);
	run_all();
	assert_null(guest_find("one"));
	/* Its name is free, and it is still there. */
	create(config("one"));
	assert_string_equal(held->cfg.name, "one");
	assert_string_equal(guest_state_name(held), "dying");
	guest_put(held);
	end();
}

static void several_guests_are_destroyed_one_after_another(void **state)
{
	struct guest *held;

	begin(false);
	create(config("a"));
	create(config("b"));
	create(config("c"));
	held = guest_find("a");
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;)
		assert_int_equal(guest_destroy(g), 0);
	run_all();
	guest_put(held);
	run_all();
	assert_as_before();
	end();
}

static void the_machine_ends_with_the_worst_status_when_all_are_done(void **s)
{
	struct guest *a, *b, *c;
	struct guest_config extra = config("extra");

	begin(true);
	a = running("a");
	b = running("b");
	extra.autostart = false;
	c = create(extra);
	assert_int_equal(guest_start(c), 0);
	run_all();
	guest_end(a, EVENT_POWEROFF, 5);
	run_all();
	assert_int_equal(w.powered_off, 0);
	guest_end(b, EVENT_REBOOT, 0);
	run_all();
	assert_int_equal(w.powered_off, 0);
	guest_end(b, EVENT_POWEROFF, 2);
	run_all();
	assert_int_equal(w.powered_off, 1);
	assert_int_equal(w.status, 5);
	end();
}

static void a_guest_that_was_not_autostarted_ends_nothing(void **state)
{
	struct guest_config cfg = config("one");
	struct guest *g;

	begin(true);
	cfg.autostart = false;
	g = create(cfg);
	assert_int_equal(guest_start(g), 0);
	run_all();
	guest_end(g, EVENT_POWEROFF, 9);
	run_all();
	assert_int_equal(w.powered_off, 0);
	end();
}

static void a_creation_that_fails_anywhere_keeps_nothing(void **state)
{
	struct guest_config cfg = config("one");
	u32 failed = 0;

	begin(false);
	/* Some go another way instead: single frames for a 2 MiB block. */
	for (u64 n = 1; n < 600; n++) {
		struct guest *g = NULL;
		int ret;

		mem_fail_after(n);
		ret = guest_create(&cfg, &g, &err);
		mem_fail_after(0);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			failed++;
		} else {
			assert_int_equal(guest_destroy(g), 0);
			run_all();
		}
		assert_as_before();
		assert_int_equal(guest_count(), 0);
	}
	/* guest, name, kernel, arch, gmem, 3 for vCPUs, and what belongs to
	 * devices, console, task and account. */
	assert_int_equal(failed, 12);
	end();
}

static void a_start_that_fails_anywhere_can_be_repeated(void **state)
{
	struct guest *g;
	u64 n = 0;

	begin(false);
	g = create(config("one"));
	do {
		mem_fail_after(++n);
		assert_int_equal(guest_start(g), 0);
		run_all();
		mem_fail_after(0);
	} while (g->state == GUEST_STOPPED && n < 100);
	assert_int_equal(g->state, GUEST_RUNNING);
	assert_in_range(n, 3, 99);
	end();
}

static void a_thousand_random_lives_leave_memory_as_it_was(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	u64 seed = 21;

	begin(false);
	for (u32 i = 0; i < 8000; i++) {
		u64 r = fake_random(&seed);
		struct guest *g = guest_find(names[r % 4]);
		struct guest_config cfg = config(names[r % 4]);

		w.slow_owners = r >> 8 & 1;
		w.quiet = r >> 9 & 3;
		w.image_broken = (r >> 11) % 16 == 0;
		cfg.eager = (r >> 15) % 32 == 0;
		cfg.memory_bytes = 4 * MIB + (r >> 20) % 3 * 12288;
		if (!g) {
			create(cfg);
			continue;
		}
		switch ((r >> 32) % 8) {
		case 0: (void)!guest_start(g); break;
		case 1: (void)!guest_stop(g); break;
		case 2: (void)!guest_reset(g); break;
		case 3: (void)!guest_destroy(g); break;
		case 4: guest_end(g, EVENT_POWEROFF, 0); break;
		case 5: guest_end(g, EVENT_REBOOT, 0); break;
		case 6: (void)!gmem_fault(g->mem, (struct gpa){ BASE }); break;
		default: timers_fire();
		}
		for (u32 k = (u32)(r >> 40) % 30; k; k--)
			run_one();
		if (r >> 50 & 1)
			all_owners_answer();
		guest_put(g);
	}
	w.image_broken = false;
	end();
}

static void a_changed_weight_is_mailed_and_kept(void **state)
{
	static const char *const set[] = { "weight=512" };
	static const char *const bad[] = { "weight=7", "weight=99999" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(guest_set(g, set, 1, &err), 0);
	assert_int_equal(g->cfg.sched.weight, 512);
	assert_int_equal(w.params, 1);
	/* All or none. */
	assert_int_equal(guest_set(g, bad, 2, &err), -EINVAL);
	assert_int_equal(g->cfg.sched.weight, 512);
	assert_int_equal(w.params, 1);
	w.checks_fail = true;
	assert_int_equal(guest_set(g, bad, 1, &err), -EINVAL);
	assert_int_equal(g->cfg.sched.weight, 512);
	w.checks_fail = false;
	end();
}

static void pins_move_the_vcpus_that_they_concern(void **state)
{
	static const char *const pin[] = { "pin=2" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(guest_set(g, pin, 1, &err), 0);
	assert_int_equal(w.moves, 2);
	assert_int_equal(guest_set(g, pin, 1, &err), 0);
	assert_int_equal(w.moves, 2);
	end();
}

static void images_change_only_in_a_stopped_guest(void **state)
{
	static const char *const kernel[] = { "kernel=Other" };
	static const char *const vcpus[] = { "vcpus=3" };
	struct guest *g;

	begin(false);
	g = running("one");
	assert_int_equal(guest_set(g, kernel, 1, &err), -EINVAL);
	assert_int_equal(guest_stop(g), 0);
	run_all();
	assert_int_equal(guest_set(g, kernel, 1, &err), 0);
	assert_string_equal(g->cfg.kernel, "Other");
	assert_string_equal(g->cfg.name, "one");
	assert_int_equal(guest_set(g, vcpus, 1, &err), -EINVAL);
	assert_int_equal(g->cfg.vcpus, 2);
	assert_int_equal(g->state, GUEST_STOPPED);
	end();
}

static void knobs_without_memory_change_nothing(void **state)
{
	static const char *const kernel[] = { "kernel=Other" };
	struct guest *g;

	begin(false);
	g = create(config("one"));
	mem_fail_after(1);
	assert_int_equal(guest_set(g, kernel, 1, &err), -ENOMEM);
	mem_fail_after(0);
	assert_string_equal(g->cfg.kernel, "Image");
	assert_int_equal(guest_start(g), 0);
	end();
}

static void the_seed_repeats_what_a_guest_is_told(void **state)
{
	struct rng a, b, c;

	rng_seed("x", 1);
	rng_init(&a, "guest 1 one");
	rng_init(&b, "guest 1 one");
	rng_init(&c, "guest 2 two");
	for (int i = 0; i < 100; i++) {
		u64 v = rng_u64(&a);

		assert_int_equal(v, rng_u64(&b));
		assert_int_not_equal(v, rng_u64(&c));
	}
	rng_seed("y", 1);
	rng_init(&b, "guest 1 one");
	rng_init(&a, "guest 1 one");
	rng_stir("more", 4);
	rng_init(&c, "guest 1 one");
	assert_int_not_equal(rng_u64(&a), rng_u64(&c));
	for (u64 n = 0; n < 50; n++)
		assert_true(rng_below(&b, n) < MAX(n, 1u));
}

static void the_cipher_gives_the_published_block(void **state)
{
	/* draft-agl-tls-chacha20poly1305, test vector 1: key, nonce and
	 * counter all zero. */
	static const u8 want[16] = {
		0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
		0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
	};
	struct rng r = { .used = sizeof(r.buf) };
	u8 got[16];

	rng_bytes(&r, got, sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_guest_is_stopped_and_can_be_found),
		T(guests_are_listed_by_id),
		T(two_guests_of_one_name_are_refused),
		T(of_two_guests_made_at_once_under_one_name_one_stays),
		T(hart_0_starts_where_the_plan_says),
		T(poweroff_stops_and_keeps_the_status),
		T(nothing_is_done_before_all_owners_answered),
		T(nothing_is_done_before_all_kills_are_asked_for),
		T(no_new_life_begins_before_mail_of_the_old_is_looked_at),
		T(a_reboot_starts_anew_from_the_images),
		T(eager_ram_is_there_before_the_start),
		T(actions_are_what_the_configuration_says),
		T(of_two_ends_the_first_counts),
		T(an_end_in_any_step_of_the_start_stops_it),
		T(a_reset_while_it_starts_starts_again),
		T(a_start_waits_until_no_cpu_has_its_second_stage),
		T(wishes_that_the_state_does_not_allow_are_refused),
		T(pausing_asks_every_vcpu),
		T(a_pause_meant_for_one_life_does_not_reach_the_next),
		T(requests_of_a_pause_that_come_in_the_next_life_do_nothing),
		T(a_damaged_image_is_said_once_and_not_tried_again),
		T(a_policy_without_room_leaves_it_stopped),
		T(a_crash_names_guest_vcpu_pc_and_reason),
		T(a_destroyed_guest_waits_for_who_looks_at_it),
		T(several_guests_are_destroyed_one_after_another),
		T(the_machine_ends_with_the_worst_status_when_all_are_done),
		T(a_guest_that_was_not_autostarted_ends_nothing),
		T(a_creation_that_fails_anywhere_keeps_nothing),
		T(a_start_that_fails_anywhere_can_be_repeated),
		T(a_thousand_random_lives_leave_memory_as_it_was),
		T(a_changed_weight_is_mailed_and_kept),
		T(pins_move_the_vcpus_that_they_concern),
		T(images_change_only_in_a_stopped_guest),
		T(knobs_without_memory_change_nothing),
		T(the_seed_repeats_what_a_guest_is_told),
		T(the_cipher_gives_the_published_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
