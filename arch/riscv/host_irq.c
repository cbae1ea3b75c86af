/*
 * The host's interrupt controllers, as little of them as Rouse needs.
 *
 * PLIC (1.0): the UART's line is enabled in the boot CPU's S context only.
 * AIA: each CPU's IMSIC file takes identity 1 as doorbell; the APLIC turns the
 * UART's line into a message with identity 2 for the boot CPU's file. Without
 * IMSICs the APLIC delivers to the boot hart directly.
 *
 * A level-sensitive line that goes by message needs one more look after the
 * device was served: the APLIC sends one message for each rise, so the UART's
 * handler reads until nothing is left.
 */
#include "arch/riscv/host_irq.h"

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/doorbell.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/uart.h"
#include "kernel/arch.h"

#define UART_IMSIC_ID 2

/* PLIC 1.0, chapter 3 */
#define PLIC_ENABLE(ctx) (0x2000 + 0x80 * (ctx))
#define PLIC_THRESHOLD(ctx) (0x200000 + 0x1000 * (ctx))
#define PLIC_CLAIM(ctx) (0x200004 + 0x1000 * (ctx))

/* IMSIC, indirect registers (AIA 3.8) */
#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIE0 0xc0

/* APLIC (AIA 4.5) */
#define APLIC_DOMAINCFG 0x0000
#define APLIC_SOURCECFG(i) (0x0004 + 4 * ((i) - 1))
#define APLIC_SETIENUM 0x1edc
#define APLIC_TARGET(i) (0x3004 + 4 * ((i) - 1))
#define DOMAINCFG_DM (1u << 2)
#define DOMAINCFG_IE (1u << 8)
#define SOURCECFG_LEVEL_HIGH 6
#define IDC_IDELIVERY(k) (0x4000 + 32 * (k))
#define IDC_ITHRESHOLD(k) (0x4008 + 32 * (k))
#define IDC_CLAIMI(k) (0x401c + 32 * (k))
#define DIRECT_PRIORITY 1

static volatile u32 *plic, *aplic;
static u32 imsic_regions;
static struct { volatile u32 *base; u64 bytes; } imsic[64];

static bool has_imsic(void)
{
	return machine.imsic_node >= 0;
}

const char *host_irq_name(void)
{
	return has_imsic() ? "aplic-imsic" : plic ? "plic" :
	       aplic ? "aplic" : "none";
}

static void imsic_map(void)
{
	struct mmio m;

	for (u32 i = 0; i < ARRAY_LEN(imsic) &&
	     machine_reg(machine.fdt, machine.imsic_node, i, &m) == 0; i++) {
		imsic[i].base = mm_map_device(m.base, m.bytes);
		imsic[i].bytes = m.bytes;
		imsic_regions++;
	}
}

void host_irq_init(void)
{
	if (has_imsic())
		imsic_map();
	if (machine.aplic.bytes)
		aplic = mm_map_device(machine.aplic.base, machine.aplic.bytes);
	else if (machine.plic.bytes)
		plic = mm_map_device(machine.plic.base, machine.plic.bytes);
}

static void imsic_write(u64 reg, u64 val)
{
	csr_write(CSR_SISELECT, reg);
	csr_write(CSR_SIREG, val);
}

/* A hart's file is the k-th of the regions laid end to end, where k is its
 * place in the IMSIC's `interrupts-extended` (AIA 3.6). */
static int imsic_cpu_init(struct riscv_cpu *c, u32 intc)
{
	int k = machine_ext_index(machine.fdt, machine.imsic_node, intc,
				  IRQ_SEI);
	u64 at = (u64)k << (PAGE_SHIFT + machine.imsic_guest_bits);

	for (u32 i = 0; k >= 0 && i < imsic_regions; i++) {
		if (at < imsic[i].bytes) {
			c->irq_context = (u32)k;
			c->imsic = imsic[i].base + at / 4;
			return 0;
		}
		at -= imsic[i].bytes;
	}
	return -ENOENT;
}

/* Are the controller's registers of context, or hart, k within its window? */
static bool has_context(u64 k)
{
	return plic ? PLIC_CLAIM(k) + 4 <= machine.plic.bytes :
		      IDC_CLAIMI(k) + 4 <= machine.aplic.bytes;
}

