/*
 * Running one case: guests and operations, all made from its seed.
 *
 * What a guest is comes from the seed and its own number, and an operation
 * names its target modulo what there is: so with fewer guests, vCPUs or
 * operations what is left stays what it was, which is what shrinking needs.
 *
 * At the end of a chaos every vCPU gets a little work to do and then goes off.
 * All of them must: whoever was lost anywhere on the way never does, under any
 * policy, since the work of all is finite.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/sim/costs.h"
#include "bench/sim/props.h"
#include "bench/sim/random.h"
#include "bench/sim/text.h"
#include "kernel/sched/policy.h"

#define LOOK_EVERY FAKE_MS
#define CPU_SECONDS 20 /* a case that takes longer hangs */
#define END_WORK (50 * FAKE_US)
#define END_LIMIT (5 * FAKE_HZ)

struct prop_guest *prop_guests;
u32 prop_guest_count;

static struct prop_verdict *verdict;

void prop_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verdict->why, sizeof(verdict->why), fmt, ap);
	va_end(ap);
	verdict->events = sim_events();
	_exit(1);
}

/* ---- Guests ---- */

static const char *const works[] = { "hog", "periodic", "nap", "bursty",
				     "interactive", "yielder", "ring",
				     "locks" };

static void work_choose(struct work_vcpu *w, u64 *r)
{
	struct work_args a = { .random = random_below(r, 2),
			       .random_set = true };
	const struct behaviour *b =
		behaviour_find(works[random_below(r, ARRAY_LEN(works))]);

	a.run = 1 + random_below(r, 2 * FAKE_MS);
	a.sleep = 1 + random_below(r, 5 * FAKE_MS);
	a.period = a.run + random_below(r, 10 * FAKE_MS);
	a.hold = 1 + random_below(r, 100 * FAKE_US);
	w->guest->holder = NULL;
	w->phase = 0;
	w->asleep = false;
	work_begin(w, b, &a, random_next(r));
}

static void guest_make(struct prop_guest *g, const struct prop_case *c, u32 i)
{
	u64 r = c->seed ^ (0xd1342543de82ef95ULL * (i + 1));
	struct guest_config cfg = { .sched = SCHED_PARAMS_DEFAULT };
	char *name = must_alloc(1, 16);

	snprintf(name, 16, "g%u", i);
	cfg.name = g->w.name = name;
	cfg.vcpus = 1 + (u32)random_below(&r, 4);
	cfg.vcpus = MIN(cfg.vcpus, c->vcpus);
	cfg.sched.weight = 64 << random_below(&r, 4);
	cfg.sched.priority = (u32)random_below(&r, 8) * 32;
	cfg.sched.slice_us = 500 << random_below(&r, 5);
	if (random_below(&r, 4) == 0)
		cfg.sched.cap = 10 + (u32)random_below(&r, 90 * cfg.vcpus);
	if (c->kind != PROP_SHARES) {
		cfg.wfi = (enum wfi_policy)random_below(&r, 3);
		cfg.wfi_poll_us = 50;
	}
	g->w.fg = fake_guest_make_as(&cfg);
}

static void guests_make(const struct prop_case *c)
{
	u64 r = c->seed + 99;
	u32 nr = 0;

	prop_guests = must_alloc(c->guests, sizeof(*prop_guests));
	prop_guest_count = c->guests;
	work_all = must_alloc(c->guests * c->vcpus, sizeof(*work_all));
	for (u32 i = 0; i < c->guests; i++) {
		struct prop_guest *g = &prop_guests[i];

		guest_make(g, c, i);
		g->w.vcpu = &work_all[nr];
		for (u32 k = 0; k < g->w.fg->g.cfg.vcpus; k++, nr++) {
			struct work_vcpu *w = &work_all[nr];

			w->f = fake_vcpu_of(g->w.fg, k);
			w->guest = &g->w;
			w->number = nr;
			w->waits = &g->w.waits;
			w->f->own = w;
			if (c->kind == PROP_CHAOS ||
			    (c->kind == PROP_PLACES && random_below(&r, 2)))
				work_choose(w, &r);
			else
				work_begin(w, behaviour_find("hog"),
					   &(struct work_args){ 0 }, 1);
		}
	}
	work_count = nr;
	for (u32 i = 0; i < nr; i++)
		(void)!sched_vcpu_start(&work_all[i].f->v);
}

