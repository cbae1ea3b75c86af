/*
 * The idle masks, one bit a CPU in each.
 *
 * Invariant: a bit is set only by its own CPU, and cleared once for each time
 * it was set, by its CPU or by a claimer, decided by the atomic clear. A CPU
 * whose bit was claimed gets mail, so it may sleep without its bit set.
 *
 * Rejected: a count of idle CPUs beside the mask (two words can't change
 * together), and a search that begins at bit 0 (all wakers would fight for the
 * first CPU).
 */
#include "kernel/percpu/idle.h"

struct idle_mask idle_masks[IDLE_KINDS];

void idle_enter(enum idle_kind kind, u32 cpu)
{
	ck_pr_or_64(&idle_masks[kind].w[cpu / 64], 1ULL << (cpu % 64));
	/* Pairs with the fence between load and mask in who has work to
	 * spare (unit_count, then choose): one of the two sees the other's
	 * store. */
	ck_pr_fence_memory();
}

bool idle_is(enum idle_kind kind, u32 cpu)
{
	return ck_pr_load_64(&idle_masks[kind].w[cpu / 64]) >> (cpu % 64) & 1;
}

u32 idle_next(enum idle_kind kind, u32 from)
{
	for (u32 i = from / 64; i * 64 < cpu_count(); i++) {
		u64 w = ck_pr_load_64(&idle_masks[kind].w[i]);

		if (i == from / 64)
			w &= ~0ULL << (from % 64);
		if (w)
			return i * 64 + (u32)__builtin_ctzll(w);
	}
	return CPU_NONE;
}

/* Claims one of word `i`, of those in `only`. */
static u32 claim_in_word(enum idle_kind kind, const struct cpuset *allowed,
			 u32 i, u64 only)
{
	u64 *word = &idle_masks[kind].w[i];

	for (;;) {
		u64 bits = ck_pr_load_64(word) & only;

		if (!bits)
			return CPU_NONE;
		bits &= ck_pr_load_64(&allowed->w[i]);
		if (!bits)
			return CPU_NONE;

		u32 cpu = i * 64 + (u32)__builtin_ctzll(bits);

		if (idle_claim(kind, cpu))
			return cpu;
		/* Another was faster; its clear changed the word. */
	}
}

u32 idle_claim_any(enum idle_kind kind, const struct cpuset *allowed, u32 from)
{
	u32 words = cpu_words(), first = from / 64;
	u64 upper = ~0ULL << (from % 64);
	u32 cpu = claim_in_word(kind, allowed, first, upper);

	for (u32 k = 1; k < words && cpu == CPU_NONE; k++)
		cpu = claim_in_word(kind, allowed, (first + k) % words, ~0ULL);
	if (cpu == CPU_NONE && ~upper)
		cpu = claim_in_word(kind, allowed, first, ~upper);
	return cpu;
}
