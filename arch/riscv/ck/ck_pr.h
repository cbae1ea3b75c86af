/*
 * Concurrency Kit's plain loads and stores, and its swaps, in fewer
 * instructions.
 *
 * Its own are inline assembly, to which an address is a register and a result
 * of 32 bits is a word that must be extended before it can be compared: three
 * instructions for a load of a flag. Here they are accesses by the compiler,
 * between two of its barriers, which are what the assembly was as well: each
 * happens once, where it stands, as one instruction, since it is an aligned
 * word and memory may have changed on either side. Loads of 32 bits are not
 * volatile, since gcc extends those once more.
 *
 * Its compare-and-swap tells what came of it in a register that the caller must
 * test again; here the instructions that find it out branch to where it is
 * known: four of nine less. They order as much as before, nothing.
 *
 * Everything else (other atomic operations, fences) is Concurrency Kit's. Host
 * programs use that for all, or the stress tests' stand-in.
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

/* The word is compared as lr leaves it in a register: sign-extended. */
#define PR_CAS(N, T, REG, W)                                                  \
	static inline __attribute__((always_inline)) bool pr_cas_##N(         \
		T *p, T old, T v, T *was)                                     \
	{                                                                     \
		uint64_t got;                                                 \
                                                                              \
		__asm__ goto volatile(                                        \
			"1:	lr." W "	%[got], %[at]\n"             \
			"	bne	%[got], %z[old], %l[differs]\n"      \
			"	sc." W "	%[got], %z[v], %[at]\n"      \
			"	bnez	%[got], 1b\n"                        \
			: [got] "=&r"(got), [at] "+A"(*p)                     \
			: [old] "rJ"((uint64_t)(REG)old), [v] "rJ"(v)         \
			: "memory"                                            \
			: differs);                                           \
		return true;                                                  \
	differs:                                                              \
		*was = (T)got;                                                \
		return false;                                                 \
	}

PR_CAS(32, uint32_t, int32_t, "w")
PR_CAS(64, uint64_t, int64_t, "d")

static inline __attribute__((always_inline)) bool
pr_cas_ptr(void *p, void *old, void *v, void *was)
{
	return pr_cas_64(p, (uint64_t)old, (uint64_t)v, was);
}

static inline __attribute__((always_inline)) void pr_store_ptr(void *p,
								const void *v)
{
	PR_BARRIER();
	*(const void *volatile *)p = v;
	PR_BARRIER();
}

/* A zero to be swapped in needs no register. */
static inline __attribute__((always_inline)) uint32_t pr_fas_32(uint32_t *p,
								uint32_t v)
{
	uint32_t was;

	__asm__ volatile("amoswap.w %0, %z2, %1"
			 : "=r"(was), "+A"(*p) : "rJ"(v) : "memory");
	return was;
}

static inline __attribute__((always_inline)) int64_t pr_fas_uint(unsigned *p,
								  unsigned v)
{
	int64_t was;

	__asm__ volatile("amoswap.w %0, %z2, %1"
			 : "=r"(was), "+A"(*p) : "rJ"(v) : "memory");
	return was;
}

static inline __attribute__((always_inline)) uint64_t pr_fas_64(void *p,
								uint64_t v)
{
	uint64_t was;

	__asm__ volatile("amoswap.d %0, %z2, %1"
			 : "=r"(was), "+A"(*(uint64_t *)p) : "rJ"(v)
			 : "memory");
	return was;
}

#undef ck_pr_load_32
#undef ck_pr_load_64
#undef ck_pr_load_ptr
#undef ck_pr_store_32
#undef ck_pr_store_64
#undef ck_pr_store_ptr
#define ck_pr_load_32(p) pr_load_32(p)
#define ck_pr_load_64(p) pr_load_64(p)
#define ck_pr_load_ptr(p) ((__typeof__(*(p)))pr_load_ptr(p))
#define ck_pr_store_32(p, v) pr_store_32((p), (v))
#define ck_pr_store_64(p, v) pr_store_64((p), (v))
#define ck_pr_store_ptr(p, v) pr_store_ptr((p), (v))

/* What a spinlock is taken by: a word that needs no extension. */
#define ck_pr_fas_uint(p, v) ((int64_t)pr_fas_uint((p), (v)))
#define ck_pr_fas_32(p, v) pr_fas_32((p), (v))
#define ck_pr_fas_64(p, v) pr_fas_64((p), (v))
#define ck_pr_fas_ptr(p, v) ((void *)pr_fas_64((p), (uint64_t)(v)))
#define ck_pr_cas_32(p, old, v) pr_cas_32((p), (old), (v), &(uint32_t){ 0 })
#define ck_pr_cas_64(p, old, v) pr_cas_64((p), (old), (v), &(uint64_t){ 0 })
#define ck_pr_cas_32_value(p, old, v, was) pr_cas_32((p), (old), (v), (was))
#define ck_pr_cas_64_value(p, old, v, was) pr_cas_64((p), (old), (v), (was))
#define ck_pr_cas_ptr(p, old, v) pr_cas_ptr((p), (old), (v), &(void *){ NULL })
#define ck_pr_cas_ptr_value(p, old, v, was) pr_cas_ptr((p), (old), (v), (was))

#endif
