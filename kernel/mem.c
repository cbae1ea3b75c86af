/*
 * Frames, by buddies.
 *
 * The problem: RAM is a handful of ranges with holes, of any size; guests want
 * blocks as large as a G-stage page, everybody else wants single frames, and
 * nobody may wait.
 *
 * Each range brings its own metadata, one byte a frame, so nothing here has a
 * limit and there is no array to size. A block of 2^order frames is aligned to
 * its size; its first frame's byte says what the block is, all others say TAIL.
 * Free blocks hang on one list per order, the links being in the free frames
 * themselves. Allocation takes the smallest block that is large enough and
 * halves it; freeing joins a block with its buddy as long as the buddy's byte
 * says "free, same order".
 *
 * Invariants: a byte that says FREE with order n is the head of a block on list
 * n, wholly inside its range; two free buddies of one order below the largest
 * don't both exist; free_frames is the sum over the lists. So what was given
 * back in any order is exactly what was there before.
 *
 * The bytes also tell objects apart (obj.c): a freed pointer is looked up in
 * its frame's byte, and no object needs a header of its own.
 *
 * Rejected: a bitmap per order (18 bitmaps to size per range, and a search);
 * an array of 64-byte frame descriptors (1.5 % of RAM); caches of frames per
 * CPU (nothing hot allocates: exits, wakes and switches never come here); a
 * ticket lock (it is fair, but where harts are threads of a machine with fewer
 * cores the next in line is often not running, and all wait for it: four
 * threads on two cores were fifty times slower).
 */
#include <string.h>

#include "kernel/mem.h"
#include "kernel/mem_private.h"
#include "kernel/panic.h"

struct region {
	struct region *next;
	u64 first;  /* frame number that meta[0] speaks of */
	u64 frames;
	u8 meta[];
};

struct free_block {
	struct free_block *next, *prev;
};

static ck_spinlock_fas_t page_lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct region *regions;
static struct free_block *free_list[PAGE_ORDER_MAX + 1];
static u64 free_blocks[PAGE_ORDER_MAX + 1];
static u64 free_frames, total_frames;

u64 mem_fail_in; /* any CPU, atomic */

void mem_fail_after(u64 n)
{
	ck_pr_store_64(&mem_fail_in, n);
}

u64 mem_fail_left(void)
{
	return ck_pr_load_64(&mem_fail_in);
}

bool mem_fail_now(void)
{
	u64 n = mem_fail_left();

	while (n && !ck_pr_cas_64_value(&mem_fail_in, n, n - 1, &n))
		;
	return n == 1;
}

#if __STDC_HOSTED__
void mem_reset(void)
{
	ck_spinlock_fas_init(&page_lock);
	regions = NULL;
	memset(free_list, 0, sizeof(free_list));
	memset(free_blocks, 0, sizeof(free_blocks));
	free_frames = total_frames = mem_fail_in = 0;
	obj_reset();
}
#endif

static struct hpa frame_hpa(u64 frame)
{
	return (struct hpa){ frame << PAGE_SHIFT };
}

static struct region *region_of(u64 frame)
{
	struct region *r = regions;

	while (r && frame - r->first >= r->frames)
		r = r->next;
	return r;
}

static void list_add(u8 *meta, u64 frame, unsigned int order)
{
	struct free_block *b = hpa_ptr(frame_hpa(frame));

	b->prev = NULL;
	b->next = free_list[order];
	if (b->next)
		b->next->prev = b;
	free_list[order] = b;
	free_blocks[order]++;
	*meta = META(META_FREE, order);
}

static void list_del(u8 *meta, u64 frame, unsigned int order)
{
	struct free_block *b = hpa_ptr(frame_hpa(frame));

	if (b->prev)
		b->prev->next = b->next;
	else
		free_list[order] = b->next;
	if (b->next)
		b->next->prev = b->prev;
	free_blocks[order]--;
	*meta = META_TAIL;
}

/* Gives the block to the lists, joined with what is free beside it. */
static void block_put(struct region *r, u64 frame, unsigned int order)
{
	free_frames += 1ULL << order;
	while (order < PAGE_ORDER_MAX) {
		u64 buddy = frame ^ (1ULL << order);
		u64 i = buddy - r->first;

		if (i >= r->frames || r->meta[i] != META(META_FREE, order))
			break;
		list_del(&r->meta[i], buddy, order);
		r->meta[frame - r->first] = META_TAIL;
		frame = MIN(frame, buddy);
		order++;
	}
	list_add(&r->meta[frame - r->first], frame, order);
}

