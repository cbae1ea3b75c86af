/*
 * What happens to a vCPU: requests, start and end, sleep and wake.
 *
 * All of it on the owner's CPU. The state word is changed by others in two
 * ways only, both in virq_raise: BLOCKED to WAKING and BLOCKING to RUNNING. So
 * every other state is the owner's, to be changed by plain stores.
 *
 * Requests are wishes, not events: bits that anyone sets, taken all at once,
 * kill first. What can't be done yet (start, while the vCPU is on its way to
 * OFF) is kept in the unit.
 */
#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

/* A wake whose turn, if there is one, is counted for itself. */
static inline void wake_count(struct vcpu *v)
{
	ck_pr_store_64(&v->wakes, v->wakes + 1);
	v->turns--;
}

/* With the lock. */
static void promise_drop(struct sched_core *core, struct sched_unit *u)
{
	if (core->ops->dismiss)
		core->ops->dismiss(u);
	u->admitted = 0;
}

/* From now on it is on, and its owner's alone; but not if its guest is being
 * stopped, which has sent, or will send, KILL: if that was here before us, the
 * guest's state says so. */
static bool unit_claim(struct sched_core *core, struct vcpu *v)
{
	struct sched_unit *u = &v->sched;
	u32 guest = ck_pr_load_32(&v->guest->state);
	bool may = guest == GUEST_STARTING || guest == GUEST_RUNNING;

	/* Whoever else starts it may be about to have it promised a place. */
	ck_spinlock_lock(&sched_pool.promises);
	if (may) {
		u->on = true;
		u->said = false;
		ck_pr_faa_32(&sched_pool.units_on, 1);
		ck_pr_faa_32(&v->guest->vcpus_on, 1);
		ck_pr_store_32(&v->state, VCPU_QUEUED);
	} else {
		promise_drop(core, u);
	}
	ck_spinlock_unlock(&sched_pool.promises);
	return may;
}

static void unit_off(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;

	/* Even one that never was on may have been promised a place. */
	ck_spinlock_lock(&sched_pool.promises);
	promise_drop(core, u);
	ck_spinlock_unlock(&sched_pool.promises);
	if (!u->on)
		return;
	/* A wake that no turn follows has its number all the same: the first of
	 * the next life is another one. */
	if (ck_pr_load_32(&v->state) == VCPU_WAKING)
		wake_count(v);
	if (core->sc.current == u)
		current_drop(core, now);
	unit_dequeue(core, u, now);
	if (core->loaded == v) {
		arch_vcpu_save(v);
		core->loaded = NULL;
	}
	timer_clear(&core->timers, &u->timer);
	unit_uncount(core, u, now);
	unit_unlink(core, u, now);
	u->on = u->paused = u->dead = u->refused = false;
	ck_pr_store_32(&v->state, VCPU_OFF);
	TRACE(VCPU_OFF, u->trace_id, v->guest->id, v->id);
	unit_runstate(u, RUNSTATE_OFFLINE, now);
	ck_pr_faa_32(&sched_pool.units_on, -1u);
	ck_pr_faa_32(&v->guest->vcpus_on, -1u);
}

/* This and the next two: false if the vCPU is another CPU's now. */
static bool unit_on(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;

	u->start = false;
	if (!unit_claim(core, v))
		return true;
	/* What woke it in another life. */
	ck_pr_store_64(&u->wake_due, 0);
	ck_pr_store_64(&u->woken_ticks, 0);
	unit_link(core, u, now);
	/* They may have changed since its registers were made. */
	arch_vcpu_knobs(v);
	TRACE(VCPU_ON, u->trace_id, v->guest->id, v->id);
	/* Its FOLLOW may have been here while it was OFF; guest_pause stores
	 * `paused` before it posts. */
	if (guest_is_paused(v->guest)) {
		u->paused = true;
		TRACE(VCPU_PAUSE, u->trace_id, v->guest->id, v->id);
		return true;
	}
	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	if (!unit_route(core, u, WHY_NEW, now))
		return false;
	if (!core->own)
		unit_owe(core, u, now);
	return true;
}

static void unit_pause(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;

	if (!u->on || u->paused)
		return;
	if (core->sc.current == u)
		current_drop(core, now);
	if (core->loaded == v) {
		/* Whoever looks at its registers finds them in memory. */
		arch_vcpu_save(v);
		core->loaded = NULL;
	}
	unit_dequeue(core, u, now);
	unit_uncount(core, u, now);
	u->paused = true;
	TRACE(VCPU_PAUSE, u->trace_id, v->guest->id, v->id);
	unit_runstate(u, RUNSTATE_OFFLINE, now);
}

