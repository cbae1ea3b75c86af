/* Structure offsets for assembly; compiled to text, never linked. */
#include "arch/riscv/cpu.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/vcpu.h"

#define DEFINE(sym, val) __asm__ volatile("\n->" #sym " %0 " #val ::"i"(val))
#define OFFSET(sym, type, member) DEFINE(sym, offsetof(struct type, member))

void asm_offsets(void);

void asm_offsets(void)
{
	OFFSET(VCPU_X, riscv_vcpu, x);
	OFFSET(VCPU_PC, riscv_vcpu, pc);
	OFFSET(VCPU_SSTATUS, riscv_vcpu, sstatus);
	OFFSET(VCPU_HSTATUS, riscv_vcpu, hstatus);
	OFFSET(VCPU_HOST, riscv_vcpu, host);
	OFFSET(VCPU_HAVE, riscv_vcpu, have);
	OFFSET(VCPU_QUICK, riscv_vcpu, quick);
	OFFSET(VCPU_PAUSE, riscv_vcpu, pause);
	OFFSET(VCPU_ID, riscv_vcpu, v.id);
	OFFSET(VCPU_EXITS, riscv_vcpu, v.exits[VCPU_EXIT_CALL]);
	OFFSET(VCPU_EXITS_PAUSE, riscv_vcpu, v.exits[VCPU_EXIT_PAUSE]);
	OFFSET(CPU_STACK_TOP, riscv_cpu, stack_top);
	OFFSET(CPU_PANIC_SP, riscv_cpu, panic_sp);
	OFFSET(CPU_RUN_SP, riscv_cpu, run_sp);
	OFFSET(CPU_RUN_S0, riscv_cpu, run_s0);
	OFFSET(CPU_RUN_RA, riscv_cpu, run_ra);
	OFFSET(CPU_LAST_PC, riscv_cpu, last_pc);
	OFFSET(CPU_RUNNING, riscv_cpu, running);
	OFFSET(CPU_BOOT_SATP, riscv_cpu, boot_satp);
	OFFSET(CPU_SELF, riscv_cpu, self);
	OFFSET(WHERE_ANSWERS, hart_where, answers);
	OFFSET(WHERE_PC, hart_where, pc);
	OFFSET(WHERE_FP, hart_where, fp);
	OFFSET(VEC_VSTART, vector_state, vstart);
	OFFSET(VEC_VCSR, vector_state, vcsr);
	OFFSET(VEC_VL, vector_state, vl);
	OFFSET(VEC_VTYPE, vector_state, vtype);
	OFFSET(VEC_V, vector_state, v);
	DEFINE(CPU_BYTES, sizeof(struct riscv_cpu));
	DEFINE(EXIT_FULL, NEXT_FULL);
	DEFINE(HAVE_STORED, REGS_STORED);
	DEFINE(HAVE_ALL, REGS_ALL);
}
