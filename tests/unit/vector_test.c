/*
 * What is made of vector registers that are equally long on all harts, of such
 * that aren't, and of harts that have none, whatever the tree says.
 */
/* sources: LIBFDT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "arch/riscv/csr.h"
#include "kernel/log.h"

/* A hart's own registers. */
#undef csr_read
#undef csr_set
#undef csr_clear
static u64 sstatus, vs_bits, vlenb;

static u64 csr_read(u32 csr)
{
	if (csr == CSR_SSTATUS)
		return sstatus;
	/* Off, it is an illegal instruction. */
	assert_int_equal(csr, CSR_VLENB);
	assert_true(sstatus & SSTATUS_VS);
	return vlenb;
}

static void csr_set(u32 csr, u64 bits)
{
	assert_int_equal(csr, CSR_SSTATUS);
	sstatus |= bits & vs_bits;
}

static void csr_clear(u32 csr, u64 bits)
{
	assert_int_equal(csr, CSR_SSTATUS);
	sstatus &= ~bits;
}

#include "arch/riscv/vector.c"

/* The tree's. */
#include "arch/riscv/isa.c"

static char said[128];

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

/* The tree is read, with or without V; no hart has come up yet. */
static void boot(bool v)
{
	shortest = UINT64_MAX;
	longest = 0;
	isa_init();
	isa_have[ISA_V] &= v;
	isa_finish();
	said[0] = 0;
}

/* All of it, on harts of these lengths; 0: it has none. */
static void harts(u32 count, const u64 *bytes)
{
	boot(true);
	for (u32 i = 0; i < count; i++) {
		vlenb = bytes[i];
		vs_bits = vlenb ? SSTATUS_VS : 0;
		assert_int_equal(vector_measure(), vlenb);
		assert_int_equal(sstatus, 0);
	}
	vector_finish();
}

static bool is_told(const char *name)
{
	u32 count;
	const char *const *names = isa_guest_extensions(&count);

	for (u32 i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void all_of_one_length_are_told_of(void **state)
{
	for (u64 bytes = 16; bytes <= 8192; bytes *= 2) {
		harts(3, (u64[]){ bytes, bytes, bytes });
		assert_int_equal(vector_reg_bytes, bytes);
		assert_true(is_told("v") && is_told("zvfh"));
		assert_string_equal(said, "");
	}
}

static void with_two_lengths_guests_have_none_of_it(void **state)
{
	static const u64 lengths[][3] = {
		{ 16, 16, 32 }, { 64, 16, 32 }, { 32, 16, 16 }, { 0, 16, 16 },
		{ 16, 16, 0 }, { 0, 0, 0 },
	};
	static const char *const lines[] = {
		"16 to 32", "16 to 64", "16 to 32", "0 to 16", "0 to 16",
		"0 to 0",
	};

	for (u32 i = 0; i < ARRAY_LEN(lengths); i++) {
		char line[128];

		harts(3, lengths[i]);
		assert_int_equal(vector_reg_bytes, 0);
		assert_false(isa_has(ISA_V) || is_told("v"));
		snprintf(line, sizeof(line), "isa: harts have vector registers "
			 "of %s bytes; done without v", lines[i]);
		assert_string_equal(said, line);
	}
}

static void what_needs_it_goes_with_it(void **state)
{
	harts(2, (u64[]){ 16, 32 });
	for (u32 i = 0; i < ROWS; i++)
		if (!strncmp(rows[i].name, "zv", 2))
			assert_false(isa_have[i] || is_told(rows[i].name));
	assert_null(strstr(isa_guest_string(), "zv"));
	assert_true(is_told("d") && is_told("zfh") && is_told("zba"));
	isa_drop(ISA_D);
	assert_false(is_told("d") || is_told("f") || is_told("zfh") ||
		     is_told("zfa") || is_told("zcd"));
	assert_true(is_told("c") && is_told("zba"));
}

static void without_it_nothing_is_said(void **state)
{
	boot(false);
	vector_finish();
	assert_int_equal(vector_reg_bytes, 0);
	assert_string_equal(said, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_one_length_are_told_of),
		cmocka_unit_test(with_two_lengths_guests_have_none_of_it),
		cmocka_unit_test(what_needs_it_goes_with_it),
		cmocka_unit_test(without_it_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
