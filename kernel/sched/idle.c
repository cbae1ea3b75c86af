/*
 * Nothing to run: say so, ask for work, wait.
 *
 * A CPU that becomes idle sets its bit in the idle mask, fences, and reads the
 * published loads; it asks the busiest CPU that has something waiting. That one
 * hands a unit over, or says no, and then the next is asked, each at most once:
 * so an idle CPU is found within one ask and one hand-over per candidate. Who
 * gets something to spare later finds the bit (place.c).
 *
 * The same mail serves fairness between CPUs. Under a policy that publishes
 * virtual time a CPU that is ahead (its vCPUs got more than those that wait
 * elsewhere) asks the one furthest behind, once a period: so three equal hogs
 * on two CPUs take turns at sharing.
 *
 * Where nobody waits there is nothing to compare, and a vCPU that is alone on
 * its CPU is not to be interrupted for it. A CPU that looks and finds no vCPU
 * that waits elsewhere rests: it sets its bit in a mask, fences, reads the
 * loads once more, and sets no timer for a next look, until it is told. Whoever
 * lets a vCPU wait has raised its load and fenced (place.c), and tells those
 * whose bits it finds. While it rests its virtual time is as old as its turn
 * (vtime.c); it looks now and then all the same, so that a turn that is charged
 * has a bound. When it is compared again, or somebody begins to wait on itself,
 * its policy is told how long it has rested.
 *
 * Nor is a CPU to be interrupted again and again by one that it can't help: who
 * is asked, and has no unit that may run there, queued or not, bars that CPU.
 * To the barred one it is as if nobody waited there. The bar is lifted before a
 * unit is routed that may run there: one that has come, or whose affinity has
 * changed. So it pairs as the load does: a CPU that saw the bar has set its bit
 * before, and whoever routes finds it. What such a CPU can do all the same, if
 * others move: room.c.
 *
 * Invariant: one ask of a CPU is out at a time, and it is always answered; what
 * it says (core->ask) is not changed before the answer.
 *
 * Rejected: taking from other queues; a global queue of work to spare (its
 * cache line would be the busiest in the machine).
 */
#include <string.h>

#include "kernel/sched/private.h"
#include "kernel/sched/trace.h"

/* How often a CPU with a native guest alone asks for work. */
#define NATIVE_ASK_US 10000
/* How long a CPU rests at most: a turn's integral of vCPUs, shifted for virtual
 * time, is far from 2^64 then. */
#define REST_US 60000000

static void ask_send(struct sched_core *core, u32 cpu, bool idle)
{
	struct cpu *c = core->sc.cpu;

	core->asking = true;
	core->ask = (struct sched_ask){
		.cpu = c->index, .idle = idle, .vtime = c->vtime};
	c->stats.asks++;
	TRACE(STEAL_ASK, TRACE_NOBODY, cpu, idle);
	doorbell_post(cpu_by_index(cpu), &core->ask_mail, 0);
}

/* Is it another CPU, and may a unit of it come here? No: until we are told. */
static bool may_give(const struct sched_core *core, u32 i)
{
	u32 self = core->sc.cpu->index;
	const struct cpuset *barred = &core_of(cpu_by_index(i))->barred;

	return i != self &&
	       !(ck_pr_load_64(&barred->w[self / 64]) >> (self % 64) & 1);
}

/* Asks the busiest CPU that was not asked since this one has been idle. */
static void ask_busiest(struct sched_core *core)
{
	u32 best = CPU_NONE, best_load = 1;
	bool bars = false;

	if (core->asking)
		return;
	for (u32 i = 0; i < cpu_count(); i++) {
		u32 load = ck_pr_load_32(&cpu_by_index(i)->load);

		if (likely(load <= best_load))
			continue;
		if (!may_give(core, i)) {
			bars = true;
		} else if (!cpuset_has(&core->asked, i)) {
			best = i;
			best_load = load;
		}
	}
	if (best == CPU_NONE) {
		if (unlikely(bars))
			room_want_later(core);
		return;
	}
	cpuset_add(&core->asked, best);
	ask_send(core, best, true);
}

/* The unit to be handed to the CPU that asks; NULL: none. */
static struct sched_unit *give(struct sched_core *core,
			       const struct sched_ask *ask, u64 now)
{
	struct sched_unit *u = NULL;

	if (core->ops->give)
		u = core->ops->give(&core->sc, ask, now);
	/* Someone else may have sent the asker work meanwhile. */
	if (u && ask->idle && !idle_claim(IDLE_SLEEPS, ask->cpu) &&
	    !idle_claim(IDLE_NATIVE, ask->cpu))
		u = NULL;
	return u;
}

/*
 * What was not routed has met nobody who was idle: units set aside by their cap
 * are not in the load, so neither did the one that was put back for them look.
 * One for each idle CPU, as if that had asked.
 */
