/*
 * Where RAM ends, and where its addresses do: accesses of which only a part is
 * in RAM fault with the address of the part that is not, and an address that is
 * RAM but for one bit far above is no RAM, whoever forms it.
 */
#include "guests/baremetal/archtest/archtest.h"

#define VA	   PAGING_FREE_VA
#define VSETIVLI_8 0xcc047057 /* vsetivli x0, 8, e8, m1, ta, ma */

static u64 word;

static u64 ram_end(void)
{
	struct range *r = &machine.ram[machine.ram_count - 1];

	return r->base + r->bytes;
}

static bool ends_there(void)
{
	if (!machine.rouse)
		test_skip("QEMU's board has other things behind RAM");
	return machine.rouse;
}

static u64 jump(u64 to, u64 b, u64 c)
{
	(void)b;
	(void)c;
	return ((u64(*)(void))to)();
}

/* The first half of an instruction is in RAM: the fault is the second's. */
static void fetches(void)
{
	u64 end = ram_end();
	u16 *last = (u16 *)(end - 2), old = *last;
	struct probe p;

	if (!ends_there())
		return;
	*last = 0x4503; /* lbu a0, 0(a0), the lower half */
	__asm__ volatile("fence.i" ::: "memory");
	probe_call(&p, jump, end - 2, 0, 0);
	*last = old;
	trap_expect("fetch", &p, CAUSE_FETCH_ACCESS, end - 2, FROM_S(false));
	check_eq(p.stval, end, "stval");
}

static void one_over_the_end(const char *name, u32 insn, u32 width, u64 cause)
{
	u64 *last = (u64 *)(ram_end() - 8), old = *last;
	struct probe p;

	for (u32 in = 1; in < width; in++) {
		run_insn_with(&p, insn, ram_end() - in, ~old);
		check(p.scause == cause || p.scause == cause - 1,
		      "%s, %u bytes in RAM: scause %ld", name, in, p.scause);
		check(p.stval == ram_end() ||
			      (p.scause == cause - 1 &&
			       p.stval == ram_end() - in),
		      "%s, %u bytes in RAM: stval 0x%lx", name, in, p.stval);
		check_eq(*last, old, "what is in RAM");
	}
}

static void loads_and_stores(void)
{
	if (!ends_there())
		return;
	one_over_the_end("ld", 0x00053503, 8, CAUSE_LOAD_ACCESS);
	one_over_the_end("lw", 0x00052503, 4, CAUSE_LOAD_ACCESS);
	one_over_the_end("lhu", 0x00055503, 2, CAUSE_LOAD_ACCESS);
	one_over_the_end("c.ld", 0x6108, 8, CAUSE_LOAD_ACCESS);
	one_over_the_end("sd", 0x00b53023, 8, CAUSE_STORE_ACCESS);
	one_over_the_end("sw", 0x00b52023, 4, CAUSE_STORE_ACCESS);
	one_over_the_end("sh", 0x00b51023, 2, CAUSE_STORE_ACCESS);
	one_over_the_end("c.sw", 0xc10c, 4, CAUSE_STORE_ACCESS);
}

/* The elements before the end are done, vstart is the first one that isn't. */
static void vectors(void)
{
	static const struct {
		const char *name;
		u32 insn, bytes;
		u64 cause;
	} forms[] = {
		{"vle8.v", 0x02050407, 1, CAUSE_LOAD_ACCESS},
		{"vlse8.v", 0x0ab50407, 1, CAUSE_LOAD_ACCESS},
		{"vle32.v", 0x02056407, 4, CAUSE_LOAD_ACCESS},
		{"vse8.v", 0x02050427, 1, CAUSE_STORE_ACCESS},
		{"vse32.v", 0x02056427, 4, CAUSE_STORE_ACCESS},
	};
	u64 end = ram_end();
	struct probe p;

	if (!ends_there())
		return;
	if (!isa_has("v")) {
		test_skip("no vectors");
		return;
	}
	csr_set(sstatus, SSTATUS_VS);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		u64 vstart;

		run_insn(&p, VSETIVLI_8);
		/* With a stride of one, in a1. */
		run_insn_with(&p, forms[i].insn, end - 4, 1);
		vstart = csr_read(0x008);
		check(p.scause == forms[i].cause && p.stval == end,
		      "%s: scause %ld, stval 0x%lx", forms[i].name, p.scause,
		      p.stval);
		check(vstart == 4 / forms[i].bytes, "%s: vstart %ld",
		      forms[i].name, vstart);
	}
	csr_write(0x008, 0);
	/* The loads that stop there end before it, without a trap. */
	run_insn_with(&p, 0x03050407, end - 4, 0); /* vle8ff.v */
	check_eq(p.scause, 0, "vle8ff.v: scause");
	check_eq(csr_read(0xc20), 4, "vle8ff.v: vl");
	csr_clear(sstatus, SSTATUS_VS);
}

/* By loads, stores and jumps: `at` is what they are given. */
static void is_no_ram(u64 *root, u64 at, const char *how, u32 bit)
{
	static const struct {
		u32 insn;
		u64 cause;
	} accesses[] = {
		{0x00053503, CAUSE_LOAD_ACCESS},  /* ld a0, 0(a0) */
		{0x00b53023, CAUSE_STORE_ACCESS}, /* sd a1, 0(a0) */
		{0x00b5352f, CAUSE_STORE_ACCESS}, /* amoadd.d a0, a1, (a0) */
		{0x1005352f, CAUSE_LOAD_ACCESS},  /* lr.d a0, (a0) */
		{0x00050067, CAUSE_FETCH_ACCESS}, /* jr a0 */
	};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
		if (root)
			paging_on(root, 0);
		run_insn_with(&p, accesses[i].insn, at, 1);
		if (root)
			paging_off();
		check(p.scause == accesses[i].cause && p.stval == at,
		      "%s bit %u, insn 0x%x: scause %ld, stval 0x%lx", how,
		      bit, accesses[i].insn, p.scause, p.stval);
	}
}

static void high_bits(void)
{
	u64 ram = (u64)&word, page = ram & ~0xfffUL, va = VA + ram % PAGE_BYTES;
	u64 *root;

	if (!ends_there())
		return;
	word = 77;
	for (u32 bit = 32; bit < 64; bit++) {
		is_no_ram(NULL, ram | 1UL << bit, "address", bit);
		if (bit >= 56) /* more than a page's entry has */
			continue;
		root = paging_new();
		paging_map(root, VA, page | 1UL << bit, PTE_RWX);
		is_no_ram(root, va, "page", bit);
		root = paging_new();
		*paging_entry(root, VA, 1) = PTE_OF(page | 1UL << bit, PTE_V);
		is_no_ram(root, va, "table", bit);
	}
	check_eq(word, 77, "what is in RAM");
}

const struct test edge_tests[] = {
	{"edge_of_ram_stops_a_fetch", fetches},
	{"edge_of_ram_stops_loads_and_stores", loads_and_stores},
	{"edge_of_ram_stops_vectors_at_their_element", vectors},
	{"edge_of_ram_is_no_matter_of_some_bits", high_bits},
};
TEST_LIST(edge_tests, edge_test_count);
