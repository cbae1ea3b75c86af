/*
 * The CPUs that share a policy, and how they change it while guests run.
 *
 * The parts of CPUs, units and guests are made as large as the largest that
 * any registered policy wants. So a change allocates nothing, and once begun
 * it can't fail.
 *
 * A change is a meeting by mail in three rounds. LEAVE: a CPU lets its current
 * go and goes on in limbo, where nothing is picked; mail is read, wakes and
 * hand-overs happen and are remembered in the units. CLEAR: it makes its part
 * anew, for the new policy; no sooner, since one that has the old policy still
 * may write to any CPU's part (admit). ENTER: it puts its units into the new
 * policy's hands. The last CPU to come so far sends the next mail; before ENTER
 * it publishes the new policy and makes all guests' parts anew. Nobody waits:
 * each CPU does its part when it drains its mail, and in limbo its tasks go on.
 *
 * No step of it grows with what there is but for guests. Mail goes from CPU to
 * CPU (doorbell_pass_on). Units are not taken out of the old policy's hands one
 * by one: all that it knows of them is in parts that are made anew. Into the
 * new one's they come ENTER_MOST at a time, and between two times the CPU goes
 * on with those that have come (600 instructions for each: 307,000 for 512 at
 * once). `held` says who has; one that is woken, moved or changed before its
 * turn comes then.
 *
 * No unit can be lost: at any time it is in the list of exactly one CPU, or in
 * the mail to one; `queued` says that it is to be queued if it isn't held. A
 * unit that arrives under another epoch than its part's has it made anew.
 *
 * Rejected: stopping all CPUs (waits with interrupts off), changing CPU by
 * CPU (the accounts of guests would be two policies' at once).
 */
#include <string.h>

#include "kernel/mem.h"
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

#define ENTER_MOST 64 /* units in one step */
#define ENTER_US 50 /* from one to the next */

struct sched_pool sched_pool;

static void limbo_queue(struct sched_cpu *sc, struct sched_unit *u,
			enum sched_why why, u64 now)
{
}

static void limbo_dequeue(struct sched_cpu *sc, struct sched_unit *u, u64 now)
{
}

static struct sched_pick limbo_pick(struct sched_cpu *sc, u64 now)
{
	return (struct sched_pick){ NULL, TIME_NEVER };
}

/* Not a policy: what a CPU has between two. Units stay where they are. */
static u32 limbo_place(struct sched_cpu *sc, struct sched_unit *u,
		       enum sched_why why, u64 now)
{
	return sc->cpu->index;
}

static const struct sched_ops limbo = {
	.name = "limbo",
	.enqueue = limbo_queue,
	.dequeue = limbo_dequeue,
	.pick = limbo_pick,
	.place = limbo_place,
};

/* Room for whatever policy there is. */
static void sizes_find(struct sched_pool *p)
{
	const struct sched_ops *const *ops = __start_rouse_sched;

	for (; ops < __stop_rouse_sched; ops++) {
		p->cpu_bytes = MAX(p->cpu_bytes, (*ops)->cpu_bytes);
		p->unit_bytes = MAX(p->unit_bytes, (*ops)->unit_bytes);
		p->guest_bytes = MAX(p->guest_bytes,
				     (*ops)->guest_bytes +
				     (*ops)->guest_cpu_bytes * cpu_count());
	}
}

int sched_init(const char *policy)
{
	const struct sched_ops *ops = policy_find(policy);
	struct sched_pool *p = &sched_pool;

	if (!ops)
		return -ENOENT;
	*p = (struct sched_pool){ .ops = ops, .epoch = 1 };
	ck_spinlock_init(&p->lock);
	ck_spinlock_init(&p->promises);
	sizes_find(p);
	for (u32 i = 0; i < cpu_count(); i++) {
		struct sched_core *core =
			obj_alloc(sizeof(*core) +
				  cpu_count() * sizeof(core->places[0]));

		if (!core)
			return -ENOMEM;
		core_init(core, cpu_by_index(i));
		core->sc.part = obj_alloc(p->cpu_bytes);
		if (!core->sc.part)
			return -ENOMEM;
		core_policy_is(core, ops);
		balance_start(core, time_now_ticks());
		core->epoch = 1;
		if (ops->cpu_init)
			ops->cpu_init(&core->sc, time_now_ticks());
	}
	return 0;
}

static struct mbox_node *mail_of(u32 cpu)
{
	return &core_of(cpu_by_index(cpu))->pool_mail;
}

/* The next round, of all CPUs. */
static void round_begin(u32 bits)
{
	ck_pr_store_32(&sched_pool.left, cpu_count());
	doorbell_post(cpu_by_index(0), mail_of(0), bits);
}

/* This CPU's part of the round is done. Was it the last? Then what all have
 * done comes before what follows. */
static bool round_end(void)
{
	ck_pr_fence_release();
	if (ck_pr_faa_32(&sched_pool.left, -1u) != 1)
		return false;
	ck_pr_fence_acquire();
	return true;
}

