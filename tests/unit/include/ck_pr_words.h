/*
 * Which of Concurrency Kit's primitives there are, for who makes them anew: as
 * atomics that ThreadSanitizer knows (tests/stress/include), and as steps of
 * the explorer (tests/model/include). Before it includes this, either defines
 *
 *	PR_FENCE(name, kind)	a fence; kind: what comes before all that
 *				follows, STORES, LOADS, or FULL
 *	PR_BASE(N, M, T, V)	load, store, swap and compare-and-swap of words
 *				N at an M *, which hold a T; a V is stored
 *	PR_ARITH(N, T)		what counts, and what sets bits
 */
PR_FENCE(atomic, STORES)
PR_FENCE(atomic_load, FULL)
PR_FENCE(atomic_store, STORES)
PR_FENCE(store_atomic, STORES)
PR_FENCE(load_atomic, LOADS)
PR_FENCE(load, LOADS)
PR_FENCE(store, STORES)
PR_FENCE(load_store, LOADS)
PR_FENCE(store_load, FULL)
PR_FENCE(memory, FULL)
PR_FENCE(acquire, LOADS)
PR_FENCE(release, STORES)
PR_FENCE(acqrel, STORES)
PR_FENCE(lock, LOADS)
PR_FENCE(unlock, STORES)

PR_BASE(ptr, void, void *, const void *)
PR_BASE(64, uint64_t, uint64_t, uint64_t)
PR_BASE(32, uint32_t, uint32_t, uint32_t)
PR_BASE(16, uint16_t, uint16_t, uint16_t)
PR_BASE(8, uint8_t, uint8_t, uint8_t)
PR_BASE(uint, unsigned int, unsigned int, unsigned int)
PR_BASE(int, int, int, int)

PR_ARITH(64, uint64_t)
PR_ARITH(32, uint32_t)
PR_ARITH(16, uint16_t)
PR_ARITH(8, uint8_t)
PR_ARITH(uint, unsigned int)
PR_ARITH(int, int)
