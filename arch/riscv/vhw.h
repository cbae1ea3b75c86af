/*
 * The hardware that stands behind a loaded vCPU, an operation a function, so
 * that what decides (vsbi*.c, vtimer.c, vfence.c) runs in host tests as it is:
 * there a model of a hart takes the place of these.
 *
 * Context of all: the CPU that has the vCPU loaded.
 */
#ifndef ROUSE_ARCH_RISCV_VHW_H
#define ROUSE_ARCH_RISCV_VHW_H

#include "arch/riscv/vhw_oneshot.h"
#include "kernel/base.h"

#ifdef __riscv

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/sbi.h"
#include "arch/riscv/triggers.h"
#include "arch/riscv/vcpu.h"
#include "kernel/arch.h"

/* The guest's comparator (Sstc): reads it, sets it, and takes it away. */
static inline u64 vhw_vstimecmp(void)
{
	return csr_read(CSR_VSTIMECMP);
}

static inline void vhw_vstimecmp_set(u64 guest_ticks)
{
	csr_write(CSR_VSTIMECMP, guest_ticks);
}

static inline u64 vhw_vsie(void)
{
	return csr_read(CSR_VSIE);
}

static inline u64 vhw_vsatp(void)
{
	return csr_read(CSR_VSATP);
}

/* Where the guest goes on, in which mode (VS-mode, or VU-mode), and what its
 * own hart keeps of its last trap. */
static inline u64 vhw_sepc(void)
{
	return csr_read(CSR_SEPC);
}

static inline void vhw_sepc_set(u64 pc)
{
	csr_write(CSR_SEPC, pc);
}

static inline bool vhw_vs_mode(void)
{
	return csr_read(CSR_SSTATUS) & SSTATUS_SPP;
}

static inline void vhw_vs_mode_set(bool vs)
{
	if (vs) {
		csr_set(CSR_SSTATUS, SSTATUS_SPP);
		csr_set(CSR_HSTATUS, HSTATUS_SPVP);
	} else {
		csr_clear(CSR_SSTATUS, SSTATUS_SPP);
		csr_clear(CSR_HSTATUS, HSTATUS_SPVP);
	}
}

static inline u64 vhw_vsepc(void)
{
	return csr_read(CSR_VSEPC);
}

static inline void vhw_vsepc_set(u64 pc)
{
	csr_write(CSR_VSEPC, pc);
}

static inline u64 vhw_vsstatus(void)
{
	return csr_read(CSR_VSSTATUS);
}

static inline void vhw_vsstatus_set(u64 bits)
{
	csr_write(CSR_VSSTATUS, bits);
}

/* Translation off, supervisor interrupts off: as a hart starts or resumes. */
static inline void vhw_vs_restart(void)
{
	csr_write(CSR_VSATP, 0);
	csr_clear(CSR_VSSTATUS, SSTATUS_SIE);
}

/* The hart's counters, if harts have them, and which of them its guests may
 * read. */
static inline bool vhw_has_counters(void)
{
	return isa_has(ISA_ZICNTR);
}

static inline u64 vhw_cycle(void)
{
	return csr_read(CSR_CYCLE);
}

static inline u64 vhw_instret(void)
{
	return csr_read(CSR_INSTRET);
}

static inline void vhw_hcounteren_set(u64 bits)
{
	riscv_this()->hcounteren = bits;
	csr_write(CSR_HCOUNTEREN, bits & ~VCPU_SAVE_RARE);
}

static inline void vhw_henvcfg_set(u64 bits)
{
	riscv_this()->henvcfg = bits;
	csr_write(CSR_HENVCFG, bits & ~VCPU_HENVCFG_OURS);
}

/* Does the firmware delegate misaligned accesses on this hart? < 0: it has
 * them by no means that can be asked about, or doesn't let them be changed. */
static inline s64 vhw_misaligned(void)
{
	struct sbi_ret r = sbi_call(SBI_EXT_FWFT, 1, 0, 0, 0);

	return r.error ? r.error : (s64)r.value;
}

static inline s64 vhw_misaligned_set(bool on)
{
	return sbi_call(SBI_EXT_FWFT, 0, 0, on, 0).error;
}

/* The firmware lets ADUE be set in henvcfg: by PTE_AD_HW_UPDATING, 4. */
static inline s64 vhw_adue_allow(void)
{
	return sbi_call(SBI_EXT_FWFT, 0, 4, 1, 0).error;
}

