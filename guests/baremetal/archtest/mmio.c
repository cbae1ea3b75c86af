/*
 * Every form of load and store to a device, with every register, with and
 * without translation, from U-mode, from an instruction that lies on two
 * pages. The registers used are an enable word of the PLIC (32 bits, all of
 * them writable) and the UART's scratch register (8 bits).
 *
 * What no device does (other widths, atomics, instruction fetch) is an access
 * fault in a guest; QEMU's own devices do some of it, so that part is for
 * Rouse.
 */
#include "guests/baremetal/archtest/archtest.h"

u64 word_at;
static u64 byte_at; /* 8-bit register that keeps all bits */

bool mmio_find(void)
{
	if (!machine.plic.bytes || machine.plic_context[0] < 0 ||
	    !machine.uart.bytes) {
		test_skip("no PLIC or no UART");
		return false;
	}
	plic_reset();
	/* Lines 32 to 63: no device of ours is among them. */
	word_at = machine.plic.base + 0x2004 +
		  0x80 * (u64)machine.plic_context[0];
	byte_at = machine.uart.base + ((u64)UART_SCR << machine.uart_shift);
	write32(word_at, 0);
	if (machine.plic_lines < 63) {
		test_skip("the PLIC has too few lines");
		return false;
	}
	return true;
}

u64 mmio_one(struct probe *p, u32 insn, u64 addr, u64 val)
{
	run_insn_with(p, insn, addr, val);
	return p->value;
}

static void loads(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	write32(word_at, 0x89abcdef);
	write8(byte_at, 0x9c);
	check_eq(mmio_one(&p, 0x00052503, word_at, 0),
		 0xffffffff89abcdef, "lw");
	check_eq(mmio_one(&p, 0x00056503, word_at, 0), 0x89abcdef, "lwu");
	check_eq(mmio_one(&p, 0x4108, word_at, 0), 0xffffffff89abcdef, "c.lw");
	check_eq(mmio_one(&p, 0x00050503, byte_at, 0),
		 0xffffffffffffff9c, "lb");
	check_eq(mmio_one(&p, 0x00054503, byte_at, 0), 0x9c, "lbu");
	/* With offsets: the base register alone is another address. */
	check_eq(mmio_one(&p, 0xff052503, word_at + 16, 0),
		 0xffffffff89abcdef, "lw -16");
	check_eq(mmio_one(&p, 0x7ff54503, byte_at - 0x7ff, 0), 0x9c,
		 "lbu 2047");
	check_eq(mmio_one(&p, 0x4148, word_at - 4, 0), 0xffffffff89abcdef,
		 "c.lw 4");
	write32(word_at, 0);
}

static void stores(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	mmio_one(&p, 0x00b52023, word_at, 0xfedcba9876543210);
	check_eq(read32(word_at), 0x76543210, "sw");
	mmio_one(&p, 0xc10c, word_at, 0xfedcba98f6543211);
	check_eq(read32(word_at), 0xf6543211, "c.sw");
	mmio_one(&p, 0xfeb52823, word_at + 16, 0x5);
	check_eq(read32(word_at), 5, "sw -16");
	mmio_one(&p, 0x00b50023, byte_at, 0xfffffffffffffa5);
	check_eq(read8(byte_at), 0xa5, "sb");
	mmio_one(&p, 0x00052023, word_at, 0);
	check_eq(read32(word_at), 0, "sw x0");
}

/* c.lwsp and c.swsp: the stack pointer on a device, for one instruction. */
static void stack_forms(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	write32(word_at, 0x80000001);
	code_begin();
	code_add(0x00010313); /* mv t1, sp */
	code_add(0x00050113); /* mv sp, a0 */
	code_add(0x4542);     /* c.lwsp a0, 16 */
	code_add(0x00030113); /* mv sp, t1 */
	code_add(INSN_RET);
	code_run(&p, word_at - 16, 0);
	check_eq(p.value, 0xffffffff80000001, "c.lwsp");
	code_begin();
	code_add(0x00010313);
	code_add(0x00050113);
	code_add(0xc82e); /* c.swsp a1, 16 */
	code_add(0x00030113);
	code_add(INSN_RET);
	code_run(&p, word_at - 16, 0x12345679);
	check_eq(read32(word_at), 0x12345679, "c.swsp");
	write32(word_at, 0);
}

