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
 * nothing but a line can make a source pending.
 *
 * Nobody computes another vCPU's level. Who changes something looks for S-mode
 * contexts that it may concern (`targets`, the enables turned round: a set of
 * vCPUs for each source) and kicks them with VIRQ_EXTERNAL; each vCPU's own CPU
 * computes its level when it enters (plic_core_eval). `eip` says what it found,
 * so that nobody is kicked for what doesn't change his level:
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

#include <string.h>

#include "emul/emul.h"
#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

enum {
	EIP_LOW,
	EIP_HIGH,
	EIP_LOOKING,
};

/* Which of group g's sources a context enables. */
static inline u32 group_enabled(struct plic_context *c, u64 g)
{
	return ck_pr_load_32(&c->enable[g / 2]) >> (g % 2 * 16);
}

/*
 * The context's pending and enabled source of the highest priority above
 * `floor`, the lowest number among equals; 0: none. With `any`: any such.
 */
static inline __attribute__((always_inline)) u32
best_source(struct plic *p, struct plic_context *c, u32 floor, bool any)
{
	u64 wired = p->wired;
	u32 best = 0;

	for (u64 g = 0; wired; g++, wired >>= 1) {
		u64 cand;

		/* Most guests have all of their lines in the first group. */
		if (unlikely(!(wired & 1))) {
			g += bit_lowest(wired);
			wired >>= bit_lowest(wired);
		}
		cand = plic_group_pending(p, g) & group_enabled(c, g);
		for (; cand; cand &= cand - 1) {
			u64 src = g * PLIC_GROUP_SOURCES + bit_lowest(cand);
			u32 priority = ck_pr_load_32(&p->source[src].priority);

			if (priority <= floor)
				continue;
			best = src;
			floor = priority;
			if (any)
				return best;
		}
	}
	return best;
}

/* Is any of the first group above `floor`? Most guests have but these. */
static inline bool first_group_above(struct plic *p, struct plic_context *c,
				     u32 floor)
{
	u64 cand = plic_group_pending(p, 0) & group_enabled(c, 0);

	for (; cand; cand &= cand - 1) {
		u64 src = bit_lowest(cand);

		if (likely(ck_pr_load_32(&p->source[src].priority) > floor))
			return true;
	}
	return false;
}

bool plic_core_eval(struct plic *p, const struct vcpu *v)
{
	struct plic_context *c = &p->context[2ull * v->id + 1];
	bool high;

	ck_pr_store_32(&c->eip, EIP_LOOKING);
	/*
	 * (E) pairs with (C) in notify and kick: the head of this file. It also
	 * orders the caller's swap of `virq` before the scan; its partner there
	 * is again (C), which stands between a change and its virq_raise.
	 */
	ck_pr_fence_memory();
	if (likely(p->wired == 1))
		high = first_group_above(p, c, ck_pr_load_32(&c->threshold));
	else
		high = best_source(p, c, ck_pr_load_32(&c->threshold), true) !=
		       0;
	/* No fence after it: LOOKING seen for longer costs a kick at most. */
	ck_pr_store_32(&c->eip, high ? EIP_HIGH : EIP_LOW);
	return high;
}

/* May the level of vCPU `id` change, now that the source went up or down? */
static inline bool concerned(struct plic *p, u64 id, u64 src, bool up)
{
	struct plic_context *c = &p->context[2 * id + 1];
	u32 *priority = &p->source[src].priority;
	u32 eip = ck_pr_load_32(&c->eip);

	if (!up)
		return eip != EIP_LOW;
	return eip != EIP_HIGH &&
	       ck_pr_load_32(priority) > ck_pr_load_32(&c->threshold);
}

