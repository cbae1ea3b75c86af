/*
 * The archive reader against archives that are right, short, and wrong.
 */
/* sources: kernel/cpio.c tests/unit/fake_lab.c build/zlib/crc32.c */
#include "kernel/cpio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_lab.h"

static struct cpio two_files(struct archive *a)
{
	archive_add(a, "lab.dtb", "tree", 4);
	archive_add(a, "linux/Image", "kernel!", 7);
	return archive_end(a);
}

static void a_file_is_found_by_its_exact_name(void **state)
{
	struct archive a = { 0 };
	struct cpio c = two_files(&a);
	struct cpio_file f;

	assert_int_equal(cpio_find(&c, "linux/Image", &f), 0);
	assert_string_equal(f.name, "linux/Image");
	assert_int_equal(f.bytes, 7);
	assert_memory_equal(f.data, "kernel!", 7);
	assert_int_equal(cpio_find(&c, "lab.dtb", &f), 0);
	assert_memory_equal(f.data, "tree", 4);
	assert_int_equal(cpio_find(&c, "linux", &f), -ENOENT);
	assert_int_equal(cpio_find(&c, "linux/Image2", &f), -ENOENT);
	assert_int_equal(cpio_find(&c, "TRAILER!!!", &f), -ENOENT);
	archive_free(&a);
}

static void members_come_in_order_and_end_at_the_trailer(void **state)
{
	struct archive a = { 0 };
	struct cpio c = two_files(&a);
	struct cpio_file f;
	size_t pos = 0;

	assert_int_equal(cpio_next(&c, &pos, &f), 1);
	assert_string_equal(f.name, "lab.dtb");
	assert_true(f.regular);
	assert_int_equal(cpio_next(&c, &pos, &f), 1);
	assert_string_equal(f.name, "linux/Image");
	assert_int_equal(cpio_next(&c, &pos, &f), 0);
	assert_int_equal(cpio_next(&c, &pos, &f), 0);
	archive_free(&a);
}

static void an_empty_file_has_no_bytes(void **state)
{
	struct archive a = { 0 };
	struct cpio_file f;
	struct cpio c;

	archive_add(&a, "nothing", "", 0);
	c = archive_end(&a);
	assert_int_equal(cpio_find(&c, "nothing", &f), 0);
	assert_int_equal(f.bytes, 0);
	archive_free(&a);
}

static void a_directory_is_not_a_file(void **state)
{
	struct archive a = { 0 };
	struct cpio_file f;
	struct cpio c;
	size_t pos = 0;

	archive_add(&a, "linux", "", 0);
	memcpy(a.data + 14, "000041ed", 8);
	archive_add(&a, "linux", "file", 4);
	c = archive_end(&a);
	assert_int_equal(cpio_next(&c, &pos, &f), 1);
	assert_false(f.regular);
	assert_int_equal(cpio_find(&c, "linux", &f), 0);
	assert_int_equal(f.bytes, 4);
	archive_free(&a);
}

static void an_archive_cut_anywhere_is_damaged(void **state)
{
	struct archive a = { 0 };
	struct cpio whole = two_files(&a);
	/* The trailer's name is padded: its last byte is not needed. */
	size_t needed = whole.bytes - 3;

	for (size_t n = 0; n < needed; n++) {
		u8 *part = malloc(n ? n : 1);
		struct cpio c = { part, n };

		memcpy(part, whole.data, n);
		assert_int_equal(cpio_check(&c), -EINVAL);
		free(part);
	}
	assert_int_equal(cpio_check(&whole), 0);
	archive_free(&a);
}

static void no_changed_byte_leads_outside_the_archive(void **state)
{
	static const u8 bad[] = { 0, 'f', 'F', '0', '8', 0xff, ' ' };
	struct archive a = { 0 };
	struct cpio c = two_files(&a);
	struct cpio_file f;

	for (size_t i = 0; i < c.bytes; i++) {
		u8 old = a.data[i];

		for (size_t j = 0; j < sizeof(bad); j++) {
			size_t pos = 0;

			a.data[i] = bad[j];
			while (cpio_next(&c, &pos, &f) > 0) {
				const u8 *end = a.data + a.bytes;

				assert_true((const u8 *)f.data <= end);
				assert_true(f.bytes <= (size_t)(end -
						(const u8 *)f.data));
			}
		}
		a.data[i] = old;
	}
	archive_free(&a);
}

static void sizes_that_lie_are_refused(void **state)
{
	static const struct {
		size_t at;
		const char *digits;
	} lie[] = {
		{ 54, "ffffffff" }, /* file size */
		{ 54, "0000000g" },
		{ 94, "ffffffff" }, /* name size */
		{ 94, "00000000" },
		{ 94, "00000007" }, /* the zero is not in it */
		{ 94, "00000009" }, /* the zero is not its last */
		{ 0, "07070700" },  /* the old format's magic */
	};

	for (size_t i = 0; i < ARRAY_LEN(lie); i++) {
		struct archive a = { 0 };
		struct cpio c = two_files(&a);

		memcpy(a.data + lie[i].at, lie[i].digits, 8);
		assert_int_equal(cpio_check(&c), -EINVAL);
		archive_free(&a);
	}
}

static void the_format_with_checksums_is_read_too(void **state)
{
	struct archive a = { 0 };
	struct cpio c = two_files(&a);

	memcpy(a.data, "070702", 6);
	assert_int_equal(cpio_check(&c), 0);
	archive_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_found_by_its_exact_name),
		cmocka_unit_test(members_come_in_order_and_end_at_the_trailer),
		cmocka_unit_test(an_empty_file_has_no_bytes),
		cmocka_unit_test(a_directory_is_not_a_file),
		cmocka_unit_test(an_archive_cut_anywhere_is_damaged),
		cmocka_unit_test(no_changed_byte_leads_outside_the_archive),
		cmocka_unit_test(sizes_that_lie_are_refused),
		cmocka_unit_test(the_format_with_checksums_is_read_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
