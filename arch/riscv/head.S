/*
 * The first instructions of every hart.
 *
 * The boot hart arrives from the firmware as the Linux boot protocol says: MMU
 * off, a0 = its hart id, a1 = the device tree, image 2 MiB aligned anywhere in
 * memory. Other harts arrive through HSM hart_start with a1 = the physical
 * address of their struct riscv_cpu. Nothing is mapped one to one: `stvec`
 * points at the virtual address of the next instruction, so the fetch that
 * faults when `satp` is written goes on there.
 */
#include "arch/riscv/csr.h"
#include "asm-offsets.h"

#define KERNEL_VA -0x80000000
#define PTE_TABLE 0x01
#define PTE_RWX_AD_V 0xcf
#define SV39 8

	.section .head, "ax"
	.globl _start
	.balign 4096
_start:
	.option push
	.option norvc
	j	boot                    /* code0 */
	nop                             /* code1 */
	.option pop
	.quad	0x200000                /* text_offset: where it likes to be */
	.quad	_image_end - _start     /* image_size */
	.quad	0                       /* flags: little endian */
	.word	2                       /* version 0.2 */
	.word	0
	.quad	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\5"
	.word	0

boot:
	csrw	CSR_SIE, zero
	csrw	CSR_SSCRATCH, zero
	mv	s1, a0
	mv	s2, a1
	lla	s3, _start

	/* Not 2 MiB aligned: nothing can be said yet; stop the hart. */
	slli	t0, s3, 64 - 21
	bnez	t0, hang

	lla	t0, _bss_start
	lla	t1, _bss_end
1:	sd	zero, 0(t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b

	/* boot_l1: the image at KERNEL_VA in 2 MiB pages. */
	lla	t0, boot_l1
	lla	t1, _image_end
	mv	t2, s3
	li	t5, 1 << 21
1:	srli	t3, t2, 2
	ori	t3, t3, PTE_RWX_AD_V
	sd	t3, 0(t0)
	addi	t0, t0, 8
	add	t2, t2, t5
	bltu	t2, t1, 1b

	lla	t0, boot_root
	lla	t1, boot_l1
	srli	t1, t1, 2
	ori	t1, t1, PTE_TABLE
	li	t2, 510 * 8
	add	t2, t2, t0
	sd	t1, 0(t2)

	srli	t0, t0, 12
	li	t1, SV39
	slli	t1, t1, 60
	or	t0, t0, t1
	lla	t1, 1f
	sub	t1, t1, s3
	li	t2, KERNEL_VA
	add	t1, t1, t2
	csrw	CSR_STVEC, t1
	sfence.vma
	csrw	CSR_SATP, t0
	.balign 4
1:	lla	t0, trap_entry
	csrw	CSR_STVEC, t0
	lla	sp, boot_stack_top
	lla	tp, boot_cpu
	sd	tp, CPU_SELF(tp)
	li	fp, 0
	mv	a2, s3
	mv	a0, s1
	mv	a1, s2
	call	boot_main
hang:	wfi
	j	hang

	/* a0 = hart id, a1 = physical address of its struct riscv_cpu. */
	.globl secondary_entry
	.balign 4
secondary_entry:
	csrw	CSR_SIE, zero
	csrw	CSR_SSCRATCH, zero
	ld	t0, CPU_BOOT_SATP(a1)
	ld	tp, CPU_SELF(a1)
	ld	sp, CPU_STACK_TOP(a1)
	lla	t1, 1f
	lla	t2, _start
	sub	t1, t1, t2
	li	t2, KERNEL_VA
	add	t1, t1, t2
	csrw	CSR_STVEC, t1
	sfence.vma
	csrw	CSR_SATP, t0
	.balign 4
1:	lla	t0, trap_entry
	csrw	CSR_STVEC, t0
	li	fp, 0
	call	secondary_main
	j	hang

	/* Runs a1(a2) on the stack that ends at a0; does not come back. */
	.text
	.globl call_on_stack
call_on_stack:
	mv	sp, a0
	mv	a0, a2
	li	fp, 0
	jalr	a1
	j	hang

	.bss
	.balign 4096
	.globl boot_root
boot_root:	.space 4096
boot_l1:	.space 4096
boot_stack:	.space 16384
	.globl boot_stack_top
boot_stack_top:
