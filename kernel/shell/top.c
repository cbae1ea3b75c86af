/*
 * `top`: who uses the CPUs, now.
 *
 * 100 % is one CPU. A round of a thousand rows is not done at one moment, and
 * needn't be, because each vCPU's look has its own time. First the CPUs are
 * looked at, some in a step (LOOK_CPUS); then of each guest all vCPUs
 * (LOOK_VCPUS), and its row is shown, the sum of what its vCPUs' rows say as
 * they say it (rounded, that is), and those, a row a step. So the numbers on
 * the screen add up.
 *
 * In place means: home, rows that clear their own ends, then everything below.
 * No more than the terminal's rows are drawn; the arrows scroll.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/look.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A guest's row; wraps to 0: comes before vCPU 0. */
#define WHOLE	   UINT32_MAX
#define LOOK_VCPUS 16u
#define LOOK_CPUS  16u

enum {
	TOP_BEGIN,
	TOP_CPUS,
	TOP_ROUND,
	TOP_PAUSE
};

struct top {
	u64 period_ticks, rounds_left, next_ticks;
	bool in_place, first; /* first: only looks, shows nothing */
	struct look_rounds looks;
	size_t guest_at;  /* in looks.now: those at run->guest */
	struct rates sum; /* of them */
	u32 looked;	  /* vCPUs of run->guest that have been looked at */
	u32 vcpu;	  /* of run->guest, or WHOLE, to be shown next */
	u32 row, scroll;  /* rows so far; rows scrolled away */
	u32 rows;	  /* in the round before */
	u32 escape;	  /* keys: how far into an arrow's sequence */
	u32 cpu;	  /* to be looked at next, to the sum of this round */
	struct cpu_stats cpus_now;
	struct cpu_stats cpus; /* of the round before */
	u64 cpus_ticks;
};

/* ---- rows ---- */

static const char *eol(const struct top *t)
{
	return t->in_place ? "\033[K\n" : "\n";
}

/* Is the next row on the screen? Counts it. */
static bool row_shows(const struct cmd_run *run, struct top *t)
{
	u32 row = t->row++;

	return !t->in_place ||
	       (row >= t->scroll && row - t->scroll + 4 < run->rows);
}

static void row_json(struct cmd_run *run, const char *guest, u32 vcpu,
		     const struct rates *r, u64 elapsed)
{
	struct json j;

	json_open(&j, run->out, vcpu == WHOLE ? "top_guest" : "top_vcpu");
	json_str(&j, "guest", guest);
	if (vcpu != WHOLE)
		json_u64(&j, "vcpu", vcpu);
	json_u64(&j, "elapsed_ns", ticks_to_ns(elapsed));
	json_milli(&j, "running_percent", r->running);
	json_milli(&j, "runnable_percent", r->runnable);
	json_u64(&j, "wakes", r->wakes);
	json_u64(&j, "exits", r->exits);
	json_close(&j);
}

static void row_text(struct cmd_run *run, struct top *t, const char *guest,
		     u32 vcpu, const struct rates *r)
{
	char name[48];

	if (vcpu == WHOLE)
		snprintf(name, sizeof(name), "%s", guest);
	else
		snprintf(name, sizeof(name), "  :%" PRIu32, vcpu);
	out_fmt(run->out,
		"%-20s %6" PRIu64 ".%" PRIu64 " %6" PRIu64 ".%" PRIu64
		" %10" PRIu64 " %10" PRIu64 "%s",
		name, r->running / 10, r->running % 10, r->runnable / 10,
		r->runnable % 10, r->wakes, r->exits, eol(t));
}

/* One row: of the guest, if `vcpu` is WHOLE. */
static void top_row(struct cmd_run *run, struct top *t, u32 vcpu)
{
	/* A guest has a vCPU at least. */
	const struct look *k =
		&t->looks.now.look[t->guest_at + (vcpu == WHOLE ? 0 : vcpu)];
	const struct rates *r = vcpu == WHOLE ? &t->sum : &k->rates;

	if (t->first)
		return;
	if (run->json)
		row_json(run, run->guest->cfg.name, vcpu, r, k->elapsed_ticks);
	else if (row_shows(run, t))
		row_text(run, t, run->guest->cfg.name, vcpu, r);
}

/* ---- the host ---- */

