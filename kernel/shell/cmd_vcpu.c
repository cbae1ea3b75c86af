/*
 * Commands on vCPUs.
 *
 * Registers can only be read of a vCPU whose state is in memory, so `vcpu regs`
 * pauses it for a moment, unless it's off or paused already, and lets it go on
 * whatever happens to the command.
 */
#include "kernel/shell/cmd.h"

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

#include <ck_pr.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *state_name(const struct sched_vcpu_info *info)
{
	static const char *const names[] = {
		[VCPU_OFF] = "off",	    [VCPU_QUEUED] = "queued",
		[VCPU_RUNNING] = "running", [VCPU_BLOCKING] = "blocking",
		[VCPU_BLOCKED] = "blocked", [VCPU_WAKING] = "waking",
	};

	if (info->refused)
		return "refused";
	if (info->paused && info->state != VCPU_OFF)
		return "paused";
	return info->state < ARRAY_LEN(names) ? names[info->state] : "?";
}

/* The CPUs of `s` below `count`, as "0-2,5", or "all". */
static void cpus_show(const struct cpuset *s, u32 count, char *buf,
		      size_t bytes)
{
	size_t len = 0;
	u32 from = cpuset_next(s, 0), to;
	bool all = true;

	for (u32 i = 0; i < count && all; i++)
		all = cpuset_has(s, i);
	snprintf(buf, bytes, "%s", all ? "all" : "");
	while (!all && from < count && len + 12 < bytes) {
		for (to = from; to + 1 < count && cpuset_has(s, to + 1); to++)
			;
		len += (size_t)snprintf(
			buf + len, bytes - len, to > from ? "%s%u-%u" : "%s%u",
			len ? "," : "", (unsigned int)from, (unsigned int)to);
		from = cpuset_next(s, to + 1);
	}
}

/* ---- vcpu list ---- */

static void vcpu_json(struct cmd_run *run, const struct vcpu *v,
		      const struct sched_vcpu_info *info, const char *cpus,
		      const char *policy)
{
	struct json j;

	json_open(&j, run->out, "vcpu");
	json_str(&j, "guest", v->guest->cfg.name);
	json_u64(&j, "vcpu", v->id);
	json_str(&j, "state", state_name(info));
	json_u64(&j, "cpu", info->cpu);
	json_str(&j, "affinity", cpus);
	json_u64(&j, "running_ns", ticks_to_ns(info->ticks[RUNSTATE_RUNNING]));
	json_u64(&j, "runnable_ns",
		 ticks_to_ns(info->ticks[RUNSTATE_RUNNABLE]));
	json_u64(&j, "blocked_ns", ticks_to_ns(info->ticks[RUNSTATE_BLOCKED]));
	json_u64(&j, "offline_ns", ticks_to_ns(info->ticks[RUNSTATE_OFFLINE]));
	json_u64(&j, "wakes", info->wakes);
	json_u64(&j, "exits", info->exits);
	json_u64(&j, "dispatches", info->dispatches);
	json_u64(&j, "preemptions", info->preemptions);
	json_u64(&j, "migrations", info->migrations);
	json_str(&j, "policy", policy);
	json_close(&j);
}

static void vcpu_row(struct cmd_run *run, const struct vcpu *v)
{
	struct sched_vcpu_info info;
	char cpus[64], name[48], policy[48];

	sched_vcpu_info(v, &info, run->now_ticks);
	cpus_show(&info.allowed, cpu_count(), cpus, sizeof(cpus));
	if (run->json) {
		sched_vcpu_show(v, run->now_ticks, policy, sizeof(policy));
		vcpu_json(run, v, &info, cpus, policy);
		return;
	}
	snprintf(name, sizeof(name), "%s:%" PRIu32, v->guest->cfg.name, v->id);
	out_fmt(run->out,
		"%-16s %-8s %3" PRIu32 " %-6s %9" PRIu64 " %9" PRIu64
		" %9" PRIu64 " %9" PRIu64 "\n",
		name, state_name(&info), info.cpu, cpus,
		ticks_to_ns(info.ticks[RUNSTATE_RUNNING]) / 1000000,
		ticks_to_ns(info.ticks[RUNSTATE_RUNNABLE]) / 1000000,
		info.wakes, info.exits);
}

static enum cmd_next vcpu_list(struct cmd_run *run)
{
	const struct vcpu *v;

	if (!run->stage && !run->json)
		out_str(run->out,
			"VCPU             STATE    CPU ON"
			"        RUN ms   WAIT ms     WAKES     EXITS\n");
	v = cmd_each_vcpu(run);
	if (!v)
		return CMD_DONE;
	vcpu_row(run, v);
	return CMD_MORE;
}

/* ---- vcpu pin ---- */

