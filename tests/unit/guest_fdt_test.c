/*
 * The guest's device tree, written and corrected, read back by libfdt and by
 * dtc, which complains of what breaks a binding.
 */
/* sources: GUEST_FDT tests/unit/fake_lab.c LIBFDT */
#include "kernel/guest_fdt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>

#include "emul/emul.h"
#include "fake_lab.h"
#include "kernel/guest.h"
#include "kernel/image.h"
#include "kernel/mem.h"

static void chip_describe(struct emul_dev *dev, struct tree_writer *t)
{
	tree_u32(t, "riscv,ndev", 95);
}

static void serial_describe(struct emul_dev *dev, struct tree_writer *t)
{
	tree_u32(t, "clock-frequency", 3686400);
}

static size_t serial_input(struct emul_dev *dev, const char *buf, size_t len)
{
	return len;
}

static const struct emul_ops chip_ops = {
	.name = "chip", EMUL_COMPATIBLE("riscv,plic0"), .bytes = 0x600000,
	.describe = chip_describe,
};
static const struct emul_ops serial_ops = {
	.name = "serial", EMUL_COMPATIBLE("ns16550a"), .bytes = 0x100,
	.describe = serial_describe, .input = serial_input,
};
static const struct emul_ops syscon_ops = {
	.name = "end", .bytes = 0x1000,
	EMUL_COMPATIBLE("sifive,test1\0sifive,test0\0syscon"),
};
static const struct emul_ops clock_ops = {
	.name = "clock", EMUL_COMPATIBLE("google,goldfish-rtc"),
	.bytes = 0x1000,
};

static struct emul_dev syscon = { .ops = &syscon_ops, .base = { 0x100000 } };
static struct emul_dev clock = { .ops = &clock_ops, .base = { 0x101000 },
				 .irq = 11, .next = &syscon };
static struct emul_dev chip = { .ops = &chip_ops, .base = { 0xc000000 },
				.next = &clock };
static struct emul_dev serial = { .ops = &serial_ops, .base = { 0x10000000 },
				  .irq = 10, .next = &chip };

static struct guest guest;
static struct guest_fdt_args args;

static int set_up(void **state)
{
	memset(&guest, 0, sizeof(guest));
	guest.cfg.vcpus = 2;
	guest.cfg.ram_base.v = 0x80000000;
	guest.cfg.memory_bytes = 6 * GIB;
	guest.cfg.bootargs = "console=ttyS0";
	guest.devices = &serial;
	guest.irqchip = &chip;
	args = fake_fdt_args;
	args.guest = &guest;
	return 0;
}

static struct guest_fdt_job job;
static u32 pieces; /* that the last tree was made of */

static int make(void *fdt, size_t bytes)
{
	int ret;

	guest_fdt_begin(&job, fdt, bytes, &args);
	pieces = 0;
	do {
		ret = guest_fdt_step(&job);
		pieces++;
	} while (ret == 1);
	return ret;
}

static int fix(void *fdt, size_t bytes, const void *dtb, size_t dtb_bytes)
{
	int ret;

	args.dtb = dtb;
	args.dtb_bytes = dtb_bytes;
	ret = make(fdt, bytes);
	args.dtb = NULL;
	return ret;
}

static void *write_tree(void)
{
	size_t bytes = guest_fdt_room(&guest.cfg, args.isa, 0);
	void *fdt = malloc(bytes);

	assert_non_null(fdt);
	assert_int_equal(make(fdt, bytes), 0);
	assert_int_equal(tree_check(fdt, fdt_totalsize(fdt)), 0);
	assert_true(fdt_totalsize(fdt) <= bytes);
	return fdt;
}

static int node_at(const void *fdt, const char *path)
{
	int node = fdt_path_offset(fdt, path);

	if (node < 0)
		fail_msg("there is no %s", path);
	return node;
}

static void has_prop(const void *fdt, const char *path, const char *prop,
		   const void *want, int bytes)
{
	int len;
	const void *data = fdt_getprop(fdt, node_at(fdt, path), prop, &len);

	if (!data || len != bytes || (len && memcmp(data, want, (size_t)len)))
		fail_msg("%s: %s is wrong", path, prop);
}

