/*
 * What can be said of a CPU from outside.
 *
 * Nothing here waits for the CPU or takes a lock, since it may be stuck with
 * any of them: words are read as they stand. A vCPU that is some CPU's current
 * isn't freed before this CPU has looked at its mail, twice (sched_quiesce), so
 * its guest's name is there.
 */
#include "kernel/where.h"

#include <ck_pr.h>
#include <stdio.h>

#include "kernel/arch.h"
#include "kernel/backtrace.h"
#include "kernel/guest.h"
#include "kernel/percpu/cpu.h"
#include "kernel/percpu/trace.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"

#define RECORDS 4u /* the last ones */

struct printer {
	void (*line)(void *ctx, const char *text);
	void *ctx;
	bool exact; /* the next address is no return address */
};

static const char *mode_name(u32 mode)
{
	static const char *const names[] = {
		[CPU_HYP] = "in the hypervisor",
		[CPU_GUEST] = "in a guest",
		[CPU_IDLE] = "idle",
	};

	return mode < ARRAY_LEN(names) ? names[mode] : "?";
}

static const char *state_name(u32 state)
{
	static const char *const names[] = {
		[VCPU_OFF] = "off",	    [VCPU_QUEUED] = "queued",
		[VCPU_RUNNING] = "running", [VCPU_BLOCKING] = "blocking",
		[VCPU_BLOCKED] = "blocked", [VCPU_WAKING] = "waking",
	};

	return state < ARRAY_LEN(names) ? names[state] : "?";
}

static void print_words(struct cpu *c, struct printer *p)
{
	const struct vcpu *v = ck_pr_load_ptr(&c->current);
	char text[200];

	snprintf(text, sizeof(text),
		 "CPU %u: %s, current %s/%d, last guest pc 0x%lx%s%s%s%s",
		 c->index, mode_name(ck_pr_load_32(&c->mode)),
		 v ? v->guest->cfg.name : "none", v ? (int)v->id : -1,
		 arch_cpu_last_pc(c), v ? ", vCPU " : "",
		 v ? state_name(ck_pr_load_32(&v->state)) : "",
		 mbox_has_mail(&c->mbox) ? ", has mail" : "",
		 ck_pr_load_64(&c->bell) ? ", was rung" : "");
	p->line(p->ctx, text);
}

static void print_frame(void *ctx, u64 pc)
{
	struct printer *p = ctx;
	char name[96], text[128];

	if (p->exact)
		ksym_format(pc, name, sizeof(name));
	else
		ksym_format_return(pc, name, sizeof(name));
	p->exact = false;
	snprintf(text, sizeof(text), "  %016lx %s", pc, name);
	p->line(p->ctx, text);
}

static void print_place(struct cpu *c, struct printer *p)
{
	struct cpu_where w;

	if (!arch_cpu_where(c, &w))
		return;
	p->exact = true;
	backtrace(c, w.pc, w.fp, print_frame, p);
}

static void print_records(struct cpu *c, struct printer *p)
{
	const struct trace_ring *r = ck_pr_load_ptr(&c->trace);
	struct trace_record last[RECORDS];
	u64 head, first, n;
	char record[TRACER_RECORD_BYTES], text[TRACER_RECORD_BYTES + 32];

	if (!r)
		return;
	head = ck_pr_load_64(&r->head);
	n = trace_copy(r, head - MIN(head, RECORDS), RECORDS, last, &first);
	for (u64 i = 0; i < n; i++) {
		tracer_record_format(&last[i], record);
		/* Nobody is -1. */
		snprintf(text, sizeof(text), "  %s, vCPU %d", record,
			 (int)last[i].vcpu);
		p->line(p->ctx, text);
	}
}

void where_print(struct cpu *c, void (*line)(void *ctx, const char *text),
		 void *ctx)
{
	struct printer p = {.line = line, .ctx = ctx};

	print_words(c, &p);
	print_place(c, &p);
	print_records(c, &p);
}
