/*
 * The lab file, and knobs as they are typed. An input that begins as a device
 * tree does is one, one that begins as an archive is what a boot loader hands
 * over, and lines of text behind a ':' are knobs for `guest create` and `set`.
 * Any other is a list of steps by which a tree is built, so that properties of
 * all names and lengths come through without a fuzzer that knows libfdt's
 * offsets.
 *
 * Then: a lab or a knob that is refused has left nothing allocated, and one
 * line that says why; a lab that is taken has configurations that pass the
 * check again, that can be copied, and whose knobs, shown, set what they show.
 */
/* sources: LAB GUEST_FDT tests/unit/fake_lab.c LIBFDT ZLIB */
#include "kernel/lab.h"

#include <elf.h>
#include <libfdt.h>

#include "kernel/mem.h"
#include "tests/fuzz/fuzz.h"
#include "fake_lab.h"

#define TREE_BYTES (32 * KIB)

/* One of each kind that is no flat one, as small as it may be. */
static void add_images(struct archive *images)
{
	static const struct {
		Elf64_Ehdr head;
		Elf64_Phdr seg;
	} elf = {
		.head =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
				.e_type = ET_EXEC,
				.e_machine = EM_RISCV,
				.e_version = 1,
				.e_entry = 0x80200000,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
			},
		.seg =
			{
				.p_type = PT_LOAD,
				.p_vaddr = 0x80200000,
				.p_paddr = 0x80200000,
				.p_memsz = 2 * MIB,
			},
	};
	u8 boot[0x40] = {0};
	size_t bytes;
	u8 *gz;

	boot[0x0a] = 0x20; /* text_offset: 2 MiB */
	boot[0x12] = 0x40; /* image_size: 4 MiB */
	boot[0x20] = 2;	   /* version 0.2 */
	memcpy(boot + 0x30, "RISCV", 5);
	memcpy(boot + 0x38, "RSC\x05", 4);
	gz = gzip_store(boot, sizeof(boot), &bytes);
	archive_add(images, "elf", &elf, sizeof(elf));
	archive_add(images, "linux", boot, sizeof(boot));
	archive_add(images, "gz", gz, bytes);
	free(gz);
}

/* --- a tree from steps ---------------------------------------------------- */

static const char *const words[] = {
	"compatible", "scheduler",   "poweroff",  "seed",
	"boot",	      "guests",	     "devices",	  "vcpus",
	"memory",     "ram-base",    "kernel",	  "initrd",
	"dtb",	      "bootargs",    "load",	  "entry",
	"weight",     "cap",	     "priority",  "slice-us",
	"affinity",   "pin",	     "wfi",	  "wfi-poll-us",
	"populate",   "on-poweroff", "on-reboot", "on-crash",
	"autostart",  "absent",	     "reg-base",  "irq",
	"uart",	      "rtc",	     "g",	  "h",
	"status",     "when-done",   "credit",	  "rr",
	"k",	      "i",	     "elf",	  "linux",
	"gz",	      "8M",	     "1M",	  "dtb",
	"16777216",   "1G",	     "0-3",	  "0,2",
	"trap",	      "native",	     "poll",	  "eager",
	"lazy",	      "stop",	     "restart",	  "host-poweroff",
	"never",      "rouse,lab",   "",	  "linux,phandle",
};

static const char *word(struct fuzz_in *in)
{
	return words[fuzz_below(in, ARRAY_LEN(words))];
}

