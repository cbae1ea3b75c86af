/*
 * What the machine's device tree says. Read once at boot; constant after.
 */
#ifndef ROUSE_ARCH_RISCV_MACHINE_H
#define ROUSE_ARCH_RISCV_MACHINE_H

#include "kernel/base.h"

struct range {
	u64 from, to; /* host physical, `to` is the first byte behind */
};

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
	u32 uart_shift, uart_width, uart_irq;

	struct mmio plic;
	u32 plic_ndev;
	int plic_node;

	struct mmio sswi;
	int sswi_node;

	int imsic_node; /* S-level, or -1 */
	u32 imsic_guest_bits;
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
 * Calls `fn` for each range. 0, or -EINVAL without a memory node.
 */
int machine_ram(const void *fdt, void (*fn)(u64 base, u64 bytes));

/*
 * Fills `machine`. Needs obj_alloc. Refuses a machine that can't be run,
 * naming what is missing.
 */
void machine_init(const void *fdt);

/* Ranges of RAM the tree keeps for others: calls `fn` for each. */
void machine_reserved(const void *fdt, void (*fn)(u64 base, u64 bytes));

/*
 * The n-th (phandle, irq) pair of a node's `interrupts-extended` whose irq is
 * `irq` and whose phandle is the hart's: its index in the list, or -1.
 */
int machine_ext_index(const void *fdt, int node, u32 intc, u32 irq);

/* The n-th `reg` of a node in the address space of the root. 0 or -ENOENT. */
int machine_reg(const void *fdt, int node, u32 n, struct mmio *out);

/* Where the initrd lies, from /chosen; empty if there is none. */
struct range machine_initrd(const void *fdt);

#endif
