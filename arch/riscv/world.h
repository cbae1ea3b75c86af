/*
 * The world switch: what moves when a CPU goes from one vCPU to another.
 */
#ifndef ROUSE_ARCH_RISCV_WORLD_H
#define ROUSE_ARCH_RISCV_WORLD_H

#include "arch/riscv/vcpu.h"

struct riscv_cpu;

/* cycle, time and instret; the guest's scounteren decides for its U-mode. */
#define GUEST_COUNTERS 7UL

/* Constant CSRs of a CPU: delegation, counters, environment. On that CPU. */
void world_cpu_init(struct riscv_cpu *c);

/*
 * Turns v->v.virq into hvip (DESIGN: the target's own CPU evaluates). `v` is
 * loaded on this CPU. The full fence before the caller's look at `virq` pairs
 * with the one in virq_raise; one that comes later finds mode GUEST and rings.
 */
void world_flush_virq(struct riscv_vcpu *v);

#endif
