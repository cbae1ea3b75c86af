/*
 * The device tree that a guest brings along, corrected for its machine.
 *
 * One that is taken comes out sound, with the guest's memory, its harts and its
 * initrd, within its room; corrected again, it stays so. What is taken for
 * sound, libfdt takes for it as well.
 */
/* sources: GUEST_FDT tests/unit/fake_lab.c LIBFDT */
#include "kernel/guest_fdt.h"

#include <libfdt.h>

#include "fake_lab.h"
#include "kernel/guest.h"
#include "kernel/image.h"
#include "tests/fuzz/fuzz.h"

#define HARTS 3u
#define RAM   0x80000000ULL

static struct guest guest;
static struct guest_fdt_args args;

static u32 nodes_of_type(const void *fdt, int parent, const char *type)
{
	u32 count = 0;
	int node;

	fdt_for_each_subnode(node, fdt, parent)
	{
		const char *is =
			fdt_stringlist_get(fdt, node, "device_type", 0, NULL);

		count += is && strcmp(is, type) == 0;
	}
	return count;
}

static void result_check(const void *fdt, size_t room)
{
	int chosen;

	MUST(fdt_totalsize(fdt) <= room);
	MUST(tree_check(fdt, fdt_totalsize(fdt)) == 0);
	MUST(nodes_of_type(fdt, 0, "memory") == 1);
	MUST(nodes_of_type(fdt, fdt_path_offset(fdt, "/cpus"), "cpu") == HARTS);
	chosen = fdt_path_offset(fdt, "/chosen");
	MUST(chosen > 0);
	MUST(fdt_getprop(fdt, chosen, "linux,initrd-start", NULL));
	MUST(fdt_stringlist_get(fdt, chosen, "bootargs", 0, NULL));
}

static void *fixup(const void *dtb, size_t bytes, size_t *room)
{
	struct guest_fdt_job job;
	size_t all_bytes;
	void *out;
	int ret;

	*room = guest_fdt_room(&guest.cfg, args.isa, bytes);
	all_bytes = *room + guest_fdt_left_bytes(bytes);
	out = malloc(all_bytes);
	if (!out)
		abort();
	args.dtb = dtb;
	args.dtb_bytes = bytes;
	guest_fdt_begin(&job, out, all_bytes, &args);
	do {
		ret = guest_fdt_step(&job);
	} while (ret == 1);
	if (ret == 0)
		return out;
	/* What is sound has room. */
	MUST(ret == -EINVAL || tree_check(dtb, bytes));
	free(out);
	return NULL;
}

/* What is taken for sound, libfdt may read. */
static void sound_check(const void *data, size_t bytes)
{
	void *aligned = malloc(bytes + 1);

	if (!aligned)
		abort();
	memcpy(aligned, data, bytes);
	MUST(fdt_check_full(aligned, bytes) == 0);
	free(aligned);
}

/* Corrected again, a tree stays good, and as large. `fdt` is freed. */
static void *again(void *fdt)
{
	size_t room;
	void *next = fixup(fdt, fdt_totalsize(fdt), &room);

	MUST(next);
	result_check(next, room);
	free(fdt);
	return next;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	size_t room, tree_bytes;
	void *fdt;

	args = fake_fdt_args;
	args.guest = &guest;
	guest.cfg.vcpus = HARTS;
	guest.cfg.ram_base.v = RAM;
	guest.cfg.memory_bytes = 6 * GIB;
	guest.cfg.bootargs = "console=ttyS0";
	if (tree_check(data, bytes) == 0)
		sound_check(data, bytes);
	fdt = fixup(data, bytes, &room);
	if (!fdt)
		return 0;
	MUST(tree_check(data, bytes) == 0);
	result_check(fdt, room);
	/* What a memory node had beside what it must have goes the first
	 * time. */
	fdt = again(fdt);
	tree_bytes = fdt_totalsize(fdt);
	fdt = again(fdt);
	MUST(fdt_totalsize(fdt) == tree_bytes);
	free(fdt);
	return 0;
}
