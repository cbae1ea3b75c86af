/*
 * SSE: each function with each of its errors, what a handler finds and what it
 * leaves behind, the order of six events in each other, and harts that are told
 * of one while they spin without interrupts, wait, sleep, mask events, or stop.
 */
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

/* From the least to the most urgent, if all have the same priority. */
static const u32 events[] = {SSE_GLOBAL_SOFT,	 SSE_LOCAL_SOFT,
			     SSE_GLOBAL_RAS_LOW, SSE_LOCAL_RAS_LOW,
			     SSE_GLOBAL_RAS,	 SSE_LOCAL_RAS};
#define EVENTS ARRAY_LEN(events)

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

static struct handler handlers[EVENTS];
static u64 order[2 * EVENTS], ordered;

static bool is_global(u32 event)
{
	return event & 0x8000;
}

static long call(u64 fid, u64 a0, u64 a1, u64 a2)
{
	return sbi_call(SBI_SSE, fid, a0, a1, a2).error;
}

static long attrs(u64 fid, u64 event, u64 base, u64 count, void *at)
{
	return sbi_call6(SBI_SSE, fid, event, base, count, (u64)at, 0, 0).error;
}

static u64 attr(u32 event, u32 id)
{
	u64 val = 0;

	check_eq(attrs(SBI_SSE_READ, event, id, 1, &val), 0, "error of a read");
	return val;
}

static long attr_set(u32 event, u32 id, u64 val)
{
	return attrs(SBI_SSE_WRITE, event, id, 1, &val);
}

static u64 state(u32 event)
{
	return attr(event, STATUS) & 3;
}

static bool present(void)
{
	if (!sbi_has(SBI_SSE) || !machine.rouse) {
		check_spec(false, "its events are others");
		return false;
	}
	return true;
}

static void registered(struct handler *s, u32 event,
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
static void begin(struct handler *s, u32 event, void (*fn)(struct handler *s))
{
	registered(s, event, fn);
	if (is_global(event))
		check_eq(attr_set(event, PREFERRED, this_hart()->id), 0,
			 "error of the preferred hart");
	check_eq(call(SBI_SSE_ENABLE, event, 0, 0), 0, "error of enable");
}

/* Back to where it began; RUNNING can't be. */
static void end(u32 event)
{
	call(SBI_SSE_DISABLE, event, 0, 0);
	check_eq(call(SBI_SSE_UNREGISTER, event, 0, 0), 0,
		 "error of the end of a registration");
	check_eq(attr_set(event, PRIORITY, 0), 0, "priority");
	check_eq(attr_set(event, CONFIG, 0), 0, "configuration");
}

static long inject(u32 event, u64 hartid)
{
	return call(SBI_SSE_INJECT, event, hartid, 0);
}

static void masks(void)
{
	if (!present())
		return;
	check_eq(call(SBI_SSE_MASK, 0, 0, 0), SBI_ERR_ALREADY_STOPPED,
		 "at first");
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), SBI_ERR_ALREADY_STARTED,
		 "unmask again");
	check_eq(call(SBI_SSE_MASK, 0, 0, 0), 0, "mask");
	check_eq(call(SBI_SSE_MASK, 0, 0, 0), SBI_ERR_ALREADY_STOPPED,
		 "mask again");
	check_eq(call(SBI_SSE_COMPLETE, 0, 0, 0), 0, "nothing to complete");
	check_eq(call(10, 0, 0, 0), SBI_ERR_NOT_SUPPORTED, "function 10");
}

static void unknown_events(void)
{
	static const struct {
		u64 event;
		long error;
	} bad[] = {
		{SSE_DOUBLE_TRAP, SBI_ERR_NOT_SUPPORTED},
		{SSE_PMU, SBI_ERR_NOT_SUPPORTED},
		{2, SBI_ERR_INVALID_PARAM},
		{0x3fff, SBI_ERR_INVALID_PARAM},
		{0x4000, SBI_ERR_INVALID_PARAM},
		{0x8001, SBI_ERR_INVALID_PARAM},
		{0xc000, SBI_ERR_INVALID_PARAM},
		{0x18000, SBI_ERR_INVALID_PARAM},
		{0xffff0001, SBI_ERR_INVALID_PARAM},
		{0xffff4000, SBI_ERR_INVALID_PARAM},
		{0xffff8001, SBI_ERR_INVALID_PARAM},
		{0xffffffff, SBI_ERR_INVALID_PARAM},
	};
	u64 val = 0;

	if (!present())
		return;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		for (u64 fid = SBI_SSE_REGISTER; fid <= SBI_SSE_INJECT; fid++)
			if (fid != SBI_SSE_COMPLETE)
				check(call(fid, bad[i].event, 0, 0) ==
					      bad[i].error,
				      "function %ld, event 0x%lx", fid,
				      bad[i].event);
		for (u64 fid = SBI_SSE_READ; fid <= SBI_SSE_WRITE; fid++)
			check(attrs(fid, bad[i].event, 1, 1, &val) ==
				      bad[i].error,
			      "function %ld, event 0x%lx", fid, bad[i].event);
	}
}

