/*
 * Work for the hypervisor that comes when others run: many harts sleep, and
 * all are to be woken in a neighbour's turn. Each has slept for next to nothing
 * of its own time.
 *
 * As many harts as there are: by numbers, since they may be more than the
 * runtime has room for, so what they do is a few instructions without a stack.
 */
#include "guests/baremetal/hostile/hostile.h"

struct naps {
	u64 period_ticks; /* from one moment at which all wake to the next */
	u64 apart_ticks;  /* each wakes so much after the one before */
	u64 begin_ticks;  /* none wakes earlier: all are to start first */
};

/* A deadline at a multiple of the period, by the call that all have. */
void naps_entry(u64 id, const struct naps *naps);
__asm__(".globl	naps_entry\n"
	"naps_entry:\n"
	"	ld	s0, 0(a1)\n"
	"	ld	s1, 8(a1)\n"
	"	mul	s1, s1, a0\n"
	"	li	t0, 1 << 5\n" /* sie.STIE */
	"	csrw	sie, t0\n"
	"	ld	a0, 16(a1)\n"
	"	j	2f\n"
	"1:	rdtime	a0\n"
	"	sub	a0, a0, s1\n"
	"	divu	a0, a0, s0\n"
	"	addi	a0, a0, 1\n"
	"	mul	a0, a0, s0\n"
	"	add	a0, a0, s1\n"
	"2:	li	a7, 0x54494d45\n" /* TIME: set_timer */
	"	li	a6, 0\n"
	"	ecall\n"
	"	wfi\n"
	"	j	1b\n");

/* Asleep until somebody calls. */
void called_entry(void);
__asm__(".globl	called_entry\n"
	"called_entry:\n"
	"	li	t0, 1 << 1\n" /* sie.SSIE */
	"	csrw	sie, t0\n"
	"1:	csrc	sip, t0\n"
	"	wfi\n"
	"	j	1b\n");

/* The other harts begin there. */
static void others_start(u64 entry, u64 arg)
{
	for (u64 id = 1; !sbi_hart_start(id, entry, arg).error; id++)
		;
}

/* `period_us=`: not much more than what so many naps take, so that most of the
 * wake-ups come when a neighbour has the CPU; for 32 it is this. */
#define PERIOD_US     4000
#define BEGIN_PERIODS 8
#define APART_US      60

static u64 period_ticks(void)
{
	return us_to_ticks(arg_u64("period_us", PERIOD_US));
}

static void naps_run(u64 apart_us)
{
	static struct naps naps;

	naps.period_ticks = period_ticks();
	naps.apart_ticks = us_to_ticks(apart_us);
	naps.begin_ticks = time_now() + BEGIN_PERIODS * naps.period_ticks;
	others_start((u64)naps_entry, (u64)&naps);
	naps_entry(0, &naps);
}

static void wake_at_once(void)
{
	naps_run(0);
}

/* Each interrupts whoever runs, after the one before has been dealt with. */
static void wake_in_a_row(void)
{
	naps_run(APART_US);
}

/* All the others are called, and then it's a neighbour's turn. */
static void wake_by_ipi(void)
{
	u64 period = period_ticks();

	others_start((u64)called_entry, 0);
	csr_set(sie, IRQ_BIT(IRQ_S_TIMER));
	for (;;) {
		sbi_ipi(0, ~0UL);
		timer_set(time_now() + period);
		wfi();
	}
}

const struct attack wake_attacks[] = {
	{"wake-at-once", wake_at_once},
	{"wake-in-a-row", wake_in_a_row},
	{"wake-by-ipi", wake_by_ipi},
};
ATTACK_LIST(wake_attacks, wake_attack_count);
