/* sources: emul/bus.c emul/devices.c kernel/config.c
 *          tests/unit/fake_emul.c tests/unit/fake_trace.c */
#include <string.h>

#include "tests/unit/fake_emul.h"

/*
 * Devices of the test's own: a controller, another one that the lab leaves out,
 * and two plain ones, "low" with a state and "high" with some widths only.
 */
static struct {
	char calls[64]; /* a letter for each init, fini and reset, in order */
	struct emul_dev *dev;
	u64 off, val;
	u32 width;
	u32 line;
	bool level;
	int init_high;
} seen;

static void note(char c)
{
	size_t n = strlen(seen.calls);

	assert_true(n + 1 < sizeof(seen.calls));
	seen.calls[n] = c;
}

static u64 any_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width)
{
	assert_ptr_equal(v, fake.vcpu[0]);
	seen.dev = dev;
	seen.off = off;
	seen.width = width;
	return 0x1122334455667788;
}

static void any_write(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		      u64 val)
{
	assert_ptr_equal(v, fake.vcpu[0]);
	seen.dev = dev;
	seen.off = off;
	seen.width = width;
	seen.val = val;
}

/* The controller's ends of its lines, by number, and of its vCPUs' pins. */
static struct end {
	struct emul_line line;
	struct emul_pin pin;
	struct emul_dev *dev;
} ends[64];

static void chip_set(struct emul_line *line, bool level)
{
	struct end *e = container_of(line, struct end, line);

	seen.dev = e->dev;
	seen.line = e - ends;
	seen.level = level;
}

static bool chip_eval(struct emul_pin *pin)
{
	struct end *e = container_of(pin, struct end, pin);

	seen.dev = e->dev;
	return e == &ends[0];
}

static struct emul_line *chip_line(struct emul_dev *dev, struct emul_dev *of)
{
	struct end *e = &ends[of->irq];

	*e = (struct end){ .line = { chip_set }, .dev = dev };
	return &e->line;
}

static struct emul_pin *chip_pin(struct emul_dev *dev, struct vcpu *v)
{
	struct end *e = &ends[v->id];

	e->pin = (struct emul_pin){ .eval = chip_eval };
	e->dev = dev;
	return &e->pin;
}

static void chip_reset(struct emul_dev *dev)
{
	(void)dev;
	note('c');
}

static int low_init(struct emul_dev *dev)
{
	assert_non_null(dev->state);
	assert_int_equal(*(u64 *)dev->state, 0);
	note('l');
	return 0;
}

static void low_fini(struct emul_dev *dev)
{
	(void)dev;
	note('x');
}

static void low_reset(struct emul_dev *dev)
{
	(void)dev;
	note('r');
}

static int high_init(struct emul_dev *dev)
{
	(void)dev;
	note('h');
	return seen.init_high;
}

static void high_reset(struct emul_dev *dev)
{
	(void)dev;
	note('R');
}

static const struct emul_ops chip_ops = {
	.name = "chip", .base = { 0x0c000000 }, .bytes = 0x600000,
	.widths = EMUL_W32, .lines = 64, .read = any_read, .write = any_write,
	.line = chip_line, .pin = chip_pin, .reset = chip_reset,
};

static const struct emul_ops chip2_ops = {
	.name = "chip2", .base = { 0x0d000000 }, .bytes = 0x1000,
	.widths = EMUL_W32, .lines = 8, .read = any_read, .write = any_write,
	.line = chip_line, .pin = chip_pin,
};

static const struct emul_ops high_ops = {
	.name = "high", .base = { 0x10000000 }, .bytes = 0x100,
	.widths = EMUL_W8 | EMUL_W32, .irq = 10, .read = any_read,
	.write = any_write, .init = high_init, .reset = high_reset,
};

static const struct emul_ops low_ops = {
	.name = "low", .base = { 0x100000 }, .bytes = 0x1000, .irq = 11,
	.widths = EMUL_W8 | EMUL_W16 | EMUL_W32 | EMUL_W64, .state_bytes = 24,
	.read = any_read, .write = any_write, .init = low_init,
	.fini = low_fini, .reset = low_reset,
};

EMUL_DEVICE(high_ops);
EMUL_DEVICE(chip_ops);
EMUL_DEVICE(low_ops);
EMUL_DEVICE(chip2_ops);

/* What the lab says, to be changed by a test before emul_create. */
static struct lab_error why;
static struct device_config chip2_cfg, low_cfg, high_cfg, chip_cfg;

