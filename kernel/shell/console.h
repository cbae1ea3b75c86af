/*
 * The machine's one terminal: the shell's, the guests', and the log's.
 *
 * One task does all of it, on one CPU; others only wake it. docs/console.md
 * says what a user sees.
 */
#ifndef ROUSE_KERNEL_SHELL_CONSOLE_H
#define ROUSE_KERNEL_SHELL_CONSOLE_H

#include "kernel/base.h"

struct console;
struct cpu;
struct gcons;

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

/*
 * Takes the terminal over: from now on log lines and guests' output go through
 * the console's task, which runs on `boot`. Boot CPU, once, after sched_init
 * and before the first guest is made.
 */
void console_init(struct cpu *boot);

/*
 * Commands to run unattended, separated by ';' or newlines, `len` bytes that
 * needn't be terminated. Boot CPU, before its sched_loop.
 */
void console_script(const char *text, size_t len);

/* There is input or output: the task looks. Any CPU, any context; cheap. */
void console_wake(void);

/*
 * Ends the machine after what was printed before has reached the terminal: off
 * with `status` (0 is success), or started anew. The first call counts. Any
 * CPU, any context; returns at once.
 */
void console_poweroff(u32 status);
void console_reboot(void);

/* Is an end asked for? No more once a reboot turned out to be impossible. */
bool console_ending(void);

/* For commands; the task only. */
struct view;

struct view *console_view(struct console *con);
void console_watch_all(struct console *con, bool on);
bool console_watches_all(const struct console *con);
void console_set_columns(struct console *con, u32 columns);

#endif
