/*
 * Images: recognised, laid out, loaded in steps; and those that lie.
 *
 * The guest here is a piece of malloc'd memory of exactly the RAM's size, so a
 * byte outside RAM is a byte that the address sanitizer reports, and every
 * write is counted against the step's budget.
 */
/* sources: kernel/image.c kernel/image_plan.c kernel/image_kind.c
 *	kernel/image_gunzip.c kernel/config.c kernel/cpio.c
 *	tests/unit/fake_lab.c ZLIB */
#include "kernel/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_lab.h"
#include "kernel/guest.h"
#include "kernel/mem.h"

#define BASE 0x80000000ULL

static struct {
	u8 *ram;
	u64 bytes;
	u64 step_bytes; /* written in this step */
	bool broken;    /* there are no frames */
} fake;

static u8 *fake_at(struct gpa at, u64 len)
{
	fake.step_bytes += len;
	if (fake.broken || at.v < BASE || at.v - BASE > fake.bytes ||
	    len > fake.bytes - (at.v - BASE))
		return NULL;
	return fake.ram + (at.v - BASE);
}

int guest_write(struct guest *g, struct gpa at, const void *buf, size_t len)
{
	u8 *p = fake_at(at, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

int guest_fill(struct guest *g, struct gpa at, u8 byte, u64 len)
{
	u8 *p = fake_at(at, len);

	if (!p)
		return -EFAULT;
	memset(p, byte, len);
	return 0;
}

/* A guest with that much RAM, dirty everywhere. */
static struct guest_config with_ram(u64 bytes)
{
	free(fake.ram);
	fake.ram = malloc(bytes);
	assert_non_null(fake.ram);
	memset(fake.ram, 0xee, bytes);
	fake.bytes = bytes;
	fake.broken = false;
	return (struct guest_config){ .name = "g", .kernel = "kernel",
				      .ram_base = { BASE },
				      .memory_bytes = bytes };
}

static struct image_files file_of(const void *data, size_t bytes)
{
	struct image_files f = { .kernel = { "kernel", data, bytes, true } };

	return f;
}

/* Loads to the end with that budget; the result of the last step. */
static int load(const struct guest_config *cfg, const struct image_files *files,
		u32 budget, struct lab_error *err)
{
	static const u8 tree[100] = "a device tree";
	struct image_load l;
	u64 live;
	int ret;

	ret = image_load_init(&l, NULL, cfg, files, sizeof(tree), err);
	if (ret)
		return ret;
	image_load_begin(&l, tree, sizeof(tree));
	live = obj_live_bytes();
	do {
		fake.step_bytes = 0;
		ret = image_load_step(&l, budget);
		assert_true(fake.step_bytes <= budget);
	} while (ret > 0);
	*err = l.err;
	assert_int_equal(obj_live_bytes(), live);
	if (!ret)
		assert_memory_equal(fake.ram + l.plan.fdt.v - BASE, tree,
				    sizeof(tree));
	image_load_fini(&l);
	assert_int_equal(obj_live_bytes(), 0);
	return ret;
}

static void put_le(u8 *p, u64 v, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		p[i] = (u8)(v >> 8 * i);
}

/* A Linux Image of `bytes` bytes. */
static u8 *linux_image(size_t bytes, u64 text_offset, u64 image_size)
{
	u8 *p = malloc(bytes);

	assert_non_null(p);
	for (size_t i = 0; i < bytes; i++)
		p[i] = (u8)(i * 7);
	put_le(p + 0x08, text_offset, 8);
	put_le(p + 0x10, image_size, 8);
	put_le(p + 0x18, 0, 8);
	memcpy(p + 0x38, "RSC\x05", 4);
	return p;
}

struct ph {
	u64 off, vaddr, paddr, filesz, memsz;
};

/* An ELF of 1024 bytes with these segments. */
static void elf_image(u8 elf[1024], u64 entry, const struct ph *ph, u32 count)
{
	for (u32 i = 0; i < 1024; i++)
		elf[i] = (u8)(i * 5 + 1);
	memset(elf, 0, 64);
	memcpy(elf, "\177ELF\2\1\1", 7);
	put_le(elf + 0x10, 2, 2);
	put_le(elf + 0x12, 243, 2);
	put_le(elf + 0x18, entry, 8);
	put_le(elf + 0x20, 64, 8);
	put_le(elf + 0x36, 56, 2);
	put_le(elf + 0x38, count, 2);
	for (u32 i = 0; i < count; i++) {
		u8 *p = elf + 64 + i * 56;

		memset(p, 0, 56);
		put_le(p, 1, 4);
		put_le(p + 0x08, ph[i].off, 8);
		put_le(p + 0x10, ph[i].vaddr, 8);
		put_le(p + 0x18, ph[i].paddr, 8);
		put_le(p + 0x20, ph[i].filesz, 8);
		put_le(p + 0x28, ph[i].memsz, 8);
	}
}

static void a_flat_image_goes_where_virt_puts_payloads(void **state)
{
	struct guest_config cfg = with_ram(8 * MIB);
	struct image_files f = file_of("\x13\0\0\0 flat", 9);
	struct lab_error err;
	struct image_plan p;

	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.kind, IMAGE_FLAT);
	assert_int_equal(p.kernel.v, 0x80200000);
	assert_int_equal(p.entry.v, 0x80200000);
	assert_int_equal(p.fdt.v, 0x80600000);
	assert_int_equal(p.kernel_limit.v, 0x80600000);
	assert_int_equal(load(&cfg, &f, 4, &err), 0);
	assert_memory_equal(fake.ram + 2 * MIB, "\x13\0\0\0 flat", 9);
	assert_int_equal(fake.ram[2 * MIB + 9], 0xee);
}

static void load_and_entry_place_a_flat_image(void **state)
{
	struct guest_config cfg = with_ram(8 * MIB);
	struct image_files f = file_of("flat", 4);
	struct lab_error err;
	struct image_plan p;

	cfg.has_load = cfg.has_entry = true;
	cfg.load.v = BASE;
	cfg.entry.v = BASE + 2;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.kernel.v, BASE);
	assert_int_equal(p.entry.v, BASE + 2);

	/* At the very top, what goes high goes below it. */
	cfg.load.v = BASE + 8 * MIB - 4;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.kernel_limit.v, BASE + 8 * MIB);
	assert_true(p.fdt.v + p.fdt_bytes <= cfg.load.v);

	cfg.load.v = BASE + 8 * MIB - 3;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	cfg.load.v = BASE - 1;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	cfg.load.v = BASE;
	cfg.entry.v = BASE + 8 * MIB;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	assert_string_equal(err.text, "entry: 0x80800000 is outside RAM, "
			    "0x80000000 to 0x807fffff");
}

