/*
 * Commands that belong to no noun: memory, log, help, and the end.
 */
#include "kernel/shell/cmd.h"

#include "kernel/gmem.h"
#include "kernel/guest.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/shell/console.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"

#include <inttypes.h>
#include <string.h>

/* ---- mem ---- */

/* The largest block that can be had in one piece, 0 if there is none. */
static u64 largest_free_bytes(void)
{
	u64 count[PAGE_ORDER_MAX + 1];

	page_free_blocks(count);
	for (u32 order = PAGE_ORDER_MAX + 1; order--;) {
		if (count[order])
			return PAGE_BYTES << order;
	}
	return 0;
}

/* "12.3 MiB" */
static void out_mib(struct out *o, u64 bytes)
{
	u64 tenths = (bytes * 10 + MIB / 2) / MIB;

	out_fmt(o, "%" PRIu64 ".%" PRIu64 " MiB", tenths / 10, tenths % 10);
}

static void mem_host(struct cmd_run *run)
{
	u64 total = page_total_count() * PAGE_BYTES;
	u64 avail = page_free_count() * PAGE_BYTES;
	struct json j;

	if (!run->json) {
		out_str(run->out, "host: ");
		out_mib(run->out, total);
		out_str(run->out, ", free ");
		out_mib(run->out, avail);
		out_str(run->out, ", largest block ");
		out_mib(run->out, largest_free_bytes());
		out_str(run->out, ", objects ");
		out_mib(run->out, obj_live_bytes());
		out_str(run->out, "\n");
		return;
	}
	json_open(&j, run->out, "memory");
	json_u64(&j, "total_bytes", total);
	json_u64(&j, "free_bytes", avail);
	json_u64(&j, "largest_free_bytes", largest_free_bytes());
	json_u64(&j, "object_bytes", obj_live_bytes());
	json_u64(&j, "object_frames_bytes", obj_held_bytes());
	json_close(&j);
}

static enum cmd_next mem_step(struct cmd_run *run)
{
	struct guest *g;
	struct json j;

	if (!run->stage++) {
		mem_host(run);
		return CMD_MORE;
	}
	g = cmd_each_guest(run);
	if (!g)
		return CMD_DONE;
	if (run->json) {
		json_open(&j, run->out, "guest_memory");
		json_str(&j, "guest", g->cfg.name);
		json_u64(&j, "reserved_bytes", gmem_bytes(g->mem));
		json_u64(&j, "touched_bytes", gmem_touched_bytes(g->mem));
		json_close(&j);
	} else {
		out_fmt(run->out,
			"%s: %" PRIu64 " MiB reserved, %" PRIu64 " touched\n",
			g->cfg.name, to_mib(gmem_bytes(g->mem)),
			to_mib(gmem_touched_bytes(g->mem)));
	}
	return CMD_MORE;
}

/* ---- log ---- */

#define LOG_SKIP_STEP 16u /* lines passed over in one step */

struct reading {
	u64 cursor, end;
	u64 lines; /* counted at first, then those to skip */
	struct log_entry entry;
};

static void log_row(struct cmd_run *run, const struct log_entry *e)
{
	static const char *const names[] = {"error", "warning", "info",
					    "debug"};
	char prefix[40];
	struct json j;
	size_t n;

	if (!run->json) {
		n = log_prefix(e, prefix);
		out_put(run->out, prefix, n);
		out_fmt(run->out, "%s\n", e->text);
		return;
	}
	json_open(&j, run->out, "log");
	json_u64(&j, "time_ns", ticks_to_ns(e->ticks));
	json_str(&j, "level",
		 e->level < ARRAY_LEN(names) ? names[e->level] : NULL);
	json_str(&j, "text", e->text);
	json_close(&j);
}

/* Counts what there is; then the lines to skip are known. False: go on. */
static bool log_count(struct cmd_run *run, struct reading *r)
{
	u64 wanted = UINT64_MAX, lost = 0;

	if (run->argc && word_u64(run->argv[0], &wanted) != 0) {
		cmd_fail(run, "'%.32s' lines; expected a number", run->argv[0]);
		return true;
	}
	for (u32 i = 0; i < LOG_SKIP_STEP; i++) {
		if (log_read(&r->cursor, &r->entry, &lost)) {
			r->lines++;
			continue;
		}
		r->end = r->cursor;
		r->cursor = 0;
		r->lines -= MIN(r->lines, wanted);
		run->stage = 1;
		break;
	}
	return false;
}

static enum cmd_next log_step(struct cmd_run *run)
{
	struct reading *r = run->state;
	u64 lost = 0;

	if (!r)
		r = run->state = obj_alloc(sizeof(*r));
	if (!r)
		return cmd_fail(run, "no memory");
	if (!run->stage)
		return log_count(run, r) ? CMD_DONE : CMD_MORE;
	for (u32 i = 0; i < LOG_SKIP_STEP; i++) {
		if (r->cursor >= r->end ||
		    !log_read(&r->cursor, &r->entry, &lost))
			return CMD_DONE;
		if (r->lines) {
			r->lines--;
			continue;
		}
		log_row(run, &r->entry);
		return CMD_MORE;
	}
	return CMD_MORE;
}

/* ---- help ---- */

