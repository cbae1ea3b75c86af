/*
 * What is left of a range.
 *
 * The ranges are those of a device tree, which may name any number of them, in
 * any order, overlapping, or twice. None are stored: the next one behind an
 * address is looked for anew each time, so their number has no limit.
 */
#include "arch/riscv/range.h"

/* The last page is nobody's: so an end always has an address. */
#define END ALIGN_DOWN(UINT64_MAX, PAGE_BYTES)

static u64 end_of(u64 base, u64 bytes)
{
	return bytes < END - MIN(base, END) ? base + bytes : END;
}

struct range range_around(u64 base, u64 bytes)
{
	return (struct range){ALIGN_DOWN(base, PAGE_BYTES),
			      ALIGN_UP(end_of(base, bytes), PAGE_BYTES)};
}

struct range range_within(u64 base, u64 bytes)
{
	return (struct range){ALIGN_UP(MIN(base, END), PAGE_BYTES),
			      ALIGN_DOWN(end_of(base, bytes), PAGE_BYTES)};
}

void range_consider(struct range_search *s, struct range r)
{
	if (r.from < r.to && r.to > s->behind && r.from < s->found.from)
		s->found = r;
}

/* The lowest of `ranges` that ends behind `at`; at the end of all addresses: it
 * is none. */
static struct range range_next(u64 at, ranges_fn *ranges, const void *ctx)
{
	struct range_search s = {at, {UINT64_MAX, UINT64_MAX}};

	ranges(ctx, &s);
	return s.found;
}

void range_without(struct range r, ranges_fn *taken, const void *ctx,
		   void (*piece)(u64 base, u64 bytes))
{
	while (r.from < r.to) {
		struct range hole = range_next(r.from, taken, ctx);
		u64 end = MIN(hole.from, r.to);

		if (r.from < end)
			piece(r.from, end - r.from);
		r.from = hole.to;
	}
}

bool range_covered(struct range r, ranges_fn *by, const void *ctx)
{
	while (r.from < r.to) {
		struct range next = range_next(r.from, by, ctx);

		if (next.from > r.from)
			return false;
		r.from = next.to;
	}
	return true;
}
