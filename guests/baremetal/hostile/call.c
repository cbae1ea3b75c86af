/*
 * Floods of output, and SBI calls that ask for as much as can be said: fences
 * of all addresses on all harts, consoles of gigabytes, addresses everywhere.
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

/* Any address, as likely as not one of RAM. */
static u64 wild(struct hart *h)
{
	u64 at = dice(h) >> dice(h) % 64;

	return dice(h) & 1 ? at : machine.ram[0].base + (at & 0xffffff);
}

/* No answer is anything like an address of the hypervisor's own, which is in
 * the upper half. */
static void look(struct sbi_ret r)
{
	if (!r.error && (s64)r.value < -4096)
		die("an answer of 0x%lx", r.value);
}

static void wild_hart(struct hart *h)
{
	static const struct {
		u64 ext, fid;
	} calls[] = {
		{SBI_PMU, SBI_PMU_SHMEM},
		{SBI_PMU, SBI_PMU_CONFIG},
		{SBI_PMU, SBI_PMU_START},
		{SBI_PMU, SBI_PMU_STOP},
		{SBI_PMU, SBI_PMU_EVENT_INFO},
		{SBI_PMU, SBI_PMU_FW_READ},
		{SBI_STA, SBI_STA_SET_SHMEM},
		{SBI_SUSP, SBI_SUSP_SUSPEND},
		{SBI_DBCN, SBI_DBCN_READ},
		{SBI_DBCN, SBI_DBCN_WRITE},
		{SBI_FWFT, SBI_FWFT_SET},
		{SBI_FWFT, SBI_FWFT_GET},
		{SBI_HSM, SBI_HSM_START},
		{SBI_HSM, SBI_HSM_STATUS},
		{SBI_IPI, 0},
		{SBI_RFENCE, SBI_RFENCE_VMA},
	};
	u32 i = (u32)(dice(h) % ARRAY_LEN(calls));
	/* Nothing may be written over this code, or start a hart in it. */
	u64 at = wild(h), spare_bytes, spare = ram_spare(&spare_bytes);
	struct sbi_ret r;

	if (at >= machine.ram[0].base && at < spare)
		at = spare + at % spare_bytes;
	if (calls[i].ext == SBI_PMU && calls[i].fid == SBI_PMU_SHMEM)
		r = sbi_call(SBI_PMU, SBI_PMU_SHMEM, at & ~0xfffUL, dice(h) & 1,
			     0);
	else if (calls[i].ext == SBI_DBCN)
		r = sbi_call(SBI_DBCN, calls[i].fid, dice(h) >> dice(h) % 64,
			     at, dice(h) & 1);
	else if (calls[i].ext == SBI_STA)
		r = sbi_call(SBI_STA, 0, dice(h) & 1 ? at & ~63UL : at,
			     dice(h) & 1, 0);
	else if (calls[i].ext == SBI_HSM)
		r = sbi_call(SBI_HSM, calls[i].fid, dice(h), at | 1, wild(h));
	else
		r = sbi_call6(calls[i].ext, calls[i].fid,
			      dice(h) >> dice(h) % 64, dice(h) % 3 - 1, wild(h),
			      wild(h), dice(h), 0);
	look(r);
}

static void calls_wild(void)
{
	everywhere(wild_hart);
}

/* What nobody has, nor ever will. */
static void unknown_hart(struct hart *h)
{
	look(sbi_call(dice(h), dice(h), dice(h), dice(h), dice(h)));
}

static void calls_unknown(void)
{
	everywhere(unknown_hart);
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
	{"calls-wild", calls_wild},
	{"calls-unknown", calls_unknown},
	{"devices", devices},
};
ATTACK_LIST(call_attacks, call_attack_count);
