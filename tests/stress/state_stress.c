/*
 * The whole core, a thread for each CPU: vCPUs wait, wake each other across
 * CPUs, are moved, paused, resumed, stopped and started, while the policy
 * changes. No wake may be lost, no vCPU be in two places, and in the end no CPU
 * idle that could be used if all move on by one. In two of three rounds the
 * doorbells are bad ones: late, or also doubled, and some rung by nobody.
 *
 * Between its steps each CPU now and then tells where all others are, as the
 * watchdog does: of vCPUs that come and go, too.
 */
/* sources: SCHED_CORE POLICIES kernel/heap.c kernel/where.c
 *	tests/stress/stress.c */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/arch.h"
#include "kernel/backtrace.h"
#include "kernel/guest.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/idle.h"
#include "kernel/percpu/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"
#include "kernel/where.h"
#include "tests/stress/stress.h"
#include "tests/unit/policies.h"

#define CPUS_MAX 8
#define VCPUS 9
#define LOST_SECONDS 20
#define RECORDS 64

struct host_cpu {
	struct cpu c;
	u32 pending; /* atomic: the doorbell in hardware */
	u32 sent;    /* atomic: rung, and not delivered yet, by bad hardware */
	u64 timer;
	struct trace_ring ring;
	struct trace_record records[RECORDS];
};

struct host_vcpu {
	struct vcpu v;
	struct cpu *loaded; /* atomic */
	u64 raised;         /* atomic: counted before each raise */
	u64 seen;           /* atomic: the count when it took interrupts */
	u64 deadline;
	u32 seed;
};

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
static struct host_cpu cpus[CPUS_MAX];
static struct guest guest;
static struct host_vcpu *vcpus[VCPUS];
static u32 stopping, quiet, listing, offs;
static u32 hogging; /* atomic: nobody waits of himself */
static u64 made_ticks; /* when the guest was made */
static u32 hardware; /* atomic: how good the doorbells are */
static u32 starts;   /* atomic, bits: vCPUs that the next CPU is to start */
static u32 told;     /* atomic: lines that name a vCPU */

enum { GOOD, SLOW, NOISY };

static struct host_vcpu *hv(struct vcpu *v)
{
	return container_of(v, struct host_vcpu, v);
}

static struct host_cpu *self(void)
{
	return container_of(cpu_this(), struct host_cpu, c);
}

static u32 roll(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* ---- The rest of the kernel ---- */

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

void panic(const char *fmt, ...)
{
	fputs(fmt, stderr);
	abort();
}

u64 time_now_ticks(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 10000000 + (u64)t.tv_nsec / 100;
}

void guest_vcpu_off(struct guest *g)
{
	(void)g;
	ck_pr_faa_32(&offs, 1);
}

void tracer_record_format(const struct trace_record *r,
			  char text[TRACER_RECORD_BYTES])
{
	snprintf(text, TRACER_RECORD_BYTES, "event %u", r->event);
}

void ksym_format(u64 pc, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "0x%lx", (unsigned long)pc);
}

void ksym_format_return(u64 ra, char *buf, size_t bytes)
{
	ksym_format(ra, buf, bytes);
}

void backtrace(struct cpu *c, u64 pc, u64 fp,
	       void (*fn)(void *ctx, u64 pc), void *ctx)
{
	(void)c, (void)pc, (void)fp, (void)fn, (void)ctx;
}

/* ---- kernel/arch.h ---- */

u64 arch_cpu_last_pc(struct cpu *c)
{
	(void)c;
	return 0;
}

bool arch_cpu_where(struct cpu *c, struct cpu_where *out)
{
	(void)c, (void)out;
	return false;
}

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
	struct host_cpu *c = container_of(target, struct host_cpu, c);

	ck_pr_store_32(ck_pr_load_32(&hardware) ? &c->sent : &c->pending, 1);
}

/* A step of the postman's: a ring for that CPU that was sent, sooner or later.
 * Where it is noisy, too: the same once more, and one that wasn't. */
