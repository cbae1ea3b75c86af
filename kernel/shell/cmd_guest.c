/*
 * Commands on guests: `guest ...`.
 *
 * What a guest is asked for happens in its own task, so these commands ask and
 * then look now and then until it has come true: the next command of a script
 * finds the guest as the last one left it. Ctrl-C stops the looking, not the
 * guest's task.
 */
#include "kernel/shell/cmd.h"

#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest.h"
#include "kernel/lab.h"
#include "kernel/mem.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"

#include <ck_pr.h>
#include <inttypes.h>

#define LOOK_MS	      5
#define LOOK_LIMIT_MS 30000

/* ---- guest list ---- */

static void guest_json(struct cmd_run *run, struct guest *g)
{
	struct sched_guest_info info;
	struct gcons_stats cons;
	struct json j;

	sched_guest_info(g, &info);
	gcons_stats(g->console, &cons);
	json_open(&j, run->out, "guest");
	json_u64(&j, "id", g->id);
	json_str(&j, "name", g->cfg.name);
	json_str(&j, "state", guest_state_name(g));
	json_u64(&j, "vcpus", g->cfg.vcpus);
	json_u64(&j, "vcpus_on", ck_pr_load_32(&g->vcpus_on));
	json_u64(&j, "vcpus_runnable", info.runnable);
	json_u64(&j, "memory_bytes", g->cfg.memory_bytes);
	json_u64(&j, "touched_bytes", gmem_touched_bytes(g->mem));
	json_u64(&j, "weight", info.params.weight);
	json_u64(&j, "cap_percent", info.params.cap);
	json_u64(&j, "priority", info.params.priority);
	json_u64(&j, "slice_us", info.params.slice_us);
	json_u64(&j, "guest_ns", ticks_to_ns(info.guest_ticks));
	json_u64(&j, "task_ns", ticks_to_ns(info.task_ticks));
	json_u64(&j, "boots", ck_pr_load_32(&g->boots));
	json_u64(&j, "stops", ck_pr_load_32(&g->stops));
	json_str(&j, "last_event",
		 g->last_event == EVENT_NONE ? NULL
					     : guest_event_name(g->last_event));
	json_u64(&j, "last_code", g->last_code);
	json_u64(&j, "console_written_bytes", cons.written_bytes);
	json_u64(&j, "console_unseen_bytes", cons.unseen_bytes);
	json_u64(&j, "console_lost_bytes", cons.lost_bytes);
	json_close(&j);
}

static void guest_row(struct cmd_run *run, struct guest *g)
{
	struct sched_guest_info info;

	sched_guest_info(g, &info);
	out_fmt(run->out,
		"%-16s %-9s %5" PRIu32 " %5" PRIu64 "M %6" PRIu64 "M %6" PRIu32
		" %4" PRIu32 " %4" PRIu32 " %5" PRIu32 "  %s\n",
		g->cfg.name, guest_state_name(g), g->cfg.vcpus,
		to_mib(g->cfg.memory_bytes), to_mib(gmem_touched_bytes(g->mem)),
		info.params.weight, info.params.cap, info.params.priority,
		ck_pr_load_32(&g->boots),
		g->last_event == EVENT_NONE ? ""
					    : guest_event_name(g->last_event));
}

static enum cmd_next guest_list(struct cmd_run *run)
{
	struct guest *g;

	if (!run->stage++ && !run->json)
		out_str(run->out, "NAME             STATE     VCPUS MEMORY "
				  "TOUCHED WEIGHT  CAP PRIO BOOTS  LAST\n");
	g = cmd_each_guest(run);
	if (!g)
		return CMD_DONE;
	if (run->json)
		guest_json(run, g);
	else
		guest_row(run, g);
	return CMD_MORE;
}

/* ---- asking, and looking until it's so ---- */

struct wish {
	int (*ask)(struct guest *g);
	bool (*granted)(const struct guest *g); /* NULL: guest_follow */
	const char *refused;			/* what was expected */
	bool starts;				/* it has to run then */
};

struct asking {
	const struct wish *wish;
	u32 id;	   /* of the guest that was asked */
	u32 boots; /* how often it had started before */
	u32 told;  /* vCPUs of run->guest, which follows */
	u64 limit_ticks;
};

static bool has_settled(const struct guest *g)
{
	u32 state = ck_pr_load_32(&g->state);

	return state == GUEST_RUNNING || state == GUEST_STOPPED;
}

static bool has_stopped(const struct guest *g)
{
	return ck_pr_load_32(&g->state) == GUEST_STOPPED;
}

static bool is_gone(const struct guest *g)
{
	return false;
}

