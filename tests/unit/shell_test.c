/* sources: kernel/gcons.c kernel/shell/cmd.c kernel/shell/cmd_console.c
 *	kernel/shell/cmd_fault.c kernel/shell/cmd_guest.c
 *	kernel/shell/cmd_misc.c kernel/shell/cmd_sched.c
 *	kernel/shell/cmd_set.c kernel/shell/cmd_stats.c
 *	kernel/shell/cmd_trace.c kernel/shell/cmd_trace_dump.c
 *	kernel/shell/cmd_vcpu.c
 *	kernel/shell/complete.c kernel/shell/console.c kernel/shell/history.c
 *	kernel/shell/json.c kernel/shell/line.c kernel/shell/line_keys.c
 *	kernel/shell/line_view.c kernel/shell/out.c kernel/shell/shell.c
 *	kernel/shell/look.c kernel/shell/top.c kernel/shell/view.c
 *	kernel/shell/word.c
 *	tests/unit/fake_shell.c */
#include "kernel/shell/shell.h"

#include "kernel/shell/console_private.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "tests/unit/fake_shell.h"

static struct paper text, raw;
static struct shell sh;
static struct console con;

static int setup(void **state)
{
	paper_init(&text);
	paper_init(&raw);
	paper_init(&fake_screen);
	fake_screen_room = SIZE_MAX;
	shell_init(&sh, &text.out, &raw.out, NULL);
	console_setup(&con);
	con.shell.line.prompt = con.shell.line.own_prompt = "> ";
	gcons_on_output(NULL);
	fake_tick = 1;
	fake_guest("linux0", 2);
	fake_guest("linux1", 2);
	fake_guest("hello", 1);
	return 0;
}

static int teardown(void **state)
{
	view_fini(&con.view);
	shell_fini(&con.shell);
	outq_fini(&con.q);
	shell_fini(&sh);
	fake_guests_free();
	paper_free(&text);
	paper_free(&raw);
	paper_free(&fake_screen);
	return 0;
}

/* Steps until the shell is idle or waits; returns what it said last. */
static enum cmd_next steps(u64 *wake_ticks)
{
	enum cmd_next next;
	u32 n = 0;

	do {
		assert_true(n++ < 100000);
		next = shell_step(&sh, fake_now_ticks, wake_ticks);
	} while (next == CMD_MORE);
	return next;
}

/* Types a line, runs it to its end, going on in time where it waits. */
static const char *run(const char *line)
{
	u64 wake_ticks;

	paper_clear(&text);
	shell_feed(&sh, line, strlen(line));
	shell_feed(&sh, "\r", 1);
	for (u32 i = 0; steps(&wake_ticks) == CMD_WAIT; i++) {
		assert_true(i < 10000);
		assert_int_not_equal(wake_ticks, TIME_NEVER);
		fake_now_ticks = MAX(wake_ticks, fake_now_ticks);
	}
	return text.text;
}

static struct guest *guest(const char *name)
{
	struct guest *g = guest_find(name);

	guest_put(g);
	return g;
}

/* ---- words ---- */

