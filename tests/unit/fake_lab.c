/*
 * Fakes for the tests of lab, cpio, image and guest_fdt. Every allocation is a
 * malloc of its own, so the address sanitizer sees each byte too far.
 */
#include "fake_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "kernel/image.h"
#include "kernel/mem.h"

struct header {
	size_t bytes;
	u64 pad;
};

static u64 live;
static long limit = -1;
static bool failed;

void fake_alloc_limit(long n)
{
	limit = n;
	failed = false;
}

bool fake_alloc_failed(void)
{
	return failed;
}

void *obj_alloc(size_t bytes)
{
	struct header *h;

	if (limit == 0) {
		failed = true;
		return NULL;
	}
	if (limit > 0)
		limit--;
	h = calloc(1, sizeof(*h) + bytes);
	if (!h)
		abort();
	h->bytes = bytes;
	live += bytes;
	return h + 1;
}

void obj_free(void *obj)
{
	struct header *h = obj;

	if (!obj)
		return;
	live -= h[-1].bytes;
	free(h - 1);
}

u64 obj_live_bytes(void)
{
	return live;
}

static void grow(struct archive *a, const void *data, size_t bytes)
{
	a->data = realloc(a->data, a->bytes + bytes + 4);
	if (!a->data)
		abort();
	if (bytes)
		memcpy(a->data + a->bytes, data, bytes);
	a->bytes += bytes;
}

static void pad(struct archive *a)
{
	while (a->bytes % 4)
		grow(a, "", 1);
}

void archive_add(struct archive *a, const char *name, const void *data,
		 size_t bytes)
{
	char header[111];

	snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x"
		 "%08x%08x%08x%08x%08x%08x", 1, 0100644, 0, 0, 1, 0,
		 (unsigned int)bytes, 0, 0, 0, 0,
		 (unsigned int)strlen(name) + 1, 0);
	grow(a, header, 110);
	grow(a, name, strlen(name) + 1);
	pad(a);
	grow(a, data, bytes);
	pad(a);
}

struct cpio archive_end(struct archive *a)
{
	u8 *exact;

	archive_add(a, "TRAILER!!!", "", 0);
	exact = malloc(a->bytes);
	if (!exact)
		abort();
	memcpy(exact, a->data, a->bytes);
	free(a->data);
	a->data = exact;
	return (struct cpio){ a->data, a->bytes };
}

void archive_free(struct archive *a)
{
	free(a->data);
	memset(a, 0, sizeof(*a));
}

static bool policy_exists(const char *name)
{
	return !strcmp(name, "credit") || !strcmp(name, "rr");
}

static bool device_exists(const char *name)
{
	return !strcmp(name, "uart") || !strcmp(name, "rtc");
}

static struct archive images;
static struct cpio images_cpio;

struct lab_env fake_env = {
	.cpu_count = 4,
	.images = &images_cpio,
	.policy_exists = policy_exists,
	.device_exists = device_exists,
};

void fake_env_init(void (*more)(struct archive *images))
{
	archive_add(&images, "k", "flat kernel", 11);
	archive_add(&images, "i", "initrd", 6);
	if (more)
		more(&images);
	images_cpio = archive_end(&images);
}

void fake_env_fini(void)
{
	archive_free(&images);
}

static const char *const extensions[] = { "i", "m", "a", "zicbom", "sstc" };
static const struct guest_fdt_isa isa = {
	.isa = "rv64ima_zicbom_sstc",
	.extensions = extensions,
	.count = ARRAY_LEN(extensions),
	.mmu_type = "riscv,sv48",
	.cbom_block_bytes = 64,
};
static const struct image_plan plan = {
	.initrd = { 0x88000000 },
	.initrd_bytes = 0x1234,
};

const u8 fake_seed[FAKE_SEED_BYTES] = { 1, 2, 3 };
const struct guest_fdt_args fake_fdt_args = {
	.isa = &isa,
	.plan = &plan,
	.timebase_hz = 10000000,
	.rng_seed = fake_seed,
	.rng_seed_bytes = sizeof(fake_seed),
};

void *dts_compile(const char *source, size_t *bytes)
{
	char name[] = "/tmp/rouse-dts-XXXXXX", command[128];
	u8 *out = malloc(1 << 20);
	int fd = mkstemp(name);
	FILE *f;

	if (fd < 0 || !out ||
	    write(fd, source, strlen(source)) != (ssize_t)strlen(source))
		abort();
	close(fd);
	snprintf(command, sizeof(command),
		 "dtc -q -I dts -O dtb %s 2>/dev/null", name);
	f = popen(command, "r");
	if (!f)
		abort();
	*bytes = fread(out, 1, 1 << 20, f);
	pclose(f);
	unlink(name);
	if (*bytes)
		return realloc(out, *bytes);
	free(out);
	return NULL;
}

static void le32(u8 *p, u32 v)
{
	for (u32 i = 0; i < 4; i++)
		p[i] = (u8)(v >> 8 * i);
}

u8 *gzip_store(const void *data, size_t bytes, size_t *out_bytes)
{
	static const u8 header[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
	const u8 *in = data;
	u8 *out = malloc(bytes + (bytes / 65535 + 1) * 5 + 18), *p = out;
	size_t left = bytes;

	if (!out)
		abort();
	memcpy(p, header, sizeof(header));
	p += sizeof(header);
	do {
		u32 n = (u32)MIN(left, 65535u);

		left -= n;
		*p++ = left == 0; /* stored; the last block */
		*p++ = (u8)n;
		*p++ = (u8)(n >> 8);
		*p++ = (u8)~n;
		*p++ = (u8)(~n >> 8);
		memcpy(p, in, n);
		p += n;
		in += n;
	} while (left);
	le32(p, (u32)crc32(crc32(0, NULL, 0), data, (unsigned int)bytes));
	le32(p + 4, (u32)bytes);
	*out_bytes = (size_t)(p + 8 - out);
	return out;
}
