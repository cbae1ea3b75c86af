/*
 * HSM: the life of a hart, its errors, and its races. Harts are started at
 * record_entry (entry.S), which needs no stack, notes what it was given and
 * stops again.
 */
#include "guests/baremetal/sbitest/sbitest.h"

static struct start_record record;

static u64 other_id(void)
{
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return UINT64_MAX;
	}
	return harts[1].id;
}

static void states(void)
{
	check_eq(sbi_hart_status(this_hart()->id).value, HSM_STARTED, "self");
	for (u32 i = 1; i < machine.hart_count; i++) {
		struct sbi_ret r = sbi_hart_status(harts[i].id);

		check(!r.error && r.value == HSM_STOPPED,
		      "hart %ld: error %ld state %ld", harts[i].id, r.error,
		      r.value);
	}
}

static void unknown_hart(void)
{
	u64 bad[] = {absent_hart(), 1UL << 32, UINT64_MAX, UINT64_MAX / 2};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long status = sbi_hart_status(bad[i]).error;
		long start =
			sbi_hart_start(bad[i], (u64)record_entry, (u64)&record)
				.error;

		check_spec(status == SBI_ERR_INVALID_PARAM &&
				   start == SBI_ERR_INVALID_PARAM,
			   "hart id 0x%lx: status gives %ld, start %ld", bad[i],
			   status, start);
	}
}

static void start_registers(void)
{
	u64 id = other_id();

	if (id == UINT64_MAX)
		return;
	for (u64 n = 1; n <= 50; n++) {
		memset(&record, 0xff, sizeof(record));
		record.count = 0;
		check_eq(sbi_hart_start(id, (u64)record_entry, (u64)&record)
				 .error,
			 0, "error");
		if (!check(wait_word(&record.count, 1), "it did not run") ||
		    !check(wait_status(id, HSM_STOPPED), "it did not stop"))
			return;
		check_eq(record.a0, id, "a0");
		check_eq(record.a1, (u64)&record, "a1");
		check_eq(record.satp, 0, "satp");
		check_eq(record.sstatus & SSTATUS_SIE, 0, "sstatus.SIE");
	}
}

static void start_twice(void)
{
	u64 go = 0;
	struct hart *other;
	long e = sbi_hart_start(this_hart()->id, (u64)record_entry, 0).error;

	check_eq(e, SBI_ERR_ALREADY_AVAILABLE, "error, self");
	other = other_start(spins, &go);
	if (!other)
		return;
	wait_status(other->id, HSM_STARTED);
	e = sbi_hart_start(other->id, (u64)record_entry, (u64)&record).error;
	check_eq(e, SBI_ERR_ALREADY_AVAILABLE, "error, other");
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	hart_join(other);
}

static void bad_addresses(void)
{
	u64 pc = (u64)record_entry;
	/* Firmware knows of its own memory only. */
	u64 bad[] = {
		machine.rouse ? ram_end() : machine.ram[0].base, HOLE,
		UINT64_MAX - 4095, machine.uart.base,
		/* No place for an instruction, and RAM if only so many bits
		 * of the address counted. */
		pc + 1, pc | 1UL << 32, pc | 1UL << 56, pc | 1UL << 63};
	size_t n = machine.rouse ? ARRAY_LEN(bad) : 1;
	u64 id = other_id();

	for (size_t i = 0; i < n && id != UINT64_MAX; i++) {
		long e = sbi_hart_start(id, bad[i], 0).error;

		check(e == SBI_ERR_INVALID_ADDRESS, "start at 0x%lx gives %ld",
		      bad[i], e);
		check_eq(sbi_hart_status(id).value, HSM_STOPPED, "state");
	}
	for (size_t i = 0; i < n; i++) {
		long e = sbi_hart_suspend(HSM_SUSPEND_NON_RETENTIVE, bad[i], 0)
				 .error;

		check(e == SBI_ERR_INVALID_ADDRESS, "resume at 0x%lx gives %ld",
		      bad[i], e);
	}
}

static u64 wins[2];
static struct barrier barrier;

/* Two harts start the third at the same time, again and again. */
static void racer(struct hart *h, void *arg)
{
	u64 id = harts[2].id;

	(void)arg;
	for (u64 n = 1; n <= 100 && !test_failed(); n++) {
		long e;

		barrier_wait(&barrier, 2);
		e = sbi_hart_start(id, (u64)record_entry, (u64)&record).error;
		if (!e)
			wins[h->index]++;
		else if (e != SBI_ERR_ALREADY_AVAILABLE &&
			 (e != SBI_ERR_INVALID_PARAM || machine.rouse))
			test_fail("the loser gets %ld", e);
		barrier_wait(&barrier, 2);
		if (!h->index) {
			u64 won = wins[0] + wins[1];

			check(won >= n, "nobody started it");
			check(wait_word(&record.count, won),
			      "%ld starts, it ran %ld times", won,
			      record.count);
			check(wait_status(id, HSM_STOPPED), "it did not stop");
		}
		barrier_wait(&barrier, 2);
	}
}

static void start_race(void)
{
	if (machine.hart_count < 3) {
		test_skip("needs three harts");
		return;
	}
	memset(&record, 0, sizeof(record));
	wins[0] = wins[1] = 0;
	harts_run(2, racer, NULL);
}

