/*
 * The PLIC: registers, priorities, thresholds, claims and completions.
 */
#include "guests/baremetal/devtest/devtest.h"

#define UART_LINE (machine.uart_irq)
#define RTC_LINE  (machine.rtc_irq)

static u64 reg(u64 off)
{
	return machine.plic.base + off;
}

static u64 enable_reg(u32 context, u32 word)
{
	return reg(0x2000 + context * 0x80 + word * 4);
}

static u64 context_reg(u32 context, u32 off)
{
	return reg(0x200000 + context * 0x1000 + off);
}

static void priorities(void)
{
	if (!devices_quiet())
		return;
	for (u32 line = 1; line <= machine.plic_lines; line++) {
		plic_priority(line, 0);
		check_eq(read32(reg(line * 4)), 0, "priority");
		plic_priority(line, 1 + line % 7);
		check_eq(read32(reg(line * 4)), 1 + line % 7, "priority");
	}
	write32(reg(0), 7);
	check_spec(read32(reg(0)) == 0, "source 0 has priority %u",
		   read32(reg(0)));
	write32(reg(0), 0);
	/* WARL: something, and not more than what it can hold. */
	plic_priority(1, UINT32_MAX);
	check(read32(reg(4)) != UINT32_MAX, "32 bits of priority");
	plic_reset();
}

static void enables(void)
{
	u32 words = machine.plic_lines / 32, a = my_context(),
	    b = other_context();

	if (!devices_quiet())
		return;
	for (u32 w = 0; w < words; w++) {
		write32(enable_reg(a, w), 0xa5a5a5a5);
		write32(enable_reg(b, w), 0x5a5a5a5a);
	}
	for (u32 w = 0; w < words; w++) {
		u32 none = w ? 0 : 1; /* source 0 does not exist */

		check_spec(read32(enable_reg(a, w)) == (0xa5a5a5a5 & ~none),
			   "word %u is 0x%x", w, read32(enable_reg(a, w)));
		check_eq(read32(enable_reg(b, w)), 0x5a5a5a5a, "other's");
	}
	plic_reset();
}

static void thresholds(void)
{
	u32 a = my_context(), b = other_context();

	if (!devices_quiet())
		return;
	for (u32 t = 0; t <= 7; t++) {
		plic_threshold(a, t);
		plic_threshold(b, 7 - t);
		check_eq(read32(context_reg(a, 0)), t, "threshold");
		check_eq(read32(context_reg(b, 0)), 7 - t, "other's");
	}
	plic_reset();
}

static void reserved(void)
{
	static const u64 offs[] = {0x1080, 0x1ffc, 0x1f2000, 0x1ffffc};

	if (!devices_quiet())
		return;
	for (size_t i = 0; i < ARRAY_LEN(offs); i++) {
		u64 v, cause;
		bool ok = probe_store(reg(offs[i]), 4, UINT32_MAX, &cause) &&
			  probe_load(reg(offs[i]), 4, &v, &cause);

		check_spec(ok && v == 0, "offset 0x%lx: %s 0x%lx", offs[i],
			   ok ? "value" : "cause", ok ? v : cause);
	}
	for (u32 off = 8; off < 0x1000; off += 0x444)
		check_spec(read32(context_reg(my_context(), off)) == 0,
			   "context offset 0x%x is not 0", off);
}

/* Linux clears enables far past the lines that exist. */
static void lines_past_the_end(void)
{
	u64 cause, v;

	if (!devices_quiet())
		return;
	for (u32 w = 0; w < 32; w++)
		check(probe_store(enable_reg(my_context(), w), 4, 0, &cause),
		      "word %u: cause %ld", w, cause);
	for (u32 line = machine.plic_lines + 1; line < 1024; line += 97)
		check_spec(probe_load(reg(line * 4), 4, &v, &cause),
			   "priority of line %u: cause %ld", line, cause);
}

static void pending_bits(void)
{
	if (!devices_quiet())
		return;
	check(!plic_pending(UART_LINE), "pending while quiet");
	uart_line(true);
	check(plic_pending(UART_LINE), "not pending though disabled");
	check(!external_pending(), "SEIP though disabled");
	write32(reg(0x1000), 0);
	check(plic_pending(UART_LINE), "a write cleared it");
	write32(reg(0x1000), UINT32_MAX);
	check(!plic_pending(RTC_LINE), "a write set it");
	uart_line(false);
	check_spec(plic_pending(UART_LINE),
		   "the falling line took the pending bit along");
}

