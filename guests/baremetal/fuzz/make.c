/*
 * Random steps: a few instructions, and the registers that they begin with.
 *
 * Words that are random altogether are mostly illegal, so most are of a kind
 * that Rouse has something to do with: CSRs, loads and stores wherever it has
 * devices, edges or nothing at all, calls, privileged instructions. What would
 * merely end the guest (a vector or a page table that leads nowhere, a reset)
 * comes, but seldom, since the supervisor then has to wait and start anew.
 *
 * What a call reads in memory is changed by all harts at any moment: they write
 * random code's data to the same megabyte, and each step writes a word of the
 * hart masks there.
 *
 * A step depends on the seed, the hart and its number alone.
 */
#include "guests/baremetal/fuzz/fuzz.h"
#include "guests/baremetal/runtime/sbi.h"

bool fuzz_svinval;
u8 fuzz_scratch[SCRATCH_BYTES] __attribute__((aligned(4096)));

#define EBREAK	 0x00100073u
#define C_EBREAK 0x9002u

#define PTE_V	   1UL
#define PTE_RWX	   0x0eUL
#define PTE_U	   0x10UL
#define PTE_AD	   0xc0UL
#define PTE_OF(at) ((u64)(at) >> 12 << 10 | PTE_V)
#define LEAVES	   16
#define SATP_SV39  (8UL << 60)

static u32 below(struct runner *r, u32 n)
{
	return (u32)rand_below(&r->rand, n);
}

static bool one_in(struct runner *r, u32 n)
{
	return below(r, n) == 0;
}

#define PICK(r, list) ((list)[below(r, ARRAY_LEN(list))])

/* ---- values -------------------------------------------------------- */

static u64 device_address(struct runner *r)
{
	const struct range *const devices[] = {
		&machine.plic,
		&machine.uart,
		&machine.rtc,
		&machine.finisher,
	};
	const struct range *d = PICK(r, devices);

	switch (below(r, 4)) {
	case 0:
		return d->base + rand_below(&r->rand, d->bytes | 1);
	case 1:
		return d->base + d->bytes - below(r, 16);
	case 2:
		return machine.plic.base + 0x200000 + below(r, 16) * 2048;
	default:
		return d->base + below(r, 12) * 4;
	}
}

static u64 ram_edge(struct runner *r)
{
	u64 end = machine.ram[0].base + machine.ram[0].bytes;

	return (one_in(r, 2) ? end : machine.ram[0].base) + below(r, 32) - 16;
}

static u64 scratch_address(struct runner *r)
{
	u64 at = (u64)fuzz_scratch + rand_below(&r->rand, SCRATCH_BYTES);

	switch (below(r, 4)) {
	case 0:
		return at;
	case 1: /* across the end of a page */
		return (at & ~4095UL) + 4096 - below(r, 8);
	default:
		return at & ~63UL;
	}
}

static u64 value(struct runner *r)
{
	switch (below(r, 16)) {
	case 0:
	case 1:
		return device_address(r);
	case 2:
		return ram_edge(r);
	case 3:
		return rand_next(&r->rand) >> below(r, 64);
	case 4:
		return rand_next(&r->rand);
	case 5:
		return below(r, 256);
	case 6:
		return -(u64)below(r, 256);
	case 7:
		return 1UL << below(r, 64);
	case 8:
		return USER_VA + rand_below(&r->rand, LEAVES << 12);
	case 9:
		return (u64)r->code + below(r, CODE_BYTES);
	case 10:
		return 0;
	default:
		return scratch_address(r);
	}
}

static const u32 extensions[] = {
	SBI_BASE, SBI_TIME, SBI_IPI,  SBI_RFENCE, SBI_HSM,
	SBI_SRST, SBI_DBCN, SBI_STA,  SBI_PMU,	  SBI_FWFT,
	SBI_SUSP, SBI_SSE,  SBI_DBTR, 0x4d505859, /* MPXY */
	0,	  1,	    2,	      3,	  4,
	5,	  6,	    7,	      8,	  9,
};

/* Software events: by chance none would be named, and what handles one is to
 * come back. */