static void has_string(const void *fdt, const char *path, const char *prop,
			  const char *want)
{
	has_prop(fdt, path, prop, want, (int)strlen(want) + 1);
}

static void has_cell(const void *fdt, const char *path, const char *prop,
			u32 want)
{
	fdt32_t cell = cpu_to_fdt32(want);

	has_prop(fdt, path, prop, &cell, sizeof(cell));
}

static void has_u64(const void *fdt, const char *path, const char *prop,
		       u64 want)
{
	fdt64_t cell = cpu_to_fdt64(want);

	has_prop(fdt, path, prop, &cell, sizeof(cell));
}

static void has_none(const void *fdt, const char *path, const char *prop)
{
	assert_null(fdt_getprop(fdt, node_at(fdt, path), prop, NULL));
}

static void has_range(const void *fdt, const char *path, u64 base, u64 bytes)
{
	fdt64_t reg[2] = { cpu_to_fdt64(base), cpu_to_fdt64(bytes) };

	has_prop(fdt, path, "reg", reg, sizeof(reg));
}

static u32 phandle_of(const void *fdt, const char *path)
{
	return fdt_get_phandle(fdt, node_at(fdt, path));
}

static void the_tree_is_a_virt_machine(void **state)
{
	void *fdt = write_tree();

	has_string(fdt, "/", "compatible", "riscv-virtio");
	has_string(fdt, "/", "model", "rouse,virt");
	has_cell(fdt, "/", "#address-cells", 2);
	has_cell(fdt, "/", "#size-cells", 2);
	has_string(fdt, "/memory@80000000", "device_type", "memory");
	has_range(fdt, "/memory@80000000", 0x80000000, 6 * GIB);
	has_string(fdt, "/soc", "compatible", "simple-bus");
	has_prop(fdt, "/soc", "ranges", "", 0);
	has_string(fdt, "/aliases", "serial0", "/soc/serial@10000000");
	free(fdt);
}

static void each_vcpu_has_its_isa_and_its_interrupt_controller(void **state)
{
	void *fdt = write_tree();
	static const char *const cpu[] = { "/cpus/cpu@0", "/cpus/cpu@1" };

	has_cell(fdt, "/cpus", "timebase-frequency", 10000000);
	for (u32 i = 0; i < 2; i++) {
		char intc[64];

		has_cell(fdt, cpu[i], "reg", i);
		has_string(fdt, cpu[i], "device_type", "cpu");
		has_string(fdt, cpu[i], "status", "okay");
		has_string(fdt, cpu[i], "riscv,isa", "rv64ima_zicbom_sstc");
		has_string(fdt, cpu[i], "riscv,isa-base", "rv64i");
		has_prop(fdt, cpu[i], "riscv,isa-extensions",
		       "i\0m\0a\0zicbom\0sstc", 18);
		has_string(fdt, cpu[i], "mmu-type", "riscv,sv48");
		has_cell(fdt, cpu[i], "riscv,cbom-block-size", 64);
		has_none(fdt, cpu[i], "riscv,cboz-block-size");
		snprintf(intc, sizeof(intc), "%s/interrupt-controller", cpu[i]);
		has_string(fdt, intc, "compatible", "riscv,cpu-intc");
		has_cell(fdt, intc, "#interrupt-cells", 1);
		has_prop(fdt, intc, "interrupt-controller", "", 0);
	}
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu@2"),
			 -FDT_ERR_NOTFOUND);
	free(fdt);
}

static void devices_are_where_the_bus_has_them(void **state)
{
	void *fdt = write_tree();
	u32 parent = phandle_of(fdt, "/soc/chip@c000000");

	assert_int_not_equal(parent, 0);
	has_range(fdt, "/soc/serial@10000000", 0x10000000, 0x100);
	has_cell(fdt, "/soc/serial@10000000", "interrupts", 10);
	has_cell(fdt, "/soc/serial@10000000", "interrupt-parent", parent);
	has_cell(fdt, "/soc/serial@10000000", "clock-frequency", 3686400);
	has_cell(fdt, "/soc/clock@101000", "interrupts", 11);
	has_none(fdt, "/soc/end@100000", "interrupts");
	has_cell(fdt, "/soc/chip@c000000", "riscv,ndev", 95);
	free(fdt);
}