static void state_errors(void)
{
	if (!present())
		return;
	for (size_t i = 0; i < EVENTS; i++) {
		u32 e = events[i];
		long bad = SBI_ERR_INVALID_STATE;

		check_eq(state(e), UNUSED, "state at first");
		check_eq(call(SBI_SSE_UNREGISTER, e, 0, 0), bad, "unregister");
		check_eq(call(SBI_SSE_ENABLE, e, 0, 0), bad, "enable");
		check_eq(call(SBI_SSE_DISABLE, e, 0, 0), bad, "disable");
		check_eq(call(SBI_SSE_REGISTER, e, (u64)sse_entry + 1, 0),
			 SBI_ERR_INVALID_PARAM, "an odd address");
		registered(&handlers[0], e, NULL);
		check_eq(state(e), REGISTERED, "state");
		check_eq(attr(e, PC), (u64)sse_entry, "ENTRY_PC");
		check_eq(attr(e, ARG), (u64)&handlers[0], "ENTRY_ARG");
		check_eq(call(SBI_SSE_REGISTER, e, 0, 0), bad, "register");
		check_eq(call(SBI_SSE_DISABLE, e, 0, 0), bad, "disable");
		check_eq(call(SBI_SSE_ENABLE, e, 0, 0), 0, "enable");
		check_eq(state(e), ENABLED, "state");
		check_eq(call(SBI_SSE_REGISTER, e, 0, 0), bad, "register");
		check_eq(call(SBI_SSE_UNREGISTER, e, 0, 0), bad, "unregister");
		check_eq(call(SBI_SSE_ENABLE, e, 0, 0), bad, "enable");
		check_eq(attr_set(e, PRIORITY, 0), bad, "priority");
		check_eq(attr_set(e, CONFIG, 0), bad, "configuration");
		if (is_global(e))
			check_eq(attr_set(e, PREFERRED, 0), bad, "hart");
		check_eq(call(SBI_SSE_DISABLE, e, 0, 0), 0, "disable");
		end(e);
		check_eq(state(e), UNUSED, "state in the end");
	}
}

static void attribute_values(void)
{
	if (!present())
		return;
	for (size_t i = 0; i < EVENTS; i++) {
		u32 e = events[i];
		u64 all[ATTRS];

		check_eq(attrs(SBI_SSE_READ, e, 0, ATTRS, all), 0, "all");
		for (u32 a = 0; a < ATTRS; a++) {
			check_eq(attr(e, a), all[a], "one of all");
			if (a != PREFERRED && a != PC && a != ARG && a < SEPC)
				check_eq(all[a], a ? 0 : INJECTABLE,
					 "at first");
		}
		check_eq(attr_set(e, STATUS, 0), SBI_ERR_DENIED, "STATUS");
		check_eq(attr_set(e, PC, 0), SBI_ERR_DENIED, "ENTRY_PC");
		check_eq(attr_set(e, ARG, 0), SBI_ERR_DENIED, "ENTRY_ARG");
		for (u32 a = SEPC; a <= A7; a++)
			check_eq(attr_set(e, a, 1), SBI_ERR_INVALID_STATE,
				 "an interrupted register");
		check_eq(attr_set(e, PRIORITY, 1UL << 32),
			 SBI_ERR_INVALID_PARAM, "priority");
		check_eq(attr_set(e, CONFIG, ~1UL), SBI_ERR_INVALID_PARAM,
			 "configuration");
		check_eq(attr_set(e, PREFERRED,
				  is_global(e) ? absent_hart() : 0),
			 is_global(e) ? SBI_ERR_INVALID_PARAM : SBI_ERR_DENIED,
			 "hart");
		check(is_global(e) || all[PREFERRED] == this_hart()->id,
		      "a local event's hart");
	}
}

