/*
 * A guest's console: what it wrote and nobody has read yet, and what was typed
 * for it and it has not taken yet.
 *
 * Many write (the guest's vCPUs, on any CPUs), one reads (the console's task).
 * Nobody waits: output that finds the ring full pushes out the oldest, input
 * that finds it full is refused. Each lock is held for one short copy.
 *
 * guest_console_put, guest_console_ready and guest_console_get of
 * kernel/guest.h are here as well.
 */
#ifndef ROUSE_KERNEL_GCONS_H
#define ROUSE_KERNEL_GCONS_H

#include "kernel/base.h"

#include <ck_spinlock.h>

struct guest;

#define GCONS_RING_BYTES  (64 * KIB)
#define GCONS_INPUT_BYTES (4 * KIB)

struct gcons {
	/* Constant after creation. */
	char *name; /* the guest's */
	char *ring;
	size_t ring_bytes; /* a power of two */

	u32 refs; /* atomic: the guest, the dirty list, each of the reader's */

	/* Under `lock`. Positions count bytes since creation. */
	ck_spinlock_fas_t lock __cacheline;
	u64 head;	/* where the next byte goes */
	u64 tail;	/* the oldest byte kept */
	u64 seen;	/* the reader has been shown all before this */
	u64 lost_bytes; /* pushed out before they were shown */
	bool wanted;	/* tell the reader of output */
	bool dirty;	/* it has been told, and has not settled since */

	/* Under `input_lock`. */
	ck_spinlock_fas_t input_lock __cacheline;
	struct guest *guest; /* NULL when it's gone */
	char *input;
	u32 input_head, input_tail; /* count bytes */
	bool by_sbi; /* the guest reads by SBI: offer the device nothing */

	/* Under the dirty list's lock. */
	struct gcons *dirty_next;
	bool listed; /* is on the dirty list */

	/* The console's task only. */
	struct gcons *active_next;
	bool active;
	bool watched;	/* shown as lines; attached or not */
	u64 shown_raw;	/* shown while attached, up to here */
	u64 shown_line; /* shown as lines with a prefix, up to here */
	u64 partial_head, partial_since_ticks;
	u64 pace_ticks; /* `allowance` was right then; 0: it is new */
	s64 allowance;	/* VIEW_PACE times the ticks that its lines may take */
	bool paced;	/* waits until it has some again */
};

/*
 * Makes the console of `g` (named g->cfg.name, kept in g->console), or takes
 * it from the guest, of which no vCPU runs any more. 0 or -ENOMEM. Any CPU.
 */
int gcons_create(struct guest *g) __must_check;
void gcons_destroy(struct guest *g);

/* Input that the guest has not taken is forgotten; for a guest's restart. */
void gcons_reset(struct guest *g);

/* A reference, and its end: the last frees. Any CPU. */
void gcons_get(struct gcons *c);
void gcons_put(struct gcons *c);

/* Has the guest been destroyed? Any CPU. */
bool gcons_orphaned(struct gcons *c);

/* Whom to wake when a wanted console has output: once, before any guest. */
void gcons_on_output(void (*wake)(void));

/* Whether consoles created from now on are watched (and wanted) at once. */
void gcons_watch_new(bool watched);

/*
 * For the console's task.
 *
 * want: tell of output, beginning with what's there already, or don't.
 * next_dirty: a console that has output and was not settled, with a reference
 * for the caller; NULL if there is none.
 * settle: the reader has seen the output up to `head`. True: there is no more,
 * and the next byte makes the console dirty again. False: read on.
 */
void gcons_want(struct gcons *c, bool wanted);
struct gcons *gcons_next_dirty(void);
bool gcons_settle(struct gcons *c, u64 head);

/*
 * Copies up to `len` bytes of output from position *at on. If those are lost,
 * *at moves to the oldest kept and *lost_bytes says by how much (else 0).
 * Returns the count; *at still names the first byte copied. *head is the end
 * of what there is.
 */
size_t gcons_peek(struct gcons *c, u64 *at, char *buf, size_t len,
		  u64 *lost_bytes, u64 *head);

/* Output before `at` has been shown to someone. */
void gcons_shown(struct gcons *c, u64 at);

/* Where the last line that isn't finished begins, at most 256 bytes back. */
u64 gcons_line_start(struct gcons *c);

/* Types `len` bytes for the guest; returns how many there was room for. */
size_t gcons_type(struct gcons *c, const char *buf, size_t len);

struct gcons_stats {
	u64 written_bytes;
	u64 unseen_bytes; /* kept, and shown to nobody yet */
	u64 lost_bytes;
};

void gcons_stats(struct gcons *c, struct gcons_stats *out);

#endif
