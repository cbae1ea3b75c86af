/*
 * The ns16550a: registers, FIFOs in loopback, interrupts by IIR.
 */
#include "guests/baremetal/devtest/devtest.h"

#define IIR_MODEM   0x00
#define IIR_NONE    0x01
#define IIR_THRE    0x02
#define IIR_RX	    0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c

static u8 iir(void)
{
	return uart_read(UART_IIR) & 0x0f;
}

/* Loopback: what is sent comes back, nothing leaves. */
static void loopback(bool fifo)
{
	uart_write(UART_MCR, UART_MCR_LOOP);
	uart_write(UART_FCR, fifo ? 7 : 0);
}

/* The console may be this UART: out of loopback before a word is printed. */
static void loopback_end(void)
{
	uart_write(UART_IER, 0);
	uart_write(UART_FCR, 7);
	uart_write(UART_FCR, 0);
	uart_write(UART_MCR, 0);
}

static void send(u8 byte)
{
	u64 start = time_now();

	while (!(uart_read(UART_LSR) & UART_LSR_THRE))
		if (time_now() - start > machine.hz)
			return test_fail("the transmitter is never empty");
	uart_write(UART_THR, byte);
}

static bool wait_lsr(u8 bits)
{
	u64 start = time_now();

	while ((uart_read(UART_LSR) & bits) != bits)
		if (time_now() - start > machine.hz)
			return false;
	return true;
}

static void scratch(void)
{
	if (!devices_quiet())
		return;
	for (u32 v = 0; v < 256; v += 5) {
		uart_write(UART_SCR, (u8)v);
		check_eq(uart_read(UART_SCR), v, "SCR");
	}
}

static void divisor(void)
{
	if (!devices_quiet())
		return;
	uart_write(UART_IER, 0);
	uart_write(UART_LCR, 3 | UART_LCR_DLAB);
	uart_write(UART_DLL, 0x34);
	uart_write(UART_DLM, 0x12);
	check_eq(uart_read(UART_DLL), 0x34, "DLL");
	check_eq(uart_read(UART_DLM), 0x12, "DLM");
	uart_write(UART_DLL, 1);
	uart_write(UART_DLM, 0);
	uart_write(UART_LCR, 3);
	check_eq(uart_read(UART_IER), 0, "IER behind DLM");
	check_eq(uart_read(UART_LCR), 3, "LCR");
}

static void quiet_registers(void)
{
	if (!devices_quiet())
		return;
	check_eq(uart_read(UART_LSR) & 0x7e, UART_LSR_THRE | UART_LSR_TEMT,
		 "LSR");
	check_eq(uart_read(UART_IIR), IIR_NONE, "IIR");
	uart_write(UART_FCR, 1);
	check_eq(uart_read(UART_IIR), 0xc0 | IIR_NONE, "IIR with FIFOs");
	uart_write(UART_IER, 0xff);
	check_eq(uart_read(UART_IER) & 0xf0, 0, "IER's upper half");
	uart_write(UART_IER, 0);
	uart_write(UART_MCR, 0xff);
	check_eq(uart_read(UART_MCR) & 0xe0, 0, "MCR's upper bits");
	uart_write(UART_MCR, 0);
}

static void thre_interrupt(void)
{
	if (!devices_quiet())
		return;
	check_eq(iir(), IIR_NONE, "IIR");
	uart_write(UART_IER, UART_IER_TX);
	check_eq(iir(), IIR_THRE, "IIR once enabled");
	check_eq(iir(), IIR_NONE, "IIR after it was read");
	uart_write(UART_IER, 0);
	uart_write(UART_IER, UART_IER_TX);
	check_eq(iir(), IIR_THRE, "IIR enabled again");
	loopback(true);
	send(0x55);
	check(wait_lsr(UART_LSR_THRE), "THRE");
	check_eq(iir(), IIR_THRE, "IIR after a character left");
	uart_write(UART_IER, 0);
	check_eq(iir(), IIR_NONE, "IIR once disabled");
	loopback_end();
}

