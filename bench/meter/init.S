/*
 * The /init of the boot measurement: says at what time it began, and powers
 * off. The time CSR counts from the machine's reset, and in a guest of Rouse
 * from the guest's start. No library, no memory but this page.
 */
#define SYS_MKNODAT 33
#define SYS_OPENAT 56
#define SYS_WRITE 64
#define SYS_REBOOT 142
#define AT_FDCWD -100
#define CHAR_DEVICE 020600
#define CONSOLE_DEV 0x501 /* major 5, minor 1 */

	.text
	.globl	_start
_start:
	rdtime	s0
	/* The archive has no device nodes. */
	li	a0, AT_FDCWD
	lla	a1, console
	li	a2, CHAR_DEVICE
	li	a3, CONSOLE_DEV
	li	a7, SYS_MKNODAT
	ecall
	li	a0, AT_FDCWD
	lla	a1, console
	li	a2, 1			/* O_WRONLY */
	li	a7, SYS_OPENAT
	ecall
	mv	s1, a0

	/* s0 in decimal, from its last digit on. */
	lla	t0, digits_end
	li	t1, 10
1:	remu	t2, s0, t1
	divu	s0, s0, t1
	addi	t2, t2, '0'
	addi	t0, t0, -1
	sb	t2, 0(t0)
	bnez	s0, 1b

	lla	t1, text
	lla	t2, text_end
	sub	t3, t2, t1
	sub	t0, t0, t3
	mv	a1, t0
2:	lb	t3, 0(t1)
	sb	t3, 0(t0)
	addi	t0, t0, 1
	addi	t1, t1, 1
	bne	t1, t2, 2b
	lla	a2, line_end
	sub	a2, a2, a1
	mv	a0, s1
	li	a7, SYS_WRITE
	ecall

	li	a0, 0xfee1dead
	li	a1, 672274793
	li	a2, 0x4321fedc		/* power off */
	li	a7, SYS_REBOOT
	ecall
3:	j	3b

console:
	.asciz	"/.console"
text:
	.ascii	"\ninit: began at tick "
text_end:

	.data
	.space	64
digits_end:
	.ascii	" \n"
line_end:
