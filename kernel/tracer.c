/*
 * Recording: how rings come to their CPUs, and what is on.
 *
 * Only a CPU itself may change its ring, since it may be in the middle of it
 * for all that others know. So a change is mail to every CPU: `want` says what
 * is to be, each CPU takes over its own part of it in the round in which it
 * looks, and the last one says that it is done. A recording that begins anew
 * gets its memory before anyone is told, so it can't fail half-way, and what it
 * replaces is given back after the last CPU has let go of it: for some CPUs in
 * a step, since there may be hundreds (12,000 instructions for 32 at once).
 *
 * The way out is not ours: whoever reads a stopped machine's memory starts at
 * `trace_memory` (tracer_private.h), and `trace dump` copies rings while they
 * are written (kernel/percpu/trace.c). So a recorded machine executes not an
 * instruction more for being read.
 *
 * Rejected: a virtio-console or other device as the way out (a driver, and a
 * queue to be fed by the very CPUs that are measured); a ring in shared memory
 * with a host program that drains it (the same memory can be read without).
 */
#include "kernel/tracer.h"

#include "kernel/mem.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/tracer_private.h"

#define CPUS_AT_ONCE 64 /* whose rings are made, or freed */
#define GO_ON 1u /* of the mail: the CPU's own */

struct trace_memory trace_memory = { .magic = TRACE_MEMORY_MAGIC };

static struct tracer_cpu *cpus;
static struct tracer_config want; /* constant while a change is under way */
static u64 room;                  /* records on each CPU; 0: none yet */
static u32 recordings;            /* that were begun */
static bool stats, anew;
static bool busy;                 /* a change is under way, or to be ended */
static u32 left;                  /* CPUs that have not looked; atomic */
static bool starved;              /* new rings are given back */
static u32 freed;                 /* CPUs whose old rings are gone */

/* Do wakes and dispatches look at the time? Only if somebody asks for it. */
static bool waits_watched(void)
{
	return stats ||
	       (want.mask & TRACE_SCHED && want.late_ticks != TIME_NEVER);
}

static struct mbox_node *mail_of(u32 cpu)
{
	return &cpus[cpu].mail;
}

/* A CPU takes its part of `want`. */
static void part_take(struct cpu *c, struct tracer_cpu *t)
{
	u32 old = ck_pr_load_32(&c->trace_mask);
	u32 mask = want.mask | (waits_watched() ? TRACE_STATS : 0);

	if (anew) {
		trace_ring_init(&t->ring, t->records, room, c->index,
				want.flags);
		t->ring.records_hpa = ptr_hpa(t->records).v;
		t->ring.stop_event = want.stop_event;
		t->ring.stop_after = want.stop_after;
		t->ring.recording = recordings;
		c->trace = &t->ring;
	}
	/* Without a ring no class is ever on: trace_write doesn't look. */
	if (!c->trace)
		mask &= TRACE_STATS;
	ck_pr_store_32(&c->trace_mask, mask);
	if ((mask ^ old) & TRACE_ALL)
		trace_write(TRACE_EV_MASK, TRACE_NOBODY, mask, old);
	sched_trace_changed(c);
}

/* The CPU's vCPUs are told some at a time. */
static void look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	(void)now;
	if (!(bits & GO_ON)) {
		doorbell_pass_on(c->index, mail_of, 0);
		part_take(c, container_of(n, struct tracer_cpu, mail));
	}
	if (sched_trace_some(c)) {
		/* It looks by itself, and records nothing of that. */
		mbox_post(&c->mbox, n, GO_ON);
		return;
	}
	/* Pairs with the acquire in tracer_changing. */
	ck_pr_fence_release();
	ck_pr_faa_32(&left, -1u);
}

int tracer_init(void)
{
	cpus = obj_alloc(cpu_count() * sizeof(*cpus));
	if (!cpus)
		return -ENOMEM;
	for (u32 i = 0; i < cpu_count(); i++)
		mbox_node_init(&cpus[i].mail, look);
	trace_memory.version = TRACE_VERSION;
	trace_memory.bytes = sizeof(trace_memory);
	trace_memory.timebase_hz = timebase_hz;
	trace_memory.cpus = cpu_count();
	trace_memory.record_bytes = sizeof(struct trace_record);
	trace_memory.name_bytes = sizeof(struct trace_name);
	trace_memory.cpu_bytes = sizeof(*cpus);
	trace_memory.cpus_hpa = ptr_hpa(cpus).v;
	trace_memory.wall_ns = host_wall_ns() - ticks_to_ns(time_now_ticks());
	want.late_ticks = TIME_NEVER;
	sched_trace_late(TIME_NEVER);
	return 0;
}

static void records_free(struct trace_record **records, u32 order)
{
	if (*records)
		page_free(ptr_hpa(*records), order);
	*records = NULL;
}

/* There is no memory for all: some of the new rings go back. 1, or -ENOMEM when
 * all have. */
static int records_drop(void)
{
	u32 some = CPUS_AT_ONCE;

	for (u32 i = 0; i < cpu_count(); i++) {
		if (!cpus[i].next)
			continue;
		if (!some--)
			return 1;
		records_free(&cpus[i].next, cpus[i].next_order);
	}
	starved = false;
	return -ENOMEM;
}

/* Rings of another size for some CPUs. 1: others have none yet; 0; -ENOMEM.
 * What a command has found that was given up is there for the next one. */
