/*
 * Harts that start, stop and suspend each other at once, with threads for CPUs:
 * nobody touches a hart's registers while another does, each start that was
 * promised is one life with what was asked for it, no interrupt is lost that
 * was sent to a hart about to start, and of all that stop exactly one is the
 * last. Each thread loses its CPU between any two looks at shared words.
 */
/* sources: tests/stress/harts.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "kernel/sched/sched.h"
#include "kernel/virq.h"
#include "tests/stress/harts.h"

#define VCPUS 4
#define LIVES 300     /* of the guest: quiet after each */
#define STARTS_MAX 60 /* in one of these */
#define STEPS_MAX 20
#define COUNTS 16384 /* of starts of one hart, in all */
#define RAM_BASE 0x80000000UL
#define RAM_BYTES 0x10000000UL

enum told { TOLD = 1, SEEN = 2, FAILED = 4 };

struct cpu_thread {
	struct riscv_vcpu v;
	u64 rng;
	u32 user; /* who has the registers, + 1; 0: nobody */
	u32 mail; /* a start; atomic */
	u8 soft[COUNTS]; /* of each start; atomic */
} __attribute__((aligned(64)));

static struct cpu_thread cpus[VCPUS];
static struct vcpu *table[VCPUS];
static struct arch_guest arch;
static struct guest guest = {.cfg = {.vcpus = VCPUS,
				     .ram_base = {RAM_BASE},
				     .memory_bytes = RAM_BYTES},
			     .vcpu = table,
			     .arch = &arch};
static __thread struct cpu_thread *here;
static pthread_barrier_t barrier;
static u32 ended, starts_left, lives;
static u64 ticket = 1, asked, begun; /* the tickets' sums */

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, val) __atomic_store_n(p, val, __ATOMIC_SEQ_CST)
#define SWAP(p, val) __atomic_exchange_n(p, val, __ATOMIC_SEQ_CST)

static u32 rnd(u32 below)
{
	return hart_random(&here->rng, below);
}

static void jitter(u32 one_in)
{
	u32 r = rnd(one_in);

	if (r == 0)
		usleep(rnd(200));
	else if (r < 4)
		sched_yield();
}

static void wrong(const char *what, const struct riscv_vcpu *v)
{
	fprintf(stderr, "hart %u: %s\n", v->v.id, what);
	exit(1);
}

static void check(bool so, const char *what, const struct riscv_vcpu *v)
{
	if (!so)
		wrong(what, v);
}

static u32 jitter_load_32(const u32 *at)
{
	jitter(64);
	return ck_pr_load_32(at);
}

static void jitter_store_32(u32 *at, u32 val)
{
	jitter(32);
	ck_pr_store_32(at, val);
}

/* Long after the load that it is to find unchanged. */
static bool jitter_cas_32(u32 *at, u32 old, u32 val)
{
	jitter(6);
	return ck_pr_cas_32(at, old, val);
}

#define ck_pr_load_32 jitter_load_32
#define ck_pr_store_32 jitter_store_32
#define ck_pr_cas_32 jitter_cas_32
#include "arch/riscv/vsbi_hsm.c"
#undef ck_pr_load_32
#undef ck_pr_store_32
#undef ck_pr_cas_32

/* ---- What HSM stands on ---- */

static struct cpu_thread *thread_of(struct riscv_vcpu *v)
{
	return container_of(v, struct cpu_thread, v);
}

static void registers_take(struct riscv_vcpu *v)
{
	check(SWAP(&thread_of(v)->user, here->v.v.id + 1) == 0,
	      "two have its registers", v);
}

static void registers_give(struct riscv_vcpu *v)
{
	check(SWAP(&thread_of(v)->user, 0) == here->v.v.id + 1,
	      "another has its registers", v);
}

/* Interrupts of the life before are forgotten. */
void arch_vcpu_reset(struct vcpu *vcpu, u64 pc, u64 arg)
{
	struct riscv_vcpu *v = to_riscv(vcpu);

	registers_take(v);
	check(LOAD(&vcpu->state) == VCPU_OFF, "is reset while it runs", v);
	v->pc = pc;
	jitter(4);
	v->x[REG_A0] = vcpu->id;
	v->x[REG_A1] = arg;
	v->vs.vsatp = 0;
	STORE(&vcpu->virq, 0);
	registers_give(v);
}

