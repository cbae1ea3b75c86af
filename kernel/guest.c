/*
 * Guests: making them, finding them, changing their knobs.
 *
 * The problem: a guest is a dozen allocations by half a dozen parts, any of
 * which may fail; and once it is known, anyone may be looking at it when it
 * goes away.
 *
 * guest_create builds the guest where nobody sees it, each part undone in
 * reverse if a later one fails (guest_free copes with any prefix), and shows it
 * as its last act: what can fail is behind it then. The list is sorted by id;
 * ids are never used twice. Everyone who finds a guest holds a reference; the
 * list's own goes when it is destroyed, and the reaper frees it when no other
 * is left and every CPU has drained its mail.
 *
 * Knobs: cfg's words are written by one caller at a time while others read
 * them; each is a word of its own that is read afresh where it counts. Strings
 * and lists change only in a STOPPED guest, which the state BUSY keeps from
 * being started meanwhile.
 *
 * Rejected: an array of guests by id (a limit, or holes); RCU for the list
 * (nothing hot looks at it).
 */
#include "kernel/guest.h"

#include <ck_spinlock.h>
#include <stdio.h>
#include <string.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest_private.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/shell/console.h"
#include "kernel/tracer.h"

static const struct lab_env *env;
static bool poweroff_when_done;
static u32 worst_status; /* atomic; of autostarted guests that stopped */

/* `guests` and every g->next. */
static ck_spinlock_fas_t list_lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct guest *guests;
static u32 last_id, count;

void guests_init(const struct lab_env *lab_env, bool when_done)
{
	env = lab_env;
	poweroff_when_done = when_done;
	worst_status = 0;
	reaper_init();
}

const struct lab_env *guests_env(void)
{
	return env;
}

/* ---- making ---- */

static int vcpus_create(struct guest *g)
{
	g->vcpu = obj_alloc(g->cfg.vcpus * sizeof(struct vcpu *));
	if (!g->vcpu)
		return -ENOMEM;
	for (u32 i = 0; i < g->cfg.vcpus; i++) {
		g->vcpu[i] = arch_vcpu_alloc(g, i);
		if (!g->vcpu[i])
			return -ENOMEM;
		g->vcpu[i]->sched.trace_id = TRACE_NOBODY;
	}
	return 0;
}

void guest_free(struct guest *g)
{
	life_free(g);
	if (g->console)
		gcons_destroy(g);
	if (g->devices)
		emul_destroy(g);
	for (u32 i = 0; g->vcpu && i < g->cfg.vcpus; i++)
		if (g->vcpu[i]) {
			tracer_name_gone(g->vcpu[i]->sched.trace_id);
			arch_vcpu_free(g->vcpu[i]);
		}
	obj_free(g->vcpu);
	arch_guest_destroy(g);
	gmem_destroy(g->mem);
	lab_config_fini(&g->cfg);
	obj_free(g);
}

/* Everything but being seen. Each part is there or not; guest_free knows. */
static int guest_build(struct guest *g, struct lab_error *err)
{
	const struct guest_config *cfg = &g->cfg;
	int ret = arch_guest_create(g);

	if (ret == -ERANGE)
		return config_error(err, "%s: memory: the harts' second stage "
				    "does not reach its end", cfg->name);
	if (!ret)
		ret = gmem_create(g, cfg->ram_base, cfg->memory_bytes, &g->mem);
	if (ret == -ENOMEM &&
	    page_free_count() < cfg->memory_bytes / PAGE_BYTES) {
		config_error(err, "%s: memory: %lu MiB free on the host, "
			     "%lu MiB wanted", cfg->name,
			     (page_free_count() *
						  PAGE_BYTES / MIB),
			     (cfg->memory_bytes / MIB));
		return ret;
	}
	if (!ret)
		ret = vcpus_create(g);
	if (!ret)
		ret = emul_create(g, err);
	if (!ret)
		ret = gcons_create(g);
	if (!ret)
		ret = life_create(g);
	/* Last, since it can't be taken back before all CPUs were asked. */
	if (!ret) {
		ret = sched_guest_add(g);
		if (ret == -EINVAL)
			config_error(err, "%s: affinity: names no CPU that "
				     "there is", cfg->name);
	}
	for (u32 i = 0; !ret && i < cfg->vcpus; i++)
		g->vcpu[i]->sched.trace_id = tracer_name_add(cfg->name, g->id,
							     i);
	if (!ret)
		g->trace_id = g->vcpu[0]->sched.trace_id;
	if (ret == -ENOMEM)
		config_error(err, "%s: not enough host memory for the guest",
			     cfg->name);
	return ret;
}

