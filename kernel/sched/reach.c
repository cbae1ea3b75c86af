/*
 * Where rows lead by which units could make room for each other: room.c's look.
 *
 * CPUs that are reached are in core->places in the order in which they were,
 * each with the first one of its row. Each one's current is asked once, where
 * it may run; what is new there is reached as well, until one of them is idle.
 */
#include "kernel/sched/private.h"

void reach_begin(struct sched_core *core, u32 self)
{
	struct room_look *r = &core->look;

	r->count = r->asked = r->from = 0;
	r->most = cpu_count() - (self != CPU_NONE);
	r->reached = (struct cpuset){{0}};
	/* Who may run anywhere may do so where no CPU is. */
	if (cpu_count() % 64)
		r->reached.w[cpu_count() / 64] = ~0ULL << cpu_count() % 64;
	if (self != CPU_NONE)
		cpuset_add(&r->reached, self);
}

bool reach_over(const struct sched_core *core)
{
	const struct room_look *r = &core->look;

	return r->asked == r->count || r->count == r->most;
}

/* Not inlined: most words have nothing new, and are to take few
 * instructions. */
static __attribute__((noinline)) void reach_add(struct sched_core *core,
						u32 word, u64 w, u32 first)
{
	struct room_place *p = &core->places[core->look.count];

	core->look.reached.w[word] |= w;
	for (; w; w &= w - 1) {
		u32 cpu = word * 64 + (u32)__builtin_ctzll(w);

		*p++ = (struct room_place){
			(u16)cpu, (u16)(first == CPU_NONE ? cpu : first)};
	}
	core->look.count = (u32)(p - core->places);
}

u32 reach(struct sched_core *core, const struct cpuset *may, u32 first)
{
	struct room_look *r = &core->look;

	for (u32 i = 0, n = cpu_words(); i < n; i++) {
		u64 w = ck_pr_load_64(&may->w[i]) & ~r->reached.w[i], idle;

		if (!w)
			continue;
		idle = w & ck_pr_load_64(&idle_masks[IDLE_SLEEPS].w[i]);
		if (idle)
			return i * 64 + (u32)__builtin_ctzll(idle);
		reach_add(core, i, w, first);
	}
	return CPU_NONE;
}

/* The current of another CPU isn't freed before this one has looked at mail
 * again (sched_quiesce). */
u32 reach_more(struct sched_core *core, u32 *first)
{
	struct room_look *r = &core->look;

	for (; r->left && !reach_over(core); r->asked++) {
		const struct room_place *p = &core->places[r->asked];
		const struct vcpu *v =
			ck_pr_load_ptr(&cpu_by_index(p->cpu)->current);
		u32 idle;

		r->left--;
		if (!v)
			continue;
		*first = p->first;
		idle = reach(core, &v->sched.allowed, p->first);
		if (idle != CPU_NONE)
			return idle;
	}
	return CPU_NONE;
}