/* Now and then the policy has no room. */
int sched_vcpu_start(struct vcpu *vcpu)
{
	struct riscv_vcpu *v = to_riscv(vcpu);
	u32 count = LOAD(&v->hsm_state) >> VHSM_ASKED_BITS;

	jitter(8);
	if (rnd(8) == 0) {
		__atomic_fetch_or(&thread_of(v)->soft[count], FAILED,
				  __ATOMIC_SEQ_CST);
		return -EBUSY;
	}
	check(!SWAP(&thread_of(v)->mail, 1), "is started twice", v);
	return 0;
}

void guest_end(struct guest *g, enum guest_event why, u32 code)
{
	check(why == EVENT_POWEROFF && code == 1, "ends otherwise", &here->v);
	check(!SWAP(&ended, 1), "is the last, as another was", &here->v);
}

bool vsse_stop(struct riscv_vcpu *v)
{
	return rnd(8) != 0;
}

void vsse_guest_reset(struct guest *g)
{
}

bool vtimer_expire(struct riscv_vcpu *v)
{
	return false;
}

bool vfence_run_begin(struct riscv_vcpu *v)
{
	return true;
}

void vhw_vs_restart(void)
{
}

/* ---- The guest's harts ---- */

static enum exit_next call(u64 fid, u64 a0, u64 a1, u64 a2)
{
	struct riscv_vcpu *v = &here->v;

	v->x[REG_A0] = a0;
	v->x[REG_A1] = a1;
	v->x[REG_A2] = a2;
	return vsbi_hsm.call(v, fid);
}

static u64 pc_for(u64 arg)
{
	return RAM_BASE + arg % (RAM_BYTES / 2) * 2;
}

static void other_start(void)
{
	u64 arg = __atomic_fetch_add(&ticket, 1, __ATOMIC_SEQ_CST);

	/* So each life of the guest ends. */
	if ((s32)LOAD(&starts_left) <= 0)
		return;
	call(VSBI_HSM_START, rnd(VCPUS), pc_for(arg), arg);
	switch ((s64)here->v.x[REG_A0]) {
	case VSBI_OK:
		__atomic_fetch_add(&asked, arg, __ATOMIC_SEQ_CST);
		__atomic_fetch_sub(&starts_left, 1, __ATOMIC_SEQ_CST);
		break;
	case VSBI_ALREADY_AVAILABLE:
	case VSBI_FAILED:
		break;
	default:
		wrong("is answered otherwise", &here->v);
	}
}

/* From START_PENDING on, what is sent is of the life that begins. */
static void other_tell(void)
{
	struct cpu_thread *t = &cpus[rnd(VCPUS)];
	u32 word = LOAD(&t->v.hsm_state);

	if (vsbi_hsm_status(&t->v) != VHSM_START_PENDING)
		return;
	virq_raise(&t->v.v, VIRQ_SOFT);
	if (LOAD(&t->v.hsm_state) == word)
		__atomic_fetch_or(&t->soft[word >> VHSM_ASKED_BITS], TOLD,
				  __ATOMIC_SEQ_CST);
}

static void other_look(void)
{
	struct riscv_vcpu *t = &cpus[rnd(VCPUS)].v;

	call(VSBI_HSM_STATUS, t->v.id, 0, 0);
	check(here->v.x[REG_A0] == VSBI_OK &&
	      here->v.x[REG_A1] <= VHSM_RESUME_PENDING, "has no such state", t);
	check(t != &here->v || here->v.x[REG_A1] == VHSM_STARTED,
	      "runs and is not STARTED", t);
}

static void state_is(u32 state)
{
	jitter(8);
	STORE(&here->v.v.state, state);
}

