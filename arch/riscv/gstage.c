/*
 * G-stage tables without a lock.
 *
 * The problem: any CPU may map at any time (a fault on each of them), and a
 * hart's page walk reads the same words meanwhile.
 *
 * All tables are made with the guest (gstage_prepare) and stay until it is
 * destroyed, so that no fault needs memory. While a guest lives, leaves only
 * ever go from 0 to their final value, by compare-and-swap. Two CPUs that want
 * the same leaf agree on it, since a guest physical address has one frame for
 * the guest's life. So whoever finds an entry set takes it as it is, and
 * nothing is ever unset until no hart can walk the tables any more
 * (gstage_unmap_step). A hart that has cached "invalid" faults once more, finds
 * the entry set, and fences for itself: nobody is told of a new mapping
 * (stage2.c).
 *
 * Whether a leaf of 1 GiB or a table is to be at a place is known at a start
 * only. So there is a table for each, and while a leaf stands in its place it
 * is among the spare ones. They change places when no hart can walk them.
 *
 * Invariants: an entry is 0, a pointer (V alone), or a leaf with URWXAD; leaves
 * of 1 GiB are the largest, in every mode, and as many as there are spare
 * tables; `tables` counts the frames, the spare ones too.
 *
 * Rejected: a lock per guest (it would be held while frames are zeroed);
 * turning tables into larger leaves while the guest runs (a cached pointer to
 * the old table outlives it); leaves of 512 GiB (no allocator block is that
 * large); a table at the fault that needs it, of frames that are promised (as
 * much memory, zeroed in the guest's time, and a fault that can fail).
 */
#include <ck_pr.h>

#include "arch/riscv/gstage.h"

#include "arch/riscv/gstage_hw.h"
#include "arch/riscv/vmid.h"
#include "kernel/arch.h"
#include "kernel/mem.h"

#define PTE_V 1ULL
#define PTE_R 2ULL
#define PTE_W 4ULL
#define PTE_X 8ULL
#define PTE_U 16ULL
#define PTE_A 64ULL
#define PTE_D 128ULL
#define PTE_RWX (PTE_R | PTE_W | PTE_X)
#define PTE_LEAF (PTE_V | PTE_RWX | PTE_U | PTE_A | PTE_D)
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK (((1ULL << 44) - 1) << PTE_PPN_SHIFT)

#define INDEX_BITS 9
#define TABLE_PTES (1u << INDEX_BITS)
#define ROOT_PTES (4 * TABLE_PTES)
#define ROOT_ORDER 2
#define LEAF_LEVEL_MAX 2 /* 1 GiB */

static const struct mode {
	enum gstage_mode mode;
	const char *name;
	u32 top;      /* level of the root */
	u32 gpa_bits;
} modes[] = {
	{ GSTAGE_SV39X4, "Sv39x4", 2, 41 },
	{ GSTAGE_SV48X4, "Sv48x4", 3, 50 },
	{ GSTAGE_SV57X4, "Sv57x4", 4, 59 },
};

struct gstage {
	const struct mode *mode;
	struct hpa root;
	u64 tables;	  /* frames below the root */
	struct hpa spare; /* tables; the next one is each one's first word */
	u64 unmap_at;	  /* where gstage_unmap_step goes on */
};

/* Bit n: mode n is offered by every hart that has probed. */
static u32 modes_offered = 1u << GSTAGE_SV39X4 | 1u << GSTAGE_SV48X4 |
			   1u << GSTAGE_SV57X4;

void gstage_modes_probe(void)
{
	const u64 vmid_ones = HGATP_VMID_MASK << HGATP_VMID_SHIFT;
	u32 mine = 0, vmid_bits = 0;

	for (u32 i = 0; i < ARRAY_LEN(modes); i++) {
		u64 want = (u64)modes[i].mode << HGATP_MODE_SHIFT, got;

		hw_hgatp_write(want | vmid_ones);
		got = hw_hgatp_read();
		if (got >> HGATP_MODE_SHIFT != modes[i].mode)
			continue;
		mine |= 1u << modes[i].mode;
		vmid_bits = (u32)__builtin_popcountll(got & vmid_ones);
	}
	hw_hgatp_write(0);
	hw_hfence_gvma_all();
	ck_pr_and_32(&modes_offered, mine);
	vmid_measured(vmid_bits);
}

u32 gstage_modes(void)
{
	return ck_pr_load_32(&modes_offered);
}

/* The narrowest offered mode for addresses below `gpa_end`; or NULL. */
static const struct mode *mode_for(u64 gpa_end)
{
	for (u32 i = 0; i < ARRAY_LEN(modes); i++)
		if (gstage_modes() >> modes[i].mode & 1 &&
		    gpa_end <= 1ULL << modes[i].gpa_bits)
			return &modes[i];
	return NULL;
}