static int records_alloc(u64 count)
{
	u32 order = 0, some = CPUS_AT_ONCE;

	while (PAGE_BYTES << order < count * sizeof(struct trace_record))
		order++;
	for (u32 i = 0; i < cpu_count() && !starved; i++) {
		struct tracer_cpu *t = &cpus[i];
		struct hpa at;

		if (t->next && t->next_order == order)
			continue;
		if (!some--)
			return 1;
		records_free(&t->next, t->next_order);
		at = page_alloc(order);
		starved = hpa_is_none(at);
		if (!starved)
			t->next = hpa_ptr(at);
		t->next_order = order;
	}
	return starved ? records_drop() : 0;
}

/* `next` becomes what CPUs take; what they hold now is kept until all have. */
static void records_take(void)
{
	for (u32 i = 0; i < cpu_count(); i++) {
		struct tracer_cpu *t = &cpus[i];

		t->old = t->records;
		t->old_order = t->order;
		t->records = t->next;
		t->order = t->next_order;
		t->next = NULL;
	}
}

static void change(void)
{
	busy = true;
	trace_memory.mask = (room ? want.mask : 0) | (stats ? TRACE_STATS : 0);
	sched_trace_late(want.mask ? want.late_ticks : TIME_NEVER);
	ck_pr_store_32(&left, cpu_count());
	/* The nodes' release is in doorbell_post. */
	doorbell_post(cpu_by_index(0), mail_of(0), 0);
}

int tracer_start(const struct tracer_config *cfg)
{
	u64 records = cfg->records ? cfg->records :
		      room	   ? room :
				     TRACER_RECORDS;
	int ret;

	if (tracer_changing())
		return -EBUSY;
	if (records != room) {
		ret = records_alloc(records);
		if (ret)
			return ret;
		records_take();
		room = records;
	}
	want = *cfg;
	anew = true;
	recordings++;
	change();
	return 0;
}

int tracer_mask(u32 mask)
{
	if (tracer_changing())
		return -EBUSY;
	want.mask = mask;
	anew = false;
	change();
	return 0;
}

int tracer_stats(bool on)
{
	if (tracer_changing())
		return -EBUSY;
	if (on != stats)
		sched_stats_set(on);
	stats = on;
	/* A recording that has stopped by its event stays so. */
	want.mask &= ck_pr_load_32(&cpu_this()->trace_mask);
	anew = false;
	change();
	return 0;
}

/* Has a CPU come to where the recording was to stop? */
static bool is_over(void)
{
	for (u32 i = 0; i < cpu_count(); i++) {
		const struct trace_ring *r = &cpus[i].ring;

		if ((ck_pr_load_32(&r->flags) & TRACE_STOPPED) &&
		    ck_pr_load_64(&r->head) >= ck_pr_load_64(&r->limit))
			return true;
	}
	return false;
}

static bool all_have_masks(void)
{
	u32 mask = room ? want.mask : 0;

	for (u32 i = 0; i < cpu_count(); i++)
		if (mask & ~ck_pr_load_32(&cpu_by_index(i)->trace_mask))
			return false;
	return true;
}

/*
 * A recording that stops turns everybody off, and may meet a change: a CPU that
 * looks after that turns itself on again, and one that has looked already is
 * turned off by another's old recording. So when all have looked: what is over
 * is off, and what isn't is on; true if that takes another round.
 */
static bool must_look_again(void)
{
	bool masks = all_have_masks();

	/* The masks first: off before that, and not over, was the old one's. */
	ck_pr_fence_load();
	if (is_over()) {
		trace_freeze();
		return false;
	}
	if (masks)
		return false;
	anew = false;
	change();
	return true;
}

bool tracer_changing(void)
{
	u32 some = CPUS_AT_ONCE;

	if (!busy)
		return false;
	if (ck_pr_load_32(&left))
		return true;
	/* Pairs with the release in look: they have let go of the old rings. */
	ck_pr_fence_acquire();
	for (; freed < cpu_count(); freed++) {
		if (!cpus[freed].old)
			continue;
		if (!some--)
			return true;
		records_free(&cpus[freed].old, cpus[freed].old_order);
	}
	freed = 0;
	busy = must_look_again();
	return busy;
}

const struct trace_ring *tracer_ring(u32 cpu)
{
	return room ? &cpus[cpu].ring : NULL;
}

void tracer_status(struct tracer_status *out)
{
	*out = (struct tracer_status){
		.mask = (ck_pr_load_32(&cpu_this()->trace_mask) & TRACE_ALL) |
			(stats ? TRACE_STATS : 0),
		.flags = want.flags & TRACE_FLIGHT,
		.records = room,
		.stop_event = want.stop_event,
		.stop_after = want.stop_after,
		.late_ticks = want.late_ticks,
	};
	for (u32 i = 0; room && i < cpu_count(); i++)
		out->flags |= ck_pr_load_32(&cpus[i].ring.flags) &
			      TRACE_STOPPED;
}

void tracer_file(struct trace_file *out)
{
	*out = (struct trace_file){
		.magic = TRACE_FILE_MAGIC,
		.version = TRACE_VERSION,
		.head_bytes = sizeof(*out),
		.timebase_hz = timebase_hz,
		.cpus = cpu_count(),
		.names = ck_pr_load_32(&trace_memory.names),
		.record_bytes = sizeof(struct trace_record),
		.name_bytes = sizeof(struct trace_name),
		.cpu_bytes = sizeof(struct trace_file_cpu),
		.mask = ck_pr_load_32(&trace_memory.mask),
		.taken_ticks = time_now_ticks(),
		.wall_ns = trace_memory.wall_ns,
	};
}
