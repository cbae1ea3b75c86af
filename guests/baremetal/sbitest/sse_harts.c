/*
 * SSE between harts: who is told of an event while he spins without interrupts,
 * waits, sleeps, masks events, is in U-mode, or stops.
 */
#include "guests/baremetal/sbitest/sse.h"

static struct handler handlers[2];

/* What the other hart does when it is signalled. */
enum doing {
	SPINS,
	WAITS,
	SUSPENDS,
	RESUMES, /* from a suspend that keeps nothing */
	ENDS
};

static u64 doing, is_ready;

static void counts(struct handler *s)
{
	__atomic_fetch_add(&s->count, 1, __ATOMIC_ACQ_REL);
}

/* The hart is to do this from now on. An event could come just before it waits
 * for one, and be over when it does: an interrupt pends until it has looked. */
static void do_now(struct hart *h, u64 what)
{
	__atomic_store_n(&doing, what, __ATOMIC_RELEASE);
	sbi_ipi_hart(h->id);
}

/* The event comes where the hart resumes, before its first instruction. */
static void resumes(struct hart *h)
{
	struct suspend s = {.hartid = UINT64_MAX};

	check_eq(hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE), 1,
		 "suspend without retention");
	check_eq(s.hartid, h->id, "a0 at the place to go on");
}

/* Does so until it is told otherwise; its own event, and the global one. */
static void other(struct hart *h, void *arg)
{
	struct suspend s;
	u64 what;

	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, counts);
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	for (;;) {
		soft_pend(false);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		what = __atomic_load_n(&doing, __ATOMIC_ACQUIRE);
		if (what == ENDS)
			break;
		__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
		if (what == WAITS)
			wfi();
		else if (what == SUSPENDS)
			check_eq(hart_suspend(&s, HSM_SUSPEND_RETENTIVE), 0,
				 "suspend");
		else if (what == RESUMES)
			resumes(h);
		else
			cpu_relax();
	}
	csr_write(sie, 0);
	check_eq(call(SBI_SSE_MASK, 0, 0, 0), 0, "mask");
	end(SSE_LOCAL_SOFT);
}

static bool wait_count(struct handler *s, u64 n)
{
	return check(wait_word(&s->count, n), "event %lx: no %ld. handler",
		     (u64)s->event, n);
}

static void others_are_reached(void)
{
	struct hart *h;

	if (!present())
		return;
	doing = SPINS;
	is_ready = 0;
	h = other_start(other, NULL);
	if (!h || !check(wait_word(&is_ready, 1), "it never came"))
		return;
	begin(&handlers[1], SSE_GLOBAL_SOFT, counts);
	end(SSE_GLOBAL_SOFT);
	registered(&handlers[1], SSE_GLOBAL_SOFT, counts);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, h->id), 0, "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	for (u64 n = 1; n <= ROUNDS && !test_failed(); n++) {
		u64 what = n % ENDS;

		do_now(h, what);
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		if (!wait_count(&handlers[0], 2 * n - 1))
			break;
		if (what == SUSPENDS || what == RESUMES)
			check(wait_status(h->id, HSM_SUSPENDED), "no suspend");
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		if (!wait_count(&handlers[0], 2 * n))
			break;
		check_eq(handlers[0].a6, h->id, "a6");
		check_eq(inject(SSE_GLOBAL_SOFT, 99), 0, "error");
		if (!wait_count(&handlers[1], n))
			break;
		check_eq(handlers[1].a6, h->id, "a6");
	}
	do_now(h, ENDS);
	hart_join(h);
	while (state(SSE_GLOBAL_SOFT) == RUNNING)
		cpu_relax();
	end(SSE_GLOBAL_SOFT);
}