static const struct mode *mode_widest(void)
{
	for (u32 i = ARRAY_LEN(modes); i-- > 0;)
		if (gstage_modes() >> modes[i].mode & 1)
			return &modes[i];
	return NULL;
}

const char *gstage_widest_name(void)
{
	const struct mode *m = mode_widest();

	return m ? m->name : "none";
}

u64 gstage_gpa_end(void)
{
	const struct mode *m = mode_widest();

	return m ? 1ULL << m->gpa_bits : 0;
}

int gstage_create(struct arch_guest *g, u64 gpa_end)
{
	const struct mode *mode = mode_for(gpa_end);
	struct gstage *s;

	if (!mode)
		return -ERANGE;
	s = obj_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->mode = mode;
	s->spare = HPA_NONE;
	s->root = page_alloc(ROOT_ORDER);
	if (hpa_is_none(s->root)) {
		obj_free(s);
		return -ENOMEM;
	}
	arch_zero(hpa_ptr(s->root), PAGE_BYTES << ROOT_ORDER);
	g->gstage = s;
	return 0;
}

void gstage_destroy(struct arch_guest *g)
{
	struct gstage *s = g->gstage;

	if (!s)
		return;
	while (gstage_free_step(s))
		;
	page_free(s->root, ROOT_ORDER);
	obj_free(s);
	g->gstage = NULL;
}

static u64 level_bytes(u32 level)
{
	return PAGE_BYTES << (INDEX_BITS * level);
}

static u64 *pte_at(u64 *table, const struct gstage *s, u32 level, u64 gpa)
{
	u32 mask = (level == s->mode->top ? ROOT_PTES : TABLE_PTES) - 1;

	return &table[gpa >> (PAGE_SHIFT + INDEX_BITS * level) & mask];
}

static u64 pte_make(struct hpa pa, u64 bits)
{
	return pa.v >> PAGE_SHIFT << PTE_PPN_SHIFT | bits;
}

static struct hpa pte_hpa(u64 pte)
{
	return (struct hpa){
		(pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT << PAGE_SHIFT };
}

static bool pte_is_leaf(u64 pte)
{
	return pte & PTE_RWX;
}

static bool pte_is_pointer(u64 pte)
{
	return pte && !pte_is_leaf(pte);
}

/* The table that `pte` points to, made if it was 0; NULL: no memory. */
static u64 *table_need(struct gstage *s, u64 *pte)
{
	struct hpa pa;

	if (*pte)
		return hpa_ptr(pte_hpa(*pte));
	pa = page_alloc(0);
	if (hpa_is_none(pa))
		return NULL;
	arch_zero(hpa_ptr(pa), PAGE_BYTES);
	*pte = pte_make(pa, PTE_V);
	s->tables++;
	return hpa_ptr(pa);
}

int gstage_prepare(struct gstage *s, struct gpa at, u64 page_bytes)
{
	u64 *table = hpa_ptr(s->root);

	if (at.v >> s->mode->gpa_bits)
		return -ERANGE;
	for (u32 l = s->mode->top; level_bytes(l) > page_bytes; l--) {
		u64 *pte = pte_at(table, s, l, at.v);

		if (pte_is_leaf(*pte))
			return 0;
		table = table_need(s, pte);
		if (!table)
			return -ENOMEM;
	}
	return 0;
}

/* A leaf of 1 GiB instead of the table at `pte`. False: something is mapped
 * by it. */
static bool table_spare(struct gstage *s, u64 *pte, u64 leaf)
{
	struct hpa pa = pte_hpa(*pte);
	u64 *table = hpa_ptr(pa);

	for (u32 i = 0; i < TABLE_PTES; i++)
		if (table[i])
			return false;
	table[0] = s->spare.v;
	s->spare = pa;
	ck_pr_store_64(pte, leaf);
	return true;
}

static struct hpa spare_take(struct gstage *s)
{
	struct hpa pa = s->spare;
	u64 *table = hpa_ptr(pa);