static void words_are_cut_and_unquoted(void **state)
{
	char line[] = "  a \"b ; c\"d\\;e  \"\" ; next # rest\n third";
	char *argv[WORD_MAX(sizeof(line))], *rest;
	u32 argc;

	assert_int_equal(word_split(line, argv, &argc, &rest), 0);
	assert_int_equal(argc, 3);
	assert_string_equal(argv[0], "a");
	assert_string_equal(argv[1], "b ; cd;e");
	assert_string_equal(argv[2], "");
	assert_null(argv[3]);
	assert_int_equal(word_split(rest, argv, &argc, &rest), 0);
	assert_int_equal(argc, 1);
	assert_string_equal(argv[0], "next");
	assert_int_equal(word_split(rest, argv, &argc, &rest), 0);
	assert_string_equal(argv[0], "third");
	assert_null(rest);
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
	u64 v;

	assert_int_equal(word_u64("0x1F", &v), 0);
	assert_int_equal(v, 31);
	assert_int_equal(word_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(word_u64("18446744073709551616", &v), -EINVAL);
	assert_int_equal(word_u64("", &v), -EINVAL);
	assert_int_equal(word_u64("0x", &v), -EINVAL);
	assert_int_equal(word_u64("12a", &v), -EINVAL);
	assert_int_equal(word_u64("-1", &v), -EINVAL);
}

/* ---- wrong commands ---- */

static void a_wrong_command_gets_one_line_with_what_is_expected(void **state)
{
	static const struct {
		const char *line, *answer;
	} wrong[] = {
		{"gest list",
		 "gest: no such command; expected guest, set, "
		 "console, watch, screen, vcpu, sched, top, stats, trace, "
		 "fault, mem, log, sleep, help, reboot, poweroff, panic\n"},
		{"fault stall 2 1", "fault stall: there is no CPU '2'; "
				    "expected 0 to 1\n"},
		{"fault stall 0 3601", "fault stall: '3601' seconds; expected "
				       "0 to 3600\n"},
		{"fault alloc x", "fault alloc: 'x'; expected a number\n"},
		{"fault crash nobody:0", "fault crash: no guest 'nobody'; "
					 "there are: linux0, linux1, hello\n"},
		{"fault crash hello:0", "fault crash: hello is stopped; "
					"expected a running guest\n"},
		{"guest", "guest: expected list, start, stop, pause, resume, "
			  "reset, destroy, create, wait\n"},
		{"guest lost", "guest: no 'lost'; expected list, start, stop, "
			       "pause, resume, reset, destroy, create, wait\n"},
		{"guest start", "guest start: something is missing; "
				"expected: guest start GUEST...\n"},
		{"guest start nobody", "guest start: no guest 'nobody'; there "
				       "are: linux0, linux1, hello\n"},
		{"guest start -f", "guest start: no option -f; expected: "
				   "guest start GUEST...\n"},
		{"guest list -x", "guest list: no option -x; expected: guest "
				  "list [GUEST...] [-j]\n"},
		{"guest stop hello", "guest stop: hello is stopped; expected "
				     "a running guest\n"},
		{"guest resume hello", "guest resume: hello is stopped; "
				       "expected a paused guest\n"},
		{"guest create linux0", "guest create: linux0: there is one\n"},
		{"guest create x y=1", "guest create: x: no knob 'y=1'\n"},
		{"guest create a!", "guest create: 'a!' is no name\n"},
		{"set linux0 color=red", "set: linux0: no knob 'color=red'\n"},
		{"set nobody", "set: no guest 'nobody'; there are: linux0, "
			       "linux1, hello\n"},
		{"console", "console: something is missing; expected: console "
			    "GUEST\n"},
		{"watch nobody", "watch: no guest 'nobody'; there are: "
				 "linux0, linux1, hello\n"},
		{"vcpu regs linux0", "vcpu regs: 'linux0' is no vCPU; "
				     "expected GUEST:N as in linux0:1\n"},
		{"vcpu regs linux0:2", "vcpu regs: linux0 has no vCPU 2; "
				       "expected 0 to 1\n"},
		{"vcpu pin linux0:0 2",
		 "vcpu pin: no such CPUs; expected a "
		 "list as in 0-2,5 of 0 to 1, or none\n"},
		{"vcpu pin linux0:0 1-0",
		 "vcpu pin: no such CPUs; expected a "
		 "list as in 0-2,5 of 0 to 1, or none\n"},
		{"vcpu pin linux0:0 0,",
		 "vcpu pin: no such CPUs; expected a "
		 "list as in 0-2,5 of 0 to 1, or none\n"},
		{"sched set green", "sched set: no policy 'green'; expected "
				    "red or blue\n"},
		{"sched list all", "sched list: too much: all; expected: "
				   "sched list [-j]\n"},
		{"top zero", "top: expected SECONDS, 1 to 86400, and how "
			     "often\n"},
		{"screen 5", "screen: '5' columns; expected 20 to 1000\n"},
		{"log many", "log: 'many' lines; expected a number\n"},
		{"sleep long", "sleep: 'long' seconds; expected a number such "
			       "as 2 or 0.25\n"},
		{"sleep 1.", "sleep: '1.' seconds; expected a number such as "
			     "2 or 0.25\n"},
		{"sleep 0.0001", "sleep: '0.0001' seconds; expected a number "
				 "such as 2 or 0.25\n"},
		{"sleep 1000000001", "sleep: '1000000001' seconds; expected a "
				     "number such as 2 or 0.25\n"},
		{"poweroff 99999", "poweroff: '99999' as status; expected 0 "
				   "to 65535\n"},
		{"stats nobody", "stats: no guest 'nobody'; there are: linux0, "
				 "linux1, hello\n"},
		{"stats clear linux", "stats clear: no guest 'linux'; there "
				      "are: linux0, linux1, hello\n"},
		{"trace", "trace: expected on, off, mask, status, dump\n"},
		{"trace on exits",
		 "trace on: no class 'exits'; expected all, or some of exit,"
		 "call,device,memory,virq,sched,bell,timer,policy,life\n"},
		{"trace on exit,", "trace on: no class ''; expected all, or "
				   "some of exit,call,device,memory,virq,sched,"
				   "bell,timer,policy,life\n"},
		{"trace on size=0", "trace on: size=0; expected a number from "
				    "1 to 1048576\n"},
		{"trace on mode=all", "trace on: mode=all; expected flight "
				      "(the last records) or fill (the "
				      "first)\n"},
		{"trace on stop=SLEEP", "trace on: stop=SLEEP; expected an "
					"event, such as WAKE "
					"(docs/trace.md)\n"},
		{"trace on after=1", "trace on: after= without stop=\n"},
		{"trace on till=1", "trace on: 'till=1'; expected size=, mode=,"
				    " stop=, after= or late=\n"},
		{"trace mask all", "trace mask: nothing is recorded; expected "
				   "'trace on' first\n"},
		{"trace dump", "trace dump: nothing was recorded; expected "
			       "'trace on' first\n"},
		{"help me", "help: no command 'me'; 'help' lists them\n"},
		{"echo \"x", "rouse: a quote is not closed; expected another "
			     "\"\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_string_equal(run(wrong[i].line), wrong[i].answer);
	assert_string_equal(fake_did, "");
	assert_int_equal(sh.failures, ARRAY_LEN(wrong) - 1);
}

static void any_wrong_word_is_one_line_and_no_harm(void **state)
{
	static const char *const words[] = {
		"guest",  "list",	 "start", "vcpu",   "pin", "linux0:9",
		"sched",  "-j",		 "set",	  "linux0", "=",   "weight=",
		"screen", "99999999999", "help",  "mem",    ":",   "linux0:",
		"regs",	  "log",	 "-",	  "%s%n",
	};
	char line[200];
	u32 seed = 7;

	for (u32 i = 0; i < 3000; i++) {
		line[0] = '\0';
		for (u32 k = 0; k < 1 + i % 5; k++) {
			seed = seed * 1664525u + 1013904223u;
			strcat(line, words[(seed >> 16) % ARRAY_LEN(words)]);
			strcat(line, seed >> 31 ? " " : "  ");
		}
		u64 failures = sh.failures;

		run(line);
		if (sh.failures == failures || strstr(line, "list") ||
		    strstr(line, "mem") || strstr(line, "regs"))
			continue;
		/* One line: the only newline is the last byte. */
		assert_ptr_equal(strchr(text.text, '\n'),
				 text.text + text.len - 1);
	}
}

static void errors_with_j_are_objects(void **state)
{
	static const char *const wrong[] = {
		"guest lost -j",	 "gest -j \"\"\"x\"",
		"guest list nobody -j",	 "set linux0 color=red -j",
		"vcpu regs x\\\"y:1 -j",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(json_lines(run(wrong[i])), 1);
		assert_memory_equal(text.text, "{\"type\":\"error\"", 15);
	}
}

/* ---- commands ---- */

static void every_listing_has_a_json_form(void **state)
{
	static const struct {
		const char *line;
		int lines;
	} lists[] = {
		{"guest list -j", 3},
		{"guest -j list linux1", -1},
		{"guest list linux1 hello -j", 2},
		{"vcpu list -j", 5},
		{"vcpu list linux0 -j", 2},
		{"vcpu regs linux0:0 -j", 1},
		{"sched list -j", 2},
		{"sched params -j", 3},
		{"sched cpus -j", 2},
		{"mem -j", 4},
		{"watch -j", 3},
		{"set linux0 -j", 3},
		{"top 1 2 -j", 2 * (1 + 3 + 5)},
		{"help guest -j", 9},
		{"stats -j", 5},
		{"stats linux1 -j", 2},
		{"trace status -j", 1},
		/* These say what is so now. */
		{"trace on exit -j", 1},
		{"trace mask sched -j", 1},
		{"trace off -j", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		run(lists[i].line);
		if (lists[i].lines >= 0)
			assert_int_equal(json_lines(text.text), lists[i].lines);
	}
}

static void the_list_of_commands_fits_a_small_terminal(void **state)
{
	u32 lines = 0, column = 0;
	const char *at;

	at = run("help");
	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		char noun[32];

		snprintf(noun, sizeof(noun), "\n%s ", c->noun);
		at = strstr(text.text, noun);
		at = at ? at + 1 : text.text;
		assert_memory_equal(at, c->noun, strlen(c->noun));
		at = strstr(at, c->verb ? c->verb : c->help);
		assert_non_null(at);
	}
	for (at = text.text; *at; at++) {
		column = *at == '\n' ? 0 : column + 1;
		lines += *at == '\n';
		assert_true(column <= 80);
	}
	/* And the next prompt. */
	assert_true(lines < 24);
}

static void memory_is_told_in_one_unit(void **state)
{
	run("mem");
	assert_non_null(strstr(text.text, "largest block "));
	assert_non_null(strstr(text.text, " MiB, objects "));
	assert_null(strstr(text.text, "KiB"));
}

static void every_command_that_lists_says_so_in_help(void **state)
{
	u32 with_json = 0;

	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		assert_non_null(c->help);
		assert_non_null(c->args);
		assert_non_null(c->step);
		assert_true(c->max >= c->min);
		with_json += c->json;
	}
	assert_int_equal(with_json, 19);
	for (const struct cmd *c = NULL; (c = cmd_after(c)) != NULL;) {
		char line[64];

		snprintf(line, sizeof(line), "help %s %s", c->noun,
			 c->verb ? c->verb : "");
		run(line);
		assert_non_null(strstr(text.text, c->help));
	}
	run("help guest create");
	assert_non_null(strstr(text.text, "guest create NAME [KNOB=VALUE...]"));
	assert_null(strstr(text.text, "guest start"));
	assert_true(json_lines(run("help -j")) > 20);
}

static void recording_takes_classes_and_options(void **state)
{
	run("trace on");
	assert_int_equal(fake_traced.mask, TRACE_ALL);
	assert_int_equal(fake_traced.flags, TRACE_FLIGHT);
	assert_int_equal(fake_traced.records, 0);
	assert_int_equal(fake_traced.late_ticks, TIME_NEVER);
	run("trace on exit,sched bell size=100 mode=fill stop=wake after=7 "
	    "late=5");
	assert_string_equal(text.text, "");
	assert_int_equal(fake_traced.mask,
			 TRACE_EXIT | TRACE_SCHED | TRACE_BELL);
	assert_int_equal(fake_traced.flags, 0);
	/* A power of two, and no less than was asked for. */
	assert_int_equal(fake_traced.records, 128 * KIB / 32);
	assert_int_equal(fake_traced.stop_event, TRACE_EV_WAKE);
	assert_int_equal(fake_traced.stop_after, 7);
	assert_int_equal(fake_traced.late_ticks, us_to_ticks(5));
	run("trace status");
	assert_non_null(strstr(text.text, "recording exit,sched,bell;"));
	assert_non_null(strstr(text.text, "ends 7 records after WAKE\n"));
	run("trace mask virq; trace off; trace status -j");
	assert_non_null(strstr(text.text, "\"on\":false"));
	fake_tracer_error = -ENOMEM;
	assert_string_equal(run("trace on"),
			    "trace on: no memory for the rings; expected a "
			    "smaller size=\n");
	fake_tracer_error = -EBUSY;
	assert_string_equal(run("stats on"), "stats on: a change is on its "
					     "way; try again\n");
	fake_tracer_error = 0;
}

/* The bytes of "trace:N:..." lines; the lines are in order. */
static size_t dumped(u8 *out, size_t bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	size_t len = 0;
	u32 lines = 0;

	for (char *l = strstr(text.text, "trace:"); l;
	     l = strstr(l + 1, "trace:")) {
		char *s = strchr(l + 6, ':') + 1;

		assert_int_equal(strtoul(l + 6, NULL, 16), lines++);
		for (; *s != '\n'; s += 4) {
			u32 w = 0, pad = 0;

			for (u32 i = 0; i < 4; i++) {
				pad += s[i] == '=';
				w = w << 6 |
				    (s[i] == '=' ? 0
						 : (u32)(strchr(digits, s[i]) -
							 digits));
			}
			for (u32 i = 0; i < 3 - pad; i++) {
				assert_true(len < bytes);
				out[len++] = w >> (16 - 8 * i) & 0xff;
			}
		}
	}
	return len;
}

static void a_dump_is_the_bytes_of_a_trace_file(void **state)
{
	struct trace_file_cpu cpu;
	struct trace_name name;
	u8 got[2048];
	size_t at;

	run("trace on");
	for (u32 i = 0; i < 11; i++)
		fake_ring.records[fake_ring.head++].a = 1000 + i;
	run("trace dump");
	assert_memory_equal(text.text, "trace-begin\n", 12);
	assert_non_null(strstr(text.text, "\ntrace-end "));
	at = sizeof(struct trace_file) + 2 * sizeof(name);
	assert_int_equal(dumped(got, sizeof(got)),
			 at + cpu_count() * (sizeof(cpu) + 11 * 32));
	assert_memory_equal(got, TRACE_FILE_MAGIC, 8);
	memcpy(&name, got + at - sizeof(name), sizeof(name));
	assert_int_equal(name.vcpu, 1);
	for (u32 c = 0; c < cpu_count(); c++) {
		memcpy(&cpu, got + at, sizeof(cpu));
		assert_int_equal(cpu.cpu, c);
		assert_int_equal(cpu.records, 11);
		at += sizeof(cpu);
		for (u32 i = 0; i < 11; i++, at += 32)
			assert_int_equal(((u64 *)(void *)(got + at))[2],
					 1000 + i);
	}
}

static void waits_are_drawn_as_bars(void **state)
{
	run("stats hello");
	assert_non_null(strstr(text.text, "hello:0\n"));
	assert_non_null(strstr(text.text, " sbi "));
	/* 2^3 ticks of 100 ns, and 2^5; what lies between has none. */
	assert_non_null(strstr(text.text,
			       "     800 ns        10 "
			       "########################################\n"));
	assert_non_null(strstr(text.text, "    1600 ns         0 \n"));
	assert_non_null(strstr(text.text, "    3200 ns         1 ####\n"));
	run("stats clear hello");
	assert_string_equal(fake_did, "stats clear hello:0");
}

static void guests_start_stop_and_go(void **state)
{
	run("guest start linux0 hello; guest pause linux0;guest resume linux0");
	assert_string_equal(text.text, "");
	run("guest reset hello;guest stop linux0 hello ; guest destroy hello");
	assert_string_equal(text.text, "");
	assert_string_equal(fake_did,
			    "start linux0; start hello; pause linux0; "
			    "resume linux0; reset hello; stop linux0; "
			    "stop hello; destroy hello; ");
	run("guest list");
	assert_null(strstr(text.text, "hello"));
}

static void a_command_waits_until_its_wish_came_true(void **state)
{
	u64 wake_ticks;

	fake_slow = true;
	shell_feed(&sh, "guest start linux0; guest stop linux0\r", 38);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	assert_string_equal(fake_did, "start linux0; ");
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	fake_grant();
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	assert_string_equal(fake_did, "start linux0; stop linux0; ");
	fake_grant();
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_string_equal(text.text, "");
}

static void a_wish_that_never_comes_true_is_given_up(void **state)
{
	fake_slow = true;
	run("guest start linux0");
	assert_string_equal(text.text, "guest start: linux0 is still starting; "
				       "it goes on by itself\n");
}

static void a_guest_that_does_not_start_is_said(void **state)
{
	fake_broken = true;
	run("guest start linux0 linux1");
	assert_string_equal(text.text,
			    "guest start: linux0 did not start; 'log' says "
			    "why\nguest start: linux1 did not start; 'log' "
			    "says why\n");
}

/* Its state says so a moment before it is counted. */
static void a_guest_that_runs_but_is_not_counted_yet_has_started(void **state)
{
	u64 wake_ticks;

	fake_slow = true;
	shell_feed(&sh, "guest start hello\r", 18);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	guest("hello")->state = GUEST_RUNNING;
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_null(strstr(text.text, "did not start"));
	fake_slow = false;
}

/* And is STOPPING again by now, or STARTING. */
static void a_guest_that_reboots_all_the_time_has_started(void **state)
{
	u64 wake_ticks;

	fake_slow = true;
	shell_feed(&sh, "guest start hello\r", 18);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	guest("hello")->boots++;
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_null(strstr(text.text, "did not start"));
	fake_slow = false;
}

static void a_creation_that_is_interrupted_is_given_up(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "guest create new\r", 17);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	shell_feed(&sh, "\3", 1);
	assert_string_equal(fake_did, "create new; cancel new; ");
}

static void sleeps_are_exact_to_a_millisecond(void **state)
{
	static const struct {
		const char *line;
		u64 ms;
	} sleeps[] = {
		{"sleep 3\r", 3000},
		{"sleep 0.25\r", 250},
		{"sleep 1.007\r", 1007},
		{"sleep 0.5\r", 500},
	};

	for (size_t i = 0; i < ARRAY_LEN(sleeps); i++) {
		u64 wake_ticks, begun = fake_now_ticks;

		shell_feed(&sh, sleeps[i].line, (u32)strlen(sleeps[i].line));
		assert_int_equal(steps(&wake_ticks), CMD_WAIT);
		assert_int_equal(wake_ticks - begun,
				 sleeps[i].ms * timebase_hz / 1000);
		fake_now_ticks = wake_ticks;
		assert_int_equal(steps(&wake_ticks), CMD_DONE);
	}
}

static void ctrl_c_ends_waiting_and_forgets_the_rest(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "sleep 1000; guest start linux0\rguest list\r", 42);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	assert_true(wake_ticks > fake_now_ticks + 900 * timebase_hz);
	shell_feed(&sh, "\x03", 1);
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_string_equal(text.text, "^C\n");
	assert_string_equal(fake_did, "");
}

