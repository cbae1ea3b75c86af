/*
 * The hardware behind gstage.c and vmid.c: hgatp, vsatp and the fences, a
 * function each, so that host tests put a model of a hart's TLB in their place.
 * Context of all: they act on the hart that runs them.
 */
#ifndef ROUSE_ARCH_RISCV_GSTAGE_HW_H
#define ROUSE_ARCH_RISCV_GSTAGE_HW_H

#include "kernel/base.h"

#ifdef __riscv

#include "arch/riscv/csr.h"

static inline void hw_hgatp_write(u64 val)
{
	csr_write(CSR_HGATP, val);
}

static inline u64 hw_hgatp_read(void)
{
	return csr_read(CSR_HGATP);
}

/* No VS-stage translation, and so none to speculate with. */
static inline void hw_vsatp_zero(void)
{
	csr_write(CSR_VSATP, 0);
}

/* Returns what it was. */
static inline u64 hw_vsatp_swap(u64 val)
{
	return csr_swap(CSR_VSATP, val);
}

/* Section 15.3.2. All guest physical addresses of all VMIDs. */
static inline void hw_hfence_gvma_all(void)
{
	__asm__ volatile("hfence.gvma zero, zero" ::: "memory");
}

static inline void hw_hfence_gvma_vmid(u64 vmid)
{
	__asm__ volatile("hfence.gvma zero, %0" ::"r"(vmid) : "memory");
}

/* One guest physical address (the operand is shifted right by 2). */
static inline void hw_hfence_gvma(u64 gpa, u64 vmid)
{
	__asm__ volatile("hfence.gvma %0, %1" ::"r"(gpa >> 2), "r"(vmid)
			 : "memory");
}

/* All guest virtual addresses under hgatp's VMID. */
static inline void hw_hfence_vvma_all(void)
{
	__asm__ volatile("hfence.vvma zero, zero" ::: "memory");
}

#else

void hw_hgatp_write(u64 val);
u64 hw_hgatp_read(void);
void hw_vsatp_zero(void);
u64 hw_vsatp_swap(u64 val);
void hw_hfence_gvma_all(void);
void hw_hfence_gvma_vmid(u64 vmid);
void hw_hfence_gvma(u64 gpa, u64 vmid);
void hw_hfence_vvma_all(void);

#endif

#endif