/* CPUs are looked at while they work: one that went from one thing to the next
 * just then may seem to have spent a little less on something than before. */
static u64 grown(u64 now, u64 was)
{
	return now > was ? now - was : 0;
}

/* Guests, tasks, host, idle; since the look before. */
#define PARTS 4

static void cpus_begin(struct top *t)
{
	t->cpu = 0;
	t->cpus_now = (struct cpu_stats){.guest_ticks = 0};
}

/* Looks at some CPUs. False: that were all. */
static bool cpus_look(struct top *t)
{
	u32 end = MIN(cpu_count(), t->cpu + LOOK_CPUS);
	struct cpu_stats *sum = &t->cpus_now, s;

	for (; t->cpu < end; t->cpu++) {
		sched_cpu_stats(t->cpu, &s);
		sum->guest_ticks += s.guest_ticks;
		sum->task_ticks += s.task_ticks;
		sum->host_ticks += s.host_ticks;
		sum->idle_ticks += s.idle_ticks;
	}
	return end < cpu_count();
}

static void cpus_parts(struct top *t, u64 part[PARTS], u64 *elapsed)
{
	const struct cpu_stats *sum = &t->cpus_now;
	u64 now = time_now_ticks();

	part[0] = grown(sum->guest_ticks, t->cpus.guest_ticks);
	part[1] = grown(sum->task_ticks, t->cpus.task_ticks);
	part[2] = grown(sum->host_ticks, t->cpus.host_ticks);
	part[3] = grown(sum->idle_ticks, t->cpus.idle_ticks);
	*elapsed = now - t->cpus_ticks;
	t->cpus = *sum;
	t->cpus_ticks = now;
}

/* Ticks into shares of all CPUs, `unit` each, rounded so that they add up to
 * that exactly: what is rounded is where each ends in a row of them. */
static void cpus_shares(u64 part[PARTS], u64 unit)
{
	u64 all = 0, upto = 0, shown = 0, end;

	for (u32 i = 0; i < PARTS; i++)
		all += part[i];
	for (u32 i = 0; i < PARTS; i++) {
		upto += part[i];
		end = look_rate(upto, unit * cpu_count(), all);
		part[i] = end - shown;
		shown = end;
	}
}

static void head_json(struct cmd_run *run, const u64 part[PARTS], u64 elapsed)
{
	struct json j;

	json_open(&j, run->out, "top_host");
	json_str(&j, "policy", sched_policy_name());
	json_u64(&j, "cpus", cpu_count());
	json_u64(&j, "elapsed_ns", ticks_to_ns(elapsed));
	json_milli(&j, "guest_percent", part[0]);
	json_milli(&j, "task_percent", part[1]);
	json_milli(&j, "host_percent", part[2]);
	json_milli(&j, "idle_percent", part[3]);
	json_close(&j);
}

static void top_head(struct cmd_run *run, struct top *t)
{
	u64 part[PARTS], elapsed;

	cpus_parts(t, part, &elapsed);
	if (t->first)
		return;
	cpus_shares(part, run->json ? 100000 : 100);
	if (run->json) {
		head_json(run, part, elapsed);
		return;
	}
	out_fmt(run->out,
		"%s%" PRIu32 " CPUs, %s; guests %" PRIu64 " %%, tasks %" PRIu64
		" %%, host %" PRIu64 " %%, idle %" PRIu64 " %%%s%s",
		t->in_place ? "\033[H" : "", cpu_count(), sched_policy_name(),
		part[0], part[1], part[2], part[3],
		t->in_place ? "; q ends" : "", eol(t));
	out_fmt(run->out,
		"GUEST                   RUN %%    WAIT %%    WAKES/s"
		"    EXITS/s%s",
		eol(t));
}

/* ---- rounds ---- */

/* Looks at some vCPUs. False: no memory. */
static bool top_look(struct cmd_run *run, struct top *t)
{
	u32 end = MIN(run->guest->cfg.vcpus, t->looked + LOOK_VCPUS);

	while (t->looked < end) {
		if (!look_take(&t->looks, run->guest->vcpu[t->looked],
			       run->json, &t->sum)) {
			cmd_fail(run, "no memory");
			return false;
		}
		t->looked++;
	}
	return true;
}

