/*
 * Many CPUs touch a guest's RAM for the first time at once: by faults, through
 * real G-stage tables that they walk meanwhile, and by the host's accesses.
 * Each CPU counts in words of its own; a count that is lost was zeroed after
 * it was written, and one that doesn't begin at zero was seen before it was
 * ready.
 *
 * What is tested is included here with its accesses to shared words wrapped,
 * so that threads lose the CPU between any two of them.
 */
/* sources: kernel/gmem.c kernel/mem.c kernel/obj.c tests/unit/fake_mem.c */
#include "kernel/gmem.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv/gstage.h"
#include "arch/riscv/gstage_hw.h"
#include "arch/riscv/vmid.h"
#include "kernel/arch.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/time.h"
#include "tests/unit/fake_mem.h"

static _Thread_local u64 yield_seed;

static void may_yield(void)
{
	if (yield_seed && fake_random(&yield_seed) % 4 == 0)
		sched_yield();
}

#define ck_pr_load_32(p) (may_yield(), ck_pr_load_32(p))
#define ck_pr_or_32(p, v) (may_yield(), ck_pr_or_32(p, v))
#define ck_pr_load_64(p) (may_yield(), ck_pr_load_64(p))
#define ck_pr_cas_64_value(p, a, b, c) \
	(may_yield(), ck_pr_cas_64_value(p, a, b, c))
#define page_alloc(order)                       \
	({                                      \
		struct hpa pa_ = page_alloc(order); \
		may_yield();                    \
		pa_;                            \
	})
#include "arch/riscv/gstage.c"
#include "kernel/gmem_access.c"
#undef page_alloc

#define CPUS 4u
#define BASE 0x80000000ULL
#define BLOCKS 4u
#define RAM_BYTES (BLOCKS * 2 * MIB + 3 * PAGE_BYTES)
#define TOUCHES 300u
#define ROUNDS 40u

u64 timebase_hz = 10000000;

static struct guest guest;
static struct arch_guest arch;
static u32 faults;
static u64 slow; /* a step's time is up after each granule */

u64 time_now_ticks(void)
{
	return __atomic_fetch_add(&slow, 1000, __ATOMIC_RELAXED);
}

int arch_stage2_prepare(struct guest *g, struct gpa at, u64 page_bytes)
{
	return gstage_prepare(g->arch->gstage, at, page_bytes);
}

int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
{
	return gstage_map(g->arch->gstage, at, to, bytes);
}

void hw_hgatp_write(u64 val)
{
}

u64 hw_hgatp_read(void)
{
	return 0;
}

void hw_hfence_gvma_all(void)
{
}

void vmid_measured(u32 bits)
{
}

static void fault(void)
{
	__atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
}

/* The word as the guest reaches it. */
static u32 *by_guest(u64 at)
{
	for (;;) {
		u64 bytes;
		struct hpa pa = gstage_lookup(arch.gstage, (struct gpa){ at },
					      &bytes);

		if (!hpa_is_none(pa))
			return hpa_ptr(pa);
		if (gmem_fault(guest.mem, (struct gpa){ at }))
			fault();
	}
}

static void count(u32 cpu, u64 r, u32 *mine)
{
	u64 slots = RAM_BYTES / 64, slot = (r >> 8) % slots, at;
	u32 got;

	at = BASE + slot * 64 + cpu * 4;
	if (r % 4) {
		u32 *w = by_guest(at);

		got = (*w)++;
	} else {
		u32 next;

		if (guest_read(&guest, (struct gpa){ at }, &got, 4))
			fault();
		next = got + 1;
		if (guest_write(&guest, (struct gpa){ at }, &next, 4))
			fault();
	}
	if (got != mine[slot]++)
		fault();
}

static void *cpu(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;
	u32 *mine = calloc(RAM_BYTES / 64, sizeof(*mine));
	u64 seed = self + 77;

	yield_seed = self + 1;
	for (u32 i = 0; i < TOUCHES; i++)
		count(self, fake_random(&seed), mine);
	free(mine);
	return NULL;
}

static void dirty(void)
{
	struct hpa pa[64];
	u32 n = 0;

	while (n < 64 && !hpa_is_none(pa[n] = page_alloc(8)))
		memset(hpa_ptr(pa[n++]), 0xdd, PAGE_BYTES << 8);
	while (n--)
		page_free(pa[n], 8);
}

static void the_first_touch_by_many_loses_nothing(void **state)
{
	(void)state;
	for (u32 round = 0; round < ROUNDS; round++) {
		pthread_t t[CPUS];

		fake_ram_add(BASE, 16 * MIB);
		dirty();
		assert_int_equal(gstage_create(&arch, BASE + RAM_BYTES), 0);
		guest.arch = &arch;
		assert_int_equal(gmem_create(&guest, (struct gpa){ BASE },
					     RAM_BYTES, &guest.mem), 0);
		while (gmem_reserve_step(guest.mem) == 1)
			;
		for (u32 i = 0; i < CPUS; i++)
			pthread_create(&t[i], NULL, cpu, (void *)(uintptr_t)i);
		for (u32 i = 0; i < CPUS; i++)
			pthread_join(t[i], NULL);
		assert_int_equal(faults, 0);
		assert_true(gmem_touched_bytes(guest.mem) <= RAM_BYTES);
		gstage_destroy(&arch);
		gmem_destroy(guest.mem);
		assert_int_equal(page_free_count(), page_total_count());
		fake_ram_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_touch_by_many_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
