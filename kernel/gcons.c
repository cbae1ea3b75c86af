/*
 * Guests' consoles: output that never waits for its reader.
 *
 * The problem: a guest may print at any rate, from all of its vCPUs at once,
 * to a terminal that takes a few thousand bytes a second and may show something
 * else. The vCPU must go on at once, the reader must find a consistent text,
 * and telling the reader must cost a flooding guest next to nothing.
 *
 * Output is a ring of bytes numbered from creation on; [tail, head) is kept. A
 * writer that needs room moves `tail`: the oldest go first. The reader keeps
 * positions of its own, and one that has fallen behind `tail` learns by how
 * much. So writers know nothing of readers but one number, `seen`, which tells
 * bytes lost from bytes merely forgotten.
 *
 * Telling: the first writer after the reader has settled puts the console on
 * the dirty list and wakes the reader; until it settles again, others only
 * copy. Both looks, "is there more?" with clearing `dirty` and "is it dirty?"
 * with adding bytes, happen under the same lock, so no byte can slip between
 * them. A console that nobody wants to see is never put there.
 *
 * The locks are held for one copy of at most GCONS_PIECE_BYTES; a guest can
 * only meet itself and the reader there. They are not fair: whoever swaps first
 * has one. What keeps the reader from waiting for long is that only CPUs
 * contend, each of which has at least the guest's way out and in, until its
 * next call, after four copies at most (DBCN writes 1 KiB in one exit). A
 * lock-free ring for many writers that overwrite was rejected: a writer stopped
 * between claiming and filling leaves a hole that no reader can tell from text,
 * and all it would save is a lock that only the guest's own vCPUs want.
 *
 * Order of locks: input_lock, then the device's; `lock` and the list's lock are
 * leaves.
 *
 * Input goes to the console device (emul_ops.input) as far as it has room, and
 * by guest_console_get to a guest that asks by SBI. Who asks by SBI would lose
 * what the device has swallowed, so from then on the device is offered nothing,
 * until the guest turns to the device again.
 */
#include "kernel/gcons.h"

#include "emul/emul.h"
#include "kernel/guest.h"
#include "kernel/mem.h"

#include <ck_pr.h>
#include <string.h>

#define GCONS_PIECE_BYTES 256u

static struct {
	ck_spinlock_fas_t lock;
	struct gcons *first, **last;
	void (*wake)(void);
	u32 watch_new;
} dirty = {.lock = CK_SPINLOCK_FAS_INITIALIZER, .last = &dirty.first};

void gcons_on_output(void (*wake)(void))
{
	ck_pr_store_ptr(&dirty.wake, wake);
}

void gcons_watch_new(bool watched)
{
	ck_pr_store_32(&dirty.watch_new, watched);
}

/* ---- life ---- */

static void gcons_free(struct gcons *c)
{
	obj_free(c->name);
	obj_free(c->ring);
	obj_free(c->input);
	obj_free(c);
}

int gcons_create(struct guest *g)
{
	size_t name_bytes = strlen(g->cfg.name) + 1;
	struct gcons *c = obj_alloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->name = obj_alloc(name_bytes);
	c->ring = obj_alloc(GCONS_RING_BYTES);
	c->input = obj_alloc(GCONS_INPUT_BYTES);
	if (!c->name || !c->ring || !c->input) {
		gcons_free(c);
		return -ENOMEM;
	}
	memcpy(c->name, g->cfg.name, name_bytes);
	c->ring_bytes = GCONS_RING_BYTES;
	c->refs = 1;
	ck_spinlock_fas_init(&c->lock);
	ck_spinlock_fas_init(&c->input_lock);
	c->guest = g;
	c->watched = ck_pr_load_32(&dirty.watch_new) != 0;
	c->wanted = c->watched;
	g->console = c;
	return 0;
}

void gcons_destroy(struct guest *g)
{
	struct gcons *c = g->console;

	if (!c)
		return;
	g->console = NULL;
	ck_spinlock_fas_lock(&c->input_lock);
	/* gcons_orphaned has no lock. */
	ck_pr_store_ptr(&c->guest, NULL);
	ck_spinlock_fas_unlock(&c->input_lock);
	gcons_put(c);
}

