/*
 * Traps without end, and harts that wait for nothing.
 */
#include "guests/baremetal/hostile/hostile.h"

/* The vector is where nothing can be fetched, so the trap traps. */
static void nest(u64 vector)
{
	csr_write(stvec, vector);
	__asm__ volatile("ebreak");
}

static void nested_hart(struct hart *h)
{
	static const u32 bad[4] __attribute__((aligned(64))) = {0, 0, 0, 0};
	u64 vector[] = {machine.uart.base, HOLE, (u64)bad, 0xfffffffffffffffcUL,
			machine.plic.base};

	nest(vector[h->index % ARRAY_LEN(vector)]);
}

static void nested(void)
{
	everywhere(nested_hart);
}

/* Instructions that a guest has not. */
static u64 hlv(u64 a, u64 b, u64 c)
{
	(void)b;
	(void)c;
	__asm__ volatile(".insn i 0x73, 4, x0, %0, 0x680" ::"r"(a));
	return 0;
}

static u64 hgatp(u64 a, u64 b, u64 c)
{
	(void)b;
	(void)c;
	__asm__ volatile("csrw 0x680, %0" ::"r"(a));
	return 0;
}

static u64 counter(u64 a, u64 b, u64 c)
{
	(void)a;
	(void)b;
	(void)c;
	return csr_read(0xc1f);
}

static void illegal_hart(struct hart *h)
{
	struct probe p;

	probe_call(&p, hlv, dice(h), 0, 0);
	probe_call(&p, hgatp, dice(h), 0, 0);
	probe_call(&p, counter, 0, 0, 0);
}

static void illegal(void)
{
	everywhere(illegal_hart);
}

/* SYSTEM's opcode, and no CSR's: OpenSBI writes a line about each. */
static u64 reserved(u64 a, u64 b, u64 c)
{
	(void)a;
	(void)b;
	(void)c;
	__asm__ volatile(".word 0x7ff00073");
	return 0;
}

static void reserved_hart(struct hart *h)
{
	struct probe p;

	(void)h;
	if (probe_call(&p, reserved, 0, 0, 0) || p.scause != CAUSE_ILLEGAL)
		die("a reserved instruction is none");
}

static void firmware_lines(void)
{
	everywhere(reserved_hart);
}

/* Asleep, and nothing can ever wake it. */
static void dead_hart(struct hart *h)
{
	(void)h;
	irq_off();
	csr_write(sie, 0);
	timer_clear();
	wfi();
}

static void wait_for_nothing(void)
{
	everywhere(dead_hart);
}

/* WFI that returns at once, for ever. */
static void nap_hart(struct hart *h)
{
	(void)h;
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	wfi();
}

static void naps(void)
{
	everywhere(nap_hart);
}

const struct attack trap_attacks[] = {
	{"nested-traps", nested},
	{"illegal", illegal},
	{"firmware-lines", firmware_lines},
	{"wait-for-nothing", wait_for_nothing},
	{"naps", naps},
};
ATTACK_LIST(trap_attacks, trap_attack_count);
