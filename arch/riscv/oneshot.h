/*
 * This CPU's one-shot timer, and what it is remembered to be set to.
 */
#ifndef ROUSE_ARCH_RISCV_ONESHOT_H
#define ROUSE_ARCH_RISCV_ONESHOT_H

#include "arch/riscv/vhw_oneshot.h"
#include "kernel/base.h"

struct oneshot {
	u64 ticks; /* when it fires, host ticks; TIME_NEVER: it doesn't; 0: it
		    * pends */
};

/* Sets it, whatever it was. The CPU's own, as all here. */
void oneshot_init(struct oneshot *t);

/* Makes it fire at `deadline_ticks` (host) and not before; TIME_NEVER: not at
 * all. Costs nothing if it is set to that already. */
static inline void oneshot_set(struct oneshot *t, u64 deadline_ticks)
{
	if (t->ticks == deadline_ticks)
		return;
	t->ticks = deadline_ticks;
	vhw_oneshot_write(deadline_ticks);
}

/*
 * Its interrupt has ended a turn: silences it, whether or not it was set at
 * all. From here it is at TIME_NEVER.
 */
void oneshot_fired(struct oneshot *t);

/*
 * Its interrupt has ended a wait: it is left as it is, and pends until it is
 * set, which is not left out, or has ended a turn.
 */
static inline void oneshot_pends(struct oneshot *t)
{
	t->ticks = 0;
}

#endif
