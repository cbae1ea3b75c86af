/*
 * The life of a guest's RAM: reserved, populated, forgotten, given back.
 *
 * The problem: the largest possible G-stage pages, RAM that is there once it
 * was promised, no work that takes long, and nobody who waits.
 *
 * Guest physical space is cut into blocks of 2 MiB. At creation, step by step,
 * each gets its frames: 1 GiB at once where alignment and free memory allow,
 * else 2 MiB, and single frames only at ragged ends or when memory is in
 * crumbs. So a page table never stands in the way of a large page, and RAM
 * can't run out later. Nor can the tables of the second stage, which are made
 * then, when it is known which pages there will be: one for each GiB, and one
 * for each block of single frames.
 *
 * Zeroing comes in granules of 64 KiB, two bits each: `claimed` is set by the
 * one who will zero it, `ready` after the zeroes. See gmem_access.c for why a
 * block is mapped only when all of it is ready.
 *
 * A reset clears the bits: RAM that is zeroed again at the next touch is as
 * good as RAM zeroed now, and costs only what the guest uses. What was touched
 * in any of its lives is zeroed before it goes back to the page allocator, so
 * that a guest's secrets don't outlive it in free frames.
 *
 * Rejected: mapping single 4 KiB pages as they are zeroed and joining them to
 * 2 MiB later (a table for each block, 0.2 % of RAM, and old tables must
 * outlive every hart's cached walk); zeroing at creation (seconds for large
 * guests before the first instruction).
 */
#include "kernel/gmem.h"

#include "kernel/arch.h"
#include "kernel/gmem_private.h"
#include "kernel/mem.h"
#include "kernel/time.h"

#include <string.h>

u32 block_outside(const struct gmem *m, u64 n)
{
	u64 at = block_gpa(m, n), end = m->base + m->bytes;
	u32 first = 0, left = 0; /* granules before RAM, and behind it */

	if (m->base > at)
		first = (u32)((m->base - at) / GRANULE_BYTES);
	if (end < at + BLOCK_BYTES)
		left = (u32)((at + BLOCK_BYTES - end) / GRANULE_BYTES);
	return ~(GRANULES_ALL << first & GRANULES_ALL >> left);
}

static bool page_inside(const struct gmem *m, u64 at)
{
	return at >= m->base && at - m->base < m->bytes;
}

/* 512 blocks at once, if they are there and the guest's and ours line up. */
static bool reserve_gib(struct gmem *m, u64 n)
{
	u64 at = block_gpa(m, n);
	struct hpa pa;

	if (!IS_ALIGNED(at, GIB) || at < m->base ||
	    m->bytes - (at - m->base) < GIB)
		return false;
	pa = page_alloc(GIB_ORDER);
	if (hpa_is_none(pa))
		return false;
	for (u32 i = 0; i < GIB_BLOCKS; i++)
		m->block[n + i] = (struct gmem_block){
			.where = (pa.v + i * BLOCK_BYTES) | BLOCK_GIB,
		};
	return true;
}

static bool reserve_whole(struct gmem *m, u64 n)
{
	u64 at = block_gpa(m, n);
	struct hpa pa;

	if (at < m->base || m->bytes - (at - m->base) < BLOCK_BYTES)
		return false;
	pa = page_alloc(BLOCK_ORDER);
	if (hpa_is_none(pa))
		return false;
	m->block[n].where = pa.v | BLOCK_WHOLE;
	return true;
}

