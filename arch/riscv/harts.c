/*
 * Starting harts.
 *
 * The firmware is asked to start all of them at once. Each sets up its own
 * CSRs, says so, and waits; those that came up in time get dense CPU numbers,
 * the rest are reported and left out.
 *
 * One that was given up may come all the same, seconds later, when guests run.
 * So whether it takes part is one word, changed by compare-and-swap alone:
 *
 *   ASKED --(the hart)--> HERE --(the hart)--> ONLINE --(boot)--> RELEASED
 *     +-----(boot: too late)-----> GIVEN_UP <----(boot: too many)---+
 *
 * The hart's first look at it comes before it has written anything that is not
 * its own; who finds GIVEN_UP goes back to the firmware. Its area and its stack
 * stay its own, and are never given to anyone else: that is what it stands on
 * until then. A hart that is HERE is some hundred instructions from ONLINE and
 * measures what all harts have (gstage_modes_probe), so boot waits for it, and
 * if it never gets there Rouse refuses to go on.
 *
 * The time is counted in looks some milliseconds apart: a machine that stood
 * still meanwhile, and whose clock has jumped, gives up on nobody for that.
 */
#include "arch/riscv/harts.h"

#include <ck_pr.h>

#include "arch/riscv/cbo.h"
#include "arch/riscv/clock.h"
#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/doorbell.h"
#include "arch/riscv/fpu.h"
#include "arch/riscv/gstage.h"
#include "arch/riscv/host_irq.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/sbi.h"
#include "arch/riscv/sse.h"
#include "arch/riscv/world.h"
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"

/* A hart that has not come up after so many looks, so far apart,
 * is left out. A test says fewer. */
#ifndef HART_LOOKS
#define HART_LOOKS 100u
#endif
#define HART_LOOK_MS 20

#define HSM_START 0
#define HSM_STOP  1

enum {
	HART_ASKED,
	HART_HERE,
	HART_ONLINE,
	HART_RELEASED,
	HART_GIVEN_UP,
};

_Noreturn void secondary_main(void);
extern char secondary_entry[];

static struct riscv_cpu **harts; /* those that take part; NULL: left out */

/* ---- on the hart ---- */

void hart_local_init(struct riscv_cpu *c)
{
	/* Traps may come from here on: FP and vector are off in HS-mode. */
	csr_clear(CSR_SSTATUS, SSTATUS_FS | SSTATUS_VS | SSTATUS_SIE |
				       SSTATUS_SUM | SSTATUS_MXR);
	cbo_probe();
	world_cpu_init(c);
	clock_cpu_init();
	gstage_modes_probe();
	host_irq_local_init(c);
	fpu_cpu_init();
	sse_cpu_init(c);
}

