/*
 * A knockout tournament: the least key wins.
 *
 * Virtual times and timers want a queue that holds thousands, needs no memory
 * of its own, and has no long step. Above all, the first one leaves and another
 * comes (heap_exchange), at each turn of a vCPU. Who comes then has the place
 * of the one that leaves, and plays that one's matches again: log2(n) of them,
 * rounded up, at 7 instructions each that is won and 15 that is lost.
 *
 * Each match has a loser, and each node but the root has lost one match. So a
 * match needs no memory but that of its loser, which stands in the ring of the
 * node that has beaten it, in the order in which that one played. The way from
 * a node's place to the root is along its own ring; at the end, where the ring
 * leads back to the node, it has lost, and the way goes on behind it in the
 * ring of the one that has beaten it:
 *
 *	a has beaten b, then c, which has beaten d
 *
 *	the ring of a:	a -> b -> c -> a
 *	the ring of c:	c -> d -> c
 *	d's way:	lost to c; c lost to a
 *
 * Places are numbered, one for each node that is pushed. Matches are between
 * places with the same bits above one: 0 and 1, 2 and 3, then the winners of
 * both, as a binary counter carries. `side`, a power of two, says how many
 * places there are on each side of a match. A place that is left stays empty:
 * who would have met its node has a walkover, and that match is gone. Only at
 * the end are empty places given back (heap_remove_more).
 *
 * Invariants: no node's key is less than that of the one that has beaten it.
 * Along each way `side` grows, so no way has more matches than `places` has
 * bits, nor, of course, than there are other nodes. *n->end is `n`. `last` is
 * in the last `side` places, where that is the lowest bit of `places`. Of a
 * heap of one, nothing but `root` and that one's `first` is kept. By `came` no
 * two nodes are equal, so who is first depends on the nodes alone, and not on
 * how they came to stand where they do.
 *
 * Rejected: a pairing heap (1.1 to 1.6 comparisons where here is one, twice as
 * many links to change, and a step may be O(n)), matches with memory of their
 * own (25 instructions more in each exchange, to put one node's match in the
 * place of another's), giving back each empty place at once (a second node to
 * find and to move at each removal), a leftist heap, a red-black tree, a timer
 * wheel (rounds, or pays for each empty slot), a sorted list (O(n)), a binary
 * heap in an array (grows: memory in the way of going to sleep).
 */
#include "kernel/heap.h"

/* Who has beaten `n`, which isn't the root. */
static inline struct heap_node *vanquisher(const struct heap_node *n)
{
	/* Only at its end does a ring lead to one whose ring ends there. */
	while (n->next->end != &n->next)
		n = n->next;
	return n->next;
}

/* What points to `n` in the ring of `w`. */
static inline struct heap_node **ring_slot(struct heap_node *w,
					   const struct heap_node *n)
{
	struct heap_node **slot = &w->first;

	while (*slot != n)
		slot = &(*slot)->next;
	return slot;
}

static inline void ring_insert(struct heap_node *w, struct heap_node **slot,
			       struct heap_node *n)
{
	n->next = *slot;
	*slot = n;
	if (w->end == slot)
		w->end = &n->next;
}

static inline void ring_remove(struct heap_node *w, struct heap_node **slot)
{
	struct heap_node *n = *slot;

	*slot = n->next;
	if (w->end == &n->next)
		w->end = slot;
}

/* `n` has beaten `w` in the match at `slot`: the others that follow there have
 * lost to `n`, then. */
static inline void ring_win(struct heap_node *n, struct heap_node *w,
			    struct heap_node **slot)
{
	struct heap_node *rest = *slot, **rest_end = w->end;

	*slot = w;
	w->end = slot;
	*n->end = w;
	n->end = &w->next;
	if (rest != w) {
		w->next = rest;
		n->end = rest_end;
	}
	*n->end = n;
}

/* `n`, which came last, meets `w` at `slot` of w's ring, in a match with so
 * many places on each side; then, as long as it wins, those whom the loser had
 * met after that. */
static void enter(struct heap *h, struct heap_node *n, struct heap_node *w,
		  struct heap_node **slot, u64 side)
{
	while ((s64)(n->key - w->key) < 0) {
		struct heap_node *next = NULL, **next_slot = NULL;
		u64 next_side = w->side;

		if (w != h->root) {
			next = vanquisher(w);
			next_slot = ring_slot(next, w);
			ring_remove(next, next_slot);
		}
		w->side = side;
		ring_win(n, w, slot);
		if (!next) {
			h->root = n;
			return;
		}
		w = next;
		slot = next_slot;
		side = next_side;
	}
	n->side = side;
	ring_insert(w, slot, n);
}

/* Who has won so far of the last `side` places, and where in its ring that one
 * goes on. */
static inline struct heap_node *last_winner(const struct heap *h, u64 side,
					    struct heap_node ***slot)
{
	struct heap_node *w = h->last, **at = &w->first;

	for (;;) {
		if (*at != w && (*at)->side < side) {
			at = &(*at)->next;
		} else if (*at == w && w != h->root && w->side < side) {
			at = &w->next;
			w = vanquisher(w);
		} else {
			*slot = at;
			return w;
		}
	}
}

void heap_push_more(struct heap *h, struct heap_node *n)
{
	struct heap_node *w = h->root, **slot;
	u64 side;

	if (heap_single(h)) {
		w->end = &w->first;
		w->came = 0;
		h->last = w;
		h->places = h->came = 1;
	}
	n->end = &n->first;
	n->came = h->came++;
	side = h->places & -h->places;
	w = last_winner(h, side, &slot);
	h->places++;
	h->last = n;
	enter(h, n, w, slot, side);
}

void heap_remove_more(struct heap *h, struct heap_node *n)
{
	struct heap_node *c = n->first, *w = NULL, **slot = NULL;

	if (n != h->root) {
		w = vanquisher(n);
		slot = ring_slot(w, n);
		ring_remove(w, slot);
	}
	if (h->last == n) {
		/* Its first match was against the end of what is left. */
		u64 side = c != n ? c->side : n->side;

		h->places = (h->places - 1) & -side;
		h->last = c != n ? c : w;
	}
	if (c == n)
		return;
	c = heap_play(c, c->end, c->next, n);
	if (!w) {
		h->root = c;
	} else {
		c->side = n->side;
		ring_insert(w, slot, c);
	}
}

struct heap_node *heap_walk(const struct heap *h, struct heap_node *n)
{
	if (n->first != n)
		return n->first;
	for (; n != h->root; n = n->next) {
		if (n->next->end != &n->next)
			return n->next;
	}
	return NULL;
}
