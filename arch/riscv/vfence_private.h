/*
 * What vfence.c (who asks for fences, and waits) and vfence_due.c (at whom they
 * are posted) know of each other, and nobody else does.
 */
#ifndef ROUSE_ARCH_RISCV_VFENCE_PRIVATE_H
#define ROUSE_ARCH_RISCV_VFENCE_PRIVATE_H

#include "arch/riscv/vfence.h"
#include "arch/riscv/vhw.h"

/* Bits of vfence.kinds. */
#define KIND_I (1u << 0)
#define KIND_VMA_ALL (1u << 1)
#define KIND_RANGES (1u << 2)

/* vfence_range.state */
enum { SLOT_FREE, SLOT_CLAIMED, SLOT_READY };

/* Does `op`, or one that is no FENCE.I, on this hart, now. */
void vfence_range_do(const struct vfence_op *op);

static inline void vfence_op_do(const struct vfence_op *op)
{
	if (op->kind == VFENCE_I)
		vhw_fence_i();
	else
		vfence_range_do(op);
}

#endif