static void sse_registers(struct runner *r)
{
	static const u32 events[] = {
		SSE_LOCAL_RAS,	   SSE_GLOBAL_RAS,     SSE_DOUBLE_TRAP,
		SSE_LOCAL_RAS_LOW, SSE_GLOBAL_RAS_LOW, SSE_PMU,
		SSE_LOCAL_SOFT,	   SSE_GLOBAL_SOFT,    SSE_LOCAL_SOFT,
	};

	r->x[10] = PICK(r, events);
	if (r->x[16] == SBI_SSE_REGISTER && !one_in(r, 8))
		r->x[11] = (u64)r->stub;
}

static u64 *const masks = (u64 *)fuzz_scratch; /* of harts */

/* A word of them is another one now; mostly one of few harts. */
static void masks_change(struct runner *r)
{
	u64 word = one_in(r, 4) ? value(r) : below(r, 16);

	__atomic_store_n(&masks[below(r, 4)], word, __ATOMIC_RELAXED);
}

static void sbi_registers(struct runner *r)
{
	for (u32 i = 10; i < 16; i++)
		r->x[i] = one_in(r, 2) ? below(r, 8) : value(r);
	r->x[16] = one_in(r, 32) ? rand_next(&r->rand) : below(r, 11);
	r->x[17] = one_in(r, 16) ? rand_next(&r->rand) : PICK(r, extensions);
	if (r->x[17] == SBI_SSE && !one_in(r, 8))
		sse_registers(r);
	if (r->x[17] >= SBI_LEGACY_SEND_IPI &&
	    r->x[17] <= SBI_LEGACY_SFENCE_ASID && !one_in(r, 4))
		r->x[10] = (u64)&masks[below(r, 3)];
	/* The end of this life, of the console's peace, of this hart. */
	if ((r->x[17] == SBI_SRST || r->x[17] == SBI_LEGACY_SHUTDOWN) &&
	    !one_in(r, 256))
		r->x[17] = SBI_RFENCE;
	if (r->x[17] == SBI_DBCN && r->x[16] == SBI_DBCN_WRITE)
		r->x[10] &= 31;
	if (r->x[17] == SBI_HSM && r->x[16] == SBI_HSM_STOP && !one_in(r, 16))
		r->x[16] = SBI_HSM_STATUS;
}

/* ---- instructions -------------------------------------------------- */

static const u16 csrs[] = {
	0x100, 0x104, 0x106, 0x10a, 0x10c, 0x120, 0x140, 0x141, 0x142,
	0x143, 0x144, 0x14d, 0x150, 0x151, 0x15c, 0x5a8, 0xda0, 0xdb0, /* S */
	0x105, 0x180, /* stvec, satp */
	0x200, 0x204, 0x205, 0x240, 0x241, 0x242, 0x243, 0x244, 0x24d,
	0x250, 0x280, /* VS */
	0x600, 0x602, 0x603, 0x604, 0x605, 0x606, 0x607, 0x60a, 0x60c,
	0x643, 0x644, 0x645, 0x64a, 0x680, 0xe12, /* H */
	0x001, 0x002, 0x003, 0x008, 0x009, 0x00a, 0x00f, 0xc20, 0xc21,
	0xc22, 0x011, 0x015, 0x017,		  /* FP, V, U */
	0xc00, 0xc01, 0xc02, 0xc03, 0xc1f, 0xc80, /* counters */
	0x300, 0x304, 0x305, 0x341, 0x342, 0x344, 0xf11, 0xf14, 0x3a0,
	0x747, 0x7a0, 0x7a1, 0x7a2, 0x7a4, 0x7b0, /* M, debug */
};

static u32 insn_csr(struct runner *r)
{
	u32 csr = one_in(r, 3) ? below(r, 4096) : PICK(r, csrs);
	u32 funct3 = 1 + below(r, 7), rs1 = below(r, 32);

	if (one_in(r, 3))
		rs1 = 0;
	/* Only read, or this hart is lost. */
	if ((csr == 0x105 || csr == 0x180) && !one_in(r, 512)) {
		funct3 = 2;
		rs1 = 0;
	}
	return csr << 20 | rs1 << 15 | funct3 << 12 | below(r, 32) << 7 | 0x73;
}

/* Integer, FP and vector; loads and stores of any width. */
static u32 insn_memory(struct runner *r)
{
	static const u8 opcodes[] = {0x03, 0x03, 0x23, 0x23, 0x07, 0x27};
	u32 funct3 = below(r, 8), insn = PICK(r, opcodes);

	insn |= below(r, 32) << 15 | funct3 << 12 | below(r, 32) << 7;
	return insn | (one_in(r, 4) ? below(r, 4096) : below(r, 16)) << 20;
}