/* ---- Operations ---- */

static void op_pin(struct work_vcpu *w, u32 bits)
{
	struct cpuset to = { { 0 } };

	for (u32 i = 0; i < cpu_count(); i++) {
		if (bits >> (i % 32) & 1)
			cpuset_add(&to, i);
	}
	(void)!sched_vcpu_affinity(&w->f->v, &to);
}

static void op_few(struct work_vcpu *w, u32 arg)
{
	struct cpuset to = { { 0 } };
	u64 r = arg;
	u32 n = cpu_count(), first = n / 2 * (u32)random_below(&r, 3);

	for (u32 i = 1 + (u32)random_below(&r, 3); i; i--)
		cpuset_add(&to, (first + (u32)random_below(&r, 4)) % n);
	(void)!sched_vcpu_affinity(&w->f->v, &to);
}

static void op_params(struct prop_guest *g, const struct prop_op *op)
{
	struct sched_params *p = &g->w.fg->g.cfg.sched;

	switch (op->kind) {
	case OP_WEIGHT:
		p->weight = 1 + op->arg % 1024;
		break;
	case OP_CAP:
		p->cap = op->arg % 3 ? 0 : 5 + op->arg / 3 %
					  (95 * g->w.fg->g.cfg.vcpus);
		break;
	case OP_PRIORITY:
		p->priority = op->arg % 256;
		break;
	default:
		p->slice_us = 100 + op->arg % 20000;
		break;
	}
	sched_guest_params(&g->w.fg->g, p, 0);
	check_cap_changed(g, sim_now());
}

static void op_policy(u32 arg)
{
	u32 n = 0;

	while (sched_policy_list(n))
		n++;
	(void)!sched_policy_set(sched_policy_list(arg % n), NULL);
}

static void op_start(struct work_vcpu *w, u32 arg)
{
	u64 r = arg;

	if (w->f->v.state != VCPU_OFF)
		return;
	work_choose(w, &r);
	(void)!sched_vcpu_start(&w->f->v);
}

static void op_do(const struct prop_op *op)
{
	struct work_vcpu *w = &work_all[op->target % work_count];
	u64 r = op->arg;

	switch ((enum prop_op_kind)op->kind) {
	case OP_NOTHING:
	case OP_KINDS:
		break;
	case OP_WAKE:
		work_raise(w);
		break;
	case OP_PIN:
		op_pin(w, op->arg);
		break;
	case OP_UNPIN:
		op_pin(w, ~0u);
		break;
	case OP_FEW:
		op_few(w, op->arg);
		break;
	case OP_WEIGHT:
	case OP_CAP:
	case OP_PRIORITY:
	case OP_SLICE:
		op_params(&prop_guests[op->target % prop_guest_count], op);
		break;
	case OP_PAUSE:
		sched_vcpu_request(&w->f->v, VCPU_REQ_PAUSE);
		break;
	case OP_RESUME:
		sched_vcpu_request(&w->f->v, VCPU_REQ_RESUME);
		break;
	case OP_KILL:
		sched_vcpu_request(&w->f->v, VCPU_REQ_KILL);
		break;
	case OP_START:
		op_start(w, op->arg);
		break;
	case OP_POLICY:
		op_policy(op->arg);
		break;
	case OP_WORK:
		work_choose(w, &r);
		sim_poke(w->f->v.cpu->index, sim_now());
		break;
	}
}

/* ---- The run ---- */

static void watch_entered(struct fake_cpu *f, struct fake_vcpu *v)
{
	check_entered(f, v);
	work_watch.entered(f, v);
}

static void watch_ended(struct fake_cpu *f, struct fake_vcpu *v,
			enum run_end end)
{
	check_left(f);
	work_watch.ended(f, v, end);
}

static const struct sim_watch watch = { .entered = watch_entered,
					.ended = watch_ended };

/* Time passes, and is looked at. A change of policy is complete at some
 * moment in between. */
