/*
 * Objects: small ones in slabs, large ones in frames of their own.
 *
 * A slab is a block of 1 to 8 frames, aligned to its size, that begins with a
 * header of 64 bytes and is filled with objects of one size class. A slab that
 * has a free object hangs on its class's list; one that has none hangs nowhere,
 * one that is empty goes back to the page allocator at once: whoever has freed
 * all that it took finds the free frames exactly as before. Slots that were
 * never used are not on the free list but behind `fresh`, so that a new slab
 * costs no loop.
 *
 * An object of more than 2 KiB gets whole frames: a block large enough, of
 * which the frames behind its end go back at once. Its first frame is marked
 * LARGE, the others LARGE_TAIL, and its size is in the same bytes.
 *
 * Invariants: used + free slots = slots behind the header; a slab is on its
 * class's list exactly if it has a free slot; live_bytes counts class sizes
 * and whole frames, held_frames the frames of all slabs and large objects.
 * Slots of classes from 64 bytes on are multiples of 64.
 *
 * Rejected: powers of two only (a header makes half a frame unusable for the
 * larger ones, and most structures are odd sizes); sizes in front of objects
 * (they break the alignment that structures shared between CPUs need).
 */
#include <string.h>

#include "kernel/arch.h"
#include "kernel/mem.h"
#include "kernel/mem_private.h"
#include "kernel/panic.h"

#define SLAB_HEADER 64
#define SMALL_MAX 2048
#define LARGE_MAX (PAGE_BYTES << PAGE_ORDER_MAX)

/* A large object's frame count is in its first frame's byte, or, from this
 * many on, in the bytes of the frames behind it, 5 bits each. */
#define LARGE_COUNTED 5
#define LARGE_DIGITS 4

struct slab {
	struct slab *next, *prev;
	void *free;   /* each free slot's first word is the next one */
	u32 fresh;    /* slots from here on were never used */
	u32 slots;
	u32 used;
	u32 class;
};

_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "slab header");

static const struct {
	u16 bytes;
	u8 order;
} classes[] = {
	{ 16, 0 },   { 32, 0 },   { 48, 0 },   { 64, 0 },   { 128, 0 },
	{ 192, 0 },  { 256, 0 },  { 320, 0 },  { 384, 0 },  { 512, 0 },
	{ 640, 1 },  { 768, 1 },  { 1024, 2 }, { 1344, 0 }, { 1536, 2 },
	{ 2048, 3 },
};

static ck_spinlock_fas_t obj_lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct slab *partial[ARRAY_LEN(classes)];
static u64 live_bytes, held_frames; /* any CPU, atomic */

#if __STDC_HOSTED__
void obj_reset(void)
{
	ck_spinlock_fas_init(&obj_lock);
	memset(partial, 0, sizeof(partial));
	live_bytes = held_frames = 0;
}
#endif

static void slab_link(struct slab *s)
{
	s->prev = NULL;
	s->next = partial[s->class];
	if (s->next)
		s->next->prev = s;
	partial[s->class] = s;
}

