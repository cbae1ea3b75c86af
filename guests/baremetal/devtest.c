/*
 * The devices of the machine, by what their specifications say: the PLIC
 * (RISC-V PLIC specification 1.0.0), the ns16550a (PC16550D data sheet), the
 * Goldfish RTC and the test finisher.
 *
 * Everything goes through real loads and stores and looks at sip.SEIP. QEMU's
 * own models differ from the letter in places; there they are reported as
 * skipped with what they did, while Rouse's fail. A run without failures ends
 * by the finisher, which tests that too.
 */
#include "guests/baremetal/devtest/devtest.h"

bool external_pending(void)
{
	delay_ticks(us_to_ticks(5));
	return csr_read(sip) & IRQ_BIT(IRQ_S_EXT);
}

void uart_line(bool up)
{
	uart_write(UART_IER, 0);
	if (up)
		uart_write(UART_IER, UART_IER_TX);
}

void rtc_line(bool up)
{
	if (up)
		rtc_alarm(rtc_now_ns());
	else
		rtc_quiet();
}

u32 my_context(void)
{
	return (u32)machine.plic_context[0];
}

u32 other_context(void)
{
	return machine.hart_count > 1 ? (u32)machine.plic_context[1]
				      : my_context() - 1;
}

/* A PLIC keeps what it has accepted: claim that away. */
static void drain(void)
{
	u32 c = my_context(), line;

	for (u32 i = 1; i <= machine.plic_lines; i++)
		plic_priority(i, 1);
	for (u32 i = 1; i <= machine.plic_lines; i++)
		plic_enable(c, i, true);
	for (u32 i = 1; i <= machine.plic_lines; i++)
		plic_complete(c, i);
	while ((line = plic_claim(c)) != 0)
		plic_complete(c, line);
	plic_reset();
}

bool devices_quiet(void)
{
	if (!machine.plic.bytes || machine.plic_context[0] < 0 ||
	    !machine.uart.bytes || !machine.rtc.bytes) {
		test_skip("no PLIC, UART or RTC");
		return false;
	}
	csr_write(sie, 0);
	uart_write(UART_LCR, 3);
	uart_write(UART_IER, 0);
	uart_write(UART_MCR, 0);
	uart_write(UART_FCR, 7);
	uart_write(UART_FCR, 0);
	rtc_quiet();
	drain();
	check(!external_pending(), "SEIP is set while all is quiet");
	return true;
}

bool uart_line_interrupts(u32 context)
{
	if (!devices_quiet())
		return false;
	plic_priority(machine.uart_irq, 1);
	plic_enable(context, machine.uart_irq, true);
	uart_line(true);
	return true;
}

static u32 add(struct test *all, u32 n, const struct test *t, size_t count)
{
	memcpy(all + n, t, count * sizeof(*t));
	return n + (u32)count;
}

int main(void)
{
	static struct test all[96];
	u32 n = 0;
	int failed;

	n = add(all, n, plic_tests, plic_test_count);
	n = add(all, n, claim_tests, claim_test_count);
	n = add(all, n, uart_tests, uart_test_count);
	n = add(all, n, rtc_tests, rtc_test_count);
	n = add(all, n, finisher_tests, finisher_test_count);
	n = add(all, n, width_tests, width_test_count);
	failed = tests_run(all, n);
	if (!failed && machine.finisher.bytes) {
		write32(machine.finisher.base, FINISHER_PASS);
		delay_ticks(5 * machine.hz);
		die("the finisher did nothing");
	}
	return failed;
}
