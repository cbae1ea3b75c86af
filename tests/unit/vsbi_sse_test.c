/*
 * SBI calls of guests: SSE. Every function and every error; what delivery and
 * completion do to the hart; order, nesting, masking; whose turn a global event
 * is; and that nobody is told of an event in vain, or left untold.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"

enum {
	READ,
	WRITE,
	REGISTER,
	UNREGISTER,
	ENABLE,
	DISABLE,
	COMPLETE,
	INJECT,
	UNMASK,
	MASK
};
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
	A7
};

#define LOCAL_RAS      0x00000000u
#define DOUBLE_TRAP    0x00000001u
#define GLOBAL_RAS     0x00008000u
#define PMU	       0x00010000u
#define LOCAL_RAS_LOW  0x00100000u
#define GLOBAL_RAS_LOW 0x00108000u
#define LOCAL	       0xffff0000u
#define GLOBAL	       0xffff8000u

#define PENDING	   4
#define INJECTABLE 8
#define BUF	   (FAKE_RAM_BASE + 0x800)

static const u32 all[] = {LOCAL_RAS,	  GLOBAL_RAS, LOCAL_RAS_LOW,
			  GLOBAL_RAS_LOW, LOCAL,      GLOBAL};

static u64 *buf(void)
{
	return (u64 *)(void *)(w.ram + (BUF - FAKE_RAM_BASE));
}

/* A call by any hart. */
static s64 call(u32 n, u64 fid, u64 a0, u64 a1, u64 a2)
{
	struct riscv_vcpu *v = fake_vcpu(n);

	v->x[10] = a0;
	v->x[11] = a1;
	v->x[12] = a2;
	v->x[13] = BUF;
	v->x[14] = 0;
	v->x[16] = fid;
	v->x[17] = VSBI_EID_SSE;
	assert_int_equal(vsbi_call(v), NEXT_ADVANCE);
	return (s64)v->x[10];
}

static u64 attr(u32 n, u32 id, u32 attr_id)
{
	assert_int_equal(call(n, READ, id, attr_id, 1), 0);
	return buf()[0];
}

static s64 attr_set(u32 n, u32 id, u32 attr_id, u64 val)
{
	buf()[0] = val;
	return call(n, WRITE, id, attr_id, 1);
}

static u32 state(u32 n, u32 id)
{
	return attr(n, id, STATUS) & 3;
}

static bool pending(u32 n, u32 id)
{
	return attr(n, id, STATUS) & PENDING;
}

/* Has the hart been told to look? Then what it does. */
static bool told(u32 n)
{
	return fake_vcpu(n)->v.virq & VIRQ_SSE;
}

static void look(u32 n)
{
	if (told(n)) {
		fake_vcpu(n)->v.virq = 0;
		vsse_deliver(fake_vcpu(n));
	}
}

/* A handler of its own for each: its address and argument are the id's. */
#define PC_OF(id)  (0x90000000u + ((id) >> 12))
#define ARG_OF(id) (0xa0000000u + (id))

static void enable(u32 n, u32 id)
{
	assert_int_equal(call(n, REGISTER, id, PC_OF(id), ARG_OF(id)), 0);
	assert_int_equal(call(n, ENABLE, id, 0, 0), 0);
}

static void complete(u32 n)
{
	struct riscv_vcpu *v = fake_vcpu(n);

	v->x[10] = 0x1010;
	v->x[11] = 0x1111;
	v->x[16] = COMPLETE;
	v->x[17] = VSBI_EID_SSE;
	assert_int_equal(vsbi_call(v), NEXT_RETRY);
	/* They are what was interrupted's. */
	assert_int_equal(v->x[10], 0x1010);
	assert_int_equal(v->x[11], 0x1111);
}

/* Harts 0 to 3 run and take events. */
static int setup(void **st)
{
	fake_setup(st);
	for (u32 i = 1; i < 4; i++)
		fake_started(i, VCPU_RUNNING);
	w.hart.vs_mode = true;
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(call(i, UNMASK, 0, 0, 0), 0);
	return 0;
}

