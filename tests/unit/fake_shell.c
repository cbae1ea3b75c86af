#include "tests/unit/fake_shell.h"

#include "kernel/arch.h"
#include "kernel/gmem.h"
#include "kernel/lab.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/task.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

/* ---- paper ---- */

static void paper_put(struct out *o, const char *s, size_t n)
{
	struct paper *p = container_of(o, struct paper, out);

	if (p->len + n >= p->room) {
		p->room = 2 * (p->len + n + 1);
		p->text = realloc(p->text, p->room);
	}
	memcpy(p->text + p->len, s, n);
	p->len += n;
	p->text[p->len] = '\0';
}

void paper_init(struct paper *p)
{
	*p = (struct paper){.out = {.put = paper_put}, .room = 1};
	p->text = calloc(1, 1);
}

void paper_clear(struct paper *p)
{
	p->len = 0;
	p->text[0] = '\0';
}

void paper_free(struct paper *p)
{
	free(p->text);
	p->text = NULL;
}

/* ---- a checker of JSON: RFC 8259, depth by a stack of brackets ---- */

static const char *json_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((u8)*s < 0x20 || (u8)*s > 0x7e)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			s += 4;
		} else if (!*s || !strchr("\"\\/bfnrt", *s)) {
			return NULL;
		}
	}
	return s + 1;
}

static const char *json_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	if (!n || (n > 1 && *s == '0'))
		return NULL;
	s += n;
	if (*s != '.')
		return s;
	n = strspn(s + 1, "0123456789");
	return n ? s + 1 + n : NULL;
}

static const char *json_scalar(const char *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strncmp(s, words[i], strlen(words[i])) == 0)
			return s + strlen(words[i]);
	}
	return *s == '"' ? json_string(s) : json_number(s);
}

/* The end of the object at `s`, or NULL. */
static const char *json_object_end(const char *s)
{
	char stack[64];
	size_t depth = 0;
	bool first = true;

	do {
		if (!first && *s == ',')
			s++;
		else if (!first && *s != '}' && *s != ']')
			return NULL;
		if (depth && *s == (stack[depth - 1] == '{' ? '}' : ']')) {
			if (s[-1] == ',')
				return NULL;
			depth--;
			s++;
			first = false;
			continue;
		}
		if (depth && stack[depth - 1] == '{') {
			s = json_string(s);
			if (!s || *s++ != ':')
				return NULL;
		}
		if (*s == '{' || *s == '[') {
			stack[depth++] = *s++;
			first = true;
			continue;
		}
		s = json_scalar(s);
		if (!s)
			return NULL;
		first = false;
	} while (depth && depth < sizeof(stack));
	return depth ? NULL : s;
}

int json_lines(const char *text)
{
	int n = 0;

	while (*text) {
		if (strncmp(text, "{\"type\":\"", 9) != 0)
			return -1;
		text = json_object_end(text);
		if (!text)
			return -1;
		if (*text == '\r')
			text++;
		if (*text++ != '\n')
			return -1;
		n++;
	}
	return n;
}

/* ---- memory, time ---- */

static long alloc_left = -1;

static u64 fail_in;

void fake_alloc_limit(long n)
{
	alloc_left = n;
}

void mem_fail_after(u64 n)
{
	fail_in = n;
}

u64 mem_fail_left(void)
{
	return fail_in;
}

void *obj_alloc(size_t bytes)
{
	void *p;

	if (fail_in && --fail_in == 0)
		return NULL;
	if (alloc_left == 0)
		return NULL;
	if (alloc_left > 0)
		alloc_left--;
	if (posix_memalign(&p, 64, bytes ? bytes : 1) != 0)
		return NULL;
	return memset(p, 0, bytes);
}

void obj_free(void *obj)
{
	free(obj);
}

u64 obj_live_bytes(void)
{
	return 4096;
}

u64 obj_held_bytes(void)
{
	return 8192;
}

u64 page_free_count(void)
{
	return 1000;
}

