/*
 * What a node is, in a tree that the guest brought along, and what in it is
 * Rouse's to say.
 *
 * The rules are libfdt's and Linux's: of a property that is there twice the
 * first counts, of nodes of one name as well; a node is found by its name
 * without an address; and `device_type` is the first string of it.
 */
#include "kernel/guest_fdt_private.h"

#include <libfdt.h>
#include <string.h>

#include "kernel/guest.h"

static const char *const chosen_props[] = {
	"bootargs", "linux,initrd-start", "linux,initrd-end", "rng-seed", NULL,
};
static const char *const cpus_props[] = { "timebase-frequency", NULL };
static const char *const cpu_props[] = {
	"status", "riscv,isa", "riscv,isa-base", "riscv,isa-extensions",
	"mmu-type", "riscv,cbom-block-size", "riscv,cboz-block-size", NULL,
};
static const char *const *const props[] = {
	[IN_CHOSEN] = chosen_props,
	[IN_CPUS] = cpus_props,
	[IN_CPU] = cpu_props,
	[IN_PATHS] = NULL,
	[LEFT_OUT] = NULL,
};

/* Is the first string of that property `text`? */
static bool is_text(const struct tree_token *p, const char *text)
{
	size_t bytes = strlen(text) + 1;

	return p->bytes >= bytes && !memcmp(p->data, text, bytes);
}

/* Is that property `name`? The first walk notes where the name is. */
static bool is_prop(struct guest_fdt_job *job, const struct tree_token *p,
		    const char *name)
{
	if (strcmp(p->name, name))
		return false;
	if (!job->copying)
		tree_name_at(&job->tree, name, p->name_at);
	return true;
}

static u32 cell(const struct tree_token *p)
{
	return fdt32_ld((const void *)p->data);
}

void guest_fdt_node_learn(struct guest_fdt_job *job,
			  const struct tree_token *p)
{
	struct guest_fdt_node *n = &job->walk.node;

	if (is_prop(job, p, "device_type") && !n->has_type) {
		n->has_type = true;
		n->is_memory = is_text(p, "memory");
		n->is_cpu = is_text(p, "cpu");
	} else if (is_prop(job, p, "reg") && !n->has_reg) {
		n->has_reg = true;
		n->has_hartid = p->bytes == 4 || p->bytes == 8;
		if (p->bytes == 4)
			n->hartid = cell(p);
		else if (p->bytes == 8)
			n->hartid = fdt64_ld((const void *)p->data);
	} else if ((is_prop(job, p, "phandle") ||
		    !strcmp(p->name, "linux,phandle")) && p->bytes == 4) {
		n->phandle = MAX(n->phandle, cell(p));
	}
}

/* As libfdt finds a node by a name without an address. */
static bool is_named(const char *node, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(node, name, length) &&
	       (!node[length] || node[length] == '@');
}

/* The first node of a CPU that the guest has. */
static bool cpu_stays(struct guest_fdt_job *job)
{
	const struct guest_fdt_node *n = &job->walk.node;
	u8 *cpus = job->walk.cpus;

	if (!n->has_hartid || n->hartid >= job->args.guest->cfg.vcpus ||
	    (cpus[n->hartid / 8] & 1u << n->hartid % 8)) {
		job->has_surplus = true;
		return false;
	}
	cpus[n->hartid / 8] |= (u8)(1u << n->hartid % 8);
	return true;
}

enum guest_fdt_place guest_fdt_place(struct guest_fdt_job *job)
{
	struct guest_fdt_walk *w = &job->walk;
	const char *name = w->token.name;

	if (w->from.depth == 1)
		return IN_ROOT;
	if (w->node.is_memory)
		return LEFT_OUT;
	if (w->from.depth == 2 && !strcmp(name, job->memory_name))
		return LEFT_OUT;
	if (w->from.depth == 2 && !w->has_chosen && is_named(name, "chosen"))
		return IN_CHOSEN;
	if (w->from.depth == 2 && !w->has_cpus && is_named(name, "cpus"))
		return IN_CPUS;
	if (w->from.depth == 2 && (!strcmp(name, "aliases") ||
				   !strcmp(name, "__symbols__")))
		return IN_PATHS;
	if (w->from.depth != 3 || w->child != IN_CPUS)
		return IN_OTHER;
	if (w->node.is_cpu)
		return cpu_stays(job) ? IN_CPU : LEFT_OUT;
	return job->has_surplus && is_named(name, "cpu-map") ? LEFT_OUT
							     : IN_OTHER;
}

void guest_fdt_name_note(struct guest_fdt_job *job)
{
	static const char digits[] = "0123456789abcdef", begin[] = "cpu@";
	const char *at = job->walk.token.name, *digit;
	u32 i = 0;

	if (strncmp(at, begin, sizeof(begin) - 1))
		return;
	at += sizeof(begin) - 1;
	if (!at[0] || (at[0] == '0' && at[1]))
		return;
	for (; *at && i < GUEST_VCPUS_MAX; at++) {
		digit = strchr(digits, *at);
		if (!digit)
			return;
		i = i << 4 | (u32)(digit - digits);
	}
	if (i < GUEST_VCPUS_MAX)
		job->names[i / 8] |= (u8)(1u << i % 8);
}

int guest_fdt_cells(const struct tree_token *p)
{
	return p->bytes == 4 && cell(p) <= FDT_MAX_NCELLS ? (int)cell(p) : -1;
}

bool guest_fdt_is_ours(struct guest_fdt_job *job, const struct tree_token *p)
{
	const struct guest_fdt_args *a = &job->args;
	const char *const *name = props[job->walk.place];

	while (name && *name && !is_prop(job, p, *name))
		name++;
	if (!name || !*name)
		return false;
	if (name == &chosen_props[0])
		return a->guest->cfg.bootargs;
	return strcmp(*name, "rng-seed") || a->rng_seed;
}
