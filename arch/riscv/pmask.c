/*
 * Does the hart mask pointers as it says? It is asked by HLV, as VS-mode.
 *
 * The problem: QEMU 10.0 keeps henvcfg.PMM, and then masks wrongly: in HLV any
 * address faults, and in VS-mode none is masked. A guest that was offered it
 * would crash.
 *
 * HLV with SPVP set is masked as VS-mode's own loads are. So one word of ours
 * is loaded by each kind of address that there is: physical, whose masked bits
 * become 0, and virtual in the lower and in the upper half, whose masked bits
 * become the one below them; each as it is and with other bits above. A table
 * of one level maps the word's GiB to both halves.
 *
 * Rejected: a guest of our own that tries it in VS-mode, for each hart before
 * it has a scheduler. What HLV can't tell apart is told in docs/security.md.
 */
#include "arch/riscv/pmask.h"

#include "arch/riscv/csr.h"
#include "arch/riscv/fixup.h"
#include "kernel/mem.h"

#define GIB_SHIFT 30
#define SLOTS 512	      /* of an Sv39 table, a GiB each */
#define LOWER 1UL	      /* a slot of the lower half */
#define UPPER (SLOTS - 1UL)   /* and one of the upper */
#define LEAF 0x43UL	      /* V, R, A */
#define WORD 0x6d61736b6d652121UL

/* All harts write the same here. */
static u64 table[SLOTS] __attribute__((aligned(PAGE_BYTES)));
static u64 word = WORD;

static bool loads(u64 gva)
{
	u64 failed, val;

	__asm__ volatile("	li	%1, 1\n"
			 "1:	hlv.d	%0, (%2)\n"
			 "	li	%1, 0\n"
			 "2:\n" FIXUP("1b", "2b")
			 : "=&r"(val), "=&r"(failed)
			 : "r"(gva)
			 : "memory");
	return !failed && val == WORD;
}

/* Whatever the upper bits are. */
static bool masks(u64 gva, u32 pmlen)
{
	u64 tags = 0x5555UL << (64 - pmlen);

	return loads(gva) && loads(gva ^ tags) && loads(gva ^ tags << 1);
}

static void vsatp_set(u64 vsatp)
{
	csr_write(CSR_VSATP, vsatp);
	__asm__ volatile("hfence.vvma zero, zero" ::: "memory");
}

static bool masks_virtual(u64 hpa, u32 pmlen)
{
	u64 off = hpa & ((1UL << GIB_SHIFT) - 1);
	u64 upper = ~0UL << (GIB_SHIFT + 9); /* sign extension */
	u64 leaf = hpa >> GIB_SHIFT << (GIB_SHIFT - 2) | LEAF;
	bool works;

	table[LOWER] = table[UPPER] = leaf;
	vsatp_set(SATP_MODE_SV39 << SATP_MODE_SHIFT |
		  ptr_hpa(table).v >> PAGE_SHIFT);
	works = masks(LOWER << GIB_SHIFT | off, pmlen) &&
		masks(upper | UPPER << GIB_SHIFT | off, pmlen);
	vsatp_set(0);
	return works;
}

bool pmask_works(u32 pmlen)
{
	u64 hstatus = csr_read(CSR_HSTATUS), hpa = ptr_hpa(&word).v;
	bool works;

	csr_write(CSR_HSTATUS, hstatus | HSTATUS_SPVP);
	/* Where MXR is set nothing is masked. */
	csr_clear(CSR_VSSTATUS, SSTATUS_MXR);
	csr_write(CSR_HGATP, 0);
	vsatp_set(0);
	works = masks(hpa, pmlen) && masks_virtual(hpa, pmlen);
	csr_write(CSR_HSTATUS, hstatus);
	return works;
}
