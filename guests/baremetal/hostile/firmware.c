/*
 * What makes the hypervisor call the firmware for a guest: debug triggers and
 * misaligned accesses, which are the hart's, and move with the vCPU; and
 * software events, which are told like interrupts.
 */
#include "guests/baremetal/hostile/hostile.h"

#define MC6_S_LOAD (6UL << 60 | 1 << 4 | 1) /* tdata1 */

/* As many triggers as the hart has; none of them ever fires. */
static void triggers_install(struct hart *h)
{
	static struct dbtr_entry entry[MAX_HARTS];
	struct dbtr_entry *e = &entry[h->index];
	u64 n = sbi_call(SBI_DBTR, SBI_DBTR_NUM, 0, 0, 0).value;

	if (e->tdata1)
		return;
	sbi_call(SBI_DBTR, SBI_DBTR_SHMEM, (u64)e, 0, 0);
	do {
		*e = (struct dbtr_entry){.tdata1 = MC6_S_LOAD, .tdata2 = n};
	} while (n-- && !sbi_call(SBI_DBTR, SBI_DBTR_INSTALL, 1, 0, 0).error);
	e->tdata1 = MC6_S_LOAD;
}

/* The rest of the turn is given away, and all is to be moved. */
static void dbtr_yield_hart(struct hart *h)
{
	triggers_install(h);
	wrs_nto();
}

static void dbtr_yield(void)
{
	everywhere(dbtr_yield_hart);
}

static void dbtr_naps_hart(struct hart *h)
{
	triggers_install(h);
	nap();
}

static void dbtr_naps(void)
{
	everywhere(dbtr_naps_hart);
}

/* Every hart has another value than the one before. */
static void fwft_flips_hart(struct hart *h)
{
	u64 now = sbi_call(SBI_FWFT, SBI_FWFT_GET, FWFT_MISALIGNED, 0, 0).value;

	(void)h;
	sbi_call(SBI_FWFT, SBI_FWFT_SET, FWFT_MISALIGNED, !now, 0);
	sbi_call(SBI_FWFT, SBI_FWFT_SET, FWFT_AD, dice(h) & 1, 0);
	wrs_nto();
}

static void fwft_flips(void)
{
	everywhere(fwft_flips_hart);
}

/* A global event, injected by all, and all the time another hart's turn. */
static void sse_hart(struct hart *h)
{
	(void)h;
	sbi_call(SBI_SSE, SBI_SSE_INJECT, SSE_GLOBAL_SOFT, 0, 0);
	sbi_call(SBI_SSE, SBI_SSE_INJECT, SSE_LOCAL_SOFT, h->id ^ 1, 0);
	sbi_call(SBI_SSE, SBI_SSE_UNMASK, 0, 0, 0);
	sbi_call(SBI_SSE, SBI_SSE_MASK, 0, 0, 0);
}

static void sse_storm(void)
{
	everywhere(sse_hart);
}

const struct attack firmware_attacks[] = {
	{"dbtr-yield", dbtr_yield},
	{"dbtr-naps", dbtr_naps},
	{"fwft-flips", fwft_flips},
	{"sse-storm", sse_storm},
};
ATTACK_LIST(firmware_attacks, firmware_attack_count);
