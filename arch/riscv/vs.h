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
#include "arch/riscv/isa.h"
#include "arch/riscv/vcpu.h"

/* Bits of riscv_cpu.vs_more: registers that most harts lack, or that guests
 * aren't told of. */
#define MORE_SSTATEEN0 1
#define MORE_VSISELECT 2
#define MORE_UNTOLD 4 /* none is moved, all are made to forget */
#define MORE_ALONE (1u << 31) /* vsiselect, and nothing else */

/*
 * State of what guests aren't told of, but that nothing keeps them from where
 * there is no Smstateen: no vCPU finds another one's. Ssctr has records of
 * control transfers, and a VS copy only of what turns them on; Zcmt has jvt.
 */
static __attribute__((noinline, unused)) void untold_forget(void)
{
	if (isa_has(ISA_ZCMT))
		csr_write(CSR_JVT, 0);
	if (!isa_has(ISA_SSCTR))
		return;
	csr_write(CSR_VSCTRCTL, 0);
	csr_write(CSR_SCTRCTL, 0);
	csr_write(CSR_SCTRSTATUS, 0);
	__asm__ volatile(".4byte 0x10400073"); /* sctrclr */
}

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
	if (unlikely(riscv_this()->vs_more & MORE_UNTOLD))
		untold_forget();
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

static inline void more_swap(u32 more, struct vs_csrs *from,
			     const struct vs_csrs *to)
{
	if (likely(more & MORE_ALONE)) {
		SWAP(CSR_VSISELECT, from->vsiselect, to->vsiselect);
		return;
	}
	if (more & MORE_VSISELECT)
		SWAP(CSR_VSISELECT, from->vsiselect, to->vsiselect);
	if (more & MORE_SSTATEEN0)
		SWAP(CSR_SSTATEEN0, from->sstateen0, to->sstateen0);
	if (more & MORE_UNTOLD)
		untold_forget();
}

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
	if (unlikely(riscv_this()->vs_more))
		more_swap(riscv_this()->vs_more, from, to);
}

#endif
