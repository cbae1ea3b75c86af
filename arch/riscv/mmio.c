/*
 * Loads and stores to the guest's devices.
 *
 * The hart describes most of them in htinst, a 32-bit form of the instruction
 * whatever its length was (Privileged ISA 15.6.3: bit 1 clear means that it
 * had 16 bits). Where htinst is zero the instruction is read from the guest.
 * Integer loads and stores are carried out; an AMO, LR/SC, or a load or store
 * of an FP or vector register gets the access fault that a device without that
 * access raises (Privileged ISA 3.6, PMAs).
 *
 * So does an access that began before the device: one that is misaligned may
 * have its first bytes in RAM, on the page before, and fault at a device's
 * first register. htinst says how far into the access that is, where rs1 was
 * (15.6.3, "address offset"); without htinst its own address tells: what is not
 * aligned is refused wherever it begins.
 *
 * What is read from the guest may not be what has trapped: another hart may
 * have changed it. A load must not become a store then, which the guest's page
 * tables may forbid there, so a kind that is not the trap's is executed once
 * more. As for the rest, the guest may access what has trapped by any register
 * and width.
 *
 * Registers that the exit path has not stored (s0-s11, gp) are asked for with
 * NEXT_FULL, before the device is touched.
 *
 * What drivers do all the time never comes here: quick.c answers it, in the
 * same way.
 */
#include "arch/riscv/csr.h"
#include "arch/riscv/exit.h"
#include "emul/emul.h"
#include "kernel/percpu/trace.h"

/* Bit 1 is the length in htinst, and rs1 the offset into the access: with it
 * other than 0 no opcode fits. */
#define OPCODE(htinst) ((htinst) & (0x7du | RS1_MASK))
#define OP_LOAD 0x01
#define OP_STORE 0x21
#define RD(inst) ((inst) >> 7 & 31)
#define RS2(inst) ((inst) >> 20 & 31)
#define FUNCT3(inst) ((inst) >> 12 & 7)
#define RS1(inst) ((inst) >> 15 & 31)
#define RS1_MASK (31u << 15)

struct access {
	bool ok, store, sign;
	u32 width, reg; /* bytes; x register */
	u32 inst_bytes;
};

/* htinst's picture of a load or store, or a 32-bit one with rs1 made 0. */
static struct access decode(u32 inst, u32 inst_bytes)
{
	u32 f3 = FUNCT3(inst);
	struct access a = { .inst_bytes = inst_bytes };

	a.width = 1u << (f3 & 3);
	if (OPCODE(inst) == OP_LOAD) {
		a.ok = f3 != 7;
		a.sign = f3 < 4;
		a.reg = RD(inst);
	} else if (OPCODE(inst) == OP_STORE) {
		a.ok = f3 < 4;
		a.store = true;
		a.reg = RS2(inst);
	}
	return a;
}

/* Zcb's byte and halfword forms (quadrant 0, funct3 4): 6 bits of function. */
static struct access decode_zcb(u32 inst)
{
	struct access a = { .ok = true, .inst_bytes = 2,
			    .reg = 8 + (inst >> 2 & 7) };

	switch (inst >> 10 & 7) {
	case 0: a.width = 1; break;
	case 1: a.width = 2; a.sign = inst >> 6 & 1; break;
	case 2: a.width = 1; a.store = true; break;
	case 3: a.width = 2; a.store = true; break;
	default: a.ok = false;
	}
	return a;
}

/* c.lw c.ld c.sw c.sd and their sp forms, Zcb; the rest isn't an integer
 * access (Unprivileged ISA, chapters C and Zc). */
static struct access decode_compressed(u32 inst)
{
	u32 f3 = inst >> 13 & 7;
	bool sp = (inst & 3) == 2;
	struct access a = { .inst_bytes = 2, .sign = true };

	if ((inst & 3) == 1)
		return a;
	if (!sp && f3 == 4)
		return decode_zcb(inst);
	a.width = f3 & 1 ? 8 : 4;
	a.store = f3 >= 6;
	a.ok = f3 == 2 || f3 == 3 || f3 == 6 || f3 == 7;
	a.reg = !sp ? 8 + (inst >> 2 & 7) :
		a.store ? inst >> 2 & 31 : inst >> 7 & 31;
	return a;
}

static struct access decode_any(u32 inst)
{
	if ((inst & 3) != 3)
		return decode_compressed(inst);
	return decode(inst & ~RS1_MASK, 4);
}

