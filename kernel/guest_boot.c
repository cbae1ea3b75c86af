/*
 * The start of a guest: the steps from STARTING to RUNNING.
 *
 * The problem: it means zeroing RAM, unpacking images and writing a tree, much
 * longer than anything here may take at once; so each function is a step of the
 * guest's task, or one of several, and says which is next.
 *
 * Wait until no CPU's second stage is this guest's (QUIET), take all mappings
 * away (UNMAP), forget what RAM was touched (FORGET), so that it is zeroes
 * again; populate if asked to; clear the vCPUs, some at a time (CLEAR); reset
 * devices and console (PREPARE), write the device tree (TREE), load it and the
 * images (LOAD); reset time and start hart 0 (GO). A reset goes the same way
 * from the beginning, so nothing of the life before is there. Whatever fails on
 * the way, such as an image that is damaged, ends the guest as a crash does,
 * but is not tried again.
 *
 * No memory is taken on the way: what a start takes is made with the guest, or
 * when the knobs change that it is made by (boot_kit_make), and is the guest's
 * until it is destroyed. So it can't fail by what others have taken since.
 *
 * The tree is kept until the guest is STOPPED: nothing that is in it changes
 * before, but the seed. To write it takes hundreds of thousands of
 * instructions, which a guest that reboots all the time must not cause each
 * time.
 *
 * Rejected: memory for starts that guests share (one's start would wait for
 * another's images); the guest's own RAM (it is in pieces of any size).
 */
#include "kernel/guest_private.h"

#include <libfdt.h>
#include <string.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/log.h"
#include "kernel/mem.h"

#define LOAD_BYTES (8 * KIB) /* between two looks at the time */
#define QUIET_US   200	     /* between two looks at the CPUs */

/* ---- what a start takes ---- */

static int kit_fill(struct boot_kit *kit, struct guest *g,
		    const struct guest_config *cfg, struct lab_error *err)
{
	struct image_files files;
	int ret = image_files_find(guests_env()->images, cfg, &files, err);

	if (ret)
		return ret;
	ret = image_load_init(&kit->load, g, cfg, &files,
			      guest_fdt_room(cfg, arch_guest_isa(),
					     files.dtb.bytes), err);
	if (ret)
		return ret;
	kit->fdt_bytes = kit->load.plan.fdt_bytes +
			 guest_fdt_left_bytes(files.dtb.bytes);
	kit->fdt = obj_alloc_raw(kit->fdt_bytes);
	if (kit->fdt)
		return 0;
	image_load_fini(&kit->load);
	return -ENOMEM;
}

