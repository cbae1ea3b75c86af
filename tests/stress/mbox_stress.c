/*
 * Many producers, two owners: nothing that was posted is lost, each node is in
 * one mailbox at a time, and what was written before a post is seen after it.
 */
/* sources: kernel/percpu/cpu.c */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/panic.h"
#include "kernel/percpu/mbox.h"

#define PRODUCERS 4
#define NODES 8
#define POSTS 20000

struct object {
	struct mbox_node node;
	u32 asked[PRODUCERS]; /* atomic: written before the post */
	u32 seen[PRODUCERS];  /* the one who looks; plain on purpose */
	u32 owner;            /* atomic: which box */
	u32 looking;          /* atomic: must never be two */
	u32 looks;            /* plain: handed from look to look */
};

static struct object objects[NODES];
static struct mbox boxes[2];
static u32 producing, draining;

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

static void look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct object *o = container_of(n, struct object, node);
	u32 self = (u32)now;

	(void)c;
	if (ck_pr_load_32(&o->owner) != self) {
		mbox_post(&boxes[!self], n, bits);
		return;
	}
	if (ck_pr_fas_32(&o->looking, 1))
		abort();
	for (u32 i = 0; i < PRODUCERS; i++) {
		u32 asked = ck_pr_load_32(&o->asked[i]);

		if (!(bits >> i & 1))
			continue;
		if (asked < o->seen[i])
			abort();
		o->seen[i] = asked;
	}
	/* Now and then the object goes to the other owner. */
	o->looks++;
	ck_pr_store_32(&o->looking, 0);
	if (o->looks % 64 == 0) {
		ck_pr_store_32(&o->owner, !self);
		mbox_post(&boxes[!self], n, 0);
	}
}

static void *produce(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;

	for (u32 i = 0; i < POSTS; i++) {
		struct object *o = &objects[(i * 7 + self) % NODES];

		ck_pr_store_32(&o->asked[self], i + 1);
		mbox_post(&boxes[ck_pr_load_32(&o->owner)], &o->node,
			  1u << self);
		if (i % 32 == 0)
			sched_yield();
	}
	ck_pr_faa_32(&producing, -1u);
	return NULL;
}

static void drain(u32 self)
{
	struct mbox_node *n, *next;

	ck_pr_faa_32(&draining, 1);
	for (n = mbox_take_all(&boxes[self]); n; n = next) {
		next = mbox_next(n);
		look(NULL, n, mbox_take(n), self);
	}
	ck_pr_faa_32(&draining, -1u);
}

static bool no_node_is_out(void)
{
	for (u32 i = 0; i < NODES; i++) {
		if (ck_pr_load_32(&objects[i].node.bits))
			return false;
	}
	return true;
}

static void *own(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;

	/* Until nobody posts any more: neither a producer nor an owner. */
	while (ck_pr_load_32(&producing) || !no_node_is_out() ||
	       ck_pr_load_32(&draining) || !no_node_is_out()) {
		drain(self);
		sched_yield();
	}
	return NULL;
}

static void no_post_is_lost(void **state)
{
	pthread_t t[PRODUCERS + 2];

	(void)state;
	mbox_init(&boxes[0]);
	mbox_init(&boxes[1]);
	for (u32 i = 0; i < NODES; i++)
		mbox_node_init(&objects[i].node, look);
	producing = PRODUCERS;
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		pthread_create(&t[i], NULL, produce, (void *)i);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[PRODUCERS + i], NULL, own, (void *)i);
	for (u32 i = 0; i < PRODUCERS + 2; i++)
		pthread_join(t[i], NULL);
	for (u32 i = 0; i < NODES; i++) {
		assert_int_equal(objects[i].node.bits, 0);
		for (u32 p = 0; p < PRODUCERS; p++)
			assert_int_equal(objects[i].seen[p],
					 objects[i].asked[p]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_post_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
