/*
 * The meter's own test: code of known length between markers.
 *
 * On several harts at once, since that is where a counter can be wrong. 100
 * instructions in a row; 1000 rounds of a loop of three; and five of which one
 * faults and is skipped by the handler, so that a block ends in its middle: it
 * counts, and the handler's 9 do.
 */
#include "guests/baremetal/meter/meter.h"

/* Skips a 4-byte instruction. Nobody else's registers are touched. */
__asm__("	.balign	4\n"
	"skip_trap:\n"
	"	csrw	sscratch, t0\n"
	"	csrr	t0, sepc\n"
	"	addi	t0, t0, 4\n"
	"	csrw	sepc, t0\n"
	"	csrr	t0, sscratch\n"
	"	csrw	sscratch, zero\n"
	"	nop\n"
	"	nop\n"
	"	sret\n");

static void line(void)
{
	MARK_ROW(ROW_COUNT_LINE, MARK_BEGIN);
	__asm__ volatile(".rept 50\n"
			 " addi t0, zero, 1\n"
			 " c.nop\n"
			 ".endr" ::: "t0");
	MARK_ROW(ROW_COUNT_LINE, MARK_END);
}

static void loop(void)
{
	u64 n = 1000;

	__asm__ volatile("slti x0, x0, %1\n"
			 "1: addi %0, %0, -1\n"
			 "nop\n"
			 "bnez %0, 1b\n"
			 "slti x0, x0, %2\n"
			 : "+r"(n)
			 : "i"(ROW_COUNT_LOOP << MARK_ROW_SHIFT | MARK_BEGIN),
			   "i"(ROW_COUNT_LOOP << MARK_ROW_SHIFT | MARK_END));
}

static void trap(void)
{
	extern char skip_trap[];
	u64 stvec = csr_swap(stvec, skip_trap);

	__asm__ volatile("slti x0, x0, %0\n"
			 "nop\n"
			 "nop\n"
			 ".option push\n"
			 ".option norvc\n"
			 "ebreak\n" /* delegated by all firmware */
			 ".option pop\n"
			 "nop\n"
			 "nop\n"
			 "slti x0, x0, %1\n" ::"i"(ROW_COUNT_TRAP
							   << MARK_ROW_SHIFT |
						   MARK_BEGIN),
			 "i"(ROW_COUNT_TRAP << MARK_ROW_SHIFT | MARK_END));
	csr_write(stvec, stvec);
}

/* What others do meanwhile must not be seen. */
static void noise(struct hart *h, void *arg)
{
	const u32 *quit = arg;
	volatile u64 sum = 0;

	(void)h;
	while (!__atomic_load_n(quit, __ATOMIC_ACQUIRE))
		sum += 1;
}

void role_count(void)
{
	static u32 quit;

	for (u32 i = 1; i < machine.hart_count; i++)
		if (hart_start(&harts[i], noise, &quit))
			die("hart %ld does not start", harts[i].id);
	for (u64 i = 0; i < plan.rounds; i++) {
		line();
		loop();
		trap();
	}
	__atomic_store_n(&quit, 1, __ATOMIC_RELEASE);
	for (u32 i = 1; i < machine.hart_count; i++)
		hart_join(&harts[i]);
}

void role_broken(void)
{
	MARK_ROW(ROW_COUNT_BROKEN, MARK_END);
}
