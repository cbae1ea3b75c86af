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
 *
 * Who ran before Rouse may have left anything enabled, and a line that nobody
 * serves stays high for ever: so each CPU clears what its own context has, the
 * boot CPU all sources of the APLIC's domain, which is ours. If a source that
 * isn't ours comes all the same it is switched off, and told of. Each does that
 * once at most, so whoever claims more often than there are sources has a
 * controller that doesn't do as it is told: this CPU takes nothing of it any
 * more (context_drop). Doorbells then don't come this way, and the console is
 * polled.
 */
#include "arch/riscv/host_irq.h"

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/doorbell.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/uart.h"
#include "arch/riscv/vhw_irq.h"
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/mem.h"

#define UART_IMSIC_ID 2

/* Of one look: all sources that there may be, and one too many. */
#define CLAIMS_MOST 1024u

/* PLIC 1.0, chapter 3 */
#define PLIC_ENABLE(ctx) (0x2000 + 0x80 * (ctx))
#define PLIC_THRESHOLD(ctx) (0x200000 + 0x1000 * (ctx))
#define PLIC_CLAIM(ctx) (0x200004 + 0x1000 * (ctx))

/* IMSIC, indirect registers (AIA 3.8) */
#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIE(id) (0xc0 + (id) / 64 * 2) /* RV64 has the even ones only */

/* APLIC (AIA 4.5) */
#define APLIC_DOMAINCFG 0x0000
#define APLIC_SOURCECFG(i) (0x0004 + 4 * ((i) - 1))
#define APLIC_SETIENUM 0x1edc
#define APLIC_TARGET(i) (0x3004 + 4 * ((i) - 1))
#define DOMAINCFG_DM (1u << 2)
#define DOMAINCFG_IE (1u << 8)
#define SOURCECFG_LEVEL_HIGH 6
#define IDC_IDELIVERY(k) (0x4000 + 32 * (k))
#define IDC_IFORCE(k) (0x4004 + 32 * (k))
#define IDC_ITHRESHOLD(k) (0x4008 + 32 * (k))
#define IDC_CLAIMI(k) (0x401c + 32 * (k))
#define TARGET_HART_MOST 0x3fffu
#define DIRECT_PRIORITY 1

static volatile u32 *plic, *aplic;
static u32 imsic_regions;
static struct imsic_region {
	struct mmio at;
	volatile u32 *base;
} *imsic;

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
	u32 n = 0;

	while (machine_reg(machine.fdt, machine.imsic_node, n, &m) == 0)
		n++;
	imsic = obj_alloc(n * sizeof(*imsic));
	for (u32 i = 0; imsic && i < n; i++) {
		if (machine_reg(machine.fdt, machine.imsic_node, i, &m))
			break;
		imsic[i].at = m;
		imsic[i].base = mm_map_device(m.base, m.bytes);
		imsic_regions++;
	}
}

static void aplic_clear(void)
{
	vhw_irq_write(aplic + APLIC_DOMAINCFG / 4, 0);
	for (u32 i = 1; i <= machine.aplic_sources; i++)
		vhw_irq_write(aplic + APLIC_SOURCECFG(i) / 4, 0);
}

void host_irq_init(void)
{
	if (has_imsic())
		imsic_map();
	if (machine.aplic.bytes)
		aplic = mm_map_device(machine.aplic.base, machine.aplic.bytes);
	else if (machine.plic.bytes)
		plic = mm_map_device(machine.plic.base, machine.plic.bytes);
	if (aplic)
		aplic_clear();
}

/* What the APLIC calls the hart whose file is there: the number of its group
 * above its own in that, as the address has both (AIA 3.6, 4.9.1). The tree's
 * list of harts has no gaps; where a group isn't full these numbers have. */
static u32 msi_hart_index(u64 file_pa)
{
	u64 hart = file_pa >> (PAGE_SHIFT + machine.imsic_guest_bits);
	u64 group = file_pa >> machine.imsic_group_shift;

	hart &= (1u << machine.imsic_hart_bits) - 1;
	group &= (1u << machine.imsic_group_bits) - 1;
	hart |= group << machine.imsic_hart_bits;
	return hart <= TARGET_HART_MOST ? (u32)hart : UINT32_MAX;
}

/* A hart's file is the k-th of the regions laid end to end, where k is its
 * place in the IMSIC's `interrupts-extended` (AIA 3.6). The last one of a
 * region may lack the room for guests' files. */
