/*
 * What a scheduler gives: harts that use the CPU in one of several ways and
 * count how much of it they got.
 *
 * Work is one fixed loop; its count over a window of `ms=` (1000) of guest
 * time, which goes on while a vCPU waits, is this hart's share. Before the
 * window the harts behave the same for `warmup_ms=` (0) and after it for
 * `cooldown_ms=` (0), so that guests started at slightly different moments
 * compete during the whole window. Or the window is the same for all: from the
 * moment when the real-time clock says `at_ms=` on, whoever has the CPU then;
 * the harts sleep until the warm-up before it.
 *
 * mode=hog      works all the time
 *      sleeper  works, but sleeps from just before each tick of `tick_us=`
 *               (10000) until just after it: the attack on schedulers that
 *               charge whoever runs at the tick; `phase_us=` shifts it
 *      yielder  works in small pieces and gives the CPU away after each
 *      pending  the same, but by a WFI that has nothing to wait for, since an
 *               interrupt is pending, and so returns at once
 *      boost    works `run_us=` (100), sleeps `sleep_us=` (50), and so on: the
 *               attack on schedulers that prefer those who wake
 * harts= limits how many harts do it.
 */
#include "guests/baremetal/runtime/runtime.h"

struct result {
	u64 loops, naps, late_sum, late_max, ticks;
	u64 value; /* keeps the work from being optimised away */
} __attribute__((aligned(64)));

static struct result results[MAX_HARTS];
static struct barrier barrier;
static u32 hart_count;
static u64 begin; /* 0: after the warm-up */
static u64 warmup, window, cooldown, tick, phase, run_ticks, sleep_length;

/* As long whoever compiles it: bench/simulated.py has how long that is. */
static void work_once(struct result *r)
{
	u64 v = r->value, left = 500;

	__asm__ volatile("1:	mul	%0, %0, %2\n"
			 "	add	%0, %0, %3\n"
			 "	addi	%1, %1, -1\n"
			 "	bnez	%1, 1b"
			 : "+&r"(v), "+&r"(left)
			 : "r"(6364136223846793005), "r"(1442695040888963407));
	r->value = v;
	r->loops++;
}

static void nap_until(struct result *r, u64 when)
{
	u64 late;

	timer_set(when);
	while ((s64)(when - time_now()) > 0)
		wfi();
	late = time_now() - when;
	timer_clear();
	r->naps++;
	r->late_sum += late;
	if (late > r->late_max)
		r->late_max = late;
}

static void step_hog(struct result *r)
{
	work_once(r);
}

static void step_sleeper(struct result *r)
{
	u64 now = time_now(), at = (now + phase) % tick, guard = tick / 20;

	if (at < tick - guard)
		work_once(r);
	else
		nap_until(r, now + (tick - at) + guard);
}

static void step_yielder(struct result *r)
{
	work_once(r);
	wrs_nto();
}

/* SSIP is pending for good, so WFI may only pass. */
static void step_pending(struct result *r)
{
	work_once(r);
	wfi();
}

static void step_boost(struct result *r)
{
	u64 until = time_now() + run_ticks;

	while ((s64)(until - time_now()) > 0)
		work_once(r);
	nap_until(r, time_now() + sleep_length);
}

static const struct mode {
	const char *name;
	void (*step)(struct result *r);
} modes[] = {
	{"hog", step_hog},
	{"sleeper", step_sleeper},
	{"yielder", step_yielder},
	{"pending", step_pending},
	{"boost", step_boost},
};

static void run_for(struct result *r, const struct mode *mode, u64 ticks)
{
	u64 start = time_now();

	do
		mode->step(r);
	while (time_now() - start < ticks);
	r->ticks = time_now() - start;
}

static void run_until(struct result *r, const struct mode *mode, u64 when)
{
	while ((s64)(when - time_now()) > 0)
		mode->step(r);
}

static void run(struct hart *h, void *arg)
{
	struct result *r = &results[h->index], unused = {0};
	const struct mode *mode = arg;

	if (mode->step == step_pending) {
		csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
		csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	} else {
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	}
	barrier_wait(&barrier, hart_count);
	if (begin && time_now() >= begin - warmup)
		die("a hart started too late");
	if (begin) {
		nap_until(&unused, begin - warmup);
		run_until(&unused, mode, begin);
		run_until(r, mode, begin + window);
		r->ticks = window;
	} else {
		if (warmup)
			run_for(&unused, mode, warmup);
		run_for(r, mode, window);
	}
	if (cooldown)
		run_for(&unused, mode, cooldown);
	csr_write(sie, 0);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	barrier_wait(&barrier, hart_count);
}

static u64 arg_ticks(const char *key, u64 us, u64 otherwise)
{
	return us_to_ticks(arg_u64(key, otherwise) * us);
}

static const struct mode *find_mode(void)
{
	char name[16] = "hog";

	arg_str("mode", name, sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	die("mode= must be hog, sleeper, yielder, pending or boost");
}

int main(void)
{
	const struct mode *mode = find_mode();

	warmup = arg_ticks("warmup_ms", 1000, 0);
	window = arg_ticks("ms", 1000, 1000);
	cooldown = arg_ticks("cooldown_ms", 1000, 0);
	tick = arg_ticks("tick_us", 1, 10000);
	phase = arg_ticks("phase_us", 1, 0);
	run_ticks = arg_ticks("run_us", 1, 100);
	sleep_length = arg_ticks("sleep_us", 1, 50);
	if (arg_u64("at_ms", 0))
		begin = rtc_ticks_at(arg_u64("at_ms", 0));
	hart_count = (u32)arg_u64("harts", machine.hart_count);
	if (!tick || !hart_count || hart_count > machine.hart_count)
		die("tick_us= must not be 0, harts= from 1 to %u",
		    machine.hart_count);
	if (harts_run(hart_count, run, (void *)mode))
		die("a hart did not start");
	for (u32 i = 0; i < hart_count; i++) {
		struct result *r = &results[i];

		print("shares: hart %ld loops %ld time_ns %ld\n", harts[i].id,
		      r->loops, ticks_to_ns(r->ticks));
		if (r->naps)
			print("shares: hart %ld naps %ld late_mean_ns %ld "
			      "late_max_ns %ld\n",
			      harts[i].id, r->naps,
			      ticks_to_ns(r->late_sum) / r->naps,
			      ticks_to_ns(r->late_max));
	}
	print("shares: mode %s done\n", mode->name);
	return 0;
}
