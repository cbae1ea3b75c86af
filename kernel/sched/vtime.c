/*
 * What a unit may claim when it comes: from sleep, or from another CPU.
 *
 * Sleepers: a unit that wakes is behind those that ran, and so is preferred,
 * but never by more than VTIME_CLAIM_US of its own running: it can't save up.
 * Nor can a guest with many vCPUs: a waking unit starts no earlier than the
 * furthest of its guest's units (at most a slice after the CPU's time), so what
 * one vCPU has used counts against the others. A CPU's time never goes back, so
 * a unit that is woken on an empty CPU gets no head start against later ones.
 *
 * A vCPU that starts is owed nothing: while it was off it wanted nothing, and
 * tasks may have worked to start its guest. With a claim, who reboots all the
 * time had his share for running, and the loading besides.
 *
 * Nor by turns: a guest's vCPUs advance at a rate by how many of them can run,
 * and one that waits for another is left behind at that rate. If the other goes
 * to sleep then, the rate is less, and what was left behind would be worth more
 * than it was: two vCPUs that do nothing but wake each other and go to sleep
 * had half as much again as their share. So the lead of who goes to sleep is
 * shared by all that could run with it: each takes its part when it is next
 * picked.
 *
 * Between CPUs: times are of one scale, and a unit that is handed over to a CPU
 * that is ahead keeps its own. Where affinity or a vCPU that fills a CPU by
 * itself keeps CPUs from sharing, their times drift apart, as it must be; so
 * there is a bound: nobody has to let one that comes go first for longer than
 * he could claim himself, and a slice. By what each of those here could claim,
 * not by the CPU's time: a light guest that is alone for ten milliseconds puts
 * that a second ahead, and has had its share for that second.
 *
 * While nobody waits where another CPU could help, times drift apart as well,
 * by who happens to be where: a CPU that a task has half of for a second is
 * behind by that, and a unit that comes would leave that CPU alone for as long.
 * Nobody has waited for what others had, so nothing is owed: when CPUs are
 * compared again, after such a rest, each on which nobody waits, nor has until
 * just now, goes on from the latest time that there is (vtime_catch_up), and
 * whoever has it as well. A drift that grew while somebody waited who might
 * have moved stays.
 *
 * Who is set aside by its cap is owed nothing for that, and comes back no
 * earlier than its CPU's time. But if only a light guest was left there, that
 * has put the CPU ahead in one slice by more than a heavy one runs in 100 ms,
 * and one with a cap can't make up for that: what it doesn't use of its cap is
 * lost. So where units wait on other CPUs it need not be behind all of them,
 * nor behind the first that waits here, who may have come from a CPU that is
 * less far (vtime_floor). No earlier: with any head start, all that are capped
 * would run at once, and leave CPUs empty after.
 *
 * One that was woken where somebody runs, and is handed over to an idle CPU
 * without having waited, is owed no more than if it had stayed: else whoever
 * slept for long would put that CPU as far behind as it slept, and nobody asks
 * for work from behind.
 *
 * A unit that was driven off its CPU by its affinity has no reason to be owed
 * anything elsewhere: it takes along how far it was from the time there. So
 * nobody gains by going to and fro between CPUs that are far apart, nor is
 * starved.
 *
 * What a unit has run was charged by its guest's weight at the time. One whose
 * weight was raised from 1 would owe minutes: when knobs change it owes at most
 * a slice by the new ones.
 *
 * Rejected: relative times for every hand-over (then CPUs keep step no longer,
 * and three hogs on two CPUs get unequal shares), absolute ones without a bound
 * (who comes from a CPU that is behind has the other for itself), a bound by
 * the CPU's time, its claim and the largest turns of late (a light one's time
 * alone is no turn of late: all that came to help it were put ahead by a
 * second, and had to wait for all others to come along).
 */
#include "kernel/sched/vtime.h"

#include "kernel/time.h"

void vtime_cpu_init(struct vtime_cpu *vc)
{
	vc->claim_ticks = us_to_ticks(VTIME_CLAIM_US);
}

void vtime_part(const struct vtime_cpu *vc, struct vtime_unit *vu, bool driven)
{
	vu->left_at = vc->now;
	vu->driven = driven;
}

s64 vtime_lag_us(const struct vtime_cpu *vc, const struct vtime_unit *vu)
{
	s64 lag = (s64)(ck_pr_load_64(&vc->now) - ck_pr_load_64(&vu->at)) /
		  VTIME_PER_TICK;

	return lag < 0 ? -(s64)(ticks_to_ns((u64)-lag) / 1000) :
			 (s64)(ticks_to_ns((u64)lag) / 1000);
}

static void bound_to(struct vtime_unit *vu, u64 at, u64 behind, u64 ahead)
{
	vu->at = vtime_later(vu->at, at - behind);
	vu->at = vtime_earlier(vu->at, at + ahead);
}

/* Not behind by more than it can claim, nor ahead by more than it can owe. */
static void bound(const struct vtime_cpu *vc, struct vtime_unit *vu,
		  const struct sched_unit *u)
{
	u64 claim = vtime_for_ticks(u->account, vc->claim_ticks);

	bound_to(vu, vc->now, claim, claim);
}

/* It was asleep: what its guest's other vCPUs used meanwhile counts. */
static void bound_by_guest(const struct vtime_cpu *vc, struct vtime_unit *vu,
			   const struct vtime_guest *vg,
			   const struct sched_unit *u)
{
	u64 used = ck_pr_load_64(&vg->furthest);

	if (!used)
		return;
	used = vtime_earlier(used, vc->now + vtime_slice(u->account));
	vu->at = vtime_later(vu->at, used);
}

