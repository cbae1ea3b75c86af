/*
 * G-stage page tables: guest physical to host physical.
 *
 * Privileged ISA 20240411, section 15.5.1 "Guest Physical Address Translation":
 * Sv39x4, Sv48x4, Sv57x4 are Sv39, Sv48, Sv57 with two more address bits, which
 * make the root table 16 KiB. All leaves here are URWX with A and D set, and U
 * must be: every guest access counts as a user's.
 */
#ifndef ROUSE_ARCH_RISCV_GSTAGE_H
#define ROUSE_ARCH_RISCV_GSTAGE_H

#include "kernel/base.h"
#include "arch/riscv/vcpu.h"

/* hgatp.MODE, section 15.2.10. */
enum gstage_mode {
	GSTAGE_BARE = 0,
	GSTAGE_SV39X4 = 8,
	GSTAGE_SV48X4 = 9,
	GSTAGE_SV57X4 = 10,
};

#define HGATP_MODE_SHIFT 60
#define HGATP_VMID_SHIFT 44
#define HGATP_VMID_MASK 0x3fffULL
#define HGATP_PPN_MASK ((1ULL << 44) - 1)

/*
 * Tries which modes this hart's hgatp takes; what counts is what every hart
 * has offered. Also measures VMIDLEN (vmid.c). On each hart once, before the
 * first guest; leaves hgatp 0 and the hart's G-stage TLB empty.
 */
void gstage_modes_probe(void);

/* Modes that all harts offered, bit n for mode n; and the widest as text for
 * the boot log ("Sv48x4", or "none"). */
u32 gstage_modes(void);
const char *gstage_widest_name(void);

/* Guest physical addresses below this can be had on this machine. */
u64 gstage_gpa_end(void);

/*
 * An empty G-stage for a guest whose addresses are all below `gpa_end`, in the
 * narrowest offered mode that holds them. Sets g->gstage.
 * 0; -ERANGE: no offered mode is wide enough; -ENOMEM.
 */
int gstage_create(struct arch_guest *g, u64 gpa_end) __must_check;

/* Frees root and tables. No hart's hgatp holds it (vmid_quiet). */
void gstage_destroy(struct arch_guest *g);

/*
 * The tables for a page of `page_bytes` (4 KiB, 2 MiB) at `at`, and so for all
 * that are in the same table. They stay. One caller; no hart's hgatp holds it.
 * 0; -ENOMEM (those that were made stay); -ERANGE: outside the mode's range.
 */
int gstage_prepare(struct gstage *s, struct gpa at, u64 page_bytes)
	__must_check;

/*
 * [at, at + bytes) -> to, with the largest pages that alignment and mode
 * allow; all three are multiples of 4 KiB, and the tables have been prepared,
 * below a page of 1 GiB those for pages of 2 MiB. What is mapped already stays
 * as it is. Takes no memory. Lock-free; any CPUs at once, but 1 GiB and more
 * by one caller, when no hart's hgatp holds it. Does not fence.
 * 0; -ENOENT: not prepared (what was mapped stays); -ERANGE: outside the mode's
 * range.
 */
int gstage_map(struct gstage *s, struct gpa at, struct hpa to, u64 bytes)
	__must_check;

/*
 * Forgets the mappings in GSTAGE_STEP_TABLES tables at most, which stay. True:
 * call again; false: nothing is mapped. No hart's hgatp holds it, and the
 * guest's VMID is renewed (vmid_renew) before it runs.
 */
#define GSTAGE_STEP_TABLES 8
bool gstage_unmap_step(struct gstage *s) __must_check;

/* Frees as many tables, mappings and all. True: call again; false: only the
 * root is left. No hart's hgatp holds it. */
bool gstage_free_step(struct gstage *s) __must_check;

/*
 * What the tables say of `at`, as a hart would read them: host address and
 * size of the page, or HPA_NONE. Any CPU.
 */
struct hpa gstage_lookup(const struct gstage *s, struct gpa at,
			 u64 *page_bytes);

/* Frames that the tables take, the root's four included. While none is made
 * or freed. */
u64 gstage_table_frames(const struct gstage *s);

/* How wide the guest's addresses are. */
u32 gstage_gpa_bits(const struct gstage *s);

/* The CSR's value for this guest under `vmid`. */
u64 gstage_hgatp(const struct arch_guest *g, u32 vmid);

#endif