/* True: the round goes on. */
static bool top_next(struct cmd_run *run, struct top *t)
{
	if (!run->guest || t->vcpu == run->guest->cfg.vcpus) {
		if (!cmd_any_guest(run))
			return false;
		t->vcpu = WHOLE;
		t->looked = 0;
		t->guest_at = t->looks.now.len;
		t->sum = (struct rates){.running = 0};
	}
	if (t->looked < run->guest->cfg.vcpus)
		return top_look(run, t);
	top_row(run, t, t->vcpu++);
	return true;
}

static enum cmd_next round_end(struct cmd_run *run, struct top *t)
{
	if (t->in_place && !t->first)
		out_str(run->out, "\033[J");
	look_rounds_next(&t->looks);
	t->rows = t->row;
	if (run->failed || (!t->first && !--t->rounds_left))
		return CMD_DONE;
	t->first = false;
	t->next_ticks = run->now_ticks + t->period_ticks;
	run->stage = TOP_PAUSE;
	return CMD_MORE;
}

static int top_begin(struct cmd_run *run)
{
	struct top *t = run->state = obj_alloc(sizeof(*t));
	u64 seconds = 1, count = UINT64_MAX;

	if (!t) {
		cmd_fail(run, "no memory");
		return -ENOMEM;
	}
	if ((run->argc > 0 && word_u64(run->argv[0], &seconds) != 0) ||
	    !seconds || seconds > 86400 ||
	    (run->argc > 1 && word_u64(run->argv[1], &count) != 0) || !count) {
		cmd_fail(run, "expected SECONDS, 1 to 86400, and how often");
		return -EINVAL;
	}
	t->period_ticks = us_to_ticks(seconds * 1000000);
	t->rounds_left = count;
	t->in_place = run->argc < 2 && !run->json;
	t->first = true;
	if (t->in_place)
		out_str(run->out, "\033[H\033[2J... a moment ...");
	return 0;
}

static enum cmd_next top_step(struct cmd_run *run)
{
	struct top *t = run->state;

	switch (run->stage) {
	case TOP_BEGIN:
		if (top_begin(run) != 0)
			return CMD_DONE;
		run->stage = TOP_PAUSE;
		return CMD_MORE;
	case TOP_PAUSE:
		if (run->now_ticks < t->next_ticks) {
			run->wake_ticks = t->next_ticks;
			return CMD_WAIT;
		}
		run->stage = TOP_CPUS;
		cpus_begin(t);
		return CMD_MORE;
	case TOP_CPUS:
		if (cpus_look(t))
			return CMD_MORE;
		run->stage = TOP_ROUND;
		t->row = 0;
		top_head(run, t);
		return CMD_MORE;
	default:
		return top_next(run, t) ? CMD_MORE : round_end(run, t);
	}
}

static void top_scroll(struct top *t, bool down)
{
	if (down && t->scroll + 1 < t->rows)
		t->scroll++;
	else if (!down && t->scroll)
		t->scroll--;
	t->next_ticks = 0;
}

static void top_key(struct cmd_run *run, char c)
{
	struct top *t = run->state;
	u32 was = t ? t->escape : 0;

	if (!t)
		return;
	t->escape = c == '\033' ? 1 : was == 1 && c == '[' ? 2 : 0;
	if (c == 'q') {
		t->rounds_left = 1;
		run->keys_done = true;
	}
	if (c == 'q' || c == ' ')
		t->next_ticks = 0;
	else if (c == 'j' || (was == 2 && c == 'B'))
		top_scroll(t, true);
	else if (c == 'k' || (was == 2 && c == 'A'))
		top_scroll(t, false);
}

static void top_end(struct cmd_run *run)
{
	struct top *t = run->state;

	if (!t)
		return;
	look_rounds_fini(&t->looks);
	obj_free(t);
}

const struct cmd cmd_top_table[] = {
	{.noun = "top",
	 .args = "[SECONDS [TIMES]]",
	 .help = "show who uses the CPUs, again and again; q ends",
	 .more = "100 % is one CPU. WAIT is time that it could have run and "
		 "did not get. With TIMES the\ntables come one below the "
		 "other. Up and down (k, j) scroll, blank refreshes.\n",
	 .max = 2,
	 .json = true,
	 .screen = true,
	 .step = top_step,
	 .key = top_key,
	 .end = top_end},
	{.noun = NULL},
};
