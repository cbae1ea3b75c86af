/*
 * Commands on scheduling.
 *
 * No policy is named here: what there is, and which knobs each looks at, comes
 * from the core's registry.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"

#include <inttypes.h>
#include <string.h>

static bool looks_at(const char *policy, const char *knob)
{
	const char *const *k = sched_policy_knobs(policy);

	for (; k && *k; k++) {
		if (strcmp(*k, knob) == 0)
			return true;
	}
	return false;
}

/* ---- sched list ---- */

static enum cmd_next sched_list(struct cmd_run *run)
{
	const char *name = sched_policy_list((u32)run->pos++), *now;
	const char *const *knob;
	struct json j;
	bool active;

	if (!name)
		return CMD_DONE;
	now = sched_policy_name();
	active = strcmp(name, now) == 0;
	knob = sched_policy_knobs(name);
	if (run->json) {
		json_open(&j, run->out, "policy");
		json_str(&j, "name", name);
		json_bool(&j, "active", active);
		json_u64(&j, "units_per_cpu", sched_policy_room(name));
		json_array(&j, "knobs");
		for (; knob && *knob; knob++)
			json_str(&j, NULL, *knob);
		json_close(&j);
		return CMD_MORE;
	}
	out_fmt(run->out, "%c %-10s", active ? '*' : ' ', name);
	if (!knob || !*knob)
		out_str(run->out, " (no knobs)");
	for (; knob && *knob; knob++)
		out_fmt(run->out, " %s", *knob);
	out_str(run->out, "\n");
	return CMD_MORE;
}

/* ---- sched cpus ---- */

static void cpu_json(struct cmd_run *run, u32 cpu, const struct cpu_stats *s,
		     const char *queue)
{
	struct json j;

	json_open(&j, run->out, "cpu");
	json_u64(&j, "cpu", cpu);
	json_u64(&j, "guest_ns", ticks_to_ns(s->guest_ticks));
	json_u64(&j, "task_ns", ticks_to_ns(s->task_ticks));
	json_u64(&j, "host_ns", ticks_to_ns(s->host_ticks));
	json_u64(&j, "idle_ns", ticks_to_ns(s->idle_ticks));
	json_u64(&j, "switches", s->switches);
	json_u64(&j, "waits", s->waits);
	json_u64(&j, "mails", s->mails);
	json_u64(&j, "forwards", s->forwards);
	json_u64(&j, "asks", s->asks);
	json_u64(&j, "asked", s->asked);
	json_u64(&j, "denials", s->denials);
	json_u64(&j, "handovers", s->handovers);
	json_u64(&j, "claims", s->claims);
	json_u64(&j, "timer_sets", s->timer_sets);
	json_str(&j, "queue", queue);
	json_close(&j);
}

static u64 ticks_to_ms(u64 ticks)
{
	return ticks_to_ns(ticks) / 1000000;
}

static enum cmd_next sched_cpus(struct cmd_run *run)
{
	u32 cpu = (u32)run->pos++;
	struct cpu_stats s;
	char queue[80] = "";

	if (!cpu && !run->json)
		out_str(run->out, "CPU  GUEST ms   TASK ms   HOST ms   IDLE ms"
				  "  SWITCHES    ASKS  QUEUE\n");
	if (cpu >= cpu_count())
		return CMD_DONE;
	sched_cpu_stats(cpu, &s);
	sched_cpu_show(cpu, queue, sizeof(queue));
	if (run->json)
		cpu_json(run, cpu, &s, queue);
	else
		out_fmt(run->out,
			"%3" PRIu32 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
			" %9" PRIu64 " %9" PRIu64 " %7" PRIu64 "  %s\n",
			cpu, ticks_to_ms(s.guest_ticks),
			ticks_to_ms(s.task_ticks), ticks_to_ms(s.host_ticks),
			ticks_to_ms(s.idle_ticks), s.switches, s.asks, queue);
	return CMD_MORE;
}

/* ---- sched set ---- */

