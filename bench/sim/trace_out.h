/*
 * A trace of a simulated run, in the format of the hypervisor's own
 * (kernel/trace.h): block, wake, dispatch and the ends of turns.
 */
#ifndef ROUSE_SIM_TRACE_OUT_H
#define ROUSE_SIM_TRACE_OUT_H

#include "bench/sim/result.h"

/* Before the guests are started; the machine is booted. */
void trace_out_begin(const char *path, u32 vcpus);
/* Writes the file. */
void trace_out_end(const struct sim_run *r);

#endif