/* The same as notify, for more than one target. */
static void notify_many(struct plic *p, u64 src, bool up)
{
	u64 *targets = &p->targets[src * p->target_words];

	for (u32 w = 0; w < p->target_words; w++) {
		u64 set = ck_pr_load_64(&targets[w]);

		for (; set; set &= set - 1) {
			u64 id = w * 64 + bit_lowest(set);

			if (concerned(p, id, src, up))
				virq_raise(p->guest->vcpu[id], VIRQ_EXTERNAL);
		}
	}
}

/*
 * Kicks the vCPUs whose level may change with the source's: up, it became
 * pending or its priority rose; down, it was claimed or its priority fell.
 */
static inline void notify(struct plic *p, u64 src, bool up)
{
	s64 id;

	/*
	 * (C) pairs with (E) in plic_core_eval, and with (C) of a register's
	 * writer that looks at PENDING after it, as this looks at what that
	 * wrote.
	 */
	ck_pr_fence_memory();
	id = (s32)ck_pr_load_32(&p->source[src].target);
	if (likely(id >= 0)) {
		/* The usual case, one target, needs no loop and no frame. */
		if (concerned(p, id, src, up))
			virq_raise(p->guest->vcpu[id], VIRQ_EXTERNAL);
	} else if (id == PLIC_TARGET_MANY) {
		notify_many(p, src, up);
	}
}

static __attribute__((noinline)) void notify_up(struct plic *p, u64 src)
{
	notify(p, src, true);
}

static __attribute__((noinline)) void notify_down(struct plic *p, u64 src)
{
	notify(p, src, false);
}

/*
 * Kicks context `ctx` after a change of its own and a full fence (C): its level
 * may have risen, or fallen.
 * M-mode has nobody.
 */
static void kick(struct plic *p, u32 ctx, bool up, bool down)
{
	u32 eip = ck_pr_load_32(&p->context[ctx].eip);

	if (ctx % 2 && ((up && eip != EIP_HIGH) || (down && eip != EIP_LOW)))
		virq_raise(p->guest->vcpu[ctx / 2], VIRQ_EXTERNAL);
}

void plic_core_set(struct plic *p, u64 src, bool level)
{
	u64 bit = 1ull << src % PLIC_GROUP_SOURCES;
	u64 busy = bit << PLIC_PENDING_SHIFT | bit << PLIC_INFLIGHT_SHIFT;
	u64 *word = &p->group[src / PLIC_GROUP_SOURCES];
	u64 old, new;

	/* Down is an AND, which tells nobody: a request can't be retracted. */
	if (!level) {
		ck_pr_and_64(word, ~(bit << PLIC_LEVEL_SHIFT));
		return;
	}
	old = ck_pr_load_64(word);
	do {
		new = old | bit << PLIC_LEVEL_SHIFT;
		if (!(old & busy))
			new |= bit << PLIC_PENDING_SHIFT;
		if (new == old)
			return;
	} while (!ck_pr_cas_64_value(word, old, new, &old));
	if (!(old & busy))
		notify(p, src, true);
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
		src = best_source(p, &p->context[ctx], 0, false);
		if (!src)
			return 0;
	} while (!source_take(p, src));
	notify_down(p, src);
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
		notify_up(p, src);
}

void plic_core_priority(struct plic *p, u32 src, u32 priority)
{
	u32 old;

	if (!src)
		return;
	old = ck_pr_fas_32(&p->source[src].priority, priority);
	if (old == priority)
		return;
	/* (C) pairs with (C) in notify: a line goes up meanwhile. */
	ck_pr_fence_memory();
	if (!(plic_pending_word(p, src / 32) >> src % 32 & 1))
		return;
	if (priority > old)
		notify_up(p, src);
	else
		notify_down(p, src);
}

void plic_core_threshold(struct plic *p, u32 ctx, u32 threshold)
{
	u32 old = ck_pr_fas_32(&p->context[ctx].threshold, threshold);

	/* (C) pairs with (E) in plic_core_eval and (C) in notify. */
	ck_pr_fence_memory();
	kick(p, ctx, threshold < old, threshold > old);
}

