/*
 * Words out, and the machine's end.
 *
 * Output goes through SBI DBCN if there is one and to the UART otherwise. A
 * lock keeps what one call prints in one piece; it is taken with interrupts
 * off so that handlers may print as well.
 */
#include "guests/baremetal/runtime/runtime.h"

#include "guests/baremetal/runtime/sbi.h"

#include <stdio.h>

static struct spinlock lock;
static enum {
	UNKNOWN,
	DBCN,
	UART,
	LEGACY,
} way;

static void find_way(void)
{
	if (sbi_has(SBI_DBCN))
		way = DBCN;
	else if (machine.uart.bytes)
		way = UART;
	else
		way = LEGACY;
}

void console_write(const char *s, size_t len)
{
	struct sbi_ret r;

	if (way == UNKNOWN)
		find_way();
	while (len && way == DBCN) {
		r = sbi_call(SBI_DBCN, SBI_DBCN_WRITE, len, (u64)s, 0);
		if (r.error || r.value > len) {
			way = machine.uart.bytes ? UART : LEGACY;
			break;
		}
		s += r.value;
		len -= r.value;
	}
	for (; len; s++, len--) {
		if (way == UART)
			uart_put(*s);
		else
			sbi_legacy(SBI_LEGACY_PUTCHAR, (u8)*s, 0, 0, 0);
	}
}

void vprint(const char *fmt, va_list ap)
{
	char buf[512];
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	u64 old;

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(buf))
		n = sizeof(buf) - 1;
	old = spin_lock_irq(&lock);
	console_write(buf, (size_t)n);
	spin_unlock_irq(&lock, old);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

_Noreturn void machine_exit(u32 status)
{
	u32 fail = (status & 0xffff) << 16 | FINISHER_FAIL;

	irq_off();
	if (status && machine.finisher.bytes) {
		write32(machine.finisher.base, fail);
		/* It may take a moment; another request would replace it. */
		delay_ticks(5 * machine.hz);
	}
	sbi_call(SBI_SRST, 0, SRST_SHUTDOWN,
		 status ? SRST_REASON_FAILURE : SRST_REASON_NONE, 0);
	if (machine.finisher.bytes)
		write32(machine.finisher.base, status ? fail : FINISHER_PASS);
	sbi_legacy(SBI_LEGACY_SHUTDOWN, 0, 0, 0, 0);
	for (;;)
		wfi();
}

_Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print("FAIL ");
	vprint(fmt, ap);
	print("\n");
	va_end(ap);
	machine_exit(1);
}
