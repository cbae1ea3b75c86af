/*
 * What a vCPU sees of the scheduler, written down for a benchmark.
 *
 * mode=turns  works all the time and writes down its turns: a stretch between
 *             two reads of the clock that is longer than `gap_us=` (20) was
 *             somebody else's, so the turn before it ended and the next begins
 *      wake   sleeps until a moment `period_us=` (2000) plus a random part of
 *             `jitter_us=` (1000) away, notes how late it is, works `run_us=`
 *             (50), and so on
 *      ipi    the same, but hart 1 sleeps and hart 0 wakes it by an IPI at
 *             these moments
 *
 * It begins when the real-time clock is at `at_ms=` (at once), works until
 * then (and rests before `wake`), and does so for `ms=` (1000) of guest time;
 * then it works for `cooldown_ms=` (0), so that its neighbours still have it
 * beside them. Who is started only after that moment says so and fails. `seed=`
 * makes the random moments.
 *
 * What was written is printed at the end, times in ticks of the timebase:
 *
 *     probe: hz 10000000 zero_ns 1234
 *     probe: hart 0 turns 0+99840 200031+99802
 *     probe: hart 0 late 12:3 13:70
 *     probe: hart 0 done 2 lost 0
 *
 * zero_ns is what the real-time clock said when the guest's time was 0: it
 * brings the turns of several guests to one scale. `late` is a histogram, the
 * lower end of a bucket and how often; buckets are exact below 64 ticks and
 * 1/32 wide above.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

#include <stdio.h>

#define RECORDS	   (1u << 18) /* for all harts together */
#define SUB_BITS   5
#define REST_US	   100000
#define BUCKETS	   ((64 - SUB_BITS + 1) << SUB_BITS)
#define ALONG_LINE 8

struct turn {
	u64 start;
	u64 ticks;
};

struct notes {
	u64 count, lost;
	struct rand rand;
	u64 late[BUCKETS];
} __attribute__((aligned(64)));

static struct turn turns[RECORDS];
static struct notes notes[MAX_HARTS];
static u64 sent_at; /* by hart 0 for hart 1; 0: it has been seen */
static u32 ready;
static u64 window, begin, cooldown, gap, period, jitter, run_ticks;

/* ---- what is written ----------------------------------------------- */

static u32 bucket_of(u64 ticks)
{
	u32 top;

	if (ticks < 2u << SUB_BITS)
		return (u32)ticks;
	top = 63 - (u32)__builtin_clzl(ticks);
	return ((top - SUB_BITS) << SUB_BITS) +
	       (u32)(ticks >> (top - SUB_BITS));
}

static u64 bucket_low(u32 bucket)
{
	u32 shift;

	if (bucket < 2u << SUB_BITS)
		return bucket;
	shift = (bucket >> SUB_BITS) - 1;
	return ((u64)(bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS))
	       << shift;
}

static void note_late(struct notes *n, u64 ticks)
{
	n->late[bucket_of(ticks)]++;
	n->count++;
}

static void note_turn(struct notes *n, u32 hart, u64 start, u64 end)
{
	u32 room = RECORDS / machine.hart_count;

	if (n->count == room) {
		n->lost++;
		return;
	}
	turns[hart * room + n->count++] = (struct turn){start, end - start};
}

static void print_turns(u32 hart)
{
	const struct turn *t = &turns[hart * (RECORDS / machine.hart_count)];
	u64 count = notes[hart].count;
	char line[ALONG_LINE * 44];
	size_t len = 0;

	for (u64 i = 0; i < count; i++) {
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					" %lu+%lu", t[i].start, t[i].ticks);
		if ((i + 1) % ALONG_LINE == 0 || i + 1 == count) {
			print("probe: hart %ld turns%s\n", harts[hart].id,
			      line);
			len = 0;
		}
	}
}

static void print_late(u32 hart)
{
	for (u32 i = 0; i < BUCKETS; i++)
		if (notes[hart].late[i])
			print("probe: hart %ld late %ld:%ld\n", harts[hart].id,
			      bucket_low(i), notes[hart].late[i]);
}

/* ---- what is done -------------------------------------------------- */

static void run_turns(struct hart *h)
{
	struct notes *n = &notes[h->index];
	u64 first = time_now(), start = first, last = first, now;

	do {
		now = time_now();
		if (now - last > gap) {
			note_turn(n, h->index, start, last);
			start = now;
		}
		last = now;
	} while (now - first < window);
	note_turn(n, h->index, start, last);
}

