/*
 * All that the hypervisor asks of an instruction set. `kernel` reaches the
 * architecture through this file alone; a host program supplies a fake.
 *
 * In the hypervisor interrupts are always off: they end a guest's turn
 * (arch_vcpu_run returns) or a wait (arch_wait returns), and never come in
 * between. So every function here runs to its end undisturbed.
 */
#ifndef ROUSE_KERNEL_ARCH_H
#define ROUSE_KERNEL_ARCH_H

#include "kernel/base.h"
#include "kernel/config.h"

/* cpu_this(): the struct cpu of the CPU that asks; arch_ticks(): the time, as
 * time_now_ticks; arch_irq_pends(): may the doorbell or a device of the host
 * pend for this CPU? Inline, an instruction or two each.
 * arch_zero(p, bytes): zeroes into RAM, both whole pages. arch_clean(p, bytes):
 * who passes by the caches, if guests can, finds what is there. Any context. */
#include "arch_inline.h"

struct cpu;
struct guest;
struct vcpu;
struct guest_fdt_isa;

/* This CPU's one-shot timer: arch_wait or arch_vcpu_run ends at `deadline`
 * (absolute ticks) or soon after; TIME_NEVER disarms it. */
void arch_timer_set(u64 deadline_ticks);

/* The same, if it would fire later than that; so in a turn too. */
void arch_timer_no_later(u64 deadline_ticks);

/*
 * Rings another CPU's doorbell: its arch_wait or arch_vcpu_run ends. All stores
 * before the call are visible to the target before the bell is (fence w,o).
 */
void arch_doorbell_ring(struct cpu *target);

/* Clears this CPU's doorbell (and nothing else),
 * ordered before what follows. */
void arch_doorbell_ack(void);

/*
 * Waits until a doorbell, the timer or a device of the host is pending for
 * this CPU. May return early. No vCPU is loaded. Acknowledges nothing before
 * the wait; behind it, the doorbell (as arch_doorbell_ack) and the host's
 * devices (as arch_host_irq). The timer stays as it was set: if it pends, and
 * maybe too early, until it is set anew or a turn has ended with RUN_TIMER.
 */
void arch_wait(void);

/* Handles interrupts of the host's own devices (the console) if any pend. */
void arch_host_irq(void);

/* Why a vCPU's turn ended. */
enum run_end {
	RUN_LOOK,    /* mail, a request, or the doorbell: look around */
	RUN_TIMER,   /* this CPU's timer */
	RUN_BLOCK,   /* the guest waits (WFI, HSM suspend) */
	RUN_YIELD,   /* the guest gives the rest of its slice away */
	RUN_OFF,     /* the guest stopped this vCPU (HSM stop) */
	RUN_DEAD,    /* the guest has ended (guest_end was called) */
};

/*
 * Lets the guest run on this CPU until something is for the core to decide.
 * `v` must be loaded. Most exits are handled inside and never come back here.
 * Before entering it stores mode = GUEST, full fence, and looks at the mailbox,
 * v->requests and v->virq once more; when it returns mode is HYP again.
 */
enum run_end arch_vcpu_run(struct vcpu *v);

/* arch_vcpu_load, then arch_vcpu_run: what a wake does, in one. */
enum run_end arch_vcpu_load_run(struct vcpu *v);

/*
 * Moves the state that belongs to a vCPU rather than to a CPU: VS CSRs, dirty
 * FP and vector registers. load: `v` runs next on this CPU and was not the
 * last here, or ran elsewhere meanwhile. save: everything is in memory when it
 * returns, and the guest's timer no longer disturbs this CPU.
 */
void arch_vcpu_load(struct vcpu *v);
void arch_vcpu_save(struct vcpu *v);

/*
 * Which classes are recorded (enum trace_class) on the CPU that asks, which
 * owns `v`: it takes no way in or out of the guest that passes by hooks of any
 * of them. Called before its first turn and at every change; `v` is not in its
 * guest.
 */
void arch_vcpu_trace(struct vcpu *v, u32 classes);

/* Its guest's knobs may have changed, `wfi` among them. The CPU that owns `v`,
 * which is not in its guest. */
void arch_vcpu_knobs(struct vcpu *v);

/*
 * Would WFI return at once: is an interrupt pending and enabled for the guest
 * (v->virq counts as pending), or has its timer passed? `v` is loaded or saved
 * on this CPU.
 */
bool arch_vcpu_pending(struct vcpu *v);

/* When the guest's own timer fires, host ticks; TIME_NEVER if it is off or
 * would not wake the vCPU. `v` belongs to this CPU. */
u64 arch_vcpu_deadline_ticks(struct vcpu *v);

/* The timer of a blocked vCPU fired. Owner's CPU. */
void arch_vcpu_timer_fired(struct vcpu *v);

/*
 * The architecture's part of a vCPU around `struct vcpu`. alloc: zeroed, NULL
 * without memory. reset: the state in which a hart starts (S-mode, MMU off) at
 * `entry` with a0 = id and a1 = arg; the vCPU is OFF. clear: its guest starts
 * anew, and of the life before nothing is left: no register, timer, fence or
 * HSM state; OFF as well.
 */
struct vcpu *arch_vcpu_alloc(struct guest *g, u32 id) __must_check;
void arch_vcpu_free(struct vcpu *v);
void arch_vcpu_reset(struct vcpu *v, u64 entry, u64 arg);
void arch_vcpu_clear(struct vcpu *v);

