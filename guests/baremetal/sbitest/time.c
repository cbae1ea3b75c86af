/*
 * TIME: deadlines, clearing, waking. All of it must also hold where the hart
 * has Sstc and nobody needs the call.
 */
#include "guests/baremetal/sbitest/sbitest.h"

static struct sbi_ret set_timer(u64 when)
{
	return sbi_call(SBI_TIME, 0, when, 0, 0);
}

static void fires_in_time(void)
{
	u64 when = time_now() + machine.hz / 100;

	check_eq(set_timer(when).error, 0, "error");
	check(!timer_pending() || time_now() >= when, "pending at once");
	check(wait_timer(), "never pending");
	check((s64)(time_now() - when) >= 0, "pending before its time");
	set_timer(UINT64_MAX);
}

static void past_fires(void)
{
	u64 past[] = {0, 1, time_now()};

	for (size_t i = 0; i < ARRAY_LEN(past); i++) {
		set_timer(past[i]);
		check(wait_timer(), "0x%lx never pending", past[i]);
		set_timer(UINT64_MAX);
		check(!timer_pending(), "pending after a new deadline");
	}
}

static void later_clears(void)
{
	set_timer(0);
	check(wait_timer(), "never pending");
	set_timer(time_now() + 100 * machine.hz);
	check(!timer_pending(), "still pending");
	set_timer(UINT64_MAX);
}

static void wakes_wfi(void)
{
	for (u64 us = 0; us < 200; us += 10) {
		u64 when = time_now() + us_to_ticks(us);

		set_timer(when);
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		while (!timer_pending())
			wfi();
		csr_write(sie, 0);
		check((s64)(time_now() - when) >= 0, "woke too early");
	}
	set_timer(UINT64_MAX);
}

static u64 taken;

static void on_timer(struct hart *h, struct trap_frame *f)
{
	(void)h;
	(void)f;
	taken++;
	set_timer(UINT64_MAX);
}

static void traps_once(void)
{
	taken = 0;
	irq_handler(IRQ_S_TIMER, on_timer);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	irq_on();
	set_timer(time_now() + machine.hz / 1000);
	check(wait_word(&taken, 1), "taken %ld times", taken);
	delay_ticks(machine.hz / 200);
	irq_off();
	csr_write(sie, 0);
	irq_handler(IRQ_S_TIMER, NULL);
	check_eq(taken, 1, "traps");
}

static void other_sets(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	set_timer(0);
	delay_ticks(machine.hz / 100);
	if (!timer_pending())
		test_fail("the other hart's timer is not pending");
	set_timer(UINT64_MAX);
}

static void per_hart(void)
{
	struct hart *other;

	set_timer(UINT64_MAX);
	other = other_start(other_sets, NULL);
	if (!other)
		return;
	delay_ticks(machine.hz / 200);
	check(!timer_pending(), "another hart's timer fired here");
	hart_join(other);
}

const struct test time_tests[] = {
	{"time_fires_not_before_its_deadline", fires_in_time},
	{"time_in_the_past_fires_at_once", past_fires},
	{"time_later_deadline_clears_pending", later_clears},
	{"time_wakes_wfi", wakes_wfi},
	{"time_traps_once", traps_once},
	{"time_is_per_hart", per_hart},
};
TEST_LIST(time_tests, time_test_count);
