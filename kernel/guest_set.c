/*
 * Changing a guest's knobs.
 *
 * The problem: several knobs at once, all or none, checked as the lab's are;
 * some while the guest runs on any CPU, and some that decide what a guest is
 * made of and can't change at all.
 *
 * The texts go into a copy, which is checked as a whole, and then replaces what
 * may be replaced. Of a running guest those are words (and the pins, which only
 * this function and listings look at); each is looked at afresh where it
 * counts, and the scheduler is told of its own by mail. In a stopped guest the
 * names of images and the like are replaced as well, and with them what a start
 * takes of the host, under state BUSY, so that no start reads them half
 * changed.
 */
#include <string.h>

#include "kernel/guest_private.h"

#include "kernel/percpu/cpu.h"
#include "kernel/vcpu.h"

static bool same_devices(const struct device_config *a,
			 const struct device_config *b)
{
	for (; a && b; a = a->next, b = b->next)
		if (strcmp(a->name, b->name) || a->absent != b->absent ||
		    a->has_base != b->has_base || a->base.v != b->base.v ||
		    a->has_irq != b->has_irq || a->irq != b->irq)
			return false;
	return a == b;
}

/* What a guest is made of, it keeps. */
static int check_fixed(const struct guest_config *old,
		       const struct guest_config *now, struct lab_error *err)
{
	const char *what = old->vcpus != now->vcpus ? "vcpus" :
		old->memory_bytes != now->memory_bytes ? "memory" :
		old->ram_base.v != now->ram_base.v ? "ram-base" :
		!same_devices(old->devices, now->devices) ? "devices" : NULL;

	if (!what)
		return 0;
	return config_error(err, "%s: %s: what a guest is made of can't change;"
			    " destroy it and create it anew", old->name, what);
}

/* Where vCPU `i` may run, as `cfg` has it. */
static void allowed_of(const struct guest_config *cfg, u32 i,
		       struct cpuset *out)
{
	memset(out, 0, sizeof(*out));
	if (cfg->pin) {
		cpuset_add(out, cfg->pin[i]);
		return;
	}
	if (cfg->has_affinity) {
		*out = cfg->affinity;
		return;
	}
	for (u32 cpu = 0; cpu < cpu_count(); cpu++)
		cpuset_add(out, cpu);
}

static int apply_places(struct guest *g, const struct guest_config *now,
			struct lab_error *err)
{
	for (u32 i = 0; i < g->cfg.vcpus; i++) {
		struct cpuset old, allowed;

		allowed_of(&g->cfg, i, &old);
		allowed_of(now, i, &allowed);
		if (!memcmp(&old, &allowed, sizeof(old)))
			continue;
		/* The first one tells for all whether there are such CPUs:
		 * the check before has, so this is the last of nets. */
		if (sched_vcpu_affinity(g->vcpu[i], &allowed))
			return config_error(err, "%s: vCPU %u has no CPU to "
					    "run on", g->cfg.name, i);
	}
	return 0;
}

/* Words that others read while they change: each is good by itself. */
static void apply_words(struct guest_config *cfg,
			const struct guest_config *now)
{
	cfg->sched = now->sched;
	cfg->affinity = now->affinity;
	cfg->has_affinity = now->has_affinity;
	cfg->wfi = now->wfi;
	cfg->wfi_poll_us = now->wfi_poll_us;
	cfg->on_poweroff = now->on_poweroff;
	cfg->on_reboot = now->on_reboot;
	cfg->on_crash = now->on_crash;
	cfg->autostart = now->autostart;
}

/* `now` gets what the guest had, to be freed. */
static int apply(struct guest *g, struct guest_config *now, bool stopped,
		 struct lab_error *err)
{
	bool told = memcmp(&g->cfg.sched, &now->sched, sizeof(now->sched)) ||
		    g->cfg.wfi != now->wfi;
	int ret = apply_places(g, now, err);

	if (ret)
		return ret;
	apply_words(&g->cfg, now);
	if (stopped) {
		struct guest_config old = g->cfg;

		/* The name is known to others, and the same. */
		g->cfg = *now;
		g->cfg.name = old.name;
		old.name = now->name;
		*now = old;
	} else {
		u32 *pin = g->cfg.pin;
		u32 count = g->cfg.pin_count;

		g->cfg.pin = now->pin;
		g->cfg.pin_count = now->pin_count;
		now->pin = pin;
		now->pin_count = count;
	}
	if (told)
		sched_guest_params(g, &g->cfg.sched);
	return 0;
}

/* `kit` gets what the guest had, to be freed. */
static void kit_swap(struct guest *g, struct boot_kit *kit)
{
	struct boot_kit old = g->life->kit;

	g->life->kit = *kit;
	*kit = old;
}

int guest_set(struct guest *g, const char *const *texts, u32 count,
	      struct lab_error *err)
{
	bool stopped = ck_pr_cas_32(&g->state, GUEST_STOPPED, GUEST_BUSY);
	const struct lab_env *env = guests_env();
	struct boot_kit kit = {.fdt = NULL};
	struct guest_config now;
	int ret = lab_config_copy(&now, &g->cfg);

	if (ret)
		config_error(err, "%s: not enough host memory", g->cfg.name);
	for (u32 i = 0; !ret && i < count; i++)
		ret = lab_config_set(&now, texts[i], !stopped, env, err);
	if (!ret)
		ret = lab_config_check(&now, env, err);
	if (!ret)
		ret = check_fixed(&g->cfg, &now, err);
	if (!ret && stopped && !boot_kit_suits(&g->cfg, &now))
		ret = boot_kit_make(&kit, g, &now, err);
	if (!ret)
		ret = apply(g, &now, stopped, err);
	if (!ret && kit.fdt)
		kit_swap(g, &kit);
	boot_kit_free(&kit);
	lab_config_fini(&now);
	if (stopped) {
		/* The configuration before the state that lets it start. */
		ck_pr_fence_release();
		ck_pr_store_32(&g->state, GUEST_STOPPED);
	}
	return ret;
}
