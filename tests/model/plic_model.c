/*
 * What the guest's task is to tell, in every order that there is, by the source
 * of the virtual PLIC. docs/locking.md argues what is tried here.
 *
 * A source's request comes, is claimed, and comes again, and each time everyone
 * is to be told by the task (emul/plic_tell.c): as for a guest of hundreds, but
 * here they are two vCPUs, one of which may be about to start. The guest itself
 * may be about to become RUNNING. A vCPU looks at its interrupts when they are
 * raised, and keeps what it found. When nobody can go on each vCPU that is on
 * has the level that the registers say.
 */
/* sources: emul/plic_core.c emul/plic_setup.c emul/plic_tell.c
 *	tests/model/explore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "emul/plic_core.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/virq.h"
#include "tests/model/holds.h"

#define VCPUS 2u
#define SOURCE 1u
#define PENDING (1ull << SOURCE << PLIC_PENDING_SHIFT)

struct model_vcpu {
	struct vcpu v;
	u32 kicked; /* it has been raised for, or is to look by itself */
	bool level; /* as it found it */
};

_Thread_local struct cpu *fake_this_cpu;
static struct guest *guest;
static struct plic *plic;
static struct emul_dev dev;
static struct vcpu **vcpus;
static u32 *mail; /* the task's */

/* ---- The rest of the kernel ---- */

void *obj_alloc(size_t bytes)
{
	return explore_alloc(bytes);
}

void obj_free(void *obj)
{
}

static struct model_vcpu *mv(struct vcpu *v)
{
	return container_of(v, struct model_vcpu, v);
}

/* What comes of it is tests/model/life_model.c's: it enters, and looks. */
void virq_raise(struct vcpu *v, u32 bits)
{
	ck_pr_fas_32(&mv(v)->kicked, 1);
}

/* As kernel/guest_life.c has it. */
void guest_tell_rest(struct guest *g)
{
	ck_pr_fence_memory();
	if (ck_pr_load_32(&g->state) == GUEST_RUNNING)
		ck_pr_fas_32(mail, 1);
}

/* ---- The threads ---- */

static bool is_set(const void *arg)
{
	return *(const u32 *)arg != 0;
}

/* As boot_go and tell_rest. */
static void task(void *arg)
{
	if (ck_pr_load_32(&guest->state) != GUEST_RUNNING)
		ck_pr_store_32(&guest->state, GUEST_RUNNING);
	for (;;) {
		ck_pr_fence_memory();
		while (plic_core_tell(plic))
			;
		explore_rest();
		explore_wait(is_set, mail);
		ck_pr_fas_32(mail, 0);
	}
}

static void enter(void *arg)
{
	struct model_vcpu *m = arg;

	for (;;) {
		explore_rest();
		explore_wait(is_set, &m->kicked);
		ck_pr_fas_32(&m->kicked, 0);
		m->level = plic_core_eval(plic_core_pin(plic, &m->v));
	}
}

/* A hart's start: it looks by itself, whatever was raised before. */
static void start(void *arg)
{
	struct model_vcpu *m = arg;

	ck_pr_store_32(&m->kicked, 1);
	ck_pr_store_32(&m->v.state, VCPU_QUEUED);
	enter(arg);
}

/* A change of the source, and (C), as in notify. */
static void change(bool pending)
{
	if (pending)
		ck_pr_or_64(&plic->group[0], PENDING);
	else
		ck_pr_and_64(&plic->group[0], ~PENDING);
	ck_pr_fence_memory();
	plic_core_tell_rest(plic);
}

static void raiser(void *arg)
{
	change(true);
}

static void raise_claim(void *arg)
{
	change(true);
	change(false);
}

static void claim_raise(void *arg)
{
	change(false);
	change(true);
}

static u32 ids[VCPUS] = { 0, 1 };

/* The line itself goes up. */
static void line_raiser(void *arg)
{
	plic_core_set(plic_core_line(plic, &dev), true);
}

static void enabler(void *arg)
{
	plic_core_enable(plic, 2 * *(const u32 *)arg + 1, 0, 1u << SOURCE);
}

static void enabler_twice(void *arg)
{
	enabler(arg);
	enabler(arg);
}

static void disabler(void *arg)
{
	plic_core_enable(plic, 2 * *(const u32 *)arg + 1, 0, 0);
}

/* ---- Worlds ---- */

static struct model_vcpu *vcpu_make(u32 id)
{
	struct model_vcpu *m = explore_alloc(sizeof(*m));

	m->v.id = id;
	m->v.state = VCPU_QUEUED;
	vcpus[id] = &m->v;
	explore_watch(&m->kicked, sizeof(m->kicked), "kicked");
	explore_watch(&m->v.state, sizeof(m->v.state), "state");
	return m;
}

