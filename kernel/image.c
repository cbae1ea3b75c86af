/*
 * Getting the images into the guest, a few bytes at a time.
 *
 * Unpacking a Linux kernel takes far longer than anything may take at once
 * here, so loading is a machine of five stages that can stop after any step:
 *
 *   KERNEL  its file, in order, piece by piece, to where each piece belongs
 *   CLEAR   an ELF's memory behind its file bytes, segment by segment
 *   INITRD  copied
 *   FDT     copied
 *   DONE
 *
 * Plain and packed kernels are the same stream of bytes; kernel_put decides
 * where they go, and is the only place that does. It holds a flat image or a
 * Linux kernel to the plan's limit and an ELF to its segments, which the plan
 * has found to be inside RAM and clear of everything else. A packed image may
 * be longer than it claimed: then loading stops with an error before the first
 * byte too many.
 *
 * Nothing here maps or touches the guest's RAM but by guest_write and
 * guest_fill, which check every address again.
 */
#include "kernel/image.h"

#include <string.h>

#include "kernel/guest.h"
#include "kernel/image_private.h"
#include "kernel/mem.h"

enum {
	STAGE_KERNEL,
	STAGE_CLEAR,
	STAGE_INITRD,
	STAGE_FDT,
	STAGE_DONE,
};

#define ULL(x) ((x))

static void stage_next(struct image_load *l)
{
	l->stage++;
	l->at = 0;
	l->segment = 0;
}

static int put(struct image_load *l, u64 at, const void *data, u64 bytes)
{
	int ret = guest_write(l->guest, (struct gpa){ at }, data, bytes);

	if (ret)
		config_error(&l->err, "there is no memory for 0x%lx bytes at "
			     "0x%lx", ULL(bytes), ULL(at));
	return ret;
}

/*
 * The file's bytes [l->at, l->at + bytes) to their segments, which are in the
 * file's order and don't overlap there; l->segment is the first not yet full.
 */
static int elf_put(struct image_load *l, const u8 *data, u64 bytes)
{
	u64 at = l->at, end = l->at + bytes;

	for (; l->segment < l->elf->count; l->segment++) {
		const struct image_segment *s = &l->elf->seg[l->segment];
		u64 lo = MAX(at, s->off);
		u64 hi = MIN(end, s->off + s->file_bytes);
		int ret;

		if (s->file_bytes && s->off >= end)
			return 0;
		if (lo >= hi)
			continue; /* nothing of it is in the file */
		ret = put(l, s->at + (lo - s->off), data + (lo - at), hi - lo);
		if (ret)
			return ret;
		if (s->off + s->file_bytes > end)
			return 0;
	}
	return 0;
}

/* The next bytes of the unpacked kernel, which start at l->at of its file. */
static int kernel_put(struct image_load *l, const u8 *data, u64 bytes)
{
	u64 room = l->plan.kernel_limit.v - l->plan.kernel.v;
	int ret;

	if (l->plan.kind == IMAGE_ELF) {
		ret = elf_put(l, data, bytes);
	} else if (bytes > room || l->at > room - bytes) {
		ret = config_error(&l->err, "kernel: \"%s\" unpacks to more "
				   "than the 0x%lx bytes that there is room "
				   "for", l->files.kernel.name, ULL(room));
	} else {
		ret = put(l, l->plan.kernel.v + l->at, data, bytes);
	}
	if (!ret)
		l->at += bytes;
	return ret;
}

/* A packed ELF may be shorter than its own headers say. */
static int kernel_ended(struct image_load *l)
{
	if (l->at < l->kernel_end)
		return config_error(&l->err, "kernel: \"%s\" ends after 0x%lx "
				    "bytes, before its last segment",
				    l->files.kernel.name, ULL(l->at));
	stage_next(l);
	return 0;
}

