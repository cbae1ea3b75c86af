/*
 * The short way to devices, and of an IPI to another hart.
 *
 * Problem. A driver's load or store costs a trap, two times 18 registers, and
 * whatever stands between the trap and the device. The table of causes, the
 * decoder that knows each form and the bus's search are right for all accesses
 * and cost four times what the device itself does; but nearly all accesses are
 * lw, sw, lbu or sb of a register that the exit stores anyway, to a device that
 * the address gives away.
 *
 * Algorithm. One mask and one compare tell each of those forms, and that htinst
 * describes the instruction at all (Privileged ISA 15.6.3; an AMO, the page
 * walk's own access and a missing description look different). The
 * address gives a guess at the device, which the bus's own check confirms
 * (emul_accepts), and devices never lie where RAM is. All that is needed after
 * the device is read from its CSR or from the CPU's area again, so that nothing
 * has to be saved around it. The file is compiled without frame pointers and so
 * that the compiler does not touch s0 to s11: they hold what the guest has in
 * them, and operand_get and operand_set reach them there.
 *
 * Invariants. Nothing has been done when a function returns NULL: all checks
 * come before the program counter moves and the device is touched. Whatever
 * exit_handle does after a handler is done here too: v->exits, v->virq. No
 * device traps (emul.h), so htinst and sepc are the guest's all the while.
 *
 * Rejected. A table of sixteen functions by htinst's bits: the jump through it
 * costs what two compares do. Handlers that save fewer registers, by
 * -ffixed-reg for all that they call: 14 instructions less, but virq_raise, the
 * console and the firmware's doorbell are called from devices, and libgcc knows
 * no such promise. A cache of the last device: it misses between a driver's
 * device and the PLIC.
 */
#include "arch/riscv/quick.h"

#include <ck_pr.h>

#include "arch/riscv/cpu.h"
#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "arch/riscv/vsbi_abi.h"
#include "arch/riscv/world.h"
#include "emul/emul.h"
#include "kernel/bits.h"
#include "kernel/guest.h"
#include "kernel/virq.h"

/* htinst without the register and bit 1: opcode, funct3, and, where rs1 was,
 * how far into the access the fault is; not 0 if it began in RAM (mmio.c). */
#define FORM_MASK 0xff07du
#define FORM_LW 0x2001u
#define FORM_LBU 0x4001u
#define FORM_SB 0x0021u
#define FORM_SW 0x2021u
#define LONG 2u /* bit 1: the instruction has 4 bytes, else 2 */

/* A register's number, times the 8 bytes that it has in trap.S's tables. */
#define REG_BYTES(inst, at) ((inst) >> ((at) - 3) & 31 << 3)
#define RD 7
#define RS2 20

/* The vCPU again: to keep it across a call takes more than to find it. */
static inline struct riscv_vcpu *running(void)
{
	return riscv_this()->running;
}

static inline void advance(u64 bytes)
{
	csr_write(CSR_SEPC, csr_read(CSR_SEPC) + bytes);
}

static __attribute__((noinline)) struct riscv_vcpu *
flush_virq(struct riscv_vcpu *v)
{
	world_flush_virq(v);
	return v;
}

/* What exit_handle does when a handler says ADVANCE. */
static inline struct riscv_vcpu *handled(struct riscv_vcpu *v,
					 enum vcpu_exit why)
{
	vcpu_exit_count(&v->v, why);
	if (unlikely(ck_pr_load_32(&v->v.virq)))
		return flush_virq(v);
	return v;
}

/* The guess at the device of address `at`: v->slot[EMUL_SLOT(at)], which the
 * compiler would shift down and up again. */
static inline struct emul_dev *guess(const struct riscv_vcpu *v, u64 at)
{
	u64 bytes = at / (EMUL_SLOT_BYTES / 8) & (EMUL_SLOTS - 1) * 8;

	_Static_assert(sizeof(v->slot[0]) == 8, "bytes of a slot");
	return *(struct emul_dev *const *)(const void *)
		((const char *)v->slot + bytes);
}

/*
 * The device that has this access of 1 << shift bytes, or NULL: the bus's check
 * (emul_accepts), its alignment first, as windows start on a page.
 */
static inline __attribute__((always_inline)) struct emul_dev *
dev_for(const struct riscv_vcpu *v, u32 shift, u64 *off)
{
	u64 low = csr_read(CSR_STVAL) & 3, at;
	struct emul_dev *d;

	if (unlikely(low & ((1u << shift) - 1)))
		return NULL;
	at = csr_read(CSR_HTVAL) << 2 | low;
	d = guess(v, at);
	*off = at - d->base.v;
	return likely(emul_covers(d, *off, shift)) ? d : NULL;
}