static int start(void **state)
{
	(void)state;
	fake_start(1);
	memset(&seen, 0, sizeof(seen));
	chip2_cfg = (struct device_config){ .name = "chip2", .absent = true,
					    .next = &low_cfg };
	low_cfg = (struct device_config){ .name = "low", .next = &high_cfg };
	high_cfg = (struct device_config){ .name = "high", .next = &chip_cfg };
	chip_cfg = (struct device_config){ .name = "chip" };
	fake.guest.cfg.devices = &chip2_cfg;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	emul_destroy(&fake.guest);
	assert_int_equal(fake.live, 0);
	assert_null(fake.guest.devices);
	assert_null(fake.guest.irqchip);
	fake_stop();
	return 0;
}

static void create(void)
{
	assert_int_equal(emul_create(&fake.guest, &why), 0);
	emul_reset(&fake.guest);
}

static void refused(const char *what)
{
	assert_int_equal(emul_create(&fake.guest, &why), -EINVAL);
	assert_ptr_equal(strstr(why.text, "box: devices: "), why.text);
	assert_non_null(strstr(why.text, what));
	assert_string_equal(fake.log, "");
	assert_int_equal(fake.live, 0);
	assert_int_equal(fake.guest.device_count, 0);
}

static void reads_as(u64 at, const char *name, u64 off)
{
	assert_int_equal(fake_read(at, 4), 0x55667788);
	assert_string_equal(seen.dev->ops->name, name);
	assert_int_equal(seen.off, off);
	assert_int_equal(seen.width, 4);
}

static void faults(u64 at, u32 width)
{
	u64 val;

	seen.dev = NULL;
	assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
				   (struct gpa){ at }, width, &val),
			 EMUL_FAULT);
	assert_int_equal(emul_write(&fake.guest, fake.vcpu[0],
				    (struct gpa){ at }, width, 0), EMUL_FAULT);
	assert_null(seen.dev);
}

static void an_access_reaches_the_device_at_its_address(void **state)
{
	(void)state;
	create();
	reads_as(0x100000, "low", 0);
	reads_as(0x100ffc, "low", 0xffc);
	reads_as(0x0c000000, "chip", 0);
	reads_as(0x0c5ffffc, "chip", 0x5ffffc);
	reads_as(0x10000000, "high", 0);
	reads_as(0x100000fc, "high", 0xfc);
	fake_write(0x100008, 8, 0x8877665544332211);
	assert_string_equal(seen.dev->ops->name, "low");
	assert_int_equal(seen.off, 8);
	assert_int_equal(seen.width, 8);
	assert_int_equal(seen.val, 0x8877665544332211);
}

static void an_access_outside_of_windows_faults(void **state)
{
	static const u64 at[] = {
		0, 0xffffc, 0x101000, 0x0bfffffc, 0x0c600000, 0x0ffffffc,
		0x10000100, 0x80000000, UINT64_MAX - 3,
	};

	(void)state;
	create();
	for (u32 i = 0; i < ARRAY_LEN(at); i++)
		faults(at[i], 4);
}

static void a_width_that_a_device_lacks_faults(void **state)
{
	(void)state;
	create();
	faults(0x10000000, 2);
	faults(0x10000000, 8);
	faults(0x0c000000, 1);
	fake_read(0x10000000, 1);
	fake_read(0x10000000, 4);
}

static void a_misaligned_access_faults(void **state)
{
	(void)state;
	create();
	faults(0x100001, 2);
	faults(0x100002, 4);
	faults(0x100004, 8);
	faults(0x0c000001, 4);
	fake_read(0x100001, 1);
	fake_read(0x100002, 2);
}

static void a_read_is_cut_to_its_width(void **state)
{
	(void)state;
	create();
	assert_int_equal(fake_read(0x100000, 1), 0x88);
	assert_int_equal(fake_read(0x100000, 2), 0x7788);
	assert_int_equal(fake_read(0x100000, 4), 0x55667788);
	assert_int_equal(fake_read(0x100000, 8), 0x1122334455667788);
}

static const char *guessed(u64 at)
{
	struct emul_dev *d = emul_slot(&fake.guest, EMUL_SLOT(at));

	return d == &emul_nowhere ? "none" : d->ops->name;
}

static void a_device_is_guessed_by_its_address(void **state)
{
	(void)state;
	chip_cfg.has_base = true;
	chip_cfg.base.v = 0x0e000000;
	create();
	assert_string_equal(guessed(0x100000), "low");
	assert_string_equal(guessed(0x0e000000), "chip");
	assert_string_equal(guessed(0x10ffffff), "high");
	assert_string_equal(guessed(0x12000000), "none");
	assert_string_equal(guessed(0x0c000000), "none");
}

