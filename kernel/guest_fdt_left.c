/*
 * Paths to nodes that are left out of a tree that the guest brought along.
 *
 * `aliases` and `__symbols__` name nodes by their paths, and stand before them
 * or behind. One that leads to a node which is left out, or into it, goes as
 * well: it would lead nowhere, or to a CPU of the same name that is another.
 * What is left out are memory and CPUs, so paths to devices, the console's
 * among them, are as they were; so is that to the memory that is written anew
 * under its old name.
 *
 * The first walk notes each node that is left out, the second compares. A node
 * is noted by a hash of its path, 64 bits: who makes two of them equal loses an
 * alias of his own. The list lies behind the tree's room in the buffer, 8 bytes
 * for a node that had 16 or more. It may be long, so a path is compared with
 * some at a time.
 *
 * Only children of the root and their children are noted: a node of memory
 * below those is nobody's RAM, and no CPU is there.
 */
#include "kernel/guest_fdt_private.h"

#include <string.h>

#define NODE_LEAST_BYTES 16u
#define COMPARE_AT_ONCE	 512u

/* FNV-1a. */
#define HASH_BEGIN 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

static u64 hash_add(u64 hash, u8 byte)
{
	return (hash ^ byte) * HASH_PRIME;
}

static u64 hash_name(u64 hash, const char *name)
{
	hash = hash_add(hash, '/');
	while (*name)
		hash = hash_add(hash, (u8)*name++);
	return hash;
}

u64 guest_fdt_left_bytes(size_t dtb_bytes)
{
	return dtb_bytes / NODE_LEAST_BYTES * sizeof(u64);
}

int guest_fdt_left_begin(struct guest_fdt_job *job)
{
	struct tree_writer *t = &job->tree;
	u64 bytes = guest_fdt_left_bytes(job->args.dtb_bytes);

	t->end = ALIGN_DOWN(t->end, 8u);
	if (bytes > t->end)
		return -ENOSPC;
	t->end -= (u32)bytes;
	job->left = (u64 *)(void *)(t->buf + t->end);
	return 0;
}

static void note(struct guest_fdt_job *job, u64 path)
{
	job->left[job->left_count++] = path;
}

void guest_fdt_left_path(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;

	if (w->from.depth == 2)
		w->path[0] = hash_name(HASH_BEGIN, w->token.name);
	else if (w->from.depth == 3)
		w->path[1] = hash_name(w->path[0], w->token.name);
	if (w->from.depth == 3 && w->child == IN_CPUS &&
	    !strcmp(w->token.name, "cpu-map"))
		job->map_path = w->path[1];
}

void guest_fdt_left_note(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	u32 depth = w->from.depth;

	if (depth > 3 ||
	    (depth == 2 && !strcmp(w->token.name, job->memory_name)))
		return;
	note(job, w->path[depth - 2]);
}

void guest_fdt_left_end(struct guest_fdt_job *job)
{
	if (job->has_surplus && job->map_path)
		note(job, job->map_path);
}

bool guest_fdt_is_path(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	const struct tree_token *p = &w->token;
	u64 hash = HASH_BEGIN;
	u32 names = 0, most = 2 * (TREE_NAME_MAX + 1) + 1;

	if (w->place != IN_PATHS || !p->bytes || p->data[0] != '/')
		return false;
	w->path[0] = w->path[1] = 0;
	for (u32 i = 0; i < MIN(p->bytes, most); i++) {
		bool ends = !p->data[i] || (i && p->data[i] == '/');

		if (ends)
			w->path[names++] = hash;
		if (!p->data[i] || names == 2)
			break;
		hash = hash_add(hash, p->data[i]);
	}
	w->compared = 0;
	w->comparing = names && job->left_count;
	return w->comparing;
}

/* None of the paths is 0, but for one in 2^64. */
bool guest_fdt_path_leads(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	u32 end = MIN(job->left_count, w->compared + COMPARE_AT_ONCE);

	w->comparing = false;
	for (; w->compared < end; w->compared++)
		if (job->left[w->compared] == w->path[0] ||
		    job->left[w->compared] == w->path[1])
			return false;
	w->comparing = end < job->left_count;
	return !w->comparing;
}
