/*
 * World switch and turns.
 *
 * A turn is from arch_vcpu_run to its return; within it exits are handled on
 * the spot and sepc, sstatus and hstatus never leave their CSRs. Loading and
 * saving a vCPU is apart from turns: a vCPU that runs again where it ran last
 * with nobody in between finds its VS CSRs still there, and only what may have
 * changed while it waited (hvip, the timer, vsatp after a fence) is written.
 * Saving is never left out, because another CPU may load the vCPU the moment
 * that its state word says so.
 *
 * What has no VS copy and is visible to the guest moves as well: scounteren,
 * senvcfg, sstateen0. So does vsiselect: guests are not told of the AIA, but
 * without Smstateen nothing keeps them from the register, and a value that
 * stayed in it would be a message to the next guest.
 */

/* tp by its name. As a value it would be copied, and spilled: a turn leaves no
 * register in which to keep it. */
struct riscv_cpu;
register struct riscv_cpu *here __asm__("tp");

#include "arch/riscv/world.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/fpu.h"
#include "arch/riscv/vfence.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vmid.h"
#include "arch/riscv/vs.h"
#include "arch/riscv/vsbi.h"
#include "arch/riscv/vtimer.h"
#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/percpu/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/yield.h"
#include "kernel/virq.h"

/* It has counters of its own, or what the hart has by the firmware alone. */
static __attribute__((noinline)) void rare_save(struct riscv_vcpu *v)
{
	if (v->pmu.hw_used)
		vpmu_pause(v);
	if (v->hcounteren & VCPU_SAVE_RARE)
		vsbi_features_unload(v);
}

/* `v`, or who was here before, has counters of its own. */
static __attribute__((noinline)) void counters_load(struct riscv_vcpu *v)
{
	vhw_hcounteren_set(v->hcounteren);
	if (v->pmu.hw_used)
		vpmu_resume(v);
}

/* Has neither it nor who was here used FP or vectors? Then its registers are
 * the zeros that are there, and its FS and VS, once set, are what they were. */
static inline bool fpu_idle(const struct riscv_cpu *c,
			    const struct riscv_vcpu *v)
{
	return (v->sstatus & SSTATUS_FS) && !v->fp_used && !v->vector_used &&
	       !c->fp_owner && !c->vector_owner;
}

/* Is there anything of its FP and vector registers to be saved? SD: they are
 * dirty; of their CSRs not every hart tells that (fpu.c). */
static inline bool fpu_moves(const struct riscv_vcpu *v)
{
	return v->odd & VCPU_ODD_FPU || (s64)v->sstatus < 0 ||
	       fpu_csrs_left(v);
}

static inline void htimedelta_load(const struct arch_guest *g,
				   struct riscv_cpu *c)
{
	if (c->htimedelta == g->htimedelta)
		return;
	c->htimedelta = g->htimedelta;
	csr_write(CSR_HTIMEDELTA, c->htimedelta);
}

/* What only a vCPU has that is odd, or comes here for the first time. */
static inline void load_odd(struct riscv_vcpu *v, struct riscv_cpu *c)
{
	if (unlikely(c->henvcfg != v->henvcfg))
		vsbi_features_load(v);
	if (unlikely((c->hcounteren & v->hcounteren) != GUEST_COUNTERS))
		counters_load(v);
	if (unlikely(!fpu_idle(c, v)))
		v->sstatus = (v->sstatus & ~(SSTATUS_FS | SSTATUS_VS)) |
			     fpu_load(c, v);
}

static __attribute__((noinline)) void load_all(struct riscv_vcpu *v,
					       struct riscv_cpu *c)
{
	struct arch_guest *g = v->g;

	v->host = &c->c;
	/* It has yet to begin a run here. */
	if (v->fence.cpu != &c->c)
		v->odd |= VCPU_ODD_CALL;
	vmid_enter(&c->vmid, g, v->v.id);
	vs_load(&v->vs);
	v->csr_on = &c->c;
	v->vmid_last = vmid_last_of(&c->vmid, g);
	csr_write(CSR_VSIE, v->vs.vsie);
	csr_write(CSR_VSATP, v->vs.vsatp);
	csr_write(CSR_HVIP, v->hvip);
	htimedelta_load(g, c);
	vtimer_load(v);
	load_odd(v, c);
}

