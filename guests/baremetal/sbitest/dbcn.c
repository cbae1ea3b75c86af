/*
 * DBCN: what it writes is seen by whoever reads the log; what can be checked
 * here are counts and refusals.
 */
#include "guests/baremetal/sbitest/sbitest.h"

static char page[2 * PAGE_BYTES] __attribute__((aligned(4096)));

static struct sbi_ret dbcn_write(u64 n, u64 lo, u64 hi)
{
	return sbi_call(SBI_DBCN, SBI_DBCN_WRITE, n, lo, hi);
}

static void writes(void)
{
	static const char text[] = "dbcn: written\n";
	u64 n = sizeof(text) - 1, done = 0;

	for (u64 tries = 0; done < n && tries < 1000; tries++) {
		struct sbi_ret r = dbcn_write(n - done, (u64)text + done, 0);

		if (!check_eq(r.error, 0, "error") ||
		    !check(r.value <= n - done, "%ld of %ld written", r.value,
			   n - done))
			return;
		done += r.value;
	}
	check_eq(done, n, "bytes written");
}

static void writes_across_pages(void)
{
	char *s = page + PAGE_BYTES - 8;
	u64 done = 0;

	memcpy(s, "dbcn: over a page\n", 18);
	while (done < 18) {
		struct sbi_ret r = dbcn_write(18 - done, (u64)s + done, 0);

		if (!check(!r.error && r.value && r.value <= 18 - done,
			   "error %ld value %ld", r.error, r.value))
			return;
		done += r.value;
	}
}

static void writes_nothing(void)
{
	const u64 at[][2] = {{(u64)page, 0},
			     {HOLE, 0},
			     {ram_end(), 0},
			     {(u64)page, 1},
			     {UINT64_MAX, UINT64_MAX}};

	for (size_t i = 0; i < (machine.rouse ? ARRAY_LEN(at) : 1); i++) {
		struct sbi_ret r = dbcn_write(0, at[i][0], at[i][1]);

		check(r.error == 0 && r.value == 0,
		      "at 0x%lx, 0x%lx: error %ld value %ld", at[i][0],
		      at[i][1], r.error, r.value);
	}
}

static void write_byte(void)
{
	static const char text[] = "dbcn: bytes\n";

	for (const char *s = text; *s; s++) {
		/* Only the low byte counts. */
		struct sbi_ret r = sbi_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE,
					    0xa5a5a5a500UL | (u8)*s, 7, 0);

		if (!check_eq(r.error, 0, "error") ||
		    !check_spec(r.value == 0, "value %ld", r.value))
			return;
	}
}

static void refuse(u64 fid)
{
	const struct {
		u64 n, lo, hi;
	} bad[] = {
		{1, HOLE, 0},
		{1, machine.uart.base, 0},
		{1, ram_end(), 0},
		{2, ram_end() - 1, 0},
		{1, UINT64_MAX, 0},
		{UINT64_MAX, (u64)page, 0},
		{UINT64_MAX, 1, 0},
		{1, (u64)page, 1},
		{1, (u64)page, UINT64_MAX},
		/* RAM, if only so many bits of the address counted. */
		{1, (u64)page | 1UL << 32, 0},
		{1, (u64)page | 1UL << 56, 0},
		{1, (u64)page | 1UL << 63, 0},
		{PAGE_BYTES, (1UL << 32) - 8, 1},
		{ram_end() - (u64)page + 1, (u64)page, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long e;

		/* Firmware may really do these; nothing is learned there. */
		if (!machine.rouse &&
		    (bad[i].lo == HOLE || bad[i].lo == machine.uart.base ||
		     bad[i].n == UINT64_MAX || bad[i].lo >= ram_end() - 1 ||
		     bad[i].n > PAGE_BYTES))
			continue;
		e = sbi_call(SBI_DBCN, fid, bad[i].n, bad[i].lo, bad[i].hi)
			    .error;
		check_spec(e == SBI_ERR_INVALID_PARAM,
			   "%ld bytes at 0x%lx, high half 0x%lx: %ld", bad[i].n,
			   bad[i].lo, bad[i].hi, e);
	}
}

static void write_refusals(void)
{
	refuse(SBI_DBCN_WRITE);
}

static void read_refusals(void)
{
	refuse(SBI_DBCN_READ);
}

static void reads(void)
{
	struct sbi_ret r;

	memset(page, 0x55, 64);
	r = sbi_call(SBI_DBCN, SBI_DBCN_READ, 64, (u64)page, 0);
	if (!check(!r.error && r.value <= 64, "error %ld value %ld", r.error,
		   r.value))
		return;
	for (u64 i = r.value; i < 64; i++)
		check_eq(page[i], 0x55, "a byte behind what was read");
	r = sbi_call(SBI_DBCN, SBI_DBCN_READ, 0, (u64)page, 0);
	check(!r.error && !r.value, "0 bytes: error %ld value %ld", r.error,
	      r.value);
}

const struct test dbcn_tests[] = {
	{"dbcn_writes_and_counts", writes},
	{"dbcn_writes_across_a_page", writes_across_pages},
	{"dbcn_writes_no_bytes", writes_nothing},
	{"dbcn_writes_a_byte", write_byte},
	{"dbcn_write_refuses_what_is_not_ram", write_refusals},
	{"dbcn_reads_without_waiting", reads},
	{"dbcn_read_refuses_what_is_not_ram", read_refusals},
};
TEST_LIST(dbcn_tests, dbcn_test_count);
