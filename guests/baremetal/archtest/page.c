/*
 * Sv39: page faults by every rule, access faults below a translation, and
 * misaligned accesses. What a fault in the guest's own tables reports must not
 * show that there is a second stage: stval is always the virtual address.
 */
#include "guests/baremetal/archtest/archtest.h"

#define VA PAGING_FREE_VA

static u64 frame[512] __attribute__((aligned(4096)));

enum access {
	LD,
	LW,
	LBU,
	SD,
	SW,
	SB,
	AMO,
	LR,
	SC,
	FETCH,
	ACCESS_COUNT
};

/* All of them by a0; what is written is a1. */
static const struct {
	const char *name;
	u32 insn;
	u64 page, access; /* causes */
} accesses[] = {
	[LD] = {"ld", 0x00053503, CAUSE_LOAD_PAGE, CAUSE_LOAD_ACCESS},
	[LW] = {"lw", 0x00052503, CAUSE_LOAD_PAGE, CAUSE_LOAD_ACCESS},
	[LBU] = {"lbu", 0x00054503, CAUSE_LOAD_PAGE, CAUSE_LOAD_ACCESS},
	[SD] = {"sd", 0x00b53023, CAUSE_STORE_PAGE, CAUSE_STORE_ACCESS},
	[SW] = {"sw", 0x00b52023, CAUSE_STORE_PAGE, CAUSE_STORE_ACCESS},
	[SB] = {"sb", 0x00b50023, CAUSE_STORE_PAGE, CAUSE_STORE_ACCESS},
	[AMO] = {"amoadd.d", 0x00b5352f, CAUSE_STORE_PAGE, CAUSE_STORE_ACCESS},
	[LR] = {"lr.d", 0x1005352f, CAUSE_LOAD_PAGE, CAUSE_LOAD_ACCESS},
	[SC] = {"sc.d", 0x18b5352f, CAUSE_STORE_PAGE, CAUSE_STORE_ACCESS},
	[FETCH] = {"jr", 0x00050067, CAUSE_FETCH_PAGE, CAUSE_FETCH_ACCESS},
};

static bool one(struct probe *p, enum access a, u64 va, u64 val)
{
	return run_insn_with(p, accesses[a].insn, va, val);
}

/* An exception ended the access, whose instruction is at `insn`; `from` as in
 * trap_expect. */
static void ended(const struct probe *p, enum access a, u64 va, u64 cause,
		  u64 insn, u64 from)
{
	const char *name = accesses[a].name;

	trap_expect(name, p, cause, a == FETCH ? va : insn, from);
	check(p->stval == va, "%s: stval 0x%lx, expected 0x%lx", name,
	      p->stval, va);
}

/*
 * The access works (cause 0), or ends so, with that stval, with interrupts off
 * and on. An SC without a reservation may also fail without touching memory.
 */
static void expect(u64 *root, enum access a, u64 va, u64 cause)
{
	struct probe p;

	for (u32 irqs = 0; irqs < 2; irqs++) {
		frame[0] = INSN_RET; /* to be fetched */
		if (root)
			paging_on(root, 0);
		if (irqs)
			irq_on();
		one(&p, a, va, ~0UL);
		irq_off();
		if (root)
			paging_off();
		if (a == SC && !p.scause)
			continue;
		if (cause)
			ended(&p, a, va, cause, (u64)code, FROM_S(irqs));
		else
			check(!p.scause, "%s: scause %ld", accesses[a].name,
			      p.scause);
	}
}

static void with_entry(u64 flags, u32 works)
{
	u64 *root = paging_new();

	paging_map(root, VA, (u64)frame, flags);
	for (enum access a = LD; a < ACCESS_COUNT; a++)
		expect(root, a, VA, works >> a & 1 ? 0 : accesses[a].page);
}

#define ALL   ((1u << ACCESS_COUNT) - 1)
#define READS (1u << LD | 1u << LW | 1u << LBU | 1u << LR)

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
			expect(root, a, vas[i], accesses[a].page);
}

static void misaligned_superpage(void)
{
	u64 *root = paging_new();

	*paging_entry(root, VA, 1) = PTE_OF(0x80201000, PTE_RWX);
	for (enum access a = LD; a < ACCESS_COUNT; a++)
		expect(root, a, VA, accesses[a].page);
}

