/*
 * Reading a scenario: see scenario.h.
 *
 * A line is a word and its arguments, and is a row of a table here; knobs of a
 * guest are "name=value" and rows of another. Programs name guests of earlier
 * lines, and vCPUs that they raise by GUEST:N, so a scenario reads from top to
 * bottom; numbers of vCPUs are known only when all guests are, which is why
 * raises are resolved at the end.
 */
#include "bench/sim/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "bench/sim/text.h"
#include "kernel/sched/policy.h"

#define VCPUS_MAX 512 /* as in a lab file */
#define SECONDS_MAX 1000000

/* ---- Knobs of a guest ---- */

static u64 us_ticks(const char *text, const char *where, const char *name)
{
	return number_milli(text, where, name, 1000000000) * FAKE_US / 1000;
}

static void cpus_read(struct cpuset *s, char *text, const char *where)
{
	char *part, *save = NULL, *dash;

	for (part = strtok_r(text, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		u64 from, to;

		dash = strchr(part, '-');
		if (dash)
			*dash++ = '\0';
		from = number(part, where, "affinity", 0, CPU_MAX - 1);
		to = dash ? number(dash, where, "affinity", from,
				   CPU_MAX - 1) : from;
		for (; from <= to; from++)
			cpuset_add(s, (u32)from);
	}
}

static void wfi_read(struct guest_config *cfg, const char *text,
		     const char *where)
{
	static const char *const name[] = { [WFI_TRAP] = "trap",
					    [WFI_NATIVE] = "native",
					    [WFI_POLL] = "poll" };

	for (u32 i = 0; i < ARRAY_LEN(name); i++) {
		if (!strcmp(name[i], text)) {
			cfg->wfi = (enum wfi_policy)i;
			return;
		}
	}
	die("%s: wfi: %s; expected trap, native or poll", where, text);
}

static void does_read(struct scenario_guest *g, const char *text,
		      const char *where)
{
	const struct behaviour *b;

	g->does = behaviour_find(text);
	if (g->does)
		return;
	fprintf(stderr, "%s: %s: do: no behaviour %s; there are",
		program_invocation_short_name, where, text);
	for (u32 i = 0; (b = behaviour_nth(i)); i++)
		fprintf(stderr, " %s", b->name);
	fputc('\n', stderr);
	exit(2);
}

/* False: no knob has that name. */
static bool knob_sched(struct guest_config *cfg, const char *name, char *value,
		       const char *where)
{
	struct sched_params *p = &cfg->sched;

	if (!strcmp(name, "weight"))
		p->weight = (u32)number(value, where, name, 1, 65535);
	else if (!strcmp(name, "cap"))
		p->cap = (u32)number(value, where, name, 0, 100 * VCPUS_MAX);
	else if (!strcmp(name, "priority"))
		p->priority = (u32)number(value, where, name, 0, 255);
	else if (!strcmp(name, "slice-us"))
		p->slice_us = (u32)number(value, where, name, 100, 1000000);
	else if (!strcmp(name, "wfi"))
		wfi_read(cfg, value, where);
	else if (!strcmp(name, "wfi-poll-us"))
		cfg->wfi_poll_us = (u32)number(value, where, name, 1, 10000);
	else if (!strcmp(name, "affinity")) {
		cfg->has_affinity = true;
		cpus_read(&cfg->affinity, value, where);
	} else {
		return false;
	}
	return true;
}

static void knob(struct scenario_guest *g, u32 *count, char *text,
		 const char *where)
{
	struct work_args *a = &g->args;
	char *value = strchr(text, '=');

	if (!value)
		die("%s: %s: expected NAME=VALUE", where, text);
	*value++ = '\0';
	if (knob_sched(&g->cfg, text, value, where))
		return;
	if (!strcmp(text, "do"))
		does_read(g, value, where);
	else if (!strcmp(text, "vcpus"))
		g->cfg.vcpus = (u32)number(value, where, text, 1, VCPUS_MAX);
	else if (!strcmp(text, "count"))
		*count = (u32)number(value, where, text, 1, 100000);
	else if (!strcmp(text, "run-us"))
		a->run = us_ticks(value, where, text);
	else if (!strcmp(text, "sleep-us"))
		a->sleep = us_ticks(value, where, text);
	else if (!strcmp(text, "period-us"))
		a->period = us_ticks(value, where, text);
	else if (!strcmp(text, "hold-us"))
		a->hold = us_ticks(value, where, text);
	else if (!strcmp(text, "phase-us"))
		a->phase = us_ticks(value, where, text);
	else if (!strcmp(text, "random")) {
		a->random = number(value, where, text, 0, 1);
		a->random_set = true;
	} else {
		die("%s: %s: no such knob; there are do, vcpus, count, run-us, "
		    "sleep-us, period-us, hold-us, phase-us, random, weight, "
		    "cap, priority, slice-us, affinity, wfi, wfi-poll-us",
		    where, text);
	}
}

/* ---- Guests ---- */

static struct scenario_guest *guest_add(struct scenario *s)
{
	if (s->guests == s->room) {
		s->room = s->room ? 2 * s->room : 16;
		s->guest = realloc(s->guest, s->room * sizeof(*s->guest));
		if (!s->guest)
			die("no memory for %zu guests", s->room);
	}
	return &s->guest[s->guests++];
}

static void take_guest(struct scenario *s, char *rest, const char *where)
{
	struct scenario_guest g = { .cfg = { .vcpus = 1, .wfi_poll_us = 50,
					     .sched = SCHED_PARAMS_DEFAULT } };
	u32 count = 1, n;
	char *word[2];

	g.does = behaviour_find("hog");
	n = words(rest, word, 2);
	if (!n)
		die("%s: expected the guest's name", where);
	if (strlen(word[0]) > 24)
		die("%s: %s: a name has 24 characters at most", where, word[0]);
	snprintf(g.name, sizeof(g.name), "%.24s", word[0]);
	for (rest = n == 2 ? word[1] : NULL; rest;) {
		n = words(rest, word, 2);
		knob(&g, &count, word[0], where);
		rest = n == 2 ? word[1] : NULL;
	}
	for (u32 i = 0; i < s->guests; i++) {
		if (!strcmp(s->guest[i].name, g.name))
			die("%s: %s: there is one of that name already", where,
			    g.name);
	}
	if (g.cfg.sched.cap > 100 * g.cfg.vcpus)
		die("%s: cap: %u is outside 0 to %u", where, g.cfg.sched.cap,
		    100 * g.cfg.vcpus);
	for (u32 i = 0; i < count; i++) {
		struct scenario_guest *to = guest_add(s);

		*to = g;
		if (count > 1)
			snprintf(to->name, sizeof(to->name), "%.24s%u", g.name,
				 i);
		s->vcpus += g.cfg.vcpus;
	}
}

/* ---- Programs ---- */

/* GUEST:N to the guest and the vCPU. */
static struct scenario_guest *vcpu_find(struct scenario *s, char *text,
					const char *where, u32 *vcpu,
					u32 *number_of)
{
	char *colon = strrchr(text, ':');
	u32 before = 0;

	if (!colon)
		die("%s: %s: expected GUEST:VCPU", where, text);
	*colon = '\0';
	for (u32 i = 0; i < s->guests; i++) {
		struct scenario_guest *g = &s->guest[i];

		if (strcmp(g->name, text)) {
			before += g->cfg.vcpus;
			continue;
		}
		*vcpu = (u32)number(colon + 1, where, "vcpu", 0,
				    g->cfg.vcpus - 1);
		*number_of = before + *vcpu;
		return g;
	}
	die("%s: no guest %s so far", where, text);
}

static void step_add(struct work_program *p, u64 step)
{
	if (p->steps == p->room) {
		p->room = p->room ? 2 * p->room : 64;
		p->step = realloc(p->step, p->room * sizeof(*p->step));
		if (!p->step)
			die("no memory for a program of %zu steps", p->room);
	}
	p->step[p->steps++] = step;
}

static u64 step_read(struct scenario *s, char *text, const char *where)
{
	static const struct {
		const char *name;
		enum step_kind kind;
		bool arg;
	} kinds[] = {
		{ "run", STEP_RUN, true },     { "sleep", STEP_SLEEP, true },
		{ "until", STEP_UNTIL, true }, { "wait", STEP_WAIT, false },
		{ "raise", STEP_RAISE, true }, { "yield", STEP_YIELD, false },
		{ "off", STEP_OFF, false },
	};
	char *arg = strchr(text, '=');
	u32 vcpu, nr;

	if (arg)
		*arg++ = '\0';
	for (u32 i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, text))
			continue;
		if (kinds[i].arg != (arg != NULL))
			die("%s: %s: %s", where, text, arg ?
			    "takes nothing" : "expected a value behind '='");
		if (kinds[i].kind == STEP_RAISE) {
			(void)vcpu_find(s, arg, where, &vcpu, &nr);
			return STEP(STEP_RAISE, nr);
		}
		return STEP(kinds[i].kind,
			    arg ? us_ticks(arg, where, text) : 0);
	}
	die("%s: %s: no such step; there are run=US, sleep=US, until=US, wait, "
	    "raise=GUEST:VCPU, yield, off", where, text);
}

