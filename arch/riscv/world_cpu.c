/*
 * What guests find in a CPU's CSRs whoever they are: set when the CPU comes up.
 * The world switch (world.c) touches of it only what a vCPU has otherwise.
 *
 * Everything VS-mode can take by itself is delegated, so that only what needs
 * the hypervisor comes to it. Of some features it must be tried what the hart
 * has; that is kept in its struct riscv_cpu.
 */
#include "arch/riscv/world.h"

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/triggers.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vs.h"
#include "arch/riscv/vsbi.h"
#include "kernel/cmdline.h"

/* All that VS-mode can take itself (Privileged ISA 15.2.2). */
#define DELEGATED                                                       \
	(1UL << CAUSE_INST_MISALIGNED | 1UL << CAUSE_INST_ACCESS |      \
	 1UL << CAUSE_ILLEGAL | 1UL << CAUSE_BREAKPOINT |               \
	 1UL << CAUSE_LOAD_MISALIGNED | 1UL << CAUSE_LOAD_ACCESS |      \
	 1UL << CAUSE_STORE_MISALIGNED | 1UL << CAUSE_STORE_ACCESS |    \
	 1UL << CAUSE_ECALL_U | 1UL << CAUSE_INST_PAGE |                \
	 1UL << CAUSE_LOAD_PAGE | 1UL << CAUSE_STORE_PAGE)

void world_cpu_init(struct riscv_cpu *c)
{
	mmio_htinst_off = cmdline_is("htinst", "off");
	csr_write(CSR_HEDELEG, DELEGATED);
	csr_write(CSR_HIDELEG, IRQ_BIT(IRQ_VSSI) | IRQ_BIT(IRQ_VSTI) |
				       IRQ_BIT(IRQ_VSEI));
	vhw_hcounteren_set(GUEST_COUNTERS);
	csr_write(CSR_HGEIE, 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HIE, 0);
	c->htimedelta = 0;
	csr_write(CSR_HTIMEDELTA, 0);
	c->vs_more = (isa_has(ISA_SMSTATEEN) ? MORE_SSTATEEN0 : 0) |
		     (isa_has(ISA_SSCSRIND) ? MORE_VSISELECT : 0) |
		     (isa_untold ? MORE_UNTOLD : 0);
	if (c->vs_more == MORE_VSISELECT)
		c->vs_more |= MORE_ALONE;
	c->henvcfg = isa_guest_henvcfg();
	fwft_probe(c->henvcfg);
	triggers_probe(c);
	if (isa_has(ISA_SMSTATEEN))
		csr_write(CSR_HSTATEEN0, STATEEN0_SENVCFG | STATEEN0_SE0);
	if (isa_has(ISA_SSAIA))
		csr_write(CSR_HVICTL, 0);
	csr_write(CSR_SIE, IRQ_BIT(IRQ_SSI) | IRQ_BIT(IRQ_STI) |
				   IRQ_BIT(IRQ_SEI));
}
