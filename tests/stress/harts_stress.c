/*
 * Harts that come up, with threads for harts: at once, one after the other, in
 * the middle of being given up, and long after it, while boot looks, counts,
 * builds what they are to find, and lets them go. Each takes part, and all that
 * boot has made is there; or it is sent back, and has touched nothing. What all
 * harts have is what each of them has that was measured.
 */
/* sources: kernel/percpu/cpu.c */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>

static _Thread_local unsigned int dice;

static unsigned int random_below(unsigned int n)
{
	return (unsigned int)rand_r(&dice) % n;
}

static void jitter(void)
{
	if (random_below(16) == 0)
		usleep(50);
	else if (random_below(4) == 0)
		sched_yield();
}

#define HARTS 9u
#define HART_LOOKS 20u
#define ck_pr_cas_32(p, old, val)  (jitter(), ck_pr_cas_32(p, old, val))
#define ck_pr_store_32(p, val)     (jitter(), ck_pr_store_32(p, val))
#define ck_pr_and_32(p, val)       (jitter(), ck_pr_and_32(p, val))
#define ck_pr_cas_64_value(p, old, val, was) \
	(jitter(), ck_pr_cas_64_value(p, old, val, was))
#include "tests/unit/fake_harts.h"

/* Its hgatp, which keeps the modes that it has, and its vectors. */
static _Thread_local u64 hgatp;
static _Thread_local u32 has_modes, has_bytes;
#undef csr_read
#undef csr_set
#define csr_read(csr)	   ((csr) == CSR_VLENB ? has_bytes : SSTATUS_VS)
#define csr_set(csr, bits) ((void)(bits))
#include "arch/riscv/gstage.c"
#include "arch/riscv/vector.c"

/* Boot's at the time, until it gives up. */
#define LOOKS (2 * HART_LOOKS)
#define MODES (1u << GSTAGE_SV39X4 | 1u << GSTAGE_SV48X4 | 1u << GSTAGE_SV57X4)

struct stress_hart {
	struct riscv_cpu *area;
	u32 start; /* atomic: the firmware's */
	u32 late;  /* looks of boot's at the time, and then yields, between */
	u32 later; /* that and its first instruction */
	bool refused; /* by the firmware */
	u32 modes, bytes;
	/* What others write, and it reads; and the other way round. */
	u32 made;
	u32 measured;
	bool on, parked; /* its own, looked at when it has ended */
} __attribute__((aligned(64)));

_Thread_local struct cpu *fake_this_cpu;
bool isa_have[ISA_OTHER];
static struct stress_hart hart[HARTS];
static _Thread_local struct stress_hart *here;
static u32 looks;	   /* atomic: boot's, at the time */
static u32 over, gone; /* atomic: boot has gone on, or refuses to */
static u32 in, out, late, refused; /* in all */
static struct riscv_cpu *areas[HARTS];
static u32 area_count;
static jmp_buf boot_ends;

#define LOAD(p)	    __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

