/*
 * A vCPU's VS CSRs, moved: loaded, saved, or swapped for those of another vCPU.
 *
 * On the CPU that has them. Not here: vsatp, whose order with fences counts
 * (vmid.h), and vstimecmp (vtimer.h).
 */
#ifndef ROUSE_ARCH_RISCV_VS_H
#define ROUSE_ARCH_RISCV_VS_H

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/vcpu.h"

/* Bits of riscv_cpu.vs_more: registers that most harts lack. */
#define MORE_SSTATEEN0 1
#define MORE_VSISELECT 2

static inline void vs_load(const struct vs_csrs *s)
{
	csr_write(CSR_VSSTATUS, s->vsstatus);
	csr_write(CSR_VSTVEC, s->vstvec);
	csr_write(CSR_VSSCRATCH, s->vsscratch);
	csr_write(CSR_VSEPC, s->vsepc);
	csr_write(CSR_VSCAUSE, s->vscause);
	csr_write(CSR_VSTVAL, s->vstval);
	csr_write(CSR_SCOUNTEREN, s->scounteren);
	csr_write(CSR_SENVCFG, s->senvcfg);
	if (unlikely(riscv_this()->vs_more & MORE_SSTATEEN0))
		csr_write(CSR_SSTATEEN0, s->sstateen0);
	if (unlikely(riscv_this()->vs_more & MORE_VSISELECT))
		csr_write(CSR_VSISELECT, s->vsiselect);
}

static inline void vs_save(struct vs_csrs *s)
{
	s->vsstatus = csr_read(CSR_VSSTATUS);
	s->vsie = csr_read(CSR_VSIE);
	s->vstvec = csr_read(CSR_VSTVEC);
	s->vsscratch = csr_read(CSR_VSSCRATCH);
	s->vsepc = csr_read(CSR_VSEPC);
	s->vscause = csr_read(CSR_VSCAUSE);
	s->vstval = csr_read(CSR_VSTVAL);
	s->vsatp = csr_read(CSR_VSATP);
	s->scounteren = csr_read(CSR_SCOUNTEREN);
	s->senvcfg = csr_read(CSR_SENVCFG);
	if (unlikely(riscv_this()->vs_more & MORE_SSTATEEN0))
		s->sstateen0 = csr_read(CSR_SSTATEEN0);
	if (unlikely(riscv_this()->vs_more & MORE_VSISELECT))
		s->vsiselect = csr_read(CSR_VSISELECT);
}

/* Reads the CSR into `old` and writes `new`. */
#define SWAP(csr, old, new) ((old) = csr_swap(csr, new))

/* All of it but vsatp and the timer. */
static inline void vs_swap(struct vs_csrs *from, const struct vs_csrs *to)
{
	SWAP(CSR_VSSTATUS, from->vsstatus, to->vsstatus);
	SWAP(CSR_VSIE, from->vsie, to->vsie);
	SWAP(CSR_VSTVEC, from->vstvec, to->vstvec);
	SWAP(CSR_VSSCRATCH, from->vsscratch, to->vsscratch);
	SWAP(CSR_VSEPC, from->vsepc, to->vsepc);
	SWAP(CSR_VSCAUSE, from->vscause, to->vscause);
	SWAP(CSR_VSTVAL, from->vstval, to->vstval);
	SWAP(CSR_SCOUNTEREN, from->scounteren, to->scounteren);
	SWAP(CSR_SENVCFG, from->senvcfg, to->senvcfg);
	if (likely(!riscv_this()->vs_more))
		return;
	if (riscv_this()->vs_more & MORE_VSISELECT)
		SWAP(CSR_VSISELECT, from->vsiselect, to->vsiselect);
	if (riscv_this()->vs_more & MORE_SSTATEEN0)
		SWAP(CSR_SSTATEEN0, from->sstateen0, to->sstateen0);
}

#endif
