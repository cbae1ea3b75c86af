/*
 * A guest's device tree: the making of it, whoever wrote it.
 *
 * A tree takes a hundred thousand instructions and more, and whose guest starts
 * must not hold up the guests beside it for that long: it is made in pieces, of
 * which guest_fdt_write.c and guest_fdt_merge.c have a list each.
 */
#include "kernel/guest_fdt.h"

#include <stdio.h>
#include <string.h>

#include "kernel/guest.h"
#include "kernel/guest_fdt_private.h"

/* Root, chosen, memory, soc; a dozen devices; names. */
#define ROOM_BASE (16 * KIB)
/* One vCPU's node without its ISA strings, its interrupts. */
#define ROOM_VCPU 400
#define ROOM_VCPU_UNKNOWN (4 * KIB)

u64 guest_fdt_room(const struct guest_config *cfg,
		   const struct guest_fdt_isa *isa, size_t dtb_bytes)
{
	u64 vcpu = ROOM_VCPU_UNKNOWN;
	u64 bytes = ROOM_BASE + dtb_bytes;

	if (isa)
		vcpu = ROOM_VCPU + strlen(isa->isa) + guest_fdt_isa_bytes(isa);
	if (cfg->bootargs)
		bytes += strlen(cfg->bootargs);
	return ALIGN_UP(bytes + vcpu * cfg->vcpus, PAGE_BYTES);
}

void guest_fdt_begin(struct guest_fdt_job *job, void *buf, size_t bytes,
		     const struct guest_fdt_args *args)
{
	*job = (struct guest_fdt_job){.args = *args};
	job->tree.buf = buf;
	job->tree.end = (u32)MIN(bytes, (size_t)INT_MAX);
	snprintf(job->memory_name, sizeof(job->memory_name), "memory@%lx",
		 args->guest->cfg.ram_base.v);
	job->pieces = args->dtb ? guest_fdt_merging : guest_fdt_writing;
}

int guest_fdt_step(struct guest_fdt_job *job)
{
	int ret = (*job->pieces)(job);

	if (ret >= 0 && job->tree.full)
		return -ENOSPC;
	if (ret == 0)
		job->pieces++;
	return ret < 0 ? ret : *job->pieces != NULL;
}

int guest_fdt_end_piece(struct guest_fdt_job *job)
{
	tree_end(&job->tree);
	return 0;
}

void *guest_fdt_seed(const struct guest_fdt_job *job)
{
	return job->seed;
}
