/*
 * The short ways from a wait into the guest (kernel/sched/resume.h) and from
 * one vCPU to the next (kernel/sched/yield.h) and the long ones lead to the
 * same: the same made-up machine, with the same random events, is run twice,
 * once with each, and everything that the core and the policies keep is
 * compared after each step of each CPU. So is what is recorded, with each class
 * of the trace on alone: a way that passes by a hook may not be taken then.
 */
/* sources: SCHED_CORE POLICIES kernel/heap.c
 *          tests/unit/fake_arch/fake_arch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/sched/core.h"
#include "kernel/sched/resume.h"
#include "kernel/sched/yield.h"
#include "kernel/percpu/trace.h"
#include "tests/unit/fake_arch/fake_arch.h"
#include "tests/unit/policies.h"

#define GUESTS 3
#define VCPUS 2
#define STEPS 6000
#define CPUS 4
#define RECORDS 256 /* of a CPU, in a step */

/* What a run was like, a value a step. */
struct story {
	u64 value[STEPS];
	u32 resumed; /* steps that began with a sleeper and gave it the CPU */
	u64 ways;    /* turns that followed another by the short way */
	bool has_way; /* the policy has the one that is looked for */
};

static struct fake_guest *guests[GUESTS];
static u32 refused; /* by the policy: as good as anything else */
static u64 seed;

static u32 rnd(u32 below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(seed >> 33) % below;
}

/* ---- What is compared ---- */

static u64 hash;

static void mix(u64 v)
{
	hash = (hash ^ v) * 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 29;
}

/* A vCPU by its number, so that two runs' pointers compare. */
static void mix_vcpu(const struct vcpu *v)
{
	mix(v ? v->guest->id * VCPUS + v->id + 1 : 0);
}

static bool is_address(u64 w)
{
	return w >> 40 >= 0x50 && w >> 40 < 0x80;
}

/* Does a node of a heap begin at that word, which is in it, or was, or has
 * never been? After the key and a number come five addresses, or none yet. */
static bool is_heap_node(const u64 *w, size_t i, size_t words)
{
	size_t size = sizeof(struct heap_node) / 8;

	if (i + size > words || is_address(w[i]) || is_address(w[i + 1]))
		return false;
	for (size_t k = 2; k < size; k++) {
		if (w[i + k] && !is_address(w[i + k]))
			return false;
	}
	return true;
}

/* What the policy keeps of it, but for addresses, which two runs have of their
 * own: where a word looks like one, that it does. Of one in the queue: of
 * others not all has a meaning. How one stands in a heap depends on the way,
 * too; its key doesn't. */
static void mix_part(const struct sched_unit *u)
{
	size_t words = core_of(cpu_this())->ops->unit_bytes / 8, i = 0;
	const u64 *w = u->part;

	while (i < words) {
		mix(is_address(w[i]) ? 1 : w[i]);
		i += is_heap_node(w, i, words) ? sizeof(struct heap_node) / 8 :
						 1;
	}
}

static void mix_unit(const struct sched_unit *u)
{
	mix(u->on | u->queued << 1 | u->counted << 2 | u->paused << 3 |
	    u->refused << 4 | (u32)timer_is_set(&u->timer) << 5);
	mix(timer_is_set(&u->timer) ? u->timer.node.key : 0);
	/* Begun anew with each turn. */
	if (u->runstate == RUNSTATE_RUNNING) {
		mix(u->charged_ticks);
		mix(u->charged_active);
	}
	mix(u->runstate);
	mix(u->since_ticks);
	for (u32 i = 0; i < RUNSTATE_COUNT; i++)
		mix(u->ticks[i]);
	mix(u->preemptions);
	mix(u->admitted);
	if (u->queued && u->home && u->held &&
	    u->held == ((const struct sched_core *)u->home)->epoch)
		mix_part(u);
}

