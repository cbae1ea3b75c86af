/*
 * A guest's RISC-V part: where kernel/arch.h's words for the second stage and
 * for guest time meet G-stage tables, VMIDs and htimedelta.
 *
 * Mapping fences nothing: an entry goes from invalid to valid once, and a hart
 * that remembers "invalid" takes one more guest page fault, after which the
 * exit path fences that address on that hart (exit.c). Taking mappings away
 * fences nothing either: it happens only when no hart's hgatp holds the guest
 * (vmid_quiet), and the guest comes back under a VMID that no TLB knows.
 */
#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/gstage.h"
#include "arch/riscv/vcpu.h"
#include "arch/riscv/vmid.h"
#include "arch/riscv/vsbi.h"
#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/time.h"

int arch_guest_create(struct guest *g)
{
	struct arch_guest *a = obj_alloc(sizeof(*a));
	int ret;

	if (!a)
		return -ENOMEM;
	ret = gstage_create(a, g->cfg.ram_base.v + g->cfg.memory_bytes);
	if (ret)
		goto undo_alloc;
	ret = vmid_guest_init(a, cpu_count(), g->cfg.vcpus);
	if (ret)
		goto undo_gstage;
	a->htimedelta = -time_now_ticks();
	g->arch = a;
	return 0;

undo_gstage:
	gstage_destroy(a);
undo_alloc:
	obj_free(a);
	return ret;
}

void arch_guest_destroy(struct guest *g)
{
	if (!g->arch)
		return;
	vmid_guest_fini(g->arch);
	gstage_destroy(g->arch);
	obj_free(g->arch);
	g->arch = NULL;
}

void arch_guest_reset(struct guest *g)
{
	/* time (guest) = time (host) + htimedelta: zero is now. */
	g->arch->htimedelta = -time_now_ticks();
	vsbi_guest_reset(g);
}

u64 arch_vcpu_pc(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	/* During an exit the guest's pc has not left its CSR. */
	return riscv_this()->running == v ? csr_read(CSR_SEPC) : v->pc;
}

bool arch_guest_quiet(struct guest *g)
{
	return vmid_quiet(g->arch);
}

void arch_guest_let_go(void)
{
	struct riscv_cpu *c = riscv_this();

	if (likely(!vmid_drop_wanted(&c->vmid)))
		return;
	vmid_leave(&c->vmid);
	/* Not even whoever was loaded last is in place any more. */
	c->csr_owner = NULL;
}

int arch_stage2_prepare(struct guest *g, struct gpa at, u64 page_bytes)
{
	return gstage_prepare(g->arch->gstage, at, page_bytes);
}

int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
{
	return gstage_map(g->arch->gstage, at, to, bytes);
}

bool arch_stage2_unmap_step(struct guest *g)
{
	if (gstage_unmap_step(g->arch->gstage))
		return true;
	vmid_renew(g->arch);
	return false;
}

bool arch_stage2_free_step(struct guest *g)
{
	return gstage_free_step(g->arch->gstage);
}
