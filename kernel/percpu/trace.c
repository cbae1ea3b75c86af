/*
 * Trace rings.
 *
 * The problem: a record must cost some tens of instructions on paths that are
 * counted in hundreds, wherever it is written, and whoever reads must not slow
 * the writer, nor be told what never happened.
 *
 * Each CPU writes to a ring of its own, so there is nothing to be fought over:
 * no atomic operation, no lock. The hypervisor has no interrupts, so a record
 * is not interrupted by another one. `head` counts all records ever written;
 * record n is in slot n mod size. It is written first and counted after.
 *
 *   writer, record n            reader
 *   (head is n)                 load head: h
 *   slot[n mod size] = ...      load fence (2)
 *   store fence (1)             copy slots of records below h
 *   head = n + 1                load fence (3)
 *                               load head: m
 *                               drop those at or below m + 1 - size
 *
 * (1) and (2): a record that is counted is all there. (1) of the record before
 * and (3): if any word that was copied is of record n, then head was n - 1 at
 * least when it was looked at again, so the record that was in this slot
 * before, n - size, is dropped. Head need not be seen as n by then: a fence
 * more for each record would do no more than keep one record more.
 *
 * Invariant: head only grows while the CPU has the ring. A flight recorder's
 * limit is never; a ring that is to stop has its limit moved to where.
 *
 * Rejected: a consumer's position, which makes the writer look at what another
 * CPU writes; a length for each record (all are 32 bytes, so a slot is a
 * shift); interrupting the machine to read it (`make trace` stops it as a whole
 * from outside, which it doesn't notice). The CPU's number is a record's only
 * in a copy: in the ring it is the same for all.
 */
#include "kernel/percpu/trace.h"

void trace_ring_init(struct trace_ring *r, struct trace_record *records,
		     u64 size, u32 cpu, u32 flags)
{
	*r = (struct trace_ring){
		.records = records,
		.mask = size - 1,
		.cpu = cpu,
		.flight = flags & TRACE_FLIGHT,
		.flags = flags & TRACE_FLIGHT,
		.limit = flags & TRACE_FLIGHT ? UINT64_MAX : size,
	};
}

void trace_freeze(void)
{
	/* Its end before the masks: who puts a mask back sees the end
	 * (tracer_changing). */
	ck_pr_fence_release();
	for (u32 i = 0; i < cpu_count(); i++)
		ck_pr_and_32(&cpu_by_index(i)->trace_mask, TRACE_STATS);
}

/* The ring is full, or has come to where it was to stop. */
static __attribute__((cold, noinline)) void ring_end(struct trace_ring *r,
						     bool lost)
{
	if (r->flags & TRACE_STOPPED)
		trace_freeze();
	else if (lost)
		ck_pr_store_64(&r->lost, r->lost + 1);
}

/* How many more records there is room for in front of the edge, as the limit
 * and the number of the next one say. */
static void edge_set(struct trace_ring *r)
{
	u64 at = r->head & r->mask;
	u64 n = MIN(r->mask + 1 - at, r->limit - r->head);

	r->next = (u64)&r->records[at];
	r->edge = r->next + n * sizeof(*r->records);
}

/* Its event has just been recorded. */
static __attribute__((cold, noinline)) void ring_stop(struct trace_ring *r)
{
	u64 end = r->head + r->stop_after;

	if (r->flags & TRACE_STOPPED)
		return;
	ck_pr_store_32(&r->flags, r->flags | TRACE_STOPPED);
	if (end < r->limit)
		ck_pr_store_64(&r->limit, end);
	edge_set(r);
	if (!r->stop_after)
		ring_end(r, false);
}

/* At the edge: turns, if that is not the limit, and writes the record. */
static __attribute__((cold, noinline)) void edge_write(u32 event, u32 vcpu,
							u64 a, u64 b)
{
	struct trace_ring *r = cpu_this()->trace;

	if (r->head >= r->limit) {
		ring_end(r, true);
		return;
	}
	edge_set(r);
	trace_write(event, vcpu, a, b);
}

/* A leaf but for its rare ends, so it does without a frame, which would be an
 * eighth of it. */
__attribute__((optimize("omit-frame-pointer"))) void
trace_write(u32 event, u32 vcpu, u64 a, u64 b)
{
	struct trace_ring *r = cpu_this()->trace;
	u64 *slot = (u64 *)r->next;
	u32 *who = (u32 *)(void *)&slot[1];

	if (unlikely(r->next == r->edge)) {
		edge_write(event, vcpu, a, b);
		return;
	}
	/* No fence: that of the record before is enough for (3) in trace_copy.
	 * What needs no register first. */
	ck_pr_store_64(&slot[2], a);
	ck_pr_store_64(&slot[3], b);
	ck_pr_store_32(&who[1], vcpu);
	/* event, and 0 for the CPU: little-endian. */
	ck_pr_store_32(&who[0], event);
	ck_pr_store_64(&slot[0], arch_ticks());
	/* (1), pairs with (2) in trace_copy and, of the record before, (3). */
	ck_pr_fence_store();
	r->next = (u64)&slot[4];
	ck_pr_store_64(&r->head, r->head + 1);
	if (unlikely(event == r->stop_event))
		ring_stop(r);
}

static void record_copy(const struct trace_ring *r, u64 n,
			struct trace_record *to)
{
	const struct trace_record *at = &r->records[n & r->mask];
	u64 words[4];

	_Static_assert(sizeof(words) == sizeof(*to), "a record is 4 words");
	for (u32 i = 0; i < 4; i++)
		words[i] = ck_pr_load_64((const u64 *)(const void *)at + i);
	__builtin_memcpy(to, words, sizeof(words));
	to->cpu = (u16)r->cpu;
}

u64 trace_copy(const struct trace_ring *r, u64 from, u64 max,
	       struct trace_record *out, u64 *first)
{
	u64 size = r->mask + 1, head = ck_pr_load_64(&r->head), n, good, skip;

	/* (2), pairs with (1) in trace_write. */
	ck_pr_fence_load();
	if (head > size)
		from = MAX(from, head - size);
	*first = from;
	n = from < head ? MIN(max, head - from) : 0;
	for (u64 i = 0; i < n; i++)
		record_copy(r, from + i, &out[i]);
	/* (3), pairs with (1) in trace_write, of the record before. */
	ck_pr_fence_load();
	head = ck_pr_load_64(&r->head);
	/* Records `head` and `head` + 1 may be on their way into the slots of
	 * those that are `size` older. */
	good = r->flight && head + 1 >= size ? head + 2 - size : 0;
	if (good <= from)
		return n;
	skip = MIN(good - from, n);
	__builtin_memmove(out, out + skip, (n - skip) * sizeof(*out));
	*first = from + skip;
	return n - skip;
}

u64 trace_chars(const char *name)
{
	u64 word = 0;

	for (u32 i = 0; i < 8 && name[i]; i++)
		word |= (u64)(u8)name[i] << 8 * i;
	return word;
}