u64 page_total_count(void)
{
	return 2000;
}

void page_free_blocks(u64 count[PAGE_ORDER_MAX + 1])
{
	memset(count, 0, (PAGE_ORDER_MAX + 1) * sizeof(*count));
	count[3] = 2;
}

u64 timebase_hz = 10000000;
u64 fake_now_ticks = 10000000;
u64 fake_tick = 1;

u64 time_now_ticks(void)
{
	u64 now = fake_now_ticks;

	__atomic_store_n(&fake_now_ticks, now + fake_tick, __ATOMIC_RELAXED);
	return now;
}

bool fake_panic_ends;

void panic(const char *fmt, ...)
{
	va_list ap;

	if (fake_panic_ends)
		longjmp(fake_end, 3);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

bool panic_active(void)
{
	return false;
}

/* ---- guests ---- */

char fake_did[1024];
bool fake_slow;
char fake_input[8192];
size_t fake_input_len, fake_input_room = sizeof(fake_input);

static struct guest *guests;
static u32 next_id;

static char log_text[64][80];
static u64 log_len;

static void did(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void did(const char *fmt, ...)
{
	size_t len = strlen(fake_did);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_did + len, sizeof(fake_did) - len, fmt, ap);
	va_end(ap);
}

static size_t device_input(struct emul_dev *dev, const char *buf, size_t len)
{
	size_t n = MIN(len, fake_input_room);

	memcpy(fake_input + fake_input_len, buf, n);
	fake_input_len += n;
	fake_input_room -= n;
	return n;
}

static const struct emul_ops fake_rtc = {.name = "rtc"};
static const struct emul_ops fake_uart = {.name = "uart",
					  .input = device_input};

struct guest *fake_guest(const char *name, u32 vcpus)
{
	static struct cpu owner[64]; /* vCPU i is on CPU i, or i mod 64 */
	struct guest *g = calloc(1, sizeof(*g)), **p = &guests;

	g->id = next_id++;
	g->cfg.name = strdup(name);
	g->cfg.vcpus = vcpus;
	g->cfg.memory_bytes = 64 * MIB;
	g->refs = 1;
	g->vcpu = calloc(vcpus, sizeof(*g->vcpu));
	for (u32 i = 0; i < vcpus; i++) {
		void *v = NULL;

		assert_int_equal(posix_memalign(&v, 64, sizeof(struct vcpu)),
				 0);
		memset(v, 0, sizeof(struct vcpu));
		g->vcpu[i] = v;
		g->vcpu[i]->guest = g;
		g->vcpu[i]->id = i;
		g->vcpu[i]->cpu = &owner[i % ARRAY_LEN(owner)];
		g->vcpu[i]->cpu->index = i % ARRAY_LEN(owner);
	}
	g->devices = calloc(2, sizeof(*g->devices));
	g->devices[0] = (struct emul_dev){
		.ops = &fake_rtc, .guest = g, .next = &g->devices[1]};
	g->devices[1] = (struct emul_dev){.ops = &fake_uart, .guest = g};
	assert_int_equal(gcons_create(g), 0);
	while (*p)
		p = &(*p)->next;
	*p = g;
	return g;
}

static void guest_free(struct guest *g)
{
	gcons_destroy(g);
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		free(g->vcpu[i]);
	free(g->vcpu);
	free(g->devices);
	free((void *)(uintptr_t)g->cfg.name);
	free(g);
}

void guest_get(struct guest *g)
{
	g->refs++;
}

void guest_put(struct guest *g)
{
	if (!--g->refs)
		guest_free(g);
}

static void guest_unlink(struct guest *g)
{
	struct guest **p = &guests;

	while (*p != g)
		p = &(*p)->next;
	*p = g->next;
	guest_put(g);
}

void fake_guests_free(void)
{
	while (guests) {
		assert_int_equal(guests->refs, 1);
		guest_unlink(guests);
	}
	next_id = 0;
	log_len = 0;
	fake_did[0] = '\0';
	fake_slow = fake_broken = false;
	fake_input_len = 0;
	fake_input_room = sizeof(fake_input);
}

struct guest *guest_find(const char *name)
{
	struct guest *g = guests;

	while (g && strcmp(g->cfg.name, name) != 0)
		g = g->next;
	if (g)
		guest_get(g);
	return g;
}

struct guest *guest_find_id(u32 id)
{
	struct guest *g = guests;

	while (g && g->id != id)
		g = g->next;
	if (g)
		guest_get(g);
	return g;
}

struct guest *guest_next(struct guest *g)
{
	struct guest *n = g ? g->next : guests;

	if (n)
		guest_get(n);
	if (g)
		guest_put(g);
	return n;
}

u32 guest_count(void)
{
	u32 n = 0;

	for (struct guest *g = guests; g; g = g->next)
		n++;
	return n;
}

const char *guest_state_name(const struct guest *g)
{
	static const char *const names[] = {"stopped", "starting", "running",
					    "stopping", "dying"};

	return guest_is_paused(g) ? "paused" : names[g->state];
}

const char *guest_event_name(u32 event)
{
	static const char *const names[] = {"none",  "poweroff", "reboot",
					    "crash", "stop",	 "reset"};

	return names[event];
}

void guest_crash(struct vcpu *v, const char *fmt, ...)
{
	did("crash %s %u: %s; ", v->guest->cfg.name, v->id, fmt);
}

/* A wish is kept in g->event; it comes true at once, or by fake_grant. */
enum {
	WISH_START = 1,
	WISH_STOP,
	WISH_RESET,
	WISH_DESTROY
};

bool fake_broken; /* what is started stops again before it runs */

void fake_grant(void)
{
	struct guest *next;

	for (struct guest *g = guests; g; g = next) {
		u32 asked = g->event;

		next = g->next;
		g->event = 0;
		if (asked == WISH_START || asked == WISH_RESET) {
			g->state = fake_broken ? GUEST_STOPPED : GUEST_RUNNING;
			g->boots += !fake_broken;
		}
		if (asked == WISH_STOP) {
			g->state = GUEST_STOPPED;
			g->last_event = EVENT_STOP;
		}
		if (asked == WISH_DESTROY)
			guest_unlink(g);
	}
}

static int wish(struct guest *g, u32 what, const char *name, bool ok)
{
	if (!ok)
		return -EBUSY;
	did("%s %s; ", name, g->cfg.name);
	g->event = what;
	g->state = what == WISH_START	  ? GUEST_STARTING
		   : what == WISH_DESTROY ? GUEST_DYING
					  : GUEST_STOPPING;
	if (!fake_slow)
		fake_grant();
	return 0;
}

int guest_start(struct guest *g)
{
	return wish(g, WISH_START, "start", g->state == GUEST_STOPPED);
}

int guest_stop(struct guest *g)
{
	return wish(g, WISH_STOP, "stop", g->state == GUEST_RUNNING);
}

int guest_reset(struct guest *g)
{
	return wish(g, WISH_RESET, "reset", g->state == GUEST_RUNNING);
}

int guest_destroy(struct guest *g)
{
	return wish(g, WISH_DESTROY, "destroy", g->state == GUEST_STOPPED);
}

int guest_pause(struct guest *g)
{
	if (g->paused)
		return -EBUSY;
	g->paused = 1;
	did("pause %s; ", g->cfg.name);
	return 0;
}

u32 fake_work;

u32 guest_follow(struct guest *g, u32 from)
{
	fake_work += 32;
	return MIN(from + 32, g->cfg.vcpus);
}

bool guests_all_freed(void)
{
	return true;
}

int guest_resume(struct guest *g)
{
	if (!g->paused)
		return -EBUSY;
	g->paused = 0;
	did("resume %s; ", g->cfg.name);
	return 0;
}

/* ---- knobs: weight, slice-us and memory, which is not live ---- */

static struct lab_env env;

const struct lab_env *guests_env(void)
{
	return &env;
}

bool lab_knob_nth(u32 n,
		  void (*fn)(void *arg, const char *name, bool live,
			     const char *takes),
		  void *arg)
{
	static const char *const knobs[][2] = {
		{"weight", "1 to 65535"},
		{"slice-us", "100 to 1000000"},
		{"memory", "a size"},
	};

	if (n >= ARRAY_LEN(knobs))
		return false;
	fn(arg, knobs[n][0], n < 2, knobs[n][1]);
	return true;
}

int lab_knob_show(const struct guest_config *cfg, const char *name, char *buf,
		  size_t bytes)
{
	if (strcmp(name, "weight") == 0)
		snprintf(buf, bytes, "%u", cfg->sched.weight);
	else
		snprintf(buf, bytes, "some \"%s\"", name);
	return 0;
}

int lab_config_set(struct guest_config *cfg, const char *text, bool live,
		   const struct lab_env *e, struct lab_error *err)
{
	assert_ptr_equal(e, &env);
	if (strncmp(text, "weight=", 7) == 0) {
		cfg->sched.weight = (u32)atoi(text + 7);
		return 0;
	}
	if (strncmp(text, "slice-us=", 9) == 0)
		return 0;
	if (strcmp(text, "autostart=on") == 0) {
		cfg->autostart = true;
		return 0;
	}
	snprintf(err->text, sizeof(err->text), "%s: no knob '%s'", cfg->name,
		 text);
	return -EINVAL;
}

int guest_set_begin(struct guest *g, const char *const *texts, u32 count,
		    struct guest_setting *s, struct lab_error *err)
{
	struct guest_config cfg = g->cfg;

	for (u32 i = 0; i < count; i++) {
		if (lab_config_set(&cfg, texts[i], true, &env, err) != 0)
			return -EINVAL;
	}
	g->cfg = cfg;
	s->places_next = 0;
	return 0;
}

bool guest_set_step(struct guest *g, struct guest_setting *s)
{
	fake_work += 32;
	s->places_next += 32;
	return s->places_next < g->cfg.vcpus;
}

int lab_config_init(struct guest_config *cfg, const char *name,
		    struct lab_error *err)
{
	if (strchr(name, '!')) {
		snprintf(err->text, sizeof(err->text), "'%s' is no name", name);
		return -EINVAL;
	}
	*cfg = (struct guest_config){.name = strdup(name), .vcpus = 1};
	return 0;
}

void lab_config_fini(struct guest_config *cfg)
{
	free((void *)(uintptr_t)cfg->name);
	*cfg = (struct guest_config){.name = NULL};
}

int guest_create_begin(const struct guest_config *cfg, struct guest **out,
		       struct lab_error *err)
{
	struct guest *g = guest_find(cfg->name);

	if (g) {
		guest_put(g);
		snprintf(err->text, sizeof(err->text), "%s: there is one",
			 cfg->name);
		return -EINVAL;
	}
	*out = fake_guest(cfg->name, cfg->vcpus);
	(*out)->cfg.sched = cfg->sched;
	(*out)->cfg.autostart = cfg->autostart;
	did("create %s; ", cfg->name);
	return 0;
}

int guest_create_step(struct guest *g, struct lab_error *err)
{
	return g->vcpus_made++ < g->cfg.vcpus;
}

void guest_create_cancel(struct guest *g)
{
	did("cancel %s; ", g->cfg.name);
}

u64 gmem_bytes(const struct gmem *m)
{
	return 64 * MIB;
}

u64 gmem_touched_bytes(const struct gmem *m)
{
	return 3 * MIB;
}

/* ---- scheduler: policies red and blue on two CPUs ---- */

struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len = 2;

static const char *policy = "red";

const char *sched_policy_name(void)
{
	return policy;
}

const char *sched_policy_list(u32 i)
{
	static const char *const names[] = {"red", "blue"};

	return i < ARRAY_LEN(names) ? names[i] : NULL;
}

const char *const *sched_policy_knobs(const char *name)
{
	static const char *const knobs[] = {"weight", NULL};

	return strcmp(name, "red") == 0 ? knobs : knobs + 1;
}

u32 sched_policy_room(const char *name)
{
	return strcmp(name, "red") == 0 ? 1 : 0;
}

int sched_policy_set(const char *name, struct task *waiter)
{
	for (u32 i = 0; sched_policy_list(i); i++) {
		if (strcmp(name, sched_policy_list(i)) == 0) {
			policy = sched_policy_list(i);
			return 0;
		}
	}
	return -ENOENT;
}

bool sched_policy_changing(void)
{
	return false;
}

void sched_cpu_show(u32 cpu, char *buf, size_t len)
{
	snprintf(buf, len, "queue \\ of %u", cpu);
}

bool fake_thirds;

void sched_vcpu_show(const struct vcpu *v, u64 now, char *buf, size_t len)
{
	(void)now;
	snprintf(buf, len, "lag of \"%u\"", v->id);
}

/* Guest time goes on 1 tick in 4 of the clock, for the first vCPU of each. */
void sched_vcpu_info(const struct vcpu *v, struct sched_vcpu_info *out, u64 now)
{
	fake_work++;
	*out = (struct sched_vcpu_info){
		.cpu = v->cpu->index,
		.state = v->state,
		.paused = v->sched.paused,
		.ticks = {[RUNSTATE_RUNNING] = v->id ? 0 : now / 4,
			  [RUNSTATE_RUNNABLE] = now * 1246 / 10000},
		.wakes = now / 10000,
		.exits = now / 1000,
		.exits_by = {[VCPU_EXIT_CALL] = now / 2000,
			     [VCPU_EXIT_WAIT] = now / 1000 - now / 2000},
		.waits = {[4] = 10, [6] = 1},
		.allowed = {.w = {3}},
	};
}

void sched_vcpu_stats_clear(struct vcpu *v)
{
	fake_work++;
	did("stats clear %s:%u", v->guest->cfg.name, (unsigned int)v->id);
}

/* Tracing: one CPU has a ring, of which nothing is written. */

struct tracer_config fake_traced;
static struct tracer_status tracing;
static struct trace_record traced[16];
struct trace_ring fake_ring;
int fake_tracer_error;

int tracer_start(const struct tracer_config *cfg)
{
	if (fake_tracer_error)
		return fake_tracer_error;
	fake_traced = *cfg;
	tracing = (struct tracer_status){
		.mask = cfg->mask, .flags = cfg->flags, .records = 16,
		.stop_event = cfg->stop_event, .stop_after = cfg->stop_after,
		.late_ticks = cfg->late_ticks,
	};
	fake_ring = (struct trace_ring){ .records = traced, .mask = 15,
					 .flags = cfg->flags };
	return 0;
}

int tracer_mask(u32 mask)
{
	if (fake_tracer_error)
		return fake_tracer_error;
	tracing.mask = mask;
	return 0;
}

int tracer_stats(bool on)
{
	if (fake_tracer_error)
		return fake_tracer_error;
	tracing.mask &= ~TRACE_STATS;
	tracing.mask |= on ? TRACE_STATS : 0;
	return 0;
}

bool tracer_changing(void)
{
	return false;
}

void tracer_status(struct tracer_status *out)
{
	*out = tracing;
}

const struct trace_ring *tracer_ring(u32 cpu)
{
	return tracing.records ? &fake_ring : NULL;
}

bool tracer_name(u32 i, struct trace_name *out)
{
	*out = (struct trace_name){ .vcpu = i, .flags = 1, .guest = "linux0" };
	return i < 2;
}

void tracer_file(struct trace_file *out)
{
	*out = (struct trace_file){
		.magic = TRACE_FILE_MAGIC, .version = TRACE_VERSION,
		.head_bytes = sizeof(*out), .timebase_hz = timebase_hz,
		.cpus = cpu_count(), .names = 2, .record_bytes = 32,
		.name_bytes = 64, .cpu_bytes = 32,
	};
}

u64 trace_copy(const struct trace_ring *r, u64 from, u64 max,
	       struct trace_record *out, u64 *first)
{
	u64 n = MIN(max, r->head - from);

	*first = from;
	memcpy(out, r->records + from, n * sizeof(*out));
	return n;
}

void sched_guest_info(const struct guest *g, struct sched_guest_info *out)
{
	*out = (struct sched_guest_info){.params = g->cfg.sched};
}

void sched_cpu_stats(u32 cpu, struct cpu_stats *out)
{
	fake_work++;
	*out = (struct cpu_stats){.guest_ticks = fake_now_ticks / 2,
				  .idle_ticks = fake_now_ticks / 2};
	if (fake_thirds) {
		out->guest_ticks = fake_now_ticks / 3;
		out->task_ticks = fake_now_ticks / 3;
		out->host_ticks = fake_now_ticks / 3;
		out->idle_ticks = 0;
	}
}

void sched_vcpu_request(struct vcpu *v, u32 requests)
{
	fake_work++;
	did("%s %s:%u; ", requests & VCPU_REQ_PAUSE ? "pause" : "resume",
	    v->guest->cfg.name, v->id);
	v->sched.paused = requests == VCPU_REQ_PAUSE;
}

int sched_vcpu_affinity(struct vcpu *v, const struct cpuset *allowed)
{
	did("pin %s:%u %llx; ", v->guest->cfg.name, v->id,
	    (unsigned long long)allowed->w[0]);
	return 0;
}

u32 fake_wakes;
u64 fake_wake_ticks = TIME_NEVER;

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	*t = (struct task){.name = name, .step = step, .cpu = cpu};
}

