/*
 * The host's time: the timebase, the waiting for this CPU's one-shot timer
 * (oneshot.c), and the wall clock at boot.
 */
#include "arch/riscv/clock.h"

#include <libfdt.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/host_irq.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/sbi.h"
#include "arch/riscv/vhw.h"
#include "kernel/arch.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/time.h"

/* Goldfish RTC: reading the low word latches the high one. */
#define RTC_TIME_LOW 0
#define RTC_TIME_HIGH 1

u64 timebase_hz;
static u64 wall_at_boot_ns, boot_ticks;
static bool sstc_unused; /* the harts have it, and were told not to use it */

u64 time_now_ticks(void)
{
	return csr_read(CSR_TIME);
}

u64 host_wall_ns(void)
{
	return wall_at_boot_ns + ticks_to_ns(time_now_ticks() - boot_ticks);
}

void clock_init(void)
{
	int node = fdt_node_offset_by_compatible(machine.fdt, -1,
						 "google,goldfish-rtc");
	volatile u32 *rtc;
	struct mmio m;

	boot_ticks = time_now_ticks();
	if (node < 0 || machine_regs(machine.fdt, node, 8, &m))
		return;
	rtc = mm_map_device(m.base, m.bytes);
	wall_at_boot_ns = rtc[RTC_TIME_LOW];
	wall_at_boot_ns |= (u64)rtc[RTC_TIME_HIGH] << 32;
}

const char *clock_name(void)
{
	return riscv_has_sstc ? "sstc" : "sbi";
}

void clock_leave_sstc(void)
{
	sstc_unused = true;
}

void clock_cpu_init(void)
{
	/* With henvcfg.STCE clear the guest's comparator has no say in VSTIP
	 * (Sstc, chapter 4), but QEMU still compares it, and it is 0 at
	 * reset: a guest would drown in timer interrupts. */
	if (sstc_unused)
		csr_write(CSR_VSTIMECMP, TIME_NEVER);
	oneshot_init(&riscv_this()->timer);
}

void arch_timer_set(u64 deadline_ticks)
{
	struct oneshot *t = &riscv_this()->timer;

	/* A CSR is written sooner than compared with what it is set to. */
	if (likely(riscv_has_sstc)) {
		t->ticks = deadline_ticks;
		vhw_oneshot_write(deadline_ticks);
	} else {
		oneshot_set(t, deadline_ticks);
	}
}

/* Apart, so that what ends a wait finds no frame to take down. */
static __attribute__((noinline)) void irqs_take(u64 pending)
{
	if (pending & IRQ_BIT(IRQ_STI))
		oneshot_pends(&riscv_this()->timer);
	if (pending & IRQ_BIT(IRQ_SEI))
		host_irq_take();
}

static __attribute__((noinline)) void wait(void)
{
	u64 pending;

	__asm__ volatile("wfi" ::: "memory");
	/* The doorbell, if it is not the IMSIC's, which comes as SEI. */
	pending = csr_read_clear(CSR_SIP, IRQ_BIT(IRQ_SSI));
	if (pending & (IRQ_BIT(IRQ_STI) | IRQ_BIT(IRQ_SEI)))
		irqs_take(pending);
}

void arch_timer_no_later(u64 deadline_ticks)
{
	vhw_timer_no_later(deadline_ticks);
}

void arch_wait(void)
{
	/* A guest that is being destroyed waits for every hgatp. */
	arch_guest_let_go();
	wait();
}

bool vhw_bell_wait(void)
{
	/* Nothing of the guest's may end the wait. */
	u64 vsie = csr_swap(CSR_VSIE, 0), pending;

	__asm__ volatile("wfi" ::: "memory");
	csr_write(CSR_VSIE, vsie);
	pending = csr_read(CSR_SIP);
	if (pending & IRQ_BIT(IRQ_STI))
		return false;
	if (pending & IRQ_BIT(IRQ_SEI))
		host_irq_take();
	return cpu_guest_bell(cpu_this());
}