static void a_change_that_has_begun_is_ended_before_ctrl_c_counts(void **state)
{
	static const char *const lines[] = {"guest pause big\r",
					    "guest resume big\r",
					    "set big weight=7\r"};
	u64 wake_ticks;

	fake_guest("big", 512)->state = GUEST_RUNNING;
	for (u32 i = 0; i < ARRAY_LEN(lines); i++) {
		u32 n = 0;

		shell_feed(&sh, lines[i], strlen(lines[i]));
		fake_work = 0;
		while (!fake_work)
			shell_step(&sh, fake_now_ticks, &wake_ticks);
		shell_feed(&sh, "\x03", 1);
		while (!shell_idle(&sh) && n++ < 100)
			shell_step(&sh, fake_now_ticks, &wake_ticks);
		assert_int_equal(fake_work, 512);
	}
}

/* Each command, about 512 vCPUs on as many CPUs. What a step does for one is
 * some hundreds of instructions; tests/system/steps.py counts them. */
static void no_step_does_anything_for_very_many(void **state)
{
	static const char *const lines[] = {
		"guest pause big", "guest resume big", "set big weight=7",
		"stats clear big", "stats big", "vcpu list big", "top 1 2",
		"top -j 1 2", "sched cpus", "guest list", "sched params",
	};
	struct guest *big = fake_guest("big", 512);
	u64 wake_ticks;

	big->state = GUEST_RUNNING;
	cpu_table_len = 512;
	for (u32 i = 0; i < ARRAY_LEN(lines); i++) {
		shell_feed(&sh, lines[i], strlen(lines[i]));
		shell_feed(&sh, "\r", 1);
		while (!shell_idle(&sh)) {
			fake_work = 0;
			if (shell_step(&sh, fake_now_ticks, &wake_ticks) ==
			    CMD_WAIT)
				fake_now_ticks = MAX(fake_now_ticks,
						     wake_ticks);
			assert_in_range(fake_work, 0, 32);
		}
	}
	cpu_table_len = 2;
}