static void mix_fake_vcpu(const struct fake_vcpu *f)
{
	mix(f->v.state);
	mix(f->v.virq);
	mix(f->v.requests);
	mix(f->v.cpu->index);
	mix(f->v.mail.bits);
	mix(f->v.wakes);
	mix(f->v.exits[VCPU_EXIT_OTHER]);
	mix(f->v.turns);
	mix(f->v.migrations);
	mix(f->ran);
	mix(f->irqs);
	mix(f->loaded != NULL);
	mix_unit(&f->v.sched);
}

static void mix_cpu(const struct fake_cpu *f)
{
	const struct cpu *c = &f->c;
	const struct sched_core *core = core_of(&fake_cpus[c->index]->c);
	const u64 *stats = (const u64 *)(const void *)&c->stats;

	for (size_t i = 0; i < sizeof(c->stats) / sizeof(*stats); i++)
		mix(stats[i]);
	mix_vcpu(c->current);
	mix(c->mode | c->bell << 2 | (c->mbox.stack.head != NULL) << 3);
	mix(c->load);
	mix(c->level);
	mix(c->vtime);
	mix(c->wait_vtime);
	mix(c->turn_since);
	mix(f->now);
	mix(f->timer);
	mix(f->rings);
	mix_vcpu(core->loaded);
	mix(core->sc.current != NULL);
	mix(core->epoch);
	mix(core->load);
	mix(core->sc.deadline_ticks);
	mix(core->armed);
	mix(core->balance_at);
	mix(core->resched | core->idling << 1 | core->native << 2 |
	    core->polling << 3 | core->asking << 4);
	mix(core->idle_since);
	mix(core->guests_until);
}

static u64 state_hash(u32 cpus)
{
	hash = 1;
	for (u32 i = 0; i < cpus; i++)
		mix_cpu(fake_cpus[i]);
	for (u32 i = 0; i < GUESTS; i++) {
		mix(guests[i]->g.account->active);
		mix(guests[i]->g.account->guest_ticks);
		for (u32 k = 0; k < VCPUS; k++)
			mix_fake_vcpu(fake_vcpu_of(guests[i], k));
	}
	return hash;
}

/* ---- What is recorded ---- */

static struct trace_record records[CPUS][RECORDS];
static struct trace_ring rings[CPUS];

/* Records that class alone, on all CPUs; 0: none. */
static void record(u32 cpus, u32 class)
{
	for (u32 i = 0; i < cpus; i++) {
		struct cpu *c = &fake_cpus[i]->c;

		trace_ring_init(&rings[i], records[i], RECORDS, i,
				TRACE_FLIGHT);
		fake_this_cpu = c;
		c->trace = &rings[i];
		c->trace_mask = class;
		sched_trace_changed(c);
		assert_false(sched_trace_some(c));
	}
}

/* What was written since the last time. */
static void mix_records(u32 cpus)
{
	static struct trace_record r[RECORDS];
	u64 first;

	for (u32 i = 0; i < cpus; i++) {
		u64 n = trace_copy(&rings[i], 0, RECORDS, r, &first);

		assert_true(rings[i].head < RECORDS);
		for (u64 k = 0; k < n; k++) {
			mix(r[k].time_ticks);
			mix((u64)r[k].event << 32 | r[k].vcpu);
			mix(r[k].a);
			mix(r[k].b);
		}
		trace_ring_init(&rings[i], records[i], RECORDS, i,
				TRACE_FLIGHT);
	}
}

/* ---- The run ---- */

static struct fake_vcpu *any_vcpu(void)
{
	u32 g = rnd(GUESTS);

	return fake_vcpu_of(guests[g], rnd(VCPUS));
}

