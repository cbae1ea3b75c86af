/*
 * What is made of the host's device tree, where that is odd: the clock's
 * frequency, interrupt controllers with too few registers, a list of extensions
 * that is older than their names.
 */
/* sources: arch/riscv/machine.c arch/riscv/machine_irq.c arch/riscv/isa.c
 *	arch/riscv/range.c kernel/cmdline.c GUEST_FDT tests/unit/fake_lab.c
 *	LIBFDT */
#include "arch/riscv/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "arch/riscv/isa.h"
#include "fake_lab.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/time.h"

u64 timebase_hz;
static jmp_buf refused;
static char said[256]; /* the last line */

void refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	longjmp(refused, 1);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

/* ---- a machine of one hart ---- */

#define HZ    10000000u
#define INTC  1u
#define S_EXT 9u

static char tree[8192];
static const void *frequency;
static int frequency_bytes;
static const char *extensions;
static int extensions_bytes;
static u32 root_parent; /* the root's interrupt-parent; 0: none */

static void tree_begin_here(void)
{
	fdt_create(tree, sizeof(tree));
	fdt_finish_reservemap(tree);
	fdt_begin_node(tree, "");
	fdt_property_u32(tree, "#address-cells", 2);
	fdt_property_u32(tree, "#size-cells", 2);
	if (root_parent)
		fdt_property_u32(tree, "interrupt-parent", root_parent);
	fdt_begin_node(tree, "cpus");
	fdt_property_u32(tree, "#address-cells", 1);
	fdt_property_u32(tree, "#size-cells", 0);
	if (frequency)
		fdt_property(tree, "timebase-frequency", frequency,
			     frequency_bytes);
	fdt_begin_node(tree, "cpu@0");
	fdt_property_string(tree, "device_type", "cpu");
	fdt_property_u32(tree, "reg", 0);
	fdt_property_string(tree, "riscv,isa", "rv64imafdch");
	if (extensions)
		fdt_property(tree, "riscv,isa-extensions", extensions,
			     extensions_bytes);
	fdt_begin_node(tree, "interrupt-controller");
	fdt_property(tree, "interrupt-controller", "", 0);
	fdt_property_u32(tree, "phandle", INTC);
	fdt_end_node(tree);
	fdt_end_node(tree);
	fdt_end_node(tree);
}

/* A controller that is wired to the hart. */
static void controller(const char *compatible, u64 base, u64 bytes,
		       const char *name, u32 value)
{
	const fdt64_t reg[] = { cpu_to_fdt64(base), cpu_to_fdt64(bytes) };
	const fdt32_t to[] = { cpu_to_fdt32(INTC), cpu_to_fdt32(S_EXT) };
	char node[32];

	snprintf(node, sizeof(node), "chip@%lx", (unsigned long)base);
	fdt_begin_node(tree, node);
	fdt_property_string(tree, "compatible", compatible);
	fdt_property(tree, "reg", reg, sizeof(reg));
	fdt_property(tree, "interrupts-extended", to, sizeof(to));
	fdt_property_u32(tree, name, value);
	fdt_end_node(tree);
}

/* Reads it. False: it is refused. */
static bool tree_read_here(void)
{
	fdt_end_node(tree);
	assert_int_equal(fdt_finish(tree), 0);
	assert_int_equal(machine_check(tree), 0);
	obj_free(machine.harts);
	machine = (struct machine){
		.plic_node = -1, .sswi_node = -1, .imsic_node = -1 };
	said[0] = 0;
	if (setjmp(refused))
		return false;
	machine_init(tree);
	return true;
}

static int setup(void **state)
{
	static fdt32_t usual;

	usual = cpu_to_fdt32(HZ);
	frequency = &usual;
	frequency_bytes = sizeof(usual);
	return 0;
}

/* ---- the tests ---- */

