/*
 * A gzip file, unpacked piece by piece by zlib.
 *
 * The stream lives on the heap between steps, and between a guest's starts:
 * zlib's state, its window of 32 KiB, for which it asks when it first needs it,
 * but which is there before, and one buffer of output. Going through that
 * buffer instead of the guest's RAM costs a copy, but zlib never sees a guest's
 * address, a step ends exactly at its budget, and one writer, which checks
 * where every byte goes, serves packed and plain images alike.
 *
 * gzip allows several members in a row, as `cat a.gz b.gz` makes them; they are
 * unpacked as one.
 */
#include "kernel/image_private.h"

#define ZLIB_CONST
#include <zlib.h>

#include "kernel/mem.h"

#define BUFFER_BYTES (16 * KIB)
/* zlib counts its input in 32 bits. */
#define INPUT_MAX (1ULL << 30)
/* A window of 2^15, and 16: gzip's header and trailer, both checked. */
#define WINDOW_BITS (15 + 16)
#define WINDOW_BYTES (1u << 15)

struct image_gunzip {
	z_stream z;
	struct cpio_file file;
	const u8 *in;
	size_t in_bytes; /* not yet given to zlib */
	bool ended;
	u8 buf[BUFFER_BYTES];
	u8 window[WINDOW_BYTES];
};

static voidpf gunzip_alloc(voidpf opaque, uInt items, uInt bytes)
{
	struct image_gunzip *gz = opaque;
	size_t all = (size_t)items * bytes;

	return all == sizeof(gz->window) ? gz->window : obj_alloc(all);
}

static void gunzip_free(voidpf opaque, voidpf p)
{
	struct image_gunzip *gz = opaque;

	if (p != gz->window)
		obj_free(p);
}

bool image_is_gzip(const struct cpio_file *f)
{
	const u8 *p = f->data;

	return f->bytes >= 18 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8;
}

u32 image_gzip_hint(const struct cpio_file *f)
{
	const u8 *p = (const u8 *)f->data + f->bytes - 4;

	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

int image_gunzip_open(struct image_gunzip **out, const struct cpio_file *f)
{
	struct image_gunzip *gz = obj_alloc(sizeof(*gz));

	if (!gz)
		return -ENOMEM;
	gz->file = *f;
	gz->z.zalloc = gunzip_alloc;
	gz->z.zfree = gunzip_free;
	gz->z.opaque = gz;
	if (inflateInit2(&gz->z, WINDOW_BITS) != Z_OK) {
		obj_free(gz);
		return -ENOMEM;
	}
	image_gunzip_rewind(gz);
	*out = gz;
	return 0;
}

void image_gunzip_rewind(struct image_gunzip *gz)
{
	(void)inflateReset(&gz->z); /* fails on no state only */
	gz->z.avail_in = 0;
	gz->in = gz->file.data;
	gz->in_bytes = gz->file.bytes;
	gz->ended = false;
}

static void input_feed(struct image_gunzip *gz)
{
	size_t n = MIN(gz->in_bytes, INPUT_MAX);

	if (gz->z.avail_in)
		return;
	gz->z.next_in = gz->in;
	gz->z.avail_in = (uInt)n;
	gz->in += n;
	gz->in_bytes -= n;
}

/* A member ended: does another follow? Anything else there is padding. */
static void member_end(struct image_gunzip *gz)
{
	input_feed(gz);
	if (gz->z.avail_in < 2 || gz->z.next_in[0] != 0x1f ||
	    gz->z.next_in[1] != 0x8b)
		gz->ended = true;
	else
		(void)inflateReset(&gz->z); /* fails on no state only */
}

int image_gunzip_read(struct image_gunzip *gz, u32 max, const void **data,
		      size_t *bytes)
{
	u32 room = MIN(max, (u32)BUFFER_BYTES);
	int ret;

	gz->z.next_out = gz->buf;
	gz->z.avail_out = room;
	while (!gz->ended && gz->z.avail_out == room) {
		input_feed(gz);
		ret = inflate(&gz->z, Z_NO_FLUSH);
		if (ret == Z_STREAM_END)
			member_end(gz);
		else if (ret != Z_OK)
			return -EINVAL; /* Z_BUF_ERROR: there is no more */
	}
	*data = gz->buf;
	*bytes = room - gz->z.avail_out;
	return 0;
}

void image_gunzip_close(struct image_gunzip *gz)
{
	if (!gz)
		return;
	inflateEnd(&gz->z);
	obj_free(gz);
}