/* Something that may happen from outside between two steps. */
static void event(u32 cpus, bool calm)
{
	struct cpuset to = { { 1 + rnd((1u << cpus) - 1) } };
	struct sched_params p = SCHED_PARAMS_DEFAULT;
	struct fake_vcpu *f = any_vcpu();
	const char *policy;

	fake_this_cpu = &fake_cpus[rnd(cpus)]->c;
	switch (calm ? 9 : rnd(40)) {
	case 0:
		sched_vcpu_request(&f->v, VCPU_REQ_PAUSE);
		break;
	case 1:
	case 2:
	case 3:
		sched_vcpu_request(&f->v, VCPU_REQ_RESUME);
		break;
	case 4:
		assert_int_equal(sched_vcpu_affinity(&f->v, &to), 0);
		break;
	case 5:
		p.priority = rnd(4);
		p.weight = 1 + rnd(512);
		p.cap = rnd(4) ? 0 : 50;
		p.slice_us = 500 << rnd(6);
		sched_guest_params(f->v.guest, &p, 0);
		break;
	case 6:
		policy = sched_policy_list(rnd(policy_count()));
		refused += sched_policy_set(policy, NULL) != 0;
		break;
	default:
		virq_raise(&f->v, VIRQ_SOFT);
		break;
	}
}

/* Is the policy yet to be asked? The short way asks it in the step in which a
 * vCPU gives way, the long one in the next. */
static bool is_half_done(const struct sched_core *core)
{
	return core->resched;
}

static bool step(u32 cpu)
{
	bool ran = fake_step(cpu), more = ran;

	while (more && is_half_done(core_of(&fake_cpus[cpu]->c)))
		more = fake_step(cpu);
	return ran;
}

/* Gives way, mostly, and may have woken another of its guest; sleeps for arg[1]
 * now and then. */
static enum run_end act_give_way(struct fake_vcpu *f, u64 now)
{
	if (!rnd(8))
		virq_raise(f->v.guest->vcpu[rnd(VCPUS)], VIRQ_SOFT);
	return rnd(6) ? fake_act_yield(f, now) : fake_act_block(f, now);
}

static void guests_make(bool give_way)
{
	for (u32 i = 0; i < GUESTS; i++) {
		guests[i] = fake_guest_make(VCPUS, NULL, 0);
		for (u32 k = 0; k < VCPUS; k++) {
			struct fake_vcpu *f = fake_vcpu_of(guests[i], k);

			f->left = f->arg[0] = (1 + rnd(60)) * FAKE_US;
			f->arg[1] = (1 + rnd(900)) * FAKE_US;
			f->act = rnd(2) ? fake_act_block : fake_act_wait;
			if (give_way)
				f->act = act_give_way;
		}
		/* Some of them refused, under `pinned`. */
		for (u32 k = 0; k < VCPUS; k++)
			refused += sched_vcpu_start(guests[i]->g.vcpu[k]) != 0;
	}
}

/* What happens in a run, of which there are two. */
struct plot {
	const char *policy;
	u32 cpus;
	u64 seed;
	bool calm;     /* nothing is asked of vCPUs but to wake */
	bool give_way; /* they give way, else they sleep */
	u32 class;     /* of the trace, that is on; or 0 */
};

static void tell(struct story *s, const struct plot *p, bool short_way)
{
	const struct sched_ops *ops;

	seed = p->seed;
	sched_short_way = short_way;
	s->resumed = 0;
	fake_boot(p->cpus, p->policy);
	record(p->cpus, p->class);
	ops = core_of(&fake_cpus[0]->c)->ops;
	s->has_way = p->give_way ? ops->yield != NULL : ops->resume != NULL;
	guests_make(p->give_way);
	for (u32 n = 0; n < STEPS; n++) {
		u32 least = 0;
		struct sched_core *core;
		struct vcpu *sleeper;

		for (u32 i = 1; i < p->cpus; i++) {
			if (fake_cpus[i]->now < fake_cpus[least]->now)
				least = i;
		}
		if (!rnd(p->calm ? 4 : 12))
			event(p->cpus, p->calm);
		core = core_of(&fake_cpus[least]->c);
		sleeper = core->sleeper;
		if (step(least) && sleeper)
			s->resumed++;
		state_hash(p->cpus);
		mix_records(p->cpus);
		s->value[n] = hash;
	}
	s->ways = 0;
	for (u32 i = 0; i < p->cpus; i++)
		s->ways += fake_cpus[i]->ways;
	for (u32 i = 0; i < GUESTS; i++)
		fake_guest_free(guests[i]);
	fake_halt();
	sched_short_way = true;
}