static void the_plic_has_an_absent_m_and_an_s_context_per_vcpu(void **state)
{
	void *fdt = write_tree();
	u32 i0 = phandle_of(fdt, "/cpus/cpu@0/interrupt-controller");
	u32 i1 = phandle_of(fdt, "/cpus/cpu@1/interrupt-controller");
	fdt32_t want[8] = {
		cpu_to_fdt32(i0), cpu_to_fdt32(UINT32_MAX),
		cpu_to_fdt32(i0), cpu_to_fdt32(9),
		cpu_to_fdt32(i1), cpu_to_fdt32(UINT32_MAX),
		cpu_to_fdt32(i1), cpu_to_fdt32(9),
	};

	assert_int_not_equal(i0, i1);
	has_prop(fdt, "/soc/chip@c000000", "interrupts-extended", want,
	       sizeof(want));
	has_prop(fdt, "/soc/chip@c000000", "interrupt-controller", "", 0);
	has_cell(fdt, "/soc/chip@c000000", "#interrupt-cells", 1);
	has_cell(fdt, "/soc/chip@c000000", "#address-cells", 0);
	free(fdt);
}

static void chosen_says_what_was_handed_over(void **state)
{
	void *fdt = write_tree();

	has_string(fdt, "/chosen", "bootargs", "console=ttyS0");
	has_string(fdt, "/chosen", "stdout-path", "/soc/serial@10000000");
	has_u64(fdt, "/chosen", "linux,initrd-start", 0x88000000);
	has_u64(fdt, "/chosen", "linux,initrd-end", 0x88001234);
	has_prop(fdt, "/chosen", "rng-seed", fake_seed, FAKE_SEED_BYTES);
	free(fdt);
}

static void what_is_not_there_is_not_mentioned(void **state)
{
	static const struct image_plan none = { .initrd_bytes = 0 };
	void *fdt;

	guest.cfg.bootargs = NULL;
	guest.devices = NULL;
	guest.irqchip = NULL;
	args.plan = &none;
	args.rng_seed = NULL;
	fdt = write_tree();
	has_none(fdt, "/chosen", "bootargs");
	has_none(fdt, "/chosen", "stdout-path");
	has_none(fdt, "/chosen", "linux,initrd-start");
	has_none(fdt, "/chosen", "rng-seed");
	assert_int_equal(fdt_path_offset(fdt, "/aliases"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/poweroff"), -FDT_ERR_NOTFOUND);
	free(fdt);
}

static void a_syscon_gets_poweroff_and_reboot(void **state)
{
	void *fdt = write_tree();
	u32 regmap = phandle_of(fdt, "/soc/end@100000");

	has_string(fdt, "/poweroff", "compatible", "syscon-poweroff");
	has_cell(fdt, "/poweroff", "regmap", regmap);
	has_cell(fdt, "/poweroff", "value", FINISHER_PASS);
	has_cell(fdt, "/poweroff", "offset", 0);
	has_string(fdt, "/reboot", "compatible", "syscon-reboot");
	has_cell(fdt, "/reboot", "regmap", regmap);
	has_cell(fdt, "/reboot", "value", FINISHER_RESET);
	free(fdt);
}

static void phandles_are_unique(void **state)
{
	void *fdt = write_tree();
	bool seen[64] = { false };
	int node = -1;

	while ((node = fdt_next_node(fdt, node, NULL)) >= 0) {
		u32 phandle = fdt_get_phandle(fdt, node);

		if (!phandle)
			continue;
		assert_true(phandle < ARRAY_LEN(seen));
		assert_false(seen[phandle]);
		seen[phandle] = true;
	}
	free(fdt);
}

/* dtc's own checks of bindings; only what it says of us counts. */
static void check_dtc_is_silent(const void *fdt)
{
	char name[] = "/tmp/rouse-dtb-XXXXXX", command[128], said[512];
	int fd = mkstemp(name);
	size_t n;
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, fdt, fdt_totalsize(fdt)),
			 fdt_totalsize(fdt));
	close(fd);
	snprintf(command, sizeof(command),
		 "dtc -I dtb -O dtb -o /dev/null %s 2>&1", name);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = 0;
	pclose(f);
	unlink(name);
	assert_string_equal(said, "");
}

