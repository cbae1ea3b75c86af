/*
 * BASE, what doesn't exist, the calling convention, and SRST's refusals (its
 * successes end every run).
 */
#include "guests/baremetal/sbitest/sbitest.h"

#define PATTERN 0x5a5a0000UL

void ecall_raw(u64 ext, u64 fid, u64 a0, u64 a1, u64 *after);

u64 ecall_registers(u64 ext, u64 fid, u64 a0, u64 a1, u64 *out)
{
	u64 after[32], changed = 0, sp, tp;

	__asm__ volatile("mv %0, sp\n\tmv %1, tp" : "=r"(sp), "=r"(tp));
	ecall_raw(ext, fid, a0, a1, after);
	for (u32 r = 1; r < 32; r++) {
		u64 want = PATTERN + r;

		if (r == 10 || r == 11 || r == 2)
			continue;
		if (r == 4)
			want = tp;
		if (r == 16)
			want = fid;
		if (r == 17)
			want = ext;
		if (after[r] != want)
			changed |= 1UL << r;
	}
	if (after[2] > sp || sp - after[2] > 4096)
		changed |= 1UL << 2;
	out[0] = after[10];
	out[1] = after[11];
	return changed;
}

static void spec_version(void)
{
	struct sbi_ret r = sbi_call(SBI_BASE, SBI_BASE_SPEC_VERSION, 0, 0, 0);

	check_eq(r.error, 0, "error");
	check(r.value >> 24 >= 2, "version 0x%lx is below 2.0", r.value);
	check(!machine.rouse || r.value == 0x03000000, "version 0x%lx",
	      r.value);
	check_eq(r.value >> 31, 0, "reserved bits");
}

static void identities(void)
{
	for (u64 f = SBI_BASE_IMPL_ID; f <= SBI_BASE_MIMPID; f++)
		if (f != SBI_BASE_PROBE)
			check_eq(sbi_call(SBI_BASE, f, 0, 0, 0).error, 0,
				 "error");
}

static void probe_known(void)
{
	static const u64 known[] = {
		SBI_BASE, SBI_TIME, SBI_IPI, SBI_RFENCE, SBI_HSM, SBI_SRST,
		SBI_DBCN, 0,	    1,	     2,		 3,	  4,
		5,	  6,	    7,	     8,
	};
	static const u64 newer[] = {SBI_PMU, SBI_SUSP, SBI_STA, SBI_SSE,
				    SBI_FWFT};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct sbi_ret r =
			sbi_call(SBI_BASE, SBI_BASE_PROBE, known[i], 0, 0);

		check(r.error == 0 && r.value, "0x%lx: error %ld value %ld",
		      known[i], r.error, r.value);
	}
	for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
		struct sbi_ret r =
			sbi_call(SBI_BASE, SBI_BASE_PROBE, newer[i], 0, 0);

		check_spec(r.error == 0 && r.value == 1,
			   "0x%lx: error %ld value %ld", newer[i], r.error,
			   r.value);
	}
}

static const u64 unknown[] = {0x09,
			      0x0b000000,
			      0x4d505859, /* MPXY */
			      0x43505043, /* CPPC */
			      0x4e41434c, /* NACL */
			      0x0f,
			      0x11,
			      0x12345678,
			      0x7fffffff,
			      /* All of the register counts. */
			      1UL << 32 | SBI_BASE,
			      1UL << 32 | SBI_TIME,
			      0xffffffff80000000,
			      0xffffffffffffffff};

static void probe_unknown(void)
{
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		struct sbi_ret r =
			sbi_call(SBI_BASE, SBI_BASE_PROBE, unknown[i], 0, 0);

		check(r.error == 0 && r.value == 0,
		      "0x%lx: error %ld value %ld", unknown[i], r.error,
		      r.value);
	}
}

static void call_unknown(void)
{
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		check_eq(sbi_call(unknown[i], 0, 0, 0, 0).error,
			 SBI_ERR_NOT_SUPPORTED, "error");
}

static void unknown_functions(void)
{
	static const struct {
		u64 ext, fid;
	} calls[] = {
		{SBI_BASE, 7}, {SBI_TIME, 1}, {SBI_IPI, 1},  {SBI_RFENCE, 7},
		{SBI_HSM, 4},  {SBI_SRST, 1}, {SBI_DBCN, 3}, {SBI_STA, 1},
		{SBI_PMU, 9},  {SBI_FWFT, 2}, {SBI_SUSP, 1}, {SBI_SSE, 10},
		{SBI_DBTR, 8},
	};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		u64 ext = calls[i].ext;

		check_eq(sbi_call(ext, calls[i].fid, 0, 0, 0).error,
			 SBI_ERR_NOT_SUPPORTED, "error");
		check_eq(sbi_call(ext, 0x7fffffff, 0, 0, 0).error,
			 SBI_ERR_NOT_SUPPORTED, "error of FID 0x7fffffff");
		check_eq(sbi_call(ext, 0xffffffffffffffff, 0, 0, 0).error,
			 SBI_ERR_NOT_SUPPORTED, "error of FID -1");
		check_eq(sbi_call(ext, 1UL << 32, 0, 0, 0).error,
			 SBI_ERR_NOT_SUPPORTED, "error of FID 2^32");
	}
}

