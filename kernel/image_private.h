/*
 * What image.c, image_kind.c and image_gunzip.c say to each other.
 */
#ifndef ROUSE_KERNEL_IMAGE_PRIVATE_H
#define ROUSE_KERNEL_IMAGE_PRIVATE_H

#include "kernel/base.h"
#include "kernel/config.h"
#include "kernel/cpio.h"
#include "kernel/image.h"

/* A part of an ELF that is loaded. */
struct image_segment {
	u64 off, file_bytes; /* in the (unpacked) file */
	u64 at, bytes;       /* in the guest; bytes >= file_bytes */
};

struct image_elf {
	u64 entry; /* physical */
	u32 count;
	struct image_segment seg[];
};

/* What is known of a kernel image from its first bytes. */
struct image_facts {
	enum image_kind kind;
	u64 bytes;            /* unpacked; of a gzip a lower bound */
	u64 text_offset;      /* IMAGE_LINUX */
	u64 image_bytes;      /* IMAGE_LINUX: with its bss; 0: not said */
	struct image_elf *elf; /* IMAGE_ELF */
	struct image_gunzip *gunzip; /* of a gzip, else NULL: looked into */
};

/*
 * Looks at an image. 0; -EINVAL with "kernel: ..." in err; -ENOMEM.
 * image_facts_fini gives back what it took.
 */
int image_facts_read(const struct cpio_file *f, struct image_facts *out,
		     struct lab_error *err) __must_check;
void image_facts_fini(struct image_facts *facts);

/* image_plan, of an image that has been looked at. */
int image_plan_by(const struct guest_config *cfg,
		  const struct image_files *files,
		  const struct image_facts *facts, u64 fdt_bytes,
		  struct image_plan *out, struct lab_error *err) __must_check;

/* A gzip file as a stream. */
struct image_gunzip;

bool image_is_gzip(const struct cpio_file *f);

/* The size that the file claims to unpack to, modulo 2^32. */
u32 image_gzip_hint(const struct cpio_file *f);

/* 0 or -ENOMEM. */
int image_gunzip_open(struct image_gunzip **gz, const struct cpio_file *f)
	__must_check;

/*
 * The next bytes, at most `max`, in a buffer of the stream's: *data, *bytes. No
 * bytes: the end, and the checksums were right. 0; -EINVAL: damaged or cut
 * short. Takes no memory.
 */
int image_gunzip_read(struct image_gunzip *gz, u32 max, const void **data,
		      size_t *bytes) __must_check;
/* Back to the file's beginning. */
void image_gunzip_rewind(struct image_gunzip *gz);
void image_gunzip_close(struct image_gunzip *gz);

#endif
