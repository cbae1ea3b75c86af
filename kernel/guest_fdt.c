/*
 * The device tree that Rouse writes for a guest.
 *
 * It is QEMU's `virt` as far as the guest has it, because the images that
 * people have were built for that: same compatible, same addresses, same
 * bindings. What isn't there is not mentioned.
 *
 * Two passes. The first writes the whole tree with libfdt's sequential calls,
 * whose cost is linear, so that 512 vCPUs are no problem; the second reopens it
 * for writing and lets each device add what only it knows (describe). Writing
 * everything with the read-write calls was rejected: each moves all that
 * follows it.
 *
 * Phandles: 1 + n is vCPU n's interrupt controller, then come the devices in
 * the order of their list. M-mode's PLIC contexts point to interrupt -1, "not
 * there": a guest has no M-mode, and that is how OpenSBI leaves the tree for
 * S-mode on QEMU as well, so drivers know it.
 */
#include "kernel/guest_fdt.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "emul/emul.h"
#include "kernel/guest.h"
#include "kernel/guest_fdt_cpu.h"
#include "kernel/image.h"
#include "kernel/mem.h"

/* Root, chosen, memory, soc; a dozen devices. */
#define ROOM_BASE (16 * KIB)
/* One vCPU's node without its ISA strings, its interrupts, its strings. */
#define ROOM_VCPU 512
#define ROOM_VCPU_UNKNOWN (4 * KIB)

#define IRQ_M_NONE 0xffffffffu
#define IRQ_S_EXT 9

static u32 intc_phandle(u32 vcpu)
{
	return 1 + vcpu;
}

u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes)
{
	u64 vcpu = ROOM_VCPU_UNKNOWN, bytes = ROOM_BASE + dtb_bytes;

	if (isa)
		vcpu = ROOM_VCPU + strlen(isa->isa) + guest_fdt_isa_bytes(isa);
	if (cfg->bootargs)
		bytes += strlen(cfg->bootargs);
	return ALIGN_UP(bytes + vcpu * cfg->vcpus, PAGE_BYTES);
}

/* libfdt's errors are not ours. */
static int fdt_result(int err)
{
	if (err >= 0)
		return 0;
	return err == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
}

static struct emul_dev *console_find(const struct guest *g)
{
	for (struct emul_dev *d = g->devices; d; d = d->next)
		if (d->ops->input)
			return d;
	return NULL;
}

static void device_path(const struct emul_dev *d, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "/soc/%s@%lx", d->ops->name,
		 d->base.v);
}

static int string_put(void *fdt, const char *name, const char *s)
{
	return fdt_property(fdt, name, s, (int)strlen(s) + 1);
}

static int reg_put(void *fdt, u64 base, u64 bytes)
{
	fdt64_t reg[2] = { cpu_to_fdt64(base), cpu_to_fdt64(bytes) };

	return fdt_property(fdt, "reg", reg, sizeof(reg));
}

static int cells_put(void *fdt, u32 address, u32 size)
{
	int e = fdt_property_u32(fdt, "#address-cells", address);

	return e ? e : fdt_property_u32(fdt, "#size-cells", size);
}

static int chosen_write(void *fdt, const struct guest_fdt_args *a)
{
	const char *bootargs = a->guest->cfg.bootargs;
	const struct emul_dev *con = console_find(a->guest);
	u64 initrd = a->plan->initrd.v;
	char path[64];
	int e;

	e = fdt_begin_node(fdt, "chosen");
	if (!e && bootargs)
		e = string_put(fdt, "bootargs", bootargs);
	if (!e && con) {
		device_path(con, path, sizeof(path));
		e = string_put(fdt, "stdout-path", path);
	}
	if (!e && a->plan->initrd_bytes) {
		e = fdt_property_u64(fdt, "linux,initrd-start", initrd);
		if (!e)
			e = fdt_property_u64(fdt, "linux,initrd-end",
					     initrd + a->plan->initrd_bytes);
	}
	if (!e && a->rng_seed)
		e = fdt_property(fdt, "rng-seed", a->rng_seed,
				 (int)a->rng_seed_bytes);
	return e ? e : fdt_end_node(fdt);
}

