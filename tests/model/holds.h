/*
 * What a test of tests/model says of a world: that it holds in each order, or
 * that a fault in it is found. cmocka.h comes first.
 */
#ifndef ROUSE_TEST_HOLDS_H
#define ROUSE_TEST_HOLDS_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/model/explore.h"

static inline struct explore_result model_run(const struct explore *e)
{
	struct explore_result r = explore_run(e);

	fprintf(stderr,
		"# %s%s: %lu states, %lu runs, %lu ends, %lu steps, "
		"at most %u decisions%s\n",
		e->name, e->weak ? ", late stores" : "",
		(unsigned long)r.states, (unsigned long)r.runs,
		(unsigned long)r.ends, (unsigned long)r.steps, r.deepest,
		r.failed ? "; a fault" : "");
	return r;
}

/* Orders of at most so many switches in a quick run, and in a full one (0: any
 * number, so every order), with stores that are late or are not. */
static inline void model_holds(struct explore e, uint32_t quick, uint32_t full)
{
	struct explore_result r;

	e.weak = true;
	e.switches = getenv("ROUSE_TEST_FULL") ? full : quick;
	r = model_run(&e);
	assert_false(r.failed);
	assert_true(r.ends > 0);
}

/* With a fault, which must be found. */
static inline void model_finds(struct explore e)
{
	assert_true(model_run(&e).failed);
}

/* The test of that name. */
#define MODEL_HOLDS(test, world, content, quick, full) \
	static void test(void **state) \
	{ \
		model_holds((struct explore){.name = #test, \
					     .begin = world, \
					     .end = content}, \
			    quick, full); \
	}

/* And one that finds a fault of that thread's, in so many switches. */
#define MODEL_FINDS(test, world, content, most, wrong, thread) \
	static void test(void **state) \
	{ \
		model_finds((struct explore){.name = #test, \
					     .begin = world, \
					     .end = content, \
					     .weak = true, \
					     .switches = most, \
					     .fault = wrong, \
					     .faulty = thread}); \
	}

#endif
