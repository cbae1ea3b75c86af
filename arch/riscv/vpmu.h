/*
 * A vCPU's performance counters: what SBI PMU (vsbi_pmu.c) asks of them, and
 * the hooks of those that have something to count or must stop counting.
 */
#ifndef ROUSE_ARCH_RISCV_VPMU_H
#define ROUSE_ARCH_RISCV_VPMU_H

#include <ck_pr.h>

#include "kernel/base.h"

struct riscv_vcpu;

/*
 * Counter ids. Those of hardware counters are their CSR's offset from `cycle`,
 * because software takes that for granted; so there is no counter 1, which
 * would be `time`.
 */
#define VPMU_CYCLE 0
#define VPMU_INSTRET 2
#define VPMU_FW_FIRST 3
#define VPMU_COUNTERS 32
#define VPMU_HW_IDS (1u << VPMU_CYCLE | 1u << VPMU_INSTRET)
#define VPMU_FW_IDS (0xffffffffu << VPMU_FW_FIRST)

/* Firmware events (section 11.5), by their codes. */
enum vpmu_event {
	VPMU_MISALIGNED_LOAD,
	VPMU_MISALIGNED_STORE,
	VPMU_ACCESS_LOAD,
	VPMU_ACCESS_STORE,
	VPMU_ILLEGAL_INSN,
	VPMU_SET_TIMER,
	VPMU_IPI_SENT,
	VPMU_IPI_RECEIVED,
	VPMU_FENCE_I_SENT,
	VPMU_FENCE_I_RECEIVED,
	VPMU_SFENCE_SENT,
	VPMU_SFENCE_RECEIVED,
	VPMU_SFENCE_ASID_SENT,
	VPMU_SFENCE_ASID_RECEIVED,
	VPMU_EVENTS = 22, /* the rest are HFENCEs, which guests don't have */
};

struct vpmu_counter {
	u64 value; /* of one that counts: less what its event had then */
	u32 event; /* event_idx; 0: none */
};

struct vpmu {
	/* Any CPU, atomic: does some counter count firmware events, and what
	 * happened while one did. */
	u32 fw_on;
	u64 fw[VPMU_EVENTS];

	/* The owner only. */
	u32 started;  /* a bit a counter */
	u32 hw_used;  /* hardware counters that have an event */
	bool live;    /* the vCPU has a CPU: they count */
	u64 quick;    /* v->quick when fw_on is 0 */
	struct vpmu_counter counter[VPMU_COUNTERS];
	struct vpmu_snapshot *snapshot; /* in the guest's RAM, or NULL */
	u64 info_at, info_left; /* event_get_info: an address, and entries */
};

/* A bit for each that guests have. */
u32 vpmu_ids(void);

static inline bool vpmu_is_hw(u32 id)
{
	return VPMU_HW_IDS >> id & 1;
}

/*
 * One counter: what it shows now; it begins to count, or stands still. Ids of
 * vpmu_ids(); a firmware counter has an event. `v` is loaded.
 */
u64 vpmu_value(struct riscv_vcpu *v, u32 id);
void vpmu_start(struct riscv_vcpu *v, u32 id);
void vpmu_stop(struct riscv_vcpu *v, u32 id);

/* Which hardware counters have an event has changed; which firmware counters
 * are started. `v` is loaded. */
void vpmu_hw_apply(struct riscv_vcpu *v);
void vpmu_fw_apply(struct riscv_vcpu *v);

/* A firmware event at a vCPU; any CPU. */
static inline void vpmu_event_at(struct vpmu *p, enum vpmu_event event)
{
	if (unlikely(ck_pr_load_32(&p->fw_on)))
		ck_pr_inc_64(&p->fw[event]);
}

/* An exception that the vCPU is given by the hypervisor. */
void vpmu_trap(struct riscv_vcpu *v, u64 cause);

/*
 * The vCPU loses its CPU, or has one (again): hardware counters stand still in
 * between. Any number of times each. `v` is loaded. Only for those with
 * hw_used; pause makes the next load a full one.
 */
void vpmu_pause(struct riscv_vcpu *v);
void vpmu_resume(struct riscv_vcpu *v);

/*
 * Is `inst`, which trapped as a virtual instruction, a read of a counter that
 * is kept here? Then the value that it reads is in *val. `user`: in VU-mode.
 */
bool vpmu_csr_read(struct riscv_vcpu *v, u32 inst, bool user, u64 *val);

#endif
