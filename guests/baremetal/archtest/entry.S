/*
 * Integer registers, all of them, where no C has been yet.
 */
	.text

	/* To the struct seen (begin.c) in \p. Clobbers t0. */
	.macro	seen_regs p
	.irp	r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
	sd	x\r, \r*8(\p)
	.endr
	.irp	r, 17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\r, \r*8(\p)
	.endr
	.endm
	.macro	seen_csr csr at p
	csrr	t0, \csr
	sd	t0, \at(\p)
	.endm
	.macro	seen_csrs p
	seen_csr sstatus 256 \p
	seen_csr sie 264 \p
	seen_csr stvec 272 \p
	seen_csr sscratch 280 \p
	seen_csr satp 288 \p
	seen_csr sepc 296 \p
	seen_csr scause 304 \p
	seen_csr stval 312 \p
	.endm

/*
 * The guest's first instructions, before the runtime's. No register is free for
 * a pointer but a0, which sscratch keeps meanwhile. What that was, which should
 * be 0, is in none then: if it's not, it is what is found in ra.
 */
	.globl	boot
boot:
	csrrw	a0, sscratch, a0
	beqz	a0, 1f
	mv	ra, a0
1:	la	a0, boot_seen
	seen_regs a0
	csrrw	t1, sscratch, zero
	seen_csrs a0
	mv	a0, t1
	j	runtime_boot

/* Where HSM starts a hart: a1 is its struct seen. */
	.globl	seen_entry
	.balign	4
seen_entry:
	seen_regs a1
	seen_csrs a1
	ld	a1, 0(a1)
	j	hart_entry

/*
 * void keep_all(struct keep *k, u64 pattern): gives x1 to x31 the values
 * pattern + 1 to pattern + 31, counts k->spins down, and stores what the
 * registers are then. Interrupts are off, so that only what is below this guest
 * comes in between. No register is left for a pointer: k is in sscratch, sp in
 * k->spins; and t6, which counts, gets its value last.
 */
	.macro	saved op
	\op	ra, 0(sp)
	\op	gp, 8(sp)
	\op	tp, 16(sp)
	\op	s0, 24(sp)
	\op	s1, 32(sp)
	.irp	n, 2,3,4,5,6,7,8,9,10,11
	\op	s\n, (\n + 3)*8(sp)
	.endr
	.endm

	.globl	keep_all
keep_all:
	addi	sp, sp, -128
	saved	sd
	csrw	sscratch, a0
	ld	t6, 0(a0)
	sd	sp, 0(a0)
	mv	x1, a1
	.irp	r, 2,3,4,5,6,7,8,9,10,12,13,14,15,16,17,18
	addi	x\r, x1, \r
	.endr
	.irp	r, 11,19,20,21,22,23,24,25,26,27,28,29,30
	addi	x\r, x1, \r
	.endr
	addi	x1, x1, 1
1:	addi	t6, t6, -1
	bgtz	t6, 1b
	addi	t6, x1, 30
	csrrw	t6, sscratch, t6
	.irp	r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	sd	x\r, \r*8(t6)
	.endr
	.irp	r, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
	sd	x\r, \r*8(t6)
	.endr
	csrr	t0, sscratch
	sd	t0, 31*8(t6)
	ld	sp, 0(t6)
	saved	ld
	addi	sp, sp, 128
	csrw	sscratch, zero
	ret

	.data
	.balign	8
	.globl	boot_seen
boot_seen:
	.zero	320
