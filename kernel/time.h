/*
 * Time: everything inside Rouse is in ticks of the timebase.
 */
#ifndef ROUSE_KERNEL_TIME_H
#define ROUSE_KERNEL_TIME_H

#include "kernel/base.h"
#include "kernel/devtimer.h"

/* Ticks a second, from the device tree; set once before other CPUs start. */
extern u64 timebase_hz;

/* Ticks since some moment before boot. Any context. */
u64 time_now_ticks(void);

/*
 * Wall time: nanoseconds since 1970-01-01 UTC if the machine has a clock, else
 * since boot. Any context; may cost a device access, so not for hot paths.
 */
u64 host_wall_ns(void);

/* Exact for any count of ticks; the product is 128 bits wide. */
static inline u64 ticks_to_ns(u64 ticks)
{
	return (u64)((unsigned __int128)ticks * 1000000000u / timebase_hz);
}

static inline u64 ns_to_ticks(u64 ns)
{
	return (u64)((unsigned __int128)ns * timebase_hz / 1000000000u);
}

static inline u64 us_to_ticks(u64 us)
{
	/* Mostly the product fits a word; a division of two is a long way. */
	if (likely((us | timebase_hz) >> 32 == 0))
		return us * timebase_hz / 1000000u;
	return ns_to_ticks(us * 1000);
}

#endif