static void work_until(u64 when)
{
	while ((s64)(when - time_now()) > 0)
		cpu_relax();
}

static u64 next_moment(struct notes *n)
{
	return time_now() + period +
	       (jitter ? rand_below(&n->rand, jitter) : 0);
}

static void sleep_until(u64 when)
{
	timer_set(when);
	while ((s64)(when - time_now()) > 0)
		wfi();
}

static void run_wake(struct hart *h)
{
	struct notes *n = &notes[h->index];
	u64 end, when, now;

	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	/* Who has worked until now may have to wait for its next turn, as is
	 * fair: it isn't yet one that sleeps. */
	sleep_until(time_now() + us_to_ticks(REST_US));
	timer_clear();
	end = time_now() + window;
	do {
		when = next_moment(n);
		sleep_until(when);
		now = time_now();
		timer_clear();
		note_late(n, now - when);
		work_until(now + run_ticks);
	} while ((s64)(end - now) > 0);
	csr_write(sie, 0);
}

/* Hart 1: asleep until it's told; hart 0 ends it by a stamp of ~0. */
static void run_target(struct notes *n)
{
	u64 sent;

	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
		sent = __atomic_exchange_n(&sent_at, 0, __ATOMIC_ACQUIRE);
		if (sent == ~0UL)
			break;
		if (sent) {
			u64 now = time_now();

			note_late(n, now - sent);
			work_until(now + run_ticks);
		} else {
			wfi();
		}
	}
	csr_write(sie, 0);
}

static void run_ipi(struct hart *h)
{
	struct notes *n = &notes[h->index];
	u64 end;

	if (h->index)
		return run_target(n);
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		cpu_relax();
	end = time_now() + window;
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	for (;;) {
		bool over = (s64)(end - time_now()) <= 0;
		u64 stamp;

		sleep_until(next_moment(n));
		timer_clear();
		/* One that was not yet seen is not sent again. */
		if (__atomic_load_n(&sent_at, __ATOMIC_RELAXED))
			continue;
		stamp = over ? ~0UL : time_now();
		__atomic_store_n(&sent_at, stamp, __ATOMIC_RELEASE);
		if (sbi_ipi_hart(harts[1].id))
			die("IPI to hart %ld refused", harts[1].id);
		if (over)
			break;
	}
	csr_write(sie, 0);
}

static const struct mode {
	const char *name;
	void (*run)(struct hart *h);
	u32 harts; /* how many do it; 0: all */
} modes[] = {
	{"turns", run_turns, 0},
	{"wake", run_wake, 0},
	{"ipi", run_ipi, 2},
};

static void run(struct hart *h, void *arg)
{
	const struct mode *mode = arg;

	rand_seed(&notes[h->index].rand, h->index);
	work_until(begin);
	mode->run(h);
	timer_clear();
	work_until(time_now() + cooldown);
}

/* ---- all ------------------------------------------------------------ */

static const struct mode *find_mode(void)
{
	char name[16] = "turns";

	arg_str("mode", name, sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	die("mode= must be turns, wake or ipi");
}

int main(void)
{
	const struct mode *mode = find_mode();
	u32 n = mode->harts ? mode->harts : machine.hart_count;
	u64 zero_ns = machine.rtc.bytes ? rtc_zero_ns() : 0, at_ms;

	window = us_to_ticks(arg_u64("ms", 1000) * 1000);
	at_ms = arg_u64("at_ms", 0);
	begin = at_ms ? rtc_ticks_at(at_ms) : time_now();
	cooldown = us_to_ticks(arg_u64("cooldown_ms", 0) * 1000);
	gap = us_to_ticks(arg_u64("gap_us", 20));
	period = us_to_ticks(arg_u64("period_us", 2000));
	jitter = us_to_ticks(arg_u64("jitter_us", 1000));
	run_ticks = us_to_ticks(arg_u64("run_us", 50));
	if (n > machine.hart_count)
		die("mode=%s needs %u harts", mode->name, n);
	if (harts_run(n, run, (void *)mode))
		die("a hart did not start");
	print("probe: hz %ld zero_ns %ld\n", machine.hz, zero_ns);
	for (u32 i = 0; i < n; i++) {
		if (mode->run == run_turns)
			print_turns(i);
		else
			print_late(i);
		print("probe: hart %ld done %ld lost %ld\n", harts[i].id,
		      notes[i].count, notes[i].lost);
	}
	return 0;
}
