/*
 * The simulator's clockwork: any number of CPUs in one thread, by events.
 *
 * Each CPU has a stack of its own, on which the core's own loop runs, and a
 * clock. Wherever time passes (in a guest, or waiting) the CPU says until when,
 * and the one whose moment is next goes on. Costs of what the hypervisor does
 * move the CPU's clock. Nothing depends on the host: the same calls give the
 * same run, to the tick.
 */
#ifndef ROUSE_SIM_ENGINE_H
#define ROUSE_SIM_ENGINE_H

#include "tests/unit/fake_arch/fake_arch.h"

/* In picoseconds; the index is enum fake_op. */
struct sim_costs {
	u64 op_ps[FAKE_OPS];
	u64 ipi_ps;        /* a guest's call that wakes another vCPU */
	u64 nap_ps;        /* a guest's own, between its work and its WFI */
	u64 doorbell_ps;   /* from ring to the end of the other's turn */
};

/* Whoever looks on. Each may be NULL. Called on the CPU it speaks of. */
struct sim_watch {
	/* The vCPU enters; it may change what it does (v->left). */
	void (*entered)(struct fake_cpu *f, struct fake_vcpu *v);
	void (*ended)(struct fake_cpu *f, struct fake_vcpu *v,
		      enum run_end end);
};

/* A machine of `cpus` CPUs under `policy`, its clocks at one second. Both
 * structures stay the caller's and must outlive the machine. */
void sim_boot(u32 cpus, const char *policy, const struct sim_costs *costs,
	      const struct sim_watch *watch);

/* Lets everything happen that comes before `until`. */
void sim_run_until(u64 until);

/* The moment up to which everything has happened. */
u64 sim_now(void);

/* From now until the next sim_run_until the caller counts as a CPU of its own
 * (a device, an operator), so that it may call what "any CPU" may call. */
void sim_outside(void);

/* Calls `fn` from outside, at `when`; it returns when to be called next, or
 * TIME_NEVER. There is one of these. */
void sim_outside_at(u64 when, u64 (*fn)(u64 now));

/* The vCPU runs on that CPU, and what it does has changed (v->left): look
 * again at `when`, which is not before the caller's own moment. */
void sim_poke(u32 cpu, u64 when);

/* The CPU that runs works for so long; for a guest's call to wake another; for
 * what a guest does beside its work when it sleeps. */
void sim_spend_ps(u64 ps);
void sim_spend_ipi(void);
void sim_spend_nap(void);

/* How often a CPU was gone on with. */
u64 sim_events(void);

#endif
