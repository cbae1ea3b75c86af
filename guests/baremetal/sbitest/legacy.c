/*
 * The legacy extensions: masks in memory, at virtual addresses, answers in a0
 * alone, a6 ignored. Shutdown is tried by `end=legacy`.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

static u64 mask __attribute__((aligned(4096)));

static void set_timer(void)
{
	check_eq(sbi_legacy(SBI_LEGACY_SET_TIMER, 0, 0, 0, 0), 0, "answer");
	delay_ticks(machine.hz / 1000);
	check(timer_pending(), "not pending");
	check_eq(sbi_legacy(SBI_LEGACY_SET_TIMER, UINT64_MAX, 0, 0, 0), 0,
		 "answer");
	check(!timer_pending(), "still pending");
}

static void console(void)
{
	long c;

	for (const char *s = "legacy: putchar\n"; *s; s++)
		check_eq(sbi_legacy(SBI_LEGACY_PUTCHAR, (u64)*s, 0, 0, 0), 0,
			 "putchar's answer");
	c = sbi_legacy(SBI_LEGACY_GETCHAR, 0, 0, 0, 0);
	check(c >= -1 && c < 256, "getchar gives %ld", c);
}

static void ipi(void)
{
	soft_pend(false);
	mask = 1UL << this_hart()->id;
	check_eq(sbi_legacy(SBI_LEGACY_SEND_IPI, (u64)&mask, 0, 0, 0), 0,
		 "send_ipi's answer");
	delay_ticks(machine.hz / 1000);
	check(soft_pending(), "not pending");
	sbi_legacy(SBI_LEGACY_CLEAR_IPI, 0, 0, 0, 0);
	check(!soft_pending(), "still pending after clear_ipi");
	mask = 0;
	check_eq(sbi_legacy(SBI_LEGACY_SEND_IPI, (u64)&mask, 0, 0, 0), 0,
		 "send_ipi's answer");
	check(!soft_pending(), "an empty mask sent one");
}

static void clear_tells(void)
{
	long none, some;

	soft_pend(false);
	none = sbi_legacy(SBI_LEGACY_CLEAR_IPI, 0, 0, 0, 0);
	soft_pend(true);
	some = sbi_legacy(SBI_LEGACY_CLEAR_IPI, 0, 0, 0, 0);
	check_spec(none == 0 && some > 0, "%ld without, %ld with one", none,
		   some);
}

/* The mask is read as a load of the caller would: through its page tables. */
static void virtual_mask(void)
{
	u64 *root = paging_new(), va = PAGING_FREE_VA;
	long answer;

	paging_map(root, va, (u64)&mask, PTE_RW);
	mask = 1UL << this_hart()->id;
	soft_pend(false);
	paging_on(root, 0);
	answer = sbi_legacy(SBI_LEGACY_SEND_IPI, va, 0, 0, 0);
	paging_off();
	delay_ticks(machine.hz / 1000);
	check_eq(answer, 0, "answer");
	check(soft_pending(), "not pending");
	soft_pend(false);
}

/* RAM that nobody has touched before reads as any other. */
static void untouched_mask(void)
{
	const struct range *r = &machine.ram[machine.ram_count - 1];
	u64 *root = paging_new(), va = PAGING_FREE_VA;
	long answer;

	paging_map(root, va, (r->base + r->bytes / 2) & ~0xfffUL, PTE_RW);
	paging_on(root, 0);
	answer = sbi_legacy(SBI_LEGACY_SEND_IPI, va, 0, 0, 0);
	paging_off();
	check(answer == 0 || answer == SBI_ERR_INVALID_PARAM, "answer %ld",
	      answer);
}

static u64 send_ipi_at(u64 va, u64 unused, u64 unused2)
{
	(void)unused;
	(void)unused2;
	return (u64)sbi_legacy(SBI_LEGACY_SEND_IPI, va, 0, 0, 0);
}

/* A mask at `va` is a fault of the caller's own, at its ecall, with that stval,
 * which is in the mask. */
static void faults(u64 *root, u64 va, u64 stval, u64 cause, const char *what)
{
	struct probe p;
	bool returned;

	if (root)
		paging_on(root, 0);
	returned = probe_call(&p, send_ipi_at, va, 0, 0);
	if (root)
		paging_off();
	if (!check_spec(!returned, "a mask %s gives %ld", what, p.value))
		return;
	check(p.scause == cause, "%s: scause %ld, expected %ld", what, p.scause,
	      cause);
	check(p.stval == stval, "%s: stval 0x%lx", what, p.stval);
	check(*(u32 *)p.sepc == 0x73, "%s: not an ecall at sepc", what);
}

