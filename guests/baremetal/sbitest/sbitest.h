/*
 * SBI conformance: what the parts of the test share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_SBITEST_H
#define ROUSE_GUESTS_BAREMETAL_SBITEST_H

#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

extern const struct test base_tests[], time_tests[], ipi_tests[],
	rfence_tests[], hsm_tests[], dbcn_tests[], sta_tests[], pmu_tests[],
	fwft_tests[], susp_tests[], sse_tests[], sse_harts_tests[],
	dbtr_tests[], legacy_tests[], high_tests[];
extern const size_t base_test_count, time_test_count, ipi_test_count,
	rfence_test_count, hsm_test_count, dbcn_test_count,
	sta_test_count, pmu_test_count, fwft_test_count,
	susp_test_count, sse_test_count, sse_harts_test_count,
	dbtr_test_count,
	legacy_test_count, high_test_count;

#define TEST_LIST(list, count) const size_t count = ARRAY_LEN(list)

/* A hart id that no hart has, and the first one after all that exist. */
u64 absent_hart(void);

/* An address where there is neither RAM nor a device. */
#define HOLE 0x180000UL
/* The first byte after RAM. */
u64 ram_end(void);

static inline bool soft_pending(void)
{
	return csr_read(sip) & IRQ_BIT(IRQ_S_SOFT);
}

static inline void soft_pend(bool on)
{
	if (on)
		csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	else
		csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
}

static inline bool timer_pending(void)
{
	return csr_read(sip) & IRQ_BIT(IRQ_S_TIMER);
}

/* Waits until *word, or the hart's state, is `want`, or STIP is set, which
 * follows the clock, but needn't do so at once (Sstc, section 2.1); false: it
 * didn't come in HANG_TICKS. */
bool wait_word(u64 *word, u64 want);
bool wait_status(u64 hartid, u64 want);
bool wait_timer(void);

/* Runs fn on the second hart while this one goes on; NULL: there is none. */
struct hart *other_start(void (*fn)(struct hart *h, void *arg), void *arg);

/*
 * For other_start. spins: until the u64 that `arg` points to isn't 0. sleeps:
 * in a suspend of the type that it points to, a u32, until a software interrupt
 * ends it.
 */
void spins(struct hart *h, void *arg);
void sleeps(struct hart *h, void *arg);

/*
 * A suspend that goes on at another address, with translation and interrupts on
 * before: both must be off there.
 */
void resumes_bare(long (*suspend)(struct suspend *s, u64 type), u64 type);

/*
 * An ecall with a pattern in every register. Returns a bit for each register
 * that came back changed (a0 and a1 aside, whose values are in out[0..1]).
 */
u64 ecall_registers(u64 ext, u64 fid, u64 a0, u64 a1, u64 *out);

/* Entry for started or resumed harts: writes the record at a1 and stops. */
struct start_record {
	u64 a0, a1, satp, sstatus, count;
};
void record_entry(void);

#endif
