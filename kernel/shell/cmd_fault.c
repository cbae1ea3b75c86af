/*
 * Commands that make something fail, to see what comes of it.
 */
#include "kernel/shell/cmd.h"

#include <ck_pr.h>
#include <inttypes.h>

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/shell/word.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

#define STALL_SECONDS_MAX 3600

static enum cmd_next fault_alloc(struct cmd_run *run)
{
	struct json j;
	u64 n;

	if (run->argc) {
		if (word_u64(run->argv[0], &n) != 0)
			return cmd_fail(run, "'%.32s'; expected a number",
					run->argv[0]);
		mem_fail_after(n);
		return CMD_DONE;
	}
	n = mem_fail_left();
	if (run->json) {
		json_open(&j, run->out, "fault_alloc");
		json_u64(&j, "left", n);
		json_close(&j);
	} else if (n) {
		out_fmt(run->out, "allocation %" PRIu64 " from now fails\n", n);
	} else {
		out_str(run->out, "no allocation is to fail\n");
	}
	return CMD_DONE;
}

static enum cmd_next fault_stall(struct cmd_run *run)
{
	u64 cpu, seconds;

	if (word_u64(run->argv[0], &cpu) != 0 || cpu >= cpu_count())
		return cmd_fail(run,
				"there is no CPU '%.32s'; expected 0 to "
				"%" PRIu32,
				run->argv[0], cpu_count() - 1);
	if (word_u64(run->argv[1], &seconds) != 0 ||
	    seconds > STALL_SECONDS_MAX)
		return cmd_fail(run, "'%.32s' seconds; expected 0 to %d",
				run->argv[1], STALL_SECONDS_MAX);
	if (watchdog_stall((u32)cpu, us_to_ticks(seconds * 1000000)))
		return cmd_fail(run, "another CPU still stands still");
	return CMD_DONE;
}

static enum cmd_next fault_crash(struct cmd_run *run)
{
	struct guest *g;
	struct vcpu *v = cmd_vcpu(run, run->argv[0], &g);
	enum cmd_next next = CMD_DONE;

	if (!v)
		return CMD_DONE;
	if (ck_pr_load_32(&g->state) == GUEST_RUNNING)
		guest_crash(v, "so it was asked for");
	else
		next = cmd_fail(run, "%s is %s; expected a running guest",
				g->cfg.name, guest_state_name(g));
	guest_put(g);
	return next;
}

const struct cmd cmd_fault_table[] = {
	{.noun = "fault",
	 .verb = "alloc",
	 .args = "[N]",
	 .help = "let the N-th allocation from now on find no memory, once",
	 .more = "0: none. Without N: how many there are until then. Commands "
		 "allocate, too.\n",
	 .max = 1,
	 .json = true,
	 .step = fault_alloc},
	{.noun = "fault",
	 .verb = "stall",
	 .args = "CPU SECONDS",
	 .help = "let a CPU stop answering, as a bug in Rouse would",
	 .more = "What the watchdog has to say comes after 10 s.\n",
	 .min = 2,
	 .max = 2,
	 .step = fault_stall},
	{.noun = "fault",
	 .verb = "crash",
	 .args = "GUEST:N",
	 .help = "let a vCPU be unable to go on, as a bug in Rouse would",
	 .more = "The guest ends as on-crash says.\n",
	 .min = 1,
	 .max = 1,
	 .arg = {ARG_VCPU, ARG_NONE},
	 .step = fault_crash},
	{.noun = NULL},
};
