/*
 * `set`: a guest's knobs, listed and changed.
 *
 * What a knob is called, takes and says is the lab file's binding
 * (kernel/lab.h); when a change comes true is guest_set's (kernel/guest.h).
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/lab.h"
#include "kernel/mem.h"
#include "kernel/sched/sched.h"

#include <string.h>

struct knob_rows {
	struct cmd_run *run;
	struct guest *g;
};

static void knob_row(void *arg, const char *name, bool live, const char *takes)
{
	struct knob_rows *r = arg;
	char value[160];
	struct json j;

	if (lab_knob_show(&r->g->cfg, name, value, sizeof(value)) != 0)
		return;
	if (!r->run->json) {
		out_fmt(r->run->out, "%-16s %-24s %s%s\n", name, value,
			live ? "" : "[not while it exists] ", takes);
		return;
	}
	json_open(&j, r->run->out, "knob");
	json_str(&j, "guest", r->g->cfg.name);
	json_str(&j, "knob", name);
	json_str(&j, "value", value);
	json_bool(&j, "live", live);
	json_str(&j, "takes", takes);
	json_close(&j);
}

/* A scheduling knob that the policy doesn't look at is kept, and said. */
static void say_ignored(struct cmd_run *run, const struct guest *g,
			const char *text)
{
	static const char *const of_policies[] = {"weight", "cap", "priority",
						  "slice-us"};
	const char *policy = sched_policy_name();
	const char *const *knobs = sched_policy_knobs(policy);
	size_t len = strcspn(text, "=");
	bool known = false;

	if (run->json)
		return;
	for (size_t i = 0; i < ARRAY_LEN(of_policies); i++) {
		if (strlen(of_policies[i]) == len &&
		    strncmp(of_policies[i], text, len) == 0)
			known = true;
	}
	for (; known && knobs && *knobs; knobs++) {
		if (strlen(*knobs) == len && strncmp(*knobs, text, len) == 0)
			known = false;
	}
	if (known)
		out_fmt(run->out,
			"%s: %s is kept; the scheduler %s does not "
			"look at it\n",
			g->cfg.name, text, policy);
}

static enum cmd_next set_begin(struct cmd_run *run)
{
	struct guest_setting *s = run->state = obj_alloc(sizeof(*s));
	struct lab_error err;

	if (!s)
		return cmd_fail(run, "no memory");
	if (guest_set_begin(run->guest, (const char *const *)(run->argv + 1),
			    run->argc - 1, s, &err) != 0)
		return cmd_fail(run, "%s", err.text);
	return cmd_soon(run);
}

static enum cmd_next do_set(struct cmd_run *run)
{
	if (!run->guest) {
		run->guest = cmd_guest(run, run->argv[0]);
		if (!run->guest)
			return CMD_DONE;
		/* With a step of the console's for itself: of 512 pins. */
		return run->argc > 1 ? cmd_soon(run) : CMD_MORE;
	}
	if (run->argc == 1) {
		struct knob_rows rows = {run, run->guest};

		return lab_knob_nth((u32)run->pos++, knob_row, &rows)
			       ? CMD_MORE
			       : CMD_DONE;
	}
	if (!run->state)
		return set_begin(run);
	if (guest_set_step(run->guest, run->state))
		return cmd_soon(run);
	for (u32 i = 1; i < run->argc; i++)
		say_ignored(run, run->guest, run->argv[i]);
	return CMD_DONE;
}

const struct cmd cmd_set_table[] = {
	{.noun = "set",
	 .args = "GUEST [KNOB=VALUE...]",
	 .help = "change knobs of a guest at once; without one, list them",
	 .more = "As in `set linux0 weight=512 cap=50`. All or nothing.\n",
	 .min = 1,
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_LIVE_KNOB},
	 .json = true,
	 .every_key = true,
	 .step = do_set},
	{.noun = NULL},
};
