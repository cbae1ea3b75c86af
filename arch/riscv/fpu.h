/*
 * FP and vector registers: fpu.S moves them, fpu.c decides when.
 */
#ifndef ROUSE_ARCH_RISCV_FPU_H
#define ROUSE_ARCH_RISCV_FPU_H

#include "arch/riscv/csr.h"
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

/* Both become zeros, nobody's, and FS and VS are on from here to the end. On
 * each CPU when it comes up: what was in them before Rouse must not reach a
 * guest. */
void fpu_cpu_init(void);

/*
 * What is in the CSRs: of a vCPU that has not used the registers they were 0
 * when it came. A hart without F or V has no such field in v->sstatus, nor the
 * CSRs; V includes F. Context: as above.
 */
static inline u64 fp_csr_left(const struct riscv_vcpu *v)
{
	return v->sstatus & SSTATUS_FS ? csr_read(CSR_FCSR) : 0;
}

static inline u64 vector_csrs_left(const struct riscv_vcpu *v)
{
	return v->sstatus & SSTATUS_VS ?
		       csr_read(CSR_VCSR) | csr_read(CSR_VSTART) :
		       0;
}

static inline u64 fpu_csrs_left(const struct riscv_vcpu *v)
{
	if (likely(v->sstatus & SSTATUS_VS))
		return csr_read(CSR_FCSR) | csr_read(CSR_VCSR) |
		       csr_read(CSR_VSTART);
	return fp_csr_left(v);
}

/* fpu.S; sstatus.FS or .VS must not be Off. */
void fp_regs_save(struct fp_state *to);
void fp_regs_load(const struct fp_state *from);
void vector_regs_save(struct vector_state *to);
void vector_regs_load(const struct vector_state *from);
void vector_regs_zero(void);

#endif