static void attribute_ranges(void)
{
	u64 words[ATTRS] = {0}, end = ram_end();
	u64 bad[] = {HOLE,	     end,	    end - 8, (u64)words + 1,
		     (u64)words + 4, UINT64_MAX - 7};

	if (!present())
		return;
	for (u64 fid = SBI_SSE_READ; fid <= SBI_SSE_WRITE; fid++) {
		u32 e = SSE_GLOBAL_SOFT;

		check_eq(attrs(fid, e, 1, 0, words), SBI_ERR_INVALID_PARAM,
			 "none");
		check_eq(attrs(fid, e, ATTRS, 1, words), SBI_ERR_BAD_RANGE,
			 "one too far");
		check_eq(attrs(fid, e, 1, ATTRS, words), SBI_ERR_BAD_RANGE,
			 "one too many");
		check_eq(attrs(fid, e, 1, 0xffffffff, words), SBI_ERR_BAD_RANGE,
			 "all too many");
		for (size_t i = 0; i < ARRAY_LEN(bad); i++)
			check(attrs(fid, e, 1, 2, (void *)bad[i]) ==
				      SBI_ERR_INVALID_ADDRESS,
			      "function %ld, address 0x%lx", fid, bad[i]);
		check_eq(sbi_call6(SBI_SSE, fid, e, 1, 2, (u64)words, 1, 0)
				 .error,
			 SBI_ERR_INVALID_ADDRESS, "2^64 and more");
		/* Parameters of 32 bits. */
		check_eq(attrs(fid, 1UL << 32 | e, 1UL << 32 | 1, 1UL << 32 | 2,
			       words),
			 0, "upper halves");
	}
}

/* Notes what it finds, and gives what it interrupted other registers for a
 * while. */
static void note(struct handler *s)
{
	u64 mine[4] = {4, 3, 2, 1}, back[4];
	u32 e = s->event;

	s->sstatus = csr_read(sstatus);
	attrs(SBI_SSE_READ, e, 0, ATTRS, s->found);
	check_eq(attrs(SBI_SSE_WRITE, e, SEPC, 4, mine), 0, "write");
	check_eq(attrs(SBI_SSE_READ, e, SEPC, 4, back), 0, "read");
	check(!memcmp(mine, back, sizeof(mine)), "other values than written");
	for (u32 bit = 0; bit < 6; bit++) {
		check_eq(attr_set(e, FLAGS, 1UL << bit), 0, "a flag");
		check_eq(attr(e, FLAGS), 1UL << bit, "flags");
	}
	check_eq(attr_set(e, FLAGS, 1UL << 6), SBI_ERR_INVALID_PARAM,
		 "an unknown flag");
	check_eq(attr_set(e, FLAGS, 1UL << 32), SBI_ERR_INVALID_PARAM,
		 "a high flag");
	check_eq(attr_set(e, PRIORITY, 0), SBI_ERR_INVALID_STATE, "priority");
	check_eq(attr_set(e, CONFIG, 0), SBI_ERR_INVALID_STATE, "config");
	check_eq(call(SBI_SSE_DISABLE, e, 0, 0), SBI_ERR_INVALID_STATE,
		 "disable");
	if (is_global(e))
		check_eq(attr_set(e, PREFERRED, 0), SBI_ERR_INVALID_STATE,
			 "hart");
	check_eq(attrs(SBI_SSE_WRITE, e, SEPC, 4, &s->found[SEPC]), 0,
		 "write back");
	s->count++;
}

/* The handler has run once, between the call and its return. */
static void noted(struct handler *s, u64 fid, u64 n)
{
	check_eq(s->count, n, "handlers");
	check_eq(s->a6, this_hart()->id, "a6");
	check_eq(s->found[STATUS], RUNNING | INJECTABLE, "status");
	check_eq(s->found[A6], fid, "interrupted a6");
	check_eq(s->found[A7], SBI_SSE, "interrupted a7");
	check(s->sstatus & SSTATUS_SPP, "it did not interrupt S-mode");
	check(!(s->sstatus & SSTATUS_SIE), "interrupts are on");
}

