/*
 * An honest guest that says all the time how it fares: what hostile guests do
 * to it shows in its lines.
 *
 * mode=work   works all the time and counts it in loops of one fixed length
 *      wake   sleeps until a random moment, notes how late it is, works for
 *             `run_us=` (50), and so on; `period_us=` (2000) is the mean sleep
 *
 * Every `report_ms=` (20) of guest time, on hart 0, for ever:
 *
 *     neighbour: t 123456789 loops 4711
 *     neighbour: t 123456789 wakes 17 late_us 24 most_us 310
 *
 * t is guest time in ns. loops and wakes count from the beginning, late_us is
 * the mean and most_us the greatest delay since the line before. The loops are
 * in s11 all the time, for who would rather ask for registers than for lines.
 */
#include "guests/baremetal/runtime/runtime.h"

static struct rand dice;

/* As long as any other; about 300 instructions. */
static u64 work_once(u64 v)
{
	for (int i = 0; i < 100; i++) {
		v = v * 6364136223846793005 + 1442695040888963407;
		__asm__ volatile("" : "+r"(v));
	}
	return v;
}

static _Noreturn void work(u64 report)
{
	u64 value = 1, due = time_now() + report;
	register u64 loops __asm__("s11") = 0;

	for (;;) {
		while ((s64)(due - time_now()) > 0) {
			value = work_once(value);
			__asm__ volatile("addi %0, %0, 1" : "+r"(loops));
		}
		due = time_now() + report;
		print("neighbour: t %ld loops %ld\n", ticks_to_ns(time_now()),
		      loops);
	}
}

static u64 sleep_until(u64 when)
{
	timer_set(when);
	while ((s64)(when - time_now()) > 0)
		wfi();
	timer_clear();
	return time_now() - when;
}

static _Noreturn void wake(u64 report)
{
	u64 wakes = 0, sum = 0, most = 0, count = 0, late;
	u64 period = us_to_ticks(arg_u64("period_us", 2000));
	u64 run = us_to_ticks(arg_u64("run_us", 50));
	u64 due = time_now() + report;

	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	for (;;) {
		late = sleep_until(time_now() + period / 2 +
				   rand_below(&dice, period));
		wakes++;
		count++;
		sum += late;
		if (late > most)
			most = late;
		delay_ticks(run);
		if ((s64)(due - time_now()) > 0)
			continue;
		print("neighbour: t %ld wakes %ld late_us %ld most_us %ld\n",
		      ticks_to_ns(time_now()), wakes,
		      ticks_to_ns(sum / count) / 1000,
		      ticks_to_ns(most) / 1000);
		sum = count = most = 0;
		due = time_now() + report;
	}
}

int main(void)
{
	u64 report = us_to_ticks(1000 * arg_u64("report_ms", 20));
	char mode[8] = "work";

	rand_seed(&dice, 0);
	arg_str("mode", mode, sizeof(mode));
	if (!strcmp(mode, "work"))
		work(report);
	if (!strcmp(mode, "wake"))
		wake(report);
	die("mode= must be work or wake");
}
