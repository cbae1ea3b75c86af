/*
 * Everybody at the PLIC's core at once: devices raise and lower lines, harts
 * sleep, are kicked, claim, serve and complete, and a guest's other threads
 * change enables, priorities and thresholds under their feet.
 *
 * A lost interrupt leaves work undone for ever; one that is served twice at
 * once is seen by the hart that has it; and each time when all work is done
 * every hart must fall asleep, which a level that is stale doesn't let it.
 */
/* sources: */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/stress/plic_jitter.h"

#define HARTS 4u
#define DEVICES 3u
#define LINES 6u /* two to a device */
#define STUCK_SECONDS 15
#define PHASE_ROUNDS 50

static const u32 number[LINES] = { 1, 2, 15, 16, 33, 1023 };

static struct plic *plic;
static struct guest guest;
static struct emul_dev dev[LINES]; /* device i has line i */
static struct vcpu *vcpus[HARTS];
static sem_t doorbell[HARTS];
static _Atomic bool asleep[HARTS];

static struct {
	pthread_mutex_t lock; /* a device's own, as in emul.h */
	u32 work;             /* under it: raised for and not served */
	_Atomic u32 left;     /* the same, to be waited for */
	_Atomic u32 serving;
} line[LINES];

static _Atomic u64 served, spurious, kicks;
static _Atomic u32 devices_left;
static _Atomic bool stop;
static _Atomic(const char *) failure;
static _Atomic u32 phase;
static u32 phases;

/* Bits, then the doorbell if the hart may not see them of its own. */
void virq_raise(struct vcpu *v, u32 bits)
{
	atomic_fetch_add_explicit(&kicks, 1, memory_order_relaxed);
	if (!__atomic_fetch_or(&v->virq, bits, __ATOMIC_SEQ_CST))
		sem_post(&doorbell[v->id]);
}

static sem_t task_mail;
static pthread_t task;
static _Atomic u64 met; /* changes of enables that met another one */

/* They are too few for that, but who meets another in their enables. */
void guest_tell_rest(struct guest *g)
{
	(void)g;
	atomic_fetch_add(&met, 1);
	sem_post(&task_mail);
}

static void *task_main(void *arg)
{
	jitter_seed = 7;
	while (!sem_wait(&task_mail) && !atomic_load(&stop)) {
		while (plic_core_tell(plic))
			;
	}
	return arg;
}

static void fail_with(const char *what)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&failure, &none, what);
	atomic_store(&stop, true);
}

static void serve(u32 src)
{
	u32 i = 0;

	while (i < LINES && number[i] != src)
		i++;
	if (i == LINES) {
		fail_with("a source was claimed that no device has");
		return;
	}
	if (atomic_fetch_add(&line[i].serving, 1))
		fail_with("a source is in service twice");
	pthread_mutex_lock(&line[i].lock);
	atomic_fetch_add(&served, line[i].work);
	line[i].work = 0;
	plic_core_set(&plic->line[i].line, false);
	atomic_store(&line[i].left, 0);
	pthread_mutex_unlock(&line[i].lock);
	atomic_fetch_sub(&line[i].serving, 1);
	jitter();
	/* Hart 0's M-mode context enables everything, always. */
	plic_core_complete(plic, 0, src);
}

/* A vCPU on a CPU of its own: entry, interrupt, claim, WFI. */
static void *hart_main(void *arg)
{
	struct vcpu *v = arg;
	bool level = false;

	jitter_seed = 1000 + v->id;
	while (!atomic_load(&stop)) {
		u32 src;

		if (__atomic_exchange_n(&v->virq, 0, __ATOMIC_SEQ_CST))
			level = plic_core_eval(plic_core_pin(plic, v));
		if (!level) {
			atomic_store(&asleep[v->id], true);
			sem_wait(&doorbell[v->id]);
			atomic_store(&asleep[v->id], false);
			continue;
		}
		src = plic_core_claim(plic, 2 * v->id + 1);
		if (src) {
			serve(src);
			continue;
		}
		atomic_fetch_add(&spurious, 1);
		sched_yield();
	}
	return NULL;
}

static void *device_main(void *arg)
{
	u32 id = (u32)(uintptr_t)arg;
	unsigned int seed = id + atomic_load(&phase);

	jitter_seed = seed;
	for (u32 n = 0; n < PHASE_ROUNDS && !atomic_load(&stop); n++) {
		u32 i = 2 * id + (u32)rand_r(&seed) % 2;

		pthread_mutex_lock(&line[i].lock);
		line[i].work++;
		atomic_store(&line[i].left, 1);
		plic_core_set(&plic->line[i].line, true);
		pthread_mutex_unlock(&line[i].lock);
		/* Mostly wait, so that harts fall asleep in between. */
		while (rand_r(&seed) % 4 && atomic_load(&line[i].left) &&
		       !atomic_load(&stop))
			sched_yield();
	}
	for (u32 i = 2 * id; i < 2 * id + 2; i++) {
		while (atomic_load(&line[i].left) && !atomic_load(&stop))
			sched_yield();
	}
	atomic_fetch_sub(&devices_left, 1);
	return NULL;
}

