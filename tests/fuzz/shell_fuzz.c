/*
 * The console with all of its commands: keys that somebody types, and bytes
 * that a guest writes, with three guests whose wishes come true at once or
 * later, memory that runs out and a terminal that is slow.
 *
 * Whatever is typed: a command ends or waits, every guest is let go of, and all
 * memory comes back. Whatever a watched guest writes: nothing of it moves the
 * cursor or changes the terminal.
 */
/* sources: kernel/gcons.c COMMANDS tests/unit/fake_shell.c */

/* With its static wish for an end, which must not outlive an input. */
#include "kernel/shell/console.c"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_shell.h"

#define TURNS_MAX  40
#define STEPS_MAX  100000
#define SCREEN_MAX (4 * MIB)

enum {
	HOW_SLOW = 1,	 /* wishes come true later */
	HOW_BROKEN = 2,	 /* what is started does not run */
	HOW_TIGHT = 4,	 /* memory runs out */
	HOW_GUEST = 8,	 /* the bytes are a guest's */
	HOW_STALLS = 16, /* the terminal takes a few bytes a time */
};

static struct console con;

static void begin(u32 how)
{
	paper_init(&fake_screen);
	fake_alloc_limit(-1);
	end_wish = 0;
	console_setup(&con);
	gcons_on_output(NULL);
	fake_now_ticks = 10000000;
	fake_tick = 1;
	fake_guest("linux0", 2)->state = GUEST_RUNNING;
	fake_guest("linux1", 70);
	fake_guest("hello", 1);
	fake_slow = how & HOW_SLOW;
	fake_broken = how & HOW_BROKEN;
	fake_tracer_error = 0;
	fake_panic_ends = true;
	fake_screen_room = SIZE_MAX;
}

static void end(void)
{
	fake_alloc_limit(-1);
	view_fini(&con.view);
	shell_fini(&con.shell);
	outq_fini(&con.q);
	/* cmocka's: each guest is held by its list alone. */
	fake_guests_free();
	paper_free(&fake_screen);
}

/* Until there is nothing to do at once; the time that it wants to look next. */
static u64 steps(void)
{
	u64 wake_ticks = TIME_NEVER;
	u32 n = 0;

	while (console_step(&con, fake_now_ticks, &wake_ticks)) {
		MUST(n++ < STEPS_MAX);
		MUST(fake_screen.len < SCREEN_MAX);
	}
	return wake_ticks;
}

/* Time goes on, to the next moment that somebody waits for. */
static void turns(u32 how)
{
	for (u32 i = 0; i < TURNS_MAX; i++) {
		u64 wake_ticks = steps();

		if (how & HOW_STALLS)
			fake_screen_room = 100;
		if (how & HOW_SLOW && i % 8 == 7)
			fake_grant();
		if (wake_ticks == TIME_NEVER && shell_idle(&con.shell))
			return;
		fake_now_ticks =
			MAX(fake_now_ticks + 1000,
			    MIN(wake_ticks, fake_now_ticks + 10000000));
	}
}

/* What may reach a terminal of what a guest wrote: text. */
static void screen_check(void)
{
	for (size_t i = 0; i < fake_screen.len; i++) {
		u8 c = (u8)fake_screen.text[i];

		MUST(c >= ' ' || c == '\t' || c == '\r' || c == '\n');
		MUST(c != 0x7f);
		/* C1 controls are 0xc2 0x80 to 0x9f. */
		if (c == 0xc2)
			MUST((u8)fake_screen.text[i + 1] >= 0xa0);
	}
}

static void guest_writes(struct fuzz_in *in)
{
	struct guest *g = guest_find("linux0");

	guest_console_put(g, (const char *)in->at, in->left);
	guest_put(g);
	turns(0);
	screen_check();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct fuzz_in in = {data, bytes};
	u32 how = (u32)fuzz_take(&in, 1);
	char *volatile text = NULL;

	begin(how);
	if (setjmp(fake_end) == 0) {
		if (how & HOW_TIGHT)
			fake_alloc_limit((long)fuzz_take(&in, 1));
		if (how & HOW_GUEST) {
			guest_writes(&in);
		} else {
			text = fuzz_text(&in, 600);
			fake_keys(text);
			turns(how);
		}
	}
	fake_keys("");
	free(text);
	end();
	return 0;
}
