/*
 * SSE: what the two files of its test share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_SBITEST_SSE_H
#define ROUSE_GUESTS_BAREMETAL_SBITEST_SSE_H

#include "guests/baremetal/sbitest/sbitest.h"

enum {
	STATUS,
	PRIORITY,
	CONFIG,
	PREFERRED,
	PC,
	ARG,
	SEPC,
	FLAGS,
	A6,
	A7,
	ATTRS
};
enum {
	UNUSED,
	REGISTERED,
	ENABLED,
	RUNNING
};

#define PENDING	    4
#define INJECTABLE  8
#define STACK_WORDS 512
#define ROUNDS	    100

/* What entry.S gives a handler: the argument of its event. */
struct handler {
	u64 stack_top; /* these four are known to entry.S */
	void (*fn)(struct handler *s);
	u64 sp;
	u64 a6;
	u64 count;
	u32 event;
	u64 found[ATTRS];
	u64 sstatus;
	u64 stack[STACK_WORDS] __attribute__((aligned(16)));
};
void sse_entry(void);

static inline bool is_global(u32 event)
{
	return event & 0x8000;
}

static inline long call(u64 fid, u64 a0, u64 a1, u64 a2)
{
	return sbi_call(SBI_SSE, fid, a0, a1, a2).error;
}

static inline long attrs(u64 fid, u64 event, u64 base, u64 count, void *at)
{
	return sbi_call6(SBI_SSE, fid, event, base, count, (u64)at, 0, 0).error;
}

static inline u64 attr(u32 event, u32 id)
{
	u64 val = 0;

	check_eq(attrs(SBI_SSE_READ, event, id, 1, &val), 0, "error of a read");
	return val;
}

static inline long attr_set(u32 event, u32 id, u64 val)
{
	return attrs(SBI_SSE_WRITE, event, id, 1, &val);
}

static inline u64 state(u32 event)
{
	return attr(event, STATUS) & 3;
}

static inline bool present(void)
{
	if (!sbi_has(SBI_SSE) || !machine.rouse) {
		check_spec(false, "its events are others");
		return false;
	}
	return true;
}

static inline void registered(struct handler *s, u32 event,
			      void (*fn)(struct handler *s))
{
	s->stack_top = (u64)(s->stack + STACK_WORDS);
	s->fn = fn;
	s->count = 0;
	s->event = event;
	check_eq(call(SBI_SSE_REGISTER, event, (u64)sse_entry, (u64)s), 0,
		 "error of a registration");
}

/* Registered and enabled; a global one is this hart's. */
static inline void begin(struct handler *s, u32 event,
			 void (*fn)(struct handler *s))
{
	registered(s, event, fn);
	if (is_global(event))
		check_eq(attr_set(event, PREFERRED, this_hart()->id), 0,
			 "error of the preferred hart");
	check_eq(call(SBI_SSE_ENABLE, event, 0, 0), 0, "error of enable");
}

/* Back to where it began; RUNNING can't be. */
static inline void end(u32 event)
{
	call(SBI_SSE_DISABLE, event, 0, 0);
	check_eq(call(SBI_SSE_UNREGISTER, event, 0, 0), 0,
		 "error of the end of a registration");
	check_eq(attr_set(event, PRIORITY, 0), 0, "priority");
	check_eq(attr_set(event, CONFIG, 0), 0, "configuration");
}

static inline long inject(u32 event, u64 hartid)
{
	return call(SBI_SSE_INJECT, event, hartid, 0);
}

#endif
