/*
 * Kernels: Linux's header, ELF, gzip of either, and flat ones. The first byte
 * says how the rest is used: as it is, or packed by gzip first, so that what is
 * inside has a good checksum; and how much RAM there is.
 *
 * Nothing goes outside RAM, a step keeps its budget, the plan's parts don't
 * overlap, the tree is there at the end, and all memory comes back.
 */
/* sources: kernel/image.c kernel/image_plan.c kernel/image_kind.c
 *	kernel/image_gunzip.c kernel/config.c kernel/cpio.c
 *	tests/unit/fake_lab.c ZLIB
 */
#include "kernel/image.h"

#include "kernel/guest.h"
#include "kernel/mem.h"
#include "tests/fuzz/fuzz.h"
#include "fake_lab.h"

#define BASE	  0x80000000ULL
#define RAM_MAX	  (4 * MIB)
#define STEPS_MAX 100000

static u8 *ram; /* of exactly ram_bytes */
static u64 ram_bytes, step_bytes;

static u8 *ram_at(struct gpa at, u64 len)
{
	step_bytes += len;
	MUST(at.v >= BASE && at.v - BASE <= ram_bytes &&
	     len <= ram_bytes - (at.v - BASE));
	return ram + (at.v - BASE);
}

int guest_write(struct guest *g, struct gpa at, const void *buf, size_t len)
{
	memcpy(ram_at(at, len), buf, len);
	return 0;
}

int guest_fill(struct guest *g, struct gpa at, u8 byte, u64 len)
{
	memset(ram_at(at, len), byte, len);
	return 0;
}

static bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a_bytes && b_bytes && a < b + b_bytes && b < a + a_bytes;
}

static void plan_try(const struct image_plan *p, const struct image_files *f)
{
	u64 end = BASE + ram_bytes;

	MUST(p->kernel.v >= BASE && p->kernel.v < end);
	MUST(p->kernel_bytes <= end - p->kernel.v);
	MUST(p->fdt.v >= BASE && p->fdt.v % 8 == 0 && p->fdt.v < end &&
	     p->fdt_bytes <= end - p->fdt.v);
	MUST(p->initrd_bytes == f->initrd.bytes);
	if (p->initrd_bytes)
		MUST(p->initrd.v >= BASE && p->initrd.v < end &&
		     p->initrd_bytes <= end - p->initrd.v);
	MUST(!overlap(p->kernel.v, p->kernel_bytes, p->fdt.v, p->fdt_bytes));
	MUST(!overlap(p->kernel.v, p->kernel_bytes, p->initrd.v,
		      p->initrd_bytes));
	MUST(!overlap(p->fdt.v, p->fdt_bytes, p->initrd.v, p->initrd_bytes));
}

static void load_try(const struct guest_config *cfg,
		     const struct image_files *files,
		     const struct image_plan *plan, u32 budget)
{
	static const u8 tree[100] = "a device tree";
	struct image_load l;
	struct lab_error err;
	u32 steps = 0;
	int ret = image_load_init(&l, NULL, cfg, files, sizeof(tree), &err);

	MUST(ret == 0);
	MUST(!memcmp(&l.plan, plan, sizeof(*plan)));
	image_load_begin(&l, tree, sizeof(tree));
	do {
		step_bytes = 0;
		ret = image_load_step(&l, budget);
		MUST(step_bytes <= budget);
		MUST(steps++ < STEPS_MAX);
	} while (ret > 0);
	MUST(ret == 0 || ret == -EINVAL);
	if (ret)
		MUST(fuzz_is_line(l.err.text, sizeof(l.err.text)));
	else
		MUST(memcmp(ram + (plan->fdt.v - BASE), tree, sizeof(tree)) ==
		     0);
	image_load_fini(&l);
}

static void image_try(const void *kernel, size_t bytes, u32 how)
{
	struct guest_config cfg = {
		.name = "g", .kernel = "k", .ram_base = {BASE}};
	struct image_files files = {
		.kernel = {"k", kernel, bytes, true},
	};
	struct image_plan plan;
	struct lab_error err = {""};

	ram_bytes = how & 1 ? 3 * MIB : RAM_MAX;
	cfg.memory_bytes = ram_bytes;
	if (how & 2)
		files.initrd = (struct cpio_file){"i", "initrd", 6, true};
	cfg.has_load = how & 4;
	cfg.load.v = BASE + (how & 8 ? 2 * MIB : 0);
	cfg.has_entry = how & 16;
	cfg.entry.v = BASE + 2 * MIB;
	if (image_plan(&cfg, &files, 100, &plan, &err)) {
		MUST(fuzz_is_line(err.text, sizeof(err.text)));
	} else {
		/* What is not written costs nothing: it is not touched. */
		ram = malloc(ram_bytes);
		if (!ram)
			abort();
		plan_try(&plan, &files);
		/* A small budget shows each byte, and takes long. */
		load_try(&cfg, &files, &plan, how & 32 ? 61 + 4096 : MIB);
		free(ram);
	}
	MUST(obj_live_bytes() == 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	u32 how = bytes ? data[0] : 0;
	size_t packed_bytes;
	u8 *packed;

	if (!bytes)
		return 0;
	if (how & 64) {
		packed = gzip_store(data + 1, bytes - 1, &packed_bytes);
		image_try(packed, packed_bytes, how);
	} else {
		packed = malloc(bytes - 1);
		if (!packed)
			abort();
		memcpy(packed, data + 1, bytes - 1);
		image_try(packed, bytes - 1, how);
	}
	free(packed);
	return 0;
}
