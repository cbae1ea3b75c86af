/*
 * Touching a guest's RAM: faults of the guest, accesses of the host.
 *
 * The problem: zeroing 2 MiB takes a slow hart half a millisecond, five times
 * what a step may take; several CPUs may touch one block at once; and a 2 MiB
 * page shows the guest all of its block at once.
 *
 * So a fault zeroes granules of 64 KiB until its time is up and lets the guest
 * fault again; the core gets to look at mail and timers in between. The last
 * one to make a granule ready, and any fault after that, maps the block as one
 * page; of a block of single frames those around the one that is touched. CPUs
 * that fault on the same block each claim other granules, and share the work;
 * one that finds all claimed but not all ready goes back into the guest and
 * faults again. The host needs only the granules that it touches.
 *
 * Per granule, zeroer: claimed bit (atomic, one winner); zeroes; fence; ready
 * bit. User: ready bit seen; fence; access. Without the first fence another
 * CPU could see its own store overwritten by the zeroes; without the second it
 * could read what was there before them.
 *
 * The host waits in one place: for a granule that another CPU is zeroing at
 * this very moment, as it would for a spinlock held that long. Its accesses
 * return data, so they can't come again later; and two CPUs must touch the
 * same 64 KiB for the first time at once.
 *
 * Reads by the host make frames ready as well: "unread is zero" would save
 * nothing, since who reads RAM that was never written is a rarity.
 */
#include "kernel/gmem_private.h"

#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/time.h"

#include <string.h>

#define GRANULE_PAGES ((u32)(GRANULE_BYTES / PAGE_BYTES))
/* Single frames that are mapped at once, of 235 instructions each. */
#define MAP_PAGES 64u

static void frames_zero(struct hpa first, u64 bytes)
{
	void *p = hpa_ptr(first);

	arch_zero(p, bytes);
	arch_clean(p, bytes);
}

u64 granule_zero(struct gmem_block *b, u32 granule)
{
	u32 page = granule * GRANULE_PAGES;
	u64 bytes = 0;

	if (block_kind(b) != BLOCK_PAGES_TABLE) {
		frames_zero(block_page(b, page), GRANULE_BYTES);
		return GRANULE_BYTES;
	}
	for (u32 end = page + GRANULE_PAGES; page < end; page++) {
		struct hpa pa = block_page(b, page);

		if (hpa_is_none(pa))
			continue;
		frames_zero(pa, PAGE_BYTES);
		bytes += PAGE_BYTES;
	}
	return bytes;
}

/* The one who claims makes it ready; false: someone else has claimed it. */
static bool granule_try(struct gmem *m, struct gmem_block *b, u32 granule)
{
	if (ck_pr_bts_32(&b->claimed, granule))
		return false;
	ck_pr_add_64(&m->touched_bytes, granule_zero(b, granule));
	/* Zeroes before ready; pairs with the fences behind ready. */
	ck_pr_fence_release();
	ck_pr_or_32(&b->ready, 1u << granule);
	return true;
}

static void granule_need(struct gmem *m, struct gmem_block *b, u32 granule)
{
	u32 bit = 1u << granule;

	if (!(ck_pr_load_32(&b->ready) & bit) && !granule_try(m, b, granule))
		while (!(ck_pr_load_32(&b->ready) & bit))
			ck_pr_stall();
	/* Ready before the access; pairs with granule_try. */
	ck_pr_fence_acquire();
}

bool block_zero_some(struct gmem *m, struct gmem_block *b, u64 deadline_ticks)
{
	u32 left;

	while ((left = ~ck_pr_load_32(&b->claimed)) != 0) {
		granule_try(m, b, (u32)__builtin_ctz(left));
		if (time_now_ticks() >= deadline_ticks)
			break;
	}
	if (ck_pr_load_32(&b->ready) != GRANULES_ALL)
		return false;
	/* All zeroes of all CPUs before whatever publishes the block. */
	ck_pr_fence_memory();
	return true;
}

/* Some of a block of single frames, of which only the first or last few may be
 * RAM. */
