/*
 * Host memory: frames and objects.
 *
 * All functions: any CPU, interrupts off (as they always are in the
 * hypervisor), may take a spinlock for a bounded time; none of them waits for
 * memory. Sizes are unlimited but by memory itself.
 */
#ifndef ROUSE_KERNEL_MEM_H
#define ROUSE_KERNEL_MEM_H

#include "kernel/base.h"

/* Largest block the page allocator hands out: 4 KiB << 18 = 1 GiB. */
#define PAGE_ORDER_MAX 18

/* No such frame. */
#define HPA_NONE ((struct hpa){ UINT64_MAX })

/* Host pointers for host physical RAM (the direct map), and back. The
 * architecture's; host programs supply their own. */
void *hpa_ptr(struct hpa pa);
struct hpa ptr_hpa(const void *ptr);

static inline bool hpa_is_none(struct hpa pa)
{
	return pa.v == UINT64_MAX;
}

/*
 * Gives the RAM in [from, to) to the allocator; it must be in the direct map
 * and used by nobody. Partial frames at either end are left out, and one byte
 * for each frame is taken from the range itself, so a range of less than two
 * frames is worth nothing. Ranges may come in any number and order, at any
 * time, but must not overlap. Blocks never span two ranges.
 */
void page_add(struct hpa from, struct hpa to);

/*
 * Takes 2^order frames, naturally aligned, contents undefined.
 * Returns HPA_NONE if there are none, or if order > PAGE_ORDER_MAX.
 */
struct hpa page_alloc(unsigned int order) __must_check;

/* `pa` and `order` as page_alloc had them; anything else panics. */
void page_free(struct hpa pa, unsigned int order);

/* Frames free now, and frames there were at boot (those for metadata not
 * counted). */
u64 page_free_count(void);
u64 page_total_count(void);

/* Free blocks of each order, for `mem`; a snapshot. */
void page_free_blocks(u64 count[PAGE_ORDER_MAX + 1]);

/*
 * An object of `bytes` bytes, zeroed, aligned to 16 (64 from 64 bytes on, a
 * page from 4 KiB on). Zeroing is the caller's time. One object has 1 GiB at
 * most. Returns NULL if there is no memory. `obj_free(NULL)` does nothing.
 */
void *obj_alloc(size_t bytes) __must_check;

/* The same with undefined contents, for what would take too long to zero: who
 * takes it lets nobody see what he hasn't written. */
void *obj_alloc_raw(size_t bytes) __must_check;
void obj_free(void *obj);

/* Bytes in live objects as they were asked for, rounded up to their size
 * class or to frames: for `mem` and for leak tests. */
u64 obj_live_bytes(void);

/* Bytes in the frames that objects are in: what is neither free nor these, was
 * taken frame by frame. */
u64 obj_held_bytes(void);

/*
 * For tests of what happens without memory, also in a real machine (`fail=` on
 * the command line, `fault alloc` at the console): the n-th allocation from now
 * on (1 is the next), of frames or of an object, on any CPU, finds none, once;
 * 0: none fails. mem_fail_left: how many there are until then; 0: none waits.
 * Off, it is a load and a branch in an allocation.
 */
void mem_fail_after(u64 n);
u64 mem_fail_left(void);

#if __STDC_HOSTED__ /* host programs: tests */
/* Forgets all memory, so that a test begins with none. */
void mem_reset(void);
#endif

#endif