void gcons_get(struct gcons *c)
{
	ck_pr_inc_32(&c->refs);
}

void gcons_put(struct gcons *c)
{
	bool last;

	/*
	 * Before the decrement: all of this holder's accesses come before the
	 * free that another one may do. Without it a late store of ours could
	 * land in memory that's someone else's. After it: the free comes after
	 * the decrements of all others.
	 */
	ck_pr_fence_memory();
	ck_pr_dec_32_zero(&c->refs, &last);
	if (!last)
		return;
	ck_pr_fence_memory();
	gcons_free(c);
}

bool gcons_orphaned(struct gcons *c)
{
	return !ck_pr_load_ptr(&c->guest);
}

void gcons_reset(struct guest *g)
{
	struct gcons *c = g->console;

	if (!c)
		return;
	ck_spinlock_fas_lock(&c->input_lock);
	c->input_tail = c->input_head;
	c->by_sbi = false;
	ck_spinlock_fas_unlock(&c->input_lock);
}

/* ---- output ---- */

/* Puts `c` on the list unless it's there, and wakes the reader. */
static void dirty_push(struct gcons *c)
{
	void (*wake)(void) = ck_pr_load_ptr(&dirty.wake);

	ck_spinlock_fas_lock(&dirty.lock);
	if (!c->listed) {
		gcons_get(c);
		c->listed = true;
		c->dirty_next = NULL;
		*dirty.last = c;
		dirty.last = &c->dirty_next;
	}
	ck_spinlock_fas_unlock(&dirty.lock);
	if (wake)
		wake();
}

struct gcons *gcons_next_dirty(void)
{
	struct gcons *c;

	ck_spinlock_fas_lock(&dirty.lock);
	c = dirty.first;
	if (c) {
		c->listed = false;
		dirty.first = c->dirty_next;
		if (!dirty.first)
			dirty.last = &dirty.first;
	}
	ck_spinlock_fas_unlock(&dirty.lock);
	return c;
}

/* Adds up to a piece; true: it must go on the dirty list. `lock` is held. */
static bool gcons_add_locked(struct gcons *c, const char *buf, size_t n)
{
	size_t at = c->head & (c->ring_bytes - 1);
	size_t k = MIN(n, c->ring_bytes - at);

	memcpy(c->ring + at, buf, k);
	memcpy(c->ring, buf + k, n - k);
	c->head += n;
	if (c->head - c->tail > c->ring_bytes) {
		u64 tail = c->head - c->ring_bytes;

		if (c->seen < tail)
			c->lost_bytes += tail - MAX(c->seen, c->tail);
		c->tail = tail;
	}
	if (!c->wanted || c->dirty)
		return false;
	c->dirty = true;
	return true;
}

void guest_console_put(struct guest *g, const char *buf, size_t len)
{
	struct gcons *c = g->console;

	while (len) {
		size_t n = MIN(len, GCONS_PIECE_BYTES);
		bool tell;

		ck_spinlock_fas_lock(&c->lock);
		tell = gcons_add_locked(c, buf, n);
		ck_spinlock_fas_unlock(&c->lock);
		if (tell)
			dirty_push(c);
		buf += n;
		len -= n;
	}
}

void gcons_want(struct gcons *c, bool wanted)
{
	ck_spinlock_fas_lock(&c->lock);
	c->wanted = wanted;
	c->dirty = wanted;
	ck_spinlock_fas_unlock(&c->lock);
	if (wanted)
		dirty_push(c);
}

bool gcons_settle(struct gcons *c, u64 head)
{
	bool settled;

	ck_spinlock_fas_lock(&c->lock);
	settled = c->head == head;
	if (settled)
		c->dirty = false;
	ck_spinlock_fas_unlock(&c->lock);
	return settled;
}

