/*
 * Numbers of the Supervisor Binary Interface 3.0 as Rouse offers it to guests.
 *
 * Plain constants, for C and for assembly alike: the quick path of the trap
 * entry and the tables of vsbi*.c must give the same answers.
 */
#ifndef ROUSE_ARCH_RISCV_VSBI_ABI_H
#define ROUSE_ARCH_RISCV_VSBI_ABI_H

/* Error codes (chapter 3). */
#define VSBI_OK 0
#define VSBI_FAILED -1
#define VSBI_NOT_SUPPORTED -2
#define VSBI_INVALID_PARAM -3
#define VSBI_DENIED -4
#define VSBI_INVALID_ADDRESS -5
#define VSBI_ALREADY_AVAILABLE -6
#define VSBI_ALREADY_STARTED -7
#define VSBI_ALREADY_STOPPED -8
#define VSBI_NO_SHMEM -9
#define VSBI_INVALID_STATE -10
#define VSBI_BAD_RANGE -11
#define VSBI_DENIED_LOCKED -14

/* Extensions. */
#define VSBI_EID_LEGACY_LAST 0x0f /* 0x00..0x0f are legacy (chapter 5) */
#define VSBI_EID_BASE 0x10
#define VSBI_EID_TIME 0x54494d45
#define VSBI_EID_IPI 0x735049
#define VSBI_EID_RFENCE 0x52464e43
#define VSBI_EID_HSM 0x48534d
#define VSBI_EID_SRST 0x53525354
#define VSBI_EID_DBCN 0x4442434e
#define VSBI_EID_STA 0x535441
#define VSBI_EID_PMU 0x504d55
#define VSBI_EID_SUSP 0x53555350
#define VSBI_EID_FWFT 0x46574654
#define VSBI_EID_SSE 0x535345
#define VSBI_EID_DBTR 0x44425452

/* BASE (chapter 4). */
#define VSBI_BASE_SPEC_VERSION 0
#define VSBI_BASE_IMPL_ID 1
#define VSBI_BASE_IMPL_VERSION 2
#define VSBI_BASE_PROBE 3
#define VSBI_BASE_MVENDORID 4
#define VSBI_BASE_MARCHID 5
#define VSBI_BASE_MIMPID 6

/* Version 3.0: major number in bits 30:24, minor in 23:0 (section 4.1). */
#define VSBI_SPEC_VERSION 0x03000000

/*
 * Section 4.9 hands out implementation ids in sequence, and Rouse has none.
 * "Rous" in ASCII lies far beyond the sequence, so it can't come to mean some
 * other implementation, and it is positive as a 32-bit integer.
 */
#define VSBI_IMPL_ID 0x526f7573

/* Major number in bits 31:16, minor in 15:0; rises when answers change. */
#define VSBI_IMPL_VERSION 0x00000003

/*
 * Zero, which is always legal (sections 4.5 to 4.7). The host's own values
 * would be no better: a vCPU moves between harts that need not be alike, and
 * software asks once. They would also tell a guest which machine it shares,
 * and make it patch itself for a vendor's private instructions and CSRs,
 * none of which it has: what it has, the ISA string says. The price is that a
 * fault of the silicon that a guest would know by these numbers must be worked
 * round by the host.
 */
#define VSBI_MVENDORID 0
#define VSBI_MARCHID 0
#define VSBI_MIMPID 0

/* TIME (chapter 6), IPI (chapter 7). */
#define VSBI_TIME_SET_TIMER 0
#define VSBI_IPI_SEND 0

/* RFENCE (chapter 8). */
#define VSBI_RFENCE_FENCE_I 0
#define VSBI_RFENCE_SFENCE_VMA 1
#define VSBI_RFENCE_SFENCE_VMA_ASID 2
#define VSBI_RFENCE_HFENCE_GVMA_VMID 3
#define VSBI_RFENCE_HFENCE_VVMA 6

