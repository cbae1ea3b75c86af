/*
 * What the device tree says of the machine.
 *
 * One pass over /cpus, /memory, /reserved-memory, /chosen and the few devices
 * that the guests drive, found by their compatible strings. The result is
 * plain data in `machine`, constant after boot. Buses are taken as mapped one
 * to one, which holds for QEMU's virt board and for what Rouse writes.
 *
 * The boot hart is always harts[0]; the others follow in the tree's order.
 */
#include "guests/baremetal/runtime/runtime.h"

#include <libfdt.h>

struct machine machine;
struct hart harts[MAX_HARTS];

extern char _start[], _end[];

static u64 cells(const fdt32_t *p, int n)
{
	u64 v = 0;

	while (n-- > 0)
		v = v << 32 | fdt32_to_cpu(*p++);
	return v;
}

/* Entry `i` of a node's reg; false if there is none. Finding the parent means
 * to walk the tree, so whoever knows it says so. */
static bool child_reg(const void *fdt, int parent, int node, int i,
		      struct range *r)
{
	int len;
	int ac = fdt_address_cells(fdt, parent);
	int sc = fdt_size_cells(fdt, parent);
	const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

	if (!reg || ac < 0 || sc < 0 || (i + 1) * (ac + sc) * 4 > len)
		return false;
	reg += i * (ac + sc);
	*r = (struct range){cells(reg, ac), cells(reg + ac, sc)};
	return true;
}

static bool node_reg(const void *fdt, int node, int i, struct range *r)
{
	return child_reg(fdt, fdt_parent_offset(fdt, node), node, i, r);
}

static u32 node_u32(const void *fdt, int node, const char *prop, u32 otherwise)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, prop, &len);

	return p && len >= 4 ? fdt32_to_cpu(*p) : otherwise;
}

static bool is_okay(const void *fdt, int node)
{
	const char *s = fdt_getprop(fdt, node, "status", NULL);

	return !s || !strcmp(s, "okay") || !strcmp(s, "ok");
}

static bool is_cpu(const void *fdt, int node)
{
	const char *s = fdt_getprop(fdt, node, "device_type", NULL);

	return s && !strcmp(s, "cpu") && is_okay(fdt, node);
}

static bool cpu_has(const void *fdt, int cpu, const char *ext)
{
	const char *isa = fdt_getprop(fdt, cpu, "riscv,isa", NULL);
	size_t n = strlen(ext);

	if (fdt_stringlist_search(fdt, cpu, "riscv,isa-extensions", ext) >= 0)
		return true;
	if (!isa || strncmp(isa, "rv64", 4))
		return false;
	for (isa += 4; n == 1 && *isa && *isa != '_'; isa++)
		if (*isa == *ext)
			return true;
	while ((isa = strchr(isa, '_')) != NULL) {
		isa++;
		if (!strncmp(isa, ext, n) && (!isa[n] || isa[n] == '_'))
			return true;
	}
	return false;
}

bool isa_has(const char *ext)
{
	const void *fdt = machine.dtb;
	int cpus = fdt_path_offset(fdt, "/cpus"), cpu;

	fdt_for_each_subnode(cpu, fdt,
			     cpus) if (is_cpu(fdt, cpu) &&
				       !cpu_has(fdt, cpu, ext)) return false;
	return true;
}

static u32 mmu_bits(const void *fdt, int cpu)
{
	const char *type = fdt_getprop(fdt, cpu, "mmu-type", NULL);

	return type && !strcmp(type, "riscv,sv57")   ? 57
	       : type && !strcmp(type, "riscv,sv48") ? 48
						     : 39;
}

/* The phandles of the harts' interrupt controllers: to look for each of
 * hundreds in the tree would take its square. */
static u32 intcs[MAX_HARTS];

static u32 intc_phandle(const void *fdt, int cpu)
{
	int sub;

	fdt_for_each_subnode(sub, fdt, cpu)
	{
		if (fdt_getprop(fdt, sub, "interrupt-controller", NULL))
			return fdt_get_phandle(fdt, sub);
	}
	return 0;
}

static void find_harts(const void *fdt)
{
	int cpus = fdt_path_offset(fdt, "/cpus"), cpu;
	struct range r;

	machine.hz = node_u32(fdt, cpus, "timebase-frequency", 10000000);
	machine.hart_count = 1;
	fdt_for_each_subnode(cpu, fdt, cpus)
	{
		if (!is_cpu(fdt, cpu) || !child_reg(fdt, cpus, cpu, 0, &r))
			continue;
		if (!*machine.isa && fdt_getprop(fdt, cpu, "riscv,isa", NULL))
			machine.isa = fdt_getprop(fdt, cpu, "riscv,isa", NULL);
		if (!machine.mmu_bits)
			machine.mmu_bits = mmu_bits(fdt, cpu);
		if (r.base == harts[0].id)
			intcs[0] = intc_phandle(fdt, cpu);
		if (r.base == harts[0].id || machine.hart_count == MAX_HARTS)
			continue;
		harts[machine.hart_count].id = r.base;
		intcs[machine.hart_count] = intc_phandle(fdt, cpu);
		machine.hart_count++;
	}
}

