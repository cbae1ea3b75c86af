/*
 * The per-CPU area: what others may know of a CPU, and how they reach it.
 *
 * The architecture embeds it as the first member of its own per-CPU structure;
 * cpu_this() (kernel/arch.h) finds it. Fields are grouped by who may touch
 * them, each group on cache lines of its own.
 */
#ifndef ROUSE_KERNEL_PERCPU_CPU_H
#define ROUSE_KERNEL_PERCPU_CPU_H

#include <ck_pr.h>

#include "kernel/base.h"
#include "kernel/cpuset.h"
#include "kernel/percpu/mbox.h"

struct sched_cpu;
struct trace_ring;
struct vcpu;

/* Will this CPU look at its mail by itself? Only in CPU_HYP. */
enum cpu_mode {
	CPU_HYP,   /* in the hypervisor: looks before it enters or waits */
	CPU_GUEST, /* in a guest, or in a quick exit of it: ring */
	CPU_IDLE,  /* waits: ring */
};

/* Counted by the owner; readable by anyone. Ticks unless said otherwise. */
struct cpu_stats {
	u64 guest_ticks, task_ticks, idle_ticks;
	u64 host_ticks; /* the rest of its time; only in what others read */
	u64 switches;  /* another vCPU than before was dispatched; where it is
			* counted less `mails`, so that mail that leads straight
			* to one counts once */
	u64 waits;     /* times it went to sleep */
	u64 mails;     /* nodes looked at */
	u64 forwards;  /* of those, sent on to another CPU */
	u64 asks;      /* asked another CPU for work */
	u64 asked;     /* was asked for work */
	u64 denials;   /* of those: had nothing that the asker may run */
	u64 handovers; /* vCPUs sent to another CPU */
	u64 claims;    /* of those: the other CPU was idle, found by its bit */
	u64 timer_sets;
};

struct cpu {
	/* Constant after cpu_register. */
	u32 index;
	struct sched_cpu *sched; /* set by sched_init */

	/* The owner only; `current` and `turn_since` may be read by others as
	 * hints. */
	struct vcpu *current; /* whose turn it is, or NULL */
	struct cpu_stats stats;
	struct trace_ring *trace; /* where it records; NULL: nowhere */
	u32 trace_mask; /* TRACE_*: what it records; any CPU may clear bits */
	u64 turn_since; /* since when the current's time, and that of who gave
			 * way to it, is not in stats; 0 */

	/* Any CPU, atomic. */
	u32 mode __cacheline; /* enum cpu_mode; the owner writes */
	u64 bell;             /* the doorbell was rung and not acknowledged;
			       * a word that needs no extension when swapped */
	struct mbox mbox;
	u32 coming; /* vCPUs that were started, and are on their way here: to
		     * who looks for a place as good as in `load` */

	/* Published by the owner for whoever looks for a place or for work. */
	u32 load __cacheline; /* vCPUs that could run now or do run */
	u32 level;            /* the policy's: how important is what runs */
	u64 vtime;            /* virtual time, or TIME_NEVER if nothing runs */
	u64 wait_vtime;       /* the least of those that wait, or TIME_NEVER */
};

/*
 * Makes `c` known under c->index, which must be the next free one, counted
 * from 0. Boot CPU, before any other CPU looks. The area must be zeroed.
 */
void cpu_register(struct cpu *c);

extern struct cpu *cpu_table[CPU_MAX];
extern u32 cpu_table_len;

/* CPUs that were registered. */
static inline u32 cpu_count(void)
{
	return cpu_table_len;
}

/* Words of a cpuset that have any of them. */
static inline u32 cpu_words(void)
{
	return (cpu_count() + 63) / 64;
}

/* `index` must be below cpu_count(). */
static inline struct cpu *cpu_by_index(u32 index)
{
	return cpu_table[index];
}

#endif
