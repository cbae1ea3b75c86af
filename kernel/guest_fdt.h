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

struct guest;
struct guest_config;
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
	const void *rng_seed;          /* 32 bytes or more; NULL: none */
	size_t rng_seed_bytes;
};

/* Where the first CPU's node is in the structure, and the next one's place:
 * guest_fdt_many.c. */
struct guest_fdt_many {
	u32 rest, rest_bytes; /* of the first: all behind its name */
	u32 reg, phandle;     /* in that */
	u32 next;
};

/* A tree in the making; its fields are guest_fdt*.c's own. */
struct guest_fdt_job {
	struct guest_fdt_args args;
	void *buf;
	size_t bytes;
	int (*const *pieces)(struct guest_fdt_job *job); /* those to come */
	u32 vcpu;   /* the next one */
	struct guest_fdt_many many;
	void *copy; /* of `dtb`, if it had to be aligned */
};

/*
 * Bytes that are enough for a tree: what image_plan is told and the buffer
 * gets. `isa` may be NULL: a generous guess. `dtb_bytes` is the size of the
 * guest's own tree, or 0.
 */
u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes);

/* Is that a sound device tree? 0, -EINVAL, -ENOMEM. Any alignment. */
int guest_fdt_check(const void *dtb, size_t dtb_bytes) __must_check;

/*
 * Begins a tree in `buf`, aligned to 8. What `args` points to stays until
 * guest_fdt_end, which is due after 0 only. 0, -ENOMEM.
 *
 * Of the guest's own tree, memory, cpus and chosen are corrected: CPUs that the
 * guest doesn't have are removed, missing ones are added.
 */
int guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		    const struct guest_fdt_args *args) __must_check;

/*
 * Makes the next piece: a CPU, or some of what is before or behind them. 1:
 * there is more; 0: it is complete, and fdt_totalsize(buf) tells its size.
 * -ENOSPC: `bytes` are not enough; -EINVAL: its own is no sound device tree, or
 * one whose root counts addresses or sizes in too few cells for this guest's
 * RAM; or a device's `describe` failed. After 0 or an error only guest_fdt_end
 * is left.
 */
int guest_fdt_step(struct guest_fdt_job *job) __must_check;

/* At any moment after guest_fdt_begin; once is enough, twice does no harm. */
void guest_fdt_end(struct guest_fdt_job *job);

/* Where in a complete tree its seed of so many bytes is: for another one. NULL:
 * it has none of that size. Goes through what is in front of it. */
void *guest_fdt_seed(void *fdt, size_t bytes);

#endif
