/* sources: emul/finisher.c emul/bus.c emul/devices.c kernel/config.c
 *          tests/unit/fake_emul.c tests/unit/fake_trace.c */
#include <string.h>

#include "tests/unit/fake_emul.h"

#define AT 0x100000

static void expect_end(enum guest_event event, u32 code)
{
	assert_int_equal(fake.ends, 1);
	assert_int_equal(fake.end_event, event);
	assert_int_equal(fake.end_code, code);
}

static void pass_powers_off_with_status_0(void **state)
{
	(void)state;
	fake_write(AT, 4, 0x5555);
	expect_end(EVENT_POWEROFF, 0);
}

static void pass_ignores_a_code(void **state)
{
	(void)state;
	fake_write(AT, 4, 0x00075555);
	expect_end(EVENT_POWEROFF, 0);
}

static void a_16_bit_pass_powers_off(void **state)
{
	(void)state;
	fake_write(AT, 2, 0xffff5555);
	expect_end(EVENT_POWEROFF, 0);
}

static void fail_powers_off_with_its_code(void **state)
{
	(void)state;
	fake_write(AT, 4, 42u << 16 | 0x3333);
	expect_end(EVENT_POWEROFF, 42);
}

static void bits_beyond_the_access_are_no_code(void **state)
{
	(void)state;
	fake_write(AT, 4, 0xabcd00000000ull | 7u << 16 | 0x3333);
	expect_end(EVENT_POWEROFF, 7);
}

static void fail_without_a_code_is_not_success(void **state)
{
	(void)state;
	fake_write(AT, 2, 0x3333);
	expect_end(EVENT_POWEROFF, 1);
}

static void reset_reboots(void **state)
{
	(void)state;
	fake_write(AT, 4, 0x7777);
	expect_end(EVENT_REBOOT, 0);
}

static void other_values_and_offsets_do_nothing(void **state)
{
	(void)state;
	fake_write(AT, 4, 0);
	fake_write(AT, 4, 0x1234);
	fake_write(AT + 4, 4, 0x5555);
	fake_write(AT + 2, 2, 0x5555);
	fake_write(AT + 0xffc, 4, 0x7777);
	assert_int_equal(fake.ends, 0);
}

static void it_reads_as_zero(void **state)
{
	(void)state;
	assert_int_equal(fake_read(AT, 4), 0);
	assert_int_equal(fake_read(AT + 0xffe, 2), 0);
}

static void bytes_and_double_words_fault(void **state)
{
	u64 val;

	(void)state;
	assert_int_equal(emul_write(&fake.guest, fake.vcpu[0],
				    (struct gpa){ AT }, 1, 0x55), EMUL_FAULT);
	assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
				   (struct gpa){ AT }, 8, &val), EMUL_FAULT);
}

static void its_node_is_a_syscon_too(void **state)
{
	static const char want[] = "sifive,test1\0sifive,test0\0syscon";
	struct emul_dev *dev = emul_find(&fake.guest, "finisher");

	(void)state;
	assert_int_equal(dev->ops->compatible_bytes, sizeof(want));
	assert_memory_equal(dev->ops->compatible, want, sizeof(want));
}

#define T(f) \
	cmocka_unit_test_setup_teardown(f, fake_devices_start, \
					fake_devices_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pass_powers_off_with_status_0),
		T(pass_ignores_a_code),
		T(a_16_bit_pass_powers_off),
		T(fail_powers_off_with_its_code),
		T(bits_beyond_the_access_are_no_code),
		T(fail_without_a_code_is_not_success),
		T(reset_reboots),
		T(other_values_and_offsets_do_nothing),
		T(it_reads_as_zero),
		T(bytes_and_double_words_fault),
		T(its_node_is_a_syscon_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