static void wait_waits_for_the_stop(void **state)
{
	u64 wake_ticks;

	run("guest start linux0 linux1");
	shell_feed(&sh, "guest wait linux0 linux1 hello\r", 31);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	guest("linux0")->state = GUEST_STOPPED;
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	guest("linux1")->state = GUEST_STOPPED;
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
}

static void keys_typed_ahead_come_after_the_command(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "sleep 1\rguest start linux0\rguest st", 35);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	fake_now_ticks = wake_ticks;
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_string_equal(fake_did, "start linux0; ");
	assert_string_equal(line_text(&sh.line), "guest st");
}

static void keys_typed_ahead_of_a_wrong_command_keep_their_order(void **state)
{
	static const char keys[] = "gest list\r\rmem -j; help";
	u64 wake_ticks;

	shell_feed(&sh, keys, strlen(keys));
	steps(&wake_ticks);
	shell_feed(&sh, " top\r", 5);
	steps(&wake_ticks);
	assert_non_null(strstr(text.text, "gest: no such command"));
	assert_non_null(strstr(text.text, "{\"type\":\"memory\""));
	assert_non_null(strstr(text.text, "top [SECONDS [TIMES]]"));
}

static void scripts_run_in_order_and_are_shown(void **state)
{
	static const char script[] = "guest start linux0; # a comment\n"
				     "set linux0 weight=7;;guest bad\nxx";
	u64 wake_ticks;

	shell_script(&sh, script, sizeof(script) - 3);
	shell_script(&sh, "sched set blue", 14);
	while (steps(&wake_ticks) == CMD_WAIT)
		assert_int_equal(wake_ticks, fake_now_ticks);
	assert_string_equal(text.text,
			    "guest start linux0\nset linux0 weight=7\n"
			    "guest bad\nguest: no 'bad'; expected list, start, "
			    "stop, pause, resume, reset, destroy, create, wait"
			    "\nsched set blue\n");
	assert_int_equal(guest("linux0")->cfg.sched.weight, 7);
	assert_int_equal(sh.commands, 4);
	run("sched set red");
}

