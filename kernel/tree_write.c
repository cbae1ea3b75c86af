/*
 * Writing a device tree.
 *
 * The problem: a tree that is written from its beginning to its end needs all
 * the names of its properties behind the last node, and where each of them is
 * already in its first property. libfdt's sequential calls put them at the
 * buffer's end, and at last go through the whole tree to say where they are: a
 * step as long as the tree.
 *
 * So a name's place among the strings is settled when it is first used, as the
 * number of bytes before it, and a table at the buffer's end says which names
 * there are. They are put behind the nodes from that table: a few dozen. What
 * another tree brings along comes first, at the places that it has there, so
 * what is copied from there needs no look-up at all.
 *
 * Only the format is relied on, not how libfdt works.
 */
#include "kernel/tree_write.h"

#include <libfdt.h>
#include <string.h>

struct name {
	const char *text;
	u32 at; /* among the strings */
};

static struct name *name_entry(const struct tree_writer *t, u32 i)
{
	return (struct name *)(t->buf + t->end) + (t->names - 1 - i);
}

/* The next `bytes` bytes, of which those up to the next word are zero. */
static u8 *take(struct tree_writer *t, u32 bytes)
{
	u8 *p = t->buf + t->at;

	if (t->full || bytes > t->end - t->at) {
		t->full = true;
		return NULL;
	}
	t->at += ALIGN_UP(bytes, (u32)FDT_TAGSIZE);
	if (bytes % FDT_TAGSIZE)
		fdt32_st(t->buf + t->at - FDT_TAGSIZE, 0);
	return p;
}

static void take_tag(struct tree_writer *t, u32 tag)
{
	u8 *p = take(t, FDT_TAGSIZE);

	if (p)
		fdt32_st(p, tag);
}

void tree_begin(struct tree_writer *t, void *buf, size_t bytes,
		u32 copied_bytes)
{
	*t = (struct tree_writer){
		.buf = buf,
		.end = (u32)ALIGN_DOWN(MIN(bytes, (size_t)INT_MAX), 8),
		.copied_bytes = copied_bytes,
		.strings_bytes = copied_bytes,
	};
	(void)take(t, sizeof(struct fdt_header));
}

void tree_reserve(struct tree_writer *t, u64 base, u64 bytes)
{
	u8 *p = take(t, sizeof(struct fdt_reserve_entry));

	if (!p)
		return;
	fdt64_st(p, base);
	fdt64_st(p + sizeof(fdt64_t), bytes);
}

void tree_reserve_end(struct tree_writer *t)
{
	tree_reserve(t, 0, 0);
	t->structure = t->at;
}

void tree_node(struct tree_writer *t, const char *name)
{
	u32 bytes = (u32)strlen(name) + 1;
	u8 *p = take(t, FDT_TAGSIZE + bytes);

	if (!p)
		return;
	fdt32_st(p, FDT_BEGIN_NODE);
	memcpy(p + FDT_TAGSIZE, name, bytes);
}

void tree_node_end(struct tree_writer *t)
{
	take_tag(t, FDT_END_NODE);
}

/* ---- properties ---- */

static void name_add(struct tree_writer *t, const char *name, u32 at)
{
	if (t->full || t->end - t->at < sizeof(struct name)) {
		t->full = true;
		return;
	}
	t->end -= (u32)sizeof(struct name);
	t->names++;
	*name_entry(t, t->names - 1) = (struct name){ name, at };
}

/* Most names are the same literal each time. NULL: it isn't known. */
static const struct name *name_find(const struct tree_writer *t,
				    const char *name)
{
	for (u32 i = 0; i < t->names; i++)
		if (name_entry(t, i)->text == name)
			return name_entry(t, i);
	for (u32 i = 0; i < t->names; i++)
		if (!strcmp(name_entry(t, i)->text, name))
			return name_entry(t, i);
	return NULL;
}

void tree_name_at(struct tree_writer *t, const char *name, u32 name_at)
{
	if (!name_find(t, name))
		name_add(t, name, name_at);
}

void *tree_room_at(struct tree_writer *t, u32 name_at, u32 bytes)
{
	u8 *p = bytes <= INT_MAX ? take(t, sizeof(struct fdt_property) + bytes)
				 : NULL;

	if (!p) {
		t->full = true;
		return NULL;
	}
	fdt32_st(p, FDT_PROP);
	fdt32_st(p + 4, bytes);
	fdt32_st(p + 8, name_at);
	return p + sizeof(struct fdt_property);
}

void *tree_room(struct tree_writer *t, const char *name, u32 bytes)
{
	const struct name *known = name_find(t, name);
	u32 at = known ? known->at : t->strings_bytes;

	if (!known) {
		name_add(t, name, at);
		t->strings_bytes += (u32)strlen(name) + 1;
	}
	return tree_room_at(t, at, bytes);
}

void tree_bytes(struct tree_writer *t, const char *name, const void *data,
		u32 bytes)
{
	void *p = tree_room(t, name, bytes);

	if (p)
		memcpy(p, data, bytes);
}

void tree_empty(struct tree_writer *t, const char *name)
{
	(void)tree_room(t, name, 0);
}

void tree_string(struct tree_writer *t, const char *name, const char *text)
{
	tree_bytes(t, name, text, (u32)strlen(text) + 1);
}

void tree_u32(struct tree_writer *t, const char *name, u32 v)
{
	fdt32_t cell = cpu_to_fdt32(v);

	tree_bytes(t, name, &cell, sizeof(cell));
}

void tree_u64(struct tree_writer *t, const char *name, u64 v)
{
	fdt64_t cells = cpu_to_fdt64(v);

	tree_bytes(t, name, &cells, sizeof(cells));
}

/* ---- the end ---- */

void *tree_strings(struct tree_writer *t)
{
	u8 *p;

	take_tag(t, FDT_END);
	p = t->buf + t->at;
	if (t->full || t->strings_bytes > t->end - t->at) {
		t->full = true;
		return NULL;
	}
	return p;
}

void tree_end(struct tree_writer *t)
{
	u32 total = t->at + t->strings_bytes;
	void *fdt = t->buf;

	if (t->full)
		return;
	for (u32 i = 0; i < t->names; i++) {
		const struct name *n = name_entry(t, i);

		if (n->at >= t->copied_bytes)
			memcpy(t->buf + t->at + n->at, n->text,
			       strlen(n->text) + 1);
	}
	fdt_set_magic(fdt, FDT_MAGIC);
	fdt_set_totalsize(fdt, total);
	fdt_set_off_dt_struct(fdt, t->structure);
	fdt_set_off_dt_strings(fdt, t->at);
	fdt_set_off_mem_rsvmap(fdt, sizeof(struct fdt_header));
	fdt_set_version(fdt, FDT_LAST_SUPPORTED_VERSION);
	fdt_set_last_comp_version(fdt, FDT_LAST_COMPATIBLE_VERSION);
	fdt_set_boot_cpuid_phys(fdt, 0);
	fdt_set_size_dt_strings(fdt, t->strings_bytes);
	fdt_set_size_dt_struct(fdt, t->at - t->structure);
}
