/*
 * The lost-wake hunt.
 *
 * A few tokens go round between all harts. Whoever gets one waits a random
 * moment (often none), puts it into the inbox of a random hart and wakes that
 * hart by a random kick (wakehunt/kick.c), exactly once. A hart without a
 * token naps in a random way. So kicks meet harts that are awake, on their way
 * to sleep, asleep, suspended, stopped, or on their way back.
 *
 * Every nap has a timer `watchdog_ms=` (2000) of guest time away. A hart that
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

#define END_BIT (1UL << 63)
#define TOKENS_MAX 32

struct worker workers[MAX_HARTS];
static struct token tokens[TOKENS_MAX];
static u32 token_count, allowed_kicks, allowed_naps;
static u64 rounds, delivered, watchdog, delay_max, next_line;

static const char *const nap_names[NAP_COUNT] = {
	[NAP_WFI] = "wfi",
	[NAP_WFI_TRAP] = "wfi-trap",
	[NAP_RETENTIVE] = "suspend",
	[NAP_NON_RETENTIVE] = "suspend-nonret",
	[NAP_STOP] = "stop",
	[NAP_TIMER] = "timer",
	[NAP_SPIN] = "spin",
	[NAP_SPIN_TRAP] = "spin-trap",
};

static void on_interrupt(struct hart *h, struct trap_frame *f)
{
	struct worker *w = &workers[h->index];

	(void)f;
	kick_serve(w);
	w->handled = true;
}

static _Noreturn void lost(struct worker *w, u32 victim, s32 token,
			   const char *what)
{
	struct worker *v = &workers[victim];
	u64 now = time_now();

	print("LOST WAKE: %s, hart %ld, seen by hart %ld, after %ld wake-ups\n",
	      what, harts[victim].id, harts[w - workers].id, delivered);
	if (token >= 0) {
		struct token *t = &tokens[token];

		print("  token %d by %s from hart %ld to hart %ld, kicked "
		      "%ld us ago\n",
		      token, kick_names[t->kick], harts[t->from].id,
		      harts[t->to].id,
		      ticks_to_ns(now - (t->stamp & STAMP_TIME)) / 1000);
	}
	print("  nap %s, number %ld, deadline %ld us ago, inbox 0x%lx, "
	      "life %u, HSM state %ld\n",
	      nap_names[v->nap], v->naps,
	      v->deadline ? ticks_to_ns(now - v->deadline) / 1000 : 0,
	      v->inbox, v->life, sbi_hart_status(harts[victim].id).value);
	print("  observer: sip 0x%lx, sie 0x%lx, time %ld\n", csr_read(sip),
	      csr_read(sie), now);
	kick_describe(victim);
	die("wakehunt: a wake-up was lost");
}

/* The watchdog woke this hart: was a token waiting meanwhile? */
static void check_self(struct worker *w, u64 woke)
{
	u64 inbox = __atomic_load_n(&w->inbox, __ATOMIC_ACQUIRE) & ~END_BIT;
	u64 stamp;

	for (u32 i = 0; i < token_count; i++) {
		if (!(inbox >> i & 1))
			continue;
		stamp = __atomic_load_n(&tokens[i].stamp, __ATOMIC_ACQUIRE) &
			STAMP_TIME;
		if (stamp && (s64)(woke - stamp) > (s64)(watchdog / 2))
			lost(w, (u32)(w - workers), (s32)i,
			     "slept on a kick");
	}
}

/* Waits a second; true if *word has kept its value all the time. */
static bool stuck(u64 *word, u64 value)
{
	u64 start = time_now();

	while (time_now() - start < machine.hz) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
			return false;
		cpu_relax();
	}
	return true;
}

static void observe(struct worker *w)
{
	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 d = __atomic_load_n(&workers[i].deadline,
					__ATOMIC_ACQUIRE);

		if (d && (s64)(time_now() - d) > (s64)watchdog &&
		    stuck(&workers[i].deadline, d))
			lost(w, i, -1, "its own timer did not wake it");
	}
	for (u32 i = 0; i < token_count; i++) {
		u64 s = __atomic_load_n(&tokens[i].stamp, __ATOMIC_ACQUIRE);
		u32 to = tokens[i].to;

		if (!(s & STAMP_TIME) ||
		    !(__atomic_load_n(&workers[to].inbox, __ATOMIC_ACQUIRE) >>
			      i & 1) ||
		    (s64)(time_now() - (s & STAMP_TIME)) <
			    (s64)(2 * watchdog))
			continue;
		if (stuck(&tokens[i].stamp, s) && workers[to].inbox >> i & 1)
			lost(w, to, (s32)i, "never took its token");
	}
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

