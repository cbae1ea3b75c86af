/*
 * Where a silent hart is, in every order that there is, by the source of those
 * who ask (arch/riscv/sse.c); the handler on the hart, which is assembly
 * (sse_entry.S), is written out here. docs/locking.md argues what is tried.
 *
 * A hart goes from place to place and is asked, by an event that comes at any
 * time later; meanwhile anybody may read. An answer is whole and of the
 * question that was asked last: of a place where the hart was after that. And
 * when nobody can go on, the answer is there.
 */
/* sources: tests/model/explore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/model/holds.h"

#include "arch/riscv/sse.c"

#define FP 100 /* the place's frame, more than its pc */

struct world {
	u64 place;	  /* of the hart */
	u32 asked, taken; /* events: injected, and handled */
};

_Thread_local struct cpu *fake_this_cpu;
char sse_entry[1];
bool isa_have[ISA_OTHER];
static struct riscv_cpu *hart;
static struct world *w;

/* ---- What sse.c stands on ---- */

const char *cmdline_get(const char *name, size_t *len)
{
	return NULL;
}

bool cmdline_is(const char *name, const char *word)
{
	return false;
}

void refuse(const char *fmt, ...)
{
	explore_fail(__FILE__, __LINE__, fmt);
}

bool sbi_probe(u64 ext)
{
	return true;
}

bool doorbell_is_firmware(void)
{
	return false;
}

/* The event pends from here on. */
struct sbi_ret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2)
{
	if (fid == SSE_INJECT)
		ck_pr_fas_32(&w->asked, w->asked + 1);
	return (struct sbi_ret){0, 0};
}

/* ---- The threads ---- */

static bool event_pends(const void *arg)
{
	return w->asked != w->taken;
}

/* As sse_entry. What the hart does in between has no part in it: it stands
 * where it is while its event is handled. */
static void events(void *arg)
{
	for (;;) {
		struct hart_where *at = &hart->where;
		u64 place;

		explore_rest();
		explore_wait(event_pends, NULL);
		place = ck_pr_load_64(&w->place);
		w->taken = w->asked;
		ck_pr_store_64(&at->fp, place + FP);
		ck_pr_store_64(&at->pc, place);
		ck_pr_fence_store();
		ck_pr_store_64(&at->answers, 1);
	}
}

static void read_since(u64 place)
{
	struct cpu_where at;

	if (!arch_cpu_where(&hart->c, &at))
		return;
	explore_check(at.pc >= place);
	explore_check(at.fp == at.pc + FP);
}

static bool is_answered(const void *arg)
{
	return hart->where.answers;
}

static void ask(void)
{
	u64 place = ck_pr_load_64(&w->place);

	arch_cpu_where_ask(&hart->c);
	read_since(place);
}

static void asker(void *arg)
{
	ask();
	read_since(1);
}

/* It answers, goes on, and is silent again. */
static void asker_twice(void *arg)
{
	ask();
	explore_wait(is_answered, NULL);
	read_since(1);
	arch_cpu_where_forget(&hart->c);
	ck_pr_fas_64(&w->place, 2);
	ask();
}

/* Another CPU, in its panic. */
static void reader(void *arg)
{
	read_since(1);
	read_since(1);
}

/* ---- Worlds ---- */

static void world_make(void (*asks)(void *arg))
{
	hart = explore_alloc(sizeof(*hart));
	w = explore_alloc(sizeof(*w));
	w->place = 1;
	used = true;
	sse_cpu_init(hart);
	explore_watch(&hart->where.answers, sizeof(u64), "answers");
	explore_watch(&hart->where.pc, sizeof(u64), "pc");
	explore_watch(&hart->where.fp, sizeof(u64), "frame");
	explore_watch(&w->asked, sizeof(w->asked), "the event");
	explore_thread("asker", NULL, asks, NULL);
	explore_thread("hart", NULL, events, NULL);
}

static void one_asks(void)
{
	world_make(asker);
}

static void one_asks_as_another_reads(void)
{
	world_make(asker);
	explore_thread("reader", NULL, reader, NULL);
}

static void one_asks_twice(void)
{
	world_make(asker_twice);
}

static void an_old_answer_is_there(void)
{
	world_make(asker);
	hart->where.answers = 1;
	hart->where.pc = 0;
	hart->where.fp = FP;
}

static void it_is_known(void)
{
	explore_check(hart->where.answers);
	explore_check(hart->where.pc == w->place);
	explore_check(hart->where.fp == w->place + FP);
}

/* In a guest or asleep it isn't asked, and an old answer is none. */
static void a_cpu_in_a_guest(void)
{
	an_old_answer_is_there();
	hart->c.mode = CPU_GUEST;
}

static void it_is_not_known(void)
{
	explore_check(!w->asked && !hart->where.answers);
}

/* ---- The tests ---- */

#define HOLDS(test, begin) MODEL_HOLDS(test, begin, it_is_known, 0, 0)

HOLDS(who_asks_gets_a_whole_answer, one_asks)
HOLDS(so_does_who_reads_beside_it, one_asks_as_another_reads)
HOLDS(who_asks_twice_gets_two_answers, one_asks_twice)
HOLDS(an_old_answer_is_none, an_old_answer_is_there)
MODEL_HOLDS(who_is_not_asked_is_not_known, a_cpu_in_a_guest, it_is_not_known, 0,
	    0)

#define FINDS(test, begin, fault, thread) \
	MODEL_FINDS(test, begin, it_is_known, 4, fault, thread)

FINDS(a_question_without_its_fence_is_found, an_old_answer_is_there,
      EXPLORE_NO_FULL_FENCE, "asker")
FINDS(an_answer_without_its_fence_is_found, one_asks, EXPLORE_NO_STORE_FENCE,
      "hart")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_gets_a_whole_answer),
		cmocka_unit_test(so_does_who_reads_beside_it),
		cmocka_unit_test(who_asks_twice_gets_two_answers),
		cmocka_unit_test(an_old_answer_is_none),
		cmocka_unit_test(who_is_not_asked_is_not_known),
		cmocka_unit_test(a_question_without_its_fence_is_found),
		cmocka_unit_test(an_answer_without_its_fence_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
