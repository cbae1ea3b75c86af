/*
 * Correcting a tree that the guest brought along.
 *
 * Whoever brings a tree means it: only what it can't know is changed. That is
 * how much RAM there is and where, which harts there are, what they can do and
 * how fast their time goes, and what is handed over at start (bootargs, initrd,
 * random seed).
 *
 * A CPU's node that may stay is kept, with what isn't ours to say, since its
 * interrupt controller's phandle is what the tree's own interrupt controllers
 * refer to. Nodes of CPUs that don't exist are left out, so is a second one of
 * the same hart, and with any of them cpu-map, which would refer to them, and
 * the aliases that do (guest_fdt_left.c).
 *
 * The problem: a tree may be large, and no step may be long; calls that edit
 * move and search all of it each time (512 CPUs in it: 13,000,000 instructions
 * for each). So it is copied, token by token, from its beginning to its end,
 * with what is ours in place of what was there. What a node is, its properties
 * say, which come behind its name: they are looked through before it begins.
 * What must be known before the copy begins (which phandles are free, whether
 * cpu-map goes) a first walk finds out, which writes nothing, and by which the
 * tree is known to be sound.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <string.h>

#include "kernel/guest.h"

#define COPY_BYTES 4096u /* at once */

/* ---- the bytes of a property, or the strings ---- */

/* 1: there is more; 0: all is there. */
static int data_copy(struct guest_fdt_walk *w)
{
	u32 bytes = MIN(w->left, COPY_BYTES);

	memcpy(w->to, w->data, bytes);
	w->to += bytes;
	w->data += bytes;
	w->left -= bytes;
	return w->left != 0;
}

/* `to`: or NULL, there is no room. */
static void data_begin(struct guest_fdt_walk *w, const u8 *data, void *to,
		       u32 bytes)
{
	w->data = data;
	w->to = to;
	w->left = to ? bytes : 0;
	if (to)
		(void)data_copy(w);
}

/* ---- what is ours ---- */

static void timebase_write(struct guest_fdt_job *job)
{
	tree_u32(&job->tree, "timebase-frequency", (u32)job->args.timebase_hz);
}

/* Behind the root's properties, which say in how many cells. */
static int memory_write(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	const struct guest_config *cfg = &job->args.guest->cfg;
	u64 last = cfg->ram_base.v + cfg->memory_bytes - 1;
	int address = w->cells[CELLS_ADDRESS], size = w->cells[CELLS_SIZE];

	w->has_memory = true;
	if (address < 1 || address > 2 || size < 1 || size > 2 ||
	    (address == 1 && last > UINT32_MAX) ||
	    (size == 1 && cfg->memory_bytes > UINT32_MAX))
		return -EINVAL;
	guest_fdt_memory(job, address, size);
	return 1;
}

/* The next CPU, if it is missing; the end of `cpus`, if there is none. */
static int cpu_add(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	u32 i = job->vcpu++;

	if (i == job->args.guest->cfg.vcpus) {
		tree_node_end(&job->tree);
		w->adding = false;
		return 1;
	}
	if (w->cpus[i / 8] & 1u << i % 8)
		return 1;
	if (job->phandle >= FDT_MAX_PHANDLE || job->names[i / 8] & 1u << i % 8)
		return -EINVAL;
	guest_fdt_cpu(&job->tree, job->args.isa, i, w->cells[CELLS_CPU],
		      ++job->phandle);
	return 1;
}

/* What the root still lacks, and its end. */
static int root_close(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	struct tree_writer *t = &job->tree;

	if (!w->has_memory)
		return memory_write(job);
	if (!w->has_chosen) {
		w->has_chosen = true;
		tree_node(t, "chosen");
		guest_fdt_chosen_props(job);
		tree_node_end(t);
	}
	if (w->has_cpus) {
		tree_node_end(t);
		w->closing = false;
		return 1;
	}
	w->has_cpus = w->adding = true;
	w->cells[CELLS_CPU] = 1;
	tree_node(t, "cpus");
	tree_u32(t, "#address-cells", 1);
	tree_u32(t, "#size-cells", 0);
	timebase_write(job);
	return 1;
}

/* ---- the walk ---- */

static void node_write(struct guest_fdt_job *job)
{
	struct tree_writer *t = &job->tree;

	tree_node(t, job->walk.token.name);
	if (job->walk.place == IN_CHOSEN)
		guest_fdt_chosen_props(job);
	else if (job->walk.place == IN_CPUS)
		timebase_write(job);
	else if (job->walk.place == IN_CPU)
		guest_fdt_cpu_props(t, job->args.isa);
}

/* All its properties have been looked at. */
static int node_begin(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;

	w->ahead = 0;
	/* Of those too that are left out: who refers to one must not mean
	 * another. */
	if (!job->copying)
		job->phandle = MAX(job->phandle, w->node.phandle);
	if (w->left_out)
		return 1;
	guest_fdt_left_path(job);
	w->place = (u8)guest_fdt_place(job);
	if (w->from.depth == 2)
		w->child = w->place;
	w->has_chosen |= w->place == IN_CHOSEN;
	w->has_cpus |= w->place == IN_CPUS;
	if (w->place == LEFT_OUT) {
		w->left_out = w->from.depth;
		if (!job->copying)
			guest_fdt_left_note(job);
	} else if (job->copying) {
		node_write(job);
	}
	if (w->from.depth == 3 && w->child == IN_CPUS && w->place != LEFT_OUT)
		guest_fdt_name_note(job);
	return 1;
}

