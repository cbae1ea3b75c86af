/*
 * The bring-up of harts (arch/riscv/harts.c) in a host program: its source, and
 * what that stands on but for memory, the log, and what a test says below.
 */
#ifndef ROUSE_TEST_FAKE_HARTS_H
#define ROUSE_TEST_FAKE_HARTS_H

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/harts.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/sbi.h"
#include "kernel/mem.h"

/*
 * The test's: the firmware is to start a hart whose area that is (false: it
 * won't), or takes the caller back; what a hart does for itself before it is
 * ONLINE, and when it is released.
 */
static bool hart_comes(u64 hartid, struct riscv_cpu *area);
_Noreturn static void hart_goes(void);
static void hart_measures(struct riscv_cpu *c);
_Noreturn static void hart_enters(struct riscv_cpu *c);
/* A hart waits for boot; boot looks at the time, of which enough goes by. */
static void hart_waits(void);
static void time_passes(void);

/* The machine's, at most; the first boots. */
#ifndef HARTS
#define HARTS 4u
#endif
/* How often boot looks. */
#ifndef HART_LOOKS
#define HART_LOOKS 2u
#endif

/* Never got to, but assembled. */
__asm__(".macro wfi\n\t.endm");

#undef csr_clear
#undef csr_write
#define csr_clear(csr, bits) ((void)(bits))
#define csr_write(csr, val)  ((void)(val))

#define ck_pr_stall hart_waits
#include "arch/riscv/harts.c"
#undef ck_pr_stall

struct riscv_cpu boot_cpu;
struct machine machine;
u64 timebase_hz = 1;
char secondary_entry[1];
static struct hart hart_nodes[HARTS];

/* A machine of `n` harts, whose numbers are not their places. */
static void machine_of(u32 n)
{
	for (u32 i = 0; i < n; i++)
		hart_nodes[i].hartid = 10 + i;
	machine.harts = hart_nodes;
	machine.hart_count = n;
	boot_cpu = (struct riscv_cpu){.hartid = 10};
}

struct sbi_ret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2)
{
	(void)ext, (void)arg1;
	if (fid == HSM_STOP)
		hart_goes();
	return (struct sbi_ret){
		hart_comes(arg0, (void *)(uintptr_t)arg2) ? 0 : -1, 0};
}

u64 time_now_ticks(void)
{
	static _Thread_local u64 ticks;

	time_passes();
	return ticks += 1000;
}

void host_irq_local_init(struct riscv_cpu *c)
{
	hart_measures(c);
}

void sched_loop(struct cpu *c)
{
	hart_enters(riscv_cpu(c));
}

const char *doorbell_cpu_init(struct riscv_cpu *c, u32 intc)
{
	(void)c, (void)intc;
	return NULL;
}

struct hpa ptr_hpa(const void *p)
{
	return (struct hpa){(uintptr_t)p};
}

void *hpa_ptr(struct hpa pa)
{
	return (void *)(uintptr_t)pa.v;
}

struct hpa page_alloc(unsigned int order)
{
	(void)order;
	return (struct hpa){PAGE_BYTES};
}

u64 mm_stack_alloc(void)
{
	return PAGE_BYTES;
}

u64 mm_satp(void)
{
	return 0;
}

struct hpa mm_image_hpa(const void *p)
{
	return ptr_hpa(p);
}

void cbo_probe(void)
{
}

void world_cpu_init(struct riscv_cpu *c)
{
	(void)c;
}

void clock_cpu_init(void)
{
}

void fpu_cpu_init(void)
{
}

void sse_cpu_init(struct riscv_cpu *c)
{
	(void)c;
}

#endif