static void open_all(void)
{
	for (u32 i = 0; i < LINES; i++)
		plic_core_priority(plic, number[i], 1 + i % 7);
	for (u32 ctx = 0; ctx < 2 * HARTS; ctx++) {
		if (ctx && ctx % 2 == 0)
			continue;
		plic_core_threshold(plic, ctx, 0);
		plic_core_enable(plic, ctx, 0, 1u << 1 | 1u << 2 | 1u << 15 |
						       1u << 16);
		plic_core_enable(plic, ctx, 1, 1u << 1);
		plic_core_enable(plic, ctx, 31, 1u << 31);
	}
}

/* Changes S-mode registers at random, and now and then opens them all. */
static void *config_main(void *arg)
{
	unsigned int seed = (u32)(uintptr_t)arg + atomic_load(&phase);

	jitter_seed = seed;
	while (atomic_load(&devices_left) && !atomic_load(&stop)) {
		u32 ctx = 2 * ((u32)rand_r(&seed) % HARTS) + 1;
		u32 i = (u32)rand_r(&seed) % LINES;

		switch (rand_r(&seed) % 16) {
		case 0:
			open_all();
			sched_yield();
			break;
		case 1 ... 4:
			plic_core_priority(plic, number[i],
					   (u32)rand_r(&seed) % 8);
			break;
		case 5 ... 8:
			plic_core_threshold(plic, ctx, (u32)rand_r(&seed) % 8);
			break;
		default:
			plic_core_enable(plic, ctx, number[i] / 32,
					 (u32)rand_r(&seed) << 1);
		}
	}
	open_all();
	return NULL;
}

static bool all_asleep(void)
{
	for (u32 i = 0; i < HARTS; i++) {
		int rings;

		sem_getvalue(&doorbell[i], &rings);
		if (!atomic_load(&asleep[i]) || rings ||
		    __atomic_load_n(&vcpus[i]->virq, __ATOMIC_SEQ_CST))
			return false;
	}
	return true;
}

static bool devices_done(void)
{
	return !atomic_load(&devices_left);
}

/* Waits for that as long as there is progress. */
static void await(bool (*done)(void), const char *otherwise)
{
	time_t since = time(NULL);
	u64 last = 0;

	while (!done() && !atomic_load(&stop)) {
		u64 now = atomic_load(&served);

		if (now != last)
			since = time(NULL);
		last = now;
		if (time(NULL) - since > STUCK_SECONDS)
			fail_with(otherwise);
		usleep(100);
	}
}

/* Devices work, registers change, then all is done and harts fall asleep. */
static void run_phase(u32 configs)
{
	pthread_t thread[DEVICES + 4];
	u32 threads = 0;

	atomic_store(&devices_left, DEVICES);
	for (uintptr_t i = 0; i < configs; i++)
		pthread_create(&thread[threads++], NULL, config_main,
			       (void *)(i + 100));
	for (uintptr_t i = 0; i < DEVICES; i++)
		pthread_create(&thread[threads++], NULL, device_main,
			       (void *)i);
	await(devices_done, "an interrupt was lost");
	for (u32 i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	await(all_asleep, "a hart has a level and nothing to claim");
}

static void run(u32 configs)
{
	pthread_t hart[HARTS];

	for (u32 i = 0; i < HARTS; i++)
		pthread_create(&hart[i], NULL, hart_main, vcpus[i]);
	open_all();
	for (u32 n = 0; n < phases && !atomic_load(&stop); n++) {
		atomic_store(&phase, n * 10);
		run_phase(configs);
	}
	atomic_store(&stop, true);
	for (u32 i = 0; i < HARTS; i++) {
		sem_post(&doorbell[i]);
		pthread_join(hart[i], NULL);
	}
	printf("# %llu served, %llu kicks, %llu claims of nothing\n",
	       (unsigned long long)served, (unsigned long long)kicks,
	       (unsigned long long)spurious);
	if (atomic_load(&failure))
		fail_msg("%s", atomic_load(&failure));
	assert_int_equal(served, (u64)DEVICES * PHASE_ROUNDS * phases);
}

static int start(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	for (u32 i = 0; i < HARTS; i++) {
		vcpus[i] = obj_alloc(sizeof(struct vcpu));
		vcpus[i]->id = i;
		vcpus[i]->state = VCPU_QUEUED;
		sem_init(&doorbell[i], 0, 0);
		atomic_store(&asleep[i], false);
	}
	for (u32 i = 0; i < LINES; i++) {
		dev[i].irq = number[i];
		pthread_mutex_init(&line[i].lock, NULL);
		line[i].work = 0;
		atomic_store(&line[i].left, 0);
		atomic_store(&line[i].serving, 0);
	}
	guest.vcpu = vcpus;
	guest.devices = dev;
	guest.device_count = LINES;
	plic = obj_alloc(sizeof(*plic));
	assert_int_equal(plic_core_init(plic, &guest, HARTS), 0);
	plic_core_reset(plic);
	atomic_store(&failure, NULL);
	atomic_store(&kicks, 0);
	atomic_store(&spurious, 0);
	atomic_store(&served, 0);
	atomic_store(&stop, false);
	sem_init(&task_mail, 0, 0);
	atomic_store(&met, 0);
	pthread_create(&task, NULL, task_main, NULL);
	phases = getenv("ROUSE_TEST_FULL") ? 1000 : 150;
	return 0;
}

static int end(void **state)
{
	(void)state;
	atomic_store(&stop, true);
	sem_post(&task_mail);
	pthread_join(task, NULL);
	plic_core_fini(plic);
	obj_free(plic);
	for (u32 i = 0; i < HARTS; i++) {
		obj_free(vcpus[i]);
		sem_destroy(&doorbell[i]);
	}
	return 0;
}

static void no_interrupt_is_lost_or_served_twice(void **state)
{
	(void)state;
	run(0);
}

static void nor_while_registers_change(void **state)
{
	(void)state;
	run(1);
}

static void nor_while_two_change_the_same_registers(void **state)
{
	(void)state;
	run(2);
}

#define WRITERS 3u
#define WRITER_ROUNDS 2000u

static pthread_barrier_t round_end;

/* `writer` in threads, each with a number of its own as argument, from 1 on. */
static void writers_run(void *(*writer)(void *arg))
{
	pthread_t thread[WRITERS];

	pthread_barrier_init(&round_end, NULL, WRITERS);
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&thread[i], NULL, writer, (void *)(i + 1));
	for (u32 i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&round_end);
}