static void loopback_data(void)
{
	if (!devices_quiet())
		return;
	loopback(false);
	check(!(uart_read(UART_LSR) & UART_LSR_DR), "data at first");
	for (u32 v = 0; v < 256; v += 17) {
		send((u8)v);
		check(wait_lsr(UART_LSR_DR), "no data");
		check_eq(uart_read(UART_RBR), v, "RBR");
		check(!(uart_read(UART_LSR) & UART_LSR_DR), "data left");
	}
	loopback_end();
}

static void loopback_fifo(void)
{
	if (!devices_quiet())
		return;
	loopback(true);
	for (u32 i = 0; i < 16; i++)
		send((u8)(0x40 + i));
	check(wait_lsr(UART_LSR_DR), "no data");
	delay_ticks(machine.hz / 100);
	for (u32 i = 0; i < 16; i++) {
		check(uart_read(UART_LSR) & UART_LSR_DR, "data ends at %u", i);
		check_eq(uart_read(UART_RBR), 0x40 + i, "RBR");
	}
	check(!(uart_read(UART_LSR) & UART_LSR_DR), "data left");
	/* One more than there is room for. */
	for (u32 i = 0; i < 17; i++)
		send((u8)i);
	check_spec(wait_lsr(UART_LSR_OE), "no overrun");
	check(!(uart_read(UART_LSR) & UART_LSR_OE), "overrun told twice");
	uart_write(UART_FCR, 3);
	check(!(uart_read(UART_LSR) & UART_LSR_DR), "data after a FIFO reset");
	loopback_end();
}

static void receive_interrupts(void)
{
	if (!devices_quiet())
		return;
	loopback(true);
	uart_write(UART_FCR, 0x81); /* trigger at 8 */
	uart_write(UART_IER, UART_IER_RX);
	check_eq(iir(), IIR_NONE, "IIR at first");
	send(1);
	check(wait_lsr(UART_LSR_DR), "no data");
	delay_ticks(machine.hz / 100);
	check_eq(iir(), IIR_TIMEOUT, "IIR below the trigger");
	for (u32 i = 2; i <= 8; i++)
		send((u8)i);
	delay_ticks(machine.hz / 100);
	check(iir() == IIR_RX || (!machine.rouse && iir() == IIR_TIMEOUT),
	      "IIR 0x%x at the trigger", iir());
	for (u32 i = 1; i <= 8; i++)
		check_eq(uart_read(UART_RBR), i, "RBR");
	check_eq(iir(), IIR_NONE, "IIR when all is read");
	loopback_end();
}

static void route(void)
{
	plic_priority(machine.uart_irq, 1);
	plic_enable(my_context(), machine.uart_irq, true);
}

/* The line is up, and down again once `reg` was read, which gave `want`. */
static void served_by(u32 reg, u8 want, const char *what)
{
	u32 c = my_context();

	check(external_pending(), "no SEIP");
	check_eq(plic_claim(c), machine.uart_irq, "claim");
	check_eq(uart_read(reg), want, what);
	plic_complete(c, machine.uart_irq);
	check(!external_pending(), "SEIP after it was read");
}

static void receive_line(void)
{
	if (!devices_quiet())
		return;
	route();
	loopback(false);
	uart_write(UART_IER, UART_IER_RX);
	check(!external_pending(), "SEIP at first");
	send('x');
	check(wait_lsr(UART_LSR_DR), "no data");
	served_by(UART_RBR, 'x', "RBR");
	loopback_end();
}

/* In loopback the modem's inputs are its own outputs. */
static void modem_loopback(void)
{
	static const struct {
		u8 mcr, msr;
	} pairs[] = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40},
		     {0x08, 0x80}, {0x0a, 0x90}, {0x00, 0x00}};

	if (!devices_quiet())
		return;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		uart_write(UART_MCR, UART_MCR_LOOP | pairs[i].mcr);
		check_eq(uart_read(UART_MSR) & 0xf0, pairs[i].msr, "MSR");
	}
	uart_write(UART_MCR, 0);
}

