/*
 * A hog: every hart counts loops for ever, and hart 0 prints each second of
 * guest time how many there were and each hart's part of them in per cent.
 * `seconds=` ends it after so many.
 */
#include "guests/baremetal/runtime/runtime.h"

static struct {
	u64 loops;
} __attribute__((aligned(64))) counters[MAX_HARTS];
static u32 stop;

static void report(u64 second)
{
	static u64 seen[MAX_HARTS];
	u64 delta[MAX_HARTS], all = 0;

	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 n = __atomic_load_n(&counters[i].loops, __ATOMIC_RELAXED);

		delta[i] = n - seen[i];
		seen[i] = n;
		all += delta[i];
	}
	print("spin: %ld s, %ld loops\n", second, all);
	for (u32 i = 0; i < machine.hart_count; i++)
		print("spin: hart %ld loops %ld share %ld %%\n", harts[i].id,
		      delta[i], all ? delta[i] * 100 / all : 0);
}

static void run(struct hart *h, void *arg)
{
	u64 seconds = arg_u64("seconds", 0), next = time_now() + machine.hz;
	u64 *loops = &counters[h->index].loops, s = 0;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(loops, *loops + 1, __ATOMIC_RELAXED);
		if (h->index || *loops & 1023 || time_now() < next)
			continue;
		next += machine.hz;
		report(++s);
		if (s == seconds)
			__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	}
}

int main(void)
{
	print("spin: %u harts spin\n", machine.hart_count);
	if (harts_run(machine.hart_count, run, NULL))
		die("a hart did not start");
	return 0;
}
