/*
 * The queue by virtual time: against a list that is searched, and what a guest
 * with 2,000 vCPUs over its cap costs each pick, in operations on heaps.
 */
/* sources: SCHED_CORE kernel/sched/credit.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The heap itself, with its operations on two nodes and more counted. */
#define heap_push_more	 heap_push_uncounted
#define heap_remove_more heap_remove_uncounted
#include "kernel/heap.c"
#undef heap_push_more
#undef heap_remove_more

#include "kernel/sched/vqueue.h"
#include "tests/unit/fake_arch/fake_arch.h"

void heap_push_more(struct heap *h, struct heap_node *n);
void heap_remove_more(struct heap *h, struct heap_node *n);

static u64 heap_ops;

void heap_push_more(struct heap *h, struct heap_node *n)
{
	heap_ops++;
	heap_push_uncounted(h, n);
}

void heap_remove_more(struct heap *h, struct heap_node *n)
{
	heap_ops++;
	heap_remove_uncounted(h, n);
}

/* ---- Against a list ---- */

#define UNITS  60
#define GROUPS 4

static struct vqueue queue;
static struct vqueue_group groups[GROUPS];
static struct {
	struct vqueue_unit u;
	u64 key;
	bool in;
	int group; /* -1: none */
} model[UNITS];
static struct {
	bool parked, floored;
	u64 until, floor;
} group_model[GROUPS];

static u32 rnd(u32 *seed, u32 n)
{
	return fake_random(seed) % n;
}

static u64 model_key(int i)
{
	int g = model[i].group;

	if (g >= 0 && group_model[g].floored &&
	    model[i].key < group_model[g].floor)
		return group_model[g].floor;
	return model[i].key;
}

static u32 members(int g)
{
	u32 n = 0;

	for (int i = 0; i < UNITS; i++)
		n += model[i].in && model[i].group == g;
	return n;
}

static bool ready(int i)
{
	return model[i].in &&
	       (model[i].group < 0 || !group_model[model[i].group].parked);
}

static void expect_same(u32 seed, u32 step)
{
	struct vqueue_unit *first = vqueue_first(&queue), *u = NULL;
	u64 least = TIME_NEVER;
	u32 n = 0, walked = 0;

	for (int i = 0; i < UNITS; i++) {
		if (!ready(i))
			continue;
		n++;
		least = MIN(least, model_key(i));
	}
	while ((u = vqueue_walk(&queue, u)))
		walked++;
	if ((first ? vqueue_key(first) : TIME_NEVER) != least || walked != n)
		fail_msg("seed %u, step %u: first has key %llu, expected %llu; "
			 "%u units walked, expected %u",
			 seed, step,
			 first ? (unsigned long long)vqueue_key(first) : 0,
			 (unsigned long long)least, walked, n);
}

static void model_push(int i, u32 *seed)
{
	int g = (int)rnd(seed, GROUPS + 2) - 2;
	u32 expected = 0;

	g = MAX(g, -1);
	if (g >= 0 && group_model[g].parked) {
		expected = members(g);
		group_model[g].parked = false;
	}
	model[i].key = 1000000 + rnd(seed, 1000);
	model[i].group = g;
	model[i].in = true;
	assert_int_equal(vqueue_push(&queue, &model[i].u, model[i].key,
				     g < 0 ? NULL : &groups[g]),
			 expected);
}

/* `i` is no more in the queue: nobody may depend on its memory. */
static void scribble(int i)
{
	memset(&model[i].u, 0xa5, sizeof(model[i].u));
}

static void model_remove(int i)
{
	int g = model[i].group;

	assert_int_equal(vqueue_remove(&queue, &model[i].u), !ready(i));
	model[i].in = false;
	scribble(i);
	if (g >= 0 && !members(g))
		group_model[g].parked = group_model[g].floored = false;
}

static void model_park(u64 until)
{
	struct vqueue_unit *u = vqueue_first(&queue);
	int g;

	if (!u || !u->group)
		return;
	g = (int)(u->group - groups);
	assert_int_equal(vqueue_park(&queue, u, until), members(g));
	assert_true(vqueue_parked(&groups[g]));
	group_model[g].parked = true;
	group_model[g].until = until;
}

/* Who runs, and has lent; -1: nobody. */
static int runner;

