/*
 * The kicks of the lost-wake hunt.
 *
 * A kick's preparation may take many steps, but only its last one makes the
 * interrupt pending at the target, and the token is in the target's inbox
 * before that: then the target, which serves interrupts before it looks at its
 * inbox, can't miss it.
 *
 * There is one UART and one RTC, so a device belongs to one token at a time:
 * `users` counts the sender until it has tidied up and the target until it has
 * served the interrupt. Who finds a device taken sends an IPI instead. Lines
 * of both devices share a PLIC enable word, so its read-modify-write needs a
 * lock. The UART's line has priority 1 and the RTC's 2: the threshold that
 * hides the UART's line (1) never hides the RTC's.
 *
 * Starting a hart may reset its PLIC context (OpenSBI does). So a hart with
 * device kicks under way, `device_kicks`, does not stop, and a hart that is
 * not up gets none: the sender counts first and looks at `life` then, the
 * target sets `life` first and looks at the count then.
 */
#include "guests/baremetal/wakehunt/hunt.h"

struct device {
	u32 users;
	u32 line;
	u32 priority;
};

static struct device uart = {.priority = 1};
static struct device rtc = {.priority = 2};
static struct spinlock enable_lock;

const char *const kick_names[KICK_COUNT] = {
	[KICK_IPI] = "ipi",
	[KICK_IPI_ALL] = "ipi-all",
	[KICK_IPI_LEGACY] = "ipi-legacy",
	[KICK_UART] = "uart",
	[KICK_ENABLE] = "plic-enable",
	[KICK_THRESHOLD] = "plic-threshold",
	[KICK_PRIORITY] = "plic-priority",
	[KICK_COMPLETE] = "plic-complete",
	[KICK_RTC] = "rtc",
	[KICK_START] = "hart-start",
};

static u32 context(u32 worker)
{
	return (u32)machine.plic_context[worker];
}

static void enable(u32 worker, u32 line, bool on)
{
	u64 old = spin_lock_irq(&enable_lock);

	plic_enable(context(worker), line, on);
	spin_unlock_irq(&enable_lock, old);
}

u32 kicks_allowed(void)
{
	u32 all = 1u << KICK_IPI | 1u << KICK_IPI_ALL;
	u32 plic = 1u << KICK_UART | 1u << KICK_THRESHOLD | 1u << KICK_PRIORITY;

	if (sbi_has(SBI_LEGACY_SEND_IPI))
		all |= 1u << KICK_IPI_LEGACY;
	/*
	 * A line that is still up when its interrupt is completed becomes
	 * pending again (PLIC specification, gateways), and an enable bit
	 * counts at once. QEMU's own model waits for the next edge and for
	 * the next change elsewhere, so these two kicks are for Rouse.
	 */
	if (machine.rouse)
		plic |= 1u << KICK_COMPLETE | 1u << KICK_ENABLE;
	for (u32 i = 0; i < machine.hart_count; i++)
		if (machine.plic_context[i] < 0)
			plic = 0;
	if (plic && machine.uart.bytes)
		all |= plic;
	if (plic && machine.rtc.bytes)
		all |= 1u << KICK_RTC;
	return all & (u32)arg_u64("kicks", UINT32_MAX);
}

void kicks_init(void)
{
	uart.line = machine.uart_irq;
	rtc.line = machine.rtc_irq;
	if (!machine.plic.bytes)
		return;
	plic_reset();
	if (machine.uart.bytes) {
		uart_write(UART_IER, 0);
		plic_priority(uart.line, uart.priority);
	}
	if (machine.rtc.bytes) {
		rtc_quiet();
		plic_priority(rtc.line, rtc.priority);
	}
}

