/*
 * A machine for guests whose every part but the architecture, the images and
 * the trees is real: threads for CPUs, which run the scheduler's loop. Its
 * vCPUs print, take input, wake and start each other, sleep, and end their
 * guest in each of the ways that there are. Its clock is five times as fast as
 * others, so that more happens between two looks at it.
 */
#ifndef ROUSE_TESTS_STRESS_GUEST_WORLD_H
#define ROUSE_TESTS_STRESS_GUEST_WORLD_H

#include "kernel/guest_private.h"
#include "tests/stress/stress.h"

#define WORLD_CPUS_MOST 8
#define WORLD_VCPUS 2
#define WORLD_NAMES 5 /* guests at once */
#define WORLD_POWEROFF_CODE 7

/* Counted by all CPUs, and never set back: guests, and vCPUs, that the
 * architecture made and that were freed; ends that guests came to by
 * themselves. Atomic. */
struct world {
	u32 guests_made, guests_freed, vcpus_made, vcpus_freed, ends;
};

extern struct world world;

/* So many CPUs with a scheduler, and no guests. */
void world_make(u32 cpus);
/* All CPUs run until one calls world_stop. */
void world_run(void);
void world_stop(void);

/* The configuration of a guest, g0 to g4, and the number in its name. */
struct guest_config world_config(u32 number, char name[8]);
u32 world_number(const char *name);

/* Is this a guest, which isn't freed? */
void world_check(const struct guest *g, u32 id);
/* Is what is said of its last end of one life, and is it paused in none? By its
 * own task, or when it stands still. */
void world_check_last(const struct guest *g);

#endif
