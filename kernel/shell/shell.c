/*
 * The shell.
 *
 * Everything to run goes through one list of lines, whether typed or from a
 * script, so that order is order. A line is cut command by command when its
 * turn comes. While a command runs, keys go to it if it wants them; else they
 * wait, all but Ctrl-C, which ends the command and forgets what was to follow.
 * Type-ahead is fed to the editor when the prompt is back, byte by byte, and
 * stops again where a byte begins the next command.
 */
#include "kernel/shell/shell.h"

#include "kernel/mem.h"
#include "kernel/shell/word.h"

#include <string.h>

#define CTRL_C		0x03
#define AHEAD_BYTES_MAX (64 * KIB)

struct shell_todo {
	struct shell_todo *next;
	bool show; /* it's from a script */
	char *at;  /* where the next command begins, in text */
	char text[];
};

static void shell_complete(struct line *l, bool list, void *ctx);

void shell_init(struct shell *sh, struct out *text, struct out *raw,
		struct console *console)
{
	*sh = (struct shell){.text = text, .raw = raw};
	line_init(&sh->line, raw, "rouse> ");
	sh->line.complete = shell_complete;
	sh->line.complete_ctx = sh;
	sh->run.console = console;
	sh->run.rows = 24;
}

/* ---- what's to run ---- */

static void todo_add(struct shell *sh, const char *text, size_t len, bool show)
{
	struct shell_todo *t = obj_alloc(sizeof(*t) + len + 1);

	if (!t) {
		out_str(sh->text, "rouse: no memory to run this\n");
		return;
	}
	memcpy(t->text, text, len);
	t->at = t->text;
	t->show = show;
	if (sh->todo)
		sh->todo_last->next = t;
	else
		sh->todo = t;
	sh->todo_last = t;
}

static void todo_drop(struct shell *sh)
{
	struct shell_todo *t = sh->todo;

	sh->todo = t->next;
	obj_free(t);
}

void shell_script(struct shell *sh, const char *text, size_t len)
{
	todo_add(sh, text, len, true);
}

/* ---- a command's life ---- */

static void run_end(struct shell *sh)
{
	if (sh->running)
		cmd_over(&sh->run);
	obj_free(sh->words);
	obj_free(sh->argv);
	sh->words = NULL;
	sh->argv = NULL;
	sh->cut = 0;
	sh->failures += sh->run.failed;
	sh->running = false;
}

/* Nothing of the command before: what a command finds is written here, or 0. */
static void run_reset(struct cmd_run *run)
{
	*run = (struct cmd_run){
		.console = run->console,
		.rows = run->rows,
		.wake_ticks = TIME_NEVER,
	};
}

/* As if it had been typed. */
static void run_show(struct shell *sh, u32 argc)
{
	line_hide(&sh->line);
	out_str(sh->raw, sh->line.own_prompt);
	for (u32 i = 0; i < argc; i++)
		out_fmt(sh->text, "%s%s", sh->argv[i],
			i + 1 < argc ? " " : "\n");
}

static bool has_json(char **words, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (strcmp(words[i], "-j") == 0)
			return true;
	}
	return false;
}

/* Looks sh->argv up; true: a command is under way. */
static bool run_begin(struct shell *sh)
{
	struct cmd_run *run = &sh->run;
	u32 argc = sh->cut, used;

	if (sh->show)
		run_show(sh, argc);
	run->out = sh->text;
	run->json = has_json(sh->argv, argc);
	sh->commands++;
	run->cmd = cmd_find(sh->text, sh->argv, argc, run->json, &used);
	if (!run->cmd) {
		run->failed = true;
		return false;
	}
	run->argv = sh->argv + used;
	run->argc = argc - used;
	return cmd_check(run) == 0;
}

/* Cuts the next command off the list. True: there is one to begin. */
static bool run_next(struct shell *sh)
{
	struct shell_todo *t = sh->todo;
	size_t bytes = strlen(t->at) + 1;
	char *rest = NULL;
	u32 argc = 0;
	int err;

	run_reset(&sh->run);
	sh->words = obj_alloc(bytes);
	sh->argv = obj_alloc(WORD_MAX(bytes) * sizeof(char *));
	if (!sh->words || !sh->argv) {
		out_str(sh->text, "rouse: no memory to run this\n");
	} else {
		memcpy(sh->words, t->at, bytes);
		err = word_split(sh->words, sh->argv, &argc, &rest);
		if (err && argc && t->show)
			run_show(sh, argc);
		if (err)
			out_str(sh->text, "rouse: a quote is not closed; "
					  "expected another \"\n");
		else
			sh->cut = argc;
	}
	sh->show = t->show;
	if (rest)
		t->at += rest - sh->words;
	else
		todo_drop(sh);
	return sh->cut;
}

/* ---- keys ---- */

static void ahead_add(struct shell *sh, char c)
{
	char *buf;

	if (sh->ahead_len == sh->ahead_cap) {
		size_t cap = sh->ahead_cap ? 2 * sh->ahead_cap : 256;

		buf = cap <= AHEAD_BYTES_MAX ? obj_alloc(cap) : NULL;
		if (!buf) {
			out_put(sh->raw, "\a", 1);
			return;
		}
		if (sh->ahead)
			memcpy(buf, sh->ahead, sh->ahead_len);
		obj_free(sh->ahead);
		sh->ahead = buf;
		sh->ahead_cap = cap;
	}
	sh->ahead[sh->ahead_len++] = c;
}

