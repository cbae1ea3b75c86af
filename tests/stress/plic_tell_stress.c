/*
 * A line that is hundreds of vCPUs', by the PLIC's core: it goes up and down,
 * is claimed and completed, changes its priority, and whom one change can't
 * tell the guest's task does, while vCPUs go off and start.
 *
 * Each CPU looks after some of the vCPUs, as the hypervisor does: whose
 * interrupts were raised is evaluated, and what that says stays until they are
 * raised again. When all have come to rest each level must be as it is by the
 * registers: else somebody has not been told.
 */
/* sources: */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "tests/stress/plic_jitter.h"

#define VCPUS 160u
#define CPUS_MOST 8u
#define LINES 2u
#define CHANGES 4u /* by each of those who change something, in a round */

static const u32 number[LINES] = { 10, 11 };

static struct plic *plic;
static struct guest guest;
static struct emul_dev dev[LINES];
static struct vcpu *vcpus[VCPUS];
static bool level[VCPUS]; /* its CPU's */
static u32 cpus, rounds;
static u32 round_now;
static sem_t task_mail;

static _Atomic u32 changing; /* how many threads do */
static _Atomic u32 settled;  /* CPUs that change nothing any more */
static _Atomic bool task_ends, cpus_end;
static u64 wakes, batches;

void virq_raise(struct vcpu *v, u32 bits)
{
	__atomic_fetch_or(&v->virq, bits, __ATOMIC_SEQ_CST);
}

void guest_tell_rest(struct guest *g)
{
	(void)g;
	__atomic_fetch_add(&wakes, 1, __ATOMIC_RELAXED);
	sem_post(&task_mail);
}

static void *task_main(void *arg)
{
	bool more;

	jitter_seed = round_now + (u32)(uintptr_t)arg;
	for (;;) {
		if (sem_trywait(&task_mail)) {
			if (atomic_load(&task_ends))
				return NULL;
			sched_yield();
			continue;
		}
		do {
			more = plic_core_tell(plic);
			batches++;
		} while (more);
	}
}

/* As an entry into the guest does. */
static void enter(struct vcpu *v)
{
	if (v->state != VCPU_OFF &&
	    __atomic_exchange_n(&v->virq, 0, __ATOMIC_SEQ_CST))
		level[v->id] = plic_core_eval(plic_core_pin(plic, v));
}

/* As HSM does: all that was raised before is forgotten. */
static void off_or_on(struct vcpu *v)
{
	if (v->state == VCPU_OFF)
		__atomic_store_n(&v->virq, VIRQ_EXTERNAL, __ATOMIC_SEQ_CST);
	ck_pr_store_32(&v->state,
		       v->state == VCPU_OFF ? VCPU_QUEUED : VCPU_OFF);
	ck_pr_fence_memory();
}

static void serve(struct vcpu *v)
{
	u32 src = plic_core_claim(plic, 2 * v->id + 1);

	if (!src)
		return;
	plic_core_set(&plic->line[src == number[1]].line, false);
	plic_core_complete(plic, 2 * v->id + 1, src);
}

static void *cpu_main(void *arg)
{
	u32 cpu = (u32)(uintptr_t)arg;
	unsigned int seed = cpu + round_now * CPUS_MOST;
	bool busy = true;

	jitter_seed = seed;
	while (!atomic_load(&cpus_end)) {
		if (busy && !atomic_load(&changing)) {
			busy = false;
			atomic_fetch_add(&settled, 1);
		}
		for (u32 i = cpu; i < VCPUS; i += cpus) {
			enter(vcpus[i]);
			if (!busy)
				continue;
			if (rand_r(&seed) % 64 == 0)
				off_or_on(vcpus[i]);
			else if (level[i] && rand_r(&seed) % 64 == 0)
				serve(vcpus[i]);
		}
		sched_yield();
	}
	for (u32 i = cpu; i < VCPUS; i += cpus)
		enter(vcpus[i]);
	return NULL;
}

