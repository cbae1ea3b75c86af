/*
 * Watching and attaching.
 *
 * Guests write what they like, and several of them are shown on one terminal:
 * so a watched guest gets whole lines, its name in front, and nothing of what
 * it sends may move the cursor, change the title or answer for the user. Well
 * formed CSI sequences (colours, the cursor query of a shell) are dropped,
 * because they say how and not what; whatever else isn't plain text is made
 * visible instead. Attached to one guest, the terminal is that guest's, and
 * gets every byte unchanged.
 *
 * A round takes one line of each console in turn, so a guest that floods gets
 * as many lines on the screen as its neighbours and loses the rest of its own.
 * Nor does it get what it likes of the CPU on which they are shown, which is no
 * guest's time: after a good burst its lines come at a pace (VIEW_PACE), and
 * more of them are lost. A guest that one is attached to isn't held back.
 * A line is read when its end is there; one that doesn't end (a prompt) is
 * shown after a moment, and what comes later begins a new one.
 *
 * Each console keeps two positions, shown_line and shown_raw, because attaching
 * is to repeat what went by as lines, with all of its colours, but leaving must
 * not repeat as lines what was just seen raw.
 */
#include "kernel/shell/view.h"

#include "kernel/time.h"

#include <inttypes.h>
#include <string.h>

#define PIECE_BYTES   256u
#define STEP_CONSOLES 8u /* looked at in one call */
#define ESC	      0x1b

void view_init(struct view *v, struct outq *q, struct line *line)
{
	*v = (struct view){.q = q, .line = line};
	v->last = &v->first;
}

/* ---- one safe line ---- */

/* The length of a CSI sequence at s[0..n), 0 if it isn't a whole one. */
static size_t csi_len(const char *s, size_t n)
{
	size_t i = 2;

	if (n < 3 || s[0] != ESC || s[1] != '[')
		return 0;
	while (i < n && s[i] >= ' ' && s[i] <= '?')
		i++;
	return i < n && s[i] >= '@' && s[i] <= '~' ? i + 1 : 0;
}

/*
 * The length of a UTF-8 sequence at s[0..n) that is complete, shortest, no
 * surrogate and no C1 control (U+0080 to U+009F work like escapes); 0 if not.
 * Unicode 15, table 3-7.
 */
