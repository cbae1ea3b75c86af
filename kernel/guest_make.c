/*
 * Guests come and go: making one, and giving back what it is made of.
 *
 * The problem: what a vCPU is made of takes thousands of instructions, a guest
 * may have hundreds of them and thousands of blocks of memory, and the task of
 * the console, which makes it, may keep its CPU for no longer than any other
 * task. So a guest is made in steps, and is not in the list before the last.
 *
 * All that a guest has in order to be destroyed (its second stage, memory
 * without frames, task and account) is made first, at once, as long as it can
 * be undone at once. From there on whoever gives up leaves the rest to the
 * reaper (guest_reap.c), which frees in steps as well, the frames and those of
 * its vCPUs that were made.
 */
#include "kernel/guest_private.h"

#include <string.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/mem.h"
#include "kernel/tracer.h"

static int no_memory(const struct guest_config *cfg, struct lab_error *err)
{
	config_error(err, "%s: not enough host memory for the guest",
		     cfg->name);
	return -ENOMEM;
}

static int name_taken(const char *name, struct lab_error *err)
{
	return config_error(err, "%s: there is a guest of that name already",
			    name);
}

/* ---- the beginning ---- */

static int memory_make(struct guest *g, struct lab_error *err)
{
	const struct guest_config *cfg = &g->cfg;
	int ret = arch_guest_create(g);

	if (ret == -ERANGE)
		return config_error(err,
				    "%s: memory: the harts' second stage "
				    "does not reach its end",
				    cfg->name);
	if (!ret)
		ret = gmem_create(g, cfg->ram_base, cfg->memory_bytes, &g->mem);
	if (ret == -ENOMEM &&
	    page_free_count() < cfg->memory_bytes / PAGE_BYTES)
		config_error(err,
			     "%s: memory: %lu MiB free on the host, "
			     "%lu MiB wanted",
			     cfg->name, page_free_count() * PAGE_BYTES / MIB,
			     cfg->memory_bytes / MIB);
	else if (ret == -ENOMEM)
		(void)no_memory(cfg, err);
	return ret;
}

static int frame_make(struct guest *g, struct lab_error *err)
{
	int ret = memory_make(g, err);

	if (ret)
		return ret;
	g->vcpu = obj_alloc(g->cfg.vcpus * sizeof(struct vcpu *));
	if (!g->vcpu || life_create(g) || sched_guest_add(g))
		return no_memory(&g->cfg, err);
	task_charge_to(g->task, g);
	return 0;
}

int guest_create_begin(const struct guest_config *cfg, struct guest **out,
		       struct lab_error *err)
{
	struct guest *g;
	int ret = lab_config_check(cfg, guests_env(), err);

	if (ret)
		return ret;
	g = guest_find(cfg->name);
	if (g) {
		guest_put(g);
		return name_taken(cfg->name, err);
	}
	g = obj_alloc(sizeof(*g));
	if (!g || lab_config_copy(&g->cfg, cfg)) {
		obj_free(g);
		return no_memory(cfg, err);
	}
	g->id = guest_id_next();
	g->refs = 1;
	g->state = GUEST_STOPPED;
	ret = frame_make(g, err);
	if (ret) {
		while (guest_free_step(g))
			;
		return ret;
	}
	guest_coming(g);
	*out = g;
	return 0;
}

/* ---- the steps ---- */

static int frames_make(struct guest *g, struct lab_error *err)
{
	int ret = gmem_reserve_step(g->mem);

	g->memory_made = ret == 0;
	return ret < 0 ? no_memory(&g->cfg, err) : 1;
}

static int vcpu_make(struct guest *g, struct lab_error *err)
{
	u32 i = g->vcpus_made;
	struct vcpu *v = arch_vcpu_alloc(g, i);
	int ret;

	if (!v)
		return no_memory(&g->cfg, err);
	g->vcpu[i] = v;
	g->vcpus_made++;
	v->sched.trace_id = TRACE_NOBODY;
	ret = sched_vcpu_add(v);
	if (ret == -EINVAL)
		return config_error(err, "%s: affinity: names no CPU that "
				    "there is", g->cfg.name);
	return ret ? no_memory(&g->cfg, err) : 0;
}