static void pass_once(u64 ticks)
{
	bool changing = sched_policy_changing();

	sim_run_until(sim_now() + ticks);
	if (changing)
		check_policy_changed(sim_now());
	check_moment(sim_now());
}

static void pass(u64 ticks)
{
	for (; ticks > LOOK_EVERY; ticks -= LOOK_EVERY)
		pass_once(LOOK_EVERY);
	pass_once(ticks);
}

static enum run_end act_off(struct fake_vcpu *f, u64 now)
{
	return RUN_OFF;
}

static const struct behaviour ending = { .name = "ending", .act = act_off };

static bool all_off(void)
{
	for (u32 i = 0; i < work_count; i++) {
		if (work_all[i].f->v.state != VCPU_OFF)
			return false;
	}
	return true;
}

static void end_one(struct work_vcpu *w)
{
	w->does = &ending;
	w->f->act = act_off;
	w->f->left = END_WORK;
	op_pin(w, ~0u);
	sched_vcpu_request(&w->f->v, VCPU_REQ_RESUME);
	virq_raise(&w->f->v, VIRQ_SOFT);
	sim_poke(w->f->v.cpu->index, sim_now());
}

static void all_must_end(void)
{
	u64 limit = sim_now() + END_LIMIT;

	for (u32 i = 0; i < work_count; i++)
		end_one(&work_all[i]);
	while (!all_off() && sim_now() < limit) {
		pass(20 * FAKE_MS);
		/* Whoever was refused for want of room may ask again. */
		for (u32 i = 0; i < work_count; i++) {
			if (work_all[i].f->v.sched.refused)
				op_pin(&work_all[i], ~0u);
		}
	}
	for (u32 i = 0; i < work_count; i++) {
		const struct vcpu *v = &work_all[i].f->v;

		if (v->state != VCPU_OFF)
			prop_fail("%s:%u is lost: state %u on CPU %u",
				  v->guest->cfg.name, v->id, v->state,
				  v->cpu->index);
	}
	for (u32 i = 0; i < cpu_count(); i++) {
		if (cpu_by_index(i)->load)
			prop_fail("CPU %u: a load of %u, and nobody is there",
				  i, cpu_by_index(i)->load);
	}
}

void prop_run(const struct prop_case *c, struct prop_verdict *v)
{
	struct sim_costs costs;

	verdict = v;
	costs_read("bench/sim/costs", c->policy, NULL, 0, &costs);
	sim_boot(c->cpus, c->policy, &costs, &watch);
	guests_make(c);
	check_begin(sim_now());
	for (u32 i = 0; i < c->ops; i++) {
		pass(c->op[i].after_us * FAKE_US);
		op_do(&c->op[i]);
	}
	if (c->kind != PROP_SHARES) {
		pass(c->kind == PROP_PLACES ? 150 * FAKE_MS : 0);
		all_must_end();
	} else {
		pass(FAKE_HZ);
		check_shares_begin(sim_now());
		for (u32 i = 0; i < 20; i++)
			pass(150 * FAKE_MS);
		v->at_shares = true;
		check_shares(sim_now());
		v->at_shares = false;
	}
	v->events = sim_events();
}

static void in_child(const struct prop_case *c, struct prop_verdict *v)
{
	struct rlimit limit = { CPU_SECONDS, CPU_SECONDS + 1 };

	setrlimit(RLIMIT_CPU, &limit);
	limit = (struct rlimit){ 0, 0 };
	setrlimit(RLIMIT_CORE, &limit);
	prop_run(c, v);
	_exit(0);
}

bool prop_try(const struct prop_case *c, struct prop_verdict *v)
{
	struct prop_verdict *shared = mmap(NULL, sizeof(*shared),
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (shared == MAP_FAILED)
		die("no memory");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		in_child(c, shared);
	while (waitpid(pid, &status, 0) < 0)
		;
	*v = *shared;
	munmap(shared, sizeof(*shared));
	if (WIFSIGNALED(status))
		snprintf(v->why, sizeof(v->why), "%s",
			 WTERMSIG(status) == SIGXCPU ? "it never ends" :
			 strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) && !v->why[0])
		snprintf(v->why, sizeof(v->why), "status %d",
			 WEXITSTATUS(status));
	return !v->why[0];
}
