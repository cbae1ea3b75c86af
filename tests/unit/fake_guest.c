/*
 * The world around guests, made up: see fake_guest.h.
 */
#include "tests/unit/fake_guest.h"

/* ---- the world, and what was asked of it ---- */

struct fake_guests w;

struct lab_error err;

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

	memcpy(w.before, w.log, sizeof(w.log));
	va_start(ap, fmt);
	vsnprintf(w.log, sizeof(w.log), fmt, ap);
	va_end(ap);
	w.lines++;
	w.begun += strstr(w.log, ": starts at ") != NULL;
	if (strstr(w.log, ": started ")) {
		unsigned int lives, crashes;

		assert_int_equal(sscanf(strstr(w.log, ": started "),
					": started %u more times, of which "
					"nothing is told; %u crashed", &lives,
					&crashes), 2);
		w.counted += lives;
		w.crashes += crashes;
	}
	if (w.stopped_late && strstr(w.log, ", status ")) {
		struct guest *g = w.stopped_late;

		w.stopped_late = NULL;
		assert_int_equal(guest_stop(g), 0);
	}
}

/* Names in traces: each is given back once. */
static u32 names, names_live;

u32 tracer_name_add(const char *guest, u32 guest_id, u32 index)
{
	names_live++;
	return names++;
}

void tracer_name_gone(u32 id)
{
	if (id == TRACE_NOBODY)
		return;
	assert_in_range(id, 0, names - 1);
	assert_true(names_live-- > 0);
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

void task_move(struct task *t, u32 cpu)
{
	assert_true(cpu < CPUS);
	t->cpu = cpu;
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
	t->timer.node.key = when_ticks;
	asleep_len = MAX(asleep_len, i + 1);
}

static void timers_fire_until(u64 ticks)
{
	for (u32 i = asleep_len; i-- > 0;) {
		struct task *t = asleep[i];

		if (t->timer.node.key > ticks)
			continue;
		asleep[i] = asleep[--asleep_len];
		task_wake(t);
	}
}

void timers_fire(void)
{
	timers_fire_until(TIME_NEVER);
}

bool run_one(void)
{
	struct task *t;
	u64 before;

	if (!ready_len)
		return false;
	t = ready[0];
	memmove(&ready[0], &ready[1], --ready_len * sizeof(ready[0]));
	t->queued = false;
	/* The account that is charged must be there. */
	if (t->payer)
		assert_non_null(t->payer->account);
	before = w.now;
	if (t->step(t) == TASK_MORE)
		task_wake(t);
	assert_in_range(w.now - before, 0,
			us_to_ticks(STEP_MOST_US + w.late_us));
	return true;
}

/* Until all wait; of those that look again at once, if it helps. */
void run_all(void)
{
	u32 limit = 100000;

	do {
		while (run_one())
			assert_true(limit-- > 0);
		if (w.quiet)
			timers_fire_until(w.now + us_to_ticks(1000));
	} while (ready_len);
}

/* ---- the scheduler ---- */

static void owner_answers(struct vcpu *v)
{
	v->state = VCPU_OFF;
	v->guest->account->kills_due--;
	guest_vcpu_off(v->guest);
}

void owners_answer(struct guest *g)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		owner_answers(g->vcpu[i]);
}

void all_owners_answer(void)
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

static struct cpu homes[CPUS];

int sched_vcpu_add(struct vcpu *v)
{
	v->cpu = &homes[(v->id + 1) % CPUS];
	v->cpu->index = (v->id + 1) % CPUS;
	v->sched.part = obj_alloc(100);
	return v->sched.part ? 0 : -ENOMEM;
}