int host_irq_cpu_init(struct riscv_cpu *c, u32 intc)
{
	if (has_imsic())
		return imsic_cpu_init(c, intc);
	if (plic || aplic) {
		int node = plic ? machine.plic_node : machine.aplic_node;
		int i = machine_ext_index(machine.fdt, node, intc, IRQ_SEI);

		c->irq_context = i >= 0 && has_context((u64)i) ? (u32)i :
								 UINT32_MAX;
	}
	return 0;
}

void host_irq_local_init(struct riscv_cpu *c)
{
	if (has_imsic()) {
		imsic_write(EIE0, 1u << DOORBELL_IMSIC_ID |
				  1u << UART_IMSIC_ID);
		imsic_write(EITHRESHOLD, 0);
		imsic_write(EIDELIVERY, 1);
	} else if (c->irq_context == UINT32_MAX) {
		return;
	} else if (plic) {
		plic[PLIC_THRESHOLD(c->irq_context) / 4] = 0;
	} else if (aplic) {
		aplic[IDC_ITHRESHOLD(c->irq_context) / 4] = 0;
		aplic[IDC_IDELIVERY(c->irq_context) / 4] = 1;
	}
}

static void plic_enable(u32 context, u32 irq)
{
	plic[irq] = 1; /* priority */
	plic[PLIC_ENABLE(context) / 4 + irq / 32] |= 1u << irq % 32;
}

/* Target (AIA 4.5.16): by message, the hart's index in the IMSIC's numbering
 * and an identity; directly, its index in the APLIC's and a priority. */
static void aplic_enable(u32 index, u32 irq)
{
	aplic[APLIC_SOURCECFG(irq) / 4] = SOURCECFG_LEVEL_HIGH;
	aplic[APLIC_TARGET(irq) / 4] = index << 18 |
		(has_imsic() ? UART_IMSIC_ID : DIRECT_PRIORITY);
	aplic[APLIC_SETIENUM / 4] = irq;
	aplic[APLIC_DOMAINCFG / 4] = DOMAINCFG_IE |
				     (has_imsic() ? DOMAINCFG_DM : 0);
}

void host_irq_enable_uart(struct riscv_cpu *c)
{
	u32 irq = machine.uart_irq;

	if (!machine.uart.bytes || !irq)
		return;
	if (c->irq_context == UINT32_MAX)
		return;
	if (aplic && irq <= machine.aplic_sources)
		aplic_enable(c->irq_context, irq);
	else if (plic && irq <= machine.plic_ndev)
		plic_enable(c->irq_context, irq);
}

static void plic_take(struct riscv_cpu *c)
{
	u32 irq;

	while ((irq = plic[PLIC_CLAIM(c->irq_context) / 4])) {
		if (irq == machine.uart_irq)
			uart_irq();
		plic[PLIC_CLAIM(c->irq_context) / 4] = irq;
	}
}

static void aplic_take(struct riscv_cpu *c)
{
	u32 top;

	while ((top = aplic[IDC_CLAIMI(c->irq_context) / 4]))
		if (top >> 16 == machine.uart_irq)
			uart_irq();
}

static __attribute__((noinline)) void others_take(struct riscv_cpu *c)
{
	if (has_imsic())
		uart_irq();
	else if (c->irq_context == UINT32_MAX)
		return;
	else if (plic)
		plic_take(c);
	else if (aplic)
		aplic_take(c);
}

void host_irq_take(void)
{
	/* A claim takes the top identity, the doorbell's first, which needs no
	 * more than that. What is below it stays pending, and is taken at the
	 * next look. */
	if (has_imsic() && csr_swap(CSR_STOPEI, 0) >> 16 != UART_IMSIC_ID)
		return;
	others_take(riscv_this());
}

void arch_host_irq(void)
{
	/* Asked each round of the loop: usually there is nothing, and a CSR is
	 * cheaper to ask than a device. */
	if (csr_read(CSR_SIP) & IRQ_BIT(IRQ_SEI))
		host_irq_take();
}
