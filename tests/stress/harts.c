/* See harts.h; and virq_raise, of which a test that doesn't link the real one
 * needs the bit alone. */
#include "tests/stress/harts.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/virq.h"

__attribute__((weak)) void virq_raise(struct vcpu *v, u32 bits)
{
	__atomic_fetch_or(&v->virq, bits, __ATOMIC_SEQ_CST);
}

static struct riscv_vcpu *vcpu_at(struct riscv_vcpu *first, size_t stride,
				  u32 i)
{
	return (struct riscv_vcpu *)((char *)first + i * stride);
}

void harts_run(struct guest *g, struct riscv_vcpu *first, size_t stride,
	       void *(*main)(void *vcpu))
{
	pthread_t thread[HARTS_MAX];
	u32 count = g->cfg.vcpus;

	if (count > HARTS_MAX)
		abort();
	alarm(120);
	for (u32 i = 0; i < count; i++) {
		struct riscv_vcpu *v = vcpu_at(first, stride, i);

		v->v.guest = g;
		v->v.id = i;
		g->vcpu[i] = &v->v;
	}
	for (u32 i = 0; i < count; i++)
		if (pthread_create(&thread[i], NULL, main,
				   vcpu_at(first, stride, i)))
			abort();
	for (u32 i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

u64 hart_seed(const struct riscv_vcpu *v)
{
	return (v->v.id + 1) * 0x9e3779b97f4a7c15ULL;
}

u32 hart_random(u64 *rng, u32 below)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (u32)(*rng >> 33) % below;
}
