/*
 * The lab parser: what it reads, what it refuses and in which words, and that
 * neither a broken tree nor a failing allocation leaves anything behind.
 */
/* sources: LAB GUEST_FDT tests/unit/fake_lab.c LIBFDT ZLIB */
#include "kernel/lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_lab.h"
#include "kernel/mem.h"

#define HEAD "/dts-v1/; / { compatible = \"rouse,lab\"; "
/* One guest g with what follows added. */
#define GUEST(more) HEAD "guests { g { memory = \"8M\"; kernel = \"k\"; " more \
	" }; }; };"
#define AT "lab: /guests/g: "

static void more_images(struct archive *images)
{
	static u8 big[3 << 20];
	size_t bytes;
	void *dtb = dts_compile("/dts-v1/; / { cpus { }; };", &bytes);

	archive_add(images, "big", big, sizeof(big));
	archive_add(images, "own.dtb", dtb, bytes);
	/* Its last name has no end. */
	((u8 *)dtb)[bytes - 1] = 'x';
	archive_add(images, "bad.dtb", dtb, bytes);
	free(dtb);
}

static int set_up(void **state)
{
	fake_env_init(more_images);
	return 0;
}

static int tear_down(void **state)
{
	fake_env_fini();
	return 0;
}

static struct lab *must_parse(const char *dts)
{
	struct lab_error err = { "" };
	struct lab *lab = NULL;
	size_t bytes;
	void *dtb = dts_compile(dts, &bytes);

	assert_non_null(dtb);
	if (lab_parse(dtb, bytes, &fake_env, &lab, &err))
		fail_msg("%s", err.text);
	free(dtb); /* a lab keeps nothing of its tree */
	return lab;
}

static void expect_error(const char *dts, const char *text)
{
	struct lab_error err = { "" };
	struct lab *lab = (struct lab *)&err;
	u64 live = obj_live_bytes();
	size_t bytes;
	void *dtb = dts_compile(dts, &bytes);

	if (!dtb)
		fail_msg("dtc refuses %s", dts);
	assert_int_equal(lab_parse(dtb, bytes, &fake_env, &lab, &err), -EINVAL);
	assert_string_equal(err.text, text);
	assert_null(lab);
	assert_int_equal(obj_live_bytes(), live);
	free(dtb);
}

static const char full_lab[] = HEAD
	"scheduler = \"credit\"; poweroff = \"when-done\"; seed = <42>; "
	"boot = \"guest list\", \"top\"; "
	"guests { linux0 { vcpus = <2>; memory = \"192M\"; kernel = \"k\"; "
	"initrd = \"i\"; bootargs = \"console=ttyS0\"; load = <0x80400000>; "
	"entry = <0x0 0x80400004>; weight = <512>; cap = <150>; "
	"priority = <7>; slice-us = <5000>; affinity = \"0,2-3\"; "
	"pin = <3 0>; wfi = \"poll\"; wfi-poll-us = <20>; "
	"populate = \"eager\"; on-poweroff = \"host-poweroff\"; "
	"on-reboot = \"stop\"; on-crash = \"restart\"; autostart; "
	"devices { uart { absent; }; "
	"rtc { reg-base = <0x0 0x200000>; irq = <12>; }; }; }; "
	"plain { memory = \"64M\"; kernel = \"k\"; dtb = \"own.dtb\"; }; }; };";

