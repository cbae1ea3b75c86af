/*
 * Which extensions the harts have, and which of them a guest is told of.
 *
 * The list is an allow-list: what is not in isa.c's table no guest is told of,
 * because nobody has said how its state is switched.
 */
#ifndef ROUSE_ARCH_RISCV_ISA_H
#define ROUSE_ARCH_RISCV_ISA_H

#include "kernel/base.h"

enum isa_ext {
	ISA_I, ISA_M, ISA_A, ISA_F, ISA_D, ISA_C, ISA_V, ISA_H,
	ISA_SSTC, ISA_SVADU, ISA_SVINVAL, ISA_SVNAPOT, ISA_SVPBMT,
	ISA_SMSTATEEN, ISA_SSAIA, ISA_SSCSRIND, ISA_SSCTR, ISA_SSNPM,
	ISA_ZAWRS, ISA_ZCMT, ISA_ZICBOM, ISA_ZICBOZ, ISA_ZICNTR,
	ISA_OTHER, /* extensions without a name in the code follow */
};

/* Set by isa_init from every hart's node: what all harts have. */
extern bool riscv_has_sstc;

/* Harts have state that guests aren't told of, and that Smstateen doesn't keep
 * from them. */
extern bool isa_untold;

/* By isa_ext and, behind those, by the rows of isa.c's table. */
extern bool isa_have[];

static inline bool isa_has(enum isa_ext ext)
{
	return isa_have[ext];
}

/* Starts with "everything"; each hart then takes away what it lacks. */
void isa_init(void);

/*
 * Narrows the common set by one hart's node: `riscv,isa-extensions` if it is
 * there, else `riscv,isa`. 0, or -EINVAL if the node has neither.
 */
int isa_add_hart(const void *fdt, int node) __must_check;

/* After the last hart: derive what depends on the whole set. */
void isa_finish(void);

/* After isa_finish: the harts do without it, and without what needs it. */
void isa_drop(enum isa_ext ext);

/*
 * What guests are told: the extensions' names, and the classic string. Both
 * stay valid for ever.
 */
const char *const *isa_guest_extensions(u32 *count);
const char *isa_guest_string(void);

/* henvcfg for guests: enables for what they are told of. */
u64 isa_guest_henvcfg(void);

/* Cache block sizes from the harts' nodes; 0: no Zicbom, no Zicboz. */
extern u32 isa_cbom_bytes, isa_cboz_bytes;

/* The widest address translation of all harts: "riscv,sv39" and so on. */
const char *isa_mmu_type(void);

/* All of it in one line, for the boot log. */
void isa_log(void);

#endif
