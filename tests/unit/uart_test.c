/* The UART against the PC16550D data sheet, and what its two users rely on. */
/* sources: emul/uart.c emul/uart_chip.c emul/bus.c emul/devices.c
 *          kernel/config.c tests/unit/fake_emul.c tests/unit/fake_chip.c
 *          tests/unit/fake_trace.c */
#include <string.h>

#include "tests/unit/fake_emul.h"

#define AT 0x10000000ull
#define DATA 0
#define IER 1
#define IIR 2
#define FCR 2
#define LCR 3
#define MCR 4
#define LSR 5
#define MSR 6
#define SCR 7

static struct emul_dev *uart;

static int start(void **state)
{
	fake_devices_start(state);
	assert_int_equal(fake_chip.irq, 10);
	uart = emul_find(&fake.guest, "uart");
	return 0;
}

static u8 rd(u32 reg)
{
	u64 val = fake_read(AT + reg, 1);

	assert_int_equal(val >> 8, 0);
	return (u8)val;
}

static void wr(u32 reg, u8 val)
{
	fake_write(AT + reg, 1, 0xabcdef00u | val);
}

static size_t input(const char *text)
{
	return uart->ops->input(uart, text, strlen(text));
}

static void expect_out(const char *text)
{
	assert_int_equal(fake.out_len, strlen(text));
	assert_memory_equal(fake.out, text, fake.out_len);
}

static void it_wakes_up_as_the_data_sheet_says(void **state)
{
	(void)state;
	assert_int_equal(rd(IER), 0);
	assert_int_equal(rd(IIR), 0x01);
	assert_int_equal(rd(LCR), 0);
	assert_int_equal(rd(MCR), 0);
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rd(MSR), 0xb0);
	assert_false(fake_chip.level);
}

static void characters_go_out_in_order_at_once(void **state)
{
	(void)state;
	for (const char *s = "hello\n"; *s; s++) {
		wr(DATA, *s);
		assert_int_equal(rd(LSR), 0x60);
	}
	expect_out("hello\n");
}

static void a_wide_access_is_an_access_to_the_byte(void **state)
{
	static const u32 width[] = { 1, 2, 4, 8 };

	(void)state;
	for (u32 i = 0; i < 4; i++) {
		fake_write(AT, width[i], 0x4142434445464700 | ('a' + i));
		assert_int_equal(fake_read(AT + 4, MIN(width[i], 4)), 0);
	}
	expect_out("abcd");
	wr(SCR, 0x5a);
	assert_int_equal(fake_read(AT, 8), 0);
	assert_int_equal(fake_read(AT + 7, 1), 0x5a);
}

static void offsets_beyond_the_chip_are_zero(void **state)
{
	(void)state;
	wr(SCR, 0xff);
	for (u32 off = 8; off < 0x100; off++) {
		wr(off, 0xff);
		assert_int_equal(rd(off), 0);
	}
	expect_out("");
	assert_int_equal(emul_write(&fake.guest, fake.vcpu[0],
				    (struct gpa){ AT + 0x100 }, 1, 0),
			 EMUL_FAULT);
}

static void scratch_and_line_control_hold_what_is_written(void **state)
{
	(void)state;
	for (u32 val = 0; val < 256; val++) {
		wr(SCR, val);
		wr(LCR, val);
		assert_int_equal(rd(SCR), val);
		assert_int_equal(rd(LCR), val);
	}
}

static void ier_and_mcr_have_reserved_zeros(void **state)
{
	(void)state;
	wr(IER, 0xff);
	assert_int_equal(rd(IER), 0x0f);
	wr(MCR, 0xff);
	assert_int_equal(rd(MCR), 0x1f);
}

static void dlab_gives_the_divisor_and_nothing_else(void **state)
{
	(void)state;
	wr(IER, 0x01);
	wr(LCR, 0x83);
	wr(0, 0x34);
	wr(1, 0x12);
	wr(5, 0xff);
	assert_int_equal(rd(0), 0x34);
	assert_int_equal(rd(1), 0x12);
	assert_int_equal(rd(LSR), 0x60);
	wr(LCR, 0x03);
	assert_int_equal(rd(IER), 0x01);
	expect_out("");
	wr(LCR, 0x83);
	assert_int_equal(rd(0), 0x34);
	assert_int_equal(rd(1), 0x12);
}

static void iir_shows_whether_fifos_are_on(void **state)
{
	(void)state;
	assert_int_equal(rd(IIR), 0x01);
	wr(FCR, 0x01);
	assert_int_equal(rd(IIR), 0xc1);
	wr(FCR, 0x00);
	assert_int_equal(rd(IIR), 0x01);
}

