/*
 * The idle mask: which CPUs would take work at once.
 *
 * A CPU sets its own bit, then looks at the others' loads; who has work to
 * spare raises its load, then reads the mask. With a full fence between the two
 * steps on both sides one of them sees the other. Whoever sends work clears the
 * bit first, atomically: so a CPU is never chosen by two.
 *
 * Two masks: CPUs that sleep or poll, and CPUs that run a guest whose WFI is
 * not trapped (`native`) with nothing else to do, which may or may not wait:
 * second choice. Ordering: docs/locking.md, "Idle mask".
 *
 * A third one is of CPUs that take no work, but want to be told when a vCPU
 * waits somewhere: the same protocol.
 */
#ifndef ROUSE_KERNEL_PERCPU_IDLE_H
#define ROUSE_KERNEL_PERCPU_IDLE_H

#include "kernel/percpu/cpu.h"

enum idle_kind {
	IDLE_SLEEPS, /* nothing to run: waits or polls */
	IDLE_NATIVE, /* its only vCPU may be waiting in the guest */
	IDLE_RESTS,  /* doesn't compare itself with others: nobody waits */
	IDLE_KINDS,
};

struct idle_mask {
	u64 w[CPU_MAX / 64]; /* any CPU, atomic */
} __cacheline;

extern struct idle_mask idle_masks[IDLE_KINDS];

/* The owner: sets its bit; full fence. What it reads next is current. */
void idle_enter(enum idle_kind kind, u32 cpu);

/* Takes the bit of `cpu` if it is set; the caller then sends it mail. */
static inline bool idle_claim(enum idle_kind kind, u32 cpu)
{
	return ck_pr_btr_64(&idle_masks[kind].w[cpu / 64], cpu % 64);
}

/* The owner: takes its bit back. False if someone had claimed it: mail with
 * work is on its way. */
static inline bool idle_leave(enum idle_kind kind, u32 cpu)
{
	return idle_claim(kind, cpu);
}

/* Where a CPU's bit is, for who leaves often. */
struct idle_bit {
	u64 *word;
	u64 others; /* all bits of that word but this one */
};

static inline struct idle_bit idle_bit_of(enum idle_kind kind, u32 cpu)
{
	return (struct idle_bit){ &idle_masks[kind].w[cpu / 64],
				  ~(1ULL << cpu % 64) };
}

/* May a bit of another CPU be set? A hint, in a few instructions: no for sure,
 * or maybe. */
static inline bool idle_bit_others(const struct idle_bit *bit)
{
	return ck_pr_load_64(bit->word) & bit->others || cpu_count() > 64;
}

/* The owner: takes its bit back, if nobody has claimed it. */
static inline void idle_bit_leave(const struct idle_bit *bit)
{
	ck_pr_and_64(bit->word, bit->others);
}

/* Is the bit of `cpu` set? A hint. */
bool idle_is(enum idle_kind kind, u32 cpu);

/*
 * Claims some idle CPU among `allowed` (atomic words), the first at or after
 * `from`, wrapping round. CPU_NONE if there is none. The caller has published
 * its load and fenced. Any CPU.
 */
u32 idle_claim_any(enum idle_kind kind, const struct cpuset *allowed,
		   u32 from);

/* The first CPU at or after `from` whose bit is set, or CPU_NONE. A hint. */
u32 idle_next(enum idle_kind kind, u32 from);

/* Would idle_claim_any find one? No for sure, or maybe; in a few
 * instructions. */
static inline bool idle_any(enum idle_kind kind, const struct cpuset *allowed)
{
	return ck_pr_load_64(&idle_masks[kind].w[0]) &
		       ck_pr_load_64(&allowed->w[0]) ||
	       cpu_count() > 64;
}

#endif
