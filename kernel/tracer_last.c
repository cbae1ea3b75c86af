/*
 * The last records of one vCPU, in words: for who is told that it could not go
 * on.
 *
 * They are looked for in the ring of the CPU on which this runs, which writes
 * nothing meanwhile, from its end backwards and not without end: among other
 * vCPUs' records there may be none for long.
 */
#include <stdio.h>

#include "kernel/percpu/trace.h"
#include "kernel/time.h"
#include "kernel/tracer.h"

#define LOOK_RECORDS 4096u /* so far back at most */
#define LAST_MOST    16u

static const struct event {
	u32 number;
	const char *name, *a, *b;
} events[] = {
#define X(number, NAME, CLASS, a, b, text) { number, #NAME, a, b },
	TRACE_EVENTS(X)
#undef X
};

static const struct event *event_find(u32 number)
{
	for (u32 i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].number == number)
			return &events[i];
	return NULL;
}

/* " name=value", or nothing for a word without a name. */
static int word(char *buf, size_t bytes, const char *name, u64 val)
{
	return name && *name ? snprintf(buf, bytes, " %s=0x%lx", name, val) :
			       0;
}

void tracer_record_format(const struct trace_record *r,
			  char text[TRACER_RECORD_BYTES])
{
	const struct event *e = event_find(r->event);
	u64 us = ticks_to_ns(r->time_ticks) / 1000;
	size_t room = TRACER_RECORD_BYTES;
	int n = snprintf(text, room, "%lu.%06lu %s", us / 1000000,
			 us % 1000000, e ? e->name : "?");

	n += word(text + n, room - (size_t)n, e ? e->a : "a", r->a);
	word(text + n, room - (size_t)n, e ? e->b : "b", r->b);
}

u32 tracer_tell_last(u32 vcpu, u32 count,
		     void (*tell)(void *ctx, const char *text), void *ctx)
{
	const struct trace_ring *r = cpu_this()->trace;
	struct trace_record last[LAST_MOST], one;
	u64 head = r ? ck_pr_load_64(&r->head) : 0, first;
	u32 n = 0;

	count = MIN(count, LAST_MOST);
	for (u64 i = 1; i <= MIN(head, (u64)LOOK_RECORDS) && n < count; i++) {
		if (trace_copy(r, head - i, 1, &one, &first) != 1 ||
		    first != head - i)
			break;
		if (one.vcpu == vcpu)
			last[n++] = one;
	}
	for (u32 i = n; i-- > 0;) {
		char text[TRACER_RECORD_BYTES];

		tracer_record_format(&last[i], text);
		tell(ctx, text);
	}
	return n;
}