/* lw rd, 0(a0) and sw rs, 0(a0) for every register but the base. */
static void registers(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	for (u32 r = 0; r < 32; r++) {
		/* t1 keeps the register, t2 if the register is t1. */
		u32 keep = r == 6 ? 7 : 6, out = r == 12 ? 13 : 12;
		u64 want = r ? 0x10000 + r : 0;

		write32(word_at, 0x10000 + r);
		code_begin();
		code_add(0x00000013 | r << 15 | keep << 7); /* mv keep, r */
		code_add(0x00052003 | r << 7);		    /* lw r, 0(a0) */
		code_add(0x00000013 | r << 15 | out << 7);  /* mv out, r */
		code_add(0x00000013 | keep << 15 | r << 7); /* mv r, keep */
		code_add(0x00000513 | out << 15);	    /* mv a0, out */
		code_add(INSN_RET);
		code_run(&p, word_at, 0);
		check(p.value == want, "lw x%u gives 0x%lx", r, p.value);
		if (r == 10)
			continue;
		code_begin();
		code_add(0x00000013 | r << 15 | keep << 7);
		code_add(0x00058013 | r << 7);	/* mv r, a1 */
		code_add(0x00052023 | r << 20); /* sw r, 0(a0) */
		code_add(0x00000013 | keep << 15 | r << 7);
		code_add(INSN_RET);
		code_run(&p, word_at, 0x20000 + r);
		want = r ? 0x20000 + r : 0;
		check(read32(word_at) == want, "sw x%u wrote 0x%x", r,
		      read32(word_at));
	}
	write32(word_at, 0);
}

static void translated(void)
{
	u64 *root, va = PAGING_FREE_VA;
	struct probe p;

	if (!mmio_find())
		return;
	root = paging_new();
	paging_map(root, va, byte_at & ~0xfffUL, PTE_RW);
	/* The instruction itself: its halves on two pages, far apart. */
	paging_map(root, va + 0x2000, (u64)code, PTE_RX);
	paging_map(root, va + 0x3000, (u64)user_data, PTE_RX);
	write8(byte_at, 0x77);
	((u16 *)code)[2047] = 0x4503; /* lbu a0, 0(a0) */
	((u16 *)user_data)[0] = 0x0005;
	((u16 *)user_data)[1] = 0x8082; /* c.ret */
	__asm__ volatile("fence.i" ::: "memory");
	paging_on(root, 0);
	probe_call(&p, (u64(*)(u64, u64, u64))(va + 0x2ffe),
		   va + (byte_at & 0xfff), 0, 0);
	paging_off();
	check_eq(p.scause, 0, "scause");
	check_eq(p.value, 0x77, "lbu");
}

static void from_user_mode(void)
{
	u64 *root, va = PAGING_FREE_VA;
	struct probe p;

	if (!mmio_find())
		return;
	write8(byte_at, 0x83);
	code_begin();
	code_add(0x00050583); /* lb a1, 0(a0) */
	code_add(0x00b500a3); /* sb a1, 1(a0): where nothing changes */
	code_add(INSN_ECALL);
	root = paging_new();
	paging_map(root, va, byte_at & ~0xfffUL, PTE_RW | PTE_U);
	paging_map(root, va + 0x1000, (u64)code,
		   PTE_V | PTE_X | PTE_U | PTE_AD);
	/* Execute-only code: the hypervisor reads it all the same. */
	code[1] = 0x00b50023; /* sb a1, 0(a0) */
	__asm__ volatile("fence.i" ::: "memory");
	paging_on(root, 0);
	probe_user(&p, va + 0x1000, va, va + (byte_at & 0xfff));
	paging_off();
	check_eq(p.scause, CAUSE_ECALL_U, "scause");
	check_eq(p.x11, 0xffffffffffffff83, "lb");
}

void mmio_faults(const char *name, u32 insn, u64 at, u64 cause)
{
	struct probe p;

	mmio_one(&p, insn, at, ~0UL);
	check(p.scause == cause, "%s: scause %ld, expected %ld", name, p.scause,
	      cause);
	if (p.scause) {
		check(p.stval == at, "%s: stval 0x%lx", name, p.stval);
		check(p.sepc == (u64)code, "%s: sepc 0x%lx", name, p.sepc);
	}
}

