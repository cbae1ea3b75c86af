/*
 * STA: what its one function refuses, and that a page says of waits what the
 * text says, whether there are any or not.
 */
#include "guests/baremetal/sbitest/sbitest.h"

struct sta_page {
	u32 sequence, flags;
	u64 steal;
	u8 preempted, pad[47];
};

static union {
	struct sta_page page;
	u8 bytes[192];
} area __attribute__((aligned(4096)));

static bool present(void)
{
	if (!sbi_has(SBI_STA))
		check_spec(false, "STA is not there");
	return sbi_has(SBI_STA);
}

static long set(u64 lo, u64 hi, u64 flags)
{
	struct sbi_ret r = sbi_call(SBI_STA, SBI_STA_SET_SHMEM, lo, hi, flags);

	check_eq(r.value, 0, "value");
	return r.error;
}

static void refusals(void)
{
	const struct {
		u64 lo, hi, flags;
		long error;
	} bad[] = {
		{(u64)&area, 0, 1, SBI_ERR_INVALID_PARAM},
		{UINT64_MAX, UINT64_MAX, 1UL << 63, SBI_ERR_INVALID_PARAM},
		{(u64)&area + 8, 0, 0, SBI_ERR_INVALID_PARAM},
		{(u64)&area + 32, 0, 0, SBI_ERR_INVALID_PARAM},
		{UINT64_MAX, 0, 0, SBI_ERR_INVALID_PARAM},
		{HOLE, 0, 0, SBI_ERR_INVALID_ADDRESS},
		{machine.uart.base, 0, 0, SBI_ERR_INVALID_ADDRESS},
		{ram_end(), 0, 0, SBI_ERR_INVALID_ADDRESS},
		{(u64)&area, 1, 0, SBI_ERR_INVALID_ADDRESS},
		{0, UINT64_MAX, 0, SBI_ERR_INVALID_ADDRESS},
	};

	if (!present())
		return;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_eq(set(bad[i].lo, bad[i].hi, bad[i].flags), bad[i].error,
			 "error");
}

static void zeroes(void)
{
	if (!present())
		return;
	memset(&area, 0xa5, sizeof(area));
	check_eq(set((u64)&area + 64, 0, 0), 0, "error");
	for (u32 i = 0; i < sizeof(area); i++)
		check(area.bytes[i] == (i / 64 == 1 ? 0 : 0xa5) ||
			      (i >= 64 && i < 80),
		      "byte %d is 0x%x", (int)i, area.bytes[i]);
	check_eq(set(UINT64_MAX, UINT64_MAX, 0), 0, "error of the end");
}

/* Steal grows no faster than time, evenly numbered, and not when it ended. */
static void says_waits(void)
{
	volatile struct sta_page *p = &area.page;
	u64 start, passed_ns, last = 0;

	if (!present())
		return;
	start = time_now();
	check_eq(set((u64)&area, 0, 0), 0, "error");
	while (time_now() - start < machine.hz / 20) {
		u32 seq = p->sequence;
		u64 steal = p->steal;

		passed_ns = (time_now() - start) * (1000000000 / machine.hz);
		if (!check(!(seq & 1), "sequence %d is odd", (int)seq) ||
		    !check(steal >= last, "steal fell") ||
		    !check(steal <= passed_ns, "%ld ns stolen of %ld", steal,
			   passed_ns) ||
		    !check(!p->preempted && !p->flags, "preempted or flags"))
			break;
		last = steal;
	}
	check_eq(set(UINT64_MAX, UINT64_MAX, 0), 0, "error of the end");
	memset(&area, 0x5a, sizeof(area));
	delay_ticks(machine.hz / 50);
	for (u32 i = 0; i < sizeof(area); i++)
		check_eq(area.bytes[i], 0x5a, "a byte after the end");
}

const struct test sta_tests[] = {
	{"sta_refuses_bad_pages_and_flags", refusals},
	{"sta_zeroes_its_page", zeroes},
	{"sta_says_waits_until_it_is_ended", says_waits},
};
TEST_LIST(sta_tests, sta_test_count);
