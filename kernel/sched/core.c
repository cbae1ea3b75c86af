/*
 * The CPU's loop.
 *
 * One round: answer the doorbell, read the mail, run the timers that are due,
 * maybe one step of a task, decide whose turn it is, give it its turn, and do
 * what the end of the turn asks for. Interrupts are off all the time; they end
 * turns and waits, and what they are about is found out at the top of the
 * round (but for the CPU's own timer when it has come too soon). So there is
 * one place where everything is looked at, and nothing can happen in between.
 *
 * The vCPU whose turn it is (`current`) keeps the CPU over many rounds: a
 * round that changes nothing calls the policy not at all. `resched` says that
 * the policy is to be asked: the turn's deadline has passed, a better one was
 * queued, or the current has left.
 *
 * A turn is charged from its begin to its end, with the exits it caused, and
 * with what its end asks for: a guest that does nothing but go to sleep would
 * have a third of the CPU for nothing else. So would one that ends its turns
 * all the time and keeps the CPU; what lies between two turns of one vCPU is
 * its own as well, and so is mail for vCPUs of its guest's. Whoever else is
 * woken in between, or has a device's timer due, owes what that took
 * (account.c): it is neither the current's time nor nobody's. Only mail and
 * timers that are for no vCPU, or wake none, are the host's time.
 * Every tick of a CPU is its guests', its tasks', idle, or the host's: the
 * first three are measured and never overlap, and what is left is the host's
 * (sched_cpu_stats).
 */
#include "kernel/sched/core.h"

#include "kernel/sched/private.h"
#include "kernel/sched/resume.h"
#include "kernel/sched/trace.h"

#define PAYERS_MOST 64 /* units that are looked at for who is to pay */
/* Timers in one round: very many that are due at once are some 800
 * instructions each. Then mail is read before the next ones, and nobody has a
 * turn, which the next ones would end at once. */
#define TIMERS_MOST 64

void core_init(struct sched_core *core, struct cpu *c)
{
	core->sc.cpu = c;
	core->since = time_now_ticks();
	core->idle_bit = idle_bit_of(IDLE_SLEEPS, c->index);
	core->rest_bit = idle_bit_of(IDLE_RESTS, c->index);
	core->armed = 0;
	core->task_last = &core->task_first;
	core->sc.deadline_ticks = TIME_NEVER;
	core->resched = true;
	mbox_node_init(&core->ask_mail, ask_look);
	mbox_node_init(&core->answer_mail, answer_look);
	mbox_node_init(&core->look_mail, told_look);
	mbox_node_init(&core->pool_mail, pool_look);
	room_init(core);
	pool_enter_init(core);
	c->sched = &core->sc;
}

/* Is it about another vCPU of the current's guest? Most likely sent by it. */
static bool mail_is_own(const struct sched_core *core, struct mbox_node *n)
{
	struct sched_unit *u = core->sc.current;

	return u && n->look == vcpu_look &&
	       container_of(n, struct vcpu, mail)->guest ==
		       unit_vcpu(u)->guest;
}

/* Looks at mail that was taken, `n` and what follows it. True: at some that the
 * current is not to pay for, which is so if the CPU was `busy` for others. */
static bool mail_look(struct sched_core *core, struct mbox_node *n, bool busy,
		      u64 now)
{
	struct cpu *c = core->sc.cpu;
	struct mbox_node *next;

	do {
		next = mbox_next(n);
		core->own = !busy && mail_is_own(core, n);
		busy = !core->own;
		c->stats.mails++;
		c->stats.switches--;
		n->look(c, n, mbox_take(n), now);
		n = next;
	} while (n);
	core->own = false;
	return busy;
}