/* `i` runs; or who did no longer does. */
static void model_run(int i)
{
	if (runner >= 0) {
		vqueue_leave(&queue, &model[runner].u);
		scribble(runner);
		runner = -1;
	} else if (!model[i].in) {
		runner = i;
	}
}

/* Who runs takes the place of the first, if that is in no group. */
static void model_exchange(u32 *seed)
{
	struct vqueue_unit *first = vqueue_first(&queue);
	int i = runner;

	if (!first || first->group || i < 0)
		return;
	runner = (int)(container_of(first, typeof(model[0]), u) - model);
	model[runner].in = false;
	model[i].u.at.units = NULL;
	model[i].u.group = NULL;
	model[i].key = vqueue_key(first) + rnd(seed, 300);
	model[i].group = -1;
	model[i].in = true;
	vqueue_exchange(&queue, first, &model[i].u, model[i].key);
	assert_int_equal(vqueue_first_key(&queue),
			 vqueue_key(vqueue_first(&queue)));
}

static void model_unpark(u64 now, u64 floor)
{
	u32 n, due = 0, got = 0;

	for (int g = 0; g < GROUPS; g++) {
		if (!group_model[g].parked || group_model[g].until > now)
			continue;
		due += members(g);
		group_model[g].parked = false;
		group_model[g].floored = true;
		group_model[g].floor = floor;
	}
	while ((n = vqueue_unpark(&queue, now, floor)))
		got += n;
	assert_int_equal(got, due);
}

static void random_steps_agree_with_a_list(void **state)
{
	(void)state;
	for (u32 seed = 1; seed <= 20; seed++) {
		u32 s = seed, units = seed % 2 ? UNITS : 5;
		u64 now = 0;

		runner = -1;
		for (u32 step = 0; step < 3000; step++) {
			int i = (int)rnd(&s, units);
			u32 what = rnd(&s, 10);

			now += 10;
			if (what == 0)
				model_park(now + rnd(&s, 500));
			else if (what == 1)
				model_unpark(now, 1000000 + rnd(&s, 1000));
			else if (what == 2)
				model_exchange(&s);
			else if (what == 4)
				model_run(i);
			else if (model[i].in)
				model_remove(i);
			else if (i != runner)
				model_push(i, &s);
			if (runner >= 0)
				vqueue_lend(&queue, &model[runner].u);
			expect_same(seed, step);
		}
		for (int i = 0; i < UNITS; i++) {
			if (model[i].in)
				model_remove(i);
		}
		assert_null(queue.ready.root);
		assert_null(queue.parked.root);
	}
}

/* ---- credit with it ---- */

/* The most operations on heaps that one step of the CPU took, once all are
 * queued, of a guest with so many hogs and the cap. */
static u64 most_per_step(u32 vcpus, u32 cap, u64 *total)
{
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct fake_guest *g, *other;
	u64 most = 0, begin;

	fake_boot(1, "credit");
	p.cap = cap;
	g = fake_guest_make(vcpus, &p, 0);
	other = fake_guest_make(1, NULL, 0);
	fake_guest_start(g);
	fake_guest_start(other);
	fake_run_for(200 * FAKE_MS);
	begin = heap_ops;
	for (u64 end = fake_now() + 1000 * FAKE_MS; fake_now() < end;) {
		u64 was = heap_ops;

		fake_step(0);
		most = MAX(most, heap_ops - was);
	}
	*total = heap_ops - begin;
	/* Of 1.2 s in all. */
	assert_in_range(fake_guest_ran(g), FAKE_MS * cap * 11,
			FAKE_MS * cap * 13);
	fake_guest_free(other);
	fake_guest_free(g);
	fake_halt();
	return most;
}

static void a_pick_costs_the_same_with_2000_vcpus_over_their_cap(void **state)
{
	u64 total[2], most[2];

	(void)state;
	most[0] = most_per_step(2, 20, &total[0]);
	most[1] = most_per_step(2000, 20, &total[1]);
	if (most[1] > most[0] + 8 || most[1] > 24)
		fail_msg("one pick took %llu operations on heaps with 2,000 "
			 "vCPUs, %llu with 2",
			 (unsigned long long)most[1],
			 (unsigned long long)most[0]);
	assert_true(total[1] <= total[0] * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_agree_with_a_list),
		cmocka_unit_test(
			a_pick_costs_the_same_with_2000_vcpus_over_their_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
