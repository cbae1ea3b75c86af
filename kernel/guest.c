/*
 * Guests: the list of them, and finding them.
 *
 * The problem: once a guest is known, anyone may be looking at it when it goes
 * away.
 *
 * A guest is made where nobody sees it (guest_make.c), and comes into the list
 * as the last act. The list is sorted by id; ids are never used twice. Everyone
 * who finds a guest holds a reference; the list's own goes when it is
 * destroyed, and the reaper frees it when no other is left and every CPU has
 * drained its mail.
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
#include <string.h>

#include "kernel/guest_private.h"
#include "kernel/log.h"
#include "kernel/shell/console.h"

static const struct lab_env *env;
static bool poweroff_when_done;
static u32 worst_status; /* atomic; of autostarted guests that stopped */

/* `guests` and every g->next; `count`, which others read without it. */
static ck_spinlock_fas_t list_lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct guest *guests;
static u32 last_id, count;

static u32 coming; /* atomic; guests that are to start by themselves */

void guests_init(const struct lab_env *lab_env, bool when_done)
{
	env = lab_env;
	poweroff_when_done = when_done;
	worst_status = 0;
	coming = 0;
	reaper_init();
}

const struct lab_env *guests_env(void)
{
	return env;
}

/* ---- the list ---- */

u32 guest_id_next(void)
{
	return ck_pr_faa_32(&last_id, 1) + 1;
}

static struct guest *find_locked(const char *name)
{
	struct guest *g = guests;

	while (g && strcmp(g->cfg.name, name))
		g = g->next;
	return g;
}

bool guest_list(struct guest *g)
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
		/* guest_count has no lock. */
		ck_pr_store_32(&count, count + 1);
	}
	ck_spinlock_fas_unlock(&list_lock);
	return !taken;
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

bool guest_unlist(struct guest *g)
{
	struct guest **at = &guests;
	bool was;

	ck_spinlock_fas_lock(&list_lock);
	while (*at && *at != g)
		at = &(*at)->next;
	was = *at != NULL;
	if (was) {
		*at = g->next;
		g->next = g;
		ck_pr_store_32(&count, count - 1);
	}
	ck_spinlock_fas_unlock(&list_lock);
	guest_put(g);
	return was;
}

/* ---- when the lab is done ---- */

void guests_status_add(const struct guest *g, u32 status)
{
	u32 was = ck_pr_load_32(&worst_status);

	while (g->cfg.autostart && status > was &&
	       !ck_pr_cas_32_value(&worst_status, was, status, &was))
		;
}

void guest_coming(struct guest *g)
{
	if (!g->cfg.autostart)
		return;
	g->coming = 1;
	ck_pr_inc_32(&coming);
}

void guest_came(struct guest *g)
{
	if (!ck_pr_fas_32(&g->coming, 0))
		return;
	/* Its place in the list, and its state, before. Pairs with
	 * guests_look_done. */
	ck_pr_fence_release();
	ck_pr_dec_32(&coming);
	guests_look_done();
}

void guests_look_done(void)
{
	bool any = false;

	if (!poweroff_when_done || ck_pr_load_32(&coming))
		return;
	/* Pairs with guest_came: who doesn't count any more is in the list, as
	 * one that starts, or is given up. */
	ck_pr_fence_acquire();
	for (struct guest *g = NULL; (g = guest_next(g)) != NULL;) {
		u32 state = ck_pr_load_32(&g->state);

		any |= g->cfg.autostart;
		if (g->cfg.autostart && state != GUEST_STOPPED &&
		    state != GUEST_BUSY && state != GUEST_DYING) {
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