static void enable_asserts(void)
{
	u32 c = my_context();

	if (!devices_quiet())
		return;
	plic_priority(UART_LINE, 1);
	uart_line(true);
	check(!external_pending(), "SEIP before the enable");
	plic_enable(c, UART_LINE, true);
	check_spec(external_pending(), "no SEIP after the enable");
	plic_enable(c, UART_LINE, false);
	check_spec(!external_pending(), "SEIP after the disable");
}

static void priority_and_threshold(void)
{
	u32 c = my_context();

	if (!devices_quiet())
		return;
	plic_enable(c, UART_LINE, true);
	uart_line(true);
	for (u32 p = 0; p <= 7; p++)
		for (u32 t = 0; t <= 7; t++) {
			plic_priority(UART_LINE, p);
			plic_threshold(c, t);
			check(external_pending() == (p > t),
			      "priority %u threshold %u: SEIP %d", p, t,
			      p <= t);
		}
}

static void claim_and_complete(void)
{
	u32 c = my_context();

	if (!uart_line_interrupts(c))
		return;
	check(external_pending(), "no SEIP");
	check_eq(plic_claim(c), UART_LINE, "claim");
	check(!external_pending(), "SEIP after the claim");
	check(!plic_pending(UART_LINE), "pending after the claim");
	check_eq(plic_claim(c), 0, "second claim");
	uart_line(false);
	plic_complete(c, UART_LINE);
	check(!external_pending(), "SEIP after the completion");
	check_eq(plic_claim(c), 0, "claim with nothing there");
}

static void complete_of_a_high_line(void)
{
	u32 c = my_context();

	if (!uart_line_interrupts(c))
		return;
	for (int i = 0; i < 5; i++) {
		if (!check_spec(plic_claim(c) == UART_LINE,
				"the line is high and not pending again"))
			break;
		check(!plic_pending(UART_LINE), "pending while claimed");
		plic_complete(c, UART_LINE);
	}
	/* Down and up while claimed: one request, after the completion. */
	if (machine.rouse) {
		check_eq(plic_claim(c), UART_LINE, "claim");
		uart_line(false);
		uart_line(true);
		check_eq(plic_claim(c), 0, "claim before the completion");
		uart_line(false);
		plic_complete(c, UART_LINE);
		check_eq(plic_claim(c), 0, "claim of a line that is down");
	}
}

static void order(void)
{
	u32 c = my_context();

	if (!devices_quiet())
		return;
	for (u32 rtc = 1; rtc <= 3; rtc++) {
		u32 first = rtc > 2 ? RTC_LINE : UART_LINE;

		plic_priority(UART_LINE, 2);
		plic_priority(RTC_LINE, rtc);
		plic_enable(c, UART_LINE, true);
		plic_enable(c, RTC_LINE, true);
		uart_line(true);
		rtc_line(true);
		check(external_pending(), "no SEIP");
		check_eq(plic_claim(c), first, "first claim");
		check(external_pending(), "no SEIP for the second");
		check_eq(plic_claim(c), UART_LINE + RTC_LINE - first,
			 "second claim");
		uart_line(false);
		rtc_line(false);
		plic_complete(c, UART_LINE);
		plic_complete(c, RTC_LINE);
	}
}

/* "The threshold has no effect on claims." */
static void claim_under_threshold(void)
{
	u32 c = my_context();

	if (!devices_quiet())
		return;
	plic_priority(UART_LINE, 1);
	plic_enable(c, UART_LINE, true);
	plic_threshold(c, 7);
	uart_line(true);
	check(!external_pending(), "SEIP below the threshold");
	/* Of priority 0 it is no interrupt at all. */
	plic_priority(UART_LINE, 0);
	check_eq(plic_claim(c), 0, "claim with priority 0");
	check(plic_pending(UART_LINE), "the claim took it along");
	plic_priority(UART_LINE, 1);
	check_spec(plic_claim(c) == UART_LINE, "the claim gives nothing");
	uart_line(false);
	plic_complete(c, UART_LINE);
}