static int kernel_step(struct image_load *l, u32 budget)
{
	const u8 *file = l->files.kernel.data;
	const void *data;
	size_t bytes;
	int ret;

	if (!l->gunzip) {
		bytes = MIN(l->kernel_end - l->at, budget);
		return bytes ? kernel_put(l, file + l->at, bytes) :
			       kernel_ended(l);
	}
	ret = image_gunzip_read(l->gunzip, budget, &data, &bytes);
	if (ret)
		config_error(&l->err, "kernel: \"%s\": the gzip data is "
			     "damaged after 0x%lx bytes",
			     l->files.kernel.name, ULL(l->at));
	if (ret)
		return ret;
	return bytes ? kernel_put(l, data, bytes) : kernel_ended(l);
}

/* l->at counts through the tail of segment l->segment. */
static int clear_step(struct image_load *l, u32 budget)
{
	for (; l->elf && l->segment < l->elf->count; l->segment++) {
		const struct image_segment *s = &l->elf->seg[l->segment];
		u64 n = MIN(s->bytes - s->file_bytes - l->at, budget);
		u64 at = s->at + s->file_bytes + l->at;
		int ret;

		if (n == 0) {
			l->at = 0;
			continue;
		}
		ret = guest_fill(l->guest, (struct gpa){ at }, 0, n);
		if (ret)
			config_error(&l->err, "there is no memory for 0x%lx "
				     "bytes at 0x%lx", ULL(n), ULL(at));
		else
			l->at += n;
		return ret;
	}
	stage_next(l);
	return 0;
}

static int copy_step(struct image_load *l, struct gpa to, const u8 *data,
		     u64 bytes, u32 budget)
{
	u64 n = MIN(bytes - l->at, budget);
	int ret;

	if (n == 0) {
		stage_next(l);
		return 0;
	}
	ret = put(l, to.v + l->at, data + l->at, n);
	if (!ret)
		l->at += n;
	return ret;
}

int image_load_step(struct image_load *l, u32 budget_bytes)
{
	u32 budget = MAX(budget_bytes, 1u);
	int ret = 0;

	switch (l->stage) {
	case STAGE_KERNEL:
		ret = kernel_step(l, budget);
		break;
	case STAGE_CLEAR:
		ret = clear_step(l, budget);
		break;
	case STAGE_INITRD:
		ret = copy_step(l, l->plan.initrd, l->files.initrd.data,
				l->plan.initrd_bytes, budget);
		break;
	case STAGE_FDT:
		ret = copy_step(l, l->plan.fdt, l->fdt, l->fdt_bytes, budget);
		break;
	default:
		return 0;
	}
	if (ret)
		return ret;
	return l->stage != STAGE_DONE;
}

/* Bytes of the unpacked file that must be there. */
static u64 kernel_end(const struct image_facts *facts)
{
	u64 end = 0;

	if (facts->kind != IMAGE_ELF)
		return facts->gunzip ? 0 : facts->bytes;
	for (u32 i = 0; i < facts->elf->count; i++)
		end = MAX(end, facts->elf->seg[i].off +
			  facts->elf->seg[i].file_bytes);
	return end;
}

int image_load_init(struct image_load *l, struct guest *g,
		    const struct guest_config *cfg,
		    const struct image_files *files, u64 fdt_bytes,
		    struct lab_error *err)
{
	struct image_facts facts;
	int ret;

	memset(l, 0, sizeof(*l));
	l->guest = g;
	l->files = *files;
	ret = image_facts_read(&files->kernel, &facts, err);
	if (ret)
		return ret;
	ret = image_plan_by(cfg, files, &facts, fdt_bytes, &l->plan, err);
	if (ret) {
		image_facts_fini(&facts);
		return ret;
	}
	l->kernel_end = kernel_end(&facts);
	/* Ours to free now. */
	l->elf = facts.elf;
	l->gunzip = facts.gunzip;
	l->stage = STAGE_DONE;
	return 0;
}

void image_load_begin(struct image_load *l, const void *fdt, size_t fdt_bytes)
{
	l->fdt = fdt;
	l->fdt_bytes = MIN(fdt_bytes, l->plan.fdt_bytes);
	l->stage = STAGE_KERNEL;
	l->at = 0;
	l->segment = 0;
	if (l->gunzip)
		image_gunzip_rewind(l->gunzip);
}

void image_load_fini(struct image_load *l)
{
	image_gunzip_close(l->gunzip);
	obj_free(l->elf);
	l->gunzip = NULL;
	l->elf = NULL;
}