static void deliver(struct host_cpu *c, u32 *seed)
{
	bool noisy = ck_pr_load_32(&hardware) == NOISY;
	u32 dice = roll(seed);

	if (!ck_pr_load_32(&c->sent) && (!noisy || dice % 16))
		return;
	for (u32 i = dice >> 8 & 7; i; i--)
		sched_yield();
	if (!noisy || dice >> 16 & 3)
		ck_pr_store_32(&c->sent, 0);
	ck_pr_store_32(&c->pending, 1);
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
}

void arch_wait(void)
{
	while (!interrupted(self()))
		sched_yield();
	arch_doorbell_ack();
}

static void take_interrupts(struct host_vcpu *h)
{
	u64 raised;

	if (!ck_pr_load_32(&h->v.virq))
		return;
	ck_pr_fas_32(&h->v.virq, 0);
	raised = ck_pr_load_64(&h->raised);
	ck_pr_store_64(&h->seen, raised);
}

static void raise(struct host_vcpu *h)
{
	ck_pr_faa_64(&h->raised, 1);
	virq_raise(&h->v, VIRQ_SOFT);
}

enum run_end arch_vcpu_run(struct vcpu *v)
{
	struct host_cpu *c = self();
	struct host_vcpu *h = hv(v);
	u32 n = 1 + roll(&h->seed) % 20;
	enum run_end end = RUN_LOOK;

	if (ck_pr_load_ptr(&h->loaded) != &c->c)
		abort();
	if (!cpu_enter_guest(&c->c, v))
		return RUN_LOOK;
	for (;;) {
		take_interrupts(h);
		if (interrupted(c)) {
			if (c->timer > time_now_ticks())
				break;
			if (sched_timer_early())
				continue;
			end = RUN_TIMER;
			break;
		}
		if (ck_pr_load_32(&hogging)) {
			sched_yield();
		} else if (n-- == 0) {
			u32 what = roll(&h->seed) % 16;

			h->deadline = roll(&h->seed) % 4 ? TIME_NEVER :
				      time_now_ticks() + roll(&h->seed) % 5000;
			if (ck_pr_load_32(&quiet))
				h->deadline = TIME_NEVER;
			else if (what < 12)
				raise(vcpus[roll(&h->seed) % VCPUS]);
			take_interrupts(h);
			end = what == 15 ? RUN_YIELD : RUN_BLOCK;
			break;
		}
	}
	cpu_leave_guest(&c->c);
	return end;
}

void arch_vcpu_load(struct vcpu *v)
{
	if (ck_pr_fas_ptr(&hv(v)->loaded, cpu_this()) != NULL)
		abort();
}

void arch_vcpu_save(struct vcpu *v)
{
	if (ck_pr_fas_ptr(&hv(v)->loaded, NULL) != cpu_this())
		abort();
}

enum run_end arch_vcpu_load_run(struct vcpu *v)
{
	arch_vcpu_load(v);
	return arch_vcpu_run(v);
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
	(void)v, (void)classes;
}

void arch_vcpu_knobs(struct vcpu *v)
{
	(void)v;
}

void arch_vcpu_timer_fired(struct vcpu *v)
{
	hv(v)->deadline = TIME_NEVER;
	virq_raise(v, VIRQ_TIMER);
}

/* ---- The threads ---- */

/* What was asked for, and now and then any: several CPUs may start one at once.
 * It may be refused, under a policy that has room for few. */
static void start_some(u32 *seed)
{
	u32 bits = ck_pr_load_32(&starts) ? ck_pr_fas_32(&starts, 0) : 0;

	if (roll(seed) % 64 == 0 && !ck_pr_load_32(&quiet))
		bits |= 1u << roll(seed) % VCPUS;
	for (u32 i = 0; i < VCPUS; i++) {
		int err = bits >> i & 1 ? sched_vcpu_start(&vcpus[i]->v) : 0;

		if (err && err != -EBUSY)
			abort();
	}
}

/* A CPU's mode, the guest and the vCPU's state have names, whatever they are
 * meanwhile. */