static void ahead_forget(struct shell *sh)
{
	obj_free(sh->ahead);
	sh->ahead = NULL;
	sh->ahead_len = sh->ahead_cap = 0;
}

static void shell_interrupt(struct shell *sh)
{
	out_str(sh->text, "^C\n");
	if (sh->running || sh->cut)
		run_end(sh);
	while (sh->todo)
		todo_drop(sh);
	ahead_forget(sh);
}

/* Does the command under way take keys (still)? */
static bool takes_keys(const struct shell *sh)
{
	return sh->running && sh->run.cmd->key && !sh->run.keys_done;
}

static void shell_key(struct shell *sh, char c)
{
	const struct cmd *cmd = sh->running ? sh->run.cmd : NULL;

	if (!shell_idle(sh)) {
		if (c == CTRL_C && !(cmd && cmd->every_key))
			shell_interrupt(sh);
		else if (takes_keys(sh))
			cmd->key(&sh->run, c);
		else
			ahead_add(sh, c);
		return;
	}
	if (line_key(&sh->line, c) != LINE_ENTER)
		return;
	todo_add(sh, line_text(&sh->line), sh->line.len, false);
	line_next(&sh->line);
}

void shell_feed(struct shell *sh, const char *in, size_t n)
{
	while (n--)
		shell_key(sh, *in++);
}

/*
 * The prompt is back, or a command that takes keys has begun: feeds what was
 * typed ahead, as far as it goes.
 */
static void ahead_feed(struct shell *sh)
{
	char *keys = sh->ahead;
	size_t n = sh->ahead_len;

	if (!n || !(shell_idle(sh) || takes_keys(sh)))
		return;
	sh->ahead = NULL;
	sh->ahead_len = sh->ahead_cap = 0;
	shell_feed(sh, keys, n);
	obj_free(keys);
}

/* ---- steps ---- */

enum cmd_next shell_step(struct shell *sh, u64 now_ticks, u64 *wake_ticks)
{
	enum cmd_next next;

	*wake_ticks = TIME_NEVER;
	if (shell_idle(sh))
		return CMD_DONE;
	if (!sh->running) {
		if (sh->cut)
			sh->running = run_begin(sh);
		else if (run_next(sh))
			return CMD_MORE;
		sh->cut = 0;
		/* If it is none, the prompt may be back. */
		if (!sh->running) {
			run_end(sh);
			ahead_feed(sh);
		}
		return CMD_MORE;
	}
	sh->run.now_ticks = now_ticks;
	sh->run.wake_ticks = TIME_NEVER;
	next = sh->run.cmd->step(&sh->run);
	*wake_ticks = sh->run.wake_ticks;
	if (next == CMD_DONE) {
		run_end(sh);
		next = CMD_MORE;
	}
	ahead_feed(sh);
	return next;
}

bool shell_idle(const struct shell *sh)
{
	return !sh->running && !sh->cut && !sh->todo;
}

bool shell_owns_screen(const struct shell *sh)
{
	return sh->running && sh->run.cmd->screen;
}

void shell_fini(struct shell *sh)
{
	if (sh->running || sh->cut)
		run_end(sh);
	while (sh->todo)
		todo_drop(sh);
	ahead_forget(sh);
	line_fini(&sh->line);
}

/* ---- Tab ---- */

struct choices {
	struct shell *sh;
	u32 count;
	bool space;
	size_t typed, len;
	char common[256];
	size_t column; /* while they are listed */
};

/* Finds what all choices begin with. */
static void choice_common(void *ctx, const char *text, size_t typed, bool space)
{
	struct choices *c = ctx;
	size_t n = 0;

	if (!c->count++) {
		c->len = MIN(strlen(text), sizeof(c->common));
		memcpy(c->common, text, c->len);
	}
	while (n < c->len && text[n] == c->common[n])
		n++;
	c->len = n;
	c->typed = typed;
	c->space = space;
}

static void choice_list(void *ctx, const char *text, size_t typed, bool space)
{
	struct choices *c = ctx;
	size_t n = strlen(text);

	if (c->column && c->column + 2 + n >= c->sh->line.columns) {
		out_str(c->sh->text, "\n");
		c->column = 0;
	}
	out_fmt(c->sh->text, "%s%s", c->column ? "  " : "", text);
	c->column += n + (c->column ? 2 : 0);
}

static void shell_complete(struct line *l, bool list, void *ctx)
{
	struct choices c = {.sh = ctx};
	size_t len = l->pos;

	cmd_complete(line_text(l), len, choice_common, &c);
	if (c.count && c.len > c.typed) {
		if (!line_insert(l, c.common + c.typed, c.len - c.typed))
			return;
	} else if (c.count != 1) {
		out_put(l->out, "\a", 1);
	}
	if (c.count == 1 && c.space)
		line_insert(l, " ", 1);
	if (c.count < 2 || !list)
		return;
	line_below(l);
	cmd_complete(line_text(l), len, choice_list, &c);
	out_str(c.sh->text, "\n");
}