static void create_takes_knobs_and_autostart(void **state)
{
	run("guest create new weight=9 autostart=on");
	assert_string_equal(text.text, "");
	assert_string_equal(fake_did, "create new; start new; ");
	assert_int_equal(guest("new")->cfg.sched.weight, 9);
}

static void a_knob_the_policy_ignores_is_said(void **state)
{
	assert_string_equal(run("set linux0 weight=5"), "");
	assert_string_equal(run("set linux0 weight=6 slice-us=500"),
			    "linux0: slice-us=500 is kept; the scheduler red "
			    "does not look at it\n");
	run("sched params linux0");
	assert_non_null(strstr(text.text, "  weight=6  (cap=0)"));
}

static void pins_are_lists_of_cpus(void **state)
{
	run("vcpu pin linux0:1 1;vcpu pin linux0:0 0-1;vcpu pin linux1:0 1,0");
	guest("linux1")->cfg.has_affinity = true;
	cpuset_add(&guest("linux1")->cfg.affinity, 1);
	run("vcpu pin linux1:1 none; vcpu pin linux0:0 none");
	assert_string_equal(text.text, "");
	assert_string_equal(fake_did,
			    "pin linux0:1 2; pin linux0:0 3; "
			    "pin linux1:0 3; pin linux1:1 2; pin linux0:0 3; ");
}

static void registers_pause_only_what_runs(void **state)
{
	run("vcpu regs linux0:0");
	assert_string_equal(fake_did, "");
	assert_string_equal(text.text, "linux0:0:\n  pc 80000000\n"
				       "  a\"0 1\n");
	guest("linux0")->vcpu[1]->state = VCPU_RUNNING;
	run("vcpu regs linux0:1 linux0:0");
	assert_string_equal(fake_did, "pause linux0:1; resume linux0:1; ");
	guest("linux0")->vcpu[0]->state = VCPU_BLOCKED;
	guest("linux0")->vcpu[0]->sched.paused = true;
	run("vcpu regs linux0:0");
	assert_string_equal(fake_did, "pause linux0:1; resume linux0:1; ");
}

static void a_listing_lets_guests_go_when_it_is_cut_short(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "vcpu list\r", 10);
	for (u32 i = 0; i < 4; i++)
		shell_step(&sh, fake_now_ticks, &wake_ticks);
	assert_true(sh.running);
	shell_feed(&sh, "\x03", 1);
	/* fake_guests_free checks the references. */
}

static void top_shows_shares_of_the_time_between(void **state)
{
	fake_tick = 10;
	run("top 1 1");
	assert_non_null(strstr(text.text, "2 CPUs, red; guests 100 %, tasks "
					  "0 %, host 0 %, idle 100 %\n"));
	assert_non_null(strstr(text.text, "\nlinux0                   25.0     "
					  "25.0       2000      20000\n"));
	assert_non_null(strstr(text.text, "\n  :0                     25.0     "
					  "12.5       1000      10000\n"));
	assert_non_null(strstr(text.text, "\n  :1                      0.0     "
					  "12.5       1000      10000\n"));
	assert_null(strchr(text.text, '\033'));
}

/* "12.5" at `s` is 125. */
static u64 tenths(const char *s)
{
	u32 whole, tenth;

	assert_int_equal(sscanf(s, "%u.%u", &whole, &tenth), 2);
	return 10 * whole + tenth;
}

static void top_shows_sums_that_are_exact(void **state)
{
	const char *row;
	u64 sum = 0;

	/* More vCPUs than are looked at in one step. */
	fake_guest("many", 150);
	fake_tick = 10;
	fake_thirds = true;
	run("top 1 1");
	fake_thirds = false;
	row = strstr(text.text, "\nmany ") + 1;
	for (u32 i = 0; i < 150; i++) {
		char name[16];

		snprintf(name, sizeof(name), "\n  :%u ", i);
		sum += tenths(strstr(row, name) + 1 + 31);
	}
	/* 12.46 % is shown as 12.5. */
	assert_int_equal(sum, 150 * 125);
	assert_int_equal(tenths(row + 31), sum);
	assert_non_null(strstr(text.text, "guests 67 %, tasks 66 %, host 67 %, "
					  "idle 0 %\n"));
}

