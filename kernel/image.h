/*
 * A guest's images: what they are, where they go, and getting them there.
 *
 * Recognised: the Linux Image of RISC-V ("Boot image header in RISC-V Linux"),
 * ELF64 (by the physical addresses of its PT_LOAD segments), gzip of either,
 * and, when it is nothing else, a flat binary. The image is the guest's own
 * business and may be anything; nothing in it makes a byte go outside the
 * guest's RAM.
 *
 *   image_files_find -> image_load_init, which takes all the memory there is to
 *     take -> for each of the guest's starts: guest_fdt_begin, _step ... ->
 *     image_load_begin -> image_load_step until it returns 0 or an error ->
 *     image_load_fini
 */
#ifndef ROUSE_KERNEL_IMAGE_H
#define ROUSE_KERNEL_IMAGE_H

#include "kernel/base.h"
#include "kernel/config.h"
#include "kernel/cpio.h"

struct guest;

/* A guest's files, in the archive; data is NULL where none is named. */
struct image_files {
	struct cpio_file kernel, initrd, dtb;
};

enum image_kind {
	IMAGE_FLAT,
	IMAGE_LINUX,
	IMAGE_ELF,
};

/* Where everything goes. Ranges are inside RAM and don't overlap. */
struct image_plan {
	enum image_kind kind;
	bool gzip;
	struct gpa kernel;       /* lowest byte of it */
	u64 kernel_bytes;        /* at least: only unpacking shows a gzip's */
	struct gpa kernel_limit; /* first byte that it must not touch */
	struct gpa entry;        /* pc of hart 0 */
	struct gpa initrd;
	u64 initrd_bytes;        /* 0: none */
	struct gpa fdt;          /* a1 of hart 0 */
	u64 fdt_bytes;           /* room for it */
};

/*
 * Finds what `cfg` names. 0, or -EINVAL: one of them is not in the archive.
 */
int image_files_find(const struct cpio *c, const struct guest_config *cfg,
		     struct image_files *out, struct lab_error *err)
	__must_check;

/*
 * Recognises the kernel and lays out the guest's RAM: the kernel at its place,
 * the device tree (room for `fdt_bytes`) as high as possible within the first
 * GiB of RAM, the initrd below it. 0; -EINVAL with one line that says what
 * doesn't fit or isn't right; -ENOMEM. Errors start with the property that is
 * to blame ("memory: ...").
 */
int image_plan(const struct guest_config *cfg, const struct image_files *files,
	       u64 fdt_bytes, struct image_plan *out, struct lab_error *err)
	__must_check;

/* Loading, long work done in steps; and what it takes, ready to begin. */
struct image_load {
	struct guest *guest;
	struct image_plan plan;
	struct image_files files;
	const void *fdt; /* the caller's */
	size_t fdt_bytes;
	struct lab_error err; /* after a step's error: what */

	/* image.c's own. */
	u32 stage;
	u64 at;      /* bytes of this stage done */
	u32 segment; /* ELF: the one that is being filled */
	u64 kernel_end;
	struct image_elf *elf;	     /* of an ELF; until image_load_fini */
	struct image_gunzip *gunzip; /* of a gzip; the same */
};

/*
 * Prepares loading into the RAM of `g`, as `cfg` has it: l->plan as image_plan
 * makes it, and all memory that loading takes, however often. Copies nothing
 * yet. 0, -ENOMEM or -EINVAL (as image_plan); then there is nothing to fini.
 */
int image_load_init(struct image_load *l, struct guest *g,
		    const struct guest_config *cfg,
		    const struct image_files *files, u64 fdt_bytes,
		    struct lab_error *err) __must_check;

/* Loading is to begin, for the first time or again. `fdt` has at most
 * l->plan.fdt_bytes bytes. */
void image_load_begin(struct image_load *l, const void *fdt, size_t fdt_bytes);

/*
 * One step: writes at most `budget_bytes` (at least 1) into the guest.
 * 1: call again; 0: everything is there; -EINVAL: the image is damaged, the
 * line is in l->err; -EFAULT: no RAM. After 0 or an error only begin and fini
 * are left.
 * Context: the guest's management task; no vCPU of the guest runs.
 */
int image_load_step(struct image_load *l, u32 budget_bytes) __must_check;

/* Gives back what init took; loading may be unfinished. All zeroes: nothing. */
void image_load_fini(struct image_load *l);

#endif
