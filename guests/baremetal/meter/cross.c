/*
 * Rows of two vCPUs: one triggers, the other's handler is waited for.
 *
 * Before each MARK_BEGIN the receiver is in the state that the row is about:
 * asleep for plan.sleep_ticks (if it was more than four times that, it sleeps
 * once more), running in a loop that isn't counted, or queued behind a running
 * one. MARK_SENT follows the trigger; what the sender does after it isn't
 * counted on another hart. On its own hart (near) it gives way by sleeping.
 */
#include "guests/baremetal/meter/meter.h"

#define WORD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define SET(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static u32 quit, up;

/* Counts as long as it runs; how another tells that it doesn't. */
static struct beat {
	u32 n;
} __attribute__((aligned(64))) beats[MAX_HARTS];

static void sleeper(struct hart *h, void *arg)
{
	(void)arg;
	SET(&up, 1);
	traps_on(IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_EXT));
	sleep_until(&seen[h->index].asleep, &quit, 1);
	traps_off();
}

static __attribute__((noinline, no_icf)) void spin_beating(u32 *beat)
{
	while (!WORD(&quit))
		SET(beat, *beat + 1);
}

/* The same for one that is to be queued: the meter sees if it ran after all. */
static __attribute__((noinline, no_icf)) void spin_queued(u32 *beat)
{
	while (!WORD(&quit))
		SET(beat, *beat + 1);
}

static void run(struct hart *h, void (*spin)(u32 *beat))
{
	SET(&up, 1);
	traps_on(IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_EXT));
	spin(&beats[h->index].n);
	traps_off();
}

static void runner(struct hart *h, void *arg)
{
	(void)arg;
	run(h, spin_beating);
}

static void queued(struct hart *h, void *arg)
{
	(void)arg;
	run(h, spin_queued);
}

/* Until it runs: firmware clears the PLIC's context of a hart that starts.
 * False: it can't. */
static bool start(struct hart *h, void (*fn)(struct hart *h, void *arg))
{
	SET(&quit, 0);
	SET(&up, 0);
	seen[h->index].asleep = 0;
	if (!partner_start(h, fn))
		return false;
	while (!WORD(&up))
		sleep_ticks(us_to_ticks(200));
	return true;
}

/* Once more an interrupt, for a sleeper to look at `quit`. */
static void stop(struct hart *h)
{
	SET(&quit, 1);
	sbi_ipi_hart(h->id);
	while (WORD(&h->running)) {
		sleep_ticks(us_to_ticks(500));
		sbi_ipi_hart(h->id);
	}
	hart_join(h);
}

/* Its sleep is longer if the host kept us from running, and what a long one
 * does is another question: then it is woken, and sleeps anew. On a host that
 * is busy all the time a long one has to do. */
static void wait_asleep(struct hart *h)
{
	u32 *asleep = &seen[h->index].asleep;
	u64 start;

	for (u32 tries = 8; tries; tries--) {
		spin_until(asleep, 1);
		start = time_now();
		spin_ticks(plan.sleep_ticks);
		SET(asleep, 0);
		if (time_now() - start < 4 * plan.sleep_ticks)
			return;
		sbi_ipi_hart(h->id);
	}
	spin_until(asleep, 1);
	SET(asleep, 0);
}

/* `h` has run, and then not for a while in which `other` has. */
static void wait_queued(struct hart *h, struct hart *other)
{
	u32 mine, others;

	do {
		mine = WORD(&beats[h->index].n);
		others = WORD(&beats[other->index].n);
		spin_ticks(us_to_ticks(20));
	} while (WORD(&beats[h->index].n) != mine ||
		 WORD(&beats[other->index].n) == others);
}

static bool no_line(struct hart *h)
{
	if (!machine.plic.bytes || !machine.uart.bytes ||
	    machine.plic_context[h->index] < 0)
		plan.reason = "no PLIC, or no UART";
	return plan.reason;
}

