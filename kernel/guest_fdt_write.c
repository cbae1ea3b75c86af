/*
 * The device tree that Rouse writes for a guest.
 *
 * It is QEMU's `virt` as far as the guest has it, because the images that
 * people have were built for that: same compatible, same addresses, same
 * bindings. What isn't there is not mentioned.
 *
 * It is written with libfdt's sequential calls, from the beginning to the end,
 * in pieces, with one CPU; the others are copies of that one, of which each is
 * a piece (guest_fdt_many.c). Between two pieces all that is known is in the
 * buffer. Calls that edit were rejected: each moves all that follows it and
 * searches all that is before it. Names are not shared: to look for each is
 * most of the work.
 *
 * Phandles: 1 + n is vCPU n's interrupt controller, then come the devices in
 * the order of their list. M-mode's PLIC contexts point to interrupt -1, "not
 * there": a guest has no M-mode, and that is how OpenSBI leaves the tree for
 * S-mode on QEMU as well, so drivers know it.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "emul/emul.h"
#include "kernel/guest.h"
#include "kernel/image.h"

#define IRQ_M_NONE 0xffffffffu
#define IRQ_S_EXT  9

static struct emul_dev *console_find(const struct guest *g)
{
	for (struct emul_dev *d = g->devices; d; d = d->next)
		if (d->ops->input)
			return d;
	return NULL;
}

static void device_path(const struct emul_dev *d, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "/soc/%s@%lx", d->ops->name, d->base.v);
}

static int reg_put(void *fdt, u64 base, u64 bytes)
{
	fdt64_t reg[2] = {cpu_to_fdt64(base), cpu_to_fdt64(bytes)};

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
		e = fdt_property_string(fdt, "bootargs", bootargs);
	if (!e && con) {
		device_path(con, path, sizeof(path));
		e = fdt_property_string(fdt, "stdout-path", path);
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
		e = fdt_property_string(fdt, "serial0", path);
	return e ? e : fdt_end_node(fdt);
}

static int memory_write(void *fdt, const struct guest_config *cfg)
{
	char name[32];
	int e;

	snprintf(name, sizeof(name), "memory@%lx", cfg->ram_base.v);
	e = fdt_begin_node(fdt, name);
	if (!e)
		e = fdt_property_string(fdt, "device_type", "memory");
	if (!e)
		e = reg_put(fdt, cfg->ram_base.v, cfg->memory_bytes);
	return e ? e : fdt_end_node(fdt);
}

static int cpus_begin(void *fdt, u64 hz)
{
	int e = fdt_begin_node(fdt, "cpus");

	if (!e)
		e = cells_put(fdt, 1, 0);
	return e ? e : fdt_property_u32(fdt, "timebase-frequency", (u32)hz);
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
		fdt32_st(p, guest_fdt_intc_phandle(i));
		fdt32_st(p + 4, IRQ_M_NONE);
		fdt32_st(p + 8, guest_fdt_intc_phandle(i));
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
		e = fdt_property(fdt, "compatible", d->ops->compatible,
				 (int)d->ops->compatible_bytes);
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
	if (!e && d->ops->describe)
		e = d->ops->describe(d, fdt);
	return e ? e : fdt_end_node(fdt);
}

static int soc_write(void *fdt, const struct guest *g)
{
	u32 phandle = guest_fdt_intc_phandle(g->cfg.vcpus);
	int e = fdt_begin_node(fdt, "soc");

	if (!e)
		e = cells_put(fdt, 2, 2);
	if (!e)
		e = fdt_property_string(fdt, "compatible", "simple-bus");
	if (!e)
		e = fdt_property(fdt, "ranges", "", 0);
	for (struct emul_dev *d = g->devices; d; d = d->next)
		d->phandle = phandle++;
	for (struct emul_dev *d = g->devices; !e && d; d = d->next)
		e = device_write(fdt, g, d);
	return e ? e : fdt_end_node(fdt);
}

/* "syscon-poweroff" and its like: a value for a register of a syscon. */
static int syscon_write(void *fdt, const char *name, const char *compatible,
			u32 phandle, u32 value)
{
	int e = fdt_begin_node(fdt, name);

	if (!e)
		e = fdt_property_string(fdt, "compatible", compatible);
	if (!e)
		e = fdt_property_u32(fdt, "regmap", phandle);
	if (!e)
		e = fdt_property_u32(fdt, "offset", 0);
	if (!e)
		e = fdt_property_u32(fdt, "value", value);
	return e ? e : fdt_end_node(fdt);
}

/* A syscon can end the machine. */
static int ends_write(void *fdt, const struct guest *g)
{
	const struct emul_dev *d = g->devices;
	int e;

	while (d && !fdt_stringlist_contains(d->ops->compatible,
					     (int)d->ops->compatible_bytes,
					     "syscon"))
		d = d->next;
	if (!d)
		return 0;
	e = syscon_write(fdt, "reboot", "syscon-reboot", d->phandle,
			 FINISHER_RESET);
	return e ? e
		 : syscon_write(fdt, "poweroff", "syscon-poweroff", d->phandle,
				FINISHER_PASS);
}

/* ---- the pieces ---- */

static int head_piece(struct guest_fdt_job *job)
{
	const struct guest_fdt_args *a = &job->args;
	void *fdt = job->buf;
	int e = fdt_create_with_flags(fdt,
				      (int)MIN(job->bytes, (size_t)INT_MAX),
				      FDT_CREATE_FLAG_NO_NAME_DEDUP);

	if (!e)
		e = fdt_finish_reservemap(fdt);
	if (!e)
		e = fdt_begin_node(fdt, "");
	if (!e)
		e = cells_put(fdt, 2, 2);
	if (!e)
		e = fdt_property_string(fdt, "compatible", "riscv-virtio");
	if (!e)
		e = fdt_property_string(fdt, "model", "rouse,virt");
	if (!e)
		e = aliases_write(fdt, a->guest);
	if (!e)
		e = chosen_write(fdt, a);
	if (!e)
		e = memory_write(fdt, &a->guest->cfg);
	return e ? e : cpus_begin(fdt, a->timebase_hz);
}

static int cpu_piece(struct guest_fdt_job *job)
{
	job->vcpu = 1;
	return guest_fdt_cpu_write(job->buf, job->args.isa, 0,
				   guest_fdt_intc_phandle(0));
}

static int soc_piece(struct guest_fdt_job *job)
{
	int e = fdt_end_node(job->buf);

	return e ? e : soc_write(job->buf, job->args.guest);
}

static int tail_piece(struct guest_fdt_job *job)
{
	void *fdt = job->buf;
	int e = ends_write(fdt, job->args.guest);

	if (!e)
		e = fdt_end_node(fdt);
	return e ? e : fdt_finish(fdt);
}

guest_fdt_piece *const guest_fdt_writing[] = {
	head_piece,
	cpu_piece,
	soc_piece,
	tail_piece,
	guest_fdt_many_piece,
	guest_fdt_copy_piece,
	NULL,
};
