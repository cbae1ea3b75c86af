/*
 * What an operation costs this guest: the mean of `rounds=` (100000) of each.
 *
 * Under QEMU's `-icount shift=0` an instruction takes one nanosecond of guest
 * time, so on a machine with one hart the figures are instructions: all of them,
 * in every privilege mode, the guest's own loop (subtracted below) excepted. What
 * an IPI to oneself costs includes its handler, which is the smallest there is.
 *
 *	make LAB=guests/labs/cost.dts SMP=1 run QEMU_OPTS="-icount shift=0,sleep=off"
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

static u64 rounds;

/* Runs `body` rounds times; gives the ticks that it took. a0 to a7 and t0 are
 * the body's; `in` arrives in t1. */
#define TICKS_OF(body, in) \
	({ \
		u64 n_ = rounds, from_ = time_now(); \
		register u64 in_ __asm__("t1") = (in); \
		__asm__ volatile("1:	" body "\n" \
				 "	addi	%0, %0, -1\n" \
				 "	bnez	%0, 1b\n" \
				 : "+r"(n_) \
				 : "r"(in_) \
				 : "a0", "a1", "a2", "a3", "a4", "a5", "a6", \
				   "a7", "t0", "memory"); \
		time_now() - from_; \
	})

static void report(const char *what, u64 ticks, u64 empty)
{
	/* In hundredths, rounded: a tick is many instructions long. */
	u64 ns = ticks_to_ns(ticks - empty) * 100 / rounds;

	print("cost: %s %ld.%02ld ns\n", what, (long)(ns / 100),
	      (long)(ns % 100));
}

/* The trap entry of the runtime saves everything; this is for the figure. */
__asm__("	.balign 4\n"
	"smallest_handler:\n"
	"	csrci	sip, 2\n"
	"	sret\n");
extern char smallest_handler[];

static u64 self_ipi(void)
{
	u64 stvec = csr_swap(stvec, smallest_handler), sie, ticks;

	sie = csr_swap(sie, 2);
	irq_on();
	ticks = TICKS_OF("li a7, 0x735049\n li a6, 0\n li a0, 1\n"
			 "mv a1, t1\n ecall", this_hart()->id);
	irq_off();
	csr_write(sie, sie);
	csr_write(stvec, stvec);
	return ticks;
}

int main(void)
{
	u64 empty;

	rounds = arg_u64("rounds", 100000);
	empty = TICKS_OF("nop", 0);
	report("sbi_base", TICKS_OF("li a7, 0x10\n li a6, 0\n ecall", 0), empty);
	report("set_timer", TICKS_OF("li a7, 0x54494d45\n li a6, 0\n"
				     "li a0, -1\n ecall", 0), empty);
	report("self_ipi", self_ipi(), empty);
	if (machine.plic.bytes) {
		report("plic_load", TICKS_OF("lw a5, 4(t1)",
					     machine.plic.base), empty);
		report("plic_store", TICKS_OF("sw zero, 4(t1)",
					      machine.plic.base), empty);
	}
	if (machine.uart.bytes)
		report("uart_load", TICKS_OF("lbu a5, 5(t1)",
					     machine.uart.base), empty);
	return 0;
}
