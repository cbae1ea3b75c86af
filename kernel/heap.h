/*
 * A priority queue of nodes embedded in other objects: the least key first.
 *
 * Keys are compared by their signed difference, so they may wrap as long as
 * all keys of a heap are within 2^63 of each other. Of equal keys the one that
 * came first is first.
 */
#ifndef ROUSE_KERNEL_HEAP_H
#define ROUSE_KERNEL_HEAP_H

#include "kernel/base.h"

struct heap_node;

/* A match of two: the loser stays here, the winner goes on to the next. */
struct heap_match {
	struct heap_node *loser; /* NULL: not one of a heap's matches */
	struct heap_match *up;	 /* the winner's next one; NULL: it is first */
	struct heap_match *child[2]; /* who has won there is here; NULL: who
				      * begins here */
};

struct heap_node {
	u64 key; /* not to be changed while in a heap */
	/* In a heap of two and more: */
	u64 came; /* before all with a greater number */
	struct heap_match *leaf; /* its first match */
	/* Memory for one match of the heap that it's in, whichever. */
	struct heap_match match;
};

/* Zeroed: empty. */
struct heap {
	struct heap_node *root; /* the least, or NULL */
	struct heap_match *top; /* the last match; NULL: fewer than two nodes */
	/* Valid with two and more: */
	u64 count; /* of nodes */
	u64 came;  /* the next one's */
	/* Memory that is no match: the nodes' own are one more than needed;
	 * and another if a node that has left has lent its. */
	struct heap_match *spare, *lent;
};

/* What follows, in a heap that is not empty, and in one of two and more. */
void heap_push_more(struct heap *h, struct heap_node *n);
void heap_remove_more(struct heap *h, struct heap_node *n);
void heap_give_back_more(struct heap *h, struct heap_node *n);

/* Is the root, which there is, the only one? */
static inline bool heap_single(const struct heap *h)
{
	return !h->top;
}

static inline bool heap_before(const struct heap_node *a,
			       const struct heap_node *b)
{
	s64 behind = (s64)(b->key - a->key);

	return behind > 0 || (unlikely(!behind) && a->came < b->came);
}

/* `n` plays the matches from `m` on, whose losers have all lost to one that is
 * no more; who wins goes on. Returns who is left. */
static inline struct heap_node *heap_play(struct heap_node *n,
					  struct heap_match *m)
{
	for (; m; m = m->up) {
		struct heap_node *c = m->loser;

		if (heap_before(c, n)) {
			m->loser = n;
			n = c;
		}
	}
	return n;
}

/* `n` must be in no heap; its key is set. O(log n). */
static inline void heap_push(struct heap *h, struct heap_node *n)
{
	if (h->root)
		heap_push_more(h, n);
	else
		h->root = n;
}

/* `n` must be in this heap. O(log n), but O(log^2 n) of one that isn't the
 * root. */
static inline void heap_remove(struct heap *h, struct heap_node *n)
{
	if (heap_single(h))
		h->root = NULL;
	else
		heap_remove_more(h, n);
}

/*
 * For one that is to come by heap_exchange: `n`, which isn't in the heap, lends
 * it its match, if there are two and more. At most one has lent, and it comes
 * only so, or by heap_exchange, before it is heap_give_back's.
 */
static inline void heap_lend(struct heap *h, struct heap_node *n)
{
	if (unlikely(h->top) && !h->lent) {
		n->match.loser = NULL;
		h->lent = &n->match;
	}
}

/* `n` has its match again, if it has lent one; no other has. O(log n). */
static inline void heap_give_back(struct heap *h, struct heap_node *n)
{
	if (unlikely(h->lent))
		heap_give_back_more(h, n);
}

/*
 * heap_push of `n`, and before that heap_remove of `root`, which is the heap's.
 * O(log n). In a heap of two and more `n` has lent its match, and then the one
 * that leaves has.
 */
static inline void heap_exchange(struct heap *h, struct heap_node *root,
				 struct heap_node *n)
{
	struct heap_match *m = h->top;
	struct heap_node *c;

	if (unlikely(m)) {
		m = root->leaf;
		n->came = h->came++;
		n->leaf = m;
		c = m->loser;
		if (likely(heap_before(c, n))) {
			m->loser = n;
			n = c;
		}
		m = m->up;
		if (likely(m))
			n = heap_play(n, m);
	}
	h->root = n;
}

/* For a walk over all nodes, in no order: the one after `n`, or NULL; begins
 * with the root. The heap must not change meanwhile. */
struct heap_node *heap_walk(const struct heap *h, struct heap_node *n);

#endif