static bool unit_resume(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;
	u32 state = ck_pr_load_32(&v->state);

	if (!u->on || !u->paused || u->dead)
		return true;
	u->paused = false;
	TRACE(VCPU_RESUME, u->trace_id, v->guest->id, v->id);
	if (state == VCPU_QUEUED) {
		unit_runstate(u, RUNSTATE_RUNNABLE, now);
		return unit_route(core, u, WHY_NEW, now);
	}
	/* Blocked: whatever was raised meanwhile has made it WAKING, and the
	 * mail is here or on its way. */
	unit_runstate(u, RUNSTATE_BLOCKED, now);
	return true;
}

/* What the guest's word says now, and not what it said when the request was
 * posted: that may have been in another life of the guest. */
static bool unit_follow(struct sched_core *core, struct vcpu *v, u64 now)
{
	if (!guest_is_paused(v->guest))
		return unit_resume(core, v, now);
	unit_pause(core, v, now);
	return true;
}

/* Its affinity or its knobs changed: queue it anew. */
static __attribute__((noinline)) bool
unit_requeue(struct sched_core *core, struct vcpu *v, bool knobs, u64 now)
{
	struct sched_unit *u = &v->sched;
	u32 state = ck_pr_load_32(&v->state);
	bool may = unit_may_run(u, core->sc.cpu->index), was_current = false;

	if (!u->on)
		return true;
	if (knobs)
		arch_vcpu_knobs(v);
	bar_lift(core, u);
	/* The current need not move if it may stay, but its slice may have
	 * become shorter, or its level lower. */
	if (core->sc.current == u) {
		was_current = true;
		if (unlikely(v->waits))
			now = current_waits(core, true, now);
		current_drop(core, now);
	}
	unit_dequeue(core, u, now);
	if (knobs && core->ops->params && unit_is_held(core, u))
		core->ops->params(&core->sc, u, now);
	if (state == VCPU_RUNNING || state == VCPU_QUEUED) {
		if (was_current)
			unit_runstate(u, RUNSTATE_RUNNABLE, now);
		return unit_route(core, u, may ? WHY_CHANGED : WHY_MOVED, now);
	}
	/* A blocked one goes where it may run when it is woken: only then is
	 * it known which CPU has room. */
	return true;
}

/* Does what is asked. False: the vCPU is another CPU's now. */
static bool requests_do(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;
	u32 req = ck_pr_fas_32(&v->requests, 0);

	bool ours = true;

	/* What the requester wrote before is read after. */
	ck_pr_fence_acquire();
	if (req & VCPU_REQ_KILL) {
		u->start = false;
		unit_off(core, v, now);
		/* All of its end before that it is over. Pairs with the
		 * acquire of sched_guest_killed. */
		ck_pr_fence_release();
		if (req & REQ_COUNTED)
			ck_pr_faa_32(&u->account->kills_due, -1u);
		guest_vcpu_off(v->guest);
		return true;
	}
	if (req & VCPU_REQ_START) {
		if (u->on)
			u->start = true;
		else
			ours = unit_on(core, v, now);
		req &= ~VCPU_REQ_START;
	}
	if (ours && (req & VCPU_REQ_PAUSE)) {
		unit_pause(core, v, now);
		req &= ~VCPU_REQ_PAUSE;
	}
	if (ours && (req & VCPU_REQ_RESUME)) {
		if (!guest_is_paused(v->guest))
			ours = unit_resume(core, v, now);
		req &= ~VCPU_REQ_RESUME;
	}
	if (ours && (req & VCPU_REQ_FOLLOW)) {
		ours = unit_follow(core, v, now);
		req &= ~VCPU_REQ_FOLLOW;
	}
	if (ours && (req & (VCPU_REQ_MOVE | VCPU_REQ_PARAMS)))
		return unit_requeue(core, v, req & VCPU_REQ_PARAMS, now);
	/* Handed over in between: the rest is for the new owner. */
	if (!ours && req)
		sched_vcpu_request(v, req);
	return ours;
}

void unit_wake(struct sched_core *core, struct vcpu *v, u64 now)
{
	struct sched_unit *u = &v->sched;

	if (timer_is_set(&u->timer))
		timer_clear(&core->timers, &u->timer);
	ck_pr_store_32(&v->state, VCPU_QUEUED);
	wake_count(v);
	if (unlikely(v->guest->cfg.wfi == WFI_POLL))
		poll_learn(u, now);
	if (unlikely(u->paused))
		return;
	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	unit_route_woken(core, u, now);
}