static size_t utf8_len(const char *s, size_t n)
{
	u8 a = (u8)s[0], b = n > 1 ? (u8)s[1] : 0;
	u8 low = 0x80, high = 0xbf;
	size_t len = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;

	if (a < 0xc2 || a > 0xf4 || n < len)
		return 0;
	if (a == 0xc2 || a == 0xe0)
		low = 0xa0;
	else if (a == 0xf0)
		low = 0x90;
	if (a == 0xed)
		high = 0x9f;
	else if (a == 0xf4)
		high = 0x8f;
	if (b < low || b > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (((u8)s[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

/* The byte at *s, made visible. */
static void show_odd(struct out *o, u8 c)
{
	char caret[2] = {'^', (char)(c ^ 0x40)};

	if (c < 0x80)
		out_put(o, caret, 2);
	else
		out_fmt(o, "\\x%02x", c);
}

static void show_safe(struct out *o, const char *s, size_t n)
{
	size_t plain = 0, k;

	while (plain < n) {
		u8 c = (u8)s[plain];

		if ((c >= ' ' && c < 0x7f) || c == '\t') {
			plain++;
			continue;
		}
		k = utf8_len(s + plain, n - plain);
		if (k) {
			plain += k;
			continue;
		}
		out_put(o, s, plain);
		k = csi_len(s + plain, n - plain);
		if (!k) {
			show_odd(o, c);
			k = 1;
		}
		s += plain + k;
		n -= plain + k;
		plain = 0;
	}
	out_put(o, s, plain);
}

void view_line(struct out *o, const char *name, const char *s, size_t n)
{
	while (n && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	out_fmt(o, "[%s] ", name);
	show_safe(o, s, n);
	out_str(o, "\n");
}

/* ---- watching ---- */

/* Takes over the reference of gcons_next_dirty. */
static void active_add(struct view *v, struct gcons *c)
{
	if (c->active) {
		gcons_put(c);
		return;
	}
	c->active = true;
	c->active_next = NULL;
	*v->last = c;
	v->last = &c->active_next;
	v->count++;
}

static struct gcons *active_take(struct view *v)
{
	struct gcons *c = v->first;

	v->first = c->active_next;
	if (!v->first)
		v->last = &v->first;
	v->count--;
	c->active = false;
	return c;
}

static void view_lost(struct view *v, struct gcons *c, u64 lost_bytes)
{
	if (lost_bytes)
		out_fmt(&v->q->text, "[%s] ... %" PRIu64 " bytes lost ...\n",
			c->name, lost_bytes);
}

/* ---- at a pace ---- */

/* False: it has used up what its lines may take; *due_ticks is when it has
 * enough again. */
static bool pace_allows(struct gcons *c, u64 now_ticks, u64 *due_ticks)
{
	s64 most = (s64)us_to_ticks(VIEW_BURST_MS * 1000) * VIEW_PACE;
	s64 piece = (s64)us_to_ticks(VIEW_PIECE_US) * VIEW_PACE;

	if (!c->pace_ticks)
		c->allowance = most;
	else
		c->allowance = MIN(
			most, c->allowance + (s64)(now_ticks - c->pace_ticks));
	c->pace_ticks = now_ticks;
	if (c->allowance >= (c->paced ? piece : 0)) {
		c->paced = false;
		return true;
	}
	c->paced = true;
	*due_ticks = now_ticks + (u64)(piece - c->allowance);
	return false;
}

void view_spent(struct view *v, u64 ticks)
{
	if (v->payer)
		v->payer->allowance -= (s64)ticks * VIEW_PACE;
}

enum view_did {
	VIEW_NOTHING, /* all of it has been shown */
	VIEW_LATER,   /* a line without an end, not due yet */
	VIEW_A_LINE,
};

static enum view_did view_one(struct view *v, struct gcons *c, u64 now_ticks,
			      u64 *due_ticks)
{
	u64 at = c->shown_line, head, lost_bytes;
	char buf[PIECE_BYTES];
	size_t n, take;
	char *end;

	if (!c->watched)
		return VIEW_NOTHING;
	/* It stays dirty: no need to be told of more. */
	if (!pace_allows(c, now_ticks, due_ticks) && !v->unpaced &&
	    !gcons_orphaned(c))
		return VIEW_LATER;
	/* For a look that shows nothing as well: a byte at a time,
	 * each tells. */
	v->payer = c;
	n = gcons_peek(c, &at, buf, sizeof(buf), &lost_bytes, &head);
	if (!n) {
		c->shown_line = at;
		return gcons_settle(c, head) ? VIEW_NOTHING : VIEW_A_LINE;
	}
	end = memchr(buf, '\n', n);
	take = end ? (size_t)(end - buf) + 1 : n;
	if (!end && n < sizeof(buf)) {
		if (c->partial_head != head) {
			c->partial_head = head;
			c->partial_since_ticks = now_ticks;
		}
		*due_ticks = c->partial_since_ticks +
			     us_to_ticks(VIEW_PARTIAL_MS * 1000);
		if (now_ticks < *due_ticks && !gcons_orphaned(c))
			return gcons_settle(c, head) ? VIEW_LATER : VIEW_A_LINE;
	}
	line_hide(v->line);
	view_lost(v, c, lost_bytes);
	view_line(&v->q->text, c->name, buf, take);
	c->shown_line = at + take;
	gcons_shown(c, c->shown_line);
	return VIEW_A_LINE;
}

static void view_begin_round(struct view *v)
{
	v->round_left = v->count;
	v->round_more = false;
	v->round_due_ticks = TIME_NEVER;
}

bool view_lines(struct view *v, u64 now_ticks, u64 *wake_ticks)
{
	u64 due_ticks = TIME_NEVER;
	struct gcons *c;
	u32 fresh;

	v->payer = NULL;
	for (fresh = 0; fresh < STEP_CONSOLES; fresh++) {
		c = gcons_next_dirty();
		if (!c)
			break;
		active_add(v, c);
	}
	if (!v->round_left)
		view_begin_round(v);
	for (u32 i = 0; i < STEP_CONSOLES && v->round_left; i++) {
		v->round_left--;
		c = active_take(v);
		switch (view_one(v, c, now_ticks, &due_ticks)) {
		case VIEW_NOTHING:
			v->payer = NULL;
			gcons_put(c);
			continue;
		case VIEW_LATER:
			v->round_due_ticks = MIN(v->round_due_ticks, due_ticks);
			break;
		case VIEW_A_LINE:
			v->round_more = true;
			break;
		}
		active_add(v, c);
		if (v->payer)
			break;
	}
	if (v->round_left || v->round_more || fresh == STEP_CONSOLES)
		return true;
	*wake_ticks = MIN(*wake_ticks, v->round_due_ticks);
	return false;
}

void view_watch(struct view *v, struct gcons *c, bool on)
{
	c->watched = on;
	gcons_want(c, on || c == v->attached);
}

/* ---- attached ---- */

void view_attach(struct view *v, struct gcons *c)
{
	u64 at = c->shown_raw, head, lost_bytes;
	char none;

	gcons_get(c);
	v->attached = c;
	v->escapes = false;
	gcons_peek(c, &at, &none, 0, &lost_bytes, &head);
	if (lost_bytes)
		out_fmt(&v->q->text,
			"[rouse: %" PRIu64 " older bytes are no longer kept]\n",
			lost_bytes);
	if (at == head)
		at = gcons_line_start(c);
	c->shown_raw = at;
	gcons_want(c, true);
}

bool view_raw(struct view *v)
{
	struct gcons *c = v->attached;
	u64 at = c->shown_raw, head, lost_bytes;
	char buf[PIECE_BYTES];
	size_t n = gcons_peek(c, &at, buf, sizeof(buf), &lost_bytes, &head);

	if (lost_bytes)
		out_fmt(&v->q->text, "\n[rouse: %" PRIu64 " bytes lost]\n",
			lost_bytes);
	c->shown_raw = at + n;
	if (!n)
		return !gcons_settle(c, head);
	v->escapes |= memchr(buf, ESC, n) != NULL;
	out_put(&v->q->raw, buf, n);
	gcons_shown(c, c->shown_raw);
	return true;
}

void view_detach(struct view *v)
{
	struct gcons *c = v->attached;

	if (!c)
		return;
	v->attached = NULL;
	c->shown_line = MAX(c->shown_line, c->shown_raw);
	gcons_want(c, c->watched);
	if (v->escapes)
		out_str(&v->q->raw, "\033[0m");
	gcons_put(c);
}

void view_fini(struct view *v)
{
	struct gcons *c;

	view_detach(v);
	while ((c = gcons_next_dirty()) != NULL)
		active_add(v, c);
	while (v->first)
		gcons_put(active_take(v));
}