static void at_self(void)
{
	struct handler *s = &handlers[0];

	if (!present())
		return;
	for (size_t i = 0; i < EVENTS; i++) {
		u32 e = events[i];

		begin(s, e, note);
		/* Masked: it waits, and comes with the unmasking. */
		check_eq(inject(e, this_hart()->id), 0, "error");
		check_eq(s->count, 0, "handlers while masked");
		check_eq(attr(e, STATUS), ENABLED | PENDING | INJECTABLE,
			 "status while masked");
		check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
		noted(s, SBI_SSE_UNMASK, 1);
		check_eq(inject(e, this_hart()->id), 0, "error");
		noted(s, SBI_SSE_INJECT, 2);
		/* Once only. */
		check_eq(call(SBI_SSE_DISABLE, e, 0, 0), 0, "disable");
		check_eq(attr_set(e, CONFIG, 1), 0, "one shot");
		check_eq(call(SBI_SSE_ENABLE, e, 0, 0), 0, "enable");
		check_eq(inject(e, this_hart()->id), 0, "error");
		noted(s, SBI_SSE_INJECT, 3);
		check_eq(attr(e, STATUS), REGISTERED | INJECTABLE,
			 "status after one shot");
		/* Disabled: it waits for that. */
		check_eq(inject(e, this_hart()->id), 0, "error");
		check_eq(s->count, 3, "handlers while disabled");
		check_eq(call(SBI_SSE_ENABLE, e, 0, 0), 0, "enable");
		noted(s, SBI_SSE_ENABLE, 4);
		check_eq(call(SBI_SSE_MASK, 0, 0, 0), 0, "mask");
		end(e);
	}
}

/* What the interrupted code finds in sepc and sstatus is its own. */
static void keeps_the_trap_registers(void)
{
	u64 sepc, sstatus;

	if (!present())
		return;
	begin(&handlers[0], SSE_LOCAL_SOFT, note);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	for (u32 i = 0; i < 4; i++) {
		csr_write(sepc, 0x1234560 + 4 * i);
		csr_clear(sstatus, SSTATUS_SPP | SSTATUS_SPIE);
		csr_set(sstatus,
			(i & 1 ? SSTATUS_SPP : 0) | (i & 2 ? SSTATUS_SPIE : 0));
		sstatus = csr_read(sstatus);
		inject(SSE_LOCAL_SOFT, this_hart()->id);
		check_eq(csr_read(sstatus), sstatus, "sstatus");
		sepc = csr_read(sepc);
		check_eq(sepc, 0x1234560 + 4 * i, "sepc");
		check_eq(handlers[0].found[SEPC], sepc, "interrupted sepc");
		check_eq(handlers[0].found[FLAGS], i, "interrupted flags");
	}
	check_eq(handlers[0].count, 4, "handlers");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

static void elsewhere(struct handler *s)
{
	/* What is returned to has other values in a6 and a7, and s->sp. */
	check_eq(attr_set(s->event, A6, 0x6666), 0, "a6");
	check_eq(attr_set(s->event, A7, 0x7777), 0, "a7");
	s->count++;
}

static void resumes_with_other_registers(void)
{
	register u64 a0 __asm__("a0") = SSE_LOCAL_SOFT;
	register u64 a1 __asm__("a1") = this_hart()->id;
	register u64 a6 __asm__("a6") = SBI_SSE_INJECT;
	register u64 a7 __asm__("a7") = SBI_SSE;
	u64 got6, got7;

	if (!present())
		return;
	begin(&handlers[0], SSE_LOCAL_SOFT, elsewhere);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	a0 = SSE_LOCAL_SOFT;
	a1 = this_hart()->id;
	a6 = SBI_SSE_INJECT;
	a7 = SBI_SSE;
	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1), "+r"(a6), "+r"(a7)
			 :
			 : "memory");
	got6 = a6;
	got7 = a7;
	check_eq(got6, 0x6666, "a6");
	check_eq(got7, 0x7777, "a7");
	check_eq(handlers[0].count, 1, "handlers");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

/* ---- Order ---- */

static u32 number_of(const struct handler *s)
{
	return (u32)(s - handlers);
}

/* Each signals the next and sees it begin, or not, before it goes on. */
static void signals_the_next(struct handler *s)
{
	u32 n = number_of(s);

	order[ordered++] = n;
	if (n + 1 < EVENTS)
		inject(handlers[n + 1].event, this_hart()->id);
	order[ordered++] = n + EVENTS;
	s->count++;
}

