/*
 * The SBI as its callers see it (RISC-V SBI specification 3.0).
 */
#ifndef ROUSE_GUESTS_BAREMETAL_SBI_H
#define ROUSE_GUESTS_BAREMETAL_SBI_H

#include "guests/baremetal/runtime/runtime.h"

struct sbi_ret {
	long error;
	u64 value;
};

#define SBI_SUCCESS		  0
#define SBI_ERR_FAILED		  (-1)
#define SBI_ERR_NOT_SUPPORTED	  (-2)
#define SBI_ERR_INVALID_PARAM	  (-3)
#define SBI_ERR_DENIED		  (-4)
#define SBI_ERR_INVALID_ADDRESS	  (-5)
#define SBI_ERR_ALREADY_AVAILABLE (-6)
#define SBI_ERR_ALREADY_STARTED	  (-7)
#define SBI_ERR_ALREADY_STOPPED	  (-8)
#define SBI_ERR_NO_SHMEM	  (-9)
#define SBI_ERR_INVALID_STATE	  (-10)
#define SBI_ERR_BAD_RANGE	  (-11)
#define SBI_ERR_DENIED_LOCKED	  (-14)

#define SBI_LEGACY_SET_TIMER   0
#define SBI_LEGACY_PUTCHAR     1
#define SBI_LEGACY_GETCHAR     2
#define SBI_LEGACY_CLEAR_IPI   3
#define SBI_LEGACY_SEND_IPI    4
#define SBI_LEGACY_FENCE_I     5
#define SBI_LEGACY_SFENCE      6
#define SBI_LEGACY_SFENCE_ASID 7
#define SBI_LEGACY_SHUTDOWN    8

#define SBI_BASE	      0x10
#define SBI_BASE_SPEC_VERSION 0
#define SBI_BASE_IMPL_ID      1
#define SBI_BASE_IMPL_VERSION 2
#define SBI_BASE_PROBE	      3
#define SBI_BASE_MVENDORID    4
#define SBI_BASE_MARCHID      5
#define SBI_BASE_MIMPID	      6

#define SBI_TIME	     0x54494d45
#define SBI_IPI		     0x735049
#define SBI_RFENCE	     0x52464e43
#define SBI_RFENCE_I	     0
#define SBI_RFENCE_VMA	     1
#define SBI_RFENCE_VMA_ASID  2
#define SBI_RFENCE_GVMA_VMID 3
#define SBI_RFENCE_GVMA	     4
#define SBI_RFENCE_VVMA_ASID 5
#define SBI_RFENCE_VVMA	     6

#define SBI_HSM			  0x48534d
#define SBI_HSM_START		  0
#define SBI_HSM_STOP		  1
#define SBI_HSM_STATUS		  2
#define SBI_HSM_SUSPEND		  3
#define HSM_STARTED		  0
#define HSM_STOPPED		  1
#define HSM_START_PENDING	  2
#define HSM_STOP_PENDING	  3
#define HSM_SUSPENDED		  4
#define HSM_SUSPEND_PENDING	  5
#define HSM_RESUME_PENDING	  6
#define HSM_SUSPEND_RETENTIVE	  0x00000000u
#define HSM_SUSPEND_NON_RETENTIVE 0x80000000u

#define SBI_SRST	    0x53525354
#define SRST_SHUTDOWN	    0
#define SRST_COLD	    1
#define SRST_WARM	    2
#define SRST_REASON_NONE    0
#define SRST_REASON_FAILURE 1

#define SBI_DBCN	    0x4442434e
#define SBI_DBCN_WRITE	    0
#define SBI_DBCN_READ	    1
#define SBI_DBCN_WRITE_BYTE 2

#define SBI_STA		  0x535441
#define SBI_STA_SET_SHMEM 0

#define SBI_PMU		       0x504d55
#define SBI_PMU_NUM	       0
#define SBI_PMU_INFO	       1
#define SBI_PMU_CONFIG	       2
#define SBI_PMU_START	       3
#define SBI_PMU_STOP	       4
#define SBI_PMU_FW_READ	       5
#define SBI_PMU_FW_READ_HI     6
#define SBI_PMU_SHMEM	       7
#define SBI_PMU_EVENT_INFO     8
#define SBI_PMU_CLEAR	       2 /* flags of config, start, stop */
#define SBI_PMU_AUTO	       4
#define SBI_PMU_SET_VALUE      1
#define SBI_PMU_START_SNAPSHOT 2
#define SBI_PMU_STOP_RESET     1
#define SBI_PMU_STOP_SNAPSHOT  2
#define SBI_PMU_CYCLES	       1 /* events */
#define SBI_PMU_INSTRUCTIONS   2
#define SBI_PMU_FW(code)       (0xf0000 + (code))