static void a_linux_image_goes_to_its_text_offset(void **state)
{
	struct guest_config cfg = with_ram(32 * MIB);
	u8 *image = linux_image(10000, 2 * MIB, 9 * MIB);
	struct image_files f = file_of(image, 10000);
	struct lab_error err;
	struct image_plan p;

	f.initrd = (struct cpio_file){ "i", "initrd", 6, true };
	assert_int_equal(image_plan(&cfg, &f, 5000, &p, &err), 0);
	assert_int_equal(p.kind, IMAGE_LINUX);
	assert_int_equal(p.kernel.v, 0x80200000);
	assert_int_equal(p.kernel_bytes, 9 * MIB);
	assert_int_equal(p.entry.v, 0x80200000);
	assert_int_equal(p.fdt.v, BASE + 30 * MIB);
	assert_int_equal(p.fdt_bytes, 8192);
	assert_int_equal(p.initrd.v, BASE + 30 * MIB - 4096);
	assert_int_equal(p.initrd_bytes, 6);
	assert_int_equal(p.kernel_limit.v, p.initrd.v);

	assert_int_equal(load(&cfg, &f, 4096, &err), 0);
	assert_memory_equal(fake.ram + 2 * MIB, image, 10000);
	assert_memory_equal(fake.ram + 30 * MIB - 4096, "initrd", 6);
	free(image);
}

