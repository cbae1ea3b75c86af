/*
 * Files of a "newc" cpio archive in memory, read in place.
 *
 * The archive comes from whoever started the machine and may be anything:
 * every function checks what it reads against the archive's end. Nothing is
 * copied: names and contents point into the archive, which must stay.
 */
#ifndef ROUSE_KERNEL_CPIO_H
#define ROUSE_KERNEL_CPIO_H

#include "kernel/base.h"

struct cpio {
	const void *data;
	size_t bytes;
};

struct cpio_file {
	const char *name; /* zero-terminated */
	const void *data;
	size_t bytes;
	bool regular;     /* else a directory, a link, a device, ... */
};

/*
 * Reads the member at `*pos` (0 at first) and moves `*pos` behind it.
 * Returns 1 and fills `f`; 0 at the trailer; -EINVAL if the archive is damaged
 * or ends before its trailer (`*pos` then is where).
 */
int cpio_next(const struct cpio *c, size_t *pos, struct cpio_file *f)
	__must_check;

/*
 * Finds the first regular file named exactly `name`.
 * 0, -ENOENT, or -EINVAL if damage comes before any such file.
 */
int cpio_find(const struct cpio *c, const char *name, struct cpio_file *f)
	__must_check;

/*
 * Walks the whole archive once. 0 if it is sound (no name is there twice is
 * not looked at: the first one counts), else -EINVAL.
 */
int cpio_check(const struct cpio *c) __must_check;

#endif
