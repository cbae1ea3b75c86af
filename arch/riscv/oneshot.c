/*
 * The CPU's one-shot timer: Sstc's stimecmp where the harts have it, else the
 * firmware's (SBI 2.0, chapter 6).
 *
 * The last value is remembered and writing it again is left out: with SBI that
 * is a call. But the memory is of what was written, not of what pends. The two
 * part when the timer expires in the moment in which it is set anew: QEMU's
 * expiry runs in another thread and may raise STIP after the hart has moved its
 * comparator away, and the SBI's timer is raised by software as well. Such an
 * interrupt pends until the next write. Silencing what pends therefore always
 * writes: left out because the timer is at TIME_NEVER by memory, it pends for
 * ever, and the guest that it interrupts never executes another instruction.
 * One that has come too soon (sched_timer_early) is set to another moment,
 * later than what is remembered: that is written.
 *
 * A wait that it ends leaves it alone. The core remembers as well what it has
 * set (sched_core.armed), and sets nothing that is set already. Suppose that
 * what pends is of an earlier deadline, which the core has since changed, and
 * that the wait put the timer to TIME_NEVER: then the turn of a vCPU that was
 * woken in the same moment would begin without any timer, and what was due
 * would wait for as long as that guest likes. As it is, the core either sets
 * it, which silences it, or that turn ends at once, as by a timer, which the
 * core is told of (RUN_TIMER). If it fired in time the core sets another moment
 * anyway.
 */
#include "arch/riscv/oneshot.h"

void oneshot_init(struct oneshot *t)
{
	oneshot_fired(t);
}

void oneshot_fired(struct oneshot *t)
{
	t->ticks = TIME_NEVER;
	vhw_oneshot_write(TIME_NEVER);
}
