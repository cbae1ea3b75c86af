/*
 * RFENCE: arguments, and that a fence is really done on the other hart before
 * the call returns. The other hart reads a page in a loop while this one moves
 * the page and fences; a read that begins after the call must see the new
 * place.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

#define VA PAGING_FREE_VA

static u64 frames[2][512] __attribute__((aligned(4096)));
static u64 round_no, answer_no, answer, up;
static u64 *root;

static struct sbi_ret fence(u64 fid, u64 mask, u64 base, u64 start, u64 size,
			    u64 id)
{
	return sbi_call6(SBI_RFENCE, fid, mask, base, start, size, id, 0);
}

static void arguments(void)
{
	static const struct {
		u64 start, size;
	} ranges[] = {
		{0, 0},		 {0, UINT64_MAX}, {0x80000000, 4096},
		{0x80000123, 7}, {0x80000123, 0}, {UINT64_MAX - 4095, 4096},
		{VA, 1UL << 30}, {0, 1UL << 39},  {0x1000, UINT64_MAX},
	};
	for (u64 f = SBI_RFENCE_I; f <= SBI_RFENCE_VMA_ASID; f++) {
		for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
			u64 s = ranges[i].start, n = ranges[i].size;

			check_eq(fence(f, 1UL << this_hart()->id, 0, s, n, 1)
					 .error,
				 0, "error, self");
			check_eq(fence(f, 0, UINT64_MAX, s, n, 1).error, 0,
				 "error, base -1");
			check_eq(fence(f, 0, 0, s, n, 1).error, 0,
				 "error, empty mask");
		}
	}
}

static void wraps(void)
{
	for (u64 f = SBI_RFENCE_VMA; f <= SBI_RFENCE_VMA_ASID; f++) {
		long e = fence(f, 0, UINT64_MAX, UINT64_MAX - 4095, 4097, 0)
				 .error;

		check_spec(e == SBI_ERR_INVALID_ADDRESS,
			   "a range over the end gives %ld", e);
	}
}

/* It has 16 bits. */
static void unknown_asids(void)
{
	static const u64 bad[] = {0x10000, 1UL << 32 | 1, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long e = fence(SBI_RFENCE_VMA_ASID, 0, UINT64_MAX, 0, 0, bad[i])
				 .error;

		check_spec(e == SBI_ERR_INVALID_PARAM, "ASID 0x%lx gives %ld",
			   bad[i], e);
	}
	check_eq(fence(SBI_RFENCE_VMA_ASID, 0, UINT64_MAX, 0, 0, 0xffff).error,
		 0, "error of the last");
}

static void unknown_harts(void)
{
	u64 absent = absent_hart();

	for (u64 f = SBI_RFENCE_I; f <= SBI_RFENCE_VMA_ASID; f++) {
		long a = fence(f, 1, absent, 0, 0, 0).error;
		long b = fence(f, UINT64_MAX, 0, 0, 0, 0).error;
		long c = fence(f, 3, UINT64_MAX - 1, 0, 0, 0).error;

		check_spec(a == SBI_ERR_INVALID_PARAM &&
				   b == SBI_ERR_INVALID_PARAM &&
				   c == SBI_ERR_INVALID_PARAM,
			   "function %ld gives %ld, %ld, %ld", f, a, b, c);
	}
}

static void hypervisor_fences(void)
{
	bool has_h = isa_has("h");

	for (u64 f = SBI_RFENCE_GVMA_VMID; f <= SBI_RFENCE_VVMA; f++) {
		long e = fence(f, 0, UINT64_MAX, 0, 0, 0).error;

		check_eq(e, has_h ? SBI_SUCCESS : SBI_ERR_NOT_SUPPORTED,
			 "error");
		/* Whatever else is wrong. */
		e = fence(f, 1, absent_hart(), UINT64_MAX, 2, UINT64_MAX).error;
		check_spec(has_h || e == SBI_ERR_NOT_SUPPORTED,
			   "function %ld gives %ld", f, e);
	}
}

static void reader(struct hart *h, void *arg)
{
	u64 asid = *(u64 *)arg;

	(void)h;
	paging_on(root, asid);
	(void)*(volatile u64 *)VA;
	__atomic_store_n(&up, 1, __ATOMIC_RELEASE);
	for (u64 n = 1;; n++) {
		u64 v;

		while ((v = __atomic_load_n(&round_no, __ATOMIC_ACQUIRE)) < n)
			(void)*(volatile u64 *)VA;
		if (v == UINT64_MAX)
			break;
		answer = *(volatile u64 *)VA;
		__atomic_store_n(&answer_no, n, __ATOMIC_RELEASE);
	}
	paging_off();
}

