/*
 * The virtual PLIC's other half: how it is made and reset, and what a driver
 * sets once and then leaves, which are priorities, thresholds and enables. The
 * algorithm, and the fences (C) and (E), are told in plic_core.c.
 *
 * Problem. What is looked at whenever a line goes up is kept turned round
 * (`above`, `targets`, a source's one `target`), and must follow the registers,
 * which any vCPU may write at any moment.
 *
 * Algorithm. `above` has no lock: who writes a priority looks again after its
 * last bit. Enables have one, since each changes sets of several words; nobody
 * who raises or claims takes it.
 */
#include "emul/plic_core.h"

#include <string.h>

#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

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
	plic_core_kick(p, ctx, changed & val & plic_pending_word(p, w),
		       changed & ~val);
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
