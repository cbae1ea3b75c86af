/*
 * Concurrency Kit's plain loads and stores, in fewer instructions.
 *
 * Its own are inline assembly, to which an address is a register and a result
 * of 32 bits is a word that must be extended before it can be compared: three
 * instructions for a load of a flag. Here they are accesses by the compiler,
 * between two of its barriers, which are what the assembly was as well: each
 * happens once, where it stands, as one instruction, since it is an aligned
 * word and memory may have changed on either side. Loads of 32 bits are not
 * volatile, since gcc extends those once more.
 *
 * Everything else (swaps, fences) is Concurrency Kit's. Host programs use that
 * for all, or the stress tests' stand-in.
 */
#ifndef ROUSE_ARCH_RISCV_CK_PR_H
#define ROUSE_ARCH_RISCV_CK_PR_H

#include_next <ck_pr.h>

#define PR_BARRIER() __asm__ volatile("" ::: "memory")

static inline __attribute__((always_inline)) uint32_t
pr_load_32(const uint32_t *p)
{
	uint32_t v;

	PR_BARRIER();
	v = *p;
	PR_BARRIER();
	return v;
}

static inline __attribute__((always_inline)) uint64_t
pr_load_64(const uint64_t *p)
{
	uint64_t v;

	PR_BARRIER();
	v = *(const volatile uint64_t *)p;
	PR_BARRIER();
	return v;
}

static inline __attribute__((always_inline)) void *pr_load_ptr(const void *p)
{
	void *v;

	PR_BARRIER();
	v = *(void *const volatile *)p;
	PR_BARRIER();
	return v;
}

static inline __attribute__((always_inline)) void pr_store_32(uint32_t *p,
							      uint32_t v)
{
	PR_BARRIER();
	*(volatile uint32_t *)p = v;
	PR_BARRIER();
}

static inline __attribute__((always_inline)) void pr_store_64(uint64_t *p,
							      uint64_t v)
{
	PR_BARRIER();
	*(volatile uint64_t *)p = v;
	PR_BARRIER();
}

#undef ck_pr_load_32
#undef ck_pr_load_64
#undef ck_pr_load_ptr
#undef ck_pr_store_32
#undef ck_pr_store_64
#define ck_pr_load_32(p) pr_load_32(p)
#define ck_pr_load_64(p) pr_load_64(p)
#define ck_pr_load_ptr(p) ((__typeof__(*(p)))pr_load_ptr(p))
#define ck_pr_store_32(p, v) pr_store_32((p), (v))
#define ck_pr_store_64(p, v) pr_store_64((p), (v))

#endif
