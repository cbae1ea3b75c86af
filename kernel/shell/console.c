/*
 * The terminal's traffic.
 *
 * Many want one slow device: the keyboard's echo, the shell, log lines of every
 * CPU, and guests that may print without end. All of them leave their bytes
 * somewhere (rings in memory) and go on; one task carries them to the device,
 * a few at a time. Its rules:
 *
 * - Nothing new is taken in while OUT_LOW_BYTES wait for the device. So what is
 *   behind the device's speed stays in rings that lose their oldest, a key
 *   is echoed after at most that many bytes, and memory is bounded.
 * - In order: keys, an attached guest (then nothing else), the command under
 *   way, log lines, guests' lines, the prompt.
 * - A listing isn't mixed with other lines: while a command has more to print,
 *   log and guests wait. While it only waits (`sleep`), they don't.
 * - The prompt is taken away for each line and comes back when there has been
 *   quiet for PROMPT_QUIET_MS, or with the next key. Drawing it again behind
 *   every line would cost more bytes than the line.
 *
 * A step stops after STEP_US. Waking costs others one load when the task has
 * been woken already (task_wake coalesces), and guests wake it once per time
 * that it has caught up with them (gcons.c).
 */
#include "kernel/shell/console.h"

#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu/cpu.h"
#include "kernel/shell/console_private.h"
#include "kernel/time.h"

#include <ck_pr.h>
#include <inttypes.h>
#include <string.h>

#define STEP_US		50
#define OUT_LOW_BYTES	1024u
#define PROMPT_QUIET_MS 100
#define RETRY_US	300 /* the device was full */
#define POLL_MS		20  /* for keys, if no interrupt announces them */
#define END_WAIT_MS	3000

static struct console the_console;

/* How the machine is to end: bit 63 off, bit 62 reboot; a status below. */
#define END_OFF	   (1ULL << 63)
#define END_REBOOT (1ULL << 62)
static u64 end_wish;

static u64 in_ms(u64 now, u64 ms)
{
	return now + us_to_ticks(ms * 1000);
}

/* ---- bytes to and from the device ---- */

/* False: the device is full. */
static bool device_write(struct console *con)
{
	const char *s;
	size_t n = outq_peek(&con->q, &s), took;

	if (!n)
		return true;
	took = arch_console_write_some(s, n);
	outq_skip(&con->q, took);
	return took != 0;
}

/* True: a key was there. */
static bool device_read(struct console *con)
{
	int c = arch_console_read();
	char key = (char)c;

	if (c < 0)
		return false;
	shell_feed(&con->shell, &key, 1);
	return true;
}

/* ---- what there is to show ---- */

/* One line of the log; false: there is none. */
static bool show_log(struct console *con)
{
	struct log_entry e;
	u64 lost = 0;
	char prefix[40];
	size_t n;

	if (!log_read(&con->log_cursor, &e, &lost))
		return false;
	line_hide(&con->shell.line);
	if (lost)
		out_fmt(&con->q.text, "... %" PRIu64 " lines lost ...\n", lost);
	n = log_prefix(&e, prefix);
	out_put(&con->q.text, prefix, n);
	out_fmt(&con->q.text, "%s\n", e.text);
	return true;
}

/* The prompt, if it's time; else *wake_ticks says when. */
static void show_prompt(struct console *con, u64 now, u64 *wake_ticks)
{
	if (con->shell.line.shown || !shell_idle(&con->shell))
		return;
	if (now >= con->prompt_ticks)
		line_show(&con->shell.line);
	else
		*wake_ticks = MIN(*wake_ticks, con->prompt_ticks);
}

/*
 * Adds a piece of output to the queue. True: there may be more at once; else
 * *wake_ticks is brought forward to when there may be.
 */
static bool produce(struct console *con, u64 now, u64 *wake_ticks)
{
	u64 wake;
	enum cmd_next next;

	con->view.payer = NULL;
	if (con->view.attached && view_raw(&con->view))
		return true;
	next = shell_step(&con->shell, now, &wake);
	if (next == CMD_MORE)
		return true;
	*wake_ticks = MIN(*wake_ticks, wake);
	if (shell_owns_screen(&con->shell))
		return false;
	if (show_log(con) || view_lines(&con->view, now, wake_ticks)) {
		con->prompt_ticks = in_ms(now, PROMPT_QUIET_MS);
		return true;
	}
	show_prompt(con, now, wake_ticks);
	return false;
}

