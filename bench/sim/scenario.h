/*
 * A scenario: which guests there are and what they do. docs/sim.md is the
 * format.
 */
#ifndef ROUSE_SIM_SCENARIO_H
#define ROUSE_SIM_SCENARIO_H

#include "bench/sim/work.h"

struct scenario_guest {
	char name[40];
	struct guest_config cfg;
	struct work_args args;
	const struct behaviour *does;
	struct work_program *program; /* cfg.vcpus of them, or NULL */
};

struct scenario {
	const char *path;
	struct scenario_guest *guest;
	u32 guests, vcpus;
	size_t room;
	/* 0, or NULL: not said. */
	u32 cpus;
	char *policy;
	u64 seed, ticks, warmup_ticks;
	bool has_seed, has_ticks, has_warmup;
};

/* What is wrong is said on stderr with its place, and the program ends. */
void scenario_read(const char *path, struct scenario *s);

/* Makes and starts the guests on the machine that was booted: work_all. */
struct work_guest *scenario_start(const struct scenario *s, u64 seed);

#endif