/* How often a short way was taken; or as often as can be wanted, where the
 * policy has none. */
static u64 compare(const struct plot *p)
{
	static struct story with, without;

	tell(&with, p, true);
	tell(&without, p, false);
	assert_int_equal(without.resumed, 0);
	assert_int_equal(without.ways, 0);
	for (u32 n = 0; n < STEPS; n++) {
		if (with.value[n] != without.value[n])
			fail_msg("%s, %u CPUs, seed %lu, class %#x: step %u "
				 "differs", p->policy, p->cpus,
				 (unsigned long)p->seed, p->class, n);
	}
	if (!with.has_way)
		return UINT32_MAX;
	return p->give_way ? with.ways : with.resumed;
}

static void both_ways_leave_the_same_state_behind(bool calm, bool give_way,
						  u32 least)
{
	struct plot p = { .calm = calm, .give_way = give_way };

	for (u32 i = 0; (p.policy = sched_policy_list(i)); i++) {
		u64 taken = 0;

		for (p.cpus = 1; p.cpus <= 4; p.cpus++) {
			for (p.seed = 1; p.seed <= 4; p.seed++)
				taken += compare(&p);
		}
		if (taken < least)
			fail_msg("%s took the short way %lu times", p.policy,
				 (unsigned long)taken);
	}
}

static void both_ways_are_the_same_where_vcpus_sleep_and_wake(void **state)
{
	(void)state;
	both_ways_leave_the_same_state_behind(true, false, 1000);
}

static void both_ways_are_the_same_whatever_is_asked_meanwhile(void **state)
{
	(void)state;
	both_ways_leave_the_same_state_behind(false, false, 300);
}

static void both_ways_are_the_same_where_vcpus_give_way(void **state)
{
	(void)state;
	both_ways_leave_the_same_state_behind(true, true, 20000);
}

static void giving_way_is_the_same_whatever_is_asked_meanwhile(void **state)
{
	(void)state;
	both_ways_leave_the_same_state_behind(false, true, 5000);
}

static const u32 classes[] = {
#define X(bit, NAME, word, text) TRACE_##NAME,
	TRACE_CLASSES(X)
#undef X
	TRACE_STATS,
};

/* With a class of `passed` on no short way is taken, else some are. */
static void both_ways_record_the_same(bool give_way, u32 passed)
{
	struct plot p = { .cpus = 2, .seed = 1, .give_way = give_way };

	for (u32 i = 0; i < ARRAY_LEN(classes); i++) {
		u64 taken = 0, n;

		p.class = classes[i];
		for (u32 k = 0; (p.policy = sched_policy_list(k)); k++) {
			p.calm = k % 2;
			n = compare(&p);
			taken += n == UINT32_MAX ? 0 : n;
		}
		if (!taken != !!(p.class & passed))
			fail_msg("class %#x: the short way was taken %lu times",
				 p.class, (unsigned long)taken);
	}
}

static void what_is_recorded_is_the_same_where_vcpus_sleep(void **state)
{
	(void)state;
	both_ways_record_the_same(false, RESUME_PASSES);
}

static void what_is_recorded_is_the_same_where_vcpus_give_way(void **state)
{
	(void)state;
	both_ways_record_the_same(true, YIELD_PASSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			both_ways_are_the_same_where_vcpus_sleep_and_wake),
		cmocka_unit_test(
			both_ways_are_the_same_whatever_is_asked_meanwhile),
		cmocka_unit_test(both_ways_are_the_same_where_vcpus_give_way),
		cmocka_unit_test(
			giving_way_is_the_same_whatever_is_asked_meanwhile),
		cmocka_unit_test(
			what_is_recorded_is_the_same_where_vcpus_sleep),
		cmocka_unit_test(
			what_is_recorded_is_the_same_where_vcpus_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
