/*
 * A guest's devices when it ends: on another CPU an alarm comes just then, and
 * the next life begins as after power-on.
 */
/* sources: PLIC emul/rtc.c emul/bus.c emul/devices.c kernel/config.c
 *	kernel/devtimer.c kernel/timer.c kernel/heap.c tests/unit/fake_emul.c
 *	tests/unit/fake_trace.c */
#include "tests/unit/fake_emul.h"

#include "kernel/time.h"

#define PLIC	    0xc000000
#define PLIC_PEND   (PLIC + 0x1000)
#define PLIC_ENABLE (PLIC + 0x2080) /* of the first S-mode context */
#define RTC	    0x101000
#define RTC_IRQ	    11

u64 timebase_hz = 10000000u;
static u64 ticks = 777;

u64 time_now_ticks(void)
{
	return ticks;
}

u64 host_wall_ns(void)
{
	return 1790000000123456700ull;
}

static void begin(void)
{
	struct lab_error why = { 0 };

	fake_start(1);
	assert_int_equal(emul_create(&fake.guest, &why), 0);
	emul_reset(&fake.guest);
}

/* An alarm so many ns from now, with its interrupt. */
static void alarm_set(s64 ns)
{
	u64 at = fake_read(RTC, 4);

	at = (at | fake_read(RTC + 4, 4) << 32) + (u64)ns;
	fake_write(RTC + 0x10, 4, 1);
	fake_write(RTC + 0xc, 4, at >> 32);
	fake_write(RTC + 8, 4, (u32)at);
}

static void other_cpu(void)
{
	dev_timers_run(&fake.timers, ticks);
}

static void an_alarm_may_come_while_the_devices_are_destroyed(void **state)
{
	(void)state;
	begin();
	fake_write(PLIC + 4 * RTC_IRQ, 4, 1);
	fake_write(PLIC_ENABLE, 4, 1 << RTC_IRQ);
	alarm_set(1000000);
	ticks += 20000;
	fake.after_free = other_cpu;
	emul_destroy(&fake.guest);
	fake.after_free = NULL;
	fake_stop();
}

static void a_new_life_begins_with_nothing_pending(void **state)
{
	(void)state;
	begin();
	alarm_set(-1000000);
	assert_int_equal(fake_read(PLIC_PEND, 4), 1 << RTC_IRQ);
	emul_reset(&fake.guest);
	assert_int_equal(fake_read(PLIC_PEND, 4), 0);
	emul_destroy(&fake.guest);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_alarm_may_come_while_the_devices_are_destroyed),
		cmocka_unit_test(a_new_life_begins_with_nothing_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