/* This hart's debug triggers; see triggers.h. */
static inline int vhw_triggers_set(const struct trigger *list, u32 count)
{
	return triggers_set(list, count);
}

/* As it was set last, with bits of our own; and without these, which the
 * register doesn't have. */
static inline u64 vhw_henvcfg(void)
{
	return riscv_this()->henvcfg;
}

static inline void vhw_henvcfg_ours_gone(void)
{
	riscv_this()->henvcfg &= ~VCPU_HENVCFG_OURS;
}

/* Writes henvcfg and returns what stuck. */
static inline u64 vhw_henvcfg_try(u64 bits)
{
	csr_write(CSR_HENVCFG, bits);
	return csr_read(CSR_HENVCFG);
}

/* The guest's own leave for its U-mode. */
static inline u64 vhw_scounteren(void)
{
	return csr_read(CSR_SCOUNTEREN);
}

static inline void vhw_hvip_set(u64 bits)
{
	csr_set(CSR_HVIP, bits);
}

/* Clears `bits` and returns what hvip was. */
static inline u64 vhw_hvip_clear(u64 bits)
{
	u64 was = csr_read(CSR_HVIP);

	csr_clear(CSR_HVIP, bits);
	return was;
}

/* Makes this CPU's one-shot timer fire at `host_ticks` at the latest. */
static inline void vhw_timer_no_later(u64 host_ticks)
{
	if (host_ticks < riscv_this()->timer.ticks)
		arch_timer_set(host_ticks);
}

/*
 * The vCPU waits in an exit, in mode GUEST, until its CPU is rung. True: for
 * this vCPU alone, or for nobody. False: the turn is to end, by mail or by the
 * timer, which pends.
 */
bool vhw_bell_wait(void);

/* Fences for the guest whose VMID hgatp holds (Privileged ISA, 15.3.2). */
static inline void vhw_hfence_all(void)
{
	__asm__ volatile("hfence.vvma zero, zero" ::: "memory");
}

static inline void vhw_hfence_va(u64 va)
{
	__asm__ volatile("hfence.vvma %0, zero" ::"r"(va) : "memory");
}

static inline void vhw_hfence_asid(u64 asid)
{
	__asm__ volatile("hfence.vvma zero, %0" ::"r"(asid) : "memory");
}

static inline void vhw_hfence_va_asid(u64 va, u64 asid)
{
	__asm__ volatile("hfence.vvma %0, %1" ::"r"(va), "r"(asid) : "memory");
}

static inline void vhw_fence_i(void)
{
	__asm__ volatile("fence.i" ::: "memory");
}

#else

u64 vhw_vstimecmp(void);
void vhw_vstimecmp_set(u64 guest_ticks);
u64 vhw_vsie(void);
u64 vhw_vsatp(void);
u64 vhw_sepc(void);
void vhw_sepc_set(u64 pc);
bool vhw_vs_mode(void);
void vhw_vs_mode_set(bool vs);
u64 vhw_vsepc(void);
void vhw_vsepc_set(u64 pc);
u64 vhw_vsstatus(void);
void vhw_vsstatus_set(u64 bits);
void vhw_vs_restart(void);
bool vhw_has_counters(void);
u64 vhw_cycle(void);
u64 vhw_instret(void);
void vhw_hcounteren_set(u64 bits);
void vhw_henvcfg_set(u64 bits);
u64 vhw_henvcfg_try(u64 bits);
s64 vhw_misaligned(void);
s64 vhw_misaligned_set(bool on);
s64 vhw_adue_allow(void);
struct trigger;
int vhw_triggers_set(const struct trigger *list, u32 count);
u64 vhw_henvcfg(void);
void vhw_henvcfg_ours_gone(void);
u64 vhw_scounteren(void);
void vhw_hvip_set(u64 bits);
u64 vhw_hvip_clear(u64 bits);
void vhw_timer_no_later(u64 host_ticks);
bool vhw_bell_wait(void);
void vhw_hfence_all(void);
void vhw_hfence_va(u64 va);
void vhw_hfence_asid(u64 asid);
void vhw_hfence_va_asid(u64 va, u64 asid);
void vhw_fence_i(void);

#endif

#endif
