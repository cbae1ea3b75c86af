/*
 * Guests that are made, found, written to and destroyed at once, with threads
 * for CPUs: who has found one has it until he gives it back, and no longer is
 * one freed, whole, by the reaper; a console lives on with who reads it, and of
 * what was written into it each byte is told of, or counted as lost. And of
 * guests that start by themselves the last to stop ends the machine, and none
 * before. Each thread loses its CPU between any two looks at shared words.
 */
/* sources: */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>
#include <ck_spinlock.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest_private.h"
#include "kernel/mem.h"
#include "kernel/shell/console.h"

#define THREADS_MAX 8
#define NAMES 5
#define STEPS 300 /* of each thread in a round */

static _Thread_local unsigned int dice;

static u32 random_below(u32 n)
{
	return (u32)rand_r(&dice) % n;
}

static void jitter(void)
{
	if (random_below(16) == 0)
		sched_yield();
}

#define ck_pr_load_32(p)	     (jitter(), ck_pr_load_32(p))
#define ck_pr_inc_32(p)		     (jitter(), ck_pr_inc_32(p))
#define ck_pr_dec_32(p)		     (jitter(), ck_pr_dec_32(p))
#define ck_pr_dec_32_zero(p, is)     (jitter(), ck_pr_dec_32_zero(p, is))
#define ck_pr_fas_32(p, v)	     (jitter(), ck_pr_fas_32(p, v))
#define ck_pr_cas_32_value(p, a, b, c) \
	(jitter(), ck_pr_cas_32_value(p, a, b, c))
#include "kernel/guest.c"
#include "kernel/guest_reap.c"
#include "kernel/gcons.c"

/* What a guest is, here. */
struct stress_guest {
	struct guest g;
	struct guest_life life;
	u32 step; /* of its end */
	u32 magic;
};

#define ALIVE 0x11223344u

_Thread_local struct cpu *fake_this_cpu;
u64 timebase_hz = 10000000;
static u32 threads; /* of this round's, beside the reader and the reaper */
static pthread_barrier_t barrier;
static u32 seed = 1; /* atomic */
static u32 reaper_mail, reader_mail, at_work, over; /* atomic */
static u32 made, freed, twice, held_on; /* atomic */
static u32 autostarted, poweroffs;	/* atomic: those that haven't stopped */
static u32 worst;			/* atomic: of the statuses so far */
static u64 written, read_bytes;		/* atomic */

#define LOAD(p)	    __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define ADD(p, v)   __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define SWAP(p, v)  __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

