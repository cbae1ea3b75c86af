/*
 * What several stress tests do alike: what they check, what they roll, on how
 * many CPUs they run. stress.c has memory as well: obj_alloc and the like.
 */
#ifndef ROUSE_TESTS_STRESS_STRESS_H
#define ROUSE_TESTS_STRESS_STRESS_H

#include <stdio.h>
#include <stdlib.h>

#include "kernel/base.h"

/* Any thread: what is wrong ends the program. */
#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, \
				#cond);                                   \
			fprintf(stderr, __VA_ARGS__);                     \
			fputc('\n', stderr);                              \
			abort();                                          \
		}                                                         \
	} while (0)

/* A test on `n` CPUs, under a name of its own: **state is the number. In the
 * list of a function that runs them. */
#define ON(n, f) {#f "_on_" #n, f, NULL, NULL, &(u32){n}}

/* Of the thread that asks: a number below `below`; where its numbers begin. */
u32 rnd(u32 below);
void rnd_begin(u32 seed);

/* Objects that are not freed. Atomic. What is freed is poisoned. */
extern u32 objects;

#endif