static void slab_unlink(struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		partial[s->class] = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static void *slab_slot(struct slab *s, u32 n)
{
	return (char *)s + SLAB_HEADER + (size_t)n * classes[s->class].bytes;
}

static struct slab *slab_new(u32 class)
{
	unsigned int order = classes[class].order;
	struct hpa pa;
	struct slab *s;

	page_lock_get();
	pa = block_take(order, META_SLAB);
	if (!hpa_is_none(pa))
		memset(page_meta(pa), META(META_SLAB, order), 1u << order);
	page_lock_put();
	if (hpa_is_none(pa))
		return NULL;
	ck_pr_add_64(&held_frames, 1ULL << order);
	s = hpa_ptr(pa);
	memset(s, 0, sizeof(*s));
	s->class = class;
	s->slots = (u32)(((PAGE_BYTES << order) - SLAB_HEADER) /
			 classes[class].bytes);
	slab_link(s);
	return s;
}

static void *slab_take(u32 class)
{
	struct slab *s;
	void *obj;

	ck_spinlock_fas_lock(&obj_lock);
	s = partial[class];
	if (!s)
		s = slab_new(class);
	if (!s) {
		ck_spinlock_fas_unlock(&obj_lock);
		return NULL;
	}
	obj = s->free;
	if (obj)
		s->free = *(void **)obj;
	else
		obj = slab_slot(s, s->fresh++);
	if (++s->used == s->slots)
		slab_unlink(s);
	ck_spinlock_fas_unlock(&obj_lock);
	ck_pr_add_64(&live_bytes, classes[class].bytes);
	return obj;
}

static void slab_put(void *obj, unsigned int order)
{
	u64 pa = ptr_hpa(obj).v;
	struct slab *s = hpa_ptr((struct hpa){
		ALIGN_DOWN(pa, PAGE_BYTES << order) });
	u64 at = pa - ptr_hpa(s).v - SLAB_HEADER;
	u32 bytes = classes[s->class].bytes;

	ck_spinlock_fas_lock(&obj_lock);
	if (at % bytes || at / bytes >= s->fresh || !s->used || obj == s->free)
		panic("obj_free of %p: no such object", obj);
	ck_pr_sub_64(&live_bytes, bytes);
	if (s->used-- == s->slots)
		slab_link(s);
	if (s->used) {
		*(void **)obj = s->free;
		s->free = obj;
	} else {
		slab_unlink(s);
		page_lock_get();
		memset(page_meta(ptr_hpa(s)), META_TAIL, 1u << order);
		frames_free(ptr_hpa(s), 1u << order);
		page_lock_put();
		ck_pr_sub_64(&held_frames, 1ULL << order);
	}
	ck_spinlock_fas_unlock(&obj_lock);
}

/* Marks `frames` frames at `meta` as one large object; see large_frames. */
static void large_mark(u8 *meta, u64 frames)
{
	memset(meta, META(META_LARGE_TAIL, 0), frames);
	meta[0] = META(META_LARGE, frames < LARGE_COUNTED ? frames : 0);
	for (u32 i = 0; frames >= LARGE_COUNTED && i < LARGE_DIGITS; i++)
		meta[1 + i] = META(META_LARGE_TAIL, frames >> (5 * i) & 31);
}

static u64 large_frames(const u8 *meta)
{
	u64 frames = META_ORDER(meta[0]);

	for (u32 i = 0; META_ORDER(meta[0]) == 0 && i < LARGE_DIGITS; i++)
		frames |= (u64)META_ORDER(meta[1 + i]) << (5 * i);
	return frames;
}

static void *large_take(size_t bytes)
{
	u64 frames = ALIGN_UP((u64)bytes, PAGE_BYTES) >> PAGE_SHIFT;
	unsigned int order = 0;
	struct hpa pa;

	while (1ULL << order < frames)
		order++;
	page_lock_get();
	pa = block_take(order, META_LARGE);
	if (!hpa_is_none(pa)) {
		large_mark(page_meta(pa), frames);
		frames_free((struct hpa){ pa.v + (frames << PAGE_SHIFT) },
			    (1ULL << order) - frames);
	}
	page_lock_put();
	if (hpa_is_none(pa))
		return NULL;
	ck_pr_add_64(&held_frames, frames);
	ck_pr_add_64(&live_bytes, frames << PAGE_SHIFT);
	return hpa_ptr(pa);
}

static void large_put(struct hpa pa)
{
	u64 frames;
	u8 *meta;

	page_lock_get();
	meta = page_meta(pa);
	frames = large_frames(meta);
	memset(meta, META_TAIL, frames);
	frames_free(pa, frames);
	page_lock_put();
	ck_pr_sub_64(&held_frames, frames);
	ck_pr_sub_64(&live_bytes, frames << PAGE_SHIFT);
}

void *obj_alloc_raw(size_t bytes)
{
	if (mem_must_fail() || bytes > LARGE_MAX)
		return NULL;
	for (u32 i = 0; bytes <= SMALL_MAX && i < ARRAY_LEN(classes); i++) {
		void *obj;

		if (bytes > classes[i].bytes)
			continue;
		obj = slab_take(i);
		/* No block of the slab's size left, but perhaps a frame. */
		if (!obj && classes[i].order)
			obj = large_take(bytes);
		return obj;
	}
	return large_take(bytes);
}

void *obj_alloc(size_t bytes)
{
	void *obj = obj_alloc_raw(bytes);

	if (obj && bytes > SMALL_MAX)
		arch_zero(obj, ALIGN_UP(bytes, PAGE_BYTES)); /* its frames */
	else if (obj)
		memset(obj, 0, bytes);
	return obj;
}

void obj_free(void *obj)
{
	struct hpa pa;
	u8 *meta, m;

	if (!obj)
		return;
	pa = ptr_hpa(obj);
	page_lock_get();
	meta = page_meta(pa);
	m = meta ? *meta : META_TAIL;
	page_lock_put();
	if (META_KIND(m) == META_SLAB)
		slab_put(obj, META_ORDER(m));
	else if (META_KIND(m) == META_LARGE && IS_ALIGNED(pa.v, PAGE_BYTES))
		large_put(pa);
	else
		panic("obj_free of %p: no such object", obj);
}

u64 obj_live_bytes(void)
{
	return ck_pr_load_64(&live_bytes);
}

u64 obj_held_bytes(void)
{
	return ck_pr_load_64(&held_frames) << PAGE_SHIFT;
}
