/*
 * Drivers of the few devices that the guests use, and the hart's timer.
 *
 * The timer is stimecmp where the tree says Sstc and the SBI's TIME extension
 * elsewhere. "Never" is the largest value: with both it also takes back what
 * is pending.
 */
#include "guests/baremetal/runtime/runtime.h"

#include "guests/baremetal/runtime/sbi.h"

u64 ticks_to_ns(u64 ticks)
{
	return (u64)((unsigned __int128)ticks * 1000000000u / machine.hz);
}

u64 ns_to_ticks(u64 ns)
{
	return (u64)((unsigned __int128)ns * machine.hz / 1000000000u);
}

void timer_set(u64 when)
{
	if (machine.sstc)
		csr_write(0x14d, when); /* stimecmp */
	else
		sbi_call(SBI_TIME, 0, when, 0, 0);
}

void timer_clear(void)
{
	timer_set(UINT64_MAX);
}

void delay_ticks(u64 ticks)
{
	u64 start = time_now();

	while (time_now() - start < ticks)
		cpu_relax();
}

void sleep_ticks(u64 ticks)
{
	u64 until = time_now() + ticks;
	u64 had = csr_read(sie) & IRQ_BIT(IRQ_S_TIMER);

	timer_set(until);
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	while ((s64)(until - time_now()) > 0)
		wfi();
	timer_clear();
	if (!had)
		csr_clear(sie, IRQ_BIT(IRQ_S_TIMER));
}

static u64 plic_at(u64 off)
{
	return machine.plic.base + off;
}

void plic_priority(u32 line, u32 prio)
{
	write32(plic_at(line * 4), prio);
}

void plic_enable(u32 context, u32 line, bool on)
{
	u64 at = plic_at(0x2000 + context * 0x80 + line / 32 * 4);
	u32 bit = 1u << line % 32;

	write32(at, on ? read32(at) | bit : read32(at) & ~bit);
}

void plic_threshold(u32 context, u32 prio)
{
	write32(plic_at(0x200000 + context * 0x1000), prio);
}

u32 plic_claim(u32 context)
{
	return read32(plic_at(0x200004 + context * 0x1000));
}

void plic_complete(u32 context, u32 line)
{
	write32(plic_at(0x200004 + context * 0x1000), line);
}

bool plic_pending(u32 line)
{
	return read32(plic_at(0x1000 + line / 32 * 4)) >> line % 32 & 1;
}

void plic_reset(void)
{
	for (u32 line = 1; line <= machine.plic_lines; line++)
		plic_priority(line, 0);
	for (u32 i = 0; i < machine.hart_count; i++) {
		u32 c = (u32)machine.plic_context[i];

		if (machine.plic_context[i] < 0)
			continue;
		for (u32 w = 0; w <= machine.plic_lines / 32; w++)
			write32(plic_at(0x2000 + c * 0x80 + w * 4), 0);
		plic_threshold(c, 0);
	}
}

u8 uart_read(u32 reg)
{
	return read8(machine.uart.base + ((u64)reg << machine.uart_shift));
}

void uart_write(u32 reg, u8 val)
{
	write8(machine.uart.base + ((u64)reg << machine.uart_shift), val);
}

void uart_put(char c)
{
	while (!(uart_read(UART_LSR) & UART_LSR_THRE))
		cpu_relax();
	uart_write(UART_THR, (u8)c);
}

/* Reading the low half latches the high one. */
u64 rtc_now_ns(void)
{
	u64 low = read32(machine.rtc.base + RTC_TIME_LOW);

	return (u64)read32(machine.rtc.base + RTC_TIME_HIGH) << 32 | low;
}

u64 rtc_zero_ns(void)
{
	return rtc_now_ns() - ticks_to_ns(time_now());
}

u64 rtc_ticks_at(u64 at_ms)
{
	u64 zero_ns = rtc_zero_ns(), now = time_now(), at = 0;

	if (at_ms * 1000000 > zero_ns)
		at = ns_to_ticks(at_ms * 1000000 - zero_ns);
	if (at < now)
		die("started %ld ms too late", ticks_to_ns(now - at) / 1000000);
	return at;
}

/* Writing the low half sets the alarm. */
void rtc_alarm(u64 when_ns)
{
	write32(machine.rtc.base + RTC_ALARM_HIGH, (u32)(when_ns >> 32));
	write32(machine.rtc.base + RTC_ALARM_LOW, (u32)when_ns);
	write32(machine.rtc.base + RTC_IRQ_ENABLED, 1);
}

void rtc_quiet(void)
{
	write32(machine.rtc.base + RTC_IRQ_ENABLED, 0);
	write32(machine.rtc.base + RTC_CLEAR_ALARM, 1);
	write32(machine.rtc.base + RTC_CLEAR_INTERRUPT, 1);
}
