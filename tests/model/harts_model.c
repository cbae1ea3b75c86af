/*
 * Harts that come up, in every order that there is: in time, late, in the
 * middle of being given up, or never, by the source of both sides
 * (arch/riscv/harts.c). docs/locking.md argues what is tried here.
 *
 * Boot looks a few times, and a hart may come before, between and long after
 * these. When nobody can go on each hart that came either takes part, and boot
 * has counted it, or has been sent back; and one that was given up has done
 * nothing that others see. Boot doesn't go on before it sees what those that
 * take part have measured, nor they before they see what boot has made.
 */
/* sources: tests/model/explore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* So few that being one too many is near. */
#define CPU_MAX 64

#include "tests/model/holds.h"
#include "tests/unit/fake_harts.h"

#include "kernel/percpu/cpu.c"

enum { COMES, NEVER, REFUSED }; /* what the firmware makes of a start */

struct outcome {
	u32 start[HARTS];    /* the firmware's: it is to start */
	u32 measured, made;  /* bits of harts; what boot has made of them */
	bool parked[HARTS], on[HARTS];
	bool boot_done, refused;
	u32 left_out; /* lines that say so */
	u32 areas;    /* that were asked for */
	struct riscv_cpu *table[HARTS];
};

_Thread_local struct cpu *fake_this_cpu;
static struct outcome *o;
static struct riscv_cpu *area[HARTS];
static struct cpu self[HARTS]; /* which thread it is: its index */
static u32 firmware[HARTS];
static u32 cpus_before; /* that count already */

/* ---- The rest of the kernel ---- */

/* Areas of harts are asked for in their order. */
void *obj_alloc(size_t bytes)
{
	if (bytes == sizeof(struct riscv_cpu))
		return area[++o->areas];
	return o->table;
}

void obj_free(void *obj)
{
	explore_fail(__FILE__, __LINE__, "nothing is given back");
}

void log_line(enum log_level level, const char *fmt, ...)
{
	o->left_out++;
}

static bool never(const void *arg)
{
	return false;
}

_Noreturn static void stop(void)
{
	explore_wait(never, NULL);
	abort();
}

/* Of what there is to refuse only this is so: it was there, and went no
 * further. */
void refuse(const char *fmt, ...)
{
	va_list ap;
	u64 hartid;

	va_start(ap, fmt);
	hartid = va_arg(ap, u64);
	va_end(ap);
	explore_check(hartid > 10 && hartid < 10 + HARTS);
	explore_check(area[hartid - 10]->hart_state == HART_HERE ||
		      area[hartid - 10]->hart_state == HART_ONLINE);
	o->refused = true;
	stop();
}

void panic(const char *fmt, ...)
{
	explore_fail(__FILE__, __LINE__, fmt);
}

/* ---- The threads ---- */

struct riscv_cpu *riscv_this(void)
{
	return area[fake_this_cpu->index];
}

static bool hart_comes(u64 hartid, struct riscv_cpu *c)
{
	u64 i = hartid - 10;

	explore_check(c == area[i]);
	if (firmware[i] == COMES)
		ck_pr_store_32(&o->start[i], 1);
	return firmware[i] != REFUSED;
}

static bool boot_has_said(const void *arg)
{
	u32 state = *(const u32 *)arg;

	return state == HART_RELEASED || state == HART_GIVEN_UP;
}

static void hart_waits(void)
{
	explore_wait(boot_has_said, &riscv_this()->hart_state);
}

static void time_passes(void)
{
}

void gstage_modes_probe(void)
{
}

static void hart_goes(void)
{
	o->parked[fake_this_cpu->index] = true;
	stop();
}

static void hart_measures(struct riscv_cpu *c)
{
	ck_pr_or_32(&o->measured, 1u << fake_this_cpu->index);
}

static void hart_enters(struct riscv_cpu *c)
{
	explore_check(c == area[fake_this_cpu->index]);
	explore_check(ck_pr_load_32(&o->made));
	explore_check(cpu_by_index(c->c.index) == &c->c);
	o->on[fake_this_cpu->index] = true;
	stop();
}

static bool is_set(const void *arg)
{
	return *(const u32 *)arg != 0;
}

static void hart(void *arg)
{
	explore_wait(is_set, arg);
	secondary_main();
}

static void boot(void *arg)
{
	harts_start();
	for (u32 i = 1; i < machine.hart_count; i++)
		explore_check(!harts[i] ||
			      (ck_pr_load_32(&o->measured) >> i & 1));
	ck_pr_store_32(&o->made, 1);
	arch_cpus_release();
	o->boot_done = true;
}