/* ---- Errors ---- */

static void events_that_are_not_there_say_why(void **st)
{
	static const struct {
		u64 id;
		s64 error;
	} table[] = {
		{DOUBLE_TRAP, VSBI_NOT_SUPPORTED},
		{PMU, VSBI_NOT_SUPPORTED},
		{2, VSBI_INVALID_PARAM},
		{0x4000, VSBI_INVALID_PARAM},
		{0x8001, VSBI_INVALID_PARAM},
		{0xc000, VSBI_INVALID_PARAM},
		{0x18000, VSBI_INVALID_PARAM},
		{0xffff0001, VSBI_INVALID_PARAM},
		{0xffffffff, VSBI_INVALID_PARAM},
	};

	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		for (u32 fid = READ; fid <= INJECT; fid++)
			if (fid != COMPLETE)
				assert_int_equal(
					call(0, fid, table[i].id, 0, 1),
					table[i].error);
	expect_ret(CALL(VSBI_EID_SSE, 10), VSBI_NOT_SUPPORTED, 0);
	expect_ret(CALL(VSBI_EID_SSE, UINT64_MAX), VSBI_NOT_SUPPORTED, 0);
}

static void masking_twice_is_told_apart(void **st)
{
	fake_setup(st);
	assert_int_equal(call(0, MASK, 0, 0, 0), VSBI_ALREADY_STOPPED);
	assert_int_equal(call(0, UNMASK, 0, 0, 0), 0);
	assert_int_equal(call(0, UNMASK, 0, 0, 0), VSBI_ALREADY_STARTED);
	assert_int_equal(call(0, MASK, 0, 0, 0), 0);
	assert_int_equal(call(0, MASK, 0, 0, 0), VSBI_ALREADY_STOPPED);
}

static void states_follow_one_another(void **st)
{
	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		u32 id = all[i];

		assert_int_equal(state(0, id), 0);
		assert_int_equal(call(0, UNREGISTER, id, 0, 0),
				 VSBI_INVALID_STATE);
		assert_int_equal(call(0, ENABLE, id, 0, 0), VSBI_INVALID_STATE);
		assert_int_equal(call(0, DISABLE, id, 0, 0),
				 VSBI_INVALID_STATE);
		assert_int_equal(call(0, REGISTER, id, 0x1001, 5),
				 VSBI_INVALID_PARAM);
		assert_int_equal(state(0, id), 0);
		assert_int_equal(call(0, REGISTER, id, 0x1002, 5), 0);
		assert_int_equal(state(0, id), 1);
		assert_int_equal(attr(0, id, PC), 0x1002);
		assert_int_equal(attr(0, id, ARG), 5);
		assert_int_equal(call(0, REGISTER, id, 0x1004, 6),
				 VSBI_INVALID_STATE);
		assert_int_equal(attr(0, id, PC), 0x1002);
		assert_int_equal(call(0, DISABLE, id, 0, 0),
				 VSBI_INVALID_STATE);
		assert_int_equal(call(0, ENABLE, id, 0, 0), 0);
		assert_int_equal(state(0, id), 2);
		assert_int_equal(call(0, ENABLE, id, 0, 0), VSBI_INVALID_STATE);
		assert_int_equal(call(0, UNREGISTER, id, 0, 0),
				 VSBI_INVALID_STATE);
		assert_int_equal(call(0, DISABLE, id, 0, 0), 0);
		assert_int_equal(call(0, UNREGISTER, id, 0, 0), 0);
		assert_int_equal(state(0, id), 0);
	}
}

static void a_state_is_a_harts_or_all_harts(void **st)
{
	(void)st;
	enable(0, LOCAL);
	enable(0, GLOBAL);
	assert_int_equal(state(1, LOCAL), 0);
	assert_int_equal(state(1, GLOBAL), 2);
	assert_int_equal(attr(2, GLOBAL, PC), PC_OF(GLOBAL));
	assert_int_equal(call(1, DISABLE, GLOBAL, 0, 0), 0);
	assert_int_equal(state(0, GLOBAL), 1);
	assert_int_equal(attr(1, LOCAL, PREFERRED), 1);
	assert_int_equal(attr(1, GLOBAL, PREFERRED), 0);
}