/* Big-endian, as many bytes of it as are asked for. */
static bool clock_is(u64 hz, int bytes)
{
	static u8 value[16];

	memset(value, 0, sizeof(value));
	fdt64_st(value, hz);
	frequency = bytes < 8 ? value + 8 - bytes : value;
	frequency_bytes = bytes;
	tree_begin_here();
	return tree_read_here();
}

static void a_frequency_has_one_cell_or_two(void **state)
{
	static const u64 good[] = { 1, HZ, UINT32_MAX };

	for (u32 i = 0; i < ARRAY_LEN(good); i++)
		for (int bytes = 4; bytes <= 8; bytes += 4) {
			assert_true(clock_is(good[i], bytes));
			assert_int_equal(timebase_hz, good[i]);
			assert_string_equal(said, "");
		}
}

static void one_that_is_none_is_refused(void **state)
{
	static const int sizes[] = { 0, 1, 3, 5, 7, 12, 16 };
	char line[128];

	for (u32 i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_false(clock_is(HZ, sizes[i]));
		snprintf(line, sizeof(line), "the device tree's /cpus/"
			 "timebase-frequency is of %d bytes, not of 4 or 8",
			 sizes[i]);
		assert_string_equal(said, line);
	}
	for (u32 i = 0; i < 3; i++) {
		static const u64 bad[] = { 0, 1ull << 32, UINT64_MAX };

		assert_false(clock_is(bad[i], 8));
		snprintf(line, sizeof(line), "the device tree's /cpus/"
			 "timebase-frequency is %lu Hz, not 1 to 4294967295",
			 (unsigned long)bad[i]);
		assert_string_equal(said, line);
	}
	assert_false(clock_is(0, 4));
	assert_string_equal(said, "the device tree's /cpus/timebase-frequency "
			    "is 0 Hz, not 1 to 4294967295");
	frequency = NULL;
	tree_begin_here();
	assert_false(tree_read_here());
	assert_string_equal(said, "the device tree has no /cpus/"
			    "timebase-frequency");
}

/* Up to where they are set for all sources: 1023 of them each. */
static void registers_of_too_few_sources_are_left_out(void **state)
{
	static const struct {
		const char *compatible, *sources;
		u64 least;
		const struct mmio *got;
	} chips[] = {
		{ "riscv,aplic", "riscv,num-sources", 0x4000, &machine.aplic },
		{ "riscv,plic0", "riscv,ndev", 0x200000, &machine.plic },
	};

	for (u32 i = 0; i < ARRAY_LEN(chips); i++)
		for (u64 few = 0; few < 2; few++) {
			u64 bytes = chips[i].least - few;
			char line[128];

			tree_begin_here();
			controller(chips[i].compatible, 0xd000000, bytes,
				   chips[i].sources, 1023);
			assert_true(tree_read_here());
			assert_int_equal(chips[i].got->bytes, few ? 0 : bytes);
			snprintf(line, sizeof(line), "chip@d000000: has "
				 "registers of %lu bytes, not %lu: left out",
				 (unsigned long)bytes,
				 (unsigned long)chips[i].least);
			assert_string_equal(said, few ? line : "");
		}
}

static void an_imsic_with_impossible_files_is_left_out(void **state)
{
	static const struct { const char *name; u32 most; } parts[] = {
		{ "riscv,guest-index-bits", 7 },
		{ "riscv,hart-index-bits", 15 },
		{ "riscv,group-index-bits", 7 },
		{ "riscv,group-index-shift", 55 },
	};
	static const u32 values[] = { 0, 7, 8, 15, 16, 55, 56, UINT32_MAX };

	for (u32 i = 0; i < ARRAY_LEN(parts) * ARRAY_LEN(values); i++) {
		u32 value = values[i % ARRAY_LEN(values)];
		u32 most = parts[i / ARRAY_LEN(values)].most;

		tree_begin_here();
		controller("riscv,imsics", 0x28000000, 0x1000,
			   parts[i / ARRAY_LEN(values)].name, value);
		assert_true(tree_read_here());
		assert_int_equal(machine.imsic_node >= 0, value <= most);
		assert_int_equal(said[0] == 0, value <= most);
	}
}

