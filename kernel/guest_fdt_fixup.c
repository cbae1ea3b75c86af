/*
 * Correcting a tree that the guest brought along.
 *
 * Whoever brings a tree means it: only what it can't know is changed. That is
 * how much RAM there is and where, which harts there are and what they can do,
 * and what was to be handed over at start (bootargs, initrd, random seed).
 *
 * A CPU's node that may stay is edited, not replaced, since its interrupt
 * controller's phandle is what the tree's own interrupt controllers refer to.
 * Nodes of CPUs that don't exist go, and with them cpu-map, which would refer
 * to them.
 *
 * The tree is checked as a whole before anything reads it. Offsets are looked
 * up anew after each change, because every change moves what follows it.
 */
#include "kernel/guest_fdt.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "kernel/guest.h"
#include "kernel/guest_fdt_cpu.h"
#include "kernel/image.h"
#include "kernel/mem.h"

/* A number of 1 or 2 cells; false: it has another width. */
static bool cells_read(const void *data, int len, u64 *v)
{
	if (len == 4)
		*v = fdt32_ld(data);
	else if (len == 8)
		*v = fdt64_ld(data);
	return len == 4 || len == 8;
}

static int prop_remove(void *fdt, int node, const char *name)
{
	int e = fdt_delprop(fdt, node, name);

	return e == -FDT_ERR_NOTFOUND ? 0 : e;
}

static int memory_fix(void *fdt, const struct guest_config *cfg)
{
	int address = fdt_address_cells(fdt, 0), size = fdt_size_cells(fdt, 0);
	char name[32];
	int node, e;

	while ((node = fdt_node_offset_by_prop_value(fdt, -1, "device_type",
						     "memory", 7)) >= 0) {
		e = fdt_del_node(fdt, node);
		if (e)
			return e;
	}
	if (node != -FDT_ERR_NOTFOUND)
		return node;
	snprintf(name, sizeof(name), "memory@%lx",
		 cfg->ram_base.v);
	node = fdt_subnode_offset(fdt, 0, name);
	if (node == -FDT_ERR_NOTFOUND)
		node = fdt_add_subnode(fdt, 0, name);
	if (node < 0)
		return node;
	e = prop_remove(fdt, node, "reg");
	if (!e)
		e = fdt_setprop_string(fdt, node, "device_type", "memory");
	if (e)
		return e;
	if (address < 1 || address > 2 || size < 1 || size > 2 ||
	    (address == 1 && cfg->ram_base.v > UINT32_MAX) ||
	    (size == 1 && cfg->memory_bytes > UINT32_MAX))
		return -FDT_ERR_BADNCELLS;
	return fdt_appendprop_addrrange(fdt, 0, node, "reg", cfg->ram_base.v,
					cfg->memory_bytes);
}

static bool is_cpu(const void *fdt, int node)
{
	int len;
	const char *type = fdt_getprop(fdt, node, "device_type", &len);

	return type && len == 4 && memcmp(type, "cpu", 4) == 0;
}

/* The CPU's node with that hart id, or a negative libfdt error. */
static int cpu_find(const void *fdt, int cpus, u64 hartid)
{
	int node;

	fdt_for_each_subnode(node, fdt, cpus) {
		int len;
		const void *reg = fdt_getprop(fdt, node, "reg", &len);
		u64 id;

		if (is_cpu(fdt, node) && reg && cells_read(reg, len, &id) &&
		    id == hartid)
			return node;
	}
	return -FDT_ERR_NOTFOUND;
}

/* A node of a CPU that the guest hasn't got, or a negative libfdt error. */
static int cpu_surplus(const void *fdt, int cpus, u32 vcpus)
{
	int node;

	fdt_for_each_subnode(node, fdt, cpus) {
		int len;
		const void *reg = fdt_getprop(fdt, node, "reg", &len);
		u64 id;

		if (is_cpu(fdt, node) &&
		    (!reg || !cells_read(reg, len, &id) || id >= vcpus))
			return node;
	}
	return -FDT_ERR_NOTFOUND;
}