static int aliases_write(void *fdt, const struct guest *g)
{
	const struct emul_dev *con = console_find(g);
	char path[64];
	int e;

	if (!con)
		return 0;
	device_path(con, path, sizeof(path));
	e = fdt_begin_node(fdt, "aliases");
	if (!e)
		e = string_put(fdt, "serial0", path);
	return e ? e : fdt_end_node(fdt);
}

static int memory_write(void *fdt, const struct guest_config *cfg)
{
	char name[32];
	int e;

	snprintf(name, sizeof(name), "memory@%lx",
		 cfg->ram_base.v);
	e = fdt_begin_node(fdt, name);
	if (!e)
		e = string_put(fdt, "device_type", "memory");
	if (!e)
		e = reg_put(fdt, cfg->ram_base.v, cfg->memory_bytes);
	return e ? e : fdt_end_node(fdt);
}

static int cpus_write(void *fdt, const struct guest_fdt_args *a)
{
	int e = fdt_begin_node(fdt, "cpus");

	if (!e)
		e = cells_put(fdt, 1, 0);
	if (!e)
		e = fdt_property_u32(fdt, "timebase-frequency",
				     (u32)a->timebase_hz);
	for (u32 i = 0; !e && i < a->guest->cfg.vcpus; i++)
		e = guest_fdt_cpu_write(fdt, a->isa, i, intc_phandle(i));
	return e ? e : fdt_end_node(fdt);
}

/* What makes a device an interrupt controller to the CPUs and to others. */
static int irqchip_write(void *fdt, const struct guest *g)
{
	u32 bytes = g->cfg.vcpus * 4 * sizeof(fdt32_t);
	void *room;
	u8 *p;
	int e;

	e = fdt_property_u32(fdt, "#address-cells", 0);
	if (!e)
		e = fdt_property_u32(fdt, "#interrupt-cells", 1);
	if (!e)
		e = fdt_property(fdt, "interrupt-controller", "", 0);
	if (!e)
		e = fdt_property_placeholder(fdt, "interrupts-extended",
					     (int)bytes, &room);
	if (e)
		return e;
	p = room;
	for (u32 i = 0; i < g->cfg.vcpus; i++, p += 4 * sizeof(fdt32_t)) {
		fdt32_st(p, intc_phandle(i));
		fdt32_st(p + 4, IRQ_M_NONE);
		fdt32_st(p + 8, intc_phandle(i));
		fdt32_st(p + 12, IRQ_S_EXT);
	}
	return 0;
}

static int device_write(void *fdt, const struct guest *g, struct emul_dev *d)
{
	char path[64];
	int e;

	device_path(d, path, sizeof(path));
	e = fdt_begin_node(fdt, strrchr(path, '/') + 1);
	if (!e)
		e = string_put(fdt, "compatible", d->ops->compatible);
	if (!e)
		e = reg_put(fdt, d->base.v, d->ops->bytes);
	if (!e)
		e = fdt_property_u32(fdt, "phandle", d->phandle);
	if (!e && d->irq && g->irqchip) {
		e = fdt_property_u32(fdt, "interrupt-parent",
				     g->irqchip->phandle);
		if (!e)
			e = fdt_property_u32(fdt, "interrupts", d->irq);
	}
	if (!e && d == g->irqchip)
		e = irqchip_write(fdt, g);
	return e ? e : fdt_end_node(fdt);
}

static int soc_write(void *fdt, const struct guest *g)
{
	u32 phandle = intc_phandle(g->cfg.vcpus);
	int e = fdt_begin_node(fdt, "soc");

	if (!e)
		e = cells_put(fdt, 2, 2);
	if (!e)
		e = string_put(fdt, "compatible", "simple-bus");
	if (!e)
		e = fdt_property(fdt, "ranges", "", 0);
	for (struct emul_dev *d = g->devices; d; d = d->next)
		d->phandle = phandle++;
	for (struct emul_dev *d = g->devices; !e && d; d = d->next)
		e = device_write(fdt, g, d);
	return e ? e : fdt_end_node(fdt);
}