static void dtc_has_nothing_to_complain_of(void **state)
{
	void *fdt = write_tree();

	check_dtc_is_silent(fdt);
	free(fdt);
}

/* What the writer wants besides: a pointer and a place for each name. */
#define NAMES_BYTES (48 * 16)

static void a_buffer_too_small_is_told_at_every_size(void **state)
{
	void *fdt = write_tree();
	size_t bytes = fdt_totalsize(fdt), fits = 0;

	for (size_t n = 0; n < bytes + 2 * NAMES_BYTES; n += 8) {
		void *buf = malloc(n ? n : 1);
		int ret = make(buf, n);

		assert_true(ret == 0 || ret == -ENOSPC);
		assert_true(ret == 0 || n < bytes + NAMES_BYTES);
		if (ret == 0)
			fits++;
		free(buf);
	}
	assert_true(fits > 0);
	free(fdt);
}

static void five_hundred_vcpus_have_room(void **state)
{
	void *fdt;

	guest.cfg.vcpus = 512;
	fdt = write_tree();
	/* One may be as long as the work for a vCPU, not for all of them. */
	assert_int_equal(pieces, 512 + 4);
	has_cell(fdt, "/cpus/cpu@1ff", "reg", 511);
	assert_true(fdt_totalsize(fdt) <= guest_fdt_room(&guest.cfg, NULL, 0));
	free(fdt);
}

static const char own_dts[] = "/dts-v1/; / { compatible = \"acme,board\"; "
	"#address-cells = <2>; #size-cells = <2>; "
	"memory@40000000 { device_type = \"memory\"; "
	"reg = <0 0x40000000 0 0x1000>; }; "
	"memory@50000000 { device_type = \"memory\"; "
	"reg = <0 0x50000000 0 0x1000>; }; "
	"chosen { bootargs = \"old\"; mine = \"kept\"; "
	"linux,initrd-start = <1>; linux,initrd-end = <2>; }; "
	"cpus { #address-cells = <1>; #size-cells = <0>; "
	"timebase-frequency = <1>; "
	"cpu@0 { device_type = \"cpu\"; reg = <0>; status = \"disabled\"; "
	"riscv,isa = \"rv64imafdcvh\"; riscv,cboz-block-size = <64>; "
	"my-own = <7>; "
	"l0: interrupt-controller { #interrupt-cells = <1>; "
	"compatible = \"riscv,cpu-intc\"; interrupt-controller; }; }; "
	"cpu@2 { device_type = \"cpu\"; reg = <2>; }; "
	"cpu@6 { device_type = \"cpu\"; reg = <6>; }; "
	"cpu-map { }; }; "
	"plic@1000 { interrupts-extended = <&l0 9>; }; };";

static void *fix_tree(const char *dts)
{
	size_t dtb_bytes, bytes;
	void *dtb = dts_compile(dts, &dtb_bytes), *fdt;

	assert_non_null(dtb);
	bytes = guest_fdt_room(&guest.cfg, args.isa, dtb_bytes) +
		guest_fdt_left_bytes(dtb_bytes);
	fdt = malloc(bytes);
	assert_int_equal(fix(fdt, bytes, dtb, dtb_bytes), 0);
	assert_int_equal(tree_check(fdt, fdt_totalsize(fdt)), 0);
	free(dtb);
	return fdt;
}