static inline void load(struct riscv_vcpu *v, struct riscv_cpu *c)
{
	c->loaded = v;
	/* Nobody else was loaded here since it was saved, nor it elsewhere: so
	 * all but what the save took away is in place. */
	if (likely(c->csr_owner == v && v->csr_on == &c->c)) {
		csr_write(CSR_VSIE, v->vs.vsie);
		vtimer_load(v);
	} else {
		load_all(v, c);
	}
}

void arch_vcpu_load(struct vcpu *vc)
{
	load(to_riscv(vc), here);
}

void arch_vcpu_save(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);
	struct riscv_cpu *c = here;

	if (unlikely(v->hcounteren != GUEST_COUNTERS))
		rare_save(v);
	vs_save(&v->vs);
	v->hvip = csr_read(CSR_HVIP);
	vtimer_save(v);
	/* Nothing of this guest's may end the idle loop's own WFI. */
	csr_write(CSR_VSIE, 0);
	if (unlikely(fpu_moves(v)))
		v->sstatus = fpu_save(c, v, v->sstatus);
	c->loaded = NULL;
	c->csr_owner = v;
}

static __attribute__((noinline)) void flush_rare(struct riscv_vcpu *v, u32 bits)
{
	/* The swap must be seen before what the bits tell of is looked at: else
	 * they are used up and nothing was found. Pairs with virq_raise. */
	ck_pr_fence_acquire();
	if (bits & VIRQ_FENCE)
		vfence_before_entry(v);
	/* Last: it may change where the guest goes on. */
	if (bits & VIRQ_SSE)
		vsse_deliver(v);
}

static inline __attribute__((always_inline)) u32 flush(struct riscv_vcpu *v)
{
	u32 bits = ck_pr_fas_32(&v->v.virq, 0);

	if (bits & VIRQ_SOFT) {
		csr_set(CSR_HVIP, IRQ_BIT(IRQ_VSSI));
		/* Who counts has no quick path. */
		if (unlikely(!v->quick))
			vpmu_event_at(&v->pmu, VPMU_IPI_RECEIVED);
	}
	/* What the other side raises most comes alone. */
	if (likely(!(bits & ~VIRQ_SOFT)))
		return bits;
	if (bits & VIRQ_EXTERNAL) {
		/* The swap must be seen before the lines are read: a raiser
		 * that changes one after this sets the bit anew. The full
		 * fence between the two is emul_eval's. */
		if (emul_eval(&v->v))
			csr_set(CSR_HVIP, IRQ_BIT(IRQ_VSEI));
		else
			csr_clear(CSR_HVIP, IRQ_BIT(IRQ_VSEI));
	}
	if (bits & VIRQ_TIMER)
		vtimer_expire(v);
	if (unlikely(bits & (VIRQ_FENCE | VIRQ_SSE)))
		flush_rare(v, bits);
	return bits;
}

/* Recorded: copies, so that the others ask once and keep nothing. */
static __attribute__((cold, noinline)) void flush_traced(struct riscv_vcpu *v)
{
	u32 bits = flush(v);

	trace_write(TRACE_EV_VIRQ_INJECT, v->v.sched.trace_id, bits,
		    csr_read(CSR_HVIP));
}

void world_flush_virq(struct riscv_vcpu *v)
{
	if (trace_on(TRACE_VIRQ))
		flush_traced(v);
	else
		flush(v);
}

/* A turn begins: its interrupts and the entry. */
static __attribute__((cold, noinline)) void enter_traced(struct riscv_vcpu *v)
{
	if (ck_pr_load_32(&v->v.virq))
		world_flush_virq(v);
	TRACE(ENTRY, v->v.sched.trace_id, csr_read(CSR_SEPC),
	      csr_read(CSR_HIP));
}

/* Saves one and loads the other at once: each CSR has but to be swapped. `to`
 * ran on this CPU before. */
static inline __attribute__((always_inline)) void
swap(struct riscv_vcpu *from, struct riscv_vcpu *to)
{
	here->loaded = to;
	vs_swap(&from->vs, &to->vs);
	SWAP(CSR_HVIP, from->hvip, to->hvip);
	SWAP(CSR_VSTIMECMP, from->vs.vstimecmp, to->vs.vstimecmp);
	if (likely(from->g == to->g)) {
		from->vs.vsatp = vmid_next(to->vmid_last, to->v.id,
					   to->vs.vsatp);
		return;
	}
	SWAP(CSR_VSATP, from->vs.vsatp, 0);
	if (unlikely(!vmid_return(&here->vmid, to->g, to->vmid_last,
				  to->v.id)))
		vmid_enter(&here->vmid, to->g, to->v.id);
	csr_write(CSR_VSATP, to->vs.vsatp);
	/* Hardly any two guests have the same. */
	here->htimedelta = to->g->htimedelta;
	csr_write(CSR_HTIMEDELTA, here->htimedelta);
}

