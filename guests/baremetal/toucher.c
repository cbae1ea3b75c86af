/*
 * Touches all of its memory.
 *
 * Three passes over every page of RAM that holds neither this image nor the
 * device tree, the initrd or the firmware: each word must be zero at first, is
 * filled with a pattern of its address, and is read back by another hart than
 * the one that wrote it. Harts take pages in turn. Under Rouse a byte that
 * isn't zero is a leak from whoever had the frame before; firmware leaves
 * such bytes behind, so elsewhere they are only counted. `passes=` repeats the
 * last two.
 */
#include "guests/baremetal/runtime/runtime.h"

enum pass {
	EXPECT_ZERO,
	FILL,
	VERIFY
};

static struct barrier barrier;
static u64 touched, not_zero, wrong;
static u64 seed;

static u64 pattern(u64 addr)
{
	return (addr ^ seed) * 0x9e3779b97f4a7c15;
}

static bool is_reserved(u64 page)
{
	for (u32 i = 0; i < machine.reserved_count; i++)
		if (page - machine.reserved[i].base < machine.reserved[i].bytes)
			return true;
	return false;
}

static bool touch_page(u64 page, enum pass pass)
{
	volatile u64 *w = (volatile u64 *)page;
	u64 bad = 0;

	for (u32 i = 0; i < PAGE_BYTES / 8; i++) {
		if (pass == FILL)
			w[i] = pattern((u64)&w[i]);
		else
			bad |= w[i] ^
			       (pass == VERIFY ? pattern((u64)&w[i]) : 0);
	}
	return bad == 0;
}

static void touch_all(u32 me, enum pass pass)
{
	u64 pages = 0, bad = 0, n = 0;

	for (u32 i = 0; i < machine.ram_count; i++) {
		u64 end = machine.ram[i].base + machine.ram[i].bytes;

		for (u64 p = machine.ram[i].base; p < end; p += PAGE_BYTES) {
			if (n++ % machine.hart_count != me || is_reserved(p))
				continue;
			pages++;
			if (touch_page(p, pass))
				continue;
			if (!bad++ && (pass == VERIFY || machine.rouse))
				print("toucher: page 0x%lx is not as "
				      "expected\n",
				      p);
		}
	}
	if (pass == EXPECT_ZERO)
		__atomic_fetch_add(&touched, pages, __ATOMIC_RELAXED);
	__atomic_fetch_add(pass == EXPECT_ZERO ? &not_zero : &wrong, bad,
			   __ATOMIC_RELAXED);
}

static void run(struct hart *h, void *arg)
{
	u64 passes = arg_u64("passes", 1), start = time_now();
	u32 n = machine.hart_count;

	(void)arg;
	touch_all(h->index, EXPECT_ZERO);
	barrier_wait(&barrier, n);
	if (!h->index)
		print("toucher: %ld pages first touched in %ld us, %ld were "
		      "not zero\n",
		      touched, ticks_to_ns(time_now() - start) / 1000,
		      not_zero);
	for (u64 i = 0; i < passes; i++) {
		start = time_now();
		touch_all(h->index, FILL);
		barrier_wait(&barrier, n);
		touch_all((h->index + 1) % n, VERIFY);
		barrier_wait(&barrier, n);
		if (!h->index) {
			print("toucher: filled and read back in %ld us, %ld "
			      "wrong\n",
			      ticks_to_ns(time_now() - start) / 1000, wrong);
			seed += 0x123456789;
		}
		barrier_wait(&barrier, n);
	}
}

int main(void)
{
	bool failed;

	seed = arg_u64("seed", 1);
	print("toucher: %u harts\n", machine.hart_count);
	if (harts_run(machine.hart_count, run, NULL))
		die("a hart did not start");
	failed = wrong || !touched || (machine.rouse && not_zero);
	print("toucher: %s\n", failed ? "FAIL" : "ok");
	return failed;
}