/* Six events by that list; `nested`: each comes in the one before. */
static void run_in_order(const u32 *list, const u32 *priorities, bool nested)
{
	ordered = 0;
	for (u32 i = 0; i < EVENTS; i++) {
		check_eq(attr_set(list[i], PRIORITY, priorities[i]), 0,
			 "priority");
		begin(&handlers[i], list[i], signals_the_next);
	}
	call(SBI_SSE_UNMASK, 0, 0, 0);
	inject(list[0], this_hart()->id);
	check_eq(ordered, 2 * EVENTS, "beginnings and ends");
	for (u32 i = 0; i < EVENTS; i++) {
		u32 begins = nested ? i : 2 * i;
		u32 ends = nested ? 2 * EVENTS - 1 - i : 2 * i + 1;

		check(order[begins] == i && order[ends] == i + EVENTS,
		      "event %u: not in its order", i);
		check_eq(handlers[i].count, 1, "handlers");
	}
	call(SBI_SSE_MASK, 0, 0, 0);
	for (u32 i = 0; i < EVENTS; i++)
		end(list[i]);
}

static void urgent_ones_preempt(void)
{
	static const u32 same[EVENTS] = {0}, other[] = {9, 8, 8, 7, 2, 1};

	if (!present())
		return;
	run_in_order(events, same, true);
	run_in_order(events, other, true);
}

static void others_wait(void)
{
	static const u32 other[] = {1, 5, 5, 5, 0x7fffffff, 0xffffffff};
	static const u32 same[EVENTS] = {0};
	u32 falling[EVENTS], mixed[EVENTS];

	if (!present())
		return;
	for (u32 i = 0; i < EVENTS; i++)
		falling[i] = events[EVENTS - 1 - i];
	run_in_order(falling, same, false);
	/* By priority against the ids, and by the ids in one priority. */
	memcpy(mixed, events, sizeof(mixed));
	mixed[1] = events[3];
	mixed[3] = events[1];
	run_in_order(mixed, other, false);
}

/* ---- Other harts ---- */

/* What the other hart does when it is signalled. */
enum doing {
	SPINS,
	WAITS,
	SUSPENDS,
	MASKS,
	ENDS
};

static u64 doing, is_ready;

static void counts(struct handler *s)
{
	__atomic_fetch_add(&s->count, 1, __ATOMIC_ACQ_REL);
}

/* Does so until it is told otherwise; its own event, and the global one. */
static void other(struct hart *h, void *arg)
{
	struct suspend s;
	u64 what;

	(void)h;
	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, counts);
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
	for (;;) {
		what = __atomic_load_n(&doing, __ATOMIC_ACQUIRE);
		if (what == ENDS)
			break;
		__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
		if (what == WAITS)
			wfi();
		else if (what == SUSPENDS)
			check_eq(hart_suspend(&s, HSM_SUSPEND_RETENTIVE), 0,
				 "suspend");
		else
			cpu_relax();
	}
	check_eq(call(SBI_SSE_MASK, 0, 0, 0), 0, "mask");
	end(SSE_LOCAL_SOFT);
}

static bool wait_count(struct handler *s, u64 n)
{
	return check(wait_word(&s->count, n), "event %lx: no %ld. handler",
		     (u64)s->event, n);
}

static void others_are_reached(void)
{
	struct hart *h;

	if (!present())
		return;
	doing = SPINS;
	is_ready = 0;
	h = other_start(other, NULL);
	if (!h || !check(wait_word(&is_ready, 1), "it never came"))
		return;
	begin(&handlers[1], SSE_GLOBAL_SOFT, counts);
	end(SSE_GLOBAL_SOFT);
	registered(&handlers[1], SSE_GLOBAL_SOFT, counts);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, h->id), 0, "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	for (u64 n = 1; n <= ROUNDS && !test_failed(); n++) {
		u64 what = n % 3;

		/* Out of what it did before, and into this. */
		__atomic_store_n(&doing, what, __ATOMIC_RELEASE);
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		if (!wait_count(&handlers[0], 2 * n - 1))
			break;
		if (what == SUSPENDS)
			check(wait_status(h->id, HSM_SUSPENDED), "no suspend");
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		if (!wait_count(&handlers[0], 2 * n))
			break;
		check_eq(handlers[0].a6, h->id, "a6");
		check_eq(inject(SSE_GLOBAL_SOFT, 99), 0, "error");
		if (!wait_count(&handlers[1], n))
			break;
		check_eq(handlers[1].a6, h->id, "a6");
	}
	__atomic_store_n(&doing, ENDS, __ATOMIC_RELEASE);
	inject(SSE_LOCAL_SOFT, h->id);
	hart_join(h);
	while (state(SSE_GLOBAL_SOFT) == RUNNING)
		cpu_relax();
	end(SSE_GLOBAL_SOFT);
}

