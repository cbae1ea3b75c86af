/*
 * The core's accounting that is done at every wake and every turn, inline. What
 * it is about: account.c.
 */
#ifndef ROUSE_KERNEL_SCHED_ACCOUNT_H
#define ROUSE_KERNEL_SCHED_ACCOUNT_H

#include "kernel/sched/core.h"

#define ACTIVE_MASK ((1ULL << ACTIVE_BITS) - 1)
#define UNUSED_BITS (64 - ACTIVE_BITS)

/* The unit's runstate, which is `old`, changes. Owner. */
static inline void unit_runstate_from(struct sched_unit *u, enum runstate old,
				      enum runstate rs, u64 now)
{
	u64 since = u->since_ticks;

	/* Twice at one moment (woken, and dispatched at once): no time has
	 * passed, so there is nothing that a reader could mix up. A CPU's
	 * clock may also be some ticks behind that of the one before it. */
	if ((s64)(now - since) <= 0) {
		ck_pr_store_32(&u->runstate, rs);
		return;
	}
	ck_pr_store_64(&u->since_ticks, SINCE_CHANGES);
	/* Pairs with the load fences of sched_vcpu_info: that it changes is
	 * said before what changes, and since when after it. */
	ck_pr_fence_store();
	ck_pr_store_64(&u->ticks[old], u->ticks[old] + (now - since));
	ck_pr_store_32(&u->runstate, rs);
	ck_pr_fence_store();
	ck_pr_store_64(&u->since_ticks, now);
}

static inline void unit_runstate(struct sched_unit *u, enum runstate rs,
				 u64 now)
{
	unit_runstate_from(u, (enum runstate)u->runstate, rs, now);
}

/* Returns the new word. */
static inline u64 active_change(struct sched_account *a, bool enter, u64 now)
{
	u64 old, new;

	do {
		old = ck_pr_load_64(&a->active);
		new = (old + (enter ? -now : now)) & ACTIVE_MASK;
		new |= (old & ~ACTIVE_MASK) +
		       (enter ? 1ULL << ACTIVE_BITS : -(1ULL << ACTIVE_BITS));
		/* No order with anything else: the word is all there is. */
	} while (!ck_pr_cas_64(&a->active, old, new));
	return new;
}

/* How many vCPUs of the guest could run, by its word, integrated up to `t`; of
 * which the lower ACTIVE_BITS count. */
static inline u64 active_word_integral(u64 word, u64 t)
{
	return word + (word >> ACTIVE_BITS) * t;
}

static inline u64 active_integral(const struct sched_account *a, u64 t)
{
	return active_word_integral(ck_pr_load_64(&a->active), t);
}

static inline void load_publish(struct sched_core *core)
{
	ck_pr_store_32(&core->sc.cpu->load, core->load);
}

/* The unit could run from now on: it counts, for its CPU and its guest. */
static inline void unit_count(struct sched_core *core, struct sched_unit *u,
			      u64 now)
{
	if (u->counted)
		return;
	u->counted = true;
	core->load++;
	load_publish(core);
	active_change(u->account, true, now);
}

/* The current begins to be charged. */
static inline void charge_begin(struct sched_unit *u, u64 now)
{
	ck_pr_store_64(&u->charged_ticks, now);
	ck_pr_store_64(&u->charged_active, active_integral(u->account, now));
}

/* What the current has run since it was charged. */
struct charge {
	u64 ticks; /* 0: nothing, nor has the rest a value */
	u64 active, integral;
	struct sched_account *account;
};

static inline __attribute__((always_inline)) struct charge
charge_due(const struct sched_unit *u, u64 now)
{
	struct charge c = { .ticks = now - u->charged_ticks,
			    .account = u->account };
	s64 active;

	if (unlikely((s64)c.ticks <= 0))
		return (struct charge){ .account = u->account };
	c.integral = active_integral(c.account, now);
	active = (s64)((c.integral - u->charged_active) << UNUSED_BITS) >>
		 UNUSED_BITS;
	/* CPUs' clocks differ by a tick or so: never less than its own time,
	 * and so never a negative difference. */
	c.active = (u64)MAX(active, (s64)c.ticks);
	return c;
}

static inline void charge_account(struct sched_account *a, u64 ticks)
{
	ck_pr_add_64(&a->guest_ticks, ticks);
}

/* The same for the CPU, of the turns that have followed each other up to `now`
 * (yield.h), the last of which is over. */
static inline void charge_cpu(struct sched_core *core, u64 now)
{
	struct cpu *c = core->sc.cpu;
	u64 since = c->turn_since;

	ck_pr_store_64(&c->turn_since, 0);
	if (since && now > since)
		c->stats.guest_ticks += now - since;
}

/* It was charged up to `now` and has left the CPU since: what that took is its
 * time as well, if anyone waits. */
static inline void unit_owe_rest(struct sched_core *core, struct sched_unit *u,
				 u64 now)
{
	if (!core->load)
		return;
	u->owed_ticks = arch_ticks() - now;
	core->sc.cpu->stats.guest_ticks += u->owed_ticks;
}

/* It owes something: as if its turn had begun so much earlier. */
void unit_pay(struct sched_core *core, struct sched_unit *u);

/* The current has run up to `now`. */
static inline void charge_current(struct sched_core *core, u64 now)
{
	struct sched_unit *u = core->sc.current;
	struct charge c;

	if (unlikely(u->owed_ticks))
		unit_pay(core, u);
	c = charge_due(u, now);
	if (core->sc.cpu->turn_since)
		charge_cpu(core, now);
	else
		core->sc.cpu->stats.guest_ticks += c.ticks;
	if (!c.ticks)
		return;
	ck_pr_store_64(&u->charged_ticks, now);
	ck_pr_store_64(&u->charged_active, c.integral);
	charge_account(u->account, c.ticks);
	if (core->ops->charge)
		core->ops->charge(&core->sc, u, c.ticks, c.active, now);
}

#endif
