/*
 * A trace of a simulated run: see trace_out.h.
 *
 * Records are kept in memory, an array a CPU, and written at the end. That a
 * turn has ended is known only when the CPU runs another vCPU, and its record
 * bears the moment of the end: so each CPU's records are brought into the order
 * of their times before they are written, those of equal times as they came.
 */
#include "bench/sim/trace_out.h"

#include <stdlib.h>
#include <string.h>

#include "bench/sim/text.h"
#include "kernel/sched/policy.h"
#include "kernel/trace.h"

struct log {
	struct trace_record *r;
	size_t n, room;
	struct work_vcpu *on; /* whose turn it is, or was last */
	u64 since, ended;
	enum run_end end;
};

static struct log *logs;
static u64 *wake_id, *wake_ends; /* of each vCPU: last, not yet dispatched */
static const char *file;

static void record(u32 cpu, u64 time, u16 event, u32 vcpu, u64 a, u64 b)
{
	struct log *l = &logs[cpu];

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 1024;
		l->r = realloc(l->r, l->room * sizeof(*l->r));
		if (!l->r)
			die("no memory for a trace of %zu records", l->room);
	}
	l->r[l->n++] = (struct trace_record){ time, event, (u16)cpu, vcpu, a,
					      b };
}

/* The vCPU that was on this CPU has left it, without having blocked. */
static void turn_over(u32 cpu)
{
	struct log *l = &logs[cpu];
	u16 event = TRACE_EV_SLICE_END;

	if (!l->on)
		return;
	if (l->end == RUN_YIELD)
		event = TRACE_EV_YIELD;
	else if (l->end == RUN_LOOK)
		event = TRACE_EV_PREEMPT;
	if (l->end == RUN_OFF)
		record(cpu, l->ended, TRACE_EV_VCPU_OFF, l->on->number,
		       l->on->f->v.guest->id, l->on->f->v.id);
	else
		record(cpu, l->ended, event, l->on->number,
		       l->ended - l->since, fake_cpus[cpu]->c.load);
	l->on = NULL;
}

static void on_run(struct fake_cpu *f, struct work_vcpu *w)
{
	struct log *l = &logs[f->c.index];
	u64 ends = wake_ends[w->number];

	if (l->on == w)
		return;
	turn_over(f->c.index);
	l->on = w;
	l->since = f->now;
	wake_ends[w->number] = 0;
	record(f->c.index, f->now, TRACE_EV_DISPATCH, w->number,
	       ends ? WHY_WOKEN : WHY_NEW, ends);
}

static void on_stop(struct fake_cpu *f, struct work_vcpu *w, enum run_end end)
{
	logs[f->c.index].ended = f->now;
	logs[f->c.index].end = end;
}

static void on_block(struct fake_cpu *f, struct work_vcpu *w, u64 deadline)
{
	logs[f->c.index].on = NULL;
	wake_ends[w->number] = 0;
	record(f->c.index, f->now, TRACE_EV_BLOCK, w->number, deadline, 0);
}

static void woken(u32 cpu, u64 now, struct work_vcpu *w, u32 by)
{
	if (wake_ends[w->number])
		return;
	wake_ends[w->number] = ++wake_id[w->number];
	record(cpu, now, TRACE_EV_WAKE, w->number, wake_id[w->number], by);
}

static void on_wake(u64 now, struct work_vcpu *w, struct work_vcpu *by)
{
	u32 cpu = by ? by->f->v.cpu->index : 0;

	woken(cpu, now, w, by ? by->number : TRACE_NOBODY);
}

static void on_timer(struct fake_cpu *f, struct work_vcpu *w)
{
	woken(f->c.index, f->now, w, TRACE_NOBODY);
}

static const struct work_observer observer = {
	.block = on_block,
	.wake = on_wake,
	.timer = on_timer,
	.run = on_run,
	.stop = on_stop,
};

void trace_out_begin(const char *path, u32 vcpus)
{
	u64 name = 0;

	file = path;
	logs = must_alloc(cpu_count(), sizeof(*logs));
	wake_id = must_alloc(vcpus, sizeof(*wake_id));
	wake_ends = must_alloc(vcpus, sizeof(*wake_ends));
	memcpy(&name, sched_policy_name(),
	       MIN(strlen(sched_policy_name()), sizeof(name)));
	for (u32 i = 0; i < cpu_count(); i++)
		record(i, sim_now(), TRACE_EV_POLICY_IS, TRACE_NOBODY, name, 0);
	work_observer = &observer;
}

/* By time, equals as they came. They are nearly in order: so this is quick. */
static void bring_into_order(struct log *l)
{
	for (size_t i = 1; i < l->n; i++) {
		struct trace_record r = l->r[i];
		size_t k = i;

		for (; k && l->r[k - 1].time_ticks > r.time_ticks; k--)
			l->r[k] = l->r[k - 1];
		l->r[k] = r;
	}
}

static void put(FILE *out, const void *p, size_t bytes)
{
	if (fwrite(p, bytes, 1, out) != 1)
		die("%s: %s", file, strerror(errno));
}

static void names_put(FILE *out, const struct sim_run *r)
{
	for (u32 i = 0; i < r->guests; i++) {
		const struct work_guest *g = &r->guest[i];

		for (u32 k = 0; k < g->fg->g.cfg.vcpus; k++) {
			struct trace_name n = {
				.vcpu = g->vcpu[k].number, .index = k,
				.guest_id = g->fg->g.id, .flags = 1,
				.born_ticks = FAKE_HZ,
			};

			snprintf(n.guest, sizeof(n.guest), "%s", g->name);
			put(out, &n, sizeof(n));
		}
	}
}

void trace_out_end(const struct sim_run *r)
{
	struct trace_file head = {
		.magic = TRACE_FILE_MAGIC, .version = TRACE_VERSION,
		.head_bytes = sizeof(head), .timebase_hz = FAKE_HZ,
		.cpus = cpu_count(), .names = work_count,
		.record_bytes = sizeof(struct trace_record),
		.name_bytes = sizeof(struct trace_name),
		.cpu_bytes = sizeof(struct trace_file_cpu),
		.mask = TRACE_SCHED | TRACE_LIFE, .taken_ticks = sim_now(),
	};
	FILE *out = fopen(file, "wb");

	if (!out)
		die("%s: %s", file, strerror(errno));
	put(out, &head, sizeof(head));
	names_put(out, r);
	for (u32 i = 0; i < cpu_count(); i++) {
		struct log *l = &logs[i];
		struct trace_file_cpu c = { .cpu = i, .records = l->n };

		bring_into_order(l);
		put(out, &c, sizeof(c));
		put(out, l->r, l->n * sizeof(*l->r));
	}
	if (fclose(out))
		die("%s: %s", file, strerror(errno));
}