static void check_line(void *ctx, const char *text)
{
	const char *current = strstr(text, ", current ");
	u32 cpu, vcpu;

	(void)ctx;
	if (!current)
		return; /* a record */
	if (sscanf(text, "CPU %u: ", &cpu) != 1 || cpu >= cpu_count() ||
	    strchr(text, '?'))
		abort();
	if (sscanf(current, ", current guest/%u,", &vcpu) == 1 && vcpu < VCPUS)
		ck_pr_faa_32(&told, 1);
	else if (!strstr(current, "none/-1,"))
		abort();
}

static void *cpu_thread(void *arg)
{
	struct host_cpu *c = arg;
	u32 seed = c->c.index;

	fake_this_cpu = &c->c;
	while (!ck_pr_load_32(&stopping)) {
		start_some(&seed);
		sched_step(&c->c, time_now_ticks());
		if (roll(&seed) % 16 == 0)
			where_print(cpu_by_index(roll(&seed) % cpu_count()),
				    check_line, NULL);
	}
	return NULL;
}

static void *postman(void *arg)
{
	u32 seed = 7;

	(void)arg;
	while (!ck_pr_load_32(&stopping)) {
		for (u32 i = 0; i < cpu_count(); i++)
			deliver(&cpus[i], &seed);
		sched_yield();
	}
	return NULL;
}

/* ThreadSanitizer's: these reads are no races,
 * whatever is written meanwhile. */
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);

/* Whoever lists a vCPU while it runs finds all of its time, once: no mixture of
 * before and after a change. */
static void look_at(struct host_vcpu *h)
{
	u64 now = time_now_ticks(), sum = 0;
	struct sched_vcpu_info info;
	struct cpu_stats stats;

	/* Counters are written by their owner alone, by plain stores. */
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	sched_vcpu_info(&h->v, &info, now);
	sched_cpu_stats(info.cpu, &stats);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
	for (u32 i = 0; i < RUNSTATE_COUNT; i++)
		sum += info.ticks[i];
	if (sum < now - made_ticks - 1 || sum > time_now_ticks() - made_ticks) {
		fprintf(stderr, "vcpu %u: %lu ticks of %lu\n", h->v.id,
			(unsigned long)sum, (unsigned long)(now - made_ticks));
		abort();
	}
}

static void *lister_thread(void *arg)
{
	while (ck_pr_load_32(&listing)) {
		for (u32 i = 0; i < VCPUS; i++)
			look_at(vcpus[i]);
	}
	return NULL;
}

static u32 all_cpus(void)
{
	return (1u << cpu_count()) - 1;
}

static void request_at_random(u32 *seed)
{
	struct vcpu *v = &vcpus[roll(seed) % VCPUS]->v;
	struct cpuset to = { { 1 + roll(seed) % all_cpus() } };
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	switch (roll(seed) % 8) {
	case 0:
	case 1:
		assert_int_equal(sched_vcpu_affinity(v, &to), 0);
		break;
	case 2:
		sched_vcpu_request(v, VCPU_REQ_KILL);
		ck_pr_or_32(&starts, 1u << v->id);
		break;
	case 3:
		sched_vcpu_request(v, VCPU_REQ_PAUSE);
		break;
	case 4:
		sched_vcpu_request(v, VCPU_REQ_RESUME);
		break;
	case 5:
		p.priority = roll(seed) % 256;
		p.weight = 1 + roll(seed) % 1000;
		p.cap = roll(seed) % 2 ? 50 : 0;
		sched_guest_params(&guest, &p, 0);
		break;
	default:
		raise(hv(v));
	}
}

static const char *any_policy(u32 *seed)
{
	return sched_policy_list(roll(seed) % policy_count());
}

/* If there isn't room for all, there will be. */
static void make_room(void)
{
	while (sched_policy_changing())
		sched_yield();
	if (!sched_policy_room(sched_policy_name()))
		return;
	assert_int_equal(sched_policy_set(sharing_policy(0), NULL), 0);
	while (sched_policy_changing())
		sched_yield();
}

