/*
 * An instruction of the hypervisor that may trap, and where it goes on then:
 * a row of the table that host_trap_handle looks into (fault.c). For inline
 * assembly; `from` and `to` are its local labels.
 */
#ifndef ROUSE_ARCH_RISCV_FIXUP_H
#define ROUSE_ARCH_RISCV_FIXUP_H

#define FIXUP(from, to)                              \
	"	.pushsection rouse_fixup, \"a\"\n"    \
	"	.balign 8\n"                          \
	"	.quad	" from ", " to "\n"           \
	"	.popsection\n"

/* Does that instruction trap? Then scause says why. It may use t0; `at` is %1
 * in `insn`. */
#define TRAPS(insn, at)                                  \
	({                                               \
		u64 trapped_;                            \
		__asm__ volatile("	li	%0, 1\n" \
				 "1:	" insn "\n"      \
				 "	li	%0, 0\n" \
				 "2:\n" FIXUP("1b", "2b") \
				 : "=&r"(trapped_)        \
				 : "r"(at)                \
				 : "t0", "memory");       \
		trapped_ != 0;                           \
	})

#endif
