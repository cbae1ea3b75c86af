/*
 * A reader of "newc" cpio archives that believes nothing.
 *
 * An archive is a row of members: 110 bytes of header (a magic and thirteen
 * numbers of eight hexadecimal digits), the name with its zero, the contents.
 * Name and contents are each padded so that what follows starts at a multiple
 * of four from the archive's start. A member named TRAILER!!! ends it.
 *
 * Invariant: `pos` never exceeds the archive's size, and every length is
 * compared with what is left before it is added to anything; lengths have 32
 * bits and `size_t` has 64, so the sums can't wrap.
 *
 * Rejected: an index built at start. Labs have a handful of files and look up
 * each once a boot. Also rejected: following hard links (newc keeps the
 * contents at the last name only); tools/lab writes none.
 */
#include "kernel/cpio.h"

#include <string.h>

#define HEADER_BYTES 110
#define TRAILER "TRAILER!!!"
#define MODE_TYPE 0170000u
#define MODE_REGULAR 0100000u

/* Numbers of the header, by their place. */
enum {
	FIELD_MODE = 1,
	FIELD_FILESIZE = 6,
	FIELD_NAMESIZE = 11,
};

/* 0 and *val, or -EINVAL: not eight hexadecimal digits. */
static int field_read(const char *header, u32 field, u32 *val)
{
	const char *p = header + 6 + field * 8;
	u32 v = 0;

	for (u32 i = 0; i < 8; i++) {
		char c = p[i];
		u32 digit;

		if (c >= '0' && c <= '9')
			digit = (u32)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (u32)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (u32)(c - 'A') + 10;
		else
			return -EINVAL;
		v = v << 4 | digit;
	}
	*val = v;
	return 0;
}

int cpio_next(const struct cpio *c, size_t *pos, struct cpio_file *f)
{
	const char *base = c->data;
	size_t at = *pos;
	u32 mode, file_bytes, name_bytes;

	if (at > c->bytes || c->bytes - at < HEADER_BYTES)
		return -EINVAL;
	/* 070702 differs in a checksum that nobody needs in memory. */
	if (memcmp(base + at, "070701", 6) && memcmp(base + at, "070702", 6))
		return -EINVAL;
	if (field_read(base + at, FIELD_MODE, &mode) ||
	    field_read(base + at, FIELD_FILESIZE, &file_bytes) ||
	    field_read(base + at, FIELD_NAMESIZE, &name_bytes))
		return -EINVAL;
	at += HEADER_BYTES;

	if (name_bytes == 0 || name_bytes > c->bytes - at ||
	    memchr(base + at, 0, name_bytes) != base + at + name_bytes - 1)
		return -EINVAL;
	f->name = base + at;
	at = ALIGN_UP(at + name_bytes, 4);
	if (strcmp(f->name, TRAILER) == 0)
		return 0;

	if (at > c->bytes || file_bytes > c->bytes - at)
		return -EINVAL;
	f->data = base + at;
	f->bytes = file_bytes;
	f->regular = (mode & MODE_TYPE) == MODE_REGULAR;
	at = ALIGN_UP(at + file_bytes, 4);
	*pos = MIN(at, c->bytes);
	return 1;
}

int cpio_find(const struct cpio *c, const char *name, struct cpio_file *f)
{
	size_t pos = 0;
	int ret;

	while ((ret = cpio_next(c, &pos, f)) > 0)
		if (f->regular && strcmp(f->name, name) == 0)
			return 0;
	return ret ? ret : -ENOENT;
}

int cpio_check(const struct cpio *c)
{
	struct cpio_file f;
	size_t pos = 0;
	int ret;

	do
		ret = cpio_next(c, &pos, &f);
	while (ret > 0);
	return ret;
}
