/*
 * Into the guest and out again.
 *
 * While a guest runs, sscratch = its struct riscv_vcpu; in the hypervisor it is
 * 0 and a trap is a bug, or a fault that hlv.c expects. At an exit only what C
 * may clobber is stored; s0-s11 and gp stay in their registers until the turn
 * ends, or until a handler asks for them with NEXT_FULL (a load or store by the
 * guest whose register is one of them, on the full way).
 *
 * The hottest exits have short ways: three SBI calls and wrs.nto are answered
 * here, loads and stores to devices and an IPI to another hart by quick.c. Each
 * falls back to exit_handle, which knows all exits and gives the same answers.
 * sepc, sstatus and hstatus stay in their CSRs all the while: nothing in the
 * hypervisor traps without putting them back.
 */
#include "arch/riscv/csr.h"
#include "arch/riscv/vsbi_abi.h"
#include "asm-offsets.h"

#define X(n) (VCPU_X + 8 * (n))

.macro callee_saved op, base
	\op	gp, X(3)(\base)
	\op	s0, X(8)(\base)
	\op	s1, X(9)(\base)
	\op	s2, X(18)(\base)
	\op	s3, X(19)(\base)
	\op	s4, X(20)(\base)
	\op	s5, X(21)(\base)
	\op	s6, X(22)(\base)
	\op	s7, X(23)(\base)
	\op	s8, X(24)(\base)
	\op	s9, X(25)(\base)
	\op	s10, X(26)(\base)
	\op	s11, X(27)(\base)
.endm

/* All that C may clobber but t0, t1, and a0, which is the base; with these,
 * REGS_STORED of vcpu.h. */
.macro caller_saved op
	\op	ra, X(1)(a0)
	\op	sp, X(2)(a0)
	\op	tp, X(4)(a0)
	\op	t2, X(7)(a0)
	\op	a1, X(11)(a0)
	\op	a2, X(12)(a0)
	\op	a3, X(13)(a0)
	\op	a4, X(14)(a0)
	\op	a5, X(15)(a0)
	\op	a6, X(16)(a0)
	\op	a7, X(17)(a0)
	\op	t3, X(28)(a0)
	\op	t4, X(29)(a0)
	\op	t5, X(30)(a0)
	\op	t6, X(31)(a0)
.endm

/* Where the guest is, and in which mode. */
.macro where
	csrr	a1, CSR_SEPC
	csrr	a2, CSR_SSTATUS
	csrr	a3, CSR_HSTATUS
.endm

/* Stores that, and gets ready to return to who called guest_enter. */
.macro turn_end
	sd	a1, VCPU_PC(a0)
	sd	a2, VCPU_SSTATUS(a0)
	sd	a3, VCPU_HSTATUS(a0)
	sd	a1, CPU_LAST_PC(tp)
	ld	ra, CPU_RUN_RA(tp)
	ld	s0, CPU_RUN_S0(tp)
.endm

/* From the guest's registers, a0, t0, t1 stored, to what C expects. */
.macro exit_to_c
	caller_saved sd
	csrrw	t0, CSR_SSCRATCH, zero
	ld	tp, VCPU_HOST(a0)
	sd	t0, X(10)(a0)
	ld	sp, CPU_RUN_SP(tp)
.endm

/* A fault of the load at \from goes on at \to (fault.c). */
.macro fixup from, to
	.pushsection rouse_fixup, "a"
	.balign	8
	.quad	\from, \to
	.popsection
.endm

	.text

/*
 * enum exit_next guest_enter(struct riscv_vcpu *v)
 * Runs the guest from v's registers until a handler ends the turn; returns
 * what that handler said. sepc, sstatus, hstatus hold v's; at the end v->pc and
 * so on do. Returns with the sp and s0 that are in the CPU's area, and clobbers
 * all else but tp: its caller knows (world.c: enter). Behind the instruction
 * that it should return to, an uncompressed one, if the guest said wrs.nto and
 * nothing else is to be asked (v->pause). Interrupts are off.
 */
	.globl guest_enter
	.balign 4
guest_enter:
	sd	ra, CPU_RUN_RA(tp)
	callee_saved ld, a0
	sd	a0, CPU_RUNNING(tp)
resume:
	csrw	CSR_SSCRATCH, a0
	caller_saved ld
	ld	t0, X(5)(a0)
	ld	t1, X(6)(a0)
	ld	a0, X(10)(a0)
	sret

/* Every trap: sscratch is the vCPU in a guest, 0 in the hypervisor. */
	.globl trap_entry
	.balign 4
