/*
 * A CPU's timers and the heap under them.
 */
/* sources: kernel/timer.c kernel/heap.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/timer.h"

#define COUNT 500

static struct timer timers[COUNT];
static struct timer_queue queue;
static u64 due[COUNT]; /* what the model says; TIME_NEVER: not set */
static u64 last_fired, clock_now;
static u32 fired;

static void fire(struct timer *t, u64 now)
{
	u32 i = (u32)(t - timers);

	assert_false(timer_is_set(t));
	assert_true(due[i] <= now);
	assert_true(due[i] >= last_fired);
	last_fired = due[i];
	due[i] = TIME_NEVER;
	fired++;
}

static void prepare(void)
{
	queue = (struct timer_queue){{NULL}};
	for (u32 i = 0; i < COUNT; i++) {
		timer_init(&timers[i], fire);
		due[i] = TIME_NEVER;
	}
	last_fired = clock_now = 0;
	fired = 0;
}

static void an_empty_queue_is_never_due(void **state)
{
	(void)state;
	prepare();
	assert_true(timer_next_ticks(&queue) == TIME_NEVER);
	timer_run(&queue, TIME_NEVER - 1);
	assert_int_equal(fired, 0);
}

static void a_timer_fires_at_its_tick_and_not_before(void **state)
{
	(void)state;
	prepare();
	due[0] = 100;
	timer_set(&queue, &timers[0], 100);
	timer_run(&queue, 99);
	assert_int_equal(fired, 0);
	timer_run(&queue, 100);
	assert_int_equal(fired, 1);
}

static void setting_again_moves_a_timer(void **state)
{
	(void)state;
	prepare();
	timer_set(&queue, &timers[0], 100);
	timer_set(&queue, &timers[0], 300);
	assert_true(timer_next_ticks(&queue) == 300);
	timer_set(&queue, &timers[0], TIME_NEVER);
	assert_false(timer_is_set(&timers[0]));
	assert_true(timer_next_ticks(&queue) == TIME_NEVER);
}

static void far_deadlines_are_never(void **state)
{
	(void)state;
	prepare();
	timer_set(&queue, &timers[0], TIME_NEVER - 5);
	timer_set(&queue, &timers[1], 7);
	assert_true(timer_next_ticks(&queue) == 7);
	assert_false(timer_is_set(&timers[0]));
}

static u64 model_next(void)
{
	u64 least = TIME_NEVER;

	for (u32 i = 0; i < COUNT; i++)
		least = MIN(least, due[i]);
	return least;
}

static void random_use_agrees_with_a_simple_model(void **state)
{
	(void)state;
	prepare();
	srand(7);
	for (u32 round = 0; round < 20000; round++) {
		u32 i = (u32)rand() % COUNT;
		u64 when = clock_now + (u64)rand() % 1000;

		switch (rand() % 4) {
		case 0:
		case 1:
			due[i] = when;
			timer_set(&queue, &timers[i], when);
			break;
		case 2:
			due[i] = TIME_NEVER;
			timer_clear(&queue, &timers[i]);
			break;
		default:
			clock_now += (u64)rand() % 20;
			last_fired = 0;
			timer_run(&queue, clock_now);
			assert_true(model_next() > clock_now);
		}
		assert_true(timer_next_ticks(&queue) == model_next());
	}
	assert_true(fired > 1000);
}

static u32 walked(struct heap *h)
{
	u32 n = 0;

	for (struct heap_node *i = h->root; i; i = heap_walk(h, i))
		n++;
	return n;
}

static void a_walk_meets_every_node_once(void **state)
{
	static struct heap_node nodes[COUNT];
	struct heap h = {NULL};

	(void)state;
	srand(3);
	assert_int_equal(walked(&h), 0);
	for (u32 i = 0; i < COUNT; i++) {
		nodes[i].key = (u64)rand() % 50;
		heap_push(&h, &nodes[i]);
	}
	assert_int_equal(walked(&h), COUNT);
	for (u32 i = 0; i < COUNT; i += 2)
		heap_remove(&h, &nodes[i]);
	assert_int_equal(walked(&h), COUNT / 2);
}

/* Each node's key, and whether it is in the heap: the heap must agree. */
static struct heap_node model_nodes[COUNT];
static bool model_in[COUNT];
static u32 model_count;

static void model_check(const struct heap *h)
{
	u64 least = 0;
	bool any = false;

	for (u32 i = 0; i < COUNT; i++) {
		u64 key = model_nodes[i].key;

		if (model_in[i] && (!any || (s64)(key - least) < 0))
			least = key;
		any |= model_in[i];
	}
	assert_int_equal(!!h->root, any);
	if (any)
		assert_true(h->root->key == least);
}

/* The root leaves, and `n` comes: `step` behind the root. */
static void model_exchange(struct heap *h, struct heap_node *n, u64 step)
{
	struct heap_node *root = h->root;

	n->key = root->key + step;
	heap_exchange(h, n);
	model_in[root - model_nodes] = false;
	model_in[n - model_nodes] = true;
}

static void model_step(struct heap *h, u64 *now, u32 kinds)
{
	u32 i = (u32)rand() % (1U << kinds), what = (u32)rand() % 40;
	struct heap_node *n = &model_nodes[i];

	if (h->root)
		*now = h->root->key;
	if (model_in[i] && what == 0) {
		heap_remove(h, n);
		model_in[i] = false;
		model_count--;
	} else if (!model_in[i] && (what == 1 || !h->root)) {
		n->key = *now + (u64)rand() % 1000 - 200;
		heap_push(h, n);
		model_in[i] = true;
		model_count++;
	} else if (!model_in[i]) {
		model_exchange(h, n, 300 + 100 * ((u64)rand() % kinds));
	}
	model_check(h);
}

static void exchanges_agree_with_a_simple_model(void **state)
{
	(void)state;
	srand(4);
	/* 2 to 256 nodes, turns of one to eight lengths, and keys that wrap on
	 * the way. */
	for (u32 kinds = 1; kinds <= 8; kinds++) {
		struct heap h = {NULL};
		u64 now = UINT64_MAX - 20000;

		memset(model_in, 0, sizeof(model_in));
		model_count = 0;
		for (u32 i = 0; i < 20000; i++)
			model_step(&h, &now, kinds);
		assert_true(now < 1ULL << 40);
		assert_int_equal(walked(&h), model_count);
	}
}

static void keys_may_wrap(void **state)
{
	struct heap_node a = {.key = UINT64_MAX - 3}, b = {.key = 5};
	struct heap h = {NULL};

	(void)state;
	heap_push(&h, &b);
	heap_push(&h, &a);
	assert_ptr_equal(h.root, &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_is_never_due),
		cmocka_unit_test(a_timer_fires_at_its_tick_and_not_before),
		cmocka_unit_test(setting_again_moves_a_timer),
		cmocka_unit_test(far_deadlines_are_never),
		cmocka_unit_test(random_use_agrees_with_a_simple_model),
		cmocka_unit_test(a_walk_meets_every_node_once),
		cmocka_unit_test(exchanges_agree_with_a_simple_model),
		cmocka_unit_test(keys_may_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