/* `above` is what evaluations look at, the priority what they should. */
static void above_check(u32 src)
{
	for (u32 t = 0; t < PLIC_PRIORITIES; t++) {
		bool above = plic->above[src / 32][t] >> src % 32 & 1;

		if (above != (plic->source[src].priority > t))
			fail_with("evaluations go by another priority");
	}
}

static void *writer_main(void *arg)
{
	unsigned int seed = (u32)(uintptr_t)arg;

	jitter_seed = seed;
	for (u32 n = 0; n < WRITER_ROUNDS; n++) {
		plic_core_priority(plic, number[1], (u32)rand_r(&seed) % 8);
		/* Of the same word of `above`, and nobody else's. */
		plic_core_priority(plic, number[0], n % 8);
		pthread_barrier_wait(&round_end);
		above_check(number[1]);
		pthread_barrier_wait(&round_end);
	}
	return NULL;
}

static void a_priority_that_several_write_is_one_of_theirs(void **state)
{
	(void)state;
	writers_run(writer_main);
	above_check(number[0]);
	above_check(number[1]);
	if (atomic_load(&failure))
		fail_msg("%s", atomic_load(&failure));
}

/* What is kept turned round is what enables say, of all that were written. */
static void targets_check(u32 src)
{
	const struct plic_source *s = &plic->source[src];
	u64 set = 0;

	for (u32 id = 0; id < HARTS; id++) {
		u32 word = plic->context[2 * id + 1].enable[src / 32];

		set |= (u64)(word >> src % 32 & 1) << id;
	}
	if (plic->targets[src * plic->target_words] != set)
		fail_with("a set is of other enables");
	if (s->target && set != 1ull << s->target->vcpu->id)
		fail_with("a target is not the only one");
}

static void *enabler_main(void *arg)
{
	unsigned int seed = (u32)(uintptr_t)arg;

	jitter_seed = seed;
	for (u32 n = 0; n < WRITER_ROUNDS; n++) {
		/* Few have any, or there'd hardly be one target. */
		for (u32 i = 0; i < 3; i++)
			plic_core_enable(plic,
					 2 * ((u32)rand_r(&seed) % 2) + 1, 0,
					 (u32)rand_r(&seed) % 4 << 1);
		pthread_barrier_wait(&round_end);
		targets_check(number[0]);
		targets_check(number[1]);
		pthread_barrier_wait(&round_end);
	}
	return NULL;
}

static void enables_that_several_write_are_turned_round(void **state)
{
	(void)state;
	writers_run(enabler_main);
	if (atomic_load(&failure))
		fail_msg("%s", atomic_load(&failure));
	/* They did meet. */
	assert_true(atomic_load(&met));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_interrupt_is_lost_or_served_twice),
		T(nor_while_registers_change),
		T(nor_while_two_change_the_same_registers),
		T(a_priority_that_several_write_is_one_of_theirs),
		T(enables_that_several_write_are_turned_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
