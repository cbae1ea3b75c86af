/*
 * A guest's devices: which it has, where, on which lines; made as the lab says,
 * reset, and taken down again.
 *
 * Problem. Which devices there are is known only to the linker, which ones a
 * guest has only to its configuration, and a lab's words may not fit together.
 *
 * Algorithm. The linker's table is gone through twice: what the guest is to
 * have is counted, then put into an array in order of address. All checks are
 * of that array, before any device is asked to do anything.
 *
 * Invariants. Windows don't overlap, so at most one device answers; lines of
 * the controller are not shared, so a line's level is one device's own. After
 * emul_create failed, nothing of it is left.
 *
 * Rejected. Lines shared by an OR: no machine that guests know has it, and it
 * would need a count per line.
 */
#include "emul/emul.h"

#include <string.h>

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/vcpu.h"

#define for_each_ops(op)                                             \
	for (const struct emul_ops *const *op = __start_rouse_emul;  \
	     op < __stop_rouse_emul; op++)

bool emul_exists(const char *name)
{
	for_each_ops (op) {
		if (!strcmp((*op)->name, name))
			return true;
	}
	return false;
}

struct emul_dev *emul_find(struct guest *g, const char *name)
{
	for (u32 i = 0; i < g->device_count; i++) {
		if (!strcmp(g->devices[i].ops->name, name))
			return &g->devices[i];
	}
	return NULL;
}

/* What the lab says of a device, or NULL: all as it is by default. */
static const struct device_config *config_of(const struct guest *g,
					     const char *name)
{
	const struct device_config *c;

	for (c = g->cfg.devices; c; c = c->next) {
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

static bool dev_wanted(const struct guest *g, const struct emul_ops *ops)
{
	const struct device_config *c = config_of(g, ops->name);

	return !c || !c->absent;
}

static int check_names(const struct guest *g, struct lab_error *why)
{
	const struct device_config *c;

	for (c = g->cfg.devices; c; c = c->next) {
		if (emul_exists(c->name))
			continue;
		return config_error(why, "%s: devices: there is no device "
				    "called %s", g->cfg.name, c->name);
	}
	return 0;
}

/* Puts the device in its place of the array, which is in order of address. */
static void dev_insert(struct guest *g, const struct emul_ops *ops)
{
	const struct device_config *c = config_of(g, ops->name);
	struct emul_dev d = {
		.base = c && c->has_base ? c->base : ops->base,
		.read = ops->read,
		.write = ops->write,
		.ops = ops,
		.guest = g,
		.line = &emul_no_line,
		.irq = c && c->has_irq ? c->irq : ops->irq,
	};
	u32 i = g->device_count++;

	for (u32 shift = 0; shift < ARRAY_LEN(d.limit); shift++)
		d.limit[shift] = ops->widths & 1u << shift ? ops->bytes : 0;
	for (; i > 0 && g->devices[i - 1].base.v > d.base.v; i--)
		g->devices[i] = g->devices[i - 1];
	g->devices[i] = d;
}

static void link_devices(struct guest *g)
{
	for (u32 i = 0; i + 1 < g->device_count; i++)
		g->devices[i].next = &g->devices[i + 1];
}

static int alloc_states(struct guest *g)
{
	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];

		if (!d->ops->state_bytes)
			continue;
		d->state = obj_alloc(d->ops->state_bytes);
		if (!d->state)
			return -ENOMEM;
	}
	return 0;
}

static bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static int check_windows(const struct guest *g, struct lab_error *why)
{
	for (u32 i = 0; i < g->device_count; i++) {
		const struct emul_dev *d = &g->devices[i];
		u64 at = d->base.v, bytes = d->ops->bytes;

		if (!IS_ALIGNED(at, PAGE_BYTES) || at > UINT64_MAX - bytes) {
			return config_error(why, "%s: devices: %s can't be at "
					    "0x%lx: not a page's address",
					    g->cfg.name, d->ops->name, at);
		}
		if (overlap(at, bytes, g->cfg.ram_base.v,
			    g->cfg.memory_bytes)) {
			return config_error(why, "%s: devices: %s at 0x%lx "
					    "overlaps memory", g->cfg.name,
					    d->ops->name, at);
		}
		if (i && overlap(at, bytes, d[-1].base.v, d[-1].ops->bytes)) {
			return config_error(why, "%s: devices: %s at 0x%lx "
					    "overlaps %s", g->cfg.name,
					    d->ops->name, at, d[-1].ops->name);
		}
	}
	return 0;
}

static int find_irqchip(struct guest *g, struct lab_error *why)
{
	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];

		if (!d->ops->line)
			continue;
		if (g->irqchip) {
			return config_error(why, "%s: devices: %s and %s are "
					    "both interrupt controllers, one "
					    "is possible", g->cfg.name,
					    g->irqchip->ops->name,
					    d->ops->name);
		}
		g->irqchip = d;
	}
	return 0;
}