/*
 * The guest's register that `inst` names at bit `at`, in x[] or in the hart:
 * trap.S has two instructions for each. A jump there costs less than to find
 * out where it is, and the compiler knows that only these registers change.
 */
static inline u64 operand_get(struct riscv_vcpu *v, u64 inst, u32 at)
{
	register u64 a0 __asm__("a0") = (u64)v;
	register u64 a4 __asm__("a4");

	__asm__ volatile("1:	auipc	t0, %%pcrel_hi(quick_reg_get)\n"
			 "	add	t0, t0, %2\n"
			 "	jalr	ra, %%pcrel_lo(1b)(t0)"
			 : "=r"(a4)
			 : "r"(a0), "r"(REG_BYTES(inst, at)), "m"(v->x)
			 : "ra", "t0");
	return a4;
}

static inline void operand_set(struct riscv_vcpu *v, u64 inst, u32 at, u64 val)
{
	register u64 a0 __asm__("a0") = (u64)v;
	register u64 a4 __asm__("a4") = val;

	__asm__ volatile("1:	auipc	t0, %%pcrel_hi(quick_reg_set)\n"
			 "	add	t0, t0, %2\n"
			 "	jalr	ra, %%pcrel_lo(1b)(t0)"
			 : "=m"(v->x)
			 : "r"(a0), "r"(REG_BYTES(inst, at)), "r"(a4)
			 : "ra", "t0");
}

static inline __attribute__((always_inline)) struct riscv_vcpu *
load(struct riscv_vcpu *v, u64 inst, u32 shift)
{
	u64 off, val;
	struct emul_dev *d = dev_for(v, shift, &off);

	if (unlikely(!d))
		return NULL;
	val = d->read(d, &v->v, off, 1u << shift);
	val = shift ? (u64)(s32)val : (u8)val;
	v = running();
	inst = csr_read(CSR_HTINST);
	advance((inst & LONG) + 2);
	operand_set(v, inst, RD, val);
	return handled(v, VCPU_EXIT_DEVICE);
}

static inline __attribute__((always_inline)) struct riscv_vcpu *
store(struct riscv_vcpu *v, u64 inst, u32 shift)
{
	u64 off;
	struct emul_dev *d = dev_for(v, shift, &off);

	if (unlikely(!d))
		return NULL;
	d->write(d, &v->v, off, 1u << shift, operand_get(v, inst, RS2));
	/* Now that whoever sleeps has been woken. */
	advance((csr_read(CSR_HTINST) & LONG) + 2);
	return handled(running(), VCPU_EXIT_DEVICE);
}

struct riscv_vcpu *quick_load(struct riscv_vcpu *v)
{
	u64 inst = csr_read(CSR_HTINST);
	u32 form = inst & FORM_MASK;

	if (form == FORM_LW)
		return load(v, inst, 2);
	if (form == FORM_LBU)
		return load(v, inst, 0);
	return NULL;
}

struct riscv_vcpu *quick_store(struct riscv_vcpu *v)
{
	u64 inst = csr_read(CSR_HTINST);
	u32 form = inst & FORM_MASK;

	if (form == FORM_SW)
		return store(v, inst, 2);
	if (form == FORM_SB)
		return store(v, inst, 0);
	return NULL;
}

/* One that is OFF may be stopped, and gets none: vsbi_ipi.c decides. */
static inline __attribute__((always_inline)) struct riscv_vcpu *
ipi_send(struct riscv_vcpu *v, u64 id)
{
	struct vcpu *t = v->v.guest->vcpu[id];

	if (unlikely(ck_pr_load_32(&t->state) == VCPU_OFF))
		return NULL;
	virq_raise(t, VIRQ_SOFT);
	v = running();
	v->x[REG_A0] = VSBI_OK;
	v->x[REG_A1] = 0;
	advance(4);
	return handled(v, VCPU_EXIT_CALL);
}

struct riscv_vcpu *quick_ipi(struct riscv_vcpu *v)
{
	u64 id = v->x[REG_A1];

	return id < v->v.guest->cfg.vcpus ? ipi_send(v, id) : NULL;
}

struct riscv_vcpu *quick_ipi_masked(struct riscv_vcpu *v)
{
	u64 count = v->v.guest->cfg.vcpus;
	u64 mask = v->x[REG_A0], base = v->x[REG_A1], id;

	if (!mask || (mask & (mask - 1)) || base >= count)
		return NULL;
	id = base + bit_lowest(mask);
	return id < count ? ipi_send(v, id) : NULL;
}
