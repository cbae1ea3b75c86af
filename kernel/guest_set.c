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
 * counts, and the scheduler is told of its own by mail: of very many vCPUs some
 * in a step, and only of what is another for them. In a stopped guest the names
 * of images and the like are replaced as well, and with them what a start takes
 * of the host, under state BUSY, so that no start reads them half changed.
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

/* In a step; each takes some 250 instructions. */
#define MOVES_AT_ONCE 32

/* Where vCPUs may run that have no pin. */
static void places_find(const struct guest_config *cfg, struct cpuset *out)
{
	*out = cfg->affinity;
	if (cfg->has_affinity)
		return;
	memset(out, 0, sizeof(*out));
	for (u32 cpu = 0; cpu < cpu_count(); cpu++)
		cpuset_add(out, cpu);
}

/* Has each vCPU a CPU of this machine? The check of values has seen to it: the
 * last of nets, while nothing has changed yet. */
static int places_check(const struct guest_config *now,
			const struct cpuset *places, struct lab_error *err)
{
	bool sound = cpuset_next(places, 0) < cpu_count();

	for (u32 i = 0; now->pin && i < now->pin_count; i++)
		sound &= now->pin[i] < cpu_count();
	return sound ? 0 : config_error(err, "%s: a vCPU has no CPU to run on",
					now->name);
}

/* May those that have no pin, or are to have none, run elsewhere now? */
static bool has_moved(const struct guest_config *old,
		      const struct guest_config *now)
{
	if (old->has_affinity != now->has_affinity || !old->pin != !now->pin)
		return true;
	return now->has_affinity &&
	       memcmp(&old->affinity, &now->affinity, sizeof(now->affinity));
}

/* Words that others read while they change: each is good by itself. The pins
 * as well, since nobody else looks at them meanwhile. */
static void words_take(struct guest_config *cfg, const struct guest_config *now)
{
	cfg->sched = now->sched;
	cfg->affinity = now->affinity;
	cfg->has_affinity = now->has_affinity;
	cfg->pin = now->pin;
	cfg->pin_count = now->pin_count;
	cfg->wfi = now->wfi;
	cfg->wfi_poll_us = now->wfi_poll_us;
	cfg->on_poweroff = now->on_poweroff;
	cfg->on_reboot = now->on_reboot;
	cfg->on_crash = now->on_crash;
	cfg->autostart = now->autostart;
}

/* What a start looks at. */
static void start_take(struct guest_config *cfg, const struct guest_config *now)
{
	cfg->kernel = now->kernel;
	cfg->initrd = now->initrd;
	cfg->dtb = now->dtb;
	cfg->bootargs = now->bootargs;
	cfg->has_load = now->has_load;
	cfg->has_entry = now->has_entry;
	cfg->load = now->load;
	cfg->entry = now->entry;
	cfg->eager = now->eager;
}

/* `now` gets what the guest had, to be freed. What can't change isn't touched:
 * others read it, the name above all, and have no lock. */
static void apply(struct guest *g, struct guest_config *now, bool stopped)
{
	struct guest_config old = g->cfg;

	words_take(&g->cfg, now);
	words_take(now, &old);
	if (!stopped)
		return;
	start_take(&g->cfg, now);
	start_take(now, &old);
}

/* `kit` gets what the guest had, to be freed. */
static void kit_swap(struct guest *g, struct boot_kit *kit)
{
	struct boot_kit old = g->life->kit;

	g->life->kit = *kit;
	*kit = old;
}

static void over(struct guest *g, struct guest_setting *s)
{
	lab_config_fini(&s->old);
	if (!s->stopped)
		return;
	/* The configuration before the state that lets it start. */
	ck_pr_fence_release();
	ck_pr_store_32(&g->state, GUEST_STOPPED);
}

/* What the guest is to have, into s->old, and `kit` if that takes another. */
static int take_in(struct guest *g, const char *const *texts, u32 count,
		   struct guest_setting *s, struct boot_kit *kit,
		   struct lab_error *err)
{
	const struct lab_env *env = guests_env();
	struct guest_config *now = &s->old;
	int ret = lab_config_copy(now, &g->cfg);

	if (ret)
		config_error(err, "%s: not enough host memory", g->cfg.name);
	for (u32 i = 0; !ret && i < count; i++)
		ret = lab_config_set(now, texts[i], !s->stopped, env, err);
	if (!ret)
		ret = lab_config_check(now, env, err);
	if (!ret)
		ret = check_fixed(&g->cfg, now, err);
	if (!ret) {
		places_find(now, &s->places);
		ret = places_check(now, &s->places, err);
	}
	if (!ret && s->stopped && !boot_kit_suits(&g->cfg, now))
		ret = boot_kit_make(kit, g, now, err);
	return ret;
}

int guest_set_begin(struct guest *g, const char *const *texts, u32 count,
		    struct guest_setting *s, struct lab_error *err)
{
	const struct guest_config *now = &s->old;
	struct boot_kit kit = {.fdt = NULL};
	int ret;

	s->stopped = ck_pr_cas_32(&g->state, GUEST_STOPPED, GUEST_BUSY);
	ret = take_in(g, texts, count, s, &kit, err);
	if (ret) {
		over(g, s);
		return ret;
	}
	s->moved = has_moved(&g->cfg, now);
	s->places_next = 0;
	s->params_next = g->cfg.vcpus;
	if (memcmp(&g->cfg.sched, &now->sched, sizeof(now->sched)) ||
	    g->cfg.wfi != now->wfi)
		s->params_next = 0;
	apply(g, &s->old, s->stopped);
	if (kit.fdt)
		kit_swap(g, &kit);
	boot_kit_free(&kit);
	return 0;
}

/* Tells vCPU `i` where it may run. False: that is where it might before. */
static bool place_tell(struct guest *g, const struct guest_setting *s, u32 i)
{
	const u32 *pin = g->cfg.pin, *old = s->old.pin;
	struct cpuset one = { { 0 } };

	if (pin && old ? pin[i] == old[i] : !s->moved)
		return false;
	if (pin)
		cpuset_add(&one, pin[i]);
	/* There is such a CPU: places_check. */
	return !sched_vcpu_affinity(g->vcpu[i], pin ? &one : &s->places);
}

bool guest_set_step(struct guest *g, struct guest_setting *s)
{
	u32 left = MOVES_AT_ONCE;

	if (s->params_next < g->cfg.vcpus) {
		s->params_next = sched_guest_params(g, &g->cfg.sched,
						    s->params_next);
		return true;
	}
	for (; left && s->places_next < g->cfg.vcpus; s->places_next++)
		left -= place_tell(g, s, s->places_next);
	if (s->places_next < g->cfg.vcpus)
		return true;
	over(g, s);
	return false;
}
