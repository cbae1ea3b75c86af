/*
 * Control and status registers: numbers, fields, and access.
 *
 * Numbers rather than names, so that an assembler need not know the newest
 * extensions. Privileged ISA 20240411, chapters 12 (S), 15 (H), 14 (Sstc);
 * AIA 1.0 chapter 2.
 */
#ifndef ROUSE_ARCH_RISCV_CSR_H
#define ROUSE_ARCH_RISCV_CSR_H

#define CSR_SSTATUS 0x100
#define CSR_SIE 0x104
#define CSR_STVEC 0x105
#define CSR_SCOUNTEREN 0x106
#define CSR_SENVCFG 0x10a
#define CSR_SSTATEEN0 0x10c
#define CSR_SSCRATCH 0x140
#define CSR_SEPC 0x141
#define CSR_SCAUSE 0x142
#define CSR_STVAL 0x143
#define CSR_SIP 0x144
#define CSR_STIMECMP 0x14d
#define CSR_SISELECT 0x150
#define CSR_SIREG 0x151
#define CSR_STOPEI 0x15c
#define CSR_SATP 0x180

#define CSR_HSTATUS 0x600
#define CSR_HEDELEG 0x602
#define CSR_HIDELEG 0x603
#define CSR_HIE 0x604
#define CSR_HTIMEDELTA 0x605
#define CSR_HCOUNTEREN 0x606
#define CSR_HGEIE 0x607
#define CSR_HVICTL 0x609
#define CSR_HENVCFG 0x60a
#define CSR_HSTATEEN0 0x60c
#define CSR_HTVAL 0x643
#define CSR_HIP 0x644
#define CSR_HVIP 0x645
#define CSR_HTINST 0x64a
#define CSR_HGATP 0x680

#define CSR_VSSTATUS 0x200
#define CSR_VSIE 0x204
#define CSR_VSTVEC 0x205
#define CSR_VSSCRATCH 0x240
#define CSR_VSEPC 0x241
#define CSR_VSCAUSE 0x242
#define CSR_VSTVAL 0x243
#define CSR_VSIP 0x244
#define CSR_VSTIMECMP 0x24d
#define CSR_VSISELECT 0x250
#define CSR_JVT 0x017
#define CSR_SCTRCTL 0x14e
#define CSR_SCTRSTATUS 0x14f
#define CSR_VSCTRCTL 0x24e
#define CSR_VSATP 0x280

#define CSR_FCSR 0x003
#define CSR_VSTART 0x008
#define CSR_VCSR 0x00f
#define CSR_CYCLE 0xc00
#define CSR_TIME 0xc01
#define CSR_INSTRET 0xc02
#define CSR_VLENB 0xc22

/* sstatus */
#define SSTATUS_SIE (1UL << 1)
#define SSTATUS_SPIE (1UL << 5)
#define SSTATUS_SPP (1UL << 8)
#define SSTATUS_VS (3UL << 9)
#define SSTATUS_VS_INITIAL (1UL << 9)
#define SSTATUS_VS_CLEAN (2UL << 9)
#define SSTATUS_FS (3UL << 13)
#define SSTATUS_FS_INITIAL (1UL << 13)
#define SSTATUS_FS_CLEAN (2UL << 13)
#define SSTATUS_SUM (1UL << 18)
#define SSTATUS_MXR (1UL << 19)
#define SSTATUS_UXL_64 (2UL << 32)

/* hstatus */
#define HSTATUS_GVA (1UL << 6)
#define HSTATUS_SPV (1UL << 7)
#define HSTATUS_SPVP (1UL << 8)
#define HSTATUS_VTW (1UL << 21)
#define HSTATUS_VSXL_64 (2UL << 32)

/* sie, sip, hie, hip, hvip */
#define IRQ_SSI 1
#define IRQ_VSSI 2
#define IRQ_STI 5
#define IRQ_VSTI 6
#define IRQ_SEI 9
#define IRQ_VSEI 10
#define IRQ_SGEI 12
#define IRQ_BIT(n) (1UL << (n))

/* henvcfg */
#define HENVCFG_FIOM (1UL << 0)
#define HENVCFG_CBIE (3UL << 4)
#define HENVCFG_CBIE_FLUSH (1UL << 4)
#define HENVCFG_CBCFE (1UL << 6)
#define HENVCFG_CBZE (1UL << 7)
#define HENVCFG_PMM (3UL << 32)
#define HENVCFG_PMM_7 (2UL << 32)  /* PMLEN */
#define HENVCFG_PMM_16 (3UL << 32)
#define HENVCFG_ADUE (1UL << 61)
#define HENVCFG_PBMTE (1UL << 62)
#define HENVCFG_STCE (1UL << 63)

/* hstateen0 */
#define STATEEN0_SENVCFG (1UL << 62)
#define STATEEN0_SE0 (1UL << 63)

/* scause */
#define CAUSE_INTERRUPT (1UL << 63)
#define CAUSE_INST_MISALIGNED 0
#define CAUSE_INST_ACCESS 1
#define CAUSE_ILLEGAL 2
#define CAUSE_BREAKPOINT 3
#define CAUSE_LOAD_MISALIGNED 4
#define CAUSE_LOAD_ACCESS 5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS 7
#define CAUSE_ECALL_U 8
#define CAUSE_ECALL_VS 10
#define CAUSE_INST_PAGE 12
#define CAUSE_LOAD_PAGE 13
#define CAUSE_STORE_PAGE 15
#define CAUSE_INST_GUEST_PAGE 20
#define CAUSE_LOAD_GUEST_PAGE 21
#define CAUSE_VIRTUAL_INST 22
#define CAUSE_STORE_GUEST_PAGE 23

/* Whole instructions that trap as virtual instructions */
#define INST_WFI 0x10500073
#define INST_WRS_NTO 0x00d00073
#define INST_WRS_STO 0x01d00073

#define SATP_MODE_SV39 8UL
#define SATP_MODE_SHIFT 60

#ifndef __ASSEMBLER__
#include "kernel/base.h"

#define CSR_STR_(x) #x
#define CSR_STR(x) CSR_STR_(x)

#define csr_read(csr)                                                 \
	({                                                            \
		u64 csr_v_;                                           \
		__asm__ volatile("csrr %0, " CSR_STR(csr)             \
				 : "=r"(csr_v_)::"memory");           \
		csr_v_;                                               \
	})

#define csr_write(csr, val)                                           \
	__asm__ volatile("csrw " CSR_STR(csr) ", %0" ::"rK"((u64)(val)) \
			 : "memory")

#define csr_swap(csr, val)                                            \
	({                                                            \
		u64 csr_v_;                                           \
		__asm__ volatile("csrrw %0, " CSR_STR(csr) ", %1"     \
				 : "=r"(csr_v_)                       \
				 : "rK"((u64)(val))                   \
				 : "memory");                         \
		csr_v_;                                               \
	})

#define csr_set(csr, bits)                                            \
	__asm__ volatile("csrs " CSR_STR(csr) ", %0" ::"rK"((u64)(bits)) \
			 : "memory")

#define csr_read_clear(csr, bits)                                      \
	({                                                             \
		u64 csr_old;                                           \
		__asm__ volatile("csrrc %0, " CSR_STR(csr) ", %1"      \
				 : "=r"(csr_old) : "rK"((u64)(bits))   \
				 : "memory");                          \
		csr_old;                                               \
	})
#define csr_clear(csr, bits)                                          \
	__asm__ volatile("csrc " CSR_STR(csr) ", %0" ::"rK"((u64)(bits)) \
			 : "memory")
#endif

#endif
