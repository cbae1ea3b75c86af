/*
 * Reading a device tree of which nothing is known.
 *
 * Every offset and length is compared with what is left before anything is read
 * by it: sums of two of them could wrap. Words are read byte by byte, so the
 * tree may be anywhere; but its own offsets are aligned as 5.6 wants them,
 * which libfdt takes for granted.
 */
#include "kernel/tree_read.h"

#include <libfdt.h>
#include <string.h>

#define HEADER_16_BYTES 36 /* without size_dt_struct */
#define VERSION_MIN	16 /* before, properties are padded otherwise */

/* At any address: so not as a member of a struct. */
static u32 word(const void *at)
{
	return fdt32_ld(at);
}

#define FIELD(data, name) \
	word((const u8 *)(data) + offsetof(struct fdt_header, name))

static bool range_fits(const struct tree_reader *r, u32 header_bytes, u32 at,
		       u32 bytes)
{
	return at >= header_bytes && at <= r->total && bytes <= r->total - at;
}

/* Where a block that begins there must end at the latest. */
static u32 block_limit(const struct tree_reader *r, u32 at)
{
	u32 limit = r->total;

	if (r->reserved > at)
		limit = MIN(limit, r->reserved);
	if (r->structure > at)
		limit = MIN(limit, r->structure);
	if (r->strings > at && r->strings_bytes)
		limit = MIN(limit, r->strings);
	return limit;
}

/* Only the strings' own size is said by all versions. */
static int blocks_part(struct tree_reader *r)
{
	if (r->structure == r->reserved ||
	    (r->strings_bytes && (r->strings == r->reserved ||
				  r->strings == r->structure)) ||
	    r->strings_bytes > block_limit(r, r->strings) - r->strings ||
	    r->structure_end > block_limit(r, r->structure))
		return -EINVAL;
	r->reserved_end = block_limit(r, r->reserved);
	return 0;
}

int tree_open(struct tree_reader *r, const void *data, size_t bytes)
{
	u32 version, since, header_bytes = HEADER_16_BYTES, nodes_bytes = 0;

	*r = (struct tree_reader){ .data = data };
	if (bytes < HEADER_16_BYTES || FIELD(data, magic) != FDT_MAGIC)
		return -EINVAL;
	version = FIELD(data, version);
	since = FIELD(data, last_comp_version);
	if (version < VERSION_MIN || since > FDT_LAST_SUPPORTED_VERSION ||
	    since > version)
		return -EINVAL;
	if (version > VERSION_MIN)
		header_bytes = sizeof(struct fdt_header);
	r->total = FIELD(data, totalsize);
	if (r->total > bytes || r->total < header_bytes || r->total > INT_MAX)
		return -EINVAL;
	if (version > VERSION_MIN)
		nodes_bytes = FIELD(data, size_dt_struct);
	r->reserved = FIELD(data, off_mem_rsvmap);
	r->structure = FIELD(data, off_dt_struct);
	r->strings = FIELD(data, off_dt_strings);
	r->strings_bytes = FIELD(data, size_dt_strings);
	if (!range_fits(r, header_bytes, r->reserved, 0) ||
	    !range_fits(r, header_bytes, r->structure, nodes_bytes) ||
	    !range_fits(r, header_bytes, r->strings, r->strings_bytes) ||
	    !IS_ALIGNED(r->structure, 4u) || !IS_ALIGNED(r->reserved, 8u))
		return -EINVAL;
	r->structure_end = version > VERSION_MIN ?
				   r->structure + nodes_bytes :
				   block_limit(r, r->structure);
	r->at = r->structure;
	return blocks_part(r);
}

int tree_reserved(struct tree_reader *r, u64 *base, u64 *bytes)
{
	const u8 *p = r->data + r->reserved;

	if (r->reserved_end - r->reserved < sizeof(struct fdt_reserve_entry))
		return -EINVAL;
	*base = (u64)word(p) << 32 | word(p + 4);
	*bytes = (u64)word(p + 8) << 32 | word(p + 12);
	if (!*bytes)
		return 0;
	r->reserved += (u32)sizeof(struct fdt_reserve_entry);
	return 1;
}

/* ---- tokens ---- */

/* Is there a name of at most `room` bytes with its zero? Its length, or -1. */
static int name_length(const u8 *name, u32 room)
{
	size_t length = strnlen((const char *)name,
				MIN(room, TREE_NAME_MAX + 1u));

	return length < room && length <= TREE_NAME_MAX ? (int)length : -1;
}

static int prop_look(const struct tree_reader *r, u32 at, u32 left,
		     struct tree_token *out)
{
	const u8 *p = r->data + at;
	u32 head_bytes = sizeof(struct fdt_property) - FDT_TAGSIZE;

	if (left < head_bytes)
		return -EINVAL;
	out->bytes = word(p);
	out->name_at = word(p + FDT_TAGSIZE);
	if (out->bytes > left - head_bytes || out->name_at >= r->strings_bytes)
		return -EINVAL;
	out->data = p + head_bytes;
	out->name = (const char *)r->data + r->strings + out->name_at;
	if (name_length((const u8 *)out->name,
			r->strings_bytes - out->name_at) < 0)
		return -EINVAL;
	out->next = at + head_bytes + out->bytes;
	return 0;
}

int tree_look(const struct tree_reader *r, u32 at, struct tree_token *out)
{
	u32 left;
	int length, ret = 0;

	if (at > r->structure_end || r->structure_end - at < FDT_TAGSIZE)
		return -EINVAL;
	out->tag = word(r->data + at);
	at += FDT_TAGSIZE;
	left = r->structure_end - at;
	out->next = at;
	switch (out->tag) {
	case FDT_BEGIN_NODE:
		out->name = (const char *)r->data + at;
		length = name_length(r->data + at, left);
		if (length < 0)
			return -EINVAL;
		out->next = at + (u32)length + 1;
		break;
	case FDT_PROP:
		ret = prop_look(r, at, left, out);
		break;
	case FDT_END_NODE:
	case FDT_NOP:
	case FDT_END:
		break;
	default:
		return -EINVAL;
	}
	out->next = ALIGN_UP(out->next, (u32)FDT_TAGSIZE);
	return ret;
}

int tree_next(struct tree_reader *r, struct tree_token *out)
{
	if (tree_look(r, r->at, out))
		return -EINVAL;
	r->at = out->next;
	if (r->ended)
		return out->tag == FDT_END ? 0 : -EINVAL;
	switch (out->tag) {
	case FDT_BEGIN_NODE:
		if (!r->depth++ && *out->name)
			return -EINVAL;
		r->props = true;
		return 1;
	case FDT_PROP:
		return r->props ? 1 : -EINVAL;
	case FDT_END_NODE:
		if (!r->depth)
			return -EINVAL;
		r->props = false;
		r->ended = --r->depth == 0;
		return 1;
	case FDT_NOP:
		return 1;
	default:
		return -EINVAL; /* the end, in a node or without a root */
	}
}

int tree_check(const void *data, size_t bytes)
{
	struct tree_reader r;
	struct tree_token token;
	u64 base, reserved_bytes;
	int ret = tree_open(&r, data, bytes);

	if (ret)
		return ret;
	do {
		ret = tree_reserved(&r, &base, &reserved_bytes);
	} while (ret == 1);
	if (ret)
		return ret;
	do {
		ret = tree_next(&r, &token);
	} while (ret == 1);
	return ret;
}
