/*
 * SSE (chapter 17): what a guest asks of its software events.
 * How they are signalled, delivered and shared is in vsse.c.
 *
 * Offered are the two that software injects, and the RAS events. The platform
 * has no errors of its own to report by these, but a guest can inject them, as
 * it can with firmware, and so try its handlers. Not offered are those that
 * depend on what guests don't have: the double trap event (Ssdbltrp, and FWFT's
 * DOUBLE_TRAP) and the PMU's overflow event (Sscofpmf): NOT_SUPPORTED. There
 * are no platform specific events; those, and the reserved ones, are invalid.
 *
 * All parameters but addresses are 32 bits wide, and the upper halves of their
 * registers no part of them. The text has attribute base + i lie at that offset
 * of the shared memory, whose size it gives as that of attr_count attributes:
 * both are true if it begins at base. So OpenSBI and its users have it, and so
 * it is here.
 *
 * Attributes are written all or none. An event that another hart has in hand is
 * not waited for: the call is made again (vsse_take).
 *
 * A local event for a hart that is stopped is refused with FAILED. That hart
 * starts with all of its events unused and none pending, so nobody would ever
 * see it.
 */
#include "arch/riscv/vsbi.h"

#include <ck_pr.h>

enum attr {
	ATTR_STATUS,
	ATTR_PRIORITY,
	ATTR_CONFIG,
	ATTR_PREFERRED_HART,
	ATTR_ENTRY_PC,
	ATTR_ENTRY_ARG,
	ATTR_SEPC,
	ATTR_FLAGS,
	ATTR_A6,
	ATTR_A7,
	ATTRS,
};

#define STATUS_PENDING (1u << 2)
#define STATUS_INJECT  (1u << 3)
#define CONFIG_ONESHOT 1u
/* SPP, SPIE, SPV, SPVP, SPELP, SDT: kept, whether or not the hart has them. */
#define FLAGS_KNOWN    0x3fu

static const u32 event_ids[VSSE_EVENTS] = {
	[VSSE_LOCAL_RAS_HIGH] = 0x00000000, [VSSE_GLOBAL_RAS_HIGH] = 0x00008000,
	[VSSE_LOCAL_RAS_LOW] = 0x00100000,  [VSSE_GLOBAL_RAS_LOW] = 0x00108000,
	[VSSE_LOCAL_SOFT] = 0xffff0000,	    [VSSE_GLOBAL_SOFT] = 0xffff8000,
};

#define ID_DOUBLE_TRAP	0x00000001
#define ID_PMU_OVERFLOW 0x00010000

/* The event of a call, in a0; else why there is none. */
static s64 event_find(const struct riscv_vcpu *v, u32 *i)
{
	u32 id = (u32)reg_get(v, REG_A0);

	for (*i = 0; *i < VSSE_EVENTS; ++*i)
		if (event_ids[*i] == id)
			return 0;
	return id == ID_DOUBLE_TRAP || id == ID_PMU_OVERFLOW
		       ? VSBI_NOT_SUPPORTED
		       : VSBI_INVALID_PARAM;
}

/* ---- Attributes ---- */

/* What a call says of attributes, in a1 to a4. */
struct attrs {
	u32 base, count;
	struct gpa at;
	u64 val[ATTRS]; /* from val[0] on */
};

static s64 attrs_get(const struct riscv_vcpu *v, struct attrs *a)
{
	a->base = (u32)reg_get(v, REG_A1);
	a->count = (u32)reg_get(v, REG_A2);
	a->at.v = reg_get(v, REG_A3);
	if (!a->count)
		return VSBI_INVALID_PARAM;
	if (a->base >= ATTRS || a->count > ATTRS - a->base)
		return VSBI_BAD_RANGE;
	if (a->at.v % sizeof(u64) ||
	    !vsbi_in_ram(v->v.guest, a->at.v, reg_get(v, REG_A4),
			 a->count * sizeof(u64)))
		return VSBI_INVALID_ADDRESS;
	return 0;
}

static u64 status_of(const struct riscv_vcpu *v, u32 i,
		     const struct vsse_event *e)
{
	return e->state | (vsse_pending(v, i) ? STATUS_PENDING : 0) |
	       STATUS_INJECT;
}

