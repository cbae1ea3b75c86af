/*
 * One line for a crowd: all harts but the first sleep until the UART, whose
 * line is enabled for each of them, has a byte. Nobody claims it. Hart 0 says
 * when all of them are asleep, and then when all have heard of it but hart
 * `but=`, which may be kept from a CPU; then it ends.
 *
 * Harts are known by their numbers, since they are more than the runtime has
 * room for. One that has heard of the line stops.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

#define CROWD_MOST 512

enum { AWAY, ASLEEP, HEARD };

u8 crowd_is[CROWD_MOST]; /* by hart id */

void crowd_entry(void);
__asm__(".globl	crowd_entry\n"
	"crowd_entry:\n"
	"	li	t0, 1 << 9\n" /* sie.SEIE */
	"	csrw	sie, t0\n"
	"	la	t1, crowd_is\n"
	"	add	t1, t1, a0\n"
	"	li	t2, 1\n"
	"	sb	t2, (t1)\n"
	"1:	wfi\n"
	"	csrr	t2, sip\n"
	"	and	t2, t2, t0\n"
	"	beqz	t2, 1b\n"
	"	li	t2, 2\n"
	"	sb	t2, (t1)\n"
	"	li	a7, 0x48534d\n" /* HSM: stop */
	"	li	a6, 1\n"
	"	ecall\n"
	"	j	1b\n");

static u32 crowd_start(void)
{
	u32 id = 1;

	for (; id < CROWD_MOST; id++) {
		plic_enable(2 * id + 1, machine.uart_irq, true);
		if (sbi_hart_start(id, (u64)crowd_entry, 0).error)
			break;
	}
	return id;
}

static void await(u32 harts, u8 is, u32 but)
{
	for (u32 id = 1; id < harts; id++)
		while (id != but &&
		       __atomic_load_n(&crowd_is[id], __ATOMIC_RELAXED) != is)
			sleep_ticks(us_to_ticks(50000));
}

int main(void)
{
	u32 harts, but = (u32)arg_u64("but", 0);

	plic_priority(machine.uart_irq, 7);
	harts = crowd_start();
	await(harts, ASLEEP, 0);
	uart_write(UART_IER, UART_IER_RX);
	print("crowd: %u are asleep\n", harts - 1);
	await(harts, HEARD, but);
	print("crowd: all have heard of it but %u\n", but);
	return 0;
}