static void everything_in_the_binding_is_read(void **state)
{
	struct lab *lab = must_parse(full_lab);
	struct guest_config *g = lab->guests;

	assert_string_equal(lab->scheduler, "credit");
	assert_true(lab->poweroff_when_done);
	assert_true(lab->has_seed);
	assert_int_equal(lab->seed, 42);
	assert_int_equal(lab->boot_count, 2);
	assert_string_equal(lab->boot[0], "guest list");
	assert_string_equal(lab->boot[1], "top");
	assert_int_equal(lab->guest_count, 2);
	assert_string_equal(g->name, "linux0");
	assert_int_equal(g->vcpus, 2);
	assert_int_equal(g->memory_bytes, 192 * MIB);
	assert_string_equal(g->kernel, "k");
	assert_string_equal(g->initrd, "i");
	assert_string_equal(g->bootargs, "console=ttyS0");
	assert_true(g->has_load && g->has_entry);
	assert_int_equal(g->load.v, 0x80400000);
	assert_int_equal(g->entry.v, 0x80400004);
	assert_int_equal(g->sched.weight, 512);
	assert_int_equal(g->sched.cap, 150);
	assert_int_equal(g->sched.priority, 7);
	assert_int_equal(g->sched.slice_us, 5000);
	assert_true(g->has_affinity);
	assert_int_equal(g->affinity.w[0], 0xd);
	assert_int_equal(g->pin_count, 2);
	assert_int_equal(g->pin[0], 3);
	assert_int_equal(g->pin[1], 0);
	assert_int_equal(g->wfi, WFI_POLL);
	assert_int_equal(g->wfi_poll_us, 20);
	assert_true(g->eager);
	assert_int_equal(g->on_poweroff, ACTION_HOST_POWEROFF);
	assert_int_equal(g->on_reboot, ACTION_STOP);
	assert_int_equal(g->on_crash, ACTION_RESTART);
	assert_true(g->autostart);
	assert_string_equal(g->devices->name, "uart");
	assert_true(g->devices->absent);
	assert_false(g->devices->has_irq);
	assert_string_equal(g->devices->next->name, "rtc");
	assert_true(g->devices->next->has_base);
	assert_int_equal(g->devices->next->base.v, 0x200000);
	assert_int_equal(g->devices->next->irq, 12);
	lab_free(lab);
	assert_int_equal(obj_live_bytes(), 0);
}

static void what_is_not_said_has_its_default(void **state)
{
	struct lab *lab = must_parse(GUEST(""));
	struct guest_config *g = lab->guests;

	assert_null(lab->scheduler);
	assert_false(lab->poweroff_when_done);
	assert_false(lab->has_seed);
	assert_int_equal(g->vcpus, 1);
	assert_int_equal(g->ram_base.v, 0x80000000);
	assert_int_equal(g->sched.weight, 256);
	assert_int_equal(g->sched.cap, 0);
	assert_int_equal(g->sched.priority, 100);
	assert_int_equal(g->sched.slice_us, 10000);
	assert_false(g->has_affinity);
	assert_null(g->pin);
	assert_int_equal(g->wfi, WFI_TRAP);
	assert_int_equal(g->on_poweroff, ACTION_STOP);
	assert_int_equal(g->on_reboot, ACTION_RESTART);
	assert_int_equal(g->on_crash, ACTION_STOP);
	assert_false(g->autostart || g->eager || g->has_load || g->has_entry);
	assert_null(g->devices);
	lab_free(lab);
}

static void guests_keep_the_order_of_the_file(void **state)
{
	struct lab *lab = must_parse(HEAD "guests { "
		"b { memory = \"8M\"; kernel = \"k\"; }; "
		"a { memory = \"8M\"; kernel = \"k\"; }; "
		"c { memory = \"8M\"; kernel = \"k\"; }; }; };");

	assert_string_equal(lab->guests->name, "b");
	assert_string_equal(lab->guests->next->name, "a");
	assert_string_equal(lab->guests->next->next->name, "c");
	assert_null(lab->guests->next->next->next);
	lab_free(lab);
}

static void sizes_take_binary_units(void **state)
{
	static const struct {
		const char *dts;
		u64 bytes;
	} want[] = {
		{ GUEST("") , 8 * MIB },
		{ HEAD "guests { g { memory = \"1G\"; kernel = \"k\"; }; }; };",
		  GIB },
		{ HEAD "guests { g { memory = \"8192K\"; kernel = \"k\"; }; "
		  "}; };", 8 * MIB },
		{ HEAD "guests { g { memory = \"0x800000\"; kernel = \"k\"; }; "
		  "}; };", 8 * MIB },
	};

	for (u32 i = 0; i < ARRAY_LEN(want); i++) {
		struct lab *lab = must_parse(want[i].dts);

		assert_int_equal(lab->guests->memory_bytes, want[i].bytes);
		lab_free(lab);
	}
}

