/*
 * A guest's RAM: frames that are its own from creation to destruction, and
 * that it finds zeroed whenever it first looks.
 *
 * All frames are reserved when the guest is created, in steps and in the
 * largest blocks that there are, and with them the page tables that they will
 * be mapped by; so running out of memory later can't happen. They
 * are zeroed and mapped lazily (the first touch of a 2 MiB block, by the guest
 * or by the host) or eagerly, by steps.
 *
 * A step zeroes for at most GMEM_STEP_US, or 64 KiB if that takes longer.
 */
#ifndef ROUSE_KERNEL_GMEM_H
#define ROUSE_KERNEL_GMEM_H

#include "kernel/base.h"

struct guest;
struct gmem;

#define GMEM_STEP_US 50

/*
 * What `bytes` of RAM at `base` of the guest's physical space will be; both are
 * multiples of 4 KiB and bytes > 0. Nobody but gmem_reserve_step and the steps
 * of destroying may use it before its frames are reserved.
 * 0 and *out; -EINVAL: not aligned, or past the end of the address space;
 * -ENOMEM: nothing is kept. Any CPU.
 */
int gmem_create(struct guest *g, struct gpa base, u64 bytes, struct gmem **out)
	__must_check;

/*
 * Reserves frames and prepares the second stage, maps and zeroes nothing: one
 * step. 1: call again; 0: there is all; -ENOMEM: what there is goes by
 * gmem_destroy_step, and the tables with the second stage. One caller.
 */
int gmem_reserve_step(struct gmem *m) __must_check;

/*
 * Zeroes what was touched, so that nothing of the guest is left in free frames,
 * and frees it all, in steps. 1: call again; 0: `m` is gone. Nobody else uses
 * `m`, and its frames are no longer mapped (arch_stage2_unmap_step). Returns 0
 * at once for NULL.
 */
int gmem_destroy_step(struct gmem *m) __must_check;

/* All steps at once: before any frame is reserved, and for tests. */
void gmem_destroy(struct gmem *m);

/*
 * The guest touched `at` and the second stage knew nothing. 0: progress was
 * made, enter the guest again (which may fault here again: a 2 MiB block is
 * zeroed in several steps, and mapped as a whole when it is ready); -EFAULT:
 * no RAM there. Anything else is a fault of ours. Any CPU, any number of them
 * at once; waits for nobody. The architecture's fault handler.
 */
int gmem_fault(struct gmem *m, struct gpa at) __must_check;

/*
 * Eager population: one step. 1: call again; 0: all RAM is zeroed and mapped,
 * with pages as large as its blocks; else a fault of ours. No vCPU runs, the
 * second stage is quiet (arch_guest_quiet); one caller.
 */
int gmem_populate_step(struct gmem *m) __must_check;

/*
 * RAM is to be all zeroes again: forgets what was touched, so that it will be
 * zeroed at the next touch or by gmem_populate_step. At most one step's time
 * per call; 1: call again; 0: done. No vCPU runs, the second stage maps
 * nothing of it any more (arch_stage2_unmap_step), and no host access is under
 * way.
 */
int gmem_reset_step(struct gmem *m) __must_check;

/*
 * Host's view of [at, at + len): a pointer if all of it is RAM and contiguous
 * in host memory, else NULL. Within a 4 KiB page it always is. Zeroes what
 * nobody has touched, so `len` should be small. The pointer is good as long as
 * the guest is. Any CPU.
 */
void *gmem_ptr(struct gmem *m, struct gpa at, size_t len) __must_check;

/* Is all of [at, at + len) the guest's RAM? An empty range is if `at` is. */
bool gmem_has(const struct gmem *m, struct gpa at, u64 len);

/* Bytes of RAM, and bytes of it that have been touched (zeroed and in use). */
u64 gmem_bytes(const struct gmem *m);
u64 gmem_touched_bytes(const struct gmem *m);

#endif
