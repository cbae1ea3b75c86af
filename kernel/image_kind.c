/*
 * What kind of image is it? Told from its first bytes, packed or not.
 *
 * A gzip is opened far enough to see its first 4 KiB, which hold the header of
 * a Linux Image and the program headers of any ELF that a linker writes. All
 * numbers are read byte by byte: images lie in the archive at any alignment and
 * may be cut short or lie about themselves.
 *
 * An ELF goes by its physical addresses: that is where its linker script wants
 * the bytes while translation is off, as it is when a guest starts. The entry
 * is a virtual address and is moved along with the segment that holds it.
 * Falling back to virtual addresses was rejected: linkers fill in p_paddr, and
 * a file that says 0 there means it.
 */
#include "kernel/image_private.h"

#include <string.h>

#include "kernel/mem.h"

#define PEEK_BYTES 4096u

/* "Boot image header in RISC-V Linux" */
#define LINUX_HEADER_BYTES 64
#define LINUX_TEXT_OFFSET 0x08
#define LINUX_IMAGE_SIZE 0x10
#define LINUX_FLAGS 0x18
#define LINUX_MAGIC2 0x38
#define LINUX_FLAG_BE 1u

/* ELF-64 Object File Format, 3 and 8 */
#define ELF_HEADER_BYTES 64
#define ELF_CLASS 4
#define ELF_CLASS_64 2
#define ELF_DATA 5
#define ELF_DATA_LSB 1
#define ELF_TYPE 0x10
#define ELF_TYPE_EXEC 2
#define ELF_TYPE_DYN 3
#define ELF_MACHINE 0x12
#define ELF_MACHINE_RISCV 243
#define ELF_ENTRY 0x18
#define ELF_PHOFF 0x20
#define ELF_PHENTSIZE 0x36
#define ELF_PHNUM 0x38
#define PH_BYTES 56
#define PH_TYPE 0x00
#define PH_TYPE_LOAD 1
#define PH_OFFSET 0x08
#define PH_VADDR 0x10
#define PH_PADDR 0x18
#define PH_FILESZ 0x20
#define PH_MEMSZ 0x28

/* The first bytes of the unpacked file. */
struct head {
	const u8 *p;
	u64 bytes;
	bool whole; /* there is nothing behind them */
};

