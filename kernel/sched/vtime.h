/*
 * Virtual time, for policies that share in proportion to weights.
 *
 * A unit's virtual time advances while it runs, by its guest's number of
 * runnable vCPUs over its guest's weight, VTIME_PER_TICK for one vCPU of a
 * guest of weight 256. Who is least far has got least. These are values modulo
 * 2^64, to be compared by vtime_later and its kin only.
 *
 * Units and CPUs: the owner only. Zeroed is good for units and guests.
 */
#ifndef ROUSE_KERNEL_SCHED_VTIME_H
#define ROUSE_KERNEL_SCHED_VTIME_H

#include "kernel/sched/policy.h"

#define VTIME_CLAIM_US 40000 /* the most that a unit can be owed, or owe */

struct vtime_cpu {
	u64 now;	 /* goes back only while nobody is here */
	u64 empty_since; /* ticks when that began; 0: somebody is here */
	u64 claim_ticks; /* constant: VTIME_CLAIM_US */
};

struct vtime_unit {
	u64 at;
	u64 left_at; /* the time of the CPU it has left */
	bool waited; /* it was in the queue there */
	bool driven; /* it may not run there any more */
	u32 heard;   /* vtime_here.sleeps, when it had its part of that lead */
};

struct vtime_guest {
	u64 furthest; /* any CPU, atomic: of its units; 0: none, but for who
		       * is just there */
};

/* A guest on one CPU, whose owner's it is: the last of its units that went to
 * sleep there, where it was then, and how many could run, with it. */
struct vtime_here {
	const struct vtime_unit *sleeper; /* NULL: it is back. Never followed */
	u64 at;
	u32 count;
	u32 sleeps;
};

static inline u64 vtime_later(u64 a, u64 b)
{
	return (s64)(a - b) > 0 ? a : b;
}

static inline u64 vtime_earlier(u64 a, u64 b)
{
	return (s64)(a - b) < 0 ? a : b;
}

/* The rest of it is zeroed. */
void vtime_cpu_init(struct vtime_cpu *vc);

/* How far one gets whose guest's integral advances by so much. */
static inline u64 vtime_for(const struct sched_account *a, u64 active_ticks)
{
	return active_ticks * (256 * VTIME_PER_TICK) /
	       ck_pr_load_64(&a->weight);
}

/* How far a unit of the guest gets in so many ticks, as that is now; and in a
 * slice. */
static inline u64 vtime_for_ticks(const struct sched_account *a, u64 ticks)
{
	u32 n = account_runnable(a);

	return vtime_for(a, ticks * (n ? n : 1));
}

static inline u64 vtime_slice(const struct sched_account *a)
{
	return vtime_for_ticks(a, ck_pr_load_64(&a->slice_ticks));
}

/* One of the guest's units is at `at`. */
static inline void vtime_reach(struct vtime_guest *vg, u64 at)
{
	u64 old;

	do {
		old = ck_pr_load_64(&vg->furthest);
		if ((s64)(at - old) <= 0 && likely(old))
			return;
		/* No order with anything else: the word is all there is. */
	} while (!ck_pr_cas_64(&vg->furthest, old, at));
}

/* The unit has run; `active` as in sched_ops.charge. Returns where it is
 * now. */
static inline u64 vtime_ran(const struct vtime_unit *vu, struct vtime_guest *vg,
			    const struct sched_unit *u, u64 active)
{
	u64 at = vu->at + vtime_for(u->account, active);

	vtime_reach(vg, at);
	return at;
}

static inline void vtime_charge(struct vtime_unit *vu, struct vtime_guest *vg,
				const struct sched_unit *u, u64 active)
{
	vu->at = vtime_ran(vu, vg, u, active);
}

/* The CPU's time follows the one furthest behind there, which is at `least`. */
static inline void vtime_follow(struct vtime_cpu *vc, u64 least)
{
	vc->now = vtime_later(vc->now, least);
}

/* The unit leaves the CPU: for now, or (then vtime_back comes) to be queued. */
static inline void vtime_leave(struct vtime_here *h,
			       const struct vtime_unit *vu,
			       const struct sched_account *a)
{
	h->sleeper = vu;
	h->at = vu->at;
	h->count = account_runnable(a);
	h->sleeps++;
}

