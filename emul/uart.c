/*
 * An NS16550A UART, as QEMU's `virt` has it: the device, and the short ways to
 * it. The chip itself is in uart_chip.c.
 *
 * Problem. A guest's console is its busiest device: drivers poll LSR, and write
 * THR and IER for each interrupt of the transmitter.
 *
 * Algorithm. LSR is read without the lock: one word, always whole, and only its
 * error bits have a reading side effect. The writes of THR and IER have a short
 * way each, if nothing is odd: no divisor latch, no loopback, nobody who waits
 * for input. Whatever isn't exactly that goes to the chip, which does the same.
 *
 * Accesses of any width reach one register, their low byte counts and they read
 * as that byte, as on `virt`. The chip has no prescaler: with DLAB set, writes
 * to offset 5, where some clones have one, are ignored as always.
 */
#include "emul/emul.h"

#include "emul/uart_chip.h"
#include "kernel/tree_write.h"

static u64 uart_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width)
{
	struct uart *u = dev->state;
	u32 lsr;

	(void)v;
	(void)width;
	if (off == REG_LSR) {
		/* No fence: data that it announces is read under the lock. */
		lsr = ck_pr_load_32(&u->lsr);
		if (likely(!(lsr & LSR_ERRORS)))
			return lsr;
	}
	return likely(off <= REG_SCR) ? uart_chip_read(dev, off) : 0;
}

/* A character that goes out. */
static __attribute__((noinline)) void write_thr(struct emul_dev *dev, u64 val)
{
	struct uart *u = dev->state;

	ck_spinlock_lock(&u->lock);
	if (unlikely(u->lcr & LCR_DLAB || u->mcr & MCR_LOOP || u->starved)) {
		ck_spinlock_unlock(&u->lock);
		uart_chip_write(dev, REG_DATA, val);
		return;
	}
	u->due |= IER_THRE;
	uart_level_update(u);
	ck_spinlock_unlock(&u->lock);
	uart_chip_put(dev->guest, (char)val);
}

/* IER, unless the receiver is taken into use. */
static inline void write_ier(struct emul_dev *dev, u64 val)
{
	struct uart *u = dev->state;
	u64 on;

	ck_spinlock_lock(&u->lock);
	on = val & ~(u64)u->ier;
	if (unlikely(u->lcr & LCR_DLAB || on & IER_RX)) {
		ck_spinlock_unlock(&u->lock);
		uart_chip_write(dev, REG_IER, val);
		return;
	}
	u->due |= on & IER_THRE;
	u->ier = val & IER_MASK;
	uart_level_update(u);
	ck_spinlock_unlock(&u->lock);
}

static void uart_write(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		       u64 val)
{
	(void)v;
	(void)width;
	if (off == REG_IER)
		write_ier(dev, val);
	else if (off == REG_DATA)
		write_thr(dev, val);
	else if (off <= REG_SCR)
		uart_chip_write(dev, off, val);
}

static int uart_init(struct emul_dev *dev)
{
	struct uart *u = dev->state;

	ck_spinlock_init(&u->lock);
	u->dev = dev;
	return 0;
}

static void uart_describe(struct emul_dev *dev, struct tree_writer *t)
{
	(void)dev;
	tree_u32(t, "clock-frequency", UART_CLOCK_HZ);
}

static const struct emul_ops uart_ops = {
	.name = "uart",
	EMUL_COMPATIBLE("ns16550a"),
	.base = { 0x10000000 },
	.bytes = 0x100,
	.irq = 10,
	.widths = EMUL_W8 | EMUL_W16 | EMUL_W32 | EMUL_W64,
	.state_bytes = sizeof(struct uart),
	.init = uart_init,
	.reset = uart_chip_reset,
	.read = uart_read,
	.write = uart_write,
	.input = uart_chip_input,
	.describe = uart_describe,
};

EMUL_DEVICE(uart_ops);