static void in_a_tree_of_its_own_only_three_things_are_corrected(void **state)
{
	void *fdt = fix_tree(own_dts);

	/* Kept. */
	has_string(fdt, "/", "compatible", "acme,board");
	has_string(fdt, "/chosen", "mine", "kept");
	has_cell(fdt, "/cpus/cpu@0", "my-own", 7);
	node_at(fdt, "/plic@1000");
	assert_int_equal(fdt_path_offset(fdt, "/soc"), -FDT_ERR_NOTFOUND);

	/* memory */
	assert_int_equal(fdt_path_offset(fdt, "/memory@40000000"),
			 -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/memory@50000000"),
			 -FDT_ERR_NOTFOUND);
	has_range(fdt, "/memory@80000000", 0x80000000, 6 * GIB);

	/* chosen */
	has_string(fdt, "/chosen", "bootargs", "console=ttyS0");
	has_u64(fdt, "/chosen", "linux,initrd-start", 0x88000000);
	has_prop(fdt, "/chosen", "rng-seed", fake_seed, FAKE_SEED_BYTES);
	free(fdt);
}

static void its_cpus_become_the_guest_s(void **state)
{
	void *fdt = fix_tree(own_dts);
	int intc = node_at(fdt, "/cpus/cpu@0/interrupt-controller");
	fdt32_t want[2] = { cpu_to_fdt32(fdt_get_phandle(fdt, intc)),
			    cpu_to_fdt32(9) };

	has_cell(fdt, "/cpus", "timebase-frequency", 10000000);
	has_string(fdt, "/cpus/cpu@0", "status", "okay");
	has_string(fdt, "/cpus/cpu@0", "riscv,isa", "rv64ima_zicbom_sstc");
	has_none(fdt, "/cpus/cpu@0", "riscv,cboz-block-size");
	has_cell(fdt, "/cpus/cpu@0", "riscv,cbom-block-size", 64);
	/* Its phandle is what its own tree refers to. */
	has_prop(fdt, "/plic@1000", "interrupts-extended", want, sizeof(want));
	has_cell(fdt, "/cpus/cpu@1", "reg", 1);
	has_string(fdt, "/cpus/cpu@1", "device_type", "cpu");
	assert_int_not_equal(phandle_of(fdt,
			     "/cpus/cpu@1/interrupt-controller"), 0);
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu@2"),
			 -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu@6"),
			 -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(fdt, "/cpus/cpu-map"),
			 -FDT_ERR_NOTFOUND);
	free(fdt);
}

static void a_tree_without_any_of_them_gets_them(void **state)
{
	void *fdt = fix_tree("/dts-v1/; / { #address-cells = <2>; "
			     "#size-cells = <2>; };");

	node_at(fdt, "/cpus/cpu@0/interrupt-controller");
	node_at(fdt, "/cpus/cpu@1/interrupt-controller");
	node_at(fdt, "/memory@80000000");
	has_string(fdt, "/chosen", "bootargs", "console=ttyS0");
	free(fdt);
}

static void ram_that_its_cells_can_not_say_is_an_error(void **state)
{
	size_t dtb_bytes, bytes;
	void *dtb = dts_compile("/dts-v1/; / { };", &dtb_bytes), *fdt;

	bytes = guest_fdt_room(&guest.cfg, args.isa, dtb_bytes) +
		guest_fdt_left_bytes(dtb_bytes);
	fdt = malloc(bytes);
	assert_int_equal(fix(fdt, bytes, dtb, dtb_bytes),
			 -EINVAL);
	guest.cfg.memory_bytes = GIB;
	assert_int_equal(fix(fdt, bytes, dtb, dtb_bytes), 0);
	free(fdt);
	free(dtb);
}

static void without_an_initrd_an_old_one_is_forgotten(void **state)
{
	static const struct image_plan none = { .initrd_bytes = 0 };
	void *fdt;

	args.plan = &none;
	guest.cfg.bootargs = NULL;
	fdt = fix_tree(own_dts);
	has_none(fdt, "/chosen", "linux,initrd-start");
	has_none(fdt, "/chosen", "linux,initrd-end");
	has_string(fdt, "/chosen", "bootargs", "old");
	free(fdt);
}

