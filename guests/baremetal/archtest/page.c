/*
 * Sv39: page faults by every rule, access faults below a translation, and
 * misaligned accesses. What a fault in the guest's own tables reports must not
 * show that there is a second stage: stval is always the virtual address.
 */
#include "guests/baremetal/archtest/archtest.h"

#define VA PAGING_FREE_VA

static u64 frame[512] __attribute__((aligned(4096)));

static u64 do_ld(u64 va, u64 b, u64 c)
{
	(void)b;
	(void)c;
	return *(volatile u64 *)va;
}

static u64 do_sd(u64 va, u64 b, u64 c)
{
	(void)c;
	*(volatile u64 *)va = b;
	return 0;
}

static u64 do_amo(u64 va, u64 b, u64 c)
{
	(void)c;
	__asm__ volatile("amoadd.d %0, %0, (%1)"
			 : "+r"(b)
			 : "r"(va)
			 : "memory");
	return b;
}

static u64 do_lr(u64 va, u64 b, u64 c)
{
	(void)c;
	__asm__ volatile("lr.d %0, (%1)" : "=r"(b) : "r"(va) : "memory");
	return b;
}

static u64 do_sc(u64 va, u64 b, u64 c)
{
	(void)c;
	__asm__ volatile("sc.d %0, %0, (%1)" : "+r"(b) : "r"(va) : "memory");
	return b;
}

static u64 do_fetch(u64 va, u64 b, u64 c)
{
	(void)b;
	(void)c;
	return ((u64(*)(void))va)();
}

enum access {
	LD,
	SD,
	AMO,
	LR,
	SC,
	FETCH,
	ACCESS_COUNT
};

static u64 (*const do_access[])(u64, u64, u64) = {
	[LD] = do_ld, [SD] = do_sd, [AMO] = do_amo,
	[LR] = do_lr, [SC] = do_sc, [FETCH] = do_fetch,
};
static const char *const names[] = {"ld", "sd", "amo", "lr", "sc", "fetch"};
static const u64 page_cause[] = {
	CAUSE_LOAD_PAGE, CAUSE_STORE_PAGE, CAUSE_STORE_PAGE,
	CAUSE_LOAD_PAGE, CAUSE_STORE_PAGE, CAUSE_FETCH_PAGE,
};
static const u64 access_cause[] = {
	CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_STORE_ACCESS,
	CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_FETCH_ACCESS,
};

/*
 * The access works (cause 0), or ends so, with that stval. An SC without a
 * reservation may also fail without touching memory.
 */
static void expect(u64 *root, enum access a, u64 va, u64 cause)
{
	struct probe p;

	frame[0] = 0x00008067; /* ret, to be fetched */
	__asm__ volatile("fence.i" ::: "memory");
	if (root)
		paging_on(root, 0);
	probe_call(&p, do_access[a], va, 0, 0);
	if (root)
		paging_off();
	if (a == SC && !p.scause)
		return;
	check(p.scause == cause, "%s: scause %ld, expected %ld", names[a],
	      p.scause, cause);
	if (cause)
		check(p.stval == va, "%s: stval 0x%lx, expected 0x%lx",
		      names[a], p.stval, va);
	if (cause && a == FETCH)
		check(p.sepc == va, "fetch: sepc 0x%lx", p.sepc);
}

static void with_entry(u64 flags, u32 works)
{
	u64 *root = paging_new();

	paging_map(root, VA, (u64)frame, flags);
	for (enum access a = LD; a < ACCESS_COUNT; a++)
		expect(root, a, VA, works >> a & 1 ? 0 : page_cause[a]);
}

#define ALL   ((1u << ACCESS_COUNT) - 1)
#define READS (1u << LD | 1u << LR)

static void permissions(void)
{
	with_entry(PTE_RWX, ALL);
	with_entry(PTE_RW, ALL & ~(1u << FETCH));
	with_entry(PTE_V | PTE_R | PTE_AD, READS);
	with_entry(PTE_RX, READS | 1u << FETCH);
	with_entry(PTE_V | PTE_X | PTE_AD, 1u << FETCH);
	with_entry(0, 0);
	with_entry(PTE_R | PTE_W | PTE_X | PTE_AD, 0); /* not valid */
	with_entry(PTE_V | PTE_W | PTE_AD, 0);	       /* reserved */
	with_entry(PTE_V | PTE_AD, 0);		       /* no leaf at level 0 */
	with_entry(PTE_RWX | PTE_U, 0);		       /* U page, no SUM */
}

