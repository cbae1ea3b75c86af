/*
 * Instructions on cache blocks: may all harts execute those that they have?
 */
#ifndef ROUSE_ARCH_RISCV_CBO_H
#define ROUSE_ARCH_RISCV_CBO_H

/* For inline assembly: one of them, whatever the assembler takes otherwise. */
#define CBO(insn)                                 \
	"	.option push\n"                   \
	"	.option arch, +zicbom, +zicboz\n" \
	"	" insn "\n"                       \
	"	.option pop\n"

/* On each hart, where its traps are taken: tries them. */
void cbo_probe(void);

/* On the boot hart, after all have: what one of them may not execute is no
 * extension of theirs (isa.h), which is said. */
void cbo_finish(void);

#endif
