/*
 * CPUs load guests with far fewer VMIDs than guests, all at once: in no
 * generation has an id two guests, and no CPU ever takes a VMID of another
 * generation than its TLB's without a flush.
 */
/* sources: arch/riscv/vmid.c kernel/mem.c kernel/obj.c
 *	tests/unit/fake_mem.c
 *          tests/unit/fake_trace.c */
#include "arch/riscv/vmid.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/riscv/gstage.h"
#include "arch/riscv/gstage_hw.h"
#include "kernel/arch.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "tests/unit/fake_mem.h"

#define CPUS 4u
#define GUESTS 12u
#define BITS 3u
#define LOADS 20000u
#define GENERATIONS (CPUS * LOADS + 2)

_Thread_local struct cpu *fake_this_cpu;
static _Thread_local u64 hgatp, flushes;

static struct arch_guest guests[GUESTS];
static struct vmid_cpu cpus[CPUS];
static u8 *owner; /* of each (generation, id): guest + 1 */
static u32 faults;

void hw_hgatp_write(u64 val)
{
	hgatp = val;
}

void hw_vsatp_zero(void)
{
}

u64 hw_vsatp_swap(u64 val)
{
	return val;
}

void hw_hfence_gvma_all(void)
{
	flushes++;
}

void hw_hfence_gvma_vmid(u64 vmid)
{
}

void hw_hfence_vvma_all(void)
{
}

u64 gstage_hgatp(const struct arch_guest *g, u32 vmid)
{
	return (u64)vmid << HGATP_VMID_SHIFT | (u64)(g - guests + 1);
}

void arch_doorbell_ring(struct cpu *c)
{
}

static void fault(void)
{
	__atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
}

static void *cpu(void *arg)
{
	struct vmid_cpu *c = arg;
	u64 seed = c->index + 5, generation = 0;

	for (u32 i = 0; i < LOADS; i++) {
		u32 g = (u32)(fake_random(&seed) % GUESTS);
		u64 had = flushes;
		u8 none = 0;
		u32 id;

		vmid_enter(c, &guests[g], c->index);
		id = vmid_current(c);
		if (c->hgatp != hgatp || !id || id >> BITS)
			fault();
		if (c->generation != generation && flushes == had)
			fault();
		generation = c->generation;
		if (generation >= GENERATIONS ||
		    (!__atomic_compare_exchange_n(
			     &owner[generation << BITS | id], &none,
			     (u8)(g + 1), false, __ATOMIC_SEQ_CST,
			     __ATOMIC_SEQ_CST) && none != g + 1))
			fault();
	}
	return NULL;
}

static void an_id_has_one_guest_in_each_generation(void **state)
{
	pthread_t t[CPUS];

	(void)state;
	fake_ram_add(0x80000000ULL, 4 * MIB);
	owner = calloc(GENERATIONS, 1u << BITS);
	vmid_limit(BITS);
	for (u32 g = 0; g < GUESTS; g++)
		assert_int_equal(vmid_guest_init(&guests[g], CPUS, CPUS), 0);
	for (u32 i = 0; i < CPUS; i++)
		vmid_cpu_init(&cpus[i], NULL, i);
	for (u32 i = 0; i < CPUS; i++)
		pthread_create(&t[i], NULL, cpu, &cpus[i]);
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(faults, 0);
	for (u32 g = 0; g < GUESTS; g++)
		vmid_guest_fini(&guests[g]);
	free(owner);
	fake_ram_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_has_one_guest_in_each_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