#define MEMORY(s) HEAD "guests { g { memory = " s "; kernel = \"k\"; }; }; };"

static void an_impossible_number_names_its_range(void **state)
{
	expect_error(GUEST("weight = <70000>;"),
		     AT "weight: 70000 is outside 1 to 65535");
	expect_error(GUEST("weight = <0>;"),
		     AT "weight: 0 is outside 1 to 65535");
	expect_error(GUEST("priority = <256>;"),
		     AT "priority: 256 is outside 0 to 255");
	expect_error(GUEST("slice-us = <99>;"),
		     AT "slice-us: 99 is outside 100 to 1000000");
	expect_error(GUEST("vcpus = <0>;"), AT "vcpus: 0 is outside 1 to 512");
	expect_error(GUEST("vcpus = <513>;"),
		     AT "vcpus: 513 is outside 1 to 512");
	expect_error(GUEST("wfi-poll-us = <0>;"),
		     AT "wfi-poll-us: 0 is outside 1 to 10000");
	expect_error(GUEST("cap = <101>;"),
		     AT "cap: 101 is more than 1 vCPU can use; "
		     "expected 0 to 100");
	expect_error(GUEST("vcpus = <2>; cap = <201>;"),
		     AT "cap: 201 is more than 2 vCPUs can use; "
		     "expected 0 to 200");
	expect_error(GUEST("entry = <0x80200001>;"),
		     AT "entry: 0x80200001 is not a multiple of 2");
}

static void memory_must_be_a_sensible_size(void **state)
{
	expect_error(MEMORY("\"0\""),
		     AT "memory: 0 is outside 1M to 131072G");
	expect_error(MEMORY("\"512K\""),
		     AT "memory: 512K is outside 1M to 131072G");
	expect_error(MEMORY("\"1048577\""),
		     AT "memory: 0x100001 is not a multiple of 4096");
	expect_error(MEMORY("\"8 M\""), AT "memory: \"8 M\" is no size; "
		     "expected one such as \"192M\"");
	expect_error(MEMORY("\"8MB\""), AT "memory: \"8MB\" is no size; "
		     "expected one such as \"192M\"");
	expect_error(MEMORY("\"99999999999999999999\""),
		     AT "memory: \"99999999999999999999\" is no size; "
		     "expected one such as \"192M\"");
	expect_error(MEMORY("\"18014398509481985K\""),
		     AT "memory: \"18014398509481985K\" is no size; "
		     "expected one such as \"192M\"");
	expect_error(MEMORY("<8>"), AT "memory: expected one string");
	expect_error(MEMORY("\"\""), AT "memory: is empty");
	expect_error(HEAD "guests { g { kernel = \"k\"; }; }; };",
		     AT "memory: is missing; expected a size such as "
		     "\"192M\"");
}

static void a_wrong_type_says_what_was_expected(void **state)
{
	/* Three digits and a zero are four bytes, as a cell. */
	expect_error(GUEST("weight = \"512\";"),
		     AT "weight: expected one cell, such as <1>");
	expect_error(GUEST("weight = [35 31 32 33];"),
		     AT "weight: 892416563 is outside 1 to 65535");
	expect_error(GUEST("weight = \"5120\";"),
		     AT "weight: expected one cell, such as <1>");
	expect_error(GUEST("weight = <1 2>;"),
		     AT "weight: expected one cell, such as <1>");
	expect_error(GUEST("weight;"),
		     AT "weight: expected one cell, such as <1>");
	expect_error(GUEST("load = <1 2 3>;"),
		     AT "load: expected one or two cells, such as "
		     "<0x0 0x80200000>");
	expect_error(GUEST("autostart = <1>;"), AT "autostart: takes no value");
	expect_error(GUEST("wfi = <1>;"), AT "wfi: expected one string");
	expect_error(GUEST("wfi = \"trap\", \"poll\";"),
		     AT "wfi: expected one string");
	expect_error(GUEST("bootargs = [61 62];"),
		     AT "bootargs: expected one string");
	expect_error(GUEST("pin = [00 01];"),
		     AT "pin: expected cells, such as <0 1>");
	expect_error(GUEST("initrd = \"\";"), AT "initrd: is empty");
	expect_error(HEAD "boot = \"top\", \"\"; guests { }; };",
		     "lab: /: boot: has an empty string");
	expect_error(HEAD "boot = [61]; guests { }; };",
		     "lab: /: boot: expected strings");
	expect_error(HEAD "scheduler = <1>; guests { }; };",
		     "lab: /: scheduler: expected one string");
}

