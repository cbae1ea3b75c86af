/*
 * Which queue: a unit that may run goes into its own CPU's queue or is handed
 * over to another.
 *
 * A hand-over is an ordinary posting of the vCPU's own mail node with one bit
 * more. The order is what makes it safe: its state is saved, the policy has let
 * go of it and `home` is NULL, all before v->cpu names the new owner; from that
 * store on the old owner touches nothing but the mail node. The new owner does
 * nothing with the vCPU before it has taken the ARRIVE bit, and then looks at
 * everything that was asked meanwhile. Mail that goes to an old owner is sent
 * on to v->cpu.
 *
 * Work conservation: whoever makes a second unit runnable on a CPU raises the
 * published load, fences, and reads the idle mask; who becomes idle sets its
 * bit, fences, and reads the loads (idle.c). Where the idle may not run who
 * waits, others have to move (room.c).
 *
 * Rejected: taking units from another CPU's queue (needs a lock on each queue,
 * on the path of every wake-up).
 */
#include "kernel/log.h"
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

#include <string.h>

/* Its part, zeroed and made by unit_init, if it is another policy's. */
static void unit_part(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (u->epoch == core->epoch)
		return;
	u->epoch = core->epoch;
	memset(u->part, 0, core->ops->unit_bytes);
	if (core->ops->unit_init)
		core->ops->unit_init(&core->sc, u, now);
}

__attribute__((noinline)) void unit_hold(struct sched_core *core,
					 struct sched_unit *u, u64 now)
{
	/* In limbo there is none. What another CPU's has admitted already is
	 * asked for again: the short ways take it for held. */
	if (!core->epoch) {
		u->admitted = 0;
		return;
	}
	unit_part(core, u, now);
	if (core->ops->unit_add)
		core->ops->unit_add(&core->sc, u, now);
	ck_pr_store_32(&u->held, core->epoch);
}

/* Not inlined: most are admitted. */
static __attribute__((noinline)) bool
admit_anew(struct sched_core *core, struct sched_unit *u, u64 now)
{
	struct vcpu *v = unit_vcpu(u);

	/* The policy is new, and has not come to it yet. */
	if (u->held != core->epoch)
		unit_hold(core, u, now);
	u->refused = core->ops->admit && !core->ops->admit(u);
	u->admitted = u->refused ? 0 : core->epoch;
	if (u->refused)
		log_error("%s: vcpu %u: no CPU left for it under policy %s",
			  v->guest->cfg.name, v->id, core->ops->name);
	return !u->refused;
}

bool unit_admit(struct sched_core *core, struct sched_unit *u, u64 now)
{
	return (u->admitted == core->epoch && !u->refused) ||
	       admit_anew(core, u, now);
}

void unit_link(struct sched_core *core, struct sched_unit *u, u64 now)
{
	u->home = &core->sc;
	u->prev = NULL;
	u->next = core->units;
	if (u->next)
		u->next->prev = u;
	core->units = u;
	bar_lift(core, u);
	unit_hold(core, u, now);
	arch_vcpu_trace(unit_vcpu(u), (u32)trace_which(TRACE_ALL));
}

void unit_unlink(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (core->last == unit_vcpu(u))
		core->last = NULL;
	if (core->owes == u)
		core->owes = NULL;
	if (core->entering == u)
		core->entering = u->next;
	if (core->tracing == u)
		core->tracing = u->next;
	if (core->looking == u)
		core->looking = u->next;
	if (unit_is_held(core, u) && core->ops->unit_remove)
		core->ops->unit_remove(&core->sc, u, now);
	ck_pr_store_32(&u->held, 0);
	if (u->prev)
		u->prev->next = u->next;
	else
		core->units = u->next;
	if (u->next)
		u->next->prev = u->prev;
	u->next = u->prev = NULL;
}

void unit_dequeue(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (!u->queued)
		return;
	u->queued = false;
	if (likely(unit_is_held(core, u)))
		core->ops->dequeue(&core->sc, u, now);
}

/* It is nobody's from now on. */
static void unit_let_go(struct sched_core *core, struct sched_unit *u, u64 now)
{
	struct vcpu *v = unit_vcpu(u);

	unit_dequeue(core, u, now);
	if (core->loaded == v) {
		arch_vcpu_save(v);
		core->loaded = NULL;
	}
	timer_clear(&core->timers, &u->timer);
	unit_unlink(core, u, now);
	if (u->counted) {
		/* Still counted at its account: it could run all the time. */
		core->load--;
		load_publish(core);
	}
	u->home = NULL;
}

/* And that CPU's. */
static void unit_send(struct sched_core *core, struct sched_unit *u, u32 to)
{
	struct vcpu *v = unit_vcpu(u);

	v->migrations++;
	core->sc.cpu->stats.handovers++;
	TRACE(HANDOVER, u->trace_id, to, ck_pr_load_32(&v->state));
	/* Everything of ours comes before the new owner. Pairs with the load
	 * fence after v->cpu is read in vcpu_look. */
	ck_pr_fence_release();
	ck_pr_store_ptr(&v->cpu, cpu_by_index(to));
	doorbell_post(v->cpu, &v->mail, VMAIL_ARRIVE);
}

