/*
 * `stats`: where a vCPU's time goes, why it exits, and how long it waits from a
 * wake until it runs.
 *
 * The waits are counted by powers of two of ticks and drawn as bars, each line
 * from its bound on; the longest bar is BAR wide. They are counted only while
 * statistics are on (kernel/sched/trace.c says why); all the rest always is.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"

#include <inttypes.h>
#include <string.h>

#define BAR 40u
#define CLEAR_VCPUS 32u /* in a step */

static const char *const reasons[VCPU_EXITS] = {
#define X(NAME, word) [VCPU_EXIT_##NAME] = word,
	VCPU_EXIT_REASONS(X)
#undef X
};

static const char *const runstates[RUNSTATE_COUNT] = {
	[RUNSTATE_RUNNING] = "running_ns",
	[RUNSTATE_RUNNABLE] = "runnable_ns",
	[RUNSTATE_BLOCKED] = "blocked_ns",
	[RUNSTATE_OFFLINE] = "offline_ns",
};

/* The least wait that bucket i counts. */
static u64 bucket_ns(u32 i)
{
	return i ? ticks_to_ns(1ULL << (i - 1)) : 0;
}

static bool stats_are_on(void)
{
	struct tracer_status s;

	tracer_status(&s);
	return s.mask & TRACE_STATS;
}

static void stats_json(struct cmd_run *run, const struct vcpu *v,
		       const struct sched_vcpu_info *info)
{
	struct json j;

	json_open(&j, run->out, "stats");
	json_str(&j, "guest", v->guest->cfg.name);
	json_u64(&j, "vcpu", v->id);
	for (u32 i = 0; i < RUNSTATE_COUNT; i++)
		json_u64(&j, runstates[i], ticks_to_ns(info->ticks[i]));
	json_u64(&j, "exits", info->exits);
	json_object(&j, "exits_by");
	for (u32 i = 0; i < VCPU_EXITS; i++)
		json_u64(&j, reasons[i], info->exits_by[i]);
	json_end(&j);
	json_u64(&j, "wakes", info->wakes);
	json_bool(&j, "waits_counted", stats_are_on());
	json_array(&j, "waits");
	for (u32 i = 0; i < WAIT_BUCKETS; i++) {
		if (!info->waits[i])
			continue;
		json_object(&j, NULL);
		json_u64(&j, "from_ns", bucket_ns(i));
		json_u64(&j, "count", info->waits[i]);
		json_end(&j);
	}
	json_close(&j);
}

/* "1.6 ms", in four digits or so. */
static void ns_show(struct cmd_run *run, u64 ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s "};
	u32 u = 0;
	u64 div = 1;

	while (u < 3 && ns >= 10000 * div) {
		div *= 1000;
		u++;
	}
	out_fmt(run->out, "%5" PRIu64 " %s", ns / div, units[u]);
}

static void waits_show(struct cmd_run *run, const struct sched_vcpu_info *info)
{
	u64 most = 0;
	u32 first = WAIT_BUCKETS, last = 0;

	for (u32 i = 0; i < WAIT_BUCKETS; i++) {
		if (!info->waits[i])
			continue;
		first = MIN(first, i);
		last = i;
		most = MAX(most, info->waits[i]);
	}
	if (first == WAIT_BUCKETS) {
		out_fmt(run->out, "  from wake to run: none counted%s\n",
			stats_are_on() ? "" : " ('stats on' begins)");
		return;
	}
	out_str(run->out, "  from wake to run, at least\n");
	for (u32 i = first; i <= last; i++) {
		u64 n = info->waits[i];

		out_str(run->out, "    ");
		ns_show(run, bucket_ns(i));
		out_fmt(run->out, " %9" PRIu64 " ", n);
		/* Rounded up, so that one is seen. */
		out_repeat(run->out, '#', (n * BAR + most - 1) / most);
		out_str(run->out, "\n");
	}
}

static void stats_text(struct cmd_run *run, const struct vcpu *v,
		       const struct sched_vcpu_info *info)
{
	u64 all = 0;

	for (u32 i = 0; i < RUNSTATE_COUNT; i++)
		all += info->ticks[i];
	out_fmt(run->out, "%s:%" PRIu32 "\n", v->guest->cfg.name, v->id);
	for (u32 i = 0; i < RUNSTATE_COUNT; i++)
		out_fmt(run->out, "  %-11s %16" PRIu64 "  %3" PRIu64 " %%\n",
			runstates[i], ticks_to_ns(info->ticks[i]),
			info->ticks[i] / (all / 100 + 1));
	out_fmt(run->out, "  exits %" PRIu64 ":", info->exits);
	for (u32 i = 0; i < VCPU_EXITS; i++)
		if (info->exits_by[i])
			out_fmt(run->out, " %s %" PRIu64, reasons[i],
				info->exits_by[i]);
	out_str(run->out, "\n");
	waits_show(run, info);
}

static enum cmd_next stats_step(struct cmd_run *run)
{
	struct sched_vcpu_info info;
	const struct vcpu *v = cmd_each_vcpu(run);

	if (!v)
		return CMD_DONE;
	sched_vcpu_info(v, &info, run->now_ticks);
	if (run->json)
		stats_json(run, v, &info);
	else
		stats_text(run, v, &info);
	return CMD_MORE;
}

static enum cmd_next stats_turn(struct cmd_run *run, bool on)
{
	if (!run->stage && tracer_stats(on))
		return cmd_fail(run, "a change is on its way; try again");
	run->stage = 1;
	if (!tracer_changing())
		return CMD_DONE;
	run->wake_ticks = cmd_in_ms(run, 1);
	return CMD_WAIT;
}

static enum cmd_next stats_on(struct cmd_run *run)
{
	return stats_turn(run, true);
}

static enum cmd_next stats_off(struct cmd_run *run)
{
	return stats_turn(run, false);
}

static enum cmd_next stats_clear(struct cmd_run *run)
{
	u32 left = CLEAR_VCPUS;
	struct vcpu *v;

	do {
		v = cmd_each_vcpu(run);
		if (!v)
			return CMD_DONE;
		sched_vcpu_stats_clear(v);
	} while (--left && run->stage <= run->guest->cfg.vcpus);
	return CMD_MORE;
}

const struct cmd cmd_stats_table[] = {
	{.noun = "stats",
	 .verb = "on",
	 .args = "",
	 .help = "count waits from wake to run from now on",
	 .step = stats_on},
	{.noun = "stats",
	 .verb = "off",
	 .args = "",
	 .help = "count them no more",
	 .step = stats_off},
	{.noun = "stats",
	 .verb = "clear",
	 .args = "[GUEST...]",
	 .help = "forget the waits counted so far",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .step = stats_clear},
	/* Last: what follows `stats` is a verb first, else a guest. */
	{.noun = "stats",
	 .args = "[GUEST...]",
	 .help = "show vCPUs' time, exits by reason, and waits as bars",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .json = true,
	 .step = stats_step},
	{.noun = NULL},
};