void task_wake(struct task *t)
{
	__atomic_add_fetch(&fake_wakes, 1, __ATOMIC_RELAXED);
}

void task_wake_at(struct task *t, u64 when_ticks)
{
	fake_wake_ticks = when_ticks;
}

/* ---- the machine ---- */

struct paper fake_screen;
size_t fake_screen_room = SIZE_MAX;
jmp_buf fake_end;
u32 fake_end_status;

static const char *keys = "";

void fake_keys(const char *s)
{
	keys = s;
}

int arch_console_read(void)
{
	return *keys ? (u8)*keys++ : -1;
}

bool arch_console_has_irq(void)
{
	return true;
}

size_t arch_console_write_some(const char *buf, size_t len)
{
	size_t n = MIN(MIN(len, (size_t)16), fake_screen_room);

	if (fake_screen_room != SIZE_MAX)
		fake_screen_room -= n;
	out_put(&fake_screen.out, buf, n);
	return n;
}

void arch_poweroff(u32 status)
{
	fake_end_status = status;
	longjmp(fake_end, 1);
}

bool fake_no_reboot;

void arch_reboot(void)
{
	if (!fake_no_reboot)
		longjmp(fake_end, 2);
}

int watchdog_stall(u32 cpu, u64 ticks)
{
	if (fake_slow)
		return -EBUSY;
	did("stall %u %lu; ", cpu, ticks);
	return 0;
}

void arch_vcpu_print(struct vcpu *v, void (*line)(void *ctx, const char *text),
		     void *ctx)
{
	line(ctx, "pc 80000000");
	line(ctx, "a\"0 1");
}

/* ---- log ---- */

void fake_log(const char *text)
{
	assert_true(log_len < ARRAY_LEN(log_text));
	snprintf(log_text[log_len++], sizeof(log_text[0]), "%s", text);
}

int log_read(u64 *cursor, struct log_entry *out, u64 *lost)
{
	if (*cursor >= log_len)
		return 0;
	out->ticks = 0;
	out->level = LOG_INFO;
	strcpy(out->text, log_text[(*cursor)++]);
	return 1;
}

size_t log_prefix(const struct log_entry *e, char *buf)
{
	strcpy(buf, "[0.0] ");
	return 6;
}

void log_reader_set(void (*wake)(void), u64 *cursor)
{
}
