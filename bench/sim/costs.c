/*
 * The table of costs: see costs.h.
 *
 * Everything is kept in thousandths while it is read, so that 0.5 ns an
 * instruction can be said, and in picoseconds afterwards.
 */
#include "bench/sim/costs.h"

#include <stdio.h>
#include <string.h>

#include "bench/sim/text.h"

enum { NS_PER_INSTRUCTION = FAKE_OPS, DOORBELL_NS, IPI, COSTS };

static const char *const names[COSTS] = {
	[FAKE_STEP] = "step",   [FAKE_ENTER] = "enter", [FAKE_EXIT] = "exit",
	[FAKE_PASS] = "pass",   [FAKE_LOAD] = "load",   [FAKE_SAVE] = "save",
	[FAKE_TIMER] = "timer", [FAKE_RING] = "ring",   [FAKE_WAKE] = "wake",
	[IPI] = "ipi",
	[NS_PER_INSTRUCTION] = "ns_per_instruction",
	[DOORBELL_NS] = "doorbell_ns",
};

static u32 cost_find(const char *name, const char *where)
{
	for (u32 i = 0; i < COSTS; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	die("%s: %s: no such cost; there are step, enter, exit, pass, load, "
	    "save, timer, ring, wake, ipi, ns_per_instruction, doorbell_ns",
	    where, name);
}

static void line_take(char *line, const char *where, u64 *milli, bool *set)
{
	char *word[2];
	u32 n = words(line, word, 2), i;

	if (!n)
		return;
	if (n != 2)
		die("%s: expected a name and a number", where);
	i = cost_find(word[0], where);
	milli[i] = number_milli(word[1], where, word[0], 1000000000);
	set[i] = true;
}

void costs_read(const char *path, char *const *set, u32 sets,
		struct sim_costs *out)
{
	u64 milli[COSTS] = { 0 };
	bool known[COSTS] = { false };
	struct text_file t;
	char *line, copy[128];

	text_open(&t, path);
	while ((line = text_line(&t)))
		line_take(line, t.where, milli, known);
	text_close(&t);
	for (u32 i = 0; i < COSTS; i++) {
		if (!known[i])
			die("%s: %s is missing", path, names[i]);
	}
	for (u32 i = 0; i < sets; i++) {
		snprintf(copy, sizeof(copy), "%s", set[i]);
		if (!strchr(copy, '='))
			die("--set %s: expected NAME=NUMBER", set[i]);
		*strchr(copy, '=') = ' ';
		line_take(copy, "--set", milli, known);
	}
	for (u32 i = 0; i < FAKE_OPS; i++)
		out->op_ps[i] = milli[i] * milli[NS_PER_INSTRUCTION] / 1000;
	out->ipi_ps = milli[IPI] * milli[NS_PER_INSTRUCTION] / 1000;
	out->doorbell_ps = milli[DOORBELL_NS];
}