/* Cells, words of ours, or bytes of the input. */
static void prop_add(void *fdt, struct fuzz_in *in)
{
	const char *name = word(in);
	u32 how = fuzz_below(in, 8);
	u8 val[64] = {0};
	u32 bytes = 0;

	if (how < 3) {
		for (u32 i = 0; i < how; i++, bytes += 4) {
			u32 cell = cpu_to_fdt32((u32)fuzz_take(in, 4));

			memcpy(val + bytes, &cell, 4);
		}
	} else if (how < 6) {
		for (u32 i = 3; i <= how; i++) {
			const char *w = word(in);

			strcpy((char *)val + bytes, w);
			bytes += (u32)strlen(w) + 1;
		}
	} else {
		bytes = fuzz_below(in, sizeof(val));
		for (u32 i = 0; i < bytes; i++)
			val[i] = (u8)fuzz_take(in, 1);
	}
	(void)fdt_property(fdt, name, val, (int)bytes);
}

static const char lab_word[] = "rouse,lab";

/* The start of a lab that would be good, so that few steps reach far. */
static void tree_head(void *fdt, u32 *depth)
{
	(void)fdt_begin_node(fdt, "");
	(void)fdt_property(fdt, "compatible", lab_word, sizeof(lab_word));
	(void)fdt_begin_node(fdt, "guests");
	(void)fdt_begin_node(fdt, "one");
	(void)fdt_property_string(fdt, "memory", "16M");
	(void)fdt_property_string(fdt, "kernel", "k");
	*depth = 3;
}

static void tree_steps(void *fdt, struct fuzz_in *in)
{
	u32 depth = 0;

	if (fuzz_below(in, 4)) {
		tree_head(fdt, &depth);
	} else {
		(void)fdt_begin_node(fdt, "");
		depth = 1;
	}
	while (in->left) {
		u32 step = fuzz_below(in, 8);

		if (step == 0 && depth > 1) {
			(void)fdt_end_node(fdt);
			depth--;
		} else if (step == 1) {
			(void)fdt_begin_node(fdt, word(in));
			depth++;
		} else {
			prop_add(fdt, in);
		}
	}
	for (; depth; depth--)
		(void)fdt_end_node(fdt);
}

/* NULL: the steps are more than there is room for. */
static void *tree_build(struct fuzz_in *in, size_t *bytes)
{
	void *fdt = calloc(1, TREE_BYTES);

	if (!fdt)
		abort();
	if (!fdt_create(fdt, TREE_BYTES) && !fdt_finish_reservemap(fdt)) {
		tree_steps(fdt, in);
		if (!fdt_finish(fdt)) {
			*bytes = fdt_totalsize(fdt);
			return realloc(fdt, *bytes);
		}
	}
	free(fdt);
	return NULL;
}

/* --- what must be true ---------------------------------------------------- */

static struct guest_config *now;
static const struct lab_env *now_env;

/* Shown, it can be set, and shows the same again. */
static void knob_again(const char *name)
{
	char shown[256], text[300], again[256];
	struct lab_error err = {""};

	MUST(lab_knob_show(now, name, shown, sizeof(shown)) == 0);
	/* Not all knobs are texts of one line, and what was cut is no value. */
	if (!*shown || strlen(shown) == sizeof(shown) - 1)
		return;
	snprintf(text, sizeof(text), "%s=%s", name, shown);
	if (lab_config_set(now, text, false, now_env, &err)) {
		MUST(fuzz_is_line(err.text, sizeof(err.text)));
		return;
	}
	MUST(lab_knob_show(now, name, again, sizeof(again)) == 0);
	MUST(strcmp(shown, again) == 0);
}

static void row_try(void *arg, const char *name, bool live, const char *takes)
{
	const char *knob = strchr(name, '.');
	char text[64];

	if (!knob)
		knob_again(name);
	/* A device's; the list may change under our hands. */
	for (u32 i = 0; knob && i < 2; i++) {
		const struct device_config *d = now->devices;

		for (u32 n = 0; d && n < i; n++)
			d = d->next;
		snprintf(text, sizeof(text), "%s%s", d ? d->name : "", knob);
		if (d)
			knob_again(text);
	}
}

