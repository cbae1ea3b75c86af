/*
 * The PLIC's core: sources, contexts, and who is told of what. Private to
 * emul/plic.c, which has the registers. plic_core.c has the algorithm and what
 * each interrupt takes, plic_setup.c all that is done once or seldom, and
 * plic_tell.c what very many are told.
 *
 * Context, unless it's said otherwise: any CPU, any time, no lock held.
 */
#ifndef ROUSE_EMUL_PLIC_CORE_H
#define ROUSE_EMUL_PLIC_CORE_H

#include <ck_pr.h>

#include "emul/emul.h"
#include "kernel/base.h"
#include "kernel/vcpu.h"

struct guest;
struct plic;

#define PLIC_SOURCES 1024u /* source 0 does not exist */
#define PLIC_GROUP_SOURCES 16u
#define PLIC_GROUPS (PLIC_SOURCES / PLIC_GROUP_SOURCES)

/* Three bits of each source of a group, 16 bits apart. */
#define PLIC_LEVEL_SHIFT 0     /* the line is high now */
#define PLIC_PENDING_SHIFT 16  /* a request was forwarded: the IP bit */
#define PLIC_INFLIGHT_SHIFT 32 /* it was claimed and is not completed */
#define PLIC_NEXT_SHIFT 16     /* from each to the next */
#define PLIC_GROUP_MASK 0xffffull

#define PLIC_PRIORITIES 8u

/* HIGH is told by its sign alone: that a line goes up is looked at most. */
#define PLIC_EIP_LOW 0u
#define PLIC_EIP_LOOKING 1u
#define PLIC_EIP_HIGH UINT32_MAX

static inline bool plic_eip_is_high(u32 eip)
{
	return (s32)eip < 0;
}

struct plic_context {
	/* Constant after creation. */
	struct emul_pin pin; /* of an S-mode context */
	struct plic *plic;
	struct vcpu *vcpu;

	u64 threshold; /* as wide as an index */
	union {
		u32 enable[PLIC_SOURCES / 32];
		u64 enables[PLIC_SOURCES / 64]; /* for the reset */
	};
	u32 eip; /* S-mode contexts: written by the vCPU's own CPU */
	u32 unused[21]; /* up to 256 bytes: finding one is a shift */
} __cacheline;

struct plic_source {
	/* What `targets` says, if that is one: its S-mode context; or NULL. */
	struct plic_context *target;
	u64 priority;
};

/* A device's line: all that it takes to raise it. Constant after creation. */
struct plic_line {
	struct emul_line line;
	u64 *group;
	u64 up; /* LEVEL and PENDING of its source */
	struct plic_source *source;
	struct plic *plic;
	u32 number; /* of its source */
};

struct plic {
	/* Constant after creation. */
	struct guest *guest;
	u32 contexts;
	u32 target_words; /* of 64 vCPUs each */
	struct plic_context *context;
	u64 *targets; /* [source][word]: vCPUs whose S context enables it */
	struct plic_line *line; /* one for each of the guest's devices */
	u64 wired;    /* groups in which a device of the guest has a line */

	/* Any CPU, atomic: contexts to be told in turns, see plic_tell.c. */
	u64 untold;

	/* Any CPU, atomic. */
	u64 group[PLIC_GROUPS] __cacheline;
	/* [word][threshold]: which of 32 sources have a priority above it. It
	 * follows source.priority, see plic_core_priority. */
	u32 above[PLIC_SOURCES / 32][PLIC_PRIORITIES];
	struct plic_source source[PLIC_SOURCES];
};

/*
 * Need the context's vCPU not be told, since it is OFF? After a change and (C).
 * One that starts is not OFF before the fence (E) of its first eval: so that
 * sees the change, or this that it starts.
 */
static inline bool plic_context_off(const struct plic_context *c)
{
	return ck_pr_load_32(&c->vcpu->state) == VCPU_OFF;
}

static inline u64 plic_group_pending(struct plic *p, u64 g)
{
	return ck_pr_load_64(&p->group[g]) >> PLIC_PENDING_SHIFT &
	       PLIC_GROUP_MASK;
}

/* The pending array's word w: sources 32w to 32w + 31. */
static inline u32 plic_pending_word(struct plic *p, u64 w)
{
	return plic_group_pending(p, 2 * w) |
	       plic_group_pending(p, 2 * w + 1) << 16;
}

/*
 * Contexts for `vcpus` vCPUs of `g`, at least 1, and lines for g->devices.
 * 0 or -ENOMEM. While the guest is created.
 */
int plic_core_init(struct plic *p, struct guest *g, u32 vcpus) __must_check;
void plic_core_fini(struct plic *p);

/*
 * All registers 0. A line that is high stays so, as a wire does, and its
 * gateway forwards it anew. No vCPU runs; lines may change meanwhile.
 */
void plic_core_reset(struct plic *p);

/* The line of a device of p->guest, and the pin of one of its vCPUs. */
struct emul_line *plic_core_line(struct plic *p, const struct emul_dev *of);
struct emul_pin *plic_core_pin(struct plic *p, const struct vcpu *v);

/* What line->set and pin->eval do (emul.h): the pin's is the level of the
 * vCPU's S-mode context. */
void plic_core_set(struct emul_line *line, bool level);
bool plic_core_eval(struct emul_pin *pin);

/*
 * The spec, "Interrupt Claim Process": the best source for that context, now in
 * service, or 0. The threshold plays no part.
 */
u32 plic_core_claim(struct plic *p, u64 ctx);

/*
 * The spec, "Interrupt Completion": whoever claimed it, through any context
 * that enables the source; anything else is silently ignored.
 */
void plic_core_complete(struct plic *p, u64 ctx, u32 src);

/*
 * Kicks the vCPUs whose level may change with the source's: up, it became
 * pending or its priority rose; down, it was claimed or its priority fell. With
 * a full fence (C) first.
 */
void plic_core_notify_up(struct plic *p, u64 src);
void plic_core_notify_down(struct plic *p, u64 src);

/*
 * The same for all contexts, by the guest's task. After a change and (C).
 */
void plic_core_tell_rest(struct plic *p);

/* What the device's tell_rest does: some of that. */
bool plic_core_tell(struct plic *p);

/* An S-mode context's level as it is now. */
bool plic_core_level(struct plic_context *c);

/*
 * Kicks context `ctx` after a change of its own and a full fence (C): its level
 * may have risen, or fallen. M-mode has nobody.
 */
void plic_core_kick(struct plic *p, u32 ctx, bool up, bool down);

/* Registers' writes; the values are legal ones. */
void plic_core_priority(struct plic *p, u32 src, u32 priority);
void plic_core_threshold(struct plic *p, u32 ctx, u32 threshold);
void plic_core_enable(struct plic *p, u32 ctx, u32 w, u32 val);

#endif
