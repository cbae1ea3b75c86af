/*
 * Interrupt storms: lines that stay high, deadlines in the past, IPIs to all
 * without end. Handlers do as little as they can, or nothing.
 */
#include "guests/baremetal/hostile/hostile.h"

void uart_line_up(void)
{
	plic_reset();
	plic_priority(machine.uart_irq, 7);
	for (u32 i = 0; i < machine.hart_count; i++)
		if (machine.plic_context[i] >= 0)
			plic_enable((u32)machine.plic_context[i],
				    machine.uart_irq, true);
	uart_write(UART_MCR, UART_MCR_OUT2);
	uart_write(UART_IER, UART_IER_TX);
}

/* Claimed and completed, and so pending again at once. */
static void claim_it(struct hart *h, struct trap_frame *f)
{
	u32 c = hart_context(h);

	(void)f;
	plic_complete(c, plic_claim(c));
}

/* Not even looked at: it interrupts before the next instruction. */
static void leave_it(struct hart *h, struct trap_frame *f)
{
	(void)h;
	(void)f;
}

static void external_hart(struct hart *h)
{
	(void)h;
	csr_set(sie, IRQ_BIT(IRQ_S_EXT));
	irq_on();
}

static void plic_line(void)
{
	uart_line_up();
	irq_take(IRQ_S_EXT, claim_it);
	everywhere(external_hart);
}

static void plic_unclaimed(void)
{
	uart_line_up();
	irq_take(IRQ_S_EXT, leave_it);
	everywhere(external_hart);
}

/* The line goes up and down while all harts wait for it, so that each change
 * is one more vCPU to wake. */
static void toggle_hart(struct hart *h)
{
	if (h->index) {
		csr_set(sie, IRQ_BIT(IRQ_S_EXT));
		wfi();
		irq_on();
		irq_off();
		return;
	}
	uart_write(UART_IER, 0);
	uart_write(UART_IER, UART_IER_TX);
}

static void plic_toggle(void)
{
	uart_line_up();
	irq_handler(IRQ_S_EXT, claim_it);
	everywhere(toggle_hart);
}

static void past_hart(struct hart *h)
{
	(void)h;
	timer_set(0);
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	irq_on();
}

static void timer_past(void)
{
	irq_take(IRQ_S_TIMER, leave_it);
	everywhere(past_hart);
}

/* By the firmware's call, each with another deadline that has passed. */
static void sbi_timer_hart(struct hart *h)
{
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	sbi_call(SBI_TIME, 0, dice(h) % (time_now() + 1), 0, 0);
	wfi();
}

static void timer_sbi(void)
{
	everywhere(sbi_timer_hart);
}

void nap(void)
{
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	timer_set(time_now() + 1);
	wfi();
}

static void timer_short_hart(struct hart *h)
{
	(void)h;
	nap();
}

static void timer_short(void)
{
	everywhere(timer_short_hart);
}

static void ipi_hart(struct hart *h)
{
	(void)h;
	csr_set(sie, IRQ_BIT(IRQ_S_SOFT));
	irq_on();
	sbi_ipi(0, ~0UL);
}

static void ipi_all(void)
{
	everywhere(ipi_hart);
}

/* Everyone wakes all others and goes to sleep. What has been called for is
 * cleared before it calls, not after: whoever did that after another's call
 * would sleep though called, and in the end all of them. */
static void ipi_wake_hart(struct hart *h)
{
	u64 all = ~0UL >> (64 - machine.hart_count);

	csr_set(sie, IRQ_BIT(IRQ_S_SOFT));
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	sbi_ipi(all & ~(1UL << h->index), harts[0].id);
	wfi();
}

static void ipi_wake(void)
{
	everywhere(ipi_wake_hart);
}

const struct attack irq_attacks[] = {
	{"plic-line", plic_line},     {"plic-unclaimed", plic_unclaimed},
	{"plic-toggle", plic_toggle}, {"timer-past", timer_past},
	{"timer-sbi", timer_sbi},     {"timer-short", timer_short},
	{"ipi-all", ipi_all},	      {"ipi-wake", ipi_wake},
};
ATTACK_LIST(irq_attacks, irq_attack_count);