static void top_refreshes_in_place_until_q(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "top\r", 4);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	assert_true(shell_owns_screen(&sh));
	for (u32 i = 0; i < 3; i++) {
		paper_clear(&text);
		fake_now_ticks = wake_ticks;
		assert_int_equal(steps(&wake_ticks), CMD_WAIT);
		assert_memory_equal(text.text, "\033[H", 3);
		assert_non_null(strstr(text.text, "\033[K\n\033[J"));
		if (i == 1)
			fake_guest("newcomer", 3);
		if (i == 2)
			assert_non_null(strstr(text.text, "newcomer"));
	}
	assert_int_equal(guest_start(guest("hello")), 0);
	paper_clear(&text);
	shell_feed(&sh, "\033[Bj", 4);
	steps(&wake_ticks);
	assert_null(strstr(text.text, "linux0"));
	/* What is typed behind the q is for the prompt. */
	shell_feed(&sh, "qmem\r", 5);
	paper_clear(&text);
	assert_int_equal(steps(&wake_ticks), CMD_DONE);
	assert_non_null(strstr(text.text, "host: "));
}

static void top_knows_who_came_and_went(void **state)
{
	u64 wake_ticks;

	shell_feed(&sh, "top 1 9 -j\r", 11);
	assert_int_equal(steps(&wake_ticks), CMD_WAIT);
	assert_int_equal(guest_destroy(guest("linux1")), 0);
	fake_guest("late", 1);
	fake_now_ticks = wake_ticks;
	steps(&wake_ticks);
	assert_int_equal(json_lines(text.text), 1 + 3 + 4);
	assert_non_null(strstr(text.text,
			       "{\"type\":\"top_guest\",\"guest\":"
			       "\"late\",\"elapsed_ns\":0,\"running_percent\":"
			       "0.000"));
	assert_non_null(strstr(text.text, "\"guest\":\"hello\",\"vcpu\":0,"));
	shell_feed(&sh, "\x03", 1);
}

static void log_shows_all_or_the_last(void **state)
{
	fake_log("first");
	for (u32 i = 0; i < 20; i++)
		fake_log("middle");
	fake_log("a \"quoted\" one");
	run("log");
	assert_memory_equal(text.text, "[0.0] first\n", 12);
	assert_string_equal(run("log 1"), "[0.0] a \"quoted\" one\n");
	assert_string_equal(run("log 0"), "");
	assert_int_equal(json_lines(run("log 3 -j")), 3);
}

static void no_memory_is_an_answer_and_no_crash(void **state)
{
	static const char *const lines[] = {
		"guest start linux0", "vcpu regs linux0:0", "top 1 1", "log",
		"vcpu list",	      "guest list",
	};
	u64 wake_ticks;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		for (long n = 0; n < 8; n++) {
			shell_feed(&sh, lines[i], strlen(lines[i]));
			fake_alloc_limit(n);
			shell_feed(&sh, "\r", 1);
			while (steps(&wake_ticks) == CMD_WAIT)
				fake_now_ticks = wake_ticks;
			fake_alloc_limit(-1);
		}
	}
	assert_non_null(strstr(text.text, "no memory"));
}

/* One after the other of a command's allocations; the first of them is the
 * line's own. */
static void any_allocation_may_fail_and_the_next_command_works(void **state)
{
	static const char *const lines[] = {
		"guest start linux0",
		"guest create x y=1",
		"guest list",
		"guest list -j",
		"vcpu regs linux0:0",
		"vcpu list",
		"top 1 1",
		"log",
		"set linux0",
		"sched params",
		"stats",
		"trace status",
		"trace on sched",
		"watch all",
		"help; mem",
		"fault alloc",
		"sched cpus -j",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		u64 n = 0, left;

		do {
			mem_fail_after(++n);
			run(lines[i]);
			left = mem_fail_left();
			mem_fail_after(0);
			run("guest lost; mem -j");
			assert_non_null(strstr(text.text, "no 'lost'"));
			assert_non_null(strstr(text.text, "{\"type\":\"mem"));
		} while (!left && n < 1000);
		assert_in_range(n, 3, 999);
	}
}

static void faults_are_asked_for_by_number(void **state)
{
	assert_string_equal(run("fault alloc"), "no allocation is to fail\n");
	assert_string_equal(run("fault alloc 100"), "");
	run("fault alloc");
	assert_non_null(strstr(text.text, " from now fails\n"));
	assert_int_equal(json_lines(run("fault alloc -j")), 1);
	run("fault alloc 0");
	assert_int_equal(mem_fail_left(), 0);
	assert_string_equal(run("fault stall 1 5"), "");
	assert_non_null(strstr(fake_did, "stall 1 50000000; "));
	fake_slow = true;
	assert_non_null(strstr(run("fault stall 0 5"), "another CPU still"));
	fake_slow = false;
	run("guest start linux0");
	assert_string_equal(run("fault crash linux0:1"), "");
	assert_non_null(strstr(fake_did, "crash linux0 1: so it was asked "));
}

/* ---- completion ---- */

static void completes(const char *typed, const char *want)
{
	shell_feed(&sh, "\x15", 1);
	shell_feed(&sh, typed, strlen(typed));
	shell_feed(&sh, "\t", 1);
	assert_string_equal(line_text(&sh.line), want);
}

