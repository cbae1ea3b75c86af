/*
 * IPI (chapter 7): a software interrupt at other harts, or at oneself.
 *
 * Harts that exist but are stopped get none: nobody is there to take it, and
 * one that starts later begins with nothing pending that it didn't see sent.
 */
#include "arch/riscv/vsbi.h"
#include "kernel/virq.h"

static void soft_raise(struct guest *g, u32 id)
{
	struct vcpu *t = g->vcpu[id];

	if (vsbi_hsm_status(to_riscv(t)) != VHSM_STOPPED)
		virq_raise(t, VIRQ_SOFT);
}

void vsbi_ipi_send(struct riscv_vcpu *v, const struct vfence_harts *harts)
{
	struct guest *g = v->v.guest;

	if (harts->all) {
		for (u32 id = 0; id < g->cfg.vcpus; id++)
			soft_raise(g, id);
		return;
	}
	for (u64 m = harts->mask; m; m &= m - 1)
		soft_raise(g, (u32)harts->base + (u32)__builtin_ctzll(m));
}

static enum exit_next ipi_call(struct riscv_vcpu *v, u64 fid)
{
	struct vfence_harts harts;

	if (fid != VSBI_IPI_SEND)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	if (!vsbi_harts(v, reg_get(v, REG_A0), reg_get(v, REG_A1), &harts))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	vsbi_ipi_send(v, &harts);
	return vsbi_return(v, VSBI_OK, 0);
}

const struct vsbi_ext vsbi_ipi = {
	.name = "IPI",
	.first = VSBI_EID_IPI,
	.last = VSBI_EID_IPI,
	.call = ipi_call,
};
