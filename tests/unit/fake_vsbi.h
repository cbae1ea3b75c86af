/*
 * A guest and a hart for the tests of arch/riscv/vsbi*.c, vtimer.c and
 * vfence.c: what those call is here, writes down what it was asked, and lets a
 * test see to it.
 */
#ifndef TESTS_UNIT_FAKE_VSBI_H
#define TESTS_UNIT_FAKE_VSBI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv/triggers.h"
#include "arch/riscv/cpu.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "kernel/virq.h"

#define FAKE_RAM_BASE 0x80000000ULL
#define FAKE_RAM_BYTES 0x10000ULL
#define FAKE_VCPUS_MAX 600

struct fake_hart {
	u64 vstimecmp, vsie, vsatp, hvip;
	u64 timer_ticks; /* of the host */
	u32 restarts;    /* vhw_vs_restart */
	bool no_counters;
	u64 cycle, instret, hcounteren, scounteren;
	u64 henvcfg, henvcfg_has; /* bits that can be set */
	u32 pmlens; /* that are masked as they should: a bit each */
	u32 gpa_bits;
	u64 sepc, vsepc, vsstatus;
	bool vs_mode; /* the guest was in it */
	s64 misaligned; /* what the firmware delegates; < 0: it can't say */
	s64 misaligned_fails; /* what it answers to a change, unless 0 */
	bool adue_kept; /* by the firmware, until it is asked to allow it */
	s64 adue_fails; /* what it answers then, unless 0 */
	struct trigger triggers[32]; /* that are set */
	u32 triggers_count, triggers_sets;
	bool triggers_refused;
};

struct fake_world {
	u32 rests; /* calls of guest_tell_rest */
	struct guest guest;
	struct arch_guest arch;
	struct riscv_vcpu vcpu[FAKE_VCPUS_MAX];
	struct vcpu *table[FAKE_VCPUS_MAX];
	struct riscv_cpu cpu; /* where vCPU 0 is loaded */
	u8 ram[FAKE_RAM_BYTES];

	struct fake_hart hart;
	u64 now_ticks;

	/* What was done to the guest. */
	char console[8192];
	size_t console_len;
	const char *typed; /* input that waits */
	u32 ends;
	enum guest_event end_why;
	u32 end_code;
	u32 starts;          /* sched_vcpu_start */
	struct vcpu *started;
	int start_result;
	u32 resets;          /* arch_vcpu_reset */
	u64 reset_pc, reset_arg;
	void (*at_reset)(struct vcpu *v); /* others, while it is at it */
	u32 reflects;        /* exit_reflect */
	u64 reflect_cause, reflect_tval;
	u64 va_base;         /* guest virtual memory that hlv_u64 reads */
	u64 va_words[8];
	u32 va_len;
	u64 va_cause;        /* what reading behind it ends in */
	u32 va_absent;       /* so many reads find RAM not yet made present */
	/* Another hart, which writes to what has just been read of the guest's
	 * memory. */
	void (*after_read)(void *from, size_t bytes);

	/* What vhw_bell_wait answers, and what others do meanwhile. None: there
	 * is something else to do. */
	bool (*bell_wait)(void);

	/* Fences that "the hart" did. */
	u32 fence_i, fence_all, fence_asid, fence_va, fence_va_asid;
	u64 fence_last_va;
	u64 fence_last_asid;
};

extern struct fake_world w;

/* A fresh world: `vcpus` vCPUs, number 0 running and loaded, the others OFF. */
void fake_world_init(u32 vcpus);

/* One in which the others are started, and in that scheduler state. */
void fake_world_started(u32 vcpus, enum vcpu_state state);

/* The guest starts anew, as by arch_vcpu_clear and arch_guest_reset. */
void fake_guest_reset(void);

/* cmocka set-up with 4 vCPUs. */
int fake_setup(void **state);

/* vCPU n as the code knows it. */
struct riscv_vcpu *fake_vcpu(u32 n);

/* Makes vCPU n a started one in that scheduler state. */
void fake_started(u32 n, enum vcpu_state state);

/* How many vCPUs have a software interrupt raised. */
u32 fake_soft_pending(void);

/* One SBI call by vCPU 0; registers that must stay are checked. */
struct fake_ret {
	enum exit_next next;
	s64 error;
	u64 value;
};

struct fake_ret fake_call(u64 eid, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3,
			  u64 a4);

#define CALL(eid, fid, ...) FAKE_CALL_(eid, fid, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define FAKE_CALL_(eid, fid, a, b, c, d, e, ...) \
	fake_call(eid, fid, a, b, c, d, e)

/* The call returned to the guest with this error and value. */
void expect_ret(struct fake_ret r, s64 error, u64 value);

#endif