static void without_fifo_there_is_room_for_one(void **state)
{
	(void)state;
	assert_int_equal(input("ab"), 1);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(input("b"), 0);
	assert_int_equal(rd(DATA), 'a');
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(input("b"), 1);
	assert_int_equal(rd(DATA), 'b');
}

static void the_fifo_takes_16_in_order_and_no_more(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	assert_int_equal(input("0123456789abcdefghij"), 16);
	assert_int_equal(input("x"), 0);
	for (const char *s = "0123456789abcdef"; *s; s++) {
		assert_int_equal(rd(LSR), 0x61); /* no overrun */
		assert_int_equal(rd(DATA), *s);
	}
	assert_int_equal(rd(LSR), 0x60);
	for (u32 i = 0; i < 40; i++) {
		assert_int_equal(input("yz"), 2);
		assert_int_equal(rd(DATA), 'y');
		assert_int_equal(rd(DATA), 'z');
	}
}

static void switching_or_clearing_the_fifo_drops_input(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	input("abc");
	wr(FCR, 0x01);
	assert_int_equal(rd(LSR), 0x61);
	wr(FCR, 0x05); /* the transmitter's */
	assert_int_equal(rd(LSR), 0x61);
	wr(FCR, 0x03);
	assert_int_equal(rd(LSR), 0x60);
	input("abc");
	wr(FCR, 0x00);
	assert_int_equal(rd(LSR), 0x60);
	input("a");
	wr(FCR, 0x01);
	assert_int_equal(rd(LSR), 0x60);
}

static void received_data_interrupts_until_read(void **state)
{
	(void)state;
	input("a");
	assert_false(fake_chip.level);
	wr(IER, 0x01);
	assert_true(fake_chip.level);
	assert_int_equal(rd(IIR), 0x04);
	assert_int_equal(rd(IIR), 0x04);
	rd(DATA);
	assert_false(fake_chip.level);
	assert_int_equal(rd(IIR), 0x01);
}

static void below_the_trigger_it_is_the_time_out(void **state)
{
	static const u8 trigger[4] = { 1, 4, 8, 14 };

	(void)state;
	wr(IER, 0x01);
	for (u32 t = 0; t < 4; t++) {
		wr(FCR, 0x03 | t << 6);
		for (u32 n = 1; n <= 16; n++) {
			assert_int_equal(input("."), 1);
			assert_true(fake_chip.level);
			assert_int_equal(rd(IIR),
					 n >= trigger[t] ? 0xc4 : 0xcc);
		}
		for (u32 n = 15; n > 0; n--) {
			rd(DATA);
			assert_int_equal(rd(IIR),
					 n >= trigger[t] ? 0xc4 : 0xcc);
		}
		rd(DATA);
		assert_false(fake_chip.level);
	}
}

static void fcr_bits_without_enable_are_not_programmed(void **state)
{
	(void)state;
	wr(FCR, 0xc0);
	wr(FCR, 0x01);
	wr(IER, 0x01);
	input("a");
	assert_int_equal(rd(IIR), 0xc4);
}

static void enabling_the_empty_transmitter_interrupts_once(void **state)
{
	(void)state;
	wr(IER, 0x02);
	assert_true(fake_chip.level);
	assert_int_equal(rd(IIR), 0x02);
	assert_false(fake_chip.level);
	assert_int_equal(rd(IIR), 0x01);
	wr(IER, 0x02); /* was enabled: no news */
	assert_false(fake_chip.level);
	wr(IER, 0x00);
	wr(IER, 0x02);
	assert_true(fake_chip.level);
	wr(IER, 0x00);
	assert_false(fake_chip.level);
}

static void a_character_sent_interrupts_again(void **state)
{
	(void)state;
	wr(IER, 0x02);
	rd(IIR);
	assert_false(fake_chip.level);
	wr(DATA, 'a');
	assert_true(fake_chip.level);
	assert_int_equal(rd(IIR), 0x02);
	assert_false(fake_chip.level);
}

static void only_the_cause_shown_is_cleared(void **state)
{
	(void)state;
	wr(IER, 0x03);
	input("a");
	assert_int_equal(rd(IIR), 0x04);
	rd(DATA);
	assert_true(fake_chip.level);
	assert_int_equal(rd(IIR), 0x02);
	assert_false(fake_chip.level);
}

static void causes_show_by_priority(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	wr(MCR, 0x10);          /* loopback: modem lines drop */
	for (u32 i = 0; i < 17; i++)
		wr(DATA, 'x');  /* one too many */
	wr(IER, 0x0f);
	assert_int_equal(rd(IIR), 0xc6);
	assert_int_equal(rd(LSR), 0x63);
	assert_int_equal(rd(IIR), 0xc4);
	for (u32 i = 0; i < 16; i++)
		rd(DATA);
	assert_int_equal(rd(IIR), 0xc2);
	assert_int_equal(rd(IIR), 0xc0);
	assert_true(fake_chip.level);
	rd(MSR);
	assert_int_equal(rd(IIR), 0xc1);
	assert_false(fake_chip.level);
}

