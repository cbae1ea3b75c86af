/*
 * Into random code, and out of it when nothing can be relied on: neither
 * registers, nor sscratch, nor the stack. stvec points to code of the hart's
 * own, struct runner's stub, which leaves its address in sp and comes here.
 */
#define RUNNER_STUB 256
#define RUNNER_STACK 264

	.text
	.globl	fuzz_land
	.balign	4
fuzz_land:
	addi	a0, sp, -RUNNER_STUB
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	ld	sp, RUNNER_STACK(a0)
	mv	s0, zero
	mv	ra, zero
	tail	fuzz_landed

/* void fuzz_go(struct runner *r): sepc and sstatus are set. */
	.globl	fuzz_go
fuzz_go:
	mv	x31, a0
	.irp	n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	ld	x\n, \n*8(x31)
	.endr
	.irp	n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\n, \n*8(x31)
	.endr
	sret
