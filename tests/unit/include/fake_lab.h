/*
 * What the tests of lab, cpio, image and guest_fdt share: objects whose
 * allocation can be made to fail, archives, and trees from source text.
 */
#ifndef ROUSE_TESTS_UNIT_FAKE_LAB_H
#define ROUSE_TESTS_UNIT_FAKE_LAB_H

#include "kernel/base.h"
#include "kernel/cpio.h"

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

/* Compiles device tree source; the result is malloc'd. NULL: dtc refused. */
void *dts_compile(const char *source, size_t *bytes);

/* gzip of some bytes, stored without compression; malloc'd. */
u8 *gzip_store(const void *data, size_t bytes, size_t *out_bytes);

#endif
