/*
 * The device tree that Rouse writes for a guest, and what it writes in any.
 *
 * It is QEMU's `virt` as far as the guest has it, because the images that
 * people have were built for that: same compatible, same addresses, same
 * bindings. What isn't there is not mentioned.
 *
 * It is written from the beginning to the end, in pieces, of which each CPU is
 * one. Calls that edit were rejected: each moves all that follows it and
 * searches all that is before it. So were libfdt's sequential ones: to write a
 * CPU takes tens of thousands of instructions if names are shared, and to end a
 * tree millions, in one piece (kernel/tree_write.c).
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

static void reg_put(struct tree_writer *t, u64 base, u64 bytes)
{
	fdt64_t reg[2] = {cpu_to_fdt64(base), cpu_to_fdt64(bytes)};

	tree_bytes(t, "reg", reg, sizeof(reg));
}

static void cells_put(struct tree_writer *t, u32 address, u32 size)
{
	tree_u32(t, "#address-cells", address);
	tree_u32(t, "#size-cells", size);
}

/* ---- what is in any tree ---- */

void guest_fdt_chosen_props(struct guest_fdt_job *job)
{
	const struct guest_fdt_args *a = &job->args;
	const char *bootargs = a->guest->cfg.bootargs;
	struct tree_writer *t = &job->tree;
	u64 initrd = a->plan->initrd.v;

	if (bootargs)
		tree_string(t, "bootargs", bootargs);
	if (a->plan->initrd_bytes) {
		tree_u64(t, "linux,initrd-start", initrd);
		tree_u64(t, "linux,initrd-end", initrd + a->plan->initrd_bytes);
	}
	if (!a->rng_seed)
		return;
	job->seed = tree_room(t, "rng-seed", (u32)a->rng_seed_bytes);
	if (job->seed)
		memcpy(job->seed, a->rng_seed, a->rng_seed_bytes);
}

void guest_fdt_memory(struct guest_fdt_job *job, int address_cells,
		      int size_cells)
{
	const struct guest_config *cfg = &job->args.guest->cfg;
	struct tree_writer *t = &job->tree;
	u32 bytes = (u32)(address_cells + size_cells) * sizeof(fdt32_t);
	u8 *reg;

	tree_node(t, job->memory_name);
	tree_string(t, "device_type", "memory");
	reg = tree_room(t, "reg", bytes);
	if (reg) {
		u64 v[2] = {cfg->ram_base.v, cfg->memory_bytes};
		int cells[2] = {address_cells, size_cells};

		for (u32 i = 0; i < 2; reg += cells[i++] * sizeof(fdt32_t)) {
			if (cells[i] == 2)
				fdt64_st(reg, v[i]);
			else
				fdt32_st(reg, (u32)v[i]);
		}
	}
	tree_node_end(t);
}

/* ---- what is in ours ---- */

static void chosen_write(struct guest_fdt_job *job)
{
	const struct emul_dev *con = console_find(job->args.guest);
	struct tree_writer *t = &job->tree;
	char path[64];

	tree_node(t, "chosen");
	if (con) {
		device_path(con, path, sizeof(path));
		tree_string(t, "stdout-path", path);
	}
	guest_fdt_chosen_props(job);
	tree_node_end(t);
}

static void aliases_write(struct tree_writer *t, const struct guest *g)
{
	const struct emul_dev *con = console_find(g);
	char path[64];

	if (!con)
		return;
	device_path(con, path, sizeof(path));
	tree_node(t, "aliases");
	tree_string(t, "serial0", path);
	tree_node_end(t);
}

/* Of a CPU's interrupt controller. */
static u32 intc_phandle(u32 vcpu)
{
	return 1 + vcpu;
}

/* What makes a device an interrupt controller to the CPUs and to others. */
static void irqchip_write(struct tree_writer *t, const struct guest *g)
{
	u8 *p;

	tree_u32(t, "#address-cells", 0);
	tree_u32(t, "#interrupt-cells", 1);
	tree_empty(t, "interrupt-controller");
	p = tree_room(t, "interrupts-extended",
		      g->cfg.vcpus * 4 * (u32)sizeof(fdt32_t));
	for (u32 i = 0; p && i < g->cfg.vcpus; i++, p += 4 * sizeof(fdt32_t)) {
		fdt32_st(p, intc_phandle(i));
		fdt32_st(p + 4, IRQ_M_NONE);
		fdt32_st(p + 8, intc_phandle(i));
		fdt32_st(p + 12, IRQ_S_EXT);
	}
}