/* Two of a kind, with 11 and 12 as `name`; whose the UART is says its node, or
 * the root. */
static void two_controllers(const char *compatible, const char *name,
			    u32 parent, bool inherited)
{
	root_parent = inherited ? parent : 0;
	tree_begin_here();
	root_parent = 0;
	controller(compatible, 0xd000000, 0x400000, name, 11);
	controller(compatible, 0xe000000, 0x400000, name, 12);
	fdt_begin_node(tree, "uart@10000000");
	fdt_property_string(tree, "compatible", "ns16550a");
	fdt_property(tree, "reg", (fdt64_t[]){ cpu_to_fdt64(0x10000000),
					       cpu_to_fdt64(0x100) }, 16);
	fdt_property_u32(tree, "interrupts", 10);
	if (!inherited)
		fdt_property_u32(tree, "interrupt-parent", parent);
	fdt_end_node(tree);
	fdt_begin_node(tree, "chosen");
	fdt_property_string(tree, "stdout-path", "/uart@10000000");
	fdt_end_node(tree);
	assert_true(tree_read_here());
}

/* Neither is the UART's because neither has a phandle, and nor has that. */
static void of_several_that_nobody_names_the_first_is_taken(void **state)
{
	(void)state;
	two_controllers("riscv,plic0", "not-a-phandle", 0, true);
	assert_int_equal(machine.plic.base, 0xd000000);
	assert_int_equal(machine.uart_irq, 10);
}

static void of_several_controllers_the_consoles_is_taken(void **state)
{
	static const struct {
		const char *compatible;
		const struct mmio *got;
	} kinds[] = {
		{ "riscv,aplic", &machine.aplic },
		{ "riscv,plic0", &machine.plic },
		{ "sifive,plic-1.0.0", &machine.plic },
	};
	static const struct { u32 parent; bool inherited; u64 base; u32 irq; }
	some[] = {
		{ 11, false, 0xd000000, 10 }, { 12, false, 0xe000000, 10 },
		{ 12, true, 0xe000000, 10 }, { 0, true, 0xd000000, 10 },
		/* Of another, it is none that can be taken. */
		{ INTC, false, 0xd000000, 0 },
	};

	for (u32 k = 0; k < ARRAY_LEN(kinds); k++)
		for (u32 i = 0; i < ARRAY_LEN(some); i++) {
			two_controllers(kinds[k].compatible, "phandle",
					some[i].parent, some[i].inherited);
			assert_int_equal(kinds[k].got->base, some[i].base);
			assert_int_equal(machine.uart_irq, some[i].irq);
		}
}

static void i_of_a_string_has_what_had_no_name_then(void **state)
{
	static const char list[] = "i\0m\0h\0zicsr";

	tree_begin_here();
	assert_true(tree_read_here());
	assert_true(isa_has(ISA_ZICNTR) && isa_has(ISA_H));
	assert_non_null(strstr(isa_guest_string(), "_zicntr_zicsr_zifencei"));
	/* A list has their names. */
	extensions = list;
	extensions_bytes = sizeof(list);
	tree_begin_here();
	assert_true(tree_read_here());
	assert_false(isa_has(ISA_ZICNTR));
	assert_non_null(strstr(isa_guest_string(), "_zicsr"));
	assert_null(strstr(isa_guest_string(), "_zifencei"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_frequency_has_one_cell_or_two, setup),
		cmocka_unit_test_setup(one_that_is_none_is_refused, setup),
		cmocka_unit_test_setup(
			registers_of_too_few_sources_are_left_out, setup),
		cmocka_unit_test_setup(
			of_several_controllers_the_consoles_is_taken, setup),
		cmocka_unit_test_setup(
			of_several_that_nobody_names_the_first_is_taken, setup),
		cmocka_unit_test_setup(
			an_imsic_with_impossible_files_is_left_out, setup),
		cmocka_unit_test_setup(i_of_a_string_has_what_had_no_name_then,
				       setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
