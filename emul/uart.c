/*
 * An NS16550A UART, as QEMU's `virt` has it. Source: National Semiconductor,
 * PC16550D data sheet (registers in section 8, FIFO modes in 8.4 to 8.6).
 *
 * Problem. Guests probe and use the chip's corners (loopback, FIFO triggers,
 * the transmitter interrupt's odd rules), while input comes from another CPU.
 *
 * Algorithm. The line is infinitely fast: a character written leaves at once,
 * so the transmitter is always empty and its FIFO never holds anything, and the
 * receiver's time-out, "four character times without a character", has always
 * passed. So received data interrupts at any count, as data available from the
 * trigger on and as a time-out below it; no timer is needed.
 *
 * The transmitter interrupt is a memory: set when the holding register becomes
 * empty (each write empties it at once) or when it is enabled while empty,
 * cleared when IIR is read and shows it.
 *
 * Input comes only as far as the FIFO has room, the console keeps the rest;
 * `starved` remembers that, and when the FIFO is empty the console is asked
 * again: 16 characters for one asking. So an overrun can only happen in
 * loopback, by the guest's own doing. A driver that takes the receiver into use
 * counts as starved too: the console may have been giving input to SBI till
 * then.
 *
 * What interrupts there could be is kept in a byte with IER's bits, so the line
 * is up if the two have a bit in common. The two writes that a driver makes for
 * each interrupt of the transmitter, of THR and IER, have a short way.
 *
 * Invariants. All state is under one lock, held for a few dozen instructions,
 * and the line changes under it, so levels reach the controller in the order in
 * which they were computed. guest_console_put and guest_console_ready are
 * called without it. LSR, which drivers poll, is read without the lock: one
 * word, always whole, and only its error bits have a reading side effect.
 *
 * Rejected. Transmitting at the speed of DLL/DLM: makes guests slow and needs a
 * timer. A queue of the transmitter's own: the console has a ring.
 *
 * Accesses of any width reach one register, their low byte counts and they read
 * as that byte, as on `virt`. The chip has no prescaler: with DLAB set, writes
 * to offset 5, where some clones have one, are ignored as always.
 */
#include "emul/emul.h"

#include <ck_pr.h>
#include <ck_spinlock.h>
#include <libfdt.h>

#include "kernel/guest.h"

enum {
	REG_DATA = 0, /* RBR, THR; DLL with DLAB */
	REG_IER = 1,  /* DLM with DLAB */
	REG_IIR = 2,  /* FCR on write */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_RX 0x01u    /* received data, and its time-out */
#define IER_THRE 0x02u
#define IER_LINE 0x04u
#define IER_MODEM 0x08u
#define IER_MASK 0x0fu

#define IIR_MODEM 0x00u
#define IIR_NONE 0x01u
#define IIR_THRE 0x02u
#define IIR_RX 0x04u
#define IIR_LINE 0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_DMA 0x08u
#define FCR_TRIGGER_SHIFT 6

#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_READY 0x01u
#define LSR_OVERRUN 0x02u
#define LSR_ERRORS 0x1eu /* overrun, parity, framing, break */
#define LSR_EMPTY 0x60u  /* holding register and transmitter */

#define MSR_DELTAS 0x0fu
#define MSR_DELTA_RI 0x04u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

#define FIFO_BYTES 16u
#define CLOCK_HZ 3686400u

struct uart {
	ck_spinlock_t lock;
	u32 lsr; /* written under the lock, read without */

