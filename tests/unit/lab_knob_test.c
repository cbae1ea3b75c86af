/*
 * Knobs at the console: the same rows, checks and words as in the lab; and that
 * the documentation and the labs that come along keep to the binding.
 */
/* sources: LAB GUEST_FDT tests/unit/fake_lab.c LIBFDT ZLIB */
#include "kernel/lab.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_lab.h"
#include "kernel/mem.h"

static bool any_name(const char *name)
{
	return name[0];
}

static int set_up(void **state)
{
	fake_env_init(NULL);
	fake_env.policy_exists = any_name;
	return 0;
}

static int tear_down(void **state)
{
	fake_env_fini();
	return 0;
}

/* A configuration with everything set. */
static void full_config(struct guest_config *cfg)
{
	static const char *const knobs[] = {
		"vcpus=2", "memory=192M", "kernel=k", "initrd=i",
		"bootargs=console=ttyS0", "load=0x80400000",
		"entry=0x80400004", "weight=512", "cap=150", "priority=7",
		"slice-us=5000", "affinity=0,2-3", "pin=3,0", "wfi=poll",
		"wfi-poll-us=20", "populate=eager", "on-poweroff=host-poweroff",
		"on-reboot=stop", "on-crash=restart", "autostart",
		"uart.absent", "rtc.irq=12",
	};
	struct lab_error err;

	assert_int_equal(lab_config_init(cfg, "linux0", &err), 0);
	for (u32 i = 0; i < ARRAY_LEN(knobs); i++)
		if (lab_config_set(cfg, knobs[i], false, &fake_env, &err))
			fail_msg("%s", err.text);
	if (lab_config_check(cfg, &fake_env, &err))
		fail_msg("%s", err.text);
}

