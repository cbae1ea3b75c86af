/*
 * Random numbers: repeatable from a seed, and the cipher the published one.
 */
/* sources: kernel/rng.c */
#include "kernel/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/base.h"

static void the_seed_repeats_what_a_guest_is_told(void **state)
{
	struct rng a, b, c;

	rng_seed("x", 1);
	rng_init(&a, "guest 1 one");
	rng_init(&b, "guest 1 one");
	rng_init(&c, "guest 2 two");
	for (int i = 0; i < 100; i++) {
		u64 v = rng_u64(&a);

		assert_int_equal(v, rng_u64(&b));
		assert_int_not_equal(v, rng_u64(&c));
	}
	rng_seed("y", 1);
	rng_init(&b, "guest 1 one");
	rng_init(&a, "guest 1 one");
	rng_stir("more", 4);
	rng_init(&c, "guest 1 one");
	assert_int_not_equal(rng_u64(&a), rng_u64(&c));
	for (u64 n = 0; n < 50; n++)
		assert_true(rng_below(&b, n) < MAX(n, 1u));
}

static void the_cipher_gives_the_published_block(void **state)
{
	/* draft-agl-tls-chacha20poly1305, test vector 1: key, nonce and
	 * counter all zero. */
	static const u8 want[16] = {
		0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
		0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
	};
	struct rng r = { .used = sizeof(r.buf) };
	u8 got[16];

	rng_bytes(&r, got, sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_seed_repeats_what_a_guest_is_told),
		T(the_cipher_gives_the_published_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