/* The registers are the hart's; it looks at its interrupts. */
static void run_begin(void)
{
	struct riscv_vcpu *v = &here->v;
	u32 count;

	state_is(VCPU_QUEUED);
	registers_take(v);
	state_is(VCPU_RUNNING);
	check(vsbi_run_begin(v), "must not run", v);
	check(vsbi_hsm_status(v) == VHSM_STARTED, "is not STARTED", v);
	check(LOAD(&arch.harts_on), "runs and isn't counted", v);
	count = LOAD(&v->hsm_state) >> VHSM_ASKED_BITS;
	check(count < COUNTS, "starts too often for this test", v);
	if (SWAP(&v->v.virq, 0) & VIRQ_SOFT)
		__atomic_fetch_or(&here->soft[count], SEEN, __ATOMIC_SEQ_CST);
}

static void suspend(void)
{
	u64 arg = rnd(1000);
	bool anew = rnd(2);

	check(call(VSBI_HSM_SUSPEND, anew ? VHSM_SUSPEND_NON_RETENTIVE :
					    VHSM_SUSPEND_RETENTIVE,
		   pc_for(arg), arg) == NEXT_BLOCK, "isn't suspended",
	      &here->v);
	state_is(VCPU_BLOCKING);
	registers_give(&here->v);
	state_is(VCPU_BLOCKED);
	state_is(VCPU_WAKING);
	run_begin();
	if (!anew)
		return;
	check(here->v.pc == pc_for(arg) && here->v.x[REG_A1] == arg &&
	      here->v.x[REG_A0] == here->v.v.id, "resumes elsewhere",
	      &here->v);
}

static void stop(void)
{
	enum exit_next next;

	do
		next = call(VSBI_HSM_STOP, 0, 0, 0);
	while (next == NEXT_LOOK);
	check(next == NEXT_OFF || next == NEXT_DEAD, "goes on", &here->v);
	jitter(2);
	registers_give(&here->v);
	state_is(VCPU_OFF);
}

static void live(void)
{
	u64 arg;

	STORE(&here->mail, 0);
	run_begin();
	arg = here->v.x[REG_A1];
	check(here->v.pc == pc_for(arg), "begins elsewhere", &here->v);
	__atomic_fetch_add(&begun, arg, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&lives, 1, __ATOMIC_SEQ_CST);
	for (u32 i = rnd(STEPS_MAX); i; i--) {
		u32 what = rnd(8);

		if (what < 4)
			other_start();
		else if (what < 6)
			other_tell();
		else if (what < 7)
			other_look();
		else
			suspend();
	}
	stop();
}

/* ---- Lives of the guest ---- */

static void guest_begins(void)
{
	if (here != cpus)
		return;
	ended = 0;
	starts_left = 1 + rnd(STARTS_MAX);
	for (u32 i = 0; i < VCPUS; i++)
		vsbi_hart_clear(&cpus[i].v);
	vsbi_guest_reset(&guest);
	arch_vcpu_reset(&cpus[0].v.v, pc_for(0), 0);
	cpus[0].mail = 1;
}

static void guest_is_over(void)
{
	struct riscv_vcpu *v = &here->v;

	check(vsbi_hsm_status(v) == VHSM_STOPPED, "isn't STOPPED", v);
	check(asked == begun, "has not begun as it was told", v);
	check(!arch.harts_on && !here->user, "is left", v);
	for (u32 i = 0; i < COUNTS; i++)
		check(here->soft[i] != TOLD, "has lost an interrupt", v);
}

static void *cpu_main(void *arg)
{
	here = container_of(arg, struct cpu_thread, v);
	here->rng = hart_seed(&here->v);
	for (u32 i = 0; i < LIVES; i++) {
		pthread_barrier_wait(&barrier);
		guest_begins();
		pthread_barrier_wait(&barrier);
		while (!LOAD(&ended)) {
			if (LOAD(&here->mail))
				live();
			else
				sched_yield();
		}
		pthread_barrier_wait(&barrier);
		guest_is_over();
	}
	return NULL;
}

static void harts_start_and_stop_each_other(void **state)
{
	pthread_barrier_init(&barrier, NULL, VCPUS);
	harts_run(&guest, &cpus[0].v, sizeof(cpus[0]), cpu_main);
	print_message("%u lives of harts in %u of the guest\n", lives, LIVES);
	assert_true(lives > LIVES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harts_start_and_stop_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
