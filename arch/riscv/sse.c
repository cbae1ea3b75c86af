/*
 * Where is a hart that doesn't answer?
 *
 * The hypervisor is never interrupted, so a CPU that hangs in it is out of
 * reach for all others. The firmware is not: an event that is injected into the
 * hart is taken at its next instruction, whatever sstatus.SIE says. The handler
 * (sse_entry.S) writes down where it has come in between, and goes back; it
 * uses two registers, which the firmware has saved, and no stack, so it may
 * come anywhere.
 *
 * OpenSBI 1.6 sets hstatus.SPV if the hart was in a guest and doesn't clear it
 * if not, so it could return from the handler into VS-mode with the
 * hypervisor's pc. The handler clears it where sscratch says that no guest runs
 * here. So a CPU is only asked while it says that it is in the hypervisor and
 * has been silent for long: then it is nowhere near the instructions between
 * which the two disagree.
 *
 * Injected only by the watchdog before an alarm. But OpenSBI 1.6 looks at a
 * hart's enabled events on each way out of it, which takes 56 instructions. So
 * they are used by default where nothing that is counted goes by the firmware,
 * and elsewhere if `sse=on` is said. Without them, or where a call fails, a
 * CPU's place in the code isn't known, and that is all.
 */
#include "arch/riscv/sse.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/doorbell.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/sbi.h"
#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"

#define SSE_REGISTER	     2
#define SSE_ENABLE	     4
#define SSE_INJECT	     7
#define SSE_HART_UNMASK	     8
#define EVENT_LOCAL_SOFTWARE 0xffff0000u

extern char sse_entry[];

static bool used;

void sse_init(void)
{
	size_t len;
	const char *word = cmdline_get("sse", &len);

	if (word && !cmdline_is("sse", "on") && !cmdline_is("sse", "off"))
		refuse("sse=%.*s: expected on or off", (int)len, word);
	used = word ? cmdline_is("sse", "on")
		    : isa_has(ISA_SSTC) && !doorbell_is_firmware();
	used = used && sbi_probe(SBI_EXT_SSE);
}

static bool call(u64 function, u64 arg0, u64 arg1, u64 arg2)
{
	return sbi_call(SBI_EXT_SSE, function, arg0, arg1, arg2).error == 0;
}

void sse_cpu_init(struct riscv_cpu *c)
{
	c->where.ready = used &&
			 call(SSE_REGISTER, EVENT_LOCAL_SOFTWARE,
			      (u64)sse_entry, (u64)&c->where) &&
			 call(SSE_ENABLE, EVENT_LOCAL_SOFTWARE, 0, 0) &&
			 call(SSE_HART_UNMASK, 0, 0, 0);
}

void arch_cpu_where_forget(struct cpu *cpu)
{
	ck_pr_store_64(&riscv_cpu(cpu)->where.answers, 0);
}

void arch_cpu_where_ask(struct cpu *cpu)
{
	struct riscv_cpu *c = riscv_cpu(cpu);

	arch_cpu_where_forget(cpu);
	if (!c->where.ready || ck_pr_load_32(&cpu->mode) != CPU_HYP)
		return;
	/* The zero before the event. */
	ck_pr_fence_memory();
	(void)call(SSE_INJECT, EVENT_LOCAL_SOFTWARE, c->hartid, 0);
}

bool arch_cpu_where(struct cpu *cpu, struct cpu_where *out)
{
	const struct hart_where *w = &riscv_cpu(cpu)->where;

	if (!ck_pr_load_64(&w->answers))
		return false;
	/* Pairs with the fence in sse_entry. */
	ck_pr_fence_load();
	out->pc = ck_pr_load_64(&w->pc);
	out->fp = ck_pr_load_64(&w->fp);
	return true;
}
