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

#endif
