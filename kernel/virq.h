/*
 * Virtual interrupts: the one way in.
 *
 * A raiser sets bits and kicks; the target vCPU's own CPU turns them into hvip
 * when it enters the guest, so no computed level can overwrite a newer one.
 */
#ifndef ROUSE_KERNEL_VIRQ_H
#define ROUSE_KERNEL_VIRQ_H

#include "kernel/base.h"

struct vcpu;

#define VIRQ_SOFT (1u << 0)     /* an edge: VSSIP is set once */
#define VIRQ_EXTERNAL (1u << 1) /* look at the interrupt controller again */
#define VIRQ_TIMER (1u << 2)    /* the guest's deadline passed (no Sstc) */
#define VIRQ_FENCE (1u << 3)    /* address-translation fences are due */
#define VIRQ_FENCED (1u << 4)   /* a fence this vCPU waits for was done */
#define VIRQ_SSE (1u << 5)      /* a software event of its firmware */

/*
 * Raises `bits` at `v` and makes sure that its CPU sees them: wakes it if it
 * is blocked, rings if it runs in the guest, does no more if it is queued.
 * Any CPU, any context; takes no lock, calls nobody back, never fails.
 *
 * It never rings the CPU that calls: the way back into the guest looks at
 * v->virq each time (kernel/percpu/doorbell.h, cpu_enter_guest).
 */
void virq_raise(struct vcpu *v, u32 bits);

#endif