static void sum_and_mxr(void)
{
	csr_set(sstatus, SSTATUS_SUM);
	with_entry(PTE_RWX | PTE_U, ALL & ~(1u << FETCH));
	csr_clear(sstatus, SSTATUS_SUM);
	csr_set(sstatus, SSTATUS_MXR);
	with_entry(PTE_V | PTE_X | PTE_AD, READS | 1u << FETCH);
	csr_clear(sstatus, SSTATUS_MXR);
}

static void unmapped(void)
{
	u64 *root = paging_new();
	static const u64 vas[] = {VA,
				  VA + 0x123458,
				  0x0000004000000000,
				  0xffffff8000000000,
				  0x8000000000000000,
				  0xfffffffffffff000};

	for (size_t i = 0; i < ARRAY_LEN(vas); i++)
		for (enum access a = LD; a < ACCESS_COUNT; a++)
			expect(root, a, vas[i], page_cause[a]);
}

static void misaligned_superpage(void)
{
	u64 *root = paging_new();

	*paging_entry(root, VA, 1) = PTE_OF(0x80201000, PTE_RWX);
	for (enum access a = LD; a < ACCESS_COUNT; a++)
		expect(root, a, VA, page_cause[a]);
}

/* A and D: a fault, or the hart sets them; nothing in between. */
static void accessed_and_dirty(void)
{
	u64 *root = paging_new();
	u64 *e = paging_map(root, VA, (u64)frame, PTE_V | PTE_R | PTE_W);
	struct probe p;
	bool ok;

	paging_on(root, 0);
	ok = probe_call(&p, do_ld, VA, 0, 0);
	paging_off();
	check(ok ? (*e & PTE_A) : p.scause == CAUSE_LOAD_PAGE,
	      "load: %d, scause %ld, entry 0x%lx", ok, p.scause, *e);
	*e = PTE_OF(frame, PTE_V | PTE_R | PTE_W | PTE_A);
	paging_on(root, 0);
	ok = probe_call(&p, do_sd, VA, 0, 0);
	paging_off();
	check(ok ? (*e & PTE_D) : p.scause == CAUSE_STORE_PAGE,
	      "store: %d, scause %ld, entry 0x%lx", ok, p.scause, *e);
}

static void user_pages(void)
{
	struct probe p;

	/* U-mode reads S-mode's memory, then writes and runs what it may. */
	code_begin();
	code_add(0x00053583); /* ld a1, 0(a0) */
	code_add(INSN_ECALL);
	code_run_user(&p, (u64)frame);
	check_eq(p.scause, CAUSE_LOAD_PAGE, "scause, S page");
	check_eq(p.stval, (u64)frame, "stval");
	check_eq(p.sepc, USER_CODE, "sepc");
	code_run_user(&p, USER_DATA);
	check_eq(p.scause, CAUSE_ECALL_U, "scause, U page");
	code_begin();
	code_add(0x00b53023); /* sd a1, 0(a0) */
	code_add(INSN_ECALL);
	code_run_user(&p, USER_CODE);
	check_eq(p.scause, CAUSE_STORE_PAGE, "scause, read-only page");
	code_begin();
	code_add(0x00050067); /* jr a0 */
	code_run_user(&p, USER_DATA);
	check_eq(p.scause, CAUSE_FETCH_PAGE, "scause, no-execute page");
	check_eq(p.sepc, USER_DATA, "sepc");
}

static u64 ram_end(void)
{
	struct range *r = &machine.ram[machine.ram_count - 1];

	return r->base + r->bytes;
}

/* No RAM, no device: an access fault, whatever way one gets there. */
static void holes(void)
{
	u64 at[] = {HOLE, HOLE + 0xff8, ram_end(), 0x7ffffff8,
		    0x00fffffffffff000};

	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		for (enum access a = LD; a < ACCESS_COUNT; a++) {
			/* PCI's window is there on the board. */
			if (!machine.rouse && at[i] == 0x7ffffff8)
				continue;
			expect(NULL, a, at[i], access_cause[a]);
		}
}

