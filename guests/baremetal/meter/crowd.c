/*
 * Rows of many vCPUs on one hart: what it takes to wake one and to pick the
 * next one, with so many queued.
 *
 * `crowd=` vCPUs of this guest give way to one another for ever, in a loop
 * without a stack, so there may be more of them than the runtime knows harts.
 * Other guests may do the same. In the one with `lead=1` the first vCPU wakes
 * the second by an IPI each time that it has its turn and finds it asleep, and
 * ends the guest after all rounds.
 *
 * Picks are thousands by then, and wakes few. So after `rounds=` there are
 * `wakes=` more in which nobody marks a pick; nor does anybody before the first
 * one, when the leader waits for its share, nor ever a guest that doesn't lead.
 */
#include "guests/baremetal/meter/meter.h"

/* entry.S */
void crowd_start(void);
_Noreturn void crowd_join(u64 hartid);

u32 crowd_go;	     /* not 0: the sleep is over */
u32 crowd_quiet = 1; /* not 0: picks are not marked */

static void second(struct hart *h, void *arg)
{
	static const u32 never;

	(void)arg;
	traps_on(IRQ_BIT(IRQ_S_SOFT));
	sleep_until(&seen[h->index].asleep, &never, 1);
}

static void yield(void)
{
	MARK_ROW(ROW_PICK, MARK_OUT);
	wrs_nto();
	MARK_ROW(ROW_PICK, MARK_IN);
}

static void wake(struct hart *to)
{
	u32 *asleep = &seen[to->index].asleep, had = seen[to->index].soft;

	while (!__atomic_load_n(asleep, __ATOMIC_ACQUIRE))
		yield();
	/* The flag is set right before the WFI. */
	yield();
	__atomic_store_n(asleep, 0, __ATOMIC_RELEASE);
	MARK_ROW(ROW_WAKE, MARK_BEGIN);
	sbi_ipi_hart(to->id);
	MARK_ROW(ROW_WAKE, MARK_SENT);
	while (__atomic_load_n(&seen[to->index].soft, __ATOMIC_ACQUIRE) == had)
		yield();
}

static void quiet(u32 is)
{
	__atomic_store_n(&crowd_quiet, is, __ATOMIC_RELAXED);
}

static void lead(struct hart *to)
{
	if (to && hart_start(to, second, NULL))
		die("hart %ld does not start", to->id);
	/* All the others have their first turns. */
	for (u64 i = 0; i < 3; i++)
		yield();
	quiet(0);
	for (u64 i = 0; i < plan.rounds; i++) {
		if (to)
			wake(to);
		else
			yield();
	}
	quiet(1);
	for (u64 i = arg_u64("wakes", 0); to && i; i--)
		wake(to);
}

void role_crowd(void)
{
	u64 crowd = arg_u64("crowd", machine.hart_count);
	bool leads = arg_u64("lead", 0);
	/* Of two, one waits or sleeps. */
	bool wakes = leads && (crowd > 2 || !plan.rounds);
	u64 first = wakes ? 2 : 1;

	/* A timer of somebody else's would save what is measured its own. */
	sleep_ticks(us_to_ticks(arg_u64("rest_us", 0)));
	for (u64 id = first; id < crowd; id++)
		if (sbi_hart_start(id, (u64)crowd_start, 0).error)
			die("hart %ld does not start", id);
	__atomic_store_n(&crowd_go, 1, __ATOMIC_RELEASE);
	for (u64 id = first; id < crowd; id += 64)
		sbi_ipi(crowd - id < 64 ? (1UL << (crowd - id)) - 1 : -1UL, id);
	if (!leads)
		crowd_join(harts[0].id);
	lead(wakes ? &harts[1] : NULL);
}
