/* See stress.h. */
#include "tests/stress/stress.h"

#include <malloc.h>
#include <string.h>

#include <ck_pr.h>

#include "kernel/mem.h"

u32 objects;
static _Thread_local unsigned int dice;

u32 rnd(u32 below)
{
	return (u32)rand_r(&dice) % below;
}

void rnd_begin(u32 seed)
{
	dice = seed;
}

void *obj_alloc_raw(size_t bytes)
{
	void *p = aligned_alloc(64, ALIGN_UP(bytes, (size_t)64));

	CHECK(p, "no memory");
	ck_pr_inc_32(&objects);
	return p;
}

void *obj_alloc(size_t bytes)
{
	return memset(obj_alloc_raw(bytes), 0, bytes);
}

void obj_free(void *obj)
{
	if (!obj)
		return;
	memset(obj, 0xdd, malloc_usable_size(obj));
	free(obj);
	ck_pr_dec_32(&objects);
}
