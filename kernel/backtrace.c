/*
 * Backtraces by frame pointers, names by a table in the image.
 *
 * Every function keeps its frame pointer (the build says so), so a walk is a
 * chain of pairs, and arch_frame_next knows what a pair looks like and where
 * stacks are. A broken chain ends the walk: frames must rise.
 *
 * tools/ksyms puts the table behind the code: starts relative to _start,
 * rising, and the names in the same order, one behind the other. Looking one up
 * searches the first by halves and counts through the second; it happens when
 * the machine ends.
 */
#include <stdio.h>
#include <string.h>

#include "kernel/backtrace.h"

#include "kernel/arch.h"

#define FRAMES_MAX 64
#define SYMBOL_BYTES_MAX (64 * KIB) /* no function is longer */

extern const u32 ksyms_count;
extern const u32 ksyms_offsets[];
extern const char ksyms_names[];
extern const char _start[];

const char *ksym_find(u64 pc, u64 *offset)
{
	u64 at = pc - (u64)(uintptr_t)_start;
	const char *name = ksyms_names;
	u32 low = 0, high = ksyms_count;

	/* The last one that starts at or before `at`. */
	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (ksyms_offsets[mid] <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || at - ksyms_offsets[low - 1] > SYMBOL_BYTES_MAX)
		return NULL;
	*offset = at - ksyms_offsets[low - 1];
	while (--low)
		name += strlen(name) + 1;
	return name;
}

void ksym_format(u64 pc, char *buf, size_t bytes)
{
	u64 offset;
	const char *name = ksym_find(pc, &offset);

	if (name)
		snprintf(buf, bytes, "%s+0x%lx", name,
			 offset);
	else
		snprintf(buf, bytes, "0x%lx", pc);
}

void ksym_format_return(u64 ra, char *buf, size_t bytes)
{
	u64 offset;
	const char *name = ksym_find(ra - 1, &offset);

	if (name)
		snprintf(buf, bytes, "%s+0x%lx", name, offset + 1);
	else
		snprintf(buf, bytes, "0x%lx", ra);
}

void backtrace(struct cpu *c, u64 pc, u64 fp,
	       void (*fn)(void *ctx, u64 pc), void *ctx)
{
	fn(ctx, pc);
	for (u32 i = 1; i < FRAMES_MAX; i++) {
		u64 was = fp;

		if (!arch_frame_next(c, &fp, &pc))
			return;
		fn(ctx, pc);
		if (fp <= was)
			return;
	}
}
