/*
 * Interrupt controllers with registers for some of the harts only: of the
 * others no register is touched. A controller's registers are as long as its
 * window, so that the address sanitizer sees each one behind it.
 */
/* sources: arch/riscv/machine.c arch/riscv/machine_irq.c arch/riscv/isa.c
 *	arch/riscv/range.c kernel/cmdline.c GUEST_FDT tests/unit/fake_lab.c
 *	LIBFDT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <libfdt.h>

#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#include "arch/riscv/host_irq.c"

#define HARTS	  4u
#define UART_LINE 10u

u64 timebase_hz;

u32 vhw_irq_read(volatile u32 *reg)
{
	return *reg;
}

void vhw_irq_write(volatile u32 *reg, u32 val)
{
	*reg = val;
}

/* There are no interrupt files, and nothing pends. */
u64 vhw_imsic_read(u64 reg)
{
	fail();
	return 0;
}

void vhw_imsic_write(u64 reg, u64 val)
{
	fail();
}

bool vhw_imsic_clear(u64 reg)
{
	fail();
	return false;
}

u64 vhw_imsic_claim(void)
{
	fail();
	return 0;
}

bool vhw_sei_pends(void)
{
	return false;
}

void vhw_sei_off(void)
{
	fail();
}

struct riscv_cpu *riscv_this(void)
{
	fail();
	return NULL;
}

void uart_irq_lost(void)
{
	fail();
}

void refuse(const char *fmt, ...)
{
	fail_msg("refused: %s", fmt);
	abort();
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

void uart_irq(void)
{
}

volatile void *mm_map_device(u64 base, u64 bytes)
{
	return calloc(1, bytes);
}

static char tree[4096];

/* All harts are wired to it, hart n by its phandle n + 1. */
static int controller(const char *compatible)
{
	fdt32_t to[2 * HARTS];

	for (u32 i = 0; i < HARTS; i++) {
		to[2 * i] = cpu_to_fdt32(i + 1);
		to[2 * i + 1] = cpu_to_fdt32(IRQ_SEI);
	}
	fdt_create(tree, sizeof(tree));
	fdt_finish_reservemap(tree);
	fdt_begin_node(tree, "");
	fdt_begin_node(tree, "chip");
	fdt_property_string(tree, "compatible", compatible);
	fdt_property(tree, "interrupts-extended", to, sizeof(to));
	fdt_end_node(tree);
	fdt_end_node(tree);
	assert_int_equal(fdt_finish(tree), 0);
	return fdt_path_offset(tree, "/chip");
}

/* Every hart comes up; those before `count` have registers. */
static void harts(u32 count)
{
	host_irq_init();
	for (u32 i = 0; i < HARTS; i++) {
		struct riscv_cpu c = { .hartid = i };

		assert_int_equal(host_irq_cpu_init(&c, i + 1), 0);
		assert_int_equal(c.irq_context, i < count ? i : UINT32_MAX);
		host_irq_local_init(&c);
		host_irq_enable_uart(&c);
	}
	free((void *)(plic ? plic : aplic));
	plic = aplic = NULL;
}

static void machine_of(const char *compatible)
{
	machine = (struct machine){ .fdt = tree, .plic_node = -1,
				    .aplic_node = -1, .imsic_node = -1,
				    .uart = { 0, 8 }, .uart_irq = UART_LINE };
	machine.plic_node = machine.aplic_node = controller(compatible);
	machine.plic_ndev = machine.aplic_sources = 1023;
}

static void a_hart_without_an_idc_has_no_interrupts(void **state)
{
	for (u64 bytes = 0x4000; bytes <= 0x4000 + 32 * HARTS; bytes += 4) {
		machine_of("riscv,aplic");
		machine.aplic.bytes = bytes;
		harts((u32)(bytes - 0x4000) / 32);
	}
}

static void a_hart_without_a_context_has_no_interrupts(void **state)
{
	for (u32 count = 0; count < HARTS; count++)
		for (u64 more = 0; more <= 8; more += 4) {
			machine_of("riscv,plic0");
			machine.plic.bytes = 0x200000 + 0x1000 * count + more;
			harts(count + (more == 8));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hart_without_an_idc_has_no_interrupts),
		cmocka_unit_test(a_hart_without_a_context_has_no_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