static void refused_harts(void)
{
	if (!present())
		return;
	check_eq(inject(SSE_LOCAL_SOFT, absent_hart()), SBI_ERR_INVALID_PARAM,
		 "a hart that isn't there");
	check_eq(inject(SSE_LOCAL_SOFT, UINT64_MAX), SBI_ERR_INVALID_PARAM,
		 "hart -1");
	check_eq(inject(SSE_LOCAL_SOFT, 1UL << 32), SBI_ERR_INVALID_PARAM,
		 "hart 2^32");
	if (machine.hart_count > 1)
		check_eq(inject(SSE_LOCAL_SOFT, harts[1].id), SBI_ERR_FAILED,
			 "a hart that is stopped");
}

/* Suspended with its events masked: they wait, and don't wake it. */
static void masked(struct hart *h, void *arg)
{
	struct suspend s;

	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, counts);
	soft_pend(false);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	check_eq(hart_suspend(&s, HSM_SUSPEND_RETENTIVE), 0, "suspend");
	check(soft_pending(), "a masked event has woken it");
	csr_write(sie, 0);
	soft_pend(false);
	check_eq(handlers[0].count, 0, "handlers");
	check_eq(attr(SSE_LOCAL_SOFT, STATUS), ENABLED | PENDING | INJECTABLE,
		 "status");
	check_eq(state(SSE_GLOBAL_SOFT), ENABLED, "state of the global one");
	check_eq(call(SBI_SSE_UNMASK, 0, 0, 0), 0, "unmask");
	check_eq(handlers[0].count, 1, "handlers");
	check_eq(handlers[0].a6, h->id, "a6");
	/* A global one that nobody took is the first's to unmask; and no hart
	 * but the one that handles it may change what it interrupted. */
	check_eq(handlers[1].count, 1, "global handlers");
	check_eq(handlers[1].a6, h->id, "a6");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

static void masked_harts_sleep_on(void)
{
	struct hart *h;

	if (!present())
		return;
	registered(&handlers[1], SSE_GLOBAL_SOFT, counts);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, this_hart()->id), 0,
		 "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	h = other_start(masked, NULL);
	if (h) {
		check(wait_status(h->id, HSM_SUSPENDED), "no suspend");
		check_eq(inject(SSE_LOCAL_SOFT, h->id), 0, "error");
		check_eq(inject(SSE_GLOBAL_SOFT, 0), 0, "error");
		check_eq(attr(SSE_GLOBAL_SOFT, STATUS),
			 ENABLED | PENDING | INJECTABLE, "status");
		delay_ticks(machine.hz / 100);
		check_eq(sbi_hart_status(h->id).value, HSM_SUSPENDED, "state");
		sbi_ipi_hart(h->id);
		hart_join(h);
	}
	end(SSE_GLOBAL_SOFT);
}

/* A handler that stops its hart. */
static void stops(struct handler *s)
{
	counts(s);
	/* As the end of any hart's function does. */
	__atomic_store_n(&is_ready, 2, __ATOMIC_RELEASE);
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
}

static void stopper(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	call(SBI_SSE_UNMASK, 0, 0, 0);
	__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
	for (;;)
		cpu_relax();
}

static void survives_its_hart(void)
{
	struct hart *h;

	if (!present())
		return;
	is_ready = 0;
	h = other_start(stopper, NULL);
	if (!h || !check(wait_word(&is_ready, 1), "it never came"))
		return;
	registered(&handlers[1], SSE_GLOBAL_SOFT, stops);
	check_eq(attr_set(SSE_GLOBAL_SOFT, PREFERRED, h->id), 0, "hart");
	check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0, "enable");
	inject(SSE_GLOBAL_SOFT, 0);
	wait_word(&is_ready, 2);
	check(wait_status(h->id, HSM_STOPPED), "it did not stop");
	check_eq(attr(SSE_GLOBAL_SOFT, STATUS), ENABLED | INJECTABLE, "status");
	/* The preferred hart is off: now it is this one's. */
	handlers[1].fn = counts;
	call(SBI_SSE_UNMASK, 0, 0, 0);
	inject(SSE_GLOBAL_SOFT, 0);
	check_eq(handlers[1].count, 2, "handlers");
	check_eq(handlers[1].a6, this_hart()->id, "a6");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_GLOBAL_SOFT);
	h->running = 0;
}

