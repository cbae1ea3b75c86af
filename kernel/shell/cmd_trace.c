/*
 * Commands on tracing: what is recorded, and how much was.
 *
 * What changes it (on, off, mask) waits until every CPU has come to it, so the
 * next command of a script finds the recording as it was asked for. What was
 * recorded leaves by cmd_trace_dump.c.
 */
#include "kernel/shell/cmd.h"

#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "kernel/tracer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct word {
	u32 number;
	const char *name;
};

static const struct word classes[] = {
#define X(bit, NAME, word, text) {1u << (bit), word},
	TRACE_CLASSES(X)
#undef X
};

static const struct word events[] = {
#define X(number, NAME, CLASS, a, b, text) {number, #NAME},
	TRACE_EVENTS(X)
#undef X
};

/* "exit,call,..." of the mask; "none". */
static void mask_show(u32 mask, char *buf, size_t bytes)
{
	size_t n = 0;

	snprintf(buf, bytes, "none");
	for (u32 i = 0; i < ARRAY_LEN(classes) && n < bytes; i++)
		if (mask & classes[i].number)
			n += (size_t)snprintf(buf + n, bytes - n, "%s%s",
					      n ? "," : "", classes[i].name);
}

/* The number of the word that `s` begins with, which has `len` characters, in
 * any case of letters; 0: none has it. */
static u32 find(const struct word *w, size_t count, const char *s, size_t len)
{
	for (; count--; w++) {
		size_t i = 0;

		while (i < len && (w->name[i] | 0x20) == (s[i] | 0x20))
			i++;
		if (i == len && !w->name[len])
			return w->number;
	}
	return 0;
}

