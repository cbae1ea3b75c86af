/*
 * The command table and what all commands share.
 *
 * A wrong command is answered in one line that says what was expected where
 * the first wrong word stands: the nouns, the noun's verbs, or the usage of the
 * command. The same rows feed the lookup, `help`, completion and the check of
 * docs/console.md, so they can't disagree.
 *
 * Tables are named here by file rather than gathered by the linker: the order
 * of `help` is worth a list.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct cmd *const tables[] = {
	cmd_guest_table, cmd_set_table,	  cmd_console_table,
	cmd_vcpu_table,	 cmd_sched_table, cmd_top_table,
	cmd_stats_table, cmd_trace_table, cmd_trace_dump_table,
	cmd_fault_table, cmd_misc_table,
};

const struct cmd *cmd_after(const struct cmd *c)
{
	bool next = !c;

	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (const struct cmd *r = tables[t]; r->noun; r++) {
			if (next)
				return r;
			next = r == c;
		}
	}
	return NULL;
}

void cmd_usage(struct out *o, const struct cmd *c)
{
	out_str(o, c->noun);
	if (c->verb)
		out_fmt(o, " %s", c->verb);
	if (c->args[0])
		out_fmt(o, " %s", c->args);
	if (c->json)
		out_str(o, " [-j]");
}

/* A line of text under construction, cut short at its end. */
struct cut {
	struct out out;
	size_t len;
	char text[512];
};

static void cut_put(struct out *o, const char *s, size_t n)
{
	struct cut *c = container_of(o, struct cut, out);
	size_t k = MIN(n, sizeof(c->text) - 1 - c->len);

	memcpy(c->text + c->len, s, k);
	c->len += k;
	c->text[c->len] = '\0';
}

#define CUT_INIT \
	{ \
		.out = {.put = cut_put } \
	}

/* Says that something is wrong: a line, or an object of type "error". */
static void say_wrong(struct out *o, bool json, const char *who,
		      const char *text)
{
	struct json j;

	if (!json) {
		out_fmt(o, "%s: %s\n", who, text);
		return;
	}
	json_open(&j, o, "error");
	json_str(&j, "command", who);
	json_str(&j, "message", text);
	json_close(&j);
}

static void cmd_name(const struct cmd *c, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "%s%s%s", c->noun, c->verb ? " " : "",
		 c->verb ? c->verb : "");
}

enum cmd_next cmd_fail(struct cmd_run *run, const char *fmt, ...)
{
	char name[48], text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cmd_name(run->cmd, name, sizeof(name));
	say_wrong(run->out, run->json, name, text);
	run->failed = true;
	return CMD_DONE;
}

/* ---- looking up ---- */

static void expect_noun(struct out *o, bool json, const char *word)
{
	const char *last = "";
	struct cut cut = CUT_INIT;
	size_t count = 0;

	out_str(&cut.out, "no such command; expected ");
	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		if (strcmp(c->noun, last) == 0)
			continue;
		out_fmt(&cut.out, "%s%s", count++ ? ", " : "", c->noun);
		last = c->noun;
	}
	say_wrong(o, json, word, cut.text);
}

static void expect_verb(struct out *o, bool json, const char *noun,
			const char *word)
{
	struct cut cut = CUT_INIT;
	size_t count = 0;

	if (word)
		out_fmt(&cut.out, "no '%.32s'; ", word);
	out_str(&cut.out, "expected ");
	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		if (strcmp(c->noun, noun) == 0)
			out_fmt(&cut.out, "%s%s", count++ ? ", " : "", c->verb);
	}
	say_wrong(o, json, noun, cut.text);
}

const struct cmd *cmd_find(struct out *out, char **words, u32 n, bool json,
			   u32 *used)
{
	const struct cmd *noun = NULL;

	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		if (strcmp(c->noun, words[0]) != 0)
			continue;
		noun = c;
		*used = c->verb ? 2 : 1;
		if (!c->verb || (n > 1 && strcmp(c->verb, words[1]) == 0))
			return c;
	}
	if (noun)
		expect_verb(out, json, noun->noun, words[1]);
	else
		expect_noun(out, json, words[0]);
	return NULL;
}

static int expect_usage(struct cmd_run *run, const char *why, const char *what)
{
	struct cut cut = CUT_INIT;

	cmd_usage(&cut.out, run->cmd);
	cmd_fail(run, "%s%.32s; expected: %s", why, what, cut.text);
	return -EINVAL;
}