static void moves_page(u64 fid, u64 asid, u64 start, u64 size)
{
	struct hart *other;
	u64 *entry;

	root = paging_new();
	entry = paging_map(root, VA, (u64)frames[0], PTE_RW);
	frames[0][0] = 0x1111;
	frames[1][0] = 0x2222;
	round_no = answer_no = up = 0;
	other = other_start(reader, &asid);
	if (!other)
		return;
	check(wait_word(&up, 1), "the other hart did not come up");
	for (u64 n = 1; n <= 200 && !test_failed(); n++) {
		long e;

		*(volatile u64 *)entry = PTE_OF(frames[n & 1], PTE_RW);
		__asm__ volatile("fence rw, rw" ::: "memory");
		e = fence(fid, 1, other->id, start, size, asid).error;
		check_eq(e, 0, "error");
		__atomic_store_n(&round_no, n, __ATOMIC_RELEASE);
		if (!check(wait_word(&answer_no, n), "no answer"))
			break;
		check_eq(answer, n & 1 ? 0x2222 : 0x1111,
			 "what the other hart reads");
	}
	__atomic_store_n(&round_no, UINT64_MAX, __ATOMIC_RELEASE);
	hart_join(other);
}

static void sfence_is_done(void)
{
	moves_page(SBI_RFENCE_VMA, 0, VA, PAGE_BYTES);
}

static void sfence_all_is_done(void)
{
	moves_page(SBI_RFENCE_VMA, 0, VA + PAGE_BYTES, UINT64_MAX);
	moves_page(SBI_RFENCE_VMA, 0, 0, 0);
}

static void sfence_asid_is_done(void)
{
	moves_page(SBI_RFENCE_VMA_ASID, 5, VA, PAGE_BYTES);
	moves_page(SBI_RFENCE_VMA_ASID, 5, VA + PAGE_BYTES, UINT64_MAX);
	moves_page(SBI_RFENCE_VMA_ASID, 0xffff, 0, 0);
}

/*
 * li a0, n; ret: written by this hart, run by the other, which does not run it
 * while it changes: QEMU could then keep a translation of the old bytes.
 */
static u32 code[2] __attribute__((aligned(8)));

static void runner(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	for (u64 n = 1;; n++) {
		u64 v;

		while ((v = __atomic_load_n(&round_no, __ATOMIC_ACQUIRE)) < n)
			cpu_relax();
		if (v == UINT64_MAX)
			break;
		answer = ((u64(*)(void))code)();
		__atomic_store_n(&answer_no, n, __ATOMIC_RELEASE);
	}
}

static void fence_i_is_done(void)
{
	struct hart *other;

	code[0] = 0x00000513;
	code[1] = 0x00008067;
	round_no = answer_no = 0;
	__asm__ volatile("fence.i" ::: "memory");
	other = other_start(runner, NULL);
	if (!other)
		return;
	for (u64 n = 1; n <= 100 && !test_failed(); n++) {
		*(volatile u32 *)code = 0x00000513 | (u32)n << 20;
		__asm__ volatile("fence rw, rw" ::: "memory");
		check_eq(fence(SBI_RFENCE_I, 1, other->id, 0, 0, 0).error, 0,
			 "error");
		__atomic_store_n(&round_no, n, __ATOMIC_RELEASE);
		if (!check(wait_word(&answer_no, n), "no answer"))
			break;
		check_eq(answer, n, "what the other hart ran");
	}
	__atomic_store_n(&round_no, UINT64_MAX, __ATOMIC_RELEASE);
	hart_join(other);
}

/*
 * All harts fence all harts at once: nobody may wait for ever. None stops
 * before all are done, since OpenSBI can wait for one that is stopping.
 */
static void storm(struct hart *h, void *arg)
{
	static struct barrier barrier;

	(void)h;
	(void)arg;
	barrier_wait(&barrier, machine.hart_count);
	for (int i = 0; i < 300; i++)
		if (fence(i % 3, 0, UINT64_MAX, VA, PAGE_BYTES * (i % 9), 0)
			    .error)
			test_fail("a fence failed");
	barrier_wait(&barrier, machine.hart_count);
}

static void all_at_once(void)
{
	check_eq(harts_run(machine.hart_count, storm, NULL), 0, "start");
}

const struct test rfence_tests[] = {
	{"rfence_takes_all_ranges_and_masks", arguments},
	{"rfence_refuses_a_range_over_the_end", wraps},
	{"rfence_of_an_unknown_asid_is_an_invalid_param", unknown_asids},
	{"rfence_to_unknown_harts_is_an_invalid_param", unknown_harts},
	{"rfence_hypervisor_fences_need_h", hypervisor_fences},
	{"rfence_sfence_is_done_when_it_returns", sfence_is_done},
	{"rfence_full_sfence_is_done_when_it_returns", sfence_all_is_done},
	{"rfence_sfence_asid_is_done_when_it_returns", sfence_asid_is_done},
	{"rfence_fence_i_is_done_when_it_returns", fence_i_is_done},
	{"rfence_by_all_harts_at_once_ends", all_at_once},
};
TEST_LIST(rfence_tests, rfence_test_count);