static int block_map_pages(struct gmem *m, u64 n, u32 from)
{
	u64 first = block_gpa(m, n), some = first + from * PAGE_BYTES;
	u64 at = MAX(some, m->base);
	u64 end = MIN(some + MAP_PAGES * PAGE_BYTES, m->base + m->bytes);

	for (; at < end; at += PAGE_BYTES) {
		u32 page = (u32)((at - first) / PAGE_BYTES);
		int ret = arch_stage2_map(m->guest, (struct gpa){ at },
					  block_page(&m->block[n], page),
					  PAGE_BYTES);

		if (ret)
			return ret;
	}
	return 0;
}

int block_map(struct gmem *m, u64 n, u32 *page)
{
	struct gmem_block *b = &m->block[n];
	u64 at = block_gpa(m, n);
	bool gib;

	if (block_kind(b) == BLOCK_PAGES_TABLE) {
		u32 from = ALIGN_DOWN(*page, MAP_PAGES);

		*page = from + MAP_PAGES;
		return block_map_pages(m, n, from);
	}
	*page = BLOCK_PAGES;
	gib = block_kind(b) == BLOCK_GIB && IS_ALIGNED(at, GIB) &&
	      m->step_zero == m->blocks;
	return arch_stage2_map(m->guest, (struct gpa){ at }, block_page(b, 0),
			       gib ? GIB : BLOCK_BYTES);
}

int gmem_fault(struct gmem *m, struct gpa at)
{
	u64 deadline, n;
	u32 page;

	if (!gmem_has(m, at, 1))
		return -EFAULT;
	n = (at.v - m->first) / BLOCK_BYTES;
	page = (u32)((at.v - m->first) % BLOCK_BYTES / PAGE_BYTES);
	deadline = time_now_ticks() + us_to_ticks(GMEM_STEP_US);
	if (!block_zero_some(m, &m->block[n], deadline))
		return 0;
	return block_map(m, n, &page);
}

/*
 * The piece of RAM at `at`: a host pointer, and how many of `len` bytes follow
 * in one go (to the end of the granule, or of a frame that stands alone).
 * NULL: no RAM.
 */
static void *piece(struct gmem *m, struct gpa at, u64 len, size_t *got)
{
	u64 off = at.v - m->first, unit;
	struct gmem_block *b;

	if (!gmem_has(m, at, 1))
		return NULL;
	b = &m->block[off / BLOCK_BYTES];
	off %= BLOCK_BYTES;
	granule_need(m, b, (u32)(off / GRANULE_BYTES));
	unit = block_kind(b) == BLOCK_PAGES_TABLE ? PAGE_BYTES : GRANULE_BYTES;
	*got = MIN(len, unit - off % unit);
	return (u8 *)hpa_ptr(block_page(b, (u32)(off / PAGE_BYTES))) +
	       off % PAGE_BYTES;
}

void *gmem_ptr(struct gmem *m, struct gpa at, size_t len)
{
	u8 *start = NULL;
	u64 done = 0;

	if (!gmem_has(m, at, len))
		return NULL;
	do {
		size_t got;
		u8 *p = piece(m, (struct gpa){ at.v + done }, len - done,
			      &got);

		if (!start)
			start = p;
		if (p != start + done)
			return NULL;
		done += got;
	} while (done < len);
	return start;
}

int guest_read(struct guest *g, struct gpa at, void *buf, size_t len)
{
	size_t got;

	if (!len)
		return 0;
	if (!gmem_has(g->mem, at, len))
		return -EFAULT;
	for (u8 *to = buf; len; len -= got, to += got, at.v += got) {
		const void *p = piece(g->mem, at, len, &got);

		memcpy(to, p, got);
	}
	return 0;
}

int guest_write(struct guest *g, struct gpa at, const void *buf, size_t len)
{
	size_t got;

	if (!len)
		return 0;
	if (!gmem_has(g->mem, at, len))
		return -EFAULT;
	for (const u8 *from = buf; len; len -= got, from += got, at.v += got) {
		void *p = piece(g->mem, at, len, &got);

		memcpy(p, from, got);
	}
	return 0;
}

int guest_fill(struct guest *g, struct gpa at, u8 byte, u64 len)
{
	size_t got;

	if (!len)
		return 0;
	if (!gmem_has(g->mem, at, len))
		return -EFAULT;
	for (; len; len -= got, at.v += got) {
		void *p = piece(g->mem, at, len, &got);

		memset(p, byte, got);
	}
	return 0;
}