static void all_go_on(void)
{
	struct cpuset all = { { all_cpus() } };
	struct sched_params p = SCHED_PARAMS_DEFAULT;

	make_room();
	sched_guest_params(&guest, &p, 0);
	for (u32 i = 0; i < VCPUS; i++) {
		/* A KILL that is still to be taken would take START along. */
		while (ck_pr_load_32(&vcpus[i]->v.requests) & VCPU_REQ_KILL)
			sched_yield();
		sched_vcpu_request(&vcpus[i]->v, VCPU_REQ_RESUME);
		assert_int_equal(sched_vcpu_affinity(&vcpus[i]->v, &all), 0);
		assert_int_equal(sched_vcpu_start(&vcpus[i]->v), 0);
	}
}

/* Each answers one more interrupt, in time. */
static bool all_answer(void)
{
	time_t begin = time(NULL);

	for (u32 i = 0; i < VCPUS; i++) {
		raise(vcpus[i]);
		while (ck_pr_load_64(&vcpus[i]->seen) !=
		       ck_pr_load_64(&vcpus[i]->raised)) {
			if (time(NULL) - begin > LOST_SECONDS) {
				fprintf(stderr, "vcpu %u: state %u virq %x\n",
					i, vcpus[i]->v.state, vcpus[i]->v.virq);
				return false;
			}
			sched_yield();
		}
	}
	return true;
}

static void let(u32 vcpu, u64 bits)
{
	struct cpuset to = { { bits } };

	assert_int_equal(sched_vcpu_affinity(&vcpus[vcpu]->v, &to), 0);
}

/* One for each CPU, all on the first. Then each may go on to the next but for
 * one, which must stay; so they have to move in a row, from the last. */
static bool all_make_room(void)
{
	time_t begin = time(NULL);
	u32 running = 0;

	for (u32 i = cpu_count(); i < VCPUS; i++)
		sched_vcpu_request(&vcpus[i]->v, VCPU_REQ_PAUSE);
	for (u32 i = 0; i < cpu_count(); i++)
		let(i, 1);
	ck_pr_store_32(&hogging, 1);
	for (u32 i = 0; i < cpu_count(); i++)
		raise(vcpus[i]);
	for (u32 i = 1; i < cpu_count(); i++)
		let(i, 3u << (i - 1));
	while (running < cpu_count() && time(NULL) - begin <= LOST_SECONDS) {
		sched_yield();
		running = 0;
		for (u32 i = 0; i < cpu_count(); i++)
			running += ck_pr_load_32(&vcpus[i]->v.state) ==
				   VCPU_RUNNING;
	}
	ck_pr_store_32(&hogging, 0);
	return running == cpu_count();
}

static void guest_make(void)
{
	static const struct sched_params defaults = SCHED_PARAMS_DEFAULT;

	memset(&guest, 0, sizeof(guest));
	guest.cfg.name = strcpy(obj_alloc(8), "guest");
	guest.cfg.vcpus = VCPUS;
	guest.cfg.sched = defaults;
	guest.state = GUEST_RUNNING;
	guest.vcpu = obj_alloc(VCPUS * sizeof(*guest.vcpu));
	for (u32 i = 0; i < VCPUS; i++) {
		vcpus[i] = obj_alloc(sizeof(*vcpus[i]));
		vcpus[i]->v.guest = &guest;
		vcpus[i]->v.id = i;
		vcpus[i]->seed = i;
		vcpus[i]->deadline = TIME_NEVER;
		guest.vcpu[i] = &vcpus[i]->v;
	}
	made_ticks = time_now_ticks();
	assert_int_equal(sched_guest_add(&guest), 0);
	/* Each from when it was made, all the same a moment later. */
	for (u32 i = 0; i < VCPUS; i++) {
		assert_int_equal(sched_vcpu_add(&vcpus[i]->v), 0);
		vcpus[i]->v.sched.since_ticks = made_ticks;
	}
}

static struct sched_quiesce drain;
static struct task waiter;

static enum task_result drained(struct task *t)
{
	(void)t;
	return TASK_WAIT;
}

