/*
 * A priority queue of nodes embedded in other objects: the least key first.
 *
 * Keys are compared by their signed difference, so they may wrap as long as
 * all keys of a heap are within 2^63 of each other.
 */
#ifndef ROUSE_KERNEL_HEAP_H
#define ROUSE_KERNEL_HEAP_H

#include "kernel/base.h"

struct heap_node {
	u64 key; /* not to be changed while in a heap */
	/* First child, next sibling, and the previous sibling or, of a first
	 * child, the parent. */
	struct heap_node *child, *next, *prev;
};

struct heap {
	struct heap_node *root; /* the least, or NULL */
};

/* `n` must be in no heap; its key is set. O(1). */
void heap_push(struct heap *h, struct heap_node *n);

/* `n` must be in this heap. O(log n) amortised. */
void heap_remove(struct heap *h, struct heap_node *n);

/* heap_push of `n`, and heap_remove of the root of before, which is not empty
 * and whose key is not above n's. */
void heap_exchange_more(struct heap *h, struct heap_node *n);

static inline void heap_exchange(struct heap *h, struct heap_node *n)
{
	if (likely(h->root->child)) {
		heap_exchange_more(h, n);
		return;
	}
	n->child = n->next = n->prev = NULL;
	h->root = n;
}

/* For a walk over all nodes, in no order: the one after `n`, or NULL; begins
 * with the root. The heap must not change meanwhile. */
struct heap_node *heap_walk(const struct heap *h, struct heap_node *n);

#endif
