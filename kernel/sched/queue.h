/*
 * A doubly linked ring of units, for policies: everything in O(1).
 */
#ifndef ROUSE_KERNEL_SCHED_QUEUE_H
#define ROUSE_KERNEL_SCHED_QUEUE_H

#include "kernel/base.h"

/* In a ring: the head, or one of its members. */
struct queue_link {
	struct queue_link *next, *prev;
};

static inline void queue_init(struct queue_link *head)
{
	head->next = head->prev = head;
}

static inline bool queue_empty(const struct queue_link *head)
{
	return head->next == head;
}

static inline void queue_push_after(struct queue_link *at,
				    struct queue_link *l)
{
	l->prev = at;
	l->next = at->next;
	at->next->prev = l;
	at->next = l;
}

static inline void queue_push_last(struct queue_link *head,
				   struct queue_link *l)
{
	queue_push_after(head->prev, l);
}

static inline void queue_push_first(struct queue_link *head,
				    struct queue_link *l)
{
	queue_push_after(head, l);
}

static inline void queue_remove(struct queue_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
}

/* The first, taken out; NULL if there is none. */
static inline struct queue_link *queue_pop_first(struct queue_link *head)
{
	struct queue_link *l = head->next;

	if (l == head)
		return NULL;
	queue_remove(l);
	return l;
}

/* The loop's body must not remove `l`, unless it ends the loop. */
#define queue_for_each(l, head) \
	for (struct queue_link *l = (head)->next; l != (head); l = l->next)

#endif
