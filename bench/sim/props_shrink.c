/*
 * Cases: making them from a seed, writing them down, making them smaller.
 *
 * Shrinking tries, again and again until nothing helps any more: half the CPUs,
 * half the guests, half the vCPUs (then one less), and without a run of
 * operations, the runs getting shorter from half of all to a single one. What
 * still fails is kept, whatever it fails with.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/sim/props.h"
#include "bench/sim/random.h"
#include "bench/sim/text.h"

static const char *const op_names[OP_KINDS] = {
	"nothing", "wake", "pin", "unpin", "few", "weight", "cap", "priority",
	"slice", "pause", "resume", "kill", "start", "policy", "work",
};

static const char *const kind_names[] = { "chaos", "shares", "places" };

static enum prop_kind kind_of(u64 seed)
{
	return seed % 8 == 7 ? PROP_SHARES :
	       seed % 4 == 2 ? PROP_PLACES :
			       PROP_CHAOS;
}

/* Everyone gets a few CPUs; then something changes, and stays so for as long
 * as whoever has to move may take. */
static void places_generate(struct prop_case *c, u64 *r)
{
	static const enum prop_op_kind changes[] = {
		OP_FEW, OP_FEW, OP_UNPIN, OP_WAKE, OP_WORK, OP_PRIORITY,
		OP_PAUSE, OP_RESUME, OP_KILL, OP_START, OP_POLICY,
	};
	u32 all = c->guests * c->vcpus;

	for (u32 i = 0; i < c->ops; i++) {
		struct prop_op *op = &c->op[i];

		op->kind = OP_FEW;
		op->target = i;
		op->arg = (u32)random_next(r);
		if (i < all)
			continue;
		op->kind = changes[random_below(r, ARRAY_LEN(changes))];
		op->after_us = (u32)random_exponential(r, 60000);
		op->target = (u32)random_below(r, 1000);
	}
}

void prop_generate(struct prop_case *c, const char *policy, u64 seed, u32 ops)
{
	u64 r = seed * 0x9e3779b97f4a7c15ULL;

	*c = (struct prop_case){ .seed = seed };
	snprintf(c->policy, sizeof(c->policy), "%s", policy);
	c->kind = kind_of(seed);
	c->cpus = 1 + (u32)random_below(&r, seed % 16 == 5 ? 64 : 8);
	if (seed % 16 == 10)
		c->cpus += 62;
	c->guests = 1 + (u32)random_below(&r, 6);
	c->vcpus = 1 + (u32)random_below(&r, 4);
	c->ops = c->kind == PROP_SHARES ? (u32)random_below(&r, 4) :
		 c->kind == PROP_PLACES ? c->guests * c->vcpus + 12 :
					  ops;
	c->op = must_alloc(c->ops, sizeof(*c->op));
	if (c->kind == PROP_PLACES) {
		places_generate(c, &r);
		return;
	}
	for (u32 i = 0; i < c->ops; i++) {
		struct prop_op *op = &c->op[i];

		op->after_us = (u32)random_exponential(&r, 400);
		op->kind = c->kind == PROP_SHARES ?
			OP_WEIGHT + (u32)random_below(&r, 2) :
			(u32)random_below(&r, OP_KINDS);
		/* A change of policy stirs everything: not all the time. */
		if (op->kind == OP_POLICY && random_below(&r, 4))
			op->kind = OP_NOTHING;
		op->target = (u32)random_below(&r, 1000);
		op->arg = (u32)random_next(&r);
	}
}

void prop_print(const struct prop_case *c, FILE *out)
{
	fprintf(out, "case %s policy %s cpus %u guests %u vcpus %u seed %lu\n",
		kind_names[c->kind], c->policy, c->cpus, c->guests, c->vcpus,
		c->seed);
	for (u32 i = 0; i < c->ops; i++)
		fprintf(out, "after %u %s %u %u\n", c->op[i].after_us,
			op_names[c->op[i].kind], c->op[i].target,
			c->op[i].arg);
}

