/*
 * vhw.h's part for the host's interrupt controllers: host tests put a model of
 * these in its place.
 */
#ifndef ROUSE_ARCH_RISCV_VHW_IRQ_H
#define ROUSE_ARCH_RISCV_VHW_IRQ_H

#include "kernel/base.h"

#ifdef __riscv

#include "arch/riscv/csr.h"
#include "arch/riscv/fixup.h"

/* A register of the PLIC or the APLIC. */
static inline u32 vhw_irq_read(volatile u32 *reg)
{
	return *reg;
}

static inline void vhw_irq_write(volatile u32 *reg, u32 val)
{
	*reg = val;
}

/* A register of this hart's S-level interrupt file (AIA 3.8). */
static inline u64 vhw_imsic_read(u64 reg)
{
	csr_write(CSR_SISELECT, reg);
	return csr_read(CSR_SIREG);
}

static inline void vhw_imsic_write(u64 reg, u64 val)
{
	csr_write(CSR_SISELECT, reg);
	csr_write(CSR_SIREG, val);
}

/* Writes 0 to one, which may be one that there is not: false. */
static inline bool vhw_imsic_clear(u64 reg)
{
	csr_write(CSR_SISELECT, reg);
	return !TRAPS("csrw " CSR_STR(CSR_SIREG) ", %1", 0UL);
}

/* Claims the top identity: stopei (AIA 3.10). */
static inline u64 vhw_imsic_claim(void)
{
	return csr_swap(CSR_STOPEI, 0);
}

/* External interrupts of this hart: does one pend, and never again. */
static inline bool vhw_sei_pends(void)
{
	return csr_read(CSR_SIP) & IRQ_BIT(IRQ_SEI);
}

static inline void vhw_sei_off(void)
{
	csr_clear(CSR_SIE, IRQ_BIT(IRQ_SEI));
}

#else

u32 vhw_irq_read(volatile u32 *reg);
void vhw_irq_write(volatile u32 *reg, u32 val);
u64 vhw_imsic_read(u64 reg);
void vhw_imsic_write(u64 reg, u64 val);
bool vhw_imsic_clear(u64 reg);
u64 vhw_imsic_claim(void);
bool vhw_sei_pends(void);
void vhw_sei_off(void);

#endif

#endif
