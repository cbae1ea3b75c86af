/*
 * Which policies there are, and what they say of themselves.
 *
 * The linker gathers the pointers that SCHED_POLICY leaves in a section of its
 * own, so a policy is known by being linked, and no list names any. What there
 * is to ask of one is answered here, whichever CPU asks: only the policy of the
 * moment is read from the pool, and a CPU's from the CPU, since they differ
 * while the policy changes.
 */
#include <string.h>

#include "kernel/sched/private.h"

const struct sched_ops *policy_find(const char *name)
{
	const struct sched_ops *const *p = __start_rouse_sched;

	for (; p < __stop_rouse_sched; p++) {
		if (strcmp((*p)->name, name) == 0)
			return *p;
	}
	return NULL;
}

const char *sched_policy_list(u32 i)
{
	if (i >= (size_t)(__stop_rouse_sched - __start_rouse_sched))
		return NULL;
	return __start_rouse_sched[i]->name;
}

const char *sched_policy_name(void)
{
	const struct sched_ops *ops = ck_pr_load_ptr(&sched_pool.ops);

	return ops->name;
}

const char *const *sched_policy_knobs(const char *name)
{
	static const char *const none[] = { NULL };
	const struct sched_ops *ops = policy_find(name);

	if (!ops)
		return NULL;
	return ops->knobs ? ops->knobs : none;
}

u32 sched_policy_room(const char *name)
{
	const struct sched_ops *ops = policy_find(name);

	return ops ? ops->units_per_cpu : 0;
}

void sched_cpu_show(u32 cpu, char *buf, size_t len)
{
	const struct sched_core *core = core_of(cpu_by_index(cpu));
	const struct sched_ops *ops = ck_pr_load_ptr(&core->ops);

	if (len)
		buf[0] = '\0';
	if (ops->show)
		ops->show(&core->sc, NULL, time_now_ticks(), buf, len);
}

void sched_vcpu_show(const struct vcpu *v, u64 now, char *buf, size_t len)
{
	const struct cpu *c = vcpu_cpu(v);
	const struct sched_core *core = (const struct sched_core *)c->sched;
	const struct sched_ops *ops = ck_pr_load_ptr(&core->ops);

	if (len)
		buf[0] = '\0';
	/* A policy that is new has not come to all of them yet. */
	if (ops->show && ck_pr_load_32(&v->state) != VCPU_OFF &&
	    ck_pr_load_32(&v->sched.held) == ck_pr_load_32(&sched_pool.epoch))
		ops->show(&core->sc, &v->sched, now, buf, len);
}

void *sched_cpu_part(u32 cpu)
{
	return cpu_by_index(cpu)->sched->part;
}
