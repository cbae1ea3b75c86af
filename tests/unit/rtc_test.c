/* The Goldfish clock with the real device timers and a clock of the test's. */
/* sources: emul/rtc.c emul/bus.c emul/devices.c kernel/config.c
 *          kernel/devtimer.c kernel/heap.c kernel/timer.c
 *          tests/unit/fake_emul.c tests/unit/fake_chip.c
 *          tests/unit/fake_trace.c */
#include "tests/unit/fake_emul.h"

#include "kernel/time.h"

#define AT 0x101000ull
#define TIME_LOW 0x00
#define TIME_HIGH 0x04
#define ALARM_LOW 0x08
#define ALARM_HIGH 0x0c
#define IRQ_ENABLED 0x10
#define CLEAR_ALARM 0x14
#define ALARM_STATUS 0x18
#define CLEAR_INTERRUPT 0x1c

#define HZ 10000000u /* a tick is 100 ns */
#define WALL 1790000000123456700ull

u64 timebase_hz = HZ;
static u64 ticks;

u64 time_now_ticks(void)
{
	return ticks;
}

u64 host_wall_ns(void)
{
	return WALL;
}

static int start(void **state)
{
	ticks = 777;
	fake_devices_start(state);
	assert_int_equal(fake_chip.irq, 11);
	return 0;
}

static int stop(void **state)
{
	fake_devices_stop(state);
	assert_int_equal(dev_timers_next_ticks(&fake.timers), TIME_NEVER);
	return 0;
}

static u32 rd(u32 off)
{
	return (u32)fake_read(AT + off, 4);
}

static void wr(u32 off, u32 val)
{
	fake_write(AT + off, 4, 0xbad0bad000000000ull | val);
}

static u64 clock_ns(void)
{
	u64 low = rd(TIME_LOW);

	return (u64)rd(TIME_HIGH) << 32 | low;
}

static void set_clock(u64 ns)
{
	wr(TIME_HIGH, ns >> 32);
	wr(TIME_LOW, (u32)ns);
}

static void set_alarm(u64 ns)
{
	wr(ALARM_HIGH, ns >> 32);
	wr(ALARM_LOW, (u32)ns);
}

/* What the serving CPU does when so many ticks have passed. */
static void pass(u64 count)
{
	ticks += count;
	dev_timers_run(&fake.timers, ticks);
}

static void it_starts_at_wall_time_and_goes_on(void **state)
{
	(void)state;
	assert_int_equal(clock_ns(), WALL);
	pass(3 * HZ + 1);
	assert_int_equal(clock_ns(), WALL + 3000000100ull);
}

static void the_high_half_belongs_to_the_low_half_read_before(void **state)
{
	u64 ns;

	(void)state;
	set_clock(0x5ffffff00ull);
	ns = rd(TIME_LOW);
	pass(HZ);
	ns |= (u64)rd(TIME_HIGH) << 32;
	assert_int_equal(ns, 0x5ffffff00ull);
	assert_int_equal(clock_ns(), 0x5ffffff00ull + 1000000000);
}

static void setting_moves_each_half_alone(void **state)
{
	(void)state;
	set_clock(0x1111111122222222ull);
	assert_int_equal(clock_ns(), 0x1111111122222222ull);
	wr(TIME_HIGH, 0x33333333);
	assert_int_equal(clock_ns(), 0x3333333322222222ull);
	wr(TIME_LOW, 0x44444444);
	assert_int_equal(clock_ns(), 0x3333333344444444ull);
	pass(10);
	assert_int_equal(clock_ns(), 0x3333333344444444ull + 1000);
}

static void an_alarm_interrupts_when_it_is_time(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000000);
	assert_int_equal(rd(ALARM_STATUS), 1);
	assert_int_equal(rd(ALARM_LOW), (u32)(WALL + 1000000));
	assert_int_equal(rd(ALARM_HIGH), (WALL + 1000000) >> 32);
	pass(9999);
	assert_false(fake_chip.level);
	pass(2);
	assert_true(fake_chip.level);
	assert_true(clock_ns() >= WALL + 1000000);
	assert_int_equal(rd(ALARM_STATUS), 0);
	wr(CLEAR_INTERRUPT, 1);
	assert_false(fake_chip.level);
	pass(HZ);
	assert_false(fake_chip.level);
}

static void an_alarm_in_the_past_interrupts_at_once(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL - 1);
	assert_true(fake_chip.level);
	assert_int_equal(rd(ALARM_STATUS), 0);
}

static void an_alarm_for_now_interrupts_at_once(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL);
	assert_true(fake_chip.level);
}