static const struct {
	u64 ext, fid, a0, a1;
} keeping[] = {
	{SBI_BASE, SBI_BASE_SPEC_VERSION, 0, 0},
	{SBI_TIME, 0, UINT64_MAX, 0},
	{SBI_IPI, 0, 0, 0},
	{SBI_RFENCE, SBI_RFENCE_I, 0, UINT64_MAX},
	{SBI_HSM, SBI_HSM_STATUS, 0, 0},
	{SBI_DBCN, SBI_DBCN_READ, 0, 0},
	{SBI_DBCN, SBI_DBCN_WRITE_BYTE, '.', 0},
	/* Not everything that would be done, but on its way. */
	{SBI_RFENCE, SBI_RFENCE_VMA, 0, UINT64_MAX},
	{SBI_RFENCE, SBI_RFENCE_VVMA, 0, UINT64_MAX},
	{SBI_HSM, SBI_HSM_START, UINT64_MAX, 0},
	{SBI_HSM, SBI_HSM_SUSPEND, HSM_SUSPEND_RETENTIVE, 0},
	{SBI_HSM, SBI_HSM_SUSPEND, 1, 0},
	{SBI_SRST, 0, 3, 0},
	{SBI_SUSP, 0, 1, 0},
	{SBI_STA, 0, UINT64_MAX, UINT64_MAX},
	{SBI_PMU, SBI_PMU_NUM, 0, 0},
	{SBI_PMU, SBI_PMU_STOP, 0, 0},
	{SBI_SSE, SBI_SSE_COMPLETE, 0, 0},
	{SBI_FWFT, SBI_FWFT_GET, FWFT_AD, 0},
	{SBI_DBTR, 0, 0, 0},
	{0x12345678, 0, 0, 0},
};

static void keeps_registers(void)
{
	u64 out[2];

	/* For the suspend, which returns at once. */
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	soft_pend(true);
	for (size_t i = 0; i < ARRAY_LEN(keeping); i++) {
		u64 changed =
			ecall_registers(keeping[i].ext, keeping[i].fid,
					keeping[i].a0, keeping[i].a1, out);

		check(!changed, "EID 0x%lx changed registers 0x%lx",
		      keeping[i].ext, changed);
	}
	csr_write(sie, 0);
	soft_pend(false);
	print("\n");
}

/* A fence may wait for another hart: the call's turn ends, and others run. */
static void keeps_registers_while_it_waits(void)
{
	u64 out[2], changed = 0, go = 0;
	struct hart *other = other_start(spins, &go);

	if (!other)
		return;
	for (u32 i = 0; i < 100 && !changed; i++) {
		changed = ecall_registers(SBI_RFENCE, SBI_RFENCE_I, 1,
					  other->id, out);
		check_eq(out[0], 0, "error");
	}
	check(!changed, "registers 0x%lx changed", changed);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	hart_join(other);
}

static void srst_refusals(void)
{
	static const struct {
		u64 type, reason;
	} bad[] = {
		{3, 0},		 {0xefffffff, 0}, {0xf0000000, 0},
		{0xfffffffe, 0}, {0, 2},	  {0, 0xdfffffff},
		{1, 2},		 {2, 0xdfffffff}, {3, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long e = sbi_call(SBI_SRST, 0, bad[i].type, bad[i].reason, 0)
				 .error;

		check_spec(e == SBI_ERR_INVALID_PARAM,
			   "type 0x%lx reason 0x%lx gives %ld", bad[i].type,
			   bad[i].reason, e);
	}
}

const struct test base_tests[] = {
	{"base_spec_version_is_at_least_2_0", spec_version},
	{"base_identities_are_given", identities},
	{"base_probe_finds_every_extension", probe_known},
	{"base_probe_of_unknown_extensions_gives_zero", probe_unknown},
	{"unknown_extensions_are_not_supported", call_unknown},
	{"unknown_functions_are_not_supported", unknown_functions},
	{"ecall_changes_a0_and_a1_only", keeps_registers},
	{"ecall_that_waits_changes_a0_and_a1_only",
	 keeps_registers_while_it_waits},
	{"srst_refuses_reserved_types_and_reasons", srst_refusals},
};
TEST_LIST(base_tests, base_test_count);