static int look_ahead(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	struct tree_token token;

	if (tree_look(&w->from, w->ahead, &token))
		return -EINVAL;
	w->ahead = token.next;
	if (token.tag == FDT_PROP)
		guest_fdt_node_learn(job, &token);
	return token.tag == FDT_PROP || token.tag == FDT_NOP ? 1
							     : node_begin(job);
}

static int node_found(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;

	if (w->left_out && job->copying)
		return 1;
	w->ahead = w->token.next;
	w->node = (struct guest_fdt_node){ .phandle = 0 };
	if (job->copying && w->from.depth == 2 && !w->has_memory)
		return memory_write(job);
	return 1;
}

static void cells_learn(struct guest_fdt_walk *w, const char *name, u32 which)
{
	if (w->cells_known & 1u << which || strcmp(w->token.name, name))
		return;
	w->cells_known |= (u8)(1u << which);
	w->cells[which] = guest_fdt_cells(&w->token);
}

static void prop_copy(struct guest_fdt_job *job)
{
	const struct tree_token *p = &job->walk.token;

	data_begin(&job->walk, p->data,
		   tree_room_at(&job->tree, p->name_at, p->bytes), p->bytes);
}

static int path_compare(struct guest_fdt_job *job)
{
	if (guest_fdt_path_leads(job))
		prop_copy(job);
	return 1;
}

static int prop_found(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	const struct tree_token *p = &w->token;

	if (w->left_out)
		return 1;
	if (w->place == IN_ROOT) {
		cells_learn(w, "#address-cells", CELLS_ADDRESS);
		cells_learn(w, "#size-cells", CELLS_SIZE);
	} else if (w->place == IN_CPUS) {
		cells_learn(w, "#address-cells", CELLS_CPU);
	}
	if (!guest_fdt_is_ours(job, p) && job->copying &&
	    !guest_fdt_is_path(job))
		prop_copy(job);
	return 1;
}

static int node_ended(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	u32 depth = w->from.depth + 1;

	if (w->left_out) {
		if (w->left_out == depth)
			w->left_out = 0;
	} else if (!job->copying) {
		return 1;
	} else if (depth == 1) {
		w->closing = true;
	} else if (depth == 2 && w->child == IN_CPUS) {
		w->adding = true;
	} else {
		tree_node_end(&job->tree);
	}
	return 1;
}

/* One token, or some of a long one, or what is added at that place. 1: there
 * is more; 0: that was all; -EINVAL. */
static int walk_step(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	int ret;

	if (w->left)
		return data_copy(w), 1;
	if (w->ahead)
		return look_ahead(job);
	if (w->comparing)
		return path_compare(job);
	if (w->adding)
		return cpu_add(job);
	if (w->closing)
		return root_close(job);
	ret = tree_next(&w->from, &w->token);
	if (ret != 1)
		return ret;
	switch (w->token.tag) {
	case FDT_BEGIN_NODE: return node_found(job);
	case FDT_PROP: return prop_found(job);
	case FDT_END_NODE: return node_ended(job);
	default: return 1;
	}
}

/* ---- the pieces ---- */

static int walk_begin(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;

	/* Without the properties: Devicetree Specification, 2.3.5. */
	*w = (struct guest_fdt_walk){ .cells = { 2, 1, 2 } };
	return tree_open(&w->from, job->args.dtb, job->args.dtb_bytes);
}

static int open_piece(struct guest_fdt_job *job)
{
	struct tree_writer *t = &job->tree;
	int ret = walk_begin(job);

	if (!ret)
		ret = guest_fdt_left_begin(job);
	tree_begin(t, t->buf, t->end, job->walk.from.strings_bytes);
	return ret;
}

static int survey_piece(struct guest_fdt_job *job)
{
	int ret = walk_step(job);

	if (ret)
		return ret;
	guest_fdt_left_end(job);
	job->copying = true;
	return walk_begin(job);
}

static int reserve_piece(struct guest_fdt_job *job)
{
	u64 base, bytes;
	int ret = tree_reserved(&job->walk.from, &base, &bytes);

	if (ret == 1)
		tree_reserve(&job->tree, base, bytes);
	else if (!ret)
		tree_reserve_end(&job->tree);
	return ret;
}

static int copy_piece(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	int ret = walk_step(job);

	if (!ret)
		data_begin(w, w->from.data + w->from.strings,
			   tree_strings(&job->tree), w->from.strings_bytes);
	return ret;
}

static int strings_piece(struct guest_fdt_job *job)
{
	return data_copy(&job->walk);
}

guest_fdt_piece *const guest_fdt_merging[] = {
	open_piece, survey_piece,  reserve_piece,	copy_piece,
	strings_piece, guest_fdt_end_piece, NULL,
};