static void a_word_must_be_one_of_its_list(void **state)
{
	expect_error(GUEST("wfi = \"sleep\";"),
		     AT "wfi: \"sleep\" is not trap, native or poll");
	expect_error(GUEST("populate = \"\";"), AT "populate: is empty");
	expect_error(GUEST("populate = \"laz\";"),
		     AT "populate: \"laz\" is not lazy or eager");
	expect_error(GUEST("on-crash = \"panic\";"), AT "on-crash: \"panic\" "
		     "is not stop, restart or host-poweroff");
	expect_error(HEAD "poweroff = \"now\"; guests { }; };",
		     "lab: /: poweroff: \"now\" is not never or when-done");
	expect_error(HEAD "scheduler = \"cfs\"; guests { }; };",
		     "lab: /: scheduler: there is no scheduler \"cfs\"");
}

static void an_unknown_property_or_node_is_an_error(void **state)
{
	expect_error(GUEST("wieght = <1>;"), AT "wieght: no such property; "
		     "there are vcpus, memory, kernel, initrd, dtb, bootargs, "
		     "load, entry, weight, cap, priority, slice-us, affinity, "
		     "pin, wfi, wfi-poll-us, populate, on-poweroff, on-reboot, "
		     "on-crash, autostart");
	expect_error(HEAD "policy = \"rr\"; guests { }; };",
		     "lab: /: policy: no such property; there are scheduler, "
		     "poweroff, seed, boot");
	expect_error(HEAD "chosen { }; };",
		     "lab: /: chosen: no such node; there is guests");
	expect_error(GUEST("cpus { };"),
		     AT "cpus: no such node; there is devices");
	expect_error(HEAD "guests { x = <1>; g { }; }; };",
		     "lab: /guests: x: no such property; guests has only "
		     "nodes");
	expect_error(GUEST("devices { x = <1>; };"), "lab: /guests/g/devices: "
		     "x: no such property; devices has only nodes");
	expect_error(GUEST("devices { gpu { }; };"), "lab: /guests/g/devices/"
		     "gpu: there is no such device");
	expect_error(GUEST("devices { rtc { a { }; }; };"), "lab: /guests/g/"
		     "devices/rtc: a: no such node; there is none below this "
		     "one");
	expect_error(GUEST("devices { rtc { line = <1>; }; };"), "lab: /guests/"
		     "g/devices/rtc: line: no such property; there are absent, "
		     "reg-base, irq");
}

static void a_device_is_moved_by_whole_pages_to_lines_that_exist(void **state)
{
#define RTC "lab: /guests/g/devices/rtc: "
	expect_error(GUEST("devices { rtc { irq = <1024>; }; };"),
		     RTC "irq: 1024 is outside 0 to 1023");
	expect_error(GUEST("devices { rtc { reg-base = <0x101001>; }; };"),
		     RTC "reg-base: 0x101001 is not a multiple of 4096");
	expect_error(GUEST("devices { rtc { absent = \"no\"; }; };"),
		     RTC "absent: takes no value");
}

