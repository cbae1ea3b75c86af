/*
 * What the machine's device tree says. Read once at boot; constant after.
 */
#ifndef ROUSE_ARCH_RISCV_MACHINE_H
#define ROUSE_ARCH_RISCV_MACHINE_H

#include "arch/riscv/range.h"
#include "kernel/base.h"

struct hart {
	u64 hartid;
	u32 intc; /* phandle of its interrupt controller */
};

/* A device's registers; bytes == 0: the machine has none. */
struct mmio {
	u64 base, bytes;
};

struct machine {
	const void *fdt;
	struct hart *harts; /* usable ones, in the tree's order */
	u32 hart_count;
	struct range initrd;

	struct mmio uart;
	u32 uart_shift, uart_width;
	u32 uart_irq; /* of the aplic, or plic; 0: it has none */
	u32 uart_irq_parent; /* phandle; 0: nobody says */

	struct mmio plic;
	u32 plic_ndev;
	int plic_node;

	struct mmio sswi;
	int sswi_node;

	int imsic_node; /* S-level, or -1 */
	/* Where a hart's group, the hart in that, and the files for guests are
	 * in the address of a file (AIA 3.6). */
	u32 imsic_guest_bits, imsic_hart_bits;
	u32 imsic_group_bits, imsic_group_shift;
	u32 imsic_ids; /* the highest identity */
	struct mmio aplic; /* the S-level domain */
	int aplic_node;
	u32 aplic_sources;
};

extern struct machine machine;

/*
 * Is it a device tree, and sound as a whole? What follows relies on it. 0 or
 * -EINVAL. Needs nothing but the tree.
 */
int machine_check(const void *fdt) __must_check;

/*
 * Finds RAM in the tree: the first step, with nothing but the tree at hand.
 * Calls `fn` for ranges of whole pages, which don't overlap, whatever the tree
 * says. 0, or -EINVAL without a memory node.
 */
int machine_ram(const void *fdt, void (*fn)(u64 base, u64 bytes));

/* Is it all RAM? Of whole pages. */
bool machine_is_ram(const void *fdt, struct range r);

/*
 * Fills `machine`. Needs obj_alloc. Refuses a machine that can't be run,
 * naming what is missing.
 */
void machine_init(const void *fdt);

/* Considers the ranges of RAM that the tree keeps for others. */
void machine_reserved(const void *fdt, struct range_search *s);

/*
 * The n-th (phandle, irq) pair of a node's `interrupts-extended` whose irq is
 * `irq` and whose phandle is the hart's: its index in the list, or -1.
 */
int machine_ext_index(const void *fdt, int node, u32 intc, u32 irq);

/* The n-th `reg` of a node in the address space of the root. 0 or -ENOENT. */
int machine_reg(const void *fdt, int node, u32 n, struct mmio *out);

/* The first one, if it has the `least` bytes that are needed of it; says so if
 * it hasn't. 0 or -ENOENT. */
int machine_regs(const void *fdt, int node, u64 least, struct mmio *out)
	__must_check;

/* Where the initrd lies, from /chosen; 0 to 0 if there is none. It is the
 * tree's word: the end may come before the beginning. */
struct range machine_initrd(const void *fdt);

#endif
