/*
 * The bus: which device answers at an address, and may it be asked like that.
 *
 * Problem. A guest's load or store that hits no RAM ends here, and the whole
 * way from the trap to the return has a budget of 150 instructions.
 *
 * Algorithm. A guest's devices are one array in order of address, made once
 * (devices.c) and constant while vCPUs run, so a lookup needs no lock and no
 * fence. The interrupt controller is tried first (every interrupt costs at
 * least a claim and a completion), the rest by binary search. Range, width and
 * alignment are checked here for all devices, since windows start on a page and
 * devices never see an access that they don't have. Range and width are one
 * compare: a device has a size for each width, 0 for those that it lacks.
 *
 * The architecture's short way (arch/riscv/quick.c) has 150 instructions for
 * all of it and no room for a search. It keeps a table of guesses, one device
 * for each value of five bits of the address, and checks the guess by the same
 * function as the search does its find. So a guess can be wrong, never harmful.
 *
 * Rejected. A last-hit cache: per guest it bounces between CPUs, per vCPU it
 * misses whenever a driver goes from its device to the controller, and is no
 * shorter than a table of guesses. A table by page: the physical space is large
 * and almost empty.
 */
#include "emul/emul.h"

#include "kernel/guest.h"
#include "kernel/percpu/trace.h"
#include "kernel/vcpu.h"

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

/* Apart, so that whoever calls it has `level` where the line wants it. */
void emul_irq_record(const struct emul_dev *dev, bool level)
{
	if (dev->irq)
		trace_write(TRACE_EV_VIRQ_LINE, dev->guest->trace_id,
			    (u64)(s32)dev->irq, level);
}