/* ---- U-mode ---- */

void sse_user(void); /* entry.S: spins until *a0 is set, then an ECALL */

static void seen_from_user(struct handler *s)
{
	s->sstatus = csr_read(sstatus);
	attrs(SBI_SSE_READ, s->event, 0, ATTRS, s->found);
	counts(s);
}

static void user(struct hart *h, void *arg)
{
	static u64 stack[64];
	struct probe p;

	(void)h;
	(void)arg;
	begin(&handlers[0], SSE_LOCAL_SOFT, seen_from_user);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	probe_user(&p, (u64)sse_user, (u64)(stack + 64), (u64)&is_ready);
	check_eq(p.scause, CAUSE_ECALL_U, "how U-mode ended");
	call(SBI_SSE_MASK, 0, 0, 0);
	end(SSE_LOCAL_SOFT);
}

static void interrupts_user_mode(void)
{
	struct handler *s = &handlers[0];
	struct hart *h;

	if (!present())
		return;
	is_ready = 0;
	s->count = 0;
	h = other_start(user, NULL);
	if (!h)
		return;
	/* U-mode says that it is there. */
	if (check(wait_word(&is_ready, 1), "no U-mode")) {
		inject(SSE_LOCAL_SOFT, h->id);
		wait_count(s, 1);
		check(!(s->sstatus & SSTATUS_SPP), "it interrupted S-mode");
	}
	__atomic_store_n(&is_ready, 2, __ATOMIC_RELEASE);
	hart_join(h);
}

/* ---- All at once ---- */

static u64 asked, answered;

static void answers(struct handler *s)
{
	counts(s);
	__atomic_store_n(&answered, __atomic_load_n(&asked, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

/* All harts signal the one global event, change whose it is, mask and unmask;
 * whatever was asked for is answered. */
static void everybody(struct hart *h, void *arg)
{
	struct rand r;

	(void)arg;
	rand_seed(&r, h->index);
	call(SBI_SSE_UNMASK, 0, 0, 0);
	for (u32 i = 0; i < ROUNDS && !test_failed(); i++) {
		u64 mine = __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);
		u64 start = time_now();

		check_eq(inject(SSE_GLOBAL_SOFT, 0), 0, "error");
		if (rand_below(&r, 4) == 0 &&
		    !call(SBI_SSE_DISABLE, SSE_GLOBAL_SOFT, 0, 0)) {
			attr_set(SSE_GLOBAL_SOFT, PREFERRED,
				 harts[rand_below(&r, machine.hart_count)].id);
			check_eq(call(SBI_SSE_ENABLE, SSE_GLOBAL_SOFT, 0, 0), 0,
				 "enable");
		}
		if (rand_below(&r, 2)) {
			call(SBI_SSE_MASK, 0, 0, 0);
			call(SBI_SSE_UNMASK, 0, 0, 0);
		}
		while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) < mine)
			if (!check(time_now() - start < HANG_TICKS,
				   "hart %ld: not answered", h->id))
				break;
	}
	call(SBI_SSE_MASK, 0, 0, 0);
}

static void all_at_once(void)
{
	if (!present())
		return;
	asked = answered = 0;
	begin(&handlers[1], SSE_GLOBAL_SOFT, answers);
	harts_run(machine.hart_count, everybody, NULL);
	end(SSE_GLOBAL_SOFT);
}

const struct test sse_harts_tests[] = {
	{"sse_refuses_harts_that_are_not_there", refused_harts},
	{"sse_reaches_harts_that_spin_wait_and_sleep", others_are_reached},
	{"sse_masked_events_wake_nobody", masked_harts_sleep_on},
	{"sse_global_events_survive_their_hart", survives_its_hart},
	{"sse_interrupts_user_mode", interrupts_user_mode},
	{"sse_all_harts_at_once", all_at_once},
};
TEST_LIST(sse_harts_tests, sse_harts_test_count);