static int imsic_cpu_init(struct riscv_cpu *c, u32 intc)
{
	int k = machine_ext_index(machine.fdt, machine.imsic_node, intc,
				  IRQ_SEI);
	u64 each = PAGE_BYTES << machine.imsic_guest_bits, at = (u64)k * each;

	for (u32 i = 0; k >= 0 && i < imsic_regions; i++) {
		const struct imsic_region *r = &imsic[i];

		if (at < r->at.bytes) {
			c->irq_context = msi_hart_index(r->at.base + at);
			c->imsic = r->base + at / 4;
			return 0;
		}
		at -= ALIGN_UP(r->at.bytes, each);
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

static void imsic_local_init(void)
{
	vhw_imsic_write(EIE(0), 1u << DOORBELL_IMSIC_ID | 1u << UART_IMSIC_ID);
	for (u32 id = 64; id <= machine.imsic_ids; id += 64)
		if (!vhw_imsic_clear(EIE(id)))
			break; /* there are fewer than the tree says */
	vhw_imsic_write(EITHRESHOLD, 0);
	vhw_imsic_write(EIDELIVERY, 1);
}

static void plic_local_init(u32 context)
{
	for (u32 irq = 0; irq <= machine.plic_ndev; irq += 32)
		vhw_irq_write(plic + PLIC_ENABLE(context) / 4 + irq / 32, 0);
	vhw_irq_write(plic + PLIC_THRESHOLD(context) / 4, 0);
}

static void aplic_local_init(u32 index)
{
	vhw_irq_write(aplic + IDC_IFORCE(index) / 4, 0);
	vhw_irq_write(aplic + IDC_ITHRESHOLD(index) / 4, 0);
	vhw_irq_write(aplic + IDC_IDELIVERY(index) / 4, 1);
}

void host_irq_local_init(struct riscv_cpu *c)
{
	if (has_imsic())
		imsic_local_init();
	else if (c->irq_context == UINT32_MAX)
		return;
	else if (plic)
		plic_local_init(c->irq_context);
	else if (aplic)
		aplic_local_init(c->irq_context);
}

/* Of a CPU's own context: nobody else writes these words. */
static void plic_switch(u32 context, u32 irq, bool on)
{
	volatile u32 *word = plic + PLIC_ENABLE(context) / 4 + irq / 32;
	u32 bit = 1u << irq % 32, bits = vhw_irq_read(word);

	vhw_irq_write(word, on ? bits | bit : bits & ~bit);
}

static void plic_enable(u32 context, u32 irq)
{
	vhw_irq_write(plic + irq, 1); /* priority */
	plic_switch(context, irq, true);
}

/* Target (AIA 4.5.16): by message, the hart's index in the files' addresses and
 * an identity; directly, its index in the APLIC's list and a priority. */
static void aplic_enable(u32 index, u32 irq)
{
	vhw_irq_write(aplic + APLIC_SOURCECFG(irq) / 4, SOURCECFG_LEVEL_HIGH);
	vhw_irq_write(aplic + APLIC_TARGET(irq) / 4, index << 18 |
		      (has_imsic() ? UART_IMSIC_ID : DIRECT_PRIORITY));
	vhw_irq_write(aplic + APLIC_SETIENUM / 4, irq);
	vhw_irq_write(aplic + APLIC_DOMAINCFG / 4, DOMAINCFG_IE |
		      (has_imsic() ? DOMAINCFG_DM : 0));
}

bool host_irq_enable_uart(struct riscv_cpu *c)
{
	u32 irq = machine.uart_irq;

	if (!machine.uart.bytes || !irq || c->irq_context == UINT32_MAX)
		return false;
	if (aplic && irq <= machine.aplic_sources)
		aplic_enable(c->irq_context, irq);
	else if (plic && irq <= machine.plic_ndev)
		plic_enable(c->irq_context, irq);
	else
		return false;
	return true;
}

static u32 claim(u32 context)
{
	if (plic)
		return vhw_irq_read(plic + PLIC_CLAIM(context) / 4);
	return vhw_irq_read(aplic + IDC_CLAIMI(context) / 4) >> 16;
}

/* After it was completed: a PLIC hears of that only what is enabled. */
static __attribute__((cold, noinline)) void
stray_off(const struct riscv_cpu *c, u32 irq)
{
	if (irq > (plic ? machine.plic_ndev : machine.aplic_sources))
		return;
	if (plic)
		plic_switch(c->irq_context, irq, false);
	else
		vhw_irq_write(aplic + APLIC_SOURCECFG(irq) / 4, 0);
	log_warn("CPU %u: interrupt source %u is none of Rouse's: switched off",
		 c->c.index, irq);
}

static __attribute__((cold, noinline)) void
context_drop(struct riscv_cpu *c, u32 irq)
{
	vhw_sei_off();
	c->irq_context = UINT32_MAX;
	if (irq == machine.uart_irq)
		uart_irq_lost();
	log_error("CPU %u: interrupt source %u can't be switched off: the CPU "
		  "takes no device's any more", c->c.index, irq);
}

static void sources_take(struct riscv_cpu *c)
{
	u32 irq = 0;

	for (u32 n = 0; n < CLAIMS_MOST; n++) {
		irq = claim(c->irq_context);
		if (!irq)
			return;
		if (irq == machine.uart_irq)
			uart_irq();
		if (plic)
			vhw_irq_write(plic + PLIC_CLAIM(c->irq_context) / 4,
				      irq);
		if (irq != machine.uart_irq)
			stray_off(c, irq);
	}
	context_drop(c, irq);
}

static void identity_take(const struct riscv_cpu *c, u64 id)
{
	if (id == UART_IMSIC_ID) {
		uart_irq();
	} else if (id && id <= machine.imsic_ids) {
		vhw_imsic_write(EIE(id), vhw_imsic_read(EIE(id)) &
					 ~(1UL << id % 64));
		log_warn("CPU %u: interrupt identity %u is none of Rouse's: "
			 "switched off", c->c.index, (u32)id);
	}
}

static __attribute__((noinline)) void others_take(struct riscv_cpu *c, u64 id)
{
	if (has_imsic())
		identity_take(c, id);
	else if (c->irq_context != UINT32_MAX && (plic || aplic))
		sources_take(c);
}

void host_irq_take(void)
{
	u64 id = 0;

	/* A claim takes the top identity, the doorbell's first, which needs no
	 * more than that. What is below it stays pending, and is taken at the
	 * next look. */
	if (has_imsic()) {
		id = vhw_imsic_claim() >> 16;
		if (id == DOORBELL_IMSIC_ID)
			return;
	}
	others_take(riscv_this(), id);
}

void arch_host_irq(void)
{
	/* Asked each round of the loop: usually there is nothing, and a CSR is
	 * cheaper to ask than a device. */
	if (vhw_sei_pends())
		host_irq_take();
}