static void a_linux_image_needs_room_for_its_bss(void **state)
{
	struct guest_config cfg = with_ram(8 * MIB);
	u8 *image = linux_image(10000, 2 * MIB, 7 * MIB);
	struct image_files f = file_of(image, 10000);
	struct lab_error err;
	struct image_plan p;

	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	assert_string_equal(err.text, "memory: the Linux kernel needs 0x700000 "
			    "bytes behind the first 0x200000, and RAM has "
			    "0x800000");
	put_le(image + 0x10, UINT64_MAX, 8);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	put_le(image + 0x10, 0, 8);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	put_le(image + 0x08, 0xffffffffffe00000, 8);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	put_le(image + 0x08, 0x1000, 8);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	put_le(image + 0x08, 0, 8);
	put_le(image + 0x18, 1, 8);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	assert_string_equal(err.text, "kernel: \"kernel\" is a big-endian "
			    "Linux");
	free(image);
}

static void only_a_flat_image_has_load_and_entry(void **state)
{
	struct guest_config cfg = with_ram(32 * MIB);
	u8 *image = linux_image(10000, 2 * MIB, 9 * MIB);
	struct image_files f = file_of(image, 10000);
	struct lab_error err;
	struct image_plan p;

	cfg.has_load = true;
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
	assert_string_equal(err.text, "load: only a flat image has one, and "
			    "\"kernel\" is a Linux kernel");
	free(image);
}

static const struct ph two_segments[] = {
	/* Linked high, loaded low, with a bss; then data that is full. */
	{ 512, 0xffffffff80000000, BASE + 4096, 100, 300 },
	{ 700, 0xffffffff80002000, BASE + 65536, 50, 50 },
};

/* A file of both, packed; what is returned is to be freed. */
static u8 *packed_elf(u8 elf[1024], struct image_files *f)
{
	size_t bytes;
	u8 *gz;

	elf_image(elf, 0xffffffff80000010, two_segments, 2);
	gz = gzip_store(elf, 1024, &bytes);
	*f = file_of(gz, bytes);
	return gz;
}

static void an_elf_goes_by_physical_addresses(void **state)
{
	struct guest_config cfg = with_ram(1 * MIB);
	struct image_files f;
	struct lab_error err;
	struct image_plan p;
	u8 elf[1024];

	elf_image(elf, 0xffffffff80000010, two_segments, 2);
	f = file_of(elf, sizeof(elf));
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.kind, IMAGE_ELF);
	assert_int_equal(p.kernel.v, BASE + 4096);
	assert_int_equal(p.kernel_bytes, 65536 + 50 - 4096);
	assert_int_equal(p.entry.v, BASE + 4096 + 0x10);
	/* The only multiple of 2 MiB in this RAM. */
	assert_int_equal(p.fdt.v, BASE);
}

static void where_ram_is_small_the_tree_goes_to_any_page(void **state)
{
	struct guest_config cfg = with_ram(1 * MIB);
	struct image_files f = file_of("flat", 4);
	struct lab_error err;
	struct image_plan p;

	cfg.has_load = true;
	cfg.load.v = BASE;
	f.initrd = (struct cpio_file){ "i", "initrd", 6, true };
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.fdt.v, BASE + MIB - 4096);
	assert_int_equal(p.initrd.v, BASE + MIB - 8192);
	assert_int_equal(image_plan(&cfg, &f, MIB, &p, &err), -EINVAL);
	assert_string_equal(err.text, "memory: 0x100000 bytes leave no room "
			    "for the device tree, 0x100000 bytes, beside the "
			    "kernel");
}

static void an_elf_arrives_whole_at_any_step(void **state)
{
	static const u32 budget[] = { 1, 7, 64, 100, 65536 };
	u8 elf[1024], zero[200] = { 0 };
	struct image_files f;
	struct lab_error err;

	elf_image(elf, 0xffffffff80000010, two_segments, 2);
	for (u32 i = 0; i < ARRAY_LEN(budget); i++) {
		struct guest_config cfg = with_ram(1 * MIB);

		f = file_of(elf, sizeof(elf));
		assert_int_equal(load(&cfg, &f, budget[i], &err), 0);
		assert_memory_equal(fake.ram + 4096, elf + 512, 100);
		assert_memory_equal(fake.ram + 4196, zero, 200);
		assert_int_equal(fake.ram[4396], 0xee);
		assert_int_equal(fake.ram[4095], 0xee);
		assert_memory_equal(fake.ram + 65536, elf + 700, 50);
		assert_int_equal(fake.ram[65586], 0xee);
	}
}

