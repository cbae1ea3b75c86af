/*
 * Mailbox: how one CPU asks something of another.
 *
 * An intrusive stack with many producers and one consumer (CK's UPMC stack,
 * taken whole). A node only says "look at me": *what* is to be done are bits
 * in the node, so a mailbox can't be full, and a node that is already on its
 * way is not sent twice. The node's `look` is called on the CPU that drained
 * it; what it is embedded in is found by container_of.
 *
 * Ordering: docs/locking.md, "Mailbox".
 */
#ifndef ROUSE_KERNEL_PERCPU_MBOX_H
#define ROUSE_KERNEL_PERCPU_MBOX_H

#include <ck_pr.h>
#include <ck_stack.h>

#include "kernel/base.h"

#if defined(__riscv) && !defined(CK_MD_RMO)
#error "CK must be configured for a relaxed memory order on RISC-V"
#endif

struct cpu;
struct mbox_node;

/*
 * Looks at the object of a node. `bits` are those posted since the last look;
 * the node may be posted again before and while this runs. Context: the CPU
 * that drained, from its loop, interrupts off.
 */
typedef void mbox_look_fn(struct cpu *c, struct mbox_node *n, u32 bits,
			  u64 now);

struct mbox_node {
	ck_stack_entry_t entry;
	mbox_look_fn *look; /* constant once the node can be posted */
	u32 bits;           /* any CPU, atomic: asked, and MBOX_POSTED */
};

struct mbox {
	ck_stack_t stack; /* any CPU, atomic */
};

/* The node is in a mailbox; the other 31 bits are the object's own. */
#define MBOX_POSTED_BIT 31
#define MBOX_POSTED (1u << MBOX_POSTED_BIT)

static inline void mbox_init(struct mbox *m)
{
	ck_stack_init(&m->stack);
}

static inline void mbox_node_init(struct mbox_node *n, mbox_look_fn *look)
{
	n->entry.next = NULL;
	n->look = look;
	n->bits = 0;
}

/*
 * Posts `n` with `bits` (may be 0). True if it was pushed to `m`; false if it
 * was in a mailbox already, whose owner will see the new bits as well. Any
 * CPU; never fails, never waits. Does not ring: see doorbell_post.
 */
static inline bool mbox_post(struct mbox *m, struct mbox_node *n, u32 bits)
{
	/*
	 * What the caller wrote comes before the bits that tell of it. Pairs
	 * with mbox_take's swap and fence. The fence before the push does not
	 * do: if the node was on its way already, nothing is pushed, and the
	 * owner that takes the bits would act on what was there before.
	 */
	ck_pr_fence_release();
	if (bits)
		ck_pr_or_32(&n->bits, bits);
	/*
	 * No fence between the two: same word, so they stay in order. If
	 * POSTED was set, the owner's swap is still to come and takes `bits`.
	 */
	if (ck_pr_bts_32(&n->bits, MBOX_POSTED_BIT))
		return false;
	ck_stack_push_upmc(&m->stack, &n->entry);
	return true;
}

/* Is there mail? Any CPU; only the owner's answer means anything. */
static inline bool mbox_has_mail(const struct mbox *m)
{
	return ck_pr_load_ptr(&m->stack.head) != NULL;
}

/*
 * Takes all mail: the newest entry, or NULL. The owner only. Each node must be
 * given to mbox_take, after its successor has been read.
 */
static inline ck_stack_entry_t *mbox_pop(struct mbox *m)
{
	/* ck_stack_batch_pop_upmc, but for its fence, which orders loads. */
	ck_stack_entry_t *e = ck_pr_fas_ptr(&m->stack.head, NULL);

	/* Stores of the looks as well must come after. Pairs with
	 * push_upmc's store fence. */
	ck_pr_fence_acquire();
	return e;
}

/* What mbox_pop took, oldest first; `e` is not NULL. */
static inline struct mbox_node *mbox_oldest(ck_stack_entry_t *e)
{
	ck_stack_entry_t *next, *first = NULL;

	for (; unlikely(e->next); e = next) {
		next = e->next;
		e->next = first;
		first = e;
	}
	e->next = first;
	return container_of(e, struct mbox_node, entry);
}

/* Both in one; NULL if there is no mail. */
static inline struct mbox_node *mbox_take_all(struct mbox *m)
{
	ck_stack_entry_t *e;

	if (!mbox_has_mail(m))
		return NULL;
	e = mbox_pop(m);
	return e ? mbox_oldest(e) : NULL;
}

/* The node after `n` in what mbox_take_all returned, or NULL. */
static inline struct mbox_node *mbox_next(const struct mbox_node *n)
{
	ck_stack_entry_t *e = n->entry.next;

	return e ? container_of(e, struct mbox_node, entry) : NULL;
}

/*
 * Takes what was asked of `n`, without MBOX_POSTED; from here on it can be
 * posted again, to any mailbox, so its successor must have been read.
 */
static inline u32 mbox_take(struct mbox_node *n)
{
	u32 bits;

	/* The read of `next` stays before the swap: after it a producer may
	 * push the node elsewhere and overwrite `next`. */
	ck_pr_fence_load_atomic();
	bits = ck_pr_fas_32(&n->bits, 0);
	/* Pairs with mbox_post's release: the object is read after the bits. */
	ck_pr_fence_acquire();
	return bits & ~MBOX_POSTED;
}

#endif
