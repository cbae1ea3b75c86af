/*
 * The trap entry of the measuring guest: what C may clobber is saved, 16
 * registers, and nothing else, as a small kernel's first level does it.
 */
#include "guests/baremetal/meter/marks.h"

#define FRAME_BYTES 128

	.macro frame op
	\op	ra, 0(sp)
	\op	t0, 8(sp)
	\op	t1, 16(sp)
	\op	t2, 24(sp)
	\op	a0, 32(sp)
	\op	a1, 40(sp)
	\op	a2, 48(sp)
	\op	a3, 56(sp)
	\op	a4, 64(sp)
	\op	a5, 72(sp)
	\op	a6, 80(sp)
	\op	a7, 88(sp)
	\op	t3, 96(sp)
	\op	t4, 104(sp)
	\op	t5, 112(sp)
	\op	t6, 120(sp)
	.endm

	.text
	.globl	meter_trap
	.balign	4
meter_trap:
	addi	sp, sp, -FRAME_BYTES
	frame	sd
	csrr	a0, scause
	call	meter_handle
	frame	ld
	addi	sp, sp, FRAME_BYTES
	sret

/* Where a hart starts that is to be measured; goes on as every other does. */
	.globl	meter_start
	.balign	4
meter_start:
	slti	x0, x0, MARK_STARTED
	tail	hart_entry

/*
 * One of a crowd: sleeps until crowd_go isn't 0, and then gives way for ever.
 * In: a0 hart id. Odd and even ones have markers of their own, so that a switch
 * is told from a return. While crowd_quiet isn't 0 there are no markers.
 */
	.globl	crowd_start
	.globl	crowd_join
	.balign	4
crowd_start:
	csrwi	sie, 2		/* an IPI ends the WFI, and is not taken */
	la	t0, crowd_go
4:	lw	t1, 0(t0)
	bnez	t1, crowd_join
	wfi
	j	4b
crowd_join:
	andi	t0, a0, 1
	la	t2, crowd_quiet
	bnez	t0, 2f
1:	lw	t1, 0(t2)
	bnez	t1, 3f
	slti	x0, x0, ROW_PICK << MARK_ROW_SHIFT | MARK_OUT
	.word	0x00d00073	/* wrs.nto */
	slti	x0, x0, ROW_PICK << MARK_ROW_SHIFT | MARK_IN
	j	1b
2:	lw	t1, 0(t2)
	bnez	t1, 3f
	slti	x0, x0, ROW_PICK << MARK_ROW_SHIFT | MARK_OUT + 1
	.word	0x00d00073	/* wrs.nto */
	slti	x0, x0, ROW_PICK << MARK_ROW_SHIFT | MARK_IN + 1
	j	2b
3:	.word	0x00d00073	/* wrs.nto */
	beqz	t0, 1b
	j	2b

/* void fp_dirty(void): FS becomes dirty. */
	.option push
	.option arch, +f, +d
	.globl	fp_dirty
fp_dirty:
	fmv.d.x	ft0, a0
	ret
	.option pop

/* void vector_dirty(void): VS becomes dirty. */
	.option push
	.option arch, +v
	.globl	vector_dirty
vector_dirty:
	vsetivli zero, 1, e64, m1, ta, ma
	vmv.v.i	v0, 1
	ret
	.option pop
