/*
 * Names: which vCPU of which guest a record's number is.
 *
 * A number is a place in pages that are never moved, so that whoever reads the
 * machine's memory can walk them; the table of pages beside them is for us. A
 * guest that is destroyed leaves its names as those of the dead, in the order
 * of their going, and only when there are more than NAMES_DEAD of them the one
 * that is dead for longest is used anew: a trace that holds records of guests
 * gone since can still be read, and memory does not grow with guests that come
 * and go.
 *
 * One lock, held for some words' change, or the copy of the table when it has
 * become too small; guests are made and destroyed under it, nothing else.
 *
 * Rejected: numbers that only grow (memory would, too); names as records in the
 * rings (a flight recorder would overwrite them).
 */
#include <ck_spinlock.h>
#include <string.h>

#include "kernel/mem.h"
#include "kernel/time.h"
#include "kernel/tracer_private.h"

#define NAMES_DEAD 256
#define USED 1u
#define NONE UINT32_MAX

static ck_spinlock_fas_t lock = CK_SPINLOCK_FAS_INITIALIZER;
static struct name_page **pages;
static u32 page_count, page_room;
static u32 dead_first = NONE, dead_last = NONE, dead;

/* The next of the dead, in the bits of `flags` above USED: 0 is none. */
static u32 next_dead(const struct trace_name *n)
{
	return (n->flags >> 1) - 1;
}

static struct trace_name *name_at(u32 id)
{
	return &pages[id / NAMES_PER_PAGE]->name[id % NAMES_PER_PAGE];
}

static bool page_add_locked(void)
{
	struct name_page **more, *page;

	if (page_count == page_room) {
		u32 room = page_room ? 2 * page_room : 8;

		more = obj_alloc(room * sizeof(*more));
		if (!more)
			return false;
		if (page_count)
			memcpy(more, pages, page_count * sizeof(*more));
		obj_free(pages);
		pages = more;
		page_room = room;
	}
	page = obj_alloc(sizeof(*page));
	if (!page)
		return false;
	pages[page_count] = page;
	if (page_count)
		pages[page_count - 1]->next_hpa = ptr_hpa(page).v;
	else
		trace_memory.names_hpa = ptr_hpa(page).v;
	page_count++;
	return true;
}

/* A place: of the one that is dead for longest, or a new one. */
static u32 take_locked(void)
{
	u32 id = dead_first;

	if (dead > NAMES_DEAD) {
		dead--;
		dead_first = next_dead(name_at(id));
		return id;
	}
	id = trace_memory.names;
	if (id == page_count * NAMES_PER_PAGE && !page_add_locked())
		return TRACE_NOBODY;
	trace_memory.names++;
	return id;
}

u32 tracer_name_add(const char *guest, u32 guest_id, u32 index)
{
	u32 id;

	ck_spinlock_fas_lock(&lock);
	id = take_locked();
	if (id != TRACE_NOBODY) {
		struct trace_name *n = name_at(id);

		*n = (struct trace_name){
			.vcpu = id, .guest_id = guest_id, .index = index,
			.flags = USED, .born_ticks = time_now_ticks(),
		};
		memcpy(n->guest, guest,
		       strnlen(guest, sizeof(n->guest) - 1));
	}
	ck_spinlock_fas_unlock(&lock);
	return id;
}

void tracer_name_gone(u32 id)
{
	if (id == TRACE_NOBODY)
		return;
	ck_spinlock_fas_lock(&lock);
	name_at(id)->gone_ticks = time_now_ticks();
	name_at(id)->flags = USED;
	if (dead)
		name_at(dead_last)->flags = (id + 1) << 1 | USED;
	else
		dead_first = id;
	dead_last = id;
	dead++;
	ck_spinlock_fas_unlock(&lock);
}

bool tracer_name(u32 i, struct trace_name *out)
{
	bool there;

	ck_spinlock_fas_lock(&lock);
	there = i < trace_memory.names;
	if (there) {
		*out = *name_at(i);
		out->flags &= USED;
	}
	ck_spinlock_fas_unlock(&lock);
	return there;
}