/* Gives a device its line, unless that is another's or doesn't exist. */
static int place_irq(const struct guest *g, struct emul_dev *d,
		     struct lab_error *why)
{
	if (d->irq && !d->ops->irq) {
		return config_error(why, "%s: devices: %s can't have irq %u: "
				    "it raises none", g->cfg.name,
				    d->ops->name, d->irq);
	}
	if (!g->irqchip)
		d->irq = 0;
	if (!d->irq)
		return 0;
	if (d->irq >= g->irqchip->ops->lines) {
		return config_error(why, "%s: devices: %s can't have irq %u: "
				    "%s has 1 to %u", g->cfg.name,
				    d->ops->name, d->irq,
				    g->irqchip->ops->name,
				    g->irqchip->ops->lines - 1);
	}
	for (struct emul_dev *o = g->devices; o < d; o++) {
		if (o->irq != d->irq)
			continue;
		return config_error(why, "%s: devices: irq %u is given to both "
				    "%s and %s", g->cfg.name, d->irq,
				    o->ops->name, d->ops->name);
	}
	return 0;
}

static int place_irqs(struct guest *g, struct lab_error *why)
{
	int err = find_irqchip(g, why);

	for (u32 i = 0; !err && i < g->device_count; i++)
		err = place_irq(g, &g->devices[i], why);
	return err;
}

static void fini_device(struct emul_dev *d)
{
	if (d->ops->fini)
		d->ops->fini(d);
}

/* Takes back the init of the first `count` devices; the controller last: until
 * its own end a device may raise its line, by a timer on another CPU. */
static void fini_devices(struct guest *g, u32 count)
{
	struct emul_dev *chip = g->irqchip;
	bool has_chip = chip && chip < &g->devices[count];

	while (count-- > 0)
		if (&g->devices[count] != chip)
			fini_device(&g->devices[count]);
	if (has_chip)
		fini_device(chip);
}

static int init_devices(struct guest *g)
{
	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];
		int err = d->ops->init ? d->ops->init(d) : 0;

		if (err) {
			fini_devices(g, i);
			return err;
		}
	}
	return 0;
}

/* Lines from the devices to the controller, and from there to the vCPUs. */
static void connect(struct guest *g)
{
	struct emul_dev *chip = g->irqchip;

	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];

		if (d->irq)
			d->line = chip->ops->line(chip, d);
	}
	for (u32 i = 0; i < g->cfg.vcpus; i++)
		g->vcpu[i]->pin = chip ? chip->ops->pin(chip, g->vcpu[i]) :
					 &emul_no_pin;
}

static void free_devices(struct guest *g)
{
	for (u32 i = 0; i < g->device_count; i++)
		obj_free(g->devices[i].state);
	obj_free(g->devices);
	g->devices = NULL;
	g->device_count = 0;
	g->irqchip = NULL;
}

/* Makes the array, in order of address, with what the lab says of each. */
static int make_devices(struct guest *g)
{
	u32 count = 0;

	g->devices = NULL;
	g->device_count = 0;
	g->irqchip = NULL;
	for_each_ops (op)
		count += dev_wanted(g, *op);
	if (!count)
		return 0;
	g->devices = obj_alloc(count * sizeof(*g->devices));
	if (!g->devices)
		return -ENOMEM;
	for_each_ops (op) {
		if (dev_wanted(g, *op))
			dev_insert(g, *op);
	}
	link_devices(g);
	return 0;
}

int emul_create(struct guest *g, struct lab_error *why)
{
	int err = check_names(g, why);

	if (err)
		return err;
	err = make_devices(g);
	if (err)
		return err;
	err = check_windows(g, why);
	if (err)
		goto undo_make;
	err = place_irqs(g, why);
	if (err)
		goto undo_make;
	err = alloc_states(g);
	if (err)
		goto undo_make;
	err = init_devices(g);
	if (err)
		goto undo_make;
	connect(g);
	return 0;

undo_make:
	free_devices(g);
	return err;
}

void emul_destroy(struct guest *g)
{
	fini_devices(g, g->device_count);
	free_devices(g);
}

void emul_reset(struct guest *g)
{
	struct emul_dev *chip = g->irqchip;

	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];

		if (d != chip && d->ops->reset)
			d->ops->reset(d);
	}
	/* Last the controller: of a line it keeps what is high by then, and
	 * nothing of what the others had raised before. */
	if (chip && chip->ops->reset)
		chip->ops->reset(chip);
}

bool emul_tell_rest(struct guest *g)
{
	struct emul_dev *chip = g->irqchip;

	return chip && chip->ops->tell_rest && chip->ops->tell_rest(chip);
}
