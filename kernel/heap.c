/*
 * A pairing heap.
 *
 * Timers and virtual times want a queue that holds thousands, where most nodes
 * leave before they are first, and which needs no memory of its own. A pairing
 * heap adds in O(1), removes in O(log n) amortised, and has three pointers in
 * the node.
 *
 * Invariants: no node's key is less than its parent's; the root has neither
 * prev nor next.
 *
 * Rejected: a timer wheel (rounds, or pays for each empty slot), a sorted list
 * (O(n)), a binary heap in an array (grows: memory in the way of going to
 * sleep), a red-black tree (needs no less and is ten times the code).
 */
#include "kernel/heap.h"

/* `b`, whose key is not less, becomes the first child of `a`. */
static inline void link(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *first = a->child;

	b->prev = a;
	b->next = first;
	if (first)
		first->prev = b;
	a->child = b;
}

/* The lesser of two roots gets the other as its first child; of equal keys the
 * first argument wins. */
static inline struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
	if ((s64)(b->key - a->key) < 0) {
		link(b, a);
		return b;
	}
	link(a, b);
	return a;
}

/* One heap of a list of siblings, which isn't empty: pairs from the left, then
 * one after another from the right, which is what makes it O(log n). */
static inline struct heap_node *meld_siblings(struct heap_node *first)
{
	struct heap_node *pairs = NULL, *heap, *next;

	for (;;) {
		struct heap_node *b = first->next, *a = first;

		if (!b)
			break;
		first = b->next;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
		if (!first) {
			first = pairs;
			pairs = first->next;
			break;
		}
	}
	for (heap = first; pairs; pairs = next) {
		next = pairs->next;
		heap = meld(pairs, heap);
	}
	heap->next = heap->prev = NULL;
	return heap;
}

void heap_push(struct heap *h, struct heap_node *n)
{
	n->child = n->next = n->prev = NULL;
	h->root = h->root ? meld(h->root, n) : n;
}

void heap_exchange_more(struct heap *h, struct heap_node *n)
{
	struct heap_node *root = h->root;

	n->child = NULL;
	n->next = root->child;
	h->root = meld_siblings(n);
	root->child = NULL;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *rest = n->child ? meld_siblings(n->child) : NULL;

	if (n == h->root) {
		h->root = rest;
	} else {
		if (n->prev->child == n)
			n->prev->child = n->next;
		else
			n->prev->next = n->next;
		if (n->next)
			n->next->prev = n->prev;
		if (rest)
			h->root = meld(h->root, rest);
	}
	n->child = n->next = n->prev = NULL;
}

struct heap_node *heap_walk(const struct heap *h, struct heap_node *n)
{
	if (n->child)
		return n->child;
	while (n != h->root) {
		if (n->next)
			return n->next;
		/* Back to the first sibling, and up to the parent. */
		while (n->prev->child != n)
			n = n->prev;
		n = n->prev;
	}
	return NULL;
}
