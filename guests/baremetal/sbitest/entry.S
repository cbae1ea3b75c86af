/*
 * What C can't do: seeing every register before and after an ecall, and the
 * first instructions of a hart.
 */
	.text

/* A hart's first instructions. In: a0, a1 as HSM gives them. No stack. */
	.globl	record_entry
	.balign	4
record_entry:
	sd	a0, 0(a1)
	sd	a1, 8(a1)
	csrr	t0, satp
	sd	t0, 16(a1)
	csrr	t0, sstatus
	sd	t0, 24(a1)
	fence	rw, rw
	addi	t1, a1, 32
	li	t0, 1
	amoadd.d.aqrl zero, t0, (t1)
	csrw	sie, zero
	li	a6, 1
	li	a7, 0x48534d
	ecall
1:	wfi
	j	1b

/*
 * void ecall_raw(ext, fid, a0, a1, u64 after[32]): an ecall with PATTERN + r in
 * every register r but sp and tp (which the trap vector needs), and all of them
 * afterwards.
 */
#define PATTERN 0x5a5a0000
	.globl	ecall_raw
ecall_raw:
	addi	sp, sp, -512
	.irp	r, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27
	sd	x\r, (\r * 8)(sp)
	.endr
	sd	a4, 0(sp)
	mv	a7, a0
	mv	a6, a1
	mv	a0, a2
	mv	a1, a3
	.irp	r, 1,3,5,6,7,8,9,12,13,14,15
	li	x\r, PATTERN + \r
	.endr
	.irp	r, 18,19,20,21,22,23,24,25,26,27,28,29,30,31
	li	x\r, PATTERN + \r
	.endr
	ecall
	.irp	r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
	sd	x\r, (256 + \r * 8)(sp)
	.endr
	.irp	r, 18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\r, (256 + \r * 8)(sp)
	.endr
	.irp	r, 1,3,4,8,9,18,19,20,21,22,23,24,25,26,27
	ld	x\r, (\r * 8)(sp)
	.endr
	ld	t0, 0(sp)
	addi	t1, sp, 256
	addi	t2, sp, 512
1:	ld	t3, 0(t1)
	sd	t3, 0(t0)
	addi	t1, t1, 8
	addi	t0, t0, 8
	bltu	t1, t2, 1b
	addi	sp, sp, 512
	ret

/*
 * Where software events begin. In: a6 hart id, a7 the struct handler of sse.c;
 * all other registers are what was interrupted's, and tp may be U-mode's. Calls
 * handler->fn(handler) on the handler's own stack, and completes the event.
 */
	.macro	handler_regs op
	\op	ra, 0(sp)
	\op	gp, 8(sp)
	\op	s0, 16(sp)
	\op	t0, 24(sp)
	\op	t1, 32(sp)
	\op	t2, 40(sp)
	\op	t3, 48(sp)
	\op	t4, 56(sp)
	\op	t5, 64(sp)
	\op	t6, 72(sp)
	\op	a0, 80(sp)
	\op	a1, 88(sp)
	\op	a2, 96(sp)
	\op	a3, 104(sp)
	\op	a4, 112(sp)
	\op	a5, 120(sp)
	.endm

	.globl	sse_entry
	.balign	4
sse_entry:
	sd	sp, 16(a7)
	ld	sp, 0(a7)
	addi	sp, sp, -128
	handler_regs sd
	sd	a6, 24(a7)
	.option	push
	.option	norelax
	la	gp, __global_pointer$
	.option	pop
	mv	s0, a7
	mv	a0, a7
	ld	t0, 8(a7)
	jalr	t0
	mv	a7, s0
	handler_regs ld
	ld	sp, 16(a7)
	li	a7, 0x535345
	li	a6, 6
	ecall
1:	j	1b

/* In U-mode: says so in *a0, and waits until it is another number. */
	.globl	sse_user
	.balign	4
sse_user:
	li	t1, 1
	fence	rw, rw
	sd	t1, 0(a0)
1:	ld	t0, 0(a0)
	beq	t0, t1, 1b
	ecall