static void a_window_across_slots_is_in_both(void **state)
{
	(void)state;
	chip_cfg.has_base = true;
	chip_cfg.base.v = 0x0ec00000;
	create();
	assert_string_equal(guessed(0x0e000000), "chip");
	assert_string_equal(guessed(0x0f000000), "chip");
	assert_string_equal(guessed(0x0d000000), "none");
}

static void the_controller_is_the_first_guess(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x0cfff000;
	create();
	assert_string_equal(guessed(0x0cfff000), "chip");
}

/* Each guess is either what the search finds, or refused. */
static void a_guess_is_right_or_refused(void **state)
{
	static const u64 at[] = {
		0, 0xffffc, 0x100000, 0x100001, 0x100002, 0x100004, 0x100ffc,
		0x101000, 0x0bfffffc, 0x0c000000, 0x0c000002, 0x0c5ffffc,
		0x0c600000, 0x0ffffffc, 0x10000000, 0x10000001, 0x100000fc,
		0x10000100, 0x2c000000, 0x30000000, 0x8c000000, UINT64_MAX - 3,
	};
	u64 val;

	(void)state;
	create();
	for (u32 i = 0; i < ARRAY_LEN(at) * 4; i++) {
		u64 a = at[i / 4];
		u32 shift = i % 4;
		struct emul_dev *d = emul_slot(&fake.guest, EMUL_SLOT(a));
		bool yes = emul_accepts(d, a - d->base.v, shift);

		seen.dev = NULL;
		assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
					   (struct gpa){ a }, 1u << shift,
					   &val),
				 yes ? EMUL_DONE : EMUL_FAULT);
		assert_ptr_equal(seen.dev, yes ? d : NULL);
	}
}

static void devices_are_in_order_of_address(void **state)
{
	struct emul_dev *d;
	u64 last = 0;
	u32 n = 0;

	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x30000000;
	create();
	for (d = fake.guest.devices; d; d = d->next, n++) {
		assert_true(d->base.v > last);
		assert_ptr_equal(d, &fake.guest.devices[n]);
		last = d->base.v;
	}
	assert_int_equal(n, 3);
	assert_int_equal(n, fake.guest.device_count);
	assert_string_equal(fake.guest.irqchip->ops->name, "chip");
}

static void a_device_is_found_by_name(void **state)
{
	(void)state;
	create();
	assert_string_equal(emul_find(&fake.guest, "high")->ops->name, "high");
	assert_null(emul_find(&fake.guest, "chip2"));
	assert_null(emul_find(&fake.guest, "nothing"));
	assert_true(emul_exists("chip2"));
	assert_false(emul_exists("nothing"));
}

static void a_device_left_out_is_not_there(void **state)
{
	(void)state;
	low_cfg.absent = true;
	create();
	assert_null(emul_find(&fake.guest, "low"));
	faults(0x100000, 4);
	reads_as(0x10000000, "high", 0);
}

static void a_guest_may_have_no_device(void **state)
{
	(void)state;
	low_cfg.absent = high_cfg.absent = chip_cfg.absent = true;
	create();
	assert_int_equal(fake.guest.device_count, 0);
	faults(0x100000, 4);
	assert_false(emul_eval(fake.vcpu[0]));
}

static void a_device_moves_where_the_lab_says(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0;
	high_cfg.has_irq = true;
	high_cfg.irq = 63;
	create();
	faults(0x100000, 4);
	reads_as(0, "low", 0);
	assert_int_equal(emul_find(&fake.guest, "low")->irq, 11);
	assert_int_equal(emul_find(&fake.guest, "high")->irq, 63);
	reads_as(0x10000000, "high", 0);
}

static void windows_may_touch(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x0c600000;
	high_cfg.has_base = true;
	high_cfg.base.v = 0x84000000; /* behind 64 MiB of RAM */
	create();
	reads_as(0x0c5ffffc, "chip", 0x5ffffc);
	reads_as(0x0c600000, "low", 0);
	reads_as(0x84000000, "high", 0);
}

static void windows_must_not_overlap(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x0c5ff000;
	refused("low at 0xc5ff000 overlaps chip");
	low_cfg.base.v = 0x10000000;
	refused("overlaps");
}

static void a_window_must_not_overlap_ram(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x83fff000;
	refused("low at 0x83fff000 overlaps memory");
	low_cfg.base.v = 0x80000000;
	refused("memory");
	low_cfg.has_base = false;
	fake.guest.cfg.ram_base.v = 0x0f000000;
	refused("high at 0x10000000 overlaps memory");
}

static void a_window_starts_on_a_page_and_does_not_wrap(void **state)
{
	(void)state;
	low_cfg.has_base = true;
	low_cfg.base.v = 0x100800;
	refused("low");
	low_cfg.base.v = UINT64_MAX - 0xfff;
	refused("low");
}