/* Its table: the frames come one by one. */
static int reserve_pages(struct gmem *m, u64 n)
{
	struct hpa *table = obj_alloc_raw(BLOCK_PAGES * sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (u32 i = 0; i < BLOCK_PAGES; i++)
		table[i] = HPA_NONE;
	m->block[n].where = (u64)(uintptr_t)table | BLOCK_PAGES_TABLE;
	m->pages_left = BLOCK_PAGES;
	return 0;
}

/* The next frame of the block that was begun last. */
static int page_reserve(struct gmem *m)
{
	u32 i = BLOCK_PAGES - m->pages_left--;
	u64 n = m->step_reserve - 1;
	struct hpa *pa = &block_table(&m->block[n])[i];

	if (!page_inside(m, block_gpa(m, n) + i * PAGE_BYTES))
		return 0;
	*pa = page_alloc(0);
	return hpa_is_none(*pa) ? -ENOMEM : 0;
}

/* The next one, or 512. What it has when it fails, destroying finds. */
static int block_reserve(struct gmem *m)
{
	u64 n = m->step_reserve;
	int ret = 0;

	if (reserve_gib(m, n)) {
		m->step_reserve += GIB_BLOCKS;
		return 0;
	}
	m->block[n] = (struct gmem_block){ .where = BLOCK_NONE };
	m->step_reserve++;
	if (!reserve_whole(m, n))
		ret = reserve_pages(m, n);
	m->block[n].claimed = m->block[n].ready = block_outside(m, n);
	return ret;
}

/* The second stage's tables for the next one, or 512. */
static int tables_reserve(struct gmem *m)
{
	u64 n = m->step_tables;
	enum block_kind kind = block_kind(&m->block[n]);

	/* In each of a block of 1 GiB would be the same. */
	m->step_tables += kind == BLOCK_GIB ? GIB_BLOCKS : 1;
	return arch_stage2_prepare(m->guest, (struct gpa){ block_gpa(m, n) },
				   kind == BLOCK_PAGES_TABLE ? PAGE_BYTES :
							       BLOCK_BYTES);
}

int gmem_create(struct guest *g, struct gpa base, u64 bytes, struct gmem **out)
{
	u64 first = ALIGN_DOWN(base.v, BLOCK_BYTES);
	u64 end = base.v + bytes, blocks;
	struct gmem *m;

	if (!bytes || !IS_ALIGNED(base.v | bytes, PAGE_BYTES) ||
	    end < base.v || end > UINT64_MAX - BLOCK_BYTES)
		return -EINVAL;
	if (bytes >> PAGE_SHIFT > page_free_count())
		return -ENOMEM;
	blocks = (ALIGN_UP(end, BLOCK_BYTES) - first) / BLOCK_BYTES;
	m = obj_alloc_raw(sizeof(*m) + blocks * sizeof(m->block[0]));
	if (!m)
		return -ENOMEM;
	*m = (struct gmem){
		.guest = g,
		.base = base.v,
		.bytes = bytes,
		.first = first,
		.blocks = blocks,
	};
	*out = m;
	return 0;
}

static u64 step_deadline(void)
{
	return time_now_ticks() + us_to_ticks(GMEM_STEP_US);
}

int gmem_reserve_step(struct gmem *m)
{
	u64 deadline = step_deadline();

	while (m->step_tables < m->blocks) {
		int ret = m->pages_left		       ? page_reserve(m) :
			  m->step_reserve < m->blocks ? block_reserve(m) :
							tables_reserve(m);

		if (ret)
			return ret;
		if (time_now_ticks() >= deadline)
			return 1;
	}
	return 0;
}

/* False: the time is up, and there is more. */
static bool table_free(struct hpa *table, u64 deadline)
{
	for (u32 i = 0; i < BLOCK_PAGES; i++) {
		if (hpa_is_none(table[i]))
			continue;
		page_free(table[i], 0);
		table[i] = HPA_NONE;
		if (time_now_ticks() >= deadline)
			return false;
	}
	obj_free(table);
	return true;
}

/* The same. */
static bool block_free(struct gmem *m, u64 n, u64 deadline)
{
	struct gmem_block *b = &m->block[n];

	switch (block_kind(b)) {
	case BLOCK_NONE:
		break;
	case BLOCK_WHOLE:
		page_free(block_page(b, 0), BLOCK_ORDER);
		break;
	case BLOCK_GIB:
		if (IS_ALIGNED(block_gpa(m, n), GIB))
			page_free(block_page(b, 0), GIB_ORDER);
		break;
	case BLOCK_PAGES_TABLE:
		if (!table_free(block_table(b), deadline))
			return false;
		break;
	}
	b->where = BLOCK_NONE;
	return true;
}

/* Zeroes what was touched of block `n`, one granule. False: there is none. */
static bool block_wipe_one(struct gmem *m, u64 n)
{
	struct gmem_block *b = &m->block[n];
	u32 dirty = (b->ready | b->stale) & ~block_outside(m, n);
	u32 i;

	if (!dirty)
		return false;
	i = (u32)__builtin_ctz(dirty);
	granule_zero(b, i);
	b->ready &= ~(1u << i);
	b->stale &= ~(1u << i);
	return true;
}

int gmem_destroy_step(struct gmem *m)
{
	u64 deadline;

	if (!m)
		return 0;
	deadline = step_deadline();
	while (m->step_wipe < m->step_reserve) {
		if (!block_wipe_one(m, m->step_wipe))
			m->step_wipe++;
		if (time_now_ticks() >= deadline)
			return 1;
	}
	while (m->step_free < m->step_reserve) {
		if (block_free(m, m->step_free, deadline))
			m->step_free++;
		if (time_now_ticks() >= deadline)
			return 1;
	}
	obj_free(m);
	return 0;
}

void gmem_destroy(struct gmem *m)
{
	while (gmem_destroy_step(m))
		;
}

int gmem_reset_step(struct gmem *m)
{
	u64 deadline = step_deadline();

	while (m->step_reset < m->blocks) {
		u64 n = m->step_reset++;

		m->block[n].stale |= m->block[n].ready;
		m->block[n].claimed = m->block[n].ready = block_outside(m, n);
		if (IS_ALIGNED(n, 64) && time_now_ticks() >= deadline)
			return 1;
	}
	ck_pr_store_64(&m->touched_bytes, 0);
	m->step_reset = m->step_zero = m->step_map = 0;
	m->map_page = 0;
	return 0;
}

int gmem_populate_step(struct gmem *m)
{
	u64 deadline = step_deadline();

	while (m->step_zero < m->blocks) {
		if (block_zero_some(m, &m->block[m->step_zero], deadline))
			m->step_zero++;
		if (time_now_ticks() >= deadline)
			return 1;
	}
	while (m->step_map < m->blocks) {
		u64 n = m->step_map;
		int ret = block_map(m, n, &m->map_page);

		if (ret)
			return ret;
		if (m->map_page == BLOCK_PAGES) {
			m->map_page = 0;
			/* A page of 1 GiB mapped all of its blocks at once. */
			m->step_map += block_kind(&m->block[n]) == BLOCK_GIB ?
					       GIB_BLOCKS : 1;
		}
		if (time_now_ticks() >= deadline && m->step_map < m->blocks)
			return 1;
	}
	return 0;
}

bool gmem_has(const struct gmem *m, struct gpa at, u64 len)
{
	u64 off = at.v - m->base;

	return at.v >= m->base && off < m->bytes && len <= m->bytes - off;
}

u64 gmem_bytes(const struct gmem *m)
{
	return m->bytes;
}

u64 gmem_touched_bytes(const struct gmem *m)
{
	return ck_pr_load_64(&m->touched_bytes);
}