/*
 * Stops this hart unless a token came meanwhile. The fence between the life
 * word and the rest pairs with kick_send's: either the sender sees STOPPING,
 * or this hart sees the token and the device kick. A hart that somebody is
 * going to start must stop, but not before it has served its device kicks.
 */
static void nap_stop(struct worker *w)
{
	u32 stopping = LIFE_STOPPING;

	timer_clear();
	__atomic_store_n(&w->deadline, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&w->life, LIFE_STOPPING, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(&w->inbox, __ATOMIC_SEQ_CST) ||
	     __atomic_load_n(&w->device_kicks, __ATOMIC_SEQ_CST)) &&
	    __atomic_compare_exchange_n(&w->life, &stopping, LIFE_UP, false,
					__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	while (__atomic_load_n(&w->device_kicks, __ATOMIC_SEQ_CST))
		kick_serve(w);
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
	die("hart_stop returned");
}

static void nap_how(struct worker *w, enum nap nap)
{
	struct suspend s;
	long ret;

	switch (nap) {
	case NAP_WFI:
	case NAP_TIMER:
		wfi();
		break;
	case NAP_WFI_TRAP:
		wfi();
		irq_on();
		irq_off();
		break;
	case NAP_RETENTIVE:
		ret = hart_suspend(&s, HSM_SUSPEND_RETENTIVE);
		if (ret)
			die("retentive suspend: %ld", ret);
		break;
	case NAP_NON_RETENTIVE:
		ret = hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE);
		if (ret != 1)
			die("non-retentive suspend: %ld", ret);
		break;
	case NAP_STOP:
		nap_stop(w);
		break;
	case NAP_SPIN:
		while (!(csr_read(sip) & csr_read(sie)))
			;
		break;
	default:
		w->handled = false;
		irq_on();
		while (!*(volatile bool *)&w->handled)
			;
		irq_off();
		break;
	}
}

static void nap(struct worker *w)
{
	u64 when, woke;
	enum nap nap;

	do
		nap = (enum nap)rand_below(&w->rand, NAP_COUNT);
	while (!(allowed_naps >> nap & 1) || (nap == NAP_STOP && w == workers));
	when = time_now() + (nap == NAP_TIMER ?
				     rand_below(&w->rand, us_to_ticks(30)) :
				     watchdog);
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
	check_self(w, woke);
	observe(w);
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
		plic_threshold((u32)machine.plic_context[h->index], 0);
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
			observe(w);
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
	print("wakehunt: ok, 0 lost\n");
}

/* Suspend is optional: what the SBI refuses isn't used. */
static u32 find_naps(void)
{
	u32 naps = (u32)arg_u64("naps", UINT32_MAX) & ((1u << NAP_COUNT) - 1);
	struct suspend s;

	if (!sbi_has(SBI_HSM))
		naps &= ~(1u << NAP_STOP | 1u << NAP_RETENTIVE |
			  1u << NAP_NON_RETENTIVE);
	for (u32 i = NAP_RETENTIVE; i <= NAP_NON_RETENTIVE; i++) {
		timer_set(time_now() + us_to_ticks(100));
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		if (naps >> i & 1 &&
		    hart_suspend(&s, i == NAP_RETENTIVE ?
					     HSM_SUSPEND_RETENTIVE :
					     HSM_SUSPEND_NON_RETENTIVE) < 0)
			naps &= ~(1u << i);
		timer_clear();
	}
	if (!(naps & ~(1u << NAP_STOP)))
		naps |= 1u << NAP_WFI; /* hart 0 can't stop */
	return naps;
}

int main(void)
{
	u64 start;

	rounds = arg_u64("rounds", 100000);
	next_line = rounds / 10 ? rounds / 10 : 1;
	delay_max = arg_u64("delay_us", 50);
	watchdog = us_to_ticks(arg_u64("watchdog_ms", 2000) * 1000);
	token_count = (u32)arg_u64("tokens", (machine.hart_count + 1) / 2);
	if (!token_count || token_count > TOKENS_MAX)
		die("tokens= must be from 1 to %d", TOKENS_MAX);
	allowed_kicks = kicks_allowed();
	if (!(allowed_kicks & ((1u << KICK_START) - 1)))
		die("no kick is allowed");
	kicks_init();
	allowed_naps = find_naps();
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
	return 0;
}