/* As the reaper does it. */
static void guest_unmake(void)
{
	ck_pr_store_32(&guest.state, GUEST_STOPPING);
	for (u32 i = 0; i < VCPUS;)
		i = sched_guest_kill(&guest, i);
	for (u32 i = 0; i < 100000 && !sched_guest_killed(&guest); i++)
		usleep(100);
	assert_true(sched_guest_killed(&guest));
	assert_int_equal(guest.vcpus_on, 0);
	sched_quiesce(&drain, &waiter);
	for (u32 i = 0; i < 100000 && !sched_quiesced(&drain); i++)
		usleep(100);
	assert_true(sched_quiesced(&drain));
	for (u32 i = 0; i < VCPUS; i++) {
		sched_vcpu_remove(&vcpus[i]->v);
		obj_free(vcpus[i]);
	}
	sched_guest_remove(&guest);
	obj_free(guest.vcpu);
	obj_free((void *)guest.cfg.name);
}

static void machine_make(u32 count)
{
	memset(cpus, 0, sizeof(cpus));
	memset(idle_masks, 0, sizeof(idle_masks));
	stopping = quiet = told = 0;
	cpu_table_len = 0;
	for (u32 i = 0; i < count; i++) {
		cpus[i].c.index = i;
		cpus[i].timer = TIME_NEVER;
		trace_ring_init(&cpus[i].ring, cpus[i].records, RECORDS, i,
				TRACE_FLIGHT);
		cpus[i].c.trace = &cpus[i].ring;
		cpus[i].c.trace_mask = TRACE_SCHED;
		cpu_register(&cpus[i].c);
	}
	fake_this_cpu = NULL;
	assert_int_equal(sched_init(sharing_policy(0)), 0);
	task_init(&waiter, "waiter", drained, 0);
}

static void machine_start(pthread_t *t)
{
	for (u32 i = 0; i < cpu_count(); i++)
		pthread_create(&t[i], NULL, cpu_thread, &cpus[i]);
}

static void machine_stop(pthread_t *t)
{
	ck_pr_store_32(&stopping, 1);
	for (u32 i = 0; i < cpu_count(); i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(cpus[i].c.load, 0);
	}
	assert_true(told > 0);
}

static void no_wake_is_lost_whatever_is_asked_meanwhile(void **state)
{
	bool full = getenv("ROUSE_TEST_FULL") != NULL;
	pthread_t t[CPUS_MAX], post, lister;
	u32 seed = 1;

	machine_make(*(const u32 *)*state);
	guest_make();
	machine_start(t);
	pthread_create(&post, NULL, postman, NULL);
	listing = 1;
	pthread_create(&lister, NULL, lister_thread, NULL);
	all_go_on();
	for (u32 round = 0; round < (full ? 200 : 10); round++) {
		ck_pr_store_32(&hardware, round % 3);
		ck_pr_store_32(&quiet, 0);
		for (u32 i = 0; i < 300; i++) {
			request_at_random(&seed);
			if (i % 100 == 0)
				(void)!sched_policy_set(any_policy(&seed),
							NULL);
			sched_yield();
		}
		all_go_on();
		ck_pr_store_32(&quiet, 1);
		assert_true(all_answer());
		assert_true(all_make_room());
	}
	ck_pr_store_32(&listing, 0);
	pthread_join(lister, NULL);
	guest_unmake();
	machine_stop(t);
	pthread_join(post, NULL);
}

/* Each CPU tells of vCPUs that others free. */
static void who_is_told_of_is_not_freed_meanwhile(void **state)
{
	bool full = getenv("ROUSE_TEST_FULL") != NULL;
	pthread_t t[CPUS_MAX];

	machine_make(*(const u32 *)*state);
	quiet = hogging = 1;
	hardware = GOOD;
	machine_start(t);
	for (u32 round = 0; round < (full ? 3000 : 150); round++) {
		guest_make();
		for (u32 i = 0; i < VCPUS; i++)
			assert_int_equal(sched_vcpu_start(&vcpus[i]->v), 0);
		usleep(500);
		guest_unmake();
	}
	machine_stop(t);
	hogging = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(1, no_wake_is_lost_whatever_is_asked_meanwhile),
		ON(2, no_wake_is_lost_whatever_is_asked_meanwhile),
		ON(4, no_wake_is_lost_whatever_is_asked_meanwhile),
		ON(8, no_wake_is_lost_whatever_is_asked_meanwhile),
		ON(2, who_is_told_of_is_not_freed_meanwhile),
		ON(4, who_is_told_of_is_not_freed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
