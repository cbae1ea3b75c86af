/*
 * `top`: who uses the CPUs, now.
 *
 * Counters only grow, so a share is a difference between two looks divided by
 * the time between them, each look with a time of its own. The looks of the
 * round before are kept as an array in the order of guests and vCPUs, in which
 * the next round goes along: finding one costs nothing, whoever came or went.
 *
 * 100 % is one CPU. A row a step: a round of a thousand rows is not done at
 * one moment, and needn't be, because each row measures its own time.
 *
 * In place means: home, rows that clear their own ends, then everything below.
 * No more than the terminal's rows are drawn; the arrows scroll.
 */
#include "kernel/shell/cmd.h"

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One look. vcpu is WHOLE for a guest: then it's the sum of its vCPUs. */
struct look {
	u32 guest, vcpu;
	u64 at_ticks, running_ticks, runnable_ticks;
	u64 wakes, exits;
};

#define WHOLE UINT32_MAX /* wraps to 0: comes before vCPU 0 */

struct looks {
	struct look *look;
	size_t len, cap;
};

enum {
	TOP_BEGIN,
	TOP_ROUND,
	TOP_PAUSE
};

struct top {
	u64 period_ticks, rounds_left, next_ticks;
	bool in_place, first; /* first: only looks, shows nothing */
	struct looks old, now;
	size_t old_at;	 /* what's before it has been passed in this round */
	u32 vcpu;	 /* of run->guest, to be shown next */
	u32 row, scroll; /* rows so far; rows scrolled away */
	u32 escape;	 /* keys: how far into an arrow's sequence */
	struct cpu_stats cpus;
	u64 cpus_ticks;
};

/* ---- looks ---- */

static bool look_keep(struct looks *l, const struct look *k)
{
	size_t cap = l->cap ? 2 * l->cap : 64;
	struct look *to;

	if (l->len == l->cap) {
		to = obj_alloc(cap * sizeof(*to));
		if (!to)
			return false;
		if (l->len)
			memcpy(to, l->look, l->len * sizeof(*to));
		obj_free(l->look);
		l->look = to;
		l->cap = cap;
	}
	l->look[l->len++] = *k;
	return true;
}

static bool look_before(const struct look *a, const struct look *b)
{
	if (a->guest != b->guest)
		return a->guest < b->guest;
	return a->vcpu + 1 < b->vcpu + 1;
}

/* Where `k` was in the last round; itself if it's new. */
static struct look look_old(struct top *t, const struct look *k)
{
	while (t->old_at < t->old.len &&
	       look_before(&t->old.look[t->old_at], k))
		t->old_at++;
	if (t->old_at < t->old.len && !look_before(k, &t->old.look[t->old_at]))
		return t->old.look[t->old_at];
	return *k;
}

static void look_at_vcpu(const struct vcpu *v, u64 now, struct look *k)
{
	struct sched_vcpu_info info;

	sched_vcpu_info(v, &info, now);
	k->running_ticks += info.ticks[RUNSTATE_RUNNING];
	k->runnable_ticks += info.ticks[RUNSTATE_RUNNABLE];
	k->wakes += info.wakes;
	k->exits += info.exits;
}

/* ---- rows ---- */

/* n * unit / elapsed, to the nearest; 0 if no time has passed. */
static u64 rate(u64 n, u64 unit, u64 elapsed_ticks)
{
	return elapsed_ticks ? (u64)(((unsigned __int128)n * unit +
				      elapsed_ticks / 2) /
				     elapsed_ticks)
			     : 0;
}

/* Thousandths of a per cent of one CPU. */
static u64 share(u64 ticks, u64 elapsed_ticks)
{
	return rate(ticks, 100000, elapsed_ticks);
}

static u64 per_second(u64 n, u64 elapsed_ticks)
{
	return rate(n, timebase_hz, elapsed_ticks);
}

/* "12.3", of `ticks` in `elapsed_ticks`. */
static void percent(struct out *o, u64 ticks, u64 elapsed_ticks)
{
	u64 tenths = rate(ticks, 1000, elapsed_ticks);

	out_fmt(o, " %6" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
}

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
		     const struct look *was, const struct look *k)
{
	u64 elapsed = k->at_ticks - was->at_ticks;
	struct json j;

	json_open(&j, run->out, vcpu == WHOLE ? "top_guest" : "top_vcpu");
	json_str(&j, "guest", guest);
	if (vcpu != WHOLE)
		json_u64(&j, "vcpu", vcpu);
	json_u64(&j, "elapsed_ns", ticks_to_ns(elapsed));
	json_milli(&j, "running_percent",
		   share(k->running_ticks - was->running_ticks, elapsed));
	json_milli(&j, "runnable_percent",
		   share(k->runnable_ticks - was->runnable_ticks, elapsed));
	json_u64(&j, "wakes", k->wakes - was->wakes);
	json_u64(&j, "exits", k->exits - was->exits);
	json_close(&j);
}