static void wrong_widths(void)
{
	if (!mmio_find())
		return;
	mmio_faults("ld", 0x00053503, word_at & ~7UL, CAUSE_LOAD_ACCESS);
	mmio_faults("sd", 0x00b53023, word_at & ~7UL, CAUSE_STORE_ACCESS);
	mmio_faults("c.ld", 0x6108, word_at & ~7UL, CAUSE_LOAD_ACCESS);
	mmio_faults("c.sd", 0xe10c, word_at & ~7UL, CAUSE_STORE_ACCESS);
	mmio_faults("lb", 0x00050503, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("lbu", 0x00054503, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("lh", 0x00051503, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("lhu", 0x00055503, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("sb", 0x00b50023, word_at, CAUSE_STORE_ACCESS);
	mmio_faults("sh", 0x00b51023, word_at, CAUSE_STORE_ACCESS);
}

static void misaligned(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("the board's devices take such accesses");
		return;
	}
	for (u64 i = 1; i < 4; i++) {
		mmio_one(&p, 0x00052503, word_at + i, 0);
		check(p.scause == CAUSE_LOAD_ACCESS ||
			      p.scause == CAUSE_LOAD_MISALIGNED,
		      "lw: scause %ld", p.scause);
		mmio_one(&p, 0x00b52023, word_at + i, 0);
		check(p.scause == CAUSE_STORE_ACCESS ||
			      p.scause == CAUSE_STORE_MISALIGNED,
		      "sw: scause %ld", p.scause);
	}
}

/* The first bytes in RAM, the others on the page behind it, which is a
 * device's and begins with a register as wide as the access. */
static void straddling(void)
{
	static const u32 insns[] = {
		0x00052503, /* lw a0, 0(a0) */
		0x00b52023, /* sw a1, 0(a0) */
		0x4108,	    /* c.lw a0, 0(a0) */
		0xc10c,	    /* c.sw a1, 0(a0) */
	};
	u64 *root, va = PAGING_FREE_VA, first = machine.plic.base + 0x2000;
	struct probe p;

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("the board's devices take such accesses");
		return;
	}
	root = paging_new();
	paging_map(root, va, (u64)user_data, PTE_RW);
	paging_map(root, va + 0x1000, first, PTE_RW);
	for (u32 i = 0; i < 12; i++) {
		u32 insn = insns[i % 4];
		u64 cause = i & 1 ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS;

		code_begin();
		code_add(insn);
		code_add(INSN_RET);
		paging_on(root, 0);
		code_run(&p, va + 0xffd + i / 4, 0xffffffff);
		paging_off();
		check(p.scause == cause || p.scause == cause - 1,
		      "insn 0x%x: scause %ld", insn, p.scause);
		check(p.stval - va - 0xffd <= 3, "insn 0x%x: stval 0x%lx", insn,
		      p.stval);
	}
	check_eq(read32(first), 0, "the register afterwards");
}

static void atomics(void)
{
	struct probe p;
	u64 at;

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("QEMU's devices take atomics");
		return;
	}
	at = word_at;
	mmio_faults("amoadd.w", 0x00b5252f, at, CAUSE_STORE_ACCESS);
	mmio_faults("amoswap.w", 0x08b5252f, at, CAUSE_STORE_ACCESS);
	mmio_faults("amomaxu.w", 0xe0b5252f, at, CAUSE_STORE_ACCESS);
	mmio_faults("lr.w", 0x1005252f, at, CAUSE_LOAD_ACCESS);
	mmio_faults("amoadd.d", 0x00b5352f, at & ~7UL, CAUSE_STORE_ACCESS);
	/* Without a reservation it may fail before it looks. */
	if (mmio_one(&p, 0x18b5252f, at, 1) != 1)
		check_eq(p.scause, CAUSE_STORE_ACCESS, "sc.w: scause");
	check_eq(read32(word_at), 0, "the register afterwards");
}

/* Of FP and vector registers: no device of a guest's takes them. */
static void other_registers(void)
{
	u64 at;

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("QEMU's devices take such accesses");
		return;
	}
	at = word_at & ~7UL;
	if (isa_has("d")) {
		csr_set(sstatus, SSTATUS_FS);
		mmio_faults("flw", 0x00052507, at, CAUSE_LOAD_ACCESS);
		mmio_faults("fld", 0x00053507, at, CAUSE_LOAD_ACCESS);
		mmio_faults("fsw", 0x00a52027, at, CAUSE_STORE_ACCESS);
		mmio_faults("fsd", 0x00a53027, at, CAUSE_STORE_ACCESS);
		mmio_faults("c.fld", 0x2108, at, CAUSE_LOAD_ACCESS);
		mmio_faults("c.fsd", 0xa108, at, CAUSE_STORE_ACCESS);
		csr_clear(sstatus, SSTATUS_FS);
	}
	if (isa_has("v")) {
		struct probe p;

		csr_set(sstatus, SSTATUS_VS);

		run_insn(&p, 0xcc047057); /* vsetivli x0, 8, e8, m1, ta, ma */
		mmio_faults("vle8.v", 0x02050407, at, CAUSE_LOAD_ACCESS);
		mmio_faults("vse8.v", 0x02050427, at, CAUSE_STORE_ACCESS);
		csr_clear(sstatus, SSTATUS_VS);
	}
	check_eq(read32(word_at), 0, "the register afterwards");
}

/* Zcb's forms of a byte do what they say, those of half a word have nothing
 * that takes them. */
