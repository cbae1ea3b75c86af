/*
 * Which widths and alignments each device has, register by register.
 *
 * The PLIC's registers and the RTC's are words of 32 bits. As on `virt` the
 * finisher has half words too, and of the UART's bytes an access of any width
 * reaches one. An access is aligned to its width. Whatever a device hasn't is
 * an access fault that names the address, and changes nothing.
 */
#include "guests/baremetal/devtest/devtest.h"

#define ANY_WIDTH (1 | 2 | 4 | 8)
#define READ_ONLY 1 /* what it does with a good store is not wanted here */
#define MOVES	  2 /* it reads as something else each time */

static const struct reg {
	const char *name;
	const struct range *device;
	u32 off, context_bytes; /* more for each context below this hart's */
	u32 widths;		/* those it has, in bytes, or-ed */
	u32 holds;
	u32 flags;
} regs[] = {
	{"RTC TIME_LOW", &machine.rtc, RTC_TIME_LOW, 0, 4, 0,
	 READ_ONLY | MOVES},
	{"RTC ALARM_HIGH", &machine.rtc, RTC_ALARM_HIGH, 0, 4, 0x12345678, 0},
	{"RTC IRQ_ENABLED", &machine.rtc, RTC_IRQ_ENABLED, 0, 4, 1, 0},
	{"UART DLL", &machine.uart, UART_DLL, 0, ANY_WIDTH, 0x34, 0},
	{"UART LSR", &machine.uart, UART_LSR, 0, ANY_WIDTH,
	 UART_LSR_THRE | UART_LSR_TEMT, 0},
	{"UART SCR", &machine.uart, UART_SCR, 0, ANY_WIDTH, 0x5a, 0},
	{"PLIC priority", &machine.plic, 8, 0, 4, 5, 0},
	{"PLIC pending", &machine.plic, 0x1000, 0, 4, 0, 0},
	{"PLIC enable", &machine.plic, 0x2008, 0x80, 4, 0xa5a5a5a5, 0},
	{"PLIC threshold", &machine.plic, 0x200000, 0x1000, 4, 3, 0},
	{"PLIC claim", &machine.plic, 0x200004, 0x1000, 4, 0, 0},
	{"finisher", &machine.finisher, 0, 0, 2 | 4, 0, READ_ONLY},
};

static bool has(const struct reg *r, u64 at, u32 bytes)
{
	return (r->widths & bytes) && !(at & (bytes - 1));
}

static void judge(const struct reg *r, u64 at, u32 bytes, u64 cause,
		  const struct probe *p)
{
	u64 want = has(r, at, bytes) ? 0 : cause;

	check_spec(p->scause == want && (!want || p->stval == at),
		   "%s, %s of %u bytes at 0x%lx: scause %ld, stval 0x%lx",
		   r->name, cause == CAUSE_LOAD_ACCESS ? "load" : "store",
		   bytes, at, p->scause, p->stval);
}

static void store(const struct reg *r, u64 at, u32 bytes)
{
	bool good = has(r, at, bytes);
	struct probe p;

	if (good && (r->flags & READ_ONLY))
		return;
	probe_call(&p, probe_do_store, at, bytes,
		   good ? r->holds : ~(u64)r->holds);
	judge(r, at, bytes, CAUSE_STORE_ACCESS, &p);
}

/* Returns what was read. */
static u64 load(const struct reg *r, u64 at, u32 bytes)
{
	struct probe p;

	probe_call(&p, probe_do_load, at, bytes, 0);
	judge(r, at, bytes, CAUSE_LOAD_ACCESS, &p);
	return p.value;
}

static void stores(const struct reg *r, u64 at, bool good)
{
	for (u32 bytes = 8; bytes; bytes /= 2)
		for (u64 off = 0; off < 2; off++)
			if (has(r, at + off, bytes) == good)
				store(r, at + off, bytes);
}

static void loads(const struct reg *r, u64 at)
{
	for (u32 bytes = 8; bytes; bytes /= 2) {
		u64 got = load(r, at, bytes);

		if (has(r, at, bytes) && !(r->flags & MOVES))
			check_spec(got == r->holds,
				   "%s, load of %u bytes: 0x%lx, not 0x%x",
				   r->name, bytes, got, r->holds);
		load(r, at + 1, bytes);
	}
}

static void widths(void)
{
	if (!devices_quiet())
		return;
	if (!machine.finisher.bytes) {
		test_skip("no finisher");
		return;
	}
	/* The divisor: two bytes that hold what they are given. */
	uart_write(UART_LCR, 3 | UART_LCR_DLAB);
	for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
		const struct reg *r = &regs[i];
		u64 at = r->device->base + r->off +
			 r->context_bytes * my_context();

		stores(r, at, true);
		stores(r, at, false);
		loads(r, at);
	}
	/* A machine that differs may have put anything anywhere. */
	uart_write(UART_LCR, 3 | UART_LCR_DLAB);
	uart_write(UART_DLL, 1);
	uart_write(UART_DLM, 0);
	devices_quiet();
}

const struct test width_tests[] = {
	{"devices_have_their_widths_and_no_others", widths},
};
TEST_LIST(width_tests, width_test_count);
