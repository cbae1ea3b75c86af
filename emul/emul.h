/*
 * The guest's machine: devices on a bus.
 *
 * A device is one `const struct emul_ops` in one file, registered by
 * EMUL_DEVICE in a linker section; nothing else names it. The bus checks
 * range, width and alignment before a device sees an access.
 *
 * Any vCPU of the guest may access any device at any time, each on a CPU of its
 * own, and hosts raise lines and send input meanwhile: a device orders its own
 * state (atomics, or a spinlock held for a bounded few instructions). Nothing
 * in a device waits.
 */
#ifndef ROUSE_EMUL_EMUL_H
#define ROUSE_EMUL_EMUL_H

#include "kernel/base.h"
#include "kernel/percpu/trace.h"
#include "kernel/vcpu.h"

struct guest;
struct lab_error;
struct emul_dev;
struct tree_writer;

/*
 * A line of the interrupt controller, as the device at its other end has it;
 * the controller's own begins with it. set: it changes its level; any CPU, a
 * leaf, takes no lock.
 */
struct emul_line {
	void (*set)(struct emul_line *line, bool level);
};

/*
 * Where external interrupts come into a vCPU; likewise the controller's. eval:
 * is one asserted now? On the CPU that runs the vCPU, before it enters the
 * guest, after VIRQ_EXTERNAL was taken out of `virq`: the answer is to be kept
 * until that bit is raised again, since what happens after eval raises it only
 * if it changes the answer. A vCPU that starts (HSM, reset) is evaluated anew.
 *
 * tell: goes on with what other vCPUs of the guest are to be told; true if
 * there is more of it. In the same place, after VIRQ_TELL was taken out of
 * `virq`: it takes a bounded 20,000 instructions, and is to be called again,
 * after a look at whose turn it is, before the vCPU goes on.
 */
struct emul_pin {
	bool (*eval)(struct emul_pin *pin);
	bool (*tell)(struct emul_pin *pin);
};

/* Access widths a device has, one bit each: the width in bytes. */
#define EMUL_W8 1u
#define EMUL_W16 2u
#define EMUL_W32 4u
#define EMUL_W64 8u

/* A list of strings as one literal: "first\0second". */
#define EMUL_COMPATIBLE(list) \
	.compatible = (list), .compatible_bytes = sizeof(list)

struct emul_ops {
	const char *name;       /* as in the lab's `devices` node */
	const char *compatible; /* EMUL_COMPATIBLE() sets both: the list that */
	u32 compatible_bytes;   /* the node in the guest's tree has */
	struct gpa base;        /* default place in the guest, QEMU `virt` */
	u64 bytes;              /* size of the window */
	u32 irq;                /* default line at the guest's PLIC; 0: none */
	u32 widths;             /* EMUL_W*; others fault in the guest */
	size_t state_bytes;     /* the device's part, zeroed at creation */
	u32 lines;              /* of a controller: 1 to lines - 1 exist */

	/*
	 * Called once while the guest is created, before any vCPU runs; may
	 * allocate. `reset` follows. 0, -ENOMEM, or -EINVAL with a log line if
	 * the guest's configuration can't have this device. Absent: nothing.
	 */
	int (*init)(struct emul_dev *dev);
	/* Gives back what init took. No vCPU runs any more. */
	void (*fini)(struct emul_dev *dev);
	/* Power-on state. No vCPU of the guest runs meanwhile. */
	void (*reset)(struct emul_dev *dev);

	/*
	 * One naturally aligned access of `width` bytes at `off` < bytes.
	 * Unknown offsets read as zero and ignore writes. Of a value that is
	 * read or written only the low `width` bytes count, the rest may be
	 * anything. Context: the CPU that runs `v`, which is in its exit; no
	 * access traps (guest memory is reached by guest_read and the like).
	 */
	u64 (*read)(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width);
	void (*write)(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		      u64 val);

	/*
	 * Interrupt controllers only, after init, constant: the line of a
	 * device of the guest that has one, and the pin of a vCPU.
	 */
	struct emul_line *(*line)(struct emul_dev *dev, struct emul_dev *of);
	struct emul_pin *(*pin)(struct emul_dev *dev, struct vcpu *v);

	/*
	 * Consoles only: the host has input. Takes as many of `len` bytes as
	 * there is room for and returns that count. If that was not all, the
	 * device calls guest_console_ready when it has room again. Any CPU.
	 */
	size_t (*input)(struct emul_dev *dev, const char *buf, size_t len);

	/*
	 * Adds to the device's node in the guest's tree what the tree's writer
	 * can't know. The writer (kernel/guest_fdt_write.c) has by then begun,
	 * below /soc:
	 *
	 *   <name>@<base in hex> {
	 *       compatible = ops->compatible;
	 *       reg = <base, bytes>;            (2 + 2 cells)
	 *       interrupts = <irq>;             (if dev->irq; and with it
	 *       interrupt-parent = <irqchip's phandle>;)
	 *       phandle = <dev->phandle>;       (it hands out phandles)
	 *
	 * and calls describe, which adds properties (kernel/tree_write.h), no
	 * node. Absent: nothing to add.
	 *
	 * What names other nodes stays with the writer:
	 *  - of the irqchip, all that makes it one, with interrupts-extended:
	 *    for each vCPU in turn the pairs <cpu-intc -1> (a guest has no
	 *    M-mode, and OpenSBI leaves its trees so), <cpu-intc 9>: context 2h
	 *    is hart h's M-mode, 2h + 1 its S-mode, as on QEMU's `virt`;
	 *  - /chosen stdout-path: the device that has `input`;
	 *  - poweroff and reboot nodes ("syscon-poweroff", "syscon-reboot") for
	 *    the device that is a "syscon": regmap = <its phandle>,
	 *    offset = <0>, value = <FINISHER_PASS> or <FINISHER_RESET>.
	 */
	void (*describe)(struct emul_dev *dev, struct tree_writer *t);
};

