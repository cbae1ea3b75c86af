/*
 * FP and vector registers to memory and back. The hypervisor itself is built
 * without either, so the assembler is told of them here only.
 */
#include "asm-offsets.h"

	.text

/* void fp_regs_save(struct fp_state *to): clobbers t0. FS must be on. */
	.option push
	.option arch, +f, +d
	.globl fp_regs_save
fp_regs_save:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16, \
		17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd	f\n, (8 * \n)(a0)
	.endr
	frcsr	t0
	sd	t0, 256(a0)
	ret

/* void fp_regs_load(const struct fp_state *from): clobbers t0. FS on. */
	.globl fp_regs_load
fp_regs_load:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16, \
		17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld	f\n, (8 * \n)(a0)
	.endr
	ld	t0, 256(a0)
	fscsr	t0
	ret
	.option pop

/*
 * void vector_regs_save(struct vector_state *to): clobbers t0-t2. VS on.
 * The whole-register stores leave vl and vtype alone but begin at vstart, which
 * a trap in mid-instruction may have left nonzero, and make it 0. So it is put
 * back: the registers are the vCPU's still, and used without a load.
 */
	.option push
	.option arch, +v
	.globl vector_regs_save
vector_regs_save:
	csrrw	t2, vstart, zero
	sd	t2, VEC_VSTART(a0)
	csrr	t0, vcsr
	sd	t0, VEC_VCSR(a0)
	csrr	t0, vl
	sd	t0, VEC_VL(a0)
	csrr	t0, vtype
	sd	t0, VEC_VTYPE(a0)
	csrr	t1, vlenb
	slli	t1, t1, 3
	addi	t0, a0, VEC_V
	vs8r.v	v0, (t0)
	add	t0, t0, t1
	vs8r.v	v8, (t0)
	add	t0, t0, t1
	vs8r.v	v16, (t0)
	add	t0, t0, t1
	vs8r.v	v24, (t0)
	csrw	vstart, t2
	ret

/* void vector_regs_load(const struct vector_state *from): clobbers t0-t3. */
	.globl vector_regs_load
vector_regs_load:
	csrw	vstart, zero
	csrr	t1, vlenb
	slli	t1, t1, 3
	addi	t0, a0, VEC_V
	vl8r.v	v0, (t0)
	add	t0, t0, t1
	vl8r.v	v8, (t0)
	add	t0, t0, t1
	vl8r.v	v16, (t0)
	add	t0, t0, t1
	vl8r.v	v24, (t0)
	ld	t2, VEC_VL(a0)
	ld	t3, VEC_VTYPE(a0)
	vsetvl	zero, t2, t3
	ld	t0, VEC_VCSR(a0)
	csrw	vcsr, t0
	ld	t0, VEC_VSTART(a0)
	csrw	vstart, t0
	ret

/* void vector_regs_zero(void): all registers and CSRs 0. Clobbers t0. VS on. */
	.globl vector_regs_zero
vector_regs_zero:
	csrw	vstart, zero
	vsetvli	t0, zero, e8, m8, ta, ma
	vmv.v.i	v0, 0
	vmv.v.i	v8, 0
	vmv.v.i	v16, 0
	vmv.v.i	v24, 0
	csrw	vcsr, zero
	vsetivli zero, 0, e8, m1, tu, mu
	ret
	.option pop