static u64 attr_read(const struct riscv_vcpu *v, u32 i,
		     const struct vsse_event *e, u32 attr)
{
	switch (attr) {
	case ATTR_STATUS:
		return status_of(v, i, e);
	case ATTR_PRIORITY:
		return e->priority;
	case ATTR_CONFIG:
		return e->oneshot;
	case ATTR_PREFERRED_HART:
		return vsse_global(i) ? e->hart : v->v.id;
	case ATTR_ENTRY_PC:
		return e->entry_pc;
	case ATTR_ENTRY_ARG:
		return e->entry_arg;
	case ATTR_SEPC:
		return e->sepc;
	case ATTR_FLAGS:
		return e->flags;
	case ATTR_A6:
		return e->a6;
	default:
		return e->a7;
	}
}

/* Section 17.7. */
static enum exit_next sse_read(struct riscv_vcpu *v, u32 i)
{
	struct attrs a;
	s64 error = attrs_get(v, &a);
	const struct vsse_event *e;

	if (error)
		return vsbi_return(v, error, 0);
	e = vsse_take(v, i);
	if (!e)
		return NEXT_LOOK;
	for (u32 n = 0; n < a.count; n++)
		a.val[n] = attr_read(v, i, e, a.base + n);
	vsse_put(v, i);
	if (guest_write(v->v.guest, a.at, a.val, a.count * sizeof(u64)))
		error = VSBI_FAILED;
	return vsbi_return(v, error, 0);
}

/* May a configuration, or what was interrupted, be changed now? */
static bool state_allows(const struct riscv_vcpu *v, u32 i,
			 const struct vsse_event *e, u32 attr)
{
	if (attr < ATTR_ENTRY_PC)
		return e->state <= VSSE_REGISTERED;
	return e->state == VSSE_RUNNING &&
	       (!vsse_global(i) || e->runs_on == v->v.id);
}

static bool value_allowed(const struct riscv_vcpu *v, u32 attr, u64 val)
{
	switch (attr) {
	case ATTR_PRIORITY:
		return val <= UINT32_MAX;
	case ATTR_CONFIG:
		return !(val & ~(u64)CONFIG_ONESHOT);
	case ATTR_PREFERRED_HART:
		return val < v->v.guest->cfg.vcpus;
	case ATTR_FLAGS:
		return !(val & ~(u64)FLAGS_KNOWN);
	default:
		return true;
	}
}

static s64 attr_check(const struct riscv_vcpu *v, u32 i,
		      const struct vsse_event *e, u32 attr, u64 val)
{
	if (attr == ATTR_STATUS || attr == ATTR_ENTRY_PC ||
	    attr == ATTR_ENTRY_ARG ||
	    (attr == ATTR_PREFERRED_HART && !vsse_global(i)))
		return VSBI_DENIED;
	if (!state_allows(v, i, e, attr))
		return VSBI_INVALID_STATE;
	return value_allowed(v, attr, val) ? 0 : VSBI_INVALID_PARAM;
}

static void attr_write(struct vsse_event *e, u32 attr, u64 val)
{
	switch (attr) {
	case ATTR_PRIORITY:
		e->priority = (u32)val;
		break;
	case ATTR_CONFIG:
		e->oneshot = (u32)val;
		break;
	case ATTR_PREFERRED_HART:
		ck_pr_store_32(&e->hart, (u32)val);
		break;
	case ATTR_SEPC:
		e->sepc = val;
		break;
	case ATTR_FLAGS:
		e->flags = val;
		break;
	case ATTR_A6:
		e->a6 = val;
		break;
	case ATTR_A7:
		e->a7 = val;
		break;
	default:
		break;
	}
}

/* Section 17.8. */
static enum exit_next sse_write(struct riscv_vcpu *v, u32 i)
{
	struct attrs a;
	s64 error = attrs_get(v, &a);
	struct vsse_event *e;