static void dispatch(struct sched_core *core, struct sched_unit *u, u64 now)
{
	struct vcpu *v = unit_vcpu(u);
	struct cpu *c = core->sc.cpu;

	/* RUNNING is followed by a full fence and a look at virq: both are in
	 * arch_vcpu_run (cpu_enter_guest). Pairs with virq_raise's fence. */
	ck_pr_store_32(&v->state, VCPU_RUNNING);
	if (unlikely(core->native) && v->guest->cfg.wfi != WFI_NATIVE)
		native_stop(core);
	core->sc.current = u;
	ck_pr_store_ptr(&c->current, v);
	if (core->loaded != v) {
		if (core->loaded)
			arch_vcpu_save(core->loaded);
		arch_vcpu_load(v);
		core->loaded = v;
		c->stats.switches++;
	}
	v->turns++;
	trace_dispatch(u, now);
	unit_runstate(u, RUNSTATE_RUNNING, now);
	if (unlikely(v->waits))
		v->waits(v, false);
}

/* What is done then is its own time, as is what lies between its turn and
 * that, unless the CPU was busy. */
__attribute__((noinline)) u64 current_waits(struct sched_core *core, bool busy,
					    u64 now)
{
	struct sched_unit *u = core->sc.current;

	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	if (busy && !core->polling)
		charge_begin(u, arch_ticks());
	unit_vcpu(u)->waits(unit_vcpu(u), true);
	now = arch_ticks();
	charge_current(core, now);
	return now;
}

/* The current gives way; it may be another CPU's afterwards. */
static __attribute__((noinline)) void put_back(struct sched_core *core,
					       u64 now)
{
	struct sched_unit *u = core->sc.current;

	current_drop(core, now);
	if (core->why == WHY_PREEMPTED)
		u->preemptions++;
	trace_put_back(core, u, now);
	unit_runstate(u, RUNSTATE_RUNNABLE, now);
	if (core->why == WHY_YIELD)
		unit_route_yielded(core, u, now);
	else
		unit_route(core, u, core->why, now);
}

/* Asks the policy whose turn it is. Returns the time, from which on who comes
 * is charged. */
static inline u64 reschedule(struct sched_core *core, bool busy, u64 now)
{
	struct sched_pick pick;

	if (core->sc.current) {
		/* Before another CPU may have it. */
		if (unlikely(unit_vcpu(core->sc.current)->waits))
			now = current_waits(core, busy, now);
		put_back(core, now);
	}
	core->resched = false;
	core->why = WHY_NEW;
	pick = core->ops->pick(&core->sc, now);
	core->sc.deadline_ticks = pick.deadline_ticks;
	if (pick.unit) {
		/* One that was set aside, and came back by itself. */
		idle_stop(core);
		pick.unit->queued = false;
		dispatch(core, pick.unit, now);
	}
	return now;
}

/* What the end of the current's turn asks for. */
static __attribute__((noinline)) void turn_end(struct sched_core *core,
					       enum run_end end)
{
	u64 now = arch_ticks();

	if (unlikely(!core->sc.current))
		return; /* it gave way already: yield.c */
	/* The others are charged when they are asleep, or off. */
	if (end != RUN_BLOCK && end != RUN_OFF)
		charge_current(core, now);
	switch (end) {
	case RUN_LOOK:
		break;
	case RUN_TIMER:
		TRACE(CPU_TIMER, TRACE_NOBODY, core->armed, 0);
		core->armed = 0; /* it has fired: must be set anew */
		break;
	case RUN_BLOCK:
		if (!poll_begin(core, now))
			current_block(core, now);
		break;
	case RUN_YIELD:
		core->resched = true;
		core->why = WHY_YIELD;
		break;
	case RUN_OFF:
		current_off(core, now);
		break;
	case RUN_DEAD:
		/* guest_end has been called: it never enters again. The KILL
		 * that follows finds it in no queue. */
		current_dead(core, now);
		break;
	}
}

/* The current is charged from some moment on already. `given`: the one before
 * has given way; then a timer that is set to an earlier moment may stay
 * (yield.h). */
static inline void turn_begin(struct sched_core *core, bool given, u64 now)
{
	u64 want = MIN(core->sc.deadline_ticks, turn_others(core));

	if (!given || want < core->armed || core->armed <= now)
		timer_arm(core, want);
	ck_pr_store_64(&core->sc.cpu->turn_since,
		       core->sc.current->charged_ticks);
}

