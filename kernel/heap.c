/*
 * A knockout tournament: the least key wins.
 *
 * Virtual times and timers want a queue that holds thousands, takes no memory
 * when something is added, and has no long step. Above all, the first one
 * leaves and another comes (heap_exchange), at each turn of a vCPU. Who comes
 * then has the place of the one that leaves, and plays that one's matches
 * again: log2(n) of them, rounded up, at 7 instructions each that is won and 9
 * that is lost.
 *
 * n nodes have n - 1 matches, a tree. Each match keeps its loser, so whoever
 * has the place of the winner of all finds at each match on its way the very
 * one to be met there. Nodes know where they begin (leaf); where they have lost
 * is not kept: it would be one store more in each match that is lost.
 *
 * The tree is that of numbers: match 1 is the last one, and the children of a
 * match are those whose number has one bit more at its upper end. Who comes
 * shares the place of one who begins where match `count` is to be, and that
 * match is put there. Who leaves has the place taken by the loser of match
 * `count` - 1, who has room then. So no way is longer than log2(n), rounded up.
 *
 * Memory: each node brings that of one match. Which match of the tree it is
 * used for matters to nobody. A node that is removed takes it along, and what
 * is in it moves (match_move). In an exchange nothing does: the one that comes
 * has lent its own before (heap_lend), and the one that leaves, as a rule the
 * next to come, leaves its own. At most one has lent. When it must have it
 * again it says so (heap_give_back).
 *
 * Invariants: all matches are of nodes in the heap, or of the one that has
 * lent. One of these is `spare`; and if one has lent, another is `lent`.
 * `loser` is NULL in the two. A match's loser isn't before its winner. By
 * `came` no two nodes are equal, so who is first depends on the nodes alone,
 * and not on how they came to stand where they do. In a heap of one nothing but
 * `root` is kept.
 *
 * Rejected: a match in the memory of its loser (nothing is lent, but who loses
 * has to be linked anew: 15 instructions, and 7 where it wins), moving a match
 * in each exchange (25 more), a pairing heap (1.1 to 1.6 comparisons where here
 * is one, twice as many links to change, and a step may be O(n)), a leftist
 * heap, a red-black tree, a timer wheel (rounds, or pays for each empty slot),
 * a sorted list (O(n)), a binary heap in an array (grows: memory in the way of
 * going to sleep).
 */
#include "kernel/heap.h"

/* Where match `number` is or is to be, and the one above it. */
static struct heap_match **match_slot(struct heap *h, u64 number,
				      struct heap_match **up)
{
	struct heap_match **slot = &h->top;

	*up = NULL;
	for (; number > 1; number >>= 1) {
		*up = *slot;
		slot = &(*slot)->child[number & 1];
	}
	return slot;
}

/* Who begins at `m` and has lost at `from` or above it, or never; the root if
 * nobody does. */
static struct heap_node *beginner(const struct heap *h,
				  const struct heap_match *m,
				  const struct heap_match *from)
{
	for (; from; from = from->up) {
		if (from->loser->leaf == m)
			return from->loser;
	}
	return h->root;
}

/* Who has won `m`: of those who have lost above, or never, the one that is from
 * below it. */
static struct heap_node *winner(const struct heap *h,
				const struct heap_match *m)
{
	for (const struct heap_match *a = m->up; a; a = a->up) {
		const struct heap_match *way = a->loser->leaf;

		while (way != a && way != m)
			way = way->up;
		if (way == m)
			return a->loser;
	}
	return h->root;
}

/* `n` is before `w`, and beats it in a match below `m`: from there on `n` has
 * won what `w` had, and goes on where that one has lost. */
static void rise(struct heap *h, struct heap_node *n, struct heap_node *w,
		 struct heap_match *m)
{
	for (; m; m = m->up) {
		struct heap_node *v;

		if (m->loser != w)
			continue;
		v = winner(h, m);
		if (!heap_before(n, v)) {
			m->loser = n;
			return;
		}
		m->loser = w = v;
	}
	h->root = n;
}

