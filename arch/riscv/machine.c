/*
 * The machine as its device tree describes it; its interrupt controllers are
 * read in machine_irq.c. Addresses pass through `ranges`.
 *
 * RAM and reservations are needed before there is an allocator, hence the
 * call-backs; the rest is kept in `machine`. A tree may name a piece of RAM
 * more than once: given out twice, it would have two owners.
 */
#include "arch/riscv/machine.h"

#include <libfdt.h>
#include <string.h>

#include "arch/riscv/isa.h"
#include "arch/riscv/machine_private.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "kernel/tree_read.h"

struct machine machine = { .plic_node = -1, .sswi_node = -1,
			   .imsic_node = -1 };

int machine_check(const void *fdt)
{
	if (!IS_ALIGNED((uintptr_t)fdt, 8) || fdt_magic(fdt) != FDT_MAGIC)
		return -EINVAL;
	return tree_check(fdt, fdt_totalsize(fdt));
}

static u64 cells(const fdt32_t *p, int n)
{
	u64 v = 0;

	while (n-- > 0)
		v = v << 32 | fdt32_to_cpu(*p++);
	return v;
}

u32 machine_prop_u32(const void *fdt, int node, const char *name, u32 absent)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, name, &len);

	return p && len >= 4 ? fdt32_to_cpu(*p) : absent;
}

/* A property's first string; NULL: it has none, or no end. */
static const char *prop_string(const void *fdt, int node, const char *name)
{
	return fdt_stringlist_get(fdt, node, name, 0, NULL);
}

/* One bus level up: the address as the parent's parent sees it. */
static u64 translate_up(const void *fdt, int bus, u64 addr)
{
	int len, child = fdt_address_cells(fdt, bus);
	int sizes = fdt_size_cells(fdt, bus);
	int up = fdt_parent_offset(fdt, bus);
	const fdt32_t *p = fdt_getprop(fdt, bus, "ranges", &len);
	int parent = up < 0 ? 0 : fdt_address_cells(fdt, up);
	int row = child + parent + sizes;

	/* A bus without addresses, or with a count that is none. */
	if (child < 0 || parent < 0 || sizes < 0)
		return addr;
	for (; p && len >= row * 4; p += row, len -= row * 4) {
		u64 from = cells(p, child);
		u64 bytes = cells(p + child + parent, sizes);

		if (addr - from < bytes)
			return cells(p + child, parent) + (addr - from);
	}
	return addr;
}

int machine_reg(const void *fdt, int node, u32 n, struct mmio *out)
{
	int len, bus = fdt_parent_offset(fdt, node);
	const fdt32_t *p = fdt_getprop(fdt, node, "reg", &len);
	int ac = fdt_address_cells(fdt, bus), sc = fdt_size_cells(fdt, bus);

	if (!p || bus < 0 || ac < 0 || sc < 0 ||
	    len < (int)(n + 1) * (ac + sc) * 4)
		return -ENOENT;
	p += (int)n * (ac + sc);
	out->base = cells(p, ac);
	out->bytes = cells(p + ac, sc);
	for (; bus > 0; bus = fdt_parent_offset(fdt, bus))
		out->base = translate_up(fdt, bus, out->base);
	return 0;
}

int machine_regs(const void *fdt, int node, u64 least, struct mmio *out)
{
	struct mmio m;

	if (machine_reg(fdt, node, 0, &m))
		return -ENOENT;
	if (m.bytes < least) {
		log_warn("%.32s: has registers of %lu bytes, not %lu: left out",
			 fdt_get_name(fdt, node, NULL), m.bytes, least);
		return -ENOENT;
	}
	*out = m;
	return 0;
}

bool machine_node_usable(const void *fdt, int node)
{
	const char *s = prop_string(fdt, node, "status");

	return !s || strcmp(s, "okay") == 0 || strcmp(s, "ok") == 0;
}

/* A way through the ranges of the tree's RAM, in its order. */
struct ram_at {
	int node;
	u32 reg; /* of that node, the next one */
};

