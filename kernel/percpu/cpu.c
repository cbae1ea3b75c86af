/*
 * Which CPUs there are. Filled once at boot, constant ever after, so readers
 * need no order: CPUs other than the first are started after it is complete.
 */
#include "kernel/percpu/cpu.h"

#include "kernel/panic.h"

struct cpu *cpu_table[CPU_MAX];
u32 cpu_table_len;

void cpu_register(struct cpu *c)
{
	ASSERT(c->index == cpu_table_len && cpu_table_len < CPU_MAX);
	c->mode = CPU_HYP;
	c->bell = 0;
	c->load = 0;
	c->level = 0;
	c->vtime = TIME_NEVER;
	c->wait_vtime = TIME_NEVER;
	mbox_init(&c->mbox);
	cpu_table[cpu_table_len++] = c;
}
