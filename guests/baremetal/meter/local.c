/*
 * Rows of one hart: calls, device registers, its own interrupts, its memory.
 */
#include "guests/baremetal/meter/meter.h"

/* The call as a kernel makes it, from a function of its own. */
static __attribute__((noinline)) struct sbi_ret call(u64 ext, u64 fid, u64 a0,
						     u64 a1)
{
	return sbi_call(ext, fid, a0, a1, 0);
}

static void sbi_base(void)
{
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_SBI_BASE, MARK_BEGIN);
		call(SBI_BASE, SBI_BASE_SPEC_VERSION, 0, 0);
		MARK_ROW(ROW_SBI_BASE, MARK_END);
	}
}

static void set_timer(void)
{
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_SET_TIMER, MARK_BEGIN);
		call(SBI_TIME, 0, UINT64_MAX, 0);
		MARK_ROW(ROW_SET_TIMER, MARK_END);
	}
}

static bool no_plic(void)
{
	if (!machine.plic.bytes)
		plan.reason = "no PLIC";
	return plan.reason;
}

static bool no_uart(void)
{
	if (!machine.uart.bytes)
		plan.reason = "no UART";
	return plan.reason;
}

static void plic_load(void)
{
	if (no_plic())
		return;
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_PLIC_LOAD, MARK_BEGIN);
		read32(machine.plic.base + 4);
		MARK_ROW(ROW_PLIC_LOAD, MARK_END);
	}
}

static void plic_store(void)
{
	if (no_plic())
		return;
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_PLIC_STORE, MARK_BEGIN);
		write32(machine.plic.base + 4, 0);
		MARK_ROW(ROW_PLIC_STORE, MARK_END);
	}
}

static void uart_load(void)
{
	u64 at = uart_at(UART_LSR);

	if (no_uart())
		return;
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_UART_LOAD, MARK_BEGIN);
		read8(at);
		MARK_ROW(ROW_UART_LOAD, MARK_END);
	}
}

static void uart_store(void)
{
	u64 at = uart_at(UART_SCR);

	if (no_uart())
		return;
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_UART_STORE, MARK_BEGIN);
		write8(at, (u8)i);
		MARK_ROW(ROW_UART_STORE, MARK_END);
	}
}

static void ipi_self(void)
{
	struct hart *h = this_hart();
	struct seen *s = &seen[h->index];

	traps_on(IRQ_BIT(IRQ_S_SOFT));
	for (u64 i = 0; i < plan.rounds; i++) {
		u32 had = s->soft;

		MARK_ROW(ROW_IPI_SELF, MARK_BEGIN);
		call(SBI_IPI, 0, 1, h->id);
		while (__atomic_load_n(&s->soft, __ATOMIC_ACQUIRE) == had)
			;
		MARK_ROW(ROW_IPI_SELF, MARK_END);
	}
	traps_off();
}

static void wfi_pending(void)
{
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_WFI_PENDING, MARK_BEGIN);
		wfi();
		MARK_ROW(ROW_WFI_PENDING, MARK_END);
	}
	csr_write(sie, 0);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
}

/* From the resumed hart to MARK_TIMER, which the handler executes. */
static void timer_asleep(void)
{
	struct seen *s = &seen[this_hart()->index];

	traps_on(IRQ_BIT(IRQ_S_TIMER));
	for (u64 i = 0; i < plan.rounds; i++) {
		u32 want = s->timer + 1;

		timer_set(time_now() + plan.sleep_ticks);
		MARK_ROW(ROW_TIMER_ASLEEP, MARK_BEGIN);
		sleep_until(&s->asleep, &s->timer, want);
		MARK_ROW(ROW_TIMER_ASLEEP, MARK_END);
	}
	traps_off();
}

static void timer_running(void)
{
	struct seen *s = &seen[this_hart()->index];

	traps_on(IRQ_BIT(IRQ_S_TIMER));
	for (u64 i = 0; i < plan.rounds; i++) {
		u32 had = s->timer;

		timer_set(time_now() + us_to_ticks(200));
		MARK_ROW(ROW_TIMER_RUNNING, MARK_BEGIN);
		spin_while(&s->timer, had);
		MARK_ROW(ROW_TIMER_RUNNING, MARK_END);
	}
	traps_off();
}

static void rfence_self(void)
{
	struct hart *h = this_hart();

	for (u64 i = 0; i < plan.rounds; i++) {
		MARK_ROW(ROW_RFENCE_SELF, MARK_BEGIN);
		sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA, 1, h->id, 0x80200000,
			  PAGE_BYTES, 0, 0);
		MARK_ROW(ROW_RFENCE_SELF, MARK_END);
	}
}

struct row local_rows[] = {
	{.name = "sbi_base", .run = sbi_base},
	{.name = "set_timer", .run = set_timer},
	{.name = "plic_load", .run = plic_load},
	{.name = "plic_store", .run = plic_store},
	{.name = "uart_load", .run = uart_load},
	{.name = "uart_store", .run = uart_store},
	{.name = "ipi_self", .run = ipi_self},
	{.name = "wfi_pending", .run = wfi_pending},
	{.name = "timer_asleep", .run = timer_asleep},
	{.name = "timer_running", .run = timer_running},
	{.name = "rfence_self", .run = rfence_self},
};
const size_t local_row_count = ARRAY_LEN(local_rows);