static void attributes_are_reset(void **st)
{
	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(call(0, READ, all[i], 0, 10), 0);
		assert_int_equal(buf()[STATUS], INJECTABLE);
		for (u32 a = PRIORITY; a <= A7; a++)
			assert_int_equal(buf()[a], 0);
	}
}

static void ranges_of_attributes_are_checked(void **st)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	const struct {
		u64 base, count, at, hi;
		s64 error;
	} table[] = {
		{0, 0, BUF, 0, VSBI_INVALID_PARAM},
		{10, 1, BUF, 0, VSBI_BAD_RANGE},
		{0, 11, BUF, 0, VSBI_BAD_RANGE},
		{9, 2, BUF, 0, VSBI_BAD_RANGE},
		{1, 0xffffffff, BUF, 0, VSBI_BAD_RANGE},
		{0xffffffff, 2, BUF, 0, VSBI_BAD_RANGE},
		{1, 1, BUF + 4, 0, VSBI_INVALID_ADDRESS},
		{1, 1, BUF, 1, VSBI_INVALID_ADDRESS},
		{1, 1, FAKE_RAM_BASE - 8, 0, VSBI_INVALID_ADDRESS},
		{1, 1, FAKE_RAM_BASE + FAKE_RAM_BYTES, 0, VSBI_INVALID_ADDRESS},
		{1, 2, FAKE_RAM_BASE + FAKE_RAM_BYTES - 8, 0,
		 VSBI_INVALID_ADDRESS},
		{1, 1, UINT64_MAX - 7, 0, VSBI_INVALID_ADDRESS},
		/* The halves of registers that are no part of it. */
		{1ULL << 32 | 1, 1, BUF, 0, 0},
		{1, 1ULL << 32 | 1, BUF, 0, 0},
	};

	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		for (u32 fid = READ; fid <= WRITE; fid++) {
			fake_call(VSBI_EID_SSE, fid, 1ULL << 32 | LOCAL,
				  table[i].base, table[i].count, table[i].at,
				  table[i].hi);
			assert_int_equal(v->x[10], table[i].error);
		}
}

static void attributes_are_written_by_their_rules(void **st)
{
	static const u32 fixed[] = {STATUS, PC, ARG};

	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		u32 id = all[i];

		for (u32 k = 0; k < ARRAY_LEN(fixed); k++)
			assert_int_equal(attr_set(0, id, fixed[k], 0),
					 VSBI_DENIED);
		for (u32 k = SEPC; k <= A7; k++)
			assert_int_equal(attr_set(0, id, k, 0),
					 VSBI_INVALID_STATE);
		assert_int_equal(attr_set(0, id, PRIORITY, 1ULL << 32),
				 VSBI_INVALID_PARAM);
		assert_int_equal(attr_set(0, id, CONFIG, 2),
				 VSBI_INVALID_PARAM);
		assert_int_equal(attr_set(0, id, PRIORITY, 0xffffffff), 0);
		assert_int_equal(attr(0, id, PRIORITY), 0xffffffff);
		assert_int_equal(attr_set(0, id, CONFIG, 1), 0);
		assert_int_equal(attr(0, id, CONFIG), 1);
		assert_int_equal(attr_set(0, id, PREFERRED, 3),
				 vsse_global(i) ? 0 : VSBI_DENIED);
		if (vsse_global(i))
			assert_int_equal(attr_set(0, id, PREFERRED, 4),
					 VSBI_INVALID_PARAM);
		enable(0, id);
		assert_int_equal(attr_set(0, id, PRIORITY, 1),
				 VSBI_INVALID_STATE);
		assert_int_equal(attr_set(0, id, CONFIG, 0),
				 VSBI_INVALID_STATE);
		if (vsse_global(i))
			assert_int_equal(attr_set(0, id, PREFERRED, 1),
					 VSBI_INVALID_STATE);
	}
}