static void mapped_holes(void)
{
	u64 *root = paging_new();

	paging_map(root, VA, HOLE, PTE_RWX);
	paging_map(root, VA + 0x1000, ram_end(), PTE_RWX);
	for (enum access a = LD; a < ACCESS_COUNT; a++) {
		expect(root, a, VA + 0x128, access_cause[a]);
		expect(root, a, VA + 0x1000, access_cause[a]);
	}
}

/* The page tables themselves are where nothing is. */
static void tables_in_holes(void)
{
	if (!machine.rouse) {
		test_skip("QEMU's page walk gives a page fault there");
		return;
	}
	for (u32 level = 1; level <= 2; level++) {
		u64 *root = paging_new();

		*paging_entry(root, VA, level) = PTE_OF(HOLE, PTE_V);
		for (enum access a = LD; a < ACCESS_COUNT; a++)
			expect(root, a, VA + 0x238, access_cause[a]);
	}
}

/* It traps, or, as on harts with Zama16b, works. On one hart QEMU makes it a
 * load first. */
static void misaligned_amo(u8 *at)
{
	u64 before, after;
	struct probe p;
	bool ok;

	memcpy(&before, at, 8);
	ok = probe_call(&p, do_amo, (u64)at, 1, 0);
	memcpy(&after, at, 8);
	check(ok || p.scause == CAUSE_STORE_MISALIGNED ||
		      p.scause == CAUSE_STORE_ACCESS ||
		      p.scause == CAUSE_LOAD_MISALIGNED,
	      "amo: scause %ld", p.scause);
	check_eq(after, before + ok, "what an AMO left");
	if (ok)
		check_eq(p.value, before, "what it read");
}

static void misaligned(void)
{
	u8 *bytes = (u8 *)frame;
	struct probe p;

	for (u32 i = 0; i < 64; i++)
		bytes[i] = (u8)i;
	for (u32 i = 1; i < 8; i++) {
		bool ok = probe_call(&p, do_ld, (u64)bytes + i, 0, 0);
		u64 want = 0;

		memcpy(&want, bytes + i, 8);
		if (!ok) {
			check_eq(p.scause, CAUSE_LOAD_MISALIGNED, "scause");
			check_eq(p.stval, (u64)bytes + i, "stval");
			continue;
		}
		check_eq(p.value, want, "what was loaded");
		probe_call(&p, do_sd, (u64)bytes + i, want, 0);
		check_eq(p.scause, 0, "scause of the store");
	}
	misaligned_amo(bytes + 4);
	probe_call(&p, do_lr, (u64)bytes + 4, 1, 0);
	check(p.scause == CAUSE_LOAD_MISALIGNED ||
		      p.scause == CAUSE_LOAD_ACCESS,
	      "lr: scause %ld", p.scause);
}

/* Half on a mapped page and half on none: the second half's address. */
static void over_a_page(void)
{
	u64 *root = paging_new();
	struct probe p;

	paging_map(root, VA, (u64)frame, PTE_RW);
	paging_on(root, 0);
	probe_call(&p, do_ld, VA + 0xffc, 0, 0);
	paging_off();
	check(p.scause == CAUSE_LOAD_PAGE || p.scause == CAUSE_LOAD_MISALIGNED,
	      "scause %ld", p.scause);
	check(p.stval == VA + 0x1000 || p.stval == VA + 0xffc, "stval 0x%lx",
	      p.stval);
}

const struct test page_tests[] = {
	{"page_permissions_are_kept", permissions},
	{"page_sum_and_mxr", sum_and_mxr},
	{"page_faults_where_nothing_is_mapped", unmapped},
	{"page_faults_at_a_misaligned_superpage", misaligned_superpage},
	{"page_accessed_and_dirty_fault_or_are_set", accessed_and_dirty},
	{"page_user_mode_has_its_own_pages_only", user_pages},
	{"access_faults_outside_ram_and_devices", holes},
	{"access_faults_below_a_translation", mapped_holes},
	{"access_faults_of_the_page_walk", tables_in_holes},
	{"misaligned_accesses_work_or_trap", misaligned},
	{"misaligned_access_over_a_page_faults", over_a_page},
};
TEST_LIST(page_tests, page_test_count);
