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

struct heap_node {
	u64 key; /* not to be changed while in a heap */
	/* Those it has beaten, in a ring that ends at the node itself: the
	 * first; where the next one is to be put; and, in the ring of the one
	 * that has beaten this node, the next. */
	struct heap_node *first, **end, *next;
	/* Places on each side of the match that it has lost: a power of 2. */
	u64 side;
	u64 came; /* before all with a greater number */
};

/* Zeroed: empty. */
struct heap {
	struct heap_node *root; /* the least, or NULL */
	/* Valid with two and more: */
	struct heap_node *last; /* in the last of the places that are taken */
	u64 places;		/* one for each node pushed */
	u64 came;		/* the next one's */
};

/* What follows, in a heap that is not empty, and in one of two and more. */
void heap_push_more(struct heap *h, struct heap_node *n);
void heap_remove_more(struct heap *h, struct heap_node *n);

/*
 * `n`, which has won up to `end` of its ring, goes on against `c` and those
 * after it in x's ring; who wins goes on in its place. Returns who is left.
 */
static inline struct heap_node *heap_play(struct heap_node *n,
					  struct heap_node **end,
					  struct heap_node *c,
					  const struct heap_node *x)
{
	u64 key = n->key;

	while (c != x) {
		s64 behind = (s64)(c->key - key);

		if (behind > 0 || (unlikely(!behind) && c->came > n->came)) {
			*end = c;
			end = &c->next;
		} else {
			n->side = c->side;
			*end = n;
			n->end = end;
			*c->end = n;
			end = &n->next;
			n = c;
			key += (u64)behind;
		}
		c = c->next;
	}
	*end = n;
	n->end = end;
	return n;
}

/* In line: so a turn under `credit` keeps nothing over a call. */
static inline void heap_exchange_more(struct heap *h, struct heap_node *n)
{
	struct heap_node *x = h->root;

	if (unlikely(h->last == x))
		h->last = n;
	n->came = h->came++;
	h->root = heap_play(n, &n->first, x->first, x);
}

/* Is the root, which there is, the only one? */
static inline bool heap_single(const struct heap *h)
{
	return h->root->first == h->root;
}

/* `n` must be in no heap; its key is set. O(log n). */
static inline void heap_push(struct heap *h, struct heap_node *n)
{
	n->first = n;
	if (h->root)
		heap_push_more(h, n);
	else
		h->root = n;
}

/* `n` must be in this heap. O(log n). */
static inline void heap_remove(struct heap *h, struct heap_node *n)
{
	if (heap_single(h))
		h->root = NULL;
	else
		heap_remove_more(h, n);
}

/* heap_remove of the root, which there is, and heap_push of `n`. O(log n). */
static inline void heap_exchange(struct heap *h, struct heap_node *n)
{
	if (heap_single(h)) {
		n->first = n;
		h->root = n;
	} else {
		heap_exchange_more(h, n);
	}
}

/* For a walk over all nodes, in no order: the one after `n`, or NULL; begins
 * with the root. The heap must not change meanwhile. */
struct heap_node *heap_walk(const struct heap *h, struct heap_node *n);

#endif