static u32 insn_atomic(struct runner *r)
{
	return below(r, 32) << 27 | below(r, 128) << 20 | below(r, 32) << 15 |
	       (one_in(r, 8) ? below(r, 8) : 2 + below(r, 2)) << 12 |
	       below(r, 32) << 7 | 0x2f;
}

static u32 insn_privileged(struct runner *r)
{
	static const u32 fixed[] = {
		0x00000073,
		0x00000073,
		0x00000073, /* ecall */
		EBREAK,
		0x10200073 /* sret */,
		0x30200073 /* mret */,
		0x10500073 /* wfi */,
		0x00d00073 /* wrs.nto */,
		0x01d00073 /* wrs.sto */,
		0x0000100f /* fence.i */,
		0x0ff0000f,
		0x0100000f,
		0x7b200073,
		0x18000073,
		0x18100073,
	};
	static const u8 two[] = {
		0x09, 0x0b, 0x11, 0x13, 0x31, 0x33, /* fences: S, VVMA, GVMA */
	};
	static const u32 hlv[] = {
		0x60004073, 0x60104073, 0x64004073, 0x64104073, 0x64304073,
		0x68004073, 0x68104073, 0x68304073, 0x6c004073,
	};
	static const u32 hsv[] = {
		0x62004073,
		0x66004073,
		0x6a004073,
		0x6e004073,
	};
	u32 rs1 = below(r, 32) << 15, rs2 = below(r, 32) << 20;

	switch (below(r, 6)) {
	case 0:
	case 1:
		return PICK(r, fixed);
	case 2:
		return (u32)PICK(r, two) << 25 | rs2 | rs1 | 0x73;
	case 3:
		return PICK(r, hlv) | rs1 | below(r, 32) << 7;
	case 4:
		return PICK(r, hsv) | rs2 | rs1;
	default: /* cbo.inval, clean, flush, zero */
		return PICK(r, ((const u8[]){0, 1, 2, 4})) << 20 | rs1 | 0x200f;
	}
}

/* Arithmetic of all kinds, and short ways on. */
static u32 insn_other(struct runner *r)
{
	static const u8 opcodes[] = {
		0x13, 0x1b, 0x33, 0x3b, 0x37, 0x17, 0x53, 0x57, 0x57, 0x43,
	};
	u32 any = (u32)rand_next(&r->rand);

	if (one_in(r, 8)) /* a branch two, four or six bytes on */
		return (2u + below(r, 3)) << 8 | (any & 0x01fff000) | 0x63;
	return (any & ~0x7fu) | PICK(r, opcodes);
}

static u32 insn_any(struct runner *r)
{
	switch (below(r, 16)) {
	case 0:
		return (u32)rand_next(&r->rand);
	case 1: /* two compressed ones */
		return (u32)rand_next(&r->rand) & ~0x00010001u;
	case 2:
	case 3:
	case 4:
		return insn_csr(r);
	case 5:
	case 6:
	case 7:
	case 8:
		return insn_memory(r);
	case 9:
	case 10:
		return insn_atomic(r);
	case 11:
	case 12:
	case 13:
		return insn_privileged(r);
	default:
		return insn_other(r);
	}
}

struct form {
	u32 mask, word;
};

#define IS_IN(word, forms) is_in(word, forms, ARRAY_LEN(forms))

static bool is_in(u32 word, const struct form *forms, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if ((word & forms[i].mask) == forms[i].word)
			return true;
	return false;
}

/*
 * Illegal instructions go to the firmware first, and OpenSBI 1.6 prints a line
 * about each of the opcode SYSTEM that has the form of no CSR instruction. The
 * console would be full of it, and a step would take as long as a thousand.
 * What the harts have, and what traps to the hypervisor, it does not see.
 */
