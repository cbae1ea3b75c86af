/*
 * The allocators from many CPUs at once: nobody gets what another one has, and
 * when all is given back nothing is missing.
 */
/* sources: kernel/mem.c kernel/obj.c tests/unit/fake_mem.c */
#include "kernel/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_mem.h"

#define CPUS 4u
#define HELD 64u
#define ROUNDS 20000u

struct held {
	u8 *p;
	size_t bytes;
	unsigned int order; /* of frames; else HELD_OBJ */
};
#define HELD_OBJ ~0u

static u32 faults;

static void take(struct held *h, u64 r, u8 mark)
{
	if (r >> 20 & 1) {
		struct hpa pa;

		h->order = (unsigned int)(r >> 24) % 4;
		h->bytes = PAGE_BYTES << h->order;
		pa = page_alloc(h->order);
		h->p = hpa_is_none(pa) ? NULL : hpa_ptr(pa);
	} else {
		h->order = HELD_OBJ;
		h->bytes = (r >> 24) % 5000 + 1;
		h->p = obj_alloc(h->bytes);
	}
	if (h->p)
		memset(h->p, mark, h->bytes);
}

static void give(struct held *h, u8 mark)
{
	if (h->p[0] != mark || h->p[h->bytes - 1] != mark)
		__atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
	if (h->order == HELD_OBJ)
		obj_free(h->p);
	else
		page_free(ptr_hpa(h->p), h->order);
	h->p = NULL;
}

static void *cpu(void *arg)
{
	u8 mark = (u8)(uintptr_t)arg;
	struct held held[HELD] = { { 0 } };
	u64 seed = mark;

	for (u32 i = 0; i < ROUNDS; i++) {
		u64 r = fake_random(&seed);
		struct held *h = &held[r % HELD];

		if (h->p)
			give(h, mark);
		else
			take(h, r, mark);
	}
	for (u32 i = 0; i < HELD; i++)
		if (held[i].p)
			give(&held[i], mark);
	return NULL;
}

static void many_cpus_leave_memory_as_they_found_it(void **state)
{
	pthread_t t[CPUS];

	(void)state;
	fake_ram_add(0x80000000ULL, 8 * MIB);
	for (u32 i = 0; i < CPUS; i++)
		pthread_create(&t[i], NULL, cpu, (void *)(uintptr_t)(i + 1));
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(faults, 0);
	assert_int_equal(obj_live_bytes(), 0);
	assert_int_equal(page_free_count(), page_total_count());
	fake_ram_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_cpus_leave_memory_as_they_found_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
