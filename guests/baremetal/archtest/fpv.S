/*
 * Floating-point and vector registers to and from memory. The C code around
 * uses neither, so what is put into them stays until something else, below
 * this guest, loses it.
 */
	.text

/* void fp_load(const u64 regs[32], u64 fcsr) */
	.option push
	.option arch, +f, +d
	.globl	fp_load
fp_load:
	.irp	r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	fld	f\r, (\r * 8)(a0)
	.endr
	.irp	r, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld	f\r, (\r * 8)(a0)
	.endr
	csrw	fcsr, a1
	ret

/* u64 fp_store(u64 regs[32]): returns fcsr */
	.globl	fp_store
fp_store:
	.irp	r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	fsd	f\r, (\r * 8)(a0)
	.endr
	.irp	r, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd	f\r, (\r * 8)(a0)
	.endr
	csrr	a0, fcsr
	ret
	.option pop

	.option push
	.option arch, +v
/* u64 vec_lenb(void) */
	.globl	vec_lenb
vec_lenb:
	csrr	a0, vlenb
	ret

/*
 * void vec_load(const void *regs, const struct vec_csrs *csrs): all 32
 * registers, then vl, and vtype by e16, m2; and behind them vstart, which each
 * vector instruction makes 0 again.
 */
	.globl	vec_load
vec_load:
	csrw	vstart, zero
	csrr	t0, vlenb
	slli	t0, t0, 3
	vl8re8.v v0, (a0)
	add	a0, a0, t0
	vl8re8.v v8, (a0)
	add	a0, a0, t0
	vl8re8.v v16, (a0)
	add	a0, a0, t0
	vl8re8.v v24, (a0)
	ld	t0, 16(a1)
	csrw	vcsr, t0
	ld	t0, 0(a1)
	vsetvli	t0, t0, e16, m2, ta, ma
	ld	t0, 24(a1)
	csrw	vstart, t0
	ret

/* void vec_store(void *regs, struct vec_csrs *csrs): vstart is 0 then. */
	.globl	vec_store
vec_store:
	csrr	t0, vl
	sd	t0, 0(a1)
	csrr	t0, vtype
	sd	t0, 8(a1)
	csrr	t0, vcsr
	sd	t0, 16(a1)
	csrr	t0, vstart
	sd	t0, 24(a1)
	csrw	vstart, zero
	csrr	t0, vlenb
	slli	t0, t0, 3
	vs8r.v	v0, (a0)
	add	a0, a0, t0
	vs8r.v	v8, (a0)
	add	a0, a0, t0
	vs8r.v	v16, (a0)
	add	a0, a0, t0
	vs8r.v	v24, (a0)
	ret
	.option pop