void unit_handover(struct sched_core *core, struct sched_unit *u, u32 to,
		   u64 now)
{
	unit_let_go(core, u, now);
	unit_send(core, u, to);
}

/* The same of one that starts or was woken: what that took here is its time, as
 * if it stayed. Its guest's account is there until this CPU looks at mail
 * again. */
static void handover_new(struct sched_core *core, struct sched_unit *u, u32 to,
			 u64 now)
{
	struct sched_account *a = u->account;

	unit_let_go(core, u, now);
	if (!core->own)
		unit_owe(core, u, now);
	unit_send(core, u, to);
	if (!core->own)
		account_owe_sent(core, a, now);
}

/* Someone may be idle. If nobody who may run `u`, whoever will wait for it here
 * looks for a way. */
static __attribute__((noinline)) u32 sleeper_for(struct sched_core *core,
						 struct sched_unit *u, u64 now)
{
	u32 self = core->sc.cpu->index, cpu = CPU_NONE;

	if (idle_any(IDLE_SLEEPS, &u->allowed))
		cpu = idle_claim_any(IDLE_SLEEPS, &u->allowed, self);
	if (cpu == CPU_NONE && core->load > 1)
		room_want(core, now);
	return cpu;
}

/* Something waits here, or runs: is anyone idle who may run `u`? */
static u32 idle_cpu_for(struct sched_core *core, struct sched_unit *u,
			enum sched_why why, u64 now)
{
	u32 self = core->sc.cpu->index, cpu = CPU_NONE;

	if (unlikely(idle_bit_others(&core->idle_bit)))
		cpu = sleeper_for(core, u, now);
	/* CPUs whose native guest may be waiting: for what is new only, or two
	 * such guests that never wait would push a third to and fro. */
	if (cpu == CPU_NONE && (why == WHY_WOKEN || why == WHY_NEW) &&
	    unlikely(idle_any(IDLE_NATIVE, &u->allowed)))
		cpu = idle_claim_any(IDLE_NATIVE, &u->allowed, self);
	if (cpu != CPU_NONE && cpu != self)
		core->sc.cpu->stats.claims++;
	return cpu;
}

/* Any CPU in `allowed`, the one with the least load. What was sent there to
 * start counts: of many that start at once it has published none yet. */
static u32 least_loaded(const struct sched_unit *u)
{
	u32 best = CPU_NONE, best_load = UINT32_MAX;

	for (u32 i = 0; i < cpu_count(); i++) {
		const struct cpu *c = cpu_by_index(i);
		u32 load = ck_pr_load_32(&c->load) + ck_pr_load_32(&c->coming);

		if (load < best_load && unit_may_run(u, i)) {
			best = i;
			best_load = load;
		}
	}
	return best;
}

/* The policy wants a unit to wait here: then the idle are looked for by what it
 * gives. The fence is that of choose. */
static __attribute__((noinline)) void
wait_where_placed(struct sched_core *core, u64 now)
{
	ck_pr_fence_memory();
	if (unlikely(idle_bit_others(&core->idle_bit)))
		room_want(core, now);
	if (unlikely(idle_bit_others(&core->rest_bit)))
		rest_end(core);
}

/* The CPU whose queue `u` should be in; it is counted here. */
static u32 choose(struct sched_core *core, struct sched_unit *u,
		  enum sched_why why, u64 now)
{
	u32 self = core->sc.cpu->index, cpu;
	bool here = unit_may_run(u, self);

	if (unlikely(core->native) && core->load > 1)
		native_stop(core);
	if (core->ops->place) {
		cpu = core->ops->place(&core->sc, u, why, now);
		if (cpu == self && core->load > 1)
			wait_where_placed(core, now);
		if (cpu != PLACE_ANY)
			return cpu;
	}
	if (why == WHY_YIELD || (here && core->load <= 1))
		return here ? self : least_loaded(u);
	/* Pairs with idle_enter's fence: our load is published before the mask
	 * is read. Without it an idle CPU may see no load while we see no idle
	 * CPU. Not needed for what was queued before: its load is long out. */
	ck_pr_fence_memory();
	cpu = idle_cpu_for(core, u, why, now);
	if (cpu != CPU_NONE)
		return cpu;
	cpu = here && (why != WHY_NEW || core->load <= 1) ? self
							  : least_loaded(u);
	if (cpu != self)
		return cpu;
	/* It waits here, as the first that does. (One that is about to give way
	 * would be overlooked: neither current, nor in the queue.) */
	if (unlikely(core->rest_since) && core->load == 2 && core->sc.current)
		rest_over(core, now);
	/* Whoever rests sees the load, or we its bit. */
	if (unlikely(idle_bit_others(&core->rest_bit)))
		rest_end(core);
	return self;
}