/* The same where FP and vector registers, counters or henvcfg are to be moved,
 * or `to` is new here. */
static __attribute__((noinline)) void swap_odd(struct riscv_vcpu *from,
					       struct riscv_vcpu *to)
{
	if (unlikely(to->csr_on != &here->c ||
		     (from->odd | to->odd) & VCPU_ODD_TIMER)) {
		arch_vcpu_save(&from->v);
		arch_vcpu_load(&to->v);
		return;
	}
	if (unlikely(from->hcounteren != GUEST_COUNTERS))
		rare_save(from);
	swap(from, to);
	if (fpu_moves(from))
		from->sstatus = fpu_save(here, from, from->sstatus);
	load_odd(to, here);
}

static u64 turn_hstatus(struct riscv_vcpu *v)
{
	if (v->v.guest->cfg.wfi == WFI_NATIVE && sched_wfi_native(&v->v))
		return v->hstatus & ~HSTATUS_VTW;
	return v->hstatus | HSTATUS_VTW;
}

static inline enum run_end turn_end(enum exit_next next)
{
	switch (next) {
	case NEXT_BLOCK: return RUN_BLOCK;
	case NEXT_YIELD: return RUN_YIELD;
	case NEXT_TIMER: return RUN_TIMER;
	case NEXT_OFF: return RUN_OFF;
	case NEXT_DEAD: return RUN_DEAD;
	default: return RUN_LOOK;
	}
}

/* Of a turn that begins: what the guest finds. */
static inline __attribute__((always_inline)) void
turn_enter(struct riscv_vcpu *v)
{
	csr_write(CSR_SEPC, v->pc);
	csr_write(CSR_SSTATUS, v->sstatus);
	csr_write(CSR_HSTATUS, v->hstatus);
	if (unlikely(ck_pr_load_32(&v->v.virq)))
		flush(v);
}

/*
 * The beginning of most turns: the vCPU isn't odd, no fence is due, there is no
 * mail. The one full fence is that of cpu_enter_guest and of vfence_run_begin.
 * False: nothing was done that the long way may not do again.
 */
static inline __attribute__((always_inline)) bool
turn_begin(struct riscv_vcpu *v, u64 odd)
{
	if (unlikely(odd & VCPU_ODD_TURN))
		return false;
	vfence_enter(&v->fence);
	if (unlikely(!cpu_enter_guest(&here->c, &v->v)))
		return false;
	if (unlikely(vfence_due(&v->fence, &v->g->fence_gen))) {
		cpu_leave_guest(&here->c);
		return false;
	}
	turn_enter(v);
	return true;
}

/* The same with all that may be due; RUN_LOOK, or RUN_BLOCK: no turn now. */
static __attribute__((noinline)) bool
turn_begin_all(struct riscv_vcpu *v, struct riscv_cpu *c, enum run_end *end)
{
	*end = RUN_LOOK;
	if (!vsbi_run_begin(v)) {
		/* It waits for others' fences, or its call goes on. */
		if (vfence_waits(v))
			*end = RUN_BLOCK;
		return false;
	}
	vhw_timer_no_later(vtimer_running_deadline(v));
	if (!cpu_enter_guest(&c->c, &v->v))
		return false;
	csr_write(CSR_SEPC, v->pc);
	csr_write(CSR_SSTATUS, v->sstatus);
	csr_write(CSR_HSTATUS, turn_hstatus(v));
	if (v->traced)
		enter_traced(v);
	else if (ck_pr_load_32(&v->v.virq))
		flush(v);
	return true;
}

/* For guest_enter: where to return to, as long as the frame of the function
 * that this becomes part of is there. */
static inline __attribute__((always_inline)) void enter_from_here(void)
{
	__asm__ volatile("sd	sp, %0\n"
			 "	sd	%2, %1"
			 : "=m"(here->run_sp), "=m"(here->run_s0)
			 : "r"(__builtin_frame_address(0)));
}

/* Calls guest_enter, which keeps none of these registers. True: the guest gives
 * way, by the short way; else *next says what comes. */
