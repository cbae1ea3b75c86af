/*
 * Time: runstates of a vCPU, what a guest has used, what a CPU publishes.
 *
 * A policy that shares by guest must know how many vCPUs of the guest compete
 * at each moment, since they share one weight; and a guest must not gain by
 * changing that number between two looks. So what is kept is not the number
 * but its integral over time. With n vCPUs that could run, and each entering at
 * t_i and leaving at s_i, the integral up to t is
 *
 *     I(t) = n * t  -  sum of t_i  +  sum of s_i  =  n * t + A
 *
 * so n and A are all there is, and they change together: one word, n in the
 * upper 12 bits and A modulo 2^52 below, changed by compare-and-swap. A unit
 * that ran from t0 to t1 is charged I(t1) - I(t0), exactly, however often n
 * changed meanwhile on whichever CPU.
 *
 * A vCPU's runstate, the moment since when, and the sums are one thing that
 * others may read: the moment, which never comes twice and is 0 while the rest
 * changes, lets a reader find out that it read a mixture and try again.
 *
 * What a CPU does for a vCPU while another has it is the time of the one that
 * it does it for: else who has many that sleep and wake has part of its
 * neighbours' turns for nothing. A round of the loop is measured from one such
 * vCPU to the next: from the moment up to which the current has been charged to
 * the moment when the first is queued, from there to the second, and so on; so
 * nothing is lost, and nothing counted twice. The woken one owes it
 * (`owed_ticks`), and is charged with its next turn. The same holds for what is
 * left to do when one has fallen asleep and others wait. Where nobody else has
 * the CPU or waits for it, nothing is measured.
 *
 * One that starts, or is woken, and goes to another CPU owes what that took on
 * both. What is left when it is gone, which is to tell the other CPU, maybe by
 * the firmware, waits in its guest's account (`sent_ticks`) for the next that
 * owes anything.
 *
 * Rejected: sampling n at the ends of a turn (a guest that wakes a second vCPU
 * only in between pays for less than it has), a lock in the account (each wake
 * on each CPU would take it), a fixed price of a wake-up (it differs by policy
 * and by how many wait), charging it at once (the policy is about to say what a
 * woken one may claim, whatever it has used).
 */
#include "kernel/sched/account.h"

#include "kernel/sched/private.h"

void unit_uncount(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (!u->counted)
		return;
	u->counted = false;
	core->load--;
	load_publish(core);
	active_change(u->account, false, now);
}

/* What this round has done that isn't owed yet, nor the current's; from now on
 * it is. For the CPU it is guests' time at once. */
static u64 round_take(struct sched_core *core, const struct sched_unit *u,
		      u64 now)
{
	const struct sched_unit *current = core->sc.current;
	u64 from = core->owed_at, until = arch_ticks();
	s64 ticks;

	/* Its turn may have been ended for this. */
	if (current)
		now = current->charged_ticks;
	if ((s64)(now - from) > 0)
		from = now;
	ticks = (s64)(until - from);
	/* Whoever polls is charged for all that comes meanwhile. */
	if (ticks <= 0 || core->polling)
		return 0;
	core->owed_at = until;
	core->sc.cpu->stats.guest_ticks += (u64)ticks;
	if (current && current != u && core->ops->prolong)
		core->ops->prolong(&core->sc, (u64)ticks);
	return (u64)ticks;
}

/*
 * It pays when a turn of its own ends, and can't sleep before that, so it never
 * owes more than a wake-up or two, and the ways into a turn ask nothing.
 */
void unit_owe(struct sched_core *core, struct sched_unit *u, u64 now)
{
	u64 ticks = round_take(core, u, now);

	if (!ticks)
		return;
	core->owes = u;
	if (unlikely(ck_pr_load_64(&u->account->sent_ticks)))
		ticks += ck_pr_fas_64(&u->account->sent_ticks, 0);
	u->owed_ticks += ticks;
}

/* A unit can't owe what comes when it is another CPU's. */
void account_owe_sent(struct sched_core *core, struct sched_account *a, u64 now)
{
	u64 ticks = round_take(core, NULL, now);

	core->owes = NULL;
	if (ticks)
		ck_pr_add_64(&a->sent_ticks, ticks);
}

void unit_pay(struct sched_core *core, struct sched_unit *u)
{
	u64 ticks = u->owed_ticks;
	u32 n = account_runnable(u->account);

	u->owed_ticks = 0;
	ck_pr_store_64(&u->charged_ticks, u->charged_ticks - ticks);
	ck_pr_store_64(&u->charged_active,
		       u->charged_active - ticks * MAX(n, 1u));
	/* The CPU has counted them, and is about to count from that moment. */
	if (!core->sc.cpu->turn_since)
		core->sc.cpu->stats.guest_ticks -= ticks;
}

void sched_units_park(struct sched_cpu *sc, u32 n)
{
	struct sched_core *core = (struct sched_core *)sc;

	core->parked += n;
	core->load -= n;
	load_publish(core);
}

void sched_units_unpark_some(struct sched_cpu *sc, u32 n)
{
	struct sched_core *core = (struct sched_core *)sc;

	core->parked -= n;
	core->load += n;
	load_publish(core);
	core->spread = true;
}

