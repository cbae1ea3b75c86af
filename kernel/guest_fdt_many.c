/*
 * Many CPUs out of one, in a tree that is complete but for them.
 *
 * The problem: libfdt writes a CPU's node in tens of thousands of instructions
 * and goes through all of a tree when it is finished, all at once; with 512
 * CPUs that is millions in one piece. But the nodes differ in three places
 * only.
 *
 * So libfdt writes and finishes a tree with one CPU. What is behind that CPU's
 * node is moved once, by as much as the others take, and each of them is a copy
 * of the first with its own name, reg and phandle. Only the format is relied on
 * (Devicetree Specification, chapter 5), not how libfdt works. Names of
 * properties are shared by all of them.
 *
 * The tree can't be read until the last copy is there: the gap is no node.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "kernel/config.h"
#include "kernel/guest.h"

#define NAME	   "cpu@"
#define NAME_BYTES 16 /* with all digits, and a tag's bytes over */

/* Bytes of the beginning of a CPU's node: its tag and its name. */
static u32 begin_bytes(u32 hartid)
{
	u32 digits = 1;

	while (hartid >>= 4)
		digits++;
	return FDT_TAGSIZE +
	       ALIGN_UP((u32)sizeof(NAME) + digits, (u32)FDT_TAGSIZE);
}

/* Where in the structure what follows that node begins; or an error. */
static int node_end(const void *fdt, int node)
{
	int next = node, depth = 0;

	do {
		u32 tag = fdt_next_tag(fdt, next, &next);

		depth += tag == FDT_BEGIN_NODE ? 1
			 : tag == FDT_END_NODE ? -1
					       : 0;
	} while (depth > 0 && next >= 0);
	return next;
}

static void *struct_at(void *fdt, u32 at)
{
	return (char *)fdt + fdt_off_dt_struct(fdt) + at;
}

/* How far behind the first CPU's name that cell lies. */
static int cell_find(const struct guest_fdt_many *m, void *fdt, int node,
		     const char *name, u32 *at)
{
	const void *cell = fdt_getprop(fdt, node, name, NULL);

	if (!cell)
		return -FDT_ERR_NOTFOUND;
	*at = (u32)((const char *)cell - (const char *)struct_at(fdt, m->rest));
	return 0;
}

static int first_find(struct guest_fdt_many *m, void *fdt)
{
	int cpus = fdt_subnode_offset(fdt, 0, "cpus");
	int cpu = fdt_first_subnode(fdt, cpus);
	int end = node_end(fdt, cpu), e;

	if (cpus < 0 || cpu < 0 || end < 0)
		return -FDT_ERR_NOTFOUND;
	m->rest = (u32)cpu + begin_bytes(0);
	m->rest_bytes = (u32)end - m->rest;
	m->next = (u32)end;
	e = cell_find(m, fdt, cpu, "reg", &m->reg);
	return e ? e
		 : cell_find(m, fdt, fdt_first_subnode(fdt, cpu), "phandle",
			     &m->phandle);
}

int guest_fdt_many_piece(struct guest_fdt_job *job)
{
	struct guest_fdt_many *m = &job->many;
	void *fdt = job->buf, *behind;
	u32 more = 0, total = fdt_totalsize(fdt);
	int e = first_find(m, fdt);

	if (e)
		return e;
	for (u32 i = 1; i < job->args.guest->cfg.vcpus; i++)
		more += begin_bytes(i) + m->rest_bytes;
	if (more > job->bytes - total)
		return -FDT_ERR_NOSPACE;
	behind = struct_at(fdt, m->next);
	memmove((char *)behind + more, behind,
		total - (size_t)((char *)behind - (char *)fdt));
	fdt_set_size_dt_struct(fdt, fdt_size_dt_struct(fdt) + more);
	fdt_set_off_dt_strings(fdt, fdt_off_dt_strings(fdt) + more);
	fdt_set_totalsize(fdt, total + more);
	return 0;
}

int guest_fdt_copy_piece(struct guest_fdt_job *job)
{
	struct guest_fdt_many *m = &job->many;
	void *fdt = job->buf;
	char name[NAME_BYTES] = "", *to = struct_at(fdt, m->next), *rest;
	u32 i, begin;

	if (job->vcpu == job->args.guest->cfg.vcpus)
		return 0;
	i = job->vcpu++;
	begin = begin_bytes(i);
	snprintf(name, sizeof(name), NAME "%x", i);
	rest = to + begin;
	fdt32_st(to, FDT_BEGIN_NODE);
	memcpy(to + FDT_TAGSIZE, name, begin - FDT_TAGSIZE);
	memcpy(rest, struct_at(fdt, m->rest), m->rest_bytes);
	fdt32_st(rest + m->reg, i);
	fdt32_st(rest + m->phandle, guest_fdt_intc_phandle(i));
	m->next += begin + m->rest_bytes;
	return 1;
}