static void check(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* ---- The rest of the kernel ---- */

void *obj_alloc(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (bytes == sizeof(struct riscv_cpu))
		areas[area_count++] = p;
	return p;
}

void obj_free(void *obj)
{
	free(obj);
}

void page_free(struct hpa pa, unsigned int order)
{
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

void panic(const char *fmt, ...)
{
	abort();
}

/* A hart that had no time between two instructions: so can a real one. */
void refuse(const char *fmt, ...)
{
	refused++;
	STORE(&gone, 1);
	longjmp(boot_ends, 1);
}

void isa_drop(enum isa_ext ext)
{
	isa_have[ext] = false;
}

void vmid_measured(u32 bits)
{
}

void hw_hgatp_write(u64 val)
{
	hgatp = has_modes >> (val >> HGATP_MODE_SHIFT) & 1 ? val : 0;
}

u64 hw_hgatp_read(void)
{
	return hgatp;
}

void hw_hfence_gvma_all(void)
{
}

/* ---- Harts ---- */

struct riscv_cpu *riscv_this(void)
{
	return here->area;
}

static bool hart_comes(u64 hartid, struct riscv_cpu *area)
{
	struct stress_hart *h = &hart[hartid - 10];

	if (h->refused)
		return false;
	h->area = area;
	STORE(&h->start, 1);
	return true;
}

static void hart_waits(void)
{
	bool last = LOAD(&over);

	if (LOAD(&gone))
		pthread_exit(NULL);
	check(!last || LOAD(&here->area->hart_state) != HART_ONLINE,
	      "waits, and nobody knows");
	sched_yield();
}

static void time_passes(void)
{
	__atomic_fetch_add(&looks, 1, __ATOMIC_SEQ_CST);
	if (random_below(4) == 0)
		usleep(20);
	sched_yield();
}

static void hart_goes(void)
{
	here->parked = true;
	pthread_exit(NULL);
}

static void hart_measures(struct riscv_cpu *c)
{
	check(c == here->area, "isn't itself");
	(void)vector_measure();
	jitter();
	here->measured = 1;
}

static void hart_enters(struct riscv_cpu *c)
{
	check(here->made == c->c.index + 1, "isn't made");
	check(cpu_by_index(c->c.index) == &c->c && !mbox_has_mail(&c->c.mbox),
	      "isn't known");
	here->on = true;
	pthread_exit(NULL);
}

static void *hart_main(void *arg)
{
	here = arg;
	dice = here->late + here->later + 1;
	has_modes = here->modes;
	has_bytes = here->bytes;
	while (!LOAD(&here->start)) {
		if (LOAD(&over))
			return NULL;
		sched_yield();
	}
	while (LOAD(&looks) < here->late && !LOAD(&over))
		sched_yield();
	for (u32 i = here->later; i; i--)
		sched_yield();
	if (LOAD(&gone))
		return NULL;
	secondary_main();
}

/* ---- Boot ---- */

static struct stress_hart *hart_of(const struct riscv_cpu *c)
{
	return &hart[c->hartid - 10];
}

static void boot_goes_on(void)
{
	u32 all = MODES, least = UINT32_MAX;

	for (u32 i = 1; i < machine.hart_count; i++) {
		struct riscv_cpu *c = harts[i];

		if (!c)
			continue;
		check(hart_of(c)->measured, "is in, and not measured");
		all &= hart_of(c)->modes;
		least = MIN(least, hart_of(c)->bytes);
		hart_of(c)->made = c->c.index + 1;
	}
	check(gstage_modes() == all, "not what all harts have");
	check(LOAD(&shortest) == least || cpu_count() == 1,
	      "not as short as the shortest");
	arch_cpus_release();
}

static void boot(void)
{
	if (setjmp(boot_ends))
		return;
	harts_start();
	boot_goes_on();
}

/* Most come at any time; some just when they are given up, some after that. */
static void hart_plan(struct stress_hart *h)
{
	*h = (struct stress_hart){.modes = UINT32_MAX, .bytes = 16};
	h->refused = random_below(8) == 0;
	h->late = random_below(LOOKS);
	if (random_below(3) == 0)
		h->late = LOOKS - random_below(3);
	h->later = random_below(4) ? random_below(4) : random_below(500);
	if (random_below(4) == 0)
		h->modes = random_below(1u << (GSTAGE_SV57X4 + 1));
	if (random_below(4) == 0)
		h->bytes = 16 + random_below(4);
}

static void all_is_well(void)
{
	for (u32 i = 1; i < machine.hart_count; i++) {
		struct stress_hart *h = &hart[i];
		bool comes = LOAD(&h->start);

		if (LOAD(&gone))
			continue;
		check(h->on == (harts[i] != NULL), "isn't in, and not out");
		check(h->parked == (comes && !h->on), "isn't sent back");
		check(!h->parked || !h->measured, "is sent back, and measured");
		in += h->on;
		out += !comes;
		late += h->parked;
	}
}

static void round_of(u32 others)
{
	pthread_t thread[HARTS];

	over = gone = looks = area_count = cpu_table_len = 0;
	modes_offered = MODES;
	shortest = UINT64_MAX;
	longest = 0;
	machine_of(others + 1);
	for (u32 i = 1; i <= others; i++) {
		hart_plan(&hart[i]);
		pthread_create(&thread[i], NULL, hart_main, &hart[i]);
	}
	boot();
	STORE(&over, 1);
	for (u32 i = 1; i <= others; i++)
		pthread_join(thread[i], NULL);
	all_is_well();
	for (u32 i = 0; i < area_count; i++)
		free(areas[i]);
	free(harts);
}

static void harts_come_or_dont(void **state)
{
	u32 rounds = getenv("ROUSE_TEST_FULL") ? 6000 : 300;

	alarm(800);
	dice = 1;
	for (u32 i = 0; i < rounds; i++)
		for (u32 n = 1; n < HARTS; n *= 2)
			round_of(n);
	print_message("# %u in, %u never came, %u sent back; %u starts that "
		      "were refused\n", in, out, late, refused);
	assert_true(in > rounds && out && late > rounds / 8);
	assert_true(refused < rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harts_come_or_dont),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
