/*
 * The PLIC's core with its accesses to shared words wrapped, so that threads
 * lose the CPU between any two of them. It is included here, so who includes
 * this links no other source.
 */
#ifndef ROUSE_TEST_PLIC_JITTER_H
#define ROUSE_TEST_PLIC_JITTER_H

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/emul.h"
#include "emul/plic_core.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

static _Thread_local unsigned int jitter_seed;

static void jitter(void)
{
	u32 r = (u32)rand_r(&jitter_seed) % 256;

	if (r < 3)
		sched_yield();
	else if (r == 3)
		usleep(20);
}

static u32 jitter_load_32(const u32 *at)
{
	jitter();
	return ck_pr_load_32(at);
}

static u64 jitter_load_64(const u64 *at)
{
	jitter();
	return ck_pr_load_64(at);
}

static void jitter_store_32(u32 *at, u32 val)
{
	jitter();
	ck_pr_store_32(at, val);
}

static void jitter_store_64(u64 *at, u64 val)
{
	jitter();
	ck_pr_store_64(at, val);
}

/* After the load that it is to find unchanged. */
static bool jitter_cas_64_value(u64 *at, u64 old, u64 val, u64 *was)
{
	if (rand_r(&jitter_seed) % 8 == 0)
		sched_yield();
	jitter();
	return ck_pr_cas_64_value(at, old, val, was);
}

static void jitter_or_32(u32 *at, u32 val)
{
	jitter();
	ck_pr_or_32(at, val);
}

static void jitter_and_32(u32 *at, u32 val)
{
	jitter();
	ck_pr_and_32(at, val);
}

static void jitter_xor_64(u64 *at, u64 val)
{
	jitter();
	ck_pr_xor_64(at, val);
}

static void jitter_store_ptr(struct plic_context **at, struct plic_context *val)
{
	jitter();
	ck_pr_store_ptr(at, val);
}

static void jitter_fence(void)
{
	ck_pr_fence_memory();
	jitter();
}

#undef ck_pr_load_32
#undef ck_pr_load_64
#undef ck_pr_store_32
#undef ck_pr_store_64
#undef ck_pr_cas_64_value
#undef ck_pr_or_32
#undef ck_pr_and_32
#undef ck_pr_xor_64
#undef ck_pr_store_ptr
#undef ck_pr_fence_memory
#define ck_pr_load_32(at) jitter_load_32(at)
#define ck_pr_load_64(at) jitter_load_64(at)
#define ck_pr_store_32(at, val) jitter_store_32(at, val)
#define ck_pr_store_64(at, val) jitter_store_64(at, val)
#define ck_pr_cas_64_value(at, old, val, was) \
	jitter_cas_64_value(at, old, val, was)
#define ck_pr_or_32(at, val) jitter_or_32(at, val)
#define ck_pr_and_32(at, val) jitter_and_32(at, val)
#define ck_pr_xor_64(at, val) jitter_xor_64(at, val)
#define ck_pr_store_ptr(at, val) jitter_store_ptr(at, val)
#define ck_pr_fence_memory() jitter_fence()

#include "emul/plic_core.c"
#include "emul/plic_setup.c"
#include "emul/plic_tell.c"

void *obj_alloc(size_t bytes)
{
	void *obj = aligned_alloc(64, ALIGN_UP(bytes, 64));

	memset(obj, 0, bytes);
	return obj;
}

void obj_free(void *obj)
{
	free(obj);
}

#endif
