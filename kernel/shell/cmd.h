/*
 * Commands: a table, one row each, in a file for each noun.
 *
 * A command is a step function, called again and again until it says that it
 * is done; a step prints a line or two and takes at most 100 us. So a listing
 * of a thousand guests and a wait for one of them hold nobody up, and Ctrl-C
 * ends any command between two steps.
 *
 * Context: the console's task, always.
 */
#ifndef ROUSE_KERNEL_SHELL_CMD_H
#define ROUSE_KERNEL_SHELL_CMD_H

#include "kernel/base.h"
#include "kernel/shell/json.h"
#include "kernel/shell/out.h"

struct cmd_run;
struct console;
struct guest;
struct vcpu;

enum cmd_next {
	CMD_DONE,
	CMD_MORE, /* step again as soon as there is room for output */
	CMD_WAIT, /* step again at run->wake_ticks, or if anything happened */
};

/* What an argument is, for completion. */
enum cmd_arg {
	ARG_NONE,
	ARG_GUEST,
	ARG_VCPU, /* GUEST:N */
	ARG_POLICY,
	ARG_KNOB,      /* knob=value */
	ARG_LIVE_KNOB, /* the same, one that may change while the guest runs */
	ARG_COMMAND,
	ARG_WORD, /* one of the row's words, "all|off" */
};

#define CMD_ARGS_MANY UINT32_MAX

struct cmd {
	const char *noun, *verb; /* verb: NULL for one-word commands */
	const char *args;	 /* as in usage: "GUEST...", or "" */
	const char *help;	 /* what it does, in a line */
	const char *more;	 /* the rest of `help NOUN VERB`, or NULL */
	u32 min, max;		 /* arguments */
	enum cmd_arg arg[2];	 /* of the first, and of those after it */
	const char *words;	 /* for ARG_WORD */
	bool json;		 /* knows -j */
	bool screen;		 /* wants the terminal to itself (`top`) */
	/* Ctrl-C is a key as any other: `key` gets it, or without `key` it
	 * waits, and what the command has begun is ended first. */
	bool every_key;

	enum cmd_next (*step)(struct cmd_run *run);
	/* A key was typed meanwhile. Absent: keys wait for the prompt. */
	void (*key)(struct cmd_run *run, char c);
	/* It's over, done or interrupted. Absent: run->state is freed. */
	void (*end)(struct cmd_run *run);
};

/* One command under way. */
struct cmd_run {
	const struct cmd *cmd;
	struct out *out;	 /* text; "\n" ends lines */
	struct console *console; /* whose terminal; NULL: none (a test) */
	u32 rows;		 /* of the terminal */
	u32 argc; /* arguments, without the command's words and options */
	char **argv;
	bool json;
	bool failed;
	u64 now_ticks;
	u64 wake_ticks;

	/* The command's own, zero at first. */
	u32 stage;
	u64 pos;
	void *state;	/* from obj_alloc */
	bool keys_done; /* wants no more keys: they wait for the prompt */

	struct guest *guest; /* of cmd_each_guest */
};

/*
 * Looks up words[0..n): the row, and *used of the words are its name. NULL:
 * there is none, and one line on `out` said what was expected.
 */
const struct cmd *cmd_find(struct out *out, char **words, u32 n, bool json,
			   u32 *used);

/*
 * Takes options out of run->argv, counts arguments, and looks whether there are
 * the guests that a row names: 0, or -EINVAL or -ENOENT and one line on
 * run->out.
 */
int cmd_check(struct cmd_run *run) __must_check;

/* The row after `c` in the order of `help`; NULL is before the first. */
const struct cmd *cmd_after(const struct cmd *c);

/* "guest start GUEST..." */
void cmd_usage(struct out *o, const struct cmd *c);

/* "guest start: " and the text, one line; as JSON with -j. Returns CMD_DONE. */
enum cmd_next cmd_fail(struct cmd_run *run, const char *fmt, ...)
	__printf(2, 3);

/*
 * The guest an argument names, with a reference; or NULL, and a line that
 * names the guests that there are. cmd_vcpu: "GUEST:N", the guest in *g.
 */
struct guest *cmd_guest(struct cmd_run *run, const char *name);
struct vcpu *cmd_vcpu(struct cmd_run *run, const char *name, struct guest **g);

/*
 * For listings, a guest a step: the next of those that run->argv names, or of
 * all if it names none; cmd_any_guest: of all. The run keeps the reference, so
 * it's good until the next call or the command's end. NULL: that was the last,
 * or a name is wrong and has been answered.
 */
struct guest *cmd_each_guest(struct cmd_run *run);
struct guest *cmd_any_guest(struct cmd_run *run);

/* Likewise a vCPU a step, all of each of those guests. run->stage, which was 0,
 * then is the number of the guest's next one, behind 1. */
struct vcpu *cmd_each_vcpu(struct cmd_run *run);

/* For the shell: the command is over. */
void cmd_over(struct cmd_run *run);

/* Whole MiB, for text. */
static inline u64 to_mib(u64 bytes)
{
	return bytes >> 20;
}

/* Ticks from now. */
u64 cmd_in_ms(const struct cmd_run *run, u64 ms);

/* For a step that has done as much as one may, or mailed so much that it is to
 * be looked at first: the next is to be another of the console's. */
static inline enum cmd_next cmd_soon(struct cmd_run *run)
{
	run->wake_ticks = run->now_ticks;
	return CMD_WAIT;
}

/* The files' tables, each ended by a row without a noun. */
extern const struct cmd cmd_guest_table[];
extern const struct cmd cmd_set_table[];
extern const struct cmd cmd_console_table[];
extern const struct cmd cmd_vcpu_table[];
extern const struct cmd cmd_sched_table[];
extern const struct cmd cmd_top_table[];
extern const struct cmd cmd_trace_table[];
extern const struct cmd cmd_trace_dump_table[];
extern const struct cmd cmd_stats_table[];
extern const struct cmd cmd_fault_table[];
extern const struct cmd cmd_misc_table[];

/*
 * Completion: offers each text that may stand at the end of `line` (the part
 * before the cursor) in place of its last word. Calls `offer` with the text
 * and the length of that word; *space is whether a blank follows it.
 */
void cmd_complete(const char *line, size_t len,
		  void (*offer)(void *ctx, const char *text, size_t typed,
				bool space),
		  void *ctx);

#endif
