/*
 * Floods of output, and SBI calls that ask for as much as can be said: fences
 * of all addresses on all harts, consoles of gigabytes, thousands of events,
 * harts that aren't there.
 */
#include "guests/baremetal/hostile/hostile.h"

static void uart_hart(struct hart *h)
{
	(void)h;
	uart_write(UART_THR, 'x');
}

static void uart_flood(void)
{
	everywhere(uart_hart);
}

/* A line a byte, each of which may be shown. */
static void lines_hart(struct hart *h)
{
	(void)h;
	uart_write(UART_THR, '\n');
}

static void uart_lines(void)
{
	everywhere(lines_hart);
}

static char flood[4096];

static void dbcn_hart(struct hart *h)
{
	(void)h;
	sbi_call(SBI_DBCN, SBI_DBCN_WRITE, sizeof(flood), (u64)flood, 0);
}

static void dbcn_flood(void)
{
	for (u32 i = 0; i < sizeof(flood); i++)
		flood[i] = i % 64 == 63 ? '\n' : 'x';
	everywhere(dbcn_hart);
}

/* All of RAM at once, then far more than there is. */
static void dbcn_huge_hart(struct hart *h)
{
	u64 base = machine.ram[0].base;

	sbi_call(SBI_DBCN, SBI_DBCN_WRITE, ram_end() - base, base, 0);
	sbi_call(SBI_DBCN, SBI_DBCN_READ, ram_end() - base, base, 0);
	sbi_call(SBI_DBCN, SBI_DBCN_WRITE, 1UL << 40 | dice(h) >> 30, base, 0);
	sbi_call(SBI_DBCN, SBI_DBCN_WRITE, ~0UL, base, 0);
}

static void dbcn_huge(void)
{
	everywhere(dbcn_huge_hart);
}

static void putchar_hart(struct hart *h)
{
	(void)h;
	sbi_legacy(SBI_LEGACY_PUTCHAR, '\n', 0, 0, 0);
	sbi_legacy(SBI_LEGACY_GETCHAR, 0, 0, 0, 0);
}

static void putchar_flood(void)
{
	everywhere(putchar_hart);
}

static void fence_hart(struct hart *h)
{
	u64 size = dice(h) & 1 ? ~0UL : dice(h) >> dice(h) % 64;

	sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA, 0, ~0UL, 0, ~0UL, 0, 0);
	sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA_ASID, 0, ~0UL, 0, size,
		  dice(h) & 0xffff, 0);
	sbi_call6(SBI_RFENCE, SBI_RFENCE_I, 0, ~0UL, 0, 0, 0, 0);
	sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA, 0, ~0UL, dice(h),
		  dice(h) >> dice(h) % 64, 0, 0);
}

static void rfence(void)
{
	everywhere(fence_hart);
}

/* RFENCE, SFENCE.VMA of all at hart 0, without end. */
void fencer_entry(void);
__asm__(".globl	fencer_entry\n"
	"fencer_entry:\n"
	"1:	li	a7, 0x52464e43\n"
	"	li	a6, 1\n"
	"	li	a0, 1\n"
	"	li	a1, 0\n"
	"	li	a2, 0\n"
	"	li	a3, 0\n"
	"	ecall\n"
	"	j	1b\n");

/* All wait for one, who does nothing but answer them: by numbers, since they
 * are more than the runtime has room for. */
static void fence_crowd(void)
{
	u32 id = 1;

	while (!sbi_hart_start(id, (u64)fencer_entry, 0).error)
		id++;
	for (;;)
		;
}

/* Events that nobody has, as many as fit. */
static struct {
	u32 event, output;
	u64 data;
} infos[4096] __attribute__((aligned(4096)));

static void info_hart(struct hart *h)
{
	u64 bytes, at = ram_spare(&bytes);

	sbi_call(SBI_PMU, SBI_PMU_EVENT_INFO, (u64)infos, 0, ARRAY_LEN(infos));
	if (dice(h) % 64 == 0)
		sbi_call(SBI_PMU, SBI_PMU_EVENT_INFO, at, 0,
			 bytes / sizeof(infos[0]));
}

static void pmu_info(void)
{
	for (u32 i = 0; i < ARRAY_LEN(infos); i++)
		infos[i].event = 0xf7fff;
	everywhere(info_hart);
}

/*
 * Legacy calls by a hart mask that other harts change all the time, from one of
 * harts that there are to one of harts that there are not, and back. It is as
 * long as the largest guest's.
 */
static volatile u64 masks[8];

static void masks_set(u64 word)
{
	for (u32 i = 0; i < ARRAY_LEN(masks); i++)
		masks[i] = word;
	/* For as long as a word is read, so that any may meet either. */
	for (u32 i = 0; i < 20; i++)
		__asm__ volatile("nop");
}

static void mask_hart(struct hart *h)
{
	if (h->index & 1) {
		masks_set(~0UL);
		masks_set(1);
		return;
	}
	/* Others wait for fences, so there are fewer of them. */
	for (u32 i = 0; i < 50; i++)
		sbi_legacy(SBI_LEGACY_SEND_IPI, (u64)masks, 0, 0, 0);
	for (u64 call = SBI_LEGACY_FENCE_I; call <= SBI_LEGACY_SFENCE_ASID;
	     call++)
		sbi_legacy(call, (u64)masks, dice(h) & ~0xfffUL, ~0UL,
			   dice(h) & 0xffff);
}

static void hart_masks(void)
{
	masks_set(1);
	everywhere(mask_hart);
}

/* Reads and writes all over the devices, so that each is an exit. */
static void device_hart(struct hart *h)
{
	u64 cause, val, at = machine.plic.base + dice(h) % 0x400000;
	u32 width = 1u << dice(h) % 4;

	probe_load(dice(h) & 3 ? at & ~3UL : at, width, &val, &cause);
	probe_store(dice(h) & 3 ? at & ~3UL : at, width, dice(h), &cause);
	probe_load(machine.rtc.base + dice(h) % 0x1000, width, &val, &cause);
	probe_store(machine.rtc.base + dice(h) % 0x1000, width, dice(h),
		    &cause);
	probe_load(machine.uart.base + dice(h) % 0x200, width, &val, &cause);
}

static void devices(void)
{
	everywhere(device_hart);
}

const struct attack call_attacks[] = {
	{"uart-flood", uart_flood},
	{"uart-lines", uart_lines},
	{"dbcn-flood", dbcn_flood},
	{"dbcn-huge", dbcn_huge},
	{"putchar-flood", putchar_flood},
	{"rfence", rfence},
	{"fence-crowd", fence_crowd},
	{"pmu-info", pmu_info},
	{"hart-masks", hart_masks},
	{"devices", devices},
};
ATTACK_LIST(call_attacks, call_attack_count);
