/*
 * rouse-sim: runs a scenario under a policy, and says what came out.
 *
 * The schedulers are the hypervisor's own sources; docs/sim.md says what else
 * is modelled, and how well.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/sim/costs.h"
#include "bench/sim/result.h"
#include "bench/sim/scenario.h"
#include "bench/sim/text.h"
#include "bench/sim/trace_out.h"

static const char usage[] =
	"usage: rouse-sim [OPTION...] SCENARIO\n"
	"  --policy NAME    in place of the scenario's\n"
	"  --cpus N         the same\n"
	"  --seconds S      how long is looked at\n"
	"  --warmup S       how long isn't, before that\n"
	"  --seed N         of everything random\n"
	"  --costs FILE     instead of bench/sim/costs\n"
	"  --set COST=N     one of them changed; repeatable\n"
	"  --name NAME      of the result (default: sim)\n"
	"  --json FILE, --tsv FILE, --trace FILE   where to write\n"
	"  --quiet          no table on the standard output\n"
	"  --policies       list the policies, one a line, and end\n"
	"SCENARIO - is the standard input. docs/sim.md has the format.\n";

#define SETS_MAX 64

struct options {
	const char *policy, *costs, *name, *json, *tsv, *trace;
	u32 cpus;
	u64 ticks, warmup_ticks, seed;
	bool has_ticks, has_warmup, has_seed, quiet;
	char *set[SETS_MAX];
	u32 sets;
};

static const struct option known[] = {
	{ "policy", required_argument, NULL, 'p' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "seconds", required_argument, NULL, 's' },
	{ "warmup", required_argument, NULL, 'w' },
	{ "seed", required_argument, NULL, 'r' },
	{ "costs", required_argument, NULL, 'C' },
	{ "set", required_argument, NULL, 'S' },
	{ "name", required_argument, NULL, 'n' },
	{ "json", required_argument, NULL, 'j' },
	{ "tsv", required_argument, NULL, 't' },
	{ "trace", required_argument, NULL, 'T' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "policies", no_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void policies_list(void)
{
	const char *name;

	for (u32 i = 0; (name = sched_policy_list(i)); i++)
		puts(name);
	exit(0);
}

static void option_take(struct options *o, int opt, char *arg)
{
	switch (opt) {
	case 'p': o->policy = arg; break;
	case 'C': o->costs = arg; break;
	case 'n': o->name = arg; break;
	case 'j': o->json = arg; break;
	case 't': o->tsv = arg; break;
	case 'T': o->trace = arg; break;
	case 'q': o->quiet = true; break;
	case 'l': policies_list(); break;
	case 'c':
		o->cpus = (u32)number(arg, "--cpus", "cpus", 1, CPU_MAX);
		break;
	case 's':
		o->ticks = number_milli(arg, "--seconds", "seconds", 1000000) *
			   FAKE_MS;
		o->has_ticks = true;
		break;
	case 'w':
		o->warmup_ticks = number_milli(arg, "--warmup", "seconds",
					       1000000) * FAKE_MS;
		o->has_warmup = true;
		break;
	case 'r':
		o->seed = number(arg, "--seed", "seed", 0, UINT64_MAX);
		o->has_seed = true;
		break;
	case 'S':
		if (o->sets == SETS_MAX)
			die("--set: more than %u of them", SETS_MAX);
		o->set[o->sets++] = arg;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default: /* getopt has said what is wrong */
		exit(2);
	}
}

/* The command line goes before the scenario, and both before defaults. */
static void options_settle(struct options *o, const struct scenario *s)
{
	if (!o->cpus)
		o->cpus = s->cpus ? s->cpus : 1;
	if (!o->policy)
		o->policy = s->policy ? s->policy : ROUSE_DEFAULT_POLICY;
	if (!o->has_ticks)
		o->ticks = s->has_ticks ? s->ticks : 10 * FAKE_HZ;
	if (!o->has_warmup)
		o->warmup_ticks = s->has_warmup ? s->warmup_ticks : FAKE_HZ;
	if (!o->has_seed)
		o->seed = s->has_seed ? s->seed : 1;
	if (!o->ticks)
		die("seconds: 0; expected more");
	if (!sched_policy_knobs(o->policy))
		die("policy: no policy %s; rouse-sim --policies lists them",
		    o->policy);
}

/* Of this program alone: what else the host does is not the simulator's. */
static u64 host_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void write_to(const char *path, const struct sim_run *r,
		     const char *name,
		     void (*write)(const struct sim_run *, const char *,
				   FILE *))
{
	FILE *out;

	if (!path)
		return;
	out = fopen(path, "w");
	if (!out)
		die("%s: %s", path, strerror(errno));
	write(r, name, out);
	if (fclose(out))
		die("%s: %s", path, strerror(errno));
}

static void run(const struct options *o, const struct scenario *s,
		const struct sim_costs *costs)
{
	struct sim_run r = { .scenario = s->path, .cpus = o->cpus,
			     .costs = o->costs, .guests = s->guests,
			     .seed = o->seed, .window_ticks = o->ticks,
			     .warmup_ticks = o->warmup_ticks };
	u64 begun = host_ns();

	r.commit = getenv("ROUSE_COMMIT") ? getenv("ROUSE_COMMIT") : "unknown";
	sim_boot(o->cpus, o->policy, costs, &work_watch);
	if (o->trace)
		trace_out_begin(o->trace, s->vcpus);
	r.guest = scenario_start(s, o->seed);
	sim_run_until(FAKE_HZ + o->warmup_ticks);
	result_begin(&r);
	sim_run_until(FAKE_HZ + o->warmup_ticks + o->ticks);
	result_end(&r);
	r.host_ns = host_ns() - begun;
	r.events = sim_events();
	if (!o->quiet)
		result_text(&r, stdout);
	write_to(o->json, &r, o->name, result_json);
	write_to(o->tsv, &r, o->name, result_tsv);
	if (o->trace)
		trace_out_end(&r);
}

int main(int argc, char **argv)
{
	struct options o = { .costs = "bench/sim/costs", .name = "sim" };
	struct sim_costs costs;
	struct scenario s;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", known, NULL)) != -1)
		option_take(&o, opt, optarg);
	if (optind + 1 != argc)
		die("expected one scenario; --help says what there is");
	scenario_read(argv[optind], &s);
	options_settle(&o, &s);
	costs_read(o.costs, o.policy, o.set, o.sets, &costs);
	run(&o, &s, &costs);
	return 0;
}