static void row_text(struct cmd_run *run, struct top *t, const char *guest,
		     u32 vcpu, const struct look *was, const struct look *k)
{
	u64 elapsed = k->at_ticks - was->at_ticks;
	char name[48];

	if (vcpu == WHOLE)
		snprintf(name, sizeof(name), "%s", guest);
	else
		snprintf(name, sizeof(name), "  :%" PRIu32, vcpu);
	out_fmt(run->out, "%-20s", name);
	percent(run->out, k->running_ticks - was->running_ticks, elapsed);
	percent(run->out, k->runnable_ticks - was->runnable_ticks, elapsed);
	out_fmt(run->out, " %10" PRIu64 " %10" PRIu64 "%s",
		per_second(k->wakes - was->wakes, elapsed),
		per_second(k->exits - was->exits, elapsed), eol(t));
}

/* One row: of the guest, if `vcpu` is WHOLE. False: no memory for it. */
static bool top_row(struct cmd_run *run, struct top *t, u32 vcpu)
{
	struct look k = {.guest = run->guest->id,
			 .vcpu = vcpu,
			 .at_ticks = time_now_ticks()};
	u32 first = vcpu == WHOLE ? 0 : vcpu;
	u32 end = vcpu == WHOLE ? run->guest->cfg.vcpus : vcpu + 1;
	struct look was;

	for (u32 i = first; i < end; i++)
		look_at_vcpu(run->guest->vcpu[i], k.at_ticks, &k);
	was = look_old(t, &k);
	if (!look_keep(&t->now, &k))
		return false;
	if (t->first)
		return true;
	if (run->json)
		row_json(run, run->guest->cfg.name, vcpu, &was, &k);
	else if (row_shows(run, t))
		row_text(run, t, run->guest->cfg.name, vcpu, &was, &k);
	return true;
}

/* ---- the host ---- */

static void cpus_look(struct top *t, struct cpu_stats *d, u64 *elapsed)
{
	struct cpu_stats sum = {.guest_ticks = 0}, s;
	u64 now = time_now_ticks();

	for (u32 i = 0; i < cpu_count(); i++) {
		sched_cpu_stats(i, &s);
		sum.guest_ticks += s.guest_ticks;
		sum.task_ticks += s.task_ticks;
		sum.host_ticks += s.host_ticks;
		sum.idle_ticks += s.idle_ticks;
	}
	d->guest_ticks = sum.guest_ticks - t->cpus.guest_ticks;
	d->task_ticks = sum.task_ticks - t->cpus.task_ticks;
	d->host_ticks = sum.host_ticks - t->cpus.host_ticks;
	d->idle_ticks = sum.idle_ticks - t->cpus.idle_ticks;
	*elapsed = now - t->cpus_ticks;
	t->cpus = sum;
	t->cpus_ticks = now;
}

static void top_head(struct cmd_run *run, struct top *t)
{
	struct cpu_stats d;
	struct json j;
	u64 elapsed;

	cpus_look(t, &d, &elapsed);
	if (t->first)
		return;
	if (run->json) {
		json_open(&j, run->out, "top_host");
		json_str(&j, "policy", sched_policy_name());
		json_u64(&j, "cpus", cpu_count());
		json_u64(&j, "elapsed_ns", ticks_to_ns(elapsed));
		json_milli(&j, "guest_percent", share(d.guest_ticks, elapsed));
		json_milli(&j, "task_percent", share(d.task_ticks, elapsed));
		json_milli(&j, "host_percent", share(d.host_ticks, elapsed));
		json_milli(&j, "idle_percent", share(d.idle_ticks, elapsed));
		json_close(&j);
		return;
	}
	out_fmt(run->out,
		"%s%" PRIu32 " CPUs, %s; guests %" PRIu64 " %%, tasks %" PRIu64
		" %%, host %" PRIu64 " %%, idle %" PRIu64 " %%%s%s",
		t->in_place ? "\033[H" : "", cpu_count(), sched_policy_name(),
		rate(d.guest_ticks, 100, elapsed),
		rate(d.task_ticks, 100, elapsed),
		rate(d.host_ticks, 100, elapsed),
		rate(d.idle_ticks, 100, elapsed), t->in_place ? "; q ends" : "",
		eol(t));
	out_fmt(run->out,
		"GUEST                   RUN %%    WAIT %%    WAKES/s"
		"    EXITS/s%s",
		eol(t));
}

/* ---- rounds ---- */

/* True: the round has one row more. */
static bool top_next(struct cmd_run *run, struct top *t)
{
	if (!run->guest || t->vcpu == run->guest->cfg.vcpus) {
		if (!cmd_any_guest(run))
			return false;
		t->vcpu = WHOLE;
	}
	if (!top_row(run, t, t->vcpu)) {
		cmd_fail(run, "no memory");
		return false;
	}
	t->vcpu++;
	return true;
}

static enum cmd_next round_end(struct cmd_run *run, struct top *t)
{
	struct looks old = t->old;

	if (t->in_place && !t->first)
		out_str(run->out, "\033[J");
	t->old = t->now;
	t->now = old;
	t->now.len = 0;
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
		run->stage = TOP_ROUND;
		t->old_at = 0;
		t->row = 0;
		top_head(run, t);
		return CMD_MORE;
	default:
		return top_next(run, t) ? CMD_MORE : round_end(run, t);
	}
}

static void top_scroll(struct top *t, bool down)
{
	u32 rows = (u32)t->old.len;

	if (down && t->scroll + 1 < rows)
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
	obj_free(t->old.look);
	obj_free(t->now.look);
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
