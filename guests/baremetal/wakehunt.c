/*
 * The lost-wake hunt.
 *
 * A few tokens go round between all harts. Whoever gets one waits a random
 * moment (often none), puts it into the inbox of a random hart and wakes that
 * hart by a random kick (wakehunt/kick.c), exactly once. A hart without a
 * token naps in a random way. So kicks meet harts that are awake, on their way
 * to sleep, asleep, suspended, stopped, or on their way back.
 *
 * Afterwards harts do nothing but sleep until timers a few us away, `timers=`
 * (10000) each (wakehunt/timers.c): a token can't come to the rescue then.
 *
 * Every nap has a timer `watchdog_ms=` (10000) of guest time away. A hart that
 * is woken by it and then finds a token that was kicked off more than half
 * that time ago was asleep while it should have been woken: a LOST WAKE, told
 * with everything known, and the hunt fails. Timers can get lost as well, so
 * harts also look at one another: a nap that is overdue by a whole watchdog
 * time, or a token nobody has taken for two of them, and unchanged a second
 * later. Sleepers clear what is pending *before* they look at their inbox and
 * nap with interrupts off, so no wake-up can be lost by the hunt itself.
 *
 * Arguments: rounds= (100000), tokens= (half the harts), delay_us= (50),
 * kicks= and naps= (bit masks of enum kick and enum nap), seed=.
 */
#include "guests/baremetal/wakehunt/hunt.h"

struct worker workers[MAX_HARTS];
struct token tokens[TOKENS_MAX];
u32 token_count;
u64 delivered, watchdog;
static u32 allowed_kicks, allowed_naps;
static u64 rounds, delay_max, next_line;

static void on_interrupt(struct hart *h, struct trap_frame *f)
{
	struct worker *w = &workers[h->index];

	(void)f;
	kick_serve(w);
	w->handled = true;
}

static void random_delay(struct worker *w, u64 max_us)
{
	u64 dice = rand_below(&w->rand, 32);

	if (dice < 16)
		return;
	if (dice < 24 && max_us > 5)
		max_us = 5;
	if (dice == 31)
		max_us *= 10;
	delay_ticks(rand_below(&w->rand, us_to_ticks(max_us) + 1));
}

static void nap(struct worker *w)
{
	u64 when, woke;
	enum nap nap;

	/* Spinning is dear where vCPUs are many: an eighth as often. */
	do
		nap = (enum nap)rand_below(&w->rand, NAP_COUNT);
	while (!(allowed_naps >> nap & 1) ||
	       (nap == NAP_STOP && w == workers) ||
	       (nap >= NAP_SPIN && allowed_naps & NAPS_ASLEEP &&
		rand_below(&w->rand, 8)));
	when = time_now() + (nap == NAP_TIMER
				     ? rand_below(&w->rand, us_to_ticks(30))
				     : watchdog);
	timer_set(when);
	w->nap = nap;
	w->naps++;
	w->by_nap[nap]++;
	__atomic_store_n(&w->deadline, when, __ATOMIC_RELEASE);
	if (rand_below(&w->rand, 4) == 0)
		delay_ticks(rand_below(&w->rand, us_to_ticks(3) + 1));
	nap_how(w, nap);
	woke = time_now();
	__atomic_store_n(&w->deadline, 0, __ATOMIC_RELEASE);
	if (nap == NAP_STOP || nap == NAP_TIMER || woke < when)
		return;
	watch_self(w, woke);
	watch_others(w);
}

static void end_all(void)
{
	for (u32 i = 0; i < machine.hart_count; i++)
		kick_end(i);
}

