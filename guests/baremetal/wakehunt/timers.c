/*
 * The hunt for lost timers: each hart sets its timer a few us ahead, sometimes
 * behind, sometimes a ms ahead, and sleeps until it, again and again. Nothing
 * else can wake it, so a timer that is lost leaves it asleep for good, which
 * the other harts see. When the others have stopped, hart 0 stays awake until
 * all have.
 */
#include "guests/baremetal/wakehunt/hunt.h"

static u64 rounds, finished, late_max[MAX_HARTS];
static u32 allowed;

static u64 choose_deadline(struct rand *r)
{
	u64 now = time_now();

	switch (rand_below(r, 64)) {
	case 0:
		return now + rand_below(r, us_to_ticks(2000));
	case 1:
		return 0;
	default:
		return now + rand_below(r, us_to_ticks(30));
	}
}

static void sleep_once(struct worker *w, u64 *late)
{
	u64 when = choose_deadline(&w->rand), start = time_now();
	enum nap nap;

	do
		nap = (enum nap)rand_below(&w->rand, NAP_STOP);
	while (!(allowed >> nap & 1));
	timer_set(when);
	w->nap = nap;
	w->naps++;
	__atomic_store_n(&w->deadline, when > start ? when : start,
			 __ATOMIC_RELEASE);
	do
		nap_how(w, nap);
	while ((s64)(when - time_now()) > 0);
	if (when > start && time_now() - when > *late)
		*late = time_now() - when;
	__atomic_store_n(&w->deadline, 0, __ATOMIC_RELEASE);
	timer_clear();
}

static void sleep_often(struct hart *h, void *arg)
{
	struct worker *w = &workers[h->index];

	(void)arg;
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	for (u64 n = 1; n <= rounds; n++) {
		sleep_once(w, &late_max[h->index]);
		if (n % 1024 == 0)
			watch_others(w);
	}
	csr_write(sie, 0);
	__atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
	while (!h->index && __atomic_load_n(&finished, __ATOMIC_ACQUIRE) <
				    machine.hart_count)
		watch_others(w);
}

void timers_hunt(u64 n, u32 naps)
{
	u64 start = time_now(), late = 0;

	rounds = n;
	allowed = naps & ((1u << NAP_STOP) - 1);
	if (!allowed)
		allowed = 1u << NAP_WFI;
	token_count = 0;
	for (u32 i = 0; i < machine.hart_count; i++) {
		workers[i].deadline = 0;
		workers[i].inbox = 0;
	}
	if (harts_run(machine.hart_count, sleep_often, NULL))
		die("a hart did not start");
	for (u32 i = 0; i < machine.hart_count; i++)
		if (late_max[i] > late)
			late = late_max[i];
	print("wakehunt: %ld timers on each hart in %ld ms, latest %ld us\n", n,
	      ticks_to_ns(time_now() - start) / 1000000,
	      ticks_to_ns(late) / 1000);
}