/* "0-2,5" -> *s; -EINVAL: that's no list of CPUs below `count`. */
static int cpus_read(char *text, u32 count, struct cpuset *s)
{
	u64 from, to;

	memset(s, 0, sizeof(*s));
	while (text) {
		char *comma = strchr(text, ','), *dash;

		if (comma)
			*comma++ = '\0';
		dash = strchr(text, '-');
		if (dash)
			*dash++ = '\0';
		if (word_u64(text, &from) != 0)
			return -EINVAL;
		to = from;
		if (dash && word_u64(dash, &to) != 0)
			return -EINVAL;
		if (from > to || to >= count)
			return -EINVAL;
		for (u64 cpu = from; cpu <= to; cpu++)
			cpuset_add(s, (u32)cpu);
		text = comma;
	}
	return 0;
}

/* Where the guest's own knobs let the vCPU run. */
static void cpus_of_config(const struct guest *g, u32 id, struct cpuset *s)
{
	memset(s, 0, sizeof(*s));
	if (g->cfg.pin && id < g->cfg.pin_count)
		cpuset_add(s, g->cfg.pin[id]);
	else if (g->cfg.has_affinity)
		*s = g->cfg.affinity;
	else
		for (u32 i = 0; i < cpu_count(); i++)
			cpuset_add(s, i);
}

static enum cmd_next vcpu_pin(struct cmd_run *run)
{
	u32 count = cpu_count();
	struct cpuset cpus;
	struct guest *g;
	struct vcpu *v = cmd_vcpu(run, run->argv[0], &g);
	int err = 0;

	if (!v)
		return CMD_DONE;
	if (strcmp(run->argv[1], "none") == 0)
		cpus_of_config(g, v->id, &cpus);
	else
		err = cpus_read(run->argv[1], count, &cpus);
	if (!err)
		err = sched_vcpu_affinity(v, &cpus);
	guest_put(g);
	if (err)
		return cmd_fail(run,
				"no such CPUs; expected a list as in 0-2,5 "
				"of 0 to %" PRIu32 ", or none",
				count - 1);
	return CMD_DONE;
}

/* ---- vcpu regs ---- */

struct regs {
	struct guest *g; /* with a reference */
	struct vcpu *v;
	bool paused; /* by us */
	struct json json;
};

static void regs_leave(struct regs *r)
{
	if (r->paused)
		sched_vcpu_request(r->v, VCPU_REQ_RESUME);
	if (r->g)
		guest_put(r->g);
	*r = (struct regs){.g = NULL};
}

static void regs_line(void *ctx, const char *text)
{
	struct cmd_run *run = ctx;
	struct regs *r = run->state;

	if (run->json)
		json_str(&r->json, NULL, text);
	else
		out_fmt(run->out, "  %s\n", text);
}

static void regs_print(struct cmd_run *run, struct regs *r)
{
	if (run->json) {
		json_open(&r->json, run->out, "vcpu_regs");
		json_str(&r->json, "guest", r->g->cfg.name);
		json_u64(&r->json, "vcpu", r->v->id);
		json_array(&r->json, "lines");
	} else {
		out_fmt(run->out, "%s:\n", run->argv[run->pos - 1]);
	}
	arch_vcpu_print(r->v, regs_line, run);
	if (run->json)
		json_close(&r->json);
}

static enum cmd_next vcpu_regs(struct cmd_run *run)
{
	struct regs *r = run->state;
	struct sched_vcpu_info info;

	if (!r)
		r = run->state = obj_alloc(sizeof(*r));
	if (!r)
		return cmd_fail(run, "no memory");
	if (!r->v) {
		if (run->pos == run->argc)
			return CMD_DONE;
		r->v = cmd_vcpu(run, run->argv[run->pos++], &r->g);
		return CMD_MORE;
	}
	sched_vcpu_info(r->v, &info, run->now_ticks);
	if (info.paused || info.state == VCPU_OFF) {
		regs_print(run, r);
		regs_leave(r);
		return CMD_MORE;
	}
	if (!r->paused) {
		sched_vcpu_request(r->v, VCPU_REQ_PAUSE);
		r->paused = true;
	}
	run->wake_ticks = cmd_in_ms(run, 1);
	return CMD_WAIT;
}

static void vcpu_regs_end(struct cmd_run *run)
{
	if (run->state)
		regs_leave(run->state);
	obj_free(run->state);
}

const struct cmd cmd_vcpu_table[] = {
	{.noun = "vcpu",
	 .verb = "list",
	 .args = "[GUEST...]",
	 .help = "list vCPUs: state, CPU, where time went, wakes, exits",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .json = true,
	 .step = vcpu_list},
	{.noun = "vcpu",
	 .verb = "pin",
	 .args = "GUEST:N CPUS|none",
	 .help = "let a vCPU run on these CPUs only, as in 2 or 0-3,6",
	 .more = "none: as its guest's pin and affinity say.\n",
	 .min = 2,
	 .max = 2,
	 .arg = {ARG_VCPU, ARG_NONE},
	 .step = vcpu_pin},
	{.noun = "vcpu",
	 .verb = "regs",
	 .args = "GUEST:N...",
	 .help = "show registers; a running vCPU is paused for a moment",
	 .min = 1,
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_VCPU, ARG_VCPU},
	 .json = true,
	 .step = vcpu_regs,
	 .end = vcpu_regs_end},
	{.noun = NULL},
};