static const struct wish wish_start = {
	guest_start,
	has_settled,
	"a stopped guest",
	true,
};
static const struct wish wish_stop = {
	guest_stop,
	has_stopped,
	"a running guest",
	false,
};
static const struct wish wish_reset = {
	guest_reset,
	has_settled,
	"a running guest",
	true,
};
static const struct wish wish_destroy = {
	guest_destroy,
	is_gone,
	"a stopped guest ('guest stop' first)",
	false,
};
static const struct wish wish_pause = {
	guest_pause,
	NULL,
	"a running guest that is not paused",
	false,
};
static const struct wish wish_resume = {
	guest_resume,
	NULL,
	"a paused guest",
	false,
};

/* Asks the next guest of the arguments; DONE: there is none left. */
static enum cmd_next wish_next(struct cmd_run *run, struct asking *a)
{
	struct guest *g;
	int err;

	if (run->pos == run->argc)
		return CMD_DONE;
	g = cmd_guest(run, run->argv[run->pos++]);
	if (!g)
		return CMD_MORE;
	a->boots = ck_pr_load_32(&g->boots);
	err = a->wish->ask(g);
	if (err) {
		cmd_fail(run, "%s is %s; expected %s", g->cfg.name,
			 guest_state_name(g), a->wish->refused);
	} else if (!a->wish->granted) {
		a->told = 0;
		run->guest = g;
		return CMD_MORE;
	} else {
		a->id = g->id;
		a->limit_ticks = cmd_in_ms(run, LOOK_LIMIT_MS);
		run->stage = 1;
	}
	guest_put(g);
	return CMD_MORE;
}

/* Its vCPUs are told what is so by now. */
static enum cmd_next wish_tell(struct cmd_run *run, struct asking *a)
{
	a->told = guest_follow(run->guest, a->told);
	if (a->told < run->guest->cfg.vcpus)
		return cmd_soon(run);
	guest_put(run->guest);
	run->guest = NULL;
	return CMD_MORE;
}

/* Has it come to run? The state says RUNNING before the start is counted
 * (guest_boot.c), and anything else after it. One that reboots all the time is
 * hardly ever seen RUNNING. */
static bool has_started(const struct asking *a, const struct guest *g)
{
	if (ck_pr_load_32(&g->state) == GUEST_RUNNING)
		return true;
	ck_pr_fence_load();
	return ck_pr_load_32(&g->boots) != a->boots;
}

/* Is there nothing more to wait for? */
static bool wish_look(struct cmd_run *run, const struct asking *a,
		      const struct guest *g)
{
	bool started = a->wish->starts && has_started(a, g);

	if (started || a->wish->granted(g)) {
		if (a->wish->starts && !started)
			cmd_fail(run, "%s did not start; 'log' says why",
				 g->cfg.name);
		return true;
	}
	if (run->now_ticks < a->limit_ticks)
		return false;
	cmd_fail(run, "%s is still %s; it goes on by itself", g->cfg.name,
		 guest_state_name(g));
	return true;
}

static enum cmd_next wish_step(struct cmd_run *run, const struct wish *wish)
{
	struct asking *a = run->state;
	struct guest *g;
	bool granted;

	if (!a) {
		a = run->state = obj_alloc(sizeof(*a));
		if (!a)
			return cmd_fail(run, "no memory");
		a->wish = wish;
	}
	if (run->guest)
		return wish_tell(run, a);
	if (!run->stage)
		return wish_next(run, a);
	g = guest_find_id(a->id);
	/* A guest that is gone may still be being freed: not to be told before
	 * its memory is there for the next one. */
	granted = g ? wish_look(run, a, g)
		    : guests_all_freed() || run->now_ticks >= a->limit_ticks;
	if (g)
		guest_put(g);
	if (granted) {
		run->stage = 0;
		return CMD_MORE;
	}
	run->wake_ticks = cmd_in_ms(run, LOOK_MS);
	return CMD_WAIT;
}

static enum cmd_next do_start(struct cmd_run *run)
{
	return wish_step(run, &wish_start);
}

static enum cmd_next do_stop(struct cmd_run *run)
{
	return wish_step(run, &wish_stop);
}

static enum cmd_next do_reset(struct cmd_run *run)
{
	return wish_step(run, &wish_reset);
}

static enum cmd_next do_destroy(struct cmd_run *run)
{
	return wish_step(run, &wish_destroy);
}

static enum cmd_next do_pause(struct cmd_run *run)
{
	return wish_step(run, &wish_pause);
}

static enum cmd_next do_resume(struct cmd_run *run)
{
	return wish_step(run, &wish_resume);
}

static enum cmd_next do_wait(struct cmd_run *run)
{
	struct guest *g;
	bool stopped;

