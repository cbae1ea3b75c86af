/*
 * The core of the virtual PLIC, by the RISC-V PLIC specification 1.0.0 ("the
 * spec"): gateways, pending bits, claims and completions, notifications.
 *
 * Problem. Lines change on any CPU and vCPUs claim and complete on theirs, all
 * at once; none of that may wait, an interrupt must not be lost or served
 * twice, and a line's way to virq_raise is part of the wake-up's budget.
 *
 * Algorithm. One 64-bit word holds three bits for each of 16 sources, and every
 * change of state is one compare-and-swap on it:
 *
 *     LEVEL     the line is high now
 *     PENDING   the gateway forwarded a request: the spec's IP bit
 *     INFLIGHT  the request was claimed and is not completed
 *
 *     line up      LEVEL = 1; PENDING = 1 unless PENDING or INFLIGHT
 *     line down    LEVEL = 0, no more: a request can't be retracted
 *     claim        PENDING -> INFLIGHT
 *     completion   INFLIGHT = 0; PENDING = LEVEL
 *
 * So PENDING and INFLIGHT exclude each other, and which of two claims wins is
 * decided by the CAS alone. Scans read these very words: 16 sources at a time,
 * and only the groups in which the guest's devices have lines (`wired`), since
 * nothing but a line can make a source pending. Priorities are kept once more,
 * turned round: for each threshold a bit of each source says whether it is
 * above (`above`). So a level is an AND of three words, whatever is pending.
 *
 * Nobody computes another vCPU's level. Who changes something looks for S-mode
 * contexts that it may concern (`targets`, the enables turned round: a set of
 * vCPUs for each source; a source with one target names it itself) and kicks
 * them with VIRQ_EXTERNAL; each vCPU's own CPU computes its level when it
 * enters (plic_core_eval). `eip` says what it found, so that nobody is kicked
 * for what doesn't change his level:
 *
 *     eval (the vCPU's CPU)         whoever changes state (any CPU)
 *     eip = LOOKING                 change PENDING, priority, enable, ...
 *     full fence (E)                full fence (C)
 *     scan                          kick for more if eip is not HIGH,
 *     eip = HIGH or LOW             kick for less if eip is not LOW
 *
 * The two fences make store buffering impossible: either the scan sees the
 * change, or the changer sees LOOKING or something newer. If it sees HIGH or
 * LOW of a scan that missed the change, then that level is one that the change
 * leaves as it is; if it sees a value older than LOOKING, then the scan has
 * seen the change. Without (E) or (C) an interrupt to a sleeping vCPU is lost.
 *
 * The same fences pair with each other when two changers meet, each needing the
 * other's news: a line goes up and reads the priority, the threshold and
 * `targets`, while a register's writer stores these and reads PENDING.
 *
 * Rejected. A word a source with bitmaps as hints for scans: after a claim has
 * cleared a hint it must be looked at again, and whoever saw it clear
 * meanwhile must be kicked. A lock: raisers would wait for it on the hottest
 * path. Evaluating at the raiser: an older level could overwrite a newer one.
 */
#include "emul/plic_core.h"

#include "kernel/bits.h"
#include "kernel/virq.h"

/* Of the vCPUs from 64 on: how many one change kicks at once. */
#define WIDE_MOST 16u

/* Which of group g's sources a context enables. */
static inline u32 group_enabled(struct plic_context *c, u64 g)
{
	return ck_pr_load_32(&c->enable[g / 2]) >> (g % 2 * 16);
}

/* Which of group g's sources have a priority above `threshold`. */
static inline u32 group_above(struct plic *p, u64 g, u64 threshold)
{
	return ck_pr_load_32(&p->above[g / 2][threshold]) >> (g % 2 * 16);
}

/* Does any of group g's sources interrupt that context? */
static inline bool group_asserts(struct plic *p, struct plic_context *c, u64 g,
				 u64 threshold)
{
	u32 pending = plic_group_pending(p, g);

	return pending & group_enabled(c, g) & group_above(p, g, threshold);
}

/* The next group in which there are lines; false: that was the last. */
static inline bool next_wired(u64 *wired, u64 *g)
{
	u64 skip;

	if (!*wired)
		return false;
	/* Most guests have all of their lines in the first group. */
	skip = likely(*wired & 1) ? 0 : bit_lowest(*wired);
	*g += skip;
	*wired >>= skip;
	return true;
}

