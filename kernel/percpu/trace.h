/*
 * Writing records: a ring for each CPU, written by that CPU alone.
 *
 * A hook is one line, TRACE(EVENT, vcpu, a, b), where the event happens. With
 * its class off it costs three instructions (load the CPU's mask through the
 * thread pointer, test a bit, branch), and the words are not computed.
 *
 * Ordering: docs/locking.md, "Trace rings".
 */
#ifndef ROUSE_KERNEL_PERCPU_TRACE_H
#define ROUSE_KERNEL_PERCPU_TRACE_H

#include "kernel/arch.h"
#include "kernel/percpu/cpu.h"
#include "kernel/trace.h"

#define TRACE_FLIGHT (1u << 0)  /* keeps the last records, not the first */
#define TRACE_STOPPED (1u << 1) /* its event has come */

struct trace_ring {
	/* Constant while a CPU has it. */
	struct trace_record *records;
	u64 mask;       /* records there is room for, less one: 2^n - 1 */
	u32 cpu;        /* the CPU's number */
	u32 recording;  /* which one it holds: a number of its own */
	u32 stop_event; /* stop everything when that is recorded; 0: never */
	u32 flight;     /* TRACE_FLIGHT or 0 */
	u64 stop_after; /* so many records of this CPU later */
	u64 records_hpa; /* for whoever reads a dump of memory */

	/* The CPU writes, anyone reads. */
	u64 head __cacheline; /* records ever written */
	u64 limit;            /* no further than this */
	u64 lost;             /* came after that */
	u32 flags;            /* TRACE_FLIGHT, TRACE_STOPPED */

	/* The CPU alone: addresses of the next record, and of where the ring
	 * turns or its limit is. */
	u64 next, edge;
};

/*
 * Prepares a ring of `size` records (a power of two) for that CPU. A flight
 * recorder overwrites its oldest; any other counts what comes when it is full.
 */
void trace_ring_init(struct trace_ring *r, struct trace_record *records,
		     u64 size, u32 cpu, u32 flags);

/*
 * Writes a record, whatever the mask. The CPU has a ring: so it has if a class
 * is on. That CPU itself,
 * anywhere in the hypervisor; never fails, never waits.
 */
void trace_write(u32 event, u32 vcpu, u64 a, u64 b)
	__attribute__((cold, noinline));

/*
 * Copies up to `max` records, from number `from` on or the oldest there is, of
 * a ring that its CPU may be writing. Returns how many, *first is the number of
 * the first of them. Each is one that was written, whole: what was overwritten
 * meanwhile is left out, so 0 may also mean: ask again. Any CPU.
 */
u64 trace_copy(const struct trace_ring *r, u64 from, u64 max,
	       struct trace_record *out, u64 *first);

/* Turns all classes of all CPUs off; TRACE_STATS stays. Any CPU, any
 * context. */
void trace_freeze(void);

/* Those of `classes` that are on, on this CPU. */
static inline __attribute__((always_inline)) u64 trace_which(u32 classes)
{
	const struct cpu *c = cpu_this();

#if __STDC_HOSTED__ /* a thread of a test may be no CPU */
	if (!c)
		return 0;
#endif
	/* As ck_pr_load_32, which would take the address in a register: one
	 * instruction of four. */
	return (u64)__atomic_load_n(&c->trace_mask, __ATOMIC_RELAXED) & classes;
}

/* Is one of `classes` on? */
static inline __attribute__((always_inline)) bool trace_on(u32 classes)
{
	return unlikely(trace_which(classes));
}

/* The class of an event, by its name. */
enum {
#define X(number, NAME, CLASS, a, b, text) \
	TRACE_CLASS_OF_##NAME = TRACE_##CLASS,
	TRACE_EVENTS(X)
#undef X
};

/* The hook. */
#define TRACE(NAME, vcpu, a, b)                                           \
	do {                                                              \
		if (trace_on(TRACE_CLASS_OF_##NAME))                      \
			trace_write(TRACE_EV_##NAME, (vcpu), (u64)(a),    \
				    (u64)(b));                            \
	} while (0)

/* Up to 8 characters of a name as a record's word. */
u64 trace_chars(const char *name);

#endif
