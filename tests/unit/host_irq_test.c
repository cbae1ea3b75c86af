/*
 * The host's interrupt controllers when somebody else has used them before, and
 * when they don't behave: a PLIC, an APLIC without IMSICs, and interrupt files,
 * each with sources enabled that Rouse doesn't know; and those with registers
 * for some of the harts only, of which no register of the others is touched.
 */
/* sources: arch/riscv/machine.c arch/riscv/machine_irq.c arch/riscv/isa.c
 *	arch/riscv/range.c kernel/cmdline.c GUEST_FDT tests/unit/fake_lab.c
 *	LIBFDT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "arch/riscv/machine_private.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#include "arch/riscv/host_irq.c"

#define HARTS	 4u
#define UART_IRQ 10u
#define SOURCES  95u
#define IDS	 255u
#define CONTEXT	 3u /* the last hart's */
#define FILES	 0x20000000ul
#define HARTS_MOST 16u /* of IMSICs in groups */
#define TREE_BYTES 4096

/* Where the registers are, as the specifications have it. */
#define PLIC_ENABLES (0x2000 + 0x80 * CONTEXT)
#define PLIC_CLAIMS  (0x200004 + 0x1000 * CONTEXT)
#define SOURCECFG(i) (0x0004 + 4 * ((i) - 1))
#define TARGET(i)    (0x3004 + 4 * ((i) - 1))
#define IDELIVERY    (0x4000 + 32 * CONTEXT)
#define CLAIMI	     (0x401c + 32 * CONTEXT)

u64 timebase_hz;

static struct {
	u32 plic[0x300000 / 4], aplic[0x8000 / 4];
	u64 eie[2 * 32];	/* by the number of the indirect register */
	u64 eithreshold, eidelivery;
	u32 files;		/* how many eie registers there are */
	bool line[SOURCES + 1];	/* level, high: pends while it is */
	bool pends[IDS + 1];	/* of the interrupt file */
	bool stuck;		/* nothing of the controller can be disabled */
	bool sei_off;
} hw;

static struct riscv_cpu cpu;
static u32 uart_irqs, irqs_lost, said, claims, writes;
static bool uart_broken;	/* its line stays high whatever it's told */
static char line_said[200];
static bool exact;	/* registers are as long as their window, not hw's */

struct riscv_cpu *riscv_this(void)
{
	return &cpu;
}

volatile void *mm_map_device(u64 base, u64 bytes)
{
	if (exact)
		return calloc(1, bytes);
	/* Of interrupt files only the addresses are looked at. */
	return base == machine.plic.base ? (volatile void *)hw.plic :
	       base == machine.aplic.base ? (volatile void *)hw.aplic :
					    (volatile void *)base;
}

void refuse(const char *fmt, ...)
{
	fail_msg("refused: %s", fmt);
	abort();
}

void uart_irq(void)
{
	uart_irqs++;
	hw.line[UART_IRQ] = uart_broken;
}

void uart_irq_lost(void)
{
	irqs_lost++;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line_said, sizeof(line_said), fmt, ap);
	va_end(ap);
	said++;
}

/* ---- the controllers ---- */

static bool plic_enabled(u32 irq)
{
	return hw.plic[PLIC_ENABLES / 4 + irq / 32] >> irq % 32 & 1;
}

static bool source_enabled(u32 irq)
{
	return hw.stuck || (machine.plic.bytes ? plic_enabled(irq) :
			    hw.aplic[SOURCECFG(irq) / 4] != 0);
}

static u32 top(void)
{
	if (!machine.plic.bytes && !hw.aplic[IDELIVERY / 4])
		return 0;
	for (u32 irq = 1; irq <= SOURCES; irq++)
		if (hw.line[irq] && source_enabled(irq))
			return irq;
	return 0;
}

u32 vhw_irq_read(volatile u32 *reg)
{
	if (reg == hw.plic + PLIC_CLAIMS / 4) {
		assert_true(++claims < 10000);
		return top();
	}
	if (reg == hw.aplic + CLAIMI / 4) {
		assert_true(++claims < 10000);
		return top() << 16 | 1;
	}
	return *reg;
}

void vhw_irq_write(volatile u32 *reg, u32 val)
{
	/* PLIC 1.0, chapter 8: a completion of what isn't enabled is lost. */
	if (reg == hw.plic + PLIC_CLAIMS / 4)
		assert_true(hw.stuck || plic_enabled(val));
	writes++;
	*reg = val;
}

static u64 *imsic_reg(u64 reg)
{
	assert_true(machine.imsic_node >= 0);
	assert_true(reg == 0x70 || reg == 0x72 ||
		    (reg >= 0xc0 && reg % 2 == 0));
	return reg == 0x70 ? &hw.eidelivery :
	       reg == 0x72 ? &hw.eithreshold : &hw.eie[reg - 0xc0];
}