/*
 * The context's pending and enabled source of the highest priority but 0, the
 * lowest number among equals; 0: none.
 */
static inline __attribute__((always_inline)) u32
best_source(struct plic *p, struct plic_context *c)
{
	u64 wired = p->wired;
	u64 floor = 0;
	u32 best = 0;

	for (u64 g = 0; next_wired(&wired, &g); g++, wired >>= 1) {
		u64 cand = plic_group_pending(p, g) & group_enabled(c, g);

		for (; cand; cand &= cand - 1) {
			u64 src = g * PLIC_GROUP_SOURCES + bit_lowest(cand);
			u64 priority = ck_pr_load_64(&p->source[src].priority);

			if (priority <= floor)
				continue;
			best = src;
			floor = priority;
		}
	}
	return best;
}

/* Inline: plic_core_eval has no frame. */
static inline bool any_asserts(struct plic *p, struct plic_context *c,
			       u64 threshold)
{
	u64 wired = p->wired;

	for (u64 g = 0; next_wired(&wired, &g); g++, wired >>= 1) {
		if (group_asserts(p, c, g, threshold))
			return true;
	}
	return false;
}

bool plic_core_level(struct plic_context *c)
{
	return any_asserts(c->plic, c, ck_pr_load_64(&c->threshold));
}

bool plic_core_eval(struct emul_pin *pin)
{
	struct plic_context *c = container_of(pin, struct plic_context, pin);
	struct plic *p = c->plic;
	u64 threshold;
	bool high;

	ck_pr_store_32(&c->eip, PLIC_EIP_LOOKING);
	/*
	 * (E) pairs with (C) in notify and kick: the head of this file. It also
	 * orders the caller's swap of `virq` before the scan; its partner there
	 * is again (C), which stands between a change and its virq_raise.
	 */
	ck_pr_fence_memory();
	threshold = ck_pr_load_64(&c->threshold);
	if (likely(p->wired == 1))
		high = group_asserts(p, c, 0, threshold);
	else
		high = any_asserts(p, c, threshold);
	/* No fence after it: LOOKING seen for longer costs a kick at most. */
	ck_pr_store_32(&c->eip, high ? PLIC_EIP_HIGH : PLIC_EIP_LOW);
	return high;
}

/* May the context's level change, now that the source went up or down? */
static inline bool concerned(struct plic_context *c, struct plic_source *s,
			     bool up)
{
	u32 eip = ck_pr_load_32(&c->eip);

	if (!up)
		return eip != PLIC_EIP_LOW;
	return !plic_eip_is_high(eip) &&
	       ck_pr_load_64(&s->priority) > ck_pr_load_64(&c->threshold);
}

/*
 * Kicks those of word w's targets whom it concerns; a word has 64 at most. If
 * `most` is less: so many of them, and none that is OFF, which looks when it
 * starts. Returns how many that were, or one more if there are more.
 */
static inline __attribute__((always_inline)) u32
notify_word(struct plic *p, u64 src, u32 w, bool up, u32 most)
{
	u64 set = ck_pr_load_64(&p->targets[src * p->target_words + w]);
	bool few = most < 64;
	u32 kicked = 0;

	for (; set; set &= set - 1) {
		u64 id = w * 64 + bit_lowest(set);
		struct plic_context *c = &p->context[2 * id + 1];

		if (!concerned(c, &p->source[src], up) ||
		    (few && plic_context_off(c)))
			continue;
		if (few && ++kicked > most)
			break;
		virq_raise(c->vcpu, VIRQ_EXTERNAL);
	}
	return kicked;
}

/* The same as notify_many for the words beyond the first: a few by itself, the
 * rest in turns (plic_tell.c). */
static __attribute__((noinline)) void notify_wide(struct plic *p, u64 src,
						  bool up)
{
	u32 most = WIDE_MOST;

	for (u32 w = 1; w < p->target_words; w++) {
		u32 kicked = notify_word(p, src, w, up, most);

		if (kicked > most) {
			plic_core_tell_rest(p);
			return;
		}
		most -= kicked;
	}
}

/* The same as notify, for any number of targets. */
static __attribute__((noinline)) void notify_many(struct plic *p, u64 src,
						  bool up)
{
	notify_word(p, src, 0, up, 64);
	if (unlikely(p->target_words > 1))
		notify_wide(p, src, up);
}