static void op_read(struct prop_case *c, char *line, const char *where)
{
	struct prop_op *op;
	char *word[5];

	if (words(line, word, 5) != 5 || strcmp(word[0], "after"))
		die("%s: expected \"after US WHAT TARGET ARGUMENT\"", where);
	c->op = realloc(c->op, (c->ops + 1) * sizeof(*c->op));
	if (!c->op)
		die("no memory");
	op = &c->op[c->ops++];
	op->after_us = (u32)number(word[1], where, "after", 0, 1000000000);
	for (op->kind = 0; strcmp(op_names[op->kind], word[2]);) {
		if (++op->kind == OP_KINDS)
			die("%s: %s: no such operation", where, word[2]);
	}
	op->target = (u32)number(word[3], where, "target", 0, UINT32_MAX);
	op->arg = (u32)number(word[4], where, "argument", 0, UINT32_MAX);
}

void prop_read(const char *path, struct prop_case *c)
{
	struct text_file t;
	char *line, *w[12];

	*c = (struct prop_case){ 0 };
	text_open(&t, path);
	line = text_line(&t);
	if (!line || words(line, w, 12) != 12 || strcmp(w[0], "case"))
		die("%s: expected \"case chaos|shares|places policy NAME "
		    "cpus N guests N vcpus N seed N\"", path);
	while (strcmp(kind_names[c->kind], w[1]))
		if (++c->kind == ARRAY_LEN(kind_names))
			die("%s: %s: no such kind", t.where, w[1]);
	snprintf(c->policy, sizeof(c->policy), "%s", w[3]);
	if (!sched_policy_knobs(c->policy))
		die("%s: no policy %s", t.where, c->policy);
	c->cpus = (u32)number(w[5], t.where, "cpus", 1, CPU_MAX);
	c->guests = (u32)number(w[7], t.where, "guests", 1, 64);
	c->vcpus = (u32)number(w[9], t.where, "vcpus", 1, 512);
	c->seed = number(w[11], t.where, "seed", 0, UINT64_MAX);
	while ((line = text_line(&t)))
		op_read(c, line, t.where);
	text_close(&t);
}

/* ---- Making it smaller ---- */

struct shrink {
	struct prop_case *c;
	struct prop_verdict *v;
	u32 tries;
};

/* Is `smaller` a failure, too? Then it is what we have. */
static bool keep(struct shrink *s, const struct prop_case *smaller)
{
	struct prop_verdict v;

	if (!s->tries)
		return false;
	s->tries--;
	if (prop_try(smaller, &v))
		return false;
	*s->c = *smaller;
	*s->v = v;
	return true;
}

static bool less_of(struct shrink *s, u32 prop_case_offset)
{
	struct prop_case smaller = *s->c;
	u32 *n = (u32 *)(void *)((char *)&smaller + prop_case_offset);
	u32 was = *n;

	if (was < 2)
		return false;
	*n = was / 2;
	if (keep(s, &smaller))
		return true;
	smaller = *s->c;
	*n = was - 1;
	return keep(s, &smaller);
}

/* The end first: whatever comes after the fault is worth nothing. */
static bool fewer_ops(struct shrink *s, u32 run)
{
	bool any = false;

	for (u32 end = s->c->ops; end >= run && run;) {
		struct prop_case smaller = *s->c;
		u32 from = end - run;

		smaller.op = must_alloc(s->c->ops, sizeof(*smaller.op));
		memcpy(smaller.op, s->c->op, from * sizeof(*smaller.op));
		memcpy(smaller.op + from, s->c->op + end,
		       (s->c->ops - end) * sizeof(*smaller.op));
		smaller.ops -= run;
		/* The time that they took still passes. */
		for (u32 i = from; i < end && from < smaller.ops; i++)
			smaller.op[from].after_us += s->c->op[i].after_us;
		if (keep(s, &smaller))
			any = true;
		else
			free(smaller.op);
		end = from;
	}
	return any;
}

void prop_shrink(struct prop_case *c, struct prop_verdict *v, u32 tries)
{
	struct shrink s = { .c = c, .v = v, .tries = tries };
	bool any;

	do {
		any = less_of(&s, offsetof(struct prop_case, cpus));
		any |= less_of(&s, offsetof(struct prop_case, guests));
		any |= less_of(&s, offsetof(struct prop_case, vcpus));
		for (u32 run = (c->ops + 1) / 2; run; run /= 2)
			any |= fewer_ops(&s, run);
	} while (any && s.tries);
}
