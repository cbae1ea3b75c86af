/*
 * Where a guest's images go.
 *
 * The kernel's place is its own: a Linux Image says it in its header, an ELF in
 * its segments, a flat binary goes to `load` or where QEMU's `virt` puts what
 * S-mode firmware starts. The device tree and the initrd then go as high as
 * they can within the first GiB of RAM (what small boot code can map at once),
 * tree above initrd. "As high as they can" is first fit downwards from the top
 * and from below whatever is in the way: at most three things are placed, so
 * the candidates are few and all of them are tried.
 *
 * Sizes of packed images are known for certain only when they are unpacked.
 * The plan goes by what gzip claims, and keeps the limit that the loader must
 * hold it to.
 */
#include "kernel/image.h"

#include <string.h>

#include "kernel/image_private.h"

/* Linux and its tree want to start at a page of the second level. */
#define BIG_ALIGN (2 * MIB)
/* Where flat images start on QEMU's `virt`: M-mode has the first 2 MiB. */
#define FLAT_OFFSET (2 * MIB)
#define HIGH_LIMIT GIB

struct range {
	u64 lo, hi; /* hi: first byte behind; empty: equal */
};

static bool range_has(const struct range *r, u64 at, u64 bytes)
{
	return at >= r->lo && at <= r->hi && bytes <= r->hi - at;
}

#define ULL(x) ((x))

/*
 * The highest aligned place for `bytes` in `r` that touches none of `taken`.
 * 0 and *at, or -ENOSPC.
 */
static int place_high(const struct range *r, const struct range *taken,
		      u32 count, u64 bytes, u64 align, u64 *at)
{
	int ret = -ENOSPC;

	/* Candidates end at the top, or at the start of something taken. */
	for (u32 i = 0; i <= count; i++) {
		u64 end = i < count ? MIN(taken[i].lo, r->hi) : r->hi;
		u64 lo;
		bool ok = true;

		if (end < r->lo || bytes > end - r->lo)
			continue;
		lo = ALIGN_DOWN(end - bytes, align);
		if (lo < r->lo || (ret == 0 && lo <= *at))
			continue;
		for (u32 j = 0; j < count; j++)
			ok = ok && (lo >= taken[j].hi ||
				    lo + bytes <= taken[j].lo);
		if (ok) {
			*at = lo;
			ret = 0;
		}
	}
	return ret;
}

int image_files_find(const struct cpio *c, const struct guest_config *cfg,
		     struct image_files *out, struct lab_error *err)
{
	const struct {
		const char *prop, *name;
		struct cpio_file *file;
	} want[] = {
		{ "kernel", cfg->kernel, &out->kernel },
		{ "initrd", cfg->initrd, &out->initrd },
		{ "dtb", cfg->dtb, &out->dtb },
	};

	memset(out, 0, sizeof(*out));
	for (u32 i = 0; i < ARRAY_LEN(want); i++)
		if (want[i].name && cpio_find(c, want[i].name, want[i].file))
			return config_error(err, "%s: the lab's archive has no "
					    "file \"%s\"", want[i].prop,
					    want[i].name);
	if (!cfg->kernel)
		return config_error(err, "kernel: is missing");
	return 0;
}

static int flat_place(const struct guest_config *cfg, const struct range *ram,
		      const struct image_facts *facts, struct range *kernel,
		      u64 *entry, struct lab_error *err)
{
	kernel->lo = cfg->has_load ? cfg->load.v : ram->lo + FLAT_OFFSET;
	if (!range_has(ram, kernel->lo, 1))
		return config_error(err, "%s: a flat image goes to 0x%lx, "
				    "outside RAM, 0x%lx to 0x%lx",
				    cfg->has_load ? "load" : "memory",
				    ULL(kernel->lo), ULL(ram->lo),
				    ULL(ram->hi - 1));
	if (facts->bytes > ram->hi - kernel->lo)
		return config_error(err, "memory: the kernel's 0x%lx bytes at "
				    "0x%lx end outside RAM, 0x%lx to 0x%lx",
				    ULL(facts->bytes), ULL(kernel->lo),
				    ULL(ram->lo), ULL(ram->hi - 1));
	kernel->hi = kernel->lo + facts->bytes;
	*entry = cfg->has_entry ? cfg->entry.v : kernel->lo;
	if (!range_has(ram, *entry, 2))
		return config_error(err, "entry: 0x%lx is outside RAM, 0x%lx "
				    "to 0x%lx", ULL(*entry), ULL(ram->lo),
				    ULL(ram->hi - 1));
	return 0;
}

static int linux_place(const struct range *ram, const struct image_facts *facts,
		       struct range *kernel, u64 *entry, struct lab_error *err)
{
	u64 base = ALIGN_UP(ram->lo, BIG_ALIGN);
	u64 bytes = MAX(facts->bytes, facts->image_bytes);

	if (!IS_ALIGNED(facts->text_offset, BIG_ALIGN))
		return config_error(err, "kernel: the Linux image wants to be "
				    "0x%lx bytes into RAM, which is no "
				    "multiple of 2 MiB",
				    ULL(facts->text_offset));
	if (base >= ram->hi || facts->text_offset > ram->hi - base ||
	    bytes > ram->hi - base - facts->text_offset)
		return config_error(err, "memory: the Linux kernel needs "
				    "0x%lx bytes behind the first 0x%lx, and "
				    "RAM has 0x%lx", ULL(bytes),
				    ULL(facts->text_offset),
				    ULL(ram->hi - ram->lo));
	kernel->lo = base + facts->text_offset;
	kernel->hi = kernel->lo + bytes;
	*entry = kernel->lo;
	return 0;
}