u64 vhw_imsic_read(u64 reg)
{
	return *imsic_reg(reg);
}

void vhw_imsic_write(u64 reg, u64 val)
{
	*imsic_reg(reg) = val;
}

bool vhw_imsic_clear(u64 reg)
{
	if (reg - 0xc0 >= 2 * hw.files)
		return false;
	vhw_imsic_write(reg, 0);
	return true;
}

static u32 identity_top(void)
{
	for (u32 id = 1; id <= IDS; id++)
		if (hw.pends[id] && hw.eie[id / 64 * 2] >> id % 64 & 1)
			return id;
	return 0;
}

u64 vhw_imsic_claim(void)
{
	u32 id = identity_top();

	hw.pends[id] = false;
	return id << 16 | id;
}

bool vhw_sei_pends(void)
{
	return machine.imsic_node >= 0 ? identity_top() != 0 : top() != 0;
}

void vhw_sei_off(void)
{
	hw.sei_off = true;
}

/* ---- what is tried ---- */

enum kind { PLIC, APLIC, IMSIC };

static char tree[TREE_BYTES], groups_tree[TREE_BYTES];

/* One controller, to which all harts are wired: hart n has phandle n + 1. */
static void chip_begin(char to[TREE_BYTES], u32 harts, const fdt64_t *reg,
		       u32 regs)
{
	fdt32_t wires[2 * HARTS_MOST];

	for (u32 i = 0; i < harts; i++) {
		wires[2 * i] = cpu_to_fdt32(i + 1);
		wires[2 * i + 1] = cpu_to_fdt32(IRQ_SEI);
	}
	fdt_create(to, TREE_BYTES);
	fdt_finish_reservemap(to);
	fdt_begin_node(to, "");
	fdt_property_u32(to, "#address-cells", 2);
	fdt_property_u32(to, "#size-cells", 2);
	fdt_begin_node(to, "chip");
	fdt_property(to, "reg", reg, (int)(regs * 2 * sizeof(*reg)));
	fdt_property(to, "interrupts-extended", wires, (int)(harts * 8));
}

static int chip_end(char to[TREE_BYTES])
{
	fdt_end_node(to);
	fdt_end_node(to);
	return fdt_finish(to);
}

static int setup(void **state)
{
	const fdt64_t reg[] = { cpu_to_fdt64(0x28000000),
				cpu_to_fdt64(0x10000) };

	(void)state;
	chip_begin(tree, HARTS, reg, 1);
	return chip_end(tree);
}

/* In which everything is enabled. */
static void machine_make(enum kind kind)
{
	int node = fdt_path_offset(tree, "/chip");

	memset(&hw, 0xff, sizeof(hw));
	memset(hw.line, 0, sizeof(hw.line));
	memset(hw.pends, 0, sizeof(hw.pends));
	hw.stuck = hw.sei_off = uart_broken = false;
	hw.files = (IDS + 1) / 64;
	uart_irqs = irqs_lost = said = claims = 0;
	plic = aplic = NULL;
	imsic_regions = 0;
	obj_free(imsic);
	imsic = NULL;
	machine = (struct machine){
		.fdt = tree, .plic_node = node, .aplic_node = node,
		.imsic_node = kind == IMSIC ? node : -1, .imsic_ids = IDS,
		.imsic_hart_bits = 2, .imsic_group_shift = 24,
		.uart = { 0x10000000, 0x100 }, .uart_irq = UART_IRQ,
	};
	if (kind == PLIC) {
		machine.plic = (struct mmio){ 0xc000000, sizeof(hw.plic) };
		machine.plic_ndev = SOURCES;
	} else {
		machine.aplic = (struct mmio){ 0xd000000, sizeof(hw.aplic) };
		machine.aplic_sources = SOURCES;
	}
}

static void boot(enum kind kind)
{
	machine_make(kind);
	cpu = (struct riscv_cpu){ .irq_context = UINT32_MAX };
	cpu.c.index = 7;
	host_irq_init();
	assert_int_equal(host_irq_cpu_init(&cpu, CONTEXT + 1), 0);
	assert_int_equal(cpu.irq_context, CONTEXT);
	host_irq_local_init(&cpu);
	assert_true(host_irq_enable_uart(&cpu));
}

static void stray_enable(u32 irq)
{
	hw.plic[PLIC_ENABLES / 4 + irq / 32] |= 1u << irq % 32;
	hw.aplic[SOURCECFG(irq) / 4] = 6;
}

