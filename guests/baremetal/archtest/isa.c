/*
 * Extensions that harts may have or not: what the tree promises works, what it
 * doesn't is not there. A guest that could use more than it was told of could
 * not be moved to a hart that lacks it, and might have state that nobody keeps
 * apart.
 */
#include "guests/baremetal/archtest/archtest.h"

#define VA	  PAGING_FREE_VA
#define PTE_N	  (1UL << 63)
#define PTE_NC	  (1UL << 61) /* Svpbmt: non-cacheable */
#define NAPOT_64K (1UL << 13) /* in the frame's number: 16 pages */

static u64 area[2 * 16 * 512] __attribute__((aligned(4096)));

/* Do harts leave the instruction in stval that they say is illegal? Then it is
 * there whoever says so. */
static bool stval_is_told(void)
{
	struct probe p;

	run_insn(&p, 0xffffffff);
	return p.stval == 0xffffffff;
}

/* With a0 = user_data, for those that need an address. `told`: who says that it
 * is illegal leaves it in stval, which may else be zero. */
static void here_or_not(const char *ext, const char *name, u32 insn, bool told)
{
	struct probe p;
	bool works;

	code_begin();
	code_add(insn);
	code_add(INSN_RET);
	works = code_run(&p, (u64)user_data, 0);
	if (isa_has(ext)) {
		check(works, "%s: scause %ld", name, p.scause);
		return;
	}
	if (!machine.rouse)
		return;
	check(!works && p.scause == CAUSE_ILLEGAL,
	      "%s, which is not in the tree: scause %ld", name,
	      works ? -1L : (long)p.scause);
	check(works || p.stval == insn || (p.stval == 0 && !told),
	      "%s: stval 0x%lx", name, p.stval);
}

static void instructions(void)
{
	bool told = stval_is_told();

	here_or_not("svinval", "sinval.vma", 0x16000073, told);
	here_or_not("svinval", "sfence.w.inval", 0x18000073, told);
	here_or_not("svinval", "sfence.inval.ir", 0x18100073, told);
	here_or_not("zawrs", "wrs.nto", 0x00d00073, told);
	here_or_not("zawrs", "wrs.sto", 0x01d00073, told);
	/* QEMU's harts say nothing of a cbo that their firmware denies. */
	here_or_not("zicboz", "cbo.zero", 0x0045200f, false);
	here_or_not("zicbom", "cbo.clean", 0x0015200f, false);
	here_or_not("zicbom", "cbo.flush", 0x0025200f, false);
	here_or_not("zicbom", "cbo.inval", 0x0005200f, false);
}

static u64 load(u64 va, u64 b, u64 c)
{
	(void)b;
	(void)c;
	return *(volatile u64 *)va;
}

/* One entry for 64 KiB; without Svnapot its bit is reserved. */
static void napot(void)
{
	u64 frames = ((u64)area + 0xffff) & ~0xffffUL, *root = paging_new();
	struct probe p;

	for (u64 i = 0; i < 16; i++) {
		*(u64 *)(frames + i * PAGE_BYTES) = i + 1;
		*paging_entry(root, VA + i * PAGE_BYTES, 0) =
			PTE_OF(frames, PTE_RW) | NAPOT_64K | PTE_N;
	}
	for (u64 i = 0; i < 16; i++) {
		u64 va = VA + i * PAGE_BYTES;
		bool ok;

		paging_on(root, 0);
		ok = probe_call(&p, load, va, 0, 0);
		paging_off();
		if (isa_has("svnapot"))
			check(ok && p.value == i + 1, "page %ld: %ld", i,
			      p.value);
		else
			check_spec(!ok && p.scause == CAUSE_LOAD_PAGE &&
					   p.stval == va,
				   "the bit is ignored: scause %ld", p.scause);
	}
}

static void memory_types(void)
{
	u64 *root = paging_new();
	struct probe p;
	bool ok;

	user_data[0] = 77;
	*paging_entry(root, VA, 0) = PTE_OF(user_data, PTE_RW) | PTE_NC;
	paging_on(root, 0);
	ok = probe_call(&p, load, VA, 0, 0);
	paging_off();
	if (isa_has("svpbmt"))
		check(ok && p.value == 77, "scause %ld", p.scause);
	else
		check_spec(!ok && p.scause == CAUSE_LOAD_PAGE,
			   "the bits are ignored: scause %ld", p.scause);
}

/* Sv48 and Sv57 are Sv39 below one and two tables more. */
static void deeper(u64 mode, u32 bits, u64 *root)
{
	struct probe p;
	u64 value;
	bool ok;

	csr_write(satp, mode << 60 | (u64)root >> 12);
	__asm__ volatile("sfence.vma" ::: "memory");
	value = csr_read(satp);
	ok = probe_call(&p, load, VA, 0, 0);
	paging_off();
	if (machine.mmu_bits < bits) {
		check_spec(value == 0, "satp took Sv%u: 0x%lx", bits, value);
		return;
	}
	check_eq(value >> 60, mode, "satp.MODE");
	check(ok && p.value == 1234, "Sv%u: scause %ld", bits, p.scause);
}

static void depths(void)
{
	u64 *root = paging_new(), *four, *five;

	area[0] = 1234;
	four = (u64 *)(((u64)area + 0x3fff) & ~0xfffUL);
	five = four + 512;
	memset(four, 0, 2 * PAGE_BYTES);
	paging_map(root, VA, (u64)area & ~0xfffUL, PTE_RW);
	four[0] = PTE_OF(root, PTE_V);
	five[0] = PTE_OF(four, PTE_V);
	deeper(9, 48, four);
	deeper(10, 57, five);
}

const struct test isa_tests[] = {
	{"isa_instructions_are_there_as_the_tree_says", instructions},
	{"isa_svnapot_as_the_tree_says", napot},
	{"isa_svpbmt_as_the_tree_says", memory_types},
	{"isa_page_tables_are_as_deep_as_the_tree_says", depths},
};
TEST_LIST(isa_tests, isa_test_count);