static void tab_completes_all_kinds_of_words(void **state)
{
	completes("gu", "guest ");
	completes("s", "s");
	completes("sc", "sc");
	completes("sch", "sched ");
	completes("guest sta", "guest start ");
	completes("guest re", "guest res");
	completes("guest start l", "guest start linux");
	completes("guest start linux0 h", "guest start linux0 hello ");
	completes("guest list -j h", "guest list -j hello ");
	completes("sched set b", "sched set blue ");
	completes("vcpu regs h", "vcpu regs hello:");
	completes("vcpu pin linux0:", "vcpu pin linux0:");
	completes("vcpu pin hello:", "vcpu pin hello:0 ");
	completes("set hello w", "set hello weight=");
	completes("set hello m", "set hello m");
	completes("guest create x m", "guest create x memory=");
	completes("watch of", "watch off ");
	completes("help gu", "help guest ");
	completes("guest list; gu", "guest list; guest ");
	completes("guest list;gu", "guest list;guest ");
	completes("nonsense gu", "nonsense gu");
	completes("console linux0 l", "console linux0 l");
	completes("stats o", "stats o");
	completes("stats of", "stats off ");
	completes("stats linux0 h", "stats linux0 hello ");
	completes("trace on dev", "trace on device ");
	completes("", "");
}

static void tab_completes_in_the_middle(void **state)
{
	shell_feed(&sh, "sched  now\x01\x06\x06\x06\x06\x06\x06se\t", 20);
	assert_string_equal(line_text(&sh.line), "sched set  now");
}

static void a_second_tab_lists(void **state)
{
	shell_feed(&sh, "guest re\t", 9);
	assert_string_equal(text.text, "");
	shell_feed(&sh, "\t", 1);
	assert_string_equal(text.text, "resume  reset\n");
	paper_clear(&text);
	shell_feed(&sh, "\x15\t\t", 3);
	for (const char *s = text.text; *s; s = strchr(s, '\n') + 1)
		assert_true(strchr(s, '\n') - s < 80);
	assert_non_null(strstr(text.text, "poweroff"));
}

/* ---- the whole console ---- */

/* Steps until nothing is left to do at this moment. */
static u64 console_run(void)
{
	u64 wake_ticks;
	u32 n = 0;

	while (console_step(&con, fake_now_ticks, &wake_ticks))
		assert_true(n++ < 100000);
	return wake_ticks;
}

static const char *screen(void)
{
	static char copy[300000];

	console_run();
	snprintf(copy, sizeof(copy), "%s", fake_screen.text);
	paper_clear(&fake_screen);
	return copy;
}

static void print(const char *name, const char *s)
{
	guest_console_put(guest(name), s, strlen(s));
}

static void later(u64 ms)
{
	fake_now_ticks += us_to_ticks(ms * 1000);
}

static void the_prompt_comes_and_goes_with_lines(void **state)
{
	assert_string_equal(screen(), "> ");
	fake_keys("gu");
	assert_string_equal(screen(), "gu");
	print("linux0", "hello\n");
	assert_string_equal(screen(), "\r    \r[linux0] hello\r\n");
	later(120);
	assert_string_equal(screen(), "> gu");
	print("linux0", "more\n");
	screen();
	fake_keys("e");
	assert_string_equal(screen(), "> gue");
}

static void a_command_prints_between_lines_of_guests(void **state)
{
	screen();
	fake_keys("guest list hello -j\r");
	print("linux0", "one\n");
	assert_non_null(strstr(screen(), "{\"type\":\"guest\","));
	later(120);
	assert_string_equal(screen(), "> ");
}

static void entering_and_leaving_a_guest(void **state)
{
	print("linux0", "boot\n# ");
	screen();
	later(500);
	screen();
	later(120);
	screen();
	fake_keys("console linux0\r");
	assert_string_equal(screen(),
			    "console linux0\r\n[rouse: console of "
			    "linux0, stopped; Ctrl-] comes back]\r\nboot\n# ");
	fake_keys("ls\x03\x04\t\r");
	screen();
	assert_memory_equal(fake_input, "ls\x03\x04\t\r", 6);
	print("linux1", "unseen\n");
	print("linux0", "\033[1mfile\r\n");
	fake_log("a log line");
	assert_string_equal(screen(), "\033[1mfile\r\n");
	fake_keys("\x1d");
	assert_string_equal(screen(),
			    "\033[0m\r\n[rouse: left linux0]\r\n"
			    "[0.0] a log line\r\n[linux1] unseen\r\n");
	fake_keys("he");
	assert_string_equal(screen(), "> he");
}

/* What a command has left in its run must not be the next one's: `top` takes
 * no more keys after its q. */
static void a_command_that_takes_keys_has_them_after_any_other(void **state)
{
	static const char *const before[] = {
		"top\r", "q",	 "console linux1\r", "\x1d", "log\r",
		"top\r", "\x03",
	};

	screen();
	for (u32 i = 0; i < ARRAY_LEN(before); i++) {
		fake_keys(before[i]);
		screen();
	}
	fake_keys("top\r");
	screen();
	fake_keys("q");
	screen();
	fake_keys("console linux0\r");
	screen();
	fake_keys("ls\r");
	screen();
	assert_memory_equal(fake_input, "ls\r", 3);
	fake_keys("\x1d");
	assert_non_null(strstr(screen(), "[rouse: left linux0]"));
}

static void an_attached_guest_that_stops_is_said(void **state)
{
	guest("linux0")->state = GUEST_RUNNING;
	screen();
	fake_keys("console linux0\r");
	screen();
	guest("linux0")->state = GUEST_STOPPED;
	guest("linux0")->last_event = EVENT_POWEROFF;
	assert_string_equal(screen(), "\r\n[rouse: linux0 has stopped "
				      "(poweroff); Ctrl-] comes back]\r\n");
	guest("linux0")->state = GUEST_RUNNING;
	assert_string_equal(screen(), "\r\n[rouse: linux0 starts]\r\n");
	guest("linux0")->state = GUEST_STOPPED;
	screen();
	assert_int_equal(guest_destroy(guest("linux0")), 0);
	assert_non_null(strstr(screen(), "[rouse: linux0 is gone]"));
}

static void a_flooding_guest_can_be_left(void **state)
{
	static char flood[30000];
	u64 wake_ticks;

	memset(flood, 'x', sizeof(flood));
	screen();
	fake_keys("console linux0\r");
	screen();
	guest_console_put(guest("linux0"), flood, sizeof(flood));
	fake_keys("\x1d");
	for (u32 i = 0; i < 20; i++) {
		guest_console_put(guest("linux0"), flood, sizeof(flood));
		console_step(&con, fake_now_ticks, &wake_ticks);
	}
	assert_null(con.view.attached);
	fake_keys("watch off\r");
	for (u32 i = 0; i < 200; i++) {
		guest_console_put(guest("linux0"), flood, sizeof(flood));
		console_step(&con, fake_now_ticks, &wake_ticks);
	}
	assert_false(guest("linux0")->console->watched);
}