bool sched_timer_early(void)
{
	struct sched_core *core = core_of(cpu_this());
	u64 want = MIN(core->sc.deadline_ticks, turn_others(core));
	u64 now = arch_ticks();

	/* One that fires before what it is set to was late for something: to
	 * set it to the same would leave it pending. */
	if (core->resched || core->spread || core->native || core->polling ||
	    now < core->armed || now >= want)
		return false;
	TRACE(CPU_TIMER, TRACE_NOBODY, core->armed, 0);
	timer_arm(core, want);
	return true;
}

/* A turn of the current. */
static inline void turn(struct sched_core *core, bool given, u64 now)
{
	turn_begin(core, given, now);
	turn_end(core, arch_vcpu_run(unit_vcpu(core->sc.current)));
}

/* A step of a task, if one waits and it isn't the guests' time. The time it
 * takes is not the current's. */
static __attribute__((noinline)) bool tasks_turn(struct sched_core *core,
						 bool busy, u64 now)
{
	struct sched_unit *u = core->sc.current;

	/* One that has used its cap up isn't in the load: the deadline is when
	 * it may run again. */
	if ((core->load || now >= core->sc.deadline_ticks) &&
	    now < core->guests_until)
		return false;
	if (u) {
		if (unlikely(unit_vcpu(u)->waits))
			now = current_waits(core, busy, now);
		unit_runstate(u, RUNSTATE_RUNNABLE, now);
	}
	/* Tasks may keep it from waiting for long. */
	if (!core->loaded)
		arch_guest_let_go();
	task_run_step(core, now);
	if (u) {
		now = time_now_ticks();
		charge_begin(u, now);
		unit_runstate(u, RUNSTATE_RUNNING, now);
		if (unlikely(unit_vcpu(u)->waits))
			unit_vcpu(u)->waits(unit_vcpu(u), false);
	}
	return true;
}

void sched_timer_set(struct timer *t, u64 when_ticks)
{
	struct sched_core *core = core_of(cpu_this());

	timer_set(&core->timers, t, when_ticks);
	/* If it is to be set anew (0), the next turn or wait does that. */
	if (when_ticks >= core->armed)
		return;
	TRACE(TIMER_ARM, TRACE_NOBODY, when_ticks, 0);
	core->armed = when_ticks;
	core->sc.cpu->stats.timer_sets++;
	arch_timer_no_later(when_ticks);
}

/* One of the guest's here, the current above all, or else one that could run;
 * it is not looked for for long. One that sleeps pays when it is woken. */
static struct sched_unit *unit_of_guest(struct sched_core *core,
					const struct guest *g)
{
	struct sched_unit *u = core->sc.current, *asleep = NULL;

	if (u && unit_vcpu(u)->guest == g)
		return u;
	u = core->units;
	for (u32 i = 0; u && i < PAYERS_MOST; i++, u = u->next) {
		if (unit_vcpu(u)->guest != g)
			continue;
		if (u->counted)
			return u;
		asleep = u;
	}
	return asleep;
}

void sched_pay(const struct guest *g, u64 now)
{
	struct sched_core *core = core_of(cpu_this());
	struct sched_unit *u = unit_of_guest(core, g);

	if (u)
		unit_owe(core, u, now);
}

/* What was done for others is over, and the current goes on: what is left of
 * the round is of who was woken last, if anyone was. Returns the time. */
static __attribute__((noinline)) u64 others_end(struct sched_core *core,
						u64 now)
{
	struct sched_unit *u = core->owes;

	if (now == core->owed_at && u) {
		unit_owe(core, u, now);
		return core->owed_at;
	}
	return arch_ticks();
}

/* Other timers are due as well: that is all for this round but mail. The
 * current doesn't pay for what there was so far; one that polls has done so all
 * the time. */
