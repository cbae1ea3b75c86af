/*
 * Concurrency Kit's primitives for the model checker: each operation goes
 * through the explorer (tests/model/explore.h), which runs one thread at a
 * time and decides at each operation on a watched word who goes on.
 *
 * Between two such points a thread is alone. So plain C does for the
 * operations themselves; what is modelled is who comes first, and that stores
 * may be seen late (explore.h says which).
 */
#ifndef CK_PR_H
#define CK_PR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <ck_cc.h>
#include <ck_limits.h>
#include <ck_md.h>
#include <ck_stdint.h>

#include "tests/model/explore.h"

#define CK_F_PR

/* What orders earlier stores before what follows makes them seen: stronger
 * than the real one, which lets them be late together. */
#define PR_FENCE(name, kind) \
	static inline void ck_pr_fence_##name(void) \
	{ \
		explore_fence(EXPLORE_FENCE_##kind); \
	}

static inline void ck_pr_barrier(void)
{
}

/* Nobody spins here: a lock is held between two points at most. */
static inline void ck_pr_stall(void)
{
}

#define PR_BASE(N, M, T, V) \
	static inline T ck_pr_load_##N(const M *p) \
	{ \
		return (T)explore_load(p, sizeof(T)); \
	} \
	static inline void ck_pr_store_##N(M *p, V v) \
	{ \
		explore_store((void *)p, sizeof(T), (uint64_t)v, EXPLORE_SET); \
	} \
	static inline T ck_pr_fas_##N(M *p, T v) \
	{ \
		return (T)explore_rmw((void *)p, sizeof(T), (uint64_t)v, \
				      EXPLORE_SET); \
	} \
	static inline bool ck_pr_cas_##N##_value(M *p, T old, T v, M *was) \
	{ \
		T found = (T)explore_cas((void *)p, sizeof(T), (uint64_t)old, \
					 (uint64_t)v); \
		memcpy((void *)was, &found, sizeof(T)); \
		return found == old; \
	} \
	static inline bool ck_pr_cas_##N(M *p, T old, T v) \
	{ \
		return (T)explore_cas((void *)p, sizeof(T), (uint64_t)old, \
				      (uint64_t)v) == old; \
	}

#define PR_ARITH(N, T) \
	static inline T ck_pr_faa_##N(T *p, T v) \
	{ \
		return (T)explore_rmw(p, sizeof(T), (uint64_t)v, EXPLORE_ADD); \
	} \
	static inline void ck_pr_add_##N(T *p, T v) \
	{ \
		explore_store(p, sizeof(T), (uint64_t)v, EXPLORE_ADD); \
	} \
	static inline void ck_pr_inc_##N(T *p) \
	{ \
		explore_store(p, sizeof(T), 1, EXPLORE_ADD); \
	} \
	static inline void ck_pr_dec_##N(T *p) \
	{ \
		explore_store(p, sizeof(T), (uint64_t)-1, EXPLORE_ADD); \
	} \
	static inline void ck_pr_dec_##N##_zero(T *p, bool *zero) \
	{ \
		*zero = explore_rmw(p, sizeof(T), (uint64_t)-1, \
				    EXPLORE_ADD) == 1; \
	} \
	static inline void ck_pr_or_##N(T *p, T v) \
	{ \
		explore_store(p, sizeof(T), (uint64_t)v, EXPLORE_OR); \
	} \
	static inline void ck_pr_and_##N(T *p, T v) \
	{ \
		explore_store(p, sizeof(T), (uint64_t)v, EXPLORE_AND); \
	} \
	static inline void ck_pr_xor_##N(T *p, T v) \
	{ \
		explore_store(p, sizeof(T), (uint64_t)v, EXPLORE_XOR); \
	} \
	static inline bool ck_pr_bts_##N(T *p, unsigned int bit) \
	{ \
		return explore_rmw(p, sizeof(T), 1ULL << bit, EXPLORE_OR) >> \
			       bit & \
		       1; \
	} \
	static inline bool ck_pr_btr_##N(T *p, unsigned int bit) \
	{ \
		return explore_rmw(p, sizeof(T), ~(1ULL << bit), \
				   EXPLORE_AND) >> \
			       bit & \
		       1; \
	}

#include "ck_pr_words.h"

#endif
