/*
 * Writing a flattened device tree (Devicetree Specification, chapter 5, version
 * 17) from its beginning to its end.
 *
 * Whatever doesn't fit is not written, nor is anything after it: only who ends
 * a tree, or writes through a pointer, has to look. No call's work grows with
 * what has been written before, but for the names of properties that it knows:
 * each is in the tree once.
 *
 * One caller at a time, any context. Nothing is allocated.
 */
#ifndef ROUSE_KERNEL_TREE_WRITE_H
#define ROUSE_KERNEL_TREE_WRITE_H

#include "kernel/base.h"

/* A tree in the making; the fields are tree_write.c's, but for `full`. */
struct tree_writer {
	u8 *buf;
	u32 at, end;       /* the next byte; what may be written ends there */
	u32 structure;     /* where it begins */
	u32 names;         /* that are known: a table, down to `end` */
	u32 strings_bytes; /* so far: where the next name will be */
	u32 copied_bytes;  /* of another tree's strings, which come first */
	bool full;         /* it doesn't fit */
};

/*
 * Begins a tree in `buf`, which is aligned to 8. Its strings begin with
 * `copied_bytes` of another tree's. Then come reservations, in any number, and
 * tree_reserve_end; then one node, and others in it.
 */
void tree_begin(struct tree_writer *t, void *buf, size_t bytes,
		u32 copied_bytes);
void tree_reserve(struct tree_writer *t, u64 base, u64 bytes);
void tree_reserve_end(struct tree_writer *t);

/* Begins a node; ends the last one begun that has not been ended. */
void tree_node(struct tree_writer *t, const char *name);
void tree_node_end(struct tree_writer *t);

/*
 * Properties of the node, before other nodes in it. `name` stays as long as the
 * writer. tree_room: where the caller then writes `bytes` bytes, before others
 * see the tree; NULL: no room.
 */
void *tree_room(struct tree_writer *t, const char *name, u32 bytes);
void tree_bytes(struct tree_writer *t, const char *name, const void *data,
		u32 bytes);
void tree_empty(struct tree_writer *t, const char *name);
void tree_string(struct tree_writer *t, const char *name, const char *text);
void tree_u32(struct tree_writer *t, const char *name, u32 v);
void tree_u64(struct tree_writer *t, const char *name, u64 v);

/*
 * For a copy of another tree's properties. tree_room_at: as tree_room, by the
 * name's place in that tree's strings. tree_name_at: `name` is there, and needs
 * no place of its own. Places are less than `copied_bytes`.
 */
void *tree_room_at(struct tree_writer *t, u32 name_at, u32 bytes);
void tree_name_at(struct tree_writer *t, const char *name, u32 name_at);

/*
 * After the last node. tree_strings: where the caller then writes the other
 * tree's strings, if there are any; NULL: no room. tree_end: the tree is
 * complete, unless it doesn't fit; its header tells its size.
 */
void *tree_strings(struct tree_writer *t);
void tree_end(struct tree_writer *t);

#endif
