/*
 * Calls to the firmware below (SBI 2.0): what Rouse asks of OpenSBI.
 */
#ifndef ROUSE_ARCH_RISCV_SBI_H
#define ROUSE_ARCH_RISCV_SBI_H

#include "kernel/base.h"

#define SBI_EXT_BASE 0x10
#define SBI_EXT_TIME 0x54494d45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_HSM 0x48534d
#define SBI_EXT_SRST 0x53525354
#define SBI_EXT_DBCN 0x4442434e
#define SBI_EXT_SSE 0x535345
#define SBI_EXT_FWFT 0x46574654 /* of version 3.0 */
#define SBI_EXT_DBTR 0x44425452

struct sbi_ret {
	s64 error;
	u64 value;
};

#ifdef __riscv

static inline struct sbi_ret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1,
				      u64 arg2)
{
	register u64 a0 __asm__("a0") = arg0;
	register u64 a1 __asm__("a1") = arg1;
	register u64 a2 __asm__("a2") = arg2;
	register u64 a6 __asm__("a6") = fid;
	register u64 a7 __asm__("a7") = ext;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1)
			 : "r"(a2), "r"(a6), "r"(a7)
			 : "memory");
	return (struct sbi_ret){ (s64)a0, a1 };
}

#else

struct sbi_ret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2);

#endif

/* Does the firmware have this extension? */
bool sbi_probe(u64 ext);

/* Version of the specification: major << 24 | minor. */
u32 sbi_spec_version(void);

/*
 * Is the firmware fit to stand on? Refuses (and does not return) an OpenSBI
 * 1.5.x, which loses a hart at boot now and then.
 */
void sbi_check_firmware(void);

#endif
