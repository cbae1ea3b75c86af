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

/* The lesser of two roots gets the other as its first child; of equal keys the
 * first argument wins. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if ((s64)(b->key - a->key) < 0) {
		struct heap_node *n = a;

		a = b;
		b = n;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* One heap of a list of siblings: pairs from the left, then one after another
 * from the right, which is what makes it O(log n). */
static struct heap_node *meld_siblings(struct heap_node *first)
{
	struct heap_node *pairs = NULL, *heap = NULL;

	while (first) {
		struct heap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct heap_node *a = pairs;

		pairs = a->next;
		a->next = NULL;
		heap = meld(a, heap);
	}
	if (heap)
		heap->prev = NULL;
	return heap;
}

void heap_push(struct heap *h, struct heap_node *n)
{
	n->child = n->next = n->prev = NULL;
	h->root = meld(h->root, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *rest = meld_siblings(n->child);

	if (n == h->root) {
		h->root = rest;
	} else {
		if (n->prev->child == n)
			n->prev->child = n->next;
		else
			n->prev->next = n->next;
		if (n->next)
			n->next->prev = n->prev;
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
