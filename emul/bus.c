/*
 * The bus: which device answers at an address, and may it be asked like that.
 *
 * Problem. A guest's load or store that hits no RAM ends here, and the whole
 * way from the trap to the return has a budget of 150 instructions. Which
 * devices there are is known only to the linker, which ones a guest has only to
 * its configuration.
 *
 * Algorithm. A guest's devices are one array in order of address, made once and
 * constant while vCPUs run, so a lookup needs no lock and no fence. The
 * interrupt controller is tried first (every interrupt costs at least a claim
 * and a completion), the rest by binary search. Range, width and alignment are
 * checked here for all devices, since windows start on a page and devices
 * never see an access that they don't have. Range and width are one compare: a
 * device has a size for each width, 0 for those that it lacks.
 *
 * The architecture's short way (arch/riscv/quick.c) has 150 instructions for
 * all of it and no room for a search. It keeps a table of guesses, one device
 * for each value of five bits of the address, and checks the guess by the same
 * function as the search does its find. So a guess can be wrong, never harmful.
 *
 * Invariants. Windows don't overlap, so at most one device answers; lines of
 * the controller are not shared, so a line's level is one device's own. After
 * emul_create failed, nothing of it is left.
 *
 * Rejected. A last-hit cache: per guest it bounces between CPUs, per vCPU it
 * misses whenever a driver goes from its device to the controller, and is no
 * shorter than a table of guesses. A table by page: the physical space is large
 * and almost empty. Lines shared by an OR: no machine that
 * guests know has it, and it would need a count per line.
 */
#include "emul/emul.h"

#include <string.h>

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/trace.h"
#include "kernel/vcpu.h"

#define for_each_ops(op)                                             \
	for (const struct emul_ops *const *op = __start_rouse_emul;  \
	     op < __stop_rouse_emul; op++)

/* The device whose window holds `at`, or NULL. */
static inline struct emul_dev *dev_at(const struct guest *g, u64 at)
{
	struct emul_dev *d = g->irqchip;
	u32 n;

	if (d && at - d->base.v < d->ops->bytes)
		return d;

	/* The last one that starts at or before `at`. */
	d = g->devices;
	for (n = g->device_count; n > 1; n -= n / 2) {
		if (d[n / 2].base.v <= at)
			d += n / 2;
	}
	return n && at - d->base.v < d->ops->bytes ? d : NULL;
}

/* The device that has this access, or NULL; *off is from its base. */
static inline struct emul_dev *dev_for(const struct guest *g, u64 at, u32 width,
				       u64 *off)
{
	u32 shift = width == 4 ? 2 : width == 1 ? 0 : width == 2 ? 1 : 3;
	struct emul_dev *d = dev_at(g, at);

	if (unlikely(!d))
		return NULL;
	*off = at - d->base.v;
	return likely(emul_accepts(d, *off, shift)) ? d : NULL;
}

enum emul_result emul_read(struct guest *g, struct vcpu *v, struct gpa at,
			   u32 width, u64 *val)
{
	u64 off, drop = 64 - 8 * width;
	struct emul_dev *d = dev_for(g, at.v, width, &off);

	if (unlikely(!d))
		return EMUL_FAULT;
	*val = d->read(d, v, off, width) << drop >> drop;
	return EMUL_DONE;
}

enum emul_result emul_write(struct guest *g, struct vcpu *v, struct gpa at,
			    u32 width, u64 val)
{
	u64 off;
	struct emul_dev *d = dev_for(g, at.v, width, &off);

	if (unlikely(!d))
		return EMUL_FAULT;
	d->write(d, v, off, width, val);
	return EMUL_DONE;
}

struct emul_dev emul_nowhere;

static bool in_slot(const struct emul_dev *d, u32 slot)
{
	u64 blocks = (d->base.v + d->ops->bytes - 1) / EMUL_SLOT_BYTES -
		     d->base.v / EMUL_SLOT_BYTES;

	return (slot - EMUL_SLOT(d->base.v)) % EMUL_SLOTS <= blocks;
}

/* Of several the controller, or the last, which is no worse than the rest. */
struct emul_dev *emul_slot(const struct guest *g, u32 slot)
{
	struct emul_dev *found = &emul_nowhere;

	if (g->irqchip && in_slot(g->irqchip, slot))
		return g->irqchip;
	for (u32 i = 0; i < g->device_count; i++) {
		if (in_slot(&g->devices[i], slot))
			found = &g->devices[i];
	}
	return found;
}

static void nobody_set(struct emul_line *line, bool level)
{
	(void)line;
	(void)level;
}

static bool nobody_eval(struct emul_pin *pin)
{
	(void)pin;
	return false;
}

struct emul_line emul_no_line = { nobody_set };
struct emul_pin emul_no_pin = { nobody_eval };

/* Recorded: apart, so that the other keeps nothing for this one. */
void emul_irq_set_traced(struct emul_dev *dev, bool level)
{
	if (dev->irq)
		trace_write(TRACE_EV_VIRQ_LINE,
			    dev->guest->vcpu[0]->sched.trace_id, dev->irq,
			    level);
	dev->line->set(dev->line, level);
}

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
	if (!g->irqchip || d == g->irqchip)
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

/* Takes back the init of the first `count` devices. */
static void fini_devices(struct guest *g, u32 count)
{
	while (count-- > 0) {
		struct emul_dev *d = &g->devices[count];

		if (d->ops->fini)
			d->ops->fini(d);
	}
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
	emul_reset(g);
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

	/* First the controller, so that it keeps what the others then raise. */
	if (chip && chip->ops->reset)
		chip->ops->reset(chip);
	for (u32 i = 0; i < g->device_count; i++) {
		struct emul_dev *d = &g->devices[i];

		if (d != chip && d->ops->reset)
			d->ops->reset(d);
	}
}