	if (run->pos == run->argc)
		return CMD_DONE;
	g = cmd_guest(run, run->argv[run->pos]);
	stopped = !g || has_stopped(g);
	if (g)
		guest_put(g);
	if (stopped) {
		run->pos++;
		return CMD_MORE;
	}
	run->wake_ticks = cmd_in_ms(run, LOOK_MS);
	return CMD_WAIT;
}

/* ---- guest create ---- */

/* The memory of one that could not be made is back before it is said. */
struct creating {
	struct guest *guest; /* there is more of it to make */
	struct lab_error err;
	u64 limit_ticks;
};

static enum cmd_next create_failed(struct cmd_run *run)
{
	struct creating *c = run->state;

	if (!guests_all_freed() && run->now_ticks < c->limit_ticks) {
		run->wake_ticks = cmd_in_ms(run, LOOK_MS);
		return CMD_WAIT;
	}
	return cmd_fail(run, "%s", c->err.text);
}

static enum cmd_next create_done(struct cmd_run *run)
{
	struct guest *g = guest_find(run->argv[0]);

	if (!g)
		return CMD_DONE;
	if (g->cfg.autostart && guest_start(g) != 0)
		cmd_fail(run, "%s was made but could not be started",
			 g->cfg.name);
	guest_put(g);
	return CMD_DONE;
}

static int create_begin(struct cmd_run *run, struct creating *c)
{
	const struct lab_env *env = guests_env();
	struct guest_config cfg = {.name = NULL};
	struct lab_error *err = &c->err;
	int bad;

	bad = lab_config_init(&cfg, run->argv[0], err);
	if (bad)
		return bad;
	for (u32 i = 1; i < run->argc && !bad; i++)
		bad = lab_config_set(&cfg, run->argv[i], false, env, err);
	if (!bad)
		bad = guest_create_begin(&cfg, &c->guest, err);
	lab_config_fini(&cfg);
	return bad;
}

static enum cmd_next do_create(struct cmd_run *run)
{
	struct creating *c = run->state;
	int ret;

	if (!c) {
		c = run->state = obj_alloc(sizeof(*c));
		if (!c)
			return cmd_fail(run, "no memory");
		return create_begin(run, c) ? cmd_fail(run, "%s", c->err.text)
					    : cmd_soon(run);
	}
	if (!c->guest)
		return create_failed(run);
	ret = guest_create_step(c->guest, &c->err);
	if (ret == 1)
		return cmd_soon(run);
	c->guest = NULL;
	if (!ret)
		return create_done(run);
	c->limit_ticks = cmd_in_ms(run, LOOK_LIMIT_MS);
	return create_failed(run);
}

static void create_end(struct cmd_run *run)
{
	struct creating *c = run->state;

	/* Ctrl-C, in between. */
	if (c && c->guest)
		guest_create_cancel(c->guest);
	obj_free(c);
}

/* ---- the table ---- */

#define ON_GUESTS(name, text, fn, ...) \
	{ \
		.noun = "guest", .verb = (name), .args = "GUEST...", \
		.help = (text), .min = 1, .max = CMD_ARGS_MANY, \
		.arg = {ARG_GUEST, ARG_GUEST}, .step = (fn), __VA_ARGS__ \
	}

const struct cmd cmd_guest_table[] = {
	{.noun = "guest",
	 .verb = "list",
	 .args = "[GUEST...]",
	 .help = "list guests: state, size, scheduling knobs",
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_GUEST, ARG_GUEST},
	 .json = true,
	 .step = guest_list},
	ON_GUESTS("start", "load the images and start", do_start),
	ON_GUESTS("stop", "stop at once, as if unplugged", do_stop),
	ON_GUESTS("pause", "let no vCPU run until resumed", do_pause,
		  .every_key = true),
	ON_GUESTS("resume", "go on where it was paused", do_resume,
		  .every_key = true),
	ON_GUESTS("reset", "start anew from the images", do_reset),
	ON_GUESTS("destroy", "forget a stopped guest, free its memory",
		  do_destroy),
	{.noun = "guest",
	 .verb = "create",
	 .args = "NAME [KNOB=VALUE...]",
	 .help = "make a guest from images in the lab's archive",
	 .more = "Knobs are those of the lab file (docs/lab.md), as in\n"
		 "  guest create g9 vcpus=2 memory=64M kernel=Image "
		 "\"bootargs=console=ttyS0\"\n"
		 "With autostart=on it is started as well.\n",
	 .min = 1,
	 .max = CMD_ARGS_MANY,
	 .arg = {ARG_NONE, ARG_KNOB},
	 .step = do_create,
	 .end = create_end},
	ON_GUESTS("wait", "wait until all of them have stopped", do_wait),
	{.noun = NULL},
};