static void only_the_uart_is_enabled(enum kind kind)
{
	boot(kind);
	for (u32 irq = 1; irq <= SOURCES; irq++)
		assert_int_equal(source_enabled(irq), irq == UART_IRQ);
}

static void a_source_that_is_not_ours_is_switched_off_and_told_once(enum kind k)
{
	boot(k);
	stray_enable(11);
	stray_enable(64);
	hw.line[11] = hw.line[64] = hw.line[UART_IRQ] = true;
	for (u32 n = 0; n < 3; n++)
		arch_host_irq();
	assert_int_equal(said, 2);
	assert_non_null(strstr(line_said, "CPU 7: interrupt source 64 is"));
	assert_false(source_enabled(11) || source_enabled(64));
	assert_int_equal(uart_irqs, 1);
	assert_true(source_enabled(UART_IRQ));
	assert_int_equal(irqs_lost, 0);
}

static void a_controller_that_does_not_obey_is_dropped(enum kind kind)
{
	boot(kind);
	hw.stuck = hw.line[11] = true;
	arch_host_irq();
	assert_true(hw.sei_off);
	assert_true(claims <= 1100);
	claims = said = 0;
	arch_host_irq();
	assert_int_equal(claims + said + irqs_lost, 0);
}

static void a_uart_whose_line_stays_high_is_polled(enum kind kind)
{
	boot(kind);
	uart_broken = hw.line[UART_IRQ] = true;
	arch_host_irq();
	assert_true(hw.sei_off);
	assert_int_equal(irqs_lost, 1);
	assert_int_equal(said, 1);
}

static void all_of_it(enum kind kind)
{
	only_the_uart_is_enabled(kind);
	a_source_that_is_not_ours_is_switched_off_and_told_once(kind);
	a_controller_that_does_not_obey_is_dropped(kind);
	a_uart_whose_line_stays_high_is_polled(kind);
}

static void an_aplic_is_ours_alone(void **state)
{
	(void)state;
	all_of_it(APLIC);
	boot(IMSIC);
	for (u32 irq = 1; irq <= SOURCES; irq++)
		assert_int_equal(source_enabled(irq), irq == UART_IRQ);
}

static void an_interrupt_file_has_only_the_doorbell_and_the_uart(void **state)
{
	(void)state;
	boot(IMSIC);
	for (u32 id = 1; id <= IDS; id++)
		assert_int_equal(hw.eie[id / 64 * 2] >> id % 64 & 1,
				 id == 1 || id == 2);
	assert_int_equal(hw.eithreshold, 0);
	assert_int_equal(hw.eidelivery, 1);
}

/* The tree tells of more than there are. */
static void a_file_with_fewer_identities_is_cleared_as_far(void **state)
{
	(void)state;
	boot(IMSIC);
	machine.imsic_ids = 2047;
	hw.eie[2] = hw.eie[6] = ~0UL;
	host_irq_local_init(&cpu);
	assert_true(hw.eie[2] == 0 && hw.eie[6] == 0);
}

static void an_identity_that_is_not_ours_is_switched_off(void **state)
{
	(void)state;
	boot(IMSIC);
	for (u32 n = 0; n < 3; n++) {
		hw.pends[200] = hw.pends[2] = hw.pends[1] = true;
		if (n == 0)
			hw.eie[6] = ~0UL;
		for (u32 look = 0; look < 3; look++)
			arch_host_irq();
	}
	assert_int_equal(said, 1);
	assert_non_null(strstr(line_said, "CPU 7: interrupt identity 200 is"));
	assert_true(hw.eie[6] == ~(1UL << 200 % 64));
	assert_int_equal(uart_irqs, 3);
	assert_false(hw.sei_off);
}

static void a_plic_context_is_ours_alone(void **state)
{
	(void)state;
	all_of_it(PLIC);
	/* Those of the firmware, and of other harts, are not. */
	assert_int_equal(hw.plic[PLIC_ENABLES / 4 - 1], UINT32_MAX);
	assert_int_equal(hw.plic[PLIC_ENABLES / 4 + 0x80 / 4], UINT32_MAX);
}

/* Every hart comes up; those before `count` have registers in a window of so
 * many bytes. The address sanitizer sees each access behind it. */
static void harts_come_up(enum kind kind, u64 bytes, u32 count)
{
	machine_make(kind);
	if (kind == PLIC)
		machine.plic.bytes = bytes;
	else
		machine.aplic.bytes = bytes;
	machine.plic_ndev = machine.aplic_sources = 1023;
	exact = true;
	host_irq_init();
	exact = false;
	for (u32 i = 0; i < HARTS; i++) {
		struct riscv_cpu c = { .hartid = i };

		assert_int_equal(host_irq_cpu_init(&c, i + 1), 0);
		assert_int_equal(c.irq_context, i < count ? i : UINT32_MAX);
		writes = 0;
		host_irq_local_init(&c);
		assert_int_equal(host_irq_enable_uart(&c), i < count);
		assert_int_equal(writes != 0, i < count);
	}
	assert_false(hw.sei_off);
	free((void *)(plic ? plic : aplic));
}