static void loopback_brings_characters_back(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	wr(LCR, 0x03);
	wr(MCR, 0x10);
	wr(DATA, 'a');
	wr(DATA, 'b');
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(DATA), 'a');
	assert_int_equal(rd(DATA), 'b');
	assert_int_equal(rd(LSR), 0x60);
	expect_out("");
	wr(MCR, 0x00);
	wr(DATA, 'c');
	expect_out("c");
}

static void loopback_has_as_many_bits_as_a_character(void **state)
{
	(void)state;
	wr(MCR, 0x10);
	for (u32 bits = 5; bits <= 8; bits++) {
		wr(LCR, 0x78 | (bits - 5)); /* with all but DLAB */
		wr(DATA, 0xff);
		assert_int_equal(rd(DATA), 0xff >> (8 - bits));
		wr(DATA, 0x5a);
		assert_int_equal(rd(DATA), 0x5a & 0xff >> (8 - bits));
	}
}

static void the_console_has_eight_bits_whatever_lcr_says(void **state)
{
	(void)state;
	assert_int_equal(rd(LCR), 0);
	wr(DATA, 'z');
	expect_out("z");
	assert_int_equal(input("y"), 1);
	assert_int_equal(rd(DATA), 'y');
}

/* It acts on SOUT, the loop begins before it. */
static void a_break_changes_nothing_in_loopback(void **state)
{
	(void)state;
	wr(MCR, 0x10);
	wr(IER, 0x04);
	wr(LCR, 0x43);
	assert_int_equal(rd(LSR), 0x60);
	wr(DATA, 'a');
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(DATA), 'a');
	wr(LCR, 0x03);
	assert_int_equal(rd(LSR), 0x60);
	assert_false(fake_chip.level);
}

static void an_overrun_keeps_the_fifo_and_clears_on_reading_lsr(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	wr(LCR, 0x03);
	wr(MCR, 0x10);
	for (u32 i = 0; i < 17; i++)
		wr(DATA, 'a' + i);
	assert_int_equal(rd(LSR), 0x63);
	assert_int_equal(rd(LSR), 0x61);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(rd(DATA), 'a' + i);
}

static void an_overrun_without_fifo_loses_the_older(void **state)
{
	(void)state;
	wr(LCR, 0x03);
	wr(MCR, 0x10);
	wr(DATA, 'a');
	wr(DATA, 'b');
	assert_int_equal(rd(LSR), 0x63);
	assert_int_equal(rd(DATA), 'b');
	assert_int_equal(rd(LSR), 0x60);
}

static void loopback_turns_modem_outputs_into_inputs(void **state)
{
	static const struct {
		u8 mcr, msr;
	} line[] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 },
		     { 0x08, 0x80 }, { 0x0a, 0x90 }, { 0x0f, 0xf0 } };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(line); i++) {
		wr(MCR, 0x10 | line[i].mcr);
		assert_int_equal(rd(MSR) & 0xf0, line[i].msr);
	}
	wr(MCR, 0);
	assert_int_equal(rd(MSR) & 0xf0, 0xb0);
}

static void modem_changes_show_once_and_ri_when_it_falls(void **state)
{
	(void)state;
	wr(MCR, 0x10);
	assert_int_equal(rd(MSR), 0x0b); /* CTS, DSR, DCD went away */
	assert_int_equal(rd(MSR), 0x00);
	wr(MCR, 0x14);
	assert_int_equal(rd(MSR), 0x40); /* RI comes: not told */
	wr(MCR, 0x10);
	assert_int_equal(rd(MSR), 0x04); /* RI goes */
	wr(IER, 0x08);
	assert_false(fake_chip.level);
	wr(MCR, 0x12);
	assert_true(fake_chip.level);
	assert_int_equal(rd(IIR), 0x00);
	assert_int_equal(rd(MSR), 0x11);
	assert_false(fake_chip.level);
}

static void input_waits_while_in_loopback(void **state)
{
	(void)state;
	wr(MCR, 0x10);
	assert_int_equal(input("a"), 0);
	assert_int_equal(fake.ready, 0);
	wr(MCR, 0x00);
	assert_int_equal(fake.ready, 1);
	assert_int_equal(input("a"), 1);
}

static void the_console_is_asked_once_when_the_fifo_is_empty(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	fake.ready = 0;
	assert_int_equal(input("0123456789abcdefgh"), 16);
	for (u32 i = 0; i < 15; i++)
		rd(DATA);
	assert_int_equal(fake.ready, 0);
	rd(DATA);
	assert_int_equal(fake.ready, 1);
	rd(DATA);
	assert_int_equal(fake.ready, 1);
}