static void world_make(void)
{
	guest = explore_alloc(sizeof(*guest));
	vcpus = explore_alloc(VCPUS * sizeof(*vcpus));
	mail = explore_alloc(sizeof(*mail));
	plic = explore_alloc(sizeof(*plic));
	for (u32 i = 0; i < VCPUS; i++)
		vcpu_make(i);
	dev.irq = SOURCE;
	guest->vcpu = vcpus;
	guest->devices = &dev;
	guest->device_count = 1;
	guest->state = GUEST_RUNNING;
	if (plic_core_init(plic, guest, VCPUS))
		abort();
	plic_core_priority(plic, SOURCE, 1);
	for (u32 i = 0; i < VCPUS; i++) {
		struct plic_context *c = &plic->context[2 * i + 1];

		plic_core_enable(plic, 2 * i + 1, 0, 1u << SOURCE);
		explore_watch(&c->eip, sizeof(c->eip), "eip");
	}
	explore_watch(&plic->untold, sizeof(plic->untold), "untold");
	explore_watch(&plic->group[0], sizeof(u64), "pending");
	explore_watch(&guest->state, sizeof(guest->state), "the guest's state");
	explore_watch(mail, sizeof(*mail), "the task's mail");
	explore_thread("task", NULL, task, NULL);
	explore_thread("vcpu0", NULL, enter, mv(vcpus[0]));
}

static void claimed_and_raised(void)
{
	world_make();
	plic->group[0] = PENDING;
	mv(vcpus[0])->level = mv(vcpus[1])->level = true;
	plic->context[1].eip = plic->context[3].eip = PLIC_EIP_HIGH;
	explore_thread("vcpu1", NULL, enter, mv(vcpus[1]));
	explore_thread("changer", NULL, claim_raise, NULL);
}

static void two_change(void)
{
	world_make();
	vcpus[1]->state = VCPU_OFF;
	explore_thread("changer", NULL, raise_claim, NULL);
	explore_thread("raiser", NULL, raiser, NULL);
}

static void one_starts(void)
{
	world_make();
	vcpus[1]->state = VCPU_OFF;
	explore_thread("vcpu1", NULL, start, mv(vcpus[1]));
	explore_thread("changer", NULL, raiser, NULL);
}

static void the_guest_starts(void)
{
	world_make();
	guest->state = GUEST_STARTING;
	vcpus[1]->state = VCPU_OFF;
	explore_thread("changer", NULL, raise_claim, NULL);
	explore_thread("raiser", NULL, raiser, NULL);
}

/* Who has enabled what is seen at once by others. vCPU 1 has enabled nothing at
 * first, and vCPU 0 what `has` says. */
static void enables_make(bool has)
{
	world_make();
	if (!has)
		disabler(&ids[0]);
	disabler(&ids[1]);
	for (u32 i = 0; i < VCPUS; i++)
		explore_watch(&plic->context[2 * i + 1].enable[0], sizeof(u32),
			      "enable");
	explore_watch(&plic->targets[SOURCE], sizeof(u64), "targets");
	explore_watch(&plic->source[SOURCE].target, sizeof(void *), "target");
	explore_thread("vcpu1", NULL, enter, mv(vcpus[1]));
	explore_thread("raiser", NULL, line_raiser, NULL);
}

static void two_enable(void)
{
	enables_make(false);
	explore_thread("one", NULL, enabler, &ids[0]);
	explore_thread("other", NULL, enabler, &ids[1]);
}

static void one_enables_as_one_disables(void)
{
	enables_make(true);
	explore_thread("one", NULL, disabler, &ids[0]);
	explore_thread("other", NULL, enabler, &ids[1]);
}

static void two_write_the_same(void)
{
	enables_make(false);
	/* The last bit may be turned by who has written the other value. */
	explore_thread("one", NULL, enabler_twice, &ids[0]);
	explore_thread("other", NULL, disabler, &ids[0]);
}

static void all_are_told(void)
{
	for (u32 i = 0; i < VCPUS; i++)
		explore_check(vcpus[i]->state == VCPU_OFF ||
			      mv(vcpus[i])->level ==
				      plic_core_level(
					      &plic->context[2 * i + 1]));
}

/* ---- The tests ---- */

#define HOLDS(test, begin, quick, full) \
	MODEL_HOLDS(test, begin, all_are_told, quick, full)

HOLDS(who_is_told_twice_has_the_last_level, claimed_and_raised, 0, 0)
HOLDS(what_two_have_to_tell_is_told, two_change, 3, 0)
HOLDS(who_starts_is_told_or_looks, one_starts, 0, 0)
HOLDS(what_came_before_the_guest_ran_is_told, the_guest_starts, 3, 0)
HOLDS(two_may_enable_at_once, two_enable, 2, 3)
HOLDS(one_may_enable_as_another_disables, one_enables_as_one_disables, 2, 3)
HOLDS(two_may_write_the_same_enables, two_write_the_same, 2, 3)

#define FINDS(test, begin, thread) \
	MODEL_FINDS(test, begin, all_are_told, 4, EXPLORE_NO_FULL_FENCE, thread)

FINDS(a_task_without_its_fence_is_found, the_guest_starts, "task")
FINDS(a_changer_without_its_fence_is_found, one_starts, "changer")
FINDS(a_start_without_its_fence_is_found, one_starts, "vcpu1")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_told_twice_has_the_last_level),
		cmocka_unit_test(what_two_have_to_tell_is_told),
		cmocka_unit_test(who_starts_is_told_or_looks),
		cmocka_unit_test(what_came_before_the_guest_ran_is_told),
		cmocka_unit_test(two_may_enable_at_once),
		cmocka_unit_test(one_may_enable_as_another_disables),
		cmocka_unit_test(two_may_write_the_same_enables),
		cmocka_unit_test(a_task_without_its_fence_is_found),
		cmocka_unit_test(a_changer_without_its_fence_is_found),
		cmocka_unit_test(a_start_without_its_fence_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
