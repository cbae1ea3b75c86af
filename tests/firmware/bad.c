/*
 * A firmware that is as good as none: just enough of SBI to start Rouse on
 * QEMU's virt board, and each part of it can be left out or made to fail, by
 * what it is compiled with (tests/system/firmware.py does):
 *
 *	-DNO_TIME, -DNO_IPI, -DNO_HSM, -DNO_SRST: there is no such extension
 *	-DBAD_IPI, -DBAD_HSM, -DBAD_SRST: there is, and each call is denied
 *	-DNO_CBZE=harts, -DNO_CBCFE=harts, -DNO_CBIE=harts: a mask of those that
 *	may not execute cbo.zero; cbo.clean and cbo.flush; cbo.inval
 *
 * M-mode, loaded at the beginning of RAM, no memory protection at all. Harts
 * have their state in `harts`, indexed by hart id.
 */
typedef unsigned long u64;
typedef unsigned int u32;

#define HARTS 8
#define RAM 0x80000000
#define KERNEL 0x80200000
#define CLINT_MSIP ((volatile u32 *)0x2000000)
#define CLINT_MTIMECMP ((volatile u64 *)0x2004000)
#define FINISHER ((volatile u32 *)0x100000)

#define DENIED -4
#define NOT_SUPPORTED -2
#define SUCCESS 0

#define IRQ_M (1ul << 63)
#define MIP_SSIP (1ul << 1)
#define MIP_MSIP (1ul << 3)
#define MIP_STIP (1ul << 5)
#define MIP_MTIP (1ul << 7)