static void bad_types(void)
{
	static const u64 bad[] = {1,	      0x0fffffff, 0x10000000,
				  0x7fffffff, 0x80000001, 0x8fffffff,
				  0x90000000, 0xffffffff};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long e = sbi_hart_suspend(bad[i], (u64)record_entry, 0).error;

		check_spec(e == SBI_ERR_INVALID_PARAM, "type 0x%lx gives %ld",
			   bad[i], e);
	}
}

static void suspend_for(u64 type, long want)
{
	struct suspend s;
	u64 start = time_now(), ticks = machine.hz / 100;
	long ret;

	timer_set(start + ticks);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	ret = hart_suspend(&s, type);
	csr_write(sie, 0);
	timer_clear();
	if (!check(ret == want, "suspend gives %ld", ret))
		return;
	check(time_now() - start >= ticks, "woke too early");
	if (ret != 1)
		return;
	check_eq(s.hartid, this_hart()->id, "a0");
	check_eq(s.satp, 0, "satp");
	check_eq(s.sstatus & SSTATUS_SIE, 0, "sstatus.SIE");
}

static void suspend_retentive(void)
{
	suspend_for(HSM_SUSPEND_RETENTIVE, 0);
}

static void suspend_non_retentive(void)
{
	suspend_for(HSM_SUSPEND_NON_RETENTIVE, 1);
}

/* Nobody needs the address that a retentive one doesn't go to. */
static void suspend_retentive_anywhere(void)
{
	static const u64 at[] = {0, 1, HOLE, UINT64_MAX};

	soft_pend(true);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct sbi_ret r =
			sbi_hart_suspend(HSM_SUSPEND_RETENTIVE, at[i], at[i]);

		check_spec(r.error == 0, "resume address 0x%lx gives %ld",
			   at[i], r.error);
	}
	csr_write(sie, 0);
	soft_pend(false);
}

static void resumes_without_translation(void)
{
	resumes_bare(hart_suspend, HSM_SUSPEND_NON_RETENTIVE);
}

/* The type is a number of 32 bits. */
static void suspend_upper_half(void)
{
	suspend_for(1UL << 63 | HSM_SUSPEND_RETENTIVE, 0);
	suspend_for(1UL << 63 | HSM_SUSPEND_NON_RETENTIVE, 1);
}

static void suspend_pending(void)
{
	struct suspend s;

	soft_pend(true);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	for (int i = 0; i < 20; i++) {
		check_eq(hart_suspend(&s, HSM_SUSPEND_RETENTIVE), 0,
			 "retentive");
		check_eq(hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE), 1,
			 "non-retentive");
	}
	csr_write(sie, 0);
	check(soft_pending(), "the interrupt is gone");
	soft_pend(false);
}

static void suspended_is_seen(void)
{
	u32 types[] = {HSM_SUSPEND_RETENTIVE, HSM_SUSPEND_NON_RETENTIVE};

	for (int i = 0; i < 20 && !test_failed(); i++) {
		struct hart *other = other_start(sleeps, &types[i & 1]);

		if (!other)
			return;
		check(wait_status(other->id, HSM_SUSPENDED),
		      "state is never SUSPENDED");
		/* OpenSBI refuses, but lets it resume at that address. */
		if (machine.rouse)
			check_eq(sbi_hart_start(other->id, (u64)record_entry,
						(u64)&record)
					 .error,
				 SBI_ERR_ALREADY_AVAILABLE,
				 "error of a start of a suspended hart");
		check_eq(sbi_ipi_hart(other->id), 0, "IPI");
		hart_join(other);
	}
}

static void churn(void)
{
	u64 id = other_id();

	memset(&record, 0, sizeof(record));
	for (u64 n = 1; n <= 500 && id != UINT64_MAX; n++) {
		long e;

		/* STOPPED is all that a new start needs. */
		if (!check(wait_status(id, HSM_STOPPED), "did not stop"))
			return;
		e = sbi_hart_start(id, (u64)record_entry, (u64)&record).error;
		if (!check(!e, "start %ld gives %ld", n, e) ||
		    !check(wait_word(&record.count, n), "did not run"))
			return;
	}
	if (id != UINT64_MAX)
		check(wait_status(id, HSM_STOPPED), "did not stop");
}

const struct test hsm_tests[] = {
	{"hsm_states_of_all_harts", states},
	{"hsm_unknown_hart_is_an_invalid_param", unknown_hart},
	{"hsm_start_gives_the_registers", start_registers},
	{"hsm_start_of_a_started_hart_is_already_available", start_twice},
	{"hsm_start_and_resume_refuse_bad_addresses", bad_addresses},
	{"hsm_of_two_starts_one_wins", start_race},
	{"hsm_suspend_refuses_reserved_types", bad_types},
	{"hsm_suspend_retentive_returns", suspend_retentive},
	{"hsm_suspend_retentive_ignores_the_address",
	 suspend_retentive_anywhere},
	{"hsm_suspend_non_retentive_resumes", suspend_non_retentive},
	{"hsm_resume_is_without_translation_and_interrupts",
	 resumes_without_translation},
	{"hsm_suspend_ignores_the_type's_upper_half", suspend_upper_half},
	{"hsm_suspend_with_a_pending_interrupt_returns", suspend_pending},
	{"hsm_suspended_is_seen_and_woken_by_ipi", suspended_is_seen},
	{"hsm_start_and_stop_many_times", churn},
};
TEST_LIST(hsm_tests, hsm_test_count);