	s->spare.v = table[0];
	table[0] = 0;
	return pa;
}

/* 0: there is one. 1: there are smaller ones, or a table for them. -ENOENT. */
static int leaf_put(struct gstage *s, u64 *pte, u32 level, u64 leaf)
{
	u64 was = ck_pr_load_64(pte);

	if (level == LEAF_LEVEL_MAX && !was)
		return -ENOENT;
	if (level == LEAF_LEVEL_MAX && pte_is_pointer(was))
		return !table_spare(s, pte, leaf);
	/* The frame's zeroes came before; gmem_access.c fenced. */
	if (!was && ck_pr_cas_64_value(pte, 0, leaf, &was))
		return 0;
	return !pte_is_leaf(was);
}

/* Maps one page of `level`; both addresses are aligned to it. Recurses once a
 * level where smaller pages are mapped already. */
static int map_page(struct gstage *s, u64 gpa, struct hpa to, u32 level)
{
	u64 *table = hpa_ptr(s->root);
	int ret;

	for (u32 l = s->mode->top; l > level; l--) {
		u64 p = ck_pr_load_64(pte_at(table, s, l, gpa));

		if (!p)
			return -ENOENT;
		if (pte_is_leaf(p))
			return 0;
		table = hpa_ptr(pte_hpa(p));
	}
	ret = leaf_put(s, pte_at(table, s, level, gpa), level,
		       pte_make(to, PTE_LEAF));
	for (u32 i = 0; ret == 1 && i < TABLE_PTES; i++) {
		u64 off = i * level_bytes(level - 1);

		if (map_page(s, gpa + off, (struct hpa){ to.v + off },
			     level - 1))
			ret = -ENOENT;
	}
	return MIN(ret, 0);
}

int gstage_map(struct gstage *s, struct gpa at, struct hpa to, u64 bytes)
{
	u64 end = 1ULL << s->mode->gpa_bits;

	if (at.v >= end || bytes > end - at.v)
		return -ERANGE;
	while (bytes) {
		u32 level = LEAF_LEVEL_MAX;
		int ret;

		while (!IS_ALIGNED(at.v | to.v, level_bytes(level)) ||
		       bytes < level_bytes(level))
			level--;
		ret = map_page(s, at.v, to, level);
		if (ret)
			return ret;
		at.v += level_bytes(level);
		to.v += level_bytes(level);
		bytes -= level_bytes(level);
	}
	return 0;
}

static void pte_unmap(struct gstage *s, u64 *pte, u32 level)
{
	bool spared = level == LEAF_LEVEL_MAX && *pte;

	ck_pr_store_64(pte, spared ? pte_make(spare_take(s), PTE_V) : 0);
}

/* What is mapped from `at` on, as far as the lowest table that is there says
 * it, or the next pointer in it. Returns what comes behind. */
static u64 unmap_from(struct gstage *s, u64 at)
{
	u64 *table = hpa_ptr(s->root), *pte, span = 1ULL << s->mode->gpa_bits;
	u32 l = s->mode->top;

	for (pte = pte_at(table, s, l, at); pte_is_pointer(*pte);
	     pte = pte_at(table, s, l, at)) {
		table = hpa_ptr(pte_hpa(*pte));
		span = level_bytes(l--);
	}
	do {
		pte_unmap(s, pte++, l);
		at += level_bytes(l);
	} while (!IS_ALIGNED(at, span) && !pte_is_pointer(*pte));
	return at;
}

bool gstage_unmap_step(struct gstage *s)
{
	u64 end = 1ULL << s->mode->gpa_bits;

	for (u32 i = 0; i < GSTAGE_STEP_TABLES && s->unmap_at < end; i++)
		s->unmap_at = unmap_from(s, s->unmap_at);
	if (s->unmap_at < end)
		return true;
	s->unmap_at = 0;
	return false;
}

/* Frees at most `left` tables below; a pointer goes after its table is empty,
 * so that whoever goes on finds it. False: there are more. */
static bool table_free(struct gstage *s, u64 *table, u32 ptes, u32 *left)
{
	for (u32 i = 0; i < ptes; i++) {
		if (pte_is_pointer(table[i])) {
			struct hpa pa = pte_hpa(table[i]);

			if (!table_free(s, hpa_ptr(pa), TABLE_PTES, left) ||
			    !*left)
				return false;
			page_free(pa, 0);
			s->tables--;
			--*left;
		}
		table[i] = 0;
	}
	return true;
}

bool gstage_free_step(struct gstage *s)
{
	u32 left = GSTAGE_STEP_TABLES;

	for (; left && !hpa_is_none(s->spare); left--, s->tables--)
		page_free(spare_take(s), 0);
	return !left ||
	       !table_free(s, hpa_ptr(s->root), ROOT_PTES, &left);
}

struct hpa gstage_lookup(const struct gstage *s, struct gpa at, u64 *page_bytes)
{
	u64 *table = hpa_ptr(s->root);

	if (at.v >> s->mode->gpa_bits)
		return HPA_NONE;
	for (u32 l = s->mode->top;; l--) {
		u64 p = ck_pr_load_64(pte_at(table, s, l, at.v));

		if (!p)
			return HPA_NONE;
		if (pte_is_leaf(p)) {
			*page_bytes = level_bytes(l);
			return (struct hpa){ pte_hpa(p).v |
					     (at.v & (level_bytes(l) - 1)) };
		}
		table = hpa_ptr(pte_hpa(p));
	}
}

u64 gstage_table_frames(const struct gstage *s)
{
	return s->tables + (1u << ROOT_ORDER);
}

u32 gstage_gpa_bits(const struct gstage *s)
{
	return s->mode->gpa_bits;
}

u64 gstage_hgatp(const struct arch_guest *g, u32 vmid)
{
	return (u64)g->gstage->mode->mode << HGATP_MODE_SHIFT |
	       (u64)vmid << HGATP_VMID_SHIFT | g->gstage->root.v >> PAGE_SHIFT;
}
