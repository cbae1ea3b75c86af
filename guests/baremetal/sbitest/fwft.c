/*
 * FWFT: its errors, and that a switch really changes what the hart does.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

#define VA PAGING_FREE_VA

static u64 frame[512] __attribute__((aligned(4096)));

static bool present(void)
{
	if (!sbi_has(SBI_FWFT) || !machine.rouse) {
		check_spec(false, "its features are others");
		return false;
	}
	return true;
}

static long set(u64 feature, u64 value, u64 flags)
{
	return sbi_call(SBI_FWFT, SBI_FWFT_SET, feature, value, flags).error;
}

static struct sbi_ret get(u64 feature)
{
	return sbi_call(SBI_FWFT, SBI_FWFT_GET, feature, 0, 0);
}

static void refusals(void)
{
	static const struct {
		u64 feature;
		long error;
	} absent[] = {
		{FWFT_LANDING_PAD, SBI_ERR_NOT_SUPPORTED},
		{6, SBI_ERR_DENIED},
		{0x40000000, SBI_ERR_DENIED},
		{0x80000000, SBI_ERR_DENIED},
		{0xffffffff, SBI_ERR_DENIED},
	};

	if (!present())
		return;
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		struct sbi_ret r = get(absent[i].feature);

		check(r.error == absent[i].error && !r.value,
		      "get of 0x%lx: %ld, %ld", absent[i].feature, r.error,
		      r.value);
		check_eq(set(absent[i].feature, 0, 0), absent[i].error, "set");
	}
	check_eq(sbi_call(SBI_FWFT, 2, 0, 0, 0).error, SBI_ERR_NOT_SUPPORTED,
		 "function 2");
}

/* False: it isn't there, and `set` says the same as `get`. */
static bool offered(u64 feature, u64 value, const char *else_why)
{
	if (!present())
		return false;
	if (!get(feature).error)
		return true;
	check_eq(get(feature).error, SBI_ERR_NOT_SUPPORTED, "error of get");
	check_eq(set(feature, value, 0), SBI_ERR_NOT_SUPPORTED,
		 "error of set");
	test_skip("%s", else_why);
	return false;
}

static u64 load_odd(u64 at, u64 unused, u64 unused2)
{
	(void)unused;
	(void)unused2;
	return *(volatile u32 *)(at + 1);
}

/* With either value the access is done, or traps as misaligned;
 * none is lost. */
static void delegates_misaligned(void)
{
	static const u64 bad[] = {2, 0xffffffff, 1UL << 32};
	static u64 word = 0x0807060504030201;
	u64 first;

	if (!offered(FWFT_MISALIGNED, 1, "the firmware can't"))
		return;
	first = get(FWFT_MISALIGNED).value;
	check(first <= 1, "value %ld", first);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_eq(set(FWFT_MISALIGNED, bad[i], 0), SBI_ERR_INVALID_PARAM,
			 "value");
	check_eq(set(FWFT_MISALIGNED, 0, 2), SBI_ERR_INVALID_PARAM, "flags");
	check_eq(set(FWFT_MISALIGNED, 0, 1UL << 32), SBI_ERR_INVALID_PARAM,
		 "high flags");
	for (u64 i = 0; i < 4; i++) {
		struct probe p;

		check_eq(set(FWFT_MISALIGNED, i & 1, 0), 0, "error");
		check_eq(get(FWFT_MISALIGNED).value, i & 1, "value");
		if (probe_call(&p, load_odd, (u64)&word, 0, 0))
			check_eq(p.value, 0x05040302, "what was loaded");
		else
			check_eq(p.scause, CAUSE_LOAD_MISALIGNED, "scause");
		/* Others, who have it as it was, had the CPU. */
		sleep_ticks(us_to_ticks(200));
		check_eq(get(FWFT_MISALIGNED).value, i & 1, "value later");
	}
	check_eq(set(FWFT_MISALIGNED, first, 0), 0, "error");
}

static u64 load(u64 at, u64 unused, u64 unused2)
{
	(void)unused;
	(void)unused2;
	return *(volatile u64 *)at;
}

/* Do loads from it with other bits above succeed, and load the same? */
static bool masked(const u64 *at, u64 pmlen)
{
	struct probe p;

	return probe_call(&p, load, (u64)at ^ 0x5555UL << (64 - pmlen), 0, 0) &&
	       p.value == *at;
}