static void an_elf_that_lies_is_refused(void **state)
{
	static const struct {
		struct ph ph[2];
		u64 entry;
	} lie[] = {
		/* Outside RAM, below and above, and round the end. */
		{ { { 512, BASE, BASE - 1, 10, 10 } }, BASE },
		{ { { 512, BASE, BASE + MIB - 5, 10, 10 } }, BASE },
		{ { { 512, BASE, BASE, 10, MIB + 1 } }, BASE },
		{ { { 512, BASE, BASE, 10, UINT64_MAX } }, BASE },
		{ { { 512, BASE, UINT64_MAX - 5, 10, 10 } }, BASE },
		/* More in the file than in memory; beyond the file. */
		{ { { 512, BASE, BASE, 20, 10 } }, BASE },
		{ { { 1020, BASE, BASE, 10, 10 } }, BASE },
		{ { { UINT64_MAX - 2, BASE, BASE, 10, 10 } }, BASE },
		/* Not in the file's order, or twice. */
		{ { { 600, BASE, BASE, 10, 10 },
		    { 605, BASE + 64, BASE + 64, 10, 10 } }, BASE },
		{ { { 600, BASE, BASE, 10, 10 },
		    { 512, BASE + 64, BASE + 64, 10, 10 } }, BASE },
		/* No entry. */
		{ { { 512, BASE, BASE, 10, 10 } }, BASE + 10 },
		/* Nothing to load. */
		{ { { 512, BASE, BASE, 0, 0 } }, BASE },
	};

	for (u32 i = 0; i < ARRAY_LEN(lie); i++) {
		struct guest_config cfg = with_ram(1 * MIB);
		struct image_files f;
		struct lab_error err;
		struct image_plan p;
		u8 elf[1024];

		elf_image(elf, lie[i].entry, lie[i].ph,
			  lie[i].ph[1].memsz ? 2 : 1);
		f = file_of(elf, sizeof(elf));
		assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), -EINVAL);
		assert_int_equal(obj_live_bytes(), 0);
	}
}

static void no_changed_byte_of_an_elf_reaches_outside_ram(void **state)
{
	static const u8 bad[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct lab_error err;
	u8 *elf = malloc(1024);

	elf_image(elf, 0xffffffff80000010, two_segments, 2);
	for (u32 i = 4; i < 64 + 2 * 56; i++) {
		u8 old = elf[i];

		for (u32 j = 0; j < sizeof(bad); j++) {
			struct guest_config cfg = with_ram(64 * KIB);
			struct image_files f = file_of(elf, 1024);

			elf[i] = bad[j];
			(void)load(&cfg, &f, 512, &err);
			assert_int_equal(obj_live_bytes(), 0);
		}
		elf[i] = old;
	}
	free(elf);
}

static void gzip_is_unpacked_on_the_way(void **state)
{
	struct guest_config cfg = with_ram(32 * MIB);
	u8 *image = linux_image(300000, 2 * MIB, 9 * MIB);
	struct image_files f;
	struct lab_error err;
	struct image_plan p;
	size_t bytes;
	u8 *gz = gzip_store(image, 300000, &bytes);

	f = file_of(gz, bytes);
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.kind, IMAGE_LINUX);
	assert_true(p.gzip);
	assert_int_equal(load(&cfg, &f, 1000, &err), 0);
	assert_memory_equal(fake.ram + 2 * MIB, image, 300000);
	assert_int_equal(fake.ram[2 * MIB + 300000], 0xee);
	free(image);
	free(gz);
}

