/*
 * Debug triggers of the hart, by way of the firmware.
 *
 * The firmware copies configurations from memory that is shared with it, a page
 * a CPU here. It is not asked what it can do but tried: OpenSBI 1.6 counts
 * triggers by type, writes to the CSRs whatever it is given, and does not look
 * at what has stuck. So each hart sets a trigger for itself, loads from
 * that address, and sees whether it traps; once for every size of access. Only
 * what did on all harts is offered. The load has a row in the table of fixups,
 * as those of hlv.c have (fault.c).
 *
 * Triggers are installed one at a time: by the specification the number of a
 * call must be less than that of the triggers. OpenSBI 1.6 doesn't write their
 * indices back; since nobody else installs any on this hart, they are known.
 * Each is disabled before it is uninstalled, which writes zero to tdata1: QEMU
 * 10.0 ignores that, and would keep a trigger at address 0, whoever runs next.
 */
#include "arch/riscv/triggers.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/fixup.h"
#include "arch/riscv/sbi.h"
#include "arch/riscv/vdbtr.h"
#include "kernel/mem.h"

enum { NUM_TRIGGERS, SET_SHMEM, READ, INSTALL, UPDATE, UNINSTALL, ENABLE,
       DISABLE };

u32 triggers_count = UINT32_MAX, triggers_sizes = UINT32_MAX;

/* What the firmware reads and writes: a trigger's configuration. */
struct shared {
	u64 index, tdata1, tdata2, tdata3;
};

static int install(struct riscv_cpu *c, const struct trigger *t)
{
	struct shared *s = c->trigger_page;

	*s = (struct shared){.tdata1 = t->control, .tdata2 = t->address};
	if (sbi_call(SBI_EXT_DBTR, INSTALL, 1, 0, 0).error)
		return -EIO;
	/* The lowest that was free. */
	c->triggers |= c->triggers + 1;
	return 0;
}

static void uninstall(struct riscv_cpu *c)
{
	if (!c->triggers)
		return;
	sbi_call(SBI_EXT_DBTR, DISABLE, 0, c->triggers, 0);
	sbi_call(SBI_EXT_DBTR, UNINSTALL, 0, c->triggers, 0);
	c->triggers = 0;
}

int triggers_set(const struct trigger *list, u32 count)
{
	struct riscv_cpu *c = riscv_this();

	uninstall(c);
	for (u32 i = 0; i < count; i++)
		if (install(c, &list[i])) {
			uninstall(c);
			return -EIO;
		}
	return 0;
}

/* ---- Does it work? ---- */

static bool load_traps(u64 size, const u64 *at)
{
	bool trapped;

	switch (size) {
	case 1:
		trapped = TRAPS("lb	t0, (%1)", at);
		break;
	case 2:
		trapped = TRAPS("lh	t0, (%1)", at);
		break;
	case 3:
		trapped = TRAPS("lw	t0, (%1)", at);
		break;
	default:
		trapped = TRAPS("ld	t0, (%1)", at);
		break;
	}
	return trapped && csr_read(CSR_SCAUSE) == CAUSE_BREAKPOINT;
}

static bool size_works(struct riscv_cpu *c, u64 size)
{
	static const u64 word;
	const struct trigger t = {
		.control = MC6_TYPE | MC6_S | MC6_LOAD | size << MC6_SIZE_SHIFT,
		.address = (u64)&word,
	};
	bool works = !install(c, &t) && load_traps(size, &word);

	uninstall(c);
	return works && !load_traps(size, &word);
}

static u32 sizes_that_work(struct riscv_cpu *c)
{
	static const u8 sizes[] = {0, 1, 2, 3, 5}; /* any, 1, 2, 4, 8 bytes */
	u32 works = 0;

	for (u32 i = 0; i < ARRAY_LEN(sizes); i++)
		if (size_works(c, sizes[i]))
			works |= 1u << sizes[i];
	return works;
}

static u32 count_of(struct riscv_cpu *c)
{
	struct sbi_ret r;
	struct hpa page;

	if (!sbi_probe(SBI_EXT_DBTR))
		return 0;
	r = sbi_call(SBI_EXT_DBTR, NUM_TRIGGERS, MC6_TYPE, 0, 0);
	if (r.error || !r.value)
		return 0;
	page = page_alloc(0);
	if (hpa_is_none(page))
		return 0;
	if (sbi_call(SBI_EXT_DBTR, SET_SHMEM, page.v, 0, 0).error) {
		page_free(page, 0);
		return 0;
	}
	c->trigger_page = hpa_ptr(page);
	return (u32)MIN(r.value, (u64)VDBTR_MAX);
}

void triggers_probe(struct riscv_cpu *c)
{
	u32 count = count_of(c), was;

	if (count)
		ck_pr_and_32(&triggers_sizes, sizes_that_work(c));
	if (!(ck_pr_load_32(&triggers_sizes) & 1))
		count = 0;
	do {
		was = ck_pr_load_32(&triggers_count);
	} while (count < was && !ck_pr_cas_32(&triggers_count, was, count));
}