static void bad_mask(void)
{
	u64 *root = paging_new(), va = PAGING_FREE_VA;

	faults(root, va, va, CAUSE_LOAD_PAGE, "that is not mapped");
	faults(NULL, HOLE, HOLE, CAUSE_LOAD_ACCESS, "in a hole");
	faults(NULL, ram_end(), ram_end(), CAUSE_LOAD_ACCESS, "behind RAM");
}

/* What is mapped to no RAM is no page fault: as a load ends there. */
static void bad_mask_mapped(void)
{
	u64 *root = paging_new(), va = PAGING_FREE_VA;
	u64 to[] = {HOLE, ram_end(), machine.plic.base, machine.uart.base};

	for (size_t i = 0; i < ARRAY_LEN(to); i++, va += 0x1000) {
		/* Others' devices may take a load of 64 bits. */
		if (!machine.rouse && i >= 2)
			continue;
		paging_map(root, va, to[i], PTE_RW);
		faults(root, va + 8, va + 8, CAUSE_LOAD_ACCESS,
		       "mapped to no RAM");
	}
	paging_map(root, va - 0x1000, (u64)&mask, PTE_RW);
	paging_map(root, va, HOLE, PTE_RW);
	faults(root, va - 4, va, CAUSE_LOAD_ACCESS, "with its end in a hole");
}

/* The page tables themselves are where there is no RAM. */
static void bad_mask_tables(void)
{
	u64 at[] = {HOLE, ram_end(), machine.plic.base, machine.uart.base};

	if (!machine.rouse) {
		test_skip("QEMU's page walk gives a page fault there");
		return;
	}
	for (u32 i = 0; i < 2 * ARRAY_LEN(at); i++) {
		u64 *root = paging_new(), va = PAGING_FREE_VA;

		*paging_entry(root, va, 1 + i % 2) = PTE_OF(at[i / 2], PTE_V);
		faults(root, va, va, CAUSE_LOAD_ACCESS, "by tables in no RAM");
	}
}

static void fences(void)
{
	mask = 0;
	for (u32 i = 0; i < machine.hart_count; i++)
		mask |= 1UL << harts[i].id;
	for (u64 e = SBI_LEGACY_FENCE_I; e <= SBI_LEGACY_SFENCE_ASID; e++) {
		check_eq(sbi_legacy(e, (u64)&mask, 0, 0, 0), 0, "answer, all");
		check_eq(sbi_legacy(e, (u64)&mask, 0x1000, 0x2000, 1), 0,
			 "answer, range");
		check_eq(sbi_legacy(e, (u64)&mask, 0, UINT64_MAX, 1), 0,
			 "answer, whole space");
	}
}

static void keeps_registers(void)
{
	u64 out[2], changed;

	mask = 0;
	for (u64 e = 0; e < SBI_LEGACY_SHUTDOWN; e++) {
		u64 a0 = e == SBI_LEGACY_PUTCHAR    ? ' '
			 : e >= SBI_LEGACY_SEND_IPI ? (u64)&mask
						    : UINT64_MAX;

		/* a6 is ignored. */
		changed = ecall_registers(e, 99, a0, 0x1234, out);
		check(!changed, "EID %ld changed registers 0x%lx", e, changed);
		check_eq(out[1], 0x1234, "a1");
	}
	print("\n");
}

const struct test legacy_tests[] = {
	{"legacy_set_timer_sets_and_clears", set_timer},
	{"legacy_console_answers", console},
	{"legacy_send_ipi_and_clear_ipi", ipi},
	{"legacy_clear_ipi_tells_what_was_pending", clear_tells},
	{"legacy_mask_is_at_a_virtual_address", virtual_mask},
	{"legacy_mask_may_be_in_untouched_ram", untouched_mask},
	{"legacy_fault_on_the_mask_is_the_callers", bad_mask},
	{"legacy_access_fault_below_a_translation_too", bad_mask_mapped},
	{"legacy_access_fault_of_the_page_walk_too", bad_mask_tables},
	{"legacy_fences_succeed", fences},
	{"legacy_calls_change_a0_only", keeps_registers},
};
TEST_LIST(legacy_tests, legacy_test_count);
