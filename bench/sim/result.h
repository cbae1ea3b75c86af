/*
 * What came out of a run: as text, and in the shape that all results of
 * benchmarks have (JSON, and TSV with units in its header).
 */
#ifndef ROUSE_SIM_RESULT_H
#define ROUSE_SIM_RESULT_H

#include <stdio.h>

#include "bench/sim/work.h"

struct sim_run {
	const char *scenario, *costs, *commit;
	u32 cpus, guests;
	u64 seed, window_ticks, warmup_ticks, host_ns, events;
	struct work_guest *guest;
};

/* Remembers the counters of this moment: what is told is what came after. */
void result_begin(struct sim_run *r);
/* The other end of the window. */
void result_end(struct sim_run *r);

void result_text(const struct sim_run *r, FILE *out);
void result_json(const struct sim_run *r, const char *name, FILE *out);
void result_tsv(const struct sim_run *r, const char *name, FILE *out);

#endif
