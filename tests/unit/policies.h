/*
 * The registered policies, for tests that go through all of them or take any:
 * a new one is tested without a change here or there.
 */
#ifndef ROUSE_TESTS_UNIT_POLICIES_H
#define ROUSE_TESTS_UNIT_POLICIES_H

#include <stddef.h>

#include "kernel/sched/sched.h"

/* The one after it, NULL: the first. Returns NULL behind the last. */
static inline const char *policy_after(const char *name)
{
	u32 i = 0;

	while (name && sched_policy_list(i++) != name)
		;
	return sched_policy_list(i);
}

#define for_each_policy(name)                                   \
	for (const char *name = policy_after(NULL); name;       \
	     name = policy_after(name))

static inline u32 policy_count(void)
{
	u32 count = 0;

	while (sched_policy_list(count))
		count++;
	return count;
}

/* The n-th of those that have room for any number of vCPUs, or NULL. */
static inline const char *sharing_policy(u32 n)
{
	for_each_policy(name) {
		if (!sched_policy_room(name) && n-- == 0)
			return name;
	}
	return NULL;
}

static inline u32 sharing_policy_count(void)
{
	u32 count = 0;

	while (sharing_policy(count))
		count++;
	return count;
}

#endif
