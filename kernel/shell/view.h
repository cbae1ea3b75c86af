/*
 * How guests' output gets onto the terminal: as lines with the guest's name in
 * front (watching), or byte by byte (attached to one of them).
 *
 * Context: the console's task.
 */
#ifndef ROUSE_KERNEL_SHELL_VIEW_H
#define ROUSE_KERNEL_SHELL_VIEW_H

#include "kernel/base.h"
#include "kernel/gcons.h"
#include "kernel/shell/line.h"
#include "kernel/shell/out.h"

/* A line without an end is shown after this long. */
#define VIEW_PARTIAL_MS 300

/*
 * Showing a guest's lines may take one VIEW_PACE-th of a CPU's time, beside
 * VIEW_BURST_MS that it can have at once. Once used up it waits until it has
 * VIEW_PIECE_US.
 */
#define VIEW_PACE     200
#define VIEW_BURST_MS 1000
#define VIEW_PIECE_US 1000

struct view {
	struct outq *q;
	struct line *line;	     /* hidden before anything is shown */
	struct gcons *first, **last; /* may have something to show */
	u32 count;		     /* of them */
	u32 round_left;		     /* of a round: to be looked at yet */
	bool round_more;	     /* one of those before had a line */
	u64 round_due_ticks;	     /* when the first of them is due */
	struct gcons *attached;
	bool escapes;	     /* the attached one has sent escape sequences */
	struct gcons *payer; /* whose output was looked at last, or NULL */
	bool unpaced;	     /* the machine ends: show what there is */
};

void view_init(struct view *v, struct outq *q, struct line *line);
void view_fini(struct view *v);

/*
 * One line, in one piece, safe for any terminal: "[linux0] text". Escape
 * sequences that move or colour are left out, other control characters come as
 * ^X, bytes that aren't UTF-8 as \xNN; tabs stay.
 */
void view_line(struct out *o, const char *name, const char *s, size_t n);

/*
 * Watching. watch: whether lines of `c` are shown, beginning with what nobody
 * has been shown yet. lines: one line each of some that have one; true if there
 * is more now, else *wake_ticks is when a line without an end is due.
 */
void view_watch(struct view *v, struct gcons *c, bool on);
bool view_lines(struct view *v, u64 now_ticks, u64 *wake_ticks);

/* What has been done since view_lines took so long: `payer` pays for it. */
void view_spent(struct view *v, u64 ticks);

/*
 * Attached: everything since the last time is shown again as it was written,
 * or, if there is nothing new, the line that the guest stands in. raw: shows a
 * piece; true: there is more. detach: back to lines.
 */
void view_attach(struct view *v, struct gcons *c);
bool view_raw(struct view *v);
void view_detach(struct view *v);

#endif