__attribute__((noinline)) void spread(struct sched_core *core, u64 now)
{
	struct sched_ask ask = {.idle = true};
	struct sched_unit *u;

	core->spread = false;
	/* Pairs with idle_enter's fence: our load is published before the mask
	 * is read, as in choose. */
	ck_pr_fence_memory();
	for (u32 i = idle_next(IDLE_SLEEPS, 0); i != CPU_NONE && core->load > 1;
	     i = idle_next(IDLE_SLEEPS, i + 1)) {
		if (i == core->sc.cpu->index)
			continue;
		ask.cpu = i;
		u = give(core, &ask, now);
		if (u)
			unit_handover(core, u, i, now);
	}
	if (core->load <= 1)
		return;
	rest_end(core);
	if (idle_bit_others(&core->idle_bit))
		room_want(core, now);
}

/* Who rests is told of a unit that waits here, except where none may go.
 * Returns the other CPUs of that word that are not barred. */
static u64 bar_set(struct sched_core *core, u32 word, u64 bits)
{
	u32 self = core->sc.cpu->index;

	ck_pr_store_64(&core->barred.w[word], bits);
	if (word == self / 64) {
		bits |= 1ULL << self % 64;
		core->rest_bit.others = ~bits;
	}
	return ~bits;
}

void bar_lift(struct sched_core *core, const struct sched_unit *u)
{
	u64 open = 0;

	core->room_vain = 0;
	for (u32 i = 0; i * 64 < cpu_count(); i++)
		open |= bar_set(core, i,
				core->barred.w[i] &
					~ck_pr_load_64(&u->allowed.w[i]));
	core->may_leave = open;
}

void bar_where_none(struct sched_core *core)
{
	const struct sched_unit *u = core->units;
	struct cpuset may = {{0}};
	u64 open = 0;

	for (u32 n = 0; u && n < UNITS_MOST; n++, u = u->next)
		for (u32 i = 0; i * 64 < cpu_count(); i++)
			may.w[i] |= ck_pr_load_64(&u->allowed.w[i]);
	/* If there are more of them, no CPU is barred. */
	if (u)
		memset(&may, 0xff, sizeof(may));
	for (u32 i = 0; i * 64 < cpu_count(); i++)
		open |= bar_set(core, i, ~may.w[i]);
	core->may_leave = open;
}

/* That CPU was given nothing: was it in vain for good? Then so it would be for
 * all others where nobody of ours may run. */
static void bar_if_none(struct sched_core *core, u32 cpu)
{
	const struct sched_unit *u = core->units;

	for (u32 n = 0; u && n < UNITS_MOST; n++, u = u->next)
		if (unit_may_run(u, cpu))
			return;
	if (!u)
		bar_where_none(core);
}

void ask_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct sched_core *asker = container_of(n, struct sched_core, ask_mail);
	struct sched_core *core = core_of(c);
	struct sched_ask ask = asker->ask;
	struct sched_unit *u;

	c->stats.asked++;
	u = give(core, &ask, now);
	TRACE(STEAL_ANSWER, u ? u->trace_id : TRACE_NOBODY, ask.cpu, u != NULL);
	if (u) {
		unit_handover(core, u, ask.cpu, now);
	} else {
		c->stats.denials++;
		bar_if_none(core, ask.cpu);
		if (ask.idle && core->load > 1)
			room_want(core, now);
	}
	doorbell_post(cpu_by_index(ask.cpu), &asker->answer_mail,
		      u ? ANSWER_GAVE : ANSWER_DENIED);
}

void answer_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct sched_core *core =
		container_of(n, struct sched_core, answer_mail);

	core->asking = false;
	if ((bits & ANSWER_DENIED) && core->idling)
		ask_busiest(core);
}

/*
 * The next look comes half a period to one and a half later, at random. What
 * waits elsewhere may come and go with a period of its own (a cap has one), and
 * at regular looks never be there.
 */
static void balance_roll(struct sched_core *core)
{
	u64 period = us_to_ticks(core->ops->period_us);

	/* Knuth's generator (The Art of Computer Programming, 3.3.4). */
	core->dice = core->dice * 6364136223846793005 + 1442695040888963407;
	core->look_ticks = period / 2 + (period * (core->dice >> 48) >> 16);
}

void balance_start(struct sched_core *core, u64 now)
{
	core->rest_since = 0;
	core->look_ticks = 0;
	core->balance_at = TIME_NEVER;
	if (core->ops->period_us && cpu_count() > 1) {
		balance_roll(core);
		core->balance_at = now + core->look_ticks;
	}
}

/* Does a vCPU that may come here wait on any other CPU? */
static bool others_wait(const struct sched_core *core)
{
	for (u32 i = 0; i < cpu_count(); i++)
		if (ck_pr_load_32(&cpu_by_index(i)->load) > 1 &&
		    may_give(core, i))
			return true;
	return false;
}

/* Nobody waits elsewhere: no look until one does. */
static void rest_begin(struct sched_core *core, u64 now)
{
	u32 self = core->sc.cpu->index;

	/* Its fence pairs with the one in choose: we see the load, or are told.
	 * If we are told already, the mail is looked at after this. */
	idle_enter(IDLE_RESTS, self);
	if (others_wait(core)) {
		(void)idle_leave(IDLE_RESTS, self);
		return;
	}
	core->look_ticks = 0;
	if (!core->rest_since)
		core->rest_since = now;
	core->balance_at = now + us_to_ticks(REST_US);
}