/* "pinned, rr, fp or credit" */
static void policies_name(char *buf, size_t bytes)
{
	const char *name;
	size_t len = 0;

	buf[0] = '\0';
	for (u32 i = 0; (name = sched_policy_list(i)) != NULL; i++) {
		const char *sep = !i			     ? ""
				  : sched_policy_list(i + 1) ? ", "
							     : " or ";
		size_t n = strlen(sep) + strlen(name);

		if (len + n + 1 > bytes)
			return;
		memcpy(buf + len, sep, strlen(sep));
		memcpy(buf + len + strlen(sep), name, strlen(name) + 1);
		len += n;
	}
}

static enum cmd_next sched_set(struct cmd_run *run)
{
	const char *name = run->argv[0];
	char names[200];

	if (!run->stage) {
		run->stage = 1;
		policies_name(names, sizeof(names));
		switch (sched_policy_set(name, NULL)) {
		case 0:
			break;
		case -ENOENT:
			return cmd_fail(run, "no policy '%.32s'; expected %s",
					name, names);
		case -EBUSY:
			return cmd_fail(run, "another change is on its way; "
					     "try again");
		case -ENOSPC:
			return cmd_fail(run,
					"%s has no room for all vCPUs "
					"that are on; expected fewer",
					name);
		default:
			return cmd_fail(run, "no memory for %s", name);
		}
	}
	if (!sched_policy_changing())
		return CMD_DONE;
	run->wake_ticks = cmd_in_ms(run, 1);
	return CMD_WAIT;
}

/* ---- sched params ---- */

static void params_json(struct cmd_run *run, const struct guest *g,
			const struct sched_params *p, const char *policy)
{
	struct json j;

	json_open(&j, run->out, "sched_params");
	json_str(&j, "guest", g->cfg.name);
	json_str(&j, "policy", policy);
	json_u64(&j, "weight", p->weight);
	json_u64(&j, "cap_percent", p->cap);
	json_u64(&j, "priority", p->priority);
	json_u64(&j, "slice_us", p->slice_us);
	json_array(&j, "used");
	for (const char *const *k = sched_policy_knobs(policy); k && *k; k++)
		json_str(&j, NULL, *k);
	json_close(&j);
}

/* A value, in brackets if the policy doesn't look at it. */
static void param(struct cmd_run *run, const char *policy, const char *knob,
		  u32 value)
{
	bool used = looks_at(policy, knob);

	out_fmt(run->out, "  %s%s=%" PRIu32 "%s", used ? "" : "(", knob, value,
		used ? "" : ")");
}

static enum cmd_next sched_params(struct cmd_run *run)
{
	const char *policy = sched_policy_name();
	struct sched_guest_info info;
	struct guest *g = cmd_each_guest(run);

	if (!run->stage++ && !run->json)
		out_fmt(run->out,
			"policy %s; what it does not look at is in "
			"brackets\n",
			policy);
	if (!g)
		return CMD_DONE;
	sched_guest_info(g, &info);
	if (run->json) {
		params_json(run, g, &info.params, policy);
	} else {
		out_fmt(run->out, "%-16s", g->cfg.name);
		param(run, policy, "weight", info.params.weight);
		param(run, policy, "cap", info.params.cap);
		param(run, policy, "priority", info.params.priority);
		param(run, policy, "slice-us", info.params.slice_us);
		out_str(run->out, "\n");
	}
	return CMD_MORE;
}

const struct cmd cmd_sched_table[] = {
	{.noun = "sched",
	 .verb = "list",
	 .args = "",
	 .help = "list policies and the knobs each looks at",
	 .json = true,
	 .step = sched_list},
	{.noun = "sched",
	 .verb = "set",
	 .args = "POLICY",
	 .help = "change the policy of all CPUs while guests run",
	 .min = 1,
	 .max = 1,
	 .arg = {ARG_POLICY, ARG_NONE},
	 .step = sched_set},
	{.noun = "sched",
	 .verb = "params",
	 .args = "[GUEST...]",
	 .help = "list guests' scheduling knobs; 'set' changes them",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .json = true,
	 .step = sched_params},
	{.noun = "sched",
	 .verb = "cpus",
	 .args = "",
	 .help = "list CPUs: where time went, switches, queues",
	 .json = true,
	 .step = sched_cpus},
	{.noun = NULL},
};
