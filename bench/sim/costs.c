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

enum { NS_PER_INSTRUCTION = FAKE_OPS, DOORBELL_NS, IPI, NAP, COSTS };

static const char *const names[COSTS] = {
	[FAKE_STEP] = "step",   [FAKE_ENTER] = "enter", [FAKE_EXIT] = "exit",
	[FAKE_PASS] = "pass",   [FAKE_LOAD] = "load",   [FAKE_SAVE] = "save",
	[FAKE_TIMER] = "timer", [FAKE_RING] = "ring",   [FAKE_WAKE] = "wake",
	[FAKE_FIRE] = "fire",   [FAKE_GIVE] = "give",   [FAKE_REST] = "rest",
	[IPI] = "ipi",		[NAP] = "nap",
	[NS_PER_INSTRUCTION] = "ns_per_instruction",
	[DOORBELL_NS] = "doorbell_ns",
};

struct table {
	u64 milli[COSTS];
	bool known[COSTS];
	bool own[COSTS]; /* of the policy alone */
};

static u32 cost_find(const char *name, const char *where)
{
	for (u32 i = 0; i < COSTS; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	die("%s: %s: no such cost; there are step, enter, exit, pass, load, "
	    "save, timer, ring, wake, fire, give, rest, ipi, nap, "
	    "ns_per_instruction, doorbell_ns",
	    where, name);
}

/* Of a cost that is `policy`'s own nothing more general is heard. Others' are
 * passed over: not each build has all policies. */
static void line_take(char *line, const char *where, const char *policy,
		      struct table *t)
{
	char *word[3];
	u32 n = words(line, word, 3), i;
	u64 milli;

	if (!n)
		return;
	if (n < 2)
		die("%s: expected a name, a number, and maybe a policy", where);
	i = cost_find(word[0], where);
	milli = number_milli(word[1], where, word[0], 1000000000);
	if (n == 3 ? strcmp(word[2], policy) != 0 : t->own[i])
		return;
	t->milli[i] = milli;
	t->known[i] = true;
	t->own[i] = n == 3;
}

void costs_read(const char *path, const char *policy, char *const *set,
		u32 sets, struct sim_costs *out)
{
	struct table table = { 0 };
	const u64 *milli = table.milli;
	struct text_file t;
	char *line, copy[128];

	text_open(&t, path);
	while ((line = text_line(&t)))
		line_take(line, t.where, policy, &table);
	text_close(&t);
	for (u32 i = 0; i < COSTS; i++) {
		if (!table.known[i])
			die("%s: %s is missing", path, names[i]);
	}
	for (u32 i = 0; i < sets; i++) {
		snprintf(copy, sizeof(copy), "%s", set[i]);
		if (!strchr(copy, '='))
			die("--set %s: expected NAME=NUMBER", set[i]);
		*strchr(copy, '=') = ' ';
		/* Goes before what the file has of the policy. */
		memset(table.own, 0, sizeof(table.own));
		line_take(copy, "--set", policy, &table);
	}
	for (u32 i = 0; i < FAKE_OPS; i++)
		out->op_ps[i] = milli[i] * milli[NS_PER_INSTRUCTION] / 1000;
	out->ipi_ps = milli[IPI] * milli[NS_PER_INSTRUCTION] / 1000;
	out->nap_ps = milli[NAP] * milli[NS_PER_INSTRUCTION] / 1000;
	out->doorbell_ps = milli[DOORBELL_NS];
}
