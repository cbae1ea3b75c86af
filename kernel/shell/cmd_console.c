/*
 * Commands on the terminal itself: `console`, `watch`, `screen`.
 *
 * Being attached to a guest is a command that takes every key until the escape
 * key, so the shell needs no second mode, and what follows in a script runs
 * when the user has come back.
 */
#include "kernel/shell/cmd.h"

#include "kernel/gcons.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/shell/console.h"
#include "kernel/shell/view.h"
#include "kernel/shell/word.h"

#include <ck_pr.h>
#include <inttypes.h>
#include <string.h>

/* ---- console ---- */

enum {
	ATTACH,
	ATTACHED,
	LEAVE
};

struct attached {
	u32 state; /* of the guest, when we last looked */
};

static enum cmd_next attach(struct cmd_run *run)
{
	struct attached *a = obj_alloc(sizeof(*a));
	struct guest *g;

	run->state = a;
	if (!a || !run->console)
		return cmd_fail(run, "no memory");
	g = cmd_guest(run, run->argv[0]);
	if (!g)
		return CMD_DONE;
	a->state = ck_pr_load_32(&g->state);
	out_fmt(run->out, "[rouse: console of %s, %s; Ctrl-] comes back]\n",
		g->cfg.name, guest_state_name(g));
	view_attach(console_view(run->console), g->console);
	guest_put(g);
	run->stage = ATTACHED;
	return CMD_WAIT;
}

/* Says what became of the guest, which itself may no longer be able to. */
static void attached_look(struct cmd_run *run)
{
	struct attached *a = run->state;
	struct guest *g = guest_find(run->argv[0]);
	u32 state;

	if (!g) {
		out_fmt(run->out, "\n[rouse: %s is gone]\n", run->argv[0]);
		run->stage = LEAVE;
		return;
	}
	state = ck_pr_load_32(&g->state);
	if (state != a->state && state == GUEST_STOPPED)
		out_fmt(run->out,
			"\n[rouse: %s has stopped (%s); Ctrl-] comes "
			"back]\n",
			g->cfg.name, guest_event_name(g->last_event));
	else if (state != a->state && state == GUEST_RUNNING)
		out_fmt(run->out, "\n[rouse: %s starts]\n", g->cfg.name);
	a->state = state;
	guest_put(g);
}

static enum cmd_next console_step_cmd(struct cmd_run *run)
{
	if (run->stage == ATTACH)
		return attach(run);
	if (run->stage == ATTACHED)
		attached_look(run);
	return run->stage == LEAVE ? CMD_DONE : CMD_WAIT;
}

static void console_key(struct cmd_run *run, char c)
{
	struct view *v = console_view(run->console);

	if (run->stage != ATTACHED)
		return;
	if (c == CONSOLE_ESCAPE) {
		/* At once: a guest that floods must not keep us here. */
		view_detach(v);
		run->stage = LEAVE;
	} else if (!gcons_type(v->attached, &c, 1)) {
		out_str(run->out, "\a");
	}
}

static void console_end(struct cmd_run *run)
{
	if (run->stage == LEAVE || run->stage == ATTACHED) {
		view_detach(console_view(run->console));
		out_fmt(run->out, "\n[rouse: left %s]\n", run->argv[0]);
	}
	obj_free(run->state);
}

/* ---- watch ---- */

static bool is_named(const struct cmd_run *run, const char *name)
{
	for (u32 i = 0; i < run->argc; i++) {
		if (strcmp(run->argv[i], name) == 0)
			return true;
	}
	return false;
}

static void watch_row(struct cmd_run *run, struct guest *g)
{
	struct gcons_stats s;
	struct json j;

	gcons_stats(g->console, &s);
	if (!run->json) {
		out_fmt(run->out,
			"%-16s %-8s %10" PRIu64 " %10" PRIu64 " %10" PRIu64
			"\n",
			g->cfg.name, g->console->watched ? "watched" : "-",
			s.written_bytes, s.unseen_bytes, s.lost_bytes);
		return;
	}
	json_open(&j, run->out, "watch");
	json_str(&j, "guest", g->cfg.name);
	json_bool(&j, "watched", g->console->watched);
	json_u64(&j, "written_bytes", s.written_bytes);
	json_u64(&j, "unseen_bytes", s.unseen_bytes);
	json_u64(&j, "lost_bytes", s.lost_bytes);
	json_close(&j);
}