static u64 le(const u8 *p, u32 bytes)
{
	u64 v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static int linux_read(const struct head *h, struct image_facts *out,
		      const char *name, struct lab_error *err)
{
	if (le(h->p + LINUX_FLAGS, 8) & LINUX_FLAG_BE)
		return config_error(err, "kernel: \"%s\" is a big-endian Linux",
				    name);
	out->kind = IMAGE_LINUX;
	out->text_offset = le(h->p + LINUX_TEXT_OFFSET, 8);
	out->image_bytes = le(h->p + LINUX_IMAGE_SIZE, 8);
	return 0;
}

/* The physical address of the entry, from the segment that holds it. */
static int elf_entry(const struct head *h, u64 phoff, u32 count, u64 *entry)
{
	u64 e = le(h->p + ELF_ENTRY, 8);

	for (u32 i = 0; i < count; i++) {
		const u8 *ph = h->p + phoff + (u64)i * PH_BYTES;
		u64 vaddr = le(ph + PH_VADDR, 8);

		if (le(ph + PH_TYPE, 4) == PH_TYPE_LOAD && e >= vaddr &&
		    e - vaddr < le(ph + PH_MEMSZ, 8)) {
			*entry = e - vaddr + le(ph + PH_PADDR, 8);
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * Fills the table of what is to be loaded. Their bytes must follow each other
 * in the file, as every linker lays them out: so the loader goes through table
 * and file once, and no byte is copied twice however many segments there are.
 */
static int elf_segments(const struct head *h, u64 phoff, u32 count,
			struct image_elf *elf)
{
	u64 end = 0;

	for (u32 i = 0; i < count; i++) {
		const u8 *ph = h->p + phoff + (u64)i * PH_BYTES;
		struct image_segment *s = &elf->seg[elf->count];

		if (le(ph + PH_TYPE, 4) != PH_TYPE_LOAD)
			continue;
		s->off = le(ph + PH_OFFSET, 8);
		s->file_bytes = le(ph + PH_FILESZ, 8);
		s->at = le(ph + PH_PADDR, 8);
		s->bytes = le(ph + PH_MEMSZ, 8);
		if (s->file_bytes > s->bytes ||
		    s->off > UINT64_MAX - s->file_bytes ||
		    s->at > UINT64_MAX - s->bytes)
			return -EINVAL;
		if (h->whole && s->off + s->file_bytes > h->bytes)
			return -EINVAL;
		if (s->file_bytes && s->off < end)
			return -EINVAL;
		if (s->file_bytes)
			end = s->off + s->file_bytes;
		elf->count += s->bytes != 0;
	}
	return elf->count ? 0 : -EINVAL;
}

static int elf_read(const struct head *h, struct image_facts *out,
		    const char *name, struct lab_error *err)
{
	u64 phoff = le(h->p + ELF_PHOFF, 8);
	u32 count = (u32)le(h->p + ELF_PHNUM, 2);
	u32 type = (u32)le(h->p + ELF_TYPE, 2);

	if (h->p[ELF_CLASS] != ELF_CLASS_64 || h->p[ELF_DATA] != ELF_DATA_LSB ||
	    le(h->p + ELF_MACHINE, 2) != ELF_MACHINE_RISCV ||
	    (type != ELF_TYPE_EXEC && type != ELF_TYPE_DYN))
		return config_error(err, "kernel: \"%s\" is an ELF file, but "
				    "no program for 64-bit RISC-V", name);
	if (le(h->p + ELF_PHENTSIZE, 2) != PH_BYTES || phoff > h->bytes ||
	    (u64)count * PH_BYTES > h->bytes - phoff)
		return config_error(err, "kernel: \"%s\": the ELF's program "
				    "headers are not where they should be",
				    name);
	out->elf = obj_alloc(sizeof(*out->elf) +
			     count * sizeof(out->elf->seg[0]) +
			     sizeof(out->elf->seg[0]));
	if (!out->elf) {
		config_error(err, "kernel: no memory is left to read it");
		return -ENOMEM;
	}
	out->kind = IMAGE_ELF;
	if (elf_segments(h, phoff, count, out->elf))
		return config_error(err, "kernel: \"%s\": the ELF's segments "
				    "to load are missing, damaged, or not in "
				    "the file's order", name);
	if (elf_entry(h, phoff, count, &out->elf->entry))
		return config_error(err, "kernel: \"%s\": the ELF's entry is "
				    "in none of its segments", name);
	return 0;
}

static int head_judge(const struct head *h, struct image_facts *out,
		      const char *name, struct lab_error *err)
{
	if (h->bytes >= LINUX_HEADER_BYTES &&
	    !memcmp(h->p + LINUX_MAGIC2, "RSC\x05", 4))
		return linux_read(h, out, name, err);
	if (h->bytes >= ELF_HEADER_BYTES && !memcmp(h->p, "\177ELF", 4))
		return elf_read(h, out, name, err);
	if (h->bytes == 0)
		return config_error(err, "kernel: \"%s\" is empty", name);
	out->kind = IMAGE_FLAT;
	return 0;
}

static int gzip_judge(const struct cpio_file *f, struct image_facts *out,
		      struct lab_error *err)
{
	struct head h = { .whole = false };
	const void *data;
	size_t bytes;
	u8 *peek;
	int ret;

	peek = obj_alloc(PEEK_BYTES);
	ret = peek ? image_gunzip_open(&out->gunzip, f) : -ENOMEM;
	if (ret) {
		obj_free(peek);
		config_error(err, "kernel: no memory is left to unpack it");
		return ret;
	}
	while (h.bytes < PEEK_BYTES) {
		ret = image_gunzip_read(out->gunzip, PEEK_BYTES - (u32)h.bytes,
					&data, &bytes);
		if (ret || bytes == 0)
			break;
		memcpy(peek + h.bytes, data, bytes);
		h.bytes += bytes;
	}
	h.p = peek;
	if (ret)
		config_error(err, "kernel: \"%s\": the gzip data is damaged",
			     f->name);
	else
		ret = head_judge(&h, out, f->name, err);
	out->bytes = MAX(h.bytes, image_gzip_hint(f));
	obj_free(peek);
	return ret;
}

int image_facts_read(const struct cpio_file *f, struct image_facts *out,
		     struct lab_error *err)
{
	struct head h = { .p = f->data, .bytes = f->bytes, .whole = true };
	int ret;

	memset(out, 0, sizeof(*out));
	out->bytes = f->bytes;
	if (image_is_gzip(f))
		ret = gzip_judge(f, out, err);
	else
		ret = head_judge(&h, out, f->name, err);
	if (ret)
		image_facts_fini(out);
	return ret;
}

void image_facts_fini(struct image_facts *facts)
{
	obj_free(facts->elf);
	image_gunzip_close(facts->gunzip);
	facts->elf = NULL;
	facts->gunzip = NULL;
}