static void check(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* ---- The rest of the kernel ---- */

void *obj_alloc(size_t bytes)
{
	return calloc(1, bytes);
}

void obj_free(void *obj)
{
	free(obj);
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

u64 time_now_ticks(void)
{
	return 0;
}

void task_init(struct task *t, const char *name,
	       enum task_result (*step)(struct task *t), u32 cpu)
{
	t->step = step;
}

/* The reaper's is the only task. */
void task_wake(struct task *t)
{
	STORE(&reaper_mail, 1);
}

void task_wake_at(struct task *t, u64 when_ticks)
{
	task_wake(t);
}

void task_charge_to(struct task *t, struct guest *payer)
{
}

/* Nobody has a pointer to a guest but by a reference. */
void sched_quiesce(struct sched_quiesce *q, struct task *waiter)
{
	ck_pr_store_32(&q->done, 1);
	task_wake(waiter);
}

bool arch_guest_quiet(struct guest *g)
{
	return random_below(4) == 0;
}

bool arch_stage2_free_step(struct guest *g)
{
	return random_below(2);
}

int gmem_destroy_step(struct gmem *m)
{
	return (int)random_below(2);
}

void console_poweroff(u32 status)
{
	check(!LOAD(&autostarted), "the machine ends, and a guest is to come");
	check(status == LOAD(&worst), "the worst status is forgotten");
	ADD(&poweroffs, 1);
}

static struct stress_guest *sg(struct guest *g)
{
	return container_of(g, struct stress_guest, g);
}

bool guest_free_step(struct guest *g)
{
	check(g->refs == 0, "is freed and referred to");
	if (!sg(g)->step++) {
		gcons_destroy(g);
		return true;
	}
	check(SWAP(&sg(g)->magic, 0) == ALIVE, "is freed twice");
	free(g);
	ADD(&freed, 1);
	return false;
}

/* ---- Guests ---- */

/* Not known to anyone yet. */
static struct guest *make(const char *name, bool autostart)
{
	struct stress_guest *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->magic = ALIVE;
	s->g.id = guest_id_next();
	s->g.refs = 1;
	s->g.cfg.name = name;
	s->g.cfg.autostart = autostart;
	s->g.life = &s->life;
	check(gcons_create(&s->g) == 0, "no memory");
	ADD(&made, 1);
	return &s->g;
}

static const char *any_name(void)
{
	static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};

	return names[random_below(NAMES)];
}

/* As guest_create's last step; of one whose name is taken, the end. */
static void create(void)
{
	struct guest *g = make(any_name(), false);

	g->state = GUEST_STOPPED;
	if (!guest_list(g)) {
		ADD(&twice, 1);
		g->state = GUEST_DYING;
		reaper_take(g);
	}
}

/* Somebody has found it. What it writes is marked as its own. */
static void use(struct guest *g)
{
	u32 record[2] = {g->id, 0};

	check(LOAD(&sg(g)->magic) == ALIVE, "is found, and freed");
	for (u32 i = random_below(8); i; i--) {
		guest_console_put(g, (const char *)record, sizeof(record));
		ADD(&written, sizeof(record));
	}
	/* As who destroys it when it was quick to stop, and who has started it
	 * isn't done yet. */
	if (ck_pr_load_32(&g->state) == GUEST_STARTING)
		guest_came(g);
	check(LOAD(&sg(g)->magic) == ALIVE, "is held, and freed");
}

/* Those that the end of the machine depends on only when all are done. */
static void destroy(struct guest *g)
{
	if ((g->cfg.autostart && LOAD(&at_work)) ||
	    !ck_pr_cas_32(&g->state, GUEST_STOPPED, GUEST_DYING))
		return;
	guest_came(g);
	reaper_take(g);
}

/* By its number; it may have gone. */
static void find_number(u32 id)
{
	struct guest *g = guest_find_id(id);

	if (!g)
		return;
	check(g->id == id, "another is found");
	guest_put(g);
}

/* Someone who looks at its console does so for longer than it is there. */
static void hold_console(struct guest *g)
{
	struct gcons *c = g->console;
	bool goes = random_below(2);

	gcons_get(c);
	if (goes)
		destroy(g);
	guest_put(g);
	for (u32 i = 0; goes && i < 50 && !gcons_orphaned(c); i++)
		sched_yield();
	ADD(&held_on, gcons_orphaned(c));
	gcons_type(c, "x", 1);
	gcons_put(c);
}

static void find(void)
{
	const char *name = any_name();
	struct guest *g = guest_find(name);
	char buf[4];

	if (!g)
		return;
	check(strcmp(g->cfg.name, name) == 0, "another is found");
	use(g);
	switch (random_below(8)) {
	case 0:
	case 1:
		destroy(g);
		break;
	case 2:
		gcons_type(g->console, "abc", 3);
		guest_console_get(g, buf, sizeof(buf));
		break;
	case 3:
		guest_console_ready(g);
		break;
	case 4:
		hold_console(g);
		return;
	}
	guest_put(g);
}

static void walk(void)
{
	u32 id = 0, n = 0;

	for (struct guest *g = NULL; (g = guest_next(g)) != NULL; n++) {
		check(g->id > id, "not in their order");
		id = g->id;
		use(g);
		if (random_below(8) == 0)
			destroy(g);
	}
	check(n <= LOAD(&made) && guest_count() <= NAMES + threads,
	      "there are more than there can be");
	if (id)
		find_number(1 + random_below(id));
}

static void step(void)
{
	switch (random_below(4)) {
	case 0:
		create();
		break;
	case 1:
		walk();
		break;
	default:
		find();
		break;
	}
}

/* What was counted is not forgotten, whoever counts less at once. */
static void status_add(struct guest *g, u32 status)
{
	u32 was = LOAD(&worst);

	while (was < status &&
	       !__atomic_compare_exchange_n(&worst, &was, status, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	guests_status_add(g, status);
	jitter();
	check(ck_pr_load_32(&worst_status) >= status, "a status is forgotten");
}

static void steps(struct guest *g, u32 *status)
{
	for (u32 i = random_below(STEPS); i; i--) {
		step();
		*status += 1 + random_below(3);
		status_add(g, *status);
	}
}

/* One that starts by itself: it comes late, starts, and stops; or it is given
 * up. */
static void autostarted_lives(struct guest *g, bool given_up)
{
	u32 status = 0;

	steps(g, &status);
	if (given_up) {
		ADD(&autostarted, -1u);
		g->state = GUEST_DYING;
		guest_came(g);
		reaper_take(g);
		return;
	}
	g->state = GUEST_STOPPED;
	guest_get(g);
	check(guest_list(g), "its name is taken");
	jitter();
	ck_pr_store_32(&g->state, GUEST_STARTING);
	guest_came(g);
	steps(g, &status);
	ADD(&autostarted, -1u);
	ck_pr_store_32(&g->state, GUEST_STOPPED);
	guests_look_done();
	guest_put(g);
}

static void *worker(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;
	char name[16];
	struct guest *g;

	dice = ADD(&seed, 1);
	snprintf(name, sizeof(name), "auto%u", self);
	g = make(name, true);
	ADD(&autostarted, 1);
	guest_coming(g);
	pthread_barrier_wait(&barrier);
	autostarted_lives(g, self && random_below(4) == 0);
	ADD(&at_work, -1u);
	while (LOAD(&at_work))
		sched_yield();
	/* Whatever is left goes. */
	for (g = NULL; (g = guest_next(g)) != NULL;)
		destroy(g);
	/* Its name is on this stack. */
	while (!guests_all_freed())
		sched_yield();
	return NULL;
}

/* ---- Tasks ---- */

static void *reaper(void *arg)
{
	dice = 100;
	for (;;) {
		bool last = LOAD(&over);

		if (SWAP(&reaper_mail, 0))
			while (task.step(&task) == TASK_MORE)
				;
		else if (last)
			return NULL;
		else
			sched_yield();
	}
}

static void reader_wake(void)
{
	STORE(&reader_mail, 1);
}

/* All that there is; the position is in shown_raw, whose it is in pace_ticks:
 * both are the reader's. */
static void console_read(struct gcons *c)
{
	u32 record[GCONS_PIECE_BYTES / 4];
	u64 lost, end;
	size_t n;

	do {
		n = gcons_peek(c, &c->shown_raw, (char *)record, sizeof(record),
			       &lost, &end);
		for (size_t i = 0; i < n / 4; i += 2) {
			if (!c->pace_ticks)
				c->pace_ticks = record[i];
			check(c->pace_ticks == record[i], "another's output");
		}
		c->shown_raw += n;
		ADD(&read_bytes, n + lost);
		gcons_shown(c, c->shown_raw);
		jitter();
	} while (!gcons_settle(c, c->shown_raw));
}

static void *reader(void *arg)
{
	struct gcons *c;

	dice = 200;
	for (;;) {
		bool last = LOAD(&over);

		if (!SWAP(&reader_mail, 0)) {
			if (last)
				return NULL;
			sched_yield();
		}
		while ((c = gcons_next_dirty()) != NULL) {
			console_read(c);
			gcons_put(c);
		}
	}
}

/* ---- Rounds ---- */

static void round_of(u32 count)
{
	pthread_t thread[THREADS_MAX], reaping, reading;

	threads = count;
	at_work = count;
	over = 0;
	autostarted = poweroffs = made = freed = worst = 0;
	written = read_bytes = 0;
	guests_init(NULL, true);
	pthread_barrier_init(&barrier, NULL, count);
	pthread_create(&reaping, NULL, reaper, NULL);
	pthread_create(&reading, NULL, reader, NULL);
	for (uintptr_t i = 0; i < count; i++)
		pthread_create(&thread[i], NULL, worker, (void *)i);
	for (u32 i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	STORE(&over, 1);
	pthread_join(reaping, NULL);
	pthread_join(reading, NULL);
	assert_true(poweroffs > 0);
	assert_int_equal(guest_count(), 0);
	assert_int_equal(freed, made);
	assert_int_equal(read_bytes, written);
	pthread_barrier_destroy(&barrier);
}

static void guests_come_and_go(void **state)
{
	u32 rounds = getenv("ROUSE_TEST_FULL") ? 400 : 8, most = 0;

	alarm(800);
	gcons_on_output(reader_wake);
	gcons_watch_new(true);
	for (u32 i = 0; i < rounds; i++) {
		for (u32 n = 1; n <= THREADS_MAX; n *= 2) {
			round_of(n);
			most += made;
		}
	}
	print_message("# %u guests, %u with a name that another had, %u "
		      "consoles kept longer\n", most, twice, held_on);
	/* It went where the danger is. */
	assert_true(twice && held_on && most > rounds * 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guests_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