static void no_changed_byte_of_its_own_tree_does_harm(void **state)
{
	static const u8 bad[] = { 0, 1, 0x7f, 0xff };
	size_t dtb_bytes, bytes;
	u8 *dtb = dts_compile(own_dts, &dtb_bytes);
	void *fdt;

	bytes = guest_fdt_room(&guest.cfg, args.isa, dtb_bytes) +
		guest_fdt_left_bytes(dtb_bytes);
	fdt = malloc(bytes);
	for (size_t i = 0; i < dtb_bytes; i++) {
		u8 old = dtb[i];

		for (size_t j = 0; j < sizeof(bad); j++) {
			int ret;

			dtb[i] = bad[j];
			ret = fix(fdt, bytes, dtb, dtb_bytes);
			assert_true(ret == 0 || ret == -EINVAL ||
				    ret == -ENOSPC);
		}
		dtb[i] = old;
	}
	for (size_t n = 0; n < dtb_bytes; n += 3)
		assert_int_equal(fix(fdt, bytes, dtb, n),
				 -EINVAL);
	/* The end of the last name. */
	dtb[dtb_bytes - 1] = 'x';
	assert_int_equal(fix(fdt, bytes, dtb, dtb_bytes), -EINVAL);
	dtb[dtb_bytes - 1] = 0;
	assert_int_equal(fix(fdt, 40, dtb, dtb_bytes),
			 -ENOSPC);
	assert_int_equal(fix(fdt, dtb_bytes, dtb, dtb_bytes),
			 -ENOSPC);
	free(fdt);
	free(dtb);
}

static void a_tree_may_be_at_any_address(void **state)
{
	size_t bytes;
	u8 *dtb = dts_compile(own_dts, &bytes), *odd;
	u64 want[2048], buf[2048];

	assert_int_equal(fix(want, sizeof(want), dtb, bytes), 0);
	for (size_t by = 1; by < 8; by++) {
		odd = malloc(bytes + by);
		memcpy(odd + by, dtb, bytes);
		assert_int_equal(tree_check(odd + by, bytes), 0);
		assert_int_equal(tree_check(odd + by, bytes - 1), -EINVAL);
		assert_int_equal(fix(buf, sizeof(buf), odd + by, bytes), 0);
		assert_memory_equal(buf, want, fdt_totalsize(want));
		free(odd);
	}
	free(dtb);
}

static void a_tree_gets_another_seed_and_stays_as_it_is(void **state)
{
	u8 other[FAKE_SEED_BYTES];
	u64 buf[2048], was[2048];
	void *seed;

	memset(other, 0x5a, sizeof(other));
	assert_int_equal(make(buf, sizeof(buf)), 0);
	memcpy(was, buf, sizeof(was));
	seed = guest_fdt_seed(&job);
	assert_non_null(seed);
	memcpy(seed, other, sizeof(other));
	has_prop(buf, "/chosen", "rng-seed", other, sizeof(other));
	memcpy(seed, fake_seed, FAKE_SEED_BYTES);
	assert_memory_equal(buf, was, fdt_totalsize(buf));
	args.rng_seed = NULL;
	assert_int_equal(make(buf, sizeof(buf)), 0);
	assert_null(guest_fdt_seed(&job));
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_tree_is_a_virt_machine),
		TEST(each_vcpu_has_its_isa_and_its_interrupt_controller),
		TEST(devices_are_where_the_bus_has_them),
		TEST(the_plic_has_an_absent_m_and_an_s_context_per_vcpu),
		TEST(chosen_says_what_was_handed_over),
		TEST(what_is_not_there_is_not_mentioned),
		TEST(a_tree_gets_another_seed_and_stays_as_it_is),
		TEST(a_syscon_gets_poweroff_and_reboot),
		TEST(phandles_are_unique),
		TEST(dtc_has_nothing_to_complain_of),
		TEST(a_buffer_too_small_is_told_at_every_size),
		TEST(five_hundred_vcpus_have_room),
		TEST(in_a_tree_of_its_own_only_three_things_are_corrected),
		TEST(its_cpus_become_the_guest_s),
		TEST(a_tree_without_any_of_them_gets_them),
		TEST(ram_that_its_cells_can_not_say_is_an_error),
		TEST(without_an_initrd_an_old_one_is_forgotten),
		TEST(no_changed_byte_of_its_own_tree_does_harm),
		TEST(a_tree_may_be_at_any_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