static void add_reserved(u64 base, u64 bytes)
{
	u64 end = (base + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);

	if (!bytes || machine.reserved_count == MACHINE_RANGES)
		return;
	base &= ~(PAGE_BYTES - 1);
	machine.reserved[machine.reserved_count++] =
		(struct range){base, end - base};
}

static void find_memory(const void *fdt)
{
	int node = -1, sub;
	struct range r;

	while ((node = fdt_node_offset_by_prop_value(fdt, node, "device_type",
						     "memory", 7)) >= 0)
		for (int i = 0; node_reg(fdt, node, i, &r); i++)
			if (machine.ram_count < MACHINE_RANGES)
				machine.ram[machine.ram_count++] = r;

	add_reserved((u64)_start, (u64)(_end - _start));
	add_reserved((u64)fdt, machine.dtb_bytes);
	node = fdt_path_offset(fdt, "/reserved-memory");
	fdt_for_each_subnode(sub, fdt,
			     node) for (int i = 0; node_reg(fdt, sub, i, &r);
					i++) add_reserved(r.base, r.bytes);
	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
		uint64_t base, bytes;

		if (!fdt_get_mem_rsv(fdt, i, &base, &bytes))
			add_reserved(base, bytes);
	}
}

static u64 chosen_addr(const void *fdt, int chosen, const char *prop)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, chosen, prop, &len);

	return p ? cells(p, len / 4) : 0;
}

static void find_chosen(const void *fdt)
{
	int node = fdt_path_offset(fdt, "/chosen");
	const char *s = fdt_getprop(fdt, node, "bootargs", NULL);
	u64 start = chosen_addr(fdt, node, "linux,initrd-start");
	u64 end = chosen_addr(fdt, node, "linux,initrd-end");

	if (s)
		machine.bootargs = s;
	if (end > start)
		add_reserved(start, end - start);
}

/* The hart whose interrupt controller has that phandle; -1: none. */
static int intc_hart(u32 phandle)
{
	for (u32 i = 0; i < machine.hart_count; i++)
		if (intcs[i] == phandle)
			return (int)i;
	return -1;
}

static void find_plic(const void *fdt)
{
	int node = fdt_node_offset_by_compatible(fdt, -1, "riscv,plic0");
	const fdt32_t *p;
	int len, hart;

	for (u32 i = 0; i < MAX_HARTS; i++)
		machine.plic_context[i] = -1;
	if (node < 0)
		node = fdt_node_offset_by_compatible(fdt, -1,
						     "sifive,plic-1.0.0");
	if (node < 0 || !node_reg(fdt, node, 0, &machine.plic))
		return;
	machine.plic_lines = node_u32(fdt, node, "riscv,ndev", 0);
	p = fdt_getprop(fdt, node, "interrupts-extended", &len);
	for (int i = 0; p && i < len / 8; i++) {
		if (fdt32_to_cpu(p[2 * i + 1]) != IRQ_S_EXT)
			continue;
		hart = intc_hart(fdt32_to_cpu(p[2 * i]));
		if (hart >= 0)
			machine.plic_context[hart] = i;
	}
}

static int find_device(const void *fdt, const char *compatible, struct range *r,
		       u32 *irq)
{
	int node = fdt_node_offset_by_compatible(fdt, -1, compatible);

	if (node < 0 || !is_okay(fdt, node) || !node_reg(fdt, node, 0, r))
		return -1;
	if (irq)
		*irq = node_u32(fdt, node, "interrupts", 0);
	return node;
}

void machine_init(const void *dtb)
{
	const char *model;
	int node;

	for (u32 i = 0; i < MAX_HARTS; i++)
		harts[i].index = i;
	harts[0].running = 1;
	machine.model = machine.bootargs = machine.isa = "";
	machine.hart_count = 1;
	machine.hz = 10000000;
	if (fdt_check_header(dtb))
		die("no device tree at %p", dtb);
	machine.dtb = dtb;
	machine.dtb_bytes = fdt_totalsize(dtb);
	model = fdt_getprop(dtb, 0, "model", NULL);
	if (model)
		machine.model = model;
	machine.rouse = !strcmp(machine.model, "rouse,virt");
	find_harts(dtb);
	find_memory(dtb);
	find_chosen(dtb);
	find_plic(dtb);
	node = find_device(dtb, "ns16550a", &machine.uart, &machine.uart_irq);
	machine.uart_shift = node_u32(dtb, node, "reg-shift", 0);
	find_device(dtb, "google,goldfish-rtc", &machine.rtc, &machine.rtc_irq);
	if (find_device(dtb, "sifive,test0", &machine.finisher, NULL) < 0)
		find_device(dtb, "sifive,test1", &machine.finisher, NULL);
	machine.sstc = isa_has("sstc");
}
