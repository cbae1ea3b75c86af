/*
 * Loads through the guest's own translation.
 *
 * A fault here is a trap in the hypervisor, which would overwrite the CSRs
 * that describe the exit at hand (sepc, sstatus, hstatus and the rest are not
 * stored on the quick path). So they are read before and written back after
 * a fault; host_trap_handle finds the faulting instruction in the table of
 * fixups and goes on at its partner.
 *
 * Rejected: walking the guest's page tables in software. It would be a second
 * opinion on what the hardware has already decided, and slower.
 */
#include "arch/riscv/hlv.h"
#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/fixup.h"
#include "arch/riscv/vcpu.h"
#include "kernel/gmem.h"

struct exit_csrs {
	u64 sepc, sstatus, hstatus, stval, htval, htinst, scause;
};

static inline void exit_csrs_get(struct exit_csrs *e)
{
	e->sepc = csr_read(CSR_SEPC);
	e->sstatus = csr_read(CSR_SSTATUS);
	e->hstatus = csr_read(CSR_HSTATUS);
	e->stval = csr_read(CSR_STVAL);
	e->htval = csr_read(CSR_HTVAL);
	e->htinst = csr_read(CSR_HTINST);
	e->scause = csr_read(CSR_SCAUSE);
}

static inline void exit_csrs_put(const struct exit_csrs *e)
{
	csr_write(CSR_SEPC, e->sepc);
	csr_write(CSR_SSTATUS, e->sstatus);
	csr_write(CSR_HSTATUS, e->hstatus);
	csr_write(CSR_STVAL, e->stval);
	csr_write(CSR_HTVAL, e->htval);
	csr_write(CSR_HTINST, e->htinst);
	csr_write(CSR_SCAUSE, e->scause);
}

/* Loads with `insn` from `gva`; `failed` is 1 if the table's partner ran. */
#define HLV_LOAD(insn, gva, val, failed)                               \
	__asm__ volatile("	li	%1, 1\n"                        \
			 "1:	" insn "	%0, (%2)\n"             \
			 "	li	%1, 0\n"                        \
			 "2:\n" FIXUP("1b", "2b")                       \
			 : "=&r"(val), "=&r"(failed)                    \
			 : "r"(gva)                                     \
			 : "memory")

/* How the last load failed. What the second stage doesn't map is, to the guest,
 * where nothing is. */
static void fault_get(struct hlv_fault *fault)
{
	u64 cause = csr_read(CSR_SCAUSE);

	fault->cause = cause == CAUSE_LOAD_GUEST_PAGE ? CAUSE_LOAD_ACCESS :
							cause;
	fault->tval = csr_read(CSR_STVAL);
}

/* The last load met RAM of the guest that the second stage does not map yet:
 * true if it does now, or will after some more of these. */
static bool made_present(void)
{
	struct gpa at = {
		csr_read(CSR_HTVAL) << 2 | (csr_read(CSR_STVAL) & 3),
	};
	struct guest *g = riscv_this()->running->v.guest;

	if (csr_read(CSR_SCAUSE) != CAUSE_LOAD_GUEST_PAGE ||
	    gmem_fault(g->mem, at))
		return false;
	/* The hart may remember that nothing was mapped here. */
	__asm__ volatile("hfence.gvma %0, zero" ::"r"(at.v >> 2) : "memory");
	return true;
}

int hlv_u64(u64 gva, u64 *out, struct hlv_fault *fault)
{
	struct exit_csrs e;
	u64 val = 0, failed;
	bool again;

	exit_csrs_get(&e);
	HLV_LOAD("hlv.d", gva, val, failed);
	if (!failed) {
		*out = val;
		return 0;
	}
	again = made_present();
	fault_get(fault);
	exit_csrs_put(&e);
	return again ? -EAGAIN : -EFAULT;
}

/* A word where it's aligned, and so on one page; else each parcel by itself. */
int hlvx_inst(u64 gva, u32 *out)
{
	struct exit_csrs e;
	u64 val = 0, high = 0, failed;

	exit_csrs_get(&e);
	if (!(gva & 3)) {
		HLV_LOAD("hlvx.wu", gva, val, failed);
	} else {
		HLV_LOAD("hlvx.hu", gva, val, failed);
		if (!failed && (val & 3) == 3)
			HLV_LOAD("hlvx.hu", gva + 2, high, failed);
	}
	if (failed) {
		exit_csrs_put(&e);
		return -EFAULT;
	}
	*out = (val & 3) == 3 ? (u32)(high << 16 | val) : (u16)val;
	return 0;
}