static void the_interrupt_waits_for_being_enabled(void **state)
{
	(void)state;
	assert_int_equal(rd(IRQ_ENABLED), 0);
	set_alarm(WALL + 100);
	pass(10);
	assert_false(fake_chip.level);
	wr(IRQ_ENABLED, 0xffffffff);
	assert_int_equal(rd(IRQ_ENABLED), 1);
	assert_true(fake_chip.level);
	wr(IRQ_ENABLED, 0xfffffffe);
	assert_false(fake_chip.level);
}

static void a_cleared_alarm_does_not_come(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000);
	wr(CLEAR_ALARM, 1);
	assert_int_equal(rd(ALARM_STATUS), 0);
	pass(HZ);
	assert_false(fake_chip.level);
}

static void clearing_the_alarm_keeps_the_interrupt(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL);
	wr(CLEAR_ALARM, 1);
	assert_true(fake_chip.level);
}

static void a_new_alarm_replaces_the_old_one(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000);
	set_alarm(WALL + 5000);
	pass(20);
	assert_false(fake_chip.level);
	pass(31);
	assert_true(fake_chip.level);
}

static void the_high_half_alone_does_not_touch_a_set_alarm(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000);
	wr(ALARM_HIGH, 0xffffffff);
	pass(11);
	assert_true(fake_chip.level);
}

static void an_alarm_goes_with_the_clock_when_that_is_set(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000000);
	wr(TIME_LOW, (u32)(WALL + 999000));
	pass(11);
	assert_true(fake_chip.level);
	wr(CLEAR_INTERRUPT, 1);
	set_alarm(clock_ns() + 2000000000);
	set_clock(clock_ns() - 1000000000);
	pass(2 * HZ + 1);
	assert_false(fake_chip.level);
	pass(HZ);
	assert_true(fake_chip.level);
}

static void an_alarm_at_the_end_of_time_is_harmless(void **state)
{
	(void)state;
	wr(IRQ_ENABLED, 1);
	set_alarm(UINT64_MAX);
	assert_int_equal(rd(ALARM_STATUS), 1);
	assert_int_equal(dev_timers_next_ticks(&fake.timers), TIME_NEVER);
	pass(1000 * HZ);
	assert_false(fake_chip.level);
	set_alarm(clock_ns() + 100);
	pass(2);
	assert_true(fake_chip.level);
}

static void a_late_timer_asks_the_registers(void **state)
{
	struct dev_timer *t;

	(void)state;
	/* Its function may run although the alarm was moved: as if so. */
	wr(IRQ_ENABLED, 1);
	set_alarm(WALL + 1000);
	t = (struct dev_timer *)((char *)emul_find(&fake.guest, "rtc")->state +
				 sizeof(struct emul_dev *));
	t->fn(t);
	assert_false(fake_chip.level);
	wr(CLEAR_ALARM, 1);
	ticks += HZ;
	t->fn(t);
	assert_false(fake_chip.level);
}

static void reset_keeps_the_time_and_forgets_the_alarm(void **state)
{
	(void)state;
	set_clock(5000000000ull);
	wr(IRQ_ENABLED, 1);
	set_alarm(1);
	assert_true(fake_chip.level);
	set_alarm(6000000000ull);
	emul_reset(&fake.guest);
	assert_false(fake_chip.level);
	assert_int_equal(rd(IRQ_ENABLED), 0);
	assert_int_equal(rd(ALARM_LOW), 0);
	assert_int_equal(rd(ALARM_HIGH), 0);
	assert_int_equal(rd(ALARM_STATUS), 0);
	assert_int_equal(clock_ns(), 5000000000ull);
	wr(IRQ_ENABLED, 1);
	pass(2 * HZ);
	assert_false(fake_chip.level);
}

static void unknown_registers_and_widths(void **state)
{
	u64 val;

	(void)state;
	wr(0x20, 0xffffffff);
	assert_int_equal(rd(0x20), 0);
	assert_int_equal(rd(0xffc), 0);
	assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
				   (struct gpa){ AT }, 8, &val), EMUL_FAULT);
	assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
				   (struct gpa){ AT }, 1, &val), EMUL_FAULT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_starts_at_wall_time_and_goes_on),
		T(the_high_half_belongs_to_the_low_half_read_before),
		T(setting_moves_each_half_alone),
		T(an_alarm_interrupts_when_it_is_time),
		T(an_alarm_in_the_past_interrupts_at_once),
		T(an_alarm_for_now_interrupts_at_once),
		T(the_interrupt_waits_for_being_enabled),
		T(a_cleared_alarm_does_not_come),
		T(clearing_the_alarm_keeps_the_interrupt),
		T(a_new_alarm_replaces_the_old_one),
		T(the_high_half_alone_does_not_touch_a_set_alarm),
		T(an_alarm_goes_with_the_clock_when_that_is_set),
		T(an_alarm_at_the_end_of_time_is_harmless),
		T(a_late_timer_asks_the_registers),
		T(reset_keeps_the_time_and_forgets_the_alarm),
		T(unknown_registers_and_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
