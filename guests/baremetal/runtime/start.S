/*
 * Entry of the boot hart and of all others, the trap vector, and calls that
 * may end in an exception.
 *
 * In S-mode sscratch is 0 and tp points to the hart's struct hart. In U-mode
 * sscratch holds the stack pointer that the next trap uses, and the word it
 * points to is tp.
 */
#define FRAME_BYTES 288
#define FRAME_SEPC 256
#define FRAME_SSTATUS 264
#define FRAME_SCAUSE 272
#define FRAME_STVAL 280
#define SSTATUS_SIE 0x2
#define SSTATUS_SPIE 0x20
#define SSTATUS_SPP 0x100

	.section .head, "ax"
	.globl _start
_start:
	/* The Linux Image header: 64 bytes, the first two are code. */
	.option push
	.option norvc
	j	boot
	nop
	.option pop
	.dword	0x200000		/* text_offset from the start of RAM */
	.dword	_end - _start		/* image_size, bss and stacks too */
	.dword	0			/* flags: little endian */
	.word	2			/* version 0.2 */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0

/* In: a0 hart id, a1 device tree; the only hart; no stack. A program may have a
 * boot of its own, to go on here. */
	.weak	boot
	.globl	runtime_boot
boot:
runtime_boot:
	csrw	sie, zero
	csrci	sstatus, SSTATUS_SIE
	csrw	satp, zero
	csrw	sscratch, zero
	la	t0, _bss_start
	la	t1, _bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, 0(t0)
	addi	t0, t0, 8
	j	1b
2:	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	la	t0, trap_vector
	csrw	stvec, t0
	la	tp, harts
	la	sp, stacks
	li	t0, 16384		/* STACK_BYTES */
	add	sp, sp, t0
	sd	sp, 0(tp)
	sd	a0, 8(tp)
	mv	s0, zero
	mv	ra, zero
	tail	runtime_main

/*
 * A hart that HSM started (or resumed from a non-retentive suspend).
 * In: a0 hart id, a1 its struct hart; MMU and interrupts off.
 */
	.text
	.globl	hart_entry
	.balign	4
hart_entry:
	csrw	sie, zero
	csrw	sscratch, zero
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	la	t0, trap_vector
	csrw	stvec, t0
	mv	tp, a1
	ld	sp, 0(tp)
	mv	s0, zero
	mv	ra, zero
	tail	hart_main

/*
 * All traps. Saves every register in a struct trap_frame on the stack of the
 * hart and calls trap_handle(frame) with interrupts off.
 */
	.globl	trap_vector
	.balign	4
trap_vector:
	csrrw	sp, sscratch, sp
	bnez	sp, 1f
	csrrw	sp, sscratch, sp	/* from S: sp as it was, sscratch 0 */
	addi	sp, sp, -FRAME_BYTES
	sd	t0, 40(sp)
	addi	t0, sp, FRAME_BYTES
	sd	t0, 16(sp)
	sd	tp, 32(sp)
	j	2f
1:	addi	sp, sp, -FRAME_BYTES
	sd	t0, 40(sp)
	csrrw	t0, sscratch, zero
	sd	t0, 16(sp)
	sd	tp, 32(sp)
	ld	tp, FRAME_BYTES(sp)
2:	sd	ra, 8(sp)
	sd	gp, 24(sp)
	.irp	r, 6,7,8,9,10,11,12,13,14,15,16,17,18,19
	sd	x\r, \r*8(sp)
	.endr
	.irp	r, 20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\r, \r*8(sp)
	.endr
	csrr	t0, sepc
	sd	t0, FRAME_SEPC(sp)
	csrr	t0, sstatus
	sd	t0, FRAME_SSTATUS(sp)
	csrr	t0, scause
	sd	t0, FRAME_SCAUSE(sp)
	csrr	t0, stval
	sd	t0, FRAME_STVAL(sp)
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	mv	a0, sp
	call	trap_handle
	ld	t0, FRAME_SEPC(sp)
	csrw	sepc, t0
	ld	t0, FRAME_SSTATUS(sp)
	csrw	sstatus, t0
	andi	t0, t0, SSTATUS_SPP
	bnez	t0, 3f
	addi	t0, sp, FRAME_BYTES
	csrw	sscratch, t0
3:	ld	ra, 8(sp)
	.irp	r, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
	ld	x\r, \r*8(sp)
	.endr
	.irp	r, 18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\r, \r*8(sp)
	.endr
	ld	sp, 16(sp)
	sret

/* Callee-saved registers to and from struct probe in \p. */
	.macro	saved_regs op p
	\op	ra, 0(\p)
	\op	sp, 8(\p)
	\op	s0, 16(\p)
	\op	s1, 24(\p)
	\op	s2, 32(\p)
	\op	s3, 40(\p)
	\op	s4, 48(\p)
	\op	s5, 56(\p)
	\op	s6, 64(\p)
	\op	s7, 72(\p)
	\op	s8, 80(\p)
	\op	s9, 88(\p)
	\op	s10, 96(\p)
	\op	s11, 104(\p)
	.endm

/*
 * bool probe_call_raw(struct probe *p, fn, a, b, c): the probe is already the
 * hart's innermost. trap_handle continues at probe_resume with a0 = p.
 */
	.globl	probe_call_raw
probe_call_raw:
	saved_regs sd a0
	mv	s0, a0
	mv	t0, a1
	mv	a0, a2
	mv	a1, a3
	mv	a2, a4
	jalr	t0
	sd	a0, 112(s0)
	ld	ra, 0(s0)
	li	a0, 1
	ld	s0, 16(s0)
	ret

	.globl	probe_resume
probe_resume:
	saved_regs ld a0
	li	a0, 0
	ret

/* void probe_user_raw(struct probe *p, u64 pc, u64 sp, u64 a0) */
	.globl	probe_user_raw
probe_user_raw:
	saved_regs sd a0
	csrci	sstatus, SSTATUS_SIE
	addi	sp, sp, -16
	sd	tp, 0(sp)
	csrw	sscratch, sp
	csrw	sepc, a1
	li	t0, SSTATUS_SPP
	csrc	sstatus, t0
	li	t0, SSTATUS_SPIE
	csrs	sstatus, t0
	mv	sp, a2
	mv	a0, a3
	sret

/*
 * long suspend_raw(struct suspend *s, u64 type, u64 fid, u64 ext): HSM's
 * hart_suspend or SUSP with suspend_resume as the place to go on. Returns what
 * the call returned, or 1 when the hart came back by suspend_resume.
 */
	.text
	.globl	suspend_raw
suspend_raw:
	saved_regs sd a0
	sd	tp, 112(a0)
	mv	a6, a2
	mv	a7, a3
	mv	a2, a0
	mv	a0, a1
	la	a1, suspend_resume
	ecall
	ret

/* In: a0 hart id, a1 the struct suspend; nothing else can be relied on. */
	.balign	4
suspend_resume:
	csrr	t0, sstatus
	sd	t0, 136(a1)
	csrr	t0, satp
	sd	t0, 128(a1)
	sd	a0, 120(a1)
	csrw	sie, zero
	csrw	sscratch, zero
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	la	t0, trap_vector
	csrw	stvec, t0
	ld	tp, 112(a1)
	saved_regs ld a1
	li	a0, 1
	ret

	.section .stacks, "aw", @nobits
	.balign	4096
	.globl	stacks
stacks:
	.zero	16384 * 64		/* STACK_BYTES * MAX_HARTS */