int boot_kit_make(struct boot_kit *kit, struct guest *g,
		  const struct guest_config *cfg, struct lab_error *err)
{
	struct lab_error why;
	int ret = kit_fill(kit, g, cfg, &why);

	if (ret)
		config_error(err, "%s: %s", cfg->name, ret == -ENOMEM ?
			     "not enough host memory for the guest" : why.text);
	return ret;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool boot_kit_suits(const struct guest_config *cfg,
		    const struct guest_config *now)
{
	return same_text(cfg->kernel, now->kernel) &&
	       same_text(cfg->initrd, now->initrd) &&
	       same_text(cfg->dtb, now->dtb) &&
	       same_text(cfg->bootargs, now->bootargs) &&
	       cfg->has_load == now->has_load &&
	       cfg->load.v == now->load.v &&
	       cfg->has_entry == now->has_entry &&
	       cfg->entry.v == now->entry.v;
}

void boot_kit_free(struct boot_kit *kit)
{
	image_load_fini(&kit->load);
	obj_free(kit->fdt);
	kit->fdt = NULL;
}

/* ---- the steps ---- */

static enum task_result start_failed(struct guest_life *l, const char *why)
{
	struct guest *g = l->guest;

	log_error("%s: can't be started: %s", g->cfg.name, why);
	l->failed = true;
	guest_end(g, EVENT_CRASH, 1);
	return TASK_MORE;
}

enum task_result boot_quiet(struct guest_life *l)
{
	if (arch_guest_quiet(l->guest)) {
		/* No timer outlives the phase that set it: the task may be
		 * freed when it is idle. */
		task_wake_at(&l->task, TIME_NEVER);
		return life_go_on(l, LIFE_UNMAP);
	}
	task_wake_at(&l->task, time_now_ticks() + us_to_ticks(QUIET_US));
	return TASK_WAIT;
}

enum task_result boot_unmap(struct guest_life *l)
{
	if (arch_stage2_unmap_step(l->guest))
		return TASK_MORE;
	return life_go_on(l, LIFE_FORGET);
}

enum task_result boot_forget(struct guest_life *l)
{
	if (gmem_reset_step(l->guest->mem))
		return TASK_MORE;
	return life_go_on(l, l->guest->cfg.eager ? LIFE_POPULATE : LIFE_CLEAR);
}

enum task_result boot_populate(struct guest_life *l)
{
	int ret = gmem_populate_step(l->guest->mem);

	if (ret < 0)
		return start_failed(l, "its memory can't be mapped");
	return ret ? TASK_MORE : life_go_on(l, LIFE_CLEAR);
}

enum task_result boot_clear(struct guest_life *l)
{
	struct guest *g = l->guest;
	u64 until = life_step_end();

	do {
		arch_vcpu_clear(g->vcpu[l->vcpu++]);
	} while (l->vcpu < g->cfg.vcpus && time_now_ticks() < until);
	return l->vcpu < g->cfg.vcpus ? TASK_MORE : life_go_on(l, LIFE_PREPARE);
}

/* The next step is LOAD: the tree is there. */
static enum task_result load_begin(struct guest_life *l)
{
	image_load_begin(&l->kit.load, l->kit.fdt, fdt_totalsize(l->kit.fdt));
	return life_go_on(l, LIFE_LOAD);
}

/* The next step is TREE. */
static enum task_result tree_start(struct guest_life *l)
{
	const struct image_load *load = &l->kit.load;
	struct guest_fdt_args args = {
		.guest = l->guest,
		.isa = arch_guest_isa(),
		.plan = &load->plan,
		.dtb = load->files.dtb.data,
		.dtb_bytes = load->files.dtb.bytes,
		.timebase_hz = timebase_hz,
		.rng_seed = l->seed,
		.rng_seed_bytes = RNG_SEED_BYTES,
	};

	guest_fdt_begin(&l->tree, l->kit.fdt, l->kit.fdt_bytes, &args);
	return life_go_on(l, LIFE_TREE);
}

enum task_result boot_prepare(struct guest_life *l)
{
	struct guest *g = l->guest;

	emul_reset(g);
	gcons_reset(g);
	rng_bytes(&l->rng, l->seed, RNG_SEED_BYTES);
	if (!l->fdt_seed)
		return tree_start(l);
	memcpy(l->fdt_seed, l->seed, RNG_SEED_BYTES);
	return load_begin(l);
}

enum task_result boot_tree(struct guest_life *l)
{
	u64 until = life_step_end();
	int ret;

	do {
		ret = guest_fdt_step(&l->tree);
	} while (ret == 1 && time_now_ticks() < until);
	if (ret == 1)
		return TASK_MORE;
	if (ret < 0)
		return start_failed(l, l->kit.load.files.dtb.data ?
			"dtb: no sound device tree" :
			"its device tree could not be written");
	l->fdt_seed = guest_fdt_seed(&l->tree);
	return load_begin(l);
}

enum task_result boot_load(struct guest_life *l)
{
	u64 until = life_step_end();
	int ret;

	do {
		ret = image_load_step(&l->kit.load, LOAD_BYTES);
	} while (ret == 1 && time_now_ticks() < until);
	if (ret < 0)
		return start_failed(l, l->kit.load.err.text);
	return ret ? TASK_MORE : life_go_on(l, LIFE_GO);
}

static void say_start(struct guest_life *l)
{
	const struct guest *g = l->guest;

	if (g->quiet) {
		l->untold++;
		l->tell_ticks = time_now_ticks() + us_to_ticks(LOG_PACE_US);
		task_wake_at(&l->task, l->tell_ticks);
		return;
	}
	life_tell_untold(l);
	log_info("%s: starts at 0x%lx, %u vCPUs, %lu MiB", g->cfg.name,
		 l->kit.load.plan.entry.v, g->cfg.vcpus,
		 g->cfg.memory_bytes / MIB);
}

enum task_result boot_go(struct guest_life *l)
{
	struct guest *g = l->guest;
	const struct image_plan *plan = &l->kit.load.plan;

	arch_guest_reset(g);
	arch_vcpu_reset(g->vcpu[0], plan->entry.v, plan->fdt.v);
	l->phase = LIFE_IDLE;
	/* The registers before the state that lets anyone start a vCPU. */
	ck_pr_fence_release();
	if (!guest_state_change(g, GUEST_STARTING, GUEST_RUNNING))
		return TASK_MORE; /* someone has ended it */
	ck_pr_inc_32(&g->boots);
	say_start(l);
	if (sched_vcpu_start(g->vcpu[0]))
		return start_failed(l, "the scheduler has no room for it");
	/* Who had something to tell before the state said so woke nobody. */
	return TASK_MORE;
}