#define SBI_FWFT	 0x46574654
#define SBI_FWFT_SET	 0
#define SBI_FWFT_GET	 1
#define FWFT_MISALIGNED	 0
#define FWFT_LANDING_PAD 1
#define FWFT_AD		 4
#define FWFT_PMLEN	 5
#define FWFT_LOCK	 1

#define SBI_SSE		   0x535345
#define SBI_SSE_READ	   0
#define SBI_SSE_WRITE	   1
#define SBI_SSE_REGISTER   2
#define SBI_SSE_UNREGISTER 3
#define SBI_SSE_ENABLE	   4
#define SBI_SSE_DISABLE	   5
#define SBI_SSE_COMPLETE   6
#define SBI_SSE_INJECT	   7
#define SBI_SSE_UNMASK	   8
#define SBI_SSE_MASK	   9
#define SSE_LOCAL_RAS	   0x00000000 /* events */
#define SSE_DOUBLE_TRAP	   0x00000001
#define SSE_GLOBAL_RAS	   0x00008000
#define SSE_PMU		   0x00010000
#define SSE_LOCAL_RAS_LOW  0x00100000
#define SSE_GLOBAL_RAS_LOW 0x00108000
#define SSE_LOCAL_SOFT	   0xffff0000
#define SSE_GLOBAL_SOFT	   0xffff8000

#define SBI_DBTR	   0x44425452
#define SBI_DBTR_NUM	   0
#define SBI_DBTR_SHMEM	   1
#define SBI_DBTR_READ	   2
#define SBI_DBTR_INSTALL   3
#define SBI_DBTR_UPDATE	   4
#define SBI_DBTR_UNINSTALL 5
#define SBI_DBTR_ENABLE	   6
#define SBI_DBTR_DISABLE   7

/* A trigger in the shared memory. */
struct dbtr_entry {
	u64 first; /* its state, or its index */
	u64 tdata1, tdata2, tdata3;
};

#define SBI_SUSP	 0x53555350
#define SBI_SUSP_SUSPEND 0

static inline struct sbi_ret sbi_call6(u64 ext, u64 fid, u64 x0, u64 x1, u64 x2,
				       u64 x3, u64 x4, u64 x5)
{
	register u64 a0 __asm__("a0") = x0;
	register u64 a1 __asm__("a1") = x1;
	register u64 a2 __asm__("a2") = x2;
	register u64 a3 __asm__("a3") = x3;
	register u64 a4 __asm__("a4") = x4;
	register u64 a5 __asm__("a5") = x5;
	register u64 a6 __asm__("a6") = fid;
	register u64 a7 __asm__("a7") = ext;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1)
			 : "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6), "r"(a7)
			 : "memory");
	return (struct sbi_ret){(long)a0, a1};
}

static inline struct sbi_ret sbi_call(u64 ext, u64 fid, u64 a0, u64 a1, u64 a2)
{
	return sbi_call6(ext, fid, a0, a1, a2, 0, 0, 0);
}

/* A legacy call answers in a0 alone. */
static inline long sbi_legacy(u64 ext, u64 a0, u64 a1, u64 a2, u64 a3)
{
	return sbi_call6(ext, 0, a0, a1, a2, a3, 0, 0).error;
}

static inline bool sbi_has(u64 ext)
{
	struct sbi_ret r = sbi_call(SBI_BASE, SBI_BASE_PROBE, ext, 0, 0);

	return r.error == 0 && r.value != 0;
}

/* SSIP at the harts `mask << base`. */
static inline struct sbi_ret sbi_ipi(u64 mask, u64 base)
{
	return sbi_call(SBI_IPI, 0, mask, base, 0);
}

/* SSIP at one hart. */
static inline long sbi_ipi_hart(u64 hartid)
{
	return sbi_ipi(1, hartid).error;
}

static inline struct sbi_ret sbi_hart_start(u64 hartid, u64 at, u64 opaque)
{
	return sbi_call(SBI_HSM, SBI_HSM_START, hartid, at, opaque);
}

static inline struct sbi_ret sbi_hart_status(u64 hartid)
{
	return sbi_call(SBI_HSM, SBI_HSM_STATUS, hartid, 0, 0);
}

static inline struct sbi_ret sbi_hart_suspend(u64 type, u64 at, u64 opaque)
{
	return sbi_call(SBI_HSM, SBI_HSM_SUSPEND, type, at, opaque);
}

/* What start.S keeps of a hart over a suspend, and what it came back with. */
struct suspend {
	u64 saved[14], tp;
	u64 hartid, satp, sstatus; /* at the resume address */
};

/*
 * Suspends this hart with any suspend type; the interrupts in sie wake it, as
 * with WFI. Interrupts must be off; sie is put back. Returns 1 if the hart
 * came back at the resume address, else the SBI error (0: retentive).
 */
long hart_suspend(struct suspend *s, u64 type);

/* The same for the machine (SUSP), to RAM. */
long system_suspend(struct suspend *s, u64 type);

#endif
