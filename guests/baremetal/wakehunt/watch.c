/*
 * The watchdogs of the lost-wake hunt.
 *
 * A hart that its own watchdog woke looks for a token that has been waiting
 * for it (check_self). Since a timer can get lost as well, harts also look at
 * one another (watch_others): a deadline that has passed long ago, a token that
 * nobody took; both must stay as they are for another second, so that a hart
 * which just runs late is not accused. Whoever finds one ends the guest.
 */
#include "guests/baremetal/wakehunt/hunt.h"

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
	      v->deadline ? ticks_to_ns(now - v->deadline) / 1000 : 0, v->inbox,
	      v->life, sbi_hart_status(harts[victim].id).value);
	print("  observer: sip 0x%lx, sie 0x%lx, time %ld\n", csr_read(sip),
	      csr_read(sie), now);
	kick_describe(victim);
	die("wakehunt: a wake-up was lost");
}

void watch_self(struct worker *w, u64 woke)
{
	u64 inbox = __atomic_load_n(&w->inbox, __ATOMIC_ACQUIRE) & ~END_BIT;
	u64 stamp;

	for (u32 i = 0; i < token_count; i++) {
		if (!(inbox >> i & 1))
			continue;
		stamp = __atomic_load_n(&tokens[i].stamp, __ATOMIC_ACQUIRE) &
			STAMP_TIME;
		if (stamp && (s64)(woke - stamp) > (s64)(watchdog / 2))
			lost(w, (u32)(w - workers), (s32)i, "slept on a kick");
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

void watch_others(struct worker *w)
{
	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 d = __atomic_load_n(&workers[i].deadline, __ATOMIC_ACQUIRE);

		if (d && (s64)(time_now() - d) > (s64)watchdog &&
		    stuck(&workers[i].deadline, d))
			lost(w, i, -1, "its own timer did not wake it");
	}
	for (u32 i = 0; i < token_count; i++) {
		u64 s = __atomic_load_n(&tokens[i].stamp, __ATOMIC_ACQUIRE);
		u32 to = tokens[i].to;

		if (!(s & STAMP_TIME) ||
		    !(__atomic_load_n(&workers[to].inbox, __ATOMIC_ACQUIRE) >>
			      i &
		      1) ||
		    (s64)(time_now() - (s & STAMP_TIME)) < (s64)(2 * watchdog))
			continue;
		if (stuck(&tokens[i].stamp, s) && workers[to].inbox >> i & 1)
			lost(w, to, (s32)i, "never took its token");
	}
}