static void refused_harts(void)
{
	if (!present())
		return;
	check_eq(inject(SSE_LOCAL_SOFT, absent_hart()), SBI_ERR_INVALID_PARAM,
		 "a hart that isn't there");
	check_eq(inject(SSE_LOCAL_SOFT, UINT64_MAX), SBI_ERR_INVALID_PARAM,
		 "hart -1");
	check_eq(inject(SSE_LOCAL_SOFT, 1UL << 32), SBI_ERR_INVALID_PARAM,
		 "hart 2^32");
	if (machine.hart_count > 1)
		check_eq(inject(SSE_LOCAL_SOFT, harts[1].id), SBI_ERR_FAILED,
			 "a hart that is stopped");
}

/* Suspended with its events masked: they wait, and don't wake it. */
static void masked(struct hart *h, void *arg)
{
	struct suspend s;

	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, counts);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	check_eq(hart_suspend(&s, HSM_SUSPEND_RETENTIVE), 0, "suspend");
	check(soft_pending(), "a masked event has woken it");
	csr_write(sie, 0);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	check_eq(handlers[0].count, 0, "handlers");
	check_eq(attr(SSE_LOCAL_SOFT, STATUS), ENABLED | PENDING | INJECTABLE,
		 "status");
	check_eq(state(SSE_GLOBAL_SOFT), ENABLED, "state of the global one");
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
	check_eq(handlers[0].count, 1, "handlers");
	check_eq(handlers[0].a6, h->id, "a6");
	/* A global one that nobody took is the first's to unmask; and no hart
	 * but the one that handles it may change what it interrupted. */
	check_eq(handlers[1].count, 1, "global handlers");
	check_eq(handlers[1].a6, h->id, "a6");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

static void masked_harts_sleep_on(void)
{
	struct hart *h;

	if (!present())
		return;
	registered(&handlers[1], SSE_GLOBAL_SOFT, counts);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, this_hart()->id), 0,
		 "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	h = other_start(masked, NULL);
	if (h) {
		check(wait_status(h->id, HSM_SUSPENDED), "no suspend");
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		check_eq(inject(SSE_GLOBAL_SOFT, 0), 0, "error");
		check_eq(attr(SSE_GLOBAL_SOFT, STATUS),
			 ENABLED | PENDING | INJECTABLE, "status");
		delay_ticks(machine.hz / 100);
		check_eq(sbi_hart_status(h->id).value, HSM_SUSPENDED, "state");
		sbi_ipi_hart(h->id);
		hart_join(h);
	}
	end(SSE_GLOBAL_SOFT);
}

/* A handler that stops its hart. */
static void stops(struct handler *s)
{
	counts(s);
	/* As the end of any hart's function does. */
	__atomic_store_n(&is_ready, 2, __ATOMIC_RELEASE);
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
}

static void stopper(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	call(SBI_SSE_UNMASK, 0, 0, 0);
	__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
	for (;;)
		cpu_relax();
}

static void survives_its_hart(void)
{
	struct hart *h;

	if (!present())
		return;
	is_ready = 0;
	h = other_start(stopper, NULL);
	if (!h || !check(wait_word(&is_ready, 1), "it never came"))
		return;
	registered(&handlers[1], SSE_GLOBAL_SOFT, stops);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, h->id), 0, "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	inject(SSE_GLOBAL_SOFT, 0);
	wait_word(&is_ready, 2);
	check(wait_status(h->id, HSM_STOPPED), "it did not stop");
	check_eq(attr(SSE_GLOBAL_SOFT, STATUS), ENABLED | INJECTABLE, "status");
	/* The preferred hart is off: now it is this one's. */
	handlers[1].fn = counts;
	call(SBI_SSE_UNMASK, 0, 0, 0);
	inject(SSE_GLOBAL_SOFT, 0);
	check_eq(handlers[1].count, 2, "handlers");
	check_eq(handlers[1].a6, this_hart()->id, "a6");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_GLOBAL_SOFT);
	h->running = 0;
}