static void a_write_that_fails_changes_nothing(void **st)
{
	(void)st;
	buf()[0] = 7; /* priority */
	buf()[1] = 1; /* configuration */
	buf()[2] = 4; /* hart: there is none */
	assert_int_equal(call(0, WRITE, GLOBAL, PRIORITY, 3),
			 VSBI_INVALID_PARAM);
	assert_int_equal(attr(0, GLOBAL, PRIORITY), 0);
	assert_int_equal(attr(0, GLOBAL, CONFIG), 0);
	/* The first of several errors, by the attributes' order. */
	buf()[1] = 2;
	buf()[2] = 2;
	buf()[3] = 2;
	assert_int_equal(call(0, WRITE, GLOBAL, PRIORITY, 4),
			 VSBI_INVALID_PARAM);
	buf()[1] = 1;
	assert_int_equal(call(0, WRITE, GLOBAL, PRIORITY, 4), VSBI_DENIED);
}

/* ---- The hart ---- */

static void an_event_takes_the_hart_and_gives_it_back(void **st)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)st;
	enable(0, LOCAL);
	assert_int_equal(call(0, INJECT, LOCAL, 0, 0), 0);
	assert_true(told(0));
	w.hart.sepc = 0x80001234;
	w.hart.vs_mode = false;
	w.hart.vsepc = 0x1000;
	w.hart.vsstatus = SSTATUS_SIE | SSTATUS_SPP | SSTATUS_SUM;
	v->x[16] = 0x6666;
	v->x[17] = 0x7777;
	look(0);
	assert_int_equal(w.hart.sepc, PC_OF(LOCAL));
	assert_true(w.hart.vs_mode);
	assert_int_equal(v->x[16], 0);
	assert_int_equal(v->x[17], ARG_OF(LOCAL));
	assert_int_equal(w.hart.vsepc, 0x80001234);
	assert_int_equal(w.hart.vsstatus, SSTATUS_SPIE | SSTATUS_SUM);
	assert_int_equal(attr(0, LOCAL, STATUS), 3 | INJECTABLE);
	assert_int_equal(call(0, READ, LOCAL, SEPC, 4), 0);
	assert_int_equal(buf()[0], 0x1000);
	assert_int_equal(buf()[1], 1);
	assert_int_equal(buf()[2], 0x6666);
	assert_int_equal(buf()[3], 0x7777);
	complete(0);
	assert_int_equal(w.hart.sepc, 0x80001234);
	assert_false(w.hart.vs_mode);
	assert_int_equal(w.hart.vsepc, 0x1000);
	assert_int_equal(w.hart.vsstatus,
			 SSTATUS_SIE | SSTATUS_SPP | SSTATUS_SUM);
	assert_int_equal(v->x[16], 0x6666);
	assert_int_equal(v->x[17], 0x7777);
	assert_int_equal(state(0, LOCAL), 2);
	/* One more completion has nothing to complete. */
	assert_int_equal(call(0, COMPLETE, 0, 0, 0), 0);
	assert_int_equal(w.hart.sepc, 0x80001234);
}

static void a_local_events_handler_changes_it_too(void **st)
{
	(void)st;
	enable(0, LOCAL);
	assert_int_equal(call(0, INJECT, LOCAL, 0, 0), 0);
	look(0);
	assert_int_equal(attr_set(0, LOCAL, SEPC, 0x4444), 0);
	assert_int_equal(attr_set(0, LOCAL, A6, 6), 0);
	complete(0);
	assert_int_equal(w.hart.vsepc, 0x4444);
	assert_int_equal(fake_vcpu(0)->x[16], 6);
	assert_int_equal(attr_set(0, LOCAL, SEPC, 0), VSBI_INVALID_STATE);
}

