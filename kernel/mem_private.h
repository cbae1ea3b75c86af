/*
 * What the page allocator (mem.c) and the object allocator (obj.c) share, and
 * nobody else.
 */
#ifndef ROUSE_KERNEL_MEM_PRIVATE_H
#define ROUSE_KERNEL_MEM_PRIVATE_H

#include <ck_pr.h>
#include <ck_spinlock.h>

#include "kernel/mem.h"

/* A frame's byte: what it is the head of, and of which order. */
#define META(kind, order) ((u8)((kind) << 5 | (order)))
#define META_KIND(m) ((m) >> 5)
#define META_ORDER(m) ((m) & 31u)

enum {
	META_TAIL,       /* no head; order is 0 */
	META_FREE,
	META_USED,       /* page_alloc's */
	META_SLAB,       /* every frame of a slab, with the slab's order */
	META_LARGE,      /* first frame of a large object (obj.c) */
	META_LARGE_TAIL, /* its other frames */
};

/* All of these under the page lock. */
void page_lock_get(void);
void page_lock_put(void);

/* A block, its head marked as `kind`; HPA_NONE. */
struct hpa block_take(unsigned int order, u8 kind);

/* The frame's byte, or NULL if it is nobody's RAM. */
u8 *page_meta(struct hpa pa);

/* Frames back to the lists, whatever blocks they came from. */
void frames_free(struct hpa pa, u64 count);

/* Is this allocation the one that was asked to fail (mem_fail_after)? */
extern u64 mem_fail_in;
bool mem_fail_now(void);

static inline bool mem_must_fail(void)
{
	return unlikely(ck_pr_load_64(&mem_fail_in)) && mem_fail_now();
}

#if __STDC_HOSTED__
void obj_reset(void);
#endif

#endif
