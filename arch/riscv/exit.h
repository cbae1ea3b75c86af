/*
 * Exits: handlers return what comes next; one place moves the program counter.
 */
#ifndef ROUSE_ARCH_RISCV_EXIT_H
#define ROUSE_ARCH_RISCV_EXIT_H

#include "arch/riscv/vcpu.h"
#include "kernel/arch.h"

enum exit_next {
	NEXT_RETRY,     /* enter again at the same pc */
	NEXT_FULL,      /* call again with all registers in x[] */
	NEXT_ADVANCE,   /* enter again behind an instruction of 4 bytes */
	NEXT_ADVANCE_2, /* the same, 2 bytes */
	NEXT_BLOCK,     /* advance by 4, then leave: RUN_BLOCK */
	NEXT_YIELD,     /* advance by 4, then leave: RUN_YIELD */
	NEXT_LOOK,      /* leave: RUN_LOOK, pc as it is */
	NEXT_TIMER,     /* leave: RUN_TIMER */
	NEXT_OFF,       /* leave: RUN_OFF */
	NEXT_DEAD,      /* leave: RUN_DEAD */
};

/*
 * The one function behind trap.S: handles an exit by its cause (scause).
 * Returns NEXT_RETRY to enter the guest again at sepc, NEXT_FULL to be called
 * again, or what ends the turn. Context: mode GUEST, sepc, sstatus and hstatus
 * in their CSRs.
 */
enum exit_next exit_handle(struct riscv_vcpu *v, u64 cause);

/*
 * Gives an exception to the guest as its hart would take it (Privileged ISA
 * 15.6.2, traps into VS-mode). `cause` is one that VS-mode can have.
 */
enum exit_next exit_reflect(struct riscv_vcpu *v, u64 cause, u64 tval);

/* `htinst=off`: as if the harts never described an access. Set at boot. */
extern bool mmio_htinst_off;

/* A guest page fault at `gpa` outside the guest's RAM: mmio.c. */
enum exit_next mmio_access(struct riscv_vcpu *v, u64 cause, struct gpa at);

/*
 * The instruction at sepc, 16 or 32 bits, as the guest would fetch it; 0 or
 * -EFAULT (its page tables changed meanwhile: enter again and let it fault).
 */
int exit_fetch(u32 *inst) __must_check;

/* Guest register n (x0 reads 0). Only of those in v->have. */
static inline u64 reg_get(const struct riscv_vcpu *v, u32 n)
{
	return n ? v->x[n] : 0;
}

static inline void reg_set(struct riscv_vcpu *v, u32 n, u64 val)
{
	if (n)
		v->x[n] = val;
}

enum { REG_RA = 1, REG_SP = 2, REG_A0 = 10, REG_A1 = 11, REG_A2 = 12,
       REG_A3 = 13, REG_A4 = 14, REG_A5 = 15, REG_A6 = 16, REG_A7 = 17 };

/*
 * SBI calls of guests (arch/riscv/vsbi*.c): reads a0..a7 of `v`, puts the
 * answer into a0 (and a1, except for legacy calls). Context: the CPU that
 * runs `v`, which is loaded. Returns ADVANCE for the ordinary call.
 */
enum exit_next vsbi_call(struct riscv_vcpu *v);

#endif
