/*
 * Host RAM for tests: one piece of anonymous memory that stands at a host
 * physical address of the test's choice, and panics that can be expected.
 */
#ifndef TESTS_UNIT_FAKE_MEM_H
#define TESTS_UNIT_FAKE_MEM_H

#include <setjmp.h>

#include "kernel/base.h"

/* All of [from, from + bytes) can be reached through hpa_ptr from now on, and
 * nothing else; nothing is given to the allocator. Contents are zero until
 * written, and only what is written costs memory. */
void fake_ram(u64 from, u64 bytes);

/* fake_ram, then all of it goes to a fresh page allocator. */
void fake_ram_add(u64 from, u64 bytes);
void fake_ram_end(void);

/* A panic ends the test unless one is expected. */
extern jmp_buf fake_panic_jmp;
extern bool fake_panic_expected;
extern char fake_panic_text[256];

#define PANICS(statement)                                           \
	({                                                          \
		volatile bool panicked_ = true;                             \
		fake_panic_expected = true;                         \
		if (!setjmp(fake_panic_jmp)) {                      \
			statement;                                  \
			panicked_ = false;                          \
		}                                                   \
		fake_panic_expected = false;                        \
		panicked_;                                          \
	})

/* A small generator of the test's own, so that failures repeat. */
u64 fake_random(u64 *state);

#endif
