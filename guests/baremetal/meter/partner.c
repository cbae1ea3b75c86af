/*
 * What partners do while nobody measures them: handlers, waiting, spinning.
 *
 * The functions named spin_* are left out of every count (bench/meter/stages),
 * so a hart may be in one of them for as long as the host likes.
 */
#include "guests/baremetal/meter/meter.h"

struct seen seen[MAX_HARTS];

#define WORD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)

/* Called by meter_trap with every register of the interrupted code saved. */
void meter_handle(u64 scause)
{
	struct seen *s = &seen[this_hart()->index];
	u32 line;

	switch (scause) {
	case SCAUSE_IRQ | IRQ_S_SOFT:
		MARK(MARK_SOFT);
		csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
		__atomic_store_n(&s->soft, s->soft + 1, __ATOMIC_RELEASE);
		break;
	case SCAUSE_IRQ | IRQ_S_TIMER:
		MARK(MARK_TIMER);
		timer_clear();
		__atomic_store_n(&s->timer, s->timer + 1, __ATOMIC_RELEASE);
		break;
	case SCAUSE_IRQ | IRQ_S_EXT:
		MARK(MARK_EXTERNAL);
		line = plic_claim(hart_context(this_hart()));
		uart_write(UART_IER, 0);
		if (line)
			plic_complete(hart_context(this_hart()), line);
		__atomic_store_n(&s->external, s->external + 1,
				 __ATOMIC_RELEASE);
		break;
	default:
		die("hart %ld: scause 0x%lx, sepc 0x%lx, stval 0x%lx",
		    this_hart()->id, scause, csr_read(sepc), csr_read(stval));
	}
}

bool partner_start(struct hart *h, void (*fn)(struct hart *h, void *arg))
{
	if (!hart_start(h, fn, NULL))
		return true;
	plan.refused = h;
	spin_ticks(plan.settle_ticks);
	return false;
}

void traps_on(u64 sie)
{
	csr_write(stvec, meter_trap);
	csr_write(sie, sie);
	irq_on();
}

void traps_off(void)
{
	extern char trap_vector[];

	irq_off();
	csr_write(sie, 0);
	csr_write(stvec, trap_vector);
}

void __attribute__((noinline)) spin_until(const u32 *word, u32 want)
{
	while (WORD(word) != want)
		cpu_relax();
}

void __attribute__((noinline)) spin_while(const u32 *word, u32 from)
{
	while (WORD(word) == from)
		cpu_relax();
}

void __attribute__((noinline)) spin_ticks(u64 ticks)
{
	u64 start = time_now();

	while (time_now() - start < ticks)
		cpu_relax();
}

/* Off, wait, on: an interrupt that comes before the WFI makes it return. */
void sleep_until(u32 *asleep, const u32 *word, u32 want)
{
	irq_off();
	while (WORD(word) != want) {
		__atomic_store_n(asleep, 1, __ATOMIC_RELEASE);
		wfi();
		irq_on();
		irq_off();
	}
	irq_on();
}
