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
 * them with VIRQ_EXTERNAL; each vCPU's own CPU computes its level when it enters
 * (plic_core_eval). `eip` says what it found, so that nobody is kicked for what
 * doesn't change his level:
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

/* HIGH is told by its sign alone: that a line goes up is looked at most. */
#define EIP_LOW 0u
#define EIP_LOOKING 1u
#define EIP_HIGH UINT32_MAX

static inline bool eip_is_high(u32 eip)
{
	return (s32)eip < 0;
}

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

static bool any_asserts(struct plic *p, struct plic_context *c, u64 threshold)
{
	u64 wired = p->wired;

	for (u64 g = 0; next_wired(&wired, &g); g++, wired >>= 1) {
		if (group_asserts(p, c, g, threshold))
			return true;
	}
	return false;
}

bool plic_core_eval(struct emul_pin *pin)
{
	struct plic_context *c = container_of(pin, struct plic_context, pin);
	struct plic *p = c->plic;
	u64 threshold;
	bool high;

	ck_pr_store_32(&c->eip, EIP_LOOKING);
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
	ck_pr_store_32(&c->eip, high ? EIP_HIGH : EIP_LOW);
	return high;
}

/* May the context's level change, now that the source went up or down? */
static inline bool concerned(struct plic_context *c, struct plic_source *s,
			     bool up)
{
	u32 eip = ck_pr_load_32(&c->eip);

	if (!up)
		return eip != EIP_LOW;
	return !eip_is_high(eip) &&
	       ck_pr_load_64(&s->priority) > ck_pr_load_64(&c->threshold);
}

