/*
 * Reading a flattened device tree (Devicetree Specification, chapter 5, version
 * 16 or 17) of any bytes at any address, from its beginning to its end, a piece
 * at a time. No piece of work grows with the tree (tree_check is all of them).
 *
 * What has been read to its end without an error is sound, and libfdt may read
 * it, at an address that is aligned to 8.
 *
 * Stricter than libfdt (fdt_check_full) in that properties come before nodes
 * (5.4.2), and names have at most TREE_NAME_MAX characters (the specification
 * has 31: 2.2.1, 2.2.4.1); and in that no block is in another (5.1), so a copy
 * is no larger.
 */
#ifndef ROUSE_KERNEL_TREE_READ_H
#define ROUSE_KERNEL_TREE_READ_H

#include "kernel/base.h"

#define TREE_NAME_MAX 255

/* The fields are tree_read.c's, but for what has a comment. */
struct tree_reader {
	const u8 *data;
	u32 total;
	u32 reserved, reserved_end;
	u32 structure, structure_end;
	u32 strings;
	u32 strings_bytes; /* at data + strings */
	u32 at;            /* the next token's offset */
	u32 depth;         /* of nodes begun and not ended */
	bool props, ended;
};

struct tree_token {
	u32 tag;          /* FDT_BEGIN_NODE, _PROP, _END_NODE, _NOP, _END */
	u32 next;         /* the offset of the one behind it */
	const char *name; /* BEGIN_NODE, PROP: ends with a zero */
	u32 name_at;      /* PROP: of that, among the strings */
	const u8 *data;   /* PROP, at any address */
	u32 bytes;
};

/* Looks at the header. 0; -EINVAL: no tree of these versions, or not within
 * `bytes`. The tree stays. */
int tree_open(struct tree_reader *r, const void *data, size_t bytes)
	__must_check;

/* The next reservation. 1; 0: that was the last one before; -EINVAL. */
int tree_reserved(struct tree_reader *r, u64 *base, u64 *bytes) __must_check;

/* The next token. 1; 0: it is FDT_END, and the tree has one root and is
 * complete; -EINVAL. */
int tree_next(struct tree_reader *r, struct tree_token *out) __must_check;

/* The token at `at`, which is tree_next's `next`, or that of one which was
 * looked at so: ahead of tree_next, which has not judged its order. 0, -EINVAL.
 */
int tree_look(const struct tree_reader *r, u32 at, struct tree_token *out)
	__must_check;

/* All of it at once: is it sound? 0, -EINVAL. It takes as long as the tree. */
int tree_check(const void *data, size_t bytes) __must_check;

#endif