int sched_policy_set(const char *name, struct task *waiter)
{
	const struct sched_ops *ops = policy_find(name);
	struct sched_pool *p = &sched_pool;

	if (!ops)
		return -ENOENT;
	/* Who gets the right to change keeps it until all have changed. */
	if (ck_pr_fas_32(&p->changing, 1))
		return -EBUSY;
	ck_pr_fence_acquire();
	if (ops->units_per_cpu && ck_pr_load_32(&p->units_on) >
					  ops->units_per_cpu * cpu_count()) {
		ck_pr_store_32(&p->changing, 0);
		return -ENOSPC;
	}
	p->next = ops;
	p->waiter = waiter;
	round_begin(POOL_LEAVE);
	return 0;
}

bool sched_policy_changing(void)
{
	return ck_pr_load_32(&sched_pool.changing) != 0;
}

/* All CPUs' parts are the new policy's: so are the guests', and it is told. */
static void pool_publish(struct sched_pool *p, u64 now)
{
	ck_spinlock_lock(&p->lock);
	ck_pr_store_ptr(&p->ops, p->next);
	p->name_chars = trace_chars(p->next->name);
	/* Pairs with sched_vcpu_start: a new epoch means the new policy. */
	ck_pr_fence_store();
	ck_pr_store_32(&p->epoch, p->epoch + 1);
	for (struct sched_account *a = p->accounts; a; a = a->next) {
		memset(a->part, 0, p->guest_bytes);
		if (p->next->guest_init)
			p->next->guest_init(a, now);
	}
	ck_spinlock_unlock(&p->lock);
}

static void pool_leave(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	if (u) {
		if (unlikely(unit_vcpu(u)->waits))
			now = current_waits(core, true, now);
		current_drop(core, now);
		unit_runstate(u, RUNSTATE_RUNNABLE, now);
		u->queued = true;
	}
	core_policy_is(core, &limbo);
	core->epoch = 0;
	/* Those that their caps had set aside wait as the others do. */
	core->load += core->parked;
	core->parked = 0;
	load_publish(core);
	sched_publish_vtime(&core->sc, TIME_NEVER, TIME_NEVER);
	sched_publish_level(&core->sc, 0);
	if (round_end())
		round_begin(POOL_CLEAR);
}

static void pool_clear(struct sched_core *core, u64 now)
{
	struct sched_pool *p = &sched_pool;

	memset(core->sc.part, 0, p->cpu_bytes);
	if (p->next->cpu_init)
		p->next->cpu_init(&core->sc, now);
	if (!round_end())
		return;
	pool_publish(p, now);
	round_begin(POOL_ENTER);
}

/* The policy has it now, and it is queued if it may run, or if the old one had
 * no room for it. Another CPU may have it then. */
static void unit_enter(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (unit_is_held(core, u))
		return;
	unit_hold(core, u, now);
	if (!u->queued && (u->paused || !(u->counted || u->refused)))
		return;
	u->queued = false;
	unit_route(core, u, WHY_CHANGED, now);
}

static void pool_entered(struct sched_pool *p)
{
	struct task *waiter = p->waiter;

	if (!round_end())
		return;
	ck_pr_store_32(&p->changing, 0);
	if (waiter)
		task_wake(waiter);
}

/* Some of the units, and then the CPU has its turns for a while. */
static void enter_some(struct sched_core *core, u64 now)
{
	for (u32 i = 0; i < ENTER_MOST && core->entering; i++) {
		struct sched_unit *u = core->entering;

		core->entering = u->next;
		unit_enter(core, u, now);
	}
	if (core->entering)
		timer_set(&core->timers, &core->enter,
			  now + us_to_ticks(ENTER_US));
	else
		pool_entered(&sched_pool);
}

static void enter_fire(struct timer *t, u64 now)
{
	enter_some(container_of(t, struct sched_core, enter), now);
}

void pool_enter_init(struct sched_core *core)
{
	timer_init(&core->enter, enter_fire);
}

static void pool_enter(struct sched_core *core, u64 now)
{
	struct sched_pool *p = &sched_pool;

	core_policy_is(core, p->ops);
	balance_start(core, now);
	core->epoch = p->epoch;
	core->resched = true;
	TRACE(POLICY_IS, TRACE_NOBODY, p->name_chars, 0);
	core->entering = core->units;
	enter_some(core, now);
}

void pool_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct sched_core *core = core_of(c);

	doorbell_pass_on(c->index, mail_of, bits);
	if (bits & POOL_LEAVE)
		pool_leave(core, now);
	if (bits & POOL_CLEAR)
		pool_clear(core, now);
	if (bits & POOL_ENTER)
		pool_enter(core, now);
}

/* ---- Waiting for all CPUs ---- */

static void quiesce_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct sched_quiesce *q = container_of(n, struct sched_quiesce, mail);
	struct task *waiter = q->waiter;
	u32 next = c->index + 1;

	/* What came before it in this mailbox has been looked at; once round
	 * for mail, once more for what was forwarded meanwhile to a CPU that
	 * it had passed. */
	if (next == cpu_count()) {
		next = 0;
		q->round++;
	}
	if (q->round < 2) {
		doorbell_post(cpu_by_index(next), n, 0);
		return;
	}
	ck_pr_fence_release();
	ck_pr_store_32(&q->done, 1);
	/* The waiter may free `q` from here on. */
	if (waiter)
		task_wake(waiter);
}

void sched_quiesce(struct sched_quiesce *q, struct task *waiter)
{
	mbox_node_init(&q->mail, quiesce_look);
	q->waiter = waiter;
	q->round = 0;
	q->done = 0;
	doorbell_post(cpu_by_index(0), &q->mail, 0);
}