static void a_handler_changes_what_it_goes_back_to(void **st)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)st;
	enable(0, GLOBAL);
	assert_int_equal(call(1, INJECT, GLOBAL, 9, 0), 0);
	look(0);
	for (u32 bit = 0; bit < 6; bit++) {
		assert_int_equal(attr_set(0, GLOBAL, FLAGS, 1u << bit), 0);
		assert_int_equal(attr(0, GLOBAL, FLAGS), 1u << bit);
	}
	assert_int_equal(attr_set(0, GLOBAL, FLAGS, 1u << 6),
			 VSBI_INVALID_PARAM);
	assert_int_equal(attr_set(0, GLOBAL, FLAGS, 1ULL << 32),
			 VSBI_INVALID_PARAM);
	assert_int_equal(attr_set(0, GLOBAL, PRIORITY, 0), VSBI_INVALID_STATE);
	assert_int_equal(attr_set(0, GLOBAL, PREFERRED, 0), VSBI_INVALID_STATE);
	/* By no other hart. */
	for (u32 k = SEPC; k <= A7; k++)
		assert_int_equal(attr_set(1, GLOBAL, k, 0), VSBI_INVALID_STATE);
	buf()[0] = 0x2000;
	buf()[1] = 2;
	buf()[2] = 0x66;
	buf()[3] = 0x77;
	assert_int_equal(call(0, WRITE, GLOBAL, SEPC, 4), 0);
	w.hart.vsepc = 0x80004444;
	w.hart.vsstatus = SSTATUS_SPP;
	complete(0);
	assert_int_equal(w.hart.sepc, 0x80004444);
	assert_true(w.hart.vs_mode);
	assert_int_equal(w.hart.vsepc, 0x2000);
	assert_int_equal(w.hart.vsstatus, SSTATUS_SPIE);
	assert_int_equal(v->x[16], 0x66);
	assert_int_equal(v->x[17], 0x77);
}

static void one_shot_events_are_disabled_when_done(void **st)
{
	static const u32 ids[] = {LOCAL, GLOBAL};

	(void)st;
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(attr_set(0, ids[i], CONFIG, 1), 0);
		enable(0, ids[i]);
		assert_int_equal(call(0, INJECT, ids[i], 0, 0), 0);
		look(0);
		/* Again meanwhile: it pends. */
		assert_int_equal(call(0, INJECT, ids[i], 0, 0), 0);
		assert_int_equal(attr(0, ids[i], STATUS),
				 3 | PENDING | INJECTABLE);
		look(0);
		complete(0);
		assert_int_equal(state(0, ids[i]), 1);
		look(0);
		assert_int_equal(state(0, ids[i]), 1);
		assert_true(pending(0, ids[i]));
		assert_int_equal(call(0, ENABLE, ids[i], 0, 0), 0);
		look(0);
		assert_int_equal(attr(0, ids[i], STATUS), 3 | INJECTABLE);
		complete(0);
	}
}

/* ---- Order ---- */

static void the_more_urgent_one_comes_first_and_in_between(void **st)
{
	(void)st;
	/* Ids fall, so each is more urgent than the one before. */
	for (u32 i = ARRAY_LEN(all); i-- > 0;) {
		enable(0, all[i]);
		assert_int_equal(call(0, INJECT, all[i], 0, 0), 0);
		look(0);
		assert_int_equal(w.hart.sepc, PC_OF(all[i]));
	}
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(state(0, all[i]), 3);
		complete(0);
		assert_int_equal(state(0, all[i]), 2);
		look(0);
		if (i + 1 < ARRAY_LEN(all))
			assert_int_equal(w.hart.sepc, PC_OF(all[i + 1]));
	}
	assert_int_equal(fake_vcpu(0)->sse.running, 0);
}

static void the_less_urgent_one_waits(void **st)
{
	(void)st;
	/* Priorities turn the order of the ids round. */
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(attr_set(0, all[i], PRIORITY, 10 - i), 0);
		enable(0, all[i]);
	}
	for (u32 i = ARRAY_LEN(all); i-- > 0;) {
		assert_int_equal(call(0, INJECT, all[i], 0, 0), 0);
		w.hart.sepc = 0x1234;
		look(0);
		assert_int_equal(w.hart.sepc,
				 all[i] == GLOBAL ? PC_OF(GLOBAL) : 0x1234);
		assert_int_equal(pending(0, all[i]), all[i] != GLOBAL);
	}
	for (u32 i = ARRAY_LEN(all); i-- > 1;) {
		complete(0);
		look(0);
		assert_int_equal(w.hart.sepc, PC_OF(all[i - 1]));
		assert_false(pending(0, all[i - 1]));
	}
	complete(0);
	assert_false(told(0));
}

