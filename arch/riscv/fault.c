/*
 * Traps in the hypervisor itself, and what a panic asks of this architecture.
 *
 * hlv.c's loads may fault, and so may what is tried when a hart comes up; each
 * has a row in the table of fixups (fixup.h), and goes on behind it. Any other
 * trap is a bug in Rouse, and ends it. The registers were
 * stored by trap.S on a stack of their own, so that a stack that ran into its
 * guard page can still be told of.
 */
#include <stdio.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/mm.h"
#include "kernel/arch.h"
#include "kernel/panic.h"

struct fixup {
	u64 from, to;
};

/* x0..x31 as trap.S lays them out; x[0] is unused. */
struct trap_frame {
	u64 x[32];
};

extern const struct fixup __start_rouse_fixup[], __stop_rouse_fixup[];
extern char _start[], _text_end[];

void host_trap_handle(struct trap_frame *f);

static const struct trap_frame *frame; /* of the trap that panics */

static const char *cause_name(u64 cause)
{
	static const char *const names[16] = {
		"instruction address misaligned", "instruction access fault",
		"illegal instruction", "breakpoint", "load address misaligned",
		"load access fault", "store address misaligned",
		"store access fault", "ecall from U", "ecall from HS", "?",
		"ecall from M", "instruction page fault", "load page fault",
		"?", "store page fault",
	};

	return cause < ARRAY_LEN(names) ? names[cause] : "unexpected trap";
}

void host_trap_handle(struct trap_frame *f)
{
	u64 pc = csr_read(CSR_SEPC), cause = csr_read(CSR_SCAUSE);
	u64 tval = csr_read(CSR_STVAL);

	for (const struct fixup *x = __start_rouse_fixup;
	     x < __stop_rouse_fixup; x++)
		if (x->from == pc) {
			csr_write(CSR_SEPC, x->to);
			return;
		}
	frame = f;
	panic_at(pc, f->x[8], "%s in the hypervisor at 0x%lx, address "
		 "0x%lx%s", cause_name(cause), pc,
		 tval,
		 mm_is_stack_guard(tval) ? " (stack overflow)" : "");
}

static const char *const names[32] = {
	"", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1",
	"a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7",
	"s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

/* The registers as they are: in `f`, those that the callers of a panic left. */
static __attribute__((noinline)) void frame_now(struct trap_frame *f)
{
#define SAVE(n) "sd x" #n ", 8*" #n "(%0)\n\t"
	__asm__ volatile(
		SAVE(1) SAVE(2) SAVE(3) SAVE(4) SAVE(5) SAVE(6) SAVE(7) SAVE(8)
		SAVE(9) SAVE(10) SAVE(11) SAVE(12) SAVE(13) SAVE(14) SAVE(15)
		SAVE(16) SAVE(17) SAVE(18) SAVE(19) SAVE(20) SAVE(21) SAVE(22)
		SAVE(23) SAVE(24) SAVE(25) SAVE(26) SAVE(27) SAVE(28) SAVE(29)
		SAVE(30) SAVE(31)
		: : "r"(f) : "memory");
#undef SAVE
}

void arch_panic_regs(void (*line)(void *ctx, const char *text), void *ctx)
{
	struct trap_frame now;
	const struct trap_frame *f = frame;
	char text[96];

	if (!f) {
		frame_now(&now);
		f = &now;
	}
	snprintf(text, sizeof(text), "scause %016lx  stval %016lx  "
		 "sepc %016lx", csr_read(CSR_SCAUSE),
		 csr_read(CSR_STVAL),
		 csr_read(CSR_SEPC));
	line(ctx, text);
	for (u32 i = 1; i < 32; i += 3) {
		int n = 0;

		for (u32 j = i; j < i + 3 && j < 32; j++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "%4s %016lx ", names[j],
				      f->x[j]);
		line(ctx, text);
	}
}

/* A frame lies at fp - 16: the caller's fp, then the return address. Frames
 * are on the CPU's own stack; a page that isn't mapped is never one. */
bool arch_frame_next(struct cpu *c, u64 *fp, u64 *pc)
{
	u64 top = riscv_cpu(c)->stack_top;
	u64 at = *fp;
	const u64 *slot;

	if ((at & 7) || at > top || at < top - STACK_BYTES + 16)
		return false;
	slot = (const u64 *)(at - 16);
	*fp = slot[0];
	*pc = slot[1];
	return *pc >= (u64)_start && *pc < (u64)_text_end;
}

u64 arch_cpu_last_pc(struct cpu *c)
{
	return riscv_cpu(c)->last_pc;
}