static void a_slow_terminal_holds_nobody_up(void **state)
{
	static char flood[60000];
	u64 wake_ticks;

	fake_screen_room = 100;
	memset(flood, '\n', sizeof(flood));
	for (u32 i = 0; i < 100; i++) {
		guest_console_put(guest("linux0"), flood, sizeof(flood));
		assert_false(console_step(&con, fake_now_ticks, &wake_ticks));
		assert_true(wake_ticks <= fake_now_ticks + us_to_ticks(400));
		assert_true(con.q.len < 4096);
	}
	assert_int_equal(fake_screen.len, 100);
	fake_screen_room = SIZE_MAX;
}

static void a_step_takes_no_longer_than_it_may(void **state)
{
	static char flood[60000];
	u64 wake_ticks, before;

	fake_tick = 100; /* 10 us each look at the clock */
	for (u32 i = 0; i < sizeof(flood); i++)
		flood[i] = i % 50 ? 'x' : '\n';
	for (u32 i = 0; i < 50; i++) {
		guest_console_put(guest("linux0"), flood, sizeof(flood));
		before = fake_now_ticks;
		assert_true(console_step(&con, before, &wake_ticks));
		assert_true(fake_now_ticks - before < us_to_ticks(100));
	}
	fake_tick = 1;
}

static void watch_chooses_whose_lines_come(void **state)
{
	screen();
	fake_keys("watch linux1\r");
	screen();
	print("linux0", "no\n");
	print("linux1", "yes\n");
	assert_string_equal(screen(), "\r  \r[linux1] yes\r\n");
	assert_false(console_watches_all(&con));
	fake_keys("watch all\r");
	assert_non_null(strstr(screen(), "[linux0] no\r\n"));
	assert_true(console_watches_all(&con));
	fake_keys("watch nobody linux1\r");
	screen();
	assert_true(guest("linux0")->console->watched);
	fake_keys("watch off\r");
	screen();
	print("linux0", "no\n");
	print("linux1", "no\n");
	assert_string_equal(screen(), "");
}

static void the_end_waits_for_the_last_words(void **state)
{
	int how;

	screen();
	fake_screen_room = 10;
	print("linux0", "last words\nhalf a line");
	fake_keys("poweroff 7\r");
	console_run();
	fake_screen_room = SIZE_MAX;
	how = setjmp(fake_end);
	for (u32 i = 0; !how && i < 100; i++) {
		later(20);
		console_run();
	}
	assert_int_equal(how, 1);
	assert_int_equal(fake_end_status, 7);
	assert_non_null(strstr(fake_screen.text, "[linux0] last words"));
	assert_non_null(strstr(fake_screen.text, "[linux0] half a line"));
}

static void a_machine_that_can_not_be_rebooted_goes_on(void **state)
{
	fake_no_reboot = true;
	fake_keys("reboot\r");
	screen();
	for (u32 i = 0; i < 100; i++) {
		later(100);
		console_run();
	}
	fake_keys("mem -j\r");
	assert_non_null(strstr(screen(), "{\"type\":\"memory\""));
	fake_no_reboot = false;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(words_are_cut_and_unquoted),
		T(numbers_are_read_whole_or_not_at_all),
		T(a_wrong_command_gets_one_line_with_what_is_expected),
		T(any_wrong_word_is_one_line_and_no_harm),
		T(errors_with_j_are_objects),
		T(every_listing_has_a_json_form),
		T(the_list_of_commands_fits_a_small_terminal),
		T(memory_is_told_in_one_unit),
		T(every_command_that_lists_says_so_in_help),
		T(recording_takes_classes_and_options),
		T(a_dump_is_the_bytes_of_a_trace_file),
		T(waits_are_drawn_as_bars),
		T(guests_start_stop_and_go),
		T(a_command_waits_until_its_wish_came_true),
		T(a_wish_that_never_comes_true_is_given_up),
		T(a_guest_that_does_not_start_is_said),
		T(a_guest_that_runs_but_is_not_counted_yet_has_started),
		T(a_guest_that_reboots_all_the_time_has_started),
		T(sleeps_are_exact_to_a_millisecond),
		T(ctrl_c_ends_waiting_and_forgets_the_rest),
		T(a_change_that_has_begun_is_ended_before_ctrl_c_counts),
		T(no_step_does_anything_for_very_many),
		T(wait_waits_for_the_stop),
		T(keys_typed_ahead_come_after_the_command),
		T(keys_typed_ahead_of_a_wrong_command_keep_their_order),
		T(scripts_run_in_order_and_are_shown),
		T(create_takes_knobs_and_autostart),
		T(a_creation_that_is_interrupted_is_given_up),
		T(a_knob_the_policy_ignores_is_said),
		T(pins_are_lists_of_cpus),
		T(registers_pause_only_what_runs),
		T(a_listing_lets_guests_go_when_it_is_cut_short),
		T(top_shows_shares_of_the_time_between),
		T(top_shows_sums_that_are_exact),
		T(top_refreshes_in_place_until_q),
		T(top_knows_who_came_and_went),
		T(log_shows_all_or_the_last),
		T(no_memory_is_an_answer_and_no_crash),
		T(any_allocation_may_fail_and_the_next_command_works),
		T(faults_are_asked_for_by_number),
		T(tab_completes_all_kinds_of_words),
		T(tab_completes_in_the_middle),
		T(a_second_tab_lists),
		T(the_prompt_comes_and_goes_with_lines),
		T(a_command_prints_between_lines_of_guests),
		T(entering_and_leaving_a_guest),
		T(a_command_that_takes_keys_has_them_after_any_other),
		T(an_attached_guest_that_stops_is_said),
		T(a_flooding_guest_can_be_left),
		T(a_slow_terminal_holds_nobody_up),
		T(a_step_takes_no_longer_than_it_may),
		T(watch_chooses_whose_lines_come),
		T(a_machine_that_can_not_be_rebooted_goes_on),
		T(the_end_waits_for_the_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