static void of_several_that_pend_the_first_is_the_most_urgent(void **st)
{
	(void)st;
	assert_int_equal(attr_set(0, LOCAL_RAS, PRIORITY, 3), 0);
	assert_int_equal(attr_set(0, GLOBAL, PRIORITY, 2), 0);
	assert_int_equal(attr_set(0, LOCAL, PRIORITY, 2), 0);
	enable(0, LOCAL_RAS);
	enable(0, GLOBAL);
	enable(0, LOCAL);
	assert_int_equal(call(0, INJECT, LOCAL_RAS, 0, 0), 0);
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	assert_int_equal(call(0, INJECT, LOCAL, 0, 0), 0);
	look(0);
	assert_int_equal(w.hart.sepc, PC_OF(LOCAL));
	complete(0);
	look(0);
	assert_int_equal(w.hart.sepc, PC_OF(GLOBAL));
	complete(0);
	look(0);
	assert_int_equal(w.hart.sepc, PC_OF(LOCAL_RAS));
}

/* ---- Who is told ---- */

static void nobody_is_told_who_would_not_take_it(void **st)
{
	(void)st;
	/* Not registered, registered, masked: it pends. */
	assert_int_equal(call(0, INJECT, LOCAL, 1, 0), 0);
	assert_false(told(1));
	assert_true(pending(1, LOCAL));
	assert_false(pending(0, LOCAL));
	assert_int_equal(call(1, REGISTER, LOCAL, PC_OF(LOCAL), 0), 0);
	assert_int_equal(call(1, MASK, 0, 0, 0), 0);
	assert_int_equal(call(1, ENABLE, LOCAL, 0, 0), 0);
	assert_int_equal(call(0, INJECT, LOCAL, 1, 0), 0);
	assert_false(told(1));
	assert_int_equal(call(1, UNMASK, 0, 0, 0), 0);
	assert_true(told(1));
	look(1);
	assert_int_equal(w.hart.sepc, PC_OF(LOCAL));
	assert_int_equal(fake_vcpu(1)->x[16], 1);
	/* And while it runs, until it is done. */
	assert_int_equal(call(0, INJECT, LOCAL, 1, 0), 0);
	assert_false(told(1));
	complete(1);
	assert_true(told(1));
}

static void what_was_told_too_late_is_not_delivered(void **st)
{
	(void)st;
	enable(1, LOCAL);
	enable(1, GLOBAL);
	assert_int_equal(attr(0, GLOBAL, PREFERRED), 0);
	assert_int_equal(call(2, INJECT, LOCAL, 1, 0), 0);
	assert_int_equal(call(2, INJECT, GLOBAL, 0, 0), 0);
	assert_true(told(0) && told(1));
	assert_int_equal(call(1, DISABLE, LOCAL, 0, 0), 0);
	assert_int_equal(call(1, DISABLE, GLOBAL, 0, 0), 0);
	w.hart.sepc = 0x1234;
	look(0);
	look(1);
	assert_int_equal(w.hart.sepc, 0x1234);
	assert_true(pending(1, LOCAL) && pending(0, GLOBAL));
	assert_int_equal(call(1, ENABLE, GLOBAL, 0, 0), 0);
	assert_true(told(0));
	assert_false(told(1));
}

static void a_global_event_goes_to_the_preferred_hart(void **st)
{
	(void)st;
	for (u32 n = 0; n < 4; n++) {
		assert_int_equal(attr_set(0, GLOBAL, PREFERRED, n), 0);
		enable(0, GLOBAL);
		assert_int_equal(call(0, INJECT, GLOBAL, 77, 0), 0);
		for (u32 i = 0; i < 4; i++)
			assert_int_equal(told(i), i == n);
		look(n);
		assert_int_equal(fake_vcpu(n)->sse.running,
				 1u << VSSE_GLOBAL_SOFT);
		assert_int_equal(state((n + 1) % 4, GLOBAL), 3);
		complete(n);
		assert_int_equal(call(1, DISABLE, GLOBAL, 0, 0), 0);
		assert_int_equal(call(1, UNREGISTER, GLOBAL, 0, 0), 0);
	}
}