/* Everything but a plain wake. */
static __attribute__((noinline)) void
look_closely(struct cpu *c, struct vcpu *v, u32 bits, u64 now)
{
	struct sched_core *core = core_of(c);
	struct cpu *owner = vcpu_cpu(v);

	if (unlikely(owner != c)) {
		c->stats.forwards++;
		doorbell_post(owner, &v->mail, bits);
		return;
	}
	/* Pairs with unit_handover's release: who names us as the owner has
	 * finished with the unit. */
	ck_pr_fence_load();
	if (bits & VMAIL_ARRIVE) {
		/* Gone on: it looks at everything where it goes. */
		if (!unit_arrive(core, v, now))
			return;
	} else if (v->sched.home != &core->sc) {
		return; /* on its way to us: looked at when it arrives */
	}
	if (unlikely(ck_pr_load_32(&v->requests)) && !requests_do(core, v, now))
		return;
	if (ck_pr_load_32(&v->state) == VCPU_WAKING)
		unit_wake(core, v, now);
}

void vcpu_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct vcpu *v = container_of(n, struct vcpu, mail);

	/* A plain wake of our own: WAKING is left by its owner alone, so with
	 * `home` ours nobody else acts on it. */
	if (likely(!bits && vcpu_cpu(v) == c &&
		   ck_pr_load_32(&v->state) == VCPU_WAKING)) {
		/* Pairs with unit_handover's release, as in look_closely. */
		ck_pr_fence_load();
		if (likely(v->sched.home == c->sched &&
			   !ck_pr_load_32(&v->requests))) {
			unit_wake(core_of(c), v, now);
			return;
		}
	}
	look_closely(c, v, bits, now);
}

void vcpu_timer_fire(struct timer *t, u64 now)
{
	struct sched_unit *u = container_of(t, struct sched_unit, timer);
	struct vcpu *v = unit_vcpu(u);

	arch_vcpu_timer_fired(v);
	/* The same way in as any waker's; if one of them has won, its mail is
	 * on its way. */
	TRACE(TIMER_FIRE, u->trace_id, t->node.key, 0);
	if (ck_pr_cas_32(&v->state, VCPU_BLOCKED, VCPU_WAKING)) {
		trace_wake(v, MAX(t->node.key, u->blocked_at_ticks));
		unit_wake(home_of(u), v, now);
	}
}

void current_block(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;
	struct vcpu *v = unit_vcpu(u);
	u64 deadline;
	bool pends;

	/* Nobody else changes RUNNING, so a store does for the first step. */
	ck_pr_store_32(&v->state, VCPU_BLOCKING);
	/* Pairs with virq_raise's fence between virq and state. */
	ck_pr_fence_memory();
	deadline = arch_vcpu_deadline_ticks(v);
	pends = arch_vcpu_pending(v);
	if (pends || deadline <= now || ck_pr_load_32(&v->requests)) {
		TRACE(STAY, u->trace_id, pends, deadline);
		/* Fails if a waker was faster: RUNNING all the same. */
		(void)ck_pr_cas_32(&v->state, VCPU_BLOCKING, VCPU_RUNNING);
		charge_current(core, now);
		return;
	}
	arch_vcpu_save(v);
	core->loaded = NULL;
	u->blocked_at_ticks = now;
	timer_set(&core->timers, &u->timer, deadline);
	/* Before anyone may record that it was woken. */
	TRACE(BLOCK, u->trace_id, deadline, 0);
	/* All of the vCPU is in memory before anyone may wake it. */
	ck_pr_fence_release();
	if (!ck_pr_cas_32(&v->state, VCPU_BLOCKING, VCPU_BLOCKED)) {
		/* Woken on the way: it never left. */
		TRACE(STAY, u->trace_id, 1, deadline);
		timer_clear(&core->timers, &u->timer);
		arch_vcpu_load(v);
		core->loaded = v;
		charge_current(core, now);
		return;
	}
	core->resched = true;
	core->last = v;
	/* Its way to sleep is its own time. */
	now = arch_ticks();
	charge_current(core, now);
	core->sc.current = NULL;
	ck_pr_store_ptr(&core->sc.cpu->current, NULL);
	if (core->ops->leave)
		core->ops->leave(&core->sc, u, now);
	unit_uncount(core, u, now);
	unit_runstate(u, RUNSTATE_BLOCKED, now);
	unit_owe_rest(core, u, now);
}

void current_dead(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;

	current_drop(core, now);
	unit_uncount(core, u, now);
	u->paused = u->dead = true;
	TRACE(VCPU_PAUSE, u->trace_id, unit_vcpu(u)->guest->id,
	      unit_vcpu(u)->id);
	unit_runstate(u, RUNSTATE_OFFLINE, now);
}

void current_off(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;
	struct vcpu *v = unit_vcpu(u);

	arch_vcpu_save(v);
	core->loaded = NULL;
	now = arch_ticks();
	charge_current(core, now);
	unit_off(core, v, now);
	guest_vcpu_off(v->guest);
	unit_owe_rest(core, u, now);
	/* It was started again before it was quite off. */
	if (u->start)
		unit_on(core, v, now);
}
