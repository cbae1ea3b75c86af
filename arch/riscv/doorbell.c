/*
 * Ringing.
 *
 * Whatever made the bell necessary must be visible before it rings: stores to
 * memory are ordered before the store to a device (or the call) by
 * `fence w,o`, which is not one of Concurrency Kit's fences since those order
 * memory only. It pairs with the full fence in the target's doorbell_answered
 * (kernel/percpu/doorbell.h).
 *
 * Acknowledging: SSIP for SSWI and SBI; for the IMSIC reading the top
 * interrupt claims it, which arch_host_irq does, so that the device
 * interrupts that come the same way are not lost.
 */
#include "arch/riscv/doorbell.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/host_irq.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/sbi.h"
#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/panic.h"

enum bell { BELL_IMSIC, BELL_SSWI, BELL_SBI };

static enum bell bell;
static volatile u32 *sswi_regs;

static bool available(enum bell b)
{
	return b == BELL_IMSIC ? machine.imsic_node >= 0 :
	       b == BELL_SSWI ? machine.sswi_node >= 0 : sbi_probe(SBI_EXT_IPI);
}

static const char *const names[] = { "imsic", "sswi", "sbi" };

const char *doorbell_name(void)
{
	return names[bell];
}

bool doorbell_is_firmware(void)
{
	return bell == BELL_SBI;
}

void doorbell_init(void)
{
	size_t len;
	const char *forced = cmdline_get("doorbell", &len);
	u32 b;

	for (b = BELL_IMSIC; b <= BELL_SBI; b++)
		if (forced ? cmdline_is("doorbell", names[b]) :
			     available((enum bell)b))
			break;
	if (b > BELL_SBI && !forced)
		refuse("this machine has no doorbell: neither IMSICs nor "
		       "ACLINT SSWI, and its firmware has no IPI extension");
	if (b > BELL_SBI)
		refuse("doorbell=%.*s: expected imsic, sswi or sbi",
		       (int)len, forced);
	if (!available((enum bell)b))
		refuse("doorbell=%s: this machine has none", names[b]);
	bell = (enum bell)b;
	if (bell == BELL_SSWI)
		sswi_regs = mm_map_device(machine.sswi.base,
					  machine.sswi.bytes);
}

const char *doorbell_cpu_init(struct riscv_cpu *c, u32 intc)
{
	if (bell == BELL_SSWI) {
		int i = machine_ext_index(machine.fdt, machine.sswi_node,
					  intc, IRQ_SSI);

		if (i < 0 || (u64)i * 4 >= machine.sswi.bytes)
			return "is not wired to the ACLINT SSWI "
			       "(doorbell=sbi needs none)";
		c->sswi = sswi_regs + i;
	}
	if (host_irq_cpu_init(c, intc))
		return "has no S-level interrupt file in the IMSIC's node";
	c->ring = bell == BELL_IMSIC ? c->imsic :
		  bell == BELL_SSWI ? c->sswi : NULL;
	c->ring_value = bell == BELL_IMSIC ? DOORBELL_IMSIC_ID : 1;
	return NULL;
}

/* Once: to say it rings a CPU, perhaps the same. What the CPU doesn't hear of
 * is the watchdog's to tell. */
static __attribute__((cold, noinline)) void
ring_failed(const struct riscv_cpu *t, s64 error)
{
	static u32 said;

	if (ck_pr_fas_32(&said, 1) == 0)
		log_error("hart %lu: the firmware won't ring it (error %ld)",
			  t->hartid, (long)error);
}

/* A mask of the one hart at its base: the firmware looks at it bit by bit. No
 * more registers than the call has arguments: it is on the way of a wake. */
static inline void ring_by_sbi(const struct riscv_cpu *t)
{
	register u64 a1 __asm__("a1") = t->hartid;
	register u64 a0 __asm__("a0") = 1;
	register u64 a6 __asm__("a6") = 0;
	register u64 a7 __asm__("a7") = SBI_EXT_IPI;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
	if (unlikely(a0))
		ring_failed(t, (s64)a0);
}

void arch_doorbell_ring(struct cpu *target)
{
	struct riscv_cpu *t = riscv_cpu(target);

	__asm__ volatile("fence w, o" ::: "memory");
	if (likely(t->ring))
		*t->ring = t->ring_value;
	else if (target == cpu_this())
		csr_set(CSR_SIP, IRQ_BIT(IRQ_SSI)); /* all the firmware does */
	else
		ring_by_sbi(t);
}

void arch_doorbell_ack(void)
{
	if (bell == BELL_IMSIC)
		arch_host_irq();
	else
		csr_clear(CSR_SIP, IRQ_BIT(IRQ_SSI));
}