void account_knobs(struct sched_account *a, const struct sched_params *p)
{
	/* Each by itself: a reader may see some old and some new, and is told
	 * to look again by VCPU_REQ_PARAMS. */
	ck_pr_store_64(&a->weight, MAX(p->weight, 1u));
	ck_pr_store_32(&a->cap, p->cap);
	ck_pr_store_32(&a->priority, p->priority);
	ck_pr_store_32(&a->slice_us, p->slice_us);
	ck_pr_store_64(&a->slice_ticks, us_to_ticks(p->slice_us));
	ck_pr_store_64(&a->slice_vtime,
		       us_to_ticks(p->slice_us) * (256 * VTIME_PER_TICK) /
			       MAX(p->weight, 1u));
}

void sched_vcpu_info(const struct vcpu *v, struct sched_vcpu_info *out,
		     u64 now)
{
	const struct sched_unit *u = &v->sched;
	u64 since;

	do {
		since = ck_pr_load_64(&u->since_ticks);
		/* Pairs with unit_runstate's store fences. */
		ck_pr_fence_load();
		for (u32 i = 0; i < RUNSTATE_COUNT; i++)
			out->ticks[i] = ck_pr_load_64(&u->ticks[i]);
		out->runstate = ck_pr_load_32(&u->runstate);
		ck_pr_fence_load();
	} while (since == SINCE_CHANGES ||
		 since != ck_pr_load_64(&u->since_ticks));
	if ((s64)(now - since) > 0)
		out->ticks[out->runstate] += now - since;
	out->cpu = vcpu_cpu(v)->index;
	out->state = ck_pr_load_32(&v->state);
	out->paused = u->paused;
	out->refused = u->refused;
	out->wakes = ck_pr_load_64(&v->wakes);
	out->exits = 0;
	for (u32 i = 0; i < VCPU_EXITS; i++) {
		out->exits_by[i] = ck_pr_load_64(&v->exits[i]);
		out->exits += out->exits_by[i];
	}
	for (u32 i = 0; i < WAIT_BUCKETS; i++)
		out->waits[i] = ck_pr_load_64(&u->waits[i]);
	out->dispatches = out->wakes + ck_pr_load_64(&v->turns);
	out->migrations = ck_pr_load_64(&v->migrations);
	out->preemptions = ck_pr_load_64(&u->preemptions);
	for (u32 i = 0; i < CPU_MAX / 64; i++)
		out->allowed.w[i] = ck_pr_load_64(&u->allowed.w[i]);
}

/*
 * What is read may be of different turns, and then it is no more than the time
 * of the turns in this row, for each of the guest's vCPUs. The vCPU isn't freed
 * before this CPU has looked at mail again (sched_quiesce).
 */
struct sched_turn sched_turn_of(u32 cpu, u64 now)
{
	const struct cpu *c = cpu_by_index(cpu);
	u64 since = ck_pr_load_64(&c->turn_since), charged;
	const struct vcpu *v = ck_pr_load_ptr(&c->current);
	s64 ticks, active;

	if (!since || !v)
		return (struct sched_turn){0};
	/* Others may have given way since; and what it was charged last may be
	 * from before it slept. */
	charged = ck_pr_load_64(&v->sched.charged_ticks);
	ticks = (s64)(now - MAX(charged, since));
	if (ticks <= 0)
		return (struct sched_turn){0};
	active = (s64)((active_integral(v->sched.account, now) -
			ck_pr_load_64(&v->sched.charged_active))
		       << UNUSED_BITS) >>
		 UNUSED_BITS;
	active = MIN(MAX(active, ticks), ticks * v->guest->cfg.vcpus);
	return (struct sched_turn){v->sched.account, (u64)active};
}

/* Time of turns that are on and not charged yet. */
static u64 turns_ticks(const struct guest *g)
{
	u64 sum = 0, now = time_now_ticks();

	for (u32 i = 0; i < g->cfg.vcpus; i++) {
		const struct vcpu *v = g->vcpu[i];
		const struct cpu *c = vcpu_cpu(v);
		s64 on = (s64)(now - ck_pr_load_64(&v->sched.charged_ticks));

		if (ck_pr_load_32(&v->state) == VCPU_RUNNING && on > 0 &&
		    ck_pr_load_32(&c->mode) == CPU_GUEST)
			sum += (u64)on;
	}
	return sum;
}

/* A vCPU that is alone may run for minutes without an exit, so what is charged
 * is not all: read again if a charge came in between, to count nothing
 * twice. */
static u64 guest_ticks(const struct guest *g)
{
	const u64 *charged = &g->account->guest_ticks;
	u64 before, on;
	u32 tries = 16;

	do {
		before = ck_pr_load_64(charged);
		ck_pr_fence_load();
		on = turns_ticks(g);
		ck_pr_fence_load();
	} while (before != ck_pr_load_64(charged) && --tries);
	return before + on;
}

void sched_guest_info(const struct guest *g, struct sched_guest_info *out)
{
	const struct sched_account *a = g->account;

	out->params.weight = (u32)ck_pr_load_64(&a->weight);
	out->params.cap = ck_pr_load_32(&a->cap);
	out->params.priority = ck_pr_load_32(&a->priority);
	out->params.slice_us = ck_pr_load_32(&a->slice_us);
	out->guest_ticks = guest_ticks(g);
	out->task_ticks = ck_pr_load_64(&a->task_ticks);
	out->runnable = account_runnable(a);
}
