/*
 * Recording: rings for all CPUs, what they record, and who is who.
 *
 * The console's task calls these, or the boot CPU before the others start,
 * unless it's said otherwise.
 */
#ifndef ROUSE_KERNEL_TRACER_H
#define ROUSE_KERNEL_TRACER_H

#include "kernel/base.h"
#include "kernel/percpu/trace.h"

/* What `trace on` asks for. */
struct tracer_config {
	u32 mask;        /* classes; TRACE_STATS is not one */
	u32 flags;       /* TRACE_FLIGHT: keep the last records */
	u64 records;     /* room on each CPU, a power of two; 0: as it was */
	u32 stop_event;  /* end when that is recorded; 0: never */
	u64 stop_after;  /* so many records of that CPU later */
	u64 late_ticks;  /* record LATE for waits longer than this, or never */
};

#define TRACER_RECORDS 32768 /* a CPU, if nobody asks for more or less: 1 MiB */
#define TRACER_RECORDS_MAX (1u << 25) /* the largest block of memory */

/* Room for what follows; after the last cpu_register. 0 or -ENOMEM. */
int tracer_init(void) __must_check;

/*
 * Begins to record anew. 0: begun; every CPU does so in one of its next rounds,
 * and tracer_changing is false when all have. 1: rings were made for some CPUs,
 * or given back: call it again with the same. -EBUSY: another change is on its
 * way; -ENOMEM: no room for the rings, and nothing has changed.
 */
int tracer_start(const struct tracer_config *cfg) __must_check;

/* Changes the classes alone; 0 ends the recording, what was recorded stays.
 * 0 or -EBUSY. */
int tracer_mask(u32 mask) __must_check;

/* Statistics (TRACE_STATS), which need no rings. 0 or -EBUSY. */
int tracer_stats(bool on) __must_check;

/* Has some CPU not come to it yet? When not, memory is given back, of some CPUs
 * by each call. */
bool tracer_changing(void);

struct tracer_status {
	u32 mask;      /* classes that are on, and TRACE_STATS */
	u32 flags;     /* TRACE_FLIGHT, and TRACE_STOPPED if any CPU's has */
	u64 records;   /* room on each CPU; 0: never started */
	u32 stop_event;
	u64 stop_after, late_ticks;
};

void tracer_status(struct tracer_status *out);

/* A CPU's ring, or NULL: it has none. Good until the next tracer_start. */
const struct trace_ring *tracer_ring(u32 cpu);

/*
 * Tells the last `count` (16 at most) records of that vCPU on this CPU, oldest
 * first, a line each. Returns how many; 0 as well where nothing was recorded.
 * Any CPU, a leaf but for `tell`.
 */
u32 tracer_tell_last(u32 vcpu, u32 count,
		     void (*tell)(void *ctx, const char *text), void *ctx);

/* A record as text, as in the above: time, event, its words by name. */
#define TRACER_RECORD_BYTES 160
void tracer_record_format(const struct trace_record *r,
			  char text[TRACER_RECORD_BYTES]);

/*
 * Names: a number for a vCPU that is created, and that it is gone. Numbers of
 * the last ones gone are kept, so that a trace can still be read; TRACE_NOBODY:
 * no memory. Any CPU.
 */
u32 tracer_name_add(const char *guest, u32 guest_id, u32 index);
void tracer_name_gone(u32 id);

/* The i-th name, used or not; false: there are not as many. Any CPU. */
bool tracer_name(u32 i, struct trace_name *out);

/* What heads a dump; `names` of them follow. */
void tracer_file(struct trace_file *out);

#endif
