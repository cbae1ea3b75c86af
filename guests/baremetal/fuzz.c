/*
 * Throws random code at whatever it runs on: any instruction, any CSR, any SBI
 * call, anywhere in memory and at devices, in S-mode and in U-mode, with and
 * without translation.
 *
 * Each hart but the first runs steps: a few random instructions with random
 * registers, until a trap brings it back. The first one watches: a hart that
 * has stopped is started again, one that sleeps is woken, and if one does not
 * come back (it has lost its vector, or translates its own code away), the
 * machine is rebooted and goes on with another seed. It says now and then
 *
 *     fuzz: seed 0x123 steps 1000 2000
 *
 * which is all that is needed to do the same again: `seed=0x123 from=1000`
 * begins with that step on every hart. Without seed= the seed is the tree's
 * rng-seed, which differs from boot to boot. `steps=` ends it after so many on
 * each hart; without it, it goes on. `harts=` runs no more harts than that.
 */
#include "guests/baremetal/fuzz/fuzz.h"

#include <libfdt.h>

#include "guests/baremetal/runtime/sbi.h"

#define LOOK_US	   5000 /* how often the first hart looks */
#define WAKE_LOOKS 4	/* so long without a step: it may sleep */
#define LOST_LOOKS 100	/* so long: it is lost */
#define SAY_LOOKS  20

static struct runner runners[MAX_HARTS] __attribute__((aligned(4096)));
static u64 seed, from, steps;
static u32 vector_there;

_Static_assert(offsetof(struct runner, stub) == RUNNER_STUB, "land.S");
_Static_assert(offsetof(struct runner, stack_top) == RUNNER_STACK, "land.S");

/* ---- harts that run random code ------------------------------------ */

/* What a step may have left: all that matters is set anew. */
static void hart_clean(struct runner *r)
{
	if (csr_swap(satp, 0))
		__asm__ volatile("sfence.vma" ::: "memory");
	csr_write(stvec, (u64)r->stub);
	csr_write(sscratch, 0);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER) | IRQ_BIT(IRQ_S_SOFT));
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	csr_write(sstatus, SSTATUS_SPP | SSTATUS_FS | vector_there);
	__asm__ volatile("mv tp, %0" ::"r"(r->hart));
}

static _Noreturn void step_next(struct runner *r)
{
	u64 status;

	if (steps && r->step >= from + steps) {
		sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
		for (;;)
			wfi();
	}
	fuzz_make(r, seed);
	/* Whoever waits for nothing is woken by this. */
	timer_set(time_now() + 500 + r->rand.state % 5000);
	status = r->rand.state &
		 (SSTATUS_SUM | SSTATUS_MXR | SSTATUS_FS | SSTATUS_VS);
	/* Without interrupts it goes round in circles for good. */
	if (r->rand.state >> 32 & 7)
		status |= SSTATUS_SPIE;
	csr_write(sstatus, status | (r->user ? 0 : SSTATUS_SPP));
	csr_write(sepc, r->pc);
	if (r->satp) {
		csr_write(satp, r->satp);
		__asm__ volatile("sfence.vma" ::: "memory");
	}
	__asm__ volatile("fence.i" ::: "memory");
	fuzz_go(r);
}

void fuzz_landed(struct runner *r)
{
	u64 cause = csr_read(scause);

	hart_clean(r);
	r->causes[cause >> 63 ? 32 + (cause & 31) : cause & 31]++;
	__atomic_store_n(&r->step, r->step + 1, __ATOMIC_RELAXED);
	step_next(r);
}

/* Where HSM starts a hart, for the first time and after it stopped itself. */
static void run(struct hart *h, void *arg)
{
	struct runner *r = arg;
	u64 off = (u64)fuzz_land - (u64)&r->stub[1];

	r->stack_top = h->stack_top;
	/* auipc sp, 0; jal x0, fuzz_land */
	r->stub[0] = 0x00000117;
	r->stub[1] = (u32)(off >> 20 & 1) << 31 |
		     (u32)(off >> 1 & 0x3ff) << 21 |
		     (u32)(off >> 11 & 1) << 20 |
		     (u32)(off >> 12 & 0xff) << 12 | 0x6f;
	fuzz_space_init(r);
	hart_clean(r);
	step_next(r);
}