/*
 * The architecture's part of a guest: second stage (G-stage), VMID, time base.
 * 0; -ENOMEM; -ERANGE: its RAM lies where the harts' second stage can't reach.
 * reset: guest time starts near zero again, and hart 0 alone is about to start:
 * its arch_vcpu_reset comes after it. All vCPUs have been cleared before.
 */
int arch_guest_create(struct guest *g) __must_check;
void arch_guest_destroy(struct guest *g);
void arch_guest_reset(struct guest *g);

/*
 * The same as emul_tell_rest, for what the architecture has to tell: after
 * guest_tell_rest, some of it in a step of the guest's task, 10,000
 * instructions at most. True: there is more.
 */
bool arch_guest_tell_rest(struct guest *g);

/*
 * Has every CPU let go of the guest's second stage? All its vCPUs are OFF. A
 * CPU that has not is asked to; call again later. Before unmap_step, reset and
 * destroy. Any CPU, never waits.
 */
bool arch_guest_quiet(struct guest *g) __must_check;

/* Lets go of the second stage that this CPU holds if arch_guest_quiet asks it
 * to, elsewhere. No vCPU is loaded. For a CPU that works without ever coming to
 * arch_wait, which does the same. */
void arch_guest_let_go(void);

/* Where `v` is in its code: it is on this CPU in an exit, or saved. */
u64 arch_vcpu_pc(struct vcpu *v);

/*
 * Second stage. prepare: makes the tables in which a page of `page_bytes`
 * (4 KiB, 2 MiB) at `at` is to be mapped, and those beside it; before the guest
 * first runs; 0 or -ENOMEM. map: [gpa, gpa + bytes) -> hpa, read-write-execute,
 * with the largest pages that fit, of prepared tables, so that it needs no
 * memory; 0, or -ENOENT if they aren't (what was mapped stays and is harmless).
 * Any CPUs at once, without a lock; what is mapped already stays as it is. A
 * page of 1 GiB, where those of 2 MiB are prepared: when no vCPU runs and
 * arch_guest_quiet was true since.
 * unmap_step: takes some of it away, true: call again. No vCPU runs and
 * arch_guest_quiet was true since; after the last one nothing that was mapped
 * before is used by any CPU when the guest runs again. The tables stay, until
 * free_step, likewise, has freed them; then the guest runs no more.
 */
int arch_stage2_prepare(struct guest *g, struct gpa at, u64 page_bytes)
	__must_check;
int arch_stage2_map(struct guest *g, struct gpa at, struct hpa to, u64 bytes)
	__must_check;
bool arch_stage2_unmap_step(struct guest *g) __must_check;
bool arch_stage2_free_step(struct guest *g) __must_check;

/*
 * For a panic. regs: the registers of this CPU, as text lines. frame_next: the
 * return address in frame *fp and the frame before it; false if *fp is no frame
 * of that CPU's stack. cpu_last_pc: where a CPU's guest was last left, or 0.
 */
void arch_panic_regs(void (*line)(void *ctx, const char *text), void *ctx);
bool arch_frame_next(struct cpu *c, u64 *fp, u64 *pc);
u64 arch_cpu_last_pc(struct cpu *c);

/*
 * Where a CPU is in the hypervisor's code. ask: one that has been silent for
 * long is interrupted for a moment, interrupts off or not, if the machine has a
 * way; without waiting. where: what it said since it was asked last; false if
 * it has said nothing. forget: it isn't there any more.
 */
struct cpu_where {
	u64 pc, fp; /* and the frame */
};

void arch_cpu_where_ask(struct cpu *c);
void arch_cpu_where_forget(struct cpu *c);
bool arch_cpu_where(struct cpu *c, struct cpu_where *out);

/* What the machine says of itself: the archive that the firmware left in
 * memory (NULL, 0: none), and what guests are told of the harts. */
const void *arch_initrd(size_t *bytes);
const struct guest_fdt_isa *arch_guest_isa(void);

/* Random bytes of the machine's tree (/chosen/rng-seed), or NULL. */
const void *arch_rng_seed(size_t *bytes);

/* Lets the CPUs that wait since boot enter their loops. Boot CPU, once. */
void arch_cpus_release(void);

/* The machine ends. status 0 is success; does not return. reboot returns if
 * there is no way to do it. */
_Noreturn void arch_poweroff(u32 status);
void arch_reboot(void);

/* The host's console: bytes out (may spin, only for logs and panics), one
 * byte in or -1. */
void arch_console_write(const char *buf, size_t len);
int arch_console_read(void);

/*
 * The same for the console's task. write_some: takes as many of `len` bytes as
 * fit the device now and returns their count; never spins; 0: full, try later.
 * has_irq: does an interrupt announce input? Then arch_host_irq masks it at the
 * device and calls console_wake() (kernel/shell/console.h), and
 * arch_console_read unmasks it when it returns -1. If not, the task polls.
 */
size_t arch_console_write_some(const char *buf, size_t len);
bool arch_console_has_irq(void);

/* Registers of a vCPU as text lines, for `vcpu regs`; `v` is not running. */
void arch_vcpu_print(struct vcpu *v,
		     void (*line)(void *ctx, const char *text), void *ctx);

#endif