static void the_ends_of_a_range_are_inside_it(void **state)
{
	static const char *const good[] = {
		"weight=1", "weight=65535", "priority=0", "priority=255",
		"slice-us=100", "slice-us=1000000", "vcpus=512", "cap=51200",
		"wfi-poll-us=10000", "memory=1M", "rtc.irq=1023", "rtc.irq=0",
	};
	struct guest_config cfg;
	struct lab_error err;

	assert_int_equal(lab_config_init(&cfg, "c", &err), 0);
	for (u32 i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(lab_config_set(&cfg, good[i], false, &fake_env,
						&err), 0);
	lab_config_fini(&cfg);
}

static struct guest_config *new_config(struct guest_config *cfg)
{
	struct lab_error err;

	assert_int_equal(lab_config_init(cfg, "c0", &err), 0);
	assert_int_equal(
		lab_config_set(cfg, "memory=8M", false, &fake_env, &err), 0);
	assert_int_equal(
		lab_config_set(cfg, "kernel=k", false, &fake_env, &err), 0);
	assert_int_equal(lab_config_check(cfg, &fake_env, &err), 0);
	return cfg;
}

static void refuses(struct guest_config *cfg, const char *knob, bool live,
		    const char *text)
{
	struct lab_error err;

	assert_int_equal(lab_config_set(cfg, knob, live, &fake_env, &err),
			 -EINVAL);
	assert_string_equal(err.text, text);
}

static void the_console_sets_the_same_knobs_in_the_same_words(void **state)
{
	static const char *const good[] = {
		"weight=512", "cap=0x10", "priority=1", "slice-us=100",
		"affinity=1-3", "pin=1", "wfi=native", "wfi-poll-us=1",
		"on-crash=restart", "autostart", "autostart=off", "pin=none",
		"affinity=all",
	};
	struct guest_config cfg;
	struct lab_error err;

	new_config(&cfg);
	for (u32 i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(lab_config_set(&cfg, good[i], true, &fake_env,
						&err), 0);
	assert_int_equal(cfg.sched.weight, 512);
	assert_int_equal(cfg.sched.cap, 16);
	assert_int_equal(cfg.wfi, WFI_NATIVE);
	assert_false(cfg.autostart || cfg.has_affinity);
	assert_null(cfg.pin);
	assert_int_equal(cfg.pin_count, 0);

	refuses(&cfg, "weight=70000", true,
		"c0: weight: 70000 is outside 1 to 65535");
	refuses(&cfg, "weight=4294967297", true,
		"c0: weight: 4294967297 is outside 1 to 65535");
	refuses(&cfg, "weight=5x", true, "c0: weight: \"5x\" is not a number");
	refuses(&cfg, "weight=", true, "c0: weight: \"\" is not a number");
	refuses(&cfg, "weight", true,
		"c0: weight: expected a value, as in weight=...");
	refuses(&cfg, "autostart=yes", true, "c0: autostart: expected on or "
		"off");
	refuses(&cfg, "wfi=", true, "c0: wfi: \"\" is not trap, native or "
		"poll");
	refuses(&cfg, "pin=0,", true, "c0: pin: expected one CPU a vCPU, such "
		"as 0,1, or none");
	refuses(&cfg, "pin=", true, "c0: pin: expected one CPU a vCPU, such "
		"as 0,1, or none");
	refuses(&cfg, "pin=0,7", true, "c0: pin: there is no CPU 7; there are "
		"CPUs 0 to 3");
	refuses(&cfg, "memory=16M", true, "c0: memory: can't change while the "
		"guest runs");
	refuses(&cfg, "gpu.irq=1", false,
		"c0: gpu.irq: there is no device \"gpu\"");
	refuses(&cfg, "rtc.x=1", false, "c0: rtc.x: a device has no such knob; "
		"it has absent, reg-base, irq");
	assert_int_equal(cfg.sched.weight, 512);
	lab_config_fini(&cfg);
	assert_int_equal(obj_live_bytes(), 0);
}

static void a_device_is_set_from_the_console(void **state)
{
	struct guest_config cfg;
	struct lab_error err;
	char text[32];

	new_config(&cfg);
	assert_int_equal(
		lab_config_set(&cfg, "rtc.irq=12", false, &fake_env, &err), 0);
	assert_int_equal(
		lab_config_set(&cfg, "uart.absent", false, &fake_env, &err), 0);
	assert_int_equal(
		lab_config_set(&cfg, "rtc.irq=13", false, &fake_env, &err), 0);
	assert_string_equal(cfg.devices->name, "rtc");
	assert_int_equal(cfg.devices->irq, 13);
	assert_true(cfg.devices->next->absent);
	assert_null(cfg.devices->next->next);
	assert_int_equal(lab_knob_show(&cfg, "rtc.irq", text, sizeof(text)), 0);
	assert_string_equal(text, "13");
	assert_int_equal(lab_knob_show(&cfg, "rtc.no", text, sizeof(text)),
			 -ENOENT);
	lab_config_fini(&cfg);
	assert_int_equal(obj_live_bytes(), 0);
}

static void a_copy_is_deep_or_not_there(void **state)
{
	struct guest_config full, copy;
	long n = 0;
	u64 live;
	int ret;

	full_config(&full);
	live = obj_live_bytes();
	do {
		fake_alloc_limit(n++);
		ret = lab_config_copy(&copy, &full);
		assert_int_equal(ret, fake_alloc_failed() ? -ENOMEM : 0);
		assert_true(!ret || obj_live_bytes() == live);
	} while (ret);
	fake_alloc_limit(-1);
	lab_config_fini(&full);
	assert_string_equal(copy.name, "linux0");
	assert_string_equal(copy.bootargs, "console=ttyS0");
	assert_int_equal(copy.pin[0], 3);
	assert_string_equal(copy.devices->next->name, "rtc");
	assert_null(copy.next);
	lab_config_fini(&copy);
	assert_int_equal(obj_live_bytes(), 0);
}

/* Every knob's value, shown and set again, stays what it is. */
static void shown_values_can_be_set_again(void **state)
{
	static const char *const knobs[] = {
		"vcpus", "memory", "kernel", "initrd", "bootargs", "load",
		"entry", "weight", "cap", "priority", "slice-us", "affinity",
		"pin", "wfi", "wfi-poll-us", "populate", "on-poweroff",
		"on-reboot", "on-crash", "autostart",
	};
	struct guest_config full, *g = &full;
	struct lab_error err;

	full_config(g);
	for (u32 i = 0; i < ARRAY_LEN(knobs); i++) {
		char a[64], b[64], set[128];

		assert_int_equal(lab_knob_show(g, knobs[i], a, sizeof(a)), 0);
		assert_true(a[0]);
		snprintf(set, sizeof(set), "%s=%s", knobs[i], a);
		if (lab_config_set(g, set, false, &fake_env, &err))
			fail_msg("%s", err.text);
		assert_int_equal(lab_knob_show(g, knobs[i], b, sizeof(b)), 0);
		assert_string_equal(a, b);
	}
	/* Cut short, but terminated. */
	assert_int_equal(lab_knob_show(g, "affinity", (char[3]){ 0 }, 3), 0);
	lab_config_fini(g);
}

static void show_knob(void *arg, const char *name, bool live,
		      const char *takes)
{
	const char *doc = arg;
	char quoted[64];

	/* A device's rows come as DEVICE.irq and are documented as irq. */
	if (!strncmp(name, "DEVICE.", 7))
		name += 7;
	snprintf(quoted, sizeof(quoted), "`%s`", name);
	if (!strstr(doc, quoted))
		fail_msg("docs/lab.md says nothing of %s", quoted);
	assert_true(takes[0]);
}

static void the_documentation_names_every_knob(void **state)
{
	static char doc[65536];
	FILE *f = fopen("docs/lab.md", "r");

	assert_non_null(f);
	assert_true(fread(doc, 1, sizeof(doc) - 1, f) > 1000);
	fclose(f);
	for (u32 n = 0; lab_knob_nth(n, show_knob, doc);)
		n++;
}

static char *file_text(const char *name)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(name, "r");

	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

/* Every file that the tree names, with a few bytes in it. */
static struct cpio stand_ins(struct archive *a, const void *fdt)
{
	static const char *const props[] = { "kernel", "initrd", "dtb" };
	int node = -1;

	while ((node = fdt_next_node(fdt, node, NULL)) >= 0)
		for (u32 i = 0; i < ARRAY_LEN(props); i++) {
			const char *s = fdt_getprop(fdt, node, props[i], NULL);

			if (s)
				archive_add(a, s, "stand-in", 8);
		}
	return archive_end(a);
}

static void every_lab_that_comes_along_is_valid_on_two_cpus(void **state)
{
	struct lab_env e = { .cpu_count = 2, .policy_exists = any_name,
			     .device_exists = any_name };
	glob_t found;

	assert_int_equal(glob("guests/labs/*.dts", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *text = file_text(found.gl_pathv[i]);
		struct archive a = { 0 };
		struct lab_error err;
		struct lab *lab;
		struct cpio c;
		size_t bytes;
		void *dtb = dts_compile(text, &bytes);

		if (!dtb)
			fail_msg("dtc refuses %s", found.gl_pathv[i]);
		c = stand_ins(&a, dtb);
		e.images = &c;
		if (lab_parse(dtb, bytes, &e, &lab, &err))
			fail_msg("%s: %s", found.gl_pathv[i], err.text);
		lab_free(lab);
		archive_free(&a);
		free(dtb);
		free(text);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ends_of_a_range_are_inside_it),
		cmocka_unit_test(
			the_console_sets_the_same_knobs_in_the_same_words),
		cmocka_unit_test(a_device_is_set_from_the_console),
		cmocka_unit_test(a_copy_is_deep_or_not_there),
		cmocka_unit_test(shown_values_can_be_set_again),
		cmocka_unit_test(the_documentation_names_every_knob),
		cmocka_unit_test(
			every_lab_that_comes_along_is_valid_on_two_cpus),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