static void else_to_the_first_that_takes_events(void **st)
{
	(void)st;
	assert_int_equal(attr_set(0, GLOBAL, PREFERRED, 2), 0);
	enable(0, GLOBAL);
	assert_int_equal(call(2, MASK, 0, 0, 0), 0);
	assert_int_equal(call(0, MASK, 0, 0, 0), 0);
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	assert_true(told(1) && !told(2) && !told(3));
	/* Before that one has looked the other takes events again: its turn. */
	assert_int_equal(call(2, UNMASK, 0, 0, 0), 0);
	assert_true(told(2));
	look(1);
	assert_int_equal(fake_vcpu(1)->sse.running, 0);
	look(2);
	assert_int_equal(fake_vcpu(2)->sse.running, 1u << VSSE_GLOBAL_SOFT);
	complete(2);
	/* And when it masks them with one to take, another is told. */
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	assert_true(told(2) && !told(1));
	assert_int_equal(call(2, MASK, 0, 0, 0), 0);
	assert_true(told(1));
	look(2);
	assert_int_equal(fake_vcpu(2)->sse.running, 0);
	look(1);
	assert_int_equal(fake_vcpu(1)->sse.running, 1u << VSSE_GLOBAL_SOFT);
}

static void a_global_event_waits_for_the_first_hart_that_unmasks(void **st)
{
	(void)st;
	enable(0, GLOBAL);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(call(i, MASK, 0, 0, 0), 0);
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	for (u32 i = 0; i < 4; i++)
		assert_false(told(i));
	assert_int_equal(call(3, UNMASK, 0, 0, 0), 0);
	look(3);
	assert_int_equal(fake_vcpu(3)->sse.running, 1u << VSSE_GLOBAL_SOFT);
}

static void who_finds_a_global_event_in_hand_is_told_after(void **st)
{
	struct riscv_vcpu *v = fake_vcpu(1);

	(void)st;
	enable(0, GLOBAL);
	assert_int_equal(call(1, INJECT, GLOBAL, 0, 0), 0);
	assert_non_null(vsse_take(fake_vcpu(3), VSSE_GLOBAL_SOFT));
	look(0);
	assert_int_equal(fake_vcpu(0)->sse.running, 0);
	for (u32 fid = READ; fid <= DISABLE; fid++) {
		v->x[10] = GLOBAL;
		v->x[11] = 0;
		v->x[12] = 1;
		v->x[13] = BUF;
		v->x[14] = 0;
		v->x[16] = fid;
		/* To be made again, just as it is. */
		assert_int_equal(vsbi_call(v), NEXT_LOOK);
		assert_true(v->x[10] == GLOBAL && v->x[11] == 0);
	}
	vsse_put(fake_vcpu(3), VSSE_GLOBAL_SOFT);
	assert_true(told(0));
	look(0);
	assert_int_equal(fake_vcpu(0)->sse.running, 1u << VSSE_GLOBAL_SOFT);
	/* Completion, and the end of the hart, are no exception. */
	assert_non_null(vsse_take(fake_vcpu(3), VSSE_GLOBAL_SOFT));
	fake_vcpu(0)->x[16] = COMPLETE;
	fake_vcpu(0)->x[17] = VSBI_EID_SSE;
	assert_int_equal(vsbi_call(fake_vcpu(0)), NEXT_LOOK);
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_STOP).next, NEXT_LOOK);
	assert_int_equal(vsbi_hsm_status(fake_vcpu(0)), VHSM_STARTED);
	vsse_put(fake_vcpu(3), VSSE_GLOBAL_SOFT);
	complete(0);
}

/* ---- Life ---- */

