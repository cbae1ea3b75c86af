/*
 * The privileged architecture, seen from S-mode: traps and their CSRs, page
 * and access faults, every form of MMIO access, which CSRs are there, and that
 * floating-point and vector state outlives sleep and preemption.
 *
 * Run in VS-mode it shows whether the hypervisor is invisible where it should
 * be; run natively it shows that the tests themselves are right. What only a
 * hypervisor's guest can show (no H extension inside, time near zero) is
 * checked when the tree's model says that this is Rouse.
 */
#include "guests/baremetal/archtest/archtest.h"

u64 time_at_start;
u32 code[1024] __attribute__((aligned(4096)));
u64 user_data[512] __attribute__((aligned(4096)));
static u32 code_bytes;

void code_begin(void)
{
	code_bytes = 0;
}

void code_add(u32 insn)
{
	u32 bytes = (insn & 3) == 3 ? 4 : 2;

	memcpy((char *)code + code_bytes, &insn, bytes);
	code_bytes += bytes;
}

static u64 call_code(u64 a, u64 b, u64 unused)
{
	(void)unused;
	return ((u64(*)(u64, u64))code)(a, b);
}

bool code_run(struct probe *p, u64 a, u64 b)
{
	__asm__ volatile("fence.i" ::: "memory");
	return probe_call(p, call_code, a, b, 0);
}

void code_run_user(struct probe *p, u64 a0)
{
	u64 *root = paging_new();

	paging_map(root, USER_CODE, (u64)code, PTE_RX | PTE_U);
	paging_map(root, USER_DATA, (u64)user_data, PTE_RW | PTE_U);
	paging_map(root, USER_HOLE, HOLE, PTE_RWX | PTE_U);
	__asm__ volatile("fence.i" ::: "memory");
	paging_on(root, 0);
	probe_user(p, USER_CODE, USER_DATA + PAGE_BYTES, a0);
	paging_off();
}

bool run_insn_with(struct probe *p, u32 insn, u64 a0, u64 a1)
{
	code_begin();
	code_add(insn);
	code_add(INSN_RET);
	return code_run(p, a0, a1);
}

bool run_insn(struct probe *p, u32 insn)
{
	return run_insn_with(p, insn, 0, 0);
}

void run_insn_user_with(struct probe *p, u32 insn, u64 a0)
{
	code_begin();
	code_add(insn);
	code_add(INSN_ECALL);
	code_run_user(p, a0);
}

void run_insn_user(struct probe *p, u32 insn)
{
	run_insn_user_with(p, insn, 0);
}

static u32 add(struct test *all, u32 n, const struct test *t, size_t count)
{
	memcpy(all + n, t, count * sizeof(*t));
	return n + (u32)count;
}

int main(void)
{
	static struct test all[128];
	u32 n = 0;

	time_at_start = time_now();
	/* Before others use what a hart begins with. */
	n = add(all, n, begin_tests, begin_test_count);
	n = add(all, n, trap_tests, trap_test_count);
	n = add(all, n, csr_tests, csr_test_count);
	n = add(all, n, isa_tests, isa_test_count);
	n = add(all, n, page_tests, page_test_count);
	n = add(all, n, mmio_tests, mmio_test_count);
	n = add(all, n, form_tests, form_test_count);
	n = add(all, n, edge_tests, edge_test_count);
	n = add(all, n, state_tests, state_test_count);
	return tests_run(all, n);
}
