/*
 * A guest's device tree: the making of it, whoever wrote it.
 *
 * A tree takes a hundred thousand instructions and more, and whose guest starts
 * must not hold up the guests beside it for that long: it is made in pieces, of
 * which guest_fdt_write.c and guest_fdt_fixup.c have a list each.
 */
#include "kernel/guest_fdt.h"

#include <libfdt.h>
#include <string.h>

#include "kernel/config.h"
#include "kernel/guest_fdt_private.h"
#include "kernel/mem.h"

/* Root, chosen, memory, soc; a dozen devices. */
#define ROOM_BASE (16 * KIB)
/* One vCPU's node without its ISA strings, its interrupts, its names. */
#define ROOM_VCPU 400
#define ROOM_VCPU_UNKNOWN (4 * KIB)

u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes)
{
	u64 vcpu = ROOM_VCPU_UNKNOWN, bytes = ROOM_BASE + dtb_bytes;

	if (isa)
		vcpu = ROOM_VCPU + strlen(isa->isa) + guest_fdt_isa_bytes(isa);
	if (cfg->bootargs)
		bytes += strlen(cfg->bootargs);
	return ALIGN_UP(bytes + vcpu * cfg->vcpus, PAGE_BYTES);
}

/*
 * libfdt wants a tree aligned; in the archive it may not be. Not copied to
 * `buf`: opening a tree in place would build a block that is out of order
 * behind the old tree, at an address as odd as that one's size.
 */
static int align(struct guest_fdt_job *job)
{
	if (IS_ALIGNED((uintptr_t)job->args.dtb, 8))
		return 0;
	job->copy = obj_alloc(job->args.dtb_bytes);
	if (!job->copy)
		return -ENOMEM;
	memcpy(job->copy, job->args.dtb, job->args.dtb_bytes);
	job->args.dtb = job->copy;
	return 0;
}

int guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		    const struct guest_fdt_args *args)
{
	*job = (struct guest_fdt_job){
		.args = *args, .buf = buf, .bytes = bytes};
	job->pieces = args->dtb ? guest_fdt_fixing : guest_fdt_writing;
	return args->dtb ? align(job) : 0;
}

int guest_fdt_step(struct guest_fdt_job *job)
{
	int e = (*job->pieces)(job);

	/* libfdt's errors are not ours. */
	if (e < 0)
		return e == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
	if (e == 0)
		job->pieces++;
	return *job->pieces != NULL;
}

void guest_fdt_end(struct guest_fdt_job *job)
{
	obj_free(job->copy);
	job->copy = NULL;
}

void *guest_fdt_seed(void *fdt, size_t bytes)
{
	int node = fdt_subnode_offset(fdt, 0, "chosen"), len;
	void *seed = fdt_getprop_w(fdt, node, "rng-seed", &len);

	return seed && (size_t)len == bytes ? seed : NULL;
}

/*
 * libfdt reads the structure and the reservations in place as words, and takes
 * for granted that the header's offsets are aligned as the Devicetree
 * Specification (5.6) wants them.
 */
static bool offsets_aligned(const void *dtb, size_t dtb_bytes)
{
	return dtb_bytes >= sizeof(struct fdt_header) &&
	       IS_ALIGNED(fdt_off_dt_struct(dtb), 4u) &&
	       IS_ALIGNED(fdt_off_mem_rsvmap(dtb), 8u);
}

int guest_fdt_check(const void *dtb, size_t dtb_bytes)
{
	void *copy;
	int e;

	if (IS_ALIGNED((uintptr_t)dtb, 8))
		return !offsets_aligned(dtb, dtb_bytes) ||
				       fdt_check_full(dtb, dtb_bytes)
			       ? -EINVAL
			       : 0;
	copy = obj_alloc(dtb_bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, dtb, dtb_bytes);
	e = guest_fdt_check(copy, dtb_bytes);
	obj_free(copy);
	return e;
}