/* The same as notify, for any number of targets. */
static __attribute__((noinline)) void notify_many(struct plic *p, u64 src,
						  bool up)
{
	u64 *targets = &p->targets[src * p->target_words];

	for (u32 w = 0; w < p->target_words; w++) {
		u64 set = ck_pr_load_64(&targets[w]);

		for (; set; set &= set - 1) {
			u64 id = w * 64 + bit_lowest(set);
			struct plic_context *c = &p->context[2 * id + 1];

			if (concerned(c, &p->source[src], up))
				virq_raise(c->vcpu, VIRQ_EXTERNAL);
		}
	}
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
	struct plic_context *c = &p->context[ctx];
	u32 eip = ck_pr_load_32(&c->eip);

	if (ctx % 2 && ((up && !eip_is_high(eip)) || (down && eip != EIP_LOW)))
		virq_raise(c->vcpu, VIRQ_EXTERNAL);
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

/* Makes `above` say what that priority is. */
static void above_set(struct plic *p, u32 src, u32 priority)
{
	u32 *above = p->above[src / 32], bit = 1u << src % 32;

	for (u32 threshold = 0; threshold < PLIC_PRIORITIES; threshold++) {
		if (priority > threshold)
			ck_pr_or_32(&above[threshold], bit);
		else
			ck_pr_and_32(&above[threshold], ~bit);
	}
}

/*
 * Two may write the same priority at once, and the slower one's bits of `above`
 * may be those of the older value. So each looks again after its last bit: the
 * last one of all finds what it has written, whoever finds something else
 * writes that. It can't say then in which direction the bits went, and kicks
 * for both.
 */
void plic_core_priority(struct plic *p, u32 src, u32 priority)
{
	u64 *word = &p->source[src].priority;
	u64 old, now = priority;
	bool met = false;

	if (!src)
		return;
	old = ck_pr_fas_64(word, priority);
	if (old == priority)
		return;
	for (;;) {
		above_set(p, src, now);
		/* (C) pairs with (E) in plic_core_eval; with (C) in notify, as
		 * a line goes up meanwhile; and with itself in the other. */
		ck_pr_fence_memory();
		if (likely(ck_pr_load_64(word) == now))
			break;
		now = ck_pr_load_64(word);
		met = true;
	}
	if (!(plic_pending_word(p, src / 32) >> src % 32 & 1))
		return;
	if (met || priority > old)
		notify_up(p, src);
	if (met || priority < old)
		notify_down(p, src);
}

void plic_core_threshold(struct plic *p, u32 ctx, u32 threshold)
{
	u64 old = ck_pr_fas_64(&p->context[ctx].threshold, threshold);

	/* (C) pairs with (E) in plic_core_eval and (C) in notify. */
	ck_pr_fence_memory();
	kick(p, ctx, threshold < old, threshold > old);
}

/* Says which vCPU is a source's only target, if one is. */
static void target_update_locked(struct plic *p, u64 src)
{
	struct plic_context *target = NULL;
	u32 found = 0;

	for (u32 w = 0; w < p->target_words; w++) {
		u64 set = ck_pr_load_64(
			&p->targets[src * p->target_words + w]);

		if (!set)
			continue;
		found += set & (set - 1) ? 2 : 1;
		target = &p->context[2 * (w * 64 + bit_lowest(set)) + 1];
	}
	/* NULL finds another number in a set that is about to change: no
	 * harm. */
	ck_pr_store_ptr(&p->source[src].target, found == 1 ? target : NULL);
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

static void line_init(struct plic *p, struct plic_line *l, u32 number)
{
	u64 bit = 1ull << number % PLIC_GROUP_SOURCES;

	l->line.set = plic_core_set;
	l->group = &p->group[number / PLIC_GROUP_SOURCES];
	l->up = bit << PLIC_LEVEL_SHIFT | bit << PLIC_PENDING_SHIFT;
	l->source = &p->source[number];
	l->plic = p;
	l->number = number;
	p->wired |= 1ull << number / PLIC_GROUP_SOURCES;
}

static void context_init(struct plic *p, u32 ctx)
{
	struct plic_context *c = &p->context[ctx];

	c->pin.eval = plic_core_eval;
	c->plic = p;
	c->vcpu = p->guest->vcpu[ctx / 2];
}

int plic_core_init(struct plic *p, struct guest *g, u32 vcpus)
{
	ck_spinlock_init(&p->enable_lock);
	p->guest = g;
	p->contexts = 2 * vcpus;
	p->target_words = (vcpus + 63) / 64;
	p->context = obj_alloc(p->contexts * sizeof(*p->context));
	p->targets = obj_alloc(PLIC_SOURCES * p->target_words * sizeof(u64));
	p->line = obj_alloc(g->device_count * sizeof(*p->line));
	if (!p->context || !p->targets || !p->line) {
		plic_core_fini(p);
		return -ENOMEM;
	}
	for (u32 i = 0; i < g->device_count; i++)
		line_init(p, &p->line[i], g->devices[i].irq);
	for (u32 ctx = 0; ctx < p->contexts; ctx++)
		context_init(p, ctx);
	return 0;
}

void plic_core_fini(struct plic *p)
{
	obj_free(p->line);
	obj_free(p->targets);
	obj_free(p->context);
}

struct emul_line *plic_core_line(struct plic *p, const struct emul_dev *of)
{
	return &p->line[of - p->guest->devices].line;
}

struct emul_pin *plic_core_pin(struct plic *p, const struct vcpu *v)
{
	return &p->context[2ull * v->id + 1].pin;
}

static void context_reset(struct plic_context *c)
{
	ck_pr_store_64(&c->threshold, 0);
	ck_pr_store_32(&c->eip, EIP_LOW);
	memset(c->enable, 0, sizeof(c->enable));
}

void plic_core_reset(struct plic *p)
{
	for (u32 ctx = 0; ctx < p->contexts; ctx++)
		context_reset(&p->context[ctx]);
	memset(p->targets, 0, PLIC_SOURCES * p->target_words * sizeof(u64));
	memset(p->above, 0, sizeof(p->above));
	for (u32 src = 0; src < PLIC_SOURCES; src++) {
		ck_pr_store_64(&p->source[src].priority, 0);
		ck_pr_store_ptr(&p->source[src].target, NULL);
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
