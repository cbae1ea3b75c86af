/*
 * A vCPU's software events: what SBI SSE (vsbi_sse.c) keeps, and the hooks of
 * those that deliver them or end the hart that takes them (vsse.c).
 */
#ifndef ROUSE_ARCH_RISCV_VSSE_H
#define ROUSE_ARCH_RISCV_VSSE_H

#include "kernel/base.h"

struct guest;
struct riscv_vcpu;

/*
 * The events that there are, in the order of their ids, which breaks ties of
 * priority. Local and global ones take turns: the lowest bit says "global".
 */
enum vsse_index {
	VSSE_LOCAL_RAS_HIGH,
	VSSE_GLOBAL_RAS_HIGH,
	VSSE_LOCAL_RAS_LOW,
	VSSE_GLOBAL_RAS_LOW,
	VSSE_LOCAL_SOFT,
	VSSE_GLOBAL_SOFT,
	VSSE_EVENTS,
};

#define VSSE_GLOBALS  0x2a		  /* of a set with a bit an event */
#define VSSE_UNMASKED (1u << VSSE_EVENTS) /* in `ready`: takes events at all */

static inline bool vsse_global(u32 i)
{
	return i & 1;
}

/* States (section 17.2); STATUS has these numbers. */
enum vsse_state {
	VSSE_UNUSED,
	VSSE_REGISTERED,
	VSSE_ENABLED,
	VSSE_RUNNING
};

struct vsse_event {
	enum vsse_state state;
	u32 priority; /* lower is more urgent */
	u32 oneshot;
	u32 hart;    /* global: the preferred one */
	u32 runs_on; /* global, RUNNING: the hart that handles it */
	u64 entry_pc, entry_arg;
	u64 sepc, flags, a6, a7; /* interrupted */
};

/* A vCPU's. */
struct vsse {
	/* Any CPU, atomic: signalled and not yet delivered, a bit an event. */
	u32 pending;
	/* Written by the owner, read by who signals: which local events would
	 * be delivered, and whether any would (VSSE_UNMASKED). */
	u32 ready;

	/* The owner only. */
	u32 running; /* events that this hart handles, one in another */
	struct vsse_event local[VSSE_EVENTS / 2];
};

/* A guest's. Who has `busy` may touch the events. */
struct vsse_shared {
	u32 busy;
	u32 pending; /* any CPU, atomic */
	u32 enabled; /* those ENABLED; written with `busy`, read by anyone */
	struct vsse_event event[VSSE_EVENTS / 2];
};

/*
 * Takes event `i` for reading and changing, as the calling hart of `v` sees it.
 * NULL: another hart has it at this moment; the call has to be made once more.
 * To be given back at once: what is in between is short and touches nothing
 * else.
 */
struct vsse_event *vsse_take(struct riscv_vcpu *v, u32 i) __must_check;
void vsse_put(struct riscv_vcpu *v, u32 i);

/* A new state for an event that was taken. */
void vsse_state_set(struct riscv_vcpu *v, u32 i, enum vsse_state state);

/* Is it pending? */
bool vsse_pending(const struct riscv_vcpu *v, u32 i);

/*
 * An event happens: a local one to vCPU `t`, or a global one to its guest.
 * Whoever takes it is woken, or rung. Any CPU.
 */
void vsse_signal(struct riscv_vcpu *t, u32 i);

/* The hart of `v` takes events from now on, or no more. Its CPU. */
void vsse_unmask(struct riscv_vcpu *v);
void vsse_mask(struct riscv_vcpu *v);

/*
 * VIRQ_SSE: the most urgent event that `v` can take now, if there is one, takes
 * over the hart. `v` is loaded, with its pc and mode in their CSRs.
 */
void vsse_deliver(struct riscv_vcpu *v);

/*
 * The handler of the most urgent event that runs on `v` is done: goes back to
 * what it interrupted. False: try again, as with vsse_take. Only if something
 * runs. `v` as above.
 */
bool vsse_complete(struct riscv_vcpu *v) __must_check;

/* The hart stops: it takes no more events, and handles none. False: try again,
 * as with vsse_take. */
bool vsse_stop(struct riscv_vcpu *v) __must_check;

/* A hart, or a guest, starts anew. Nobody runs it. */
void vsse_reset(struct riscv_vcpu *v);
void vsse_guest_reset(struct guest *g);

#endif