static void the_frame_of_a_lab_must_be_there(void **state)
{
	expect_error("/dts-v1/; / { guests { }; };",
		     "lab: /: compatible: expected \"rouse,lab\"");
	expect_error("/dts-v1/; / { compatible = \"xen,lab\"; guests { }; };",
		     "lab: /: compatible: expected \"rouse,lab\"");
	expect_error(HEAD "};", "lab: /: guests: is missing; expected a node "
		     "with one node a guest");
	expect_error(HEAD "guests { }; };",
		     "lab: /guests: is empty; expected one node a guest");
	expect_error(HEAD "guests { g { memory = \"8M\"; }; }; };",
		     AT "kernel: is missing; expected the name of a file");
}

static void a_guest_has_a_name_that_can_be_typed(void **state)
{
	expect_error(HEAD "guests { g@1 { reg = <1>; }; }; };",
		     "lab: /guests/g@1: a name is made of letters, digits, - _ "
		     ". and starts with one of the first two");
	expect_error(HEAD "guests { -j { }; }; };",
		     "lab: /guests/-j: a name is made of letters, digits, - _ "
		     ". and starts with one of the first two");
	expect_error(HEAD "guests { abcdefghijklmnopqrstuvwxyz012345 { }; }; "
		     "};", "lab: /guests/abcdefghijklmnopqrstuvwxyz012345: "
		     "a name has 1 to 31 characters");
}

static void cpus_must_exist_and_pins_be_inside_affinity(void **state)
{
	expect_error(GUEST("affinity = \"0-4\";"),
		     AT "affinity: there is no CPU 4; there are CPUs 0 to 3");
	expect_error(GUEST("affinity = \"4294967296\";"),
		     AT "affinity: there is no CPU 4294967296; there are CPUs "
		     "0 to 3");
	expect_error(GUEST("affinity = \"3-1\";"), AT "affinity: \"3-1\" is no "
		     "list of CPUs; expected one such as \"0-3,6\"");
	expect_error(GUEST("affinity = \"0,,1\";"), AT "affinity: \"0,,1\" is "
		     "no list of CPUs; expected one such as \"0-3,6\"");
	expect_error(GUEST("affinity = \"0,\";"), AT "affinity: \"0,\" is "
		     "no list of CPUs; expected one such as \"0-3,6\"");
	expect_error(GUEST("pin = <4>;"),
		     AT "pin: there is no CPU 4; there are CPUs 0 to 3");
	expect_error(GUEST("pin = <0 1>;"), AT "pin: names 2 CPUs for 1 vCPU; "
		     "expected one CPU a vCPU");
	expect_error(GUEST("vcpus = <2>; pin = <0>;"),
		     AT "pin: names 1 CPU for 2 vCPUs; expected one CPU a "
		     "vCPU");
	expect_error(GUEST("affinity = \"1-2\"; pin = <0>;"),
		     AT "pin: CPU 0 is not in affinity");
}

/* No step of the console's is as long as a tree: the guest's start tells. */
static void of_a_tree_that_the_console_names_the_header_counts(void **state)
{
	static const char *const trees[] = { "own.dtb", "bad.dtb", "k" };

	for (u32 i = 0; i < ARRAY_LEN(trees); i++) {
		struct lab *lab = must_parse(GUEST(""));
		struct guest_config *cfg = lab->guests;
		struct lab_error err;
		char knob[16];

		snprintf(knob, sizeof(knob), "dtb=%s", trees[i]);
		assert_int_equal(lab_config_set(cfg, knob, false, &fake_env,
						&err), 0);
		assert_int_equal(lab_config_check(cfg, &fake_env, &err),
				 i < 2 ? 0 : -EINVAL);
		lab_free(lab);
	}
}

