/*
 * An explorer of schedules: runs a small world of threads in every order that
 * there is, by the real sources of what the threads do.
 *
 * A world is made anew for each run, from the same beginning. Threads are
 * coroutines of one host thread. Before each atomic operation on a *watched*
 * word (those by which CPUs speak to each other) the explorer decides who goes
 * on, and depth-first takes one decision after the other the other way. What a
 * state was reached by does not matter: one that was there before, with every
 * thread at the same place, is not followed again. So loops end, and the
 * numbers of states and runs say how much there was to see. From every state an
 * end must be within reach, where nobody can go on: else something goes round
 * for ever.
 *
 * Stores may be late (`weak`): a store, or an atomic operation whose result
 * nobody wants, to a watched word waits in a buffer of its thread until the
 * explorer lets it out. Those to one word come out in order, those to different
 * words in any, and the thread itself sees its own. A full fence, or one that
 * orders stores, waits for all. That is weaker than TSO and stronger than
 * RVWMO: loads are not taken early (tests/litmus has those). Words that are
 * not watched are seen at once.
 */
#ifndef ROUSE_TEST_EXPLORE_H
#define ROUSE_TEST_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;

/* For scenarios that show that a fault is found. */
enum explore_fault {
	EXPLORE_SOUND,
	EXPLORE_ELSEWHERE,     /* none of the explorer's making */
	EXPLORE_NO_FULL_FENCE, /* a full fence does nothing */
	EXPLORE_NO_STORE_FENCE,
	EXPLORE_SPLIT_CAS, /* others come between its load and its store */
};

struct explore {
	const char *name;
	/* Makes the world, in memory from explore_alloc, and its threads. */
	void (*begin)(void);
	/* Nobody can go on any more: is all well? Says by explore_check. */
	void (*end)(void);
	bool weak;
	/* Most switches from a thread that could go on, each time that one
	 * goes on before its stores are seen counted as well; 0: any number. */
	uint32_t switches;
	enum explore_fault fault;
	const char *faulty; /* the thread that has it; NULL: all */
};

struct explore_result {
	uint64_t states, runs, ends, steps;
	uint32_t deepest; /* decisions in a run */
	bool failed;
};

/* Explores; a failure is told on stderr, with the schedule that leads to it. */
struct explore_result explore_run(const struct explore *e);

/* ---- From begin() ---- */

/* Zeroed memory that is part of the state, until the run's end. */
void *explore_alloc(size_t bytes);
/* So is this, which begin() puts to what it is at the beginning. */
void explore_state(void *p, size_t bytes);
/* Of that, it doesn't matter: counters that nobody decides by. */
void explore_ignore(const void *p, size_t bytes);
/* Others speak to each other by this word. */
void explore_watch(const void *p, size_t bytes, const char *name);
/* A thread that is that CPU (or NULL: none). */
void explore_thread(const char *name, struct cpu *cpu, void (*run)(void *arg),
		    void *arg);

/* ---- From a thread ---- */

/* Goes on when that is so; for ever not, if never. */
void explore_wait(bool (*until)(const void *arg), const void *arg);
/* What this thread has seen so far no longer matters: nothing of it is kept. */
void explore_forget(void);
/* The same at the top of a loop that goes round while it waits for others: when
 * no switches are left these have their turns there. */
void explore_rest(void);
#define explore_check(cond) \
	do { \
		if (!(cond)) \
			explore_fail(__FILE__, __LINE__, #cond); \
	} while (0)
_Noreturn void explore_fail(const char *file, int line, const char *what);

/* ---- From ck_pr.h ---- */

enum explore_fence {
	EXPLORE_FENCE_LOADS,
	EXPLORE_FENCE_STORES,
	EXPLORE_FENCE_FULL
};
enum explore_change {
	EXPLORE_SET,
	EXPLORE_ADD,
	EXPLORE_OR,
	EXPLORE_XOR,
	EXPLORE_AND
};

void explore_fence(enum explore_fence kind);
uint64_t explore_load(const void *p, size_t bytes);
void explore_store(void *p, size_t bytes, uint64_t v, enum explore_change how);
/* These return what was there. */
uint64_t explore_rmw(void *p, size_t bytes, uint64_t v,
		     enum explore_change how);
uint64_t explore_cas(void *p, size_t bytes, uint64_t old, uint64_t v);

#endif