static void wrong_completions(void)
{
	static const u32 ids[] = {0, 9, 1023, 1024, 5000, UINT32_MAX};
	u32 c = my_context();

	if (!uart_line_interrupts(c))
		return;
	check_eq(plic_claim(c), UART_LINE, "claim");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		plic_complete(c, ids[i]);
	check_eq(plic_claim(c), 0, "claim after wrong completions");
	/* A completion where the line is not enabled is ignored. */
	plic_enable(c, UART_LINE, false);
	plic_complete(c, UART_LINE);
	plic_enable(c, UART_LINE, true);
	check(plic_claim(c) == 0, "a disabled completion counted");
	plic_complete(c, UART_LINE);
	check_spec(plic_claim(c) == UART_LINE, "the right one did not count");
	uart_line(false);
	plic_complete(c, UART_LINE);
}

/* Any context's registers, from this hart. */
static void other_contexts(void)
{
	u32 a = my_context(), b = other_context();

	if (!devices_quiet())
		return;
	plic_priority(UART_LINE, 1);
	plic_enable(a, UART_LINE, true);
	plic_enable(b, UART_LINE, true);
	uart_line(true);
	check(external_pending(), "no SEIP");
	check_eq(plic_claim(b), UART_LINE, "claim through another context");
	check(!external_pending(), "SEIP though another one claimed");
	check_eq(plic_claim(a), 0, "own claim");
	uart_line(false);
	/* Completed by another context than the one that claimed. */
	plic_complete(a, UART_LINE);
	uart_line(true);
	check(external_pending(), "no SEIP after the completion");
	check_eq(plic_claim(a), UART_LINE, "own claim");
	uart_line(false);
	plic_complete(a, UART_LINE);
}

static u64 served, ready;

static void on_external(struct hart *h, struct trap_frame *f)
{
	u32 c = hart_context(h), line = plic_claim(c);

	(void)f;
	if (!line)
		return;
	uart_line(false);
	plic_complete(c, line);
	__atomic_fetch_add(&served, 1, __ATOMIC_ACQ_REL);
}

static void serve(struct hart *h, void *arg)
{
	u64 *rounds = arg;

	plic_threshold(hart_context(h), 0);
	csr_write(sie, IRQ_BIT(IRQ_S_EXT));
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&served, __ATOMIC_ACQUIRE) <
	       __atomic_load_n(rounds, __ATOMIC_ACQUIRE)) {
		wfi();
		irq_on();
		irq_off();
	}
	csr_write(sie, 0);
}

/* The handler of a sleeping hart runs once for each time the line rises. */
static void another_hart_serves(void)
{
	u64 rounds = 200;

	if (!devices_quiet())
		return;
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	served = ready = 0;
	irq_handler(IRQ_S_EXT, on_external);
	plic_priority(UART_LINE, 1);
	check_eq(hart_start(&harts[1], serve, &rounds), 0, "start");
	/* Starting a hart may reset its context. */
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		cpu_relax();
	plic_enable(other_context(), UART_LINE, true);
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		u64 start = time_now();

		uart_line(true);
		while (__atomic_load_n(&served, __ATOMIC_ACQUIRE) == n &&
		       !test_failed())
			if (time_now() - start > HANG_TICKS)
				test_fail("interrupt %ld was not served", n);
	}
	/* One more interrupt lets it see that there will be none. */
	__atomic_store_n(&rounds, 0, __ATOMIC_RELEASE);
	uart_line(true);
	if (!test_failed())
		hart_join(&harts[1]);
	irq_handler(IRQ_S_EXT, NULL);
	uart_line(false);
}

const struct test plic_tests[] = {
	{"plic_priorities_are_registers", priorities},
	{"plic_enables_are_registers_of_each_context", enables},
	{"plic_thresholds_are_registers_of_each_context", thresholds},
	{"plic_reserved_offsets_read_zero", reserved},
	{"plic_takes_writes_past_its_lines", lines_past_the_end},
	{"plic_pending_is_shown_and_read_only", pending_bits},
	{"plic_enable_of_a_pending_line_asserts", enable_asserts},
	{"plic_asserts_above_the_threshold_only", priority_and_threshold},
	{"plic_claim_and_complete", claim_and_complete},
	{"plic_completed_high_line_is_pending_again", complete_of_a_high_line},
	{"plic_claims_by_priority_then_by_number", order},
	{"plic_claim_ignores_the_threshold", claim_under_threshold},
	{"plic_ignores_wrong_completions", wrong_completions},
	{"plic_contexts_are_open_to_every_hart", other_contexts},
	{"plic_interrupt_wakes_another_hart", another_hart_serves},
};
TEST_LIST(plic_tests, plic_test_count);