/* "exit,sched" or "all" to *mask; false: answered. */
static bool mask_read(struct cmd_run *run, const char *s, u32 *mask)
{
	char all[128];

	*mask = 0;
	if (strcmp(s, "all") == 0) {
		*mask = TRACE_ALL;
		return true;
	}
	for (;;) {
		size_t len = strcspn(s, ",");
		u32 bit = find(classes, ARRAY_LEN(classes), s, len);

		if (!bit) {
			mask_show(TRACE_ALL, all, sizeof(all));
			cmd_fail(run,
				 "no class '%.*s'; expected all, or some "
				 "of %s",
				 (int)MIN(len, 32u), s, all);
			return false;
		}
		*mask |= bit;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

/* ---- trace on, off, mask ---- */

static bool number(struct cmd_run *run, const char *key, const char *s,
		   u64 least, u64 most, u64 *out)
{
	if (word_u64(s, out) == 0 && *out >= least && *out <= most)
		return true;
	cmd_fail(run, "%s=%.32s; expected a number from %lu to %lu", key, s,
		 least, most);
	return false;
}

/* size=KIB mode=flight|fill stop=EVENT after=N late=US */
static bool option(struct cmd_run *run, const char *arg, const char *value,
		   struct tracer_config *c)
{
	size_t len = (size_t)(value - 1 - arg);
	u64 n = 0;

	if (len == 4 && strncmp(arg, "size", len) == 0) {
		if (!number(run, "size", value, 1,
			    TRACER_RECORDS_MAX / (KIB / 32), &n))
			return false;
		c->records = KIB / 32;
		while (c->records < n * (KIB / 32))
			c->records *= 2;
	} else if (len == 4 && strncmp(arg, "mode", len) == 0) {
		if (strcmp(value, "flight") && strcmp(value, "fill"))
			return cmd_fail(run,
					"mode=%.32s; expected flight (the "
					"last records) or fill (the first)",
					value),
			       false;
		c->flags = value[1] == 'l' ? TRACE_FLIGHT : 0;
	} else if (len == 4 && strncmp(arg, "stop", len) == 0) {
		c->stop_event =
			find(events, ARRAY_LEN(events), value, strlen(value));
		if (!c->stop_event)
			return cmd_fail(run,
					"stop=%.32s; expected an event, "
					"such as WAKE (docs/trace.md)",
					value),
			       false;
	} else if (len == 5 && strncmp(arg, "after", len) == 0) {
		return number(run, "after", value, 0, TRACER_RECORDS_MAX,
			      &c->stop_after);
	} else if (len == 4 && strncmp(arg, "late", len) == 0) {
		if (!number(run, "late", value, 0, 1000000000, &n))
			return false;
		c->late_ticks = us_to_ticks(n);
	} else {
		cmd_fail(run,
			 "'%.32s'; expected size=, mode=, stop=, after= "
			 "or late=",
			 arg);
		return false;
	}
	return true;
}

static void status_json(struct cmd_run *run);

/* Waits until all CPUs have come to it; with -j it says what is so now. */
static enum cmd_next settle(struct cmd_run *run)
{
	run->stage = 1;
	if (!tracer_changing()) {
		if (run->json)
			status_json(run);
		return CMD_DONE;
	}
	run->wake_ticks = cmd_in_ms(run, 1);
	return CMD_WAIT;
}

static enum cmd_next begun(struct cmd_run *run, int ret)
{
	/* For each CPU there is something to be made: the same once more. */
	if (ret > 0)
		return CMD_MORE;
	if (ret == -EBUSY)
		return cmd_fail(run, "a change is on its way; try again");
	if (ret)
		return cmd_fail(run, "no memory for the rings; expected "
				     "a smaller size=");
	return settle(run);
}

static enum cmd_next trace_start(struct cmd_run *run)
{
	struct tracer_config c = {.flags = TRACE_FLIGHT,
				  .late_ticks = TIME_NEVER};

	if (run->stage)
		return settle(run);
	for (u32 i = 0; i < run->argc; i++) {
		const char *eq = strchr(run->argv[i], '=');
		u32 mask;

		if (eq ? !option(run, run->argv[i], eq + 1, &c)
		       : !mask_read(run, run->argv[i], &mask))
			return CMD_DONE;
		if (!eq)
			c.mask |= mask;
	}
	if (!c.mask)
		c.mask = TRACE_ALL;
	if (c.stop_after && !c.stop_event)
		return cmd_fail(run, "after= without stop=");
	return begun(run, tracer_start(&c));
}

static enum cmd_next trace_stop(struct cmd_run *run)
{
	return run->stage ? settle(run) : begun(run, tracer_mask(0));
}

static enum cmd_next trace_mask(struct cmd_run *run)
{
	struct tracer_status s;
	u32 mask = 0, bits;

	if (run->stage)
		return settle(run);
	for (u32 i = 0; i < run->argc; i++) {
		if (!mask_read(run, run->argv[i], &bits))
			return CMD_DONE;
		mask |= bits;
	}
	tracer_status(&s);
	if (!s.records || (s.flags & TRACE_STOPPED))
		return cmd_fail(run, "nothing is recorded; expected 'trace on' "
				     "first");
	return begun(run, tracer_mask(mask));
}

/* ---- trace status ---- */

static const char *event_name(u32 number)
{
	for (u32 i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].number == number)
			return events[i].name;
	return NULL;
}

static void status_json(struct cmd_run *run)
{
	struct tracer_status status, *s = &status;
	struct json j;

	tracer_status(s);
	json_open(&j, run->out, "trace");
	json_bool(&j, "on", s->mask & TRACE_ALL);
	json_array(&j, "classes");
	for (u32 i = 0; i < ARRAY_LEN(classes); i++)
		if (s->mask & classes[i].number)
			json_str(&j, NULL, classes[i].name);
	json_end(&j);
	json_bool(&j, "statistics", s->mask & TRACE_STATS);
	json_str(&j, "mode", s->flags & TRACE_FLIGHT ? "flight" : "fill");
	json_bool(&j, "stopped", s->flags & TRACE_STOPPED);
	json_str(&j, "stop", event_name(s->stop_event));
	json_u64(&j, "after", s->stop_after);
	json_u64_or_null(&j, "late_ns",
			 s->late_ticks == TIME_NEVER
				 ? TIME_NEVER
				 : ticks_to_ns(s->late_ticks),
			 TIME_NEVER);
	json_u64(&j, "size_records", s->records);
	json_close(&j);
}

static void status_text(struct cmd_run *run)
{
	struct tracer_status status, *s = &status;
	char mask[128];

	tracer_status(s);
	mask_show(s->mask & TRACE_ALL, mask, sizeof(mask));
	out_fmt(run->out,
		"recording %s%s; %lu KiB on each CPU, the %s "
		"records are kept; statistics %s\n",
		mask, s->flags & TRACE_STOPPED ? " (stopped by its event)" : "",
		s->records * sizeof(struct trace_record) / KIB,
		s->flags & TRACE_FLIGHT ? "last" : "first",
		s->mask & TRACE_STATS ? "on" : "off");
	if (s->stop_event)
		out_fmt(run->out, "ends %lu records after %s\n", s->stop_after,
			event_name(s->stop_event));
	if (s->late_ticks != TIME_NEVER)
		out_fmt(run->out, "LATE: a wait of more than %lu us\n",
			ticks_to_ns(s->late_ticks) / 1000);
}

static void status_cpu(struct cmd_run *run, u32 cpu, const struct trace_ring *r)
{
	u64 head = ck_pr_load_64(&r->head), lost = ck_pr_load_64(&r->lost);
	u64 kept = MIN(head, r->mask + 1);
	struct json j;

	if (!run->json) {
		out_fmt(run->out,
			"CPU %" PRIu32 ": %lu records, %lu kept, "
			"%lu overwritten, %lu lost\n",
			cpu, head, kept, head - kept, lost);
		return;
	}
	json_open(&j, run->out, "trace_cpu");
	json_u64(&j, "cpu", cpu);
	json_u64(&j, "records", head);
	json_u64(&j, "kept", kept);
	json_u64(&j, "overwritten", head - kept);
	json_u64(&j, "lost", lost);
	json_close(&j);
}

static enum cmd_next trace_status(struct cmd_run *run)
{
	u32 cpu = run->stage++;

	if (cpu) {
		const struct trace_ring *r;

		r = cpu <= cpu_count() ? tracer_ring(cpu - 1) : NULL;
		if (!r)
			return CMD_DONE;
		status_cpu(run, cpu - 1, r);
		return CMD_MORE;
	}
	if (run->json)
		status_json(run);
	else
		status_text(run);
	return CMD_MORE;
}

const struct cmd cmd_trace_table[] = {
	{.noun = "trace",
	 .verb = "on",
	 .args = "[CLASS,...] [OPTION=VALUE...]",
	 .help = "record anew, all classes or those",
	 .more = "    size=KIB on each CPU (1024, or as before), mode=flight "
		 "keeps the last\n    records, mode=fill the first; stop=EVENT "
		 "ends it when that is recorded,\n    after=N records later; "
		 "late=US records LATE for waits longer than that\n",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_WORD, ARG_WORD},
	 .words = "all|exit|call|device|memory|virq|sched|bell|timer|policy|"
		  "life|size=|mode=flight|mode=fill|stop=|after=|late=",
	 .json = true,
	 .step = trace_start},
	{.noun = "trace",
	 .verb = "off",
	 .args = "",
	 .help = "record nothing more; what was recorded stays",
	 .json = true,
	 .step = trace_stop},
	{.noun = "trace",
	 .verb = "mask",
	 .args = "CLASS,...",
	 .help = "record these classes from now on, or all",
	 .min = 1,
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_WORD, ARG_WORD},
	 .words = "all|exit|call|device|memory|virq|sched|bell|timer|policy|"
		  "life",
	 .json = true,
	 .step = trace_mask},
	{.noun = "trace",
	 .verb = "status",
	 .args = "",
	 .help = "show what is recorded, and how much",
	 .json = true,
	 .step = trace_status},
	{.noun = NULL},
};