static void images_must_be_there_and_fit(void **state)
{
	expect_error(HEAD "guests { g { memory = \"8M\"; kernel = \"no\"; }; "
		     "}; };", AT "kernel: the lab's archive has no file "
		     "\"no\"");
	expect_error(GUEST("initrd = \"nope\";"),
		     AT "initrd: the lab's archive has no file \"nope\"");
	expect_error(GUEST("dtb = \"k\";"),
		     AT "dtb: \"k\" is no sound device tree");
	expect_error(GUEST("dtb = \"bad.dtb\";"),
		     AT "dtb: \"bad.dtb\" is no sound device tree");
	expect_error(HEAD "guests { g { memory = \"4M\"; kernel = \"big\"; }; "
		     "}; };", AT "memory: the kernel's 0x300000 bytes at "
		     "0x80200000 end outside RAM, 0x80000000 to 0x803fffff");
	expect_error(HEAD "guests { g { memory = \"5M\"; kernel = \"big\"; "
		     "initrd = \"big\"; }; }; };", AT "memory: 0x500000 bytes "
		     "leave no room for the initrd, 0x300000 bytes, beside the "
		     "kernel, 0x300000, in the first GiB");
	expect_error(GUEST("load = <0x1000>;"), AT "load: a flat image goes to "
		     "0x1000, outside RAM, 0x80000000 to 0x807fffff");
}

static void quoted_text_can_not_drive_the_terminal(void **state)
{
	expect_error(GUEST("wfi = \"\\x1b[2J\\x07\";"),
		     AT "wfi: \"?[2J?\" is not trap, native or poll");
}

static void a_tree_that_is_none_is_refused(void **state)
{
	struct lab_error err;
	struct lab *lab;
	u64 junk[16] = { 0 };

	assert_int_equal(lab_parse(junk, sizeof(junk), &fake_env, &lab, &err),
			 -EINVAL);
	assert_string_equal(err.text, "lab: lab.dtb is no sound device "
			    "tree");
	assert_int_equal(lab_parse(junk, 0, &fake_env, &lab, &err), -EINVAL);
}

/* dtc writes no such tree; libfdt's sequential calls do. */
static void names_that_repeat_are_errors(void **state)
{
	struct lab_error err;
	struct lab *lab;
	u64 fdt[256];

	for (u32 what = 0; what < 3; what++) {
		static const char *const want[] = {
			AT "vcpus: is there twice", AT "is there twice",
			"lab: /: guests: is there twice",
		};

		assert_int_equal(fdt_create(fdt, sizeof(fdt)), 0);
		fdt_finish_reservemap(fdt);
		fdt_begin_node(fdt, "");
		fdt_property_string(fdt, "compatible", "rouse,lab");
		fdt_begin_node(fdt, "guests");
		for (u32 i = 0; i < 2; i++) {
			fdt_begin_node(fdt, "g");
			fdt_property_string(fdt, "memory", "8M");
			fdt_property_string(fdt, "kernel", "k");
			fdt_property_u32(fdt, "vcpus", 1);
			if (what == 0)
				fdt_property_u32(fdt, "vcpus", 2);
			fdt_end_node(fdt);
		}
		fdt_end_node(fdt);
		if (what == 2) {
			fdt_begin_node(fdt, "guests");
			fdt_end_node(fdt);
		}
		fdt_end_node(fdt);
		assert_int_equal(fdt_finish(fdt), 0);
		assert_int_equal(lab_parse(fdt, fdt_totalsize(fdt), &fake_env,
					   &lab, &err), -EINVAL);
		assert_string_equal(err.text, want[what]);
		assert_int_equal(obj_live_bytes(), 0);
	}
}

static void no_changed_byte_of_a_tree_does_harm(void **state)
{
	static const u8 bad[] = { 0, 1, 0x7f, 0xff, 'a' };
	size_t bytes;
	u8 *dtb = dts_compile(full_lab, &bytes);
	struct lab_error err;
	struct lab *lab;

	for (size_t i = 0; i < bytes; i++) {
		u8 old = dtb[i];

		for (size_t j = 0; j < sizeof(bad); j++) {
			dtb[i] = bad[j];
			if (lab_parse(dtb, bytes, &fake_env, &lab, &err) == 0)
				lab_free(lab);
			assert_int_equal(obj_live_bytes(), 0);
		}
		dtb[i] = old;
	}
	for (size_t n = 0; n < bytes; n++) {
		u8 *cut = malloc(n + 1);

		memcpy(cut, dtb, n);
		assert_int_equal(lab_parse(cut, n, &fake_env, &lab, &err),
				 -EINVAL);
		free(cut);
	}
	free(dtb);
}