size_t gcons_peek(struct gcons *c, u64 *at, char *buf, size_t len,
		  u64 *lost_bytes, u64 *head)
{
	size_t off, n, k;

	*lost_bytes = 0;
	ck_spinlock_fas_lock(&c->lock);
	if (*at < c->tail) {
		*lost_bytes = c->tail - *at;
		*at = c->tail;
	}
	*head = c->head;
	n = (size_t)MIN(c->head - *at, (u64)MIN(len, GCONS_PIECE_BYTES));
	off = *at & (c->ring_bytes - 1);
	k = MIN(n, c->ring_bytes - off);
	memcpy(buf, c->ring + off, k);
	memcpy(buf + k, c->ring, n - k);
	ck_spinlock_fas_unlock(&c->lock);
	return n;
}

void gcons_shown(struct gcons *c, u64 at)
{
	ck_spinlock_fas_lock(&c->lock);
	c->seen = MAX(c->seen, at);
	ck_spinlock_fas_unlock(&c->lock);
}

u64 gcons_line_start(struct gcons *c)
{
	u64 at, floor;

	ck_spinlock_fas_lock(&c->lock);
	floor = c->head - MIN(c->head - c->tail, (u64)GCONS_PIECE_BYTES);
	for (at = c->head; at > floor; at--) {
		if (c->ring[(at - 1) & (c->ring_bytes - 1)] == '\n')
			break;
	}
	ck_spinlock_fas_unlock(&c->lock);
	return at;
}

void gcons_stats(struct gcons *c, struct gcons_stats *out)
{
	ck_spinlock_fas_lock(&c->lock);
	out->written_bytes = c->head;
	out->unseen_bytes = c->head - MIN(c->head, MAX(c->seen, c->tail));
	out->lost_bytes = c->lost_bytes;
	ck_spinlock_fas_unlock(&c->lock);
}

/* ---- input ---- */

/* The oldest of the input that lies in one piece. `input_lock` is held. */
static u32 input_peek_locked(const struct gcons *c, const char **s)
{
	u32 at = c->input_tail % GCONS_INPUT_BYTES;
	u32 n = c->input_head - c->input_tail;

	*s = c->input + at;
	return MIN(n, (u32)GCONS_INPUT_BYTES - at);
}

/* Gives the device what it takes. `input_lock` is held. */
static void input_pump_locked(struct gcons *c)
{
	struct emul_dev *dev;
	const char *s;
	size_t took;
	u32 n;

	if (c->by_sbi || !c->guest)
		return;
	for (dev = c->guest->devices; dev; dev = dev->next) {
		if (dev->ops->input)
			break;
	}
	while (dev && (n = input_peek_locked(c, &s)) != 0) {
		took = dev->ops->input(dev, s, n);
		c->input_tail += (u32)took;
		if (took < n)
			return;
	}
}

size_t gcons_type(struct gcons *c, const char *buf, size_t len)
{
	size_t n;

	ck_spinlock_fas_lock(&c->input_lock);
	for (n = 0; n < len && c->guest; n++) {
		if (c->input_head - c->input_tail == GCONS_INPUT_BYTES)
			break;
		c->input[c->input_head++ % GCONS_INPUT_BYTES] = buf[n];
	}
	input_pump_locked(c);
	ck_spinlock_fas_unlock(&c->input_lock);
	return n;
}

void guest_console_ready(struct guest *g)
{
	struct gcons *c = g->console;

	ck_spinlock_fas_lock(&c->input_lock);
	c->by_sbi = false;
	input_pump_locked(c);
	ck_spinlock_fas_unlock(&c->input_lock);
}

size_t guest_console_get(struct guest *g, char *buf, size_t len)
{
	struct gcons *c = g->console;
	const char *s;
	size_t n = 0;
	u32 k;

	ck_spinlock_fas_lock(&c->input_lock);
	c->by_sbi = true;
	while (n < len && (k = input_peek_locked(c, &s)) != 0) {
		k = (u32)MIN((size_t)k, len - n);
		memcpy(buf + n, s, k);
		c->input_tail += k;
		n += k;
	}
	ck_spinlock_fas_unlock(&c->input_lock);
	return n;
}