/* What a guest writes to the finisher's register at offset 0. */
#define FINISHER_FAIL 0x3333u /* with an exit code in bits 31:16 */
#define FINISHER_PASS 0x5555u
#define FINISHER_RESET 0x7777u

struct emul_dev {
	/* Constant after creation. */
	struct gpa base;
	/* By the width's binary logarithm: the window's size in bytes, or 0 if
	 * the device hasn't that width. The last word of range and width. */
	u64 limit[4];
	/* Those of `ops`, within the short way's reach. */
	u64 (*read)(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width);
	void (*write)(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		      u64 val);
	const struct emul_ops *ops;
	void *state;
	struct guest *guest;
	struct emul_dev *next; /* next device of the guest, by address */
	struct emul_line *line; /* at guest->irqchip; nobody's if it has none */
	u32 irq;               /* that line's number; 0: none */

	/* The tree's writer only: of the device's node. */
	u32 phandle;
};

#define EMUL_DEVICE(sym)                                                   \
	static const struct emul_ops *const emul_reg_##sym                 \
		__attribute__((section("rouse_emul"), used)) = &(sym)

extern const struct emul_ops *const __start_rouse_emul[];
extern const struct emul_ops *const __stop_rouse_emul[];

enum emul_result {
	EMUL_DONE,  /* a read's value is in *val, zero-extended */
	EMUL_FAULT, /* access fault in the guest */
};

/* Is `off` from its base in the device's window, and has it accesses of
 * 1 << shift bytes? Windows are page-aligned and end on 8 bytes, so an aligned
 * access does not stick out. */
static inline bool emul_covers(const struct emul_dev *d, u64 off, u32 shift)
{
	return off < d->limit[shift];
}

/* The bus's check of range, width and alignment. */
static inline bool emul_accepts(const struct emul_dev *d, u64 off, u32 shift)
{
	return emul_covers(d, off, shift) && !(off & ((1u << shift) - 1));
}

/*
 * For the architecture's short way to a device: which one to try first at an
 * address, by five bits of it. A wrong guess, which emul_accepts refuses,
 * says nothing: then emul_read and emul_write decide.
 */
#define EMUL_SLOTS 32u
#define EMUL_SLOT_BYTES (16 * MIB)
#define EMUL_SLOT(gpa) ((gpa) / EMUL_SLOT_BYTES % EMUL_SLOTS)

/* Answers nowhere. */
extern struct emul_dev emul_nowhere;

/*
 * The device to try first in slot `slot`, emul_nowhere if there is none. It
 * stays the same until emul_destroy. Any CPU.
 */
struct emul_dev *emul_slot(const struct guest *g, u32 slot);

/*
 * One access by a guest. `width` is 1, 2, 4 or 8; bits of `val` beyond it don't
 * count. EMUL_FAULT: no device there, or a width, an alignment or an access
 * that the device doesn't have. Context: runs `v`.
 */
enum emul_result emul_read(struct guest *g, struct vcpu *v, struct gpa at,
			   u32 width, u64 *val);
enum emul_result emul_write(struct guest *g, struct vcpu *v, struct gpa at,
			    u32 width, u64 val);

/*
 * Builds the guest's devices, not yet reset, from its configuration: every
 * registered device at its default place unless the lab leaves it out or moves
 * it. Sets g->devices, g->device_count and g->irqchip; g->vcpu and g->cfg are
 * there already. 0, -ENOMEM, or -EINVAL, said in `why`: a name in cfg.devices
 * that no device has, a window that is not page-aligned or overlaps another or
 * RAM, a line that doesn't exist or is used twice, two interrupt controllers.
 * All or nothing. Context: any CPU; no vCPU of the guest runs.
 */
int emul_create(struct guest *g, struct lab_error *why) __must_check;

/* Undoes emul_create. No vCPU of the guest runs, and nobody sends it input. */
void emul_destroy(struct guest *g);

/* Power-on state for every device, the controller last: of what the others
 * raised it keeps what is high still. No vCPU runs. */
void emul_reset(struct guest *g);

/* Is there a device of that name to put into a guest? Any CPU. */
bool emul_exists(const char *name);

/* The guest's device of that name, or NULL. */
struct emul_dev *emul_find(struct guest *g, const char *name);

/* Nobody's: what a device sets is lost, and nothing is ever asserted. */
extern struct emul_line emul_no_line;
extern struct emul_pin emul_no_pin;

/* Writes VIRQ_LINE: for emul_line_set. */
void emul_irq_record(const struct emul_dev *dev, bool level)
	__attribute__((cold, noinline));

/* A device changes the level of its own line. Any CPU; a leaf. Who has both at
 * hand says where: nothing of them is kept while a record is written. */
static inline __attribute__((always_inline)) void
emul_line_set(struct emul_dev *const *dev, struct emul_line *const *line,
	      bool level)
{
	if (trace_on(TRACE_VIRQ))
		emul_irq_record(*dev, level);
	(*line)->set(*line, level);
}

static inline __attribute__((always_inline)) void
emul_irq_set(struct emul_dev *dev, bool level)
{
	emul_line_set(&dev, &dev->line, level);
}

/*
 * Is an external interrupt asserted to this vCPU now? Runs `v`, which has just
 * swapped VIRQ_EXTERNAL out of v->virq; the fence that orders the swap before
 * the look at the controller is in here.
 */
static inline bool emul_eval(struct vcpu *v)
{
	return v->pin->eval(v->pin);
}

/* VIRQ_TELL: true if it is to be called again. */
static inline bool emul_tell(struct vcpu *v)
{
	return v->pin->tell(v->pin);
}

#endif