static void short_forms(void)
{
	struct probe p;

	if (!mmio_find())
		return;
	if (!isa_has("zcb")) {
		test_skip("no Zcb");
		return;
	}
	write8(byte_at, 0x9c);
	check_eq(mmio_one(&p, 0x8108, byte_at, 0), 0x9c, "c.lbu");
	check_eq(mmio_one(&p, 0x8128, byte_at - 2, 0), 0x9c, "c.lbu 2");
	mmio_one(&p, 0x890c, byte_at, 0x12345678);
	check_eq(read8(byte_at), 0x78, "c.sb");
	mmio_faults("c.lhu", 0x8508, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("c.lh", 0x8548, word_at, CAUSE_LOAD_ACCESS);
	mmio_faults("c.sh", 0x8d0c, word_at, CAUSE_STORE_ACCESS);
}

static u64 jump(u64 to, u64 b, u64 c)
{
	(void)b;
	(void)c;
	return ((u64(*)(void))to)();
}

static void fetches(void)
{
	struct probe p;
	u64 at[3];

	if (!mmio_find())
		return;
	if (!machine.rouse) {
		test_skip("QEMU's harts run code from devices");
		return;
	}
	at[0] = machine.plic.base;
	at[1] = machine.uart.base;
	at[2] = machine.finisher.base;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		probe_call(&p, jump, at[i], 0, 0);
		check(p.scause == CAUSE_FETCH_ACCESS,
		      "fetch at 0x%lx: scause %ld", at[i], p.scause);
		check(p.stval == at[i] && p.sepc == at[i],
		      "fetch at 0x%lx: stval 0x%lx sepc 0x%lx", at[i], p.stval,
		      p.sepc);
	}
}

/*
 * An instruction that another hart changes while it is executed, from a load of
 * a device's register to a store in RAM and back. Either may be done, but never
 * the store where the load was to go: who reads the instruction after the trap
 * may find another than the one that trapped, and page tables may let this
 * program load from there, and not store. The two differ in their lower halves
 * alone: harts may fetch halves one by one, and two halves of two instructions
 * would be a third one.
 */
#define RACE_LOADS 10000 /* at least */
#define RACE_SETS  10000
#define RACE_LOAD  0x00b64503u /* lbu a0, 11(a2) */
#define RACE_STORE 0x00b68023u /* sb a1, 0(a3) */

static u32 racing[4] __attribute__((aligned(4096))) = {RACE_LOAD, INSN_RET};
static u32 race_over, race_sets;

static u64 race_once(u64 device, u64 val, u64 ram)
{
	return ((u64(*)(u64, u64, u64, u64))racing)(0, val, device - 11, ram);
}

/* For a time below `us`. */
static void race_set(struct rand *r, u32 insn, u32 us)
{
	u64 until = time_now() + rand_below(r, us_to_ticks(us));

	__atomic_store_n(&racing[0], insn, __ATOMIC_RELAXED);
	while (time_now() < until)
		;
}

/* A load takes longer: it traps. */
static void race_change(void)
{
	struct rand r;

	rand_seed(&r, 1);
	while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
		race_set(&r, RACE_STORE, 1);
		race_set(&r, RACE_LOAD, 10);
		__atomic_fetch_add(&race_sets, 1, __ATOMIC_RELAXED);
	}
}

static void race_hart(struct hart *h, void *arg)
{
	struct probe p;
	u32 loads = 0;
	u8 ram;

	(void)arg;
	if (h->index) {
		race_change();
		return;
	}
	while (loads < RACE_LOADS ||
	       __atomic_load_n(&race_sets, __ATOMIC_RELAXED) < RACE_SETS) {
		ram = 0;
		__asm__ volatile("fence.i" ::: "memory");
		probe_call(&p, race_once, byte_at, 0xaa, (u64)&ram);
		loads += !ram;
	}
	__atomic_store_n(&race_over, 1, __ATOMIC_RELAXED);
}

static void changing(void)
{
	if (!mmio_find())
		return;
	if (machine.hart_count < 2) {
		test_skip("one hart");
		return;
	}
	write8(byte_at, 0x55);
	race_over = race_sets = 0;
	check(!harts_run(2, race_hart, NULL), "two harts");
	check_eq(read8(byte_at), 0x55, "a store that nobody made");
}

const struct test mmio_tests[] = {
	{"mmio_every_load", loads},
	{"mmio_every_store", stores},
	{"mmio_stack_pointer_forms", stack_forms},
	{"mmio_every_register", registers},
	{"mmio_translated_from_an_instruction_on_two_pages", translated},
	{"mmio_from_user_mode_and_execute_only_code", from_user_mode},
	{"mmio_wrong_width_is_an_access_fault", wrong_widths},
	{"mmio_misaligned_traps", misaligned},
	{"mmio_that_begins_in_ram_is_an_access_fault", straddling},
	{"mmio_atomics_are_access_faults", atomics},
	{"mmio_of_other_registers_is_an_access_fault", other_registers},
	{"mmio_short_forms_of_zcb", short_forms},
	{"mmio_fetch_is_an_access_fault", fetches},
	{"mmio_load_that_changes_is_no_store", changing},
};
TEST_LIST(mmio_tests, mmio_test_count);