static bool device_take(struct device *d)
{
	u32 free = 0;

	return __atomic_compare_exchange_n(&d->users, &free, 2, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Counted before the sender looks whether the target is up. */
static bool device_aim(struct device *d, struct worker *target)
{
	if (!device_take(d))
		return false;
	__atomic_fetch_add(&target->device_kicks, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&target->life, __ATOMIC_SEQ_CST) == LIFE_UP)
		return true;
	__atomic_fetch_sub(&target->device_kicks, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&d->users, 0, __ATOMIC_RELEASE);
	return false;
}

static void device_put(struct device *d)
{
	__atomic_fetch_sub(&d->users, 1, __ATOMIC_RELEASE);
}

/* The line that this hart has claimed was for it: it is served. */
static void serve_line(struct worker *w, u32 line)
{
	u32 me = (u32)(w - workers);
	struct device *d = line == uart.line ? &uart : &rtc;

	if (d == &uart)
		uart_write(UART_IER, 0);
	else
		rtc_quiet();
	plic_complete(context(me), line);
	enable(me, line, false);
	__atomic_fetch_sub(&w->device_kicks, 1, __ATOMIC_SEQ_CST);
	device_put(d);
}

static void serve_external(struct worker *w)
{
	u32 line = plic_claim(context((u32)(w - workers)));

	if (line)
		serve_line(w, line);
}

void kick_serve(struct worker *w)
{
	u64 pending = csr_read(sip) & csr_read(sie);

	if (pending & IRQ_BIT(IRQ_S_SOFT))
		csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	if (pending & IRQ_BIT(IRQ_S_TIMER))
		timer_clear();
	if (pending & IRQ_BIT(IRQ_S_EXT))
		serve_external(w);
}

/* Claims the UART's line at its sender; an RTC kick for it comes first. */
static void claim_own(struct worker *w)
{
	u32 line;

	while ((line = plic_claim(context((u32)(w - workers)))) != uart.line) {
		if (line)
			serve_line(w, line);
		cpu_relax();
	}
}

/* Everything but the last step. */
static void prepare(struct worker *w, enum kick kick, u32 to)
{
	u32 me = (u32)(w - workers);

	switch (kick) {
	case KICK_UART:
		enable(to, uart.line, true);
		break;
	case KICK_ENABLE:
		uart_write(UART_IER, UART_IER_TX);
		break;
	case KICK_THRESHOLD:
		plic_threshold(context(to), uart.priority);
		enable(to, uart.line, true);
		uart_write(UART_IER, UART_IER_TX);
		break;
	case KICK_PRIORITY:
		plic_priority(uart.line, 0);
		enable(to, uart.line, true);
		uart_write(UART_IER, UART_IER_TX);
		break;
	case KICK_COMPLETE:
		enable(me, uart.line, true);
		uart_write(UART_IER, UART_IER_TX);
		claim_own(w);
		enable(to, uart.line, true);
		break;
	case KICK_RTC:
		enable(to, rtc.line, true);
		break;
	default:
		break;
	}
}

/* The last step; returns when the wake-up is due. */
static u64 kick(struct worker *w, enum kick kick, u32 to)
{
	u32 me = (u32)(w - workers);
	u64 mask = 1, later_ns;
	long error = 0;

	switch (kick) {
	case KICK_IPI:
		error = sbi_ipi(1, harts[to].id).error;
		break;
	case KICK_IPI_ALL:
		error = sbi_ipi(0, UINT64_MAX).error;
		break;
	case KICK_IPI_LEGACY:
		mask <<= harts[to].id;
		error = sbi_legacy(SBI_LEGACY_SEND_IPI, (u64)&mask, 0, 0, 0);
		break;
	case KICK_UART:
		uart_write(UART_IER, UART_IER_TX);
		break;
	case KICK_ENABLE:
		enable(to, uart.line, true);
		break;
	case KICK_THRESHOLD:
		plic_threshold(context(to), 0);
		break;
	case KICK_PRIORITY:
		plic_priority(uart.line, uart.priority);
		break;
	case KICK_COMPLETE:
		plic_complete(context(me), uart.line);
		enable(me, uart.line, false);
		break;
	case KICK_RTC:
		later_ns =
			rand_below(&w->rand, 2) * rand_below(&w->rand, 50000);
		rtc_alarm(rtc_now_ns() + later_ns);
		return time_now() + ns_to_ticks(later_ns);
	default:
		break;
	}
	if (error)
		die("%s to hart %ld: error %ld", kick_names[kick], harts[to].id,
		    error);
	return time_now();
}

static enum kick choose(struct worker *w, u32 to, u32 allowed)
{
	enum kick k;

	do
		k = (enum kick)rand_below(&w->rand, KICK_START);
	while (!(allowed >> k & 1));
	if (k == KICK_COMPLETE && to == (u32)(w - workers))
		k = KICK_UART;
	if (k == KICK_IPI_LEGACY && harts[to].id >= 64)
		k = KICK_IPI;
	if (k >= KICK_UART &&
	    !device_aim(k == KICK_RTC ? &rtc : &uart, &workers[to]))
		k = KICK_IPI;
	return k;
}

/* It stops, or has stopped: whoever claims it has to start it again. */
static bool claim_start(struct worker *target)
{
	u32 stopping = LIFE_STOPPING;

	return __atomic_compare_exchange_n(&target->life, &stopping,
					   LIFE_STARTING, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void start(u32 to)
{
	long error;

	while (sbi_hart_status(harts[to].id).value != HSM_STOPPED)
		cpu_relax();
	error = sbi_hart_start(harts[to].id, (u64)hart_entry, (u64)&harts[to])
			.error;
	if (error)
		die("start of hart %ld: error %ld", harts[to].id, error);
}

/*
 * Takes back what prepare did. A PLIC keeps a request that it has accepted
 * even when the line drops again, so it is claimed away.
 */
static void forget(struct worker *w, enum kick k, u32 to)
{
	u32 me = (u32)(w - workers);
	struct device *d = k == KICK_RTC ? &rtc : &uart;

	if (k < KICK_UART)
		return;
	enable(to, d->line, false);
	if (d == &uart)
		uart_write(UART_IER, 0);
	if (k == KICK_THRESHOLD)
		plic_threshold(context(to), 0);
	if (k == KICK_PRIORITY)
		plic_priority(d->line, d->priority);
	enable(me, d->line, true);
	if (k != KICK_COMPLETE && plic_pending(d->line))
		claim_own(w);
	plic_complete(context(me), d->line);
	enable(me, d->line, false);
	__atomic_fetch_sub(&workers[to].device_kicks, 1, __ATOMIC_SEQ_CST);
	device_put(d);
	device_put(d);
}

void kick_send(struct worker *w, struct token *t, u32 ti, u32 to, u32 allowed)
{
	struct worker *target = &workers[to];
	enum kick k = choose(w, to, allowed);
	u64 sends = (t->stamp >> STAMP_TIME_BITS) + 1, stamp, due;
	bool device = k >= KICK_UART;

	prepare(w, k, to);
	stamp = sends << STAMP_TIME_BITS;
	t->from = (u32)(w - workers);
	t->to = to;
	t->kick = k;
	__atomic_store_n(&t->stamp, stamp, __ATOMIC_RELEASE);
	__atomic_fetch_or(&target->inbox, 1UL << ti, __ATOMIC_SEQ_CST);
	if (claim_start(target)) {
		forget(w, k, to);
		start(to);
		due = time_now();
	} else {
		due = kick(w, k, to);
		if (device)
			device_put(k == KICK_RTC ? &rtc : &uart);
	}
	/* Fails if the token has moved on already. */
	__atomic_compare_exchange_n(&t->stamp, &stamp,
				    stamp | (due & STAMP_TIME), false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

void kick_end(u32 to)
{
	struct worker *target = &workers[to];

	__atomic_fetch_or(&target->inbox, 1UL << 63, __ATOMIC_SEQ_CST);
	if (claim_start(target))
		start(to);
	else
		sbi_ipi_hart(harts[to].id);
}

void kick_describe(u32 to)
{
	u32 c = context(to);

	if (machine.plic_context[to] < 0)
		return;
	print("  PLIC: pending 0x%x, enabled for it 0x%x, threshold %u, "
	      "priority of UART %u RTC %u\n",
	      read32(machine.plic.base + 0x1000),
	      read32(machine.plic.base + 0x2000 + c * 0x80),
	      read32(machine.plic.base + 0x200000 + c * 0x1000),
	      read32(machine.plic.base + uart.line * 4),
	      read32(machine.plic.base + rtc.line * 4));
	print("  UART: IER 0x%x, users %u; RTC: alarm %u, users %u\n",
	      uart_read(UART_IER), uart.users,
	      machine.rtc.bytes ? read32(machine.rtc.base + RTC_ALARM_STATUS)
				: 0,
	      rtc.users);
}
