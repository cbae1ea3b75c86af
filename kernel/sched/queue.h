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

static inline void queue_push_between(struct queue_link *prev,
				      struct queue_link *next,
				      struct queue_link *l)
{
	l->prev = prev;
	l->next = next;
	next->prev = l;
	prev->next = l;
}

static inline void queue_push_last(struct queue_link *head,
				   struct queue_link *l)
{
	queue_push_between(head->prev, head, l);
}

static inline void queue_push_first(struct queue_link *head,
				    struct queue_link *l)
{
	queue_push_between(head, head->next, l);
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
	head->next = l->next;
	l->next->prev = head;
	return l;
}

/* The loop's body must not remove `l`, unless it ends the loop. */
#define queue_for_each(l, head) \
	for (struct queue_link *l = (head)->next; l != (head); l = l->next)

#endif