static void take_program(struct scenario *s, char *rest, const char *where)
{
	struct scenario_guest *g;
	char *word[2];
	u32 n = words(rest, word, 2), vcpu, nr;

	if (n < 2)
		die("%s: expected GUEST:VCPU and steps", where);
	g = vcpu_find(s, word[0], where, &vcpu, &nr);
	if (strcmp(g->does->name, "program"))
		die("%s: %s does %s; expected do=program", where, g->name,
		    g->does->name);
	if (!g->program)
		g->program = must_alloc(g->cfg.vcpus, sizeof(*g->program));
	for (rest = word[1]; rest;) {
		n = words(rest, word, 2);
		step_add(&g->program[vcpu], step_read(s, word[0], where));
		rest = n == 2 ? word[1] : NULL;
	}
}

/* ---- Lines ---- */

static void take_cpus(struct scenario *s, char *rest, const char *where)
{
	s->cpus = (u32)number(rest, where, "cpus", 1, CPU_MAX);
}

static void take_policy(struct scenario *s, char *rest, const char *where)
{
	s->policy = strdup(rest);
}

static void take_seconds(struct scenario *s, char *rest, const char *where)
{
	s->ticks = number_milli(rest, where, "seconds", SECONDS_MAX) * FAKE_MS;
	s->has_ticks = true;
}