/* The first pass. */
static int tree_write(void *fdt, size_t bytes, const struct guest_fdt_args *a)
{
	int e = fdt_create(fdt, (int)MIN(bytes, (size_t)INT_MAX));

	if (!e)
		e = fdt_finish_reservemap(fdt);
	if (!e)
		e = fdt_begin_node(fdt, "");
	if (!e)
		e = cells_put(fdt, 2, 2);
	if (!e)
		e = string_put(fdt, "compatible", "riscv-virtio");
	if (!e)
		e = string_put(fdt, "model", "rouse,virt");
	if (!e)
		e = aliases_write(fdt, a->guest);
	if (!e)
		e = chosen_write(fdt, a);
	if (!e)
		e = memory_write(fdt, &a->guest->cfg);
	if (!e)
		e = cpus_write(fdt, a);
	if (!e)
		e = soc_write(fdt, a->guest);
	if (!e)
		e = fdt_end_node(fdt);
	return e ? e : fdt_finish(fdt);
}

/* "syscon-poweroff" and its like: a value for a register of a syscon. */
static int syscon_add(void *fdt, const char *name, const char *compatible,
		      u32 phandle, u32 value)
{
	int node = fdt_add_subnode(fdt, 0, name), e;

	if (node < 0)
		return node;
	e = fdt_setprop_string(fdt, node, "compatible", compatible);
	if (!e)
		e = fdt_setprop_u32(fdt, node, "regmap", phandle);
	if (!e)
		e = fdt_setprop_u32(fdt, node, "offset", 0);
	return e ? e : fdt_setprop_u32(fdt, node, "value", value);
}

/* The second pass: what each device adds; a syscon can end the machine. */
static int devices_describe(void *fdt, const struct guest *g)
{
	u32 finisher = 0;
	int e = 0;

	for (struct emul_dev *d = g->devices; !e && d; d = d->next) {
		char path[64];
		int node;

		device_path(d, path, sizeof(path));
		node = fdt_path_offset(fdt, path);
		if (node < 0)
			return node;
		if (d->ops->describe)
			e = d->ops->describe(d, fdt, node);
		if (!e && !fdt_node_check_compatible(fdt, node, "syscon"))
			finisher = d->phandle;
	}
	if (!e && finisher)
		e = syscon_add(fdt, "reboot", "syscon-reboot", finisher,
			       FINISHER_RESET);
	if (!e && finisher)
		e = syscon_add(fdt, "poweroff", "syscon-poweroff", finisher,
			       FINISHER_PASS);
	return e;
}

int guest_fdt_write(void *buf, size_t bytes, const struct guest_fdt_args *args)
{
	int e = tree_write(buf, bytes, args);

	if (!e)
		e = fdt_open_into(buf, buf, (int)MIN(bytes, (size_t)INT_MAX));
	if (!e)
		e = devices_describe(buf, args->guest);
	if (!e)
		e = fdt_pack(buf);
	return fdt_result(e);
}

int guest_fdt_reseed(void *fdt, const void *rng_seed, size_t bytes)
{
	int node = fdt_subnode_offset(fdt, 0, "chosen");
	int e = node < 0 ? node :
			   fdt_setprop_inplace(fdt, node, "rng-seed", rng_seed,
					       (int)bytes);

	return e ? -EINVAL : 0;
}

/*
 * libfdt reads the structure and the reservations in place as words, and takes
 * for granted that the header's offsets are aligned as the Devicetree
 * Specification (5.6) wants them.
 */
static bool offsets_aligned(const void *dtb, size_t dtb_bytes)
{
	return dtb_bytes >= sizeof(struct fdt_header) &&
	       IS_ALIGNED(fdt_off_dt_struct(dtb), 4u) &&
	       IS_ALIGNED(fdt_off_mem_rsvmap(dtb), 8u);
}

int guest_fdt_check(const void *dtb, size_t dtb_bytes)
{
	void *copy;
	int e;

	if (IS_ALIGNED((uintptr_t)dtb, 8))
		return !offsets_aligned(dtb, dtb_bytes) ||
		       fdt_check_full(dtb, dtb_bytes) ? -EINVAL : 0;
	copy = obj_alloc(dtb_bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, dtb, dtb_bytes);
	e = guest_fdt_check(copy, dtb_bytes);
	obj_free(copy);
	return e;
}
