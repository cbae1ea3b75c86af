/*
 * `trace dump`: the way out for a trace where nobody can read the machine's
 * memory from outside.
 *
 * It writes the bytes of a trace file (kernel/trace.h) as lines of base64 that
 * tools/trace finds in any log of the console:
 *
 *     trace-begin
 *     trace:0:Uk9VU0VUUkMB...
 *     trace:1:...
 *     trace-end 2
 *
 * With -j each of them is an object. A line has its number, so that the tool
 * can say what is missing. Records are copied while their CPUs go on recording,
 * so the file may have several pieces of a CPU, each with the number of its
 * first record; what is recorded after the command began is not in it.
 */
#include "kernel/shell/cmd.h"

#include "kernel/mem.h"
#include "kernel/tracer.h"

#include <string.h>

#define LINE_BYTES   48u /* 64 characters of base64 */
#define COPY_RECORDS 16u /* in one step */

struct dump {
	u32 names, cpu;
	u64 lines;
	u64 from, end; /* records of that CPU */
	size_t len;    /* bytes that wait for a line to be full */
	u8 bytes[2 * LINE_BYTES + sizeof(struct trace_file_cpu) +
		 COPY_RECORDS * sizeof(struct trace_record)];
	struct trace_record copy[COPY_RECORDS];
};

static void add(struct dump *d, const void *p, size_t n)
{
	memcpy(d->bytes + d->len, p, n);
	d->len += n;
}

static void base64(const u8 *in, size_t n, char *out)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
				    "qrstuvwxyz0123456789+/";

	for (; n; in += 3, n -= MIN(n, 3u)) {
		u32 w = (u32)in[0] << 16 | (n > 1 ? (u32)in[1] << 8 : 0) |
			(n > 2 ? in[2] : 0);

		*out++ = digit[w >> 18];
		*out++ = digit[w >> 12 & 63];
		*out++ = n > 1 ? digit[w >> 6 & 63] : '=';
		*out++ = n > 2 ? digit[w & 63] : '=';
	}
	*out = '\0';
}

static void line(struct cmd_run *run, u64 number, const char *text)
{
	struct json j;

	if (!run->json) {
		out_fmt(run->out, "trace:%lx:%s\n", number, text);
		return;
	}
	json_open(&j, run->out, "trace_line");
	json_u64(&j, "line", number);
	json_str(&j, "base64", text);
	json_close(&j);
}

/* Full lines, or with `all` what is left as well. */
static void lines(struct cmd_run *run, struct dump *d, bool all)
{
	char text[LINE_BYTES / 3 * 4 + 1];
	size_t at = 0;

	while (d->len - at >= LINE_BYTES || (all && d->len > at)) {
		size_t n = MIN(LINE_BYTES, d->len - at);

		base64(d->bytes + at, n, text);
		line(run, d->lines++, text);
		at += n;
	}
	memmove(d->bytes, d->bytes + at, d->len - at);
	d->len -= at;
}

static void dump_begin(struct cmd_run *run, struct dump *d)
{
	struct trace_file f;
	struct json j;

	tracer_file(&f);
	d->names = f.names;
	if (run->json) {
		json_open(&j, run->out, "trace_begin");
		json_close(&j);
	} else {
		out_str(run->out, "trace-begin\n");
	}
	add(d, &f, sizeof(f));
}

/* The next piece of a CPU's ring; false: that was all of it. */
static bool dump_piece(struct dump *d, const struct trace_ring *r)
{
	struct trace_file_cpu head = {.cpu = d->cpu};
	u64 n;

	if (d->from >= d->end)
		return false;
	n = trace_copy(r, d->from, MIN(COPY_RECORDS, d->end - d->from), d->copy,
		       &head.first);
	/* Overtaken by the CPU: from its oldest on, unless that is beyond what
	 * there was when we began. */
	if (head.first + n > d->end)
		n = head.first < d->end ? d->end - head.first : 0;
	d->from = head.first + n;
	head.flags = ck_pr_load_32(&r->flags);
	head.lost = ck_pr_load_64(&r->lost);
	head.records = n;
	add(d, &head, sizeof(head));
	add(d, d->copy, n * sizeof(*d->copy));
	return true;
}

static enum cmd_next dump_end(struct cmd_run *run, struct dump *d)
{
	struct json j;

	lines(run, d, true);
	if (!run->json) {
		out_fmt(run->out, "trace-end %lx\n", d->lines);
		return CMD_DONE;
	}
	json_open(&j, run->out, "trace_end");
	json_u64(&j, "lines", d->lines);
	json_close(&j);
	return CMD_DONE;
}

/* Stages: 0, the head; 1 to names, a name each; then the CPUs' rings. */
static enum cmd_next trace_dump(struct cmd_run *run)
{
	struct dump *d = run->state;
	const struct trace_ring *r;
	struct trace_name name;

	if (!tracer_ring(0))
		return cmd_fail(run, "nothing was recorded; expected "
				     "'trace on' first");
	if (!d)
		d = run->state = obj_alloc(sizeof(*d));
	if (!d)
		return cmd_fail(run, "no memory");
	if (!run->stage) {
		dump_begin(run, d);
	} else if (run->stage <= d->names &&
		   tracer_name(run->stage - 1, &name)) {
		add(d, &name, sizeof(name));
	} else if (d->cpu >= cpu_count()) {
		return dump_end(run, d);
	} else {
		r = tracer_ring(d->cpu);
		if (!d->end)
			d->end = ck_pr_load_64(&r->head);
		if (!dump_piece(d, r)) {
			d->cpu++;
			d->from = d->end = 0;
		}
	}
	run->stage++;
	lines(run, d, false);
	return CMD_MORE;
}

const struct cmd cmd_trace_dump_table[] = {
	{.noun = "trace",
	 .verb = "dump",
	 .args = "",
	 .help = "print the records, for tools/trace to read from a log",
	 .json = true,
	 .step = trace_dump},
	{.noun = NULL},
};
