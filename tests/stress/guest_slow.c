/*
 * The sources in which CPUs change what is said of guests, each CPU of which is
 * now and then slow where others may come in between: after it has given a lock
 * back, and before it changes a word that others do.
 */
#include <ck_pr.h>
#include <ck_spinlock.h>
#include <libfdt.h>
#include <sched.h>
#include <unistd.h>

#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/shell/console.h"
#include "tests/stress/guest_world.h"

static void slow(void)
{
	u32 r = rnd(128);

	if (r == 0)
		usleep(rnd(1000));
	else if (r < 8)
		sched_yield();
}

#define ck_spinlock_fas_unlock(l) (ck_spinlock_fas_unlock(l), slow())
#define ck_pr_dec_32_zero(at, zero) (slow(), ck_pr_dec_32_zero(at, zero))
#define ck_pr_inc_32(at) (slow(), ck_pr_inc_32(at))
#define ck_pr_store_32(at, val) (slow(), ck_pr_store_32(at, val))
#define ck_pr_cas_32(at, old, now) (slow(), ck_pr_cas_32(at, old, now))
#include "kernel/guest.c"
#include "kernel/guest_life.c"
#include "kernel/guest_task.c"
