/*
 * The heap, against a table of keys that is searched; and its matches, whatever
 * is done to it. Nodes that are not in it are scribbled over.
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
static u32 count, comers;
static struct heap_node *lender; /* has left by an exchange, or NULL */

static void prepare(u32 seed)
{
	srand(seed);
	heap = (struct heap){NULL};
	lender = NULL;
	memset(in, 0, sizeof(in));
	count = comers = 0;
}

static u32 random_below(u32 n)
{
	return (u32)rand() % n;
}

/* `n` is no more in the heap: nobody may depend on its memory. */
static void scribble(struct heap_node *n)
{
	memset(n, 0xa5, sizeof(*n));
}

/* The one that has lent its match has it back. */
static void give_back(void)
{
	if (!lender)
		return;
	heap_give_back(&heap, lender);
	scribble(lender);
	lender = NULL;
}

static void push(u32 i, u64 key)
{
	if (lender == &nodes[i])
		give_back();
	nodes[i].key = key;
	heap_push(&heap, &nodes[i]);
	came[i] = comers++;
	in[i] = true;
	count++;
}

static void take(u32 i)
{
	heap_remove(&heap, &nodes[i]);
	scribble(&nodes[i]);
	in[i] = false;
	count--;
}

/* The root leaves, and `i` comes. */
static void exchange(u32 i, u64 key)
{
	struct heap_node *root = heap.root;

	if (lender != &nodes[i])
		give_back();
	heap_lend(&heap, &nodes[i]);
	lender = root;
	nodes[i].key = key;
	heap_exchange(&heap, root, &nodes[i]);
	came[i] = comers++;
	in[root - nodes] = false;
	in[i] = true;
}

/* ---- What holds of each heap ---- */

static bool precedes(u32 a, u32 b)
{
	s64 behind = (s64)(nodes[b].key - nodes[a].key);

	return behind > 0 || (!behind && came[a] < came[b]);
}

static u32 index_of(const struct heap_node *n)
{
	assert_in_range(n - nodes, 0, COUNT - 1);
	return (u32)(n - nodes);
}

/* Of those whose way leads by `m`, the winner; NULL: there are none. */
static struct heap_node *first_below(const struct heap_match *m)
{
	struct heap_node *first = NULL;

	for (u32 i = 0; i < COUNT; i++) {
		if (!in[i])
			continue;
		for (struct heap_match *a = nodes[i].leaf; a; a = a->up) {
			if (a == m && (!first || precedes(i, index_of(first))))
				first = &nodes[i];
		}
	}
	return first;
}

/* `m` and those below it: the loser is who should have lost. How many. */
static u32 check_matches(const struct heap_match *m)
{
	struct heap_node *won = first_below(m), *lost = NULL;
	u32 begin = 0, found = 1;

	for (u32 i = 0; i < COUNT; i++)
		begin += in[i] && nodes[i].leaf == m;
	for (u32 i = 0; i < 2; i++) {
		struct heap_node *n;

		if (!m->child[i]) {
			begin--;
			continue;
		}
		assert_ptr_equal(m->child[i]->up, m);
		found += check_matches(m->child[i]);
		n = first_below(m->child[i]);
		lost = n != won ? n : lost;
	}
	assert_int_equal(begin, 0);
	for (u32 i = 0; i < COUNT; i++) {
		if (in[i] && nodes[i].leaf == m && &nodes[i] != won)
			lost = &nodes[i];
	}
	assert_ptr_equal(m->loser, lost);
	return found;
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

/* No way to the root is longer than it has to be. */
static void check_ways(void)
{
	for (u32 i = 0; i < COUNT; i++) {
		u32 length = 0;

		if (!in[i] || count < 2)
			continue;
		for (struct heap_match *m = nodes[i].leaf; m; m = m->up)
			length++;
		assert_in_range(length, 1, log2_up(count));
	}
}

static void check_all(void)
{
	check_ways();
	check_walk();
	if (count > 1)
		assert_int_equal(check_matches(heap.top), count - 1);
	else
		assert_null(heap.top);
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
			if (!random_below(4))
				give_back();
			if (in[i])
				take(i);
			else if (heap.root && random_below(2))
				exchange(i, key);
			else
				push(i, key);
			check_first();
			if (step % 256 == 0 || size < 20)
				check_all();
		}
		for (u32 i = 0; i < COUNT; i++) {
			if (in[i])
				take(i);
			check_ways();
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

static void turns_go_round(void **state)
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
			check_first();
		}
		check_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_agree_with_a_search),
		cmocka_unit_test(equals_leave_in_the_order_in_which_they_came),
		cmocka_unit_test(turns_go_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