/* A command on any guests does nothing if one of the names is wrong; a listing
 * has no heading then either. */
static int check_guests(struct cmd_run *run)
{
	const struct cmd *c = run->cmd;
	struct guest *g;

	if (c->max != CMD_ARGS_MANY || c->words || c->arg[0] != ARG_GUEST ||
	    c->arg[1] != ARG_GUEST)
		return 0;
	for (u32 i = 0; i < run->argc; i++) {
		g = cmd_guest(run, run->argv[i]);
		if (!g)
			return -ENOENT;
		guest_put(g);
	}
	return 0;
}

int cmd_check(struct cmd_run *run)
{
	u32 n = 0;

	for (u32 i = 0; i < run->argc; i++) {
		char *a = run->argv[i];

		if (a[0] != '-') {
			run->argv[n++] = a;
			continue;
		}
		if (!run->cmd->json || strcmp(a, "-j") != 0)
			return expect_usage(run, "no option ", a);
		run->json = true;
	}
	run->argv[n] = NULL;
	run->argc = n;
	if (n < run->cmd->min)
		return expect_usage(run, "something is missing", "");
	if (n > run->cmd->max)
		return expect_usage(run,
				    "too much: ", run->argv[run->cmd->max]);
	return check_guests(run);
}

/* ---- arguments ---- */

struct guest *cmd_guest(struct cmd_run *run, const char *name)
{
	struct guest *g = guest_find(name);
	struct cut cut = CUT_INIT;
	size_t count = 0;

	if (g)
		return g;
	while ((g = guest_next(g)) != NULL) {
		if (cut.len > 300) {
			out_str(&cut.out, ", ...");
			guest_put(g);
			break;
		}
		out_fmt(&cut.out, "%s%s", count++ ? ", " : "", g->cfg.name);
	}
	if (count)
		cmd_fail(run, "no guest '%.32s'; there are: %s", name,
			 cut.text);
	else
		cmd_fail(run, "no guest '%.32s'; there are none", name);
	return NULL;
}

struct vcpu *cmd_vcpu(struct cmd_run *run, const char *name, struct guest **g)
{
	const char *colon = strrchr(name, ':');
	char guest[128];
	u64 id;

	*g = NULL;
	if (!colon || (size_t)(colon - name) >= sizeof(guest) ||
	    word_u64(colon + 1, &id) != 0) {
		cmd_fail(run,
			 "'%.32s' is no vCPU; expected GUEST:N as in "
			 "linux0:1",
			 name);
		return NULL;
	}
	memcpy(guest, name, (size_t)(colon - name));
	guest[colon - name] = '\0';
	*g = cmd_guest(run, guest);
	if (!*g)
		return NULL;
	if (id < (*g)->cfg.vcpus)
		return (*g)->vcpu[id];
	cmd_fail(run, "%s has no vCPU %s; expected 0 to %u", guest, colon + 1,
		 (unsigned int)((*g)->cfg.vcpus - 1));
	guest_put(*g);
	*g = NULL;
	return NULL;
}

struct guest *cmd_any_guest(struct cmd_run *run)
{
	run->guest = guest_next(run->guest);
	return run->guest;
}

struct guest *cmd_each_guest(struct cmd_run *run)
{
	if (!run->argc)
		return cmd_any_guest(run);
	if (run->guest)
		guest_put(run->guest);
	run->guest = NULL;
	if (run->pos < run->argc)
		run->guest = cmd_guest(run, run->argv[run->pos++]);
	return run->guest;
}

struct vcpu *cmd_each_vcpu(struct cmd_run *run)
{
	if (!run->stage || run->stage > run->guest->cfg.vcpus) {
		if (!cmd_each_guest(run))
			return NULL;
		run->stage = 1;
	}
	return run->guest->vcpu[run->stage++ - 1];
}

void cmd_over(struct cmd_run *run)
{
	if (run->cmd && run->cmd->end)
		run->cmd->end(run);
	else
		obj_free(run->state);
	run->state = NULL;
	if (run->guest)
		guest_put(run->guest);
	run->guest = NULL;
}

u64 cmd_in_ms(const struct cmd_run *run, u64 ms)
{
	return run->now_ticks + us_to_ticks(ms * 1000);
}
