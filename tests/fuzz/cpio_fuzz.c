/*
 * The archive: walking it ends, names and contents lie inside, and the three
 * ways to look at it agree.
 */
/* sources: kernel/cpio.c */
#include "kernel/cpio.h"

#include "tests/fuzz/fuzz.h"

static void inside(const struct cpio *c, const void *at, size_t bytes)
{
	const u8 *from = c->data, *p = at;

	MUST(p >= from && (size_t)(p - from) <= c->bytes &&
	     bytes <= c->bytes - (size_t)(p - from));
}

/* The member behind `pos`, which was the first of its name or was not. */
static void member_try(const struct cpio *c, const struct cpio_file *f)
{
	struct cpio_file found;

	inside(c, f->name, strlen(f->name) + 1);
	inside(c, f->data, f->bytes);
	if (!f->regular)
		return;
	MUST(cpio_find(c, f->name, &found) == 0);
	MUST(found.regular && strcmp(found.name, f->name) == 0);
	MUST(found.name <= f->name);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct cpio c = {data, bytes};
	struct cpio_file f, none;
	size_t pos = 0, before = 0;
	int ret;

	while ((ret = cpio_next(&c, &pos, &f)) == 1) {
		MUST(pos > before && pos <= bytes);
		before = pos;
		member_try(&c, &f);
	}
	MUST(ret == 0 || ret == -EINVAL);
	MUST(cpio_check(&c) == ret);
	ret = cpio_find(&c, "\x01 no such name", &none);
	MUST(ret == -ENOENT || ret == -EINVAL);
	return 0;
}
