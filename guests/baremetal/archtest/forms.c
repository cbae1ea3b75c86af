/*
 * The rest of the forms of a load or a store, at a device: those that none of a
 * guest's devices takes are access faults, each with its address; those of more
 * than a register's width are for the UART, whose registers are all read as
 * numbers. What the tree doesn't promise is left out.
 */
#include "guests/baremetal/archtest/archtest.h"

#define VSETIVLI_8 0xcc047057 /* vsetivli x0, 8, e8, m1, ta, ma */
#define VMV_V16_0  0x5e003857 /* vmv.v.i v16, 0 */

/* Of a0, and with a1 where there is a second operand. */
static const struct form {
	const char *name, *needs, *needs_too;
	u32 insn;
	bool store;
} forms[] = {
	{"lr.d", NULL, NULL, 0x1005352f, false},
	{"flh", "zfhmin", NULL, 0x00051507, false},
	{"fsh", "zfhmin", NULL, 0x00a51027, true},
	{"cbo.inval", "zicbom", NULL, 0x0005200f, true},
	{"cbo.clean", "zicbom", NULL, 0x0015200f, true},
	{"cbo.flush", "zicbom", NULL, 0x0025200f, true},
	{"cbo.zero", "zicboz", NULL, 0x0045200f, true},
	{"vle16.v", "v", NULL, 0x02055407, false},
	{"vse16.v", "v", NULL, 0x02055427, true},
	{"vle32.v", "v", NULL, 0x02056407, false},
	{"vse32.v", "v", NULL, 0x02056427, true},
	{"vle64.v", "v", NULL, 0x02057407, false},
	{"vse64.v", "v", NULL, 0x02057427, true},
	{"vlm.v", "v", NULL, 0x02b50407, false},
	{"vsm.v", "v", NULL, 0x02b50427, true},
	{"vle8ff.v", "v", NULL, 0x03050407, false},
	{"vlse8.v", "v", NULL, 0x0ab50407, false},
	{"vsse8.v", "v", NULL, 0x0ab50427, true},
	{"vluxei8.v", "v", NULL, 0x07050407, false},
	{"vsuxei8.v", "v", NULL, 0x07050427, true},
	{"vloxei8.v", "v", NULL, 0x0f050407, false},
	{"vsoxei8.v", "v", NULL, 0x0f050427, true},
	{"vlseg2e8.v", "v", NULL, 0x22050407, false},
	{"vsseg2e8.v", "v", NULL, 0x22050427, true},
	{"vlsseg2e8.v", "v", NULL, 0x2ab50407, false},
	{"vl1re8.v", "v", NULL, 0x02850407, false},
	{"vl2re8.v", "v", NULL, 0x22850407, false},
	{"vs1r.v", "v", NULL, 0x02850427, true},
	{"amocas.b", "zabha", "zacas", 0x28b5052f, true},
	{"amocas.h", "zabha", "zacas", 0x28b5152f, true},
	{"amocas.w", "zacas", NULL, 0x28b5252f, true},
	{"amocas.d", "zacas", NULL, 0x28b5352f, true},
	{"amocas.q", "zacas", NULL, 0x28c5452f, true}, /* of register pairs */
};

/* By the upper five bits. */
static const struct {
	const char *name;
	u32 op;
} amos[] = {
	{"amoadd", 0},	 {"amoswap", 1}, {"amoxor", 4},
	{"amoor", 8},	 {"amoand", 12}, {"amomin", 16},
	{"amomax", 20},	 {"amominu", 24}, {"amomaxu", 28},
};

static bool has(const char *ext)
{
	return !ext || isa_has(ext);
}

static void amo_forms(u64 at)
{
	static const char widths[] = "bhwd";

	for (u32 f3 = isa_has("zabha") ? 0 : 2; f3 < 4; f3++) {
		for (size_t i = 0; i < ARRAY_LEN(amos); i++) {
			size_t len = strlen(amos[i].name);
			char name[12] = "";

			memcpy(name, amos[i].name, len);
			name[len] = '.';
			name[len + 1] = widths[f3];
			mmio_faults(name, amos[i].op << 27 | 0x00b5002f |
				    f3 << 12 | 10 << 7, at,
				    CAUSE_STORE_ACCESS);
		}
	}
}

/* Aligned for all, a cache block's too. */
static void refused_at(u64 at)
{
	struct probe p;

	amo_forms(at);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *f = &forms[i];

		if (has(f->needs) && has(f->needs_too))
			mmio_faults(f->name, f->insn, at,
				    f->store ? CAUSE_STORE_ACCESS :
					       CAUSE_LOAD_ACCESS);
	}
	/* Without a reservation it may fail before it looks. */
	if (mmio_one(&p, 0x18b5352f, at, 1) != 1)
		check_eq(p.scause, CAUSE_STORE_ACCESS, "sc.d: scause");
}

