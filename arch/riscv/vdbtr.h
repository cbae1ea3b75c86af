/*
 * A vCPU's debug triggers: what SBI DBTR (vsbi_dbtr.c) keeps, and its hooks.
 */
#ifndef ROUSE_ARCH_RISCV_VDBTR_H
#define ROUSE_ARCH_RISCV_VDBTR_H

#include "kernel/base.h"

struct riscv_vcpu;

/* More triggers of a hart than this are left alone. */
#define VDBTR_MAX 32

/* mcontrol6 as tdata1 (Debug specification 1.0, 5.7.12), for 64 bits. */
#define MC6_TYPE       (6UL << 60)
#define MC6_TYPE_MASK  (15UL << 60)
#define MC6_DMODE      (1UL << 59)
#define MC6_VS	       (1UL << 24)
#define MC6_VU	       (1UL << 23)
#define MC6_SIZE_SHIFT 16
#define MC6_SIZE       (7UL << MC6_SIZE_SHIFT)
#define MC6_M	       (1UL << 6)
#define MC6_S	       (1UL << 4)
#define MC6_U	       (1UL << 3)
#define MC6_EXECUTE    (1UL << 2)
#define MC6_STORE      (1UL << 1)
#define MC6_LOAD       (1UL << 0)

struct vdbtr_trigger {
	u64 state; /* trig_state; 0: not installed */
	u64 tdata1, tdata2;
};

/* The owner only. */
struct vdbtr {
	struct vdbtr_trigger *trigger; /* triggers_count of them, or NULL */
	u64 shmem;		       /* guest physical; UINT64_MAX: none */
	u32 installed;		       /* a bit a trigger */
};

/* The triggers of `v`, which has some, are put into this hart; or all that are
 * there are taken out of it: parts of vsbi_features_load and _unload. */
void vdbtr_load(struct riscv_vcpu *v);
void vdbtr_unload(void);

/* A hart starts anew. It is not loaded. */
void vdbtr_reset(struct riscv_vcpu *v);

#endif