/* Shall the current give way to a unit that has just been queued? */
static void check_preempt(struct sched_core *core, struct sched_unit *u,
			  u64 now)
{
	u64 at = TIME_NEVER;

	if (!core->sc.current)
		core->resched = true;
	if (core->resched)
		return;
	if (core->polling) {
		at = now; /* it waits and only pretends to run */
	} else if (core->ops->preempt_at) {
		at = core->ops->preempt_at(&core->sc, u, now);
	}
	if (at <= now) {
		core->resched = true;
		core->why = WHY_PREEMPTED;
	} else if (at < core->sc.deadline_ticks) {
		core->sc.deadline_ticks = at;
	}
}

static void enqueue_here(struct sched_core *core, struct sched_unit *u,
			 enum sched_why why, u64 now)
{
	/* At once, so that a second unit doesn't find this CPU idle. */
	idle_stop(core);
	u->queued = true;
	trace_enqueue(core, u, why);
	core->ops->enqueue(&core->sc, u, why, now);
	check_preempt(core, u, now);
}

bool unit_route(struct sched_core *core, struct sched_unit *u,
		enum sched_why why, u64 now)
{
	u32 self = core->sc.cpu->index, to;

	if (u->paused || !unit_admit(core, u, now)) {
		unit_uncount(core, u, now);
		return true;
	}
	unit_count(core, u, now);
	to = choose(core, u, why, now);
	if (unlikely(to == CPU_NONE)) {
		u->refused = true;
		u->admitted = 0;
		unit_uncount(core, u, now);
		log_error("%s: vcpu %u: no CPU left for it",
			  unit_vcpu(u)->guest->cfg.name, unit_vcpu(u)->id);
		return true;
	}
	if (to != self) {
		u->fresh = why == WHY_NEW || why == WHY_ARRIVED;
		if (u->fresh)
			ck_pr_inc_32(&cpu_by_index(to)->coming);
		if (u->fresh || why == WHY_WOKEN)
			handover_new(core, u, to, now);
		else
			unit_handover(core, u, to, now);
		return false;
	}
	enqueue_here(core, u, why, now);
	return true;
}

/* It is woken where others run or wait: what that took is not theirs. */
static __attribute__((noinline)) bool
route_beside(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (!unit_route(core, u, WHY_WOKEN, now))
		return false;
	unit_owe(core, u, now);
	return true;
}

/* The way of most wakes, kept short: an empty CPU that had it before. */
bool unit_route_woken(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (unlikely(core->load || core->sc.current || u->paused ||
		     u->refused || u->admitted != core->epoch ||
		     !unit_may_run(u, core->sc.cpu->index)))
		return core->own ? unit_route(core, u, WHY_WOKEN, now)
				 : route_beside(core, u, now);
	unit_count(core, u, now);
	idle_stop(core);
	u->queued = true;
	core->resched = true;
	trace_enqueue(core, u, WHY_WOKEN);
	core->ops->enqueue(&core->sc, u, WHY_WOKEN, now);
	return true;
}

/* The way of most who give way, kept short: they stay. */
bool unit_route_yielded(struct sched_core *core, struct sched_unit *u, u64 now)
{
	if (unlikely(core->ops->place || core->native || u->paused ||
		     u->refused || u->admitted != core->epoch || !u->counted ||
		     !unit_may_run(u, core->sc.cpu->index)))
		return unit_route(core, u, WHY_YIELD, now);
	idle_stop(core);
	u->queued = true;
	core->ops->enqueue(&core->sc, u, WHY_YIELD, now);
	return true;
}

struct sched_unit *current_drop(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	/* Its last turn was charged when it ended; polling goes on since. */
	if (core->polling)
		charge_current(core, now);
	core->polling = false;
	core->sc.current = NULL;
	ck_pr_store_ptr(&core->sc.cpu->current, NULL);
	if (core->ops->leave)
		core->ops->leave(&core->sc, u, now);
	core->resched = true;
	/* Nobody but us changes a state of RUNNING, and while this CPU is in
	 * the hypervisor both RUNNING and QUEUED mean "don't ring". */
	ck_pr_store_32(&unit_vcpu(u)->state, VCPU_QUEUED);
	return u;
}

bool unit_arrive(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;
	u32 state = ck_pr_load_32(&v->state);
	enum sched_why why = u->fresh ? WHY_ARRIVED : WHY_MOVED;

	if (u->counted) {
		core->load++;
		load_publish(core);
	}
	if (u->fresh)
		ck_pr_dec_32(&core->sc.cpu->coming);
	u->fresh = false;
	if (!u->on) {
		u->home = &core->sc;
		return true;
	}
	unit_link(core, u, now);
	TRACE(MIGRATE, u->trace_id, state, 0);
	if (state == VCPU_QUEUED) {
		/* Things may have changed while it was on its way: this CPU
		 * found work of its own, another one became idle. */
		if (!unit_route(core, u, why, now))
			return false;
		if (why == WHY_ARRIVED && !core->own)
			unit_owe(core, u, now);
		return true;
	}
	if (state == VCPU_BLOCKED)
		timer_set(&core->timers, &u->timer,
			  arch_vcpu_deadline_ticks(v));
	return true;
}