static void a_name_that_no_device_has_is_refused(void **state)
{
	(void)state;
	high_cfg.name = "hihg";
	refused("hihg");
}

static void a_line_is_one_device_s_alone(void **state)
{
	(void)state;
	low_cfg.has_irq = true;
	low_cfg.irq = 10;
	refused("irq 10");
}

static void a_line_must_exist(void **state)
{
	(void)state;
	low_cfg.has_irq = true;
	low_cfg.irq = 64;
	refused("1 to 63");
}

static void who_raises_none_has_no_line(void **state)
{
	(void)state;
	chip_cfg.has_irq = true;
	chip_cfg.irq = 3;
	refused("chip can't have irq 3");
	chip_cfg.irq = 0;
	create();
}

static void two_controllers_are_refused(void **state)
{
	(void)state;
	chip2_cfg.absent = false;
	refused("chip2");
}

static void a_line_s_level_goes_to_the_controller(void **state)
{
	(void)state;
	create();
	emul_irq_set(emul_find(&fake.guest, "low"), true);
	assert_ptr_equal(seen.dev, fake.guest.irqchip);
	assert_int_equal(seen.line, 11);
	assert_true(seen.level);
	emul_irq_set(emul_find(&fake.guest, "low"), false);
	assert_false(seen.level);
	assert_true(emul_eval(fake.vcpu[0]));
}

static void a_device_without_a_line_disturbs_nobody(void **state)
{
	(void)state;
	low_cfg.has_irq = high_cfg.has_irq = true;
	create();
	emul_irq_set(emul_find(&fake.guest, "low"), true);
	assert_null(seen.dev);
}

static void without_a_controller_there_are_no_lines(void **state)
{
	(void)state;
	chip_cfg.absent = true;
	low_cfg.has_irq = true;
	low_cfg.irq = 10;
	create();
	assert_int_equal(emul_find(&fake.guest, "low")->irq, 0);
	emul_irq_set(emul_find(&fake.guest, "low"), true);
	assert_false(emul_eval(fake.vcpu[0]));
	reads_as(0x10000000, "high", 0);
}

static void devices_are_made_in_order_and_reset_chip_last(void **state)
{
	(void)state;
	create();
	assert_string_equal(seen.calls, "lhrRc");
	emul_reset(&fake.guest);
	assert_string_equal(seen.calls, "lhrRcrRc");
	emul_destroy(&fake.guest);
	assert_string_equal(seen.calls, "lhrRcrRcx");
}

static void a_device_that_fails_undoes_those_before(void **state)
{
	(void)state;
	seen.init_high = -ENOMEM;
	assert_int_equal(emul_create(&fake.guest, &why), -ENOMEM);
	assert_string_equal(seen.calls, "lhx");
	assert_int_equal(fake.live, 0);
	assert_null(fake.guest.devices);
}

static void no_memory_leaves_nothing_behind(void **state)
{
	int err = -ENOMEM;

	(void)state;
	for (int left = 0; err; left++) {
		fake.allocs_left = left;
		err = emul_create(&fake.guest, &why);
		assert_true(left < 2 ? err == -ENOMEM : !err);
		if (err)
			assert_int_equal(fake.live, 0);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_access_reaches_the_device_at_its_address),
		T(an_access_outside_of_windows_faults),
		T(a_width_that_a_device_lacks_faults),
		T(a_misaligned_access_faults),
		T(a_read_is_cut_to_its_width),
		T(a_device_is_guessed_by_its_address),
		T(a_window_across_slots_is_in_both),
		T(the_controller_is_the_first_guess),
		T(a_guess_is_right_or_refused),
		T(devices_are_in_order_of_address),
		T(a_device_is_found_by_name),
		T(a_device_left_out_is_not_there),
		T(a_guest_may_have_no_device),
		T(a_device_moves_where_the_lab_says),
		T(windows_may_touch),
		T(windows_must_not_overlap),
		T(a_window_must_not_overlap_ram),
		T(a_window_starts_on_a_page_and_does_not_wrap),
		T(a_name_that_no_device_has_is_refused),
		T(a_line_is_one_device_s_alone),
		T(a_line_must_exist),
		T(who_raises_none_has_no_line),
		T(two_controllers_are_refused),
		T(a_line_s_level_goes_to_the_controller),
		T(a_device_without_a_line_disturbs_nobody),
		T(without_a_controller_there_are_no_lines),
		T(devices_are_made_in_order_and_reset_chip_last),
		T(a_device_that_fails_undoes_those_before),
		T(no_memory_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