	if (!error &&
	    guest_read(v->v.guest, a.at, a.val, a.count * sizeof(u64)))
		error = VSBI_FAILED;
	if (error)
		return vsbi_return(v, error, 0);
	e = vsse_take(v, i);
	if (!e)
		return NEXT_LOOK;
	for (u32 n = 0; n < a.count && !error; n++)
		error = attr_check(v, i, e, a.base + n, a.val[n]);
	for (u32 n = 0; n < a.count && !error; n++)
		attr_write(e, a.base + n, a.val[n]);
	vsse_put(v, i);
	return vsbi_return(v, error, 0);
}

/* ---- States ---- */

/* Sections 17.9 to 17.12: from one state to the next. */
static enum exit_next sse_move(struct riscv_vcpu *v, u32 i, u64 fid)
{
	static const struct {
		u8 from, to;
	} moves[] = {
		[VSBI_SSE_REGISTER] = {VSSE_UNUSED, VSSE_REGISTERED},
		[VSBI_SSE_UNREGISTER] = {VSSE_REGISTERED, VSSE_UNUSED},
		[VSBI_SSE_ENABLE] = {VSSE_REGISTERED, VSSE_ENABLED},
		[VSBI_SSE_DISABLE] = {VSSE_ENABLED, VSSE_REGISTERED},
	};
	struct vsse_event *e;
	bool fits;

	if (fid == VSBI_SSE_REGISTER && (reg_get(v, REG_A1) & 1))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	e = vsse_take(v, i);
	if (!e)
		return NEXT_LOOK;
	fits = e->state == moves[fid].from;
	if (fits && fid == VSBI_SSE_REGISTER) {
		e->entry_pc = reg_get(v, REG_A1);
		e->entry_arg = reg_get(v, REG_A2);
	}
	if (fits)
		vsse_state_set(v, i, moves[fid].to);
	vsse_put(v, i);
	return vsbi_return(v, fits ? VSBI_OK : VSBI_INVALID_STATE, 0);
}

/* Section 17.13. What was interrupted has its own a0 and a1. */
static enum exit_next sse_complete(struct riscv_vcpu *v)
{
	if (!v->sse.running)
		return vsbi_return(v, VSBI_OK, 0);
	return vsse_complete(v) ? NEXT_RETRY : NEXT_LOOK;
}

/* Section 17.14. */
static enum exit_next sse_inject(struct riscv_vcpu *v, u32 i)
{
	u64 hart = vsse_global(i) ? v->v.id : reg_get(v, REG_A1);
	struct riscv_vcpu *t = hart_find(v->v.guest, hart);

	if (!t)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (t != v && vsbi_hsm_status(t) == VHSM_STOPPED)
		return vsbi_return(v, VSBI_FAILED, 0);
	vsse_signal(t, i);
	return vsbi_return(v, VSBI_OK, 0);
}

/* Sections 17.15 and 17.16. */
static enum exit_next sse_mask(struct riscv_vcpu *v, bool mask)
{
	bool masked = !(v->sse.ready & VSSE_UNMASKED);

	if (masked == mask)
		return vsbi_return(
			v, mask ? VSBI_ALREADY_STOPPED : VSBI_ALREADY_STARTED,
			0);
	if (mask)
		vsse_mask(v);
	else
		vsse_unmask(v);
	return vsbi_return(v, VSBI_OK, 0);
}

static enum exit_next event_call(struct riscv_vcpu *v, u64 fid)
{
	u32 i;
	s64 error = event_find(v, &i);

	if (error)
		return vsbi_return(v, error, 0);
	switch (fid) {
	case VSBI_SSE_READ:
		return sse_read(v, i);
	case VSBI_SSE_WRITE:
		return sse_write(v, i);
	case VSBI_SSE_INJECT:
		return sse_inject(v, i);
	default:
		return sse_move(v, i, fid);
	}
}

static enum exit_next sse_call(struct riscv_vcpu *v, u64 fid)
{
	switch (fid) {
	case VSBI_SSE_COMPLETE:
		return sse_complete(v);
	case VSBI_SSE_UNMASK:
	case VSBI_SSE_MASK:
		return sse_mask(v, fid == VSBI_SSE_MASK);
	default:
		if (fid > VSBI_SSE_MASK)
			return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
		return event_call(v, fid);
	}
}

const struct vsbi_ext vsbi_sse = {
	.name = "SSE",
	.first = VSBI_EID_SSE,
	.last = VSBI_EID_SSE,
	.call = sse_call,
};