/* It is not wanted: back to the firmware, or to sleep if that won't have it. */
_Noreturn static void hart_park(void)
{
	csr_write(CSR_SIE, 0);
	sbi_call(SBI_EXT_HSM, HSM_STOP, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

_Noreturn void secondary_main(void)
{
	struct riscv_cpu *c = riscv_this();
	u32 state;

	if (!ck_pr_cas_32(&c->hart_state, HART_ASKED, HART_HERE))
		hart_park();
	hart_local_init(c);
	/* What it has measured, before it says so. Pairs with hart_await. */
	ck_pr_fence_store();
	ck_pr_store_32(&c->hart_state, HART_ONLINE);
	while ((state = ck_pr_load_32(&c->hart_state)) == HART_ONLINE)
		ck_pr_stall();
	if (state == HART_GIVEN_UP)
		hart_park();
	/* Pairs with arch_cpus_release. */
	ck_pr_fence_acquire();
	sched_loop(&c->c);
}

/* ---- on the boot hart ---- */

static void stacks_alloc(struct riscv_cpu *c)
{
	struct hpa panic = page_alloc(0);

	c->stack_top = mm_stack_alloc();
	if (hpa_is_none(panic) || !c->stack_top)
		refuse("not enough memory for hart %lu's stacks", c->hartid);
	c->panic_sp = (u64)hpa_ptr(panic) + PAGE_BYTES;
}

/* The hart's area; NULL: it can't take part. */
static struct riscv_cpu *cpu_create(const struct hart *h)
{
	bool boots = h->hartid == boot_cpu.hartid;
	struct riscv_cpu *c = boots ? &boot_cpu : obj_alloc(sizeof(*c));
	const char *why;

	if (!c)
		refuse("not enough memory for hart %lu's area", h->hartid);
	c->hartid = h->hartid;
	c->self = c;
	c->boot_satp = mm_satp();
	why = doorbell_cpu_init(c, h->intc);
	if (why && boots)
		refuse("hart %lu %s", h->hartid, why);
	if (why) {
		log_error("hart %lu %s; left out", h->hartid, why);
		obj_free(c);
		return NULL;
	}
	if (!boots)
		stacks_alloc(c);
	return c;
}

static bool hart_start(struct riscv_cpu *c)
{
	struct sbi_ret r =
		sbi_call(SBI_EXT_HSM, HSM_START, c->hartid,
			 mm_image_hpa(secondary_entry).v, ptr_hpa(c).v);

	if (r.error)
		log_error("hart %lu: the firmware won't start it (error "
			  "%ld); left out",
			  c->hartid, (long)r.error);
	return r.error == 0;
}

static void look_pass(void)
{
	u64 until = time_now_ticks() + us_to_ticks(HART_LOOK_MS * 1000);

	while (time_now_ticks() < until)
		ck_pr_stall();
}

/* Waits until it is ONLINE, for *looks at most, which are left for all of them.
 * False: it is given up. */
static bool hart_await(struct riscv_cpu *c, u32 *looks)
{
	u32 more = HART_LOOKS;

	while (ck_pr_load_32(&c->hart_state) != HART_ONLINE) {
		if (*looks) {
			(*looks)--;
		} else if (ck_pr_cas_32(&c->hart_state, HART_ASKED,
					HART_GIVEN_UP)) {
			log_error("hart %lu did not come up; left out",
				  c->hartid);
			return false;
		} else if (!more--) {
			refuse("hart %lu hangs in its first instructions",
			       c->hartid);
		}
		look_pass();
	}
	/* Pairs with the fence in secondary_main. */
	ck_pr_fence_load();
	return true;
}

/* Where we are must be known of: its place in the controllers, at least. */
static void boot_hart_check(void)
{
	for (u32 i = 0; i < machine.hart_count; i++)
		if (harts[i] == &boot_cpu)
			return;
	refuse("the device tree has no usable node for hart %lu, on which this "
	       "runs", boot_cpu.hartid);
}

static void hart_number(struct riscv_cpu *c)
{
	c->c.index = cpu_count();
	cpu_register(&c->c);
}

void harts_start(void)
{
	u32 n = machine.hart_count, looks = HART_LOOKS;

	harts = obj_alloc(sizeof(*harts) * n);
	if (!harts)
		refuse("not enough memory for %u harts", n);
	for (u32 i = 0; i < n; i++)
		harts[i] = cpu_create(&machine.harts[i]);
	boot_hart_check();
	boot_cpu.hart_state = HART_ONLINE;
	hart_number(&boot_cpu);
	ck_pr_fence_store();
	for (u32 i = 0; i < n; i++)
		if (harts[i] && harts[i] != &boot_cpu && !hart_start(harts[i]))
			harts[i] = NULL;
	for (u32 i = 0; i < n; i++) {
		struct riscv_cpu *c = harts[i];

		if (!c || c == &boot_cpu)
			continue;
		if (!hart_await(c, &looks)) {
			harts[i] = NULL;
		} else if (cpu_count() == CPU_MAX) {
			log_error("hart %lu is one too many; left out",
				  c->hartid);
			ck_pr_store_32(&c->hart_state, HART_GIVEN_UP);
			harts[i] = NULL;
		} else {
			hart_number(c);
		}
	}
}

void arch_cpus_release(void)
{
	/* Pairs with secondary_main: what boot has made of the harts. */
	ck_pr_fence_store();
	for (u32 i = 0; i < machine.hart_count; i++)
		if (harts[i])
			ck_pr_store_32(&harts[i]->hart_state, HART_RELEASED);
}