static int cpus_reduce(void *fdt, int cpus, u32 vcpus)
{
	bool removed = false;
	int node, e;

	while ((node = cpu_surplus(fdt, cpus, vcpus)) >= 0) {
		e = fdt_del_node(fdt, node);
		if (e)
			return e;
		removed = true;
	}
	node = fdt_subnode_offset(fdt, cpus, "cpu-map");
	return removed && node >= 0 ? fdt_del_node(fdt, node) : 0;
}

static int cpus_fix(void *fdt, const struct guest_fdt_args *a)
{
	int cpus = fdt_subnode_offset(fdt, 0, "cpus"), e = 0;
	u32 phandle;

	if (cpus == -FDT_ERR_NOTFOUND) {
		cpus = fdt_add_subnode(fdt, 0, "cpus");
		if (cpus >= 0)
			e = fdt_setprop_u32(fdt, cpus, "#address-cells", 1);
		if (cpus >= 0 && !e)
			e = fdt_setprop_u32(fdt, cpus, "#size-cells", 0);
	}
	if (cpus < 0 || e)
		return cpus < 0 ? cpus : e;
	/* Nothing before `cpus` changes from here on: its offset stays. */
	e = fdt_setprop_u32(fdt, cpus, "timebase-frequency",
			    (u32)a->timebase_hz);
	if (!e)
		e = cpus_reduce(fdt, cpus, a->guest->cfg.vcpus);
	for (u32 i = 0; !e && i < a->guest->cfg.vcpus; i++) {
		int node = cpu_find(fdt, cpus, i);

		if (node >= 0) {
			e = guest_fdt_cpu_set(fdt, node, a->isa);
			continue;
		}
		e = fdt_generate_phandle(fdt, &phandle);
		if (!e)
			e = guest_fdt_cpu_add(fdt, cpus, a->isa, i, phandle);
	}
	return e;
}

static int chosen_fix(void *fdt, const struct guest_fdt_args *a)
{
	const char *bootargs = a->guest->cfg.bootargs;
	u64 start = a->plan->initrd.v, bytes = a->plan->initrd_bytes;
	int node = fdt_subnode_offset(fdt, 0, "chosen"), e = 0;

	if (node == -FDT_ERR_NOTFOUND)
		node = fdt_add_subnode(fdt, 0, "chosen");
	if (node < 0)
		return node;
	if (bootargs)
		e = fdt_setprop_string(fdt, node, "bootargs", bootargs);
	if (!e)
		e = bytes ? fdt_setprop_u64(fdt, node, "linux,initrd-start",
					    start) :
			    prop_remove(fdt, node, "linux,initrd-start");
	if (!e)
		e = bytes ? fdt_setprop_u64(fdt, node, "linux,initrd-end",
					    start + bytes) :
			    prop_remove(fdt, node, "linux,initrd-end");
	if (!e && a->rng_seed)
		e = fdt_setprop(fdt, node, "rng-seed", a->rng_seed,
				(int)a->rng_seed_bytes);
	return e;
}

static int tree_fix(void *buf, size_t bytes, const void *dtb, size_t dtb_bytes,
		    const struct guest_fdt_args *args)
{
	int e = guest_fdt_check(dtb, dtb_bytes);

	if (e)
		return e;
	e = fdt_open_into(dtb, buf, (int)MIN(bytes, (size_t)INT_MAX));
	if (!e)
		e = memory_fix(buf, &args->guest->cfg);
	if (!e)
		e = cpus_fix(buf, args);
	if (!e)
		e = chosen_fix(buf, args);
	if (!e)
		e = fdt_pack(buf);
	if (!e)
		return 0;
	return e == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
}

int guest_fdt_fixup(void *buf, size_t bytes, const void *dtb, size_t dtb_bytes,
		    const struct guest_fdt_args *args)
{
	void *copy;
	int e;

	if (IS_ALIGNED((uintptr_t)dtb, 8))
		return tree_fix(buf, bytes, dtb, dtb_bytes, args);
	/*
	 * libfdt wants it aligned; in the archive it may not be. Not copied
	 * to `buf`: opening a tree in place would build a block that is out of
	 * order behind the old tree, at an address as odd as that one's size.
	 */
	copy = obj_alloc(dtb_bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, dtb, dtb_bytes);
	e = tree_fix(buf, bytes, copy, dtb_bytes, args);
	obj_free(copy);
	return e;
}
