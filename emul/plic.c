/*
 * The virtual PLIC's registers, by the RISC-V PLIC specification 1.0.0 ("the
 * spec"), laid out as on QEMU's `virt`: vCPU h has context 2h for M-mode, which
 * nobody is in, and 2h + 1 for S-mode; 3 bits of priority and threshold; 1023
 * level-triggered sources; a window with room for 1024 contexts.
 *
 * Registers are 32 bits wide and accessed as such, the bus sees to that. What
 * the spec reserves, contexts that the guest has no vCPU for, and source 0 read
 * as zero and ignore writes. A claim through any context by any vCPU is served:
 * the guest's own harts are one domain.
 *
 * Where QEMU differs from the spec (a line that falls takes the pending bit
 * along; the threshold filters claims; a completion needs no enable), this
 * follows the spec. What happens behind the registers is in plic_core.c and
 * plic_setup.c.
 */
#include "emul/emul.h"

#include "emul/plic_core.h"
#include "kernel/guest.h"
#include "kernel/log.h"
#include "kernel/percpu/trace.h"
#include "kernel/tree_write.h"
#include "kernel/vcpu.h"

/* The spec, section "Memory Map". */
#define PRIORITY_END 0x1000u
#define PENDING_BASE 0x1000u
#define PENDING_END 0x1080u
#define ENABLE_BASE 0x2000u
#define ENABLE_SHIFT 7 /* 0x80 bytes a context */
#define CONTEXT_BASE 0x200000u
#define CONTEXT_SHIFT 12
#define CONTEXT_THRESHOLD 0u
#define CONTEXT_CLAIM 4u

#define WINDOW_BYTES 0x600000u
#define CONTEXTS_MAX ((WINDOW_BYTES - CONTEXT_BASE) >> CONTEXT_SHIFT)

#define PRIORITY_MASK 7u /* WARL: three bits, all values of them */
#define NDEV_LEAST 95u   /* what `virt` tells its guests */

/* Functions of their own, so that other registers don't pay for what the hooks
 * keep across a call. */
static __attribute__((noinline)) u32 claim(struct plic *p, struct vcpu *v,
					   u64 ctx)
{
	u32 src = plic_core_claim(p, ctx);

	TRACE(VIRQ_CLAIM, v->sched.trace_id, src, ctx);
	return src;
}

static __attribute__((noinline)) void complete(struct plic *p, struct vcpu *v,
					       u64 ctx, u32 src)
{
	TRACE(VIRQ_COMPLETE, v->sched.trace_id, src, ctx);
	plic_core_complete(p, ctx, src);
}

static u64 plic_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width)
{
	struct plic *p = dev->state;
	u64 ctx = (off - CONTEXT_BASE) >> CONTEXT_SHIFT;

	(void)width;
	if (off >= CONTEXT_BASE) {
		u32 reg = off & ((1u << CONTEXT_SHIFT) - 1);

		if (ctx >= p->contexts)
			return 0;
		if (reg == CONTEXT_CLAIM)
			return claim(p, v, ctx);
		if (reg == CONTEXT_THRESHOLD)
			return ck_pr_load_64(&p->context[ctx].threshold);
		return 0;
	}
	if (off < PRIORITY_END)
		return ck_pr_load_64(&p->source[off / 4].priority);
	if (off < PENDING_END)
		return plic_pending_word(p, (off - PENDING_BASE) / 4);
	if (off < ENABLE_BASE)
		return 0;
	ctx = (off - ENABLE_BASE) >> ENABLE_SHIFT;
	if (ctx >= p->contexts)
		return 0;
	return ck_pr_load_32(&p->context[ctx].enable[off / 4 % 32]);
}

static void plic_write(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		       u64 val)
{
	struct plic *p = dev->state;
	u64 ctx = (off - CONTEXT_BASE) >> CONTEXT_SHIFT;

	(void)width;
	if (off >= CONTEXT_BASE) {
		u32 reg = off & ((1u << CONTEXT_SHIFT) - 1);

		if (ctx >= p->contexts)
			return;
		if (reg == CONTEXT_CLAIM)
			complete(p, v, ctx, (u32)val);
		else if (reg == CONTEXT_THRESHOLD)
			plic_core_threshold(p, ctx, val & PRIORITY_MASK);
		return;
	}
	if (off < PRIORITY_END) {
		plic_core_priority(p, off / 4, val & PRIORITY_MASK);
	} else if (off >= ENABLE_BASE) {
		ctx = (off - ENABLE_BASE) >> ENABLE_SHIFT;
		if (ctx < p->contexts)
			plic_core_enable(p, ctx, off / 4 % 32, (u32)val);
	}
}

static struct emul_line *plic_line(struct emul_dev *dev, struct emul_dev *of)
{
	return plic_core_line(dev->state, of);
}

static struct emul_pin *plic_pin(struct emul_dev *dev, struct vcpu *v)
{
	return plic_core_pin(dev->state, v);
}

static int plic_init(struct emul_dev *dev)
{
	u32 vcpus = dev->guest->cfg.vcpus;

	if (vcpus > CONTEXTS_MAX / 2) {
		log_error("%s: %u vcpus, but a plic serves at most %u",
			  dev->guest->cfg.name, vcpus, CONTEXTS_MAX / 2);
		return -EINVAL;
	}
	return plic_core_init(dev->state, dev->guest, vcpus);
}

static void plic_fini(struct emul_dev *dev)
{
	plic_core_fini(dev->state);
}

static void plic_reset(struct emul_dev *dev)
{
	plic_core_reset(dev->state);
}

static void plic_describe(struct emul_dev *dev, struct tree_writer *t)
{
	struct guest *g = dev->guest;
	u32 ndev = NDEV_LEAST;

	for (u32 i = 0; i < g->device_count; i++)
		ndev = MAX(ndev, g->devices[i].irq);
	tree_u32(t, "riscv,ndev", ndev);
}

static const struct emul_ops plic_ops = {
	.name = "plic",
	EMUL_COMPATIBLE("sifive,plic-1.0.0\0riscv,plic0"),
	.base = { 0x0c000000 },
	.bytes = WINDOW_BYTES,
	.widths = EMUL_W32,
	.state_bytes = sizeof(struct plic),
	.lines = PLIC_SOURCES,
	.init = plic_init,
	.fini = plic_fini,
	.reset = plic_reset,
	.read = plic_read,
	.write = plic_write,
	.line = plic_line,
	.pin = plic_pin,
	.describe = plic_describe,
};

EMUL_DEVICE(plic_ops);
