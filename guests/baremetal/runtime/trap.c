/*
 * Traps: interrupts go to registered handlers, exceptions end the innermost
 * probe of their hart, and an exception without a probe ends the guest with
 * all that is known of it.
 *
 * A probe is resumed like a long jump: the frame that the trap returns through
 * is rewritten to continue in start.S's probe_resume, in S-mode, with
 * interrupts as they were when the trap came.
 */
#include "guests/baremetal/runtime/runtime.h"

bool probe_call_raw(struct probe *p, u64 (*fn)(u64, u64, u64), u64 a, u64 b,
		    u64 c);
void probe_user_raw(struct probe *p, u64 pc, u64 sp, u64 a0);
void probe_resume(void);
void trap_handle(struct trap_frame *f);

static irq_fn handlers[16];

static void default_soft(struct hart *h, struct trap_frame *f)
{
	(void)h;
	(void)f;
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
}

static void default_timer(struct hart *h, struct trap_frame *f)
{
	(void)h;
	(void)f;
	timer_clear();
}

static void default_external(struct hart *h, struct trap_frame *f)
{
	s32 context = machine.plic_context[h->index];
	u32 line;

	(void)f;
	if (context < 0)
		die("external interrupt without a PLIC");
	line = plic_claim((u32)context);
	if (line)
		plic_complete((u32)context, line);
}

void irq_handler(u32 irq, irq_fn fn)
{
	__atomic_store_n(&handlers[irq & 15], fn, __ATOMIC_RELEASE);
}

static void handle_irq(struct hart *h, struct trap_frame *f)
{
	static const irq_fn defaults[16] = {
		[IRQ_S_SOFT] = default_soft,
		[IRQ_S_TIMER] = default_timer,
		[IRQ_S_EXT] = default_external,
	};
	u32 irq = f->scause & 15;
	irq_fn fn = __atomic_load_n(&handlers[irq], __ATOMIC_ACQUIRE);

	if (!fn)
		fn = defaults[irq];
	if (!fn)
		die("hart %ld: interrupt %u has no handler", h->id, irq);
	h->irqs[irq]++;
	fn(h, f);
}

static _Noreturn void unexpected(struct hart *h, struct trap_frame *f)
{
	print("hart %ld: unexpected exception %ld, stval 0x%lx, sepc 0x%lx, "
	      "sstatus 0x%lx\n",
	      h->id, f->scause, f->stval, f->sepc, f->sstatus);
	for (int i = 0; i < 32; i += 4)
		print("  x%-2d %016lx %016lx %016lx %016lx\n", i, f->x[i],
		      f->x[i + 1], f->x[i + 2], f->x[i + 3]);
	die("unexpected exception");
}

void trap_handle(struct trap_frame *f)
{
	struct hart *h = this_hart();
	struct probe *p = h->probe;

	if (f->scause & SCAUSE_IRQ) {
		handle_irq(h, f);
		return;
	}
	if (!p)
		unexpected(h, f);
	p->scause = f->scause;
	p->stval = f->stval;
	p->sepc = f->sepc;
	p->sstatus = f->sstatus;
	p->x10 = f->x[10];
	p->x11 = f->x[11];
	h->probe = p->outer;
	f->x[4] = (u64)h;
	f->x[10] = (u64)p;
	f->sepc = (u64)probe_resume;
	f->sstatus |= SSTATUS_SPP;
}

bool probe_call(struct probe *p, u64 (*fn)(u64, u64, u64), u64 a, u64 b, u64 c)
{
	struct hart *h = this_hart();
	bool ok;

	p->scause = p->stval = p->sepc = p->value = 0;
	p->outer = h->probe;
	h->probe = p;
	ok = probe_call_raw(p, fn, a, b, c);
	h->probe = p->outer;
	return ok;
}

void probe_user(struct probe *p, u64 pc, u64 sp, u64 a0)
{
	struct hart *h = this_hart();
	u64 old = irq_save();

	p->outer = h->probe;
	h->probe = p;
	probe_user_raw(p, pc, sp, a0);
	irq_off();
	irq_restore(old);
}

u64 probe_do_load(u64 addr, u64 width, u64 unused)
{
	(void)unused;
	switch (width) {
	case 1:
		return *(volatile u8 *)addr;
	case 2:
		return *(volatile u16 *)addr;
	case 4:
		return *(volatile u32 *)addr;
	default:
		return *(volatile u64 *)addr;
	}
}

u64 probe_do_store(u64 addr, u64 width, u64 val)
{
	switch (width) {
	case 1:
		*(volatile u8 *)addr = (u8)val;
		break;
	case 2:
		*(volatile u16 *)addr = (u16)val;
		break;
	case 4:
		*(volatile u32 *)addr = (u32)val;
		break;
	default:
		*(volatile u64 *)addr = val;
		break;
	}
	__asm__ volatile("fence" ::: "memory");
	return 0;
}

bool probe_load(u64 addr, u32 width, u64 *val, u64 *cause)
{
	struct probe p;
	bool ok = probe_call(&p, probe_do_load, addr, width, 0);

	*val = p.value;
	*cause = p.scause;
	return ok;
}

bool probe_store(u64 addr, u32 width, u64 val, u64 *cause)
{
	struct probe p;
	bool ok = probe_call(&p, probe_do_store, addr, width, val);

	*cause = p.scause;
	return ok;
}
