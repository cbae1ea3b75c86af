/*
 * The handler of this hart's software event: see sse.c.
 *
 * In: HS-mode, interrupts and virtualisation off, sepc says where it was;
 * a6 = hart id, a7 = our argument, a struct hart_where (in OpenSBI 1.6 the
 * other way round; the argument is the one that is negative, an address of
 * ours). The firmware puts a6, a7, sepc, sstatus and hstatus back.
 * Clobbers nothing else, needs no stack.
 */
#include "arch/riscv/csr.h"
#include "asm-offsets.h"

#define SBI_EXT_SSE 0x535345
#define SSE_COMPLETE 6

	.text
	.globl sse_entry
	.balign 4
sse_entry:
	bltz	a7, 1f
	mv	a7, a6
1:	sd	s0, WHERE_FP(a7)
	csrr	a6, CSR_SEPC
	sd	a6, WHERE_PC(a7)
	/* In the hypervisor: the way back is not into a guest (sse.c). */
	csrr	a6, CSR_SSCRATCH
	bnez	a6, 2f
	li	a6, HSTATUS_SPV
	csrc	CSR_HSTATUS, a6
2:	li	a6, 1
	/* Pairs with arch_cpu_where: where, before that it is known. */
	fence	w, w
	sd	a6, WHERE_ANSWERS(a7)
	li	a7, SBI_EXT_SSE
	li	a6, SSE_COMPLETE
	ecall
	/* A firmware that doesn't take it back has no way on. */
3:	wfi
	j	3b