static int vcpus_make(struct guest *g, struct lab_error *err)
{
	u64 until = life_step_end();
	int ret;

	do {
		ret = vcpu_make(g, err);
	} while (!ret && g->vcpus_made < g->cfg.vcpus &&
		 time_now_ticks() < until);
	return ret ? ret : 1;
}

static int devices_make(struct guest *g, struct lab_error *err)
{
	int ret = emul_create(g, err);

	g->devices_made = true;
	if (ret == -ENOMEM)
		return no_memory(&g->cfg, err);
	return ret ? ret : 1;
}

static int console_make(struct guest *g, struct lab_error *err)
{
	return gcons_create(g) ? no_memory(&g->cfg, err) : 1;
}

static int kit_make(struct guest *g, struct lab_error *err)
{
	int ret = boot_kit_make(&g->life->kit, g, &g->cfg, err);

	return ret ? ret : 1;
}

/* The table of names never shrinks: they are for who has all the rest. */
static int names_make(struct guest *g)
{
	u64 until = life_step_end();
	u32 *i = &g->life->vcpu;

	do {
		g->vcpu[*i]->sched.trace_id =
			tracer_name_add(g->cfg.name, g->id, *i);
	} while (++*i < g->cfg.vcpus && time_now_ticks() < until);
	return 1;
}

/* From here on others see it. */
static int finish(struct guest *g, struct lab_error *err)
{
	emul_reset(g);
	g->trace_id = g->vcpu[0]->sched.trace_id;
	return guest_list(g) ? 0 : name_taken(g->cfg.name, err); /* just now */
}

void guest_create_cancel(struct guest *g)
{
	g->state = GUEST_DYING;
	guest_came(g);
	reaper_take(g);
}

int guest_create_step(struct guest *g, struct lab_error *err)
{
	int ret;

	if (!g->memory_made)
		ret = frames_make(g, err);
	else if (g->vcpus_made < g->cfg.vcpus)
		ret = vcpus_make(g, err);
	else if (!g->devices_made)
		ret = devices_make(g, err);
	else if (!g->console)
		ret = console_make(g, err);
	else if (!g->life->kit.fdt)
		ret = kit_make(g, err);
	else if (g->life->vcpu < g->cfg.vcpus)
		ret = names_make(g);
	else
		ret = finish(g, err);
	if (ret < 0)
		guest_create_cancel(g);
	return ret;
}

int guest_create(const struct guest_config *cfg, struct guest **out,
		 struct lab_error *err)
{
	struct guest *g;
	int ret = guest_create_begin(cfg, &g, err);

	if (ret)
		return ret;
	do {
		ret = guest_create_step(g, err);
	} while (ret == 1);
	if (!ret)
		*out = g;
	return ret;
}

/* ---- the end ---- */

static void vcpu_free(struct vcpu *v)
{
	tracer_name_gone(v->sched.trace_id);
	sched_vcpu_remove(v);
	arch_vcpu_free(v);
}

bool guest_free_step(struct guest *g)
{
	u64 until = life_step_end();

	/* They know the vCPUs. */
	if (g->console)
		gcons_destroy(g);
	if (g->devices)
		emul_destroy(g);
	while (g->vcpus_made) {
		vcpu_free(g->vcpu[--g->vcpus_made]);
		if (time_now_ticks() >= until)
			return true;
	}
	life_free(g);
	if (g->account)
		sched_guest_remove(g);
	obj_free(g->vcpu);
	arch_guest_destroy(g);
	gmem_destroy(g->mem);
	lab_config_fini(&g->cfg);
	obj_free(g);
	return false;
}