static __attribute__((noinline)) u64 more_due(struct sched_core *core,
					      struct mbox_node *mail,
					      bool taken, u64 now)
{
	if (!taken)
		mail = mbox_take_all(&core->sc.cpu->mbox);
	if (mail)
		mail_look(core, mail, true, now);
	if (core->sc.current && !core->polling)
		charge_begin(core->sc.current, others_end(core, now));
	return 0;
}

/*
 * The long way round. Returns 0, or the time if there is nothing to run.
 * `taken`: the mail was taken already, and is `mail`.
 */
static __attribute__((noinline)) u64
look_round(struct sched_core *core, struct mbox_node *mail, bool taken, u64 now)
{
	const struct sched_unit *before = core->sc.current;
	struct cpu *c = core->sc.cpu;
	bool busy = false, given = false;

	if (core->idle_since)
		idle_end(core, now);

	/* In this order: where the doorbell is one of the interrupts that the
	 * host's devices use as well, it is claimed along with them. */
	/* What rings after this look pends until the next, or ends the turn or
	 * the wait; and its mail is posted by then. */
	if (arch_irq_pends()) {
		arch_host_irq();
		arch_doorbell_ack();
	}
	doorbell_answered(c);
	/* Timers first: what they wake may come by mail. */
	if (timer_next_ticks(&core->timers) <= now) {
		if (unlikely(timer_run(&core->timers, now, TIMERS_MOST)))
			return more_due(core, mail, taken, now);
		busy = true;
	}
	if (!taken)
		mail = mbox_take_all(&c->mbox);
	if (mail)
		busy = mail_look(core, mail, busy, now);
	/* What others owe is nobody else's time. */
	if (busy && (s64)(core->owed_at - now) > 0)
		now = core->owed_at;
	if (unlikely(core->polling)) {
		if (poll_step(core, now))
			return 0;
	} else if (core->sc.current && now >= core->sc.deadline_ticks &&
		   !core->resched) {
		core->resched = true;
		core->why = WHY_EXPIRED;
	}
	if (unlikely(tasks_wait(core)) && tasks_turn(core, busy, now))
		return 0;
	if (core->resched ||
	    (!core->sc.current && now >= core->sc.deadline_ticks)) {
		given = core->why == WHY_YIELD;
		now = reschedule(core, busy, now);
	}
	if (unlikely(core->spread))
		spread(core, now);
	balance(core, now);
	if (!core->sc.current) {
		idle_step(core, now);
		return now;
	}
	/* Whoever has the CPU already doesn't pay for others' mail. */
	if (core->sc.current != before)
		charge_begin(core->sc.current, now);
	else if (busy)
		charge_begin(core->sc.current, others_end(core, now));
	turn(core, given, now);
	return 0;
}

/* Waits, unless there is mail. */
static inline void wait(struct sched_core *core, u64 now)
{
	struct cpu *c = core->sc.cpu;

	if (!cpu_will_stop(c, CPU_IDLE))
		return;
	resume_prepare(core);
	c->stats.waits++;
	core->idle_since = now;
	TRACE(CPU_WAIT, TRACE_NOBODY, core->armed, core->load);
	arch_wait();
	ck_pr_store_32(&c->mode, CPU_HYP);
}

static inline __attribute__((always_inline)) bool
step(struct sched_core *core, u64 now)
{
	enum resume r = RESUME_NOT;
	struct mbox_node *mail = NULL;
	u64 until;

	if (core->sleeper)
		r = resume_try(core, &mail, &until, now);
	if (r == RESUMED) {
		resume_turn_begin(core, until, now);
		turn_end(core, arch_vcpu_load_run(core->loaded));
		return true;
	}
	now = look_round(core, mail, r == RESUME_MAIL, now);
	if (!now)
		return true;
	wait(core, now);
	return false;
}

bool sched_step(struct cpu *c, u64 now)
{
	return step(core_of(c), now);
}

_Noreturn void sched_loop(struct cpu *c)
{
	struct sched_core *core = core_of(c);

	for (;;)
		step(core, arch_ticks());
}