static void help_row(struct cmd_run *run, const struct cmd *c)
{
	struct json j;

	if (run->json) {
		json_open(&j, run->out, "command");
		json_str(&j, "noun", c->noun);
		json_str(&j, "verb", c->verb);
		json_str(&j, "args", c->args);
		json_str(&j, "help", c->help);
		json_bool(&j, "json", c->json);
		json_close(&j);
		return;
	}
	cmd_usage(run->out, c);
	out_fmt(run->out, "\n    %s\n", c->help);
}

static bool help_wants(const struct cmd_run *run, const struct cmd *c)
{
	if (run->argc > 0 && strcmp(run->argv[0], c->noun) != 0)
		return false;
	return run->argc < 2 || (c->verb && strcmp(run->argv[1], c->verb) == 0);
}

/* In the list of all: a line for each noun, so that it fits a screen. */
static void help_noun(struct cmd_run *run, const struct cmd *c)
{
	const struct cmd *next;

	out_fmt(run->out, "%-9s %s", c->noun, c->verb ? c->verb : c->help);
	while ((next = cmd_after(c)) && strcmp(next->noun, c->noun) == 0) {
		c = next;
		run->pos++;
		out_fmt(run->out, ", %s", c->verb ? c->verb : c->help);
	}
	out_str(run->out, "\n");
}

static const char help_keys[] =
	"\nTab completes, arrows and ^R walk the history, ^C ends a command. "
	"';' separates\ncommands. -j prints one JSON object a line. "
	"'help COMMAND' says more.\n";

static enum cmd_next help_step(struct cmd_run *run)
{
	const struct cmd *c = NULL;

	for (u64 i = 0; i <= run->pos; i++)
		c = cmd_after(c);
	run->pos++;
	if (!c && !run->stage)
		return cmd_fail(run, "no command '%.32s'; 'help' lists them",
				run->argv[run->argc - 1]);
	if (!c) {
		if (!run->argc && !run->json)
			out_str(run->out, help_keys);
		return CMD_DONE;
	}
	if (!run->argc && !run->json) {
		run->stage = 1;
		help_noun(run, c);
	} else if (help_wants(run, c)) {
		run->stage = 1;
		help_row(run, c);
		if (run->argc && c->more && !run->json)
			out_str(run->out, c->more);
	}
	return CMD_MORE;
}

/* ---- sleep, and the end ---- */

/* Seconds with up to three decimals. 0 and *ms, or -EINVAL. */
static int sleep_length(const char *s, u64 *ms)
{
	u64 seconds = 0, unit = 1000;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		seconds = seconds * 10 + (u64)(*s - '0');
		if (seconds > 1000000000)
			return -EINVAL;
	}
	*ms = seconds * unit;
	if (*s == '.') {
		while (*++s >= '0' && *s <= '9' && unit > 1) {
			unit /= 10;
			*ms += (u64)(*s - '0') * unit;
		}
		if (unit == 1000)
			return -EINVAL;
	}
	return *s ? -EINVAL : 0;
}

static enum cmd_next sleep_step(struct cmd_run *run)
{
	u64 ms;

	if (!run->stage++) {
		if (sleep_length(run->argv[0], &ms) != 0)
			return cmd_fail(run,
					"'%.32s' seconds; expected a number "
					"such as 2 or 0.25",
					run->argv[0]);
		run->pos = cmd_in_ms(run, ms);
	}
	if (run->now_ticks >= run->pos)
		return CMD_DONE;
	run->wake_ticks = run->pos;
	return CMD_WAIT;
}

/* Nothing runs after these: they wait for the end. */
static enum cmd_next poweroff_step(struct cmd_run *run)
{
	u64 status = 0;

	if (run->argc &&
	    (word_u64(run->argv[0], &status) != 0 || status > UINT16_MAX))
		return cmd_fail(run, "'%.32s' as status; expected 0 to 65535",
				run->argv[0]);
	console_poweroff((u32)status);
	return CMD_WAIT;
}

static enum cmd_next reboot_step(struct cmd_run *run)
{
	if (!run->stage++)
		console_reboot();
	else if (!console_ending())
		return CMD_DONE; /* it can't; the log says why */
	return CMD_WAIT;
}

static enum cmd_next panic_step(struct cmd_run *run)
{
	panic("asked for on the console");
}

const struct cmd cmd_misc_table[] = {
	{.noun = "mem",
	 .args = "[GUEST...]",
	 .help = "show memory: the host's and the guests'",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .json = true,
	 .step = mem_step},
	{.noun = "log",
	 .args = "[LINES]",
	 .help = "show the hypervisor's log, or its last LINES",
	 .max = 1,
	 .json = true,
	 .step = log_step},
	{.noun = "sleep",
	 .args = "SECONDS",
	 .help = "wait before the next command of a script",
	 .min = 1,
	 .max = 1,
	 .step = sleep_step},
	{.noun = "help",
	 .args = "[COMMAND]",
	 .help = "list commands, or explain one",
	 .max = 2,
	 .arg = {ARG_COMMAND, ARG_NONE},
	 .json = true,
	 .step = help_step},
	{.noun = "reboot",
	 .args = "",
	 .help = "start the machine anew",
	 .step = reboot_step},
	{.noun = "poweroff",
	 .args = "[STATUS]",
	 .help = "end the machine; STATUS becomes QEMU's exit code",
	 .max = 1,
	 .step = poweroff_step},
	{.noun = "panic",
	 .args = "",
	 .help = "end the machine as a bug in Rouse would, to see the report",
	 .step = panic_step},
	{.noun = NULL},
};
