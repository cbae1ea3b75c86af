/*
 * SSE on one hart: each function with each of its errors, what a handler finds
 * and what it leaves behind, the order of six events in each other.
 */
#include "guests/baremetal/sbitest/sse.h"

/* From the least to the most urgent, if all have the same priority. */
static const u32 events[] = {SSE_GLOBAL_SOFT,	 SSE_LOCAL_SOFT,
			     SSE_GLOBAL_RAS_LOW, SSE_LOCAL_RAS_LOW,
			     SSE_GLOBAL_RAS,	 SSE_LOCAL_RAS};
#define EVENTS ARRAY_LEN(events)

static struct handler handlers[EVENTS];
static u64 order[2 * EVENTS], ordered;

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
};
TEST_LIST(sse_tests, sse_test_count);
