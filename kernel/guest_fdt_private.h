/*
 * What the files that make a guest's tree know of each other: the pieces that a
 * tree is made of, and the nodes of CPUs. Only guest_fdt*.c include this.
 */
#ifndef ROUSE_KERNEL_GUEST_FDT_PRIVATE_H
#define ROUSE_KERNEL_GUEST_FDT_PRIVATE_H

#include "kernel/guest_fdt.h"

/* A piece's work. 1: call it again; 0: the next one is due; a negative libfdt
 * error, or -EINVAL. */
typedef int guest_fdt_piece(struct guest_fdt_job *job);

/* All of them in turn, then NULL. */
extern guest_fdt_piece *const guest_fdt_writing[];
extern guest_fdt_piece *const guest_fdt_fixing[];

/* Pieces of a tree that is complete but has one CPU only: makes room for the
 * others (once), and puts the next one there. */
guest_fdt_piece guest_fdt_many_piece, guest_fdt_copy_piece;

/* Of a CPU's interrupt controller. */
static inline u32 guest_fdt_intc_phandle(u32 vcpu)
{
	return 1 + vcpu;
}

/* Bytes of the list of extensions, with their zeroes. */
size_t guest_fdt_isa_bytes(const struct guest_fdt_isa *isa);

/* Writes cpu@<hartid> with its interrupt controller, sequentially. libfdt's. */
int guest_fdt_cpu_write(void *fdt, const struct guest_fdt_isa *isa, u32 hartid,
			u32 intc_phandle);

/* Corrects what a CPU's node says of its ISA, read-write. libfdt's errors. */
int guest_fdt_cpu_set(void *fdt, int node, const struct guest_fdt_isa *isa);

/* Adds cpu@<hartid> below `cpus`, read-write. libfdt's errors. */
int guest_fdt_cpu_add(void *fdt, int cpus, const struct guest_fdt_isa *isa,
		      u32 hartid, u32 intc_phandle);

#endif