/* One becomes two. */
static void second_push(struct heap *h, struct heap_node *n)
{
	struct heap_node *first = h->root;
	struct heap_match *m = &n->match;

	first->came = 0;
	n->came = 1;
	h->count = h->came = 2;
	h->spare = &first->match;
	h->lent = NULL;
	first->match.loser = NULL;
	h->top = first->leaf = n->leaf = m;
	if (heap_before(n, first)) {
		h->root = n;
		n = first;
	}
	*m = (struct heap_match){.loser = n};
}

void heap_push_more(struct heap *h, struct heap_node *n)
{
	struct heap_match *m = &n->match, *up;
	struct heap_node *other;

	if (heap_single(h)) {
		second_push(h, n);
		return;
	}
	*match_slot(h, h->count++, &up) = m;
	other = beginner(h, up, up);
	n->came = h->came++;
	other->leaf = n->leaf = m;
	if (heap_before(n, other)) {
		*m = (struct heap_match){.loser = other, .up = up};
		rise(h, n, other, up);
	} else {
		*m = (struct heap_match){.loser = n, .up = up};
	}
}

/* `n` has the place of `x`, which leaves. */
static void replace(struct heap *h, struct heap_node *n, struct heap_node *x)
{
	struct heap_match *m = n->leaf = x->leaf;

	if (x == h->root) {
		h->root = heap_play(n, m);
		return;
	}
	for (; m->loser != x; m = m->up) {
		struct heap_node *c = m->loser;

		if (heap_before(c, n)) {
			m->loser = n;
			n = c;
		}
	}
	x = winner(h, m);
	if (heap_before(n, x)) {
		m->loser = x;
		rise(h, n, x, m->up);
	} else {
		m->loser = n;
	}
}

/* What is at `m` goes to `to`, which is free; then `m` is. */
static void match_move(struct heap *h, struct heap_match *m,
		       struct heap_match *to)
{
	struct heap_node *w = beginner(h, m, m->up);

	*to = *m;
	if (m->loser->leaf == m)
		m->loser->leaf = to;
	if (w->leaf == m)
		w->leaf = to;
	for (u32 i = 0; i < 2; i++) {
		if (to->child[i])
			to->child[i]->up = to;
	}
	if (!to->up)
		h->top = to;
	else
		to->up->child[to->up->child[1] == m] = to;
	m->loser = NULL;
}

/* n's own match is free, and `instead`, which was, is none of the heap's. */
static void match_reclaim(struct heap *h, struct heap_node *n,
			  struct heap_match *instead)
{
	struct heap_match *own = &n->match;

	if (own == instead)
		return;
	if (own->loser)
		match_move(h, own, instead);
	else if (own == h->spare)
		h->spare = instead;
	else
		h->lent = instead;
}

/* One of two is left. */
static void second_remove(struct heap *h, struct heap_node *n)
{
	struct heap_match *m = h->top;

	if (n == h->root)
		h->root = m->loser;
	m->loser = NULL;
	h->top = h->lent = NULL;
}

void heap_remove_more(struct heap *h, struct heap_node *n)
{
	struct heap_match *up, **slot, *last;
	struct heap_node *loser;

	if (h->count == 2) {
		second_remove(h, n);
		return;
	}
	slot = match_slot(h, --h->count, &up);
	last = *slot;
	loser = last->loser;
	beginner(h, last, up)->leaf = up;
	*slot = NULL;
	last->loser = NULL;
	if (loser != n)
		replace(h, loser, n);
	match_reclaim(h, n, last);
}

void heap_give_back_more(struct heap *h, struct heap_node *n)
{
	struct heap_match *other = h->lent;

	h->lent = NULL;
	match_reclaim(h, n, other);
}

/* The match after `m`, where those above come first. */
static const struct heap_match *match_next(const struct heap_match *m)
{
	const struct heap_match *from = m;

	if (m->child[0])
		return m->child[0];
	if (m->child[1])
		return m->child[1];
	while ((m = m->up)) {
		if (m->child[1] && m->child[1] != from)
			return m->child[1];
		from = m;
	}
	return NULL;
}

struct heap_node *heap_walk(const struct heap *h, struct heap_node *n)
{
	const struct heap_match *m = h->top;

	if (n != h->root) {
		m = n->leaf;
		while (m->loser != n)
			m = m->up;
		m = match_next(m);
	}
	return m ? m->loser : NULL;
}