trap_entry:
	csrrw	a0, CSR_SSCRATCH, a0
	beqz	a0, host_trap
	sd	t0, X(5)(a0)
	sd	t1, X(6)(a0)
	csrr	t0, CSR_SCAUSE
	li	t1, CAUSE_ECALL_VS
	beq	t0, t1, quick_sbi
	addi	t0, t0, -CAUSE_LOAD_GUEST_PAGE
	beqz	t0, mmio_load
	addi	t0, t0, CAUSE_LOAD_GUEST_PAGE - CAUSE_STORE_GUEST_PAGE
	beqz	t0, mmio_store
	addi	t0, t0, CAUSE_STORE_GUEST_PAGE - CAUSE_VIRTUAL_INST
	beqz	t0, virtual_inst
full_exit:
	exit_to_c
full:
	csrr	a1, CSR_SCAUSE
	jal	exit_handle
	mv	t0, a0
	ld	a0, CPU_RUNNING(tp)
	beqz	t0, resume

	callee_saved sd, a0
	li	t1, EXIT_FULL
	bne	t0, t1, 3f

	/* Once more with all registers in memory, then take them from there. */
	li	t1, HAVE_ALL
	sd	t1, VCPU_HAVE(a0)
	csrr	a1, CSR_SCAUSE
	jal	exit_handle
	mv	t0, a0
	ld	a0, CPU_RUNNING(tp)
	li	t1, HAVE_STORED
	sd	t1, VCPU_HAVE(a0)
	bnez	t0, 3f
	callee_saved ld, a0
	j	resume

3:	where
	turn_end
	mv	a0, t0
	ret

/*
 * wrs.nto: the turn is over, and there is nothing else to it. stval may be 0,
 * and then the instruction is fetched as the guest did: at once, or where harts
 * don't have that for one that is not aligned, in two parcels. If that faults,
 * all that the fault has overwritten is put back, and exit.c looks.
 */
virtual_inst:
	exit_to_c
	csrr	t0, CSR_STVAL
	li	t1, INST_WRS_NTO
	bnez	t0, told
	where
1:	hlvx.wu	t0, (a1)
	fixup	1b, fetch_parcels
	bne	t0, t1, full
pause:
	ld	t1, VCPU_PAUSE(a0)
	beqz	t1, full
	ld	t0, VCPU_EXITS_PAUSE(a0)
	addi	a1, a1, 4
	addi	t0, t0, 1
	sd	t0, VCPU_EXITS_PAUSE(a0)
	callee_saved sd, a0
	turn_end
	jr	4(ra)

told:	bne	t0, t1, full
	where
	j	pause

fetch_parcels:
1:	hlvx.hu	t0, (a1)
	addi	a4, a1, 2
	fixup	1b, fetch_failed
1:	hlvx.hu	t2, (a4)
	fixup	1b, fetch_failed
	slli	t2, t2, 16
	or	t0, t0, t2
	j	put_back
fetch_failed:
	li	t0, 0
put_back:
	csrw	CSR_SEPC, a1
	csrw	CSR_SSTATUS, a2
	csrw	CSR_HSTATUS, a3
	csrw	CSR_STVAL, zero
	li	t2, CAUSE_VIRTUAL_INST
	csrw	CSR_SCAUSE, t2
	bne	t0, t1, full
	j	pause

/* What quick.c answers. It returns the vCPU if that is done; else nothing has
 * happened yet. */
.macro quick fn
	exit_to_c
	jal	\fn
	bnez	a0, resume
	ld	a0, CPU_RUNNING(tp)
	j	full
.endm

/* Outside of RAM, or RAM that is not mapped yet. */
mmio_load:
	quick	quick_load
mmio_store:
	quick	quick_store
/* An IPI to others: the mask is 1, or is not. */
ipi:
	quick	quick_ipi
ipi_others:
	quick	quick_ipi_masked

/*
 * quick_reg_get, quick_reg_set: two instructions for each of the guest's
 * registers, which load it to a4 or store it from a4; a0 is the vCPU. What
 * exit_to_c has stored is there, the others are still in the hart. quick.c's
 * operand_get and operand_set jump into them, 8 bytes a register, and say what
 * for.
 */
.macro reg_entry n, op, own
	.ifc	\own,
	\op	a4, X(\n)(a0)
	.else
	\own
	.endif
	ret
.endm

	.option push
	.option norvc
	.globl quick_reg_get
	.balign 4
quick_reg_get:
	reg_entry 0, ld, "li a4, 0"
	.irp n, 1,2
	reg_entry \n, ld
	.endr
	reg_entry 3, ld, "mv a4, x3"
	.irp n, 4,5,6,7
	reg_entry \n, ld
	.endr
	reg_entry 8, ld, "mv a4, x8"
	reg_entry 9, ld, "mv a4, x9"
	.irp n, 10,11,12,13,14,15,16,17
	reg_entry \n, ld
	.endr
	.irp n, 18,19,20,21,22,23,24,25,26,27
	reg_entry \n, ld, "mv a4, x\n"
	.endr
	.irp n, 28,29,30,31
	reg_entry \n, ld
	.endr

	.globl quick_reg_set
	.balign 4