static void the_console_is_not_asked_if_all_was_taken(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	fake.ready = 0;
	assert_int_equal(input("0123456789abcdef"), 16);
	for (u32 i = 0; i < 16; i++)
		rd(DATA);
	assert_int_equal(fake.ready, 0);
}

static void clearing_or_growing_the_fifo_asks_the_console(void **state)
{
	(void)state;
	assert_int_equal(input("ab"), 1);
	wr(FCR, 0x01);
	assert_int_equal(fake.ready, 1);
	assert_int_equal(input("0123456789abcdefg"), 16);
	wr(FCR, 0x03);
	assert_int_equal(fake.ready, 2);
}

static void a_driver_that_starts_to_receive_asks_the_console(void **state)
{
	(void)state;
	wr(IER, 0x01);
	assert_int_equal(fake.ready, 1);
	wr(IER, 0x03);
	wr(FCR, 0x00);
	assert_int_equal(fake.ready, 1);
	wr(FCR, 0x07);
	assert_int_equal(fake.ready, 2);
	wr(IER, 0x00);
	wr(DATA, 'x');
	assert_int_equal(fake.ready, 2);
	wr(IER, 0x01);
	assert_int_equal(fake.ready, 3);
}

static void feed_more(struct guest *g)
{
	(void)g;
	assert_int_equal(input("more"), 4);
}

static void input_may_come_from_within_the_asking(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	wr(IER, 0x01);
	fake.on_ready = feed_more; /* from now on */
	assert_int_equal(input("0123456789abcdefmore"), 16);
	for (u32 i = 0; i < 16; i++)
		rd(DATA);
	assert_int_equal(rd(DATA), 'm');
	assert_true(fake_chip.level);
}

static void the_line_changes_only_when_its_level_does(void **state)
{
	(void)state;
	wr(FCR, 0x01);
	wr(IER, 0x03);
	for (u32 i = 0; i < 10; i++)
		wr(DATA, 'x');
	input("abc");
	rd(DATA);
	assert_int_equal(fake_chip.changes, 1);
}

static void reset_forgets_all_and_lowers_the_line(void **state)
{
	(void)state;
	wr(FCR, 0xc1);
	wr(IER, 0x0f);
	wr(MCR, 0x1f);
	wr(SCR, 0x77);
	wr(LCR, 0x83);
	wr(MCR, 0x00);
	assert_int_equal(input("0123456789abcdefg"), 16);
	assert_true(fake_chip.level);
	fake.ready = 0;
	emul_reset(&fake.guest);
	assert_false(fake_chip.level);
	assert_int_equal(fake.ready, 1);
	it_wakes_up_as_the_data_sheet_says(state);
	assert_int_equal(rd(SCR), 0);
}

static void its_node_has_a_clock(void **state)
{
	(void)state;
	assert_int_equal(fake_described(uart, "clock-frequency"), 3686400);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, fake_devices_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_wakes_up_as_the_data_sheet_says),
		T(characters_go_out_in_order_at_once),
		T(a_wide_access_is_an_access_to_the_byte),
		T(offsets_beyond_the_chip_are_zero),
		T(scratch_and_line_control_hold_what_is_written),
		T(ier_and_mcr_have_reserved_zeros),
		T(dlab_gives_the_divisor_and_nothing_else),
		T(iir_shows_whether_fifos_are_on),
		T(without_fifo_there_is_room_for_one),
		T(the_fifo_takes_16_in_order_and_no_more),
		T(switching_or_clearing_the_fifo_drops_input),
		T(received_data_interrupts_until_read),
		T(below_the_trigger_it_is_the_time_out),
		T(fcr_bits_without_enable_are_not_programmed),
		T(enabling_the_empty_transmitter_interrupts_once),
		T(a_character_sent_interrupts_again),
		T(only_the_cause_shown_is_cleared),
		T(causes_show_by_priority),
		T(loopback_brings_characters_back),
		T(loopback_has_as_many_bits_as_a_character),
		T(the_console_has_eight_bits_whatever_lcr_says),
		T(a_break_changes_nothing_in_loopback),
		T(an_overrun_keeps_the_fifo_and_clears_on_reading_lsr),
		T(an_overrun_without_fifo_loses_the_older),
		T(loopback_turns_modem_outputs_into_inputs),
		T(modem_changes_show_once_and_ri_when_it_falls),
		T(input_waits_while_in_loopback),
		T(the_console_is_asked_once_when_the_fifo_is_empty),
		T(the_console_is_not_asked_if_all_was_taken),
		T(clearing_or_growing_the_fifo_asks_the_console),
		T(a_driver_that_starts_to_receive_asks_the_console),
		T(input_may_come_from_within_the_asking),
		T(the_line_changes_only_when_its_level_does),
		T(reset_forgets_all_and_lowers_the_line),
		T(its_node_has_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
