/*
 * _Noreturn void plant_all(u64 pattern, u64 way, u64 fp, u64 vector): every
 * register and CSR that can hold it holds the pattern, for ever. Interrupts are
 * off, and nothing here may trap.
 *
 * way: 0 spins, 1 calls an extension that isn't there, 2 sleeps for good.
 */
	.text
	.globl	plant_all
plant_all:
	beqz	a2, 1f
	li	t0, 0x6000		/* sstatus.FS */
	csrs	sstatus, t0
	.option push
	.option arch, +f, +d
	.irp	r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	fmv.d.x	f\r, a0
	.endr
	.irp	r, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fmv.d.x	f\r, a0
	.endr
	csrw	fcsr, a0
	.option pop
1:	beqz	a3, 2f
	li	t0, 0x600		/* sstatus.VS */
	csrs	sstatus, t0
	.option push
	.option arch, +v
	csrw	vcsr, a0
	vsetvli	t0, zero, e64, m8, ta, ma
	vmv.v.x	v0, a0
	vmv.v.x	v8, a0
	vmv.v.x	v16, a0
	vmv.v.x	v24, a0
	csrw	vstart, a0		/* as each of these makes it 0 */
	.option pop
2:	csrw	sie, zero
	csrw	sscratch, a0
	csrw	sepc, a0
	csrw	scause, a0
	csrw	stval, a0
	csrw	scounteren, a0
	csrw	0x10a, a0		/* senvcfg */
	mv	x1, a1
	mv	x31, a0
	.irp	r, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
	mv	x\r, x31
	.endr
	.irp	r, 17,18,19,20,21,22,23,24,25,26,27,28,29,30
	mv	x\r, x31
	.endr
	beqz	x1, 3f
	addi	x1, x1, -1
	beqz	x1, 4f
	mv	x1, x31
5:	wfi
	j	5b
3:	mv	x1, x31
6:	j	6b
4:	mv	x1, x31
7:	ecall
	mv	x10, x31
	mv	x11, x31
	j	7b