/* ---- U-mode ---- */

void sse_user(void); /* entry.S: spins until *a0 is set, then an ECALL */

static void seen_from_user(struct handler *s)
{
	s->sstatus = csr_read(sstatus);
	attrs(SBI_SSE_READ, s->event, 0, ATTRS, s->found);
	counts(s);
}

static void user(struct hart *h, void *arg)
{
	static u64 stack[64];
	struct probe p;

	(void)h;
	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, seen_from_user);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	probe_user(&p, (u64)sse_user, (u64)(stack + 64), (u64)&is_ready);
	check_eq(p.scause, CAUSE_ECALL_U, "how U-mode ended");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

static void interrupts_user_mode(void)
{
	struct handler *s = &handlers[0];
	struct hart *h;

	if (!present())
		return;
	is_ready = 0;
	s->count = 0;
	h = other_start(user, NULL);
	if (!h)
		return;
	/* U-mode says that it is there. */
	if (check(wait_word(&is_ready, 1), "no U-mode")) {
		inject(SSE_LOCAL_SOFT, h->id);
		wait_count(s, 1);
		check(!(s->sstatus & SSTATUS_SPP), "it interrupted S-mode");
	}
	__atomic_store_n(&is_ready, 2, __ATOMIC_RELEASE);
	hart_join(h);
}

/* ---- All at once ---- */

static u64 asked, answered;

static void answers(struct handler *s)
{
	counts(s);
	__atomic_store_n(&answered, __atomic_load_n(&asked, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

/* All harts signal the one global event, change whose it is, mask and unmask;
 * whatever was asked for is answered. */
static void everybody(struct hart *h, void *arg)
{
	struct rand r;

	(void)arg;
	rand_seed(&r, h->index);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	for (u32 i = 0; i < ROUNDS && !test_failed(); i++) {
		u64 mine = __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);
		u64 start = time_now();

		check_eq(inject(SSE_GLOBAL_SOFT, 0), 0, "error");
		if (rand_below(&r, 4) == 0 &&
		    !call(SBI_SSE_DISABLE, SSE_GLOBAL_SOFT, 0, 0)) {
			attr_set(SSE_GLOBAL_SOFT, PREFERRED,
				 harts[rand_below(&r, machine.hart_count)].id);
			check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0,
				 "enable");
		}
		if (rand_below(&r, 2)) {
			call(SBI_SSE_MASK, 0, 0, 0);
			call(SBI_SSE_UNMASK, 0, 0, 0);
		}
		while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) < mine)
			if (!check(time_now() - start < 20 * machine.hz,
				   "hart %ld: not answered", h->id))
				break;
	}
	call(SBI_SSE_MASK, 0, 0, 0);
}

static void all_at_once(void)
{
	if (!present())
		return;
	asked = answered = 0;
	begin(&handlers[1], SSE_GLOBAL_SOFT, answers);
	harts_run(machine.hart_count, everybody, NULL);
	end(SSE_GLOBAL_SOFT);
}

const struct test sse_tests[] = {
	{"sse_masks_events_and_says_what_was", masks},
	{"sse_refuses_events_that_are_not_there", unknown_events},
	{"sse_states_follow_one_another", state_errors},
	{"sse_attributes_have_their_rules", attribute_values},
	{"sse_ranges_of_attributes_are_checked", attribute_ranges},
	{"sse_delivers_to_the_hart_that_asks", at_self},
	{"sse_keeps_sepc_and_sstatus", keeps_the_trap_registers},
	{"sse_resumes_with_what_the_handler_wrote",
	 resumes_with_other_registers},
	{"sse_urgent_events_preempt", urgent_ones_preempt},
	{"sse_others_wait_for_their_turn", others_wait},
	{"sse_refuses_harts_that_are_not_there", refused_harts},
	{"sse_reaches_harts_that_spin_wait_and_sleep", others_are_reached},
	{"sse_masked_events_wake_nobody", masked_harts_sleep_on},
	{"sse_global_events_survive_their_hart", survives_its_hart},
	{"sse_interrupts_user_mode", interrupts_user_mode},
	{"sse_all_harts_at_once", all_at_once},
};
TEST_LIST(sse_tests, sse_test_count);
