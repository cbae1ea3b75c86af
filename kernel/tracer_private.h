/*
 * Inside the tracer: what a reader of the machine's memory finds.
 *
 * `make trace` stops the machine from outside and reads its memory: so all that
 * it needs hangs on one structure, whose address is a symbol of rouse.elf, and
 * by physical addresses. tools/trace knows this layout; the asserts below and
 * TRACE_VERSION keep the two together.
 */
#ifndef ROUSE_KERNEL_TRACER_PRIVATE_H
#define ROUSE_KERNEL_TRACER_PRIVATE_H

#include "kernel/percpu/mbox.h"
#include "kernel/tracer.h"

#define TRACE_MEMORY_MAGIC "ROUSERAM"

struct trace_memory {
	char magic[8];
	u32 version, bytes; /* TRACE_VERSION, of this structure */
	u64 timebase_hz;
	u32 cpus, names;     /* names given so far, of those used or not */
	u32 record_bytes, name_bytes;
	u32 cpu_bytes;       /* from one CPU's struct tracer_cpu to the next */
	u32 mask;
	u64 cpus_hpa;        /* struct tracer_cpu[cpus] */
	u64 names_hpa;       /* the first struct name_page; 0: none */
	u64 wall_ns;         /* wall time at tick 0 */
};

/* Of one CPU; the ring is first. */
struct tracer_cpu {
	struct trace_ring ring;

	/* The console's task only. */
	struct trace_record *records, *next, *old;
	u32 order, next_order, old_order; /* pages of those: 2^n */

	struct mbox_node mail;
} __cacheline;

#define NAMES_PER_PAGE 63

struct name_page {
	u64 next_hpa; /* 0: the last */
	u64 unused[7];
	struct trace_name name[NAMES_PER_PAGE];
};

_Static_assert(sizeof(struct trace_record) == 32, "tools/trace reads this");
_Static_assert(sizeof(struct trace_name) == 64, "tools/trace reads this");
_Static_assert(sizeof(struct trace_file) == 64, "tools/trace reads this");
_Static_assert(sizeof(struct trace_file_cpu) == 32, "tools/trace reads this");
_Static_assert(sizeof(struct trace_memory) == 72, "tools/trace reads this");
_Static_assert(sizeof(struct name_page) == PAGE_BYTES,
	       "tools/trace reads this");
_Static_assert(offsetof(struct trace_ring, mask) == 8 &&
	       offsetof(struct trace_ring, recording) == 20 &&
	       offsetof(struct trace_ring, flight) == 28 &&
	       offsetof(struct trace_ring, records_hpa) == 40 &&
	       offsetof(struct trace_ring, head) == 64 &&
	       offsetof(struct trace_ring, lost) == 80 &&
	       offsetof(struct trace_ring, flags) == 88,
	       "tools/trace reads this");

extern struct trace_memory trace_memory;

#endif
