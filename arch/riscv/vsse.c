/*
 * Software events: who is told, what the hart goes through, and how harts share
 * those that are global.
 *
 * The problem: an event is signalled by any hart and delivered on another,
 * above all interrupts, and a global one has a single state that all harts of
 * the guest read and change, with ten words of attributes. No CPU may wait for
 * another's, and who uses none of this must not notice that it exists.
 *
 * A local event belongs to its vCPU's CPU, but for its bit in `pending`. The
 * owner publishes in `ready` what it would deliver; then
 *
 *   who signals                  owner
 *   RMW pending |= bit           W ready (enabled, unmasked, handler done)
 *   full (a)                     full (b)
 *   R ready: bit? raise          R pending: bit? raise at itself
 *
 * One of them sees the other. So an event for a hart that has masked it, or has
 * not enabled it, waits without waking anyone, and a hart that takes it is told
 * once. Telling is virq_raise: a hart that sleeps wakes, and the event is
 * delivered where all that is raised is looked at, on the way into the guest.
 *
 * Global events are touched by who has `busy`, which is set by a swap and held
 * for some ten accesses. Who finds it set does not wait: a call is made again
 * (the hart executes its ECALL once more), and a delivery is left out, since
 * who gives `busy` back looks at all that is pending and tells its hart:
 *
 *   who signals                  who had busy
 *   RMW pending |= bit           W enabled; release; W busy = 0
 *   full (a)                     full (c)
 *   R enabled: bit? tell         R pending, enabled: tell
 *
 * A global event goes to the hart that is preferred, if it takes events; else
 * to the first that does. A hart that stops taking events (vsse_mask,
 * vsse_stop) looks whose turn it is after it has said so (b), and one that
 * begins looks whether it is its own. If none takes any, the event pends.
 *
 * Which events a hart handles is a set: each was more urgent than those before,
 * and priorities don't change while an event is enabled. So the most urgent of
 * the set is the innermost, and a completion is its.
 *
 * A hart that stops while it handles a global event has completed it: else
 * nobody ever could, and the event would be lost to the guest.
 *
 * Rejected: a lock (on the way into the guest); handing a global event to a
 * hart by a message (a hart that masks events would have to give it back).
 */
#include "arch/riscv/vsse.h"

#include <ck_pr.h>
#include <string.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vhw.h"
#include "kernel/virq.h"

/* Bits of INTERRUPTED_FLAGS. */
#define FLAG_SPP  (1u << 0)
#define FLAG_SPIE (1u << 1)

static inline struct vsse_shared *shared(const struct riscv_vcpu *v)
{
	return &v->v.guest->arch->sse;
}

static struct vsse_event *event_of(struct riscv_vcpu *v, u32 i)
{
	return vsse_global(i) ? &shared(v)->event[i / 2] : &v->sse.local[i / 2];
}

/* ---- Whose turn a global event is ---- */

static inline bool takes_events(struct vcpu *t)
{
	return ck_pr_load_32(&to_riscv(t)->sse.ready) & VSSE_UNMASKED;
}

/* The hart for global event `i`, or NULL. Only a hint may be out of date here:
 * whoever changes it looks again. */
static struct vcpu *hart_for(const struct guest *g, u32 i)
{
	u32 hart = ck_pr_load_32(&g->arch->sse.event[i / 2].hart);

	if (takes_events(g->vcpu[hart]))
		return g->vcpu[hart];
	for (hart = 0; hart < g->cfg.vcpus; hart++)
		if (takes_events(g->vcpu[hart]))
			return g->vcpu[hart];
	return NULL;
}

static u32 globals_due(const struct riscv_vcpu *v)
{
	const struct vsse_shared *s = shared(v);

	return ck_pr_load_32(&s->pending) & ck_pr_load_32(&s->enabled);
}

/* Tells the harts whose turn it is; not `but`, which looks by itself. */
static void globals_tell(const struct riscv_vcpu *v, const struct vcpu *but)
{
	for (u32 due = globals_due(v); due; due &= due - 1) {
		struct vcpu *t = hart_for(v->v.guest, (u32)__builtin_ctz(due));

		if (t && t != but)
			virq_raise(t, VIRQ_SSE);
	}
}

/* ---- Taking and giving back ---- */