static void a_packed_elf_is_loaded_as_a_plain_one(void **state)
{
	struct guest_config cfg = with_ram(1 * MIB);
	u8 elf[1024], zero[200] = { 0 }, *gz;
	struct image_files f;
	struct lab_error err;
	size_t bytes;

	gz = packed_elf(elf, &f);
	assert_int_equal(load(&cfg, &f, 33, &err), 0);
	assert_memory_equal(fake.ram + 4096, elf + 512, 100);
	assert_memory_equal(fake.ram + 4196, zero, 200);
	assert_memory_equal(fake.ram + 65536, elf + 700, 50);
	free(gz);

	/* Cut before its last segment, and packed as if that were right. */
	gz = gzip_store(elf, 720, &bytes);
	f = file_of(gz, bytes);
	assert_int_equal(load(&cfg, &f, 33, &err), -EINVAL);
	assert_string_equal(err.text, "kernel: \"kernel\" ends after 0x2d0 "
			    "bytes, before its last segment");
	free(gz);
}

static void members_of_a_gzip_follow_each_other(void **state)
{
	struct guest_config cfg = with_ram(8 * MIB);
	size_t a_bytes, b_bytes;
	u8 *a = gzip_store("first ", 6, &a_bytes);
	u8 *b = gzip_store("second", 6, &b_bytes);
	u8 *both = malloc(a_bytes + b_bytes + 3);
	struct image_files f = file_of(both, a_bytes + b_bytes);
	struct lab_error err;

	memcpy(both, a, a_bytes);
	memcpy(both + a_bytes, b, b_bytes);
	assert_int_equal(load(&cfg, &f, 4, &err), 0);
	assert_memory_equal(fake.ram + 2 * MIB, "first second", 12);
	free(a);
	free(b);
	free(both);
}

static void a_damaged_gzip_says_so(void **state)
{
	size_t bytes;
	u8 *image = linux_image(50000, 2 * MIB, MIB);
	u8 *gz = gzip_store(image, 50000, &bytes);
	struct image_files f;
	struct lab_error err;

	for (size_t cut = 1; cut < bytes - 18; cut += 997) {
		struct guest_config cfg = with_ram(8 * MIB);

		f = file_of(gz, bytes - cut);
		/* The claimed size is now any four bytes: fits or not. */
		assert_int_equal(load(&cfg, &f, 100000, &err), -EINVAL);
	}
	for (size_t i = 0; i < bytes; i += i < 20 ? 1 : 1009) {
		struct guest_config cfg = with_ram(8 * MIB);

		gz[i] ^= 0x10;
		f = file_of(gz, bytes);
		(void)load(&cfg, &f, 100000, &err);
		assert_int_equal(obj_live_bytes(), 0);
		gz[i] ^= 0x10;
	}
	gz[bytes - 8] ^= 1; /* the checksum */
	{
		struct guest_config cfg = with_ram(8 * MIB);

		f = file_of(gz, bytes);
		assert_int_equal(load(&cfg, &f, 100000, &err), -EINVAL);
		assert_string_equal(err.text, "kernel: \"kernel\": the gzip "
				    "data is damaged after 0xc000 bytes");
	}
	free(gz);
	free(image);
}

static void a_gzip_longer_than_it_claims_is_stopped_in_time(void **state)
{
	struct guest_config cfg = with_ram(4 * MIB);
	size_t bytes, small_bytes;
	u8 *big = calloc(1, 3 * MIB);
	u8 *gz = gzip_store(big, 3 * MIB, &bytes);
	u8 *small = gzip_store("x", 1, &small_bytes), *both;
	struct lab_error err;
	struct image_files f = file_of(gz, bytes);

	/* What it claims is believed: it does not fit. */
	assert_int_equal(load(&cfg, &f, 65536, &err), -EINVAL);
	assert_string_equal(err.text, "memory: the kernel's 0x300000 bytes at "
			    "0x80200000 end outside RAM, 0x80000000 to "
			    "0x803fffff");

	/* A small last member claims 1 byte: so it is stopped on the way. */
	both = malloc(bytes + small_bytes);
	memcpy(both, gz, bytes);
	memcpy(both + bytes, small, small_bytes);
	f = file_of(both, bytes + small_bytes);
	assert_int_equal(load(&cfg, &f, 65536, &err), -EINVAL);
	assert_string_equal(err.text, "kernel: \"kernel\" unpacks to more than "
			    "the 0x200000 bytes that there is room for");
	assert_int_equal(fake.ram[0], 0xee);
	free(big);
	free(gz);
	free(small);
	free(both);
}