static void a_failing_allocation_leaks_nothing(void **state)
{
	size_t bytes;
	void *dtb = dts_compile(full_lab, &bytes);
	struct lab_error err;
	struct lab *lab;
	long n = 0;
	int ret;

	do {
		fake_alloc_limit(n++);
		ret = lab_parse(dtb, bytes, &fake_env, &lab, &err);
		assert_int_equal(ret, fake_alloc_failed() ? -ENOMEM : 0);
		assert_true(!ret || obj_live_bytes() == 0);
	} while (ret);
	assert_true(n > 15);
	fake_alloc_limit(-1);
	lab_free(lab);
	assert_int_equal(obj_live_bytes(), 0);
	free(dtb);
}

static void a_lab_is_found_in_its_archive_at_any_alignment(void **state)
{
	size_t bytes;
	void *dtb = dts_compile(GUEST(""), &bytes);

	for (u32 shift = 0; shift < 8; shift += 4) {
		struct archive a = { 0 };
		struct lab_env e = fake_env;
		struct lab_error err;
		struct cpio_file f;
		struct lab *lab;
		struct cpio c;

		/* Four bytes more shift what follows by half a word. */
		archive_add(&a, "pad", "1234", shift);
		archive_add(&a, "lab.dtb", dtb, bytes);
		archive_add(&a, "k", "flat", 4);
		c = archive_end(&a);
		e.images = &c;
		assert_int_equal(lab_open(&e, &lab, &err), 0);
		assert_int_equal(cpio_find(&c, "lab.dtb", &f), 0);
		lab_free(lab);
		archive_free(&a);
	}
	free(dtb);
}

static void an_archive_without_a_lab_says_how_to_get_one(void **state)
{
	struct lab_error err;
	struct lab *lab;
	struct lab_env e = fake_env;
	struct cpio junk = { "not an archive", 14 };

	assert_int_equal(lab_open(&e, &lab, &err), -EINVAL);
	assert_string_equal(err.text, "lab: the initrd has no file lab.dtb; "
			    "`make lab` packs one");
	e.images = &junk;
	assert_int_equal(lab_open(&e, &lab, &err), -EINVAL);
	assert_string_equal(err.text, "lab: the initrd is no sound cpio "
			    "archive (newc); `make lab` packs one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_in_the_binding_is_read),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(guests_keep_the_order_of_the_file),
		cmocka_unit_test(sizes_take_binary_units),
		cmocka_unit_test(an_impossible_number_names_its_range),
		cmocka_unit_test(memory_must_be_a_sensible_size),
		cmocka_unit_test(a_wrong_type_says_what_was_expected),
		cmocka_unit_test(a_word_must_be_one_of_its_list),
		cmocka_unit_test(an_unknown_property_or_node_is_an_error),
		cmocka_unit_test(
			a_device_is_moved_by_whole_pages_to_lines_that_exist),
		cmocka_unit_test(the_frame_of_a_lab_must_be_there),
		cmocka_unit_test(a_guest_has_a_name_that_can_be_typed),
		cmocka_unit_test(cpus_must_exist_and_pins_be_inside_affinity),
		cmocka_unit_test(images_must_be_there_and_fit),
		cmocka_unit_test(
			of_a_tree_that_the_console_names_the_header_counts),
		cmocka_unit_test(quoted_text_can_not_drive_the_terminal),
		cmocka_unit_test(a_tree_that_is_none_is_refused),
		cmocka_unit_test(names_that_repeat_are_errors),
		cmocka_unit_test(no_changed_byte_of_a_tree_does_harm),
		cmocka_unit_test(a_failing_allocation_leaks_nothing),
		cmocka_unit_test(
			a_lab_is_found_in_its_archive_at_any_alignment),
		cmocka_unit_test(an_archive_without_a_lab_says_how_to_get_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