/* The UART's line goes to `h` alone. */
static void route_uart(struct hart *h)
{
	uart_write(UART_IER, 0);
	plic_reset();
	plic_priority(machine.uart_irq, 1);
	plic_enable(hart_context(h), machine.uart_irq, true);
}

#define IPI(row) \
	({ \
		MARK_ROW(row, MARK_BEGIN); \
		sbi_ipi_hart(to->id); \
		MARK_ROW(row, MARK_SENT); \
	})
#define LINE(row) \
	({ \
		MARK_ROW(row, MARK_BEGIN); \
		write8(ier, UART_IER_TX); \
		MARK_ROW(row, MARK_SENT); \
	})

/* All rounds of a row. `ready` brings `to` into its state. */
#define ROUNDS(row, trigger, word, ready) \
	do { \
		u64 ier = uart_at(UART_IER); \
 \
		(void)ier; \
		for (u64 i = 0; i < plan.rounds; i++) { \
			u32 had; \
 \
			ready; \
			had = WORD(word); \
			trigger(row); \
			spin_while(word, had); \
		} \
	} while (0)

static bool have(struct hart *h, const char *reason)
{
	if (!h)
		plan.reason = reason;
	return h;
}

static void ipi_asleep(void)
{
	struct hart *to = plan.far;

	if (!have(to, "no far="))
		return;
	if (!start(to, sleeper))
		return;
	ROUNDS(ROW_IPI_ASLEEP, IPI, &seen[to->index].soft, wait_asleep(to));
	stop(to);
}

static void plic_asleep(void)
{
	struct hart *to = plan.far;

	if (!have(to, "no far=") || no_line(to))
		return;
	if (!start(to, sleeper))
		return;
	route_uart(to);
	ROUNDS(ROW_PLIC_ASLEEP, LINE, &seen[to->index].external,
	       wait_asleep(to));
	stop(to);
}

static void ipi_running(void)
{
	struct hart *to = plan.far;

	if (!have(to, "no far="))
		return;
	if (!start(to, runner))
		return;
	ROUNDS(ROW_IPI_RUNNING, IPI, &seen[to->index].soft,
	       spin_while(&beats[to->index].n, beats[to->index].n));
	stop(to);
}

static void plic_running(void)
{
	struct hart *to = plan.far;

	if (!have(to, "no far=") || no_line(to))
		return;
	if (!start(to, runner))
		return;
	route_uart(to);
	ROUNDS(ROW_PLIC_RUNNING, LINE, &seen[to->index].external,
	       spin_while(&beats[to->index].n, beats[to->index].n));
	stop(to);
}

/* `to`, and who is to run in front of it. */
static bool start_both(struct hart *to, struct hart *other)
{
	if (!start(to, queued))
		return false;
	if (start(other, runner))
		return true;
	stop(to);
	return false;
}

static void ipi_queued(void)
{
	struct hart *to = plan.behind, *other = plan.far;

	if (!have(other, "no far=") || !have(to, "no behind="))
		return;
	if (!start_both(to, other))
		return;
	ROUNDS(ROW_IPI_QUEUED, IPI, &seen[to->index].soft,
	       wait_queued(to, other));
	stop(to);
	stop(other);
}

static void plic_queued(void)
{
	struct hart *to = plan.behind, *other = plan.far;

	if (!have(other, "no far=") || !have(to, "no behind=") ||
	    no_line(to))
		return;
	if (!start_both(to, other))
		return;
	route_uart(to);
	ROUNDS(ROW_PLIC_QUEUED, LINE, &seen[to->index].external,
	       wait_queued(to, other));
	stop(to);
	stop(other);
}

/* As sleeper, but the first vCPU, on the same hart, is woken afterwards. */
static void near_sleeper(struct hart *h, void *arg)
{
	(void)arg;
	SET(&up, 1);
	traps_on(IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_EXT));
	irq_off();
	while (!WORD(&quit)) {
		SET(&seen[h->index].asleep, 1);
		wfi();
		irq_on();
		irq_off();
		sbi_ipi_hart(harts[0].id);
	}
	traps_off();
}