static void big_ram_keeps_tree_and_initrd_in_its_first_gib(void **state)
{
	struct guest_config cfg = { .kernel = "kernel", .ram_base = { BASE },
				    .memory_bytes = 64 * GIB };
	struct image_files f = file_of("flat", 4);
	struct lab_error err;
	struct image_plan p;

	f.initrd = (struct cpio_file){ "i", "initrd", 6, true };
	assert_int_equal(image_plan(&cfg, &f, 100, &p, &err), 0);
	assert_int_equal(p.fdt.v, BASE + GIB - 2 * MIB);
	assert_int_equal(p.initrd.v, BASE + GIB - 2 * MIB - 4096);
}

/* All sizes near the limit: either refused, or inside RAM and apart. */
static void ranges_never_overlap(void **state)
{
	static u8 bytes[3 * MIB];

	for (u64 ram = MIB; ram <= 9 * MIB; ram += MIB / 2)
		for (u64 at = 0; at < ram; at += MIB / 4)
			for (u64 k = 1; k < 3 * MIB; k += 700001) {
		struct guest_config cfg = { .kernel = "kernel",
					    .ram_base = { BASE },
					    .memory_bytes = ram,
					    .has_load = true,
					    .load = { BASE + at } };
		struct image_files f = file_of(bytes, k);
		struct lab_error err;
		struct image_plan p;

		f.initrd = (struct cpio_file){ "i", bytes, MIB + 5, true };
		if (image_plan(&cfg, &f, 9000, &p, &err))
			continue;
		assert_true(p.kernel.v + p.kernel_bytes <= BASE + ram);
		assert_true(p.fdt.v >= BASE && p.initrd.v >= BASE);
		assert_true(p.fdt.v + p.fdt_bytes <= BASE + ram);
		assert_true(p.initrd.v + p.initrd_bytes <= p.fdt.v ||
			    p.fdt.v + p.fdt_bytes <= p.initrd.v);
		assert_true(p.initrd.v + p.initrd_bytes <= p.kernel.v ||
			    p.kernel_limit.v <= p.initrd.v);
		assert_true(p.fdt.v + p.fdt_bytes <= p.kernel.v ||
			    p.kernel_limit.v <= p.fdt.v);
		assert_true(p.kernel.v + k <= p.kernel_limit.v);
		assert_true(p.kernel_limit.v <= BASE + ram);
	}
}

static void loading_can_stop_halfway(void **state)
{
	struct guest_config cfg = with_ram(8 * MIB);
	size_t bytes;
	u8 *image = linux_image(50000, 2 * MIB, MIB);
	u8 *gz = gzip_store(image, 50000, &bytes);
	struct image_files f = file_of(gz, bytes);
	struct lab_error err;
	struct image_load l;

	assert_int_equal(image_load_init(&l, NULL, &cfg, &f, 100, &err), 0);
	image_load_begin(&l, "tree", 4);
	assert_int_equal(image_load_step(&l, 100), 1);
	assert_int_equal(image_load_step(&l, 0), 1); /* still goes on */
	image_load_fini(&l);
	assert_int_equal(obj_live_bytes(), 0);
	free(gz);
	free(image);
}