/* Says in short which vCPUs are a source's targets: none, one or many. */
static void target_update_locked(struct plic *p, u64 src)
{
	s32 target = PLIC_TARGET_NONE;

	for (u32 w = 0; w < p->target_words; w++) {
		u64 set = ck_pr_load_64(
			&p->targets[src * p->target_words + w]);

		if (!set)
			continue;
		if (target != PLIC_TARGET_NONE || (set & (set - 1)))
			target = PLIC_TARGET_MANY;
		else
			target = w * 64 + bit_lowest(set);
	}
	/* MANY finds fewer in a set that is about to change: no harm. */
	ck_pr_store_32(&p->source[src].target, (u32)target);
}

/* Adds vCPU `id` to, or takes it from, the targets of 32w plus each bit. */
static void targets_change_locked(struct plic *p, u32 id, u32 w, u32 bits,
				  u32 val)
{
	u64 mine = 1ull << id % 64;

	for (; bits; bits &= bits - 1) {
		u64 n = bit_lowest(bits), src = w * 32 + n;
		u64 *set = &p->targets[src * p->target_words + id / 64];
		u64 old = ck_pr_load_64(set);

		ck_pr_store_64(set, val >> n & 1 ? old | mine : old & ~mine);
		target_update_locked(p, src);
	}
}

void plic_core_enable(struct plic *p, u32 ctx, u32 w, u32 val)
{
	u32 *enable = &p->context[ctx].enable[w];
	u32 changed;

	if (!w)
		val &= ~1u;
	ck_spinlock_lock(&p->enable_lock);
	changed = ck_pr_load_32(enable) ^ val;
	ck_pr_store_32(enable, val);
	if (ctx % 2)
		targets_change_locked(p, ctx / 2, w, changed, val);
	ck_spinlock_unlock(&p->enable_lock);

	/* (C) pairs with (E) in plic_core_eval and (C) in notify. */
	ck_pr_fence_memory();
	/*
	 * For less without a look at PENDING: who claims such a source just now
	 * no longer finds us in `targets`, so it is for us to kick.
	 */
	kick(p, ctx, changed & val & plic_pending_word(p, w), changed & ~val);
}

int plic_core_init(struct plic *p, struct guest *g, u32 vcpus)
{
	ck_spinlock_init(&p->enable_lock);
	p->guest = g;
	p->contexts = 2 * vcpus;
	p->target_words = (vcpus + 63) / 64;
	for (u32 i = 0; i < g->device_count; i++)
		p->wired |= 1ull << g->devices[i].irq / PLIC_GROUP_SOURCES;
	p->context = obj_alloc(p->contexts * sizeof(*p->context));
	if (!p->context)
		return -ENOMEM;
	p->targets = obj_alloc(PLIC_SOURCES * p->target_words * sizeof(u64));
	if (!p->targets) {
		obj_free(p->context);
		return -ENOMEM;
	}
	return 0;
}

void plic_core_fini(struct plic *p)
{
	obj_free(p->targets);
	obj_free(p->context);
}

void plic_core_reset(struct plic *p)
{
	memset(p->context, 0, p->contexts * sizeof(*p->context));
	memset(p->targets, 0, PLIC_SOURCES * p->target_words * sizeof(u64));
	for (u32 src = 0; src < PLIC_SOURCES; src++) {
		ck_pr_store_32(&p->source[src].priority, 0);
		ck_pr_store_32(&p->source[src].target, (u32)PLIC_TARGET_NONE);
	}
	for (u32 g = 0; g < PLIC_GROUPS; g++) {
		u64 old = ck_pr_load_64(&p->group[g]), new;

		do {
			new = old & PLIC_GROUP_MASK << PLIC_LEVEL_SHIFT;
			new |= new << PLIC_PENDING_SHIFT;
		} while (!ck_pr_cas_64_value(&p->group[g], old, new, &old));
	}
	/* Pairs with (C) of a line that goes up: it finds no targets now. */
	ck_pr_fence_memory();
}
