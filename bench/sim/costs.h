/*
 * The table of costs: a file of lines "name number", of one policy "name number
 * policy", and corrections to it.
 */
#ifndef ROUSE_SIM_COSTS_H
#define ROUSE_SIM_COSTS_H

#include "bench/sim/engine.h"

/* Reads what the file has for `policy`; every cost must be in it. Then applies
 * `set`, `sets` texts "name=number". What is wrong is said on stderr, and the
 * program ends. */
void costs_read(const char *path, const char *policy, char *const *set,
		u32 sets, struct sim_costs *out);

#endif