/* From the beginning, wherever the last time has ended. */
static void loading_again_takes_no_memory(void **state)
{
	struct guest_config cfg = with_ram(1 * MIB);
	struct image_files f;
	struct lab_error err;
	struct image_load l;
	u8 elf[1024], *gz;

	gz = packed_elf(elf, &f);
	assert_int_equal(image_load_init(&l, NULL, &cfg, &f, 100, &err), 0);
	fake_alloc_limit(0);
	for (u32 n = 1; n < 60; n++) {
		int ret = 1;

		memset(fake.ram, 0xcc, MIB);
		image_load_begin(&l, "tree", 4);
		for (u32 i = 0; ret == 1 && (i < n || n % 4 == 0); i++)
			ret = image_load_step(&l, 50);
		if (n % 4)
			continue;
		assert_int_equal(ret, 0);
		assert_memory_equal(fake.ram + l.plan.fdt.v - BASE, "tree", 4);
		assert_memory_equal(fake.ram + 4096, elf + 512, 100);
		assert_memory_equal(fake.ram + 65536, elf + 700, 50);
	}
	assert_false(fake_alloc_failed());
	fake_alloc_limit(-1);
	image_load_fini(&l);
	assert_int_equal(obj_live_bytes(), 0);
	free(gz);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
	struct guest_config cfg = with_ram(1 * MIB);
	struct image_load l;
	struct image_files f;
	struct lab_error err;
	u8 elf[1024], *gz;
	int ret;

	gz = packed_elf(elf, &f);
	for (long n = 0; n < 100; n++) {
		fake_alloc_limit(n);
		ret = image_load_init(&l, NULL, &cfg, &f, 100, &err);
		if (!ret) {
			image_load_begin(&l, "tree", 4);
			while ((ret = image_load_step(&l, 100)) > 0)
				;
			image_load_fini(&l);
		}
		assert_int_equal(ret, fake_alloc_failed() ? -ENOMEM : 0);
		assert_int_equal(obj_live_bytes(), 0);
	}
	fake_alloc_limit(-1);
	free(gz);

	fake.broken = true;
	f = file_of(elf, sizeof(elf));
	assert_int_equal(load(&cfg, &f, 1024, &err), -EFAULT);
	assert_string_equal(err.text, "there is no memory for 0x64 bytes at "
			    "0x80001000");
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct guest_config cfg = { .kernel = "k", .initrd = "i" };
	struct archive a = { 0 };
	struct image_files f;
	struct lab_error err;
	struct cpio c;

	archive_add(&a, "k", "kernel", 6);
	c = archive_end(&a);
	assert_int_equal(image_files_find(&c, &cfg, &f, &err), -EINVAL);
	assert_string_equal(err.text, "initrd: the lab's archive has no file "
			    "\"i\"");
	cfg.initrd = NULL;
	assert_int_equal(image_files_find(&c, &cfg, &f, &err), 0);
	assert_int_equal(f.kernel.bytes, 6);
	assert_null(f.initrd.data);
	archive_free(&a);
}

static int tear_down(void **state)
{
	free(fake.ram);
	fake.ram = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flat_image_goes_where_virt_puts_payloads),
		cmocka_unit_test(load_and_entry_place_a_flat_image),
		cmocka_unit_test(a_linux_image_goes_to_its_text_offset),
		cmocka_unit_test(a_linux_image_needs_room_for_its_bss),
		cmocka_unit_test(only_a_flat_image_has_load_and_entry),
		cmocka_unit_test(an_elf_goes_by_physical_addresses),
		cmocka_unit_test(where_ram_is_small_the_tree_goes_to_any_page),
		cmocka_unit_test(an_elf_arrives_whole_at_any_step),
		cmocka_unit_test(an_elf_that_lies_is_refused),
		cmocka_unit_test(no_changed_byte_of_an_elf_reaches_outside_ram),
		cmocka_unit_test(gzip_is_unpacked_on_the_way),
		cmocka_unit_test(a_packed_elf_is_loaded_as_a_plain_one),
		cmocka_unit_test(members_of_a_gzip_follow_each_other),
		cmocka_unit_test(a_damaged_gzip_says_so),
		cmocka_unit_test(
			a_gzip_longer_than_it_claims_is_stopped_in_time),
		cmocka_unit_test(
			big_ram_keeps_tree_and_initrd_in_its_first_gib),
		cmocka_unit_test(ranges_never_overlap),
		cmocka_unit_test(loading_can_stop_halfway),
		cmocka_unit_test(loading_again_takes_no_memory),
		cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
