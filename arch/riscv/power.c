/*
 * The end of the machine: SBI SRST (SBI 2.0, chapter 10), and on QEMU's
 * finisher device a status that scripts can read.
 *
 * SRST can say "failure" but QEMU turns that into no particular status; so
 * where the tree has a `sifive,test1` it is used for a failing end.
 */
#include "arch/riscv/power.h"

#include <libfdt.h>

#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/sbi.h"
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define FINISHER_PASS 0x5555
#define FINISHER_FAIL 0x3333
#define FINISHER_NS 5000000000

#define SRST_SHUTDOWN 0
#define SRST_COLD_REBOOT 1

static volatile u32 *finisher;

void power_init(void)
{
	int node = fdt_node_offset_by_compatible(machine.fdt, -1,
						 "sifive,test1");
	struct mmio m;

	if (node >= 0 && machine_regs(machine.fdt, node, 4, &m) == 0)
		finisher = mm_map_device(m.base, m.bytes);
}

/* Nobody has a way to end the machine: it stands still, and says so. */
_Noreturn static void halt(void)
{
	static const char text[] = "rouse: this machine and its firmware have "
				   "no way to power off; it is halted\n";

	arch_console_write(text, sizeof(text) - 1);
	for (;;)
		__asm__ volatile("wfi");
}

/* An exit status has 8 bits: what needs more must not end up as success.
 *
 * The finisher acts some time after the store. Going on to the firmware at
 * once would let its own store to the same device overtake the status. */
static void finisher_end(u32 status)
{
	u64 until = time_now_ticks() + ns_to_ticks(FINISHER_NS);
	volatile u32 *reg = finisher;

	/* Once: if it is not there, the panic that this is ends by the
	 * firmware. */
	finisher = NULL;
	*reg = status ? FINISHER_FAIL | MIN(status, 255u) << 16 :
			FINISHER_PASS;
	while (time_now_ticks() < until)
		;
}

_Noreturn void arch_poweroff(u32 status)
{
	if (finisher)
		finisher_end(status);
	sbi_call(SBI_EXT_SRST, 0, SRST_SHUTDOWN, status != 0, 0);
	sbi_call(8, 0, 0, 0, 0); /* legacy shutdown */
	halt();
}

void arch_reboot(void)
{
	struct sbi_ret r = sbi_call(SBI_EXT_SRST, 0, SRST_COLD_REBOOT, 0, 0);

	log_error("reboot: the firmware won't (error %ld)", (long)r.error);
}