static void a_hart_without_an_idc_has_no_interrupts(void **state)
{
	(void)state;
	for (u64 bytes = 0x4000; bytes <= 0x4000 + 32 * HARTS; bytes += 4)
		harts_come_up(APLIC, bytes, (u32)(bytes - 0x4000) / 32);
}

static void a_hart_without_a_context_has_no_interrupts(void **state)
{
	(void)state;
	for (u32 count = 0; count < HARTS; count++)
		for (u64 more = 0; more <= 8; more += 4)
			harts_come_up(PLIC, 0x200000 + 0x1000 * count + more,
				      count + (more == 8));
}

/* IMSICs in groups of `full` harts, but the last has less, in a region each. */
static void groups_make(u32 groups, u32 full, u32 harts, u32 guest_bits,
			u32 hart_bits, u32 group_shift)
{
	fdt64_t reg[2 * 8];

	for (u32 g = 0; g < groups; g++) {
		u32 n = MIN(full, harts - g * full);

		/* Of the last hart its own file only. */
		reg[2 * g] = cpu_to_fdt64(FILES + ((u64)g << group_shift));
		reg[2 * g + 1] = cpu_to_fdt64(((n - 1ul) << guest_bits << 12) +
					      0x1000);
	}
	chip_begin(groups_tree, harts, reg, groups);
	fdt_property_string(groups_tree, "compatible", "riscv,imsics");
	fdt_property_u32(groups_tree, "riscv,guest-index-bits", guest_bits);
	if (groups > 1) {
		fdt_property_u32(groups_tree, "riscv,hart-index-bits",
				 hart_bits);
		fdt_property_u32(groups_tree, "riscv,group-index-bits", 3);
		fdt_property_u32(groups_tree, "riscv,group-index-shift",
				 group_shift);
	}
	assert_int_equal(chip_end(groups_tree), 0);
	machine_make(IMSIC);
	machine.fdt = groups_tree;
	machine.imsic_node = -1;
	machine_read_irqs(groups_tree);
	assert_true(machine.imsic_node >= 0);
	machine.aplic = (struct mmio){ 0xd000000, sizeof(hw.aplic) };
	host_irq_init();
}

/* Whichever hart boots: AIA 4.9.1, the hart's index in the target is what the
 * APLIC makes the file's address of. */
static void the_uart_goes_to_the_file_of_the_hart_that_boots(void **state)
{
	static const struct {
		u32 groups, full, harts, guest_bits, hart_bits, group_shift;
	} some[] = {
		{ 1, 4, 4, 0, 2, 24 }, { 1, 3, 3, 3, 2, 24 },
		{ 2, 2, 4, 2, 1, 24 }, { 2, 3, 6, 2, 2, 24 },
		{ 3, 3, 7, 1, 2, 25 }, { 5, 2, 9, 7, 4, 32 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(some); i++)
		for (u32 boots = 0; boots < some[i].harts; boots++) {
			struct riscv_cpu c = { .hartid = boots };
			u64 h = boots % some[i].full, g = boots / some[i].full;
			u64 file = FILES + (g << some[i].group_shift) +
				   (h << some[i].guest_bits << 12);

			groups_make(some[i].groups, some[i].full,
				    some[i].harts, some[i].guest_bits,
				    some[i].hart_bits, some[i].group_shift);
			assert_int_equal(host_irq_cpu_init(&c, boots + 1), 0);
			assert_int_equal((u64)c.imsic, file);
			assert_true(host_irq_enable_uart(&c));
			assert_int_equal(hw.aplic[TARGET(UART_IRQ) / 4],
					 (g << some[i].hart_bits | h) << 18 |
						 2);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_aplic_is_ours_alone),
		cmocka_unit_test(
			an_interrupt_file_has_only_the_doorbell_and_the_uart),
		cmocka_unit_test(
			a_file_with_fewer_identities_is_cleared_as_far),
		cmocka_unit_test(an_identity_that_is_not_ours_is_switched_off),
		cmocka_unit_test(
			the_uart_goes_to_the_file_of_the_hart_that_boots),
		cmocka_unit_test(a_plic_context_is_ours_alone),
		cmocka_unit_test(a_hart_without_an_idc_has_no_interrupts),
		cmocka_unit_test(a_hart_without_a_context_has_no_interrupts),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