static bool shared_take(struct riscv_vcpu *v)
{
	if (ck_pr_fas_32(&shared(v)->busy, 1))
		return false;
	/* The events as who had them last has left them: pairs with put. */
	ck_pr_fence_acquire();
	return true;
}

static void shared_put(struct riscv_vcpu *v, const struct vcpu *but)
{
	ck_pr_fence_release();
	ck_pr_store_32(&shared(v)->busy, 0);
	/* (c): who was sent away meanwhile has signalled before. */
	ck_pr_fence_memory();
	globals_tell(v, but);
}

struct vsse_event *vsse_take(struct riscv_vcpu *v, u32 i)
{
	if (vsse_global(i) && !shared_take(v))
		return NULL;
	return event_of(v, i);
}

/* Is there something that `v` could take, as far as it has said so? */
static void sse_look(struct riscv_vcpu *v)
{
	/* (b) */
	ck_pr_fence_memory();
	if ((ck_pr_load_32(&v->sse.pending) & v->sse.ready) ||
	    (takes_events(&v->v) && globals_due(v)))
		virq_raise(&v->v, VIRQ_SSE);
}

void vsse_put(struct riscv_vcpu *v, u32 i)
{
	if (vsse_global(i))
		shared_put(v, NULL);
	else
		sse_look(v);
}

void vsse_state_set(struct riscv_vcpu *v, u32 i, enum vsse_state state)
{
	u32 *published = vsse_global(i) ? &shared(v)->enabled : &v->sse.ready;
	u32 bits = *published & ~(1u << i);

	event_of(v, i)->state = state;
	if (state == VSSE_ENABLED && (vsse_global(i) || takes_events(&v->v)))
		bits |= 1u << i;
	ck_pr_store_32(published, bits);
}

bool vsse_pending(const struct riscv_vcpu *v, u32 i)
{
	const u32 *pending =
		vsse_global(i) ? &shared(v)->pending : &v->sse.pending;

	return ck_pr_load_32(pending) >> i & 1;
}

void vsse_signal(struct riscv_vcpu *t, u32 i)
{
	if (vsse_global(i)) {
		ck_pr_or_32(&shared(t)->pending, 1u << i);
		/* (a) */
		ck_pr_fence_memory();
		globals_tell(t, NULL);
		return;
	}
	ck_pr_or_32(&t->sse.pending, 1u << i);
	/* (a) */
	ck_pr_fence_memory();
	if (ck_pr_load_32(&t->sse.ready) >> i & 1)
		virq_raise(&t->v, VIRQ_SSE);
}

void vsse_unmask(struct riscv_vcpu *v)
{
	u32 ready = VSSE_UNMASKED;

	for (u32 i = 0; i < VSSE_EVENTS; i++)
		if (!vsse_global(i) && event_of(v, i)->state == VSSE_ENABLED)
			ready |= 1u << i;
	ck_pr_store_32(&v->sse.ready, ready);
	sse_look(v);
}

void vsse_mask(struct riscv_vcpu *v)
{
	ck_pr_store_32(&v->sse.ready, 0);
	/* (b): what was this hart's may be another's now. */
	ck_pr_fence_memory();
	globals_tell(v, NULL);
}

/* ---- The hart ---- */

/* The most urgent event of a set: the first of those with the lowest number. */
static u32 most_urgent(struct riscv_vcpu *v, u32 set)
{
	u32 best = (u32)__builtin_ctz(set);

	for (set &= set - 1; set; set &= set - 1) {
		u32 i = (u32)__builtin_ctz(set);

		if (event_of(v, i)->priority < event_of(v, best)->priority)
			best = i;
	}
	return best;
}

/* Section 17.5. */
static void hart_enter(struct riscv_vcpu *v, struct vsse_event *e)
{
	u64 vs = vhw_vsstatus();

	e->flags = (vs & SSTATUS_SPP ? FLAG_SPP : 0) |
		   (vs & SSTATUS_SPIE ? FLAG_SPIE : 0);
	e->sepc = vhw_vsepc();
	e->a6 = reg_get(v, REG_A6);
	e->a7 = reg_get(v, REG_A7);
	vs &= ~(SSTATUS_SPP | SSTATUS_SPIE);
	vs |= vhw_vs_mode() ? SSTATUS_SPP : 0;
	vs |= vs & SSTATUS_SIE ? SSTATUS_SPIE : 0;
	vhw_vsstatus_set(vs & ~SSTATUS_SIE);
	vhw_vsepc_set(vhw_sepc());
	vhw_sepc_set(e->entry_pc);
	vhw_vs_mode_set(true);
	reg_set(v, REG_A6, v->v.id);
	reg_set(v, REG_A7, e->entry_arg);
}