#define NEAR_ROUNDS(row, trigger, word) \
	do { \
		u64 ier = uart_at(UART_IER); \
 \
		(void)ier; \
		for (u64 i = 0; i < plan.rounds; i++) { \
			u32 had = WORD(word); \
			wait_near(to); \
			trigger(row); \
			while (WORD(word) == had) \
				wfi(); \
			csr_clear(sip, IRQ_BIT(IRQ_S_SOFT)); \
		} \
	} while (0)

/* The partner can go to sleep only while we do. */
static void wait_near(struct hart *h)
{
	while (!WORD(&seen[h->index].asleep))
		sleep_ticks(us_to_ticks(200));
	sleep_ticks(us_to_ticks(200));
	spin_ticks(plan.sleep_ticks);
	SET(&seen[h->index].asleep, 0);
}

static void near(bool line)
{
	struct hart *to = plan.near;

	if (!have(to, "no near=") || (line && no_line(to)))
		return;
	if (!start(to, near_sleeper))
		return;
	if (line)
		route_uart(to);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER) | IRQ_BIT(IRQ_S_SOFT));
	if (line)
		NEAR_ROUNDS(ROW_PLIC_NEAR, LINE, &seen[to->index].external);
	else
		NEAR_ROUNDS(ROW_IPI_NEAR, IPI, &seen[to->index].soft);
	stop(to);
	csr_write(sie, 0);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
}

static void ipi_near(void)
{
	near(false);
}

static void plic_near(void)
{
	near(true);
}

static void rfence_running(void)
{
	struct hart *to = plan.far;

	if (!have(to, "no far="))
		return;
	if (!start(to, runner))
		return;
	spin_while(&beats[to->index].n, beats[to->index].n);
	for (u64 i = 0; i < plan.rounds; i++) {
		spin_ticks(us_to_ticks(50));
		MARK_ROW(ROW_RFENCE_RUNNING, MARK_BEGIN);
		sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA, 1, to->id, 0x80200000,
			  PAGE_BYTES, 0, 0);
		MARK_ROW(ROW_RFENCE_RUNNING, MARK_END);
	}
	spin_ticks(us_to_ticks(50));
	MARK_ROW(ROW_RFENCE_RUNNING, MARK_SENT);
	stop(to);
}

static void nothing(struct hart *h, void *arg)
{
	(void)h, (void)arg;
}

static void start_stopped(void)
{
	struct hart *to = plan.far;
	u64 rounds = plan.rounds;

	if (!have(to, "no far="))
		return;
	for (u64 i = 0; i < rounds; i++) {
		spin_ticks(plan.sleep_ticks);
		to->stack_top = (u64)&stacks[(to->index + 1) * STACK_BYTES];
		to->fn = nothing;
		SET(&to->running, 1);
		MARK_ROW(ROW_HART_START, MARK_BEGIN);
		if (sbi_hart_start(to->id, (u64)meter_start, (u64)to).error)
			die("hart %ld does not start", to->id);
		MARK_ROW(ROW_HART_START, MARK_SENT);
		spin_until(&to->running, 0);
		hart_join(to);
	}
}

struct row cross_rows[] = {
	{.name = "ipi_asleep", .run = ipi_asleep},
	{.name = "plic_asleep", .run = plic_asleep},
	{.name = "ipi_running", .run = ipi_running},
	{.name = "plic_running", .run = plic_running},
	{.name = "ipi_queued", .run = ipi_queued},
	{.name = "plic_queued", .run = plic_queued},
	{.name = "ipi_near", .run = ipi_near},
	{.name = "plic_near", .run = plic_near},
	{.name = "rfence_running", .run = rfence_running},
	{.name = "hart_start", .run = start_stopped},
};
const size_t cross_row_count = ARRAY_LEN(cross_rows);