static inline __attribute__((always_inline)) bool enter(struct riscv_vcpu *v,
							u64 *next)
{
	register u64 a0 __asm__("a0") = (u64)v;

	__asm__ goto("jal	guest_enter\n"
		     "	.option	push\n"
		     "	.option	norvc\n"
		     "	j	%l[ended]\n"
		     "	.option	pop"
		     : "+r"(a0)
		     :
		     : "memory", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6",
		       "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s1", "s2",
		       "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"
		     : ended);
	return true;
ended:
	*next = a0;
	return false;
}

/* A turn of `v` is over, and no other follows it at once. */
static inline __attribute__((always_inline)) void
turn_leave(struct riscv_vcpu *v)
{
	cpu_leave_guest(&here->c);
	vfence_leave(&v->fence);
	if (unlikely(vfence_due(&v->fence, &v->g->fence_gen)))
		vfence_before_entry(v);
}

/* `from` gives way to `to`, which may be the same, whatever is odd about them.
 * The turn of `to` has yet to begin. */
static __attribute__((noinline)) void pass_odd(struct riscv_vcpu *from,
					       struct riscv_vcpu *to)
{
	turn_leave(from);
	if (to != from)
		swap_odd(from, to);
	if (to->v.waits)
		to->v.waits(&to->v, false);
}

/* Something is due at either: it is done for the one, while that is loaded, and
 * found for the other when its turn begins. */
static __attribute__((noinline)) void pass_due(struct riscv_vcpu *from,
					       struct riscv_vcpu *to)
{
	cpu_leave_guest(&here->c);
	vfence_before_entry(from);
	swap_odd(from, to);
}

/*
 * `from` gives way to `to`, which is another one: both leave and enter in one,
 * and the CPU stays in mode GUEST, as in a quick exit: whoever has mail for it
 * rings, and that ends the turn that begins. The full fence of vfence_pass is
 * the one that follows RUNNING (sched_give_way); `virq` is looked at after it.
 * False: the turn of `to` has yet to begin.
 */
static inline __attribute__((always_inline)) bool pass(struct riscv_vcpu *from,
						       struct riscv_vcpu *to)
{
	vfence_pass(&from->fence, &to->fence);
	if (unlikely(vfence_due(&from->fence, &from->g->fence_gen) ||
		     vfence_due(&to->fence, &to->g->fence_gen))) {
		pass_due(from, to);
		return false;
	}
	swap(from, to);
	turn_enter(to);
	return true;
}

/* Does nothing but what `pass` moves tell the two apart? As fpu_moves, with one
 * branch for all. */
static inline bool is_plain(const struct riscv_vcpu *from,
			    const struct riscv_vcpu *to)
{
	return likely(&to->v != &from->v && to->csr_on == &here->c &&
		      (s64)from->sstatus >= 0 &&
		      !(from->odd | to->odd | fpu_csrs_left(from)));
}

/* Turns, as long as one vCPU gives way to another and nothing else is to be
 * done. */
static inline __attribute__((always_inline)) enum run_end
run(struct riscv_vcpu *v)
{
	enum run_end end;
	u64 next;

	enter_from_here();
	for (;;) {
		if (!turn_begin(v, v->odd) && !turn_begin_all(v, here, &end)) {
			vfence_run_end(v);
			return end;
		}
		for (;;) {
			bool gives = enter(v, &next);
			/* Not kept, in a register that it would have to
			 * save. */
			struct riscv_vcpu *from = here->running;
			struct vcpu *to;

			if (unlikely(!gives)) {
				turn_leave(from);
				return turn_end((enum exit_next)next);
			}
			to = sched_give_way(&from->v);
			if (unlikely(!to)) {
				turn_leave(from);
				return RUN_YIELD;
			}
			v = to_riscv(to);
			if (unlikely(!is_plain(from, v))) {
				pass_odd(from, v);
				break;
			}
			if (unlikely(!pass(from, v)))
				break;
		}
	}
}

enum run_end arch_vcpu_run(struct vcpu *vc)
{
	return run(to_riscv(vc));
}

enum run_end arch_vcpu_load_run(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	load(v, here);
	return run(v);
}

bool arch_vcpu_pending(struct vcpu *vc)
{
	struct riscv_vcpu *v = to_riscv(vc);

	if (vfence_waits(v))
		return ck_pr_load_32(&vc->virq) & VIRQ_FENCED;
	if (ck_pr_load_32(&vc->virq))
		return true;
	if (vcpu_loaded(v))
		return csr_read(CSR_VSIP) & csr_read(CSR_VSIE);
	return (v->hvip >> 1 & v->vs.vsie) || 
		(v->vs.vsie & IRQ_BIT(IRQ_STI) && vtimer_passed(v));
}