void sched_vcpu_remove(struct vcpu *v)
{
	obj_free(v->sched.part);
	v->sched.part = NULL;
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

u32 sched_guest_kill(struct guest *g, u32 from)
{
	u32 until = MIN(from + REQUESTS_AT_ONCE, g->cfg.vcpus);

	assert_int_equal(g->state, GUEST_STOPPING);
	if (!from) {
		assert_int_equal(g->account->kills_due, 0);
		g->account->kills_due = g->cfg.vcpus;
		w.kills++;
	}
	w.now += us_to_ticks(until - from);
	for (u32 i = from; i < until && !w.slow_owners; i++)
		owner_answers(g->vcpu[i]);
	return until;
}

bool sched_guest_killed(const struct guest *g)
{
	return g->account->kills_due == 0;
}

u32 sched_guest_params(struct guest *g, const struct sched_params *p, u32 from)
{
	w.params += !from;
	w.asked += REQUESTS_AT_ONCE;
	return MIN(from + REQUESTS_AT_ONCE, g->cfg.vcpus);
}

u32 sched_guest_follow(struct guest *g, u32 from)
{
	u32 until = MIN(from + REQUESTS_AT_ONCE, g->cfg.vcpus);

	for (; from < until; from++)
		sched_vcpu_request(g->vcpu[from], VCPU_REQ_FOLLOW);
	return from;
}

int sched_vcpu_affinity(struct vcpu *v, const struct cpuset *allowed)
{
	w.moves++;
	w.asked++;
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

void mail_looked(void)
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
	for (u32 i = 0; i < g->vcpus_made; i++)
		assert_int_equal(g->vcpu[i]->state, VCPU_OFF);
}

void arch_guest_reset(struct guest *g)
{
	assert_all_off(g);
	/* Each vCPU for this life, or a life that it didn't come to. */
	assert_true(w.clears >= g->cfg.vcpus);
	w.arch_resets++;
}

bool arch_guest_quiet(struct guest *g)
{
	assert_all_off(g);
	/* Once so it stays so, until a vCPU starts. */
	*(bool *)g->arch |= w.quiet;
	return *(bool *)g->arch;
}

/* In two steps. */
bool arch_stage2_unmap_step(struct guest *g)
{
	assert_all_off(g);
	assert_true(*(bool *)g->arch);
	return ++w.unmaps % 2;
}

bool arch_stage2_free_step(struct guest *g)
{
	return arch_stage2_unmap_step(g);
}

int arch_stage2_prepare(struct guest *g, struct gpa at, u64 page_bytes)
{
	return 0;
}

int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
{
	return 0;
}

struct vcpu *arch_vcpu_alloc(struct guest *g, u32 id)
{
	struct vcpu *v = obj_alloc(sizeof(*v));

	w.now += us_to_ticks(VCPU_US);
	if (v) {
		v->guest = g;
		v->id = id;
	}
	return v;
}

void arch_vcpu_free(struct vcpu *v)
{
	assert_int_equal(v->state, VCPU_OFF);
	assert_null(v->sched.part);
	w.now += us_to_ticks(VCPU_US);
	obj_free(v);
}

void arch_vcpu_clear(struct vcpu *v)
{
	assert_int_equal(v->guest->state, GUEST_STARTING);
	assert_int_equal(v->state, VCPU_OFF);
	w.now += us_to_ticks(VCPU_US);
	w.clears++;
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

bool arch_guest_tell_rest(struct guest *g)
{
	assert_int_equal(g->state, GUEST_RUNNING);
	w.fences_untold -= !!w.fences_untold;
	return w.fences_untold;
}

bool emul_tell_rest(struct guest *g)
{
	assert_int_equal(g->state, GUEST_RUNNING);
	if (!w.rest)
		return false;
	w.now += us_to_ticks(REST_US + w.late_us);
	return --w.rest != 0;
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
		    const struct guest_config *cfg,
		    const struct image_files *files, u64 fdt_bytes,
		    struct lab_error *error)
{
	if (image_plan(cfg, files, fdt_bytes, &l->plan, error))
		return -EINVAL;
	l->gunzip = obj_alloc(3000);
	if (!l->gunzip)
		return -ENOMEM;
	l->guest = g;
	return 0;
}

void image_load_begin(struct image_load *l, const void *fdt, size_t fdt_bytes)
{
	assert_non_null(l->gunzip);
	l->stage = 0;
	w.loads++;
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

u64 guest_fdt_left_bytes(size_t dtb_bytes)
{
	return dtb_bytes / 2;
}

void guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		     const struct guest_fdt_args *args)
{
	job->tree.buf = buf;
	job->args = *args;
	job->vcpu = 0;
	assert_non_null(buf);
}

int guest_fdt_step(struct guest_fdt_job *job)
{
	w.now += us_to_ticks(60);
	if (w.tree_broken && job->vcpu)
		return -EINVAL;
	if (job->vcpu++ < TREE_STEPS)
		return 1;
	memcpy(w.seed, job->args.rng_seed, sizeof(w.seed));
	w.trees++;
	/* Only the size is looked at. */
	fdt_set_totalsize((void *)job->tree.buf, 100);
	return 0;
}

void *guest_fdt_seed(const struct guest_fdt_job *job)
{
	return w.seed;
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
		if (!cfg->kernel)
			return -ENOMEM;
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

struct guest_config config(const char *name)
{
	return (struct guest_config){
		.name = name, .vcpus = 2, .memory_bytes = 4 * MIB,
		.ram_base = { BASE }, .kernel = "Image",
		.sched = SCHED_PARAMS_DEFAULT,
		.on_poweroff = ACTION_STOP, .on_reboot = ACTION_RESTART,
		.on_crash = ACTION_STOP, .autostart = true,
	};
}

static struct { u64 frames, bytes; u32 names; } before;

void begin(bool when_done)
{
	static struct cpu cpu;

	memset(&w, 0, sizeof(w));
	memset(&cpu, 0, sizeof(cpu));
	fake_this_cpu = &cpu;
	w.quiet = true;
	ready_len = asleep_len = 0;
	fake_ram_add(BASE, 64 * MIB);
	guests_init(&env, when_done);
	rng_seed("seed", 4);
	before.frames = page_free_count();
	before.bytes = obj_live_bytes();
	before.names = names_live;
}

struct guest *create(struct guest_config cfg)
{
	struct guest *g = NULL;

	assert_int_equal(guest_create(&cfg, &g, &err), 0);
	return g;
}

void start(struct guest *g)
{
	assert_int_equal(guest_start(g), 0);
	run_all();
}

struct guest *running(const char *name)
{
	struct guest *g = create(config(name));

	start(g);
	assert_int_equal(g->state, GUEST_RUNNING);
	return g;
}

void assert_as_before(void)
{
	assert_int_equal(page_free_count(), before.frames);
	assert_int_equal(obj_live_bytes(), before.bytes);
	assert_int_equal(names_live, before.names);
}

/* Stops and destroys whatever there is; nothing may be left. */
void end(void)
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
