/*
 * The chip: an NS16550A's registers, receiver and interrupts. Source: National
 * Semiconductor, PC16550D data sheet (registers in section 8, FIFO modes in 8.4
 * to 8.6).
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
 * In loopback a character comes back with as many bits as LCR gives it, and
 * never with an error but an overrun: both ends have the same parity and stop
 * bits, and a break "acts only on SOUT and has no effect on the transmitter
 * logic" (8.1), while what loops back is the shift register's output (8.8).
 * What goes to the console and comes from it has 8 bits whatever LCR says, and
 * a break is not passed on: there is no line behind it, and a guest that never
 * sets LCR is to be read all the same.
 *
 * What interrupts there could be is kept in a byte with IER's bits, so the line
 * is up if the two have a bit in common.
 *
 * Invariants. All state is under one lock, held for a few dozen instructions,
 * and the line changes under it, so levels reach the controller in the order in
 * which they were computed. guest_console_put and guest_console_ready are
 * called without it.
 *
 * Rejected. Transmitting at the speed of DLL/DLM: makes guests slow and needs a
 * timer. A queue of the transmitter's own: the console has a ring.
 */
#include "emul/uart_chip.h"

#include "emul/emul.h"
#include "kernel/guest.h"

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

/*
 * A full FIFO keeps what it has, the single register takes the new one; above
 * the character's bits is nothing. Apart, so that other writes aren't longer.
 */
static __attribute__((noinline)) void rx_loop(struct uart *u, u8 ch)
{
	ch &= 0xffu >> (LCR_WORD - (u->lcr & LCR_WORD));
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

__attribute__((noinline)) u64 uart_chip_read(struct emul_dev *dev, u64 off)
{
	struct uart *u = dev->state;
	u32 after, val;

	ck_spinlock_lock(&u->lock);
	val = reg_read(u, off);
	uart_level_update(u);
	after = after_room(u);
	ck_spinlock_unlock(&u->lock);
	if (unlikely(after == AFTER_READY))
		guest_console_ready(dev->guest);
	return val;
}

/* Apart, so that a write that is not a character's needs no room for one. */
__attribute__((noinline)) void uart_chip_put(struct guest *g, char ch)
{
	guest_console_put(g, &ch, 1);
}

__attribute__((noinline)) void uart_chip_write(struct emul_dev *dev,
						    u64 off, u64 val)
{
	struct uart *u = dev->state;
	u32 after;

	ck_spinlock_lock(&u->lock);
	after = reg_write(u, off, (u8)val);
	uart_level_update(u);
	ck_spinlock_unlock(&u->lock);
	if (after == AFTER_PUT)
		uart_chip_put(dev->guest, (char)val);
	else if (after == AFTER_READY)
		guest_console_ready(dev->guest);
}

size_t uart_chip_input(struct emul_dev *dev, const char *buf, size_t len)
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
	uart_level_update(u);
	ck_spinlock_unlock(&u->lock);
	return n;
}

/* Master reset (table 3 of the data sheet); the divisor is 9600 baud's. */
void uart_chip_reset(struct emul_dev *dev)
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
	u->dll = UART_CLOCK_HZ / 16 / 9600;
	u->dlm = 0;
	u->due = 0;
	u->line = dev->line;
	uart_level_update(u);
	after = after_room(u);
	ck_spinlock_unlock(&u->lock);
	if (after == AFTER_READY)
		guest_console_ready(dev->guest);
}