/* It is back; `at_once`: nobody was picked meanwhile, so it was no sleep. */
static inline void vtime_back(struct vtime_here *h, const struct vtime_unit *vu,
			      bool at_once)
{
	if (h->sleeper != vu)
		return;
	h->sleeper = NULL;
	h->sleeps -= at_once;
}

/* The two in one, of a unit that gives way. */
static inline void vtime_pass(struct vtime_here *h)
{
	h->sleeper = NULL;
}

/* It waited while that one ran, and is picked: takes its part of the lead. */
static inline void vtime_share(const struct vtime_here *h,
			       struct vtime_unit *vu)
{
	s64 lead;

	if (likely(!h->sleeper) || vu->heard == h->sleeps)
		return;
	lead = (s64)(h->at - vu->at);
	vu->heard = h->sleeps;
	if (lead > 0 && h->count > 1)
		vu->at += (u64)lead / h->count;
}

/* Moves the time of a CPU where nobody waits on to the latest that any is at.
 * Returns by how much: whoever runs there is to be moved as far. */
u64 vtime_catch_up(struct sched_cpu *sc, struct vtime_cpu *vc, u64 now);

/* From when on those may count here who have been set aside, whatever they have
 * got: this CPU's time; or, if that is earlier, where the first that waits here
 * is (`first`; TIME_NEVER: nobody does), or the latest that a unit which waits
 * on another CPU is at. */
u64 vtime_floor(const struct sched_cpu *sc, const struct vtime_cpu *vc,
		u64 first);

/* The unit is no longer this CPU's. */
void vtime_part(const struct vtime_cpu *vc, struct vtime_unit *vu, bool driven);

/* For listings: how far behind the CPU's time the unit is, as running of one
 * vCPU of a guest of weight 256; negative: ahead. Any CPU. */
s64 vtime_lag_us(const struct vtime_cpu *vc, const struct vtime_unit *vu);

/*
 * The unit is about to be queued on `sc`, where nobody else is (`empty`) or
 * somebody: sets its time, or the CPU's. For WHY_MOVED where somebody is
 * vtime_keep_place is called before, if vtime_keeps_place.
 */
void vtime_join(struct sched_cpu *sc, struct vtime_cpu *vc,
		struct vtime_unit *vu, struct vtime_guest *vg,
		const struct sched_unit *u, enum sched_why why, bool empty,
		u64 now);

/* How far one may be behind a unit of guest `a` that is at `at`, where it comes
 * to. Of many here the latest counts. */
static inline u64 vtime_ahead_of(const struct vtime_cpu *vc,
				 const struct sched_account *a, u64 at)
{
	return at - vtime_for_ticks(a, vc->claim_ticks) - vtime_slice(a);
}

/* Does it keep its place among all CPUs' units, if it comes where somebody is?
 * Who was driven off doesn't, nor who was woken and has not waited. */
static inline bool vtime_keeps_place(const struct vtime_unit *vu)
{
	return vu->waited && !vu->driven;
}

/* It does so, but is no further behind than `from`. */
void vtime_keep_place(const struct vtime_cpu *vc, struct vtime_unit *vu,
		      const struct sched_unit *u, u64 from);

/*
 * vtime_join with WHY_WOKEN where nobody is, of a unit of guest `a`, if it is
 * as far as the CPU's time: then the CPU's time followed it when it ran here
 * last, and only its guest's others may have got ahead of it. False: it isn't,
 * or nobody has been here for long, and nothing was done. True: the CPU's time
 * has followed it again.
 */
static inline bool vtime_resume(struct vtime_cpu *vc, struct vtime_unit *vu,
				const struct vtime_guest *vg,
				const struct sched_account *a, u64 now)
{
	u64 used = ck_pr_load_64(&vg->furthest), at = vu->at;

	if (unlikely(at != vc->now || now - vc->empty_since >= vc->claim_ticks))
		return false;
	if (likely(used && (s64)(used - at) > 0)) {
		/* A slice is no less, whoever else of the guest can run. */
		if (unlikely(used - at > ck_pr_load_64(&a->slice_vtime)))
			used = vtime_earlier(used, at + vtime_slice(a));
		at = used;
	}
	vu->at = at;
	vc->now = at;
	vu->waited = false;
	vc->empty_since = 0;
	return true;
}

#endif