static void config_try(const struct guest_config *cfg,
		       const struct lab_env *env)
{
	struct guest_config copy;
	struct lab_error err = {""};

	MUST(lab_config_check(cfg, env, &err) == 0);
	MUST(lab_config_copy(&copy, cfg) == 0);
	MUST(lab_config_check(&copy, env, &err) == 0);
	now = &copy;
	now_env = env;
	for (u32 n = 0; lab_knob_nth(n, row_try, NULL);)
		n++;
	MUST(lab_config_check(&copy, env, &err) == 0);
	lab_config_fini(&copy);
}

/* Reads a lab from `from`: a tree, or an archive that it is in. */
static void lab_try(const void *from, size_t bytes, bool packed, long allocs)
{
	struct cpio archive = {from, bytes};
	struct lab_env env = fake_env;
	struct lab_error err = {""};
	struct lab *lab = NULL;
	u64 live = obj_live_bytes();
	u32 count = 0;
	int ret;

	fake_alloc_limit(allocs);
	env.images = packed ? &archive : fake_env.images;
	ret = packed ? lab_open(&env, &lab, &err)
		     : lab_parse(from, bytes, &env, &lab, &err);
	if (ret) {
		MUST(ret == -EINVAL || (ret == -ENOMEM && fake_alloc_failed()));
		MUST(lab == NULL && fuzz_is_line(err.text, sizeof(err.text)));
		MUST(obj_live_bytes() == live);
		fake_alloc_limit(-1);
		return;
	}
	fake_alloc_limit(-1);
	for (struct guest_config *g = lab->guests; g; g = g->next, count++)
		config_try(g, &env);
	MUST(count == lab->guest_count);
	lab_free(lab);
	MUST(obj_live_bytes() == live);
}

/* Knobs of one guest, whose name comes first, a line each. */
static void typed_try(struct fuzz_in *in)
{
	bool live = fuzz_below(in, 4) == 0;
	long allocs = (long)fuzz_take(in, 1);
	char *text = fuzz_text(in, 1000), *rest = text;
	struct lab_error err = {""};
	u64 before = obj_live_bytes();
	struct guest_config cfg;
	int ret;

	fake_alloc_limit(allocs < 100 ? allocs : -1);
	ret = lab_config_init(&cfg, strsep(&rest, "\n"), &err);
	while (!ret && rest) {
		err.text[0] = '\0';
		ret = lab_config_set(&cfg, strsep(&rest, "\n"), live, &fake_env,
				     &err);
	}
	if (!ret)
		ret = lab_config_check(&cfg, &fake_env, &err);
	if (ret) {
		MUST(ret == -EINVAL || (ret == -ENOMEM && fake_alloc_failed()));
		MUST(fuzz_is_line(err.text, sizeof(err.text)));
	}
	fake_alloc_limit(-1);
	if (!ret)
		config_try(&cfg, &fake_env);
	lab_config_fini(&cfg);
	MUST(obj_live_bytes() == before);
	free(text);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct fuzz_in in = {data, bytes};
	static bool env_made;
	size_t tree_bytes = bytes;
	bool packed;
	void *tree;

	if (!env_made)
		fake_env_init(add_images);
	env_made = true;
	packed = bytes >= 4 && memcmp(data, "0707", 4) == 0;
	if (packed ||
	    (bytes >= 4 && fdt32_ld((const fdt32_t *)data) == FDT_MAGIC)) {
		tree = malloc(bytes);
		if (!tree)
			abort();
		memcpy(tree, data, bytes);
		lab_try(tree, bytes, packed, -1);
	} else if (bytes && *data == ':') {
		(void)fuzz_take(&in, 1);
		typed_try(&in);
		return 0;
	} else {
		long allocs = (long)fuzz_take(&in, 1);

		tree = tree_build(&in, &tree_bytes);
		/* A tree of steps is sound, so all memory that a lab takes can
		 * be refused it, one after another. */
		if (tree)
			lab_try(tree, tree_bytes, false,
				allocs < 100 ? allocs : -1);
	}
	free(tree);
	return 0;
}