/* An overrun is told before the data that came before it. */
static void line_status_interrupt(void)
{
	if (!devices_quiet())
		return;
	route();
	loopback(false);
	uart_write(UART_IER, UART_IER_LINE);
	send('a');
	check(wait_lsr(UART_LSR_DR), "no data");
	check(!external_pending(), "SEIP for data alone");
	send('b');
	delay_ticks(machine.hz / 100);
	check_eq(iir(), IIR_LINE, "IIR");
	uart_write(UART_IER, UART_IER_LINE | UART_IER_RX);
	check_eq(iir(), IIR_LINE, "IIR with data enabled");
	uart_write(UART_IER, UART_IER_LINE);
	served_by(UART_LSR, UART_LSR_DR | UART_LSR_OE | UART_LSR_THRE |
			    UART_LSR_TEMT, "LSR");
	check_eq(iir(), IIR_NONE, "IIR after LSR was read");
	uart_write(UART_IER, UART_IER_LINE | UART_IER_RX);
	check_eq(iir(), IIR_RX, "IIR with the data left");
	loopback_end();
}

/* Of each input a change, told once; RI's is that it falls. */
static void modem_status_interrupt(void)
{
	static const struct {
		u8 mcr, msr;
	} steps[] = {{0x02, 0x11}, {0x03, 0x32}, {0x0b, 0xb8},
		     {0x09, 0xa1}, {0x0d, 0xe0}, {0x09, 0xa4}};

	if (!devices_quiet())
		return;
	route();
	loopback(false);
	uart_read(UART_MSR);
	uart_write(UART_IER, UART_IER_MODEM);
	check(!external_pending(), "SEIP at first");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		uart_write(UART_MCR, UART_MCR_LOOP | steps[i].mcr);
		if (!(steps[i].msr & 0x0f)) { /* RI rose */
			check(!external_pending(), "SEIP as RI rose");
			check_eq(uart_read(UART_MSR), steps[i].msr, "MSR");
			continue;
		}
		if (!check_spec(external_pending() && iir() == IIR_MODEM,
				"MCR 0x%x: IIR 0x%x", steps[i].mcr, iir()))
			break;
		served_by(UART_MSR, steps[i].msr, "MSR");
		check_eq(iir(), IIR_NONE, "IIR after MSR was read");
	}
	loopback_end();
}

/* Of a character that is shorter than a byte the rest is zero. */
static void short_characters(void)
{
	if (!devices_quiet())
		return;
	loopback(false);
	for (u8 bits = 5; bits <= 8; bits++) {
		uart_write(UART_LCR, bits - 5);
		send(0xff);
		check(wait_lsr(UART_LSR_DR), "no data");
		check_spec(uart_read(UART_RBR) == 0xff >> (8 - bits),
			   "%u bits: RBR has more", bits);
	}
	uart_write(UART_LCR, 3);
	loopback_end();
}

static void unknown_offsets(void)
{
	u64 v, cause;

	if (!devices_quiet())
		return;
	for (u64 off = 8; off < machine.uart.bytes; off += 37) {
		bool ok = probe_load(machine.uart.base + off, 1, &v, &cause);

		check_spec(ok && v == 0, "offset 0x%lx: %s 0x%lx", off,
			   ok ? "value" : "cause", ok ? v : cause);
	}
}

const struct test uart_tests[] = {
	{"uart_scratch_keeps_a_byte", scratch},
	{"uart_divisor_is_behind_dlab", divisor},
	{"uart_registers_while_quiet", quiet_registers},
	{"uart_transmitter_interrupt", thre_interrupt},
	{"uart_loopback_returns_what_is_sent", loopback_data},
	{"uart_fifo_holds_sixteen", loopback_fifo},
	{"uart_receiver_interrupts_by_trigger_and_timeout", receive_interrupts},
	{"uart_receiver_raises_its_line", receive_line},
	{"uart_modem_lines_in_loopback", modem_loopback},
	{"uart_line_status_interrupts_first", line_status_interrupt},
	{"uart_modem_status_interrupts_once_a_change", modem_status_interrupt},
	{"uart_short_characters_end_in_zeros", short_characters},
	{"uart_unknown_offsets_read_zero", unknown_offsets},
};
TEST_LIST(uart_tests, uart_test_count);