/* A guest nobody knows is an error before anything changes. */
static bool watch_names_ok(struct cmd_run *run)
{
	struct guest *g;

	for (u32 i = 0; i < run->argc; i++) {
		g = cmd_guest(run, run->argv[i]);
		if (!g)
			return false;
		guest_put(g);
	}
	return true;
}

enum {
	WATCH_BEGIN,
	WATCH_ALL,
	WATCH_OFF,
	WATCH_NAMED,
	WATCH_LIST
};

static bool watch_begin(struct cmd_run *run)
{
	const char *first = run->argc ? run->argv[0] : NULL;

	run->stage = WATCH_NAMED;
	if (!first)
		run->stage = WATCH_LIST;
	else if (run->argc == 1 && strcmp(first, "all") == 0)
		run->stage = WATCH_ALL;
	else if (run->argc == 1 && strcmp(first, "off") == 0)
		run->stage = WATCH_OFF;
	else if (!watch_names_ok(run))
		return false;
	if (first && run->console)
		console_watch_all(run->console, run->stage == WATCH_ALL);
	else if (!run->json)
		out_str(run->out, "GUEST            SHOWN       WRITTEN"
				  "     UNSEEN       LOST\n");
	return true;
}

static enum cmd_next watch_step(struct cmd_run *run)
{
	struct guest *g;
	bool on;

	if (run->stage == WATCH_BEGIN && !watch_begin(run))
		return CMD_DONE;
	g = cmd_any_guest(run);
	if (!g)
		return CMD_DONE;
	on = run->stage == WATCH_ALL ||
	     (run->stage == WATCH_NAMED && is_named(run, g->cfg.name));
	if (run->stage == WATCH_LIST)
		watch_row(run, g);
	else if (run->console && on != g->console->watched)
		view_watch(console_view(run->console), g->console, on);
	return CMD_MORE;
}

/* ---- screen ---- */

static enum cmd_next screen_step(struct cmd_run *run)
{
	u64 columns, rows = run->rows;

	if (word_u64(run->argv[0], &columns) != 0 || columns < 20 ||
	    columns > 1000)
		return cmd_fail(run, "'%.32s' columns; expected 20 to 1000",
				run->argv[0]);
	if (run->argc > 1 &&
	    (word_u64(run->argv[1], &rows) != 0 || rows < 5 || rows > 1000))
		return cmd_fail(run, "'%.32s' rows; expected 5 to 1000",
				run->argv[1]);
	run->rows = (u32)rows;
	if (run->console)
		console_set_columns(run->console, (u32)columns);
	return CMD_DONE;
}

const struct cmd cmd_console_table[] = {
	{.noun = "console",
	 .args = "GUEST",
	 .help = "enter a guest's console; Ctrl-] comes back",
	 .more = "What the guest wrote since you were last there is shown "
		 "first.\n",
	 .min = 1,
	 .max = 1,
	 .arg = {ARG_GUEST, ARG_NONE},
	 .screen = true,
	 .every_key = true,
	 .step = console_step_cmd,
	 .key = console_key,
	 .end = console_end},
	{.noun = "watch",
	 .args = "[all|off|GUEST...]",
	 .help = "choose whose lines are shown here; none: list them",
	 .more = "Lines come with the guest's name in front, [linux0], and "
		 "are safe for any terminal.\nAt start, all are watched.\n",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .words = "all|off",
	 .json = true,
	 .step = watch_step},
	{.noun = "screen",
	 .args = "COLUMNS [ROWS]",
	 .help = "say how large this terminal is; 80 by 24 at start",
	 .min = 1,
	 .max = 2,
	 .step = screen_step},
	{.noun = NULL},
};