/* A and D: a fault, or the hart sets them; nothing in between. */
static void accessed_and_dirty(void)
{
	u64 *root = paging_new();
	u64 *e = paging_map(root, VA, (u64)frame, PTE_V | PTE_R | PTE_W);
	struct probe p;
	bool ok;

	paging_on(root, 0);
	ok = one(&p, LD, VA, 0);
	paging_off();
	check(ok ? (*e & PTE_A) : p.scause == CAUSE_LOAD_PAGE,
	      "load: %d, scause %ld, entry 0x%lx", ok, p.scause, *e);
	*e = PTE_OF(frame, PTE_V | PTE_R | PTE_W | PTE_A);
	paging_on(root, 0);
	ok = one(&p, SD, VA, 0);
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
			expect(NULL, a, at[i], accesses[a].access);
		}
}

static void mapped_holes(void)
{
	u64 *root = paging_new();

	paging_map(root, VA, HOLE, PTE_RWX);
	paging_map(root, VA + 0x1000, ram_end(), PTE_RWX);
	for (enum access a = LD; a < ACCESS_COUNT; a++) {
		expect(root, a, VA + 0x128, accesses[a].access);
		expect(root, a, VA + 0x1000, accesses[a].access);
	}
}

/* From U-mode: SPP is clear, and what was enabled comes back. */
static void user_holes(void)
{
	struct probe p;

	for (enum access a = LD; a < ACCESS_COUNT; a++) {
		run_insn_user_with(&p, accesses[a].insn, USER_HOLE + 0x128);
		if (a == SC && p.scause == CAUSE_ECALL_U)
			continue;
		ended(&p, a, USER_HOLE + 0x128, accesses[a].access, USER_CODE,
		      FROM_U);
	}
}

/* Page tables at `at`, in which the entry of this number is looked at. */
static void table_at(u64 at, u64 number)
{
	for (u32 level = 1; level <= 2; level++) {
		u64 *root = paging_new();
		u64 va = VA + (number << (3 + 9 * level)) + 0x238;

		*paging_entry(root, VA, level) = PTE_OF(at, PTE_V);
		for (enum access a = LD; a < ACCESS_COUNT; a++)
			expect(root, a, va, accesses[a].access);
	}
}

static bool walks_fault(void)
{
	if (!machine.rouse)
		test_skip("QEMU's page walk gives a page fault there");
	return machine.rouse;
}

/* The page tables themselves are where nothing is. */
static void tables_in_holes(void)
{
	if (!walks_fault())
		return;
	table_at(HOLE, 0);
	table_at(ram_end(), 0);
}

/* Or where a device is, at registers that take what some of the accesses are:
 * neither is done there. */
static void tables_in_devices(void)
{
	u64 enables;

	if (!walks_fault() || !mmio_find())
		return;
	table_at(machine.plic.base, 0);
	enables = word_at & ~7UL;
	table_at(enables & ~(PAGE_BYTES - 1), enables % PAGE_BYTES / 8);
	check_eq(read32(enables) | read32(word_at), 0, "the enables, after");
	table_at(machine.uart.base, 0);
	table_at(machine.finisher.base, 0);
	table_at(machine.rtc.base, 0);
}

/* It traps, or, as on harts with Zama16b, works. On one hart QEMU makes it a
 * load first. */
static void misaligned_amo(u8 *at)
{
	u64 before, after;
	struct probe p;
	bool ok;

	memcpy(&before, at, 8);
	ok = one(&p, AMO, (u64)at, 1);
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
		bool ok = one(&p, LD, (u64)bytes + i, 0);
		u64 want = 0;

		memcpy(&want, bytes + i, 8);
		if (!ok) {
			check_eq(p.scause, CAUSE_LOAD_MISALIGNED, "scause");
			check_eq(p.stval, (u64)bytes + i, "stval");
			continue;
		}
		check_eq(p.value, want, "what was loaded");
		one(&p, SD, (u64)bytes + i, want);
		check_eq(p.scause, 0, "scause of the store");
	}
	misaligned_amo(bytes + 4);
	one(&p, LR, (u64)bytes + 4, 1);
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
	one(&p, LD, VA + 0xffc, 0);
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
	{"access_faults_from_user_mode", user_holes},
	{"access_faults_of_the_page_walk", tables_in_holes},
	{"access_faults_of_the_page_walk_in_devices", tables_in_devices},
	{"misaligned_accesses_work_or_trap", misaligned},
	{"misaligned_access_over_a_page_faults", over_a_page},
};
TEST_LIST(page_tests, page_test_count);