#define csr_write(csr, v) __asm__ volatile("csrw " #csr ", %0" ::"r"(v))
#define csr_set(csr, v) __asm__ volatile("csrs " #csr ", %0" ::"r"(v))
#define csr_clear(csr, v) __asm__ volatile("csrc " #csr ", %0" ::"r"(v))
#define csr_read(csr)                                            \
	({                                                       \
		u64 v_;                                          \
		__asm__ volatile("csrr %0, " #csr : "=r"(v_));   \
		v_;                                              \
	})

#ifdef NO_TIME
#define HAS_TIME 0
#else
#define HAS_TIME 1
#endif
#ifdef NO_IPI
#define HAS_IPI 0
#else
#define HAS_IPI 1
#endif
#ifdef NO_HSM
#define HAS_HSM 0
#else
#define HAS_HSM 1
#endif
#ifdef NO_SRST
#define HAS_SRST 0
#else
#define HAS_SRST 1
#endif
#ifdef BAD_IPI
#define IPI_ERROR DENIED
#else
#define IPI_ERROR SUCCESS
#endif
#ifdef BAD_HSM
#define HSM_ERROR DENIED
#else
#define HSM_ERROR SUCCESS
#endif
#ifdef BAD_SRST
#define SRST_ERROR DENIED
#else
#define SRST_ERROR SUCCESS
#endif

#ifndef NO_CBZE
#define NO_CBZE 0
#endif
#ifndef NO_CBCFE
#define NO_CBCFE 0
#endif
#ifndef NO_CBIE
#define NO_CBIE 0
#endif

/* What a trap has stored: x0 to x31, and the pc. */
struct frame {
	u64 x[32];
};

static struct {
	volatile u64 entry, arg; /* where to start; 0: not asked to */
	volatile u32 ring;
} harts[HARTS];

__asm__(".section .first, \"ax\"\n"
	".globl _start\n"
	"_start:\n"
	"	csrw mie, zero\n"
	"	la sp, stacks\n"
	"	addi t0, a0, 1\n"
	"	slli t0, t0, 12\n"
	"	add sp, sp, t0\n"
	"	csrw mscratch, sp\n"
	"	la t0, trap\n"
	"	csrw mtvec, t0\n"
	"	j boot\n"
	".balign 4\n"
	"trap:\n"
	"	csrrw sp, mscratch, sp\n"
	"	addi sp, sp, -256\n"
	".irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
	"25,26,27,28,29,30,31\n"
	"	sd x\\n, 8*\\n(sp)\n"
	".endr\n"
	"	mv a0, sp\n"
	"	call handle\n"
	".irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
	"25,26,27,28,29,30,31\n"
	"	ld x\\n, 8*\\n(sp)\n"
	".endr\n"
	"	addi sp, sp, 256\n"
	"	csrrw sp, mscratch, sp\n"
	"	mret\n"
	".globl enter\n"
	"enter:\n"
	"	csrw mepc, a2\n"
	"	mret\n"
	".bss\n"
	".balign 4096\n"
	"stacks: .space 4096 * 8\n"
	".text\n");

_Noreturn void enter(u64 hartid, u64 arg, u64 at);
_Noreturn void boot(u64 hartid, u64 fdt);
void handle(struct frame *f);

static u64 hart_id(void)
{
	return csr_read(mhartid);
}

/* Into S-mode, as the Linux boot protocol and HSM say. */
_Noreturn static void leave(u64 at, u64 arg)
{
	csr_clear(mstatus, 3ul << 11);
	csr_set(mstatus, 1ul << 11);
	csr_write(satp, 0ul);
	csr_set(mie, MIP_MSIP);
	enter(hart_id(), arg, at);
}

static u32 big_endian(u32 v)
{
	return v << 24 | (v << 8 & 0xff0000) | (v >> 8 & 0xff00) | v >> 24;
}

/* RAM is told to begin behind this firmware: the one `reg` in QEMU's tree, as
 * big-endian cells, that says 0x80000000 and a size below 4 GiB. */
static void ram_shorten(u32 *fdt)
{
	u32 words = big_endian(fdt[1]) / 4, own = KERNEL - RAM;

	for (u32 i = 0; i + 3 < words; i++) {
		u32 *reg = &fdt[i], bytes = big_endian(reg[3]);

		if (reg[0] || reg[2] || big_endian(reg[1]) != RAM ||
		    bytes <= own)
			continue;
		reg[1] = big_endian(KERNEL);
		reg[3] = big_endian(bytes - own);
		return;
	}
}

/* menvcfg: which instructions on cache blocks the hart may execute. */
static u64 cache_blocks(u64 hartid)
{
	return (NO_CBZE >> hartid & 1 ? 0 : 1 << 7) |
	       (NO_CBCFE >> hartid & 1 ? 0 : 1 << 6) |
	       (NO_CBIE >> hartid & 1 ? 0 : 3 << 4);
}

_Noreturn void boot(u64 hartid, u64 fdt)
{
	csr_write(pmpaddr0, ~0ul);
	csr_write(pmpcfg0, 0x1ful);
	/* All that S-mode can take itself; not its own calls. */
	csr_write(medeleg, 0xf4b50dul);
	csr_write(mideleg, 0x222ul);
	csr_write(mcounteren, ~0ul);
	/* STCE, PBMTE, ADUE, and cache block operations. */
	csr_write(0x30a, 7ul << 61 | cache_blocks(hartid));
	if (hartid == 0) {
		ram_shorten((u32 *)fdt);
		leave(KERNEL, fdt);
	}
	while (!harts[hartid].entry)
		;
	leave(harts[hartid].entry, harts[hartid].arg);
}

static long probe(u64 ext)
{
	return ext == 0x10 || (ext == 0x54494d45 && HAS_TIME) ||
	       (ext == 0x735049 && HAS_IPI) || (ext == 0x48534d && HAS_HSM) ||
	       (ext == 0x53525354 && HAS_SRST);
}

static long base_call(u64 function, u64 arg, u64 *value)
{
	static const u64 values[] = { 2ul << 24, 99, 1 };

	*value = function == 3 ? (u64)probe(arg) :
		 function < 3  ? values[function] :
				 0;
	return SUCCESS;
}

static long hart_start(u64 hart, u64 entry, u64 arg)
{
	if (HSM_ERROR || hart >= HARTS)
		return HSM_ERROR ? HSM_ERROR : -3;
	harts[hart].arg = arg;
	__asm__ volatile("fence" ::: "memory");
	harts[hart].entry = entry;
	return SUCCESS;
}

static long ipi_send(u64 mask, u64 base)
{
	if (IPI_ERROR)
		return IPI_ERROR;
	for (u64 i = 0; i < HARTS - base; i++)
		if (mask >> i & 1) {
			harts[base + i].ring = 1;
			__asm__ volatile("fence" ::: "memory");
			CLINT_MSIP[base + i] = 1;
		}
	return SUCCESS;
}

static long timer_set(u64 when)
{
	CLINT_MTIMECMP[hart_id()] = when;
	csr_clear(mip, MIP_STIP);
	csr_set(mie, MIP_MTIP);
	return SUCCESS;
}

static long reset(u64 type)
{
	if (SRST_ERROR)
		return SRST_ERROR;
	*FINISHER = type ? 0x7777 : 0x5555;
	return SUCCESS;
}

static long call(u64 ext, u64 function, const u64 *a, u64 *value)
{
	if (!probe(ext))
		return NOT_SUPPORTED;
	switch (ext) {
	case 0x10: return base_call(function, a[0], value);
	case 0x54494d45: return timer_set(a[0]);
	case 0x735049: return ipi_send(a[0], a[1]);
	case 0x53525354: return reset(a[0]);
	default:
		return function ? NOT_SUPPORTED : hart_start(a[0], a[1], a[2]);
	}
}

void handle(struct frame *f)
{
	u64 cause = csr_read(mcause), value = 0;

	if (cause == (IRQ_M | 3)) {
		CLINT_MSIP[hart_id()] = 0;
		if (harts[hart_id()].ring) {
			harts[hart_id()].ring = 0;
			csr_set(mip, MIP_SSIP);
		}
	} else if (cause == (IRQ_M | 7)) {
		csr_clear(mie, MIP_MTIP);
		csr_set(mip, MIP_STIP);
	} else if (cause == 9) {
		f->x[10] = (u64)call(f->x[17], f->x[16], &f->x[10], &value);
		f->x[11] = value;
		csr_write(mepc, csr_read(mepc) + 4);
	} else {
		for (;;)
			;
	}
}
