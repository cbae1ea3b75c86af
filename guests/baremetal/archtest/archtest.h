/*
 * The privileged architecture as a guest sees it: what the parts share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_ARCHTEST_H
#define ROUSE_GUESTS_BAREMETAL_ARCHTEST_H

#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

extern const struct test trap_tests[], csr_tests[], page_tests[], mmio_tests[],
	form_tests[], edge_tests[], state_tests[], begin_tests[], isa_tests[];
extern const size_t trap_test_count, csr_test_count, page_test_count,
	mmio_test_count, form_test_count, edge_test_count, state_test_count,
	begin_test_count, isa_test_count;

#define TEST_LIST(list, count) const size_t count = ARRAY_LEN(list)

/* Neither RAM nor a device, on QEMU's virt and in a Rouse guest. */
#define HOLE 0x180000UL

/* What `time` was when main began. */
extern u64 time_at_start;

/*
 * A little code buffer: instructions put there are run by probe_call or
 * probe_user. code_begin empties it; code_add knows a compressed one by its
 * lowest bits; code_run calls it in S-mode.
 */
extern u32 code[1024];
void code_begin(void);
void code_add(u32 insn);
bool code_run(struct probe *p, u64 a, u64 b);
/* The same in U-mode, through a page of its own; ends by an exception. */
void code_run_user(struct probe *p, u64 a0);
/* Where code[] is in U-mode, and one page of data that U-mode may use. */
#define USER_CODE (PAGING_FREE_VA + 0x10000)
#define USER_DATA (PAGING_FREE_VA + 0x20000)
/* And a page for U-mode below which nothing is. */
#define USER_HOLE (PAGING_FREE_VA + 0x30000)
extern u64 user_data[512];

#define INSN_RET	0x00008067u
#define INSN_ECALL	0x00000073u
#define INSN_EBREAK	0x00100073u
#define INSN_WFI	0x10500073u
#define INSN_SRET	0x10200073u
#define INSN_SFENCE_VMA 0x12000073u

/* csrrs rd, csr, x0 and csrrw x0, csr, rs1 */
#define INSN_CSRR(rd, csr) (0x2073u | (u32)(csr) << 20 | (u32)(rd) << 7)
#define INSN_CSRW(csr, rs) (0x1073u | (u32)(csr) << 20 | (u32)(rs) << 15)

/* One instruction in S-mode or U-mode, with a0 and a1 or both 0; the probe says
 * how it ended. */
bool run_insn(struct probe *p, u32 insn);
bool run_insn_with(struct probe *p, u32 insn, u64 a0, u64 a1);
void run_insn_user(struct probe *p, u32 insn);
void run_insn_user_with(struct probe *p, u32 insn, u64 a0);

/* An exception ended it, in S-mode with interrupts on or off, or in U-mode. */
#define FROM_S(irqs) (SSTATUS_SPP | ((irqs) ? SSTATUS_SPIE : 0))
#define FROM_U	     SSTATUS_SPIE
void trap_expect(const char *name, const struct probe *p, u64 cause, u64 sepc,
		 u64 from);

/* For probe_call: reads one CSR, by code[]; writes it and reads it again. */
u64 csr_one_read(u64 csr, u64 b, u64 c);
u64 csr_one_write(u64 csr, u64 val, u64 c);

/* sstatus.FS and VS, of this hart. */
void set_fs(u64 fs);
void set_vs(u64 vs);

/*
 * fpv.S: all registers, with FS or VS on. What is loaded stays until something
 * below this guest loses it. Vector registers are vlenb bytes each; vec_load
 * sets vtype by e16, m2.
 */
#define VLENB_MAX    256
#define VTYPE_E16_M2 0xc9

struct vec_csrs {
	u64 vl, vtype, vcsr, vstart;
};

void fp_load(const u64 *regs, u64 fcsr);
u64 fp_store(u64 *regs);
u64 vec_lenb(void);
void vec_load(const void *regs, const struct vec_csrs *csrs);
void vec_store(void *regs, struct vec_csrs *csrs);

/*
 * For tests of devices: looks for their registers, of which word_at is one of
 * 32 bits that keeps all of them. False: the machine has no such devices, and
 * the test is skipped.
 */
extern u64 word_at;
bool mmio_find(void);

/* Runs one instruction with a0 = addr, a1 = val; returns a0 afterwards. */
u64 mmio_one(struct probe *p, u32 insn, u64 addr, u64 val);

/* It ends in this exception, at this address. */
void mmio_faults(const char *name, u32 insn, u64 at, u64 cause);

#endif
