/*
 * A CPU's node: what the guest may know of the hart that it is given.
 *
 * The ISA is said twice, as a string (riscv,isa) for those who read only that,
 * and as base and list (riscv,isa-base, riscv,isa-extensions), which newer
 * kernels prefer because it needs no parser. Both come from the same allow-list
 * of the architecture's, so they can't differ.
 *
 * libfdt has two sets of calls, for a tree that grows at its end and for one
 * that is edited; each property is therefore here twice. A layer over the two
 * was tried on paper and was longer than the repetition.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#define ISA_BASE "rv64i"

size_t guest_fdt_isa_bytes(const struct guest_fdt_isa *isa)
{
	size_t bytes = 0;

	for (u32 i = 0; i < isa->count; i++)
		bytes += strlen(isa->extensions[i]) + 1;
	return bytes;
}

static void extensions_copy(char *to, const struct guest_fdt_isa *isa)
{
	for (u32 i = 0; i < isa->count; i++) {
		size_t len = strlen(isa->extensions[i]) + 1;

		memcpy(to, isa->extensions[i], len);
		to += len;
	}
}

static int isa_write(void *fdt, const struct guest_fdt_isa *isa)
{
	void *list;
	int e;

	e = fdt_property_string(fdt, "riscv,isa", isa->isa);
	if (!e)
		e = fdt_property_string(fdt, "riscv,isa-base", ISA_BASE);
	if (!e)
		e = fdt_property_placeholder(fdt, "riscv,isa-extensions",
					     (int)guest_fdt_isa_bytes(isa),
					     &list);
	if (e)
		return e;
	extensions_copy(list, isa);
	if (isa->mmu_type)
		e = fdt_property_string(fdt, "mmu-type", isa->mmu_type);
	if (!e && isa->cbom_block_bytes)
		e = fdt_property_u32(fdt, "riscv,cbom-block-size",
				     isa->cbom_block_bytes);
	if (!e && isa->cboz_block_bytes)
		e = fdt_property_u32(fdt, "riscv,cboz-block-size",
				     isa->cboz_block_bytes);
	return e;
}

static int intc_write(void *fdt, u32 phandle)
{
	int e = fdt_begin_node(fdt, "interrupt-controller");

	if (!e)
		e = fdt_property_u32(fdt, "#address-cells", 0);
	if (!e)
		e = fdt_property_u32(fdt, "#interrupt-cells", 1);
	if (!e)
		e = fdt_property(fdt, "interrupt-controller", "", 0);
	if (!e)
		e = fdt_property_string(fdt, "compatible", "riscv,cpu-intc");
	if (!e)
		e = fdt_property_u32(fdt, "phandle", phandle);
	return e ? e : fdt_end_node(fdt);
}

int guest_fdt_cpu_write(void *fdt, const struct guest_fdt_isa *isa, u32 hartid,
			u32 intc_phandle)
{
	char name[16];
	int e;

	snprintf(name, sizeof(name), "cpu@%lx", (unsigned long)hartid);
	e = fdt_begin_node(fdt, name);
	if (!e)
		e = fdt_property_string(fdt, "device_type", "cpu");
	if (!e)
		e = fdt_property_u32(fdt, "reg", hartid);
	if (!e)
		e = fdt_property_string(fdt, "status", "okay");
	if (!e)
		e = fdt_property_string(fdt, "compatible", "riscv");
	if (!e)
		e = isa_write(fdt, isa);
	if (!e)
		e = intc_write(fdt, intc_phandle);
	return e ? e : fdt_end_node(fdt);
}

/* Sets a cell, or takes the property away where it doesn't apply. */
static int cell_or_none(void *fdt, int node, const char *name, u32 v)
{
	int e;

	if (v)
		return fdt_setprop_u32(fdt, node, name, v);
	e = fdt_delprop(fdt, node, name);
	return e == -FDT_ERR_NOTFOUND ? 0 : e;
}

int guest_fdt_cpu_set(void *fdt, int node, const struct guest_fdt_isa *isa)
{
	void *list;
	int e;

	e = fdt_setprop_string(fdt, node, "status", "okay");
	if (!e)
		e = fdt_setprop_string(fdt, node, "riscv,isa", isa->isa);
	if (!e)
		e = fdt_setprop_string(fdt, node, "riscv,isa-base", ISA_BASE);
	if (!e)
		e = fdt_setprop_placeholder(fdt, node, "riscv,isa-extensions",
					    (int)guest_fdt_isa_bytes(isa),
					    &list);
	if (e)
		return e;
	extensions_copy(list, isa);
	if (isa->mmu_type)
		e = fdt_setprop_string(fdt, node, "mmu-type", isa->mmu_type);
	else
		e = cell_or_none(fdt, node, "mmu-type", 0);
	if (!e)
		e = cell_or_none(fdt, node, "riscv,cbom-block-size",
				 isa->cbom_block_bytes);
	if (!e)
		e = cell_or_none(fdt, node, "riscv,cboz-block-size",
				 isa->cboz_block_bytes);
	return e;
}

static int intc_add(void *fdt, int cpu, u32 phandle)
{
	int node = fdt_add_subnode(fdt, cpu, "interrupt-controller"), e;

	if (node < 0)
		return node;
	e = fdt_setprop_u32(fdt, node, "#address-cells", 0);
	if (!e)
		e = fdt_setprop_u32(fdt, node, "#interrupt-cells", 1);
	if (!e)
		e = fdt_setprop_empty(fdt, node, "interrupt-controller");
	if (!e)
		e = fdt_setprop_string(fdt, node, "compatible",
				       "riscv,cpu-intc");
	return e ? e : fdt_setprop_u32(fdt, node, "phandle", phandle);
}

int guest_fdt_cpu_add(void *fdt, int cpus, const struct guest_fdt_isa *isa,
		      u32 hartid, u32 intc_phandle)
{
	bool wide = fdt_address_cells(fdt, cpus) == 2;
	char name[16];
	int node, e;

	snprintf(name, sizeof(name), "cpu@%lx", (unsigned long)hartid);
	node = fdt_add_subnode(fdt, cpus, name);
	if (node < 0)
		return node;
	e = fdt_setprop_string(fdt, node, "device_type", "cpu");
	if (!e)
		e = wide ? fdt_setprop_u64(fdt, node, "reg", hartid) :
			   fdt_setprop_u32(fdt, node, "reg", hartid);
	if (!e)
		e = fdt_setprop_string(fdt, node, "compatible", "riscv");
	if (!e)
		e = guest_fdt_cpu_set(fdt, node, isa);
	return e ? e : intc_add(fdt, node, intc_phandle);
}
