/*
 * The Goldfish RTC, and the finisher's harmless half.
 */
#include "guests/baremetal/devtest/devtest.h"

static u32 rtc(u64 off)
{
	return read32(machine.rtc.base + off);
}

static void time_runs(void)
{
	u64 a, b, start, t0, t1, least, most;

	if (!devices_quiet())
		return;
	/* A hart may be kept off its CPU between any two of these: what passes
	 * for the RTC lies between the inner and the outer times. */
	start = time_now();
	a = rtc_now_ns();
	t0 = time_now();
	delay_ticks(machine.hz / 50);
	t1 = time_now();
	b = rtc_now_ns();
	most = ticks_to_ns(time_now() - start);
	least = ticks_to_ns(t1 - t0);
	check(b > a, "it stands still");
	check(b - a + 5000000 > least && b - a < most + 5000000,
	      "%ld ns of the RTC in %ld to %ld ns", b - a, least, most);
	for (int i = 0; i < 1000; i++) {
		a = rtc_now_ns();
		b = rtc_now_ns();
		check(b >= a, "it went back from 0x%lx to 0x%lx", a, b);
	}
	/* After 2020: somebody told it the date. */
	check(a > 1577836800000000000, "it shows %ld", a);
}

static void time_is_set(void)
{
	u64 want = 0x1234567800000000, now, t0 = time_now();

	if (!devices_quiet())
		return;
	now = rtc_now_ns();
	write32(machine.rtc.base + RTC_TIME_HIGH, (u32)(want >> 32));
	write32(machine.rtc.base + RTC_TIME_LOW, (u32)want);
	check(rtc_now_ns() - want < 2000000000, "it shows 0x%lx", rtc_now_ns());
	now += ticks_to_ns(time_now() - t0);
	write32(machine.rtc.base + RTC_TIME_HIGH, (u32)(now >> 32));
	write32(machine.rtc.base + RTC_TIME_LOW, (u32)now);
	check(rtc_now_ns() - now < 2000000000, "it shows 0x%lx", rtc_now_ns());
}

static bool wait_line(u64 limit_ticks)
{
	u64 start = time_now();

	while (!external_pending())
		if (time_now() - start > limit_ticks)
			return false;
	return true;
}

static void route(void)
{
	plic_priority(machine.rtc_irq, 1);
	plic_enable(my_context(), machine.rtc_irq, true);
}

static void finish(void)
{
	check_eq(plic_claim(my_context()), machine.rtc_irq, "claim");
	rtc_quiet();
	plic_complete(my_context(), machine.rtc_irq);
	check(!external_pending(), "SEIP after it was cleared");
}

static void alarm_past(void)
{
	if (!devices_quiet())
		return;
	route();
	rtc_alarm(rtc_now_ns() - 1000);
	check(wait_line(HANG_TICKS), "no interrupt");
	check_eq(rtc(RTC_ALARM_STATUS), 0, "ALARM_STATUS");
	finish();
}

static void alarm_future(void)
{
	u64 when;

	if (!devices_quiet())
		return;
	route();
	when = rtc_now_ns() + 20000000;
	rtc_alarm(when);
	check(!external_pending() || rtc_now_ns() >= when, "at once");
	check(rtc(RTC_ALARM_STATUS) == 1 || rtc_now_ns() >= when,
	      "ALARM_STATUS is not 1");
	check(wait_line(HANG_TICKS), "no interrupt");
	check(rtc_now_ns() >= when, "too early");
	check_eq(rtc(RTC_ALARM_STATUS), 0, "ALARM_STATUS after it");
	finish();
}

static void alarm_wakes(void)
{
	if (!devices_quiet())
		return;
	route();
	csr_write(sie, IRQ_BIT(IRQ_S_EXT));
	for (u64 us = 0; us < 2000; us += 100) {
		rtc_alarm(rtc_now_ns() + us * 1000);
		while (!(csr_read(sip) & IRQ_BIT(IRQ_S_EXT)))
			wfi();
		finish();
	}
	csr_write(sie, 0);
}

/*
 * An alarm `ns` from now that is taken back, by an alarm at `instead` from now
 * or, with 0, by clearing it, before it is due: whoever was kept off its CPU
 * for so long drops what came and tries again.
 */
static void alarm_taken_back(u64 ns, u64 instead)
{
	for (;;) {
		u64 when = rtc_now_ns() + ns;

		rtc_alarm(when);
		if (instead)
			rtc_alarm(rtc_now_ns() + instead);
		else
			write32(machine.rtc.base + RTC_CLEAR_ALARM, 1);
		if (rtc_now_ns() < when)
			return;
		if (external_pending())
			finish();
		rtc_quiet();
		ns *= 2;
	}
}

static void alarm_cleared(void)
{
	if (!devices_quiet())
		return;
	route();
	alarm_taken_back(30000000, 0);
	check_eq(rtc(RTC_ALARM_STATUS), 0, "ALARM_STATUS");
	check(!wait_line(machine.hz / 20), "a cleared alarm came");
	/* Moved from soon to later: the earlier time means nothing. */
	alarm_taken_back(10000000, 60000000000);
	check(!wait_line(machine.hz / 20), "a moved alarm came");
	rtc_quiet();
}

static void interrupt_enable(void)
{
	if (!devices_quiet())
		return;
	route();
	rtc_alarm(rtc_now_ns());
	check(wait_line(HANG_TICKS), "no interrupt");
	check_eq(plic_claim(my_context()), machine.rtc_irq, "claim");
	write32(machine.rtc.base + RTC_IRQ_ENABLED, 0);
	plic_complete(my_context(), machine.rtc_irq);
	check(!external_pending(), "SEIP though not enabled");
	write32(machine.rtc.base + RTC_IRQ_ENABLED, 1);
	check_spec(external_pending(), "no SEIP when enabled again");
	if (external_pending())
		finish();
	rtc_quiet();
}

static void unknown_offsets(void)
{
	u64 v, cause;

	if (!devices_quiet())
		return;
	for (u64 off = 0x20; off < machine.rtc.bytes; off += 0x3fc) {
		bool ok = probe_load(machine.rtc.base + off, 4, &v, &cause);

		check_spec(ok && v == 0, "offset 0x%lx: %s 0x%lx", off,
			   ok ? "value" : "cause", ok ? v : cause);
	}
}

const struct test rtc_tests[] = {
	{"rtc_time_runs_with_the_timebase", time_runs},
	{"rtc_time_can_be_set", time_is_set},
	{"rtc_alarm_in_the_past_comes_at_once", alarm_past},
	{"rtc_alarm_comes_in_time", alarm_future},
	{"rtc_alarm_wakes_wfi", alarm_wakes},
	{"rtc_alarm_can_be_cleared_and_moved", alarm_cleared},
	{"rtc_interrupt_enable_gates_the_line", interrupt_enable},
	{"rtc_unknown_offsets_read_zero", unknown_offsets},
};
TEST_LIST(rtc_tests, rtc_test_count);

static void finisher_ignores(void)
{
	static const u32 values[] = {0, 1, 0x1234, 0x5554, 0x55550000, 0xffff};

	if (!machine.finisher.bytes) {
		test_skip("no finisher");
		return;
	}
	check_eq(read32(machine.finisher.base), 0, "what it reads");
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		write32(machine.finisher.base, values[i]);
	write32(machine.finisher.base + 4, FINISHER_PASS);
	delay_ticks(machine.hz / 1000);
}

const struct test finisher_tests[] = {
	{"finisher_ignores_other_values", finisher_ignores},
};
TEST_LIST(finisher_tests, finisher_test_count);
