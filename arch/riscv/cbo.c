/*
 * Instructions on cache blocks, of Zicbom and Zicboz.
 *
 * The problem: the device tree says what the harts have, but whether S-mode may
 * execute it is the firmware's to say (menvcfg), and can't be read from here. A
 * firmware that doesn't know of these extensions leaves them off, and then each
 * is an illegal instruction: in a guest that was told of them, and in Rouse,
 * which zeroes RAM by cbo.zero (zero.c).
 *
 * So each hart tries them once, on a page that nobody uses. The instructions
 * have rows in the table of fixups. What traps on any hart is dropped for all:
 * a vCPU may run on each of them.
 */
#include "arch/riscv/cbo.h"

#include <ck_pr.h>

#include "arch/riscv/fixup.h"
#include "arch/riscv/isa.h"
#include "kernel/base.h"
#include "kernel/log.h"

#define TRAPS(insn)                                                      \
	({                                                               \
		u64 trapped_;                                            \
		__asm__ volatile("	li	%0, 1\n"                  \
				 ".option push\n"                        \
				 ".option arch, +zicbom, +zicboz\n"      \
				 "1:	" insn "	(%1)\n"           \
				 ".option pop\n"                         \
				 "	li	%0, 0\n"                  \
				 "2:\n" FIXUP("1b", "2b")                \
				 : "=&r"(trapped_)                       \
				 : "r"(page)                             \
				 : "memory");                            \
		trapped_ != 0;                                           \
	})

static u8 page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/* Any hart sets them, atomic. */
static u32 zicbom_denied, zicboz_denied;

void cbo_probe(void)
{
	if (isa_has(ISA_ZICBOZ) && TRAPS("cbo.zero"))
		ck_pr_store_32(&zicboz_denied, 1);
	if (isa_has(ISA_ZICBOM) && (TRAPS("cbo.flush") || TRAPS("cbo.inval")))
		ck_pr_store_32(&zicbom_denied, 1);
}

static void drop(enum isa_ext ext, const char *name)
{
	isa_drop(ext);
	log_info("isa: the firmware denies %s to a hart; done without", name);
}

void cbo_finish(void)
{
	if (ck_pr_load_32(&zicbom_denied))
		drop(ISA_ZICBOM, "zicbom");
	if (ck_pr_load_32(&zicboz_denied))
		drop(ISA_ZICBOZ, "zicboz");
	isa_finish();
}
