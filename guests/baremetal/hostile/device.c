/*
 * Devices that the hypervisor serves behind the guest's back: the clock's
 * alarm, which comes without any vCPU's doing, and an interrupt controller
 * whose every line is everybody's.
 */
#include "guests/baremetal/hostile/hostile.h"

#define HOUR_NS 3600000000000UL

static void alarm_at(u64 when_ns)
{
	write32(machine.rtc.base + RTC_ALARM_HIGH, (u32)(when_ns >> 32));
	write32(machine.rtc.base + RTC_ALARM_LOW, (u32)when_ns);
}

/* An alarm that never comes, taken back and set again. */
static void alarms_hart(struct hart *h)
{
	(void)h;
	write32(machine.rtc.base + RTC_CLEAR_ALARM, 1);
	write32(machine.rtc.base + RTC_ALARM_LOW, UINT32_MAX);
}

static void rtc_alarms(void)
{
	alarm_at(rtc_now_ns() + HOUR_NS);
	everywhere(alarms_hart);
}

/* Each a little sooner than the one before, so that each is the next. */
static void sooner_hart(struct hart *h)
{
	static u64 when_ns;

	(void)h;
	if (when_ns < rtc_now_ns() + HOUR_NS)
		when_ns = rtc_now_ns() + 24 * HOUR_NS;
	when_ns -= 1000;
	alarm_at(when_ns);
}

static void rtc_sooner(void)
{
	everywhere(sooner_hart);
}

/* Most come before the next one is set, or are late already. */
static void soon_hart(struct hart *h)
{
	alarm_at(rtc_now_ns() + dice(h) % 100000);
}

static void rtc_soon(void)
{
	write32(machine.rtc.base + RTC_IRQ_ENABLED, 1);
	everywhere(soon_hart);
}

/* They come when all harts are asleep, and wake nobody. */
#define ASLEEP_US 250

static void rtc_asleep(void)
{
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	for (;;) {
		alarm_at(rtc_now_ns() + 1000 * ASLEEP_US);
		timer_set(time_now() + us_to_ticks(2 * ASLEEP_US));
		wfi();
	}
}

/* The UART's line is up for good, and everybody changes who is told of it. */
static void wide_hart(struct hart *h)
{
	u32 context = hart_context(h);

	for (u32 line = 1; line <= machine.plic_lines; line++) {
		plic_priority(line, dice(h) % 8);
		plic_enable(context, line, dice(h) & 1);
		plic_threshold(context, dice(h) % 8);
	}
	plic_complete(context, plic_claim(context));
}

static void plic_wide(void)
{
	uart_line_up();
	everywhere(wide_hart);
}

/* Where each hart of the crowd is: asleep, but for a moment at each wake. */
void crowd_entry(void);
__asm__(".globl	crowd_entry\n"
	"crowd_entry:\n"
	"	li	t0, 1 << 9\n" /* sie.SEIE */
	"	csrw	sie, t0\n"
	"1:	wfi\n"
	"	j	1b\n");

/* As many harts as there are, each with the UART's line enabled: by numbers,
 * since they are more than the runtime has room for. */
static void crowd_start(void)
{
	for (u32 id = 1; !sbi_hart_start(id, (u64)crowd_entry, 0).error; id++)
		plic_enable(2 * id + 1, machine.uart_irq, true);
}

/* One change, and all of them are to be woken: pending, claimed, and by its
 * priority alone. */
static void plic_crowd(void)
{
	u32 own = 2 * this_hart()->id + 1;

	crowd_start();
	uart_line_up();
	for (;;) {
		plic_priority(machine.uart_irq, 0);
		plic_priority(machine.uart_irq, 7);
		plic_complete(own, plic_claim(own));
	}
}

const struct attack device_attacks[] = {
	{"rtc-alarms", rtc_alarms}, {"rtc-sooner", rtc_sooner},
	{"rtc-soon", rtc_soon},	    {"rtc-asleep", rtc_asleep},
	{"plic-wide", plic_wide},   {"plic-crowd", plic_crowd},
};
ATTACK_LIST(device_attacks, device_attack_count);