/* ---- the one that watches ------------------------------------------ */

struct watched {
	u64 step;
	u32 looks; /* since the step changed */
};

static struct watched watched[MAX_HARTS];

static void say(const char *what)
{
	char line[16 * MAX_HARTS];
	size_t at = 0;

	for (u32 i = 1; i < machine.hart_count; i++)
		for (u64 div = 10000000000000000000UL, on = 0; div; div /= 10) {
			u64 digit = watched[i].step / div % 10;

			on |= digit | (div == 1);
			if (on && at < sizeof(line) - 2)
				line[at++] = (char)('0' + digit);
			if (div == 1)
				line[at++] = ' ';
		}
	line[at ? at - 1 : 0] = '\0';
	/* Whatever was written before it: this begins a line. */
	print("\nfuzz: seed 0x%lx steps %s%s\n", seed, line, what);
}

static _Noreturn void start_anew(void)
{
	say(": lost, rebooting");
	sbi_call(SBI_SRST, 0, SRST_COLD, SRST_REASON_NONE, 0);
	write32(machine.finisher.base, FINISHER_RESET);
	die("no reboot");
}

static void start(u32 i)
{
	runners[i].hart = &harts[i];
	(void)hart_start(&harts[i], run, &runners[i]);
}

static bool hart_done(u32 i)
{
	return steps && watched[i].step >= from + steps;
}

/* A look at one hart that makes no steps. */
static void look(u32 i)
{
	struct watched *w = &watched[i];

	if (sbi_hart_status(harts[i].id).value == HSM_STOPPED) {
		/* It stopped itself: that was its step. */
		runners[i].step++;
		start(i);
	} else if (w->looks >= LOST_LOOKS) {
		start_anew();
	} else if (w->looks >= WAKE_LOOKS) {
		(void)sbi_ipi_hart(harts[i].id);
	}
}

static bool look_at_all(void)
{
	bool done = true;

	for (u32 i = 1; i < machine.hart_count; i++) {
		struct watched *w = &watched[i];
		u64 step = __atomic_load_n(&runners[i].step, __ATOMIC_RELAXED);

		w->looks = step == w->step ? w->looks + 1 : 0;
		w->step = step;
		if (hart_done(i))
			continue;
		done = false;
		if (w->looks)
			look(i);
	}
	return done;
}

static void seed_find(void)
{
	int len = 0, chosen = fdt_path_offset(machine.dtb, "/chosen");
	const void *bytes = fdt_getprop(machine.dtb, chosen, "rng-seed", &len);

	if (bytes && len >= 8)
		memcpy(&seed, bytes, 8);
	seed = arg_u64("seed", seed);
}

static void causes_say(void)
{
	for (u32 c = 0; c < ARRAY_LEN(runners[0].causes); c++) {
		u64 sum = 0;

		for (u32 i = 1; i < machine.hart_count; i++)
			sum += runners[i].causes[c];
		if (sum)
			print("fuzz: %s %u: %ld times\n",
			      c < 32 ? "exception" : "interrupt", c & 31, sum);
	}
}

int main(void)
{
	u64 most;

	most = arg_u64("harts", MAX_HARTS);
	if (machine.hart_count > most)
		machine.hart_count = (u32)most;
	if (machine.hart_count < 2)
		die("fuzz wants two harts or more: the first one watches");
	seed_find();
	from = arg_u64("from", 0);
	steps = arg_u64("steps", 0);
	fuzz_svinval = isa_has("svinval");
	vector_there = isa_has("v") ? SSTATUS_VS : 0;
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	for (u32 i = 1; i < machine.hart_count; i++) {
		runners[i].step = from;
		start(i);
	}
	for (u64 n = 1;; n++) {
		sleep_ticks(us_to_ticks(LOOK_US));
		if (look_at_all())
			break;
		if (n % SAY_LOOKS == 0)
			say("");
	}
	say(": done");
	causes_say();
	return 0;
}