/* ---- Worlds ---- */

static void world_make(u32 count)
{
	static const char *const names[HARTS] = {
		"boot", "hart1", "hart2", "hart3"};

	o = explore_alloc(sizeof(*o));
	machine_of(count);
	cpu_table_len = cpus_before;
	explore_state(&harts, sizeof(harts));
	explore_state(&boot_cpu, sizeof(boot_cpu));
	explore_state(&cpu_table_len, sizeof(cpu_table_len));
	explore_state(cpu_table, sizeof(cpu_table));
	explore_watch(&o->measured, sizeof(o->measured), "what it measured");
	explore_watch(&o->made, sizeof(o->made), "what boot made");
	explore_thread(names[0], &self[0], boot, NULL);
	for (u32 i = 1; i < count; i++) {
		self[i].index = i;
		area[i] = explore_alloc(sizeof(*area[i]));
		explore_watch(&area[i]->hart_state, sizeof(u32), "its state");
		explore_watch(&o->start[i], sizeof(u32), "its start");
		explore_thread(names[i], &self[i], hart, &o->start[i]);
	}
}

static void world_of(u32 count, u32 second, u32 third)
{
	firmware[1] = COMES;
	firmware[2] = second;
	firmware[3] = third;
	cpus_before = 0;
	world_make(count);
}

static void one_comes(void)
{
	world_of(2, 0, 0);
}

static void two_come(void)
{
	world_of(3, COMES, 0);
}

static void three_come(void)
{
	world_of(4, COMES, COMES);
}

static void one_comes_and_one_never(void)
{
	world_of(3, NEVER, 0);
}

static void one_comes_and_one_is_refused(void)
{
	world_of(3, REFUSED, 0);
}

static void one_is_too_many(void)
{
	firmware[1] = firmware[2] = COMES;
	cpus_before = CPU_MAX - 2;
	world_make(3);
}

/* ---- What must be so when nobody can go on ---- */

static void each_is_in_or_out(void)
{
	u32 in = 0;

	if (o->refused)
		return;
	explore_check(o->boot_done);
	for (u32 i = 1; i < machine.hart_count; i++) {
		in += harts[i] != NULL;
		explore_check(o->on[i] == (harts[i] != NULL));
		explore_check(o->parked[i] ==
			      (!harts[i] && firmware[i] == COMES));
		/* Boot waits for one that has come so far. */
		if (!harts[i] && cpu_count() < CPU_MAX)
			explore_check(!(o->measured >> i & 1));
	}
	explore_check(cpu_count() == cpus_before + 1 + in);
	explore_check(o->left_out == machine.hart_count - 1 - in);
}

/* ---- The tests ---- */

#define HOLDS(test, begin, quick, full) \
	MODEL_HOLDS(test, begin, each_is_in_or_out, quick, full)

HOLDS(a_hart_takes_part_or_is_sent_back, one_comes, 0, 0)
HOLDS(so_do_two, two_come, 0, 0)
HOLDS(so_do_three, three_come, 0, 0)
HOLDS(one_that_never_comes_keeps_nobody, one_comes_and_one_never, 0, 0)
HOLDS(nor_does_one_that_is_refused, one_comes_and_one_is_refused, 0, 0)
HOLDS(one_too_many_is_sent_back, one_is_too_many, 0, 0)

#define FINDS(test, begin, fault, thread) \
	MODEL_FINDS(test, begin, each_is_in_or_out, 4, fault, thread)

FINDS(a_hart_that_is_in_by_a_plain_store_is_found, one_comes, EXPLORE_SPLIT_CAS,
      "hart1")
FINDS(giving_up_by_a_plain_store_is_found, one_comes, EXPLORE_SPLIT_CAS, "boot")
FINDS(a_hart_without_its_fence_is_found, one_comes, EXPLORE_NO_STORE_FENCE,
      "hart1")
FINDS(a_release_without_its_fence_is_found, one_comes, EXPLORE_NO_STORE_FENCE,
      "boot")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hart_takes_part_or_is_sent_back),
		cmocka_unit_test(so_do_two),
		cmocka_unit_test(so_do_three),
		cmocka_unit_test(one_that_never_comes_keeps_nobody),
		cmocka_unit_test(nor_does_one_that_is_refused),
		cmocka_unit_test(one_too_many_is_sent_back),
		cmocka_unit_test(a_hart_that_is_in_by_a_plain_store_is_found),
		cmocka_unit_test(giving_up_by_a_plain_store_is_found),
		cmocka_unit_test(a_hart_without_its_fence_is_found),
		cmocka_unit_test(a_release_without_its_fence_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