static int elf_place(const struct range *ram, const struct image_facts *facts,
		     struct range *kernel, u64 *entry, struct lab_error *err)
{
	const struct image_elf *elf = facts->elf;

	kernel->lo = UINT64_MAX;
	kernel->hi = 0;
	for (u32 i = 0; i < elf->count; i++) {
		const struct image_segment *s = &elf->seg[i];

		if (!range_has(ram, s->at, s->bytes))
			return config_error(err, "memory: the ELF's segment at "
					    "0x%lx, 0x%lx bytes, is outside "
					    "RAM, 0x%lx to 0x%lx", ULL(s->at),
					    ULL(s->bytes), ULL(ram->lo),
					    ULL(ram->hi - 1));
		kernel->lo = MIN(kernel->lo, s->at);
		kernel->hi = MAX(kernel->hi, s->at + s->bytes);
	}
	*entry = elf->entry;
	return 0;
}

static int kernel_place(const struct guest_config *cfg, const struct range *ram,
			const struct image_facts *facts, struct range *kernel,
			u64 *entry, struct lab_error *err)
{
	if (facts->kind == IMAGE_FLAT)
		return flat_place(cfg, ram, facts, kernel, entry, err);
	if (cfg->has_load || cfg->has_entry)
		return config_error(err, "%s: only a flat image has one, and "
				    "\"%s\" is %s", cfg->has_load ? "load" :
				    "entry", cfg->kernel,
				    facts->kind == IMAGE_ELF ? "an ELF file" :
				    "a Linux kernel");
	if (facts->kind == IMAGE_LINUX)
		return linux_place(ram, facts, kernel, entry, err);
	return elf_place(ram, facts, kernel, entry, err);
}

/* The initrd below the tree, or wherever it fits. */
static int initrd_place(const struct range *high, const struct range taken[2],
			u64 bytes, u64 *at)
{
	struct range below = { high->lo, taken[1].lo };

	if (!place_high(&below, taken, 1, bytes, PAGE_BYTES, at))
		return 0;
	return place_high(high, taken, 2, bytes, PAGE_BYTES, at);
}

/* The tree and the initrd, around the kernel. */
static int rest_place(const struct range *ram, const struct range *kernel,
		      u64 initrd_bytes, u64 fdt_bytes, struct image_plan *out,
		      struct lab_error *err)
{
	struct range high = { ram->lo, MIN(ram->hi, ram->lo + HIGH_LIMIT) };
	struct range taken[2] = { *kernel };

	if (place_high(&high, taken, 1, fdt_bytes, BIG_ALIGN, &out->fdt.v) &&
	    place_high(&high, taken, 1, fdt_bytes, PAGE_BYTES, &out->fdt.v))
		return config_error(err, "memory: 0x%lx bytes leave no room "
				    "for the device tree, 0x%lx bytes, beside "
				    "the kernel", ULL(ram->hi - ram->lo),
				    ULL(fdt_bytes));
	taken[1] = (struct range){ out->fdt.v, out->fdt.v + fdt_bytes };
	if (initrd_bytes &&
	    initrd_place(&high, taken, initrd_bytes, &out->initrd.v))
		return config_error(err, "memory: 0x%lx bytes leave no room "
				    "for the initrd, 0x%lx bytes, beside the "
				    "kernel, 0x%lx, in the first GiB",
				    ULL(ram->hi - ram->lo), ULL(initrd_bytes),
				    ULL(kernel->hi - kernel->lo));
	out->fdt_bytes = fdt_bytes;
	out->initrd_bytes = initrd_bytes;
	return 0;
}

int image_plan_by(const struct guest_config *cfg,
		  const struct image_files *files,
		  const struct image_facts *facts, u64 fdt_bytes,
		  struct image_plan *out, struct lab_error *err)
{
	struct range ram = { cfg->ram_base.v,
			     cfg->ram_base.v + cfg->memory_bytes };
	struct range kernel;
	u64 entry = 0;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = kernel_place(cfg, &ram, facts, &kernel, &entry, err);
	if (ret)
		return ret;
	ret = rest_place(&ram, &kernel, files->initrd.bytes,
			 ALIGN_UP(fdt_bytes, PAGE_BYTES), out, err);
	if (ret)
		return ret;

	out->kind = facts->kind;
	out->gzip = facts->gunzip != NULL;
	out->kernel.v = kernel.lo;
	out->kernel_bytes = kernel.hi - kernel.lo;
	out->entry.v = entry;
	out->kernel_limit.v = ram.hi;
	if (out->fdt.v >= kernel.hi)
		out->kernel_limit.v = out->fdt.v;
	if (out->initrd_bytes && out->initrd.v >= kernel.hi)
		out->kernel_limit.v = MIN(out->kernel_limit.v, out->initrd.v);
	return 0;
}

int image_plan(const struct guest_config *cfg, const struct image_files *files,
	       u64 fdt_bytes, struct image_plan *out, struct lab_error *err)
{
	struct image_facts facts;
	int ret = image_facts_read(&files->kernel, &facts, err);

	if (ret)
		return ret;
	ret = image_plan_by(cfg, files, &facts, fdt_bytes, out, err);
	image_facts_fini(&facts);
	return ret;
}