/* How far that CPU is, and whose turn it is. It says so when it charges, and
 * one whose vCPU is alone may not have done so for minutes: `ran` is how far
 * that is. */
static u64 time_of(u32 cpu, struct sched_turn *turn, u64 *ran, u64 now)
{
	const struct cpu *c = cpu_by_index(cpu);
	u64 vtime = ck_pr_load_64(&c->vtime);
	u64 wait = ck_pr_load_64(&c->wait_vtime);

	*turn = sched_turn_of(cpu, now);
	*ran = vtime;
	if (vtime == TIME_NEVER || !turn->account)
		return vtime;
	*ran += vtime_for(turn->account, turn->active);
	return wait == TIME_NEVER ? *ran : vtime_earlier(*ran, wait);
}

/* The least of the others' times; TIME_NEVER: none runs anything. */
static __attribute__((noinline)) u64 least_of_others(u32 self,
						     const struct sched_unit *u,
						     struct vtime_guest *vg,
						     u64 now)
{
	u64 least = TIME_NEVER, vtime, ran;
	struct sched_turn turn;

	for (u32 i = 0; i < cpu_count(); i++) {
		if (i == self)
			continue;
		vtime = time_of(i, &turn, &ran, now);
		if (vtime == TIME_NEVER)
			continue;
		/* Its guest learns of it, too. */
		if (turn.account == u->account)
			vtime_reach(vg, ran);
		least = least == TIME_NEVER ? vtime :
					      vtime_earlier(least, vtime);
	}
	return least;
}

/* Nobody has been here for long: whose time should count here now? */
static void rejoin(struct sched_cpu *sc, struct vtime_cpu *vc,
		   const struct sched_unit *u, struct vtime_guest *vg, u64 now)
{
	u64 least;

	if (!vc->empty_since ||
	    now - vc->empty_since < vc->claim_ticks)
		return;
	least = least_of_others(sc->cpu->index, u, vg, now);
	if (least != TIME_NEVER)
		vc->now = least;
}

u64 vtime_catch_up(struct sched_cpu *sc, struct vtime_cpu *vc, u64 now)
{
	u64 before = vc->now, vtime, ran;
	struct sched_turn turn;

	for (u32 i = 0; i < cpu_count(); i++) {
		if (i == sc->cpu->index)
			continue;
		vtime = time_of(i, &turn, &ran, now);
		if (vtime != TIME_NEVER)
			vtime_follow(vc, vtime);
	}
	return vc->now - before;
}

u64 vtime_floor(const struct sched_cpu *sc, const struct vtime_cpu *vc,
		u64 first)
{
	u64 latest = TIME_NEVER, wait, floor = vc->now;

	if (first != TIME_NEVER)
		floor = vtime_earlier(floor, first);
	for (u32 i = 0; i < cpu_count(); i++) {
		wait = ck_pr_load_64(&cpu_by_index(i)->wait_vtime);
		if (i == sc->cpu->index || wait == TIME_NEVER)
			continue;
		latest = latest == TIME_NEVER ? wait :
						vtime_later(latest, wait);
	}
	return latest == TIME_NEVER ? floor : vtime_earlier(latest, floor);
}

void vtime_keep_place(const struct vtime_cpu *vc, struct vtime_unit *vu,
		      const struct sched_unit *u, u64 from)
{
	u64 ahead = vtime_for_ticks(u->account, vc->claim_ticks) +
		    vtime_slice(u->account);

	vu->at = vtime_later(vu->at, from);
	vu->at = vtime_earlier(vu->at, vc->now + ahead);
}

static void moved(struct sched_cpu *sc, struct vtime_cpu *vc,
		  struct vtime_unit *vu, struct vtime_guest *vg,
		  const struct sched_unit *u, bool empty, u64 now)
{
	u64 claim = vtime_for_ticks(u->account, vc->claim_ticks);

	if (vu->driven) {
		if (empty)
			rejoin(sc, vc, u, vg, now);
		vu->at += vc->now - vu->left_at;
		bound(vc, vu, u);
	} else if (empty) {
		/* Nobody is harmed here, and its place among the other CPUs'
		 * units is kept. */
		if (!vu->waited)
			bound_to(vu, vu->left_at, claim,
				 claim + vtime_slice(u->account));
		vc->now = vu->at;
	} else if (!vu->waited) {
		bound(vc, vu, u);
	}
}

void vtime_join(struct sched_cpu *sc, struct vtime_cpu *vc,
		struct vtime_unit *vu, struct vtime_guest *vg,
		const struct sched_unit *u, enum sched_why why, bool empty,
		u64 now)
{
	if (why == WHY_WOKEN || why == WHY_NEW ||
	    unlikely(why == WHY_ARRIVED)) {
		if (empty) {
			vtime_follow(vc, vu->at);
			rejoin(sc, vc, u, vg, now);
		}
		bound(vc, vu, u);
		if (unlikely(why != WHY_WOKEN))
			vu->at = vtime_later(vu->at, vc->now);
		bound_by_guest(vc, vu, vg, u);
	} else if (why == WHY_MOVED) {
		moved(sc, vc, vu, vg, u, empty, now);
	} else if (why == WHY_CHANGED) {
		vu->at = vtime_earlier(
			vu->at,
			vc->now +
				vtime_for_ticks(u->account, vc->claim_ticks) +
				vtime_slice(u->account));
	}
	vu->waited = false;
	vc->empty_since = 0;
}