	/* Under the lock. */
	u32 rx_head, rx_count;
	u8 rx[FIFO_BYTES];
	u8 rbr; /* the last character read */
	u8 ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	u8 due;       /* interrupts there are, enabled or not, as in IER */
	bool starved; /* the console is to be asked for input when empty */
	bool level;   /* as told to the interrupt controller */
};

/* Work that is done after the lock was let go. */
enum {
	AFTER_NOTHING,
	AFTER_PUT,   /* the character goes out */
	AFTER_READY, /* the console may send input again */
};

static void lsr_set(struct uart *u, u32 clear, u32 set)
{
	u32 lsr = (ck_pr_load_32(&u->lsr) & ~clear) | set;
	u32 due = u->due & ~(IER_RX | IER_LINE);

	if (lsr & LSR_READY)
		due |= IER_RX;
	if (lsr & LSR_ERRORS)
		due |= IER_LINE;
	u->due = due;
	ck_pr_store_32(&u->lsr, lsr);
}

static void msr_set(struct uart *u, u32 msr)
{
	u->msr = msr;
	u->due &= ~IER_MODEM;
	if (msr & MSR_DELTAS)
		u->due |= IER_MODEM;
}

static u32 rx_room(const struct uart *u)
{
	return (u->fcr & FCR_ENABLE ? FIFO_BYTES : 1) - u->rx_count;
}

static u32 rx_trigger(const struct uart *u)
{
	static const u8 level[4] = { 1, 4, 8, 14 };

	if (!(u->fcr & FCR_ENABLE))
		return 1;
	return level[u->fcr >> FCR_TRIGGER_SHIFT];
}

/* The interrupt of the highest priority (table 5 of the data sheet). */
static u32 iir_of(const struct uart *u)
{
	u32 on = u->ier & u->due;

	if (on & IER_LINE)
		return IIR_LINE;
	if (on & IER_RX)
		return u->rx_count >= rx_trigger(u) ? IIR_RX : IIR_TIMEOUT;
	if (on & IER_THRE)
		return IIR_THRE;
	return on & IER_MODEM ? IIR_MODEM : IIR_NONE;
}

static inline __attribute__((always_inline)) void
level_update(struct emul_dev *dev, struct uart *u)
{
	bool level = u->ier & u->due;

	if (level == u->level)
		return;
	u->level = level;
	emul_irq_set(dev, level);
}

/* Is it time to ask the console for what it kept? */
static u32 after_room(struct uart *u)
{
	if (!u->starved || u->rx_count || (u->mcr & MCR_LOOP))
		return AFTER_NOTHING;
	u->starved = false;
	return AFTER_READY;
}

static void rx_clear(struct uart *u)
{
	u->rx_head = 0;
	u->rx_count = 0;
	lsr_set(u, LSR_READY, 0);
}

/* There is room. */
static void rx_put(struct uart *u, u8 ch)
{
	u->rx[(u->rx_head + u->rx_count++) % FIFO_BYTES] = ch;
	lsr_set(u, 0, LSR_READY);
}

static u8 rx_get(struct uart *u)
{
	if (!u->rx_count)
		return u->rbr;
	u->rbr = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % FIFO_BYTES;
	if (!--u->rx_count)
		lsr_set(u, LSR_READY, 0);
	return u->rbr;
}

/* A full FIFO keeps what it has, the single register takes the new one. */
static void rx_loop(struct uart *u, u8 ch)
{
	if (!rx_room(u)) {
		lsr_set(u, 0, LSR_OVERRUN);
		if (!(u->fcr & FCR_ENABLE))
			u->rx[u->rx_head] = ch;
		return;
	}
	rx_put(u, ch);
}

/* The modem's inputs: a ready peer, or in loopback our own outputs. */
static void modem_update(struct uart *u)
{
	u32 old = u->msr, now = MSR_DCD | MSR_DSR | MSR_CTS;
	u32 changed;

	if (u->mcr & MCR_LOOP) {
		now = (u->mcr & MCR_RTS ? MSR_CTS : 0) |
		      (u->mcr & MCR_DTR ? MSR_DSR : 0) |
		      (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
		      (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
	}
	changed = (old ^ now) >> 4 & MSR_DELTAS;
	if (now & MSR_RI)
		changed &= ~MSR_DELTA_RI; /* its trailing edge only */
	msr_set(u, now | (old & MSR_DELTAS) | changed);
}

static void fcr_write(struct uart *u, u8 val)
{
	/* Without the enable bit the others are not programmed. */
	if (!(val & FCR_ENABLE))
		val = 0;
	if (((val ^ u->fcr) & FCR_ENABLE) || (val & FCR_CLEAR_RX)) {
		rx_clear(u);
		u->starved = true;
	}
	u->fcr = val & (FCR_ENABLE | FCR_DMA | 3u << FCR_TRIGGER_SHIFT);
}

static void ier_write(struct uart *u, u8 val)
{
	u->due |= val & ~u->ier & IER_THRE; /* enabled while empty, as always */
	if (val & ~u->ier & IER_RX)
		u->starved = true;
	u->ier = val & IER_MASK;
}

static u32 thr_write(struct uart *u, u8 ch)
{
	u->due |= IER_THRE;
	if (!(u->mcr & MCR_LOOP))
		return AFTER_PUT;
	rx_loop(u, ch);
	return AFTER_NOTHING;
}

static u32 iir_read(struct uart *u)
{
	u32 iir = iir_of(u);

	if (iir == IIR_THRE)
		u->due &= ~IER_THRE;
	return iir | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static u32 reg_read(struct uart *u, u64 reg)
{
	bool dlab = u->lcr & LCR_DLAB;
	u32 val;

	switch (reg) {
	case REG_DATA:
		return dlab ? u->dll : rx_get(u);
	case REG_IER:
		return dlab ? u->dlm : u->ier;
	case REG_IIR:
		return iir_read(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		val = ck_pr_load_32(&u->lsr);
		lsr_set(u, LSR_ERRORS, 0);
		return val;
	case REG_MSR:
		val = u->msr;
		msr_set(u, val & ~MSR_DELTAS);
		return val;
	default:
		return u->scr;
	}
}

/* Returns what is to be done after the lock was let go. */
static u32 reg_write(struct uart *u, u64 reg, u8 val)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (!dlab)
			return thr_write(u, val);
		u->dll = val;
		break;
	case REG_IER:
		if (dlab)
			u->dlm = val;
		else
			ier_write(u, val);
		break;
	case REG_IIR:
		fcr_write(u, val);
		break;
	case REG_LCR:
		u->lcr = val;
		break;
	case REG_MCR:
		u->mcr = val & MCR_MASK;
		modem_update(u);
		break;
	case REG_SCR:
		u->scr = val;
		break;
	}
	return after_room(u);
}

static __attribute__((noinline)) u64 read_locked(struct emul_dev *dev, u64 off)
{
	struct uart *u = dev->state;
	u32 after, val;

	ck_spinlock_lock(&u->lock);
	val = reg_read(u, off);
	level_update(dev, u);
	after = after_room(u);
	ck_spinlock_unlock(&u->lock);
	if (unlikely(after == AFTER_READY))
		guest_console_ready(dev->guest);
	return val;
}

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
	return likely(off <= REG_SCR) ? read_locked(dev, off) : 0;
}

/* Apart, so that a write that is not a character's needs no room for one. */
static __attribute__((noinline)) void put(struct emul_dev *dev, char ch)
{
	guest_console_put(dev->guest, &ch, 1);
}

static __attribute__((noinline)) void write_locked(struct emul_dev *dev,
						    u64 off, u64 val)
{
	struct uart *u = dev->state;
	u32 after;

	ck_spinlock_lock(&u->lock);
	after = reg_write(u, off, (u8)val);
	level_update(dev, u);
	ck_spinlock_unlock(&u->lock);
	if (after == AFTER_PUT)
		put(dev, (char)val);
	else if (after == AFTER_READY)
		guest_console_ready(dev->guest);
}

/* A character that goes out. */
static __attribute__((noinline)) void write_thr(struct emul_dev *dev, u64 val)
{
	struct uart *u = dev->state;

	ck_spinlock_lock(&u->lock);
	if (unlikely(u->lcr & LCR_DLAB || u->mcr & MCR_LOOP || u->starved)) {
		ck_spinlock_unlock(&u->lock);
		write_locked(dev, REG_DATA, val);
		return;
	}
	u->due |= IER_THRE;
	level_update(dev, u);
	ck_spinlock_unlock(&u->lock);
	put(dev, (char)val);
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
		write_locked(dev, REG_IER, val);
		return;
	}
	u->due |= on & IER_THRE;
	u->ier = val & IER_MASK;
	level_update(dev, u);
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
		write_locked(dev, off, val);
}

static size_t uart_input(struct emul_dev *dev, const char *buf, size_t len)
{
	struct uart *u = dev->state;
	size_t n = 0;

	ck_spinlock_lock(&u->lock);
	/* In loopback the chip's input is not connected. */
	if (!(u->mcr & MCR_LOOP))
		n = MIN(len, rx_room(u));
	for (size_t i = 0; i < n; i++)
		rx_put(u, (u8)buf[i]);
	if (n < len)
		u->starved = true;
	level_update(dev, u);
	ck_spinlock_unlock(&u->lock);
	return n;
}

static int uart_init(struct emul_dev *dev)
{
	struct uart *u = dev->state;

	ck_spinlock_init(&u->lock);
	return 0;
}

/* Master reset (table 3 of the data sheet); the divisor is 9600 baud's. */
static void uart_reset(struct emul_dev *dev)
{
	struct uart *u = dev->state;
	u32 after;

	ck_spinlock_lock(&u->lock);
	ck_pr_store_32(&u->lsr, LSR_EMPTY);
	rx_clear(u);
	u->rbr = 0;
	u->ier = 0;
	u->fcr = 0;
	u->lcr = 0;
	u->mcr = 0;
	u->msr = MSR_DCD | MSR_DSR | MSR_CTS;
	u->scr = 0;
	u->dll = CLOCK_HZ / 16 / 9600;
	u->dlm = 0;
	u->due = 0;
	level_update(dev, u);
	after = after_room(u);
	ck_spinlock_unlock(&u->lock);
	if (after == AFTER_READY)
		guest_console_ready(dev->guest);
}

static int uart_describe(struct emul_dev *dev, void *fdt)
{
	(void)dev;
	return fdt_property_u32(fdt, "clock-frequency", CLOCK_HZ);
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
	.reset = uart_reset,
	.read = uart_read,
	.write = uart_write,
	.input = uart_input,
	.describe = uart_describe,
};

EMUL_DEVICE(uart_ops);
