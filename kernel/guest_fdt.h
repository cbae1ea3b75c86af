/*
 * The device tree that a guest gets.
 *
 * Written by Rouse: QEMU's `virt` as far as it is there, so that images built
 * for it run unchanged. Or brought by the guest: then only memory, cpus and
 * chosen are corrected. Both go into a buffer of the caller's, in pieces.
 */
#ifndef ROUSE_KERNEL_GUEST_FDT_H
#define ROUSE_KERNEL_GUEST_FDT_H

#include "kernel/base.h"
#include "kernel/config.h"
#include "kernel/tree_read.h"
#include "kernel/tree_write.h"

struct guest;
struct image_plan;

/* What the guest's harts offer: the same for all of them. */
struct guest_fdt_isa {
	const char *isa;               /* "rv64imafdc_zicsr_..." */
	const char *const *extensions; /* "i", "m", ..., the same as a list */
	u32 count;
	const char *mmu_type;          /* "riscv,sv39", ..., or NULL: none */
	u32 cbom_block_bytes;          /* 0: no Zicbom */
	u32 cboz_block_bytes;          /* 0: no Zicboz */
};

struct guest_fdt_args {
	const struct guest *guest;     /* its cfg, devices and irqchip */
	const struct guest_fdt_isa *isa;
	const struct image_plan *plan; /* where its initrd is */
	const void *dtb;               /* its own tree; NULL: one is written */
	size_t dtb_bytes;
	u64 timebase_hz;
	const void *rng_seed;          /* NULL: none */
	size_t rng_seed_bytes;
};

/* A node of the guest's own tree, by its properties: guest_fdt_node.c. */
struct guest_fdt_node {
	bool has_type, is_memory, is_cpu, has_reg, has_hartid;
	u64 hartid;
	u32 phandle; /* 0: none */
};

/* The root's, of an address and a size; those of an address in `cpus`. */
enum { CELLS_ADDRESS, CELLS_SIZE, CELLS_CPU };

/* A walk through the guest's own tree: guest_fdt_merge.c. */
struct guest_fdt_walk {
	struct tree_reader from;
	struct tree_token token;    /* a node that begins ... */
	struct guest_fdt_node node; /* ... what is known of it so far ... */
	u32 ahead;    /* ... and where its next property is; 0: it has begun */
	u32 left_out; /* the depth of a node that is; 0: none */
	u8 place, child; /* of the last node begun; of the root's last child */
	int cells[3];   /* of CELLS_*; or an error */
	u8 cells_known; /* a bit for each of those that was said */
	bool has_memory, has_chosen, has_cpus; /* they have been come by */
	bool adding, closing; /* CPUs that are missing; what the root lacks */
	/* Of the root's child and its child, or of a property that is compared
	 * with those that are left out, so many so far: guest_fdt_left.c. */
	u64 path[2];
	bool comparing;
	u32 compared;
	u8 cpus[GUEST_VCPUS_MAX / 8]; /* those that have been come by */
	/* A property or the strings, on their way. */
	const u8 *data;
	u8 *to;
	u32 left;
};

/* A tree in the making; its fields are guest_fdt*.c's own. */
struct guest_fdt_job {
	struct guest_fdt_args args;
	int (*const *pieces)(struct guest_fdt_job *job); /* those to come */
	struct tree_writer tree;
	char memory_name[32]; /* of the node */
	u32 vcpu;   /* the next one */
	void *seed; /* where it was written */
	/* Of the guest's own tree. */
	struct guest_fdt_walk walk;
	bool copying;     /* it has been looked through */
	bool has_surplus; /* it has CPUs that the guest hasn't got */
	u32 phandle;      /* the greatest */
	u64 *left;        /* nodes that are left out: guest_fdt_left.c */
	u32 left_count;
	u64 map_path;     /* of cpu-map */
	u8 names[GUEST_VCPUS_MAX / 8]; /* cpu@<that>: there is such a node */
};

/*
 * Bytes that are enough for a tree, and its room in the guest's RAM: what
 * image_plan is told. `isa` may be NULL: a generous guess. `dtb_bytes` is the
 * size of the guest's own tree, or 0. If that is sound (tree_check), the tree
 * that is made of it always fits.
 */
u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes);

/* The buffer in which it is made has so many bytes more. */
u64 guest_fdt_left_bytes(size_t dtb_bytes);

/*
 * Begins a tree in `buf`, aligned to 8, of which every byte up to the tree's
 * end will be written. What `args` points to stays until it is complete.
 * Nothing is allocated: whoever gives up does nothing.
 *
 * Of the guest's own tree, memory, cpus and chosen are corrected: CPUs that the
 * guest doesn't have are left out, with aliases and symbols that lead to them;
 * missing ones are added.
 */
void guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		     const struct guest_fdt_args *args);

/*
 * Makes the next piece: a CPU, or some of what is before or behind them; of the
 * guest's own tree a node's beginning or end or a property, or a few KiB. 1:
 * there is more; 0: it is complete, and fdt_totalsize(buf) tells its size.
 * -ENOSPC: `bytes` are not enough; -EINVAL: its own is no sound device tree, or
 * one whose root counts addresses or sizes in too few cells for this guest's
 * RAM. Not again after 0 or an error.
 */
int guest_fdt_step(struct guest_fdt_job *job) __must_check;

/* Where in a complete tree the seed is: for another one. NULL: it has none. */
void *guest_fdt_seed(const struct guest_fdt_job *job);

#endif