void rest_over(struct sched_core *core, u64 now)
{
	u64 since = core->rest_since;

	if (!since)
		return;
	/* One that is in no look's way yet has another rest from here on. */
	core->rest_since = core->look_ticks ? 0 : now;
	if (core->ops->rested)
		core->ops->rested(&core->sc, since, now);
}

void rest_end(struct sched_core *core)
{
	u32 self = core->sc.cpu->index;

	for (u32 i = idle_next(IDLE_RESTS, 0); i != CPU_NONE;
	     i = idle_next(IDLE_RESTS, i + 1)) {
		if (i == self || cpuset_has(&core->barred, i) ||
		    !idle_claim(IDLE_RESTS, i))
			continue;
		TRACE(REST_END, TRACE_NOBODY, i, 0);
		doorbell_post(cpu_by_index(i),
			      &core_of(cpu_by_index(i))->look_mail, LOOK_REST);
	}
}

void told_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	struct sched_core *core = container_of(n, struct sched_core, look_mail);

	if (bits & LOOK_REST) {
		rest_over(core, now);
		if (!core->look_ticks)
			balance_start(core, now);
	}
	if ((bits & LOOK_ROOM) && core->load > 1) {
		core->room_vain = 0;
		room_want(core, now);
	}
}

void balance_look(struct sched_core *core, u64 now)
{
	struct cpu *c = core->sc.cpu;
	u64 worst = us_to_ticks(core->ops->lag_us) * VTIME_PER_TICK;
	u32 from = CPU_NONE;

	TRACE(BALANCE, TRACE_NOBODY, 0, 0);
	balance_roll(core);
	core->balance_at = now + core->look_ticks;
	if (core->asking || c->vtime == TIME_NEVER)
		return;
	/* Where the policy places, it may let a unit wait untold. */
	if (!core->ops->place && !others_wait(core)) {
		rest_begin(core, now);
		return;
	}
	rest_over(core, now);
	for (u32 i = 0; i < cpu_count(); i++) {
		u64 wait = ck_pr_load_64(&cpu_by_index(i)->wait_vtime);
		s64 behind = (s64)(c->vtime - wait);

		if (wait != TIME_NEVER && behind > (s64)worst &&
		    may_give(core, i)) {
			worst = (u64)behind;
			from = i;
		}
	}
	if (from != CPU_NONE)
		ask_send(core, from, false);
}

void native_stop(struct sched_core *core)
{
	core->native = false;
	(void)idle_leave(IDLE_NATIVE, core->sc.cpu->index);
}

/* Sets the bit, looks for work. */
static void idle_start(struct sched_core *core)
{
	core->idling = true;
	core->asked = (struct cpuset){{0}};
	idle_enter(IDLE_SLEEPS, core->sc.cpu->index);
	ask_busiest(core);
}

void idle_step(struct sched_core *core, u64 now)
{
	struct cpu *c = core->sc.cpu;
	u64 until = core->sc.deadline_ticks;

	if (core->native)
		native_stop(core);
	/* Claimed, yet nothing came (it was killed, or moved on): once more. */
	if (!core->idling || !idle_is(IDLE_SLEEPS, c->index))
		idle_start(core);
	if (core->polling)
		return;
	/* One whose cap is used up, or for which there is no CPU, may be loaded
	 * still: its timer would end the wait at once, and a CPU that waits
	 * may be asked to let go of the second stage that it holds. */
	if (unlikely(core->loaded != NULL)) {
		arch_vcpu_save(core->loaded);
		core->loaded = NULL;
	}
	/* A task may have given way to guests' time, and the guest then went
	 * elsewhere: no mail comes for what is queued already. */
	if (unlikely(tasks_wait(core)))
		until = MIN(until, core->guests_until);
	/* A turn may have set the timer to the guest's own deadline. */
	core->armed = 0;
	timer_arm(core, MIN(until, timer_next_ticks(&core->timers)));
}

/* The vCPU that runs is, or is no longer, one whose WFI is not trapped. */
static __attribute__((noinline)) void native_change(struct sched_core *core,
						    bool alone)
{
	u64 now = time_now_ticks();

	if (!alone) {
		native_stop(core);
		return;
	}
	core->native = true;
	idle_enter(IDLE_NATIVE, core->sc.cpu->index);
	if (now >= core->native_ask_at) {
		core->native_ask_at = now + us_to_ticks(NATIVE_ASK_US);
		core->asked = (struct cpuset){{0}};
		ask_busiest(core);
	}
}

bool sched_wfi_native(struct vcpu *v)
{
	struct sched_core *core = core_of(cpu_this());
	bool alone = v->guest->cfg.wfi == WFI_NATIVE && core->load <= 1 &&
		     !tasks_wait(core);

	if (unlikely(alone != core->native))
		native_change(core, alone);
	return alone;
}
