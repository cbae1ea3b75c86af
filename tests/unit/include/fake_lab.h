/*
 * What the tests of lab, cpio, image and guest_fdt share: objects whose
 * allocation can be made to fail, archives, trees from source text, and what
 * labs and guests' trees are read and written with.
 */
#ifndef ROUSE_TESTS_UNIT_FAKE_LAB_H
#define ROUSE_TESTS_UNIT_FAKE_LAB_H

#include "kernel/base.h"
#include "kernel/cpio.h"
#include "kernel/guest_fdt.h"
#include "kernel/lab.h"

/* The next `n` allocations succeed, later ones fail; -1: none fails. */
void fake_alloc_limit(long n);
bool fake_alloc_failed(void); /* has one, since the limit was set? */

/* An archive under construction. */
struct archive {
	u8 *data;
	size_t bytes;
};

void archive_add(struct archive *a, const char *name, const void *data,
		 size_t bytes);
/* Adds the trailer; the archive's memory ends exactly at its last byte. */
struct cpio archive_end(struct archive *a);
void archive_free(struct archive *a);

/*
 * A world for labs: 4 CPUs, the policies credit and rr, the devices uart and
 * rtc, and an archive with "k", a flat kernel, "i", an initrd, and what `more`,
 * unless it is NULL, adds.
 */
extern struct lab_env fake_env;
void fake_env_init(void (*more)(struct archive *images));
void fake_env_fini(void);

/* What a guest's tree is written with, but for the guest: harts with blocks for
 * cache management, an initrd, and fake_seed. */
#define FAKE_SEED_BYTES 32
extern const u8 fake_seed[FAKE_SEED_BYTES];
extern const struct guest_fdt_args fake_fdt_args;

/* Compiles device tree source; the result is malloc'd. NULL: dtc refused. */
void *dts_compile(const char *source, size_t *bytes);

/* gzip of some bytes, stored without compression; malloc'd. */
u8 *gzip_store(const void *data, size_t bytes, size_t *out_bytes);

#endif