static struct ram_at ram_first(const void *fdt)
{
	return (struct ram_at){fdt_first_subnode(fdt, 0), 0};
}

static bool is_ram_node(const void *fdt, int node)
{
	const char *type = prop_string(fdt, node, "device_type");

	return type && strcmp(type, "memory") == 0;
}

static bool ram_next(const void *fdt, struct ram_at *at, struct range *out)
{
	struct mmio m;

	for (; at->node >= 0; at->node = fdt_next_subnode(fdt, at->node)) {
		if (is_ram_node(fdt, at->node) &&
		    machine_reg(fdt, at->node, at->reg++, &m) == 0) {
			*out = range_within(m.base, m.bytes);
			return true;
		}
		at->reg = 0;
	}
	return false;
}

/* The first `count` ranges of its RAM. */
struct ram {
	const void *fdt;
	u32 count;
};

static void ram_ranges(const void *ctx, struct range_search *s)
{
	const struct ram *ram = ctx;
	struct ram_at at = ram_first(ram->fdt);
	struct range r;

	for (u32 n = 0; n < ram->count && ram_next(ram->fdt, &at, &r); n++)
		range_consider(s, r);
}

int machine_ram(const void *fdt, void (*fn)(u64 base, u64 bytes))
{
	struct ram_at at = ram_first(fdt);
	struct ram before = {fdt, 0};
	struct range r;

	/* What two ranges have in common is the first one's. */
	for (; ram_next(fdt, &at, &r); before.count++)
		range_without(r, ram_ranges, &before, fn);
	return before.count ? 0 : -EINVAL;
}

bool machine_is_ram(const void *fdt, struct range r)
{
	const struct ram all = {fdt, UINT32_MAX};

	return range_covered(r, ram_ranges, &all);
}

void machine_reserved(const void *fdt, struct range_search *s)
{
	int node, top = fdt_path_offset(fdt, "/reserved-memory");
	struct mmio m;

	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
		uint64_t base, bytes;

		if (fdt_get_mem_rsv(fdt, i, &base, &bytes) == 0)
			range_consider(s, range_around(base, bytes));
	}
	fdt_for_each_subnode(node, fdt, top)
		for (u32 i = 0; machine_reg(fdt, node, i, &m) == 0; i++)
			range_consider(s, range_around(m.base, m.bytes));
}

static u32 count_cpus(const void *fdt, int cpus)
{
	u32 n = 0;
	int node;

	fdt_for_each_subnode(node, fdt, cpus)
		n++;
	return n;
}

static bool hart_is_listed(u64 hartid)
{
	for (u32 i = 0; i < machine.hart_count; i++)
		if (machine.harts[i].hartid == hartid)
			return true;
	return false;
}

static void read_hart(const void *fdt, int node)
{
	const char *type = prop_string(fdt, node, "device_type");
	struct hart *h = &machine.harts[machine.hart_count];
	struct mmio m;
	int intc;

	if (!type || strcmp(type, "cpu") != 0 ||
	    !machine_node_usable(fdt, node) || machine_reg(fdt, node, 0, &m))
		return;
	if (hart_is_listed(m.base)) {
		log_warn("hart %lu: the device tree has two nodes for it; the "
			 "second is left out",
			 m.base);
		return;
	}
	if (isa_add_hart(fdt, node)) {
		log_warn("hart %lu: its node has no ISA; left out",
			 m.base);
		return;
	}
	h->hartid = m.base;
	fdt_for_each_subnode(intc, fdt, node)
		if (fdt_getprop(fdt, intc, "interrupt-controller", NULL))
			h->intc = fdt_get_phandle(fdt, intc);
	machine.hart_count++;
}

/* One cell, or two (Devicetree Specification, 3.8.1). A guest is told in one,
 * as Linux reads it. */
