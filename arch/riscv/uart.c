/*
 * Bytes to and from whoever sits in front of the machine.
 *
 * Output waits for the transmitter only in arch_console_write, which is for
 * logs and panics; the console's task uses arch_console_write_some, which
 * takes what fits. The receiver's interrupt is switched off when it fires and
 * on again when the console has read the FIFO empty: so a flood of input costs
 * one exit a FIFO, and no byte is read in an exit.
 *
 * Before the UART is known, and where there is none, the firmware's debug
 * console (SBI 2.0, chapter 12) carries bytes. It has no interrupt, and that
 * of a UART may come to no CPU of ours: input is then polled by the console's
 * task.
 */
#include "arch/riscv/uart.h"

#include <ck_pr.h>

#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/sbi.h"
#include "kernel/arch.h"
#include "kernel/shell/console.h"
#include "kernel/mem.h"

#define RBR 0
#define THR 0
#define IER 1
#define FCR 2
#define LSR 5
#define IER_RX 0x01
#define FCR_ENABLE_CLEAR 0x07
#define LSR_DR 0x01
#define LSR_THRE 0x20
#define FIFO_BYTES 16

static volatile u8 *regs;
static u8 have_irq; /* atomic; only uart_irq_lost() changes it after boot */

static u32 reg_read(u32 r)
{
	u64 at = (u64)r << machine.uart_shift;

	if (machine.uart_width == 4)
		return *(volatile u32 *)(volatile void *)(regs + at);
	return regs[at];
}

static void reg_write(u32 r, u32 val)
{
	u64 at = (u64)r << machine.uart_shift;

	if (machine.uart_width == 4)
		*(volatile u32 *)(volatile void *)(regs + at) = val;
	else
		regs[at] = (u8)val;
}

void uart_init(void)
{
	if (!machine.uart.bytes)
		return;
	regs = mm_map_device(machine.uart.base, machine.uart.bytes);
	reg_write(IER, 0);
	reg_write(FCR, FCR_ENABLE_CLEAR);
}

const char *uart_name(void)
{
	return regs ? "ns16550a" : "sbi";
}

void uart_enable_irq(void)
{
	have_irq = true;
	reg_write(IER, IER_RX);
}

void uart_irq(void)
{
	reg_write(IER, 0);
	console_wake();
}

void uart_irq_lost(void)
{
	ck_pr_store_8(&have_irq, false);
	console_wake();
}

bool arch_console_has_irq(void)
{
	return ck_pr_load_8(&have_irq);
}

static void sbi_put(char ch)
{
	/* One byte a call: needs no address, so it works before paging too. */
	if (sbi_call(SBI_EXT_DBCN, 2, (u8)ch, 0, 0).error)
		sbi_call(1, 0, (u8)ch, 0, 0);
}

static void put(char ch)
{
	if (!regs) {
		sbi_put(ch);
		return;
	}
	while (!(reg_read(LSR) & LSR_THRE))
		;
	reg_write(THR, (u8)ch);
}

void arch_console_write(const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\n')
			put('\r');
		put(buf[i]);
	}
}

size_t arch_console_write_some(const char *buf, size_t len)
{
	size_t n = MIN(len, (size_t)FIFO_BYTES);

	if (regs && !(reg_read(LSR) & LSR_THRE))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (regs)
			reg_write(THR, (u8)buf[i]);
		else
			sbi_put(buf[i]);
	return n;
}

/* DBCN read wants a physical address: a byte of the image serves. */
static int sbi_get(void)
{
	static u8 byte;
	struct sbi_ret r = sbi_call(SBI_EXT_DBCN, 1, 1, ptr_hpa(&byte).v, 0);

	return r.error == 0 && r.value == 1 ? byte : -1;
}

int arch_console_read(void)
{
	if (!regs)
		return sbi_get();
	if (reg_read(LSR) & LSR_DR)
		return (int)(reg_read(RBR) & 0xff);
	if (arch_console_has_irq())
		reg_write(IER, IER_RX);
	/* A byte may have come between the look and the switch: with the line
	 * high it interrupts at once, so none is lost. */
	return -1;
}
