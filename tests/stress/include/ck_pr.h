/*
 * Concurrency Kit's primitives as C11 atomics, for ThreadSanitizer: it can't
 * see into CK's assembly, nor does it know fences. Every operation here is
 * sequentially consistent, so the fences need do nothing; what a test finds
 * are races on plain data and faults of the protocols, not missing fences
 * (tests/litmus is for those).
 */
#ifndef CK_PR_H
#define CK_PR_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <ck_cc.h>
#include <ck_limits.h>
#include <ck_md.h>
#include <ck_stdint.h>

#define CK_F_PR

#define PR_FENCE(name, kind)                               \
	static inline void ck_pr_fence_##name(void)        \
	{                                                  \
		__asm__ volatile("" ::: "memory");         \
	}

static inline void ck_pr_barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

/* There are more threads than cores here: who spins lets the holder run. */
static inline void ck_pr_stall(void)
{
	sched_yield();
}

#define PR_BASE(N, M, T, V)                                                  \
	static inline T ck_pr_load_##N(const M *p)                           \
	{                                                                    \
		return __atomic_load_n((T const *)(const void *)p,           \
				       __ATOMIC_SEQ_CST);                    \
	}                                                                    \
	static inline void ck_pr_store_##N(M *p, V v)                        \
	{                                                                    \
		__atomic_store_n((V *)(void *)p, v, __ATOMIC_SEQ_CST);       \
	}                                                                    \
	static inline T ck_pr_fas_##N(M *p, T v)                             \
	{                                                                    \
		return __atomic_exchange_n((T *)(void *)p, v,                \
					   __ATOMIC_SEQ_CST);                \
	}                                                                    \
	static inline bool ck_pr_cas_##N##_value(M *p, T old, T v, M *was)   \
	{                                                                    \
		bool done = __atomic_compare_exchange_n(                     \
			(T *)(void *)p, &old, v, false, __ATOMIC_SEQ_CST,    \
			__ATOMIC_SEQ_CST);                                   \
		*(T *)(void *)was = old;                                     \
		return done;                                                 \
	}                                                                    \
	static inline bool ck_pr_cas_##N(M *p, T old, T v)                   \
	{                                                                    \
		return __atomic_compare_exchange_n((T *)(void *)p, &old, v,  \
						   false, __ATOMIC_SEQ_CST,  \
						   __ATOMIC_SEQ_CST);        \
	}

#define PR_ARITH(N, T)                                                       \
	static inline T ck_pr_faa_##N(T *p, T v)                             \
	{                                                                    \
		return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);           \
	}                                                                    \
	static inline void ck_pr_add_##N(T *p, T v)                          \
	{                                                                    \
		__atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline void ck_pr_sub_##N(T *p, T v)                          \
	{                                                                    \
		__atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline void ck_pr_inc_##N(T *p)                               \
	{                                                                    \
		__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline void ck_pr_dec_##N(T *p)                               \
	{                                                                    \
		__atomic_fetch_sub(p, 1, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline void ck_pr_dec_##N##_zero(T *p, bool *zero)            \
	{                                                                    \
		*zero = __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST) == 0;     \
	}                                                                    \
	static inline void ck_pr_or_##N(T *p, T v)                           \
	{                                                                    \
		__atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                   \
	}                                                                    \
	static inline void ck_pr_and_##N(T *p, T v)                          \
	{                                                                    \
		__atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline void ck_pr_xor_##N(T *p, T v)                          \
	{                                                                    \
		__atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                  \
	}                                                                    \
	static inline bool ck_pr_bts_##N(T *p, unsigned int bit)             \
	{                                                                    \
		return __atomic_fetch_or(p, (T)1 << bit, __ATOMIC_SEQ_CST) >> \
		       bit & 1;                                              \
	}                                                                    \
	static inline bool ck_pr_btr_##N(T *p, unsigned int bit)             \
	{                                                                    \
		return __atomic_fetch_and(p, ~((T)1 << bit),                 \
					  __ATOMIC_SEQ_CST) >>               \
			       bit &                                         \
		       1;                                                    \
	}

#include "ck_pr_words.h"

#endif
