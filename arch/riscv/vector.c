/*
 * How long the harts' vector registers are.
 *
 * The problem: a vCPU may run on any hart, and takes its vector registers
 * along. How long they are is the hart's (vlenb), and software counts on it: in
 * registers of another length elements are cut off or missing, vl may be more
 * than there is, and whoever has read vlenb to save them saves too few bytes or
 * too many. So V is the harts' only if it is equally long on all of them.
 *
 * Each hart reads its own, rather than have the tree's word for it: the tree
 * needn't say (riscv,vlenb), and may promise V where there is none.
 *
 * Rejected: to save as many bytes as the longest has, which keeps memory whole
 * and nothing else; to keep guests with V to harts of one length, since the one
 * that a vCPU starts on would settle which, or a knob.
 */
#include "arch/riscv/vector.h"

#include <ck_pr.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/isa.h"
#include "kernel/log.h"

u64 vector_reg_bytes;

/* Of the harts that have measured theirs; any of them sets these, atomic. */
static u64 shortest = UINT64_MAX, longest;

static void widen(u64 *bound, u64 bytes, bool up)
{
	u64 is = ck_pr_load_64(bound);

	while ((up ? bytes > is : bytes < is) &&
	       !ck_pr_cas_64_value(bound, is, bytes, &is))
		;
}

u64 vector_measure(void)
{
	u64 bytes = 0;

	csr_set(CSR_SSTATUS, SSTATUS_VS_INITIAL);
	if (csr_read(CSR_SSTATUS) & SSTATUS_VS)
		bytes = csr_read(CSR_VLENB);
	csr_clear(CSR_SSTATUS, SSTATUS_VS);
	widen(&shortest, bytes, false);
	widen(&longest, bytes, true);
	return bytes;
}

void vector_finish(void)
{
	u64 least = ck_pr_load_64(&shortest), most = ck_pr_load_64(&longest);

	vector_reg_bytes = 0;
	if (!isa_has(ISA_V))
		return;
	if (most && least == most) {
		vector_reg_bytes = most;
		return;
	}
	isa_drop(ISA_V);
	log_info("isa: harts have vector registers of %lu to %lu bytes; done "
		 "without v", least, most);
}