/* Is register n in x[], or x0? */
static bool has_reg(const struct riscv_vcpu *v, u32 n)
{
	return (v->have | 1) >> n & 1;
}

/* The base register of a load or store as it is in memory. */
static u32 base_of(u32 inst)
{
	if ((inst & 3) == 3)
		return RS1(inst);
	return (inst & 3) == 2 ? 2 : 8 + (inst >> 7 & 7);
}

/* Is the access aligned? Its offset in bits below 3: those of the compressed
 * forms are multiples of the width. The base register is stored. */
static bool is_aligned(struct riscv_vcpu *v, u32 inst, const struct access *a)
{
	u64 at = reg_get(v, base_of(inst));

	if ((inst & 3) == 3)
		at += a->store ? RD(inst) : RS2(inst);
	return (at & (a->width - 1)) == 0;
}

static u64 extend(u64 val, const struct access *a)
{
	u32 shift = 64 - 8 * a->width;

	return a->sign ? (u64)((s64)(val << shift) >> shift) : val;
}

/* The access's address is told anew, from its CSRs, which no device changes:
 * to keep it for a record would cost each access that is not recorded. */
static inline u64 recorded_at(struct access a)
{
	u64 at = csr_read(CSR_HTVAL) << 2 | (csr_read(CSR_STVAL) & 3);

	return at | (u64)a.width << 56;
}

static __attribute__((cold, noinline, optimize("omit-frame-pointer")))
enum emul_result
fault_record(struct riscv_vcpu *v, struct access a)
{
	TRACE(DEVICE_FAULT, v->v.sched.trace_id,
	      recorded_at(a) << 8 >> 8, a.store);
	return EMUL_FAULT;
}

/* What is recorded as written has the width's bits, and others above them. */
static inline enum emul_result access_do(struct riscv_vcpu *v, struct gpa at,
					 struct access a)
{
	struct guest *g = v->v.guest;
	u64 val;

	if (a.store) {
		val = reg_get(v, a.reg);
		if (emul_write(g, &v->v, at, a.width, val) != EMUL_DONE)
			return fault_record(v, a);
		TRACE(DEVICE_WRITE, v->v.sched.trace_id, recorded_at(a),
		      v->x[(s32)a.reg]);
		return EMUL_DONE;
	}
	if (emul_read(g, &v->v, at, a.width, &val) != EMUL_DONE)
		return fault_record(v, a);
	reg_set(v, a.reg, extend(val, &a));
	TRACE(DEVICE_READ, v->v.sched.trace_id, recorded_at(a), val);
	return EMUL_DONE;
}

/* Without htinst. inst_bytes is 0 if the access can't be carried out now: then
 * `reg` is the answer (enum exit_next). */
static __attribute__((noinline)) struct access fetched(struct riscv_vcpu *v,
						       u64 cause)
{
	struct access a;
	u32 inst;

	if (exit_fetch(&inst))
		return (struct access){ .reg = NEXT_RETRY };
	a = decode_any(inst);
	if (a.ok && a.store != (cause == CAUSE_STORE_GUEST_PAGE))
		return (struct access){.reg = NEXT_RETRY};
	if (a.ok && !has_reg(v, base_of(inst)))
		return (struct access){ .reg = NEXT_FULL };
	a.ok = a.ok && is_aligned(v, inst, &a);
	return a;
}

bool mmio_htinst_off;

enum exit_next mmio_access(struct riscv_vcpu *v, u64 cause, struct gpa at)
{
	u64 htinst = csr_read(CSR_HTINST);
	struct access a;

	if (likely((htinst & 1) && !mmio_htinst_off)) {
		a = decode((u32)htinst, htinst & 2 ? 4 : 2);
	} else {
		a = fetched(v, cause);
		if (!a.inst_bytes) {
			if (a.reg == NEXT_RETRY)
				vcpu_exit_count(&v->v, VCPU_EXIT_OTHER);
			return (enum exit_next)a.reg;
		}
	}
	if (a.ok && !has_reg(v, a.reg))
		return NEXT_FULL;
	vcpu_exit_count(&v->v, VCPU_EXIT_DEVICE);
	if (!a.ok || access_do(v, at, a) == EMUL_FAULT)
		return exit_reflect(v, cause == CAUSE_LOAD_GUEST_PAGE ?
					       CAUSE_LOAD_ACCESS :
					       CAUSE_STORE_ACCESS,
				    csr_read(CSR_STVAL));
	return a.inst_bytes == 4 ? NEXT_ADVANCE : NEXT_ADVANCE_2;
}