/* Section 17.6. */
static void hart_leave(struct riscv_vcpu *v, const struct vsse_event *e)
{
	u64 vs = vhw_vsstatus();

	vhw_sepc_set(vhw_vsepc());
	vhw_vs_mode_set(vs & SSTATUS_SPP);
	vs &= ~SSTATUS_SIE;
	vs |= vs & SSTATUS_SPIE ? SSTATUS_SIE : 0;
	vs &= ~(SSTATUS_SPP | SSTATUS_SPIE);
	vs |= e->flags & FLAG_SPIE ? SSTATUS_SPIE : 0;
	vs |= e->flags & FLAG_SPP ? SSTATUS_SPP : 0;
	vhw_vsstatus_set(vs);
	vhw_vsepc_set(e->sepc);
	reg_set(v, REG_A6, e->a6);
	reg_set(v, REG_A7, e->a7);
}

/* Global events that are due and are this hart's. Only with `busy`. */
static u32 globals_mine(const struct riscv_vcpu *v)
{
	u32 mine = 0;

	for (u32 due = globals_due(v); due; due &= due - 1)
		if (hart_for(v->v.guest, (u32)__builtin_ctz(due)) == &v->v)
			mine |= due & -due;
	return mine;
}

static void begin(struct riscv_vcpu *v, u32 i)
{
	struct vsse_event *e = event_of(v, i);

	/* Signalled again from here on: for when the handler is done. */
	ck_pr_and_32(vsse_global(i) ? &shared(v)->pending : &v->sse.pending,
		     ~(1u << i));
	vsse_state_set(v, i, VSSE_RUNNING);
	e->runs_on = v->v.id;
	v->sse.running |= 1u << i;
	hart_enter(v, e);
}

void vsse_deliver(struct riscv_vcpu *v)
{
	u32 set = ck_pr_load_32(&v->sse.pending) & v->sse.ready;
	bool busy = takes_events(&v->v) && globals_due(v) && shared_take(v);
	u32 running = v->sse.running;

	if (busy)
		set |= globals_mine(v);
	if (set) {
		u32 i = most_urgent(v, set | running);

		/* None that runs, since those aren't in `set`. */
		if (set >> i & 1)
			begin(v, i);
	}
	if (busy)
		shared_put(v, &v->v);
}

/* With `busy` if it is global. */
static struct vsse_event *end(struct riscv_vcpu *v, u32 i)
{
	struct vsse_event *e = event_of(v, i);

	v->sse.running &= ~(1u << i);
	vsse_state_set(v, i, e->oneshot ? VSSE_REGISTERED : VSSE_ENABLED);
	return e;
}

bool vsse_complete(struct riscv_vcpu *v)
{
	u32 i = most_urgent(v, v->sse.running);

	if (!vsse_take(v, i))
		return false;
	hart_leave(v, end(v, i));
	if (vsse_global(i))
		shared_put(v, &v->v);
	/* Others that it has kept waiting, local or global. */
	sse_look(v);
	return true;
}

/* ---- Life ---- */

bool vsse_stop(struct riscv_vcpu *v)
{
	if (v->sse.running & VSSE_GLOBALS) {
		if (!shared_take(v))
			return false;
		for (u32 m = v->sse.running & VSSE_GLOBALS; m; m &= m - 1)
			end(v, (u32)__builtin_ctz(m));
		shared_put(v, &v->v);
	}
	vsse_mask(v);
	return true;
}

void vsse_reset(struct riscv_vcpu *v)
{
	/* Others may be about to signal what nobody takes any more. */
	ck_pr_store_32(&v->sse.pending, 0);
	ck_pr_store_32(&v->sse.ready, 0);
	v->sse.running = 0;
	memset(v->sse.local, 0, sizeof(v->sse.local));
}

void vsse_guest_reset(struct guest *g)
{
	memset(&g->arch->sse, 0, sizeof(g->arch->sse));
}