/* The largest order of a block that starts at `frame` and has `left` frames
 * at most. */
static unsigned int order_fitting(u64 frame, u64 left)
{
	unsigned int order = 0;

	while (order < PAGE_ORDER_MAX && IS_ALIGNED(frame, 2ULL << order) &&
	       left >= 2ULL << order)
		order++;
	return order;
}

static void frames_put(struct region *r, u64 frame, u64 count)
{
	while (count) {
		unsigned int order = order_fitting(frame, count);

		block_put(r, frame, order);
		frame += 1ULL << order;
		count -= 1ULL << order;
	}
}

void page_add(struct hpa from, struct hpa to)
{
	u64 first = ALIGN_UP(from.v, PAGE_BYTES) >> PAGE_SHIFT;
	u64 end = to.v >> PAGE_SHIFT;
	u64 own;
	struct region *r;

	if (end <= first)
		return;
	own = ALIGN_UP(sizeof(*r) + (end - first), PAGE_BYTES) >> PAGE_SHIFT;
	if (end - first <= own)
		return;
	r = hpa_ptr(frame_hpa(first));
	r->first = first + own;
	r->frames = end - first - own;
	memset(r->meta, META_TAIL, r->frames);

	ck_spinlock_fas_lock(&page_lock);
	r->next = regions;
	regions = r;
	total_frames += r->frames;
	frames_put(r, r->first, r->frames);
	ck_spinlock_fas_unlock(&page_lock);
}

struct hpa block_take(unsigned int order, u8 kind)
{
	unsigned int have = order;
	struct region *r;
	u64 frame;

	while (have <= PAGE_ORDER_MAX && !free_list[have])
		have++;
	if (have > PAGE_ORDER_MAX)
		return HPA_NONE;
	frame = ptr_hpa(free_list[have]).v >> PAGE_SHIFT;
	r = region_of(frame);
	list_del(&r->meta[frame - r->first], frame, have);
	while (have > order) {
		u64 upper;

		have--;
		upper = frame + (1ULL << have);
		list_add(&r->meta[upper - r->first], upper, have);
	}
	free_frames -= 1ULL << order;
	r->meta[frame - r->first] = META(kind, order);
	return frame_hpa(frame);
}

void page_lock_get(void)
{
	ck_spinlock_fas_lock(&page_lock);
}

void page_lock_put(void)
{
	ck_spinlock_fas_unlock(&page_lock);
}

u8 *page_meta(struct hpa pa)
{
	u64 frame = pa.v >> PAGE_SHIFT;
	struct region *r = region_of(frame);

	return r ? &r->meta[frame - r->first] : NULL;
}

void frames_free(struct hpa pa, u64 count)
{
	u64 frame = pa.v >> PAGE_SHIFT;

	frames_put(region_of(frame), frame, count);
}

struct hpa page_alloc(unsigned int order)
{
	struct hpa pa;

	if (mem_must_fail())
		return HPA_NONE;
	ck_spinlock_fas_lock(&page_lock);
	pa = block_take(order, META_USED);
	ck_spinlock_fas_unlock(&page_lock);
	return pa;
}

void page_free(struct hpa pa, unsigned int order)
{
	u8 *meta;

	ck_spinlock_fas_lock(&page_lock);
	meta = page_meta(pa);
	if (!meta || !IS_ALIGNED(pa.v, PAGE_BYTES) ||
	    *meta != META(META_USED, order))
		panic("page_free of 0x%lx, order %u: no such block is in use",
		      pa.v, order);
	frames_free(pa, 1ULL << order);
	ck_spinlock_fas_unlock(&page_lock);
}

u64 page_free_count(void)
{
	return ck_pr_load_64(&free_frames);
}

u64 page_total_count(void)
{
	return ck_pr_load_64(&total_frames);
}

void page_free_blocks(u64 count[PAGE_ORDER_MAX + 1])
{
	ck_spinlock_fas_lock(&page_lock);
	memcpy(count, free_blocks, sizeof(free_blocks));
	ck_spinlock_fas_unlock(&page_lock);
}