static void masks_pointers(void)
{
	static const u64 pmlens[] = {7, 16}, word = 0x0807060504030201;
	u64 had = 0;

	if (!offered(FWFT_PMLEN, 0, "the harts can't, or do it wrongly"))
		return;
	check_eq(get(FWFT_PMLEN).value, 0, "first value");
	check_eq(set(FWFT_PMLEN, 1, 0), SBI_ERR_INVALID_PARAM, "value");
	for (size_t i = 0; i < ARRAY_LEN(pmlens); i++) {
		long error = set(FWFT_PMLEN, pmlens[i], 0);

		if (error) {
			check_eq(error, SBI_ERR_INVALID_PARAM, "error");
			continue;
		}
		had++;
		check_eq(get(FWFT_PMLEN).value, pmlens[i], "value");
		check(masked(&word, pmlens[i]), "%ld bits aren't masked",
		      pmlens[i]);
	}
	check(had, "it has no length");
	check_eq(set(FWFT_PMLEN, 0, 0), 0, "error");
	check(!masked(&word, 7), "masked still");
}

static u64 store(u64 va, u64 val, u64 unused)
{
	(void)unused;
	*(volatile u64 *)va = val;
	return 0;
}

/* A page whose A and D are clear: a fault, or the hart sets them. */
static void updates_a_and_d(void)
{
	u64 *root, *entry;
	bool without, with;
	struct probe p, q;

	if (!offered(FWFT_AD, 1, "the harts can't"))
		return;
	check_eq(get(FWFT_AD).value, 0, "value at first");
	root = paging_new();
	entry = paging_map(root, VA, (u64)frame, PTE_RW & ~PTE_AD);
	paging_on(root, 0);
	without = probe_call(&p, store, VA, 1, 0);
	check_eq(set(FWFT_AD, 1, 0), 0, "error of set");
	with = probe_call(&q, store, VA, 2, 0);
	paging_off();
	check(!without && p.scause == CAUSE_STORE_PAGE, "no fault without it");
	check(with && frame[0] == 2, "a fault with it");
	check_eq(*entry & PTE_AD, PTE_AD, "A and D");
	check_eq(get(FWFT_AD).value, 1, "value");
	check_eq(set(FWFT_AD, 2, 0), SBI_ERR_INVALID_PARAM, "value 2");
	check_eq(set(FWFT_AD, 0, 2), SBI_ERR_INVALID_PARAM, "flags");
	check_eq(get(FWFT_AD).value, 1, "value after errors");
	/* The feature is a number of 32 bits. */
	check_eq(set(1UL << 32 | FWFT_AD, 0, 0), 0, "error of the second set");
	*(volatile u64 *)entry &= ~PTE_AD;
	paging_on(root, 0);
	without = probe_call(&p, store, VA, 3, 0);
	paging_off();
	check(!without, "no fault after it");
}

/* A suspend without retention, which an interrupt that pends ends. */
static void suspended(void)
{
	struct suspend s;

	soft_pend(true);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	check_eq(hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE), 1, "suspend");
	csr_write(sie, 0);
	soft_pend(false);
}

static void survives_a_suspend(void)
{
	if (!present())
		return;
	for (u64 i = 0; i < 4; i++) {
		bool ad = !set(FWFT_AD, i & 1, 0);
		u64 deleg = get(FWFT_MISALIGNED).value;

		suspended();
		check(!ad || get(FWFT_AD).value == (i & 1), "A and D");
		check_eq(get(FWFT_MISALIGNED).value, deleg, "misaligned");
	}
	set(FWFT_AD, 0, 0);
}

/* On another hart, since only a start of the hart ends a lock. */
static void lock_it(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	check_eq(set(FWFT_MISALIGNED, 1, FWFT_LOCK), 0, "error of the lock");
	suspended();
	for (u64 i = 0; i < 4; i++)
		check_eq(set(FWFT_MISALIGNED, i & 1, i >> 1),
			 SBI_ERR_DENIED_LOCKED, "error");
	check_eq(get(FWFT_MISALIGNED).value, 1, "value");
}

static void locks(void)
{
	u64 first = get(FWFT_MISALIGNED).value;
	struct hart *other;

	if (!present() || get(FWFT_MISALIGNED).error)
		return;
	for (u32 i = 0; i < 2; i++) {
		other = other_start(lock_it, NULL);
		if (!other)
			return;
		hart_join(other);
	}
	check_eq(get(FWFT_MISALIGNED).value, first, "value of this hart");
	check_eq(set(FWFT_MISALIGNED, first, 0), 0,
		 "error of a hart without lock");
}

const struct test fwft_tests[] = {
	{"fwft_refuses_as_specified", refusals},
	{"fwft_lets_the_hart_update_a_and_d", updates_a_and_d},
	{"fwft_delegates_misaligned_accesses", delegates_misaligned},
	{"fwft_masks_pointers", masks_pointers},
	{"fwft_values_survive_a_suspend", survives_a_suspend},
	{"fwft_locks_until_the_hart_starts_anew", locks},
};
TEST_LIST(fwft_tests, fwft_test_count);
