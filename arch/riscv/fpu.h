/*
 * FP and vector registers: fpu.S moves them, fpu.c decides when.
 */
#ifndef ROUSE_ARCH_RISCV_FPU_H
#define ROUSE_ARCH_RISCV_FPU_H

#include "arch/riscv/vcpu.h"

struct riscv_cpu;

/*
 * load: this CPU's registers become `v`'s, unless they are already; returns
 * the FS and VS fields for sstatus. save: what `v` has dirtied (FS, VS in
 * `sstatus`) goes to memory, and the CSRs among them whenever it has used
 * them; returns `sstatus` without the dirt. Context: this CPU, `v` about to run
 * or just ran.
 */
u64 fpu_load(struct riscv_cpu *c, struct riscv_vcpu *v);
u64 fpu_save(struct riscv_cpu *c, struct riscv_vcpu *v, u64 sstatus);

/* Both become zeros, nobody's. On each CPU when it comes up: what was in them
 * before Rouse must not reach a guest. */
void fpu_cpu_init(void);

/* fpu.S; sstatus.FS or .VS must not be Off. */
void fp_regs_save(struct fp_state *to);
void fp_regs_load(const struct fp_state *from);
void vector_regs_save(struct vector_state *to);
void vector_regs_load(const struct vector_state *from);
void vector_regs_zero(void);

#endif
