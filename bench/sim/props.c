/*
 * rouse-props: random guests and operations under every registered policy,
 * until so many steps of simulated CPUs have been done. What fails is made as
 * small as it gets and printed with its seed. Output is TAP.
 *
 *	rouse-props [--steps N] [--seed N] [--policy NAME] [--misses N]
 *	rouse-props --case FILE
 *
 * There are a few cases in which shares never come near what is due
 * (docs/sim.md), so of seeds that nobody has tried yet --misses N of each
 * policy are told and forgiven. Nothing else ever is.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sim/props.h"
#include "bench/sim/text.h"

#define OPS 120
#define SHRINK_TRIES 600

static const struct option known[] = {
	{ "steps", required_argument, NULL, 's' },
	{ "seed", required_argument, NULL, 'r' },
	{ "policy", required_argument, NULL, 'p' },
	{ "misses", required_argument, NULL, 'm' },
	{ "case", required_argument, NULL, 'c' },
	{ 0 },
};

static void explain(struct prop_case *c, struct prop_verdict *v)
{
	char *text = NULL, *line, *save = NULL;
	size_t size;
	FILE *f;

	printf("# seed %lu: %s\n# made smaller:\n", c->seed, v->why);
	fflush(stdout);
	prop_shrink(c, v, SHRINK_TRIES);
	f = open_memstream(&text, &size);
	prop_print(c, f);
	fclose(f);
	printf("# %s\n", v->why);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
	printf("# (as a file: rouse-props --case FILE)\n");
	free(text);
}

/* What is asked of each policy. */
struct asked {
	u64 steps, seed, misses;
};

/* One policy; true if all is well. */
static bool policy_run(const char *name, const struct asked *a, u32 nr)
{
	u64 done = 0, seed = a->seed, missed = 0;
	struct prop_verdict v = { 0 };
	struct prop_case c;

	for (; done < a->steps; done += v.events) {
		prop_generate(&c, name, seed++, OPS);
		if (prop_try(&c, &v)) {
			free(c.op);
		} else if (v.at_shares && missed < a->misses) {
			missed++;
			printf("# seed %lu of %s: %s\n", c.seed, name, v.why);
			free(c.op);
		} else {
			printf("not ok %u - %s_keeps_its_promises\n", nr, name);
			explain(&c, &v);
			return false;
		}
	}
	printf("ok %u - %s_keeps_its_promises, seeds %lu to %lu\n"
	       "# %lu steps in %lu cases; in %lu shares are not what is due\n",
	       nr, name, a->seed, seed - 1, done, seed - a->seed, missed);
	fflush(stdout);
	return true;
}

static int case_run(const char *path)
{
	struct prop_verdict v;
	struct prop_case c;

	prop_read(path, &c);
	if (prop_try(&c, &v)) {
		printf("it passes: %lu steps\n", v.events);
		return 0;
	}
	printf("%s\n", v.why);
	return 1;
}

int main(int argc, char **argv)
{
	struct asked a = { .steps = 1000000, .seed = 1 };
	const char *only = NULL, *name;
	u32 n = 0, bad = 0, nr = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (opt) {
		case 's':
			a.steps = number(optarg, "--steps", "steps", 1,
					 UINT64_MAX);
			break;
		case 'r':
			a.seed = number(optarg, "--seed", "seed", 0,
					UINT64_MAX);
			break;
		case 'p':
			only = optarg;
			break;
		case 'm':
			a.misses = number(optarg, "--misses", "cases", 0,
					  UINT64_MAX);
			break;
		case 'c':
			return case_run(optarg);
		default: /* getopt has said what is wrong */
			return 2;
		}
	}
	if (optind < argc)
		die("%s: no such word; --steps N, --seed N, --policy NAME, "
		    "--misses N, --case FILE", argv[optind]);
	if (only && !sched_policy_knobs(only))
		die("no policy %s", only);
	while (sched_policy_list(n))
		n++;
	printf("1..%u\n", only ? 1u : n);
	for (u32 i = 0; (name = sched_policy_list(i)); i++) {
		if (!only || !strcmp(name, only))
			bad += !policy_run(name, &a, ++nr);
	}
	return bad != 0;
}
