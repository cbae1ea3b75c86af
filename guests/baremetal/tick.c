/*
 * Periodic timers on every hart, and a line a second.
 *
 * Each hart takes `hz=` (100) timer interrupts a second of guest time and
 * sleeps in between. Hart 0 prints a line every second and fails if the clock
 * went backwards or a hart took no interrupt for two seconds on end: a clock
 * that stands still. How late interrupts come is printed, not judged.
 * `seconds=` (5) ends it; 0 goes on for ever.
 */
#include "guests/baremetal/runtime/runtime.h"

struct clock {
	u64 next, ticks, late_max, late_sum, last;
	bool backwards;
} __attribute__((aligned(64)));

static struct clock clocks[MAX_HARTS];
static u64 period;
static u32 stop;

static void on_timer(struct hart *h, struct trap_frame *f)
{
	struct clock *c = &clocks[h->index];
	u64 now = time_now(), late = now - c->next;

	(void)f;
	if (now < c->last || (s64)late < 0)
		c->backwards = true;
	c->last = now;
	c->late_sum += late;
	if (late > c->late_max)
		c->late_max = late;
	__atomic_store_n(&c->ticks, c->ticks + 1, __ATOMIC_RELAXED);
	do
		c->next += period;
	while (c->next <= now);
	timer_set(c->next);
}

/* One second: what all harts did in it. Returns false if one stood still. */
static bool report(u64 second, u64 *seen)
{
	char buf[256];
	size_t n = 0;
	static bool still[MAX_HARTS];
	u64 late = 0;
	bool ok = true;

	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 ticks = __atomic_load_n(&clocks[i].ticks, __ATOMIC_RELAXED);
		u64 d = ticks - seen[i];
		char digits[20];
		size_t k = sizeof(digits);

		/* Once may be the host's doing: it held up this hart. */
		if ((!d && still[i]) || clocks[i].backwards) {
			print("tick: FAIL hart %ld %s\n", harts[i].id,
			      d ? "saw time go backwards"
				: "had no interrupt for two seconds");
			ok = false;
		}
		still[i] = !d;
		seen[i] = ticks;
		if (clocks[i].late_max > late)
			late = clocks[i].late_max;
		do
			digits[--k] = (char)('0' + d % 10);
		while (d /= 10);
		if (n + 24 < sizeof(buf)) {
			buf[n++] = ' ';
			memcpy(buf + n, digits + k, sizeof(digits) - k);
			n += sizeof(digits) - k;
		}
	}
	buf[n] = 0;
	print("tick: %ld s, ticks%s, latest %ld us\n", second, buf,
	      ticks_to_ns(late) / 1000);
	return ok;
}

static void run(struct hart *h, void *arg)
{
	static u64 seen[MAX_HARTS];
	u64 seconds = arg_u64("seconds", 5), now = time_now(), next;
	struct clock *c = &clocks[h->index];
	bool *failed = arg;

	c->next = now + period;
	next = now + machine.hz;
	timer_set(c->next);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	for (u64 s = 1; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE);) {
		wfi();
		irq_on();
		irq_off();
		now = time_now();
		if (h->index || now < next)
			continue;
		/* From now on: a hart that was late gets a whole second. */
		next = now + machine.hz;
		if (!report(s, seen))
			*failed = true;
		if (s++ == seconds)
			__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	}
	csr_write(sie, 0);
	timer_clear();
}

int main(void)
{
	u64 hz = arg_u64("hz", 100);
	u64 before = time_now(), rtc = machine.rtc.bytes ? rtc_now_ns() : 0;
	u64 start = time_now();
	bool failed = false;

	if (!hz || hz > machine.hz)
		die("hz= must be from 1 to %ld", machine.hz);
	period = machine.hz / hz;
	irq_handler(IRQ_S_TIMER, on_timer);
	print("tick: %u harts, %ld Hz, time %ld us at first\n",
	      machine.hart_count, hz, ticks_to_ns(start) / 1000);
	if (harts_run(machine.hart_count, run, &failed))
		die("a hart did not start");
	if (machine.rtc.bytes) {
		u64 ms = ticks_to_ns(time_now() - start) / 1000000;
		u64 rtc_ms = (rtc_now_ns() - rtc) / 1000000;
		u64 most = ticks_to_ns(time_now() - before) / 1000000;

		/* Whatever comes between two looks at the clocks: the RTC's
		 * time is within a shorter and a longer one. */
		print("tick: %ld ms by time, %ld ms by the RTC\n", ms, rtc_ms);
		if (rtc_ms > most + ms / 8 + 50 || ms > rtc_ms + ms / 8 + 50)
			failed = true;
	}
	print("tick: %s\n", failed ? "FAIL" : "ok");
	return failed;
}