static void harts_that_are_not_there_get_none(void **st)
{
	(void)st;
	assert_int_equal(call(0, INJECT, LOCAL, 4, 0), VSBI_INVALID_PARAM);
	assert_int_equal(call(0, INJECT, LOCAL, UINT64_MAX, 0),
			 VSBI_INVALID_PARAM);
	fake_vcpu(3)->v.state = VCPU_OFF;
	assert_int_equal(call(0, INJECT, LOCAL, 3, 0), VSBI_FAILED);
	assert_int_equal(fake_vcpu(3)->sse.pending, 0);
}

static void a_hart_that_stops_leaves_global_events_to_others(void **st)
{
	(void)st;
	enable(0, GLOBAL);
	enable(0, GLOBAL_RAS);
	enable(0, LOCAL);
	assert_int_equal(attr_set(0, GLOBAL_RAS_LOW, CONFIG, 1), 0);
	enable(0, GLOBAL_RAS_LOW);
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	look(0);
	assert_int_equal(call(0, INJECT, GLOBAL_RAS_LOW, 0, 0), 0);
	look(0);
	/* One runs, one runs once, one pends here, one pends and runs. */
	assert_int_equal(call(1, INJECT, GLOBAL_RAS, 0, 0), 0);
	assert_int_equal(call(1, INJECT, GLOBAL, 0, 0), 0);
	assert_int_equal(CALL(VSBI_EID_HSM, VSBI_HSM_STOP).next, NEXT_OFF);
	assert_int_equal(state(1, GLOBAL_RAS_LOW), 1);
	assert_true(told(1));
	look(1);
	assert_int_equal(w.hart.sepc, PC_OF(GLOBAL_RAS));
	complete(1);
	look(1);
	assert_int_equal(w.hart.sepc, PC_OF(GLOBAL));
	vsbi_vcpu_reset(fake_vcpu(0));
	assert_int_equal(state(0, LOCAL), 0);
	assert_int_equal(call(0, MASK, 0, 0, 0), VSBI_ALREADY_STOPPED);
}

static void a_guest_starts_without_events(void **st)
{
	(void)st;
	for (u32 i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(attr_set(0, all[i], PRIORITY, 5), 0);
		enable(0, all[i]);
	}
	assert_int_equal(call(0, INJECT, GLOBAL, 0, 0), 0);
	look(0);
	assert_int_equal(call(1, INJECT, LOCAL, 1, 0), 0);
	assert_non_null(vsse_take(fake_vcpu(3), VSSE_GLOBAL_SOFT));
	fake_guest_reset();
	for (u32 i = 1; i < 4; i++)
		fake_started(i, VCPU_RUNNING);
	fake_vcpu(0)->hsm_state = VHSM_STARTED;
	attributes_are_reset(st);
	assert_int_equal(call(1, READ, LOCAL, STATUS, 1), 0);
	assert_int_equal(buf()[0], INJECTABLE);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(events_that_are_not_there_say_why),
		T(masking_twice_is_told_apart),
		T(states_follow_one_another),
		T(a_state_is_a_harts_or_all_harts),
		T(attributes_are_reset),
		T(ranges_of_attributes_are_checked),
		T(attributes_are_written_by_their_rules),
		T(a_write_that_fails_changes_nothing),
		T(an_event_takes_the_hart_and_gives_it_back),
		T(a_handler_changes_what_it_goes_back_to),
		T(a_local_events_handler_changes_it_too),
		T(one_shot_events_are_disabled_when_done),
		T(the_more_urgent_one_comes_first_and_in_between),
		T(the_less_urgent_one_waits),
		T(of_several_that_pend_the_first_is_the_most_urgent),
		T(nobody_is_told_who_would_not_take_it),
		T(what_was_told_too_late_is_not_delivered),
		T(a_global_event_goes_to_the_preferred_hart),
		T(else_to_the_first_that_takes_events),
		T(a_global_event_waits_for_the_first_hart_that_unmasks),
		T(who_finds_a_global_event_in_hand_is_told_after),
		T(harts_that_are_not_there_get_none),
		T(a_hart_that_stops_leaves_global_events_to_others),
		T(a_guest_starts_without_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
