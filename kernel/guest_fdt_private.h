/*
 * What the files that make a guest's tree know of each other: the pieces that a
 * tree is made of, and what is the same whoever wrote it. Only guest_fdt*.c
 * include this.
 */
#ifndef ROUSE_KERNEL_GUEST_FDT_PRIVATE_H
#define ROUSE_KERNEL_GUEST_FDT_PRIVATE_H

#include "kernel/guest_fdt.h"

/* A piece's work. 1: call it again; 0: the next one is due; -EINVAL. What
 * doesn't fit, the writer knows. */
typedef int guest_fdt_piece(struct guest_fdt_job *job);

/* All of them in turn, then NULL. */
extern guest_fdt_piece *const guest_fdt_writing[];
extern guest_fdt_piece *const guest_fdt_merging[];

/* The last one of both. */
guest_fdt_piece guest_fdt_end_piece;

/* Bytes of the list of extensions, with their zeroes. */
size_t guest_fdt_isa_bytes(const struct guest_fdt_isa *isa);

/*
 * Nodes and properties that Rouse writes, also in a tree that the guest brings.
 * memory: the node; addresses and sizes of 1 or 2 cells. chosen_props: what is
 * handed over at start. cpu_props: what a hart offers. cpu: a CPU's node, its
 * `reg` of 1 or 2 cells, with its interrupt controller.
 */
void guest_fdt_memory(struct guest_fdt_job *job, int address_cells,
		      int size_cells);
void guest_fdt_chosen_props(struct guest_fdt_job *job);
void guest_fdt_cpu_props(struct tree_writer *t,
			 const struct guest_fdt_isa *isa);
void guest_fdt_cpu(struct tree_writer *t, const struct guest_fdt_isa *isa,
		   u32 hartid, int cells, u32 intc_phandle);

/* Where a node is, and so what is ours in it. */
enum guest_fdt_place {
	IN_OTHER,
	IN_ROOT,
	IN_CHOSEN,
	IN_CPUS,
	IN_CPU,
	IN_PATHS, /* aliases, __symbols__ */
	LEFT_OUT,
};

/*
 * Of the guest's own tree, in the walk through it. node_learn: what the node
 * that begins is, by one of its properties. place: by all of them, and where it
 * is; notes that a CPU has been come by. name_note: of a node that stays below
 * `cpus`, so that none that is added has its name. is_ours: is that property of
 * the node last begun Rouse's to say? cells: a number of cells, or -1, as
 * libfdt reads it (fdt_address_cells).
 */
void guest_fdt_node_learn(struct guest_fdt_job *job,
			  const struct tree_token *p);
enum guest_fdt_place guest_fdt_place(struct guest_fdt_job *job);
void guest_fdt_name_note(struct guest_fdt_job *job);
bool guest_fdt_is_ours(struct guest_fdt_job *job, const struct tree_token *p);
int guest_fdt_cells(const struct tree_token *p);

/*
 * Paths to nodes that are left out. left_bytes: what their list needs of the
 * buffer. left_begin: takes that, or -ENOSPC. left_path: a node begins, in none
 * that is left out. left_note: that one is. left_end: all have been come by; of
 * cpu-map it is known only then. is_path: is the property a path that must be
 * compared? path_leads: compares some; true: it is to be copied, or else
 * walk.comparing says whether there is more to compare.
 */
int guest_fdt_left_begin(struct guest_fdt_job *job) __must_check;
void guest_fdt_left_path(struct guest_fdt_job *job);
void guest_fdt_left_note(struct guest_fdt_job *job);
void guest_fdt_left_end(struct guest_fdt_job *job);
bool guest_fdt_is_path(struct guest_fdt_job *job);
bool guest_fdt_path_leads(struct guest_fdt_job *job);

#endif
