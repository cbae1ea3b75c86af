/*
 * The console's state, for console.c and for host programs that drive it.
 */
#ifndef ROUSE_KERNEL_SHELL_CONSOLE_PRIVATE_H
#define ROUSE_KERNEL_SHELL_CONSOLE_PRIVATE_H

#include "kernel/sched/task.h"
#include "kernel/shell/console.h"
#include "kernel/shell/out.h"
#include "kernel/shell/shell.h"
#include "kernel/shell/view.h"

struct console {
	struct task task;
	struct outq q;
	struct shell shell;
	struct view view;
	bool watch_all;
	u64 log_cursor;
	u64 prompt_ticks; /* not before: output may go on */
	u64 end_ticks;	  /* when an end that was asked for can't wait longer */
};

/* What console_init does, without the log and the task. */
void console_setup(struct console *con);

/*
 * One step at `now`, at most 100 us. True: there is more to do at once; else
 * *wake_ticks is when to look again unless woken before.
 */
bool console_step(struct console *con, u64 now, u64 *wake_ticks);

#endif