/*
 * Kicks the vCPUs whose level may change with the source's: up, it became
 * pending or its priority rose; down, it was claimed or its priority fell.
 */
static inline __attribute__((always_inline)) bool
notify_one(struct plic_source *s, bool up)
{
	struct plic_context *c;

	/*
	 * (C) pairs with (E) in plic_core_eval, and with (C) of a register's
	 * writer that looks at PENDING after it, as this looks at what that
	 * wrote.
	 */
	ck_pr_fence_memory();
	c = ck_pr_load_ptr(&s->target);
	if (unlikely(!c))
		return false;
	if (concerned(c, s, up)) /* the usual case: no loop, no frame */
		virq_raise(c->vcpu, VIRQ_EXTERNAL);
	return true;
}

static inline __attribute__((always_inline)) void notify(struct plic *p,
							  u64 src, bool up)
{
	if (!notify_one(&p->source[src], up))
		notify_many(p, src, up);
}

__attribute__((noinline)) void plic_core_notify_up(struct plic *p, u64 src)
{
	notify(p, src, true);
}

__attribute__((noinline)) void plic_core_notify_down(struct plic *p, u64 src)
{
	notify(p, src, false);
}

/* The line goes up, whatever state its source is in. */
static __attribute__((noinline)) void line_up(struct plic_line *l)
{
	u64 busy = l->up << PLIC_NEXT_SHIFT;
	u64 old = ck_pr_load_64(l->group), new;

	do {
		new = old | (l->up & PLIC_GROUP_MASK);
		if (!(old & busy))
			new = old | l->up;
	} while (!ck_pr_cas_64_value(l->group, old, new, &old));
	if (!(old & busy))
		notify(l->plic, l->number, true);
}

void plic_core_set(struct emul_line *line, bool level)
{
	struct plic_line *l = container_of(line, struct plic_line, line);
	u64 *word = l->group, old;

	/* Down is an AND, which tells nobody: a request can't be retracted. */
	if (!level) {
		ck_pr_and_64(word, ~(l->up & PLIC_GROUP_MASK));
		return;
	}
	/* Mostly it is neither pending nor in flight, and nobody disturbs. */
	old = ck_pr_load_64(word);
	if (likely(!(old & l->up << PLIC_NEXT_SHIFT) &&
		   ck_pr_cas_64(word, old, old | l->up))) {
		if (!notify_one(l->source, true))
			notify_many(l->plic, l->number, true);
	} else {
		line_up(l);
	}
}

/* PENDING -> INFLIGHT; false if somebody else was faster. */
static bool source_take(struct plic *p, u32 src)
{
	u64 bit = 1ull << src % PLIC_GROUP_SOURCES;
	u64 *word = &p->group[src / PLIC_GROUP_SOURCES];
	u64 old = ck_pr_load_64(word);

	while (old & bit << PLIC_PENDING_SHIFT) {
		u64 new = (old & ~(bit << PLIC_PENDING_SHIFT)) |
			  bit << PLIC_INFLIGHT_SHIFT;

		if (ck_pr_cas_64_value(word, old, new, &old))
			return true;
	}
	return false;
}

/* A lost race means that another claim took the source: then look again. */
u32 plic_core_claim(struct plic *p, u64 ctx)
{
	u32 src;

	do {
		src = best_source(p, &p->context[ctx]);
		if (!src)
			return 0;
	} while (!source_take(p, src));
	plic_core_notify_down(p, src);
	return src;
}

void plic_core_complete(struct plic *p, u64 ctx, u32 src)
{
	u64 bit = 1ull << src % PLIC_GROUP_SOURCES;
	u64 *word, old, new;

	if (!src || src >= PLIC_SOURCES ||
	    !(ck_pr_load_32(&p->context[ctx].enable[src / 32]) >> src % 32 & 1))
		return;
	word = &p->group[src / PLIC_GROUP_SOURCES];
	old = ck_pr_load_64(word);
	do {
		if (!(old & bit << PLIC_INFLIGHT_SHIFT))
			return;
		new = old & ~(bit << PLIC_INFLIGHT_SHIFT);
		if (old & bit << PLIC_LEVEL_SHIFT)
			new |= bit << PLIC_PENDING_SHIFT;
	} while (!ck_pr_cas_64_value(word, old, new, &old));
	if (new & bit << PLIC_PENDING_SHIFT)
		plic_core_notify_up(p, src);
}
