/*
 * The virtual PLIC's third part: what many vCPUs are to be told takes turns.
 *
 * Problem. A source may be enabled for hundreds of vCPUs, each of which is
 * kicked when it becomes pending or is claimed: some 270 instructions for one
 * that sleeps. No exit and no step of a task may be as long as a guest is
 * large. The specification lets notifications take their time; none may be
 * lost, and none may wait for a vCPU: each of the guest's may be kept from a
 * CPU for as long as a policy likes, or for good, while another one could run.
 *
 * Algorithm. Who changes something kicks some by himself (plic_core.c: notify).
 * Are there more, he says in one word that all contexts have yet to be looked
 * at, and leaves them to the guest's task (kernel/guest_task.c), which gets on
 * whatever the policy thinks of the guest: a batch at a time, until nobody is
 * left, it looks at each one's level as it is now. So it need not be known for
 * whom it was changed.
 *
 *     who changes state                 the guest's task
 *     change; full fence (C)            take contexts out of `untold` (CAS)
 *     untold = all (CAS)                full fence (C)
 *     nobody was left: wake the task    scan; read eip; kick
 *
 * If what is taken was put there after the change, the scan sees the change,
 * and eip is that of an eval that saw it, or LOOKING, as with any (C). Else all
 * are in the word again. If some were left when it was written, the task has
 * yet to come to the word for the last time, and finds what was written.
 *
 * Rejected. One vCPU of the guest that tells the others in its own turns, which
 * its policy weighs: it may have none. To let all who are told pass it on: so
 * may all of them. To kick all when one of them claims: who sleeps with the
 * interrupt masked would hold up the others.
 */
#include "emul/plic_core.h"

#include "kernel/guest.h"

/* Contexts a batch: some 9,000 instructions, if all of them sleep. */
#define BATCH 32u

/* `untold`: how many, from which vCPU on. */
#define LEFT_MASK 0xffffffffull
#define NEXT_SHIFT 32

void plic_core_tell_rest(struct plic *p)
{
	u64 old = ck_pr_load_64(&p->untold), new;

	do {
		new = (old & ~LEFT_MASK) | p->contexts / 2;
	} while (!ck_pr_cas_64_value(&p->untold, old, new, &old));
	if (!(old & LEFT_MASK))
		guest_tell_rest(p->guest);
}

/* Takes some; returns how many, and how many are left then. */
static u32 take(struct plic *p, u32 *first, u32 *left)
{
	u64 old = ck_pr_load_64(&p->untold), new;
	u32 n, next;

	do {
		*first = (u32)(old >> NEXT_SHIFT);
		n = MIN((u32)(old & LEFT_MASK), BATCH);
		*left = (u32)(old & LEFT_MASK) - n;
		next = (*first + n) % (p->contexts / 2);
		new = (u64)next << NEXT_SHIFT | *left;
	} while (!ck_pr_cas_64_value(&p->untold, old, new, &old));
	return n;
}

bool plic_core_tell(struct plic *p)
{
	u32 first, left, n = take(p, &first, &left);

	/* (C) pairs with (E) in plic_core_eval. */
	ck_pr_fence_memory();
	for (u32 i = 0; i < n; i++) {
		u32 ctx = 2 * ((first + i) % (p->contexts / 2)) + 1;
		bool high;

		if (plic_context_off(&p->context[ctx]))
			continue;
		high = plic_core_level(&p->context[ctx]);
		plic_core_kick(p, ctx, high, !high);
	}
	return left != 0;
}