/* At a device that takes words alone, and at one that takes all widths. */
static void refused(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("QEMU's devices take such accesses");
		return;
	}
	csr_set(sstatus, SSTATUS_FS | SSTATUS_VS);
	if (isa_has("v")) {
		run_insn(&p, VSETIVLI_8);
		run_insn(&p, VMV_V16_0);
	}
	refused_at(word_at & ~63UL);
	refused_at(machine.uart.base);
	csr_clear(sstatus, SSTATUS_FS | SSTATUS_VS);
	check_eq(read32(word_at & ~63UL), 0, "the register afterwards");
	check_eq(read32(word_at), 0, "and the one behind it");
}

/*
 * A form that takes the stack pointer, from U-mode: there a trap doesn't need
 * it. a0 holds `val`; a1 is in the probe.
 */
static void by_stack_pointer(struct probe *p, u16 insn, u64 device, u64 val)
{
	u64 *root = paging_new(), va = PAGING_FREE_VA;

	code_begin();
	code_add(insn);
	code_add(INSN_ECALL);
	paging_map(root, va, device & ~0xfffUL, PTE_RW | PTE_U);
	paging_map(root, va + 0x1000, (u64)code, PTE_RX | PTE_U);
	__asm__ volatile("fence.i" ::: "memory");
	paging_on(root, 0);
	probe_user(p, va + 0x1000, va + (device & 0xfff), val);
	paging_off();
}

/* The divisor's lower half keeps its 8 bits, and is where all widths are
 * aligned. Nothing may be printed meanwhile. */
static void divisor(bool on)
{
	u8 lcr = uart_read(UART_LCR);

	uart_write(UART_LCR, on ? lcr | UART_LCR_DLAB : lcr & ~UART_LCR_DLAB);
}

static void wide_loads(u64 at)
{
	static const struct {
		const char *name;
		u32 insn;
	} loads[] = {
		{"lh", 0x00051503},  {"lhu", 0x00055503}, {"lw", 0x00052503},
		{"lwu", 0x00056503}, {"ld", 0x00053503},  {"c.lw", 0x4108},
		{"c.ld", 0x6108},
	};
	u64 got[ARRAY_LEN(loads)];
	struct probe p;

	divisor(true);
	uart_write(UART_DLL, 0x9c);
	for (size_t i = 0; i < ARRAY_LEN(loads); i++)
		got[i] = mmio_one(&p, loads[i].insn, at, 0);
	by_stack_pointer(&p, 0x6582, at, 0); /* c.ldsp a1, 0 */
	divisor(false);
	for (size_t i = 0; i < ARRAY_LEN(loads); i++)
		check(got[i] == 0x9c, "%s: 0x%lx", loads[i].name, got[i]);
	check_eq(p.x11, 0x9c, "c.ldsp");
}

static void wide_stores(u64 at)
{
	static const struct {
		const char *name;
		u32 insn;
	} stores[] = {
		{"sh", 0x00b51023}, {"sw", 0x00b52023}, {"sd", 0x00b53023},
		{"c.sw", 0xc10c},   {"c.sd", 0xe10c},
	};
	u64 got[ARRAY_LEN(stores)], last;
	struct probe p;

	divisor(true);
	for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
		mmio_one(&p, stores[i].insn, at, 0xa0 + i);
		got[i] = uart_read(UART_DLL);
	}
	by_stack_pointer(&p, 0xe02a, at, 0x5a); /* c.sdsp a0, 0 */
	last = uart_read(UART_DLL);
	uart_write(UART_DLL, 1);
	divisor(false);
	for (size_t i = 0; i < ARRAY_LEN(stores); i++)
		check(got[i] == 0xa0 + i, "%s: 0x%lx", stores[i].name, got[i]);
	check_eq(last, 0x5a, "c.sdsp");
}

static void wide(void)
{
	if (!mmio_find())
		return;
	wide_loads(machine.uart.base);
	wide_stores(machine.uart.base);
}

static void fp_by_stack_pointer(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	if (!machine.rouse || !isa_has("d")) {
		test_skip("QEMU's devices take such accesses, or no doubles");
		return;
	}
	csr_set(sstatus, SSTATUS_FS);
	by_stack_pointer(&p, 0x2502, word_at & ~7UL, 0); /* c.fldsp f10, 0 */
	check_eq(p.scause, CAUSE_LOAD_ACCESS, "c.fldsp: scause");
	by_stack_pointer(&p, 0xa02a, word_at & ~7UL, 0); /* c.fsdsp f10, 0 */
	check_eq(p.scause, CAUSE_STORE_ACCESS, "c.fsdsp: scause");
	check_eq(p.stval, PAGING_FREE_VA + (word_at & 0xff8), "c.fsdsp: stval");
	csr_clear(sstatus, SSTATUS_FS);
}

const struct test form_tests[] = {
	{"mmio_no_other_form_is_taken", refused},
	{"mmio_wide_forms_at_the_uart", wide},
	{"mmio_stack_pointer_forms_of_doubles", fp_by_stack_pointer},
};
TEST_LIST(form_tests, form_test_count);