static bool firmware_prints(const struct runner *r, u32 word)
{
	static const struct form fine[] =
		{
			{~0u, 0x00000073},
			{~0u, EBREAK},
			{~0u, 0x00d00073},
			{0xfe007fff, 0x12000073}, /* SFENCE, HFENCE */
			{0xfe007fff, 0x22000073},
			{0xfe007fff, 0x62000073},
			/* HLV of 1, 2, 4 and 8 bytes, HLVX, HSV */
			{0xffe0707f, 0x60004073},
			{0xffe0707f, 0x60104073},
			{0xffe0707f, 0x64004073},
			{0xffe0707f, 0x64104073},
			{0xffe0707f, 0x64304073},
			{0xffe0707f, 0x68004073},
			{0xffe0707f, 0x68104073},
			{0xffe0707f, 0x68304073},
			{0xffe0707f, 0x6c004073},
			{0xf2007fff, 0x62004073},
		},
				 fine_in_s[] =
					 {
						 {~0u, 0x10200073},
						 {~0u,
						  0x10500073}, /* SRET, WFI */
					 },
				 fine_with_svinval[] = {
					 {~0u, 0x18000073},
					 {~0u, 0x18100073},
					 {0xfe007fff, 0x16000073},
					 {0xfe007fff, 0x26000073},
					 {0xfe007fff, 0x66000073},
				 };

	if ((word & 0x307f) != 0x0073)
		return false;
	return !((!r->user && IS_IN(word, fine_in_s)) || IS_IN(word, fine) ||
		 (fuzz_svinval && IS_IN(word, fine_with_svinval)));
}

/* QEMU ends itself when U-mode reads vtype with a UXL that is reserved, so
 * sstatus gets small numbers only. */
static bool sets_uxl(u32 word)
{
	return (word & 0x407f) == 0x0073 && (word & 0x3000) &&
	       word >> 20 == 0x100;
}

static u32 insn(struct runner *r)
{
	u32 word = insn_any(r);

	if (sets_uxl(word))
		return word | 0x4000;
	return firmware_prints(r, word) && !one_in(r, 1024) ? EBREAK : word;
}

static void code_make(struct runner *r)
{
	u16 *to = (u16 *)(void *)r->code;
	u32 count = 1 + below(r, 8), at = 0;

	for (u32 i = 0; i < count; i++) {
		u32 word = insn(r);

		to[at++] = (u16)word;
		to[at++] = (u16)(word >> 16);
	}
	while (at < CODE_BYTES / 2)
		to[at++] = C_EBREAK;
}

/* ---- the step ------------------------------------------------------ */

/* Pages that lead anywhere, with any rights; the first one is the code. */
static void space_make(struct runner *r)
{
	for (u32 i = 1; i < LEAVES; i++)
		r->leaf[i] = (value(r) >> 12 << 10 & ((1UL << 54) - 1)) |
			     below(r, 1024) | (one_in(r, 4) ? 0 : PTE_V);
	r->leaf[0] = PTE_OF(r->code) | PTE_AD | PTE_RWX | (r->user ? PTE_U : 0);
	r->middle[1] = rand_next(&r->rand);
}

void fuzz_space_init(struct runner *r)
{
	for (u64 i = 0; i < 8; i++)
		r->root[i] = PTE_OF(i << 30) | PTE_AD | PTE_RWX;
	r->root[USER_VA >> 30 & 511] = PTE_OF(r->middle);
	r->middle[0] = PTE_OF(r->leaf);
}

static u64 start_address(struct runner *r)
{
	if (one_in(r, 32)) /* a fetch from anywhere */
		return value(r) & ~1UL;
	return r->satp ? USER_VA : (u64)r->code;
}

void fuzz_make(struct runner *r, u64 seed)
{
	u64 mix = seed ^ r->hart->id << 56;

	r->rand.state = (mix + r->step) * 0x9e3779b97f4a7c15 | 1;
	rand_next(&r->rand);
	r->user = one_in(r, 4);
	code_make(r);
	masks_change(r);
	/* Half of them lead to memory: cheap, and most code wants that. */
	for (u32 i = 1; i < 31; i += 2) {
		r->x[i] = value(r);
		r->x[i + 1] = (u64)fuzz_scratch +
			      (r->rand.state >> i & (SCRATCH_BYTES - 1));
	}
	r->x[31] = value(r);
	if (one_in(r, 2))
		sbi_registers(r);
	r->satp = 0;
	if (one_in(r, 3)) {
		space_make(r);
		r->satp =
			SATP_SV39 | (u64)below(r, 4) << 44 | (u64)r->root >> 12;
	}
	r->pc = start_address(r);
}
