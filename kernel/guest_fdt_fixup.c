/*
 * Correcting a tree that the guest brought along.
 *
 * Whoever brings a tree means it: only what it can't know is changed. That is
 * how much RAM there is and where, which harts there are, what they can do and
 * how fast their time goes, and what is handed over at start (bootargs, initrd,
 * random seed).
 *
 * A CPU's node that may stay is edited, not replaced, since its interrupt
 * controller's phandle is what the tree's own interrupt controllers refer to.
 * Nodes of CPUs that don't exist go, and with them cpu-map, which would refer
 * to them.
 *
 * The tree is checked as a whole before anything reads it. Offsets are looked
 * up anew after each change, because every change moves what follows it. Each
 * CPU that goes, is corrected or comes is a piece.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "kernel/guest.h"
#include "kernel/image.h"

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
	snprintf(name, sizeof(name), "memory@%lx", cfg->ram_base.v);
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

	fdt_for_each_subnode(node, fdt, cpus)
	{
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

	fdt_for_each_subnode(node, fdt, cpus)
	{
		int len;
		const void *reg = fdt_getprop(fdt, node, "reg", &len);
		u64 id;

		if (is_cpu(fdt, node) &&
		    (!reg || !cells_read(reg, len, &id) || id >= vcpus))
			return node;
	}
	return -FDT_ERR_NOTFOUND;
}

static int cpus_add(void *fdt)
{
	int cpus = fdt_add_subnode(fdt, 0, "cpus");
	int e = cpus < 0 ? cpus
			 : fdt_setprop_u32(fdt, cpus, "#address-cells", 1);

	if (!e)
		e = fdt_setprop_u32(fdt, cpus, "#size-cells", 0);
	return e ? e : cpus;
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
					    start)
			  : prop_remove(fdt, node, "linux,initrd-start");
	if (!e)
		e = bytes ? fdt_setprop_u64(fdt, node, "linux,initrd-end",
					    start + bytes)
			  : prop_remove(fdt, node, "linux,initrd-end");
	if (!e && a->rng_seed)
		e = fdt_setprop(fdt, node, "rng-seed", a->rng_seed,
				(int)a->rng_seed_bytes);
	return e;
}

/* ---- the pieces ---- */

static int open_piece(struct guest_fdt_job *job)
{
	const struct guest_fdt_args *a = &job->args;
	void *fdt = job->buf;
	int cpus, e = guest_fdt_check(a->dtb, a->dtb_bytes);

	if (!e)
		e = fdt_open_into(a->dtb, fdt,
				  (int)MIN(job->bytes, (size_t)INT_MAX));
	if (!e)
		e = memory_fix(fdt, &a->guest->cfg);
	if (e)
		return e;
	cpus = fdt_subnode_offset(fdt, 0, "cpus");
	if (cpus == -FDT_ERR_NOTFOUND)
		cpus = cpus_add(fdt);
	return cpus < 0 ? cpus
			: fdt_setprop_u32(fdt, cpus, "timebase-frequency",
					  (u32)a->timebase_hz);
}

static int surplus_piece(struct guest_fdt_job *job)
{
	int cpus = fdt_subnode_offset(job->buf, 0, "cpus"), map;
	int node = cpu_surplus(job->buf, cpus, job->args.guest->cfg.vcpus);
	int e;

	if (node == -FDT_ERR_NOTFOUND)
		return 0;
	e = node < 0 ? node : fdt_del_node(job->buf, node);
	if (e)
		return e;
	map = fdt_subnode_offset(job->buf, cpus, "cpu-map");
	e = map < 0 ? 0 : fdt_del_node(job->buf, map);
	return e ? e : 1;
}

static int cpu_piece(struct guest_fdt_job *job)
{
	void *fdt = job->buf;
	u32 i = job->vcpu++, phandle;
	int cpus = fdt_subnode_offset(fdt, 0, "cpus");
	int node = cpu_find(fdt, cpus, i), e;

	if (node >= 0) {
		e = guest_fdt_cpu_set(fdt, node, job->args.isa);
	} else {
		e = fdt_generate_phandle(fdt, &phandle);
		if (!e)
			e = guest_fdt_cpu_add(fdt, cpus, job->args.isa, i,
					      phandle);
	}
	return e ? e : job->vcpu < job->args.guest->cfg.vcpus;
}

static int rest_piece(struct guest_fdt_job *job)
{
	int e = chosen_fix(job->buf, &job->args);

	return e ? e : fdt_pack(job->buf);
}

guest_fdt_piece *const guest_fdt_fixing[] = {
	open_piece, surplus_piece, cpu_piece, rest_piece, NULL,
};