static void take_token(struct worker *w, u32 ti, bool started)
{
	struct token *t = &tokens[ti];
	enum kick k = started ? KICK_START : t->kick;
	u64 stamp = __atomic_load_n(&t->stamp, __ATOMIC_ACQUIRE) & STAMP_TIME;
	u64 now = time_now(), took = stamp && now > stamp ? now - stamp : 0;
	u64 n = __atomic_add_fetch(&delivered, 1, __ATOMIC_RELAXED);

	w->by_kick[k]++;
	w->sum[k] += took;
	if (took > w->max[k])
		w->max[k] = took;
	if (n >= rounds) {
		if (n == rounds)
			end_all();
		return;
	}
	if (n % next_line == 0)
		print("wakehunt: %ld wake-ups\n", n);
	random_delay(w, delay_max);
	kick_send(w, t, ti, (u32)rand_below(&w->rand, machine.hart_count),
		  allowed_kicks);
}

static void work(struct hart *h, void *arg)
{
	struct worker *w = &workers[h->index];
	bool started = w->deadline == 0 && w->nap == NAP_STOP;
	u64 got, turn = 0;

	(void)arg;
	if (machine.plic_context[h->index] >= 0)
		plic_threshold(hart_context(h), 0);
	__atomic_store_n(&w->life, LIFE_UP, __ATOMIC_SEQ_CST);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_TIMER) |
			       IRQ_BIT(IRQ_S_EXT));
	for (;;) {
		kick_serve(w);
		got = __atomic_exchange_n(&w->inbox, 0, __ATOMIC_SEQ_CST);
		if (got & END_BIT)
			break;
		for (u32 i = 0; i < token_count; i++)
			if (got >> i & 1)
				take_token(w, i, started);
		started = false;
		if (!got)
			nap(w);
		if (++turn % 4096 == 0)
			watch_others(w);
	}
	timer_clear();
}

static void report(u64 ns)
{
	print("wakehunt: %u harts, %u tokens, %ld wake-ups in %ld ms\n",
	      machine.hart_count, token_count, delivered, ns / 1000000);
	for (u32 k = 0; k < KICK_COUNT; k++) {
		u64 n = 0, sum = 0, max = 0;

		for (u32 i = 0; i < machine.hart_count; i++) {
			n += workers[i].by_kick[k];
			sum += workers[i].sum[k];
			if (workers[i].max[k] > max)
				max = workers[i].max[k];
		}
		if (n)
			print("wakehunt: kick %-15s %8ld, mean %ld ns, "
			      "slowest %ld us\n",
			      kick_names[k], n, ticks_to_ns(sum) / n,
			      ticks_to_ns(max) / 1000);
	}
	for (u32 k = 0; k < NAP_COUNT; k++) {
		u64 n = 0;

		for (u32 i = 0; i < machine.hart_count; i++)
			n += workers[i].by_nap[k];
		if (n)
			print("wakehunt: nap  %-15s %8ld\n", nap_names[k], n);
	}
}

int main(void)
{
	u64 start;

	rounds = arg_u64("rounds", 100000);
	next_line = rounds / 10 ? rounds / 10 : 1;
	delay_max = arg_u64("delay_us", 50);
	watchdog = us_to_ticks(arg_u64("watchdog_ms", 10000) * 1000);
	token_count = (u32)arg_u64("tokens", (machine.hart_count + 1) / 2);
	if (!token_count || token_count > TOKENS_MAX)
		die("tokens= must be from 1 to %d", TOKENS_MAX);
	allowed_kicks = kicks_allowed();
	if (!(allowed_kicks & ((1u << KICK_START) - 1)))
		die("no kick is allowed");
	kicks_init();
	allowed_naps = naps_allowed();
	irq_handler(IRQ_S_SOFT, on_interrupt);
	irq_handler(IRQ_S_TIMER, on_interrupt);
	irq_handler(IRQ_S_EXT, on_interrupt);
	for (u32 i = 0; i < machine.hart_count; i++)
		rand_seed(&workers[i].rand, i);
	for (u32 i = 0; i < token_count; i++)
		workers[i % machine.hart_count].inbox |= 1UL << i;
	start = time_now();
	if (harts_run(machine.hart_count, work, NULL))
		die("a hart did not start");
	kicks_init();
	report(ticks_to_ns(time_now() - start));
	timers_hunt(arg_u64("timers", 10000), allowed_naps);
	print("wakehunt: ok, 0 lost\n");
	return 0;
}
