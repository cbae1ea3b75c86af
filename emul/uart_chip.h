/*
 * The UART's chip, as uart.c has it: registers, state, and the ways that know
 * all of its corners. Private to emul/uart.c.
 */
#ifndef ROUSE_EMUL_UART_CHIP_H
#define ROUSE_EMUL_UART_CHIP_H

#include <ck_pr.h>
#include <ck_spinlock.h>

#include "emul/emul.h"
#include "kernel/base.h"

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

#define LCR_WORD 0x03u /* the character's bits, from 5 on */
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
#define UART_CLOCK_HZ 3686400u

struct guest;

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

	/* Constant from the first reset on; `line` is that of `dev`. */
	struct emul_dev *dev;
	struct emul_line *line;
};

/* The line follows IER and what is due. With the lock. */
static inline __attribute__((always_inline)) void
uart_level_update(struct uart *u)
{
	bool level = u->ier & u->due;

	if (level == u->level)
		return;
	u->level = level;
	emul_line_set(&u->dev, &u->line, level);
}

/* Any register, 0 to 7, as the data sheet has it. Without the lock; any CPU. */
u64 uart_chip_read(struct emul_dev *dev, u64 off);
void uart_chip_write(struct emul_dev *dev, u64 off, u64 val);

/* A character goes out. Without the lock. */
void uart_chip_put(struct guest *g, char ch);

/* emul_ops.input and emul_ops.reset. */
size_t uart_chip_input(struct emul_dev *dev, const char *buf, size_t len);
void uart_chip_reset(struct emul_dev *dev);

#endif