static void take_warmup(struct scenario *s, char *rest, const char *where)
{
	s->warmup_ticks = number_milli(rest, where, "warmup", SECONDS_MAX) *
			  FAKE_MS;
	s->has_warmup = true;
}

static void take_seed(struct scenario *s, char *rest, const char *where)
{
	s->seed = number(rest, where, "seed", 0, UINT64_MAX);
	s->has_seed = true;
}

static const struct {
	const char *word;
	void (*take)(struct scenario *s, char *rest, const char *where);
} lines[] = {
	{ "cpus", take_cpus },       { "policy", take_policy },
	{ "seconds", take_seconds }, { "warmup", take_warmup },
	{ "seed", take_seed },       { "guest", take_guest },
	{ "program", take_program },
};

static void line_take(struct scenario *s, char *line, const char *where)
{
	char *word[2];
	u32 n = words(line, word, 2);

	for (u32 i = 0; i < ARRAY_LEN(lines); i++) {
		if (strcmp(lines[i].word, word[0]))
			continue;
		if (n < 2)
			die("%s: %s: expected something behind it", where,
			    word[0]);
		lines[i].take(s, word[1], where);
		return;
	}
	die("%s: %s: no such line; there are cpus, policy, seconds, warmup, "
	    "seed, guest, program", where, word[0]);
}

void scenario_read(const char *path, struct scenario *s)
{
	struct text_file t;
	char *line;

	*s = (struct scenario){ .path = path };
	text_open(&t, path);
	while ((line = text_line(&t)))
		line_take(s, line, t.where);
	text_close(&t);
	if (!s->guests)
		die("%s: no guest; expected a line \"guest NAME ...\"", path);
}

/* ---- Starting ---- */

static void affinity_check(const struct scenario *s,
			   const struct scenario_guest *g)
{
	if (g->cfg.has_affinity && cpuset_next(&g->cfg.affinity, 0) >=
					   cpu_count())
		die("%s: %s: affinity: names none of the machine's %u CPUs",
		    s->path, g->name, cpu_count());
}

struct work_guest *scenario_start(const struct scenario *s, u64 seed)
{
	struct work_guest *all = must_alloc(s->guests, sizeof(*all));
	u32 nr = 0;

	work_all = must_alloc(s->vcpus, sizeof(*work_all));
	work_count = s->vcpus;
	for (u32 i = 0; i < s->guests; i++) {
		const struct scenario_guest *from = &s->guest[i];
		struct guest_config cfg = from->cfg;
		struct work_guest *g = &all[i];

		affinity_check(s, from);
		cfg.name = from->name;
		g->name = from->name;
		g->fg = fake_guest_make_as(&cfg);
		g->vcpu = &work_all[nr];
		for (u32 k = 0; k < cfg.vcpus; k++, nr++) {
			struct work_vcpu *w = &work_all[nr];

			w->f = fake_vcpu_of(g->fg, k);
			w->guest = g;
			w->number = nr;
			w->waits = &g->waits;
			w->program = from->program ? &from->program[k] : NULL;
			work_begin(w, from->does, &from->args, seed);
		}
		for (u32 k = 0; k < cfg.vcpus; k++)
			(void)!sched_vcpu_start(g->fg->g.vcpu[k]);
	}
	return all;
}