quick_reg_set:
	reg_entry 0, sd, "nop"
	.irp n, 1,2
	reg_entry \n, sd
	.endr
	reg_entry 3, sd, "mv x3, a4"
	.irp n, 4,5,6,7
	reg_entry \n, sd
	.endr
	reg_entry 8, sd, "mv x8, a4"
	reg_entry 9, sd, "mv x9, a4"
	.irp n, 10,11,12,13,14,15,16,17
	reg_entry \n, sd
	.endr
	.irp n, 18,19,20,21,22,23,24,25,26,27
	reg_entry \n, sd, "mv x\n, a4"
	.endr
	.irp n, 28,29,30,31
	reg_entry \n, sd
	.endr
	.option pop

/*
 * The hottest SBI calls, answered without a frame: BASE, set_timer, and an IPI
 * to oneself. Only t0 and t1 are free (stored at entry), the guest's a0 is in
 * sscratch. Whatever is not exactly one of these goes the full way, which
 * gives the same answers (vsbi_*.c); the guest test sbitest is run both ways.
 * None of these raises anything at the CPU's own vCPU but by hvip itself, so
 * v->virq needs no look.
 */
quick_sbi:
	ld	t1, VCPU_QUICK(a0)
	beqz	t1, full_exit
	li	t0, VSBI_EID_IPI
	bne	a7, t0, quick_other

	bnez	a6, full_exit
	csrr	t0, CSR_SSCRATCH
	li	t1, 1
	bne	t0, t1, ipi_masked
	lwu	t0, VCPU_ID(a0)
	bne	t0, a1, ipi
ipi_self:
	li	t0, 1 << IRQ_VSSI
	csrs	CSR_HVIP, t0
	li	a1, 0
	j	quick_done

	/* Does the mask name one hart, and is that this one? */
ipi_masked:
	lwu	t0, VCPU_ID(a0)
	bltu	t0, a1, ipi_others /* base -1, which means all, as well */
	sub	t0, t0, a1
	sltiu	t1, t0, 64
	beqz	t1, ipi_others
	li	t1, 1
	sll	t1, t1, t0
	csrr	t0, CSR_SSCRATCH
	beq	t0, t1, ipi_self
	j	ipi_others

quick_other:
	li	t0, VSBI_EID_TIME
	bne	a7, t0, quick_base
	bnez	a6, full_exit
	csrr	t0, CSR_SSCRATCH
	csrw	CSR_VSTIMECMP, t0
	li	a1, 0
	j	quick_done

quick_base:
	li	t0, VSBI_EID_BASE
	bne	a7, t0, full_exit
	li	t0, VSBI_BASE_PROBE
	beq	a6, t0, full_exit
	li	t0, VSBI_BASE_MIMPID
	bgtu	a6, t0, full_exit
	lla	t0, vsbi_base_answers
	slli	t1, a6, 3
	add	t0, t0, t1
	ld	a1, 0(t0)

quick_done:
	csrr	t0, CSR_SEPC
	addi	t0, t0, 4
	csrw	CSR_SEPC, t0
	ld	t0, VCPU_EXITS(a0)
	addi	t0, t0, 1
	sd	t0, VCPU_EXITS(a0)
	ld	t0, X(5)(a0)
	ld	t1, X(6)(a0)
	csrw	CSR_SSCRATCH, a0
	li	a0, VSBI_OK
	sret

/*
 * A trap in the hypervisor itself: a fault that __start_rouse_fixup expects
 * (hlv.c), or a bug. The registers go to a frame on a stack of their own.
 * While it runs sscratch is 0 again, so that a second trap is told apart.
 */
host_trap:
	csrrw	a0, CSR_SSCRATCH, zero
	csrw	CSR_SSCRATCH, sp
	ld	sp, CPU_PANIC_SP(tp)
	addi	sp, sp, -256
	sd	x1, 8(sp)
	.irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16, \
		17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\n, (8 * \n)(sp)
	.endr
	csrrw	t0, CSR_SSCRATCH, zero
	sd	t0, 16(sp)
	mv	a0, sp
	call	host_trap_handle
	ld	t0, 16(sp)
	csrw	CSR_SSCRATCH, t0
	.irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16, \
		17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\n, (8 * \n)(sp)
	.endr
	csrrw	sp, CSR_SSCRATCH, zero
	sret
