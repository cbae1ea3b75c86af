/*
 * A vCPU and the state word that decides who may touch it.
 *
 *   OFF --start--> QUEUED --dispatch--> RUNNING --preempt/yield--> QUEUED
 *                                       RUNNING --> BLOCKING --> BLOCKED
 *                  BLOCKED --waker--> WAKING --owner--> QUEUED, or RUNNING
 *                                       RUNNING --stop--> OFF
 *
 * sleeper (the owner)                  waker (any CPU)
 * CAS RUNNING -> BLOCKING              virq |= bits (atomic)
 * full fence                           full fence
 * pending, deadline passed, request?   read state until one applies:
 *   CAS BLOCKING -> RUNNING, stay        BLOCKED:  CAS -> WAKING, mail owner
 * save state, arm the timer              BLOCKING: CAS -> RUNNING
 * CAS BLOCKING -> BLOCKED (last touch)   RUNNING:  ring if its mode is GUEST
 *   fails: disarm, stay                  else: nothing
 * dispatch: RUNNING; full fence; look at virq
 *
 * Exactly one waker wins; a QUEUED vCPU is never rung for. Requests (pause,
 * kill, pin, ...) are bits outside the state word; the owner applies them, kill
 * first. A paused vCPU is QUEUED, or BLOCKED, but in no policy's queue.
 * Ordering: docs/locking.md, "Block and wake".
 */
#ifndef ROUSE_KERNEL_VCPU_H
#define ROUSE_KERNEL_VCPU_H

#include "kernel/base.h"
#include "kernel/percpu/mbox.h"
#include "kernel/sched/unit.h"

struct emul_pin;
struct guest;

enum vcpu_state {
	VCPU_OFF,
	VCPU_QUEUED,
	VCPU_RUNNING,
	VCPU_BLOCKING,
	VCPU_BLOCKED,
	VCPU_WAKING,
};

/* Requests to the owner, bits of vcpu->requests: sched_vcpu_request. */
#define VCPU_REQ_KILL (1u << 0)   /* go OFF: the guest ends */
#define VCPU_REQ_START (1u << 1)  /* OFF -> QUEUED; arch set the registers */
#define VCPU_REQ_PAUSE (1u << 2)
#define VCPU_REQ_RESUME (1u << 3)
#define VCPU_REQ_MOVE (1u << 4)   /* affinity changed: look where it may be */
#define VCPU_REQ_PARAMS (1u << 5) /* weight, priority, slice changed */
#define VCPU_REQ_FOLLOW (1u << 6) /* do as guest_is_paused says now */

/*
 * What a guest's exit was for. The architecture counts each, always: the same
 * three instructions as one sum would cost.
 */
#define VCPU_EXIT_REASONS(X)                                          \
	X(CALL, "sbi")           /* a call of its firmware: of us */   \
	X(DEVICE, "device")      /* a load or store to a device */     \
	X(MEMORY, "memory")      /* RAM that was not there yet */      \
	X(WAIT, "wfi")           /* waits for an interrupt */          \
	X(PAUSE, "pause")        /* waits for others' stores */        \
	X(DOORBELL, "doorbell")  /* another CPU wants something */     \
	X(TIMER, "timer")        /* the CPU's timer */                 \
	X(EXTERNAL, "external")  /* a device of the host; a message */ \
	X(FAULT, "fault")        /* what it may not do: its own trap */ \
	X(OTHER, "other")

enum vcpu_exit {
#define X(NAME, word) VCPU_EXIT_##NAME,
	VCPU_EXIT_REASONS(X)
#undef X
	VCPU_EXITS,
};

struct vcpu {
	/* Constant after creation. */
	struct guest *guest;
	u32 id; /* index in its guest: the guest's hart id */
	struct emul_pin *pin; /* by which external interrupts come: emul.h */

	/* Any CPU, atomic. */
	u32 state __cacheline; /* enum vcpu_state */
	u32 virq;              /* VIRQ_*: raised, not yet seen by its CPU */
	u32 requests;          /* VCPU_REQ_*: not yet done by the owner */
	struct cpu *cpu;       /* the owner; only the owner changes it */
	struct mbox_node mail;

	/* The owner only (readable by listings, each word by itself). */
	u64 exits[VCPU_EXITS] __cacheline; /* counted by the architecture,
		* in assembly too: so in front of what is large */
	struct sched_unit sched;
	void (*waits)(struct vcpu *v, bool waits); /* it begins to wait for a
		* CPU, which is its own time still, or has one again (its
		* runstate says so already); NULL: nobody wants to know */
	u64 wakes; /* from BLOCKED */
	u64 turns; /* that began after another's, or after a wait, less `wakes`:
		    * so a wake that leads straight to one is counted once */
	u64 migrations; /* changes of CPU */
};

/* Its owner at some moment: may be out of date. Any CPU. */
static inline struct cpu *vcpu_cpu(const struct vcpu *v)
{
	return ck_pr_load_ptr(&v->cpu);
}

/* Counts an exit. The CPU that runs `v`. */
static inline void vcpu_exit_count(struct vcpu *v, enum vcpu_exit why)
{
	v->exits[why]++;
}

static inline struct vcpu *unit_vcpu(struct sched_unit *u)
{
	return container_of(u, struct vcpu, sched);
}

static inline const struct vcpu *unit_vcpu_const(const struct sched_unit *u)
{
	return (const struct vcpu *)(const void *)((const char *)u -
						   offsetof(struct vcpu,
							    sched));
}

#endif
