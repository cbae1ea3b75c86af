/*
 * What came out of a run: see result.h.
 *
 * One row a guest. The columns are a table of names, units and titles with a
 * function that takes the value out of a guest's sums, so that the three forms
 * can't differ.
 */
#include "bench/sim/result.h"

#include <stdlib.h>
#include <string.h>

#include "bench/sim/text.h"

/* Counters of a guest: the sums over its vCPUs. */
struct sums {
	u64 ticks[RUNSTATE_COUNT];
	u64 wakes, dispatches, migrations, preemptions, exits;
	u64 done, missed, spun;
};

struct row {
	const struct sim_run *run;
	const struct work_guest *guest;
	struct sums s;
};

static struct sums *first, *last;

static void sums_take(const struct work_guest *g, u64 now, struct sums *s)
{
	struct sched_vcpu_info info;

	*s = (struct sums){ 0 };
	for (u32 k = 0; k < g->fg->g.cfg.vcpus; k++) {
		const struct work_vcpu *w = &g->vcpu[k];

		sched_vcpu_info(&w->f->v, &info, now);
		for (u32 i = 0; i < RUNSTATE_COUNT; i++)
			s->ticks[i] += info.ticks[i];
		s->wakes += info.wakes;
		s->dispatches += info.dispatches;
		s->migrations += info.migrations;
		s->preemptions += info.preemptions;
		s->exits += info.exits;
		s->done += w->done;
		s->missed += w->missed;
		s->spun += w->spun;
	}
}

void result_begin(struct sim_run *r)
{
	first = must_alloc(r->guests, sizeof(*first));
	for (u32 i = 0; i < r->guests; i++) {
		sums_take(&r->guest[i], sim_now(), &first[i]);
		memset(&r->guest[i].waits, 0, sizeof(r->guest[i].waits));
	}
}

void result_end(struct sim_run *r)
{
	last = must_alloc(r->guests, sizeof(*last));
	for (u32 i = 0; i < r->guests; i++)
		sums_take(&r->guest[i], sim_now(), &last[i]);
}

/* ---- Columns ---- */

static double share_of(const struct row *r, u64 ticks)
{
	return 100.0 * (double)ticks / (double)r->run->window_ticks;
}

static double c_vcpus(const struct row *r)
{
	return r->guest->fg->g.cfg.vcpus;
}

static double c_weight(const struct row *r)
{
	return r->guest->fg->g.cfg.sched.weight;
}

static double c_share(const struct row *r)
{
	return share_of(r, r->s.ticks[RUNSTATE_RUNNING]);
}

static double c_waiting(const struct row *r)
{
	return share_of(r, r->s.ticks[RUNSTATE_RUNNABLE]);
}

static double c_wakes(const struct row *r)
{
	return (double)r->s.wakes;
}

static double us_at(const struct row *r, u32 permille)
{
	return (double)hist_at(&r->guest->waits, permille) / FAKE_US;
}

static double c_p50(const struct row *r)
{
	return us_at(r, 500);
}

static double c_p90(const struct row *r)
{
	return us_at(r, 900);
}

static double c_p99(const struct row *r)
{
	return us_at(r, 990);
}

static double c_mean(const struct row *r)
{
	const struct hist *h = &r->guest->waits;

	return h->n ? (double)h->sum / (double)h->n / FAKE_US : 0;
}

static double c_max(const struct row *r)
{
	return (double)r->guest->waits.max / FAKE_US;
}

static double c_switches(const struct row *r)
{
	return (double)r->s.dispatches;
}

static double c_preemptions(const struct row *r)
{
	return (double)r->s.preemptions;
}

static double c_migrations(const struct row *r)
{
	return (double)r->s.migrations;
}

static double c_exits(const struct row *r)
{
	return (double)r->s.exits;
}

static double c_done(const struct row *r)
{
	return (double)r->s.done;
}

static double c_missed(const struct row *r)
{
	return (double)r->s.missed;
}

static double c_spun(const struct row *r)
{
	return share_of(r, r->s.spun);
}

static const struct column {
	const char *name, *unit, *title;
	double (*value)(const struct row *r);
	int decimals;
} columns[] = {
	{ "vcpus", "", "vCPUs", c_vcpus, 0 },
	{ "weight", "", "weight", c_weight, 0 },
	{ "share", "%", "time that it ran, of one CPU", c_share, 3 },
	{ "waiting", "%", "time that it could have run", c_waiting, 3 },
	{ "wakes", "", "wake-ups", c_wakes, 0 },
	{ "wait_mean", "us", "wake-up to running, mean", c_mean, 2 },
	{ "wait_p50", "us", "median", c_p50, 1 },
	{ "wait_p90", "us", "90 of 100 are below", c_p90, 1 },
	{ "wait_p99", "us", "99 of 100 are below", c_p99, 1 },
	{ "wait_max", "us", "greatest", c_max, 1 },
	{ "switches", "", "times that it was dispatched", c_switches, 0 },
	{ "preemptions", "", "times that it had to give way", c_preemptions,
	  0 },
	{ "migrations", "", "changes of CPU", c_migrations, 0 },
	{ "exits", "", "turns that ended, for whatever reason", c_exits, 0 },
	{ "done", "", "jobs, rounds or locks", c_done, 0 },
	{ "missed", "", "jobs that ended after the next was due", c_missed,
	  0 },
	{ "spun", "%", "time that it spun for a lock", c_spun, 3 },
};