/* A device, and somebody who sets its line's priority. */
static void *changer_main(void *arg)
{
	u32 id = (u32)(uintptr_t)arg;
	unsigned int seed = id + round_now * 2 * LINES;

	jitter_seed = seed;
	for (u32 n = 0; n < CHANGES; n++) {
		if (id < LINES)
			plic_core_set(&plic->line[id].line,
				      rand_r(&seed) % 4 != 0);
		else
			plic_core_priority(plic, number[id - LINES],
					   (u32)rand_r(&seed) % 3);
		sched_yield();
	}
	atomic_fetch_sub(&changing, 1);
	return NULL;
}

static void assert_all_told(void)
{
	for (u32 i = 0; i < VCPUS; i++) {
		if (vcpus[i]->state == VCPU_OFF)
			continue;
		if (level[i] != plic_core_level(&plic->context[2 * i + 1]))
			fail_msg("round %u: vCPU %u was not told that its "
				 "level is %u", round_now, i, !level[i]);
	}
}

static void run_round(void)
{
	pthread_t cpu[CPUS_MOST], changer[2 * LINES], task;

	atomic_store(&changing, 2 * LINES);
	atomic_store(&settled, 0);
	atomic_store(&task_ends, false);
	atomic_store(&cpus_end, false);
	pthread_create(&task, NULL, task_main, NULL);
	for (uintptr_t i = 0; i < cpus; i++)
		pthread_create(&cpu[i], NULL, cpu_main, (void *)i);
	for (uintptr_t i = 0; i < 2 * LINES; i++)
		pthread_create(&changer[i], NULL, changer_main, (void *)i);
	for (u32 i = 0; i < 2 * LINES; i++)
		pthread_join(changer[i], NULL);
	while (atomic_load(&settled) < cpus)
		sched_yield();
	/* In this order: it tells them. */
	atomic_store(&task_ends, true);
	pthread_join(task, NULL);
	atomic_store(&cpus_end, true);
	for (u32 i = 0; i < cpus; i++)
		pthread_join(cpu[i], NULL);
	assert_all_told();
}

static void begin(void)
{
	memset(&guest, 0, sizeof(guest));
	for (u32 i = 0; i < VCPUS; i++) {
		vcpus[i] = obj_alloc(sizeof(struct vcpu));
		vcpus[i]->id = i;
		vcpus[i]->state = VCPU_QUEUED;
		level[i] = false;
	}
	for (u32 i = 0; i < LINES; i++)
		dev[i].irq = number[i];
	guest.vcpu = vcpus;
	guest.devices = dev;
	guest.device_count = LINES;
	plic = obj_alloc(sizeof(*plic));
	assert_int_equal(plic_core_init(plic, &guest, VCPUS), 0);
	plic_core_reset(plic);
	for (u32 i = 0; i < VCPUS; i++)
		plic_core_enable(plic, 2 * i + 1, 0,
				 1u << number[0] | 1u << number[1]);
	sem_init(&task_mail, 0, 0);
	wakes = batches = 0;
	rounds = getenv("ROUSE_TEST_FULL") ? 2000 : 80;
}

static void end(void)
{
	plic_core_fini(plic);
	obj_free(plic);
	for (u32 i = 0; i < VCPUS; i++)
		obj_free(vcpus[i]);
	sem_destroy(&task_mail);
}

static void run(u32 n)
{
	cpus = n;
	begin();
	for (round_now = 0; round_now < rounds; round_now++)
		run_round();
	printf("# %u CPUs: woken %lu times, %lu batches\n", cpus,
	       (unsigned long)wakes, (unsigned long)batches);
	assert_true(wakes && batches > wakes);
	end();
}

static void all_are_told_by_one_cpu(void **state)
{
	(void)state;
	run(1);
}

static void all_are_told_by_two_cpus(void **state)
{
	(void)state;
	run(2);
}

static void all_are_told_by_four_cpus(void **state)
{
	(void)state;
	run(4);
}

static void all_are_told_by_eight_cpus(void **state)
{
	(void)state;
	run(8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_told_by_one_cpu),
		cmocka_unit_test(all_are_told_by_two_cpus),
		cmocka_unit_test(all_are_told_by_four_cpus),
		cmocka_unit_test(all_are_told_by_eight_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
