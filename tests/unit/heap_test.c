/*
 * The heap, against a table of keys that is searched; and how far a node is
 * from the root, whatever is done to it.
 */
/* sources: kernel/heap.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/heap.h"

#define COUNT 500

static struct heap heap;
static struct heap_node nodes[COUNT];
static bool in[COUNT];
static u32 came[COUNT];
static u32 count, pushes, comers;
static u32 depth[COUNT]; /* matches between a node and the root */

static void prepare(u32 seed)
{
	srand(seed);
	heap = (struct heap){NULL};
	memset(in, 0, sizeof(in));
	count = pushes = comers = 0;
}

static u32 random_below(u32 n)
{
	return (u32)rand() % n;
}

static void push(u32 i, u64 key)
{
	nodes[i].key = key;
	heap_push(&heap, &nodes[i]);
	came[i] = comers++;
	in[i] = true;
	count++;
	pushes++;
}

static void take(u32 i)
{
	heap_remove(&heap, &nodes[i]);
	in[i] = false;
	count--;
}

/* The root leaves, and `i` comes. */
static void exchange(u32 i, u64 key)
{
	struct heap_node *root = heap.root;

	nodes[i].key = key;
	heap_exchange(&heap, &nodes[i]);
	came[i] = comers++;
	in[root - nodes] = false;
	in[i] = true;
}

/* ---- What holds of each heap ---- */

/* Those that `n` has beaten, and theirs: none is less, each match is of more
 * places than the one before it. `side`: of the match that `n` has lost, at
 * `above` matches from the root. Returns how many they are. */
static u32 check_ring(const struct heap_node *n, u64 side, u32 above)
{
	u32 found = 1, left = 0;
	u64 before = 0;

	for (const struct heap_node *c = n->first; c != n; c = c->next)
		left++;
	depth[n - nodes] = above + left;
	for (const struct heap_node *c = n->first; c != n; c = c->next) {
		assert_true((s64)(c->key - n->key) >= 0);
		assert_true(c->side > before && c->side < side);
		before = c->side;
		found += check_ring(c, c->side, above + left--);
	}
	return found;
}

/* The most matches that one of them has. Sets depth[]. */
static u32 checked_depth(void)
{
	u32 most = 0;

	memset(depth, 0, sizeof(depth));
	if (heap.root)
		assert_int_equal(check_ring(heap.root, UINT64_MAX, 0), count);
	else
		assert_int_equal(count, 0);
	for (u32 i = 0; i < COUNT; i++)
		most = MAX(most, depth[i]);
	return most;
}

static bool precedes(u32 a, u32 b)
{
	s64 behind = (s64)(nodes[b].key - nodes[a].key);

	return behind > 0 || (!behind && came[a] < came[b]);
}

static void check_first(void)
{
	u32 first = COUNT;

	for (u32 i = 0; i < COUNT; i++) {
		if (in[i] && (first == COUNT || precedes(i, first)))
			first = i;
	}
	assert_ptr_equal(heap.root, first < COUNT ? &nodes[first] : NULL);
}

static void check_walk(void)
{
	bool met[COUNT] = {false};

	for (struct heap_node *n = heap.root; n; n = heap_walk(&heap, n)) {
		assert_false(met[n - nodes]);
		met[n - nodes] = true;
	}
	assert_memory_equal(met, in, sizeof(in));
}

static u32 log2_up(u64 n)
{
	u32 log = 0;

	while (1ULL << log < n)
		log++;
	return log;
}

/* ---- Tests ---- */

static void random_steps_agree_with_a_search(void **state)
{
	(void)state;
	/* Of 1 to 500 nodes, and few keys or many; from which end of the range
	 * of keys they come wraps on the way. */
	for (u32 seed = 1; seed <= 60; seed++) {
		u32 size = seed % 5 ? random_below(COUNT) + 1 : seed / 5;
		u32 keys = seed % 2 ? 10 : 100000;
		u64 now = UINT64_MAX - 20000;

		prepare(seed);
		for (u32 step = 0; step < 4000; step++) {
			u32 i = random_below(size);
			u64 key = now + random_below(keys);

			now += 10;
			if (in[i])
				take(i);
			else if (heap.root && random_below(2))
				exchange(i, key);
			else
				push(i, key);
			check_first();
			checked_depth();
			if (step % 64 == 0)
				check_walk();
		}
		for (u32 i = 0; i < COUNT; i++) {
			if (in[i])
				take(i);
			checked_depth();
		}
		assert_null(heap.root);
	}
}

static void equals_leave_in_the_order_in_which_they_came(void **state)
{
	(void)state;
	prepare(1);
	for (u32 i = 0; i < 50; i++)
		push(i, 7);
	for (u32 i = 0; i < 20; i++) {
		assert_ptr_equal(heap.root, &nodes[i]);
		exchange(50 + i, 7);
	}
	take(40);
	for (u32 i = 20; i < 70; i++) {
		if (i == 40)
			continue;
		assert_ptr_equal(heap.root, &nodes[i]);
		take(i);
	}
}

static void turns_go_round_with_log2_of_the_nodes_in_the_way(void **state)
{
	(void)state;
	for (u32 n = 1; n <= 300; n += n / 5 + 1) {
		u32 out = n;

		prepare(n);
		for (u32 i = 0; i < n; i++)
			push(i, random_below(1000));
		for (u32 step = 0; step < 2000; step++) {
			u32 first = (u32)(heap.root - nodes);

			exchange(out,
				 nodes[first].key + 900 + random_below(200));
			out = first;
			assert_true(checked_depth() <= log2_up(n));
			check_first();
		}
		check_walk();
	}
}

/* Fills the heap, and leaves only the node that is the furthest from the root
 * and those it meets on the way: how far it was. */
static u32 leave_the_longest_way(void)
{
	bool stay[COUNT] = {false};
	struct heap_node *n = &nodes[0];
	u32 most;

	for (u32 i = 0; i < COUNT; i++) {
		if (!in[i])
			push(i, random_below(1000));
	}
	most = checked_depth();
	while (depth[n - nodes] < most)
		n++;
	for (struct heap_node *c = n->first; c != n; c = c->next)
		stay[c - nodes] = true;
	for (; n != heap.root; n = n->next)
		stay[n - nodes] = true;
	stay[n - nodes] = true;
	for (u32 i = 0; i < COUNT; i++) {
		if (!stay[i])
			take(i);
	}
	return most;
}

static void no_choice_of_who_leaves_makes_the_way_long(void **state)
{
	u32 most = 0;

	(void)state;
	prepare(1);
	while (pushes < 500000)
		most = MAX(most, leave_the_longest_way());
	if (most > log2_up(pushes))
		fail_msg("%u matches after %u pushes", most, pushes);
}

static void few_who_come_and_go_do_not_make_the_way_long(void **state)
{
	(void)state;
	prepare(1);
	for (u32 i = 0; i < 64; i++)
		push(i, random_below(1000));
	for (u32 step = 0; step < 50000; step++) {
		u32 i = 64 + random_below(4);

		if (in[i])
			take(i);
		else
			push(i, random_below(1000));
		assert_true(checked_depth() <= 6 + 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_agree_with_a_search),
		cmocka_unit_test(equals_leave_in_the_order_in_which_they_came),
		cmocka_unit_test(
			turns_go_round_with_log2_of_the_nodes_in_the_way),
		cmocka_unit_test(no_choice_of_who_leaves_makes_the_way_long),
		cmocka_unit_test(few_who_come_and_go_do_not_make_the_way_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