static struct guest *find_locked(const char *name)
{
	struct guest *g = guests;

	while (g && strcmp(g->cfg.name, name))
		g = g->next;
	return g;
}

/* The last act: from here on others see it. */
static bool guest_list(struct guest *g)
{
	struct guest **at = &guests;
	bool taken;

	ck_spinlock_fas_lock(&list_lock);
	taken = find_locked(g->cfg.name);
	while (!taken && *at && (*at)->id < g->id)
		at = &(*at)->next;
	if (!taken) {
		g->next = *at;
		*at = g;
		count++;
	}
	ck_spinlock_fas_unlock(&list_lock);
	return !taken;
}

static int name_taken(const char *name, struct lab_error *err)
{
	return config_error(err, "%s: there is a guest of that name already",
			    name);
}

int guest_create(const struct guest_config *cfg, struct guest **out,
		 struct lab_error *err)
{
	struct guest *g;
	int ret = lab_config_check(cfg, env, err);

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
		config_error(err, "%s: not enough host memory for the guest",
			     cfg->name);
		return -ENOMEM;
	}
	g->id = ck_pr_faa_32(&last_id, 1) + 1;
	g->refs = 1;
	g->state = GUEST_STOPPED;
	ret = guest_build(g, err);
	if (ret) {
		guest_free(g);
		return ret;
	}
	task_charge_to(g->task, g);
	if (!guest_list(g)) {
		/* Someone else was faster; this one goes as any other. */
		g->state = GUEST_DYING;
		reaper_take(g);
		return name_taken(cfg->name, err);
	}
	*out = g;
	return 0;
}

/* ---- finding ---- */

void guest_get(struct guest *g)
{
	ck_pr_inc_32(&g->refs);
}

void guest_put(struct guest *g)
{
	bool last;

	if (!g)
		return;
	/* What was done with the guest comes before it may be freed. */
	ck_pr_fence_release();
	ck_pr_dec_32_zero(&g->refs, &last);
	if (last)
		reaper_wake();
}

struct guest *guest_find(const char *name)
{
	struct guest *g;

	ck_spinlock_fas_lock(&list_lock);
	g = find_locked(name);
	if (g)
		guest_get(g);
	ck_spinlock_fas_unlock(&list_lock);
	return g;
}

/* The first guest whose id is at least `id`. */
static struct guest *find_from_locked(u32 id)
{
	struct guest *g = guests;

	while (g && g->id < id)
		g = g->next;
	return g;
}

static struct guest *find_from(u32 id)
{
	struct guest *g;

	ck_spinlock_fas_lock(&list_lock);
	g = find_from_locked(id);
	if (g)
		guest_get(g);
	ck_spinlock_fas_unlock(&list_lock);
	return g;
}

struct guest *guest_find_id(u32 id)
{
	struct guest *g = find_from(id);

	if (g && g->id != id) {
		guest_put(g);
		g = NULL;
	}
	return g;
}

struct guest *guest_next(struct guest *g)
{
	struct guest *next;

	ck_spinlock_fas_lock(&list_lock);
	/* Who has left the list points to himself. */
	if (!g)
		next = guests;
	else if (g->next != g)
		next = g->next;
	else
		next = find_from_locked(g->id + 1);
	if (next)
		guest_get(next);
	ck_spinlock_fas_unlock(&list_lock);
	guest_put(g);
	return next;
}

u32 guest_count(void)
{
	return ck_pr_load_32(&count);
}

void guest_unlist(struct guest *g)
{
	struct guest **at = &guests;

	ck_spinlock_fas_lock(&list_lock);
	while (*at && *at != g)
		at = &(*at)->next;
	if (*at) {
		*at = g->next;
		g->next = g;
		count--;
	}
	ck_spinlock_fas_unlock(&list_lock);
	guest_put(g);
}

/* ---- when the lab is done ---- */

void guests_status_add(const struct guest *g, u32 status)
{
	u32 was = ck_pr_load_32(&worst_status);

	while (g->cfg.autostart && status > was &&
	       !ck_pr_cas_32_value(&worst_status, was, status, &was))
		;
}

void guests_look_done(void)
{
	bool any = false;

	if (!poweroff_when_done)
		return;
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;) {
		u32 state = ck_pr_load_32(&g->state);

		any |= g->cfg.autostart;
		if (g->cfg.autostart && state != GUEST_STOPPED &&
		    state != GUEST_BUSY) {
			guest_put(g);
			return;
		}
	}
	if (!any)
		return;
	log_info("all autostarted guests have stopped; status %u",
		 ck_pr_load_32(&worst_status));
	console_poweroff(ck_pr_load_32(&worst_status));
}
