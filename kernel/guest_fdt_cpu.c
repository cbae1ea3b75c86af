/*
 * A CPU's node: what the guest may know of the hart that it is given.
 *
 * The ISA is said twice, as a string (riscv,isa) for those who read only that,
 * and as base and list (riscv,isa-base, riscv,isa-extensions), which newer
 * kernels prefer because it needs no parser. Both come from the same allow-list
 * of the architecture's, so they can't differ.
 */
#include "kernel/guest_fdt_private.h"

#include <stdio.h>
#include <string.h>

size_t guest_fdt_isa_bytes(const struct guest_fdt_isa *isa)
{
	size_t bytes = 0;

	for (u32 i = 0; i < isa->count; i++)
		bytes += strlen(isa->extensions[i]) + 1;
	return bytes;
}

static void extensions_write(struct tree_writer *t,
			     const struct guest_fdt_isa *isa)
{
	char *to = tree_room(t, "riscv,isa-extensions",
			     (u32)guest_fdt_isa_bytes(isa));

	for (u32 i = 0; to && i < isa->count; i++) {
		size_t bytes = strlen(isa->extensions[i]) + 1;

		memcpy(to, isa->extensions[i], bytes);
		to += bytes;
	}
}

void guest_fdt_cpu_props(struct tree_writer *t, const struct guest_fdt_isa *isa)
{
	tree_string(t, "status", "okay");
	tree_string(t, "riscv,isa", isa->isa);
	tree_string(t, "riscv,isa-base", "rv64i");
	extensions_write(t, isa);
	if (isa->mmu_type)
		tree_string(t, "mmu-type", isa->mmu_type);
	if (isa->cbom_block_bytes)
		tree_u32(t, "riscv,cbom-block-size", isa->cbom_block_bytes);
	if (isa->cboz_block_bytes)
		tree_u32(t, "riscv,cboz-block-size", isa->cboz_block_bytes);
}

static void intc_write(struct tree_writer *t, u32 phandle)
{
	tree_node(t, "interrupt-controller");
	tree_u32(t, "#address-cells", 0);
	tree_u32(t, "#interrupt-cells", 1);
	tree_empty(t, "interrupt-controller");
	tree_string(t, "compatible", "riscv,cpu-intc");
	tree_u32(t, "phandle", phandle);
	tree_node_end(t);
}

void guest_fdt_cpu(struct tree_writer *t, const struct guest_fdt_isa *isa,
		   u32 hartid, int cells, u32 intc_phandle)
{
	char name[16];

	snprintf(name, sizeof(name), "cpu@%x", hartid);
	tree_node(t, name);
	tree_string(t, "device_type", "cpu");
	if (cells == 2)
		tree_u64(t, "reg", hartid);
	else
		tree_u32(t, "reg", hartid);
	tree_string(t, "compatible", "riscv");
	guest_fdt_cpu_props(t, isa);
	intc_write(t, intc_phandle);
	tree_node_end(t);
}