static void device_write(struct tree_writer *t, const struct guest *g,
			 struct emul_dev *d)
{
	char path[64];

	device_path(d, path, sizeof(path));
	tree_node(t, strrchr(path, '/') + 1);
	tree_bytes(t, "compatible", d->ops->compatible,
		   (u32)d->ops->compatible_bytes);
	reg_put(t, d->base.v, d->ops->bytes);
	tree_u32(t, "phandle", d->phandle);
	if (d->irq && g->irqchip) {
		tree_u32(t, "interrupt-parent", g->irqchip->phandle);
		tree_u32(t, "interrupts", d->irq);
	}
	if (d == g->irqchip)
		irqchip_write(t, g);
	if (d->ops->describe)
		d->ops->describe(d, t);
	tree_node_end(t);
}

static void soc_write(struct tree_writer *t, const struct guest *g)
{
	u32 phandle = intc_phandle(g->cfg.vcpus);

	tree_node(t, "soc");
	cells_put(t, 2, 2);
	tree_string(t, "compatible", "simple-bus");
	tree_empty(t, "ranges");
	for (struct emul_dev *d = g->devices; d; d = d->next)
		d->phandle = phandle++;
	for (struct emul_dev *d = g->devices; d; d = d->next)
		device_write(t, g, d);
	tree_node_end(t);
}

/* "syscon-poweroff" and its like: a value for a register of a syscon. */
static void syscon_write(struct tree_writer *t, const char *name,
			 const char *compatible, u32 phandle, u32 value)
{
	tree_node(t, name);
	tree_string(t, "compatible", compatible);
	tree_u32(t, "regmap", phandle);
	tree_u32(t, "offset", 0);
	tree_u32(t, "value", value);
	tree_node_end(t);
}

/* A syscon can end the machine. */
static void ends_write(struct tree_writer *t, const struct guest *g)
{
	const struct emul_dev *d = g->devices;

	while (d && !fdt_stringlist_contains(d->ops->compatible,
					     (int)d->ops->compatible_bytes,
					     "syscon"))
		d = d->next;
	if (!d)
		return;
	syscon_write(t, "reboot", "syscon-reboot", d->phandle, FINISHER_RESET);
	syscon_write(t, "poweroff", "syscon-poweroff", d->phandle,
		     FINISHER_PASS);
}

/* ---- the pieces ---- */

static int head_piece(struct guest_fdt_job *job)
{
	const struct guest_fdt_args *a = &job->args;
	struct tree_writer *t = &job->tree;

	tree_begin(t, t->buf, t->end, 0);
	tree_reserve_end(t);
	tree_node(t, "");
	cells_put(t, 2, 2);
	tree_string(t, "compatible", "riscv-virtio");
	tree_string(t, "model", "rouse,virt");
	aliases_write(t, a->guest);
	chosen_write(job);
	guest_fdt_memory(job, 2, 2);
	tree_node(t, "cpus");
	cells_put(t, 1, 0);
	tree_u32(t, "timebase-frequency", (u32)a->timebase_hz);
	return 0;
}

static int cpu_piece(struct guest_fdt_job *job)
{
	u32 i = job->vcpu++;

	guest_fdt_cpu(&job->tree, job->args.isa, i, 1, intc_phandle(i));
	return job->vcpu < job->args.guest->cfg.vcpus;
}

static int soc_piece(struct guest_fdt_job *job)
{
	tree_node_end(&job->tree);
	soc_write(&job->tree, job->args.guest);
	return 0;
}

static int tail_piece(struct guest_fdt_job *job)
{
	struct tree_writer *t = &job->tree;

	ends_write(t, job->args.guest);
	tree_node_end(t);
	(void)tree_strings(t);
	return 0;
}

guest_fdt_piece *const guest_fdt_writing[] = {
	head_piece, cpu_piece, soc_piece, tail_piece, guest_fdt_end_piece, NULL,
};
