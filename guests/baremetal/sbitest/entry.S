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