/* ASIDs have at most 16 bits. A call that gives more is refused, but a legacy
 * one, which has no error for it: there they are ignored, as SFENCE.VMA
 * does. */
#define VSBI_ASID_MAX 0xffff

/* HSM (chapter 9): functions, hart states, suspend types. */
#define VSBI_HSM_START 0
#define VSBI_HSM_STOP 1
#define VSBI_HSM_STATUS 2
#define VSBI_HSM_SUSPEND 3

#define VHSM_STARTED 0
#define VHSM_STOPPED 1
#define VHSM_START_PENDING 2
#define VHSM_STOP_PENDING 3
#define VHSM_SUSPENDED 4
#define VHSM_SUSPEND_PENDING 5
#define VHSM_RESUME_PENDING 6

#define VHSM_SUSPEND_RETENTIVE 0x00000000
#define VHSM_SUSPEND_NON_RETENTIVE 0x80000000

/* SRST (chapter 10): the function, types and reasons. */
#define VSBI_SRST_RESET 0

#define VSRST_SHUTDOWN 0
#define VSRST_COLD_REBOOT 1
#define VSRST_WARM_REBOOT 2
#define VSRST_NO_REASON 0
#define VSRST_SYSTEM_FAILURE 1

/* DBCN (chapter 12). */
#define VSBI_DBCN_WRITE 0
#define VSBI_DBCN_READ 1
#define VSBI_DBCN_WRITE_BYTE 2

/* STA (chapter 16). */
#define VSBI_STA_SET_SHMEM 0

/* PMU (chapter 11). */
#define VSBI_PMU_NUM_COUNTERS 0
#define VSBI_PMU_COUNTER_INFO 1
#define VSBI_PMU_CONFIG_MATCHING 2
#define VSBI_PMU_START 3
#define VSBI_PMU_STOP 4
#define VSBI_PMU_FW_READ 5
#define VSBI_PMU_FW_READ_HI 6
#define VSBI_PMU_SET_SHMEM 7
#define VSBI_PMU_EVENT_INFO 8

/* FWFT (chapter 18). */
#define VSBI_FWFT_SET 0
#define VSBI_FWFT_GET 1

/* SSE (chapter 17). */
#define VSBI_SSE_READ 0
#define VSBI_SSE_WRITE 1
#define VSBI_SSE_REGISTER 2
#define VSBI_SSE_UNREGISTER 3
#define VSBI_SSE_ENABLE 4
#define VSBI_SSE_DISABLE 5
#define VSBI_SSE_COMPLETE 6
#define VSBI_SSE_INJECT 7
#define VSBI_SSE_UNMASK 8
#define VSBI_SSE_MASK 9

/* DBTR (chapter 19). */
#define VSBI_DBTR_NUM 0
#define VSBI_DBTR_SHMEM 1
#define VSBI_DBTR_READ 2
#define VSBI_DBTR_INSTALL 3
#define VSBI_DBTR_UPDATE 4
#define VSBI_DBTR_UNINSTALL 5
#define VSBI_DBTR_ENABLE 6
#define VSBI_DBTR_DISABLE 7

/* SUSP (chapter 13): the function, the sleep type. */
#define VSBI_SUSP_SUSPEND 0
#define VSUSP_SUSPEND_TO_RAM 0

/* Legacy extensions (chapter 5); the extension is the function. */
#define VSBI_LEGACY_SET_TIMER 0x00
#define VSBI_LEGACY_PUTCHAR 0x01
#define VSBI_LEGACY_GETCHAR 0x02
#define VSBI_LEGACY_CLEAR_IPI 0x03
#define VSBI_LEGACY_SEND_IPI 0x04
#define VSBI_LEGACY_FENCE_I 0x05
#define VSBI_LEGACY_SFENCE_VMA 0x06
#define VSBI_LEGACY_SFENCE_VMA_ASID 0x07
#define VSBI_LEGACY_SHUTDOWN 0x08

#endif
