/*
 * The virtual PLIC's other half: how it is made and reset, and what a driver
 * sets once and then leaves, which are priorities, thresholds and enables. The
 * algorithm, and the fences (C) and (E), are told in plic_core.c.
 *
 * Problem. What is looked at whenever a line goes up is kept turned round
 * (`above`, `targets`, a source's one `target`), and must follow the registers,
 * which any vCPU may write at any moment.
 *
 * Algorithm. No locks, or a CPU would wait in an exit for as many as there are.
 * Who writes a priority looks again after its last bit. Who writes an enable
 * swaps the word, so that he knows what he has changed, and turns over the bits
 * of just that in the sets: in any order of several writers each bit is in the
 * end what its enable is. A source's one target is found in its set, stored,
 * and looked at again: if somebody has changed the set meanwhile, whoever
 * raised the source may have found what he had stored, and have told the wrong
 * one. Then all are looked at by the guest's task (plic_tell.c).
 *
 *     who writes enables               the same, another
 *     swap enable; full fence
 *     turn bits of sets; full fence    the same
 *     find target, store it
 *     full fence
 *     find it again: another? Store    the same
 *     that; all are to be looked at
 *
 * Of all who store a target the last one has looked after that: whatever he
 * has not seen in the set is turned by somebody who stores one later. And of
 * all who turn a bit the last one finds the enable as it stays, since the
 * others swapped before they turned: so he kicks for what is so, whichever
 * value was his.
 *
 * Rejected: a fair lock, or one held for less (what one waits for still grows
 * with the harts); a number of targets beside the sum of their numbers, each
 * changed by one addition (two who write the same enable may add in the other
 * order, and for a moment that is a vCPU that doesn't exist).
 */
#include "emul/plic_core.h"

#include <string.h>

#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

/* Others that change a source's set may be met so often. */
#define TARGET_TRIES 4

void plic_core_kick(struct plic *p, u32 ctx, bool up, bool down)
{
	struct plic_context *c = &p->context[ctx];
	u32 eip = ck_pr_load_32(&c->eip);

	if (ctx % 2 && ((up && !plic_eip_is_high(eip)) ||
			(down && eip != PLIC_EIP_LOW)))
		virq_raise(c->vcpu, VIRQ_EXTERNAL);
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
		plic_core_notify_up(p, src);
	if (met || priority < old)
		plic_core_notify_down(p, src);
}

void plic_core_threshold(struct plic *p, u32 ctx, u32 threshold)
{
	u64 old = ck_pr_fas_64(&p->context[ctx].threshold, threshold);

	/* (C) pairs with (E) in plic_core_eval and (C) in notify. */
	ck_pr_fence_memory();
	plic_core_kick(p, ctx, threshold < old, threshold > old);
}

/* A source's only target, or NULL: there are none, or several. */
static struct plic_context *target_find(struct plic *p, u64 src)
{
	const u64 *targets = &p->targets[src * p->target_words];
	struct plic_context *target = NULL;

	for (u32 w = 0; w < p->target_words; w++) {
		u64 set = ck_pr_load_64(&targets[w]);

		if (!set)
			continue;
		if (target || (set & (set - 1)))
			return NULL;
		target = &p->context[2 * (w * 64 + bit_lowest(set)) + 1];
	}
	return target;
}

/* The set has changed. Says who is the only target now; true: for a moment it
 * may have said what was so before. */
static bool target_update(struct plic *p, u64 src)
{
	struct plic_context *target = target_find(p, src), *now;

	for (u32 tries = 0; tries < TARGET_TRIES; tries++) {
		ck_pr_store_ptr(&p->source[src].target, target);
		ck_pr_fence_memory();
		now = target_find(p, src);
		if (likely(now == target))
			return tries;
		target = now;
	}
	/* Who finds NULL looks at the set: that is always right. */
	ck_pr_store_ptr(&p->source[src].target, NULL);
	return true;
}

/* Turns over vCPU `id` in the targets of sources 32w plus each bit. As
 * target_update, of any of them. */
static bool targets_turn(struct plic *p, u32 id, u32 w, u32 bits)
{
	u64 mine = 1ull << id % 64;
	bool stale = false;

	for (u32 rest = bits; rest; rest &= rest - 1) {
		u64 src = w * 32 + bit_lowest(rest);

		ck_pr_xor_64(&p->targets[src * p->target_words + id / 64],
			     mine);
	}
	/* Pairs with the other writer's behind its store of a target. */
	ck_pr_fence_memory();
	for (; bits; bits &= bits - 1)
		stale |= target_update(p, w * 32 + bit_lowest(bits));
	return stale;
}

void plic_core_enable(struct plic *p, u32 ctx, u32 w, u32 val)
{
	u32 *enable = &p->context[ctx].enable[w], changed, now;
	bool stale = false;

	if (!w)
		val &= ~1u;
	changed = ck_pr_fas_32(enable, val) ^ val;
	if (!changed)
		return;
	/* Of several who write this word, all have by the time that the last
	 * bit is turned. */
	ck_pr_fence_memory();
	if (ctx % 2)
		stale = targets_turn(p, ctx / 2, w, changed);

	/* (C) pairs with (E) in plic_core_eval and (C) in notify. */
	ck_pr_fence_memory();
	now = ck_pr_load_32(enable);
	/*
	 * For less without a look at PENDING: who claims such a source just now
	 * no longer finds us in `targets`, so it is for us to kick.
	 */
	plic_core_kick(p, ctx, changed & now & plic_pending_word(p, w),
		       changed & ~now);
	if (unlikely(stale))
		plic_core_tell_rest(p);
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
	ck_pr_store_32(&c->eip, PLIC_EIP_LOW);
	/* In line: a large guest has a thousand contexts. */
#pragma GCC unroll 16
	for (u32 i = 0; i < ARRAY_LEN(c->enables); i++)
		c->enables[i] = 0;
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
	ck_pr_store_64(&p->untold, 0);
	/* Pairs with (C) of a line that goes up: it finds no targets now. */
	ck_pr_fence_memory();
}
