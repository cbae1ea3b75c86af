/*
 * The shell: lines in, commands run, a step at a time.
 *
 * It knows no hardware: bytes come by shell_feed, text leaves by two sinks, and
 * whoever drives it calls shell_step. Commands come from the keyboard and from
 * scripts (the lab's `boot`, cmd= on the command line) and run one after the
 * other in the order of their arrival.
 *
 * Context: one caller at a time (the console's task).
 */
#ifndef ROUSE_KERNEL_SHELL_SHELL_H
#define ROUSE_KERNEL_SHELL_SHELL_H

#include "kernel/base.h"
#include "kernel/shell/cmd.h"
#include "kernel/shell/line.h"
#include "kernel/shell/out.h"

struct shell_todo;

struct shell {
	struct out *text; /* "\n" ends lines */
	struct out *raw;  /* bytes as they are */
	struct line line;
	struct shell_todo *todo, *todo_last; /* what's to run */

	/* The command under way; or how many words it has, before it is: to
	 * cut a line of many and to show them are two steps. */
	bool running, show;
	u32 cut;
	struct cmd_run run;
	char *words; /* its text, cut up: run.argv points into it */
	char **argv;

	/* Keys that came while it ran. */
	char *ahead;
	size_t ahead_len, ahead_cap;

	u64 commands, failures; /* counts */
};

void shell_init(struct shell *sh, struct out *text, struct out *raw,
		struct console *console);
void shell_fini(struct shell *sh);

/* `n` bytes from the keyboard. Commands are only queued; shell_step runs. */
void shell_feed(struct shell *sh, const char *in, size_t n);

/*
 * Commands to run unattended, `len` bytes, after what is already waiting; each
 * is shown as if it had been typed. Without memory it says so and they are
 * lost.
 */
void shell_script(struct shell *sh, const char *text, size_t len);

/*
 * Runs a step of the command under way, or begins the next. DONE: there is
 * none. MORE: call again. WAIT: call again at *wake_ticks or when something
 * has happened.
 */
enum cmd_next shell_step(struct shell *sh, u64 now_ticks, u64 *wake_ticks);

/* Nothing runs and nothing waits to run: the prompt may be shown. */
bool shell_idle(const struct shell *sh);

/* Does the command under way want the terminal to itself? */
bool shell_owns_screen(const struct shell *sh);

#endif