/* ---- the end ---- */

static void end_ask(u64 wish)
{
	/* The log's lines before the wish. Pairs with console_step. */
	ck_pr_fence_release();
	ck_pr_cas_64(&end_wish, 0, wish);
	console_wake();
}

void console_poweroff(u32 status)
{
	end_ask(END_OFF | status);
}

void console_reboot(void)
{
	end_ask(END_REBOOT);
}

bool console_ending(void)
{
	return ck_pr_load_64(&end_wish) != 0;
}

/* The machine ends when all is out, or when that takes too long. */
static void end_look(struct console *con, u64 wish, u64 now, bool quiet,
		     u64 *wake_ticks)
{
	if (likely(!wish))
		return;
	if (con->end_ticks == TIME_NEVER)
		con->end_ticks = in_ms(now, END_WAIT_MS);
	con->view.unpaced = true;
	if ((!quiet || con->view.count) && now < con->end_ticks) {
		*wake_ticks = MIN(*wake_ticks, con->end_ticks);
		return;
	}
	if (!(wish & END_REBOOT))
		arch_poweroff((u32)wish);
	arch_reboot();
	/* It can't: things stay as they are. */
	con->end_ticks = TIME_NEVER;
	ck_pr_store_64(&end_wish, 0);
}

/* ---- steps ---- */

bool console_step(struct console *con, u64 now, u64 *wake_ticks)
{
	u64 stop = now + us_to_ticks(STEP_US), before;
	u64 wish = ck_pr_load_64(&end_wish);
	bool more = true, full = false;

	/* What was said before the end was asked for is looked for after: the
	 * last lines of the log may come while this runs. */
	ck_pr_fence_acquire();
	*wake_ticks = TIME_NEVER;
	do {
		bool key = device_read(con);

		before = now;

		if (con->q.len < OUT_LOW_BYTES)
			more = produce(con, now, wake_ticks) || key;
		full = !device_write(con);
		now = time_now_ticks();
		view_spent(&con->view, now - before);
		/* A command that is to be called again at once has worked as
		 * long as a step may, or is about to: in the next. */
	} while ((more || con->q.len) && !full && now < stop &&
		 *wake_ticks > now);
	end_look(con, wish, now, !more && !con->q.len, wake_ticks);
	if (full && con->q.len) {
		*wake_ticks = MIN(*wake_ticks, now + us_to_ticks(RETRY_US));
		return false;
	}
	if (!arch_console_has_irq())
		*wake_ticks = MIN(*wake_ticks, in_ms(now, POLL_MS));
	return more || con->q.len;
}

static enum task_result console_task_step(struct task *t)
{
	struct console *con = container_of(t, struct console, task);
	u64 wake_ticks;

	if (panic_active())
		return TASK_WAIT;
	if (console_step(con, time_now_ticks(), &wake_ticks))
		return TASK_MORE;
	task_wake_at(t, wake_ticks);
	return TASK_WAIT;
}

/* ---- life ---- */

void console_setup(struct console *con)
{
	*con = (struct console){.end_ticks = TIME_NEVER};
	outq_init(&con->q);
	shell_init(&con->shell, &con->q.text, &con->q.raw, con);
	view_init(&con->view, &con->q, &con->shell.line);
	console_watch_all(con, true);
}

void console_init(struct cpu *boot)
{
	struct console *con = &the_console;

	console_setup(con);
	task_init(&con->task, "console", console_task_step, boot->index);
	gcons_on_output(console_wake);
	log_reader_set(console_wake, &con->log_cursor);
	out_str(&con->q.text,
		"Type 'help' for commands. 'console GUEST' enters "
		"a guest, Ctrl-] comes back;\n'watch off' hides the guests' "
		"lines.\n");
	console_wake();
}

void console_script(const char *text, size_t len)
{
	shell_script(&the_console.shell, text, len);
}

void console_wake(void)
{
	/* Before console_init nobody is there to be woken. */
	if (ck_pr_load_ptr(&the_console.task.step))
		task_wake(&the_console.task);
}

struct view *console_view(struct console *con)
{
	return &con->view;
}

void console_watch_all(struct console *con, bool on)
{
	con->watch_all = on;
	gcons_watch_new(on);
}

bool console_watches_all(const struct console *con)
{
	return con->watch_all;
}

void console_set_columns(struct console *con, u32 columns)
{
	line_set_columns(&con->shell.line, columns);
}
