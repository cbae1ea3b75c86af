/*
 * When FP and vector registers move.
 *
 * An FP instruction of a guest must not trap for our sake: illegal
 * instructions go to the guest directly, so "off until used" is not to be had.
 * Instead the registers are always the running vCPU's, and what is saved is
 * the work:
 *   - saved only when the guest made them dirty (FS, VS; Privileged ISA 3.1.6);
 *   - not loaded when this CPU's registers still hold them;
 *   - a vCPU that never touched them has all zeros, and zeros need no loading
 *     where the registers are zeros already: integer guests never pay.
 * So registers never leak: whoever runs finds its own values or zeros.
 *
 * A write of fcsr, vcsr or vstart makes FS or VS dirty in sstatus as well as in
 * vsstatus (Privileged ISA, "vsstatus"). QEMU 10.0 tells it in vsstatus alone,
 * where the guest may take it back: write_fcsr, write_vcsr and write_vstart of
 * its target/riscv/csr.c change the mstatus of the mode that runs, where
 * instructions change both. So these CSRs are saved whether dirty or not, of
 * who has used the registers; and who has not, and leaves anything in them, has
 * used them now.
 */
#include "arch/riscv/fpu.h"
#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/vector.h"

void fpu_cpu_init(void)
{
	static const struct fp_state zeros;

	if (isa_has(ISA_F)) {
		csr_set(CSR_SSTATUS, SSTATUS_FS);
		fp_regs_load(&zeros);
	}
	if (isa_has(ISA_V) && vector_measure()) {
		csr_set(CSR_SSTATUS, SSTATUS_VS);
		vector_regs_zero();
	}
}

static bool fp_held(struct riscv_cpu *c, struct riscv_vcpu *v)
{
	return v->fp_used ? c->fp_owner == v && v->fp_on == &c->c :
			    c->fp_owner == NULL;
}

static bool vector_held(struct riscv_cpu *c, struct riscv_vcpu *v)
{
	return v->vector_used ? c->vector_owner == v &&
				v->vector_on == &c->c :
				c->vector_owner == NULL;
}

u64 fpu_load(struct riscv_cpu *c, struct riscv_vcpu *v)
{
	u64 on = 0;

	if (isa_has(ISA_F)) {
		on |= SSTATUS_FS_CLEAN;
		if (!fp_held(c, v)) {
			fp_regs_load(&v->fp);
			c->fp_owner = v->fp_used ? v : NULL;
			v->fp_on = &c->c;
		}
	}
	if (v->vector) {
		on |= SSTATUS_VS_CLEAN;
		if (!vector_held(c, v)) {
			vector_regs_load(v->vector);
			c->vector_owner = v->vector_used ? v : NULL;
			v->vector_on = &c->c;
		}
	}
	return on;
}

/* The CSRs of who has used the registers. FS or VS of who has not, and has left
 * something in them: as a hart that tells of it would have it. */
static u64 csrs_save(struct riscv_vcpu *v)
{
	u64 dirt = 0;

	if (v->fp_used)
		v->fp.fcsr = csr_read(CSR_FCSR);
	else if (fp_csr_left(v))
		dirt |= SSTATUS_FS;
	if (v->vector_used) {
		v->vector->vstart = csr_read(CSR_VSTART);
		v->vector->vcsr = csr_read(CSR_VCSR);
	} else if (vector_csrs_left(v)) {
		dirt |= SSTATUS_VS;
	}
	return dirt;
}

u64 fpu_save(struct riscv_cpu *c, struct riscv_vcpu *v, u64 sstatus)
{
	sstatus |= csrs_save(v);
	if ((sstatus & SSTATUS_FS) == SSTATUS_FS) {
		fp_regs_save(&v->fp);
		v->fp_used = true;
		v->odd |= VCPU_ODD_FPU;
		c->fp_owner = v;
		v->fp_on = &c->c;
		sstatus ^= SSTATUS_FS ^ SSTATUS_FS_CLEAN;
	}
	if ((sstatus & SSTATUS_VS) == SSTATUS_VS) {
		vector_regs_save(v->vector);
		v->vector_used = true;
		v->odd |= VCPU_ODD_FPU;
		c->vector_owner = v;
		v->vector_on = &c->c;
		sstatus ^= SSTATUS_VS ^ SSTATUS_VS_CLEAN;
	}
	return sstatus;
}
