/*
 * Instructions on cache blocks, of Zicbom and Zicboz.
 *
 * The problem: the device tree says what the harts have, but whether S-mode may
 * execute it is the firmware's to say (menvcfg), and can't be read from here. A
 * firmware that doesn't know of these extensions leaves them off, and then each
 * is an illegal instruction: in a guest that was told of them, and in Rouse,
 * which zeroes RAM by cbo.zero (zero.c).
 *
 * So each hart tries them once, on a page of its own. The instructions
 * have rows in the table of fixups. What traps on any hart is dropped for all:
 * a vCPU may run on each of them.
 */
#include "arch/riscv/cbo.h"

#include <ck_pr.h>

#include "arch/riscv/fixup.h"
#include "arch/riscv/isa.h"
#include "kernel/base.h"
#include "kernel/log.h"
#include "kernel/mem.h"

/* Any hart sets them, atomic. */
static u32 zicbom_denied, zicboz_denied;

void cbo_probe(void)
{
	struct hpa pa = page_alloc(0);
	bool none = hpa_is_none(pa); /* then it is not known */
	void *page = none ? NULL : hpa_ptr(pa);

	if (isa_has(ISA_ZICBOZ) && (none || TRAPS(CBO("cbo.zero (%1)"), page)))
		ck_pr_store_32(&zicboz_denied, 1);
	if (isa_has(ISA_ZICBOM) &&
	    (none || TRAPS(CBO("cbo.flush (%1)"), page) ||
	     TRAPS(CBO("cbo.inval (%1)"), page)))
		ck_pr_store_32(&zicbom_denied, 1);
	if (!none)
		page_free(pa, 0);
}

static void drop(enum isa_ext ext, const char *name)
{
	isa_drop(ext);
	log_info("isa: not every hart may execute %s; done without", name);
}

void cbo_finish(void)
{
	if (ck_pr_load_32(&zicbom_denied))
		drop(ISA_ZICBOM, "zicbom");
	if (ck_pr_load_32(&zicboz_denied))
		drop(ISA_ZICBOZ, "zicboz");
}
