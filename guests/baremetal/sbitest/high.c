/*
 * RAM above 4 GiB, for who has some: all 64 bits of an address count, wherever
 * one is given.
 */
#include "guests/baremetal/sbitest/sse.h"

#define HIGH (1UL << 32)

/* At 4 GiB, with RAM before and behind; NULL: there is none. */
static char *high_ram(void)
{
	if (machine.ram[0].base < HIGH && ram_end() > HIGH + PAGE_BYTES)
		return (char *)HIGH;
	test_skip("no RAM above 4 GiB");
	return NULL;
}

static void is_written_from(void)
{
	static const char text[] = "dbcn: across 4 GiB\n";
	u64 n = sizeof(text) - 1, done = 0;
	char *at = high_ram();
	struct sbi_ret r;

	if (!at)
		return;
	at -= 5;
	memcpy(at, text, n);
	while (done < n) {
		r = sbi_call(SBI_DBCN, SBI_DBCN_WRITE, n - done, (u64)at + done,
			     0);
		if (!check(!r.error && r.value && r.value <= n - done,
			   "error %ld value %ld", r.error, r.value))
			return;
		done += r.value;
	}
	for (u64 fid = SBI_DBCN_WRITE; fid <= SBI_DBCN_READ; fid++)
		check_eq(sbi_call(SBI_DBCN, fid, ram_end() - (u64)at + 1,
				  (u64)at, 0)
				 .error,
			 SBI_ERR_INVALID_PARAM, "error of one byte too many");
}

static void is_read_into(void)
{
	char *at = high_ram();
	struct sbi_ret r;

	if (!at)
		return;
	at -= 8;
	memset(at, 0x55, 64);
	r = sbi_call(SBI_DBCN, SBI_DBCN_READ, 64, (u64)at, 0);
	check(!r.error && r.value <= 64, "error %ld value %ld", r.error,
	      r.value);
	for (u64 i = r.value; i < 64; i++)
		check_eq(at[i], 0x55, "a byte behind what was read");
}

static void runs_harts(void)
{
	struct start_record *record;
	char *at = high_ram();

	if (!at)
		return;
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	/* record_entry can run anywhere; what comes behind it isn't needed. */
	memcpy(at, (void *)record_entry, 64);
	record = (struct start_record *)(at + 64);
	memset(record, 0, sizeof(*record));
	check_eq(sbi_hart_start(harts[1].id, (u64)at, (u64)record).error, 0,
		 "error");
	check(wait_word(&record->count, 1), "it did not run");
	check(wait_status(harts[1].id, HSM_STOPPED), "it did not stop");
	check_eq(record->a0, harts[1].id, "a0");
	check_eq(record->a1, (u64)record, "a1");
}

static void is_shared(void)
{
	u64 *at = (u64 *)high_ram();
	u32 *event = (u32 *)at;

	if (!at)
		return;
	memset(at, 0xa5, PAGE_BYTES);
	check_eq(sbi_call(SBI_STA, SBI_STA_SET_SHMEM, (u64)at, 0, 0).error, 0,
		 "STA's error");
	check_eq(at[3], 0, "the end of STA's page");
	check_eq(at[8], 0xa5a5a5a5a5a5a5a5, "what is behind it");
	sbi_call(SBI_STA, SBI_STA_SET_SHMEM, UINT64_MAX, UINT64_MAX, 0);
	check_eq(attrs(SBI_SSE_READ, SSE_LOCAL_SOFT, STATUS, 1, at + 16), 0,
		 "SSE's error");
	check_eq(at[16], INJECTABLE, "an event's status");
	event[0] = SBI_PMU_CYCLES;
	check_eq(sbi_call6(SBI_PMU, SBI_PMU_EVENT_INFO, (u64)event, 0, 1, 0, 0,
			   0)
			 .error,
		 0, "PMU's error");
	check_eq(event[1], 1, "an event's info");
}

const struct test high_tests[] = {
	{"high_ram_is_written_from", is_written_from},
	{"high_ram_is_read_into", is_read_into},
	{"high_ram_runs_harts", runs_harts},
	{"high_ram_is_shared", is_shared},
};
TEST_LIST(high_tests, high_test_count);