static struct row row_of(const struct sim_run *r, u32 i)
{
	struct row row = { .run = r, .guest = &r->guest[i] };
	const u64 *from = (const u64 *)&first[i], *to = (const u64 *)&last[i];
	u64 *out = (u64 *)&row.s;

	for (size_t k = 0; k < sizeof(row.s) / sizeof(u64); k++)
		out[k] = to[k] - from[k];
	return row;
}

/* ---- Forms ---- */

void result_text(const struct sim_run *r, FILE *out)
{
	double seconds = (double)(r->window_ticks + r->warmup_ticks) / FAKE_HZ;
	double host = (double)r->host_ns / 1e9;

	fprintf(out, "%-16s %5s %8s %8s %9s %9s %9s %9s %8s %8s %9s\n",
		"GUEST", "VCPUS", "SHARE %", "WAIT %", "WAKES", "P50 us",
		"P99 us", "MAX us", "SWITCH", "MIGRATE", "DONE");
	for (u32 i = 0; i < r->guests; i++) {
		struct row w = row_of(r, i);

		fprintf(out, "%-16s %5.0f %8.2f %8.2f %9.0f %9.1f %9.1f %9.1f "
			"%8.0f %8.0f %9.0f\n", r->guest[i].name, c_vcpus(&w),
			c_share(&w), c_waiting(&w), c_wakes(&w), c_p50(&w),
			c_p99(&w), c_max(&w), c_switches(&w), c_migrations(&w),
			c_done(&w));
	}
	fprintf(out, "%s on %u CPUs: %.3f s simulated in %.3f s of one core, "
		"%.1f times as fast as real time, %lu events\n",
		sched_policy_name(), r->cpus,
		seconds, host, seconds / (host > 0 ? host : 1e-9), r->events);
}

static void json_text(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', out);
		if ((unsigned char)*s >= ' ')
			fputc(*s, out);
	}
	fputc('"', out);
}

static const char question[] =
	"What does each guest of the scenario get under this policy?";

static void json_conditions(const struct sim_run *r, FILE *out)
{
	fputs("\"conditions\":{\"commit\":", out);
	json_text(out, r->commit);
	fputs(",\"machine\":\"simulated\",\"scenario\":", out);
	json_text(out, r->scenario);
	fputs(",\"policy\":", out);
	json_text(out, sched_policy_name());
	fputs(",\"costs\":", out);
	json_text(out, r->costs);
	fprintf(out, ",\"harts\":%u,\"seed\":%lu,\"window_s\":%.6f,"
		"\"warmup_s\":%.6f},", r->cpus, r->seed,
		(double)r->window_ticks / FAKE_HZ,
		(double)r->warmup_ticks / FAKE_HZ);
}

void result_json(const struct sim_run *r, const char *name, FILE *out)
{
	fputs("{\"type\":\"bench\",\"name\":", out);
	json_text(out, name);
	fprintf(out, ",\"title\":\"Simulated: what each guest gets\","
		"\"question\":\"%s\",", question);
	json_conditions(r, out);
	fputs("\"columns\":[{\"name\":\"guest\",\"unit\":\"\","
	      "\"title\":\"guest\"}", out);
	for (u32 c = 0; c < ARRAY_LEN(columns); c++)
		fprintf(out, ",{\"name\":\"%s\",\"unit\":\"%s\","
			"\"title\":\"%s\"}", columns[c].name, columns[c].unit,
			columns[c].title);
	fputs("],\"rows\":[", out);
	for (u32 i = 0; i < r->guests; i++) {
		struct row w = row_of(r, i);

		fputs(i ? ",\n[" : "\n[", out);
		json_text(out, r->guest[i].name);
		for (u32 c = 0; c < ARRAY_LEN(columns); c++)
			fprintf(out, ",%.*f", columns[c].decimals,
				columns[c].value(&w));
		fputc(']', out);
	}
	fputs("]}\n", out);
}

void result_tsv(const struct sim_run *r, const char *name, FILE *out)
{
	fprintf(out, "# %s: %s\n# scenario: %s\n# policy: %s\n# harts: %u\n"
		"# seed: %lu\n# costs: %s\n# commit: %s\nguest", name, question,
		r->scenario, sched_policy_name(), r->cpus, r->seed, r->costs,
		r->commit);
	for (u32 c = 0; c < ARRAY_LEN(columns); c++) {
		fprintf(out, "\t%s", columns[c].name);
		if (*columns[c].unit)
			fprintf(out, " [%s]", columns[c].unit);
	}
	fputc('\n', out);
	for (u32 i = 0; i < r->guests; i++) {
		struct row w = row_of(r, i);

		fputs(r->guest[i].name, out);
		for (u32 c = 0; c < ARRAY_LEN(columns); c++)
			fprintf(out, "\t%.*f", columns[c].decimals,
				columns[c].value(&w));
		fputc('\n', out);
	}
}