static u64 timebase_of(const void *fdt, int cpus)
{
	int len;
	u64 hz;
	const fdt32_t *p = cpus < 0 ? NULL :
		fdt_getprop(fdt, cpus, "timebase-frequency", &len);

	if (!p)
		refuse("the device tree has no /cpus/timebase-frequency");
	if (len != 4 && len != 8)
		refuse("the device tree's /cpus/timebase-frequency is of %d "
		       "bytes, not of 4 or 8", len);
	hz = cells(p, len / 4);
	if (!hz || hz > UINT32_MAX)
		refuse("the device tree's /cpus/timebase-frequency is %lu Hz, "
		       "not 1 to %u", hz, UINT32_MAX);
	return hz;
}

static void read_harts(const void *fdt)
{
	int node, cpus = fdt_path_offset(fdt, "/cpus");

	timebase_hz = timebase_of(fdt, cpus);
	machine.harts = obj_alloc(sizeof(struct hart) * count_cpus(fdt, cpus));
	if (!machine.harts)
		refuse("not enough memory for the list of harts");
	isa_init();
	fdt_for_each_subnode(node, fdt, cpus)
		read_hart(fdt, node);
	isa_finish();
}

struct range machine_initrd(const void *fdt)
{
	int len, node = fdt_path_offset(fdt, "/chosen");
	struct range r = { 0, 0 };
	const fdt32_t *p;

	if (node < 0)
		return r;
	p = fdt_getprop(fdt, node, "linux,initrd-start", &len);
	if (p)
		r.from = cells(p, len / 4);
	p = fdt_getprop(fdt, node, "linux,initrd-end", &len);
	if (p)
		r.to = cells(p, len / 4);
	return r;
}

static void read_chosen(const void *fdt)
{
	int node = fdt_path_offset(fdt, "/chosen");

	machine.initrd = machine_initrd(fdt);
	if (node < 0)
		return;
	cmdline_init(prop_string(fdt, node, "bootargs"));
}

/* The console's node: chosen/stdout-path, which may be an alias and may have
 * options behind a colon. */
static int stdout_node(const void *fdt)
{
	int node = fdt_path_offset(fdt, "/chosen");
	const char *path = node < 0 ? NULL :
		prop_string(fdt, node, "stdout-path");

	return path ? fdt_path_offset_namelen(fdt, path,
					      (int)strcspn(path, ":")) : -1;
}

/* The phandle of the controller whose numbers its `interrupts` are, which the
 * node says itself or a parent. 0: none does. */
static u32 interrupt_parent(const void *fdt, int node)
{
	u32 phandle = 0;

	while (node >= 0 && !phandle) {
		phandle = machine_prop_u32(fdt, node, "interrupt-parent", 0);
		node = fdt_parent_offset(fdt, node);
	}
	return phandle;
}

/* Are its eight registers within its window, and of a width that we have? */
static bool uart_fits(void)
{
	u32 width = machine.uart_width;

	return (width == 1 || width == 4) && machine.uart_shift <= 8 &&
	       (7ULL << machine.uart_shift) + width <= machine.uart.bytes;
}

static void read_uart(const void *fdt)
{
	int node = stdout_node(fdt);

	if (node < 0 || (fdt_node_check_compatible(fdt, node, "ns16550a") &&
			 fdt_node_check_compatible(fdt, node, "ns16550")))
		return;
	if (machine_reg(fdt, node, 0, &machine.uart))
		return;
	machine.uart_shift = machine_prop_u32(fdt, node, "reg-shift", 0);
	machine.uart_width = machine_prop_u32(fdt, node, "reg-io-width", 1);
	machine.uart_irq = machine_prop_u32(fdt, node, "interrupts", 0);
	machine.uart_irq_parent = interrupt_parent(fdt, node);
	if (!uart_fits()) {
		log_warn("the console's UART is none that we know: the "
			 "firmware's is used");
		machine.uart.bytes = 0;
	}
}

void machine_init(const void *fdt)
{
	machine.fdt = fdt;
	read_chosen(fdt);
	read_harts(fdt);
	if (!machine.hart_count)
		refuse("the device tree lists no usable hart");
	read_uart(fdt);
	machine_read_irqs(fdt);
}
